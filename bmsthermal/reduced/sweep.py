"""Many runs of the full model, on all cores or on a cluster; what is done is kept, so that a killed sweep goes on."""

from __future__ import annotations

import hashlib
import importlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import bmsthermal
from bmsthermal.cell import Cell
from bmsthermal.coupled import CoupledModel
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.dfn.particle import ParticleGrid, check_whole
from bmsthermal.errors import InputError
from bmsthermal.files import check_outputs, folder
from bmsthermal.reduced.trace import ATOL, HOTTEST_K, RTOL, SNAPSHOTS, STEP_S, Trace, read, record, write
from bmsthermal.reduced.training import Case
from bmsthermal.schema import COOLING

__all__ = ["Trace", "run_job", "sweep"]

#: Counts up when a trace holds something else, or a case means something else: older files are then made again.
FORMAT = 1
MOST_WORKERS = 1024
#: How long a cluster may take to answer, in s.
PATIENCE_S = 5.0
#: What the libraries of linear algebra read their number of threads from.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

#: A run in plain values, which can go to any process.
Job = dict[str, Any]
Jobs = Mapping[str, Job]
Keep = Callable[[str, Trace], None]


def sweep(
    model: CoupledModel,
    cases: Sequence[Case],
    *,
    workers: int | None = None,
    cluster: str | None = None,
    cache: Path | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> tuple[Trace, ...]:
    """Run the full model in all cases; each finished run is kept at once, and none is run twice.

    Parameters
    ----------
    model
        With electrochemistry; its cooling gives way to that of each case.
    cases
        What to run.
    workers
        Processes, by default one a core; 1 is this process. The answer does not depend on it.
    cluster
        Address of a Dask cluster that is already there, such as ``tcp://10.0.0.5:8786``, in place of `workers`.
    cache
        Folder of the kept runs; by default that of the environment variable ``BMSTHERMAL_CACHE``, else
        ``bmsthermal`` in the user's cache.
    progress
        Called with the share that is done, 0 to 1, and the name of the case.

    Returns
    -------
    tuple of Trace
        In the order of `cases`. A case that cannot begin has no rows, and `Trace.stopped` says why.

    Raises
    ------
    InputError
        If the model has no electrochemistry, the cache cannot be written, the cluster does not answer, or a
        worker dies.
    KeyboardInterrupt
        On Ctrl-C, when the runs under way are done and kept.
    """
    if workers is not None:
        check_whole(workers, "workers", 1, MOST_WORKERS)
        if cluster is not None:
            raise InputError("workers with cluster", expected="one or the other", hint="a cluster has its own workers")
    jobs = _jobs(model, cases)
    place = cache_folder(cache)
    wanted = {_key(job): (job, case) for job, case in zip(jobs, cases, strict=True)}
    found: dict[str, Trace] = {}

    def report(case: Case) -> None:
        if progress is not None:
            progress(len(found) / len(wanted), case.name)

    for key, (_, case) in wanted.items():
        if (trace := read(place / f"{key}.npz", key, case)) is not None:
            found[key] = trace
            report(case)

    def keep(key: str, trace: Trace) -> None:
        if key not in found:
            write(trace, place / f"{key}.npz", key)
            found[key] = trace
            report(trace.case)

    # drives are the longest runs: begun first, none of them is left alone at the end
    first = sorted(wanted, key=lambda key: wanted[key][1].duration_s or 0.0, reverse=True)
    missing = {key: wanted[key][0] for key in first if key not in found}
    count = min(len(missing), workers or os.cpu_count() or 1)
    if missing and cluster is not None:
        _on_cluster(missing, keep, cluster)
    elif count > 1:
        _in_processes(missing, keep, count)
    else:
        for key, job in missing.items():
            keep(key, run_job(job))
    return tuple(found[_key(job)] for job in jobs)


def run_job(job: Job) -> Trace:
    """Run one case from plain values, in whatever process.

    Raises
    ------
    InputError
        If another version of this package made the job.
    """
    if job["version"] != bmsthermal.__version__:
        found = f"a worker has bmsthermal {bmsthermal.__version__}"
        raise InputError(found, expected=job["version"], hint="install the same version on all workers")
    mesh: dict[str, Any] = {
        name: ParticleGrid(size["degree"], tuple(size["edges"])) if isinstance(size, dict) else size
        for name, size in job["mesh"].items()
    }
    # the file's name is no part of the answer, nor of the sentence of a run that cannot begin
    model = CoupledModel(Cell("", job["document"]), mesh=Mesh(**mesh), **job["options"])
    return record(model, Case(**job["case"]))


def _jobs(model: CoupledModel, cases: Sequence[Case]) -> list[Job]:
    """One job a case, of values that JSON knows."""
    if not isinstance(model, CoupledModel) or model.heat == "measured":
        raise InputError("a sweep of a model without electrodes", expected="CoupledModel(cell, heat='dfn')")
    for case in cases:
        if not isinstance(case, Case):
            raise InputError(f"{case!r:.60} as case", expected="a Case of bmsthermal.reduced.training")
    eq = model.equations
    options = {
        "heat": model.heat, "thermal": eq.resolution, "layers": eq.layers, "couplings": list(eq.couplings),
        "reactions": model.reactions, "nodes": eq.nodes,
    }  # fmt: skip
    cooled = {h: model.cell.with_values({COOLING: h}) for h in sorted({case.h for case in cases})}
    return [
        {
            "version": bmsthermal.__version__, "document": dict(cooled[case.h].document),
            "digest": cooled[case.h].digest, "options": options, "mesh": asdict(eq.mesh), "case": asdict(case),
        }
        for case in cases
    ]  # fmt: skip


def _key(job: Job) -> str:
    """What tells one question from another: everything that the answer depends on."""
    asked = {name: value for name, value in job.items() if name != "document"}
    asked["run"] = [FORMAT, RTOL, ATOL, STEP_S, HOTTEST_K, SNAPSHOTS]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def cache_folder(given: Path | None) -> Path:
    """Folder of the kept runs, which can be written."""
    place = given or os.environ.get("BMSTHERMAL_CACHE")
    if not place:
        base = os.environ.get("XDG_CACHE_HOME", "")
        place = Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache")) / "bmsthermal"
    made = folder(place)
    check_outputs((made / "trace.npz", (".npz",)))
    return made


def _in_processes(jobs: Jobs, keep: Keep, count: int) -> None:
    """Run jobs in processes of their own; what has begun is finished and kept, whatever happens."""
    waiting, running = iter(jobs.items()), dict[Future[Trace], str]()
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), begin_worker)

    def begin(most: int) -> None:
        with bare_start():
            running.update((pool.submit(run_job, job), key) for key, job in islice(waiting, most))

    try:
        begin(count)  # as many as there are workers: what waits in the pool could not be called back
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                keep(running[future], future.result())
                del running[future]
                begin(1)
    except BaseException as error:
        pool.shutdown()
        for future, key in running.items():
            if future.done() and future.exception() is None:
                keep(key, future.result())
        if isinstance(error, BrokenProcessPool):
            raise InputError(
                f"one of {count} workers died", expected="enough memory for all of them",
                hint="use fewer workers; the finished runs are kept",
            ) from error  # fmt: skip
        raise
    pool.shutdown()


def begin_worker() -> None:
    """Make a process leave Ctrl-C to its parent, and end when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def bare_start() -> Iterator[None]:
    """Start processes with one thread of linear algebra each, and without the script that is running.

    Python would import that script again in each of them, and run it again where it is not guarded.
    """
    before, script = {name: os.environ.get(name) for name in THREADS}, sys.modules["__main__"]
    os.environ.update(dict.fromkeys(THREADS, "1"))
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _on_cluster(jobs: Jobs, keep: Keep, address: str) -> None:
    """Run jobs on a Dask cluster; on an error what has not begun is cancelled, and what is done is kept."""
    try:
        dask = importlib.import_module("distributed")
    except ImportError as error:
        hint = 'pip install "bmsthermal[sweep]"'
        raise InputError("a cluster without Dask", expected="the package distributed", hint=hint) from error
    try:
        client = dask.Client(address, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        expected = "the address of a Dask scheduler that is running, such as tcp://10.0.0.5:8786"
        raise InputError(f"no answer from {address!r:.60}", where="cluster", expected=expected) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE_S)
        except TimeoutError as error:
            raise InputError("it has no workers", where=f"cluster {address}", expected="one or more") from error
        futures = {client.submit(run_job, job, pure=False): key for key, job in jobs.items()}
        try:
            for future in dask.as_completed(list(futures), loop=client.loop):
                keep(futures[future], future.result())
        except BaseException as error:
            done = [future for future in futures if future.status == "finished"]
            client.cancel([future for future in futures if future not in done])
            for future in done:
                keep(futures[future], future.result())
            if isinstance(error, ImportError):
                found = f"its workers cannot import what they need ({error})"
                raise InputError(found, where=f"cluster {address}", hint="install bmsthermal on them") from error
            raise

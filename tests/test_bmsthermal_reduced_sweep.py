"""A sweep: the same traces in the same order whatever the workers, and nothing run twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Mesh, ParticleGrid, load_cell
from bmsthermal.reduced import sweep as module
from bmsthermal.reduced.sweep import sweep
from bmsthermal.reduced.trace import ARRAYS, SNAPSHOTS
from bmsthermal.reduced.training import Case

MESH = Mesh(4, 2, 4, ParticleGrid(3), ParticleGrid(3))
CASES = (
    Case("2C", 25.0, 10.0, 2.0, 1.0, 40.0),
    Case("us06", 0.0, 60.0, 1.0, 0.7, 15.0),
    Case("1C", 10.0, 60.0, 1.0, 0.9, 300.0),
)


@pytest.fixture(scope="module")
def model():
    return CoupledModel(load_cell("lgm50_21700"), mesh=MESH, nodes=6)


@pytest.fixture(scope="module")
def kept(model, tmp_path_factory):
    """Cache and traces of a sweep in this process."""
    folder = tmp_path_factory.mktemp("cache")
    return folder, sweep(model, CASES, workers=1, cache=folder)


@pytest.fixture
def counted(monkeypatch):
    """Cases that are run from here on."""
    ran = []
    original = module.run_job

    def run_job(job):
        ran.append(job["case"]["profile"])
        return original(job)

    monkeypatch.setattr(module, "run_job", run_job)
    return ran


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(one, other):
    assert one.case == other.case and one.stopped == other.stopped
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_traces_stand_in_the_order_of_the_cases_with_consistent_shapes(model, kept):
    for case, trace in zip(CASES, kept[1], strict=True):
        assert trace.case == case
        k, m = len(trace.time_s), len(trace.snapshot_s)
        assert trace.time_s[-1] == pytest.approx(case.duration_s)
        assert trace.surface_K.shape == (1, k) and 2 <= m <= SNAPSHOTS
        assert trace.salt.shape == (m, 10)
        assert trace.negative.shape == trace.positive.shape == (m, 4, 4)
        np.testing.assert_array_equal(trace.salt_minimum, trace.salt.min(axis=1))
        assert trace.mean_K[0] == pytest.approx(case.ambient_degC + 273.15)
        x = model.equations.parameters.stoichiometries(case.initial_soc)
        np.testing.assert_allclose([trace.negative[0].mean(), trace.positive[0].mean()], x, rtol=1e-6)
    # the current at the states is that of the rows at the same time
    drive = kept[1][1]
    at = np.searchsorted(drive.time_s, drive.snapshot_s)
    np.testing.assert_allclose(drive.snapshot_current_A, drive.current_A[at], rtol=1e-12)


def test_cooling_is_that_of_the_case_and_not_of_the_file(model, kept, counted):
    windy = CoupledModel(
        model.cell.with_values({"Heat transfer coefficient [W.m-2.K-1]": {"side": 999.0}}), mesh=MESH, nodes=6
    )
    for one, other in zip(kept[1], sweep(windy, CASES, workers=1, cache=kept[0]), strict=True):
        same(one, other)
    assert not counted


def test_what_is_kept_is_not_run_again_and_repeated_cases_run_once(model, kept, counted, tmp_path):
    for one, other in zip(kept[1], sweep(model, CASES, cache=kept[0]), strict=True):
        same(one, other)
    assert not counted
    shares = []
    twice = sweep(model, [CASES[0], CASES[0]], cache=tmp_path, progress=lambda *said: shares.append(said))
    assert counted == ["2C"] and shares == [(1.0, "2C 25 degC h 10")]
    same(*twice)


def test_two_workers_give_the_same_bytes_as_one(model, kept, tmp_path):
    traces = sweep(model, CASES, workers=2, cache=tmp_path)
    for one, other in zip(kept[1], traces, strict=True):
        same(one, other)
    assert files(tmp_path) == files(kept[0])


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_killed_sweep_goes_on_where_it_was(model, kept, tmp_path, monkeypatch, error):
    original = module.run_job
    ran = []

    def run_job(job):
        if job["case"]["profile"] == "us06":
            raise error
        ran.append(job["case"]["profile"])
        return original(job)

    monkeypatch.setattr(module, "run_job", run_job)
    with pytest.raises(error):
        sweep(model, CASES, workers=1, cache=tmp_path)
    assert ran == ["1C", "2C"]  # the longest is first
    monkeypatch.setattr(module, "run_job", lambda job: ran.append(job["case"]["profile"]) or original(job))
    traces = sweep(model, CASES, workers=1, cache=tmp_path)
    assert ran == ["1C", "2C", "us06"]
    for one, other in zip(kept[1], traces, strict=True):
        same(one, other)
    assert files(tmp_path) == files(kept[0])


def test_a_damaged_file_is_made_again(model, kept, counted, tmp_path):
    originals = files(kept[0])
    first, second, third = originals
    (tmp_path / first).write_bytes(originals[first][: len(originals[first]) // 2])
    middle = len(originals[second]) // 2
    flipped = originals[second][:middle] + bytes([originals[second][middle] ^ 1]) + originals[second][middle + 1 :]
    (tmp_path / second).write_bytes(flipped)
    (tmp_path / third).write_bytes(originals[first])  # whole, but the answer to another question
    sweep(model, CASES, workers=1, cache=tmp_path)
    assert sorted(counted) == ["1C", "2C", "us06"]
    assert files(tmp_path) == originals


def test_a_case_that_cannot_begin_has_no_rows_and_a_reason(model, tmp_path):
    frozen = Case("2C", -200.0, 10.0, 2.0, 1.0)
    for _ in range(2):  # run, and read again
        (trace,) = sweep(model, [frozen], cache=tmp_path)
        assert trace.stopped.startswith("ambient_K")
        assert trace.time_s.shape == (0,) and trace.surface_K.shape == (1, 0)
        assert trace.salt.shape == (0, 10) and trace.negative.shape == (0, 4, 4)


def test_the_cache_is_where_the_environment_says(model, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.delenv("BMSTHERMAL_CACHE", raising=False)
    sweep(model, CASES[:1])
    assert len(list((tmp_path / "user" / "bmsthermal").glob("*.npz"))) == 1
    monkeypatch.setenv("BMSTHERMAL_CACHE", str(tmp_path / "own"))
    sweep(model, CASES[:1])
    assert len(list((tmp_path / "own").glob("*.npz"))) == 1


def test_what_cannot_be_swept_is_refused(model, a123, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="folder"):
        sweep(model, CASES, cache=tmp_path / "file")
    with pytest.raises(InputError, match="electrodes"):
        sweep(CoupledModel(a123, heat="measured"), CASES, cache=tmp_path)
    with pytest.raises(InputError, match="Case"):
        sweep(model, ["us06"], cache=tmp_path)
    for workers in (0, 1.5, "two"):
        with pytest.raises(InputError, match="workers"):
            sweep(model, CASES, workers=workers, cache=tmp_path)
    with pytest.raises(InputError, match="one or the other"):
        sweep(model, CASES, workers=2, cluster="tcp://127.0.0.1:1", cache=tmp_path)


def test_a_worker_of_another_version_is_refused(model):
    (job,) = module._jobs(model, CASES[:1])
    with pytest.raises(InputError, match="same version"):
        module.run_job(job | {"version": "0.0.0"})


def test_a_script_without_a_guard_runs_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('begins')\n"
        "from bmsthermal import CoupledModel, Mesh, load_cell\n"
        "from bmsthermal.reduced.sweep import sweep\n"
        "from bmsthermal.reduced.training import Case\n"
        "model = CoupledModel(load_cell('lgm50_21700'), mesh=Mesh(4, 2, 4), nodes=6)\n"
        "cases = [Case('2C', T, 10.0, 2.0, 1.0, 5.0) for T in (0.0, 10.0)]\n"
        "print(len(sweep(model, cases, workers=2)))\n"
    )
    env = os.environ | {"BMSTHERMAL_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["begins", "2"]


def test_a_worker_that_dies_is_a_sentence(model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "begin_worker", _die)
    with pytest.raises(InputError, match="fewer workers"):
        sweep(model, CASES, workers=2, cache=tmp_path)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_cluster_that_does_not_answer_is_a_sentence(model, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(module, "PATIENCE_S", 1.0)
    for address in ("tcp://127.0.0.1:1", "nothing://here", ""):
        with pytest.raises(InputError, match="cluster"):
            sweep(model, CASES, cluster=address, cache=tmp_path)


def test_without_dask_the_extra_is_named(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"bmsthermal\[sweep\]"):
        sweep(model, CASES, cluster="tcp://127.0.0.1:1", cache=tmp_path)


def test_a_dask_cluster_gives_the_same_bytes(model, kept, tmp_path: Path):
    dask = pytest.importorskip("distributed")
    with dask.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        traces = sweep(model, CASES, cluster=cluster.scheduler_address, cache=tmp_path)
    for one, other in zip(kept[1], traces, strict=True):
        same(one, other)
    assert files(tmp_path) == files(kept[0])

"""Work in processes of its own, of which any may die: the others go on, and whose died is told."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from bmsthermal.reduced.sweep import bare_start, begin_worker

Job = TypeVar("Job")
Done = TypeVar("Done")


def in_processes(
    jobs: Mapping[int, Job], work: Callable[[Job], Done], count: int, keep: Callable[[int, Done], None]
) -> list[int]:
    """Run jobs in processes of their own.

    Parameters
    ----------
    jobs
        By number.
    work
        What is done with each; it and they have to be what another process can be sent.
    count
        Processes.
    keep
        Called with number and answer as they come.

    Returns
    -------
    list of int
        Jobs whose process died, also when they had one to themselves.
    """
    waiting, dead = list(jobs), []
    while waiting:
        lost, waiting = _in_pool({index: jobs[index] for index in waiting}, work, count, keep)
        dead += [index for index in lost if _in_pool({index: jobs[index]}, work, 1, keep)[0]]
    return dead


def _in_pool(
    jobs: Mapping[int, Job], work: Callable[[Job], Done], count: int, keep: Callable[[int, Done], None]
) -> tuple[list[int], list[int]]:
    """Run jobs in a pool; return which were under way when one of its processes died, and which had not begun."""
    waiting = list(jobs)
    running: dict[Future[Done], int] = {}
    lost: list[int] = []
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), begin_worker)
    try:
        while (waiting or running) and not lost:
            with bare_start():
                for index in waiting[: count - len(running)]:
                    running[pool.submit(work, jobs[index])] = index
                    waiting.remove(index)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                if isinstance(future.exception(), BrokenProcessPool):
                    lost.append(running.pop(future))
                else:
                    keep(running.pop(future), future.result())
    except BrokenProcessPool:  # between two jobs: the one that was not taken has not begun
        pass
    finally:
        pool.shutdown(cancel_futures=True)
    return sorted([*lost, *running.values()]), waiting

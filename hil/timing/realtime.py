"""Real time where the machine grants it: a scheduler class, locked memory, no garbage collector; all put back."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

#: Of SCHED_FIFO, 1 to 99: above everything ordinary, below the kernel's own threads at 99.
PRIORITY = 50
_MCL_CURRENT, _MCL_FUTURE = 1, 2


@contextmanager
def realtime(priority: int = PRIORITY, *, lock: bool = True) -> Iterator[dict[str, Any]]:
    """Ask for all that keeps a loop on time; whatever is refused is gone without.

    The loop's thread gets ``SCHED_FIFO``, memory is locked, garbage is collected once, what is left is frozen, and the
    collector rests. Children do not inherit the class: `promote` is for those that should have it. On the way out all
    is as it was.

    Parameters
    ----------
    priority
        Of SCHED_FIFO, 1 to 99.
    lock
        Whether to lock memory.

    Yields
    ------
    dict
        What holds now, see `granted`.
    """
    with ExitStack() as undo:
        _rest_collector(undo)
        if lock and _lock_memory():
            undo.callback(_unlock_memory)
        before = _scheduler(0)
        if before is not None and promote(0, priority):
            undo.callback(_set_scheduler, 0, *before)
        yield granted()


def promote(pid: int, priority: int = PRIORITY) -> bool:
    """Put a process into SCHED_FIFO; False if it is refused or there is none.

    Parameters
    ----------
    pid
        Of the process; 0 is this thread.
    priority
        1 to 99.
    """
    if sys.platform == "win32" or not hasattr(os, "sched_setscheduler"):
        return False
    return _set_scheduler(pid, os.SCHED_FIFO | getattr(os, "SCHED_RESET_ON_FORK", 0), priority)


def granted() -> dict[str, Any]:
    """Return ``scheduler`` (``SCHED_FIFO 50``, ``SCHED_OTHER``, ...), ``memory_locked`` and ``collector_frozen``.

    The first two are None where the system does not tell.
    """
    found = _scheduler(0)
    name = None
    if found is not None:
        names = {getattr(os, each): each for each in dir(os) if each.startswith("SCHED_") and "RESET" not in each}
        policy = found[0] & ~getattr(os, "SCHED_RESET_ON_FORK", 0)
        name = names.get(policy, str(policy)) + (f" {found[1]}" if found[1] else "")
    return {
        "scheduler": name,
        "memory_locked": _memory_locked(),
        "collector_frozen": gc.get_freeze_count() > 0 and not gc.isenabled(),
    }


def _rest_collector(undo: ExitStack) -> None:
    """Collect, freeze and stop; what another froze stays frozen afterwards."""
    if gc.isenabled():
        undo.callback(gc.enable)
    frozen_before = gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    gc.disable()
    if not frozen_before:
        undo.callback(gc.unfreeze)


def _scheduler(pid: int) -> tuple[int, int] | None:
    if sys.platform == "win32" or not hasattr(os, "sched_getscheduler"):
        return None
    try:
        return os.sched_getscheduler(pid), os.sched_getparam(pid).sched_priority
    except OSError:
        return None


def _set_scheduler(pid: int, policy: int, priority: int) -> bool:
    if sys.platform == "win32":
        return False
    # to clear "reset on fork" takes a privilege that to set it does not: then the flag stays, which harms nothing
    for flag in (0, getattr(os, "SCHED_RESET_ON_FORK", 0)):
        try:
            os.sched_setscheduler(pid, policy | flag, os.sched_param(priority))
            return True
        except (OSError, ValueError):
            continue
    return False


def _lock_memory() -> bool:
    """Lock what is there and what comes, or only what is there where a limit would turn what comes into errors."""
    if not sys.platform.startswith("linux"):
        return False
    import resource

    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY or _may_lock_any()
    try:
        return bool(ctypes.CDLL(None).mlockall(_MCL_CURRENT | (_MCL_FUTURE if unlimited else 0)) == 0)
    except (OSError, AttributeError):
        return False


def _unlock_memory() -> None:
    ctypes.CDLL(None).munlockall()


def _status(key: str) -> str | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((line.split()[1] for line in lines if line.startswith(f"{key}:")), None)


def _may_lock_any() -> bool:
    """Whether no limit holds for this process: CAP_IPC_LOCK, which is bit 14."""
    return bool(int(_status("CapEff") or "0", 16) >> 14 & 1)


def _memory_locked() -> bool | None:
    found = _status("VmLck")
    return None if found is None else int(found) > 0

"""What a run takes of the machine, and what the machine granted it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from hil.timing.realtime import granted


class Usage:
    """Processor shares and load over a run: `begin`, `end`, `report`."""

    def __init__(self) -> None:
        self._watched: dict[str, int] = {}
        self._begun: dict[str, float | None] = {}
        self._spent: dict[str, float | None] = {}
        self._span_s = self._begun_s = 0.0
        self._load: tuple[float | None, float | None] = (None, None)
        self._granted: dict[str, Any] = {}

    def watch(self, name: str, pid: int) -> None:
        """Count a child process too, such as a device; before the run begins."""
        self._watched[name] = pid

    def begin(self) -> None:
        """Note where all stand."""
        self._granted = granted()
        self._begun_s = time.perf_counter()
        self._load = (_load(), None)
        self._begun = self._sample()

    def end(self) -> None:
        """Note where all stand now."""
        ended = self._sample()
        self._span_s += time.perf_counter() - self._begun_s
        self._load = (self._load[0], _load())
        for name, before in self._begun.items():
            after = ended.get(name)
            if before is None or after is None:
                self._spent[name] = None
            else:
                self._spent[name] = (self._spent.get(name) or 0.0) + after - before

    def _sample(self) -> dict[str, float | None]:
        return {"bench": time.process_time()} | {name: _spent_s(pid) for name, pid in self._watched.items()}

    def report(self) -> dict[str, Any]:
        """Return ``scheduler memory_locked collector_frozen load wall_s cpu_share``, ready for JSON.

        Shares are of one processor, by process; None for a child that is gone, or where they cannot be read.
        """
        shares = {
            name: None if spent is None or not self._span_s else spent / self._span_s
            for name, spent in self._spent.items()
        }
        return {**self._granted, "load": list(self._load), "wall_s": self._span_s, "cpu_share": shares}


def _load() -> float | None:
    """Load average over the last minute, where there is one."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _spent_s(pid: int) -> float | None:
    """Processor time of a process so far, s; None if it is gone or the system does not tell (it is Linux that does)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError, IndexError):
        return None

"""What the live page knows: the run that is on, thinned as it grows, and how those before it ended."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from hil.record import column_names
from hil.verdict.strips import Strips, thinned

#: Rows that are kept; twice as many are thinned to these.
ROWS = 6000
#: A run that has been silent for so long, s, makes room for another.
SILENT_S = 3.0
#: Runs before this one that are remembered.
EARLIER = 20
#: Most cells, sensors, faults, and letters of a text that a datagram may speak of.
CELLS, SENSORS, FAULTS, LETTERS = 100_000, 32, 500, 600


class Board:
    """Takes datagrams, gives events: everything that is no datagram of ours is dropped."""

    def __init__(self) -> None:
        self.news = threading.Condition()
        self.closed = False
        self._run = ""
        self._about: dict[str, Any] = {}
        self._keys: tuple[str, ...] = ()
        self._columns: list[list[int | None]] = []
        self._end: dict[str, Any] | None = None
        self._heard = 0.0
        self._epoch = 0
        self._earlier: deque[list[str]] = deque(maxlen=EARLIER)
        self._gone = 0

    def take(self, datagram: bytes) -> bool:
        """Take a datagram; return whether it was one of ours that said something new."""
        try:
            message = json.loads(datagram)
            run, kind = _text(message["run"]), message["kind"]
            act = {"begin": self._begin, "rows": self._rows, "again": self._again, "end": self._over}[kind]
            with self.news:
                if not act(run, message):
                    return False
                self._heard = time.monotonic()
                self.news.notify_all()
            return True
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            return False

    def close(self) -> None:
        """Let those who wait go."""
        with self.news:
            self.closed = True
            self.news.notify_all()

    def events(self, wait_s: float = 10.0) -> Iterator[tuple[str, dict[str, Any]] | None]:
        """Yield name and content of each event for someone who comes now; None after a while without any."""
        epoch, rows, over, earlier = -1, 0, False, -1
        while True:
            found: list[tuple[str, dict[str, Any]]] = []
            with self.news:
                new = self.news.wait_for(
                    lambda e=epoch, r=rows, o=over: (
                        self.closed  # type: ignore[misc]
                        or (self._run and (e != self._epoch or r < self._count or o != (self._end is not None)))
                    ),
                    wait_s,
                )
                if self.closed:
                    return
                if new and epoch != self._epoch:
                    epoch, rows, over = self._epoch, self._count, False
                    found.append(("run", {**self._about, "columns": [list(each) for each in self._columns]}))
                elif new and rows < self._count:
                    found.append(("rows", {"columns": [each[rows:] for each in self._columns]}))
                    rows = self._count
                if new and self._end is not None and not over:
                    over = True
                    found.append(("end", self._end))
                if new and earlier != self._gone:
                    earlier = self._gone
                    found.append(("earlier", {"runs": [list(each) for each in reversed(self._earlier)]}))
            if not found:
                yield None
            yield from found

    @property
    def _count(self) -> int:
        return len(self._columns[0]) if self._columns else 0

    def _begin(self, run: str, message: dict[str, Any]) -> bool:
        if run == self._run:
            return False
        if self._run and self._end is None and time.monotonic() - self._heard < SILENT_S:
            return False  # another one is on
        cells, sensors, faults = (
            message["cells"],
            _texts(message["sensors"], SENSORS),
            _texts(message["faults"], FAULTS),
        )
        if type(cells) is not int or not 1 <= cells <= CELLS or not sensors:
            return False
        title, device = _text(message["title"]), _text(message["device"])
        strips = Strips(column_names(cells, sensors, faults))
        digits = strips.keys()
        if self._run:
            sentence = self._end["sentence"] if self._end else "Its end was not heard."
            self._earlier.append([self._about["title"], self._about["device"], sentence])
            self._gone += 1
        self._run, self._end, self._epoch = run, None, self._epoch + 1
        self._keys, self._columns = tuple(digits), [[] for _ in digits]
        self._about = {
            "title": title, "device": device, "charts": strips.charts(), "keys": list(digits),
            "digits": list(digits.values()), "steps": False,
        }  # fmt: skip
        return True

    def _rows(self, run: str, message: dict[str, Any]) -> bool:
        columns = message["columns"]
        if run != self._run or self._end is not None or len(columns) != len(self._columns):
            return False
        count = len(columns[0])
        if not 0 < count <= ROWS or any(type(each) is not list or len(each) != count for each in columns):
            return False
        if any(n is not None and (type(n) is not int or abs(n) > 10**12) for each in columns for n in each):
            return False
        if None in columns[0]:
            return False
        for mine, new in zip(self._columns, columns, strict=True):
            mine.extend(new)
        if self._count >= 2 * ROWS:
            self._thin()
        return True

    def _again(self, run: str, message: dict[str, Any]) -> bool:
        """The whole run comes once more."""
        if run != self._run or self._end is not None:
            return False
        self._columns = [[] for _ in self._keys]
        self._epoch += 1
        return True

    def _thin(self) -> None:
        """Keep the extremes; everyone gets the whole run again."""
        numbers = {
            key: np.array([np.nan if n is None else n for n in column], float)
            for key, column in zip(self._keys, self._columns, strict=True)
        }
        few = thinned(numbers, ROWS)
        self._columns = [[None if np.isnan(n) else int(n) for n in few[key].tolist()] for key in self._keys]
        self._epoch += 1

    def _over(self, run: str, message: dict[str, Any]) -> bool:
        if run != self._run or self._end is not None:
            return False
        results = [_texts(each, 5) for each in message["results"][:60]]
        if any(len(each) != 5 for each in results):
            return False
        self._end = {
            "sentence": _text(message["sentence"]),
            "tone": message["tone"] if message["tone"] in ("good", "bad") else "",
            "results": results,
        }
        return True


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LETTERS:
        raise ValueError
    return value


def _texts(values: Any, most: int) -> list[str]:
    if not isinstance(values, list) or len(values) > most:
        raise ValueError
    return [_text(value) for value in values]

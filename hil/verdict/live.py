"""A run as it goes on, told to whoever listens on this machine; the loop does not wait, and does not care."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from hil.verdict import told
from hil.verdict.strips import Strips, thinned, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bmsthermal.curves import Array
    from hil.outcome import Outcome

#: Port of the page and of what is told to it, on 127.0.0.1; no other is ever used.
PORT = 8734
#: Between two batches, s; between two descriptions, for those who came late; points of a batch; bytes of a datagram.
BATCH_S, AGAIN_S, POINTS, MOST_B = 0.05, 1.0, 40, 8000
#: Points of the whole run, told again at its end: for those who came late, and in place of what was lost.
WHOLE = 800

_count = itertools.count()


class Live:
    """Publisher of a run: call it after each step, as `hil.loop.Bench` does with its ``seen``.

    Datagrams on the loopback interface, about 20 a second of at most 8 kB, whatever the clock of the run and the size
    of the module. Nobody listening is fine, and nothing that goes wrong here reaches the loop.

    Parameters
    ----------
    title, device
        Of the run.
    port
        Of the page, see `hil.verdict.watch`.
    """

    def __init__(self, title: str, device: str, port: int = PORT) -> None:
        self._title, self._device, self._to = title[:200], device[:100], ("127.0.0.1", port)
        self._run = f"{os.getpid()}-{next(_count)}-{time.monotonic_ns()}"
        self._rows: list[Array] = []
        self._strips: Strips | None = None
        self._digits: dict[str, int] = {}
        self._due = self._describe = 0.0
        self._socket: socket.socket | None = None
        with contextlib.suppress(OSError):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    def __call__(self, names: Sequence[str], row: Array) -> None:
        """Take the row of a step, which must stay as it is for a while."""
        self._rows.append(row)
        now = time.monotonic()
        if now >= self._due:
            self._due = now + BATCH_S
            self._tell(names, now)

    def end(self, outcome: Outcome | None = None) -> None:
        """Tell the rest, and the verdict if there is one; may be called twice."""
        if self._socket is None:
            return
        with contextlib.suppress(Exception):  # nothing here is worth a run
            self._send_rows()
            if outcome is not None and len(outcome.record.rows):
                self._tell_whole(outcome)
            self._send("end", **ending(outcome))
        self._socket.close()
        self._socket = None

    def _tell_whole(self, outcome: Outcome) -> None:
        """Tell the whole run, in so many pieces as a listener takes in its stride."""
        self._rows, self._describe, rows = [], 0.0, outcome.record.rows
        self._tell(outcome.record.names, time.monotonic())
        self._send("again")
        for piece in np.array_split(rows, min(WHOLE // POINTS, len(rows))):
            self._rows = list(piece)
            self._send_rows()
            time.sleep(1e-3)

    def _tell(self, names: Sequence[str], now: float) -> None:
        if self._socket is None:
            self._rows.clear()
            return
        try:
            if self._strips is None:
                self._strips = Strips(names)
                self._digits = self._strips.keys()
            if now >= self._describe:
                self._describe = now + AGAIN_S
                strips = self._strips
                self._send(
                    "begin", title=self._title, device=self._device, cells=strips.cells, sensors=strips.sensors,
                    faults=strips.faults,
                )  # fmt: skip
            self._send_rows()
        except Exception:  # a page must never end a run
            self._rows.clear()

    def _send_rows(self) -> None:
        if not self._rows or self._strips is None:
            return
        signals = self._strips.signals(np.array(self._rows))
        self._rows.clear()
        points = POINTS
        while points >= 2:
            few = thinned(signals, points)
            if self._send("rows", columns=whole_numbers(few, self._digits)):
                return
            points //= 2

    def _send(self, kind: str, **content: Any) -> bool:
        """Send if it is small enough; what cannot go out now is lost."""
        data = json.dumps({"run": self._run, "kind": kind, **content}, separators=(",", ":")).encode()
        if kind == "rows" and len(data) > MOST_B:
            return False
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(data, self._to)
        return True


def ending(outcome: Outcome | None) -> dict[str, Any]:
    """What is told of a verdict: cut where it would be no datagram any more."""
    if outcome is None:
        return {"sentence": "The run is over; nobody judged it.", "tone": "", "results": []}
    results = [
        [text[:160] for text in (each.requirement, each.text, each.found, each.bound, told.word(each))]
        for each in outcome.results[:60]
    ]
    return {"sentence": told.sentence(outcome)[:600], "tone": told.tone(outcome), "results": results}

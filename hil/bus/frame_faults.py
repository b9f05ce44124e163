"""Faults of frames on their way: lost, wrong, twice, out of order, late, early or jittered; each by its own chance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from hil.bus.wire import Frame

#: What faults of the stages "bus" and "time" do to frames.
KINDS = ("dropout", "frame", "timing")


class Injected(Protocol):
    """What is asked of `hil.faults.Injector` here."""

    @property
    def seed(self) -> int:
        """Of the run."""
        ...

    def on(self, stage: str) -> list[tuple[Any, float]]:
        """Faults that are injected at a stage now, each with its level, 0 to 1."""
        ...

    def mark(self, name: str, injected: bool) -> None:
        """Note whether a fault has changed something of this step."""
        ...


class FrameFaults:
    """What the injected faults make of the frames of one direction.

    A fault without a target, or with ``bus``, acts on the readings; ``pack``, ``voltage``, ``temperature`` and the
    names of messages on their own frames, and ``answers`` on what the device sends.

    Parameters
    ----------
    injector
        Tells what is injected.
    answers
        Whether these are the answers of the device.
    """

    def __init__(self, injector: Injected, *, answers: bool = False) -> None:
        self.injector, self.answers = injector, answers
        self.active: list[_Live] = []
        self._live: dict[str, _Live] = {}

    def reset(self) -> None:
        """Begin anew, with the same chance."""
        self.active, self._live = [], {}

    def advance(self) -> None:
        """Ask what is injected in this step."""
        now = [each for stage in ("bus", "time") for each in self.injector.on(stage) if each[0].kind in KINDS]
        self.active = []
        for fault, level in now:
            live = self._live.get(fault.name)
            if live is None:
                live = self._live[fault.name] = _Live(fault, self.answers, self.injector.seed)
            live.level, live.touched = level, False
            self.active.append(live)
        for name in self._live.keys() - {live.fault.name for live in self.active}:
            self._live[name].held.clear()

    @staticmethod
    def settle(*directions: FrameFaults | None) -> None:
        """Tell the injector which of its faults have changed a frame of this step, in any of the directions."""
        there = [each for each in directions if each is not None]
        touched = {live.fault.name for each in there for live in each.active if live.touched}
        for name, live in {live.fault.name: live for each in there for live in each.active}.items():
            if live.acts:
                there[0].injector.mark(name, name in touched)

    def count(self, frame: Frame, before: int, count: int) -> int:
        """Alive counter that a frame gets: the one `before`, frozen, where a fault says so."""
        for live in self.active:
            if live.error == "alive" and live.meets(frame) and live.strikes():
                live.touched |= frame.alive is not None
                return live.frozen.setdefault(frame.key, before)
        for live in self._live.values():
            live.frozen.pop(frame.key, None)
        return count

    def bend(self, frame: Frame, payload: bytes, at_s: float, begin_s: float) -> Iterable[tuple[float, bytes]]:
        """Frames that come of a frame, each with its time, not before `begin_s`; none if it is lost."""
        sent = [(at_s, payload)]
        for live in self.active:
            if live.meets(frame):
                before, sent = sent, live.bend(frame, sent, begin_s)
                live.touched |= before != sent
        return sent


class _Live:
    """A fault while it is injected."""

    def __init__(self, fault: Any, answers: bool, seed: int) -> None:
        self.fault, self.answers, self.level = fault, answers, 1.0
        self.random = np.random.default_rng([seed, int(fault.seed), *fault.name.encode(), int(answers)])
        self.error = fault["error"] if fault.kind == "frame" else None
        self.targets = tuple(fault.targets)
        self.frozen: dict[tuple[int, int], int] = {}
        self.held: dict[tuple[int, int], bytes] = {}
        self.gap_until_s, self.good_until_s = -np.inf, -np.inf
        self.touched = False
        #: An overrun of the loop is nothing that frames feel.
        self.acts = fault.kind != "timing" or any(fault[of] is not None for of in ("late_s", "early_s", "jitter_s"))

    def meets(self, frame: Frame) -> bool:
        names = {"answers"} if self.answers else {"bus", "time", frame.group}
        return not names.isdisjoint(self.targets) or frame.message.name in self.targets

    def strikes(self) -> bool:
        """Whether it acts on this frame."""
        p = self.fault["p"]
        return bool(self.random.random() < self.level * (1.0 if p is None else p))

    def bend(self, frame: Frame, sent: list[tuple[float, bytes]], begin_s: float) -> list[tuple[float, bytes]]:
        if self.fault.kind == "timing":
            return [(self._moved(at_s, begin_s), what) for at_s, what in sent]
        if self.fault.kind == "dropout":
            return [each for each in sent if not self._lost(each[0])]
        if self.error == "reorder":
            return [one for each in sent for one in self._reordered(frame, *each)]
        if self.error == "alive":
            return sent
        return [one for each in sent for one in (self._wrong(frame, *each) if self.strikes() else [each])]

    def _lost(self, at_s: float) -> bool:
        loss, gap_s = self.level * self.fault["loss"], self.fault["gap_s"] or 0.0
        if not gap_s or loss >= 1:
            return bool(self.random.random() < loss)
        while max(self.gap_until_s, self.good_until_s) <= at_s:
            # gaps and what is between them are exponential, so that the share of loss is what was asked for
            if loss <= 0:
                return False
            self.good_until_s = max(self.gap_until_s, at_s) + self.random.exponential(gap_s * (1 - loss) / loss)
            self.gap_until_s = self.good_until_s + self.random.exponential(gap_s)
        return at_s >= self.good_until_s

    def _moved(self, at_s: float, begin_s: float) -> float:
        late, early, jitter = (self.fault[of] or 0.0 for of in ("late_s", "early_s", "jitter_s"))
        moved = self.level * (late - early)
        if jitter:
            moved += self.level * jitter * self.random.standard_normal()
        return float(max(at_s + moved, begin_s))

    def _reordered(self, frame: Frame, at_s: float, payload: bytes) -> list[tuple[float, bytes]]:
        """Keep a frame back until the next one has gone before it."""
        if frame.key in self.held:
            return [(at_s, payload), (at_s, self.held.pop(frame.key))]
        if self.strikes():
            self.held[frame.key] = payload
            return []
        return [(at_s, payload)]

    def _wrong(self, frame: Frame, at_s: float, payload: bytes) -> list[tuple[float, bytes]]:
        if self.error == "duplicate":
            return [(at_s, payload), (at_s, payload)]
        if self.error == "length":
            return [(at_s, payload[: int(self.random.integers(len(payload)))])]
        flipped = int(self.random.integers(1, 256))
        if not frame.crc:
            return []  # it has none but the controller's own, and a controller drops what fails that
        return [(at_s, bytes([payload[0] ^ flipped]) + payload[1:])]

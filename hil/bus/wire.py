"""Numbers to frames and back, by any database: which signal of which message carries which number, with which flag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from hil.bus.names import UNITS, unit_of

if TYPE_CHECKING:
    from cantools.database.can import Database, Message, Signal

#: Alive counters run modulo this.
COUNTS = 16


@dataclass(frozen=True)
class Slot:
    """Where a number is in a message.

    Parameters
    ----------
    index
        Of the number in its row.
    signal
        That carries it.
    flag, holds
        Signal that says whether it holds, and its value then.
    """

    index: int
    signal: str
    flag: str | None = None
    holds: int = 0


@dataclass(frozen=True)
class Frame:
    """A message, or one page of a multiplexed one.

    Parameters
    ----------
    message
        Of the database.
    page
        Signal and value that choose the page; none of a plain message.
    slots
        What it carries.
    alive, crc
        Its counter, and its checksum in the first byte; None where it has none.
    group
        Group of readings whose cycle it has.
    """

    message: Message
    page: tuple[str, int] | None
    slots: tuple[Slot, ...]
    alive: str | None
    crc: bool
    group: str
    data_ids: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_ids", data_ids(self.message.frame_id))

    @property
    def key(self) -> tuple[int, int]:
        """Identifier and page."""
        return self.message.frame_id, self.page[1] if self.page else 0

    def encode(self, raw: Sequence[int], holds: Sequence[bool], count: int) -> bytes:
        """Bytes of a row of raw numbers."""
        data: dict[str, Any] = dict(self.blank)
        for slot in self.slots:
            data[slot.signal] = raw[slot.index]
            if slot.flag is not None:
                data[slot.flag] = slot.holds if holds[slot.index] else 1 - slot.holds
        if self.alive is not None:
            data[self.alive] = count
        payload = self.message.encode(data, scaling=False, strict=False)
        if not self.crc:
            return payload
        return bytes([checksum(payload, self.data_ids[payload[1] & 15])]) + payload[1:]

    @property
    def blank(self) -> Mapping[str, int]:
        """Zeros for all signals of the page, and its number."""
        return _blank(self.message, self.page)


@cache
def _blank(message: Message, page: tuple[str, int] | None) -> Mapping[str, int]:
    chosen = {
        signal.name: 0 for signal in message.signals if page is None or signal.multiplexer_ids in (None, [page[1]])
    }
    return chosen | ({page[0]: page[1]} if page else {})


def data_ids(frame_id: int) -> tuple[int, ...]:
    """The 16 data identifiers of a message, by its counter, so that no two messages share theirs."""
    k = frame_id & 0x7FF
    return tuple((k + 17 * (1 + k // 251) * count) % 251 for count in range(COUNTS))


@cache
def _table() -> bytes:
    """What a byte does to the checksum of profile 2, asked of the library that knows it."""
    from cantools.autosar import compute_profile2_crc

    found = [(compute_profile2_crc(bytes(2), data_id) or 0) ^ 0xFF for data_id in range(256)]
    before = found.index(0)  # a remainder of 0 stays 0: this is what the first byte has left
    return bytes(found[before ^ k] for k in range(256))


def checksum(payload: bytes, data_id: int) -> int:
    """Checksum of E2E profile 2 over all but the first byte, as `cantools.autosar` has it, at a tenth of its time."""
    table, crc = _table(), 0xFF
    for byte in payload[1:]:
        crc = table[crc ^ byte]
    return table[crc ^ data_id] ^ 0xFF


class Wire:
    """A row of numbers on the bus.

    Parameters
    ----------
    database
        Its messages.
    names
        Names of the numbers, as in `hil.bus.names`.
    signals
        Signal, or ``Message.signal``, of each name that the bus carries, of flags and of counters; by default the
        names are those of the database.
    where
        The database, for messages about it.

    Raises
    ------
    InputError
        If a signal is not there, is there twice, or has a unit that does not fit.
    """

    def __init__(
        self,
        database: Database,
        names: Sequence[str],
        signals: Mapping[str, str] | None = None,
        where: str = "bus",
    ) -> None:
        self.names = tuple(names)
        found = _Signals(database, where)
        if signals is None:
            signals = {of: of for name in names for of in (name, f"{name}_invalid") if of in found.messages}
        size = len(self.names)
        self.scale, self.offset = np.ones(size), np.zeros(size)
        self.low, self.high = np.zeros(size), np.zeros(size)
        pages: dict[tuple[int, int], list[Slot]] = {}
        made: dict[tuple[int, int], tuple[Message, tuple[str, int] | None]] = {}
        for index, name in enumerate(self.names):
            if name not in signals:
                continue
            message, signal, page = found.find(signals[name])
            self._convert(index, name, signal, where)
            flag = next(
                ((found.find(signals[of], message)[1].name, holds) for of, holds in _flags(name) if of in signals),
                (None, 0),
            )
            key = message.frame_id, page[1] if page else 0
            pages.setdefault(key, []).append(Slot(index, signal.name, *flag))
            made[key] = message, page
        self.carried = np.zeros(size, bool)
        frames = []
        for key in sorted(pages):
            message, page = made[key]
            alive, crc = (found.own(message, of, signals.get(f"{message.name}.{of}")) for of in ("alive", "crc"))
            if crc is not None and (alive is None or not _profile_2(message, crc, alive)):
                raise InputError(
                    f"{message.name}.{crc}",
                    where=where,
                    expected="profile 2: a checksum in byte 0, a counter in bits 8-11",
                )
            self.carried[[slot.index for slot in pages[key]]] = True
            first = self.names[pages[key][0].index]
            group = "voltage" if first.startswith("voltage_V") else "pack"
            group = "temperature" if unit_of(first) == "degC" and not first.startswith(("ambient", "core")) else group
            frames.append(Frame(message, page, tuple(pages[key]), alive, crc is not None, group))
        self.frames = tuple(frames)
        self.by_key = {frame.key: k for k, frame in enumerate(self.frames)}

    def _convert(self, index: int, name: str, signal: Signal, where: str) -> None:
        ours, theirs = unit_of(name), signal.unit or ""
        if ours and theirs not in UNITS[ours]:
            raise InputError(f"{signal.name} in {theirs!r}", where=where, expected=f"one of {', '.join(UNITS[ours])}")
        factor, added = UNITS[ours][theirs] if ours else (1.0, 0.0)
        self.scale[index] = float(signal.scale) * factor
        self.offset[index] = float(signal.offset) * factor + added
        sign = 1 << (signal.length - 1)
        self.low[index], self.high[index] = (-sign, sign - 1) if signal.is_signed else (0, 2 * sign - 1)

    def raw(self, row: Array) -> tuple[list[int], list[bool]]:
        """Raw numbers of a row in SI, held inside their signals' range, and whether they hold: NaN does not."""
        holds = ~np.isnan(row)
        raw = np.rint((np.where(holds, row, self.offset) - self.offset) / self.scale)
        return np.clip(raw, self.low, self.high).astype(np.int64).tolist(), holds.tolist()

    def quantised(self, row: Array) -> Array:
        """What comes out at the other end of a row: the resolution of the bus, and its range."""
        raw, holds = self.raw(row)
        return np.where(np.array(holds) & self.carried, np.array(raw) * self.scale + self.offset, np.nan)


class _Signals:
    """Signals of a database by name."""

    def __init__(self, database: Database, where: str) -> None:
        self.where = where
        self.messages: dict[str, list[tuple[Message, Signal]]] = {}
        for message in database.messages:
            for signal in message.signals:
                for name in (signal.name, f"{message.name}.{signal.name}"):
                    self.messages.setdefault(name, []).append((message, signal))

    def find(self, name: str, within: Message | None = None) -> tuple[Message, Signal, tuple[str, int] | None]:
        """Find a signal, the message that has it, and its page."""
        found = [(m, s) for m, s in self.messages.get(name, []) if within is None or m is within]
        if len(found) != 1:
            what = f"{len(found)} signals {name!r}" if found else f"no signal {name!r}"
            beside = f" in {within.name}" if within else ""
            raise InputError(what + beside, where=self.where, hint="say Message.signal as the DBC has them")
        message, signal = found[0]
        if signal.multiplexer_ids is None:
            return message, signal, None
        if len(signal.multiplexer_ids) != 1 or signal.multiplexer_signal is None:
            raise InputError(f"{name!r} is on several pages", where=self.where, expected="a signal of one page")
        return message, signal, (signal.multiplexer_signal, signal.multiplexer_ids[0])

    def own(self, message: Message, name: str, mapped: str | None) -> str | None:
        """Counter or checksum of a message: what it is mapped to, or what bears that name."""
        if mapped is not None:
            return self.find(mapped, message)[1].name
        return name if any(signal.name == name for signal in message.signals) else None


def _flags(name: str) -> tuple[tuple[str, int], ...]:
    return (f"{name}_invalid", 0), (f"{name}_valid", 1)


def _profile_2(message: Message, crc: str, alive: str) -> bool:
    checked, counted = message.get_signal_by_name(crc), message.get_signal_by_name(alive)
    return (checked.start % 64, checked.length) in ((0, 8), (7, 8)) and (
        (counted.start, counted.length, counted.byte_order) in ((8, 4, "little_endian"), (11, 4, "big_endian"))
    )

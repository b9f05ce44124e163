"""What is done to a cell, step by step: currents, powers, voltages, rests and recorded profiles, each until a limit."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bmsthermal.curves import is_number
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.run import Run

#: Unit as it may be written, in lower case, to what it measures and its size.
_UNITS = (
    {"c": ("C", 1.0), "a": ("A", 1.0), "ma": ("A", 1e-3), "w": ("W", 1.0), "v": ("V", 1.0), "mv": ("V", 1e-3)}
    | {"degc": ("degC", 1.0)}
    | dict.fromkeys(("s", "sec", "second", "seconds"), ("s", 1.0))
    | dict.fromkeys(("min", "minute", "minutes"), ("s", 60.0))
    | dict.fromkeys(("h", "hour", "hours"), ("s", 3600.0))
)
#: What each verb takes.
_TAKES = {"discharge": "AW", "charge": "AW", "current": "A", "power": "W", "hold": "V", "rest": "s"}
_NUMBER = r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?)"
_WORD = rf"({'|'.join(_TAKES)}|for|until)\s*(?:at\s|(?<=rest)\s*for\s)?"
_PART = re.compile(rf"[\s,]*(?:or\s+)?{_WORD}\s*(?:c\s*/\s*{_NUMBER}(?![a-z])|{_NUMBER}\s*([a-z]+))", re.IGNORECASE)
_GRAMMAR = (
    "'discharge 1C until 2.5V; rest 1h; charge C/2 until 4.2V; hold 4.2V until 0.25A; power 20W for 60s' or the like"
)
_RUN = "a run: of read_profile, read_measured or Run(...)"
#: Temperatures that a cell may start from or stand in, in K; below somebody means degC.
KELVIN = (150.0, 1500.0)
#: What a step can impose.
CONTROLS = ("current", "power", "voltage", "profile")


@dataclass(frozen=True)
class Step:
    """One step of a protocol.

    Parameters
    ----------
    control
        What is imposed: ``current``, ``power``, ``voltage`` or a ``profile`` of currents.
    value
        In A or W, positive discharging, or in V.
    duration_s
        When it ends at the latest.
    until_V, until_A, until_K
        It ends when the voltage reaches `until_V`, the size of the current
        falls to `until_A`, or the hottest place reaches `until_K`.
    run
        The profile: each row holds until the next one.

    Raises
    ------
    InputError
        If the control is unknown, a number is not finite, a duration or limit
        not positive, or a profile without a current somewhere (the row is named).
    """

    control: Literal["current", "power", "voltage", "profile"]
    value: float = 0.0
    duration_s: float = math.inf
    until_V: float | None = None
    until_A: float | None = None
    until_K: float | None = None
    run: Run | None = None

    def __post_init__(self) -> None:
        if self.control not in CONTROLS:
            raise InputError(f"control={self.control!r:.60}", expected="one of " + ", ".join(CONTROLS))
        if not is_number(self.value):
            raise InputError(f"{self.control} step with value={self.value!r:.60}", expected="a finite number")
        endless = isinstance(self.duration_s, float) and self.duration_s == math.inf
        if not endless and not (is_number(self.duration_s) and self.duration_s > 0):
            found = f"{self.control} step with duration_s={self.duration_s!r:.60}"
            raise InputError(found, expected="a number of seconds above 0")
        if self.control == "voltage" and self.value <= 0:
            raise InputError(f"voltage {self.value:g} V", expected="a positive voltage")
        for name in ("until_V", "until_A", "until_K"):
            limit = getattr(self, name)
            if limit is not None and not (is_number(limit) and limit > 0):
                raise InputError(f"{self.control} step with {name}={limit!r:.60}", expected="a positive number")
        if (self.control == "profile") != (self.run is not None):
            raise InputError(f"{self.control} step", expected="a run for a profile, and for nothing else")
        if self.run is not None:
            _check_run(self.run)

    def __str__(self) -> str:
        """As `parse_steps` reads it."""
        if self.run is not None:
            return f"profile {self.run.name}"
        if self.control == "voltage":
            said = f"hold {self.value:.12g} V"
        elif self.value == 0 and self.control == "current":
            said = f"rest {self.duration_s:.12g} s"
        else:
            said = f"{'discharge' if self.value >= 0 else 'charge'} {abs(self.value):.12g} "
            said += {"current": "A", "power": "W"}[self.control]
        if math.isfinite(self.duration_s) and not said.startswith("rest"):
            said += f" for {self.duration_s:.12g} s"
        limits = {"V": self.until_V, "A": self.until_A, "degC": self.until_K}
        for unit, limit in limits.items():
            if limit is not None:
                said += f" until {limit - (ZERO_DEGC_K if unit == 'degC' else 0.0):.12g} {unit}"
        return said


def rest(duration_s: float) -> Step:
    """No current.

    Raises
    ------
    InputError
        If the duration is not a positive number.
    """
    return Step("current", 0.0, duration_s)


def profile(run: Run, scale: float = 1.0) -> Step:
    """The current of a run, each row held until the next.

    Raises
    ------
    InputError
        If the current is missing or not finite anywhere (the row is named), or the scale is not finite.
    """
    if not is_number(scale):
        raise InputError(f"current scale {scale!r:.60}", expected="a finite number")
    _check_run(run)
    with np.errstate(over="ignore"):  # said below
        current = scale * run.current_A
    scaled = Run(run.time_s, current, run.voltage_V, run.ambient_K, dict(run.surfaces_K), run.core_K, run.name)
    return Step("profile", run=scaled)


def steps_of(given: Run | Step | Sequence[Step] | str, nominal_Ah: float) -> tuple[Step, ...]:
    """Steps of whatever a model runs: a run, a step, several, or their text.

    Raises
    ------
    InputError
        If there are none, or the text or the run cannot be read.
    """
    if isinstance(given, str):
        return parse_steps(given, nominal_Ah)
    if isinstance(given, Run):
        return (profile(given),)
    steps = (given,) if isinstance(given, Step) else tuple(given)
    if not steps:
        raise InputError("no steps", expected="at least one")
    return steps


def check_kelvin(name: str, value: Any, where: str) -> None:
    """Refuse what is no temperature of a cell in kelvin.

    Raises
    ------
    InputError
        If it is not.
    """
    if not (isinstance(value, int | float) and KELVIN[0] <= value <= KELVIN[1]):
        raise InputError(f"{name}={value!r:.60}", where=where, expected=f"{KELVIN[0]:g} to {KELVIN[1]:g}, in kelvin")


def check_ambients(steps: Sequence[Step]) -> None:
    """Refuse an ambient of a profile that is no temperature in kelvin; where there is none is no matter.

    Raises
    ------
    InputError
        Naming profile and row.
    """
    for run in (step.run for step in steps if step.run is not None):
        beyond = ~np.isnan(run.ambient_K) & ~((run.ambient_K >= KELVIN[0]) & (run.ambient_K <= KELVIN[1]))
        for row in np.flatnonzero(beyond)[:1]:
            check_kelvin(f"ambient_K in row {row + 1}", float(run.ambient_K[row]), f"profile {run.name}")


def _check_run(run: Any) -> None:
    """Refuse what is no run, and a row without a current."""
    if not isinstance(run, Run):
        raise InputError(f"a {type(run).__name__} as profile", expected=_RUN)
    current = run.current_A
    for row in np.flatnonzero(~np.isfinite(current))[:1]:
        found = "no current" if np.isnan(current[row]) else f"a current of {current[row]:g} A"
        at = f"row {row + 1} ({run.time_s[row]:g} s)"
        raise InputError(f"{found} in {at}", where=run.name, expected="a current in every row")


def parse_steps(text: str, capacity_Ah: float) -> tuple[Step, ...]:
    """Read a protocol from text.

    Parameters
    ----------
    text
        Steps with semicolons between them: ``discharge`` or ``charge`` at A, C
        or W, ``current`` in A or ``power`` in W (positive discharges), ``hold``
        in V, ``rest`` for a time; then ``for`` a time and ``until`` V, A or degC.
        ``C`` is a multiple of `capacity_Ah` per hour, ``C/2`` half of that.
    capacity_Ah
        Nominal capacity.

    Raises
    ------
    InputError
        If it is no text, or a step cannot be read or would never end.

    Examples
    --------
    >>> [str(step) for step in parse_steps("discharge 1C until 2.5V; rest 1h", 5.0)]
    ['discharge 5 A until 2.5 V', 'rest 3600 s']
    """
    if not isinstance(text, str):
        raise InputError(f"a {type(text).__name__} as protocol", expected=f"a text: {_GRAMMAR}")
    if not (is_number(capacity_Ah) and capacity_Ah > 0):
        raise InputError(f"capacity_Ah={capacity_Ah!r:.60}", expected="a positive number of A.h")
    phrases = [part.strip() for part in text.split(";") if part.strip()]
    if not phrases:
        raise InputError("no steps", expected=_GRAMMAR)
    return tuple(_step(phrase, number, capacity_Ah) for number, phrase in enumerate(phrases, 1))


def _step(phrase: str, number: int, capacity_Ah: float) -> Step:
    where = f"step {number}, {phrase!r:.60}"
    (verb, value, unit), *limits = _parts(phrase, where, capacity_Ah)
    if verb not in _TAKES or unit not in _TAKES[verb]:
        raise InputError(f"{verb} in {unit}", where=where, expected=_GRAMMAR)
    if verb not in ("current", "power") and value <= 0:
        raise InputError(f"{verb} {value:g} {unit}", where=where, expected="a positive number")
    control = {"A": "current", "W": "power", "V": "voltage", "s": "current"}[unit]
    ends = {"duration_s": value} if verb == "rest" else {}
    for word, size, kind in limits:
        key = {"V": "until_V", "A": "until_A", "degC": "until_K"}.get(kind, "") if word == "until" else ""
        key = "duration_s" if (word, kind) == ("for", "s") else key
        if not key:
            raise InputError(f"{word} {size:g} {kind}", where=where, expected="'for' a time, 'until' V, A or degC")
        if key in ends:
            raise InputError(f"{word} {size:g} {kind} beside another", where=where, expected="one limit of a kind")
        if unit == kind or (key == "until_A" and control == "current"):
            raise InputError(f"{verb} until {size:g} {kind}", where=where, expected="a limit on what is not held")
        ends[key] = size + (ZERO_DEGC_K if kind == "degC" else 0.0)
    if not any(math.isfinite(limit) for limit in ends.values()) or (value == 0 and "duration_s" not in ends):
        raise InputError("it would never end", where=where, expected="'for' a time, or 'until' a limit")
    signed = {"rest": 0.0, "charge": -value}.get(verb, value)
    try:
        return Step(control, signed, **ends)  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(str(error), where=where) from None


def _parts(phrase: str, where: str, capacity_Ah: float) -> list[tuple[str, float, str]]:
    """Words with their amounts: each a verb, a number, and what it measures."""
    found, at = [], 0
    while at < len(phrase):
        part = _PART.match(phrase, at)
        if part is None:
            left = "" if at == 0 else f" from {phrase[at:].strip()!r:.40} on"
            raise InputError(f"cannot read it{left}", where=where, expected=_GRAMMAR)
        word, hours, number, unit = part.groups()
        if hours is not None and float(hours) > 0:
            size, (kind, factor) = 1.0 / float(hours), _UNITS["c"]
        elif hours is None and unit.lower() in _UNITS:
            size, (kind, factor) = float(number), _UNITS[unit.lower()]
        else:
            raise InputError(f"unknown amount {part[0].strip()!r:.40}", where=where, expected=_GRAMMAR)
        if kind == "C":
            kind, factor = "A", capacity_Ah
        found.append((word.lower(), size * factor, kind))
        at = part.end()
    return found


def total_s(steps: Sequence[Step]) -> float:
    """Longest that a protocol can take; infinite where only limits end it."""
    return sum(
        float(step.run.time_s[-1] - step.run.time_s[0]) if step.run is not None else step.duration_s for step in steps
    )

"""What a kind of fault is: where it enters, what may be said of it, and on what it may act."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from bmsthermal.errors import InputError

#: What a parameter may be.
Value = float | bool | str


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kind of fault.

    Parameters
    ----------
    name
        With its unit: ``offset_K``.
    text
        What it is.
    unit
        As it is printed; empty for shares and words.
    default
        Where it is not said; None: the fault does without.
    low, high
        Bounds of a number, both allowed; where `above` is set, `low` is not.
    above
        Whether `low` itself is too small.
    choices
        Of a word; empty for numbers.
    flag
        Whether it is yes or no.
    needed
        Whether the fault says nothing without it.
    whole
        Whether it is a whole number.
    """

    name: str
    text: str
    unit: str = ""
    default: Value | None = None
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    choices: tuple[str, ...] = ()
    flag: bool = False
    needed: bool = False
    whole: bool = False

    @property
    def stem(self) -> str:
        """Name without its unit."""
        ending = "_" + self.unit.replace("/", "_")
        return self.name.removesuffix(ending) if self.unit else self.name

    @property
    def bounds(self) -> str:
        """What is allowed, in words."""
        if self.choices:
            return " or ".join(repr(choice) for choice in self.choices)
        if self.flag:
            return "true or false"
        low = f"{'above' if self.above else 'at least'} {self.low:g}" if self.low > -math.inf else ""
        high = f"at most {self.high:g}" if self.high < math.inf else ""
        return (
            ("a whole number" if self.whole else "a number")
            + " ".join(["", *filter(None, [low, high])])
            + (f" in {self.unit}" if self.unit else "")
        )

    def _holds(self, value: float) -> bool:
        """Whether a number is within bounds; NaN and infinity never are."""
        inside = self.low <= value <= self.high and not (self.above and value == self.low)
        return math.isfinite(value) and inside and not (self.whole and value % 1)

    def check(self, value: object, where: str) -> Value:
        """Return the value, or say what is wrong with it."""
        if self.choices:
            if isinstance(value, str) and value in self.choices:
                return value
        elif self.flag:
            if isinstance(value, bool):
                return value
        elif isinstance(value, int | float) and not isinstance(value, bool) and self._holds(value):
            return float(value)
        raise InputError(f"{self.name} is {value!r}", where=where, expected=self.bounds)


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Parameters
    ----------
    name
        As it is called in a scenario.
    stage
        Where it enters: thermal, resistance, divider, adc, value, map, bus, plant or time.
    text
        One sentence.
    parameters
        What may be said of it.
    on
        On what it may act: sensor (a thermistor of a cell, or ``ambient``), voltage, current, cell, cooling, bus, time.
    one_of
        Of these at least one has to be given.
    ramps
        Whether it can come gradually.
    """

    name: str
    stage: str
    text: str
    parameters: tuple[Parameter, ...] = ()
    on: tuple[str, ...] = ("sensor",)
    one_of: tuple[str, ...] = ()
    ramps: bool = False

    @property
    def target(self) -> str:
        """What it acts on where nobody says; empty where it has to be said."""
        return "" if self.on[0] in ("sensor", "voltage") else self.on[0]

    def check(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Return all parameters, those that were not given by default.

        Raises
        ------
        InputError
            If one is unknown, has another unit, is out of bounds, or is missing.
        """
        where = f"fault {self.name!r}"
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                self._unknown(name, where)
        if self.one_of and not any(name in given for name in self.one_of):
            raise InputError("says nothing of what it does", where=where, expected=" or ".join(self.one_of))
        found: dict[str, Value] = {}
        for name, parameter in known.items():
            if name in given:
                found[name] = parameter.check(given[name], where)
            elif parameter.default is not None:
                found[name] = parameter.default
            elif parameter.needed:
                raise InputError(f"{name} is missing", where=where, expected=parameter.bounds, hint=parameter.text)
        return found

    def _unknown(self, name: str, where: str) -> NoReturn:
        """Say whether the unit is wrong, or the name."""
        alike = [each for each in self.parameters if each.unit and f"{name}_".startswith(f"{each.stem}_")]
        if alike:
            unit = name.removeprefix(alike[0].stem).strip("_").replace("_", "/")
            said = f"{name} is in {unit}" if unit else f"{name} has no unit"
            raise InputError(said, where=where, expected=" or ".join(each.name for each in alike))
        have = ", ".join(parameter.name for parameter in self.parameters)
        raise InputError(f"has no parameter {name!r}", where=where, expected=have or "none")

"""What a reduction is wanted for: surroundings, cooling, charge and current, each from low to high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bmsthermal.curves import is_number
from bmsthermal.errors import InputError

#: Least and most of each quantity, and what to say of its unit.
LIMITS = {
    "ambient_degC": (-60.0, 100.0, ", degC and not kelvin"),
    "h": (0.0, 1e5, " W/m2K"),
    "soc": (0.0, 1.0, ", a share and not a percentage"),
    "c_rate": (0.01, 20.0, ", multiples of the capacity per hour"),
}


@dataclass(frozen=True)
class Range:
    """What a reduction is wanted for; each quantity is ``(low, high)``.

    Parameters
    ----------
    ambient_degC
        Temperature around the cell [degC], -60 to 100.
    h
        Heat-transfer coefficient of each face [W/m2K], 0 to 1e5.
    soc
        State of charge, 0 to 1; low and high differ.
    c_rate
        Constant discharge [multiples of the capacity per hour], 0.01 to 20; drives peak at 2.5 or the
        high end, whichever is less.

    Raises
    ------
    InputError
        If one of them is no pair of finite numbers, is the wrong way round, or is beyond its limits.

    Examples
    --------
    >>> Range.parse(ambient_degC="0:40", h="60:60")
    Range(ambient_degC=(0.0, 40.0), h=(60.0, 60.0), soc=(0.1, 1.0), c_rate=(0.5, 3.0))
    """

    ambient_degC: tuple[float, float] = (-10.0, 45.0)
    h: tuple[float, float] = (10.0, 300.0)
    soc: tuple[float, float] = (0.1, 1.0)
    c_rate: tuple[float, float] = (0.5, 3.0)

    def __post_init__(self) -> None:
        for name in LIMITS:
            object.__setattr__(self, name, _checked(getattr(self, name), name))
        if self.soc[0] == self.soc[1]:
            raise InputError(f"{self.soc[0]:g} twice", where="range of soc", expected="a low end below the high one")

    @classmethod
    def parse(
        cls, *, ambient_degC: str | None = None, h: str | None = None, soc: str | None = None, c_rate: str | None = None
    ) -> Range:
        """Read ``low:high`` texts, as the command line has them; None keeps the default.

        Raises
        ------
        InputError
            If a text is not two numbers with a colon between them, or is no range.
        """
        texts = {"ambient_degC": ambient_degC, "h": h, "soc": soc, "c_rate": c_rate}
        return cls(**{name: _parsed(text, name) for name, text in texts.items() if text is not None})

    def __str__(self) -> str:
        """As a sentence has it, with units."""
        (cold, warm), (still, windy), (empty, full), (slow, fast) = self.ambient_degC, self.h, self.soc, self.c_rate
        return (
            f"{cold:g} to {warm:g} degC, h {still:g} to {windy:g} W/m2K, soc {empty:g} to {full:g}, "
            f"{slow:g} to {fast:g} C"
        )


def _parsed(text: Any, name: str) -> tuple[float, float]:
    where, expected = f"range of {name}", "LOW:HIGH, two numbers with a colon between them"
    if not isinstance(text, str):
        raise InputError(f"{text!r:.60}", where=where, expected=expected)
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        raise InputError(f"{text!r:.60}", where=where, expected=expected) from None
    return low, high


def _checked(pair: Any, name: str) -> tuple[float, float]:
    """Hold one pair against its limits."""
    where = f"range of {name}"
    ends = list(pair) if isinstance(pair, tuple | list) else []
    if len(ends) != 2 or not all(is_number(end) for end in ends):
        raise InputError(f"{pair!r:.60}", where=where, expected="two finite numbers, (low, high)")
    low, high = (float(end) for end in ends)
    least, most, unit = LIMITS[name]
    for end in (low, high):
        if not least <= end <= most:
            raise InputError(f"{end:g}", where=where, expected=f"{least:g} to {most:g}{unit}")
    if low > high:
        raise InputError(f"{low:g} to {high:g}", where=where, expected="the low end first", hint="swap them")
    return low, high

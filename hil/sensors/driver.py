"""What a driver makes of a converter's code: a table that is short enough for flash, with the error that this costs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field, model_validator

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from hil.config import CONFIG
from hil.sensors.ntc import Ntc


class Divider(BaseModel):
    """A thermistor to ground behind a pull-up: the converter sees ``R / (R + pull-up)`` of the supply."""

    model_config = CONFIG

    pull_up_Ohm: float = Field(default=10e3, gt=0)
    """Pull-up."""
    ratiometric: bool = True
    """Whether the converter measures against the divider's own supply, so that its error cancels."""
    supply_V: float = Field(default=5.0, gt=0)
    """Where it does not: supply of the divider, nominal."""
    supply_error: float = Field(default=0.0, gt=-1, le=1)
    """Where it does not: what the supply is too high by, as a share; the driver does not know."""
    reference_V: float = Field(default=5.0, gt=0)
    """Where it does not: reference of the converter."""

    @property
    def nominal(self) -> float:
        """Share of the reference that an open input reads, as the driver believes."""
        return 1.0 if self.ratiometric else self.supply_V / self.reference_V

    @property
    def actual(self) -> float:
        """Share of the reference that an open input reads."""
        return 1.0 if self.ratiometric else self.nominal * (1 + self.supply_error)

    def share(self, resistance_Ohm: ArrayLike) -> Array:
        """Share of the supply: 0 at a short, 1 at an open."""
        with np.errstate(divide="ignore"):
            return 1 / (1 + self.pull_up_Ohm / np.asarray(resistance_Ohm, float))


class Adc(BaseModel):
    """A converter: ``code = round(share (2^bits - 1) + noise)``, clipped."""

    model_config = CONFIG

    bits: int = Field(default=12, ge=6, le=16)
    """Of a code."""
    noise_lsb: float = Field(default=1.0, ge=0)
    """Standard deviation of white noise, in codes."""

    @property
    def full(self) -> int:
        """The largest code."""
        return int(2**self.bits - 1)

    def code(self, share: ArrayLike) -> Array:
        """Codes of shares of the reference without noise, whole numbers."""
        return np.asarray(np.clip(np.rint(np.asarray(share, float) * self.full), 0, self.full))


class Table(BaseModel):
    """The driver's table: points at even distances of the code, and straight lines between."""

    model_config = CONFIG

    points: int = Field(default=129, ge=3)
    """A power of two, and one."""
    integer: bool = True
    """Whether points and lines are of whole numbers, with a shift for the division."""
    resolution_K: float = Field(default=0.01, gt=0)
    """Of these whole numbers."""

    @model_validator(mode="after")
    def _divides(self) -> Table:
        """Check the number of points."""
        if (self.points - 1) & (self.points - 2):
            raise InputError(f"points is {self.points}", expected="a power of two, and one")
        return self

    def decode(self, codes: ArrayLike, points_K: Array, bits: int) -> Array:
        """Temperatures of codes, between those of the table's points ``(points,)``."""
        codes = np.asarray(codes, np.int64)
        shift = bits - (self.points - 1).bit_length() + 1
        below, rest = codes >> shift, codes & ((1 << shift) - 1)
        if not self.integer:
            return np.asarray(points_K[below] + (points_K[below + 1] - points_K[below]) * (rest / (1 << shift)))
        stored = np.rint((points_K - ZERO_DEGC_K) / self.resolution_K).astype(np.int64)
        half = (1 << shift) >> 1  # a shift rounds down: half of the divisor makes it round
        found = stored[below] + (((stored[below + 1] - stored[below]) * rest + half) >> shift)
        return np.asarray(found * self.resolution_K + ZERO_DEGC_K)


class Driver(BaseModel):
    """What software makes of a code."""

    model_config = CONFIG

    ntc: Ntc | None = None
    """The thermistor that it takes for the one that is there; none: that one."""
    table: Table | None = Table()
    """Its table; none: the formula itself."""
    coldest_degC: float = Field(default=-100.0, gt=-ZERO_DEGC_K)
    """No code decodes to less: an open thermistor reads so."""
    hottest_degC: float = 300.0
    """No code decodes to more: a shorted thermistor reads so."""
    valid_degC: tuple[float, float] | None = None
    """Readings beyond are marked invalid, and are NaN; without it they are handed on."""

    @model_validator(mode="after")
    def _ordered(self) -> Driver:
        """Check that ranges are ranges."""
        for name, (low, high) in {
            "range": (self.coldest_degC, self.hottest_degC),
            "valid_degC": self.valid_degC or (0, 1),
        }.items():
            if not low < high:
                raise InputError(f"{name} is {low:g} to {high:g}", where="driver", expected="low before high")
        return self

    def temperatures_K(self, ntc: Ntc, divider: Divider, adc: Adc) -> Array:
        """Return what each code decodes to, ``(2^bits,)``."""
        codes = np.arange(adc.full + 1)
        if self.table is None:
            return self._formula(codes, ntc, divider, adc)
        if self.table.points - 1 > adc.full + 1:
            raise InputError(f"{self.table.points} points", where="table", expected=f"at most {adc.full + 2}")
        points = np.arange(self.table.points) * ((adc.full + 1) // (self.table.points - 1))
        return self.table.decode(codes, self._formula(points, ntc, divider, adc), adc.bits)

    def _formula(self, codes: ArrayLike, ntc: Ntc, divider: Divider, adc: Adc) -> Array:
        """Temperature of each code by the formula, within the limits; beyond the last code as open."""
        share = np.minimum(np.asarray(codes) / (adc.full * divider.nominal), 1.0)
        with np.errstate(divide="ignore"):
            resistance_Ohm = divider.pull_up_Ohm * share / (1 - share)
        low, high = self.coldest_degC + ZERO_DEGC_K, self.hottest_degC + ZERO_DEGC_K
        return np.clip((self.ntc or ntc).temperature_K(resistance_Ohm), low, high)

r"""Thermistors: :math:`1/T = a + b \ln R + c \ln^3 R` (Steinhart-Hart), or :math:`1/T = 1/T_{25} + \ln(R/R_{25})/B`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field, model_validator

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from hil.config import CONFIG

T25_K = 25.0 + ZERO_DEGC_K


class Ntc(BaseModel):
    """A thermistor whose resistance falls with temperature.

    Examples
    --------
    >>> ntc = Ntc()
    >>> [round(float(ntc.resistance_Ohm(temperature_K))) for temperature_K in (298.15, 353.15)]
    [10000, 1662]
    """

    model_config = CONFIG

    r25_Ohm: float = Field(default=10e3, gt=0)
    """Resistance at 25 degC."""
    beta_K: float = Field(default=3435.0, gt=0)
    """Its B value."""
    steinhart_hart: tuple[float, float, float] | None = None
    """a, b and c in 1/K, of ln(R / 1 Ohm), instead of both; b and c not below 0."""

    @model_validator(mode="after")
    def _falls(self) -> Ntc:
        """Check that resistance falls with temperature."""
        if self.steinhart_hart is not None and not (self.steinhart_hart[1] > 0 and self.steinhart_hart[2] >= 0):
            raise InputError(
                "resistance does not fall with temperature", where="steinhart_hart", expected="b > 0, c >= 0"
            )
        return self

    @property
    def _constants(self) -> tuple[float, float, float]:
        """Of Steinhart and Hart; the B formula is the one without a cube."""
        if self.steinhart_hart is not None:
            return self.steinhart_hart
        return 1 / T25_K - np.log(self.r25_Ohm) / self.beta_K, 1 / self.beta_K, 0.0

    def resistance_Ohm(self, temperature_K: ArrayLike) -> Array:
        """Resistance at a temperature above 0 K."""
        a, b, c = self._constants
        y = 1 / np.asarray(temperature_K, float) - a
        if c == 0:
            return np.asarray(np.exp(y / b))
        # the real root of c x^3 + b x = y, for x = ln R: Cardano by sinh, which loses no digits
        scale = np.sqrt(b / (3 * c))
        return np.asarray(np.exp(2 * scale * np.sinh(np.arcsinh(y / (2 * c * scale**3)) / 3)))

    def temperature_K(self, resistance_Ohm: ArrayLike) -> Array:
        """Temperature at a resistance; 0 K where it is infinite, infinite where the formula has a pole or passed it."""
        a, b, c = self._constants
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.log(np.asarray(resistance_Ohm, float))
            y = a + b * x + (c * x**3 if c else 0.0)
            return np.where(y > 0, 1 / y, np.inf)

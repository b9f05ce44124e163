"""Sensors: offset, gain, noise and quantisation between the truth and what a device sees."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.curves import Array


@dataclass(frozen=True)
class Sensor:
    """``read = round((gain x + offset + noise) / resolution) resolution``.

    Parameters
    ----------
    noise
        Standard deviation of white noise, in the unit of the signal.
    offset, gain
        Systematic errors.
    resolution
        Smallest step that is told apart; 0 for none.
    seed
        Of the noise: the same seed gives the same readings.
    """

    noise: float = 0.0
    offset: float = 0.0
    gain: float = 1.0
    resolution: float = 0.0
    seed: int = 0

    def read(self, truth: ArrayLike) -> Array:
        """Readings of a true signal, ``(k,)``."""
        truth = np.asarray(truth, float)
        reading = self.gain * truth + self.offset
        reading = reading + self.noise * np.random.default_rng(self.seed).standard_normal(truth.shape)
        return np.round(reading / self.resolution) * self.resolution if self.resolution else reading


@dataclass(frozen=True)
class SensorSet:
    """What a battery management system reads of one cell.

    The defaults are those of an ordinary one: a shunt with 0.5 % gain error
    and 50 mA resolution, a 16-bit cell voltage, and thermistors behind a
    12-bit converter with 0.1 K noise.
    """

    current_A: Sensor = field(default=Sensor(noise=0.05, gain=1.005, resolution=0.05, seed=1))
    voltage_V: Sensor = field(default=Sensor(noise=0.001, offset=0.001, resolution=0.0001, seed=2))
    ambient_K: Sensor = field(default=Sensor(noise=0.1, resolution=0.05, seed=3))
    surface_K: Sensor = field(default=Sensor(noise=0.1, resolution=0.05, seed=4))

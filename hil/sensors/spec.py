"""What the sensors of a battery management system are; the defaults are those of an ordinary one."""

from __future__ import annotations

from pydantic import BaseModel, Field

from hil.config import CONFIG
from hil.sensors.driver import Adc, Divider, Driver
from hil.sensors.ntc import Ntc


class CurrentSensor(BaseModel):
    """A shunt or a Hall sensor: ``round((gain x + offset + noise) / resolution) resolution``, clipped."""

    model_config = CONFIG

    gain: float = 1.005
    """Factor on the true current."""
    offset_A: float = 0.0
    """Added: small for a shunt, up to some 0.1 % of the range for a Hall sensor."""
    noise_A: float = Field(default=0.05, ge=0)
    """Standard deviation of white noise."""
    resolution_A: float = Field(default=0.05, ge=0)
    """Smallest step; 0 for none."""
    range_A: float = Field(default=500.0, gt=0)
    """It reads no more, in either direction."""


class VoltageSensor(BaseModel):
    """A front end for cell voltages: ``round((gain x + offset + noise) / resolution) resolution``, clipped."""

    model_config = CONFIG

    gain: float = 1.0
    """Factor on the true voltage."""
    offset_V: float = 0.001
    """Added."""
    noise_V: float = Field(default=0.001, ge=0)
    """Standard deviation of white noise."""
    resolution_V: float = Field(default=0.0001, ge=0)
    """Smallest step; 0 for none."""
    range_V: float = Field(default=6.0, gt=0)
    """It reads from 0 to this."""


class SensorsSpec(BaseModel):
    """Sensors of a module: a thermistor at each place of each cell, one in the coolant, voltages, and a current."""

    model_config = CONFIG

    ntc: Ntc = Ntc()
    """The thermistors."""
    tolerance: float = Field(default=0.003, ge=0, le=0.5)
    """Standard deviation of their resistance, as a share: 0.003 is a 1 % part whose bound is three of them."""
    lag_s: float = Field(default=5.0, ge=0)
    """Time constant of those on cells."""
    ambient_lag_s: float = Field(default=5.0, ge=0)
    """Time constant of the one in the coolant."""
    divider: Divider = Divider()
    """Behind which they are."""
    adc: Adc = Adc()
    """Converter."""
    driver: Driver = Driver()
    """Software."""
    current: CurrentSensor = CurrentSensor()
    """Of the module."""
    voltage: VoltageSensor = VoltageSensor()
    """Of each cell."""

    @classmethod
    def ideal(cls) -> SensorsSpec:
        """Sensors without noise, lag and error of their own, but for the steps of a 16-bit converter."""
        return cls(
            tolerance=0.0, lag_s=0.0, ambient_lag_s=0.0, adc=Adc(bits=16, noise_lsb=0.0), driver=Driver(table=None),
            current=CurrentSensor(gain=1.0, noise_A=0.0, resolution_A=0.0, range_A=1e6),
            voltage=VoltageSensor(offset_V=0.0, noise_V=0.0, resolution_V=0.0, range_V=1e3),
        )  # fmt: skip

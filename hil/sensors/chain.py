"""The chain: temperature of the place, lag, resistance, divider, code, table, reading; faults at each stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.files import ZERO_DEGC_K
from hil.faults.injector import Injector
from hil.faults.live import Scene
from hil.faults.places import Places
from hil.sensors.noise import Noise
from hil.sensors.spec import SensorsSpec
from hil.signals import Readings, Truth


class SensorChain:
    """Sensors of a module in a run.

    Parameters
    ----------
    spec
        What they are.
    cells
        Number of cells.
    sensors
        Places of each cell, in the order of ``Truth.surfaces_K``.
    step_s
        Length of a step.
    seed
        Of noise and tolerances; each channel has chance of its own, from this and its name.
    """

    def __init__(self, spec: SensorsSpec, cells: int, sensors: Sequence[str], step_s: float, seed: int) -> None:
        self.spec, self.step_s, self.seed = spec, step_s, seed
        self.places = Places(cells, tuple(sensors))
        names, self._count = self.places.names, self.places.thermistors
        parts = Noise([f"part of {name}" for name in names[: self._count]], seed).draw()
        self._parts = 1 + spec.tolerance * parts
        lags = np.full(self._count, spec.lag_s)
        lags[-1] = spec.ambient_lag_s
        with np.errstate(divide="ignore"):
            self._keep = np.exp(-step_s / lags)
        self._decoded_K = spec.driver.temperatures_K(spec.ntc, spec.divider, spec.adc)
        low, high = spec.driver.valid_degC or (-np.inf, np.inf)
        self._valid_K = low + ZERO_DEGC_K, high + ZERO_DEGC_K
        # current and voltages in one go: offset, noise, resolution (or none) and range of each
        one, each = spec.current, spec.voltage
        self._gain = self._rows(each.gain, one.gain)
        self._offset = self._rows(each.offset_V, one.offset_A)
        self._noise = self._rows(each.noise_V, one.noise_A)
        self._resolution = self._rows(each.resolution_V or 1e-12, one.resolution_A or 1e-12)
        self._low, self._high = self._rows(0.0, -one.range_A), self._rows(each.range_V, one.range_A)

    def _rows(self, voltage: float, current: float) -> Array:
        """A number of each voltage, and of the current."""
        return np.array([voltage] * self.places.cells + [current])

    def reset(self, truth: Truth) -> Readings:
        """Begin anew with sensors that have settled; return the first readings, of before any fault."""
        self._random = Noise(self.places.names, self.seed)
        self._nobody = Injector([], self.places.cells, self.places.sensors, self.step_s, 0)
        self._bulb_K = self._felt(truth)
        self._last = np.full(self.places.values, np.nan)
        return self.read(truth, self._nobody)

    def read(self, truth: Truth, injector: Injector | None = None) -> Readings:
        """Read the truth at the end of a step."""
        spec, faults = self.spec, injector or self._nobody
        noise = self._random.draw()
        felt = self._felt(truth)
        scene = Scene(
            truth.time_s, self.step_s, abs(float(truth.current_A.mean())), self._coolant(truth), self._last,
            spec.adc.bits,
        )  # fmt: skip
        felt = faults.apply("thermal", felt, scene)
        self._bulb_K = felt + self._keep * (self._bulb_K - felt)
        resistance = faults.apply("resistance", spec.ntc.resistance_Ohm(self._bulb_K) * self._parts, scene)
        share = faults.apply("divider", spec.divider.actual * spec.divider.share(resistance), scene)
        analog = share * spec.adc.full + spec.adc.noise_lsb * noise[: self._count]
        code = np.rint(faults.apply("adc", analog, scene)).clip(0, spec.adc.full)
        values = np.concatenate([self._decoded_K[code.astype(np.intp)], self._electrical(truth, noise)])
        self._last = faults.apply("value", values, scene)
        values = faults.apply("map", self._last, scene)
        return self._readings(truth.time_s, values)

    def _felt(self, truth: Truth) -> Array:
        """Temperature around each thermistor; the last is in the coolant, where all cells' coolant mixes."""
        return np.append(truth.surfaces_K.ravel(), truth.ambient_K.mean())

    def _coolant(self, truth: Truth) -> Array:
        """Of the coolant around each thermistor."""
        return np.append(np.repeat(truth.ambient_K, len(self.places.sensors)), truth.ambient_K.mean())

    def _electrical(self, truth: Truth, noise: Array) -> Array:
        """Voltages and current as they are read."""
        true = np.append(truth.voltage_V, truth.current_A.mean())
        read = self._gain * true + self._offset + self._noise * noise[self._count :]
        read = np.rint(read / self._resolution) * self._resolution
        return np.asarray(read.clip(self._low, self._high))

    def _readings(self, time_s: float, values: Array) -> Readings:
        """Name the numbers, and mark what is out of range."""
        heat, cells = values[: self._count], self.places.cells
        if self.spec.driver.valid_degC is not None:
            low, high = self._valid_K
            heat = np.where((heat >= low) & (heat <= high), heat, np.nan)
        return Readings(
            time_s,
            float(values[-1]),
            values[self._count : -1].copy(),
            float(heat[-1]),
            heat[:-1].reshape(cells, -1).copy(),
        )

"""A run: current, voltage and temperatures over time, on the clock that they were logged with."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K, write_whole

#: What every run has, beside its temperatures.
INPUTS = ("time_s", "current_A", "voltage_V")
MOST_STEPS = 20_000_000


@dataclass(frozen=True, repr=False, eq=False)
class Run:
    """A recorded (or simulated) run; samples that are missing are NaN.

    Parameters
    ----------
    time_s
        Sample times [s], shape ``(k,)`` with ``k >= 2``, finite and increasing; steps may be uneven.
    current_A
        Cell current [A], shape ``(k,)``; positive discharges.
    voltage_V
        Terminal voltage [V], shape ``(k,)``.
    ambient_K
        Temperature of the air or coolant [K], shape ``(k,)``.
    surfaces_K
        Sensor name (``surface``, ``surface_left``, ...) to its temperature [K], shape ``(k,)``.
    core_K
        Core temperature [K], shape ``(k,)``, or None where nobody drilled a hole.
    name
        What people call this run.

    Raises
    ------
    InputError
        If an array does not have shape ``(k,)``, if there are fewer than two samples, or if the
        time is not finite and increasing.

    Notes
    -----
    Arrays are kept as read-only float64 copies.
    """

    time_s: Array
    current_A: Array
    voltage_V: Array
    ambient_K: Array
    surfaces_K: dict[str, Array] = field(default_factory=dict)
    core_K: Array | None = None
    name: str = "run"

    def __post_init__(self) -> None:
        count = np.size(self.time_s)

        def keep(label: str, values: Array) -> Array:
            kept = np.array(values, dtype=np.float64)
            if kept.shape != (count,):
                shape = f"the ({count},) of time_s"
                raise InputError(f"{label} has shape {kept.shape}", where=self.name, expected=shape)
            kept.flags.writeable = False
            return kept

        if count < 2:
            raise InputError(f"{count} sample{'s' * (count != 1)}", where=self.name, expected="at least 2")
        for label in (*INPUTS, "ambient_K"):
            object.__setattr__(self, label, keep(label, getattr(self, label)))
        surfaces = {sensor: keep(f"surface {sensor!r}", kelvin) for sensor, kelvin in self.surfaces_K.items()}
        object.__setattr__(self, "surfaces_K", surfaces)
        if self.core_K is not None:
            object.__setattr__(self, "core_K", keep("core_K", self.core_K))
        if not (np.isfinite(self.time_s).all() and (np.diff(self.time_s) > 0).all()):
            raise InputError("time_s is not finite and increasing", where=self.name)

    def __repr__(self) -> str:
        k, seconds = self.time_s.size, self.time_s[-1] - self.time_s[0]
        known = self.current_A[~np.isnan(self.current_A)]
        current = f"{np.min(known):.3g} to {np.max(known):.3g} A" if known.size else "no current"
        seen = ", ".join([*self.surfaces_K, *(["core"] if self.core_K is not None else [])]) or "no sensors"
        return f"Run({self.name}: {k} samples over {seconds:g} s, {current}, {seen})"

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that tell this recording from another; the core does not enter."""
        kept = (self.time_s, self.current_A, self.voltage_V, self.ambient_K, *self.surfaces_K.values())
        return hashlib.sha256(b"".join(column.tobytes() for column in kept)).hexdigest()[:12]

    def before(self, time_s: float) -> Run:
        """Keep the samples with ``time < time_s``, on the clock of the run."""
        return self._pick(self.time_s < time_s)

    def after(self, time_s: float) -> Run:
        """Keep the samples with ``time >= time_s``, on the clock of the run."""
        return self._pick(self.time_s >= time_s)

    def part(self, start_fraction: float, stop_fraction: float) -> Run:
        """Keep what lies between two fractions of the duration; neighbouring parts share no sample.

        Parameters
        ----------
        start_fraction, stop_fraction
            Between 0 and 1; the stop is left out, except that 1 keeps the last sample.

        Raises
        ------
        InputError
            If the fractions are not ``0 <= start < stop <= 1``, or hold fewer than two samples.
        """
        if not 0 <= start_fraction < stop_fraction <= 1:
            raise InputError(f"part {start_fraction:g}:{stop_fraction:g}", expected="0 <= start < stop <= 1")
        fraction = (self.time_s - self.time_s[0]) / (self.time_s[-1] - self.time_s[0])
        return self._pick((fraction >= start_fraction) & ((fraction < stop_fraction) | (stop_fraction == 1)))

    def _pick(self, chosen: NDArray[np.bool_]) -> Run:
        return Run(
            self.time_s[chosen],
            self.current_A[chosen],
            self.voltage_V[chosen],
            self.ambient_K[chosen],
            {sensor: kelvin[chosen] for sensor, kelvin in self.surfaces_K.items()},
            None if self.core_K is None else self.core_K[chosen],
            self.name,
        )

    def resample(self, step_s: float, hold_s: float | None = None) -> Run:
        """Bring the run to whole steps ``t0 + i step_s``; a gap of any length becomes whole steps.

        Current and voltage are held from sample to sample and averaged over each step
        ``[t, t + step_s)``: charge is conserved, a faster log becomes the mean of its samples.
        A sample stands for at most `hold_s`, then the input is NaN; a blank cell is a missing
        sample. Ambient is slow: between its samples it is a straight line, beyond them the nearest one.
        Sensors are never held: the mean of the samples in the step, NaN where there is none.

        Parameters
        ----------
        step_s
            Step [s], positive.
        hold_s
            Longest time that a sample of current or voltage stands for [s]; the default is the
            larger of three steps and 1.5 times the median sampling interval.

        Returns
        -------
        Run
            ``k = floor(duration / step_s) + 1`` samples.

        Raises
        ------
        InputError
            If `step_s` or `hold_s` is not positive, or the step does not suit the duration.
        """
        usual_s = float(np.median(np.diff(self.time_s)))
        hold_s = max(3 * step_s, 1.5 * usual_s) if hold_s is None else hold_s
        if not (0 < step_s < np.inf and hold_s > 0):
            found = f"step_s = {step_s:g}, hold_s = {hold_s:g}"
            raise InputError(found, where=self.name, expected="positive seconds")
        at = _snap((self.time_s - self.time_s[0]) / step_s)
        if not 1 <= at[-1] < MOST_STEPS:
            found, limit = f"{at[-1]:.4g} steps of {step_s:g} s", f"1 to {MOST_STEPS:,} of them"
            raise InputError(found, where=self.name, expected=limit)
        count = int(at[-1]) + 1
        hold = min(hold_s / step_s, count)
        ambient = _binned(at, self.ambient_K, count)
        known = np.flatnonzero(~np.isnan(ambient))
        if known.size:
            ambient = np.interp(np.arange(count), known, ambient[known])
        return Run(
            self.time_s[0] + np.arange(count) * step_s,
            _held(at, self.current_A, hold, count),
            _held(at, self.voltage_V, hold, count),
            ambient,
            {sensor: _binned(at, kelvin, count) for sensor, kelvin in self.surfaces_K.items()},
            None if self.core_K is None else _binned(at, self.core_K, count),
            self.name,
        )

    def to_csv(self, path: str | Path) -> None:
        """Write the columns that `read_measured` reads: seconds, amperes, volts and degC.

        A path that ends in ``.gz`` is compressed. The file appears when it is complete.

        Raises
        ------
        InputError
            If the file cannot be written there.
        """
        surfaces = {f"{sensor}_degC": _to_degC(kelvin) for sensor, kelvin in self.surfaces_K.items()}
        table = {label: getattr(self, label) + 0.0 for label in INPUTS}
        table |= {"ambient_degC": _to_degC(self.ambient_K)} | surfaces
        if self.core_K is not None:
            table["core_degC"] = _to_degC(self.core_K)
        cells = ([repr(x) if x == x else "" for x in column.tolist()] for column in table.values())
        lines = [",".join(table), *map(",".join, zip(*cells, strict=True)), ""]
        data = "\n".join(lines).encode()
        # no time in the gzip header: the same run is the same bytes
        write_whole(path, gzip.compress(data, mtime=0) if Path(path).suffix == ".gz" else data)


def _snap(steps: Array) -> Array:
    """Take rounding noise around whole steps away from times counted in steps."""
    whole = np.rint(steps)
    return np.where(np.abs(steps - whole) < 1e-5, whole, steps)


def _held(at: Array, values: Array, hold: float, count: int) -> Array:
    """Time average over each step of samples held for at most `hold` steps, shape ``(count,)``."""
    mean = np.full(count, np.nan)
    known = ~np.isnan(values)
    at, values = at[known], values[known]
    ends = _snap(at + hold)
    edges = np.unique(np.concatenate([np.arange(count + 1.0), at, ends[ends < count]]))
    begin, width = edges[:-1], np.diff(edges)
    source = np.searchsorted(at, begin, side="right") - 1
    # a negative source is before the first sample
    alive = (source >= 0) & (begin < ends[source]) if at.size else np.zeros(begin.size, bool)
    source, width, step = source[alive], width[alive], begin[alive].astype(np.intp)
    steps, first = np.unique(step, return_index=True)
    mean[steps] = values[source[first]]
    # averaging what exceeds the step's first sample leaves a lone sample as it is, to the bit
    excess = np.bincount(step, width * (values[source] - mean[step]), count)[steps]
    mean[steps] += excess / np.bincount(step, width, count)[steps]
    return mean


def _binned(at: Array, values: Array, count: int) -> Array:
    """Mean of the samples within each step, NaN where there is none, shape ``(count,)``."""
    known = ~np.isnan(values)
    step, values = at[known].astype(np.intp), values[known]
    mean = np.full(count, np.nan)
    steps, first = np.unique(step, return_index=True)
    mean[steps] = values[first]
    mean[steps] += np.bincount(step, values - mean[step], count)[steps] / np.bincount(step)[steps]
    return mean


def _to_degC(kelvin: Array) -> Array:
    # nine decimals: 298.15 K is written as 25.0 and not as 24.999999999999943
    return np.round(kelvin - ZERO_DEGC_K, 9) + 0.0

"""What an observer found along a run: arrays with units, a score where the core was measured, a file, a picture."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsthermal.belief import Belief, Estimate
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K, write_whole
from bmsthermal.noise import Noise
from bmsthermal.packing import HOST_SENSORS, unpack_covariance
from bmsthermal.plot import AMBIENT, CORE, CURRENT, ESTIMATE, SURFACE, draw_band, figure, finish, frame, save
from bmsthermal.reduction import ReducedModel
from bmsthermal.reference import HUGE
from bmsthermal.run import Run

#: Samples at the start whose core minus surface counts as mismatch of the two thermocouples.
MISMATCH_SAMPLES = 10
#: Most that two thermocouples differ by, in K: a run that begins further apart begins warm inside.
MISMATCH_MOST_K = 1.0
#: Mean normalised innovation squared of a sensor, above which model and sensors are said to disagree.
INCONSISTENT = 4.0


def ratio(sigma_K: float, rmse_K: float) -> str:
    """Text of a sigma over an error, which is none where a still cell was estimated without one."""
    return f"{sigma_K / rmse_K:.2f}" if rmse_K else "infinitely many"


@dataclass(frozen=True)
class Score:
    """Estimate against a measured core, in K.

    ``apart_K`` is the mean of core minus surface over the first samples. It is
    subtracted from the measured core before scoring as ``mismatch_K``, unless
    it is too much for thermocouples; the ``raw`` figures are without that.
    """

    rmse_K: float
    max_K: float
    raw_rmse_K: float
    raw_max_K: float
    apart_K: float
    coverage: float
    median_std_K: float
    samples: int

    @property
    def mismatch_K(self) -> float:
        """What is subtracted from the measured core, in K."""
        return mismatch(self.apart_K)

    def rows(self) -> list[tuple[str, str]]:
        """Name and value with unit, for a table."""
        taken = "subtracted" if self.mismatch_K == self.apart_K else "not subtracted: the core begins warmer or colder"
        return [
            ("core RMSE", f"{self.rmse_K:.3f} K (raw {self.raw_rmse_K:.3f} K)"),
            ("core maximum error", f"{self.max_K:.3f} K (raw {self.raw_max_K:.3f} K)"),
            ("inside 2 sigma", f"{100 * self.coverage:.1f} %"),
            ("median sigma of the core", f"{self.median_std_K:.3f} K, {ratio(self.median_std_K, self.rmse_K)} x RMSE"),
            ("thermocouple mismatch", f"{self.apart_K:+.3f} K in the first {MISMATCH_SAMPLES} samples, {taken}"),
        ]


def apart(core_K: Array, surface_K: Array) -> float:
    """Mean of core minus surface in K over the first samples that have both; 0 where none has."""
    difference = core_K - surface_K
    first = difference[np.isfinite(difference)][:MISMATCH_SAMPLES]
    return float(first.mean()) if len(first) else 0.0


def mismatch(apart_K: float) -> float:
    """What of it is put down to the thermocouples, in K: all up to `MISMATCH_MOST_K`, beyond that nothing."""
    return apart_K if abs(apart_K) <= MISMATCH_MOST_K else 0.0


@dataclass(frozen=True)
class Estimates:
    """Estimates along a run; arrays ``(k,)``, temperatures in K.

    ``heat_W[i]`` is the heat of the step that ends at ``time_s[i]``;
    ``innovation_K`` is the first sensor's, NaN where it was absent, and `nis`
    the normalised innovation squared over the sensors present; ``innovations``
    and their ``variances`` ``(k, m)`` are those of each, 0 where it was absent.
    """

    time_s: Array
    core_K: Array
    core_std_K: Array
    mean_K: Array
    surface_K: Array
    surface_std_K: Array
    heat_W: Array
    innovation_K: Array
    nis: Array
    sensors: NDArray[np.int_]
    innovations: Array
    variances: Array
    soc: Array
    states: NDArray[np.floating] = field(repr=False)
    reduced: ReducedModel = field(repr=False)
    noise: Noise = field(repr=False)
    run: Run | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"Estimates({len(self.time_s)} rows, core {self.core_K.min() - ZERO_DEGC_K:.1f} to "
            f"{self.core_K.max() - ZERO_DEGC_K:.1f} degC, sigma {np.median(self.core_std_K):.2f} K)"
        )

    @classmethod
    def of(
        cls,
        reduced: ReducedModel,
        noise: Noise,
        time_s: Array,
        states: NDArray[np.floating],
        out: NDArray[np.floating],
        *,
        run: Run | None = None,
        notes: tuple[str, ...] = (),
    ) -> Estimates:
        """Read temperatures and statistics out of the kernel's states ``(k, s)`` and outputs ``(k, o)``."""
        outputs = reduced.outputs
        core, core_std = _read(reduced, noise, states, outputs[0])
        surface, surface_std = _read(reduced, noise, states, outputs[2])
        innovation = out[:, 1 : 1 + HOST_SENSORS].astype(float)
        variance = out[:, 1 + HOST_SENSORS :].astype(float)
        seen = variance > 0
        nis = np.divide(innovation**2, variance, out=np.zeros_like(innovation), where=seen).sum(axis=1)
        n = reduced.order
        return cls(
            time_s=time_s,
            core_K=core,
            core_std_K=core_std,
            mean_K=states[:, :n].astype(float) @ outputs[1] + reduced.cell.reference_K,
            surface_K=surface,
            surface_std_K=surface_std,
            heat_W=out[:, 0].astype(float),
            innovation_K=np.where(seen[:, 0], innovation[:, 0], np.nan),
            nis=np.where(seen.any(axis=1), nis, np.nan),
            sensors=seen.sum(axis=1),
            innovations=innovation[:, : _last(seen)],
            variances=variance[:, : _last(seen)],
            soc=states[:, -1].astype(float),
            states=states,
            reduced=reduced,
            noise=noise,
            run=run,
            notes=notes,
        )

    def at(self, i: int) -> Estimate:
        """Row `i` as an `Estimate`."""
        return Estimate(
            float(self.core_K[i]), float(self.core_std_K[i]), float(self.mean_K[i]), float(self.surface_K[i]),
            float(self.surface_std_K[i]), float(self.heat_W[i]), float(self.innovation_K[i]), float(self.nis[i]),
            int(self.sensors[i]),
        )  # fmt: skip

    def doubts(self) -> list[str]:
        """Sentences about what does not fit together in the run: nothing here changes the estimates."""
        doubts: list[str] = []
        if self.run is None or len(self.time_s) < 2:
            return doubts
        if self.heat_W[1:].mean() < -0.02 * np.abs(self.heat_W[1:]).max(initial=0.0):
            doubts.append(
                f"heat is {self.heat_W[1:].mean():.2f} W on average, and a cell does not cool itself: check the sign "
                "of the current (--current-sign) and the initial SOC"
            )
        if ((self.soc[1:] <= 0) | (self.soc[1:] >= 1)).mean() > 0.01:
            doubts.append("the counted SOC stands at its end for a while: check --initial-soc, sign and capacity")
        per_sensor = np.nansum(self.nis[1:]) / max(int(self.sensors[1:].sum()), 1)
        if per_sensor > INCONSISTENT:
            doubts.append(
                f"innovations are {np.sqrt(per_sensor):.1f} times what the noise explains: model and sensors disagree, "
                "and the sigma is too small"
            )
        lost = ~((np.abs(self.run.current_A) < HUGE) & (np.abs(self.run.voltage_V) < HUGE))
        if lost.any():
            doubts.append(f"{int(lost.sum())} of {len(lost)} steps have no current or voltage: no heat known there")
        if (lost := np.isnan(self.run.ambient_K)).any():
            doubts.append(f"{int(lost.sum())} of {len(lost)} steps have no ambient: no heat goes to it there")
        return doubts

    def beside(self) -> list[tuple[str, str]]:
        """Name and value with unit of what was estimated beside temperatures, for a table: nothing here."""
        return []

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of what ``innovations`` are of."""
        return tuple(f"sensor {i + 1}" for i in range(self.innovations.shape[1]))

    def belief(self, i: int = -1) -> Belief:
        """Belief after row `i`, to go on from."""
        return Belief(self.states[i], self.reduced.order)

    def point(self, position_m: float, height_m: float | None = None) -> tuple[Array, Array]:
        """Temperature in K and its standard deviation at a coordinate between core and surface.

        In r-z that is a radius, and `height_m` counts from the bottom: by default the middle.
        """
        return _read(self.reduced, self.noise, self.states, self.reduced.point(position_m, height_m))

    def score(self, start_s: float = -np.inf) -> Score | None:
        """Compare with the measured core from `start_s` on; None where no row has both core and surface.

        Raises
        ------
        InputError
            If the core was measured, but not from `start_s` on.
        """
        if self.run is None or self.run.core_K is None:
            return None
        core, surface = self.run.core_K, next(iter(self.run.surfaces_K.values()))
        both = np.isfinite(core) & np.isfinite(surface)
        if not both.any():
            return None
        begins_apart_K = apart(core, surface)
        judged = np.isfinite(core) & (self.time_s >= start_s)
        if not judged.any():
            last = self.time_s[np.isfinite(core)][-1]
            found = f"no core was measured from {start_s:g} s on"
            raise InputError(found, where="--score-from-s", expected=f"at most {last:g} s")
        raw = (self.core_K - core)[judged]
        error = raw + mismatch(begins_apart_K)
        std = self.core_std_K[judged]
        return Score(
            float(np.sqrt(np.mean(error**2))), float(np.abs(error).max()),
            float(np.sqrt(np.mean(raw**2))), float(np.abs(raw).max()), begins_apart_K,
            float(np.mean(np.abs(error) <= 2 * std)), float(np.median(std)), int(judged.sum()),
        )  # fmt: skip

    def to_csv(self, path: str | Path) -> None:
        """Write ``time_s,core_degC,core_std_K,...``: temperatures in degC, blank where there is nothing."""
        columns = self.columns()
        text = io.StringIO()
        text.write(",".join(columns) + "\n")
        for row in zip(*columns.values(), strict=True):
            text.write(",".join("" if np.isnan(v) else f"{v:.6g}" for v in row) + "\n")
        write_whole(path, text.getvalue())

    def columns(self) -> dict[str, Array]:
        """What `to_csv` writes, by name with unit, ``(k,)`` each."""
        return {
            "time_s": self.time_s,
            "core_degC": self.core_K - ZERO_DEGC_K,
            "core_std_K": self.core_std_K,
            "surface_degC": self.surface_K - ZERO_DEGC_K,
            "surface_std_K": self.surface_std_K,
            "mean_degC": self.mean_K - ZERO_DEGC_K,
            "heat_W": self.heat_W,
            "innovation_K": self.innovation_K,
            "nis": self.nis,
        }

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw core with its 2-sigma band, measured core if there is one, surface and ambient; current below.

        Returns
        -------
        matplotlib.figure.Figure
            Saved to `path` if given.
        """
        drawn = figure()
        top, middle, bottom = drawn.subplots(3, 1, sharex=True, height_ratios=[5, 1.6, 1.4])
        minutes = self.time_s / 60
        run = self.run
        draw_band(top, minutes, self.core_K, self.core_std_K)
        if run is not None:
            for i, (name, kelvin) in enumerate(run.surfaces_K.items()):
                label = name.replace("_", " ") + " (measured)"
                top.plot(minutes, kelvin - ZERO_DEGC_K, color=SURFACE, lw=1.0, alpha=1 - 0.25 * i, label=label)
            top.plot(minutes, run.ambient_K - ZERO_DEGC_K, color=AMBIENT, lw=0.8, ls=":", label="ambient")
            bottom.plot(minutes, run.current_A, color=CURRENT, lw=0.6)
        score = self.score()
        if run is not None and run.core_K is not None and score is not None:
            core = run.core_K - score.mismatch_K
            top.plot(minutes, core - ZERO_DEGC_K, color=CORE, lw=1.2, label="core (measured, not used)")
            middle.plot(minutes, self.core_K - core, color=ESTIMATE, lw=0.9)
            middle.set_ylabel("core error\nK")
            top.set_title(
                f"RMSE {score.rmse_K:.2f} K, maximum {score.max_K:.2f} K, {100 * score.coverage:.0f} % inside 2 sigma",
                fontsize=9, loc="right",
            )  # fmt: skip
        else:
            middle.plot(minutes, self.innovation_K, color=ESTIMATE, lw=0.6)
            middle.set_ylabel("innovation\nK")
        middle.fill_between(minutes, -2 * self.core_std_K, 2 * self.core_std_K, color=ESTIMATE, alpha=0.12, lw=0)
        middle.axhline(0, color=AMBIENT, lw=0.6)
        frame(top, self.core_K - ZERO_DEGC_K, self.core_std_K)
        frame(middle, np.zeros(len(minutes)), self.core_std_K)
        finish(top, bottom, self.reduced.cell.name)
        return save(drawn, path)


def _last(seen: NDArray[np.bool_]) -> int:
    """How many columns hold something."""
    return int(np.flatnonzero(seen.any(axis=0)).max(initial=-1)) + 1


def _read(reduced: ReducedModel, noise: Noise, states: NDArray[np.floating], row: Array) -> tuple[Array, Array]:
    """Value and standard deviation of ``row @ x``: the filter's variance and what the model is unsure of."""
    n = reduced.order
    x = states[:, :n].astype(float)
    P = unpack_covariance(states[:, n:-1].astype(float), n)
    side = reduced.outputs[2] if reduced.resolution != "r-z" else reduced.step.wall[:, 0]  # as the kernel has it
    gradient = x @ (row - side)
    variance = np.einsum("i,kij,j->k", row, P, row) + (noise.gradient * gradient) ** 2 + noise.offset_K**2
    return x @ row + reduced.cell.reference_K, np.sqrt(variance)

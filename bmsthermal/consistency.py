"""Whether an observer is as sure as it should be: innovations against their variances, the core against its band."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.estimates import Estimates, ratio
from bmsthermal.files import write_whole
from bmsthermal.innovations import core_error, correlated, effective

#: Lags in s at which innovations are held against white noise.
LAGS_S = (1.0, 10.0, 60.0, 300.0)


@dataclass(frozen=True)
class Normalised:
    """Mean of squared errors over their variances: 1 where the sigma is right, and then `low` to `high` in 95 %.

    The interval is that of a mean of `effective` independent values: errors that resemble one another count once.
    """

    mean: float
    low: float
    high: float
    samples: int
    effective: float

    @classmethod
    def of(cls, runs: Sequence[Array]) -> Normalised:
        """Pool errors over sigmas of several runs, ``(k,)`` each, NaN where there was nothing."""
        from scipy.stats import chi2

        samples = int(sum(np.isfinite(each).sum() for each in runs))
        if not samples:
            return cls(np.nan, np.nan, np.nan, 0, 0.0)
        mean = float(sum(np.nansum(each**2) for each in runs) / samples)
        independent = sum(effective(each, of_squares=True) for each in runs)
        low, high = (float(chi2.ppf(p, independent) / independent) for p in (0.025, 0.975))
        return cls(mean, low, high, samples, independent)

    def __str__(self) -> str:
        return (
            f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f} if the sigma is right; {self.samples} samples "
            f"count as {self.effective:.0f})"
        )


@dataclass(frozen=True)
class Channel:
    """A sensor: normalised innovation squared, and autocorrelation at `LAGS_S`, None beyond the runs.

    That of white innovations stays within `white` in 95 %.
    """

    name: str
    nis: Normalised
    autocorrelation: tuple[float | None, ...]
    white: float


@dataclass(frozen=True)
class Core:
    """Measured core against its band; thermocouple mismatch at the start taken off, as in a `Score`.

    ``inside_1`` and ``inside_2`` are the shares within one and two sigma (0.68 and 0.95 for a normal error),
    ``least_2`` the latter of the run where it is least.
    """

    nees: Normalised
    inside_1: float
    inside_2: float
    least_2: float
    least_run: str
    rmse_K: float
    median_std_K: float


@dataclass(frozen=True)
class Consistency:
    """What innovations and a measured core say of the sigma, over one run or several.

    Parameters
    ----------
    runs
        Their names.
    sensors
        Each sensor.
    core
        None where no core was measured.
    """

    runs: tuple[str, ...]
    sensors: tuple[Channel, ...]
    core: Core | None

    @classmethod
    def of(cls, found: Estimates | Sequence[Estimates], start_s: float | Sequence[float] = -np.inf) -> Consistency:
        """Pool what observers with as many sensors found, from `start_s` on: one for all runs, or one for each.

        Raises
        ------
        InputError
            If there is nothing, or the sensors are not as many in each.
        """
        several = (found,) if isinstance(found, Estimates) else tuple(found)
        names = [each.channels for each in several]
        if not several or any(each != names[0] for each in names):
            raise InputError(f"estimates with sensors {names}", expected="the same sensors in each, one run at least")
        judged = [
            each.time_s >= start for each, start in zip(several, np.broadcast_to(start_s, len(several)), strict=True)
        ]
        channels = tuple(
            _channel(name, several[0].reduced.step_s, [
                _scaled(each.innovations[rows, i], each.variances[rows, i])
                for each, rows in zip(several, judged, strict=True)
            ])
            for i, name in enumerate(names[0])
        )  # fmt: skip
        runs = tuple(each.run.name if each.run is not None else "run" for each in several)
        return cls(runs, channels, _core(several, judged))

    def rows(self) -> list[tuple[str, str]]:
        """Name and value with unit, for a table."""
        found = []
        for each in self.sensors:
            found.append((f"NIS of {each.name}", str(each.nis)))
            lags = [f"{r:.2f} at {s:g} s" for s, r in zip(LAGS_S, each.autocorrelation, strict=True) if r is not None]
            if lags:
                found.append((f"autocorrelation of {each.name}", f"{', '.join(lags)} (white: +-{each.white:.2f})"))
        if (core := self.core) is not None:
            found += [
                ("core error over sigma, squared", str(core.nees)),
                ("core inside 1 and 2 sigma", f"{100 * core.inside_1:.1f} and {100 * core.inside_2:.1f} %"),
                ("claimed sigma of the core over RMSE", ratio(core.median_std_K, core.rmse_K)),
            ]
            if len(self.runs) > 1:
                found.append((f"least inside 2 sigma, {core.least_run}", f"{100 * core.least_2:.1f} %"))
        return found

    def document(self) -> dict[str, Any]:
        """The same as plain numbers; autocorrelations stand at ``lags_s``."""
        return {"lags_s": list(LAGS_S), **asdict(self)}

    def save(self, path: str | Path) -> None:
        """Write `document` as JSON; the same estimates give the same bytes."""
        write_whole(path, json.dumps(_plain(self.document()), indent=2, ensure_ascii=False) + "\n")


def _scaled(innovation: Array, variance: Array) -> Array:
    """Innovations in standard deviations, NaN where the sensor was absent."""
    return np.where(variance > 0, innovation / np.sqrt(np.where(variance > 0, variance, 1.0)), np.nan)


def _channel(name: str, step_s: float, runs: list[Array]) -> Channel:
    rhos: list[float | None] = []
    for lag in LAGS_S:
        at = [correlated(each, round(lag / step_s)) for each in runs]
        known = [(rho, np.isfinite(each).sum()) for rho, each in zip(at, runs, strict=True) if np.isfinite(rho)]
        total = sum(count for _, count in known)
        rhos.append(float(sum(rho * count for rho, count in known) / total) if known and lag >= step_s else None)
    nis = Normalised.of(runs)
    return Channel(name, nis, tuple(rhos), 1.96 / float(np.sqrt(max(nis.samples, 1))))


def _core(several: tuple[Estimates, ...], judged: list[Any]) -> Core | None:
    errors, stds, names = [], [], []
    for each, rows in zip(several, judged, strict=True):
        if each.run is not None and each.run.core_K is not None:
            error = core_error(each)[rows]
            if np.isfinite(error).any():
                errors.append(error)
                stds.append(each.core_std_K[rows])
                names.append(each.run.name)
    if not errors:
        return None
    scaled = [error / std for error, std in zip(errors, stds, strict=True)]
    every = np.concatenate([z[np.isfinite(z)] for z in scaled])
    shares = [float(np.mean(np.abs(z[np.isfinite(z)]) <= 2)) for z in scaled]
    least = int(np.argmin(shares))
    return Core(
        Normalised.of(scaled), float(np.mean(np.abs(every) <= 1)), float(np.mean(np.abs(every) <= 2)),
        shares[least], names[least], float(np.sqrt(np.nanmean(np.concatenate(errors) ** 2))),
        float(np.median(np.concatenate([s[np.isfinite(z)] for s, z in zip(stds, scaled, strict=True)]))),
    )  # fmt: skip


def _plain(value: Any) -> Any:
    """JSON has no NaN: null."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value

"""Entropic coefficient of a full cell from recordings at rest through temperature steps, with its confidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.stats import t as student

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.entropy_fit import REFERENCE_K, Steps, fit_steps
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K, write_whole
from bmsthermal.plot import AMBIENT, ESTIMATE, figure, save
from bmsthermal.potentiometry import Recording
from bmsthermal.schema import ENTROPIC

#: 95 %: what a normal error is multiplied by; and below which chance a dependence on temperature is believed.
NORMAL, CHANCE = 1.96, 0.05
#: A point is flagged where its temperature moves by more than `CREEP_K` in the last 10 minutes of a plateau, and a
#: wanted level is missing where no plateau is within `NEAR_K`.
CREEP_K, NEAR_K = 0.5, 3.0
#: Prior of the length over which the curve changes, in state of charge: logarithmic mean and deviation.
LENGTH = (np.log(0.15), 0.7)


@dataclass(frozen=True)
class Point:
    """The entropic coefficient at one state of charge.

    Parameters
    ----------
    soc
        State of charge, 0 to 1.
    value_V_K, half_V_K
        dU/dT at the wanted temperature [V/K] and half of its 95 % band; NaN where the data do not tell.
    curvature_V_K2
        d2U/dT2 [V/K2] where steps at different temperatures differ by more than chance, else 0.
    left_out_V_K
        Largest change of the value when one step is left out [V/K]; NaN where too few are left.
    steps
        What each step says, or None.
    flags
        What is wrong with the data; a flagged point is in the table and not in the curve.
    name
        The recording.
    """

    soc: float
    value_V_K: float
    half_V_K: float
    curvature_V_K2: float
    left_out_V_K: float
    steps: Steps | None
    flags: tuple[str, ...]
    name: str


@dataclass(frozen=True, eq=False)
class EntropicCurve:
    """Points against state of charge, and the smooth curve through those that are not flagged.

    The curve is a Gaussian process (Matern 5/2 about a constant, its width and length of largest posterior
    probability): unlike a smoothing spline it takes each point with an error of its own, and its band widens where no
    point is near.

    Parameters
    ----------
    points
        In order of the state of charge.
    at_K
        Temperature that the values belong to [K].
    """

    points: tuple[Point, ...]
    at_K: float

    def __repr__(self) -> str:
        good = self.good
        low, high = min(p.value_V_K for p in good) * 1e3, max(p.value_V_K for p in good) * 1e3
        return f"EntropicCurve({len(good)} of {len(self.points)} points, {low:.3f} to {high:.3f} mV/K)"

    @property
    def good(self) -> tuple[Point, ...]:
        """Points that are not flagged."""
        return tuple(point for point in self.points if not point.flags)

    def __call__(self, soc: Array) -> tuple[Array, Array]:
        """Curve and half of its 95 % band [V/K] at states of charge ``(n,)``, both ``(n,)``."""
        at = self._arrays[0]
        logs, factor, weights = self._process
        across = _matern(np.asarray(soc, float), at, logs)
        known = np.exp(2 * logs[0]) - np.einsum("ij,ji->i", across, cho_solve(factor, across.T))
        mean = self._centre + across @ weights
        return mean * 1e-3, NORMAL * np.sqrt(np.maximum(known, 0.0)) * 1e-3

    @cached_property
    def _arrays(self) -> tuple[Array, Array, Array]:
        """State of charge, value and variance of the good points, in mV/K."""
        good = np.array([(p.soc, p.value_V_K * 1e3, (p.half_V_K * 1e3 / NORMAL) ** 2) for p in self.good])
        return good[:, 0], good[:, 1], good[:, 2]

    @property
    def _centre(self) -> float:
        return float(np.mean(self._arrays[1]))

    @cached_property
    def _process(self) -> tuple[Array, Any, Array]:
        """Logarithms of width [mV/K] and length, the factor of the covariance, and the weights of the points."""
        at, values, noise = self._arrays
        rest = values - self._centre

        def solved(logs: Array) -> tuple[Any, Array]:
            factor = cho_factor(_matern(at, at, logs) + np.diag(noise + 1e-12))
            return factor, cho_solve(factor, rest)

        def cost(logs: Array) -> float:
            factor, weights = solved(logs)
            prior = ((logs[1] - LENGTH[0]) / LENGTH[1]) ** 2 + (logs[0] - np.log(0.2)) ** 2
            return float(rest @ weights + 2 * np.log(np.diag(factor[0])).sum() + prior)

        logs = minimize(cost, [np.log(0.2), LENGTH[0]], method="L-BFGS-B", bounds=[(-7.0, 2.0), (-4.0, 1.0)]).x
        return logs, *solved(logs)

    def rows(self) -> list[tuple[str, ...]]:
        """Each point in words: state of charge, dU/dT and band in mV/K, curvature in uV/K2, notes."""
        return [
            (f"{p.soc:g}", *(f"{1e3 * x:.4f}" if np.isfinite(x) else "-" for x in _band(p)),
             f"{1e6 * p.curvature_V_K2:.2f}" if p.curvature_V_K2 else "-", "; ".join(p.flags))
            for p in self.points
        ]  # fmt: skip

    def to_csv(self, path: str | Path) -> None:
        """Write the points: state of charge, dU/dT and its 95 % band in mV/K, curvature, notes."""
        lines = ["soc,dU_dT_mV_K,low,high,d2U_dT2_uV_K2,left_out_mV_K,steps,note"]
        for p in self.points:
            numbers = [*(1e3 * x for x in _band(p)), 1e6 * p.curvature_V_K2, 1e3 * p.left_out_V_K]
            cells = [f"{x:.6g}" if np.isfinite(x) else "" for x in numbers]
            count = 0 if p.steps is None else len(p.steps.slope_V_K)
            lines.append(",".join([f"{p.soc:g}", *cells, str(count), "; ".join(p.flags).replace(",", "")]))
        write_whole(path, "\n".join(lines) + "\n")

    def cell(self, cell: Cell) -> Cell:
        """Copy of a cell with these points as its entropic coefficient, and their source."""
        at, values, _ = self._arrays
        table = {"x": at.tolist(), "y": [float(f"{value * 1e-3:.5g}") for value in values]}
        half = float(np.median([p.half_V_K for p in self.good])) * 1e3
        names = ", ".join(p.name for p in self.good)
        said = (
            f"Open-circuit voltage through temperature steps, relaxation and drift fitted beside it, at "
            f"{self.at_K - ZERO_DEGC_K:g} degC; 95 % band +- {half:.2g} mV/K (median). Recordings: {names}."
        )
        sources = {**cell.thermal.get("Sources", {}), ENTROPIC: {"description": said}}
        return cell.with_values({ENTROPIC: table if len(at) > 1 else table["y"][0], "Sources": sources})

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw the curve with its band, the points with theirs, and what each step says by its temperature."""
        drawn = figure(9.0, 5.0)
        axes = drawn.subplots()
        soc = np.linspace(min(p.soc for p in self.points), max(p.soc for p in self.points), 401)
        mean, half = (1e3 * x for x in self(soc))
        axes.fill_between(soc, mean - half, mean + half, color=ESTIMATE, alpha=0.2, lw=0, label="95 % band")
        axes.plot(soc, mean, color=ESTIMATE, lw=1.2)
        for flagged, mark in ((False, "o"), (True, "x")):
            some = [p for p in self.points if bool(p.flags) == flagged and np.isfinite(p.value_V_K)]
            if some:
                x, y, e = zip(*((p.soc, 1e3 * p.value_V_K, 1e3 * p.half_V_K) for p in some), strict=True)
                label = "flagged" if flagged else f"at {self.at_K - ZERO_DEGC_K:g} degC, 95 %"
                axes.errorbar(x, y, e, fmt=mark, ms=3.5, lw=1.0, capsize=2, color=ESTIMATE, label=label, zorder=4)
        told = [(p.soc, p.steps) for p in self.points if p.steps is not None]
        if told:
            dots = np.array([
                (soc, 1e3 * slope, middle - ZERO_DEGC_K)
                for soc, steps in told for slope, middle in zip(steps.slope_V_K, steps.middle_K, strict=True)
            ])  # fmt: skip
            seen = axes.scatter(*dots.T[:2], c=dots[:, 2], s=10, cmap="coolwarm", label="single steps", zorder=3)
            drawn.colorbar(seen, ax=axes, label="middle of the step, degC")
        axes.axhline(0, color=AMBIENT, lw=0.6)
        axes.set_xlabel("state of charge")
        axes.set_ylabel("dU/dT, mV/K")
        axes.set_title("entropic coefficient", fontsize=10, loc="left")
        axes.legend(fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        return save(drawn, path)


def entropic(
    recordings: Sequence[Recording],
    *,
    at_K: float = REFERENCE_K,
    levels_K: Sequence[float] = (),
    progress: Callable[[float, str], None] | None = None,
) -> EntropicCurve:
    """Entropic coefficient against state of charge, from recordings of `bmsthermal.potentiometry.read_steps`.

    Parameters
    ----------
    recordings
        One for each state of charge.
    at_K
        Temperature that the values are for [K].
    levels_K
        Temperatures that each recording ought to have been held at [K].
    progress
        Called with the share done and the name of the recording under way.

    Raises
    ------
    InputError
        If two recordings have one state of charge, or none has two temperature steps.
    """
    ordered = sorted(recordings, key=lambda run: run.soc)
    for one, other in pairwise(ordered):
        if one.soc == other.soc:
            raise InputError(
                f"{one.name!r} and {other.name!r} both have SOC {one.soc:g}", expected="one recording each"
            )
    points = []
    for i, run in enumerate(ordered):
        if progress is not None:
            progress(i / len(ordered), run.name)
        points.append(_point(run, at_K, levels_K))
    if all(point.flags for point in points):
        first = points[0] if points else None
        where, found = (first.name, first.flags[0]) if first else ("", "no recordings")
        raise InputError(found, where=where, expected="two or more temperature steps in at least one recording")
    return EntropicCurve(tuple(points), at_K)


def _point(run: Recording, at_K: float, levels_K: Sequence[float]) -> Point:
    steps = fit_steps(run)
    if steps is None:
        low, high = run.surface_K.min() - ZERO_DEGC_K, run.surface_K.max() - ZERO_DEGC_K
        moves = len(run.moves())
        found = f"{moves} temperature step{'s' * (moves != 1)} from {low:.1f} to {high:.1f} degC: too few or too short"
        return Point(run.soc, np.nan, np.nan, 0.0, np.nan, None, (found,), run.name)
    slopes, away = steps.slope_V_K, steps.middle_K - at_K
    value, half, curvature, order = combine(slopes, steps.covariance, away)
    count = len(slopes)
    rest = [np.delete(np.arange(count), k) for k in range(count)] if count - 1 > order else []
    left = [combine(slopes[i], steps.covariance[np.ix_(i, i)], away[i], order)[0] for i in rest]
    flags = [
        f"still moved by {creep:.1f} K in the last 10 minutes at {level - ZERO_DEGC_K:.0f} degC"
        for level, creep in zip(steps.levels_K, steps.creep_K, strict=True) if abs(creep) > CREEP_K
    ]  # fmt: skip
    flags += [
        f"no plateau at {wanted - ZERO_DEGC_K:g} degC"
        for wanted in dict.fromkeys(levels_K) if np.abs(steps.levels_K - wanted).min() > NEAR_K
    ]  # fmt: skip
    if not steps.levels_K.min() - NEAR_K <= at_K <= steps.levels_K.max() + NEAR_K:
        flags.append(f"{at_K - ZERO_DEGC_K:g} degC is outside of its temperatures")
    far = float(np.max(np.abs(np.array(left) - value))) if left else np.nan
    return Point(run.soc, value, half, curvature, far, steps, tuple(flags), run.name)


def combine(
    slopes: Array, covariance: Array, away_K: Array, order: int | None = None
) -> tuple[float, float, float, int]:
    """Combine the slopes of steps ``(k,)`` into one, with a spread between steps beside their own errors.

    The slope is a constant, or a straight line in the temperature where its trend is beyond chance. What the steps
    disagree by beyond their covariance is a variance between steps (DerSimonian and Laird 1986, Control. Clin. Trials
    7, 177), known by as many degrees of freedom as there are steps to spare (Satterthwaite).

    Parameters
    ----------
    slopes, covariance
        dU/dT of each step [V/K] and covariance.
    away_K
        Middle of each step less the wanted temperature [K].
    order
        Number of coefficients, 1 or 2; None lets the data choose.

    Returns
    -------
    tuple
        dU/dT [V/K], half of its 95 % band, d2U/dT2 [V/K2] (0 for a constant), and the number of coefficients.
    """
    if order is None:
        order = 1
        if len(slopes) > 2:
            found, errors, freedom = _weighted(slopes, covariance, away_K, 2)
            order += int(2 * student.sf(abs(found[1]) / errors[1], freedom) < CHANCE)
    found, errors, freedom = _weighted(slopes, covariance, away_K, order)
    half = float(student.ppf(0.975, freedom)) * float(errors[0])
    return float(found[0]), half, float(found[1]) if order == 2 else 0.0, order


def _weighted(slopes: Array, covariance: Array, away_K: Array, order: int) -> tuple[Array, Array, float]:
    """Coefficients of a polynomial in temperature, their errors, and the degrees of freedom of the first."""
    powers = np.vander(away_K, order, increasing=True)

    def solve(cov: Array) -> tuple[Array, Array, Array]:
        weight = np.linalg.inv(cov)
        inverse = np.linalg.inv(powers.T @ weight @ powers)
        found = inverse @ powers.T @ weight @ slopes
        return np.asarray(found, float), np.asarray(inverse, float), np.asarray(weight, float)

    found, alone, weight = solve(covariance)
    spare = len(slopes) - order
    left = slopes - powers @ found
    excess = float(left @ weight @ left) - spare
    freely = float(np.trace(weight - weight @ powers @ alone @ powers.T @ weight))
    between = max(excess / freely, 0.0) if spare else 0.0
    found, both, _ = solve(covariance + between * np.eye(len(slopes)))
    share = 1 - alone[0, 0] / both[0, 0]
    return found, np.sqrt(np.diag(both)), spare / max(share, 1e-3) ** 2 if spare else 1e6


def _matern(one: Array, other: Array, logs: Array) -> Array:
    """Matern 5/2 covariance at the logarithms of width and length, ``(len(one), len(other))``."""
    apart = np.sqrt(5.0) * np.abs(one[:, None] - other) / np.exp(logs[1])
    return np.asarray(np.exp(2 * logs[0]) * (1 + apart + apart**2 / 3) * np.exp(-apart))


def _band(point: Point) -> tuple[float, float, float]:
    return point.value_V_K, point.value_V_K - point.half_V_K, point.value_V_K + point.half_V_K

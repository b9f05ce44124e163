"""From a cell file and measured runs to the cell file of that cell: a posterior, not a best guess.

Ten numbers with priors (thirteen in r-z, and some that are asked for) explain
the surface (`bmsthermal.parameters`), a block likelihood weighs them
(`bmsthermal.posterior`), and what is left uncertain goes into the file as the
one number the observer needs, how far its core-to-surface gradient may be off.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import figures
from bmsthermal.identifiability import LEARNT, Identifiability
from bmsthermal.likelihood import laplace
from bmsthermal.parameters import DIGITS, EXTRAS, NOISES, Prior, contacted
from bmsthermal.posterior import Fit, Problem, Progress, minimum
from bmsthermal.run import Run
from bmsthermal.schema import LAG, SENSORS, SLOW, THERMAL

if TYPE_CHECKING:
    from pathlib import Path

#: Standard deviations of a normal distribution on either side that hold 95 % of it.
NORMAL_95 = 1.96
#: A parameter that ends further than this from its prior, in prior standard deviations, is named.
SURPRISE = 2.0


@dataclass(frozen=True)
class Parameter:
    """One number before and after; standard deviations are one sigma, linearised, in its unit.

    ``z`` and ``z_sd`` are the fit in prior standard deviations from the prior;
    ``information`` is the share of the prior variance that the data removed;
    ``low`` and ``high`` hold 95 % of the posterior, and are positive where the number is.
    """

    name: str
    unit: str
    prior: float
    prior_sd: float
    value: float
    sd: float
    z: float
    z_sd: float
    low: float
    high: float

    @property
    def slope(self) -> float:
        """Change of the number per prior standard deviation, where the fit is."""
        return self.sd / self.z_sd

    @property
    def information(self) -> float:
        """Share of the prior variance removed, 0 to 1."""
        return 1.0 - self.z_sd**2

    @classmethod
    def of(cls, prior: Prior, z: float, z_sd: float) -> Parameter:
        """Express a coordinate and its deviation in the unit of the number."""
        sd, reach = prior.slope(z) * z_sd, NORMAL_95 * z_sd
        return cls(
            prior.name, prior.unit, prior.value(0.0), prior.slope(0.0), prior.value(z), sd, z, z_sd,
            prior.value(z - reach), prior.value(z + reach),
        )  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` found.

    Parameters
    ----------
    cell
        The calibrated cell, with its ``Observer`` section; `Cell.save` writes it.
    parameters
        Every number before and after.
    gradient
        Relative uncertainty of core minus surface, as the observer sees it.
    covariance
        ``(p, p)``: posterior in prior standard deviations, in the order of `parameters`.
    initial_soc
        State of charge that each run was taken to start from.
    notes
        What a person should know before trusting it.
    fits
        Surface of each run, open loop.
    """

    cell: Cell
    parameters: tuple[Parameter, ...]
    gradient: float
    covariance: Array = field(repr=False)
    initial_soc: tuple[float, ...]
    notes: tuple[str, ...]
    fits: tuple[Fit, ...] = field(repr=False)

    def __repr__(self) -> str:
        k = self.parameters[0]
        return (
            f"Calibration({self.cell.name}: {k.name.lower()} {k.value:.3g} +- {k.sd:.2g} {k.unit}, "
            f"gradient {100 * self.gradient:.1f} % uncertain)"
        )

    def table(self) -> list[tuple[str, ...]]:
        """Rows of name, prior, its deviation, fitted value, 95 % interval low:high, unit, share learnt."""
        return [
            (
                p.name, figures(p.prior), figures(p.prior_sd), figures(p.value), f"{figures(p.low)}:{figures(p.high)}",
                p.unit, f"{100 * p.information:.0f} %",
            )
            for p in self.parameters
        ]  # fmt: skip

    def identifiability(self) -> Identifiability:
        """Which of the numbers of the observer the data told apart, whatever the fit thinks of its own errors."""
        physical = np.delete(np.arange(len(self.parameters)), NOISES)
        return Identifiability.of([self.parameters[i] for i in physical], self.covariance[np.ix_(physical, physical)])

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw measured and fitted surface, their difference, each number before and after, and their correlation.

        Returns
        -------
        matplotlib.figure.Figure
            Saved to `path` if given.
        """
        from bmsthermal.files import ZERO_DEGC_K
        from bmsthermal.plot import AMBIENT, ESTIMATE, SURFACE, figure, save

        drawn = figure(9.0, 7.5)
        grid = drawn.add_gridspec(3, 2, height_ratios=[3, 1.2, 3], width_ratios=[2.2, 1])
        top, middle, bottom = (drawn.add_subplot(place) for place in (grid[0, :], grid[1, :], grid[2, 0]))
        map_ = drawn.add_subplot(grid[2, 1])
        for i, fit in enumerate(self.fits):
            minutes, faint = fit.time_s / 60, 1 - 0.5 * i / len(self.fits)
            measured, fitted = fit.measured_K - ZERO_DEGC_K, fit.fitted_K - ZERO_DEGC_K
            top.plot(minutes, measured, color=SURFACE, alpha=faint, lw=1.2, label=f"{fit.name}, measured")
            top.plot(minutes, fitted, color=ESTIMATE, alpha=faint, lw=0.9, ls="--", label="fitted, open loop")
            middle.plot(minutes, measured - fitted, color=ESTIMATE, alpha=faint, lw=0.7)
        middle.axhline(0, color=AMBIENT, lw=0.6)
        middle.set_xlabel("time, minutes")
        rows = np.arange(len(self.parameters))[::-1]
        bottom.barh(rows, 4.0, left=-2.0, height=0.7, color=AMBIENT, alpha=0.2, label="prior, 2 sigma")
        z, reach = [p.z for p in self.parameters], [2 * p.z_sd for p in self.parameters]
        style = {"fmt": "o", "ms": 4, "color": ESTIMATE, "capsize": 3}
        bottom.errorbar(z, rows, xerr=reach, label="posterior, 2 sigma", **style)
        units = ["" if p.unit == "1" else f" {p.unit}" for p in self.parameters]
        labels = [f"{p.name}  {figures(p.value)}{unit}" for p, unit in zip(self.parameters, units, strict=True)]
        bottom.set_yticks(rows, labels)
        bottom.set_ylim(-0.5, len(rows) - 0.5)
        bottom.set_xlabel("prior standard deviations from the prior")
        sigma = np.sqrt(np.diag(self.covariance))
        correlation = self.covariance / np.outer(sigma, sigma)
        drawn.colorbar(map_.imshow(correlation, cmap="RdBu", vmin=-1, vmax=1, aspect="auto"), ax=map_)
        map_.set_xticks([])
        map_.set_yticks([])
        map_.set_xlabel("correlation, in the same order")
        for axes, label in ((top, "surface\ndegC"), (middle, "measured\nminus fitted, K")):
            axes.set_ylabel(label)
            axes.margins(x=0)
        top.legend(fontsize=8, frameon=False, loc="best")
        bottom.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
        for axes in drawn.axes:
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
        top.set_title(self.cell.name, fontsize=10, loc="left")
        return save(drawn, path)


def calibrate(
    cell: Cell,
    runs: Run | Sequence[Run],
    *,
    use: Sequence[str] = ("surface",),
    order: int | None = None,
    step_s: float = 1.0,
    initial_soc: float | None = None,
    thermal: Literal["r-z"] | None = None,
    extras: Collection[str] = (),
    progress: Progress | None = None,
) -> Calibration:
    """Fit a cell's thermal parameters to measured runs, with the spreads of its file as priors.

    Parameters
    ----------
    cell
        The cell, whose values are the prior.
    runs
        One run or several of the same rig; each starts from one temperature
        throughout. All numbers are shared and the likelihoods add.
    use
        Surface sensors, and ``core`` where its temperature may be used. Where
        it may not, it is taken off the runs before anything else happens.
    order, step_s
        Of the reduced model, and of the observer that is written; 4 states by default, 8 in r-z.
    initial_soc
        State of charge at the first row; by default from the rest voltage.
    thermal
        ``r-z`` for a cylinder that loses heat through its ends: with sensors along its side, the conductivity along
        the axis and the cooling of each end are learnt too. By default what the file's ``Observer`` section says.
    extras
        What is fitted beside: ``contact``, the contact resistance between roll and can; ``entropy shape``, what the
        entropic curve is multiplied, tilted and humped by. Priors are in `bmsthermal.parameters`.
    progress
        Told how far it is.

    Returns
    -------
    Calibration
        The calibrated cell and how sure it is. The same input gives the same cell.

    Raises
    ------
    InputError
        If a run lacks a sensor, current or voltage, is too short, or carries no current.
    """
    sensors = tuple(name for name in use if name != "core")
    if isinstance(use, str) or not sensors or len(set(use)) != len(use):
        expected = "surface sensors, each once, and perhaps 'core', in a list"
        raise InputError(f"use = {use!r}", expected=expected)
    if isinstance(extras, str) or not {*extras} <= {*EXTRAS}:
        raise InputError(f"extras = {extras!r}", expected=f"some of {', '.join(EXTRAS)}, in a list")
    cell = contacted(cell) if "contact" in extras else cell
    taken = (runs,) if isinstance(runs, Run) else tuple(runs)
    if "core" not in use:
        taken = tuple(replace(run, core_K=None) for run in taken)
    known = {digest: name for name, digest in cell.settings.get("Calibrated on", {}).items()}
    for run in taken:
        if run.digest in known:
            raise InputError(
                f"it was calibrated on {known[run.digest]} already, which would count twice",
                where=cell.name, hint="calibrate the file that it came from",
            )  # fmt: skip
    say = progress or (lambda share, doing: None)
    thermal = thermal or cell.settings.get(THERMAL)
    order = (8 if thermal else 4) if order is None else order
    problem = Problem(cell, taken, sensors, "core" in use, order, step_s, initial_soc, thermal, extras)
    z = minimum(problem.cost, len(problem.priors), say)
    say(0.6, "uncertainty")
    covariance = laplace(problem.cost, z)
    say(0.9, "core gradient")
    gradient = problem.gradient(z, covariance)
    sigma = np.sqrt(np.diag(covariance))
    parameters = tuple(map(Parameter.of, problem.priors, z.tolist(), sigma.tolist()))
    say(1.0, "done")
    return Calibration(
        _written(problem, z, gradient), parameters, gradient, covariance, tuple(problem.soc),
        (*problem.notes, *_lessons(parameters, problem.with_core)), problem.fits(z),
    )  # fmt: skip


def _written(problem: Problem, z: Array, gradient: float) -> Cell:
    """Return the cell as it goes into the file."""
    family, values = problem.family, problem.values(z)
    changed = family.changed(values, DIGITS)
    data = ", ".join(dict.fromkeys(run.name for run in problem.runs))
    used = ", ".join((*problem.sensors, *(["core"] if problem.with_core else [])))
    sources = dict(changed.thermal.get("Sources", {}))
    for key in family.keys:
        before = sources.get(key, {}).get("description", "no source")
        sources[key] = {"description": f"Calibrated on {data} ({used}). Prior: {before}"}
    noise = problem.deployed_noise(values)
    gradient, sensor_K = (float(f"{value:.{DIGITS}g}") for value in (gradient, noise.sensor_K))
    noise = replace(noise, gradient=gradient, sensor_K=sensor_K)
    places = family.cell.settings.get(SENSORS)
    section = {
        **family.cell.settings,
        "Order": family.base.order,
        "Step [s]": family.base.step_s,
        SENSORS: {name: places.get(name, {}) for name in problem.sensors}
        if isinstance(places, Mapping)
        else list(problem.sensors),
        **({THERMAL: family.thermal} if family.thermal else {}),
        "Ambient offset [K]": round(values.ambient_K, DIGITS),
        LAG: float(f"{values.lag_s:.{DIGITS}g}"),
        SLOW: float(f"{values.slow_heat:.{DIGITS}g}"),
        "Calibrated on": {**family.cell.settings.get("Calibrated on", {}), **problem.digests},
        **noise.document(),
    }
    return changed.with_values({"Sources": sources, "Observer": section})


def _lessons(parameters: tuple[Parameter, ...], with_core: bool) -> list[str]:
    """Say what came out unlike what was expected, what was not learnt, and what to do about it."""
    far = [
        f"{p.name.lower()} came out {abs(p.z):.1f} prior deviations from its prior: check what it stands for"
        for p in (*parameters[: NOISES.start], *parameters[NOISES.stop :])
        if abs(p.z) > SURPRISE
    ]
    k = parameters[0]
    if k.information >= LEARNT:
        return far
    sigma, prior = k.sd / k.value, k.prior_sd / k.prior
    hint = "" if with_core else ": supply it or a core reference"
    what = "the data" if with_core else "surface data"
    spread = f"posterior sd {sigma:.2f} of prior {prior:.2f}"
    return [*far, f"{what} added almost nothing on the conductivity ({spread}){hint}"]

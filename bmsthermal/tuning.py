r"""How sure an observer should be, from runs: its noise by the likelihood of predictions a minute ahead.

The very filter predicts each sensor over a window, and the log density of what was then read is summed over windows and
runs: errors from second to second, which resemble one another, count once a minute. Windows that still resemble one
another count as fewer, in the share of `bmsthermal.innovations.effective`, taken before the fit. Where the core was
measured and the cell was not fitted to that run, so does what the filter said of it: on a run that it was fitted to, a
core is followed better than it will be. With standard normal coordinates `z` of log-normal priors the sum

.. math:: \sum_{runs, channels} \frac{n_{eff}}{n} \sum_w \ln p(y_w) - \tfrac12 z'z

is largest: one noise for all runs. The search is Fisher's scoring, whose expected information
:math:`\partial e\,\partial e' / S + \partial S\,\partial S' / 2 S^2` is also how well the data tell each number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize

from bmsthermal.calibration import NORMAL_95, SURPRISE
from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import figures
from bmsthermal.identifiability import LEARNT
from bmsthermal.innovations import Ahead, effective, look_ahead
from bmsthermal.jointly import JointObserver
from bmsthermal.noise import Noise
from bmsthermal.observer import Observer
from bmsthermal.posterior import Progress
from bmsthermal.run import Run
from bmsthermal.schema import CALIBRATED
from bmsthermal.schema import TUNED as TUNED_ON

if TYPE_CHECKING:
    from pathlib import Path

#: Length of a window in s, the fewest that a run must have, and the most steps of the search.
AHEAD_S, FEWEST_WINDOWS, MOST = 60.0, 5, 30
#: Prior standard deviation of the logarithm of each number, a factor of 1.5 (2 let one rig teach an observer what was
#: wrong on another, 1.25 let it learn nothing); and how many of them it may move.
SPREAD, FARTHEST = float(np.log(1.5)), 3.0
#: What is tuned, by name of the noise, with its unit.
NAMES = {
    "heat_W_rts": ("Heat noise", "W s^0.5"), "sensor_K": ("Sensor noise", "K"),
    "heat": ("Relative heat noise", "s^0.5"), "discrepancy_K": ("Sensor discrepancy", "K"),
    "slow_heat": ("Relative slow heat", "1"), "slow_heat_W": ("Slow heat", "W"),
    "log_h_rth": ("Walk of ln h", "h^-0.5"), "bias_K": ("Sensor bias", "K"), "gradient": ("Gradient uncertainty", "1"),
    "offset_K": ("Offset uncertainty", "K"),
}  # fmt: skip
#: What must be estimated beside, if anything, for readings of the surface to tell it.
NEEDS = {
    "heat_W_rts": "", "sensor_K": "", "heat": "", "discrepancy_K": "", "slow_heat": "heat", "slow_heat_W": "heat",
    "log_h_rth": "h", "bias_K": "bias",
}  # fmt: skip
#: What only a measured core tells.
CORE = ("gradient", "offset_K")
#: Digits of what is written: more than the search's tolerance, fewer than two machines' rounding.
DIGITS = 4


@dataclass(frozen=True)
class Tuned:
    """One number: default, before, after, and 95 % of its posterior; ``information`` is the share of the prior removed.

    ``z`` is how many prior standard deviations from the default it came out.
    """

    name: str
    unit: str
    prior: float
    before: float
    value: float
    low: float
    high: float
    z: float
    information: float


@dataclass(frozen=True)
class Tuning:
    """What `tune` found.

    Parameters
    ----------
    observer
        With the noise that was found.
    parameters
        Every number before and after.
    runs
        Names of the runs, and their digests.
    before, after
        Predictions of each run.
    weights
        What a window counts of each run, ``(c,)``: one where neighbours are independent.
    notes
        What a person should know before trusting it.
    """

    observer: Observer
    parameters: tuple[Tuned, ...]
    runs: Mapping[str, str]
    before: tuple[Ahead, ...] = field(repr=False)
    after: tuple[Ahead, ...] = field(repr=False)
    weights: tuple[Array, ...] = field(repr=False)
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        said = ", ".join(f"{p.name.lower()} {p.value:.3g} {p.unit}" for p in self.parameters)
        return f"Tuning({self.observer.reduced.cell.name} on {', '.join(self.runs)}: {said})"

    @property
    def cell(self) -> Cell:
        """The cell with the ``Observer`` section that describes the observer; `Cell.save` writes it."""
        section = self.observer.section()
        return self.observer.reduced.cell.with_values(
            {"Observer": section | {TUNED_ON: {**section.get(TUNED_ON, {}), **self.runs}}}
        )

    def table(self) -> list[tuple[str, ...]]:
        """Rows of name, default, before, after, 95 % interval low:high, unit, share learnt."""
        return [
            (p.name, figures(p.prior), figures(p.before), figures(p.value), f"{figures(p.low)}:{figures(p.high)}",
             p.unit, f"{100 * p.information:.0f} %")
            for p in self.parameters
        ]  # fmt: skip

    def predictions(self) -> list[tuple[str, ...]]:
        """Rows of run and channel, windows and what they count as, NIS before and after, gain of log density each."""
        rows: list[tuple[str, ...]] = []
        for run, old, new, w in zip(self.runs, self.before, self.after, self.weights, strict=True):
            gain = new.scores() - old.scores()
            for c in range(len(w)):
                there = np.isfinite(old.error_K[:, c])
                count = max(int(there.sum()), 1)
                rows.append((
                    f"{run}, {self._channel(c)}", f"{there.sum()}", f"{w[c] * there.sum():.0f}",
                    f"{np.nanmean(old.nis[:, c]) if there.any() else np.nan:.2f}",
                    f"{np.nanmean(new.nis[:, c]) if there.any() else np.nan:.2f}", f"{gain[:, c].sum() / count:+.3f}",
                ))  # fmt: skip
        return rows

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw the errors a window ahead with their 2-sigma band, before and after, a row a channel.

        Returns
        -------
        matplotlib.figure.Figure
            Saved to `path` if given.
        """
        from bmsthermal.plot import AMBIENT, ESTIMATE, figure, save

        channels = max(len(w) for w in self.weights)
        drawn = figure(9.0, 1.2 + 2.2 * channels)
        panels = drawn.subplots(channels, 2, sharex=True, sharey="row", squeeze=False)
        for column, looks, title in ((0, self.before, "before"), (1, self.after, "after")):
            panels[0, column].set_title(title, fontsize=10, loc="left")
            end = 0
            for look in looks:
                at = end + np.arange(len(look.time_s))
                end += len(look.time_s)
                for c in range(look.error_K.shape[1]):
                    band, axes = 2 * np.sqrt(look.variance_K2[:, c]), panels[c, column]
                    axes.fill_between(at, -band, band, color=ESTIMATE, alpha=0.15, lw=0)
                    axes.plot(at, look.error_K[:, c], ".-", ms=3, lw=0.6, color=ESTIMATE)
                    axes.axvline(end - 0.5, color=AMBIENT, lw=0.6, ls=":")
        for c in range(channels):
            panels[c, 0].set_ylabel(f"{self._channel(c)}\nerror, K")
        for axes in panels.flat:
            axes.axhline(0, color=AMBIENT, lw=0.6)
            axes.margins(x=0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
        for axes in panels[-1]:
            axes.set_xlabel("window, one run after another")
        drawn.suptitle(f"{self.observer.reduced.cell.name}: predicted a window ahead, 2 sigma", fontsize=10)
        return save(drawn, path)

    def _channel(self, c: int) -> str:
        return (*self.observer.measured, "core")[c]


def tune(
    observer: Observer,
    runs: Run | Sequence[Run],
    *,
    initial_soc: float | None = None,
    ahead_s: float = AHEAD_S,
    progress: Progress | None = None,
) -> Tuning:
    """Find how sure an observer should be, one noise for all the runs.

    Parameters
    ----------
    observer
        Of temperatures, or with what it estimates beside; its model is taken as it is.
    runs
        One run or several, for training only, each from rest; a core in those that the cell was not calibrated on
        counts too.
    initial_soc
        State of charge at the first row; by default from the rest voltage.
    ahead_s
        Length of a window in s. One second is the likelihood of single innovations, which takes errors of the model
        for knowledge of the noise.
    progress
        Told how far it is.

    Returns
    -------
    Tuning
        The observer, and the cell file that describes it. The same input gives the same.

    Raises
    ------
    InputError
        If there is no run, one is too short, or the observer is on a reduced coupled model.
    """
    taken = (runs,) if isinstance(runs, Run) else tuple(runs)
    _check(observer, taken, ahead_s)
    say = progress or (lambda share, doing: None)
    fitted = {*observer.reduced.cell.settings.get(CALIBRATED, {}).values()}
    kept = [replace(run, core_K=None) if run.digest in fitted else run for run in taken]
    problem = Problem(observer, kept, ahead_s, initial_soc)
    count = iter(range(1, MOST + 1))
    found = minimize(
        problem.cost, np.zeros(len(problem.priors)), jac=lambda z: problem.slopes(z)[0],
        hess=lambda z: problem.slopes(z)[1], method="trust-exact", options={"gtol": 0.05, "maxiter": MOST},
        callback=lambda z: say(1 - 0.7 ** next(count), "tune"),
    )  # fmt: skip
    z, covariance = np.asarray(found.x), np.linalg.inv(problem.slopes(found.x)[1])
    noise = problem.noise(z, DIGITS)
    tuned = observer.changed(noise=noise)
    parameters = []
    for i, (name, prior) in enumerate(problem.priors.items()):
        reach = NORMAL_95 * float(np.sqrt(covariance[i, i]))
        before, value = (float(getattr(each, name)) for each in (observer.noise, noise))
        low, high = (prior * _factor(z[i] + sign * reach) for sign in (-1, 1))
        learnt = 1.0 - float(covariance[i, i])
        parameters.append(Tuned(*NAMES[name], prior, before, value, low, high, float(z[i]), learnt))
    digests = {run.name: run.digest for run in taken}
    say(1.0, "done")
    return Tuning(
        tuned, tuple(parameters), digests, tuple(problem.before), tuple(problem.look(noise)), tuple(problem.weights),
        tuple(_lessons(parameters, observer.reduced.cell, digests)),
    )  # fmt: skip


class Problem:
    """Minus the log posterior of the coordinates ``(p,)``, its slope and information; the last two for one place."""

    def __init__(self, observer: Observer, runs: Sequence[Run], ahead_s: float, initial_soc: float | None) -> None:
        self.observer, self.runs, self.ahead_s, self.initial_soc = observer, runs, ahead_s, initial_soc
        beside, noise = {*getattr(observer, "estimate", ())}, observer.noise
        defaults: Any = type(noise)()
        self.priors = {
            name: float(getattr(defaults, name))
            for name, needed in NEEDS.items()
            if hasattr(noise, name) and needed in {"", *beside}
        }
        if any(run.core_K is not None for run in runs):
            own = {name: float(getattr(noise, name)) for name in CORE}  # of this cell, as calibration has them
            self.priors |= {name: value for name, value in own.items() if value > 0}
        self._at: tuple[Array, tuple[Array, Array]] | None = None
        self.before = self.look(noise)
        self.weights = [share(each) for each in self.before]

    def noise(self, z: Array, digits: int = 17) -> Any:
        """Noise at coordinates ``(p,)``."""
        values = [prior * _factor(c) for prior, c in zip(self.priors.values(), z, strict=True)]
        changed = {name: float(f"{value:.{digits}g}") for name, value in zip(self.priors, values, strict=True)}
        return replace(self.observer.noise, **changed)

    def look(self, noise: Noise) -> list[Ahead]:
        """Predict along each run."""
        observer = self.observer.changed(noise=noise)
        return [look_ahead(observer, run, self.ahead_s, self.initial_soc) for run in self.runs]

    def cost(self, z: Array) -> float:
        """Minus the log posterior."""
        return self.judge(self.look(self.noise(z))) + float(z @ z) / 2

    def judge(self, looks: Sequence[Ahead]) -> float:
        """Minus the log likelihood of predictions."""
        return -float(sum((w * each.scores()).sum() for w, each in zip(self.weights, looks, strict=True)))

    def slopes(self, z: Array) -> tuple[Array, Array]:
        """Gradient ``(p,)`` and expected information ``(p, p)``."""
        if self._at is None or not np.array_equal(self._at[0], z):
            self._at = np.array(z), self._slopes(np.array(z))
        return self._at[1]

    def _slopes(self, z: Array) -> tuple[Array, Array]:
        step, here = 1e-3, self.look(self.noise(z))
        near = [self.look(self.noise(z + step * row)) for row in np.eye(len(z))]
        gradient, information = z.copy(), np.eye(len(z))
        for i, (at, w) in enumerate(zip(here, self.weights, strict=True)):
            w = w * np.isfinite(at.error_K)
            e, S = np.nan_to_num(at.error_K), at.variance_K2
            de = np.array([np.nan_to_num(each[i].error_K) - e for each in near]) / step
            dS = np.array([each[i].variance_K2 - S for each in near]) / step
            gradient += (w * (0.5 * dS / S * (1 - e**2 / S) + de * e / S)).sum(axis=(1, 2))
            information += np.einsum("pwc,qwc,wc->pq", de, de, w / S) + np.einsum(
                "pwc,qwc,wc->pq", dS, dS, w / S**2 / 2
            )
        return gradient, information


def _factor(z: float) -> float:
    """What a coordinate multiplies the prior's median by: no more than three prior deviations."""
    return float(np.exp(SPREAD * FARTHEST * np.tanh(z / FARTHEST)))


def _check(observer: Observer, runs: Sequence[Run], ahead_s: float) -> None:
    """Refuse what cannot be tuned."""
    where = observer.reduced.cell.name
    if type(observer) not in (Observer, JointObserver):
        raise InputError(
            "the observer on a coupled model", where=where, expected="one of temperatures, with estimate or without",
            hint='tune one on CoupledModel(cell, heat="measured")',
        )  # fmt: skip
    if not isinstance(ahead_s, int | float) or not observer.reduced.step_s <= ahead_s < np.inf:
        raise InputError(f"ahead_s = {ahead_s!r}", where=where, expected=f"at least {observer.reduced.step_s:g} s")
    if not runs:
        raise InputError("no runs", where=where, expected="at least one")
    for run in runs:
        seconds, needed = run.time_s[-1] - run.time_s[0], (FEWEST_WINDOWS + 2) * ahead_s
        if seconds < needed:
            raise InputError(f"a run of {seconds:g} s", where=run.name, expected=f"at least {needed:g} s to tune on")


def _lessons(parameters: Sequence[Tuned], cell: Cell, digests: Mapping[str, str]) -> list[str]:
    """Say what the runs did not tell, what came out far from its default, and what was fitted to the same runs."""
    said = []
    if unknown := [p.name.lower() for p in parameters if p.information < LEARNT]:
        said.append(f"the runs say little about {', '.join(unknown)}: as before the data")
    said += [
        f"{p.name.lower()} came out {abs(p.z):.1f} prior deviations from its default: the model may be what is wrong"
        for p in parameters
        if abs(p.z) > SURPRISE
    ]
    seen = cell.settings.get(CALIBRATED, {})
    if both := [name for name, digest in digests.items() if digest in seen.values()]:
        said.append(
            f"the cell was calibrated on {', '.join(both)} too: its errors there are smaller than elsewhere, and "
            "a core there does not count"
        )
    return said


def share(look: Ahead) -> Array:
    """Weight ``(c,)`` of a window of each channel: independent ones over those that there are."""
    scaled = look.error_K / np.sqrt(look.variance_K2)
    return np.array([effective(x) / max(np.isfinite(x).sum(), 1) for x in scaled.T])

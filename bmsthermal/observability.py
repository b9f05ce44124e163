"""What the sensors tell of what an observer is asked to estimate, before it has run.

Two answers. At operating points that stay as they are, the rank of the observability matrix, with all that lasts longer
than the run taken for constant: exact, and blind to noise. Along a nominal drive and rest (`bmsthermal.information`),
the share of the prior variance that the readings take, with every noise of the filter.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.information import REST_S, cooling, passage
from bmsthermal.joint import KINDS
from bmsthermal.observer import Observer
from bmsthermal.reduction import ReducedModel

if TYPE_CHECKING:
    from bmsthermal.operating import Point
    from bmsthermal.placement import Place

#: Share of the prior variance that the nominal run must take, or the request is refused: of what lasts, a third; of
#: the slow heat, which is forgotten in 10 minutes and whose prior is a few percent of the heat, anything.
NEEDED = {"h": 1 / 3, "heat": 0.05, "bias": 1 / 3}
#: Correlation from which a partner is named.
PARTNER = 0.3
#: What else a reading that tells nothing of a kind can be.
INSTEAD = {
    "h": "less cooling of a face is as well less of another, or more heat",
    "heat": "more heat is as well less cooling",
    "bias": "a warmer reading is as well more heat, less cooling or a warmer ambient",
}


@dataclass(frozen=True)
class Observability:
    """What a nominal run tells; ``p`` quantities, ``k`` times.

    Parameters
    ----------
    cell, sensors, kinds
        Of the observer, and what it is asked for, of `bmsthermal.joint.KINDS`.
    names, of
        Quantities, and the kind of each; empty for what is never asked for: mean temperature, core, ambient.
    time_s
        ``(k,)``.
    prior, sigma
        ``(k, p)``: standard deviations without and with the readings; of ln h, in W, in K.
    correlation
        ``(p, p)``: at the end, with the readings.
    information
        Of the directions of what is asked for, descending: what the readings add, over what the prior knows.
    observer
        Whose it is.
    """

    cell: str
    sensors: tuple[str, ...]
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    of: tuple[str, ...]
    time_s: Array = field(repr=False)
    prior: Array = field(repr=False)
    sigma: Array = field(repr=False)
    correlation: Array = field(repr=False)
    information: Array = field(repr=False)
    observer: Observer = field(repr=False)

    def __repr__(self) -> str:
        said = f"refused: {', '.join(self.refused)}" if self.refused else "all told"
        return (
            f"Observability({self.cell}: {', '.join(self.sensors)}; {', '.join(self.kinds)}: "
            f"rank {self.rank} of {len(self.information)}, {said})"
        )

    @property
    def asked(self) -> list[int]:
        """Which quantities are asked for."""
        return _asked(self.observer.reduced, self.names, self.of, self.kinds)

    @property
    def rank(self) -> int:
        """Number of directions of what is asked for of which the readings know more than the prior."""
        return int((self.information >= 1.0).sum())

    @cached_property
    def told(self) -> Array:
        """Share of the prior variance that the readings take when they know most, ``(p,)``."""
        return np.asarray((1.0 - (self.sigma / self.prior) ** 2).max(axis=0))

    @property
    def refused(self) -> tuple[str, ...]:
        """Kinds of which something is not told."""
        missing = {self.of[i] for i in self.asked if self.told[i] < NEEDED[self.of[i]]}
        return tuple(kind for kind in self.kinds if kind in missing)

    def after_s(self, i: int) -> float:
        """Time in s at which enough of quantity `i` is told; infinite if it never is."""
        enough = 1.0 - (self.sigma[:, i] / self.prior[:, i]) ** 2 >= NEEDED[self.of[i]]
        return float(self.time_s[enough.argmax()]) if enough.any() else float("inf")

    def partner(self, i: int) -> tuple[str, float]:
        """The quantity that `i` is most confused with at the end, and their correlation."""
        others = np.where(np.arange(len(self.names)) == i, 0.0, self.correlation[i])
        j = int(np.abs(others).argmax())
        return self.names[j], float(others[j])

    def rows(self) -> list[tuple[str, ...]]:
        """Rows of a table: quantity, sigma before and after, share told, when, confused with."""
        rows: list[tuple[str, ...]] = []
        for i in self.asked:
            name, correlation = self.partner(i)
            after = self.after_s(i)
            unit = {"h": "of ln h", "heat": "W", "bias": "K"}[self.of[i]]
            rows.append((
                self.names[i], f"{self.prior[-1, i]:.2g} {unit}", f"{self.sigma[-1, i]:.2g}",
                f"{100 * self.told[i]:.0f} %", "never" if np.isinf(after) else f"{after:.0f} s",
                f"{name} ({correlation:+.2f})" if abs(correlation) >= PARTNER else "",
            ))  # fmt: skip
        return rows

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Ranks at operating points, and over all of them together."""
        from bmsthermal.operating import points

        return points(self.observer, self.sensors, self.kinds)

    def placement(self, beside: bool = False) -> tuple[Place, ...]:
        """How sure the core would be with one sensor at each place of a side and its ends, in r-z, the best first.

        Parameters
        ----------
        beside
            Whether the sensors that are there stay; else it is the only one.
        """
        from bmsthermal.placement import placement

        return placement(self.observer, self.kinds, self.sensors if beside else ())

    def refusal(self) -> InputError | None:
        """Return what is wrong with the request, with what would mend it; None where nothing is."""
        if not self.refused:
            return None
        kind = self.refused[0]
        worst = min((i for i in self.asked if self.of[i] == kind), key=lambda i: self.told[i])
        sensors = "one sensor alone" if len(self.sensors) == 1 else f"{len(self.sensors)} sensors"
        found = (
            f"estimate {kind} with {sensors}, {', '.join(self.sensors)}: {self.time_s[-1] / 60:.0f} minutes of drive "
            f"and rest take {100 * self.told[worst]:.0f} % of the variance of the {self.names[worst]}"
        )
        expected = f"{100 * NEEDED[kind]:.0f} % or more"
        if kind == "h" and not self.observer.reduced.conductance_W_K.any():
            return InputError(found, where=self.cell, expected=expected, hint="no heat flows through its walls: set h")
        mends = (
            " or ".join(self._mends(kind)) or "no other sensor, rest or known ambient that was tried tells them apart"
        )
        return InputError(found, where=self.cell, expected=expected, hint=f"{INSTEAD[kind]}; it would take {mends}")

    def _mends(self, kind: str) -> list[str]:
        """What would make a kind told: sensors, a rest, a known ambient, a known cooling."""
        known_K = self.observer.noise.offset_K
        tried: list[tuple[str, dict[str, Any]]] = [
            ("a rest of 2 h", {"rest_s": 7200.0}),
            (f"an ambient known to {known_K:g} K", {"ambient_K": known_K}),
            (f"a rest of 2 h in an ambient known to {known_K:g} K", {"rest_s": 7200.0, "ambient_K": known_K}),
            ("a known h", {"cooling_known": kind != "h"}),
        ]
        mends: dict[str, dict[str, Any]] = {}
        for name, given in tried:
            # both of two is not worth saying where one is enough
            if not any(one.items() <= given.items() for one in mends.values()):
                found = observability(self.observer, self.kinds, measured=self.sensors, **given)
                mends |= {name: given} if kind not in found.refused else {}
        return [mend for mend in (self._more_sensors(kind), *mends) if mend]

    def _more_sensors(self, kind: str) -> str:
        """The fewest further sensors that tell it, taken one by one, each the one that tells most."""
        sensors: tuple[str, ...] = self.sensors
        for _ in range(3):
            more = [name for name in _places(self.observer.reduced, sensors) if name not in sensors]
            found = [observability(self.observer, self.kinds, measured=(*sensors, name)) for name in more]
            if not found:
                break
            best = max(found, key=lambda one: sum(one.told[i] for i in one.asked if one.of[i] == kind))
            sensors = best.sensors
            if kind not in best.refused:
                added = sensors[len(self.sensors) :]
                return f"{'another sensor' if len(added) == 1 else 'more sensors'} ({', '.join(added)})"
        return ""

    def verify(self) -> None:
        """Check the answer: readings never add variance, correlations are such, a rank is no more than the states.

        Raises
        ------
        ArithmeticError
            If one of them does not hold.
        """
        if (self.sigma > self.prior * (1 + 1e-9)).any():  # rounding of the recursion
            raise ArithmeticError("a reading made something less sure")
        if np.abs(self.correlation).max() > 1 + 1e-9 or (self.information < -1e-9).any():
            raise ArithmeticError("a covariance is not one")
        if any(not 0 <= point.rank <= point.states for point in self.points):
            raise ArithmeticError("a rank is not that of the states")

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw how each sigma falls along the nominal run, over what it is without readings.

        Returns
        -------
        matplotlib.figure.Figure
            Saved to `path` if given.
        """
        from bmsthermal.plot import AMBIENT, figure, save

        drawn = figure()
        axes = drawn.subplots()
        for i in self.asked:
            axes.plot(self.time_s / 60, self.sigma[:, i] / self.prior[:, i], lw=1.4, label=self.names[i])
        for kind in self.kinds:
            axes.axhline(np.sqrt(1 - NEEDED[kind]), color=AMBIENT, lw=0.7, ls=":")
        axes.set(
            xlabel="time, minutes: drive, then rest", ylabel="sigma over what it is without readings", ylim=(0, 1.05)
        )
        axes.set_title(f"{self.cell}, {', '.join(self.sensors)}", fontsize=10, loc="left")
        axes.set_title("dotted: needed", fontsize=9, loc="right")
        axes.legend(fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0)
        return save(drawn, path)


def observability(
    observer: Observer, kinds: Collection[str] | None = None, *, measured: Sequence[str] | None = None,
    rest_s: float = REST_S, ambient_K: float | None = None, cooling_known: bool = False,
) -> Observability:  # fmt: skip
    """Say what a nominal run tells an observer of what it is asked for.

    Parameters
    ----------
    observer
        An observer on a reduced conduction model, whether it estimates something beside or not.
    kinds
        Of `bmsthermal.joint.KINDS`; by default those that it estimates, or all.
    measured
        Other sensors than its own.
    rest_s
        Length of the rest after the drive.
    ambient_K, cooling_known
        How sure the ambient's thermometer is, by default half as sure as a sensor; whether h is known.

    Raises
    ------
    InputError
        If a kind is not one, or the observer's model is a coupled one.

    Examples
    --------
    >>> from bmsthermal import CoupledModel, Observer, load_cell
    >>> from bmsthermal.observability import observability
    >>> observer = Observer(CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=4))
    >>> observability(observer, ["h", "bias"]).refused
    ('bias',)
    """
    if not isinstance(observer.reduced, ReducedModel):
        raise InputError("observability of a coupled observer", expected="a model of conduction, heat='measured'")
    if kinds is None:
        kinds = getattr(observer, "estimate", ()) or KINDS
    if isinstance(kinds, str) or not kinds or not {*kinds} <= {*KINDS}:
        raise InputError(
            f"estimate = {kinds!r}", where=observer.reduced.cell.name, expected=f"some of {', '.join(KINDS)}"
        )
    kinds, sensors = tuple(kind for kind in KINDS if kind in kinds), tuple(measured or observer.measured)
    way = passage(observer, sensors, kinds, rest_s=rest_s, ambient_K=ambient_K, cooling_known=cooling_known)
    names, of, L = _quantities(observer.reduced, sensors, way.layout.places, len(way.P))
    with_, without = (L @ way.covariances(seen) @ L.T for seen in (True, False))
    sigma, prior = (np.sqrt(np.diagonal(P, axis1=1, axis2=2)) for P in (with_, without))
    asked = _asked(observer.reduced, names, of, kinds)
    # what is asked for is uncorrelated before the readings: a scale is all that whitens it
    scale = np.outer(prior[-1, asked], prior[-1, asked])
    share = np.linalg.eigvalsh(with_[-1][np.ix_(asked, asked)] / scale)
    return Observability(
        observer.reduced.cell.name, sensors, kinds, names, of, np.append(0.0, way.time_s + way.time_s[1]), prior, sigma,
        with_[-1] / np.outer(sigma[-1], sigma[-1]), 1.0 / np.maximum(share, 1e-15) - 1.0, observer,
    )  # fmt: skip


def _asked(reduced: ReducedModel, names: Sequence[str], of: Sequence[str], kinds: Collection[str]) -> list[int]:
    """Which quantities are asked for: of the kinds, but for the cooling of a wall that is insulated beside others."""
    g = reduced.conductance_W_K
    insulated = {f"h of {wall}" for wall, each in zip(reduced.walls, g, strict=True) if g.any() and not each}
    return [i for i, kind in enumerate(of) if kind in kinds and names[i] not in insulated]


def _quantities(
    reduced: ReducedModel, sensors: Sequence[str], at: dict[str, slice], states: int
) -> tuple[tuple[str, ...], tuple[str, ...], Array]:
    """Names of the quantities, their kinds, and the rows ``(p, N)`` that read them from the states."""
    names = [*cooling(reduced), "slow heat", *(f"offset of {name}" for name in sensors)]
    of = ["h"] * len(cooling(reduced)) + ["heat"] + ["bias"] * len(sensors)
    one = np.eye(states)
    L = np.vstack([one[at["h"]], one[at["heat"]], one[at["bias"]], np.zeros((2, states)), one[-1:]])
    L[-3:-1, at["thermal"]] = reduced.outputs[[1, 0]]
    return (*names, "mean temperature", "core", "ambient"), (*of, "", "", ""), L


def _places(reduced: ReducedModel, sensors: Sequence[str]) -> list[str]:
    """Names of sensors that could be added."""
    if reduced.resolution == "r-z":
        return ["surface", "surface_left", "surface_right", "surface_bottom", "surface_top"]
    return [f"{sensors[0]}_{len(sensors) + 1}", *(f"surface_{wall}" for wall in reduced.walls[1:])]

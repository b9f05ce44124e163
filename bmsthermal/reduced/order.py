"""Which states a reduced cell needs: the one that is missed least goes, until the errors are too large."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from bmsthermal.reduced.build import LARGEST, POINTS, SMALLEST, Ingredients, Sizes, ends
from bmsthermal.reduced.judge import Referee, trial
from bmsthermal.reduced.measures import CaseError, Trial
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.packing import CLASSES
from bmsthermal.reduced.trace import Trace

#: Core errors may be this share of the core's rise, where that is more than what was asked for.
SHARE = 0.01
#: Mean heat may be wrong by this share; single voltages by so many times what was asked for in the mean.
HEAT, PEAK = 0.01, 4.0
#: Where the errors cannot be had, a reduction that is so many times as bad as the best is as good.
NEARLY = 1.1


@dataclass(frozen=True)
class Wanted:
    """Errors that are allowed.

    Parameters
    ----------
    core_K
        Of the core; or `SHARE` of its rise, if that is more.
    voltage_V
        Of the voltage, rms.
    """

    core_K: float = 0.1
    voltage_V: float = 0.005

    def ratio(self, errors: Sequence[CaseError]) -> float:
        """Largest error over what is allowed; 1 or less is good enough."""
        return max((self.of(error) for error in errors if error.scored), default=float("inf"))

    def mean(self, errors: Sequence[CaseError]) -> float:
        """Root mean square of the same: what falls with every state that helps somewhere."""
        ratios = [self.of(error) for error in errors if error.scored]
        return math.sqrt(sum(ratio**2 for ratio in ratios) / len(ratios)) if ratios else float("inf")

    def of(self, error: CaseError) -> float:
        """The same of one case."""
        return max(
            error.core_K / max(self.core_K, SHARE * error.rise_K), error.voltage_rms_V / self.voltage_V,
            error.voltage_max_V / (PEAK * self.voltage_V), error.heat / HEAT,
        )  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """A reduction that was judged."""

    sizes: Sizes
    model: ReducedCell
    errors: tuple[CaseError, ...]
    ratio: float
    mean: float

    @property
    def trial(self) -> Trial:
        """What the certificate says of it."""
        return trial(self.model, self.sizes.method, str(self.sizes), self.errors)


class Search:
    """Every reduction that was tried, each once.

    Parameters
    ----------
    ingredients
        What they are made from.
    traces
        What they are judged by.
    wanted
        Errors that are allowed.
    report
        Called with the number of states under trial.
    """

    least, most = SMALLEST, LARGEST

    def __init__(
        self, ingredients: Ingredients, traces: Sequence[Trace], wanted: Wanted, report: Callable[[int], None]
    ) -> None:
        initial = ingredients.model.cell.electrochemistry.electrolyte.initial_concentration_mol_m3
        self.referees = [Referee(trace, ingredients.step_s, initial) for trace in traces]
        self.ingredients, self.wanted, self.report = ingredients, wanted, report
        self.least, self.most = ends(ingredients.model)
        self.tried: dict[Sizes, Tried] = {}

    def judge(self, sizes: Sizes) -> Tried:
        """Build and judge one."""
        if sizes not in self.tried:
            self.report(sizes.states)
            model = self.ingredients.build(sizes)
            errors = tuple(referee.judge(model) for referee in self.referees)
            self.tried[sizes] = Tried(sizes, model, errors, self.wanted.ratio(errors), self.wanted.mean(errors))
        return self.tried[sizes]

    def best(self, candidates: Iterable[Sizes]) -> Tried:
        """Judge some and return the best over all cases; of equals the first."""
        return min((self.judge(sizes) for sizes in candidates), key=lambda tried: tried.mean)

    def smallest(self, states: int | None = None) -> Tried:
        """Shrink from the largest by the state that is missed least, and keep the smallest that is good enough.

        Growing finds less: two states that help only together are never tried. At the end a state of one kind
        is given for one of another as long as that helps.

        Parameters
        ----------
        states
            That many, if given. Else as few as keep the errors small enough; where that cannot be had, as few
            as are nearly as good as the best.
        """
        path = [self.judge(self.most)]
        while path[-1].sizes.states > (self.least.states if states is None else states):
            fewer = [sizes for sizes in path[-1].sizes.less(self.least) if sizes.states >= self.least.states]
            if not fewer:
                break
            path.append(self.best(fewer))
        if states is not None:
            return self._lighter(self._swapped(path[-1]))
        enough = max(1.0, NEARLY * min(tried.ratio for tried in self.tried.values()))
        good = [tried for tried in self.tried.values() if tried.ratio <= enough]
        return self._lighter(self._swapped(min(good, key=lambda tried: (tried.sizes.states, tried.ratio))))

    def _swapped(self, found: Tried) -> Tried:
        """Give one state for one of another kind as long as it helps."""
        while True:
            others = {made for less in found.sizes.less(self.least) for made in less.more() if made != found.sizes}
            best = self.best(sorted(others)) if others else found
            if best.ratio >= found.ratio:
                return found
            found = best

    def _lighter(self, found: Tried) -> Tried:
        """As many states in the kernel's smallest class of sizes, which costs half, if they are nearly as good."""
        modes, thermal, shapes = CLASSES[0]
        if self.least.thermal > thermal or found.sizes.states != thermal + shapes + 2 * modes + 1:
            return found
        splits = [(modes - further, further) for further in range(modes - SMALLEST.negative[0] + 1)]
        light = self.best(Sizes(thermal, shapes, n, p, found.sizes.points) for n in splits for p in splits)
        return light if light.ratio <= max(1.0, NEARLY * found.ratio) else found

    def points(self, found: Tried) -> Tried:
        """Compare maps of the reaction with the same states; fewer points where they are good enough, else the best."""
        maps = [replace(found.sizes, points=points) for points in POINTS if points[0] > 1]
        flat = replace(
            found.sizes, points=(1, 1), negative=(sum(found.sizes.negative), 0), positive=(sum(found.sizes.positive), 0)
        )
        compared = [self.judge(sizes) for sizes in (flat, *maps) if sizes.fits]
        enough = [tried for tried in compared if tried.ratio <= 1.0]
        return enough[0] if enough else min(compared, key=lambda tried: tried.ratio)

"""From a full model and wanted errors to a reduced cell with its certificate: sweep, search, certify."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import is_number
from bmsthermal.dfn.particle import check_whole
from bmsthermal.errors import InputError
from bmsthermal.reduced import certify
from bmsthermal.reduced.build import Ingredients, check_reducible, ends
from bmsthermal.reduced.certificate import Certificate
from bmsthermal.reduced.measures import CaseError
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.order import SHARE, Search, Tried, Wanted
from bmsthermal.reduced.range import Range
from bmsthermal.reduced.sweep import sweep
from bmsthermal.reduced.training import check_cases, middle_h, training_cases

#: Share of the work that is the sweep, and that is done when the search is.
SWEPT, SEARCHED = 0.7, 0.95
#: Reductions that a search tries, about: for the bar.
TRIALS = 150
#: A pole that is 1 to this is a conserved quantity: differences of the step keep nine digits.
ONE = 1e-7


def reduce(
    model: CoupledModel,
    *,
    core_K: float | None = None,
    voltage_V: float | None = None,
    order: int | None = None,
    wanted: Range | None = None,
    step_s: float = 1.0,
    workers: int | None = None,
    cluster: str | None = None,
    cache: Path | None = None,
    progress: Callable[[float, str], None] = lambda share, doing: None,
) -> ReducedCell:
    """Reduce the full coupled model of a cell; see `bmsthermal.CoupledModel.reduce`.

    Raises
    ------
    InputError
        If an option of the model cannot be carried, or a number is out of its limits.
    """
    check_reducible(model)
    if order is not None:
        check_whole(order, "order", *(sizes.states for sizes in ends(model)))
        if core_K is not None or voltage_V is not None:
            raise InputError("order with core_K or voltage_V", expected="one or the other")
    for name, value in (("core_K", core_K), ("voltage_V", voltage_V)):
        if value is not None and not (is_number(value) and 1e-6 <= value <= 100):
            raise InputError(f"{name}={value!r:.60}", expected="a number from 1e-6 to 100")
    range_ = Range() if wanted is None else wanted
    goal = Wanted()
    goal = Wanted(goal.core_K if core_K is None else float(core_K), goal.voltage_V if voltage_V is None else voltage_V)
    training, checks = training_cases(range_), check_cases(range_)
    traces = sweep(
        model, [*training, *checks], workers=workers, cluster=cluster, cache=cache,
        progress=lambda share, name: progress(SWEPT * share, f"full model: {name}"),
    )  # fmt: skip
    ingredients = Ingredients(model, traces[: len(training)], step_s)

    def report(states: int) -> None:
        share = min(1.0, len(search.tried) / TRIALS)
        progress(SWEPT + (SEARCHED - SWEPT) * share, f"reductions: {states} states")

    search = Search(ingredients, traces[len(training) :], goal, report)
    if not any(referee.until[0] > 0 for referee in search.referees):
        raise InputError("no run to judge by began", where=model.cell.name, hint="is the range what the cell can do?")
    found = search.points(search.smallest(order))
    progress(SEARCHED, "certificate")
    certificate = _certificate(model, found, search, goal, range_, asked=order is None)
    certificate.verify()
    found.model.verify()
    return replace(found.model, certificate=certificate)


def _certificate(
    model: CoupledModel, found: Tried, search: Search, goal: Wanted, range_: Range, *, asked: bool
) -> Certificate:
    h = middle_h(range_)
    insulated = certify.poles(found.model, 0.0)
    trials = sorted(search.tried.values(), key=lambda tried: (tried.sizes.method, tried.sizes.states, tried.mean))
    kept = [tried for tried in trials if _leads(tried, trials) or tried is found]
    scored = [error for error in found.errors if error.scored]
    return Certificate(
        model.cell.name, model.cell.digest, found.model.step_s, range_, goal.core_K if asked else None,
        goal.voltage_V if asked else None, found.ratio <= 1.0 or not asked, _limit(found, goal) if asked else "",
        tuple(tried.trial for tried in kept), found.errors, tuple(certify.poles(found.model, h).tolist()),
        conserved=2, poles_at_one=int((abs(insulated - 1.0) < ONE).sum()), dc=certify.steady(model, found.model, h),
        energy=max(error.energy for error in scored), frequency=certify.response(model, found.model),
        chosen=kept.index(found),
    )  # fmt: skip


def _leads(tried: Tried, others: list[Tried]) -> bool:
    """Whether it is the best of its method with so many states."""
    same = [t for t in others if (t.sizes.method, t.sizes.states) == (tried.sizes.method, tried.sizes.states)]
    return tried is min(same, key=lambda t: t.mean)


def _limit(found: Tried, goal: Wanted) -> str:
    """What was reached, and what stands in the way."""
    if found.ratio <= 1.0:
        return ""
    worst: CaseError = max((error for error in found.errors if error.scored), key=goal.of)
    beyond = sum(goal.of(error) > 1.0 for error in found.errors if error.scored)
    allowed = max(goal.core_K, SHARE * worst.rise_K)
    why = ", where the salt runs low" if worst.why == "salt" or "C " in worst.case else ""
    return (
        f"{beyond} of {sum(error.scored for error in found.errors)} runs are beyond what was asked for; the worst is "
        f"{worst.case}{why}: core {worst.core_K:.2g} K (allowed {allowed:.2g} K), voltage "
        f"{1e3 * worst.voltage_rms_V:.2g} mV rms (allowed {1e3 * goal.voltage_V:.2g} mV) and "
        f"{1e3 * worst.voltage_max_V:.2g} mV at most. "
        f"More states do not help; a narrower range of rates or ambients does"
    )

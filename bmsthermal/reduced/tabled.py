"""A certificate in words: its verdict and its tables, the same on the console, in a text and on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmsthermal.pages import Table
from bmsthermal.reduced.measures import CaseError

if TYPE_CHECKING:
    from bmsthermal.reduced.certificate import Certificate

#: How far a pole may be outside the unit circle, and how much of the energy or of a steady gain may be missing.
POLE, EXACT = 1e-9, 1e-6
#: Columns that a narrow console has room for.
NARROW = {
    "cases": ("case", "ended by", "core K", "voltage rms mV"),
    "trials": ("method", "states", "core K", "voltage rms mV", "worst case"),
}
#: What ended the judgement of a case.
ENDS = {
    "cut-off": "the voltage reached its cut-off",
    "salt": "the full model ran short of salt",
    "hot": "it got hotter than the range",
    "end": "the run was over",
}


def verdict(certificate: Certificate) -> str:
    """Say in words what was reached, where it is worst, and whether that was wanted."""
    c, trial = certificate, certificate.trial
    core, voltage = c.worst("core_K"), c.worst("voltage_rms_V")
    states = "" if trial is None else f"{trial.states} states: "
    if core is None or voltage is None:
        return f"{states}no case was long enough to be scored. {c.limit}".strip()
    found = (
        f"{states}core within {core.core_K:.3g} K (worst: {core.case}), voltage within "
        f"{1e3 * voltage.voltage_rms_V:.3g} mV rms (worst: {voltage.case})"
    )
    goals = [] if c.wanted_core_K is None else [f"{c.wanted_core_K:g} K"]
    goals += [] if c.wanted_voltage_V is None else [f"{1e3 * c.wanted_voltage_V:g} mV rms"]
    if not goals:
        return f"{found}. {c.limit}".strip()
    return f"{'Reached' if c.reached else 'Not reached'}: {found}; wanted {' and '.join(goals)}. {c.limit}".strip()


def tables(certificate: Certificate) -> dict[str, Table]:
    """All tables that have rows, by name."""
    every = {
        "wanted": _wanted(certificate), "kept": _kept(certificate), "cases": _cases(certificate),
        "trials": _trials(certificate), "range": _range(certificate), "speed": _speed(certificate),
    }  # fmt: skip
    return {name: table for name, table in every.items() if table.rows}


def _wanted(c: Certificate) -> Table:
    """Worst over the scored cases, beside what was asked for."""
    measures = (
        ("core temperature, largest, K", "core_K", 1.0, c.wanted_core_K),
        ("voltage, rms, mV", "voltage_rms_V", 1e3, c.wanted_voltage_V),
        ("voltage, largest, mV", "voltage_max_V", 1e3, None),
        ("surface temperature, largest, K", "surface_K", 1.0, None),
        ("mean heat, %", "heat", 100.0, None),
    )
    rows: list[tuple[str, ...]] = []
    missed: list[int] = []
    for title, name, unit, goal in measures:
        if (case := c.worst(name)) is None:
            continue
        error = abs(getattr(case, name))
        if goal is not None and not error <= goal:
            missed.append(len(rows))
        rows.append((title, "-" if goal is None else f"{unit * goal:g}", f"{unit * error:.3g}", case.case))
    scored = sum(case.scored for case in c.cases)
    title = f"error against the full model, worst of {scored} case{'s' * (scored != 1)}"
    return Table(title, ("error", "wanted", "reached", "worst case"), tuple(rows), tuple(missed))


def _kept(c: Certificate) -> Table:
    """What must hold whatever the states, and whether it does."""
    measures = [
        ("lithium, energy: poles at 1, insulated", f"{c.poles_at_one}", f"{c.conserved}",
         c.poles_at_one == c.conserved),
        ("energy: share of the heat that is lost", f"{c.energy:.1e}", f"at most {EXACT:g}", c.energy <= EXACT),
        ("DC: relative error of steady gains", f"{c.dc:.1e}", f"at most {EXACT:g}", c.dc <= EXACT),
    ]  # fmt: skip
    if c.poles:
        stable = all(abs(pole) <= 1 + POLE for pole in c.poles)
        largest = max(abs(pole) for pole in c.poles)
        measures.insert(0, ("stable: largest pole of a step, cooled", f"{largest:.9f}", "at most 1", stable))
    rows = tuple((name, found, must, "yes" if holds else "NO") for name, found, must, holds in measures)
    marked = tuple(i for i, measure in enumerate(measures) if not measure[3])
    return Table("must hold exactly, at any number of states", ("what", "found", "must be", "holds"), rows, marked)


def _cases(c: Certificate) -> Table:
    """Case by case; the worst ones are marked."""
    columns = (
        "case", "judged s", "ended by", "core rise K", "core K", "surface K", "voltage rms mV", "voltage max mV",
        "heat %", "energy",
    )  # fmt: skip
    worst = [c.worst("core_K"), c.worst("voltage_rms_V")]
    marked = tuple(i for i, case in enumerate(c.cases) if any(case is other for other in worst))
    return Table(
        "error of the chosen reduction by case; h in W/m2K", columns, tuple(_case(case) for case in c.cases), marked
    )


def _case(e: CaseError) -> tuple[str, ...]:
    return (
        e.case, f"{e.judged_s:.0f}", e.why if e.scored else f"{e.why} (not scored)", f"{e.rise_K:.2f}",
        f"{e.core_K:.3g}", f"{e.surface_K:.3g}", f"{1e3 * e.voltage_rms_V:.3g}", f"{1e3 * e.voltage_max_V:.3g}",
        f"{100 * e.heat:.2g}", f"{e.energy:.1e}",
    )  # fmt: skip


def _trials(c: Certificate) -> Table:
    """What was tried, in the order in which it was; a star marks the chosen one."""
    columns = ("method", "states", "sizes", "core K", "voltage rms mV", "voltage max mV", "heat %", "worst case")
    rows = tuple(
        (
            t.method, f"{t.states}{'*' * (t is c.trial)}", t.sizes, f"{t.core_K:.3g}", f"{1e3 * t.voltage_rms_V:.3g}",
            f"{1e3 * t.voltage_max_V:.3g}", f"{100 * t.heat:.2g}", t.where,
        )
        for t in c.trials
    )  # fmt: skip
    marked = tuple(i for i, t in enumerate(c.trials) if t is c.trial)
    return Table("reductions that were tried (* the chosen one)", columns, rows, marked)


def _range(c: Certificate) -> Table:
    """Where it holds."""
    r = c.range
    rows = (
        ("ambient, degC", *_ends(r.ambient_degC)), ("heat transfer of each face h, W/m2K", *_ends(r.h)),
        ("state of charge", *_ends(r.soc)), ("discharge, constant, C-rate", *_ends(r.c_rate)),
    )  # fmt: skip
    return Table(f"range that it was made for; steps of {c.step_s:g} s", ("quantity", "from", "to"), rows)


def _ends(ends: tuple[float, float]) -> tuple[str, str]:
    return f"{ends[0]:g}", f"{ends[1]:g}"


def _speed(c: Certificate) -> Table:
    """Times as measured, on whatever machine it was."""
    rows = [] if c.full_s is None else [("full model", f"{c.full_s:.2e}", f"{1 / c.full_s:.2g}")]
    if c.step_ns is not None:
        reduced_s = 1e-9 * c.step_ns / c.step_s
        rows.append(("reduced model", f"{reduced_s:.2e}", f"{1 / reduced_s:.2g}"))
        if c.full_s is not None:
            rows.append(("full / reduced", f"{c.full_s / reduced_s:.3g}", ""))
    title = "speed, as measured on the machine that made it"
    return Table(title, ("model", "CPU s per simulated s", "times faster than real time"), tuple(rows))

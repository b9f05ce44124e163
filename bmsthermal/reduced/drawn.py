"""Pictures of a certificate: errors against states, errors by case, the frequency response."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.plot import AMBIENT, CORE, ESTIMATE, SURFACE, figure, save

if TYPE_CHECKING:
    from bmsthermal.reduced.certificate import Certificate
    from bmsthermal.reduced.measures import CaseError, Frequency, Trial

#: Colours and marks of methods: the chosen one has the first.
METHODS = ((CORE, "o"), (SURFACE, "s"), ("#1b7837", "^"), ("#8073ac", "D"), ("#e08214", "v"), (AMBIENT, "P"))
#: An error smaller than this share of the largest is drawn as this share: a logarithm has no zero.
LEAST = 1e-6
#: Inches of a picture: its width, the height of each, and what one case adds.
WIDTH, TRIALS, CASES, CASE, FREQUENCY = 9.0, 3.6, 1.5, 0.2, 4.6


def pictures(certificate: Certificate) -> dict[str, tuple[float, Callable[[Any, Certificate], None]]]:
    """Pictures that there is something to draw for: name, height in inches, and what draws it into a figure."""
    every: dict[str, tuple[float, Callable[[Any, Certificate], None]]] = {}
    if certificate.trials:
        every["trials"] = (TRIALS, draw_trials)
    if certificate.cases:
        every["cases"] = (CASES + CASE * len(certificate.cases), draw_cases)
    if certificate.frequency is not None and len(certificate.frequency.hertz):
        every["frequency"] = (FREQUENCY, draw_frequency)
    return every


def draw(certificate: Certificate, path: str | Path | None = None) -> Any:
    """Draw all pictures of a certificate below each other.

    Returns
    -------
    matplotlib.figure.Figure
        Saved to `path` if given.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    every = list(pictures(certificate).values())
    if not every:
        raise InputError("nothing to draw", where=certificate.cell, expected="a certificate with trials or cases")
    heights = [height for height, _ in every]
    drawn = figure(WIDTH, sum(heights) + 0.4)
    drawn.suptitle(_title(certificate), fontsize=11, x=0.01, ha="left")
    parts = drawn.subfigures(len(every), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (_, draw_one) in zip(parts, every, strict=True):
        draw_one(part, certificate)
    return save(drawn, path)


def draw_trials(drawn: Any, certificate: Certificate) -> None:
    """Draw core and voltage error against the number of states: a line through the best of each method."""
    chosen = certificate.trial
    methods = sorted({t.method for t in certificate.trials}, key=lambda m: (chosen is None or m != chosen.method, m))
    panels = (("core_K", 1.0, "core, K", certificate.wanted_core_K),
              ("voltage_rms_V", 1e3, "voltage, mV rms", certificate.wanted_voltage_V))  # fmt: skip
    drawn.suptitle("Error against number of states: worst over the cases", fontsize=10, x=0.01, ha="left")
    for axes, (name, unit, label, goal) in zip(drawn.subplots(1, 2), panels, strict=True):
        floor = _floor([getattr(t, name) for t in certificate.trials])

        def error(trial: Trial, name: str = name, unit: float = unit, floor: float = floor) -> float:
            return unit * max(float(getattr(trial, name)), floor)

        for i, method in enumerate(methods):
            colour, mark = METHODS[i % len(METHODS)]
            tried = [t for t in certificate.trials if t.method == method]
            states = sorted({t.states for t in tried})
            best = [min(error(t) for t in tried if t.states == count) for count in states]
            axes.plot([t.states for t in tried], [error(t) for t in tried], mark, color=colour, ms=4, alpha=0.4, mew=0)
            axes.plot(states, best, marker=mark, color=colour, ms=4, lw=1.4, mew=0, label=_literal(method))
        if chosen is not None:
            axes.plot(
                chosen.states, error(chosen), "o", ms=11, mfc="none", mec=ESTIMATE, mew=1.4,
                label=f"chosen: {chosen.states} states",
            )  # fmt: skip
        if goal is not None:
            axes.axhline(unit * goal, color=ESTIMATE, lw=0.9, ls="--", label="wanted")
        axes.set_ylabel(f"{label}" + ("" if goal is None else f" (wanted {unit * goal:g})"))
        axes.set_xlabel("number of states")
        axes.xaxis.get_major_locator().set_params(integer=True)
        _log(axes.yaxis)
        _plain(axes)
    handles: dict[str, Any] = {}
    for axes in drawn.axes:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    drawn.legend(
        handles.values(), handles.keys(), fontsize=8, frameon=False, ncols=min(len(handles), 5),
        loc="outside lower center",
    )  # fmt: skip


def draw_cases(drawn: Any, certificate: Certificate) -> None:
    """Draw core and voltage error of each case, a row each, the worst in red with its name above."""
    cases = sorted(certificate.cases, key=lambda case: (case.ambient_degC, case.h))[::-1]
    panels = (("core_K", 1.0, "K", "core", certificate.wanted_core_K),
              ("voltage_rms_V", 1e3, "mV rms", "voltage", certificate.wanted_voltage_V))  # fmt: skip
    left, right = drawn.subplots(1, 2, sharey=True)
    drawn.suptitle(
        "Error by case, from the coldest to the hottest ambient (hollow: too short, not scored)",
        fontsize=10, x=0.01, ha="left",
    )  # fmt: skip
    for axes, (name, unit, in_unit, label, goal) in zip((left, right), panels, strict=True):
        worst = certificate.worst(name)
        floor = _floor([getattr(case, name) for case in cases])
        for row, case in enumerate(cases):
            colour = CORE if case is worst else SURFACE
            error = unit * max(float(getattr(case, name)), floor)
            axes.plot(error, row, "o", ms=5, color=colour, mfc=colour if case.scored else "none", clip_on=False)
        if goal is not None:
            axes.axvline(unit * goal, color=ESTIMATE, lw=0.9, ls="--")
        said = "no case scored" if worst is None else f"worst {unit * getattr(worst, name):.3g} {in_unit}: {worst.case}"
        axes.set_title(_literal(said), fontsize=8, loc="left", color=CORE)
        axes.set_xlabel(f"{label}, {in_unit}" + ("" if goal is None else f" (dashed: wanted, {unit * goal:g})"))
        axes.set_ylim(-0.7, len(cases) - 0.3)
        axes.grid(axis="y", color=AMBIENT, lw=0.4, alpha=0.4)
        _log(axes.xaxis)
        _plain(axes)
        axes.tick_params(axis="y", length=0)
    left.set_yticks(range(len(cases)), [_shorten(case) for case in cases])


def draw_frequency(drawn: Any, certificate: Certificate) -> None:
    """Draw the response to current, full and reduced, and the error below; 0 Hz stands to the left."""
    response = certificate.frequency
    if response is None:
        raise InputError("no frequency response", where=certificate.cell)
    about = f", {_literal(response.about)}" if response.about else ""
    drawn.suptitle(f"Response from 0 to {response.hertz.max():g} Hz{about}", fontsize=10, x=0.01, ha="left")
    top, bottom = drawn.subplots(2, 2, sharex=True, height_ratios=(1.6, 1.0))
    panels = (
        (response.full_voltage, response.reduced_voltage, 1e3, "voltage, mV/A", response.voltage_error(), "error, %"),
        (response.full_core, response.reduced_core, 1.0, f"core, {_literal(response.core_unit)}", response.core_error(),
         "error, % of the\nlargest response"),
    )  # fmt: skip
    for above, below, (full, reduced, unit, label, error, words) in zip(top, bottom, panels, strict=True):
        size, small = unit * np.abs(full), unit * np.abs(reduced)
        floor = LEAST * max(float(size.max()), float(small.max()))
        _line(above, response, np.maximum(size, floor), "-", color=ESTIMATE, lw=2.4, label="full")
        _line(above, response, np.maximum(small, floor), "--", color=CORE, lw=1.4, label="reduced")
        _line(below, response, 100 * np.maximum(error, 1e-6), "-", color=SURFACE, lw=1.2, label="error")
        above.set_ylabel(label)
        below.set_ylabel(words)
        below.set_xlabel("frequency, Hz")
        for axes in (above, below):
            _log(axes.yaxis)
            _plain(axes)
        above.legend(fontsize=8, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.1)
    _hertz(bottom[0], response.hertz)


def _line(axes: Any, response: Frequency, values: Array, style: str, **how: Any) -> None:
    """Draw against the logarithm of frequency; 0 Hz is a dot where the line would begin."""
    hertz = response.hertz
    moving = hertz > 0
    axes.plot(hertz[moving], values[moving], style, **how)
    if not moving.all():
        axes.plot(_still(hertz), values[~moving][0], "o", ms=3 * how["lw"], color=how["color"], mfc="none")


def _hertz(axes: Any, hertz: Array) -> None:
    """Decades, and a zero to the left of them."""
    moving = hertz[hertz > 0]
    if not len(moving):
        return
    axes.set_xscale("log")
    first, last = np.log10(moving.min()), np.log10(moving.max())
    decades = np.arange(np.ceil(first - 1e-9), np.floor(last + 1e-9) + 1)
    decades = decades[:: max(1, len(decades) // 6)]
    ticks, words = list(10.0**decades), [f"{10.0**decade:g}" for decade in decades]
    if len(moving) < len(hertz):
        ticks, words = [_still(hertz), *ticks], ["0", *words]
    axes.set_xticks(ticks, words)
    axes.minorticks_off()


def _still(hertz: Array) -> float:
    """Where 0 Hz stands on a logarithm of frequency."""
    moving = hertz[hertz > 0]
    return float(moving.min()) / 4 if len(moving) else 1.0


def _floor(errors: list[float]) -> float:
    """Smallest error that is drawn; one if there are no errors at all."""
    return LEAST * max((float(e) for e in errors if np.isfinite(e) and e > 0), default=1 / LEAST)


def _log(axis: Any) -> None:
    """Logarithm with numbers that people write: 0.2 and not 2 x 10^-1."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    low, high = sorted(axis.get_data_interval())
    low, high = (low, high) if 0 < low <= high < np.inf else (1.0, 1.0)
    for line in axis.axes.get_lines():  # wanted lines are no data
        ends = np.asarray(line.get_ydata() if axis.axis_name == "y" else line.get_xdata(), float)
        ends = ends[np.isfinite(ends) & (ends > 0)]
        if len(ends):
            low, high = min(low, float(ends.min())), max(high, float(ends.max()))
    if high < 4 * low:  # what is closer is flat
        middle = np.sqrt(low * high)
        low, high = middle / 2, middle * 2
    getattr(axis.axes, f"set_{axis.axis_name}lim")(low / 1.5, high * 1.5)
    span = np.log10(high / low)
    subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if span < 0.8 else (1.0, 2.0, 5.0) if span < 2.5 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=9))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_size(9)
    axes.yaxis.label.set_size(9)


def _shorten(case: CaseError) -> str:
    return _literal(case.case if len(case.case) <= 40 else f"{case.case[:37]}...")


def _literal(text: str) -> str:
    """Text as it is: what stands between two dollars is no formula."""
    return text.replace("$", r"\$")


def _title(certificate: Certificate) -> str:
    trial = certificate.trial
    return _literal(certificate.cell) + ("" if trial is None else f": reduced to {trial.states} states")

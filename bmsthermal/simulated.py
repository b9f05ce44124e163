"""What a simulated run is written as and summed up in: columns with units, a table of results, a picture."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.plot import AMBIENT, CORE, CURRENT, ESTIMATE, SURFACE, figure, finish, save

if TYPE_CHECKING:
    from bmsthermal.simulation import Simulation

#: Colours of the heat terms.
HEATS = {
    "ohmic": "#e08214", "reaction": "#8073ac", "reversible": "#1b7837", "mixing": "#c51b7d", "contact": "#8c510a",
    "decomposition": "#b2182b",
}  # fmt: skip
#: A change of current so many times that of its neighbours is a jump from one step to the next.
JUMP = 10.0
#: A curve that is busier than this many turns is drawn as a running mean of so many points of the picture.
TURNS, POINTS = 100, 60
#: Share of the range of temperatures that nobody sees in a picture.
UNSEEN = 2e-3
#: A current over capacity in 1/h, and a heat in W per A.h, that is nothing but rounding.
NOTHING = 1e-6
#: A heat whose peak is so many times its median is drawn over decades, so many below the peak.
PEAKED, DECADES = 100.0, 5
#: Least range of an axis, in K and in V: what is closer is flat.
FLAT_K, FLAT_V = 0.1, 0.01
#: Letters of a line of the title.
WIDTH = 110


def columns(run: Simulation) -> dict[str, Array]:
    """Columns by name with unit, ``(k,)`` each, temperatures in degC; measured data have the same names."""
    table = {"time_s": run.time_s, "current_A": run.current_A, "voltage_V": run.voltage_V}
    kelvin = {"ambient": run.ambient_K, "surface": run.surface_K}
    if len(run.surfaces_K) > 1:
        kelvin |= {f"surface_{_wall(name)}": T for name, T in run.surfaces_K.items()}
    kelvin |= {"core": run.core_K, "mean": run.mean_K}
    table |= {f"{name}_degC": np.round(T - ZERO_DEGC_K, 9) + 0.0 for name, T in kelvin.items()}
    table |= {"soc": run.soc, "heat_W": run.heat_W}
    table |= {f"heat_{name}_W": heat for name, heat in _terms(run).items()}
    table["cooling_W"] = run.cooling_W
    layers = run.layer_current_A.shape[1]
    if layers > 1:
        table |= {f"layer_{i + 1}_current_A": run.layer_current_A[:, i] for i in range(layers)}
    return table


def archive(run: Simulation) -> dict[str, Any]:
    """Columns, fields and settings as an ``.npz`` holds them."""
    settings = run.settings | {"stopped": run.stopped, "energy_residual": f"{run.energy_residual:.3g}"}
    return columns(run) | run.fields | {"settings": json.dumps(settings)}


def csv_text(run: Simulation) -> str:
    """Columns as a CSV: time to the last bit, all else to ten digits."""
    table = columns(run)
    written = [[repr(t) for t in run.time_s.tolist()]]
    written += [[f"{v:.10g}" for v in (column + 0.0).tolist()] for column in list(table.values())[1:]]
    return "\n".join([",".join(table), *map(",".join, zip(*written, strict=True)), ""])


def total(run: Simulation, rate: Array) -> float:
    """Integral of a rate over the run.

    A profile holds each row until the next. Else it is trapezoidal, but for
    the first interval of a step: the row before it belongs to the last one.
    """
    dt = np.diff(run.time_s)
    if not len(dt):
        return 0.0
    if run.settings.get("steps", "profile").startswith("profile"):
        return float(dt @ rate[:-1])
    change = np.abs(np.diff(run.current_A))
    around = np.maximum(np.append(change[1:], 0.0), np.append(0.0, change[:-1]))
    jump = change > JUMP * around + 1e-6 * np.abs(run.current_A).max()
    return float(dt @ np.where(jump, rate[1:], (rate[:-1] + rate[1:]) / 2))


def open_circuit_J(run: Simulation, cell: Cell) -> float:
    r"""Heat that the open circuit at the mean state of charge accounts for, :math:`\int I (U - T U' - V)\,dt`.

    Once all is relaxed it is the heat released; before, the energy of what has not relaxed is missing from it.
    """
    p, T = cell.electrochemistry, run.mean_K
    charge_C_m2 = (run.soc[0] - run.soc) * 3600 * p.capacity_Ah / p.area_m2
    # each electrode by what its own window holds: in some files they differ
    U, slope = np.zeros_like(T), np.zeros_like(T)
    for electrode, start, sign in zip((p.negative, p.positive), p.stoichiometries(run.soc[0]), (-1, 1), strict=True):
        width = electrode.maximum_stoichiometry - electrode.minimum_stoichiometry
        x = start + sign * charge_C_m2 / electrode.window_C_m2 * width
        slope += sign * electrode.entropic(x)
        U += sign * electrode.potential(x)
    U += slope * (T - p.reference_K)
    return total(run, run.current_A * (U - T * slope - run.voltage_V))


def parts_J(run: Simulation) -> dict[str, float]:
    """Heat by term; a runaway is quicker than the rows: decomposition is what the others leave of the exact total."""
    parts = {name: total(run, term) for name, term in _terms(run).items()}
    if "decomposition" in parts and "heat_J" in run.totals:
        parts["decomposition"] += run.totals["heat_J"] - sum(parts.values())
    return parts


def rows(run: Simulation, cell: Cell) -> list[tuple[str, str]]:
    """Results in words and numbers, for a table; no share of nothing."""
    full = bool(run.heat_terms_W)
    idle = _nothing(run.current_A, cell.capacity_Ah)
    capacity_Ah = cell.electrochemistry.capacity_Ah if full else cell.capacity_Ah
    moved, worked = (run.soc[0] - run.soc[-1]) * capacity_Ah, run.totals.get("work_J", np.nan) / 3600
    if not full:
        worked = total(run, run.current_A * run.voltage_V) / 3600
    found = [
        ("time simulated", f"{run.time_s[-1]:.1f} s"),
        ("charge taken out", f"{_digits(moved, 4)} A.h, SOC {run.soc[0]:.3f} to {run.soc[-1]:.3f}"),
        ("energy taken out", f"{_digits(worked, 4)} W.h"),
        (
            "voltage at the end, lowest, highest",
            f"{run.voltage_V[-1]:.3f}, {run.voltage_V.min():.3f}, {run.voltage_V.max():.3f} V",
        ),
    ]
    named = {"core": run.core_K, "mean": run.mean_K, "surface": run.surface_K}
    if len(run.surfaces_K) > 1:
        del named["surface"]
        named |= {f"surface {_wall(name)}": T for name, T in run.surfaces_K.items()}
    for name, T in named.items():
        hottest = int(T.argmax())
        found.append((f"highest {name}", f"{T[hottest] - ZERO_DEGC_K:.2f} degC at {run.time_s[hottest]:.0f} s"))
    above = run.core_K - run.surface_K
    widest = int(above.argmax())
    found.append(("core above surface, largest", f"{above[widest]:.3f} K at {run.time_s[widest]:.0f} s"))
    heat, cooling = (
        run.totals.get(f"{name}_J", total(run, rate))
        for name, rate in (("heat", run.heat_W), ("cooling", run.cooling_W))
    )
    found.append(("heat released", f"{_digits(heat / 1e3, 3)} kJ"))
    parts, least = parts_J(run), 3600 * NOTHING * cell.capacity_Ah
    for name, part in parts.items():
        if abs(heat) > least and abs(part) >= 5e-4 * abs(heat):
            found.append((f"  {name}", f"{_digits(part / 1e3, 3)} kJ, {100 * part / heat:.1f} %"))
    found.append(("heat to the surroundings", f"{_digits(cooling / 1e3, 3)} kJ"))
    if np.isfinite(run.energy_residual) and abs(heat) > least:
        found.append(("heat neither stored nor gone", f"{run.energy_residual:.1e} of the heat released"))
    electrical = heat - parts.get("decomposition", 0.0)
    if full and not idle and abs(electrical) > least:
        expected = open_circuit_J(run, cell)
        found.append(("open circuit, I (U - T dU/dT - V)", f"{_digits(expected / 1e3, 3)} kJ"))
        left = _digits(100 * (expected - electrical) / electrical, 2, "+")
        found.append(("  still to relax", f"{left} % of the heat"))
    if run.layer_current_A.shape[1] > 1 and not idle:
        share = layer_share(run)
        found.append(("current density of layers over mean", f"{np.nanmin(share):.3f} to {np.nanmax(share):.3f}"))
    return found


def layer_share(run: Simulation) -> Array:
    """Current density of each layer over the mean, ``(k, m)``; NaN where next to none flows.

    The areas are known from the first current: there all layers are alike.
    """
    current = run.layer_current_A
    whole = current.sum(axis=1, keepdims=True)
    flowing = np.abs(whole[:, 0]) > 0.1 * np.abs(whole).max(initial=0.0)
    share = np.divide(current, whole, out=np.full_like(current, np.nan), where=flowing[:, None])
    return np.asarray(share / share[flowing.argmax()])


def layer_charge(run: Simulation) -> Array:
    """Charge per area that has gone through each layer so far, either way, over the mean, ``(k, m)``; 1 before any."""
    current = np.abs(run.layer_current_A)
    if _nothing(run.current_A, _capacity_Ah(run)):
        return np.ones_like(current)
    passed = np.diff(run.time_s)[:, None] * (current[:-1] + current[1:]) / 2
    passed = np.cumsum(np.vstack([np.zeros(current.shape[1]), passed]), axis=0)
    whole = passed.sum(axis=1, keepdims=True)
    first = run.layer_current_A[np.isfinite(layer_share(run)[:, 0]).argmax()]  # there all layers are alike
    area = first / first.sum()
    some = whole > UNSEEN * whole[-1]
    charge = np.divide(passed, whole, out=np.broadcast_to(area, current.shape).copy(), where=some)
    return np.asarray(charge / area)


def draw(run: Simulation, path: str | Path | None) -> Any:
    """Temperatures, voltage, heat and what it is made of, charge by layer if there are several, current."""
    layers = run.layer_current_A.shape[1]
    heights = [4.0, 1.6, 2.6, *([1.6] if layers > 1 else []), 1.3]
    drawn = figure(height=3.5 + 0.42 * sum(heights))
    top, volts, power, *more, bottom = drawn.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    hours = run.time_s[-1] > 3 * 3600
    x = run.time_s / (3600 if hours else 60)
    _temperatures(top, x, run)
    volts.plot(x, run.voltage_V, color=ESTIMATE, lw=0.9)
    volts.set_ylabel("voltage\nV")
    _roomy(volts, run.voltage_V, FLAT_V)
    _heats(power, x, run)
    for axes in more:
        colours = _shades(layers)
        for i, share in enumerate(layer_charge(run).T):
            label = {0: "innermost layer", layers - 1: "outermost"}.get(i)
            axes.plot(x, share, color=colours[i], lw=0.9, label=label)
        axes.set_ylabel("layer charge\nso far / mean")
        _roomy(axes, layer_charge(run), UNSEEN)
    idle = _nothing(run.current_A, _capacity_Ah(run))
    bottom.plot(x, np.zeros_like(x) if idle else run.current_A, color=CURRENT, lw=0.9)
    finish(top, bottom, "")
    drawn.suptitle(_title(run), fontsize=10, x=0.01, ha="left")
    bottom.set_xlabel("time, hours" if hours else "time, minutes")
    if idle:  # 1 C tells that it is nothing
        bottom.set_ylim(-_capacity_Ah(run), _capacity_Ah(run))
    for axes in (top, power, *more):  # above what they explain, where no line can run through them
        axes.legend(
            fontsize=8, frameon=False, ncols=9, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.1,
            borderpad=0.1, handlelength=1.6, columnspacing=1.4,
        )  # fmt: skip
    return save(drawn, path)


def _temperatures(axes: Any, x: Array, run: Simulation) -> None:
    """Core, mean and surfaces, or one line where they could not be told apart."""
    inside = np.vstack([run.core_K, run.mean_K, *run.surfaces_K.values()])
    apart, range_K = float(np.ptp(inside, axis=0).max()), float(np.ptp(np.vstack([inside, run.ambient_K])))
    if apart < UNSEEN * range_K:
        label = f"cell, from core to surface ({1e3 * apart:.2g} mK at most)"
        axes.plot(x, run.core_K - ZERO_DEGC_K, color=CORE, lw=1.4, label=label)
    else:
        axes.plot(x, run.core_K - ZERO_DEGC_K, color=CORE, lw=2.0, label="core")
        axes.plot(x, run.mean_K - ZERO_DEGC_K, color=ESTIMATE, lw=0.9, ls="--", label="mean")
        for i, (name, T) in enumerate(run.surfaces_K.items()):
            label = "surface" if len(run.surfaces_K) == 1 else f"surface {_wall(name)}"
            axes.plot(x, T - ZERO_DEGC_K, color=SURFACE, lw=1.0, ls=("-", "--", "-.", ":")[i % 4], label=label)
    axes.plot(x, run.ambient_K - ZERO_DEGC_K, color=AMBIENT, lw=0.8, ls=":", label="ambient")
    _roomy(axes, np.vstack([inside, run.ambient_K]) - ZERO_DEGC_K, FLAT_K)


def _heats(axes: Any, x: Array, run: Simulation) -> None:
    """Lines of all terms; where they are too busy to be told apart, their running means; a runaway over decades."""
    capacity = _capacity_Ah(run)
    if _nothing(run.heat_W, capacity):
        axes.plot(x, np.zeros_like(x), color=ESTIMATE, lw=1.4, label="heat")
        if _nothing(run.cooling_W, capacity):
            axes.set_ylim(-0.1 * capacity, 0.1 * capacity)  # 1 C across 0.1 V tells that it is nothing
        else:
            axes.plot(x, run.cooling_W, color=AMBIENT, lw=0.9, ls=":", label="cooling")
        axes.set_ylabel("heat\nW")
        return
    busy = int((np.diff(np.sign(np.diff(run.heat_W))) != 0).sum()) > TURNS
    window = max(len(x) // POINTS, 1) if busy else 1
    axes.plot(x, _smooth(run.heat_W, run.time_s, window), color=ESTIMATE, lw=1.4, label="heat")
    for name, term in _terms(run).items():
        if np.abs(term).max() > 1e-3 * np.abs(run.heat_W).max():
            axes.plot(x, _smooth(term, run.time_s, window), color=HEATS.get(name, AMBIENT), lw=1.0, label=name)
    axes.plot(x, _smooth(run.cooling_W, run.time_s, window), color=AMBIENT, lw=0.9, ls=":", label="cooling")
    axes.axhline(0, color=AMBIENT, lw=0.6)
    mean = f", mean of {window * float(np.median(np.diff(run.time_s))):.0f} s" if window > 1 else ""
    axes.set_ylabel(f"heat{mean}\nW")
    peak = np.abs(run.heat_W).max()
    if "decomposition" in _terms(run) and peak > PEAKED * np.median(np.abs(run.heat_W)):
        least = 10.0 ** (np.ceil(np.log10(peak)) - DECADES)  # below, it is linear
        drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.get_lines()])
        low, high = min(2 * drawn.min(), -least), 2 * drawn.max()
        ticks = np.array([least * 10.0**k for k in range(1, DECADES + 1)])
        ticks = np.concatenate([-ticks[::-1], [0.0], ticks])
        axes.set_yscale("symlog", linthresh=least, linscale=0.5)
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_ylim(low, high)


def _roomy(axes: Any, values: Array, least: float) -> None:
    """Show `least` at least, and all digits: what is flat is drawn flat."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    axes.ticklabel_format(axis="y", useOffset=False)
    if high - low < least:
        axes.set_ylim((low + high - least) / 2, (low + high + least) / 2)


def _capacity_Ah(run: Simulation) -> float:
    """Nominal capacity, or one A.h where the run does not say."""
    return float(run.settings.get("capacity_Ah", 1.0))


def _nothing(values: Array, capacity_Ah: float) -> bool:
    """Whether a current or a heat is nothing for a cell of that capacity."""
    return bool(np.abs(values).max(initial=0.0) < NOTHING * capacity_Ah)


def _digits(value: float, digits: int, sign: str = "-") -> str:
    """Number to so many digits, zero without a minus."""
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"


def _smooth(values: Array, time_s: Array, window: int) -> Array:
    """Mean over time of the rows around each, each held until the next."""
    if window < 2:
        return values
    dt = np.append(np.diff(time_s), 0.0)
    content, clock = np.append(0.0, np.cumsum(values * dt)), np.append(0.0, np.cumsum(dt))
    at = np.arange(len(values))
    low, high = np.maximum(at - window // 2, 0), np.minimum(at + window // 2 + 1, len(values) - 1)
    return np.asarray((content[high] - content[low]) / (clock[high] - clock[low]))


def _shades(count: int) -> Sequence[Any]:
    """Colours from the core's to the surface's."""
    from matplotlib.colors import LinearSegmentedColormap

    ramp = LinearSegmentedColormap.from_list("layers", [CORE, "#bdbdbd", SURFACE])
    return [ramp(i / max(count - 1, 1)) for i in range(count)]


def _terms(run: Simulation) -> dict[str, Array]:
    """Terms of the heat; decomposition only where there is some."""
    return {name: heat for name, heat in run.heat_terms_W.items() if name != "decomposition" or heat.any()}


def _title(run: Simulation) -> str:
    """What was run, and below it how."""
    said, left = run.settings, {"1", "none"}
    words = {"thermal": "thermal {}", "layers": "{} layers", "couplings": "couplings {}", "reactions": "reactions {}"}
    how = [words[key].format(said[key]) for key in words if said.get(key, "none") not in left]
    first = ", ".join(said[key] for key in ("cell", "steps") if key in said)
    return "\n".join(line if len(line) <= WIDTH else f"{line[:WIDTH]}..." for line in (first, ", ".join(how)) if line)


def _wall(name: str) -> str:
    """Name of a wall as a column can have it."""
    return re.sub(r"\W", "_", name.removeprefix("surface").strip()) or "wall"

"""Error against cost of models that a battery manager could carry: ours, PyBaMM's single particles, a thermal circuit.

Part of ``reduced_accuracy.py --peers``. LG M50 (or the cells asked for), h of 60 W/m2K: 1C and 2C from full at 25 degC,
US06 with a peak of 2.5C from 70 % at 25 and -10 degC. Errors against the full model at twice its default mesh: core as
the largest, V as RMS between 10 and 95 % charge. Cost is CPU time per simulated second of a repeated run (V and T each
second), least of two to five, everything built and warm.

PyBaMM's are solved by IDAKLU at its defaults on the same parameter file: isothermal, or lumped with our ``h A`` and
heat capacity; that one temperature is held against the core. By itself PyBaMM leaves heat of mixing out, so SPMe comes
without and with it. A drive is run "held" (each sample held for its second, as ours) and "linear" (a line between
samples, what its own drive cycles are), the solver's steps being its own.

The circuit has two nodes, core and surface, with our steady gains from heat to core, surface and mean, and so the right
heat capacity. Its heat is ``I (OCV(SOC) - V)``, as a battery manager computes it: V from PyBaMM's lumped SPM, whose
cost counts; or V as measured, here the full model's: there is no voltage to be wrong about then, and none is predicted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import peer
import pybamm
from reduced_truth import Array, Case, Truth, cooled, drive, make, read, solve
from scipy import linalg, signal

from bmsthermal import Cell, CoupledModel
from bmsthermal.console import print_table, steps
from bmsthermal.plot import figure, save

CASES = (("1", 25), ("2", 25), ("us06", 25), ("us06", -10))
PEERS_H, ORDERS, RAMP_S = 60, (12, 14, 16, 18), 1e-3
SPM, SPME = pybamm.lithium_ion.SPM, pybamm.lithium_ion.SPMe
SINGLE: dict[str, tuple[Any, dict[str, str]]] = {
    "SPM isothermal": (SPM, {"thermal": "isothermal"}), "SPMe isothermal": (SPME, {"thermal": "isothermal"}),
    "SPM lumped": (SPM, {}), "SPMe lumped": (SPME, {}), "SPMe lumped, mixing": (SPME, {"heat of mixing": "true"}),
}  # fmt: skip
MARKS = dict(zip(SINGLE, "vs<DP", strict=True)) | {"circuit, V of SPM": "^", "circuit, V measured": "X"}
MARKS |= {"full, default mesh": "*"} | dict.fromkeys((f"reduced, {order} states" for order in ORDERS), "o")
HEAD = ("model", "core max, K", "core end, K", "V rms, mV", "V max, mV", "us CPU/s", "front core", "front V", "ran, s")


@dataclass(frozen=True)
class Way:
    """One model in one case: largest error of the core and at the end in K, of V in mV, cost in us, seconds it ran."""

    name: str
    core_K: float
    end_K: float
    rms_mV: float
    most_mV: float
    cost_us: float
    ran_s: int

    @property
    def mark(self) -> str:
        return MARKS[self.name.removesuffix(" (held)").removesuffix(" (linear)")]


def warm(run: Callable[[], tuple[Array, Array]]) -> tuple[Array, Array, float]:
    """Voltage and temperature of a run, and the least CPU time of those after it."""
    found, spent = run(), []
    while len(spent) < 2 or (len(spent) < 5 and sum(spent) < 2):
        began = time.process_time()
        run()
        spent.append(time.process_time() - began)
    return *found, min(spent)


def way(name: str, truth: Truth, voltage_V: Array, core_K: Array, spent_s: float) -> Way:
    """Errors of a run that may have ended before the full one."""
    n = min(len(voltage_V), len(truth.voltage_V))
    off = 1e3 * (voltage_V[:n] - truth.voltage_V[:n])[truth.scored[:n]]
    core = core_K[:n] - truth.core_K[:n]
    rms, most = float(np.sqrt(np.mean(off**2))), float(np.abs(off).max())
    return Way(name, float(np.abs(core).max()), float(core[-1]), rms, most, 1e6 * spent_s / (n - 1), n - 1)


def ours(name: str, model: Any, case: Case, truth: Truth) -> Way:
    """A model of ours: the reduced one at the current of the full run, the full one with its own long steps."""

    def run() -> tuple[Array, Array]:
        full = isinstance(model, CoupledModel)
        found = solve(model, case, fields=False) if full else drive(model, case, truth)
        rows = np.searchsorted(found.time_s, np.arange(int(found.time_s[-1]) + 1) - 1e-9)
        return found.voltage_V[rows], found.core_K[rows]

    return way(name, truth, *warm(run))


def single(file: Path, cell: Cell, kind: tuple[Any, dict[str, str]], case: Case, truth: Truth, held: bool) -> Any:
    """What solves one of PyBaMM's single-particle models with a current; its two series."""
    values = peer.parameters(file, None, float(truth.soc[0]))
    p, at = cell.electrochemistry, np.arange(truth.seconds + 1.0)
    cooling = float(cell.conductance_W_K.sum()) / cell.external_area_m2
    new: dict[str, Any] = {"Ambient temperature [K]": case.ambient_K, "Initial temperature [K]": case.ambient_K}
    new |= {peer.LUMPED_H: cooling, "Current function [A]": float(truth.current_A[0])}
    new |= dict(zip(peer.CUTS, (p.lower_voltage_V - 0.5, p.upper_voltage_V + 0.5), strict=True))  # both run to the end
    if case.drive:
        corners = np.unique(np.concatenate([at, at[1:] - RAMP_S])) if held else at
        current = truth.current_A[np.searchsorted(at, corners + RAMP_S / 2, side="right") - 1]
        new["Current function [A]"] = pybamm.Interpolant(corners, current, pybamm.t)
    values.update(new, check_already_exists=False)
    of_class, options = kind[0], {"thermal": "lumped", "use lumped thermal capacity": "true"} | kind[1]
    if options["thermal"] == "isothermal":
        del options["use lumped thermal capacity"]
    options |= {"contact resistance": "true"} if values[peer.CONTACT] else {}
    options |= {"intercalation kinetics": "asymmetric Butler-Volmer"} if peer.ALPHA in values else {}
    read_out = ["Voltage [V]", "Volume-averaged cell temperature [K]"]
    limits = {"max_error_test_failures": 60, "max_convergence_failures": 200, "max_num_steps": 1_000_000}
    solver = pybamm.IDAKLUSolver(output_variables=read_out, on_extrapolation="warn", options=limits)
    simulation = pybamm.Simulation(of_class(options), parameter_values=values, solver=solver)
    simulation.build()

    def run() -> tuple[Array, Array]:
        solution = simulation.solve(at[[0, -1]], t_interp=at)
        rows = int(np.searchsorted(at, solution.t[-1], side="right"))
        voltage, temperature = (np.asarray(solution[name].data)[:rows] for name in read_out)
        return voltage, temperature

    return run


def circuit(cell: Cell, case: Case, truth: Truth) -> Callable[[Array], Array]:
    """Core temperature of two nodes, from the voltage: each decays in its own modes, heat held for a second."""
    system = CoupledModel(cell, heat="measured").system
    core, mean, *walls = system.C @ system.steady(cell.conductance_W_K, [1.0], np.zeros(len(system.walls)))
    surface, whole = float(np.mean(walls)), cell.heat_capacity_J_K
    share = (mean - surface) / (core - surface)
    inside, outside = 1 / (core - surface), float(cell.conductance_W_K.sum())
    K = np.array([[inside, -inside], [-inside, inside + outside]])
    rates, shapes = linalg.eigh(K, np.diag([share * whole, (1 - share) * whole]))
    gain = shapes[0] ** 2 * -np.expm1(-rates) / rates

    def temperature(voltage_V: Array) -> Array:
        n = len(voltage_V)
        heat = truth.current_A[:n] * (cell.electrochemistry.open_circuit_V(truth.soc[:n]) - voltage_V)
        rise = sum(signal.lfilter([0, b], [1, -np.exp(-a)], heat) for a, b in zip(rates, gain, strict=True))
        return case.ambient_K + np.asarray(rise)

    return temperature


def compare(case: Case, truth: Truth, models: dict[int, Any], file: Path, say: Callable[[str], None]) -> list[Way]:
    """All models in one case."""
    found, cell = [], cooled(case.cell, case.h)
    for order, model in models.items():
        say(f"{case.name}: reduced, {order} states")
        found.append(ours(f"reduced, {order} states", model, case, truth))
    say(f"{case.name}: full model")
    found.append(ours("full, default mesh", CoupledModel(cell), case, truth))
    core = circuit(cell, case, truth)
    for name, kind in SINGLE.items():
        for held in (True, False) if case.drive else (True,):
            label = name + ((" (held)" if held else " (linear)") if case.drive else "")
            say(f"{case.name}: {label}")
            voltage, temperature, spent = warm(single(file, cell, kind, case, truth, held))
            found.append(way(label, truth, voltage, temperature, spent))
            if name == "SPM lumped":
                _, heated, more = warm(lambda volts=voltage: (volts, core(volts)))
                found.append(way(label.replace(name, "circuit, V of SPM"), truth, voltage, heated, spent + more))
    _, heated, spent = warm(lambda: (truth.voltage_V, core(truth.voltage_V)))
    measured = way("circuit, V measured", truth, truth.voltage_V + np.nan, heated, spent)
    return [*found, measured]


def front(ways: Sequence[Way], quantity: str) -> list[Way]:
    """Those that nothing beats in both, by cost."""
    best: list[Way] = []
    for one in sorted(ways, key=lambda w: (w.cost_us, getattr(w, quantity))):
        if np.isfinite(getattr(one, quantity)) and not (best and getattr(best[-1], quantity) <= getattr(one, quantity)):
            best.append(one)
    return best


def draw(found: dict[Case, list[Way]], path: Path) -> None:
    """Error against cost, a column a case."""
    drawn = figure(4.3 * len(found), 8.6)
    axes = drawn.subplots(2, len(found), squeeze=False, sharex=True, sharey="row")
    handles: dict[str, Any] = {}
    for column, (case, ways) in zip(axes.T, found.items(), strict=True):
        rise = max(w.core_K for w in ways if "isothermal" in w.name)  # to stay at the ambient is that wrong
        bars = {"core_K": case.core_bar_K(rise), "rms_mV": case.bars[0]}
        for axis, (quantity, bar) in zip(column, bars.items(), strict=True):
            line = front(ways, quantity)
            handles["front: nothing is both cheaper and closer"] = axis.step(
                [w.cost_us for w in line], [getattr(w, quantity) for w in line], where="post", c="0.6", lw=1, zorder=1
            )[0]
            handles["bar of the reduced model"] = axis.axhline(bar, c="0.3", ls=":", lw=1)
            for one in ways:
                if not np.isfinite(getattr(one, quantity)):
                    continue
                colour = "C0" if one.name.startswith(("reduced", "full")) else "C2" if "circuit" in one.name else "C1"
                filled = colour if not one.name.endswith("(linear)") else "none"
                label = one.name.removesuffix(" (held)").split(", 1")[0]
                (dot,) = axis.plot(
                    one.cost_us, getattr(one, quantity), one.mark, c=colour, mfc=filled, ms=8, ls="", zorder=3
                )
                if not label.endswith("(linear)"):
                    handles["reduced (number of states)" if label == "reduced" else label] = dot
                if label == "reduced":
                    text = one.name.split()[1]
                    axis.annotate(
                        text,
                        (one.cost_us, getattr(one, quantity)),
                        (6, -3) if text != "16" else (-17, -3),
                        textcoords="offset points",
                        fontsize=8,
                    )
            axis.set(xscale="log", yscale="log")
            axis.grid(alpha=0.25, which="major")
        column[0].set_title(f"{case.cell}, {case.kind}{'' if case.drive else 'C'}, {case.degC} degC", fontsize=10)
        column[1].set_xlabel("CPU time per simulated second, microseconds")
    axes[0, 0].set_ylabel("core temperature, largest error, K")
    axes[1, 0].set_ylabel("voltage, RMS error, mV")
    (hollow,) = axes[0, 0].plot([], [], "D", c="C1", mfc="none", ls="")
    handles["hollow: a line between samples, not held"] = hollow
    drawn.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    save(drawn, path)


def report(cells: Sequence[str], place: Path, plot: Path | None, reductions: Callable[..., Any]) -> None:
    """Compare, print and draw; full runs that are not in the folder are made there."""
    found: dict[Case, list[Way]] = {}
    with tempfile.TemporaryDirectory() as folder, steps(len(cells) * (len(ORDERS) + 16 * len(CASES))) as say:
        for name in cells:
            file = Path(folder) / f"{name}.json"
            cooled(name, PEERS_H).save(file)
            made = reductions([(name, order) for order in ORDERS], place, say)
            models = {order: made[name, order].with_h(float(PEERS_H)) for order in ORDERS}
            for kind, degC in CASES:
                case = Case(name, kind, degC, PEERS_H)
                if (truth := read(case, place)) is None:
                    say(f"full run of {case.name}")
                    make(case, place)
                    truth = read(case, place)
                assert truth is not None
                found[case] = compare(case, truth, models, file, say)
    for case, ways in found.items():
        fronts = [front(ways, quantity) for quantity in ("core_K", "rms_mV")]
        rows = [
            (
                one.name, f"{one.core_K:.3f}", f"{one.end_K:+.3f}", f"{one.rms_mV:.2f}", f"{one.most_mV:.1f}",
                f"{one.cost_us:.3g}", *("yes" if one in line else "-" for line in fronts), str(one.ran_s),
            )
            for one in ways
        ]  # fmt: skip
        print_table(f"{case.name}, judged {len(ways) and ways[0].ran_s} s", HEAD, rows)
    if plot:
        draw(found, plot)

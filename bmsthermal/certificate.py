"""What a reduced cell is worth: core error by order and method, over cooling and over a drive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.console import console, print_table
from bmsthermal.coupled import CoupledModel
from bmsthermal.plot import AMBIENT, CORE, figure, save
from bmsthermal.reduction import METHODS, ReducedModel
from bmsthermal.vehicle import Vehicle, load_schedule
from rom.certify import Certificate, certify

#: Heat-transfer coefficients that a certificate covers, in W/m2K: still air, forced air, liquid, immersion.
H_W_m2K = (5.0, 65.0, 300.0, 1000.0)
ORDERS = (2, 3, 4, 5, 6)
#: The heat is scaled to this difference between core and surface, in K.
GRADIENT_K = 10.0
RUNS = {"source": "US06 heat", "coolant": "coolant swing"}


def certify_cell(full: CoupledModel, reduced: ReducedModel, methods: tuple[str, ...] = tuple(METHODS)) -> Certificate:
    """Measure reductions of a cell against its full model.

    Two runs at each of `H_W_m2K`: the heat of a US06 current squared, scaled
    to `GRADIENT_K` between core and surface; and a coolant that drops by 10 K,
    then swings by 10 K with a period of 300 s.

    Parameters
    ----------
    full
        The full model.
    reduced
        Its order and step are covered beside `ORDERS`.
    methods
        Bases to compare.
    """
    time_s, speed_m_s = load_schedule("us06")
    current = np.tile(Vehicle().cell_current_A(time_s, speed_m_s), 4)
    seconds = np.arange(len(current), dtype=float)
    drop = len(seconds) // 2
    coolant = np.where(np.arange(len(seconds)) < drop, -10.0, 10.0 * np.sin(2 * np.pi * (seconds - drop) / 300.0))
    areas = np.array([full.cell.area_m2(wall) for wall in full.system.walls])
    fewest = len(full.system.inputs) + len(full.system.walls)
    orders = sorted({order for order in (*ORDERS, reduced.order) if order >= fewest or order == reduced.order})
    return certify(
        full.system, {name: METHODS[name] for name in methods}, orders,
        conductances=[h * areas for h in H_W_m2K], source=current**2,
        surroundings={"coolant": np.tile(coolant[:, None], len(areas))}, step_s=reduced.step_s,
        scale=(0, 2, GRADIENT_K), units=("K", "W/K"),
    )  # fmt: skip


def print_certificate(certificate: Certificate, reduced: ReducedModel) -> None:
    """Print the core error of the reduced model's method by order, and what is kept exactly."""
    kept = [kept for kept in certificate.kept if kept.method == reduced.method]
    errors = {(e.order, e.run, e.conductance): e.step for e in certificate.errors if e.method == reduced.method}
    walls = list(dict.fromkeys(e.conductance for e in certificate.errors))
    rows = [
        [title, f"{h:g}", *(f"{errors[k.order, run, wall]:.3f}" for k in kept)]
        for run, title in RUNS.items()
        for wall, h in zip(walls, H_W_m2K, strict=True)
    ]
    columns = ["input", "h W/m2K", *(f"{k.order}{'*' if k.order == reduced.order else ''}" for k in kept)]
    title = f"largest core error in K by number of states ({len(reduced.shapes)} in the full model)"
    print_table(title, columns, rows)
    worst = {name: max(getattr(k, name) for k in kept) for name in ("dc", "energy", "largest_pole")}
    console.print(
        f"error of the steady gain {worst['dc']:.0e}, of the energy {worst['energy']:.0e}, largest pole "
        f"{worst['largest_pole']:.6f}, exactly {certificate.conserved} at 1 when insulated; heat scaled to "
        f"{GRADIENT_K:g} K core to surface; coolant -10 K, then a 10 K sine of 300 s; steps of {reduced.step_s:g} s"
    )


def draw_certificate(certificate: Certificate, reduced: ReducedModel, path: str | Path | None = None) -> Any:
    """Core error against states, one panel per run: the method that was taken at every h, the others at one."""
    drawn = figure(height=4.4)
    walls = list(dict.fromkeys(e.conductance for e in certificate.errors))
    shades = np.linspace(0.35, 1.0, len(H_W_m2K))
    others = [m for m in dict.fromkeys(e.method for e in certificate.errors) if m != reduced.method]
    for axes, (run, title) in zip(drawn.subplots(1, len(RUNS), sharey=True), RUNS.items(), strict=True):

        def line(method: str, wall: tuple[float, ...], run: str = run) -> tuple[list[int], list[float]]:
            errors = [e for e in certificate.errors if (e.method, e.run, e.conductance) == (method, run, wall)]
            return [e.order for e in errors], [e.step for e in errors]

        for method, style in zip(others, (":", "--", "-."), strict=False):
            axes.semilogy(*line(method, walls[1]), style, lw=1.0, color=AMBIENT, label=f"{method}, h {H_W_m2K[1]:g}")
        for wall, h, shade in zip(walls, H_W_m2K, shades, strict=True):
            orders, errors = line(reduced.method, wall)
            axes.semilogy(
                orders, errors, "o-", ms=4, lw=1.6, color=CORE, alpha=shade, label=f"{reduced.method}, h {h:g}"
            )
        axes.axvline(reduced.order, color=AMBIENT, lw=0.8, ls=":")
        axes.axhline(0.1, color=AMBIENT, lw=0.8, ls="--")
        axes.text(reduced.order, 0.01, " taken", fontsize=7, color=AMBIENT, transform=axes.get_xaxis_transform())
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("thermal states")
        axes.set_xticks(sorted({e.order for e in certificate.errors}))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    drawn.axes[0].set_ylabel("largest core error, K")
    drawn.axes[1].text(min(ORDERS), 0.1, "0.1 K", fontsize=7, color=AMBIENT, va="bottom")
    drawn.legend(*drawn.axes[0].get_legend_handles_labels(), fontsize=8, frameon=False, loc="outside right center")
    drawn.suptitle(f"{reduced.cell.name}: {len(reduced.shapes)} states reduced; h in W/m2K", fontsize=10)
    return save(drawn, path)

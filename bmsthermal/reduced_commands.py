"""What the sub-commands do with the reduced coupled model: make one, run one, hold it against the full one."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.console import console, print_table, steps
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K

if TYPE_CHECKING:
    from bmsthermal.curves import Array
    from bmsthermal.reduced.model import ReducedCell
    from bmsthermal.reduced.range import Range
    from bmsthermal.simulating import Drive
    from bmsthermal.simulation import Simulation


def reduce_full(
    cell: str, *, thermal: str | None, core_K: float | None, voltage_mV: float | None, order: int | None, wanted: Range,
    step_s: float | None, workers: int | None, cluster: str | None, cache: Path | None, out: Path | None,
    plot: Path | None, report: Path | None,
) -> None:  # fmt: skip
    """Reduce, print the certificate, write what was asked for; exit code 1 if the errors cannot be had."""
    from bmsthermal.cell import load_cell
    from bmsthermal.coupled import CoupledModel
    from bmsthermal.reduced import certify
    from bmsthermal.reduced.certificate import print_certificate
    from bmsthermal.reduced.page import page
    from bmsthermal.reduced.sweep import MOST_WORKERS
    from bmsthermal.simulating import within, write

    if cell.endswith(".npz"):
        raise InputError("it is reduced already", where=cell, expected="a shipped name or a cell file")
    if order is not None and (core_K is not None or voltage_mV is not None):
        raise InputError("--order with --core-K or --voltage-mV", expected="one or the other")
    within("--core-K", core_K, 1e-3, 100.0)
    within("--voltage-mV", voltage_mV, 1e-2, 1e5)
    within("--workers", workers, 1, MOST_WORKERS)
    if cluster is not None and not re.fullmatch(r"[a-z]+://.+:\d+", cluster):
        raise InputError(f"{cluster!r:.60}", where="--cluster", expected="an address such as tcp://10.0.0.5:8786")
    model = CoupledModel(load_cell(cell), heat="dfn", thermal=thermal)
    with steps(1) as step:
        step("runs of the full model")
        reduced = model.reduce(
            order, step_s=1.0 if step_s is None else step_s, core_K=core_K,
            voltage_V=None if voltage_mV is None else 1e-3 * voltage_mV, range=wanted, workers=workers,
            cluster=cluster, cache=cache, progress=step.within,
        )  # fmt: skip
        full_s, step_ns = certify.speed(model, reduced)
        certificate = replace(reduced.certificate, full_s=full_s, step_ns=step_ns)
    console.print(reduced)
    print_certificate(certificate)
    if failed := write(((reduced.save, out), (certificate.plot, plot), (partial(page, certificate), report))):
        raise failed[0]
    if not certificate.reached:
        raise SystemExit(f"error: {model.cell.name}: not within what was asked for. {certificate.limit}")


def opened(path: str, h: float | None) -> ReducedCell:
    """Reduced coupled model of a file, cooled as asked."""
    from bmsthermal.reduced.storing import load

    reduced = load(path)
    return reduced if h is None else reduced.with_h(h)


def run(
    reduced: ReducedCell, drive: Drive, initial_soc: float | None, start_K: float | None, ambient_K: float | None,
    hottest_K: float, compare: bool, outputs: tuple[Path | None, Path | None, Path | None],
) -> None:  # fmt: skip
    """Run a reduced model, print what came out, and the difference to the full one if asked."""
    from bmsthermal import simulating
    from bmsthermal.simulated import rows

    for note in (*drive.notes, *beyond(reduced, drive, ambient_K)):
        console.print(f"note: {note}")
    ran, full = simulate(
        reduced, drive, initial_soc=initial_soc, start_K=start_K, ambient_K=ambient_K, hottest_K=hottest_K,
        compare=compare,
    )  # fmt: skip
    if len(ran.time_s) < 2:
        raise InputError(f"nothing ran: {ran.stopped}", where=reduced.cell.name)
    if reduced.certificate is not None and ran.soc.min() < reduced.certificate.range.soc[0] - 0.005:
        low = reduced.certificate.range.soc[0]
        console.print(f"note: SOC down to {ran.soc.min():.3g}: the certificate is for {low:g} and more")
    console.print(reduced)
    print_table(ran.settings["steps"], ("quantity", "value"), [*rows(ran, reduced.cell), simulating.end(ran, drive)])
    out, csv, plot = outputs

    def draw(path: Path) -> None:
        if full is None:
            ran.plot(path)
        else:
            title = f"{reduced.cell.name}: {ran.settings['steps']}, {reduced.order} states and the full model"
            draw_comparison(ran, full, path, title)

    if full is not None:
        print_comparison(ran, full)
    if failed := simulating.write(((ran.save, out), (ran.to_csv, csv), (draw, plot))):
        raise failed[0]
    if ran.stopped:
        raise SystemExit(f"error: {reduced.cell.name}: ended early, {ran.stopped}{simulating.hint(ran, drive)}")


def simulate(
    reduced: ReducedCell, drive: Drive, *, initial_soc: float | None, start_K: float | None, ambient_K: float | None,
    hottest_K: float, compare: bool,
) -> tuple[Simulation, Simulation | None]:  # fmt: skip
    """Run a reduced cell, and the full model beside it if it is to be compared."""
    from bmsthermal import simulating
    from bmsthermal.coupled import CoupledModel

    driven = drive.steps if drive.run is None else simulating.profile_step(drive.run, ambient_K)
    asked = {"initial_soc": initial_soc, "start_K": start_K, "ambient_K": ambient_K, "hottest_K": hottest_K}
    run = reduced.simulate(driven, **asked)  # type: ignore[arg-type]
    if not compare:
        return run, None
    if (reduced.resistance_Ohm, reduced.entropic_scale, reduced.capacity_fade) != (0.0, 1.0, 0.0):
        raise InputError("--compare-full of an aged model", expected="one as it was made")
    full = CoupledModel(reduced.cell, thermal=reduced.thermal.resolution, couplings=reduced.couplings)
    return run, full.simulate(driven, step_s=reduced.step_s, progress=True, **asked)  # type: ignore[arg-type]


def beyond(reduced: ReducedCell, drive: Drive, ambient_K: float | None) -> list[str]:
    """Say what of a drive lies outside the range that the certificate is for."""
    if reduced.certificate is None:
        return ["this reduced model has no certificate: nobody knows its error"]
    made, nominal = reduced.certificate.range, reduced.cell.electrochemistry.nominal_Ah
    currents = [drive.run.current_A] if drive.run is not None else [np.array([s.value]) for s in drive.steps]
    peak = max(float(np.abs(current).max()) for current in currents) / nominal
    h = reduced.cell.h_W_m2K.values()
    checked = [
        ("currents of up to", peak, "C", (0.0, made.c_rate[1])), ("cooling of", min(h), "W/m2K", made.h),
        ("cooling of", max(h), "W/m2K", made.h),
    ]  # fmt: skip
    if ambient_K is not None:
        checked.append(("an ambient of", ambient_K - ZERO_DEGC_K, "degC", made.ambient_degC))
    return list(dict.fromkeys(
        f"{what} {value:.3g} {unit}: outside the range of the certificate, {low:g} to {high:g} {unit}"
        for what, value, unit, (low, high) in checked
        if not low - 1e-9 <= value <= high + 1e-9
    ))  # fmt: skip


def print_comparison(run: Simulation, full: Simulation) -> None:
    """Print how far a reduced run is from the full one, over the time that both lasted."""
    time_s, errors = differences(run, full)
    table = [
        (title, f"{scale * float(np.abs(error).max()):.4g}", f"{scale * _rms(error):.4g}", unit)
        for title, error, scale, unit in (
            ("core", errors["core_K"], 1.0, "K"), ("surface", errors["surface_K"], 1.0, "K"),
            ("voltage", errors["voltage_V"], 1e3, "mV"),
        )
    ]  # fmt: skip
    print_table("reduced less full", ("quantity", "largest", "rms", "unit"), table)
    console.print(f"compared over {time_s[-1]:g} s; mean heat {run.heat_W[: len(time_s)].mean():.4g} W")


def differences(run: Simulation, full: Simulation) -> tuple[Array, dict[str, Array]]:
    """Errors at the rows of the reduced run that the full one reached."""
    last = min(float(run.time_s[-1]), float(full.time_s[-1]))
    time_s = run.time_s[run.time_s <= last + 1e-9]
    at = np.clip(np.searchsorted(full.time_s, time_s - 1e-9), 0, len(full.time_s) - 1)
    names = ("core_K", "surface_K", "voltage_V")
    return time_s, {name: getattr(run, name)[: len(time_s)] - getattr(full, name)[at] for name in names}


def draw_comparison(run: Simulation, full: Simulation, path: Path, title: str) -> None:
    """Draw both, and their difference below."""
    from bmsthermal.plot import AMBIENT, CORE, CURRENT, SURFACE, figure, save

    time_s, errors = differences(run, full)
    minutes, drawn = time_s / 60, figure(height=7.5)
    top, volts, core, volt_error = drawn.subplots(4, 1, sharex=True, height_ratios=(3, 2, 1.4, 1.4))
    both = full.time_s <= time_s[-1] + 1e-9
    at = full.time_s[both] / 60
    top.plot(at, full.core_K[both] - ZERO_DEGC_K, color=CORE, lw=2.4, alpha=0.4, label="core, full")
    top.plot(minutes, run.core_K[: len(minutes)] - ZERO_DEGC_K, color=CORE, lw=1.0, ls="--", label="core, reduced")
    top.plot(at, full.surface_K[both] - ZERO_DEGC_K, color=SURFACE, lw=2.4, alpha=0.4, label="surface, full")
    top.plot(minutes, run.surface_K[: len(minutes)] - ZERO_DEGC_K, color=SURFACE, lw=1.0, ls="--",
             label="surface, reduced")  # fmt: skip
    top.set_ylabel("temperature\ndegC")
    top.set_title(title, fontsize=10, loc="left")
    top.legend(fontsize=8, frameon=False, ncols=2)
    volts.plot(at, full.voltage_V[both], color=CURRENT, lw=1.6, alpha=0.4, label="full")
    volts.plot(minutes, run.voltage_V[: len(minutes)], color="#111111", lw=0.6, ls="--", label="reduced")
    volts.set_ylabel("voltage\nV")
    volts.legend(fontsize=8, frameon=False, ncols=2)
    core.plot(minutes, 1e3 * errors["core_K"], color=CORE, lw=1.0)
    core.set_ylabel("core\nerror, mK")
    volt_error.plot(minutes, 1e3 * errors["voltage_V"], color=CURRENT, lw=0.6)
    volt_error.set_ylabel("voltage\nerror, mV")
    volt_error.set_xlabel("time, minutes")
    for axes in (core, volt_error):
        axes.axhline(0, color=AMBIENT, lw=0.6)
    for axes in drawn.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.margins(x=0)
    save(drawn, path)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))

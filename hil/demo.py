"""The whole chain in one go: cell, full model, reduction, drive, observer, picture, C."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bmsthermal.certificate import certify_cell, draw_certificate
from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.estimates import Estimates
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.observer import Observer, compiled
from bmsthermal.plot import CORE, CURRENT, SURFACE, draw_band, figure, finish, frame, save
from bmsthermal.reduction import ReducedModel
from bmsthermal.run import Run
from bmsthermal.simulation import Simulation
from bmsthermal.vehicle import Vehicle, load_schedule
from firmware_export.bundle import Bundle, export
from firmware_export.host import HostReport
from hil.plant.driven import DrivenModel
from hil.sensors import SensorSet
from rom.certify import Certificate

AMBIENT_degC = 10.0
WRONG_START_K = 10.0
INITIAL_SOC = 0.9
CYCLES = 2
#: From here on the wrong start is forgotten and errors count.
SETTLED_S = 60.0


@dataclass(frozen=True)
class Demo:
    """What the demonstration made."""

    full: CoupledModel
    reduced: ReducedModel
    certificate: Certificate
    truth: Simulation
    seen: Run
    estimates: Estimates
    bundle: Bundle | None
    host: HostReport | None
    step_ns: float

    def rows(self) -> list[tuple[str, str]]:
        """Quantity and value with unit."""
        late = self.truth.time_s >= SETTLED_S
        without = (self.seen.surfaces_K["surface"] - self.truth.core_K)[late]
        error = self.estimates.core_K - self.truth.core_K
        wrong = np.flatnonzero(np.abs(error) > 0.5)
        with_ = error[late]
        inside = np.abs(with_) <= 2 * self.estimates.core_std_K[late]
        found = [
            ("core error without observer (surface sensor)", f"{_rms(without):.2f} K RMS, {_max(without):.2f} K max"),
            ("core error with observer", f"{_rms(with_):.2f} K RMS, {_max(with_):.2f} K max"),
            (f"wrong start of {WRONG_START_K:+g} K forgotten (below 0.5 K)", f"after {wrong.max(initial=-1) + 1:d} s"),
            ("true core inside 2 sigma", f"{100 * inside.mean():.0f} %"),
            ("states, full to reduced", f"{self.full.system.order} to {self.reduced.order}"),
            (f"time per observer step, {'compiled' if self.bundle else 'Python'}, here", f"{self.step_ns:.0f} ns"),
        ]
        if self.bundle is None:
            return [*found, ("C", "not written: bmsthermal was installed without a C compiler")]
        found.append(("state of one cell on a target", f"{self.bundle.manifest['sizes']['state_bytes']} bytes"))
        if self.host is None:
            return [*found, ("C on this machine", "no C compiler found")]
        if self.host.text_B is not None and self.host.data_B is not None:
            found.append(("C code and constants, compiled here", f"{self.host.text_B + self.host.data_B} bytes"))
        return [*found, ("C on this machine", "self-test passed" if self.host.passed else "SELF-TEST FAILED")]


def _rms(error: Array) -> float:
    return float(np.sqrt(np.mean(error**2)))


def _max(error: Array) -> float:
    return float(np.abs(error).max())


def drive_current(cycles: int = CYCLES) -> tuple[Array, Array]:
    """Cell current of the default vehicle on US06, repeated; time in s, positive current discharges."""
    time_s, speed_m_s = load_schedule("us06")
    one = Vehicle().cell_current_A(time_s, speed_m_s)[:-1]
    current_A = np.tile(one, cycles)
    return np.arange(len(current_A), dtype=float) * float(time_s[1] - time_s[0]), current_A


def demonstrate(folder: Path, cell_name: str, step: Callable[[str], None]) -> Demo:
    """Run the chain and write ``demo.png``, ``certificate.png`` and the C folder into `folder`."""
    from bmsthermal import load_cell

    step("load the cell, build the full model")
    full = CoupledModel(load_cell(cell_name), heat="measured")
    step("reduce")
    reduced = full.reduce_conduction(order=4)
    reduced.verify()
    step("certify")
    certificate = certify_cell(full, reduced)
    draw_certificate(certificate, reduced, folder / "certificate.png")
    step("drive US06 through the full model")
    time_s, current_A = drive_current()
    ambient_K = AMBIENT_degC + ZERO_DEGC_K
    truth, seen = DrivenModel(full, SensorSet()).drive(time_s, current_A, ambient_K=ambient_K, initial_soc=INITIAL_SOC)
    step("estimate the core from the surface sensor")
    observer = Observer(reduced)
    estimates = observer.run(seen, initial_soc=INITIAL_SOC, start_K=ambient_K + WRONG_START_K)
    step_ns = _time_step(observer)
    step("draw")
    draw_demo(truth, seen, estimates, folder / "demo.png")
    step("export C, compile and run it")
    # the self-test of a bundle is a run of the compiled kernel: without one there is nothing to write
    bundle = export(Observer(reduced, real="float"), folder / "c") if compiled() else None
    host = bundle.check() if bundle else None
    return Demo(full, reduced, certificate, truth, seen, estimates, bundle, host, step_ns)


def _time_step(observer: Observer, steps: int = 20_000) -> float:
    """Nanoseconds per step of the engine over an array of inputs, the best of five."""
    engine = observer.kernel()
    steps = steps if hasattr(engine, "lanes") else 200
    u = np.full((steps, 1, engine.input_size), np.nan)
    u[:, 0, :4] = [10.0, 3.2, np.nan, 290.0]
    z = np.full((steps, 1, len(observer.measured)), 292.0)
    engine.write(observer.start(291.0, 0.5).row[None, :].copy())
    best = np.inf
    for _ in range(5):
        begun = time.perf_counter()
        engine.run(u, z)
        best = min(best, time.perf_counter() - begun)
    return best / steps * 1e9


def draw_demo(truth: Simulation, seen: Run, found: Estimates, path: Path) -> None:
    """True core, estimate with its band, surface sensor; current below."""
    drawn = figure(height=5.0)
    top, bottom = drawn.subplots(2, 1, sharex=True, height_ratios=[4, 1.2])
    minutes = truth.time_s / 60
    top.plot(
        minutes, seen.surfaces_K["surface"] - ZERO_DEGC_K, color=SURFACE, lw=0.7, alpha=0.8, label="surface (sensor)"
    )
    draw_band(top, minutes, found.core_K, found.core_std_K)
    top.plot(minutes, truth.core_K - ZERO_DEGC_K, color=CORE, lw=1.6, label="core (truth)")
    bottom.plot(minutes, seen.current_A, color=CURRENT, lw=0.7)
    frame(top, found.core_K - ZERO_DEGC_K, found.core_std_K)
    start = top.inset_axes((0.56, 0.08, 0.3, 0.34))
    seconds = slice(0, 31)
    start.plot(truth.time_s[seconds], truth.core_K[seconds] - ZERO_DEGC_K, color=CORE, lw=1.6)
    draw_band(start, found.time_s[seconds], found.core_K[seconds], found.core_std_K[seconds])
    start.set_title("the wrong start, first 30 s", fontsize=8)
    start.set_ylim(AMBIENT_degC - 3, AMBIENT_degC + WRONG_START_K + 3)
    finish(top, bottom, f"{found.reduced.cell.name}, US06 x {CYCLES} at {AMBIENT_degC:g} degC")
    save(drawn, path)

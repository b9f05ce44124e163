"""What holds of a reduced cell whatever drives it: poles, steady gains, response from 0 to 10 Hz."""

from __future__ import annotations

import time

import numpy as np

from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.reduced.build import conduction
from bmsthermal.reduced.jacobian import TINY
from bmsthermal.reduced.measures import Frequency
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.particles import sphere
from bmsthermal.reduced.twin import Twin

#: Where it is linear about, and how many steps are timed.
SOC, DEGC, STEPS = 0.5, 25.0, 20_000
#: Frequencies of the response, and the step that it is computed at: 10 Hz are 50 steps a period.
HERTZ, FINE_S = np.concatenate([[0.0], np.geomspace(1e-5, 10.0, 61)]), 0.002


def linear(model: ReducedCell, soc: float, T_K: float, h_W_m2K: float | None) -> tuple[Array, Array, Array, Array]:
    """Small-signal step about rest: ``A (n, n)``, ``B (n, 1)``, ``C (2, n)``, ``D (2, 1)`` of voltage and core.

    By a complex step of the twin, which is exact to rounding.

    Parameters
    ----------
    model
        The reduced cell.
    soc, T_K
        Where it rests.
    h_W_m2K
        Heat-transfer coefficient of every face; None leaves the model's own.
    """
    twin = Twin(model if h_W_m2K is None else model.with_h(h_W_m2K))
    rest = np.append(
        twin.rest(model.cell.electrochemistry.stoichiometries(soc)[0], T_K), 0.0
    )  # the current is the last
    n, columns = len(rest) - 1, []
    for moved in rest + 1j * TINY * np.eye(n + 1):
        after, found = twin.step(moved[:n], moved[n], T_K)
        columns.append(np.append(after, [found.voltage_V, found.temperature_K[0]]).imag / TINY)
    slopes = np.column_stack(columns)
    return slopes[:n, :n], slopes[:n, n:], slopes[n:, :n], slopes[n:, n:]


def poles(model: ReducedCell, h_W_m2K: float) -> Array:
    """Moduli of the poles of the step about rest, largest first."""
    A = linear(model, SOC, DEGC + ZERO_DEGC_K, h_W_m2K)[0]
    return np.sort(np.abs(np.linalg.eigvals(A)))[::-1]


def steady(full: CoupledModel, model: ReducedCell, h_W_m2K: float) -> float:
    """Largest relative error of the steady gains: temperatures by heat, surface of the particles by reaction.

    Those of r-z are held against the full conduction with one flow a wall (`ConductionField.system`): what that
    costs is in the errors of the cases.
    """
    system = conduction(full).system
    g = model.conductance_W_K(h_W_m2K)
    outside = np.zeros(len(g))
    exact = system.C @ system.steady(g, [1.0], outside)
    found = model.thermal.modal.C @ model.thermal.modal.steady(g, [1.0], outside)
    errors = [float(np.abs(found / exact - 1.0).max())]
    gap = float((sphere().E.T @ np.linalg.pinv(sphere().K) @ sphere().E)[0, 0])
    for part in (model.negative, model.positive):
        uniform = part.weight @ part.surface
        moving = part.rate > 1e-9
        errors.append(abs(float((uniform[moving] ** 2 / part.rate[moving]).sum()) / gap - 1.0))
    return max(errors)


def response(full: CoupledModel, model: ReducedCell) -> Frequency:
    """Voltage and core by a small current, full and reduced, from 0 to 10 Hz, about rest."""
    T_K = DEGC + ZERO_DEGC_K
    at = full.simulate("rest for 1 s", initial_soc=SOC, ambient_K=T_K).end
    line = full.linearise(at)
    outputs = [
        line.outputs.index("voltage_V"),
        next(i for i, name in enumerate(line.outputs) if name.startswith("core")),
    ]
    A, B, C, D = linear(model.with_step(FINE_S), SOC, T_K, None)
    hertz = HERTZ[1:]  # at 0 the voltage of both is without end: lithium is an integrator
    s = 2j * np.pi * hertz
    theirs, ours = np.empty((2, len(hertz)), complex), np.empty((2, len(hertz)), complex)
    for k, now in enumerate(s):
        theirs[:, k] = _gain(line.A, line.B[:, :1], line.C[outputs], line.D[outputs, :1], now)
        held = (1 - np.exp(-now * FINE_S)) / (now * FINE_S)  # what a hold does to a sine; the direct part is not held
        ours[:, k] = _gain(A, B, C, np.zeros_like(D), np.exp(now * FINE_S)) * held + D[:, 0]
    about = f"about rest at SOC {SOC:g}, {DEGC:g} degC"
    return Frequency(hertz, theirs[0], ours[0], theirs[1], ours[1], "K/A", about)


def _gain(A: Array, B: Array, C: Array, D: Array, at: complex) -> Array:
    return np.asarray(C @ np.linalg.solve(at * np.eye(len(A)) - A, B) + D)[:, 0]


def speed(full: CoupledModel, model: ReducedCell) -> tuple[float, float]:
    """CPU seconds of the full model per simulated second of a discharge, and nanoseconds of a reduced step."""
    begun = time.process_time()
    run = full.simulate("discharge at 1 C for 300 s", ambient_K=DEGC + ZERO_DEGC_K)
    full_s = (time.process_time() - begun) / float(run.time_s[-1])
    T_K, best = DEGC + ZERO_DEGC_K, np.inf
    u = model.inputs(np.zeros(STEPS), T_K)
    for _ in range(5):
        kernel = model.rest(SOC, T_K)
        out = np.empty((STEPS, kernel.out_size))
        begun = time.perf_counter()
        kernel.run(u, out)
        best = min(best, time.perf_counter() - begun)
    return full_s, 1e9 * best / STEPS

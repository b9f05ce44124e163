"""What a reduced cell is worth: its errors against runs of the full model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.reduced.marching import held
from bmsthermal.reduced.measures import CaseError, Trial
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.trace import HOTTEST_K, Trace

#: Salt below this share of the initial one, or a core above this temperature, and the full model is judged no further.
SALT_MOL_M3, HOT_K = 50.0, HOTTEST_K
#: Runs that end before this are listed, not scored; the voltage counts in this window of the state of charge.
SHORT_S, WINDOW = 120.0, (0.10, 0.95)


@dataclass(frozen=True, eq=False)
class Referee:
    """A run of the full model in steps of the reduced one: what errors are taken against.

    Parameters
    ----------
    trace
        Run of the full model.
    step_s
        Length of a step.
    initial_mol_m3
        Concentration that the salt of the trace counts in.
    """

    trace: Trace
    step_s: float
    initial_mol_m3: float

    @cached_property
    def until(self) -> tuple[float, str]:
        """When the judging ends, and why."""
        trace = self.trace
        if not len(trace.time_s):
            return 0.0, "cut-off"
        ends = {"cut-off" if "cut-off" in trace.stopped or not trace.case.drive else "end": float(trace.time_s[-1])}
        if (low := trace.salt_minimum * self.initial_mol_m3 < SALT_MOL_M3).any():
            ends["salt"] = float(trace.snapshot_s[int(np.argmax(low))])
        if (hot := trace.core_K >= HOT_K).any():
            ends["hot"] = float(trace.time_s[int(np.argmax(hot))])
        why = min(ends, key=lambda reason: ends[reason])
        return ends[why], why

    @cached_property
    def times(self) -> Array:
        """Begin of each judged step, and the end of the last."""
        return self.step_s * np.arange(0.0, max(int(np.floor(self.until[0] / self.step_s + 1e-9)), 0) + 1)

    @cached_property
    def current_A(self) -> Array:
        """Held in each step."""
        return held(self.trace.time_s, self.trace.current_A, self.step_s)[: len(self.times)]

    @cached_property
    def columns(self) -> tuple[Array, Array, Array]:
        """Voltage, core and surfaces ``(k, walls)`` at those times."""
        trace = self.trace
        core, *surfaces = (np.interp(self.times, trace.time_s, row) for row in (trace.core_K, *trace.surface_K))
        return _rows(self.times, trace.time_s, trace.voltage_V), core, np.column_stack(surfaces)

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Where the voltage counts: in the window; of a drive only where rows stand, for between them it jumps."""
        soc = np.interp(self.times, self.trace.time_s, self.trace.soc)
        inside = (soc >= WINDOW[0]) & (soc <= WINDOW[1])
        return inside & _stand(self.times, self.trace.time_s)[1] if self.trace.case.drive else inside

    @cached_property
    def heat_J(self) -> float:
        """Heat of the full model: a drive jumps at its rows and holds, a constant current goes on smoothly."""
        inside = self.trace.time_s <= self.until[0] + 1e-9
        time_s, heat = self.trace.time_s[inside], self.trace.heat_W[inside]
        mean = heat[:-1] if self.trace.case.drive else (heat[:-1] + heat[1:]) / 2
        return float((mean * np.diff(time_s)).sum())

    def judge(self, model: ReducedCell) -> CaseError:
        """Error of a reduced cell in this run, at whatever cooling the run has."""
        case, (until, why) = self.trace.case, self.until
        scored = until >= SHORT_S
        if len(self.times) < 2:
            return CaseError(case.name, case.ambient_degC, case.h, until, why, False, *[float("nan")] * 7)
        start_K = case.ambient_degC + ZERO_DEGC_K
        out, wall_K = run(model, self.current_A, case.initial_soc, start_K, case.h)
        full_voltage, full_core, full_surface = self.columns
        voltage = (out[:, 0] - full_voltage)[self.counted]
        heat = float(out[:-1, 1].sum()) * model.step_s
        g = model.conductance_W_K(case.h)
        cooled = model.step_s * float(((wall_K[1:] - start_K) @ g).sum())
        stored = model.cell.heat_capacity_J_K * float(out[-1, 8] - out[0, 8])
        return CaseError(
            case.name, case.ambient_degC, case.h, until, why, scored, rise_K=float(full_core.max() - full_core[0]),
            core_K=_largest(out[:, 7] - full_core), surface_K=_largest(out[:, 9 : 9 + len(g)] - full_surface),
            voltage_rms_V=float(np.sqrt(np.mean(voltage**2))) if len(voltage) else 0.0,
            voltage_max_V=_largest(voltage), heat=abs(heat / self.heat_J - 1.0) if self.heat_J else 0.0,
            energy=abs(heat - cooled - stored) / max(abs(heat), 1e-9),
        )  # fmt: skip


def judge(model: ReducedCell, trace: Trace) -> CaseError:
    """Error of a reduced cell in one run of the full model."""
    initial = model.cell.electrochemistry.electrolyte.initial_concentration_mol_m3
    return Referee(trace, model.step_s, initial).judge(model)


def _largest(error: Array) -> float:
    return float(np.abs(error).max(initial=0.0))


def run(model: ReducedCell, current_A: Array, soc: float, start_K: float, h_W_m2K: float) -> tuple[Array, Array]:
    """Rows of the kernel and temperatures of its walls, from rest in surroundings at the start temperature."""
    kernel = model.rest(soc, start_K, h_W_m2K=h_W_m2K)
    out, past = (np.empty((len(current_A), size)) for size in (kernel.out_size, kernel.state_size))
    kernel.run(model.inputs(current_A, start_K), out, past)
    return out, model.wall_K(past)


def trial(model: ReducedCell, method: str, sizes: str, errors: Sequence[CaseError]) -> Trial:
    """Worst of the scored cases."""
    scored = [error for error in errors if error.scored]
    worst = max(scored, key=lambda error: error.core_K)
    return Trial(
        method, model.order, sizes, worst.core_K, max(e.voltage_rms_V for e in scored),
        max(e.voltage_max_V for e in scored), max(e.heat for e in scored), worst.case,
    )  # fmt: skip


def _rows(times: Array, clock: Array, values: Array) -> Array:
    """Values where rows stand, which hold the jumps of a profile; between rows they are interpolated."""
    at, exact = _stand(times, clock)
    return np.where(exact, values[at], np.interp(times, clock, values))


def _stand(times: Array, clock: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Row at or after each time, and whether it stands at that time."""
    at = np.clip(np.searchsorted(clock, times - 1e-9), 0, len(clock) - 1)
    return at, np.abs(clock[at] - times) < 1e-6

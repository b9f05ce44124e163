"""From the options of a simulation to what drives the cell, and from the end of a run to its reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.console import console, steps
from bmsthermal.coupled import CoupledModel
from bmsthermal.errors import InputError
from bmsthermal.profiles import profile_of, read_profile
from bmsthermal.protocol import Step, parse_steps
from bmsthermal.protocol import profile as scaled
from bmsthermal.run import Run
from bmsthermal.schema import COOLING
from bmsthermal.simulation import Simulation
from bmsthermal.vehicle import schedules

#: State of charge that a shipped schedule starts from: a full cell would be overcharged by its braking.
SCHEDULE_SOC = 0.7
#: Multiple of the capacity per hour (in A, or in W) that no cell gives.
MOST_C = 100.0
MOST_ROWS = 2_000_000
#: Difference of two open-circuit voltages of one file that `estimate` and `calibrate` feel, in V.
APART_V = 0.02


@dataclass(frozen=True)
class Drive:
    """What drives a cell: steps or a run, where it starts unless told, and what to say of it."""

    steps: tuple[Step, ...] = ()
    run: Run | None = None
    initial_soc: float | None = None
    notes: tuple[str, ...] = ()


def within(option: str, value: float | None, low: float, high: float) -> None:
    """Hold the value of an option, if there is one, against its range."""
    if value is not None and not low <= value <= high:
        kelvin = ", degC and not kelvin" if option.endswith("degC") else ""
        raise InputError(f"{value:g}", where=option, expected=f"{low:g} to {high:g}{kelvin}")


def _cut_offs(cell: Cell) -> tuple[float, float]:
    """Lower and upper voltage cut-off, without end where a thermal file has none."""
    low, high = (cell.lumped.get(f"{end} voltage cut-off [V]") for end in ("Lower", "Upper"))
    return float(1e-3 if low is None else low), float(1e3 if high is None else high)


def constant(cell: Cell, control: str, value: float, duration_s: float | None) -> Drive:
    """A current or power until the cut-off, or a voltage for a time."""
    if not math.isfinite(value):
        raise InputError(f"{value:g}", where=control, expected="a finite number")
    if control != "--voltage-V":
        most = MOST_C * (1.0 if control == "--c-rate" else cell.capacity_Ah)
        within(control, value, -most, most)
    ends = math.inf if duration_s is None else duration_s
    if duration_s is None and (control == "--voltage-V" or value == 0):
        raise InputError(f"{control} {value:g} would never end", expected="--duration-s", hint="or use --steps")
    lower, upper = _cut_offs(cell)
    if control == "--voltage-V":
        if not lower <= value <= upper:
            expected = f"{lower:g} to {upper:g}, the cut-offs of {cell.name}"
            raise InputError(f"{value:g}", where=control, expected=expected)
        return Drive((Step("voltage", value, ends),))
    if control == "--c-rate":
        value *= cell.capacity_Ah
    until_V = None if value == 0 else (lower if value > 0 else upper)
    kind: Literal["current", "power"] = "power" if control == "--power-W" else "current"
    return Drive((Step(kind, value, ends, until_V=until_V),), initial_soc=0.0 if value < 0 else None)


def protocol(cell: Cell, text: str, duration_s: float | None) -> Drive:
    """Steps of a text, none beyond the cut-offs."""
    if duration_s is not None:
        raise InputError("--duration-s with --steps", expected="'for' a time in the steps")
    steps_ = parse_steps(text, cell.capacity_Ah)
    lower, upper = _cut_offs(cell)
    for number, step in enumerate(steps_, 1):
        for limit in (step.until_V, step.value if step.control == "voltage" else None):
            if limit is not None and not lower <= limit <= upper:
                found, expected = f"{limit:g} V", f"{lower:g} to {upper:g} V, the cut-offs of {cell.name}"
                raise InputError(found, where=f"step {number}, {step}", expected=expected)
    first = next((step.value for step in steps_ if step.control != "voltage" and step.value), 0.0)
    return Drive(steps_, initial_soc=0.0 if first < 0 else None)


def profile(
    cell: Cell, name: str, scale: float, columns: dict[str, str], sign: Literal["discharge", "charge"],
    duration_s: float | None,
) -> Drive:  # fmt: skip
    """A schedule by name, or the profile of a file, cut after `duration_s`."""
    notes: tuple[str, ...] = ()
    initial_soc = None
    if name in schedules():
        if columns or sign != "discharge":
            raise InputError(f"schedule {name} with --columns or --current-sign", expected="them with a file")
        (run, note), initial_soc = profile_of(name, cell.capacity_Ah), SCHEDULE_SOC
        notes = (note,)
    elif not Path(name).exists():
        expected = "a CSV file or one of " + ", ".join(schedules())
        raise InputError("no such file, and no schedule of that name", where=name, expected=expected)
    else:
        run = read_profile(name, columns=columns, current_sign=sign, capacity_Ah=cell.capacity_Ah)
    if duration_s is not None:
        lasts = float(run.time_s[-1] - run.time_s[0])
        if duration_s > lasts:
            expected = f"at most {lasts:g}, the length of {name}"
            raise InputError(f"{duration_s:g}", where="--duration-s", expected=expected)
        if run.time_s[1] - run.time_s[0] > duration_s:
            raise InputError(f"{duration_s:g}", where="--duration-s", expected="two rows of the profile or more")
        run = run.before(math.nextafter(float(run.time_s[0]) + duration_s, math.inf))
    largest = abs(scale) * float(np.abs(run.current_A).max())
    within("--current-scale, largest current in A", largest, 0.0, MOST_C * cell.capacity_Ah)
    return Drive(run=scaled(run, scale).run, initial_soc=initial_soc, notes=notes)


def write(outputs: Sequence[tuple[Callable[[Path], object], Path | None]]) -> list[InputError]:
    """Write each output that is asked for, whatever becomes of the others; say what was, return what failed."""
    failed = []
    with steps(1) as step:
        step("write")
        for writer, path in outputs:
            if path is None:
                continue
            try:
                writer(path)
                console.print(f"wrote {path}", soft_wrap=True)
            except InputError as error:
                failed.append(error)
    return failed


def profile_step(run: Run, ambient_K: float | None) -> Step:
    """Step of a profile, whose own ambient counts only where none is given."""
    if ambient_K is not None:
        run = replace(run, ambient_K=np.full(run.time_s.shape, ambient_K))
    return Step("profile", run=run)


def notes(model: CoupledModel, *, default_heat: bool, default_thermal: bool, data: bool) -> list[str]:
    """Say what the file left open and what was taken instead, and where it contradicts itself.

    Parameters
    ----------
    model
        As it will run.
    default_heat, default_thermal
        Whether nobody said where the heat comes from, and where the temperature lives.
    data
        Whether the run is written as data for `estimate` and `calibrate`.
    """
    cell, full, found = model.cell, model.heat != "measured", []
    if not full and default_heat:
        found.append("no electrodes: heat from current and voltage")
    around = (cell.document.get("State") or {}).get("Thermal environment") or {}
    given = cell.thermal.get(COOLING, around.get(COOLING))
    if given is None and not (full and model.equations.resolution == "isothermal"):
        found.append("no heat-transfer coefficient in the file: 10 W/m2K; --h sets another")
    if full and default_thermal and {"soret", "dufour"} & {*model.couplings}:
        found.append("thermal x, which soret and dufour need")
    if full and isinstance(given, Mapping) and model.equations.resolution == "r-z":
        unsaid = [wall for wall in model.equations.field.walls if wall not in given]
        if unsaid:
            found.append(f"{' and '.join(unsaid)} are cooled as the {next(iter(given))} is")
    if data and full and "Open-circuit voltage [V]" in cell.thermal:
        soc = np.linspace(0.05, 0.95, 181)
        apart = float(
            np.abs(cell.curve("Open-circuit voltage [V]")(soc) - cell.electrochemistry.open_circuit_V(soc)).max()
        )
        if apart > APART_V:
            found.append(
                "the electrodes and the open-circuit table of this file are two measurements: "
                f"up to {apart:.2f} V apart; give estimate and calibrate --initial-soc"
            )
    return found


def measured(
    model: CoupledModel, drive: Drive, initial_soc: float | None, start_K: float | None, ambient_K: float | None,
    step_s: float,
) -> Simulation:  # fmt: skip
    """Run where the DC resistance gives the voltage: a profile, or a constant current until its cut-off."""
    cell, soc = model.cell, 1.0 if initial_soc is None else initial_soc
    around = cell.reference_K if ambient_K is None else ambient_K
    step = drive.steps[0] if drive.steps else None
    if step is None:
        assert drive.run is not None
        whole = drive.run.resample(step_s, math.inf)
        known = np.isfinite(whole.ambient_K) & (ambient_K is None)
        whole = replace(whole, ambient_K=np.where(known, whole.ambient_K, around))
    elif len(drive.steps) > 1 or step.control != "current":
        raise InputError("--heat measured", where=cell.name, expected="a profile or a constant current")
    else:
        left = (soc if step.value > 0 else 1.0 - soc) * 3600 * cell.capacity_Ah
        seconds = min(step.duration_s, left / abs(step.value) if step.value else math.inf)
        count = int(seconds / step_s) + 1
        if not 2 <= count <= MOST_ROWS:
            raise InputError(f"{count} rows of {step_s:g} s", where=cell.name, expected=f"2 to {MOST_ROWS:,}")
        unknown, time_s = np.full(count, np.nan), np.arange(float(count)) * step_s
        whole = Run(time_s, np.full(count, step.value), unknown, np.full(count, around), name=str(step))
    run = model.simulate(whole, initial_soc=soc, start_K=start_K, step_s=step_s)
    if step is None or step.until_V is None:
        return run
    beyond = (run.voltage_V - step.until_V) * (1 if step.value < 0 else -1) > 0
    if not beyond.any():
        return run
    last = float(whole.time_s[max(int(beyond.argmax()), 1)])
    return model.simulate(whole.before(last + step_s / 2), initial_soc=soc, start_K=start_K, step_s=step_s)


def settings(
    run: Simulation, model: CoupledModel, drive: Drive, output_step_s: float, rtol: float, atol: float, refine: int = 1
) -> dict[str, str]:
    """How the run was made, in words."""
    own = {"cell": model.cell.name, "digest": model.cell.digest, "heat": str(model.heat)}
    own |= {"capacity_Ah": f"{model.cell.capacity_Ah:g}"}
    own["steps"] = "; ".join(map(str, drive.steps)) if drive.run is None else f"profile {drive.run.name}"
    own |= {"initial_soc": f"{run.soc[0]:g}"} | run.settings
    own |= {f"h_{wall}_W_m2K": f"{h:g}" for wall, h in model.cell.h_W_m2K.items()}
    return own | {
        "output_step_s": f"{output_step_s:g}",
        "rtol": f"{rtol:g}",
        "atol": f"{atol:g}",
        "refine": str(refine),
    }


def end(run: Simulation, drive: Drive) -> tuple[str, str]:
    """Say what ended the run: a limit that nobody asked for, one of the last step, or time."""
    last = drive.steps[-1] if drive.steps else None
    if run.stopped or last is None:
        return "ended", run.stopped or "at the end of the profile"
    beyond = math.inf if last.until_V is None else (run.voltage_V[-1] - last.until_V) * math.copysign(1.0, last.value)
    if beyond <= 1e-3:
        reason = f"the voltage reached {last.until_V:g} V"
    elif last.until_A is not None and abs(run.current_A[-1]) < 1.001 * last.until_A:
        reason = f"the current fell to {last.until_A:g} A"
    elif math.isinf(last.duration_s):
        reason = "the temperature reached its limit" if last.until_K is not None else "no charge is left"
    else:
        reason = "at the end of the " + ("last step" if len(drive.steps) > 1 else "time")
    return "ended", reason


def hint(run: Simulation, drive: Drive) -> str:
    """What may be wrong with a profile that charges more than it discharges."""
    profile = drive.run
    if profile is None or "upper cut-off" not in run.stopped:
        return ""
    if float(np.diff(profile.time_s) @ profile.current_A[:-1]) >= 0:
        return "; a lower --initial-soc leaves room for braking"
    return "; a positive current discharges: --current-sign charge turns a file's round"

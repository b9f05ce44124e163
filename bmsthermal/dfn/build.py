"""From the options of a coupled model to its equations, and from its record to a simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.dfn import mechanics
from bmsthermal.dfn.decomposition import Decomposition
from bmsthermal.dfn.equations import COUPLINGS, INTEGRALS, Equations
from bmsthermal.dfn.inputs import COOLANT
from bmsthermal.dfn.integrate import HEATS, Record, State, integrate
from bmsthermal.dfn.linearise import check_state
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.heat import check_soc
from bmsthermal.protocol import Step, check_ambients, check_kelvin, steps_of, total_s
from bmsthermal.run import Run
from bmsthermal.simulation import Simulation

if TYPE_CHECKING:
    from bmsthermal.coupled import CoupledModel

#: Most rows of a run, most numbers of all its states, and how long a hold that only a current ends may take.
MOST_ROWS, MOST_STATES, LONGEST_HOLD_S = 2_000_000, 200_000_000, 1e5
#: States kept of a run whose fields were not asked for.
SNAPSHOTS = 200


def equations(model: CoupledModel) -> Equations:
    """Equations that the options of a model mean.

    Raises
    ------
    InputError
        If an option is unknown, or the cell file lacks what it needs.
    """
    cell, couplings = model.cell, _couplings(model.cell, model.couplings)
    resolution = model.thermal or _default(cell, couplings)
    if {"soret", "dufour"} & {*couplings} and resolution != "x":
        raise InputError(
            f"Soret or Dufour with thermal={resolution!r}", where=cell.name, expected="thermal='x'",
            hint="elsewhere nothing differs in temperature along the electrolyte",
        )  # fmt: skip
    reactions = Decomposition.of(model.reactions)
    made = Equations(
        cell, resolution, model.layers, couplings, model.heat != "three-term", model.mesh or Mesh(),
        model.nodes or 40, reactions if reactions.names else None,
    )  # fmt: skip
    _ = made.heat  # what the geometry lacks is said here
    return made


def _couplings(cell: Cell, asked: Sequence[str] | str) -> tuple[str, ...]:
    wanted: list[str] = []
    for name in asked.split(",") if isinstance(asked, str) else asked:
        wanted += mechanics.EFFECTS if name == "stress" else [name]
    if unknown := sorted({*wanted} - {*COUPLINGS}):
        raise InputError(f"unknown coupling {unknown[0]!r}", expected="some of stress, " + ", ".join(COUPLINGS))
    p = cell.electrochemistry
    if {"soret", "dufour"} & {*wanted} and p.electrolyte.soret_1_K == 0:
        raise InputError(
            "no 'Soret coefficient [K-1]'", where=f"{cell.name}, User-defined", hint="Soret and Dufour need it"
        )
    if {*mechanics.EFFECTS} & {*wanted}:
        for title, electrode in (("Negative electrode", p.negative), ("Positive electrode", p.positive)):
            for key, value in (
                ("partial molar volume [m3.mol-1]", electrode.partial_molar_volume_m3_mol),
                ("Young's modulus [Pa]", electrode.youngs_modulus_Pa),
                ("Poisson's ratio", electrode.poisson_ratio),
            ):
                if value is None:
                    raise InputError(f"no '{title} {key}'", where=f"{cell.name}, User-defined", hint="stress needs it")
    return tuple(dict.fromkeys(wanted))


def _default(cell: Cell, couplings: Sequence[str]) -> str:
    """Thermal resolution that the couplings need and the file has numbers for."""
    if {"soret", "dufour"} & {*couplings}:
        return "x"
    if "Form factor" in cell.thermal:
        return "radial" if cell.form == "cylinder" else "slab"
    return "lumped" if cell.has_heat_capacity else "isothermal"


def simulate(
    model: CoupledModel,
    profile: Run | Step | Sequence[Step] | str,
    *,
    initial_soc: float | None,
    start_K: float | None,
    ambient_K: float | None,
    step_s: float,
    rtol: float,
    atol: float,
    hottest_K: float,
    start: State | None,
    fields: bool,
    progress: bool,
) -> Simulation:
    """Run the full model; see `bmsthermal.coupled.CoupledModel.simulate`."""
    from bmsthermal.console import timeline

    eq, p = model.equations, model.equations.parameters
    steps = steps_of(profile, p.nominal_Ah)
    if start is not None:
        if initial_soc is not None or start_K is not None:
            raise InputError("start with initial_soc or start_K", expected="one or the other")
        check_state(eq, start)
        initial_soc, ambient_K = _soc(eq, start.y), ambient_K or float(start.u[COOLANT])
    limit_K = None if hottest_K == np.inf else hottest_K
    for name, value in (("start_K", start_K), ("ambient_K", ambient_K), ("hottest_K", limit_K)):
        if value is not None:
            check_kelvin(name, value, model.cell.name)
    check_ambients(steps)
    around = p.ambient_K if ambient_K is None else ambient_K
    drive = steps[0].run
    first = around if drive is None or np.isnan(drive.ambient_K[0]) else float(drive.ambient_K[0])
    soc = next(value for value in (initial_soc, p.initial_soc, 1.0) if value is not None)
    soc = soc if start is not None else check_soc(soc)
    begin = first if start_K is None else start_K
    longest = total_s(steps)
    count = rows(steps, step_s, eq)
    if count > (MOST_STATES // len(eq.system.mass) if fields else MOST_ROWS):
        hint = "choose a longer step_s (--output-step-s)" + (", or do without fields" if fields else "")
        raise InputError(f"{count:.3g} rows of {step_s:g} s", where=model.cell.name, expected="fewer", hint=hint)
    every = 1 if fields else int(np.ceil(count / SNAPSHOTS))
    with timeline("simulate", longest, shown=progress) as report:
        record, stopped = integrate(
            eq, steps, soc=soc, start_K=begin, ambient_K=around, start=start, output_s=step_s, rtol=rtol, atol=atol,
            hottest_K=hottest_K, every=every, report=report,
        )  # fmt: skip
    if not record.time_s:
        raise InputError(f"cannot start: {stopped}", where=model.cell.name)
    return _simulation(model, record, stopped, soc, steps, fields)


def rows(steps: Sequence[Step], step_s: float, eq: Equations) -> float:
    """How many rows a protocol makes at most; a step that only a voltage ends lasts until the cell is empty."""
    p, count = eq.parameters, 0.0
    for step in steps:
        if step.run is not None:
            count += float(np.ceil(np.diff(step.run.time_s) / step_s).sum())
            continue
        amperes = abs(step.value) / (p.lower_voltage_V if step.control == "power" else 1.0)
        flows = step.control != "voltage" and amperes > 0
        ends = min(step.duration_s, 1.5 * 3600 * p.capacity_Ah / amperes if flows else np.inf)
        count += (ends if np.isfinite(ends) else LONGEST_HOLD_S) / step_s
    return count


def _soc(eq: Equations, y: Array) -> float:
    """State of charge that the lithium in the electrode of the smaller window makes."""
    electrodes = eq.sandwich.electrodes
    name = min(electrodes, key=lambda name: electrodes[name][0].window_C_m2)
    electrode, grid, _ = electrodes[name]
    within = y[eq.sandwich.places[f"x_{name}"]] @ grid.share
    x = float(eq.sandwich.area_m2 @ within.mean(axis=1) / eq.sandwich.area_m2.sum())
    filled = (x - electrode.minimum_stoichiometry) / (electrode.maximum_stoichiometry - electrode.minimum_stoichiometry)
    return filled if name == "negative" else 1.0 - filled


def _simulation(
    model: CoupledModel, record: Record, stopped: str, soc: float, steps: Sequence[Step], fields: bool
) -> Simulation:
    eq = model.equations
    temperature = record.column("T")
    assert record.first is not None and record.last is not None
    at = eq.places
    warmed = record.last[at["T"]] - record.first[at["T"]]
    stored = 0.0 if eq.resolution == "isothermal" else float(eq.heat.capacity_J_K @ warmed)
    running = {name: record.column(name)[:, 0] for name in INTEGRALS}
    totals = {name: float(values[-1] - values[0]) for name, values in running.items()}
    rounding = 1e-9 * float(eq.heat.capacity_J_K.sum())  # a nanokelvin
    largest = max(abs(totals["heat_J"]), abs(totals["cooling_J"]), abs(stored))
    charge = running["charge_C"] - running["charge_C"][0]
    terms = {name: record.column(name)[:, 0] for name in HEATS if name not in ("cooling",)}
    return Simulation(
        time_s=np.array(record.time_s),
        current_A=record.column("I")[:, 0],
        voltage_V=record.column("V")[:, 0],
        soc=soc - charge / 3600 / eq.parameters.capacity_Ah,
        ambient_K=np.array(record.ambient_K),
        core_K=temperature[:, 0],
        mean_K=temperature[:, 1],
        surfaces_K={f"surface {wall}": temperature[:, 2 + k] for k, wall in enumerate(eq.heat.walls)},
        heat_W=np.asarray(sum(terms.values())),
        cooling_W=record.column("cooling")[:, 0],
        heat_terms_W=terms,
        layer_current_A=record.column("layer"),
        fields=_fields(eq, record) if fields else {},
        snapshots=tuple(record.states),
        totals=totals,
        energy_residual=(totals["heat_J"] - totals["cooling_J"] - stored) / largest if largest > rounding else 0.0,
        stopped=stopped,
        settings={
            "cell": model.cell.name, "digest": model.cell.digest, "heat": str(model.heat),
            "thermal": eq.resolution, "layers": str(eq.layers), "couplings": ",".join(eq.couplings) or "none",
            "reactions": model.reactions, "steps": "; ".join(map(str, steps)), "initial_soc": f"{soc:g}",
            "capacity_Ah": f"{eq.parameters.nominal_Ah:g}",
            "start_degC": f"{temperature[0, 1] - ZERO_DEGC_K:.6g}",
        },
    )  # fmt: skip


def _fields(eq: Equations, record: Record) -> dict[str, Array]:
    """Every field in every row; axes are row, sandwich, cell (and node along the radius)."""
    y = np.array([state.y for state in record.states])
    p, places = eq.parameters, eq.sandwich.places
    found = {
        "salt_mol_m3": y[:, places["salt"]] * p.electrolyte.initial_concentration_mol_m3,
        "electrolyte_V": y[:, places["phi_e"]],
        "temperature_K": y[:, eq.heat.temperatures],
        "position_m": eq.sandwich.position_m,
    }
    for name, (electrode, grid, _) in eq.sandwich.electrodes.items():
        found[f"{name}_V"] = y[:, places[f"phi_{name}"]]
        found[f"{name}_mol_m3"] = y[:, places[f"x_{name}"]] * electrode.maximum_concentration_mol_m3
        found[f"{name}_radius_m"] = grid.radius * electrode.particle_radius_m
        if electrode.youngs_modulus_Pa and electrode.partial_molar_volume_m3_mol and electrode.poisson_ratio:
            x = np.moveaxis(y[:, places[f"x_{name}"]], -1, 0)
            for kind, stress in mechanics.stresses(electrode, grid, x).items():
                found[f"{name}_{kind}"] = np.moveaxis(stress, 0, -1)
    return found

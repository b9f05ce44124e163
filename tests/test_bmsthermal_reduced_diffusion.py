"""A diffusivity that changes with the filling, or that stress adds to: one for all particles of an electrode."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bmsthermal._cell", reason="the compiled kernel is missing")
sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, MESH, ROOM_K, RUNS, amperes, drive, filling, reduced_cell, through

from bmsthermal import Cell, CoupledModel, load_cell
from bmsthermal.dfn import mechanics
from bmsthermal.reduced import packing, particles, twin_electrode
from bmsthermal.reduced.jacobian import TINY
from bmsthermal.reduced.twin import Twin, places

#: Twentyfold from one end of the filling to the other.
STEEP = {"Negative": "3.3e-14 * exp(-3 * (x - 0.6))", "Positive": "4e-15 * exp(3 * (x - 0.5))"}


def steep() -> Cell:
    """LG M50 with other diffusivities."""
    document = load_cell(CELLS[0]).with_values({}).document
    for side, curve in STEEP.items():
        document["Parameterisation"][f"{side} electrode"]["Diffusivity [m2.s-1]"] = curve
    return Cell("steep", document)


def of(cell: Cell, couplings=()):
    """Its shapes are those of the shipped cell: what differs is D."""
    made = reduced_cell(CELLS[0], modes=(4, 4), thermal=4, salts=3, h=10.0)
    return replace(made, cell=cell, couplings=couplings)


def off_V(reduced, full) -> np.ndarray:
    """Reduced less full voltage at whole seconds of a discharge."""
    run = reduced.simulate(**RUNS[0])
    at = np.arange(5.0, min(run.time_s[-1], full.time_s[-1]))
    return np.interp(at, run.time_s, run.voltage_V) - np.interp(at, full.time_s, full.voltage_V)


def rms_mV(off) -> float:
    return 1e3 * float(np.sqrt(np.mean(off**2)))


def test_what_stress_adds_to_the_flux_is_carried():
    cell = load_cell(CELLS[0])
    full = CoupledModel(cell, mesh=MESH, couplings="stress-flux").simulate(**RUNS[0])
    # what a few shapes are off anyway is 2 mV, and what the coupling does 37 mV
    carried, left_out = (rms_mV(off_V(of(cell, couplings), full)) for couplings in (("stress-flux",), ()))
    assert left_out > 20.0
    assert carried < 0.1 * left_out


def test_without_an_activation_volume_stress_changes_no_diffusivity():
    cell = load_cell(CELLS[0])
    assert of(cell, ("stress-diffusivity",)).row.tobytes() == of(cell).row.tobytes()


def test_between_mean_and_surface_is_a_better_place_than_the_mean(monkeypatch):
    cell = steep()
    full = CoupledModel(cell, mesh=MESH).simulate(**RUNS[0])
    between = rms_mV(off_V(of(cell), full))
    for module in (packing, particles, twin_electrode):
        monkeypatch.setattr(module, "LEAN", 0.0)
    assert between < 0.5 * rms_mV(off_V(of(cell), full))


@pytest.mark.parametrize("couplings", [(), mechanics.EFFECTS])
def test_kernel_and_twin_take_the_same_diffusivity(couplings, us06):
    reduced = of(steep(), couplings)
    current = drive(us06, reduced, rows=300)
    out, past, _ = through(reduced, current)
    twin = Twin(reduced)
    states, found = twin.run(twin.rest(filling(reduced, 0.7), ROOM_K), current, ROOM_K)
    np.testing.assert_allclose(out[:, 0], found.voltage_V, rtol=0, atol=1e-9)
    np.testing.assert_allclose(past[:, places(reduced)], states[:-1], rtol=0, atol=1e-9)
    single, _, _ = through(reduced, current, dtype=np.float32)
    assert np.abs(single[:, 0] - out[:, 0]).max() < 1e-5  # as for any cell: differences of potentials of 4 V


def test_the_table_has_the_diffusivity_and_the_warmth_of_the_full_model():
    cell = load_cell(CELLS[0])
    e, T, x = cell.electrochemistry.positive, cell.electrochemistry.reference_K, np.linspace(0.1, 0.9, 9)
    wanted = e.diffusivity(x) * mechanics.flux_factor(e, x, T)
    found = particles.log_diffusivity(e, x, ("stress-flux",), T)
    np.testing.assert_allclose(particles.middle_diffusivity(e) * np.exp(found), wanted, rtol=1e-12)
    middle = (e.minimum_stoichiometry + e.maximum_stoichiometry) / 2
    colder = 1e-7  # 1/T over 1/T_ref, in 1/K
    change = np.log(mechanics.flux_factor(e, middle, 1 / (1 / T + colder)) / mechanics.flux_factor(e, middle, T))
    slope = particles.diffusion_K(e, ("stress-flux",), T) - particles.diffusion_K(e, (), T)
    assert slope == pytest.approx(-change / colder, rel=1e-3)  # of second order in the difference


def test_tables_are_numbers_also_where_the_flux_would_turn_round():
    free = {"Positive electrode strain-free concentration [mol.m-3]": 60000.0}
    reduced = of(load_cell(CELLS[0]).with_values(free), ("stress-flux",))
    assert np.isfinite(reduced.row).all()


def test_a_step_knows_that_diffusivity_moves_with_the_surface():
    twin = Twin(of(steep()))
    current = np.full(60, amperes(twin.reduced, 2.0))
    state = twin.run(twin.rest(filling(twin.reduced, 0.7), ROOM_K), current, ROOM_K)[0][-1]
    k = twin.cuts[1]  # first mode of the negative particles
    direction = np.zeros(len(state))
    direction[k] = 1.0
    slope = twin.step(state + 1j * TINY * direction, 5.0, ROOM_K)[0].imag / TINY
    up, down = (twin.step(state + sign * 1e-6 * direction, 5.0, ROOM_K)[0] for sign in (1, -1))
    np.testing.assert_allclose(slope, (up - down) / 2e-6, rtol=1e-5, atol=1e-7)

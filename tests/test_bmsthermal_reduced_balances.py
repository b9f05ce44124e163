"""What the compiled reduced cell keeps: rest, energy, lithium, and its head over a hundred thousand steps."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

pytest.importorskip("bmsthermal._cell", reason="the compiled kernel is missing")
sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, ROOM_K, amperes, drive, filling, reduced_cell, through

from bmsthermal.dfn.mechanics import EFFECTS
from bmsthermal.reduced.twin import Twin, places

FREE = {"resistance_Ohm": 0.01, "entropic_scale": 0.5, "capacity_fade": 0.1, "couplings": ("stress-potential",)}
BOTH = pytest.mark.parametrize("name", CELLS)
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@BOTH
def test_rest_stays_rest(name):
    reduced = reduced_cell(name)
    for soc, T in ((0.2, 278.15), (0.6, ROOM_K), (0.95, 318.15)):
        out, past, _ = through(reduced, np.zeros(200), soc, T, T)
        p = reduced.cell.electrochemistry
        np.testing.assert_allclose(out[:, 0], p.open_circuit_V(soc, T), rtol=0, atol=2e-5)  # of a table
        np.testing.assert_allclose(out[:, 0], out[0, 0], rtol=0, atol=1e-12)
        assert np.abs(out[:, 1:7]).max() < 1e-11  # W: points at one filling differ in their last digit
        assert np.abs(out[:, 7 : 9 + len(reduced.cell.walls)] - T).max() < 1e-9
        np.testing.assert_allclose(past[:, 0], past[0, 0], rtol=0, atol=1e-15)


@BOTH
def test_a_small_current_and_its_reverse_are_each_others_mirror(name):
    reduced = reduced_cell(name)
    tiny = amperes(reduced, 1e-4)
    up, down, rest = (through(reduced, np.full(50, current), soc=0.5)[0] for current in (tiny, -tiny, 0.0))
    swing = np.abs(up[:, 0] - rest[:, 0]).max()
    # what is left is of second order in the current
    assert np.abs(up[:, 0] + down[:, 0] - 2 * rest[:, 0]).max() < 1e-3 * swing


def enthalpy_J(twin: Twin, state: np.ndarray) -> float:
    """Of all particles, from the exact integral of the tables, with the work that stress stores."""
    lithium, _, negative, positive, _ = np.split(state, twin.cuts)
    fillings, total = (lithium[0], twin.positive_at - twin.per * lithium[0]), 0.0
    for electrode, modes, filled in zip((twin.negative, twin.positive), (negative, positive), fillings, strict=True):
        low, per, _ = electrode.table.grid
        scale = np.array([1.0, electrode.reference_K * (1 - electrode.entropic_scale), 0.0])
        x = low + np.arange(len(electrode.table.value)) / per
        potential = CubicHermiteSpline(x, electrode.table.value @ scale, electrode.table.slope @ scale * per)
        at = electrode.particles
        place = filled + np.einsum("qmr,m->qr", at.inside, modes)
        strain = (place - (place @ at.share)[:, None]) ** 2
        stored = potential.antiderivative()(place) - 0.5 * electrode.stress * strain
        total -= electrode.capacity_C_m2 * (at.weight @ (stored @ at.share))
    return twin.area * total


@BOTH
@pytest.mark.parametrize("free", [{}, FREE], ids=["as made", "aged"])
@pytest.mark.parametrize("c_rate", [2.0, -1.0])
def test_first_law_with_an_error_that_falls_as_the_step_squared(name, free, c_rate):
    left = []
    for step_s in (8.0, 4.0, 2.0, 1.0):
        reduced = reduced_cell(name, **free).with_step(step_s)
        twin, count = Twin(reduced), round(480 / step_s)
        current = np.full(count, amperes(reduced, c_rate))
        states, found = twin.run(twin.rest(filling(reduced, 0.6), ROOM_K), current, ROOM_K)
        heat, work = step_s * found.heat_W.sum(), step_s * current @ found.mean_voltage_V
        left.append(heat + work + enthalpy_J(twin, states[-1]) - enthalpy_J(twin, states[0]))
        out, _, _ = through(reduced, current, soc=0.6)
        np.testing.assert_allclose(step_s * out[:, 1].sum(), heat, rtol=1e-10)  # the kernel's heat is this heat
    assert abs(left[-1]) < 1e-6 * heat
    np.testing.assert_allclose(np.log2(np.abs(np.array(left[:-1]) / left[1:])), 2.0, atol=0.15)


@BOTH
def test_first_law_where_stress_drives_diffusion(name):
    reduced = reduced_cell(name, couplings=EFFECTS)
    twin, current = Twin(reduced), np.full(480, amperes(reduced, 2.0))
    states, found = twin.run(twin.rest(filling(reduced, 0.6), ROOM_K), current, ROOM_K)
    heat, work = found.heat_W.sum(), current @ found.mean_voltage_V
    gained = enthalpy_J(twin, states[-1]) - enthalpy_J(twin, states[0])
    assert abs(heat + work + gained) < 1e-6 * heat  # as above


@BOTH
def test_insulated_heat_is_stored_to_the_last_digits(name, us06):
    reduced = reduced_cell(name, h=0.0)
    out, past, kernel = through(reduced, drive(us06, reduced), coolant_K=250.0)
    modal, end = reduced.thermal.modal, np.frombuffer(kernel.state)
    # heat capacity: what a watt for a second does to the mean
    capacity = 1.0 / (modal.B[0, 0] * modal.C[1, 0])
    mean = places(reduced)[-reduced.thermal.order]
    rise = (end[mean] - past[0, mean]) * reduced.thermal.outputs[1, 0]
    np.testing.assert_allclose(rise * capacity, out[:, 1].sum() * reduced.step_s, rtol=1e-9)
    assert rise > 1.0


@BOTH
def test_lithium_is_conserved(name, us06):
    reduced = reduced_cell(name)
    twin, current = Twin(reduced), drive(us06, reduced)
    # modes hold none, what one electrode gives the other takes
    for particles in (reduced.negative, reduced.positive):
        held = np.einsum("q,qmr,r->m", particles.weight, particles.inside, particles.share)
        np.testing.assert_allclose(held, 0.0, atol=1e-13)
    n, p = twin.negative, twin.positive
    np.testing.assert_allclose(twin.per * n.fill / n.area, p.fill / p.area, rtol=1e-14)
    # the state counts the charge
    _, past, kernel = through(reduced, current)
    charge = np.concatenate([[0.0], np.cumsum(current)]) * reduced.step_s
    lithium = np.append(past[:, 0], np.frombuffer(kernel.state)[0])
    np.testing.assert_allclose(lithium, lithium[0] - charge / (n.capacity_C_m2 * twin.area), rtol=0, atol=1e-13)
    # there and back is nothing, whatever came between
    loop = np.concatenate([current, -current[::-1]])
    _, _, back = through(reduced, loop)
    assert abs(np.frombuffer(back.state)[0] - filling(reduced, 0.7)) < 1e-14


@BOTH
@DTYPES
def test_a_hundred_thousand_steps_of_no_mean_current_go_nowhere(name, dtype):
    reduced = reduced_cell(name)
    current = np.random.default_rng(0).normal(0, amperes(reduced), 100_000).astype(dtype)
    current[-1] -= current.sum(dtype=np.float64)
    out, past, _ = through(reduced, current[:-1], soc=0.5, dtype=dtype)
    twin = Twin(reduced)
    capacity_C = twin.negative.capacity_C_m2 * twin.area
    exact = filling(reduced, 0.5) - np.cumsum(current[:-1], dtype=np.float64) * reduced.step_s / capacity_C
    # the carry keeps a sum of 1e5 numbers as good as each of them
    np.testing.assert_allclose(past[1:, 0], exact[:-1], rtol=0, atol=32 * np.finfo(dtype).eps)
    assert np.isfinite(past).all() and np.ptp(out[:, 7]) < 10 and np.ptp(out[:, 0]) < 1.0
    # it has settled: the second half is no warmer than the first
    assert abs(out[50_000:, 7].mean() - out[25_000:50_000, 7].mean()) < 0.1

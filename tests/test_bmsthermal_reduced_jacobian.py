"""The reduced cell's slopes: closed form against complex step, on the map that has converged and on the kernel's."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, reduced_cell

from bmsthermal.reduced.jacobian import CONVERGED, TINY, jacobian, step_slopes, voltage_slopes
from bmsthermal.reduced.twin import Twin

FREE = {"resistance_Ohm": 0.01, "entropic_scale": 0.5, "capacity_fade": 0.1, "couplings": ("stress-potential",)}
#: Rate, state of charge and temperature that a state comes about at.
WHERE = {
    "mild": (1.0, 0.7, 298.15), "high rate": (3.0, 0.7, 298.15), "cold": (1.5, 0.5, 263.15), "warm": (2.0, 0.2, 318.15),
    "charge": (-1.0, 0.4, 298.15),
}  # fmt: skip
BOTH = pytest.mark.parametrize("name", CELLS)
ALL = pytest.mark.parametrize("where", WHERE)


def states(reduced, where):
    """A few states and currents: within a pulse, when it turns round, when it stops."""
    c_rate, soc, kelvin = WHERE[where]
    ampere = c_rate * reduced.cell.electrochemistry.nominal_Ah
    twin = Twin(reduced)
    start = twin.rest(reduced.cell.electrochemistry.stoichiometries(soc)[0], kelvin)
    passed, _ = twin.run(start, np.full(90, ampere), kelvin)
    return [(passed[0], ampere), (passed[20], ampere), (passed[90], ampere), (passed[90], -ampere), (passed[50], 0.0)]


def by_complex_step(twin, state, current):
    slopes = [twin.voltage(state + 1j * TINY * axis, current).imag for axis in np.eye(len(state))]
    return np.array(slopes) / TINY, twin.voltage(state, current + 1j * TINY).imag / TINY


@BOTH
@ALL
@pytest.mark.parametrize("free", [{}, FREE], ids=["as made", "aged"])
def test_voltage_slopes_are_those_of_the_converged_map(name, where, free):
    reduced = reduced_cell(name, **free)
    twin = Twin(reduced, CONVERGED)
    for state, current in states(reduced, where):
        slopes, by_current = voltage_slopes(twin, state, current)
        exact, exact_current = by_complex_step(twin, state, current)
        np.testing.assert_allclose(slopes, exact, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(by_current, exact_current, rtol=1e-10)
        assert by_current < 0  # a resistance
        assert slopes[0] > 0  # more lithium, more voltage


@BOTH
@ALL
def test_the_kernels_two_rounds_lie_near_the_converged_map(name, where):
    """Two rounds are within 0.2 mV of the least dissipation, their slopes within 2 % of what matters."""
    reduced = reduced_cell(name)
    two, many = Twin(reduced), Twin(reduced, CONVERGED)
    for state, current in states(reduced, where):
        assert abs(two.voltage(state, current) - many.voltage(state, current)) < 2e-4
        (slopes, by_current), (exact, exact_current) = (by_complex_step(twin, state, current) for twin in (two, many))
        # states of different kinds: each against the largest of its kind
        for found, wanted in zip(np.split(slopes, two.cuts), np.split(exact, two.cuts), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-2 * np.abs(wanted).max())
        np.testing.assert_allclose(by_current, exact_current, rtol=5e-3)


@BOTH
def test_two_rounds_in_a_cold_drive(name):
    reduced = reduced_cell(name)
    two, many = Twin(reduced), Twin(reduced, CONVERGED)
    ampere = 2.5 * reduced.cell.electrochemistry.nominal_Ah
    start = two.rest(reduced.cell.electrochemistry.stoichiometries(0.7)[0], 263.15)
    passed, _ = two.run(start, np.full(60, ampere), 263.15)
    for state in (passed[0], passed[60]):
        assert abs(two.voltage(state, ampere) - many.voltage(state, ampere)) < 2e-3
        (slopes, by_current), (exact, exact_current) = (by_complex_step(twin, state, ampere) for twin in (two, many))
        for found, wanted in zip(np.split(slopes, two.cuts), np.split(exact, two.cuts), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-1 * np.abs(wanted).max())
        np.testing.assert_allclose(by_current, exact_current, rtol=2e-2)


@BOTH
@pytest.mark.parametrize(
    ("place", "value"), [(0, 1.5), (0, 0.99965), (0, -0.2), (1, 30.0), (1, -30.0), (-3, 150.0), (-3, 2000.0)]
)
def test_beyond_the_ends_nothing_has_a_slope(name, place, value):
    # filling, salt and temperature stop at their ends: the closed form must know which slopes end there
    reduced = reduced_cell(name)
    twin = Twin(reduced, CONVERGED)
    state, current = twin.rest(0.5, 298.15), 0.1 * reduced.cell.electrochemistry.nominal_Ah
    state[place] = value / np.abs(reduced.salt.negative[0, 0]) if place == 1 else value
    slopes, by_current = voltage_slopes(twin, state, current)
    exact, exact_current = by_complex_step(twin, state, current)
    np.testing.assert_allclose(slopes, exact, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(by_current, exact_current, rtol=1e-10)


def test_circles_are_said():
    reduced = reduced_cell("lco_marquis")
    current, twin = 2.5 * reduced.cell.electrochemistry.nominal_Ah, Twin(reduced)
    passed, _ = twin.run(twin.rest(0.5, 213.15), np.full(30, current), 213.15)
    with pytest.raises(ArithmeticError, match="too cold"):
        jacobian(reduced, passed[-1], current)


@BOTH
def test_each_round_squares_what_is_left(name):
    reduced = reduced_cell(name)
    state, current = states(reduced, "high rate")[2]
    exact = Twin(reduced, CONVERGED).voltage(state, current)
    one, two, three = (abs(Twin(reduced, rounds).voltage(state, current) - exact) for rounds in (1, 2, 3))
    assert two < 0.1 * one and three < 1e-2 * two


@BOTH
def test_the_slopes_of_a_step_are_those_of_differences(name):
    reduced = reduced_cell(name)
    twin = Twin(reduced)
    for state, current in states(reduced, "high rate")[1:4]:
        found = jacobian(reduced, state, current)
        assert found.voltage.shape == found.heat.shape == (reduced.order,) and found.step.shape == (reduced.order,) * 2
        sizes = 1e-5 * np.maximum(np.abs(state), 1e-2)
        for k, size in enumerate(sizes):
            ends = [twin.step(state + sign * size * np.eye(len(state))[k], current, 298.15) for sign in (1, -1)]
            change = (ends[0][0] - ends[1][0]) / (2 * size)
            heat = (ends[0][1].heat_W - ends[1][1].heat_W) / (2 * size)
            np.testing.assert_allclose(found.step[:, k], change, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(found.heat[k], heat, rtol=1e-3, atol=1e-3 * np.abs(found.heat).max())


@BOTH
def test_at_rest_the_step_keeps_lithium_and_forgets_the_rest(name):
    reduced = reduced_cell(name)
    twin = Twin(reduced)
    step, heat = step_slopes(twin, twin.rest(reduced.cell.electrochemistry.stoichiometries(0.5)[0], 298.15), 0.0)
    poles = np.sort(np.abs(np.linalg.eigvals(step)))
    assert abs(poles[-1] - 1) < 1e-12 and poles[-2] < 1 - 1e-6  # one conserved quantity
    np.testing.assert_allclose(step[0], np.eye(len(step))[0], atol=1e-12)
    # about rest, heat is of second order but for what diffusion levels out
    assert abs(heat[0]) < 1e-9

"""The kernel's slopes: complex step of the kernel's text in C against that of its twin in NumPy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, ROOM_K, amperes, drive, filling, inputs, reduced_cell

from bmsthermal._cell import POINTS
from bmsthermal.reduced.jacobian import TINY, step_slopes
from bmsthermal.reduced.slopes import Slopes
from bmsthermal.reduced.twin import Twin, places

FREE = {"resistance_Ohm": 0.01, "entropic_scale": 0.5, "capacity_fade": 0.1, "couplings": ("stress-potential",)}
#: Thermal modes, salt shapes and modes of the particles, one of each class of the kernel; and one that fills its own.
SIZES = {4: (3, 2, (4, 3)), 6: (4, 3, (5, 6)), 8: (6, 4, (8, 8))}
#: Rate, state of charge and temperature.
WHERE = [(3.0, 0.7, 298.15), (1.5, 0.5, 263.15), (-1.0, 0.4, 318.15)]


def cell(name, points, size, **free):
    thermal, salts, modes = SIZES[size]
    return reduced_cell(name, thermal=thermal, salts=salts, modes=modes, points=points, **free)


def states(reduced, c_rate, soc, kelvin):
    """Rest, within a pulse, when it turns round, when it stops."""
    ampere = amperes(reduced, c_rate)
    kernel = reduced.kernel()
    kernel.rest(filling(reduced, soc), kelvin)
    u = inputs(reduced, np.full(60, ampere), kelvin)
    past = np.empty((60, kernel.state_size))
    assert kernel.run(u, np.empty((60, kernel.out_size)), past)
    return [(past[i, places(reduced)], amps) for i, amps in ((0, ampere), (20, ampere), (59, -ampere), (40, 0.0))]


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize("free", [{}, FREE], ids=["as made", "aged"])
def test_slopes_are_those_of_the_twin(name, size, points, free):
    reduced = cell(name, points, size, **free)
    twin, compiled = Twin(reduced), Slopes(reduced)
    for where in WHERE:
        for state, current in states(reduced, *where):
            found = compiled.at(state, current, ROOM_K)
            step, heat = step_slopes(twin, state, current)
            by_V = [twin.voltage(state + 1j * TINY * axis, current).imag for axis in np.eye(len(state))]
            after, said = twin.step(state, current + 1j * TINY, ROOM_K)
            # relative to each row's largest slope: where slopes cancel, rounding is of what cancels
            for ours, theirs in (
                *zip(found.step, step, strict=True), (found.heat, heat), (found.voltage, np.array(by_V) / TINY),
                (found.step_by_current, after.imag / TINY),
            ):  # fmt: skip
                np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * np.abs(theirs).max() + 1e-13)
            np.testing.assert_allclose(found.voltage_by_current, said.voltage_V.imag / TINY, rtol=1e-10)
            np.testing.assert_allclose(found.heat_by_current, said.heat_W.imag / TINY, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("points", POINTS)
def test_the_values_are_those_of_the_plain_kernel_to_the_last_bit(us06, name, size, points):
    reduced = cell(name, points, size)
    plain, dual = reduced.kernel(), reduced.kernel()
    at = places(reduced).astype(np.intc)
    current = drive(us06, reduced)[:120:3]
    plain.rest(filling(reduced, 0.7), ROOM_K)
    out, rows = np.empty((1, plain.out_size)), np.empty((2 + len(at), plain.state_size + plain.out_size))
    for u in inputs(reduced, current, 290.0):
        dual.state = plain.state
        dual.slopes(u, at, rows)
        assert dual.state == plain.state  # a look changes nothing
        assert plain.run(u[None], out)
        value = np.where(np.abs(rows[0]) < 1e-40, 0.0, rows[0])  # an exact 0 may be what the slope's square leaves
        np.testing.assert_array_equal(value, [*np.frombuffer(plain.state), *out[0]])


@pytest.mark.parametrize(
    ("place", "value"), [(0, 1.5), (0, 0.99965), (0, -0.2), (1, 30.0), (1, -30.0), (-3, 150.0), (-3, 2000.0)]
)
def test_beyond_the_ends_slopes_are_those_of_the_twin(place, value):
    reduced = cell(CELLS[0], (3, 2), 4)
    state = Twin(reduced).rest(0.5, 298.15)
    state[place] = value / np.abs(reduced.salt.negative[0, 0]) if place == 1 else value
    step, heat = step_slopes(Twin(reduced), state, amperes(reduced, 0.1))
    found = Slopes(reduced).at(state, amperes(reduced, 0.1), ROOM_K)
    np.testing.assert_allclose(found.step, step, rtol=1e-10, atol=1e-10 * np.abs(step).max())
    np.testing.assert_allclose(found.heat, heat, rtol=1e-10, atol=1e-10 * np.abs(heat).max())


def test_the_heat_of_a_slab_cooled_on_two_faces_by_two_coolants():
    reduced = cell("lco_marquis", (2, 2), 4)
    coolant, state = np.array([280.0, 310.0]), Twin(reduced).rest(0.5, 298.15)
    found = Slopes(reduced).at(state, amperes(reduced), coolant)
    after, said = Twin(reduced).step(state, amperes(reduced), coolant)
    np.testing.assert_allclose(found.after, after, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.heat_W, said.heat_W, rtol=1e-9)
    np.testing.assert_allclose(found.temperature_K, said.temperature_K, rtol=1e-14)


def test_bad_input_is_said():
    reduced = cell(CELLS[0], (2, 2), 4)
    at, kernel, u = places(reduced).astype(np.intc), reduced.kernel(), inputs(reduced, [1.0])[0]
    rows = np.empty((2 + len(at), kernel.state_size + kernel.out_size))
    for wrong in (
        {"u": u[:2]}, {"u": u * np.nan}, {"places": at + 100}, {"places": at[:0]}, {"places": at[:3]},
        {"rows": rows[:, 1:].copy()},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"must be|has"):
            kernel.slopes(**{"u": u, "places": at, "rows": rows} | wrong)
    with pytest.raises(ValueError, match="double precision"):
        reduced.kernel(np.float32).slopes(u, at, rows)

"""The compiled filter on the reduced cell: it is its twin, its slopes are right, single precision does not drift."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, ROOM_K, amperes, reduced_cell

from bmsthermal import Observer
from bmsthermal.reduced.differences import Differences
from bmsthermal.reduced.observing import CoupledObserver, covariances
from bmsthermal.reduced.slopes import Slopes
from rom.ud import covariance

pytest.importorskip("bmsthermal._cell_filter", reason="the compiled kernel is missing")
SENSORS = {CELLS[0]: ["surface"], CELLS[1]: ["surface_back", "surface_front"]}


@cache
def observer(name: str = CELLS[0]) -> CoupledObserver:
    made = Observer(reduced_cell(name), SENSORS[name])
    assert isinstance(made, CoupledObserver)
    return made


def drive(made: CoupledObserver, steps: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Current, voltage and coolants, and surfaces: those of the cell itself, and now and then nothing."""
    reduced, rng = made.coupled, np.random.default_rng(seed)
    walls = len(reduced.thermal.walls)
    kernel = reduced.rest(0.7, ROOM_K)
    current = amperes(reduced) * np.repeat(rng.normal(0.05, 0.8, steps // 10 + 1), 10)[:steps]
    cell_u, out = reduced.inputs(current, ROOM_K), np.empty((steps, kernel.out_size))
    assert kernel.run(cell_u, out)
    u = np.full((steps, 2 + walls), ROOM_K)
    u[:, 0], u[:, 1] = current, out[:, 0] + rng.normal(0, 0.002, steps)
    z = np.roll(out[:, 9 : 9 + len(made.measured)], -1, axis=0) + rng.normal(0, 0.05, (steps, len(made.measured)))
    for column in range(3):
        u[rng.random(steps) < 0.05, column] = np.nan
    z[rng.random(z.shape) < 0.1] = np.nan
    z[-1] = np.nan
    return u, z


def compiled(made: CoupledObserver, real: str, u: np.ndarray, z: np.ndarray, soc: float = 0.6) -> tuple:
    """States and outputs of the kernel."""
    target = made.on_target(real)
    kernel, dtype = target.kernel(), target.dtype
    kernel.write(np.array(target.start(ROOM_K - 5, soc).row[:-1]))
    room = np.full((len(u), kernel.input_size), np.nan, dtype)
    room[:, : u.shape[1]] = u
    out, past = (np.empty((len(u), size), dtype) for size in (kernel.output_size, kernel.state_size))
    kernel.run(room, np.ascontiguousarray(z, dtype), out, past)
    return past, out


@pytest.mark.parametrize("name", CELLS)
def test_the_kernel_is_its_twin(name):
    made = observer(name)
    u, z = drive(made, 150)
    past, out = compiled(made, "double", u, z)
    cell, start, n = Differences(made.coupled), made.start(ROOM_K - 5, 0.6), made.filter.n + 2
    x, P = start.x.astype(float), start.P
    for k in range(len(u)):
        x, P, heat, seen = made.filter.step(cell, x, P, u[k, 0], u[k, 1], u[k, 2:], z[k])
        # factors and Joseph's form round differently: a start without any doubt about salt and modes is singular
        np.testing.assert_allclose(past[k, :n], x, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(out[k, 0], heat, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(out[k, [1, 3]], [seen[-1].innovation, seen[0].innovation], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(out[k, [2, 11]], [seen[-1].variance, seen[0].variance], rtol=1e-7)
        sure = np.sqrt(np.diag(covariance(past[k, n + 2 :])))
        np.testing.assert_allclose(sure, np.sqrt(np.diag(P)), rtol=1e-4)
    of_all = covariances(past[-2:, n + 2 :], n, range(n))
    np.testing.assert_allclose(of_all[-1], covariance(past[-1, n + 2 :]), rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("rate", [0.0, 0.5, -1.0])
def test_slopes_by_differences_are_those_that_are_exact(name, rate):
    made = observer(name)
    reduced, n = made.coupled, made.filter.n
    state, current = made.start(ROOM_K, 0.6).x[:n].astype(float), amperes(reduced, rate)
    cell = Differences(reduced)
    for _ in range(30):
        state, _ = cell.look(state, current, ROOM_K)
    exact, found = Slopes(reduced).at(state, current, ROOM_K), cell.at(state, current, ROOM_K)
    row = np.zeros(made.kernel().state_size)
    row[:n] = state
    slopes = np.empty((n + 2) * (n + 5) + 1)
    around = np.full(3, ROOM_K - made.filter.reference_K)
    made.kernel().slopes(row, current, around, slopes)
    F = slopes[: (n + 2) ** 2].reshape(n + 2, n + 2)
    np.testing.assert_allclose(F[:n, :n], found.step, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(slopes[(n + 2) ** 2 :][:n], found.voltage, rtol=1e-9, atol=1e-11)
    # one-sided differences miss what bends within a reach
    for one, other in ((found.step, exact.step), (found.voltage, exact.voltage)):
        assert np.abs(one - other).max() < 0.03 * np.abs(other).max()
    assert found.voltage_by_current == pytest.approx(exact.voltage_by_current, rel=0.03)


def test_single_precision_stays_beside_double():
    made = observer()
    u, z = drive(made, 3000, seed=2)
    (wide, said), (narrow, heard) = (compiled(made, real, u, z) for real in ("double", "float"))
    n = made.filter.n + 2
    apart = np.abs(narrow[:, :n].astype(float) - wide[:, :n])
    window, core = made.filter.window, made.coupled.thermal.outputs[0]
    assert apart[:, 0].max() / window < 1e-3  # of the charge
    thermal = slice(made.filter.first, made.filter.n)
    assert np.abs((narrow[:, thermal] - wide[:, thermal]) @ core).max() < 5e-3  # K
    assert np.abs(heard[:, 0] - said[:, 0]).max() < 0.01  # W
    places = [0, *range(made.filter.first, n)]
    sure, wanted = (
        np.sqrt(np.einsum("kii->ki", covariances(each[::50, n + 2 :], n, places))) for each in (narrow, wide)
    )
    np.testing.assert_allclose(sure, wanted, rtol=0.02)


def test_ten_thousand_steps_in_single_precision_keep_a_covariance():
    made = observer()
    u, z = drive(made, 2000, seed=3)
    u, z = np.tile(u, (5, 1)), np.tile(z, (5, 1))
    past, out = compiled(made, "float", u, z)
    n = made.filter.n + 2
    diagonal = [i * n - i * (i - 1) // 2 for i in range(n)]
    assert np.isfinite(past).all() and np.isfinite(out).all()
    assert (past[:, n + 2 :][:, diagonal] >= 0).all()


@pytest.mark.parametrize("real", ["double", "float"])
def test_what_is_not_a_number_never_enters(real):
    made = observer()
    u, z = drive(made, 400, seed=4)
    u[50:60], z[50:60] = np.inf, -np.inf
    u[100:103, 0], u[110, 0], z[120] = 99 * made.filter.capacity_Ah, 1e30, 1e9
    u[130:140], z[130:140] = np.nan, np.nan
    past, out = compiled(made, real, u, z)
    assert np.isfinite(past).all() and np.isfinite(out).all()
    assert (out[50:60, 1:5] == 0).all() and (out[120, [3, 11]] == 0).all()
    # absurd is absent, to the bit
    u[50:60], z[50:60], u[110, 0], u[110, 1], z[120] = np.nan, np.nan, np.nan, np.nan, np.nan
    assert compiled(made, real, u, z)[0].tobytes() == past.tobytes()


def test_lithium_is_counted_where_a_step_is_next_to_nothing():
    made = observer()
    target = made.on_target("float")
    kernel, steps, current = target.kernel(), 30_000, np.float32(amperes(made.coupled, 1e-3))
    start = np.array(target.start(ROOM_K, 0.8).row[:-1])
    kernel.write(start)
    u = np.full((steps, kernel.input_size), np.nan, np.float32)
    u[:, 0], u[:, 2:] = current, ROOM_K
    kernel.run(u, np.full((steps, 1), np.nan, np.float32), np.empty((steps, kernel.output_size), np.float32))
    after = np.empty(kernel.state_size, np.float32)
    kernel.read(after)
    expected = Differences(made.coupled).lithium_per_A * float(current) * steps
    assert after[0] - start[0] == pytest.approx(expected, rel=1e-3)


def test_bad_input_is_said():
    from bmsthermal._cell_filter import Kernel

    made = observer()
    model, kernel = made.packed_filter.row(float), made.kernel()
    for wrong in (model[:-1], model * np.nan, model.astype(int), np.concatenate([[99.0], model[1:]])):
        with pytest.raises(ValueError, match="model"):
            Kernel(wrong, 3, 2, 4)
    with pytest.raises(ValueError, match="points"):
        Kernel(model, 5, 5, 4)
    with pytest.raises(ValueError, match="state has shape"):
        kernel.write(np.zeros(3))
    with pytest.raises(ValueError, match="precision"):
        kernel.write(np.zeros(kernel.state_size, np.float32))
    with pytest.raises(ValueError, match="z has shape"):
        kernel.run(np.zeros((2, kernel.input_size)), np.zeros((2, 5)), np.zeros((2, kernel.output_size)))
    with pytest.raises(ValueError, match="1e6"):
        kernel.slopes(
            np.zeros(kernel.state_size), np.nan, np.zeros(3), np.zeros(kernel.states * (kernel.states + 3) + 1)
        )

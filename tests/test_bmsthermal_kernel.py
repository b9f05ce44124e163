"""The compiled observer against its readable twin, lane against single, float against double."""

from __future__ import annotations

import numpy as np
import pytest

from bmsthermal import CoupledModel, Observer
from bmsthermal.observer import compiled
from bmsthermal.packing import pack, unpack_covariance
from bmsthermal.reference import Reference

pytestmark = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")

SENSORS = ["surface", "surface_left", "surface_right"]


def observer_of(kind, a123, slab, **given):
    given = {"form": "ekf"} | given
    if kind == "cylinder":
        return Observer(CoupledModel(a123, heat="measured").reduce(order=6), SENSORS, **given)
    leaky = slab.with_values({"Surface sensor ambient share": 0.1})
    sensors = ["surface_back", "surface_front", "surface_mid_front"]
    return Observer(CoupledModel(leaky, heat="measured").reduce(order=5), sensors, **given)


def rough(observer, us06, cells=1, seed=0):
    """Inputs and measurements of a drive with everything missing, given or changed now and then."""
    rng = np.random.default_rng(seed)
    k, walls, sensors = len(us06.time_s), len(observer.packed.wall), len(observer.measured)
    u = np.full((k, cells, 3 + 2 * walls), np.nan)
    u[..., 0] = us06.current_A[:, None] * rng.uniform(0.8, 1.2, cells)
    u[..., 1] = 3.3 - 0.013 * u[..., 0]
    u[..., 2] = np.where(rng.random((k, cells)) < 0.05, rng.uniform(0, 20, (k, cells)), np.nan)
    u[..., 3 : 3 + walls] = 298.15 + 8 * np.sin(np.arange(k) / 200.0)[:, None, None]
    h = rng.uniform(0, 3, (k // 60 + 1, cells, walls)).repeat(60, axis=0)[:k]
    u[..., 3 + walls :] = np.where(h < 1.0, np.nan, h - 1.0)
    z = 300.0 + rng.normal(0, 0.3, (k, cells, sensors))
    for array, share in ((u, 0.03), (z, 0.3)):
        array[rng.random(array.shape) < share] = np.nan
    z[100:160] = np.nan
    u[200:230, :, 3] = np.nan
    return u, z


def begin(observer, cells, seed=0):
    rows = np.tile(observer.start(300.0, 0.5).row, (cells, 1))
    rows[:, -1] = np.random.default_rng(seed).uniform(0.05, 0.95, cells)
    rows[:, 0] += np.random.default_rng(seed).normal(0, 3, cells)
    return rows.astype(observer.dtype)


def through(observer, kernel, u, z, start):
    cells = u.shape[1]
    out = np.zeros((len(u), cells, kernel.output_size), observer.dtype)
    past = np.zeros((len(u), cells, kernel.state_size), observer.dtype)
    kernel.write(start.copy())
    kernel.run(u.astype(observer.dtype), z.astype(observer.dtype), out, past)
    return past, out


@pytest.mark.parametrize("kind", ["cylinder", "slab"])
def test_kernel_and_filterpy_twin_agree_over_a_drive(kind, a123, slab, us06):
    observer = observer_of(kind, a123, slab)
    u, z = rough(observer, us06)
    start = begin(observer, 1)
    states, outputs = through(observer, observer.kernel(), u, z, start)
    theirs, theirs_out = through(observer, Reference(observer.packed), u, z, start)
    n = observer.reduced.order
    # both round at 1e-16 of 300 K and forget: 1e-9 K is a million times that
    np.testing.assert_allclose(states[..., :n], theirs[..., :n], rtol=0, atol=1e-9)
    np.testing.assert_allclose(states[..., n:], theirs[..., n:], rtol=0, atol=1e-9)
    np.testing.assert_allclose(outputs, theirs_out, rtol=1e-9, atol=1e-9)
    assert np.ptp(states[..., 0]) > 3  # there was something to agree about
    seen = outputs[:, 0, 9 : 9 + len(observer.measured)] > 0
    np.testing.assert_array_equal(seen, np.isfinite(z[:, 0]))


@pytest.mark.parametrize("real", ["double", "float"])
@pytest.mark.parametrize("cells", [1, 5, 96, 97])
def test_each_lane_is_the_single_cell_byte_for_byte(real, cells, a123, slab, us06):
    observer = observer_of("cylinder", a123, slab, real=real)
    u, z = rough(observer, us06, cells)
    u, z, start = u[:300], z[:300], begin(observer, cells)
    past, out = through(observer, observer.kernel(cells), u, z, start)
    for cell in range(cells):
        one = slice(cell, cell + 1)
        alone, said = through(observer, observer.kernel(), u[:, one], z[:, one], start[one])
        assert past[:, one].tobytes() == alone.tobytes()
        assert out[:, one].tobytes() == said.tobytes()
    assert cells == 1 or len({past[-1, c].tobytes() for c in range(cells)}) == cells


@pytest.mark.parametrize("real", ["double", "float"])
def test_many_cells_with_two_walls_are_many_single_ones(real, a123, slab, us06):
    observer = observer_of("slab", a123, slab, real=real)
    u, z = rough(observer, us06, 3)
    start = begin(observer, 3)
    past, _ = through(observer, observer.kernel(3), u[:200], z[:200], start)
    alone, _ = through(observer, observer.kernel(), u[:200, 1:2], z[:200, 1:2], start[1:2])
    assert past[:, 1:2].tobytes() == alone.tobytes()


@pytest.mark.parametrize("kind", ["cylinder", "slab"])
def test_float_stays_near_double(kind, a123, slab, us06):
    states, spread = [], []
    for real in ("double", "float"):
        observer = observer_of(kind, a123, slab, real=real)
        u, z = rough(observer, us06)
        n = observer.reduced.order
        past, _ = through(observer, observer.kernel(), u, z, begin(observer, 1))
        states.append(past[:, 0, :n] @ observer.reduced.outputs.T)
        spread.append(unpack_covariance(past[:, 0, n:-1].astype(float), n))
    # 600 steps of 6e-8 x 300 W / (J/K), and of E - V, whose 3 V round to 2e-7 V at 28 A
    assert np.abs(states[1] - states[0]).max() < 2e-3
    core = observer.reduced.outputs[0]
    sigma = [np.sqrt(np.einsum("i,kij,j->k", core, P, core)) for P in spread]
    np.testing.assert_allclose(sigma[1], sigma[0], rtol=2e-3)
    # positive up to the rounding of what it began with, 25 K2
    rounding = np.finfo(np.float32).eps * observer.noise.start_K**2
    assert min(np.linalg.eigvalsh(P).min() for P in spread[1]) > -rounding


def test_a_tuple_a_step_and_an_array_are_the_same(a123, slab, us06):
    observer = observer_of("cylinder", a123, slab)
    u, z = rough(observer, us06)
    start = begin(observer, 1)
    past, _ = through(observer, observer.kernel(), u[:50], z[:50], start)
    kernel, row = observer.kernel(), start.copy()
    kernel.write(start.copy())
    for k in range(50):
        kernel.step(tuple(u[k, 0]), tuple(z[k, 0]))
    kernel.read(row)
    assert row.tobytes() == past[-1].tobytes()


def test_what_is_left_out_of_a_step_is_absent(a123, slab):
    observer = observer_of("cylinder", a123, slab)
    rows = []
    for u in ((1.0, 3.3), (1.0, 3.3, np.nan, np.nan, np.nan)):
        kernel, row = observer.kernel(), begin(observer, 1)
        kernel.write(row)
        kernel.step((30.0, 3.0, 5.0, 280.0, 9.0), (300.0,) * 3)  # leaves nothing behind
        kernel.step(u, (300.0,) * 3)
        kernel.read(row)
        rows.append(row.tobytes())
    assert rows[0] == rows[1]


def test_read_returns_what_write_took(a123, slab):
    for cells in (1, 5, 17):
        observer = observer_of("cylinder", a123, slab, real="float")
        kernel, rows = observer.kernel(cells), begin(observer, cells)
        kernel.write(rows)
        back = np.zeros_like(rows)
        kernel.read(back)
        np.testing.assert_array_equal(back, rows)


def test_wrong_sizes_are_refused(a123, slab):
    from bmsthermal._observer import Kernel

    observer = observer_of("cylinder", a123, slab)
    row = observer.packed.row(np.float64)
    for states, walls, sensors in ((0, 1, 1), (9, 1, 1), (6, 0, 1), (6, 4, 1), (6, 1, 0), (6, 1, 9)):
        with pytest.raises(ValueError, match="up to 8 states, 3 walls and 8 sensors"):
            Kernel(row, states, walls, sensors)
    with pytest.raises(ValueError, match="cells must be at least 1"):
        Kernel(row, 6, 1, 3, 0)
    with pytest.raises(ValueError, match=rf"has {len(row) - 1} numbers, expected {len(row)}"):
        Kernel(row[:-1].copy(), 6, 1, 3)
    kernel = Kernel(row, 6, 1, 3)
    good = {name: np.zeros((4, 1, size)) for name, size in (("u", 5), ("z", 3), ("out", 17), ("past", 28))}
    kernel.run(**good)
    for name, array in good.items():
        for wrong in (array[:3], np.zeros((4, 2, array.shape[2])), np.zeros((4, 1, array.shape[2] + 1))):
            if name == "u" and len(wrong) == 3:
                continue  # u says how many steps: the others are then wrong
            with pytest.raises(ValueError, match=f"{name} has shape"):
                kernel.run(**(good | {name: wrong}))
        with pytest.raises(ValueError, match="dtype"):
            kernel.run(**(good | {name: array.astype(np.float32)}))
    with pytest.raises(ValueError, match="6 inputs and 3 measurements"):
        kernel.step((0.0,) * 6, (0.0,) * 3)
    with pytest.raises(ValueError, match="2 inputs and 2 measurements"):
        kernel.step((0.0,) * 2, (0.0,) * 2)
    with pytest.raises(ValueError, match="96 cells"):
        Kernel(row, 6, 1, 3, 96).step((0.0,) * 2, (0.0,) * 3)
    for method in (kernel.read, kernel.write):
        with pytest.raises(ValueError, match="rows have shape"):
            method(np.zeros((2, 28)))


def test_nothing_to_do_is_done(a123, slab):
    observer = observer_of("cylinder", a123, slab)
    kernel, rows = observer.kernel(), begin(observer, 1)
    kernel.write(rows)
    kernel.run(np.zeros((0, 1, 5)), np.zeros((0, 1, 3)))
    back = np.zeros_like(rows)
    kernel.read(back)
    np.testing.assert_array_equal(back, rows)


def test_packed_rows_have_the_order_of_the_struct(a123, slab):
    observer = observer_of("slab", a123, slab)
    packed, n = observer.packed, observer.reduced.order
    row = packed.row(np.float64)
    np.testing.assert_array_equal(row[:n], packed.decay)
    np.testing.assert_array_equal(row[-140:-132], [*packed.sense_variance, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(row[-130:-65], packed.open_circuit_V)
    assert len(row) - len(packed.row(np.float64, sensors=3)) == 5 * (n + 2 + 1)
    np.testing.assert_allclose(packed.sense[0] + 0.0, 0.9 * packed.wall[0])
    np.testing.assert_allclose(packed.mixed, [[0.1, 0], [0, 0.1], [0, 0.1]])
    assert pack(observer.reduced, ["surface"], observer.noise, 0.0, 0.0).mixed.tolist() == [[0.0, 0.0]]

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Observer, load_cell
from bmsthermal.fixed import FixedObserver, steady, transition
from bmsthermal.observer import compiled

needs_kernel = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
SLAB = {
    "Form factor": {"description": "slab"}, "Cell thickness [m]": 0.012, "Cell area [m2]": 0.00285,
    "Through-plane thermal conductivity [W.m-1.K-1]": 0.6,
    "Heat transfer coefficient [W.m-2.K-1]": {"back": 80.0, "front": 15.0},
}  # fmt: skip


def reduced(kind):
    a123 = load_cell("a123_26650")
    if kind == "slab":
        return CoupledModel(a123.with_values(SLAB, "slab"), heat="measured").reduce(order=4)
    if kind == "r-z":
        return CoupledModel(load_cell("lfp_32113"), heat="measured", thermal="r-z").reduce(order=5)
    return CoupledModel(a123, heat="measured").reduce(order=4)


SENSORS = {"cylinder": ["surface"], "slab": ["surface_front", "surface_back"], "r-z": ["surface", "surface_left"]}


@pytest.fixture(params=SENSORS)
def fixed(request):
    return Observer(reduced(request.param), SENSORS[request.param], form="fixed-gain")


def test_the_covariance_solves_the_riccati_equation(fixed):
    packed = fixed.packed
    F, Q, _ = transition(packed)
    P = steady(packed)[0]
    prior = F @ P @ F.T + Q
    H, R = packed.sense, np.diag(packed.sense_variance)
    gain = prior @ H.T @ np.linalg.inv(H @ prior @ H.T + R)
    after = prior - gain @ H @ prior
    np.testing.assert_allclose(after, P, rtol=0, atol=1e-9 * np.abs(P).max())  # what the solver reaches


def test_sensor_after_sensor_is_what_all_together_are(fixed):
    packed = fixed.packed
    P, gains, _ = steady(packed)
    H, R = packed.sense, np.diag(packed.sense_variance)
    together = P @ H.T @ np.linalg.inv(R)  # K = P+ H' R^-1
    left = np.eye(len(P))
    for gain, row in zip(gains, H, strict=True):
        left = (np.eye(len(P)) - np.outer(gain, row)) @ left
    np.testing.assert_allclose(left, np.eye(len(P)) - together @ H, atol=1e-9)


@needs_kernel
def test_it_is_where_the_full_filter_ends(fixed):
    full = fixed.changed(form="ekf")
    engine, begun = full.kernel(), full.start(298.15, 0.5)
    engine.write(begun.row[None, :].copy())
    walls, steps = len(full.reduced.walls), 60_000
    u = np.full((steps, 1, engine.input_size), np.nan)
    u[:, 0, 0], u[:, 0, 1], u[:, 0, 3 : 3 + walls] = 0.0, 3.3, 298.15
    z = np.full((steps, 1, len(full.measured)), 298.15)
    engine.run(u, z)
    row = np.empty((1, engine.state_size))
    engine.read(row)
    P = steady(fixed.packed)[0]
    n = full.reduced.order
    np.testing.assert_allclose(row[0, n:-1], P[np.tril_indices(n)], rtol=1e-6, atol=1e-6 * np.abs(P).max())


@needs_kernel
def test_kernel_and_twin_agree(fixed):
    rng = np.random.default_rng(1)
    twin, engine = fixed.changed(engine="filterpy").kernel(), fixed.kernel()
    walls, m, k = len(fixed.reduced.walls), len(fixed.measured), 1500
    u = np.full((k, 1, engine.input_size), np.nan)
    u[:, 0, 0], u[:, 0, 1] = rng.normal(0, 8, k), 3.3 + rng.normal(0, 0.05, k)
    u[:, 0, 3 : 3 + walls] = 296.0 + rng.normal(0, 1, (k, walls))
    z = 299.0 + rng.normal(0, 0.3, (k, 1, m))
    for column in (0, 1, 3):
        u[rng.random(k) < 0.05, 0, column] = np.nan
    u[100:110, 0, 2] = 3.0
    z[rng.random(z.shape) < 0.1] = np.nan
    rows = fixed.start(299.0, 0.6).row[None, :].copy()
    found, pasts = [], []
    for each in (engine, twin):
        each.write(rows)
        out, past = np.zeros((k, 1, engine.output_size)), np.empty((k, 1, engine.state_size))
        each.run(u, z, out, past)
        found.append(out)
        pasts.append(past)
    np.testing.assert_allclose(pasts[0], pasts[1], rtol=0, atol=1e-9)  # the same operations but for their order
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-9)


def test_it_stays_itself(fixed):
    assert isinstance(fixed, FixedObserver) and "fixed gains" in repr(fixed)
    assert isinstance(fixed.on_target("float"), FixedObserver)
    assert not isinstance(fixed.on_target("float", "ekf"), FixedObserver)
    cell = fixed.reduced.cell
    assert fixed.section()["Covariance"] == "fixed" and cell is fixed.reduced.cell


def test_what_it_cannot_do_is_said():
    with pytest.raises(InputError, match="estimated beside"):
        Observer(reduced("cylinder"), form="fixed-gain", estimate=("h",))
    with pytest.raises(InputError, match="estimated beside"):
        Observer(reduced("cylinder"), form="fixed-gain", faults=True)


@needs_kernel
def test_cells_that_share_a_covariance():
    """The first is what it is alone, to the last bit; others end where a filter of their own does."""
    from bmsthermal._observer import Kernel

    rng = np.random.default_rng(2)
    own = Observer(reduced("cylinder"), real="float", form="ekf")
    packed, cells, k = own.packed, 3, 800
    row = own.start(299.0, 0.5).row
    u = np.full((k, cells, 5), np.nan, np.float32)
    u[:, :, 0], u[:, :, 1] = rng.normal(0, 8, (k, 1)), 3.3
    u[:, :, 3] = 297.0
    z = np.asarray(300.0 + rng.normal(0, 0.1, (k, cells, 1)), np.float32)
    pasts = {}
    for gains in ("own", "shared"):
        kernel = Kernel(packed.row(np.float32), 4, 1, 1, cells, gains=gains)
        kernel.write(np.tile(row, (cells, 1)))
        pasts[gains] = np.empty((k, cells, kernel.state_size), np.float32)
        kernel.run(u, z, None, pasts[gains])
    assert pasts["own"][:, 0].tobytes() == pasts["shared"][:, 0].tobytes()
    # the same conditions: covariances differ by the slope of the reversible heat at slightly other temperatures
    np.testing.assert_allclose(pasts["own"][:, 1:, :4], pasts["shared"][:, 1:, :4], rtol=0, atol=1e-3)

    z[200:260, 0] = np.nan  # the first has none: the others' count, and it is not corrected
    kernel = Kernel(packed.row(np.float32), 4, 1, 1, cells, gains="shared")
    kernel.write(np.tile(row, (cells, 1)))
    past, out = (
        np.empty((k, cells, kernel.state_size), np.float32),
        np.zeros((k, cells, kernel.output_size), np.float32),
    )
    kernel.run(u, z, out, past)
    assert (out[200:260, 0, 1] == 0).all() and (out[200:260, 1, 1] != 0).all()
    assert past[259, 0, 4] == pytest.approx(pasts["shared"][259, 0, 4], rel=1e-3)

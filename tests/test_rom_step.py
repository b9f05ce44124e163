"""The step: a contraction for every wall, exact in energy and steady gain; in NumPy and compiled."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmsthermal.conduction import Layer, conduct
from rom import PassiveSystem
from rom.pade import multipoint
from rom.step import ModalStep, PlainStepper, Stepper, compiled, filtered

CYLINDER, _ = conduct([Layer("roll", 0.0, 0.0129, 0.67, 2.47e6)], "cylinder", 0.065, nodes=60)
SLAB, _ = conduct([Layer("roll", 0.0, 0.012, 0.8, 2.4e6)], "slab", 0.02, nodes=30)
REDUCED = {
    "cylinder": CYLINDER.project(multipoint(CYLINDER, 4)).modal()[0],
    "slab": SLAB.project(multipoint(SLAB, 5)).modal()[0],
}
conductances = st.one_of(st.just(0.0), st.floats(-8, 8).map(lambda e: 10.0**e))
steps = st.floats(-2, 1).map(lambda e: 10.0**e)
BOTH = pytest.mark.parametrize("name", REDUCED)
STEPPERS = pytest.mark.parametrize("kind", [PlainStepper, Stepper] if compiled() else [PlainStepper])
needs_kernel = pytest.mark.skipif(not compiled(), reason="rom was installed without a compiler: no rom._step")


def random_modal(n: int, u: int, w: int, seed: int = 0) -> PassiveSystem:
    rng = np.random.default_rng(seed)
    rates = np.concatenate([[0.0], np.geomspace(0.01, 20.0, n - 1)]) if n > 1 else np.zeros(1)
    return PassiveSystem(
        np.eye(n), np.diag(rates), rng.normal(size=(n, u)), rng.normal(size=(n, w)), np.eye(n),
        tuple(f"u{i}" for i in range(u)), tuple(f"w{i}" for i in range(w)), tuple(f"y{i}" for i in range(n)),
    )  # fmt: skip


def runs(modal, k=200, seed=1):
    scale = [5.0] * len(modal.inputs) + [10.0] * len(modal.walls)
    return np.random.default_rng(seed).normal(size=(k, len(scale))) * scale


@settings(deadline=None, max_examples=100)
@given(steps, conductances, conductances)
def test_contraction_at_every_conductance_and_step(step_s, g_back, g_front):
    step = ModalStep.of(REDUCED["slab"], step_s)
    g = np.array([g_back, g_front])
    poles = step.poles(g)
    assert poles.max() <= 1 + 1e-12 and poles.min() >= -1e-12  # rounding
    # not only poles: no state grows in the energy norm, from any start
    half, root, inner = step._symmetric(g)
    np.testing.assert_allclose(root[:, None] * inner * half**2 / root, step.matrices(g)[0], atol=1e-12)
    assert np.linalg.norm(half[:, None] * inner * half, 2) <= 1 + 1e-12


@BOTH
@pytest.mark.parametrize("step_s", [0.01, 0.3, 1.0, 10.0])
def test_exactly_one_pole_at_one_when_insulated_and_none_when_not(name, step_s):
    step = ModalStep.of(REDUCED[name], step_s)
    assert np.sum(step.poles(0.0) == 1.0) == 1
    assert step.poles(1e-3).max() < 1.0


@BOTH
@pytest.mark.parametrize("g", [0.0, 0.3, 50.0])
def test_energy_closes_in_every_step(name, g):
    modal = REDUCED[name]
    step, walls = ModalStep.of(modal, 2.0), len(modal.walls)
    x = np.random.default_rng(0).normal(size=modal.order)
    for now in runs(modal, 50):
        u, c = now[:-walls], now[-walls:]
        after = step.advance(x, u, g, c)
        out = g * (modal.E.T @ after - c)  # flow at the end of the step
        stored = after[0] - x[0]
        brought = 2.0 * (modal.B[0] @ u - modal.E[0] @ out)
        size = abs(x[0]) + 2.0 * (np.abs(modal.B[0]) @ np.abs(u) + np.abs(modal.E[0]) @ np.abs(out))
        assert abs(stored - brought) <= 1e-12 * size * (1 + g)  # flows are g times a rounded difference
        x = after


@BOTH
@pytest.mark.parametrize("g", [0.02, 0.3, 50.0])
@pytest.mark.parametrize("step_s", [0.1, 10.0])
def test_steady_gain_is_that_of_the_continuous_system(name, g, step_s):
    modal = REDUCED[name]
    A, B = ModalStep.of(modal, step_s).matrices(g)
    gain = modal.C @ np.linalg.solve(np.eye(modal.order) - A, B)
    exact = modal.closed(g).dc_gain()
    # 1 - A loses what the slowest pole lies below one: 1e-5 at 0.1 s
    np.testing.assert_allclose(gain, exact, atol=1e-9 * np.abs(exact).max())


@BOTH
def test_insulated_step_is_the_exact_hold(name):
    modal = REDUCED[name]
    u = runs(modal)
    ours = ModalStep.of(modal, 3.0).run(u, 0.0) @ modal.C.T
    theirs = modal.hold(0.0, 3.0).simulate(u)
    np.testing.assert_allclose(ours, theirs, atol=1e-12 * np.abs(theirs).max())


@BOTH
def test_first_order_in_the_wall_flow(name):
    modal, g, end = REDUCED[name], 0.5, 64.0
    inputs = np.ones(len(modal.inputs) + len(modal.walls))
    errors = []
    for step_s in (0.25, 0.125, 0.0625):
        u = np.tile(inputs, (round(end / step_s), 1))
        exact = modal.hold(g, step_s).simulate(u)[-1]
        errors.append(np.abs(ModalStep.of(modal, step_s).run(u, g)[-1] @ modal.C.T - exact).max())
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(slopes, 1.0, atol=0.1)


@BOTH
@pytest.mark.parametrize("g", [0.0, 0.3, 1e6])
@pytest.mark.parametrize("step_s", [0.5, 1e5])  # at the long one all decays but the first are 0
def test_run_is_advance_after_advance(name, g, step_s):
    modal = REDUCED[name]
    step, walls = ModalStep.of(modal, step_s), len(modal.walls)
    u, x = runs(modal), np.random.default_rng(3).normal(size=modal.order)
    states = step.run(u, g, x)
    for k, now in enumerate(u):
        x = step.advance(x, now[:-walls], g, now[-walls:])
        np.testing.assert_allclose(states[k], x, atol=1e-11 * np.abs(states).max())  # 200 steps of rounding


def test_scaled_modes_step_alike():
    modal = REDUCED["slab"]
    step, scale = ModalStep.of(modal, 1.0), np.geomspace(0.1, 30.0, modal.order)[:, None]
    scaled = ModalStep(step.decay, step.drive * scale, step.wall / scale, step.sink * scale, 1.0)
    g = [0.3, 2.0]
    np.testing.assert_allclose(scaled.poles(g), step.poles(g), rtol=1e-12)
    np.testing.assert_allclose(scaled.run(runs(modal), g), step.run(runs(modal), g) * scale[:, 0], rtol=1e-8)


def test_filtered_is_the_recursion():
    drive, poles, x = np.random.default_rng(0).normal(size=(30, 3)), np.array([1.0, 0.9, 0.0]), np.array([4.0, 5, 6])
    states = filtered(poles, drive, x)
    for k in range(30):
        x = poles * x + drive[k]
        np.testing.assert_allclose(states[k], x, atol=1e-14)


SIZES = [(n, u, w) for n in range(1, 9) for u in (1, 2) for w in (1, 2)]


@STEPPERS
@pytest.mark.parametrize(("n", "u", "w"), SIZES)
def test_stepper_is_the_modal_step(kind, n, u, w):
    modal = random_modal(n, u, w, seed=n)
    step = ModalStep.of(modal, 0.7)
    g, drive = np.geomspace(0.2, 3.0, w), runs(modal)
    stepper, x, wanted = kind(step, g), np.zeros(n), []
    for now in drive:
        x = step.advance(x, now[:u], g, now[u:])
        wanted.append(x)
    size = np.abs(wanted).max()
    # two orders of the same sums, over a memory of 1 / (1 - largest pole) steps
    memory = 1 / (1 - step.poles(g)[0])
    np.testing.assert_allclose(stepper.run(drive), wanted, atol=max(1e-12, 1e-15 * memory) * size)


@STEPPERS
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@BOTH
def test_batch_run_and_step_are_the_same_to_the_byte(kind, dtype, name):
    modal = REDUCED[name]
    step, g = ModalStep.of(modal, 1.0), 0.4
    rng, cells = np.random.default_rng(5), 7
    drive = rng.normal(size=(40, cells, len(modal.inputs) + len(modal.walls))) * 8
    start = rng.normal(size=(cells, modal.order))
    many = kind(step, g, dtype).batch(drive, start)
    assert many.dtype == dtype and many.shape == (40, cells, modal.order)
    for cell in range(cells):
        single = kind(step, g, dtype)
        single.x = start[cell]
        alone = single.run(drive[:, cell])
        if kind is PlainStepper:  # a matrix product sums in an order that depends on its size
            rounding = 1e3 * np.finfo(dtype).eps * np.abs(many).max()
            np.testing.assert_allclose(many[:, cell], alone, rtol=0, atol=rounding)
            continue
        assert many[:, cell].tobytes() == alone.tobytes()
        single.x = start[cell]
        one_by_one = np.array([single.step(now) for now in drive[:, cell].tolist()], dtype)
        assert one_by_one.tobytes() == alone.tobytes()
        assert single.x == tuple(alone[-1].tolist())


@STEPPERS
@BOTH
@pytest.mark.parametrize("g", [0.05, 0.5, 20.0])
def test_single_precision_stays_within_its_rounding(kind, name, g):
    modal = REDUCED[name]
    step, drive = ModalStep.of(modal, 1.0), runs(modal, 5000)
    double, single = (kind(step, g, dtype).run(drive) for dtype in (np.float64, np.float32))
    error = np.abs(double - single).max()
    # A step rounds about n + u + 3 w times, half an ulp of the largest state or drive each, and the constants
    # once; a pole p adds up 1 / (1 - p) of them.
    roundings = modal.order + len(modal.inputs) + 3 * len(modal.walls) + 2
    size = max(np.abs(double).max(), np.abs(drive @ np.vstack([step.drive.T, step.sink.T * g])).max())
    bound = roundings * 2.0**-24 * size / (1 - step.poles(g)[0])
    assert 0 < error < bound
    if kind is not PlainStepper:  # most of them cancel: 4e-6 measured on outputs of up to 27
        assert np.abs((double - single) @ modal.C.T).max() < 1e-5


@STEPPERS
def test_walls_open_and_close_while_the_state_stays(kind):
    modal = REDUCED["slab"]
    step = ModalStep.of(modal, 1.0)
    stepper = kind(step)
    before = stepper.step([5.0, 1.0, 2.0])
    stepper.open([0.5, 2.0])
    assert stepper.x == before
    wanted = step.advance(np.array(before), [5.0], np.array([0.5, 2.0]), [1.0, 2.0])
    np.testing.assert_allclose(stepper.step([5.0, 1.0, 2.0]), wanted, rtol=1e-12)


@STEPPERS
def test_batch_leaves_the_state_and_starts_from_it(kind):
    stepper = kind(ModalStep.of(REDUCED["cylinder"], 1.0), 0.3)
    state = stepper.step((5.0, 1.0))
    ahead = stepper.batch(np.ones((3, 2, 2)))
    assert stepper.x == state
    assert np.array_equal(ahead[:, 0], ahead[:, 1])
    np.testing.assert_allclose(ahead[:, 0], stepper.run(np.ones((3, 2))), rtol=1e-12)


@STEPPERS
def test_nothing_to_do_is_nothing_done(kind):
    stepper = kind(ModalStep.of(REDUCED["cylinder"], 1.0), 0.3)
    state = stepper.step((5.0, 1.0))
    assert stepper.run(np.empty((0, 2))).shape == (0, 4)
    assert stepper.batch(np.empty((3, 0, 2))).shape == (3, 0, 4)
    assert stepper.x == state


@STEPPERS
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_never_enters_the_state(kind, bad):
    stepper = kind(ModalStep.of(REDUCED["cylinder"], 1.0), 0.3)
    state = stepper.step((5.0, 1.0))
    for call in (
        lambda: stepper.step((5.0, bad)),
        lambda: stepper.run([[5.0, 1.0], [bad, 1.0]]),
        lambda: stepper.batch([[[5.0, bad]]]),
        lambda: stepper.batch([[[5.0, 1.0]]], [[bad, 0, 0, 0]]),
        lambda: setattr(stepper, "x", [bad, 0, 0, 0]),
        lambda: stepper.open(bad),
        lambda: stepper.open(-1.0),
    ):
        with pytest.raises(ValueError, match="finite"):
            call()
    assert stepper.x == state


@STEPPERS
def test_wrong_sizes_are_refused(kind):
    stepper = kind(ModalStep.of(REDUCED["cylinder"], 1.0), 0.3)
    for call in (
        lambda: stepper.step((5.0,)),
        lambda: stepper.run(np.ones((4, 3))),
        lambda: stepper.batch(np.ones((4, 2, 3))),
        lambda: stepper.batch(np.ones((4, 2, 2)), np.ones((3, 4))),
        lambda: setattr(stepper, "x", [1.0]),
    ):
        with pytest.raises(ValueError, match="expected"):
            call()


@needs_kernel
def test_sizes_that_were_not_built_are_named():
    with pytest.raises(ValueError, match="no compiled step for 9 modes, 1 sources and 1 walls"):
        Stepper(ModalStep.of(random_modal(9, 1, 1), 1.0))
    with pytest.raises(ValueError, match="float64 or float32"):
        Stepper(ModalStep.of(random_modal(2, 1, 1), 1.0), 0.1, np.int32)


def test_a_step_without_length_is_refused():
    with pytest.raises(ValueError, match="positive"):
        ModalStep.of(REDUCED["cylinder"], 0.0)


FOUR = ModalStep.of(REDUCED["cylinder"], 1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sink": np.zeros((4, 60))}, r"sink has shape \(4, 60\), expected \(4, 1\)"),
        ({"sink": np.zeros((4, 200000))}, "sink has shape"),
        ({"sink": np.zeros((4, 0))}, "sink has shape"),
        ({"decay": np.zeros((50000, 4))}, r"decay has shape \(50000, 4\)"),
        ({"decay": np.zeros(3)}, r"drive has shape \(4, 1\), expected \(3, 1\)"),
        ({"drive": np.zeros(4)}, "drive has shape"),
        ({"wall": np.float64(1.0)}, "wall has shape"),
        ({"decay": np.array([1.0, 0.5, np.nan, 0.1])}, "decay must be finite"),
        ({"sink": np.full((4, 1), np.inf)}, "sink must be finite"),
        ({"decay": np.array([1.0, 1.1, 0.5, 0.1])}, "decay must be 0 to 1"),
        ({"step_s": np.inf}, "step_s must be positive and finite"),
        ({"step_s": -1.0}, "step_s must be positive and finite"),
    ],
)
def test_a_step_that_does_not_fit_itself_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        replace(FOUR, **change)


@needs_kernel
@pytest.mark.parametrize("change", [
    {"sink": np.zeros((4, 60))}, {"sink": np.zeros((4, 0))}, {"decay": np.zeros((50000, 4))},
    {"decay": np.full(4, np.nan)},
])  # fmt: skip
def test_the_kernel_never_copies_more_than_its_model_holds(change):
    with pytest.raises(ValueError, match=r"expected shape|finite"):
        Stepper(SimpleNamespace(**vars(FOUR) | change))


@needs_kernel
def test_a_stepper_is_whole_or_not_at_all():
    with pytest.raises(TypeError):
        Stepper.__new__(Stepper)
    stepper, twin = Stepper(FOUR, 0.3), Stepper(FOUR, 0.3)
    stepper.__init__(ModalStep.of(random_modal(9, 1, 1), 1.0))  # it is what it was made as
    assert stepper.step((5.0, 1.0)) == twin.step((5.0, 1.0))


@STEPPERS
def test_an_input_that_shrinks_while_it_is_read_is_no_matter(kind):
    class Thief:
        def __float__(self):
            u.clear()
            return 5.0

    u = [Thief(), 1.0]
    assert kind(FOUR, 0.3).step(u) == kind(FOUR, 0.3).step((5.0, 1.0))

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bmsthermal import CoupledModel, Inputs, Observer, Run, load_cell
from bmsthermal.errors import InputError
from bmsthermal.joint import JointFilter, JointNoise
from bmsthermal.jointly import JointObserver
from bmsthermal.noise import Noise
from bmsthermal.observer import compiled
from rom.ud import covariance

needs_kernel = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
CELL = "a123_26650"
AMBIENT_K = 283.15


@cache
def reduced(h_W_m2K=None, walls=1):
    cell = load_cell(CELL if walls == 1 else "lco_marquis")
    made = CoupledModel(cell, heat="measured").reduce(order=4)
    return made if h_W_m2K is None else made.with_h(h_W_m2K)


def own_h(model):
    return float(model.conductance_W_K[0] / model.areas_m2[0])


def drive(model, seconds=2400, lag_s=8.0, seed=3, share=1.0):
    """A run of the model itself under pulses of current: surface through a lag with noise, and core; and its heat."""
    rng = np.random.default_rng(seed)
    current = np.repeat(rng.choice([-12.0, 0.0, 15.0, 20.0], seconds // 20 + 1), 20)[:seconds]
    heat = share * 0.012 * current**2
    n, walls = model.order, len(model.walls)
    x, reading, read, core = np.zeros(n), 0.0, [], []
    A, B = model.step.matrices(model.conductance_W_K)
    coolant = np.full(walls, AMBIENT_K - model.cell.reference_K)
    x = (AMBIENT_K - model.cell.reference_K) * model.constant
    reading = float(model.outputs[2] @ x)
    for k in range(seconds):
        surface = (1 - model.cell.ambient_share) * (model.outputs[2] @ x) + model.cell.ambient_share * coolant[0]
        reading += (surface - reading) * (1 - np.exp(-1.0 / lag_s)) if k else 0.0
        read.append(reading + model.cell.reference_K + 0.02 * rng.standard_normal())
        core.append(model.outputs[0] @ x + model.cell.reference_K)
        x = A @ x + B @ np.concatenate([[heat[k]], coolant])
    time = np.arange(float(seconds))
    voltage = model.heat.open_circuit_V[32] - 0.012 * current  # heat of a resistance of 12 mOhm at half charge
    run = Run(
        time, current, voltage, np.full(seconds, AMBIENT_K), {"surface": np.array(read)}, np.array(core), name="made"
    )
    return run, heat


def observed(model, run, heat, **given):
    """Feed the heat itself: what is tested here is not the open-circuit table."""
    observer = Observer(model, **given)
    belief = observer.start(surface_K=float(run.surfaces_K["surface"][0]), soc=0.5)
    u = np.column_stack([
        run.current_A, np.full(len(heat), np.nan), heat, np.repeat(run.ambient_K[:, None], len(model.walls), 1),
        np.full((len(heat), len(model.walls)), np.nan),
    ])  # fmt: skip
    rows, out = stepped(observer, belief, u[:-1], run.surfaces_K["surface"][1:, None])
    return observer._found(run.time_s, rows, np.vstack([np.zeros_like(out[:1]), out]), run)


def stepped(observer, belief, u, z):
    """Rows of states, the first one the belief's, and outputs."""
    engine = observer.kernel()
    past = np.empty((len(u) + 1, 1, engine.state_size), observer.dtype)
    out = np.zeros((len(u), 1, engine.output_size), observer.dtype)
    past[0, 0] = belief.row
    engine.write(past[0])
    engine.run(*(np.ascontiguousarray(each[:, None], observer.dtype) for each in (u, z)), out, past[1:])
    return past[:, 0], out[:, 0]


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_cooling_that_is_off_by_two_is_found(factor):
    true = reduced()
    run, heat = drive(true)
    found = observed(true.with_h(factor * own_h(true)), run, heat, estimate=("h", "heat"))
    assert abs(found.h_W_m2K[1200:, 0] / own_h(true) - 1).max() < 0.06  # 5 % from 20 minutes on, and noise
    error = found.core_K - run.core_K
    assert np.sqrt(np.mean(error[600:] ** 2)) < 0.1
    # the sigma knows: within it most of the time
    assert np.mean(np.abs(np.log(found.h_W_m2K[1200:, 0] / own_h(true))) < 2 * found.h_sd[1200:, 0]) > 0.9


def test_without_estimate_wrong_cooling_costs_what_estimating_it_saves():
    true = reduced()
    run, heat = drive(true)
    wrong = true.with_h(2 * own_h(true))
    noise = JointNoise(lag_s=8.0)
    left, found = (observed(wrong, run, heat, estimate=kinds, noise=noise) for kinds in (("heat",), ("h", "heat")))
    rms = [np.sqrt(np.mean((each.core_K - run.core_K)[600:] ** 2)) for each in (left, found)]
    assert rms[1] < 0.25 * rms[0]


def test_heat_that_nobody_accounts_for_is_found_in_watts():
    true = reduced()
    run, heat = drive(true)
    found = observed(true, run, heat - 1.0, estimate=("heat",), noise=JointNoise(lag_s=8.0, slow_heat_W=1.0))
    assert abs(found.slow_heat_W[1200:].mean() - 1.0) < 0.1
    assert abs(found.core_K - run.core_K)[600:].max() < 0.2


def test_biases_of_sensors_that_differ_are_told_apart():
    true = reduced()
    run, _ = drive(true)
    surface = run.surfaces_K["surface"]
    off = np.array([0.0, 0.0, 1.0])
    run = replace(run, surfaces_K={f"surface_{i}": surface + off[i] for i in range(3)})
    observer = Observer(true, [*run.surfaces_K], estimate=("bias",), noise=JointNoise(lag_s=8.0, bias_K=0.5))
    found = observer.run(run, initial_soc=0.5)
    bias = found.bias_K[-1]
    np.testing.assert_allclose(bias - bias[0], off, atol=0.1)
    assert found.bias_sd_K[-1].max() > 0.1  # what all have in common stays unsure


def test_slopes_of_a_step_are_those_of_differences():
    model = reduced(walls=2)
    filter_ = JointFilter(Observer(model).packed, ("h", "heat", "bias"), JointNoise(), 1.0)
    around = np.array([290.0, 300.0])
    u = np.array([10.0, np.nan, 7.0, *around, np.nan, np.nan])
    rng = np.random.default_rng(1)
    base = rng.normal(0, 0.3, filter_.layout.states)
    base[:4] += 10.0

    def moved(x):
        filter_.x = x.copy()
        F, _, _, _ = filter_._predict(u, 7.0, 0.0, 0.0)
        return filter_.x.copy(), F

    F = moved(base)[1]
    for k in range(len(base)):
        ends = [moved(base + sign * 1e-5 * np.eye(len(base))[k])[0] for sign in (1, -1)]
        np.testing.assert_allclose(F[:, k], (ends[0] - ends[1]) / 2e-5, atol=1e-7)  # central: 1e-10 and rounding


def test_what_is_absent_changes_nothing_and_covariances_stay_positive():
    model = reduced()
    run, heat = drive(model, 300)
    gaps = run.surfaces_K["surface"].copy()
    gaps[100:200] = np.nan
    run = replace(run, surfaces_K={"surface": gaps}, ambient_K=np.where(np.arange(300) < 50, np.nan, AMBIENT_K))
    found = observed(model, run, np.where(np.arange(300) % 50 == 0, np.nan, heat), estimate=("h", "heat"))
    N = found.belief().states
    for row in found.rows[::20]:
        assert np.linalg.eigvalsh(covariance(row[2 * N : -3]))[0] > -1e-12
    assert np.isfinite(found.core_K).all() and np.isnan(found.nis[150])
    std = found.surface_std_K
    assert std[199] > 1.5 * std[99] and std[199] > 1.5 * std[299]


def test_step_after_step_is_the_run_and_goes_on():
    model = reduced()
    run, heat = drive(model, 60)
    observer = Observer(model, estimate=("h", "heat"))
    belief = observer.start(surface_K=float(run.surfaces_K["surface"][0]), soc=0.5)
    for k in range(59):
        inputs = Inputs(run.current_A[k], np.nan, AMBIENT_K, heat_W=float(heat[k]))
        belief, estimate = observer.step(belief, inputs, [run.surfaces_K["surface"][k + 1]])
    whole = observed(model, run, heat, estimate=("h", "heat"))
    assert np.array_equal(belief.row, whole.belief().row) and estimate.core_K == whole.core_K[-1]
    rested = observer.rest(belief, 36000.0, AMBIENT_K)
    assert abs(observer._found(np.zeros(1), rested.row[None], np.zeros((1, 17))).core_K[0] - AMBIENT_K) < 0.05


def test_the_whole_row_of_questions_is_answered(tmp_path):
    model = reduced()
    observer = Observer(model, estimate=["heat", "h"])
    assert isinstance(observer, JointObserver) and "estimates h, heat" in repr(observer)
    assert not isinstance(Observer(model), JointObserver)
    run, _ = drive(model, 120)
    found = observer.run(run, initial_soc=0.5)
    assert [name for name, _ in found.beside()] == ["heat-transfer coefficient, side", "heat not accounted for"]
    found.to_csv(tmp_path / "found.csv")
    rows = np.genfromtxt(tmp_path / "found.csv", delimiter=",", names=True)
    np.testing.assert_allclose(rows["h_side_W_m2K"], found.h_W_m2K[:, 0], rtol=1e-5)  # six digits
    np.testing.assert_allclose(rows["slow_heat_std_W"], found.slow_heat_sd_W, rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"estimate": ("cooling",)}, "cooling"),
        ({"estimate": "h"}, "in a list"),
        ({"estimate": 5}, "in a list"),
        ({"estimate": [["h"]]}, "in a list"),
        ({"estimate": ("bias",)}, "one sensor"),
        ({"estimate": ("h",), "engine": "numpy"}, "filterpy"),
        ({"estimate": ("h",), "noise": Noise()}, "JointNoise"),
        ({"noise": {"sensor_K": 0.1}}, "a Noise"),
        ({"form": "ud", "noise": 5}, "a Noise"),
    ],
)
def test_wrong_requests_are_refused_with_a_sentence(given, said):
    with pytest.raises(InputError, match=said):
        Observer(reduced(), **given)


def rough(observer, steps, seed):
    """Inputs and readings with everything missing, given or absurd now and then, and cooling that changes."""
    rng = np.random.default_rng(seed)
    walls, m = len(observer.reduced.walls), len(observer.measured)
    u = np.full((steps, 3 + 2 * walls), np.nan)
    u[:, 0] = np.repeat(rng.normal(0.0, 12.0, steps // 10 + 1), 10)[:steps]
    u[:, 1] = 3.3 - 0.012 * u[:, 0]
    u[:, 3 : 3 + walls] = 295.0 + 3.0 * np.sin(np.arange(steps) / 200.0)[:, None] + np.arange(walls)
    z = 299.0 + 4.0 * np.sin(np.arange(steps) / 300.0)[:, None] + rng.normal(0, 0.05, (steps, m))
    for column in (0, 1, 3):
        u[rng.random(steps) < 0.03, column] = rng.choice([np.nan, np.inf, 1e9])
    u[100:120, 2] = 4.0
    u[steps // 2 :, 3 + walls :] = 3.0 * observer.packed.conductance_W_K
    z[rng.random(z.shape) < 0.1] = np.nan
    z[steps // 4] = -1e9
    return u, z


LAYOUTS = [
    (1, ("surface",), ("h", "heat")), (1, ("surface",), ("heat",)), (2, ("surface_a", "surface_b"), ("h", "bias")),
    (2, ("surface_a", "surface_b"), ("h", "heat", "bias")),
]  # fmt: skip


@needs_kernel
@pytest.mark.parametrize(("walls", "sensors", "kinds"), LAYOUTS)
def test_kernel_and_twin_are_the_same_filter(walls, sensors, kinds):
    model = reduced(walls=walls)
    if walls == 2:
        sensors = tuple(f"surface_{wall}" for wall in model.walls)
    compiled, twin = (Observer(model, sensors, estimate=kinds, engine=e) for e in ("kernel", "filterpy"))
    u, z = rough(compiled, 600, len(kinds))
    found, out = stepped(compiled, compiled.start(295.0, 0.6), u, z)
    wanted, said = stepped(twin, twin.start(295.0, 0.6), u, z)
    N = compiled.layout.states
    off = found[:, :N] - found[:, N : 2 * N] - wanted[:, :N]
    assert abs(off).max() < 1e-9  # K, W and logarithms: sums of the same terms in another order
    P, twin_P = (np.array([covariance(row) for row in rows[::50, 2 * N : -3]]) for rows in (found, wanted))
    scale = np.sqrt(np.einsum("kii,kjj->kij", twin_P, twin_P))
    assert (abs(P - twin_P) <= 1e-9 * scale).all()
    np.testing.assert_allclose(out, said, rtol=1e-9, atol=1e-9)


@needs_kernel
@pytest.mark.parametrize("step_s", [1.0, 0.01])
def test_single_precision_follows_double(step_s):
    """At 100 Hz a step moves the states by less than their last digit: the carry keeps it."""
    model = CoupledModel(load_cell(CELL), heat="measured").reduce(order=4, step_s=step_s)
    wide, narrow = (Observer(model, estimate=("h", "heat"), real=real) for real in ("double", "float"))
    steps = round(600 / step_s)
    u, z = (np.repeat(each, round(1 / step_s), axis=0) for each in rough(wide, 600, 7))
    rows = [stepped(each, each.start(295.0, 0.6), u[:steps], z[:steps])[0] for each in (wide, narrow)]
    core = [found[:, : model.order].astype(float) @ model.outputs[0] for found in rows]
    assert abs(core[0] - core[1]).max() < 0.005  # K: a hundredfold of the last digit of a reading in kelvin
    assert abs(rows[0][:, -3] - rows[1][:, -3]).max() < 1e-5  # charge


def test_wrong_noise_and_beliefs_and_rows_are_refused():
    observer = Observer(reduced(), estimate=("h",))
    with pytest.raises(InputError, match="log_h"):
        JointNoise(log_h=float("nan"))
    with pytest.raises(InputError, match="belief"):
        observer.step(Observer(reduced()).start(298.15, 0.5), Inputs(1.0, 3.3, 298.15), [298.15])
    belief = observer.start(298.15, 0.5)
    with pytest.raises(InputError, match=r"measurements of surface: .*expected 1 number"):
        observer.step(belief, Inputs(1.0, 3.3, 298.15), [298.15, 298.15])
    with pytest.raises(InputError, match="kelvin"):
        observer.step(belief, Inputs(1.0, 3.3, 298.15), [25.0])
    with pytest.raises(InputError, match="seconds"):
        observer.rest(belief, float("nan"), 298.15)


def test_in_rz_one_factor_cools_all_walls_and_its_slope_is_the_sum_over_them():
    model = CoupledModel(load_cell(CELL), heat="measured", thermal="r-z").reduce(8)
    observer = Observer(model, ["surface", "surface_left", "surface_right"], estimate=("h", "heat"))
    assert observer.estimate == ("h", "heat", "bias") and observer._sure.bias_K == observer.noise.offset_K
    each = JointFilter(observer.packed, observer.estimate, observer._sure, 1.0)
    all_ = observer.filter()
    walls, n = slice(8, 11), 8
    assert all_.layout.states == each.layout.states - 2
    u = np.array([10.0, np.nan, 7.0, 290.0, 295.0, 300.0, *np.full(3, np.nan)])
    x = np.random.default_rng(2).normal(0, 0.3, all_.layout.states) + 10.0 * (np.arange(all_.layout.states) < n)

    def moved(x):
        all_.x = x.copy()
        F = all_._predict(u, 7.0, 0.0, 0.0)[0]
        return all_.x.copy(), F

    ends = [moved(x + sign * 1e-5 * np.eye(len(x))[n])[0] for sign in (1, -1)]
    slope = moved(x)[1]
    np.testing.assert_allclose(slope[:, n], (ends[0] - ends[1]) / 2e-5, atol=1e-7)  # central: 1e-10 and rounding
    each.x = np.concatenate([x[:n], np.full(3, x[n]), x[n + 1 :]])
    np.testing.assert_allclose(each._predict(u, 7.0, 0.0, 0.0)[0][:n, walls].sum(axis=1), slope[:n, n], atol=1e-14)
    found = observer.run(
        Run(np.arange(30.0), np.full(30, 5.0), np.full(30, 3.2), np.full(30, 290.0),
            {name: np.full(30, 291.0) for name in observer.measured}), initial_soc=0.5,
    )  # fmt: skip
    ratio = found.h_W_m2K / (model.conductance_W_K / model.areas_m2)
    np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones(3), rtol=1e-12)
    assert found.h_sd.shape == found.h_W_m2K.shape == (30, 3)


def test_noise_of_the_heat_is_what_calibration_wrote_and_goes_with_its_mean():
    cell = load_cell(CELL)
    told = JointNoise.told(cell.with_values({"Observer": {**cell.settings, "Slow heat uncertainty": 0.08}}))
    assert told.slow_heat == 0.08 and JointNoise.told(cell).slow_heat == 0.05
    filter_ = JointFilter(Observer(reduced()).packed, ("h",), JointNoise(), 1.0)
    filter_.mean_W = 2.0
    u = np.array([np.nan, np.nan, 0.0, 290.0, np.nan])
    quiet, loud = (filter_._predict(u, heat, 0.0, 0.0)[2][-1] for heat in (0.0, 40.0))
    assert quiet == loud == 0.3**2 + (0.2 * 2.0) ** 2

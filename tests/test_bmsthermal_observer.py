"""The observer: what a person calls, on runs whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from bmsthermal import CoupledModel, InputError, Inputs, Noise, Observer, Run
from bmsthermal.innovations import core_error
from bmsthermal.observer import compiled

needs_kernel = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
NAN = float("nan")
LEFT_RIGHT = ["surface", "surface_left", "surface_right"]


@pytest.fixture(scope="module")
def observer(reduced):
    return Observer(reduced)


def seen(model, us06, soc=0.8, noise_K=0.05, sensors=("surface",), seed=0):
    """A drive as the sensors saw it, and the truth."""
    truth = model.simulate(us06, initial_soc=soc)
    rng = np.random.default_rng(seed)
    surfaces = {s: truth.surface_K + noise_K * rng.normal(size=truth.surface_K.shape) for s in sensors}
    return Run(truth.time_s, us06.current_A, truth.voltage_V, us06.ambient_K, surfaces, truth.core_K, "drive"), truth


@pytest.fixture(scope="module")
def drive(reduced, us06):
    return seen(reduced, us06)


# one path: a step, a run, either precision


@pytest.mark.parametrize("real", ["double", "float"])
@pytest.mark.parametrize("engine", ["kernel", "filterpy"])
def test_steps_make_the_run(reduced, drive, engine, real):
    observer, run = Observer(reduced, engine=engine, real=real), drive[0].before(60.0)
    whole = observer.run(run, initial_soc=0.8)
    belief = observer.start(float(run.surfaces_K["surface"][0]), 0.8)
    for k in range(len(run.time_s) - 1):
        inputs = Inputs(run.current_A[k], run.voltage_V[k], run.ambient_K[k])
        belief, estimate = observer.step(belief, inputs, [run.surfaces_K["surface"][k + 1]])
        if engine == "kernel":
            assert belief.row.tobytes() == whole.belief(k + 1).row.tobytes()
            assert estimate.core_K == whole.core_K[k + 1] and estimate.core_std_K == whole.core_std_K[k + 1]
            assert estimate.nis == whole.nis[k + 1] and estimate.sensors == 1
        else:  # its covariance is symmetric only to rounding, a belief's is exactly so
            np.testing.assert_allclose(belief.row, whole.belief(k + 1).row, rtol=0, atol=1e-9)
    assert belief.row.dtype == observer.dtype and not belief.row.flags.writeable


@needs_kernel
def test_both_engines_agree_over_a_drive(reduced, drive):
    ours, theirs = (Observer(reduced, engine=e).run(drive[0], initial_soc=0.8) for e in ("kernel", "filterpy"))
    for name in ("core_K", "core_std_K", "surface_K", "mean_K"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-9)


@needs_kernel
def test_float_is_close_to_double(reduced, drive):
    double, single = (Observer(reduced, real=r).run(drive[0], initial_soc=0.8) for r in ("double", "float"))
    # the voltage alone rounds to 2e-7 V; 600 steps of 6e-8 relative in a few kelvin
    assert np.abs(single.core_K - double.core_K).max() < 1e-3
    assert np.abs(single.core_K - double.core_K).max() > 0


# what is absent


@given(st.lists(st.sampled_from([300.0, NAN]), min_size=3, max_size=3))
def test_any_subset_of_the_sensors(reduced, readings):
    observer = Observer(reduced, LEFT_RIGHT)
    belief, estimate = observer.step(observer.start(298.0, 0.5), Inputs(1.0, 3.3, 298.0), readings)
    present = np.isfinite(readings)
    assert estimate.sensors == present.sum()
    assert np.isnan(estimate.innovation_K) == (not present[0])
    assert np.isnan(estimate.nis) == (not present.any())
    assert (estimate.surface_K > 298.5) == bool(present.any())
    assert np.isfinite(belief.row).all()


def test_two_equal_sensors_are_one_with_half_the_variance(reduced):
    one = Observer(reduced, noise=Noise(sensor_K=0.1 / np.sqrt(2)))
    two = Observer(reduced, ["surface", "surface_left"], noise=Noise(sensor_K=0.1))
    inputs = Inputs(5.0, 3.2, 298.0)
    a, _ = one.step(one.start(298.0, 0.5), inputs, [299.0])
    b, _ = two.step(two.start(298.0, 0.5), inputs, [299.0, 299.0])
    np.testing.assert_allclose(a.row, b.row, rtol=1e-9, atol=1e-9)  # rounding of P in another order


odd = st.one_of(st.sampled_from([NAN, float("inf"), float("-inf"), 1e30, -1e30, 0.0, -5.0]), st.floats(-1e3, 1e3))


@needs_kernel
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(odd, odd, odd, odd, odd, odd), min_size=1, max_size=12),
    st.sampled_from(["double", "float"]),
    st.sampled_from([{"form": "ekf"}, {"form": "ud"}, {"estimate": ("h", "heat")}]),
)
def test_no_input_poisons_the_kernel(reduced, rows, real, given_form):
    """What the friendly step refuses still reaches a target."""
    observer = Observer(reduced, real=real, **given_form)
    begun = observer.start(298.0, 0.5)
    kernel, state = observer.kernel(), begun.row[None].copy()
    kernel.write(state)
    for *inputs, surface in rows:
        kernel.step(tuple(inputs), (surface,))
        kernel.read(state)
        assert np.isfinite(state).all() and 0 <= replace(begun, row=state[0]).soc <= 1
    if "estimate" in given_form:  # what it believed of the cooling takes longer: see faults=True
        return
    for _ in range(3000):  # a sane hour afterwards: it comes back
        kernel.step((0.0, 3.3, NAN, 298.0), (298.0,))
    kernel.read(state)
    assert abs(observer.reduced.outputs[0] @ state[0, : observer.reduced.order] + 298.15 - 298.0) < 1.0


def test_all_absent_is_only_a_wider_belief(observer):
    belief = observer.start(300.0, 0.5)
    after, estimate = observer.step(belief, Inputs(NAN, NAN, NAN), [NAN])
    # no heat, and walls that exchange nothing with surroundings that are not known
    assert estimate.core_K == pytest.approx(300.0, abs=1e-9) and estimate.heat_W == 0.0
    assert after.soc == 0.5
    assert after.P[0, 0] > belief.P[0, 0]  # the mean; inner differences relax


def test_missing_voltage_inflates_sigma(observer):
    belief = observer.start(300.0, 0.5)
    known, _ = observer.step(belief, Inputs(5.0, NAN, 298.0, heat_W=0.0), [NAN])
    lost, estimate = observer.step(belief, Inputs(5.0, NAN, 298.0), [NAN])
    assert estimate.heat_W == 0.0
    difference = lost.P - known.P
    W = observer.reduced.step.matrices(observer.reduced.conductance_W_K)[1][:, 0]
    # 25 K2 round to 4e-15
    np.testing.assert_allclose(difference, observer.noise.lost_heat_W**2 * np.outer(W, W), rtol=1e-9, atol=1e-13)
    assert lost.soc < 0.5  # the charge is counted all the same


# covariance


def test_covariance_stays_positive_and_shrinks_by_a_measurement(observer, drive):
    run, belief = drive[0], observer.start(298.15, 0.8)
    for k in range(120):
        inputs = Inputs(run.current_A[k], run.voltage_V[k], run.ambient_K[k])
        unseen, _ = observer.step(belief, inputs, [NAN])
        belief, _ = observer.step(belief, inputs, [run.surfaces_K["surface"][k + 1]])
        np.testing.assert_array_equal(belief.P, belief.P.T)
        assert np.linalg.eigvalsh(belief.P).min() > 0
        assert np.trace(belief.P) < np.trace(unseen.P)
        assert np.linalg.eigvalsh(unseen.P - belief.P).min() > -1e-12  # in every direction, up to rounding


def test_without_entropy_it_is_the_textbook_filter(a123):
    cell = a123.with_values({"Entropic change coefficient [V.K-1]": 0.0})
    observer = Observer(CoupledModel(cell, heat="measured").reduce(order=4))
    belief = observer.start(298.0, 0.5)
    for _ in range(20000):
        belief, _ = observer.step(belief, Inputs(0.0, 3.3, 298.0), [298.0])
    p, step = observer.packed, observer.reduced.step
    A, B = step.matrices(observer.reduced.conductance_W_K)
    closed = np.eye(4) - step.sink @ step._flow(observer.reduced.conductance_W_K) @ step.wall.T
    Q = p.heat_variance * np.outer(B[:, 0], B[:, 0]) + closed @ np.diag(p.noise) @ closed.T
    C, R = p.sense, np.diag(p.sense_variance)
    prior = linalg.solve_discrete_are(A.T, C.T, Q, R)
    steady = prior - prior @ C.T @ np.linalg.solve(C @ prior @ C.T + R, C @ prior)
    np.testing.assert_allclose(belief.P, steady, rtol=1e-6, atol=1e-12)  # the solver's own accuracy


def test_innovations_are_white_and_as_large_as_they_claim(reduced):
    """Truth from the same model with the noise that the filter is told."""
    noise = Noise(heat_W_rts=1.0, sensor_K=0.05, start_K=0.5, start_gradient_K=0.3)
    observer, rng, k = Observer(reduced, noise=noise), np.random.default_rng(7), 6000
    A, B = reduced.step.matrices(reduced.conductance_W_K)
    start = observer.start(298.15, 0.5)
    x = start.x + np.linalg.cholesky(start.P) @ rng.normal(size=reduced.order)
    heat = 5.0 + 3.0 * np.sin(np.arange(k) / 50.0)
    z = np.empty(k)
    for i in range(k):
        x = A @ x + B @ [heat[i] + rng.normal() * noise.heat_W_rts, 0.0]
        z[i] = reduced.outputs[2] @ x + 298.15 + noise.sensor_K * rng.normal()
    kernel = observer.kernel()
    u = np.full((k, 1, 5), NAN)
    u[:, 0, 2], u[:, 0, 3] = heat, 298.15
    out = np.zeros((k, 1, kernel.output_size))
    kernel.write(start.row[None].copy())
    kernel.run(u, z[:, None, None], out)
    normal = out[:, 0, 1] / np.sqrt(out[:, 0, 9])
    low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], k)  # one seed in 5000 would fail; this one is fixed
    assert low < normal @ normal < high
    lags = np.array([normal[lag:] @ normal[:-lag] for lag in range(1, 11)]) / k
    assert np.abs(lags).max() < 4 / np.sqrt(k)


# starting, resting, healing


def test_a_start_is_what_was_said(observer):
    flat = observer.start(305.0, 0.3)
    assert observer.reduced.outputs @ flat.x + 298.15 == pytest.approx([305.0] * 3)
    assert flat.soc == 0.3
    profile = observer.start(305.0, 0.3, core_K=309.0)
    core, mean, surface = observer.reduced.outputs @ profile.x + 298.15
    assert (core, surface) == pytest.approx((309.0, 305.0))
    assert mean == pytest.approx(307.0, abs=0.02)  # a parabola over a disc has its mean half way
    sure = observer.start(305.0, 0.3, noise=Noise(start_K=0.1, start_gradient_K=0.0))
    assert np.trace(sure.P) < np.trace(flat.P) / 100


def test_rest_goes_to_the_ambient_and_gaps_are_whole_steps(observer):
    belief = observer.start(310.0, 0.5, core_K=315.0)
    rested = observer.rest(belief, 12 * 3600.0, 290.0)
    np.testing.assert_allclose(observer.reduced.outputs @ rested.x + 298.15, 290.0, atol=1e-6)
    assert rested.soc == 0.5
    once, twice = (
        observer.rest(belief, 700.0, 290.0),
        observer.rest(observer.rest(belief, 300.0, 290.0), 400.0, 290.0),
    )
    assert once.row.tobytes() == twice.row.tobytes()
    assert observer.rest(belief, 0.0, 290.0).row.tobytes() == belief.row.tobytes()


@pytest.mark.parametrize("gap", [1, 7, 600])
def test_a_gap_in_the_log_is_whole_steps_of_nothing(observer, drive, gap):
    run = drive[0].before(400.0)
    cut = run._pick((run.time_s < 100) | (run.time_s >= 100 + gap)) if gap < 300 else run.before(100.0)
    result = observer.run(cut, initial_soc=0.8)
    assert len(result.time_s) == round(cut.time_s[-1] - cut.time_s[0]) + 1
    np.testing.assert_array_equal(np.diff(result.time_s), 1.0)
    assert np.isfinite(result.core_K).all() and np.isfinite(result.core_std_K).all()
    if gap < 300:
        assert (result.sensors[100 : 100 + gap] == 0).all() and result.sensors[100 + gap] == 1
        before, within = result.core_std_K[99], result.core_std_K[99 + gap]
        assert within > before


def test_a_wrong_start_of_10_K_heals(observer, drive):
    run, truth = drive
    result = observer.run(run, initial_soc=0.8, start_K=float(truth.core_K[0] + 10))
    error = np.abs(result.core_K - truth.core_K)
    assert error[0] == pytest.approx(10.0, abs=1e-6)
    # the gradient is not seen: it decays with the slowest inner time, about a minute
    assert error[300:].max() < 0.5 and error[300:].max() < 0.05 * error[0]


def test_the_score_compares_and_never_uses_the_core(observer, drive):
    run, truth = drive
    blind = Run(run.time_s, run.current_A, run.voltage_V, run.ambient_K, run.surfaces_K)
    with_core, without = observer.run(run, initial_soc=0.8), observer.run(blind, initial_soc=0.8)
    assert with_core.states.tobytes() == without.states.tobytes()
    assert without.score() is None
    score = with_core.score()
    assert score.raw_rmse_K == pytest.approx(np.sqrt(np.mean((with_core.core_K - truth.core_K) ** 2)))
    assert score.rmse_K < 0.1 and score.coverage == 1.0


@pytest.mark.parametrize("apart, taken", [(0.2, 0.2), (-0.9, -0.9), (1.5, 0.0), (-7.0, 0.0)])
def test_only_what_thermocouples_can_differ_by_is_taken_off_a_core(observer, drive, apart, taken):
    run, _ = drive
    core = run.surfaces_K["surface"] + apart
    found = observer.run(Run(run.time_s, run.current_A, run.voltage_V, run.ambient_K, run.surfaces_K, core),
                         initial_soc=0.8)  # fmt: skip
    score = found.score()
    assert score.mismatch_K == pytest.approx(taken, abs=1e-9) and score.apart_K == pytest.approx(apart)
    np.testing.assert_allclose(core_error(found), core - taken - found.core_K, atol=1e-9)
    assert score.rmse_K == pytest.approx(np.sqrt(np.mean(core_error(found) ** 2)))
    assert ("not subtracted" in dict(score.rows())["thermocouple mismatch"]) == (taken == 0.0)


# charge and heat


def test_charge_is_counted_exactly(observer, drive):
    run, truth = drive
    result = observer.run(run, initial_soc=0.8)
    exact = 0.8 - np.concatenate([[0], np.cumsum(run.current_A[:-1])]) / 3600 / observer.reduced.cell.capacity_Ah
    np.testing.assert_allclose(result.soc, exact, atol=1e-12)
    np.testing.assert_allclose(result.heat_W[1:], truth.heat_W[:-1], atol=0.02)  # T of the mean within 1 K
    for current, end in ((1e4, 0.0), (-1e4, 1.0)):
        belief, _ = observer.step(observer.start(298.0, 0.5), Inputs(current, 3.3, 298.0), [NAN])
        assert belief.soc == end


@pytest.mark.parametrize("entropy", [4e-4, -4e-4])
@pytest.mark.parametrize("current", [10.0, -10.0])
def test_heat_has_the_sign_of_bernardi(a123, entropy, current):
    cell = a123.with_values({"Entropic change coefficient [V.K-1]": entropy})
    observer = Observer(CoupledModel(cell, heat="measured").reduce())
    volts = float(observer.reduced.heat.open_circuit_V[32])
    _, estimate = observer.step(observer.start(300.0, 0.5), Inputs(current, volts - 0.01 * current, 300.0), [NAN])
    assert estimate.heat_W == pytest.approx(1.0 - current * 300.0 * entropy, rel=1e-9)


def test_given_heat_replaces_the_measured_one(observer):
    belief = observer.start(300.0, 0.5)
    after, estimate = observer.step(belief, Inputs(10.0, NAN, 300.0, heat_W=7.5), [NAN])
    assert estimate.heat_W == 7.5 and after.soc < 0.5


def test_h_at_run_time_is_another_model(reduced, observer):
    inputs = Inputs(10.0, 3.2, 280.0)
    other = Observer(reduced.with_h(300.0))
    there, _ = other.step(other.start(310.0, 0.5), inputs, [305.0])
    here, _ = observer.step(observer.start(310.0, 0.5), Inputs(10.0, 3.2, 280.0, h_W_m2K=300.0), [305.0])
    np.testing.assert_allclose(here.row, there.row, rtol=1e-12, atol=1e-12)


def test_faces_have_their_own_surroundings(slab):
    observer = Observer(CoupledModel(slab, heat="measured").reduce(order=5), ["surface_back", "surface_front"])
    belief = observer.start(298.15, 0.5)
    for _ in range(600):
        belief, _ = observer.step(belief, Inputs(0.0, NAN, [280.0, 310.0], heat_W=0.0), [NAN, NAN])
    back, front = observer.reduced.outputs[2:] @ belief.x + 298.15
    assert back < front - 4 and back > 280 and front < 310
    one, _ = observer.step(belief, Inputs(0.0, NAN, 298.0, heat_W=0.0), [NAN, 320.0])
    assert observer.reduced.outputs[3] @ one.x > observer.reduced.outputs[3] @ belief.x


def test_soc_from_rest_or_a_note(observer, drive):
    run = drive[0]
    volts = np.full(50, 3.31)  # the plateau
    rest = Run(run.time_s[:50], np.zeros(50), volts, run.ambient_K[:50], {"surface": run.ambient_K[:50]})
    told = observer.run(rest).notes
    assert len(told) == 1 and "initial SOC unknown" in told[0] and "I^2 R" in told[0]
    busy = Run(run.time_s[:50], np.full(50, 5.0), volts, run.ambient_K[:50], {"surface": run.ambient_K[:50]})
    result = observer.run(busy)
    assert "leaves it between 0.62 and 0.99" in result.notes[0]  # behind half to one and a half of the resistance
    assert (result.heat_W[1:] > 0).all()
    low = Run(run.time_s[:50], np.zeros(50), volts - 0.4, run.ambient_K[:50], {"surface": run.ambient_K[:50]})
    assert "from the rest voltage of 2.910 V" in observer.run(low).notes[0]
    assert observer.run(low, initial_soc=0.4).notes == ()
    loaded = Run(run.time_s[:50], np.full(50, 0.2), volts - 0.4, run.ambient_K[:50], {"surface": run.ambient_K[:50]})
    said = observer.run(loaded).notes[0]
    assert said.endswith("from 2.910 V under 0.2 A less the drop of the DC resistance")
    assert "rest voltage" not in said


# points and files


def test_any_point_lies_between(observer, drive):
    result = observer.run(drive[0], initial_soc=0.8)
    core, surface = result.point(0.0), result.point(float(observer.reduced.position_m[-1]))
    np.testing.assert_allclose(core[0], result.core_K, atol=1e-9)
    np.testing.assert_allclose(core[1], result.core_std_K, rtol=1e-6)
    np.testing.assert_allclose(surface[0], result.surface_K, atol=1e-9)
    assert (core[1][100:] > surface[1][100:]).all()  # less is known about what is not seen


def test_the_file_has_the_columns_that_were_promised(observer, drive, tmp_path):
    result = observer.run(drive[0].before(20.0), initial_soc=0.8)
    result.to_csv(tmp_path / "estimate.csv")
    header, *rows = (tmp_path / "estimate.csv").read_text().splitlines()
    assert header == "time_s,core_degC,core_std_K,surface_degC,surface_std_K,mean_degC,heat_W,innovation_K,nis"
    assert len(rows) == len(result.time_s)
    assert float(rows[5].split(",")[1]) == pytest.approx(result.core_K[5] - 273.15, abs=1e-3)
    assert rows[0].endswith(",,")  # nothing was compared before the first step


# mistakes


def test_mistakes_get_a_sentence(reduced, observer, a123, drive):
    belief, inputs = observer.start(298.0, 0.5), Inputs(0.0, 3.3, 298.0)
    for z in ([], [298.0, 298.0]):
        with pytest.raises(InputError, match=r"measurements of surface: found .*, expected 1 number"):
            observer.step(belief, inputs, z)
    for other in (Observer(CoupledModel(a123, heat="measured").reduce(order=3)), Observer(reduced, real="float")):
        with pytest.raises(InputError, match="of another order or precision"):
            other.step(belief, inputs, [298.0])
    with pytest.raises(InputError, match="no sensor 'surface_top', expected one of surface"):
        Observer(reduced, ["surface_top"]).run(drive[0])
    for names in ([], ["surface", "surface"], "surface"):
        with pytest.raises(InputError, match="each named once, in a list"):
            Observer(reduced, names)
    with pytest.raises(InputError, match="engine='numpy'"):
        Observer(reduced, engine="numpy")
    with pytest.raises(InputError, match="real='half'"):
        Observer(reduced, real="half")
    for soc in (-0.01, 1.01, NAN):
        with pytest.raises(InputError, match="a state of charge from 0 to 1"):
            observer.start(298.0, soc)
        with pytest.raises(InputError, match="expected 0 to 1"):
            observer.run(drive[0], initial_soc=soc)
    for degC in (25.0, NAN, 1e4):
        with pytest.raises(InputError, match="expected kelvin, 150 to 1000"):
            observer.start(degC, 0.5)


@needs_kernel
def test_a_model_larger_than_the_kernel_says_what_to_do(a123):
    large = CoupledModel(a123, heat="measured").reduce(order=9)
    with pytest.raises(InputError, match=r"9 states and 1 sensors, expected at most 8 and 8.*engine='filterpy'"):
        Observer(large)
    plain = Observer(large, engine="filterpy")
    belief, _ = plain.step(plain.start(298.0, 0.5), Inputs(0.0, 3.3, 298.0), [298.0])
    assert belief.states == 9
    with pytest.raises(InputError, match="4 states and 9 sensors"):
        Observer(CoupledModel(a123, heat="measured").reduce(), [f"surface_{i}" for i in range(9)])


def test_repr_says_what_it_is(observer):
    assert repr(observer) == "Observer(a123_26650: 4 states, measures surface, kernel, double)"


def test_a_current_out_of_range_and_a_missing_ambient_are_told(reduced):
    T, none = np.full(60, 298.15), np.full(60, np.nan)
    run = Run(np.arange(60.0), np.full(60, 1e9), np.full(60, 3.3), none, {"surface": T}, None, "made")
    told = " ".join(Observer(reduced).run(run, initial_soc=0.5).notes)
    assert "60 of 60 steps have no current" in told and "60 of 60 steps have no ambient" in told


def test_the_readable_twin_takes_more_states_than_the_kernel_but_no_more_sensors(a123):
    large = CoupledModel(a123, heat="measured").reduce(order=12)
    assert len(Observer(large, estimate=("h",), engine="filterpy").start(298.15, 0.5).x) == 15
    with pytest.raises(InputError, match="at most 8"):
        Observer(large, [f"surface_{i}" for i in range(9)], engine="filterpy")

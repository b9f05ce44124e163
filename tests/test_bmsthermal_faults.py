from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from bmsthermal import CoupledModel, Inputs, Observer, Run, load_cell
from bmsthermal.errors import InputError
from bmsthermal.faults import CELL, NAMES, SENSOR, FaultRules, Watch, _median
from bmsthermal.sensors import sensor_rows
from rom.ud import covariance

SENSORS = ("surface", "surface_left", "surface_right")
AMBIENT_K, AT, HEALED = 288.15, 900, 1800


@cache
def model(rz=True, bottom=25.0):
    cell = load_cell("lfp_32113").with_values(
        {
            "Heat transfer coefficient [W.m-2.K-1]": {"side": 25.0, "bottom": bottom, "top": 25.0}
            if rz
            else {"side": 25.0}
        }
    )
    made = CoupledModel(cell, heat="measured", thermal="r-z" if rz else None)
    return made.reduce(6 if rz else 4)


@cache
def observer(sensors=3, rz=True, estimate=(), faults=True, bottom=25.0, engine="kernel", real="double"):
    asked = {"estimate": estimate, "faults": faults, "form": "ud", "engine": engine, "real": real}
    return Observer(model(rz, bottom), SENSORS[:sensors], **asked)


@cache
def drive(seconds=2700, rz=True, extra_W=0.0, told=1.0, bottom=25.0):
    """Inputs, readings with offsets and noise, and core of the model itself; heat that is told is off by a factor."""
    made, rng = model(rz, bottom), np.random.default_rng(2)
    walls, zero = len(made.walls), made.cell.reference_K
    heat = np.repeat(rng.choice([0.0, 3.0, 6.0, 9.0], seconds // 60 + 1), 60)[:seconds]
    A, B = made.step.matrices(made.conductance_W_K)
    around = np.full(walls, AMBIENT_K - zero)
    x, rows = around[0] * made.constant, np.vstack([sensor_rows(made, SENSORS), made.outputs[:1]])
    found, reading = np.empty((seconds, 4)), None
    for k in range(seconds):
        x = A @ x + B @ np.concatenate([[heat[k] + extra_W * (k >= AT)], around])
        found[k] = rows @ x
        reading = found[k, :3] if reading is None else reading + (found[k, :3] - reading) * (1 - np.exp(-1 / 8.0))
        found[k, :3] = (1 - made.cell.ambient_share) * reading + made.cell.ambient_share * around[0]
    readings = found[:, :3] + zero + [0.1, -0.1, 0.05] + 0.02 * rng.standard_normal((seconds, 3))
    nothing = np.full((seconds, 1), np.nan)
    u = np.hstack(
        [nothing, nothing, told * heat[:, None], np.full((seconds, walls), AMBIENT_K), nothing.repeat(walls, 1)]
    )
    return u, readings, found[:, 3] + zero


def marched(watched, begin, u, z):
    """States and outputs of the observer's own engine."""
    engine = watched.kernel()
    u, z = (np.ascontiguousarray(each[:, None], watched.dtype) for each in (u, z))
    past, out = (np.zeros((len(u), 1, size), watched.dtype) for size in (engine.state_size, engine.output_size))
    engine.write(begin.row[None].copy())
    engine.run(u, z, out, past)
    return past[:, 0], out[:, 0]


def observed(watched, u, z, begin=None):
    m = len(watched.measured)
    begin = begin or watched.start(float(np.nanmean(z[0, :m])), 0.5)
    return watched._found(np.arange(1.0, len(u) + 1), *marched(watched, begin, u, z[:, :m]))


def biased(z, k):
    z[AT:HEALED, k] += 1.0


def drifting(z, k):
    z[AT:HEALED, k] += np.arange(HEALED - AT) * 6.0 / 3600


def held(z, k):
    z[AT:HEALED, k] = z[AT, k]


def opened(z, k):
    z[AT:HEALED, k] = 77.0


def shorted(z, k):
    z[AT:HEALED, k] = 800.0


def lost(z, k):
    z[AT:HEALED, k] = np.nan


@pytest.mark.parametrize("k", range(3))
@pytest.mark.parametrize(
    ("fault", "name", "within_s"),
    [(biased, "bias", 2), (drifting, "drift", 700), (held, "stuck", 700), (opened, "open", 1), (shorted, "short", 1),
     (lost, "absent", 61)],
)  # fmt: skip
def test_each_fault_is_found_named_masked_and_forgiven(fault, name, within_s, k):
    u, z, core = drive()
    z = z.copy()
    fault(z, k)
    found = observed(observer(), u, z)
    code, others = found.faults.code, [j for j in range(3) if j != k]
    assert not code[:, others].any() and not code[:AT].any()
    first = int(np.argmax(code[:, k] > 0))
    assert AT <= first < AT + within_s and NAMES[code[first, k]] == name
    assert (code[first:HEALED, k] > 0).all() and found.faults.masked[first, k] == (name != "absent")
    # taken again after two minutes of agreement, one that was lost at once
    assert not code[HEALED + 125 :, k].any()
    assert abs(found.core_K - core)[600:].max() < 0.7  # of a right model: offsets of the sensors, and the fault
    assert f"{SENSORS[k]}: {name} from {first + 1:,} s to" in found.faults.sentences()[0]


@pytest.mark.parametrize("k", range(3))
def test_bias_from_the_start_is_found_within_five_minutes(k):
    u, z, _ = drive()
    z = z.copy()
    z[:, k] += 1.0
    code = observed(observer(), u[:400], z[:400]).faults.code
    assert not np.delete(code, k, axis=1).any()
    assert NAMES[code[300, k]] == "bias"


def test_two_sensors_in_each_others_place_are_both_named():
    u, z, _ = drive(bottom=400.0)  # an end that is cooled is a place of its own
    assert abs(z[-1, 0] - z[-1, 1]) > 1.0
    watched = observer(bottom=400.0)
    assert not observed(watched, u, z).faults.code.any()
    z = z.copy()
    z[AT:HEALED, [0, 1]] = z[AT:HEALED, [1, 0]]
    code = observed(watched, u, z).faults.code
    assert [NAMES[c] for c in code[HEALED - 1]] == ["swap", "swap", "none"]
    assert not code[HEALED + 125 :].any()


@pytest.mark.parametrize(("told", "estimate"), [(0.8, ()), (1.2, ()), (0.8, ("heat",))])
def test_an_error_of_the_heat_flags_no_sensor(told, estimate):
    u, z, _ = drive(told=told)
    assert not observed(observer(estimate=estimate), u, z).faults.code.any()


def test_an_error_of_the_ambient_flags_no_sensor():
    u, z, _ = drive()
    u = u.copy()
    u[:, 3:6] += 2.0
    log = observed(observer(), u, z).faults
    assert not log.code.any() and not log.heat.any()


@pytest.mark.parametrize("sensors", [1, 3])
def test_one_bad_reading_is_left_out_and_forgotten(sensors):
    u, z, _ = drive()
    z = z.copy()
    z[AT, 0] += 5.0
    log = observed(observer(sensors), u, z).faults
    assert log.masked[AT, 0] and log.masked.sum() == 1


@pytest.mark.parametrize("estimate", [(), ("heat",), ("heat", "bias")])
def test_heat_that_nobody_told_is_found_in_watts_and_no_sensor_is_blamed(estimate):
    u, z, core = drive(extra_W=8.0)
    found = observed(observer(estimate=estimate), u, z)
    log = found.faults
    first = int(np.argmax(log.heat))
    assert AT < first < AT + 300 and not log.code.any()
    assert abs(log.heat_W[AT + 900 :].mean() - 8.0) < 1.5  # what offsets and lag leave
    assert any("heat that nobody accounts for from" in text for text in log.sentences())
    assert "W" in found.belief().fault["heat"]
    blind = observed(observer(estimate=estimate, faults=False), u, z)
    rms = [np.sqrt(np.mean((each.core_K - core)[AT + 300 :] ** 2)) for each in (found, blind)]
    assert rms[0] < max(0.7 * rms[1], 0.5)


def test_one_sensor_tells_a_jump_but_no_drift_and_says_so_in_its_sigma():
    u, z, core = drive()
    jumped, drifted = z.copy(), z.copy()
    biased(jumped, 0)
    drifted[:, 0] += np.arange(len(z)) * 2.0 / 3600
    log = observed(observer(1), u, jumped).faults
    assert NAMES[log.code[AT, 0]] == "bias" and not log.code[:AT].any()
    found = observed(observer(1), u, drifted)
    assert not found.faults.code.any()
    assert "not told apart" in found.faults.sentences()[-1]
    off = abs(found.core_K - core)
    assert off[-1] > 0.8 and found.core_std_K[-1] > 0.7  # the drift goes into the estimate, and into its sigma
    assert np.mean(off[60:] < 2 * found.core_std_K[60:]) > 0.95
    # what is said of the cell is no different: only how sure it is
    without = observed(observer(1, faults=False, estimate=("heat",)), u, z)
    watched = observed(observer(1, estimate=("heat",)), u, z)
    assert np.array_equal(without.core_K, watched.core_K) and (watched.core_std_K > without.core_std_K).all()


def test_of_two_that_differ_neither_is_believed_until_they_agree():
    u, z, core = drive()
    z = z.copy()
    z[AT:HEALED, 1] += np.minimum(np.arange(HEALED - AT) * 20.0 / 3600, 2.0)
    found = observed(observer(2), u, z)
    masked = found.faults.masked
    assert masked[HEALED - 1].all() and not masked[HEALED + 200 :].any()
    assert found.core_std_K[HEALED - 1] > found.core_std_K[AT] and "fewer than two" in found.faults.sentences()[-1]
    assert (abs(found.core_K - core) < 2.5 * found.core_std_K)[60:].all()


@pytest.mark.parametrize("engine", ["kernel", "filterpy"])
def test_of_two_the_other_is_not_blamed_once_one_that_jumped_is_taken_again(engine):
    u, z, _ = drive(2100)
    z = z.copy()
    z[AT : AT + 300, 1] += 2.0
    code = observed(observer(2, engine=engine), u, z).faults.code
    assert NAMES[code[AT, 1]] == "bias" and (code[AT : AT + 300, 1] > 0).all()
    assert not code[:, 0].any() and not code[AT + 425 :, 1].any()


@pytest.mark.parametrize(
    ("rz", "sensors", "estimate"),
    [(True, 3, ("heat",)), (True, 3, ("heat", "bias")), (False, 3, ("h", "heat")), (False, 3, ("h", "heat", "bias"))],
)
def test_without_a_fault_estimates_are_the_same_bytes(rz, sensors, estimate):
    u, z, _ = drive(1200, rz)
    watched, plain = (observed(observer(sensors, rz, estimate, on), u, z) for on in (True, False))
    assert not watched.faults.code.any() and not watched.faults.heat.any()
    for name in ("core_K", "core_std_K", "surface_std_K", "nis", "bias_K", "slow_heat_sd_W"):
        assert getattr(watched, name).tobytes() == getattr(plain, name).tobytes()
    ours = plain.rows.shape[1] - 3  # the watch remembers before the tally
    assert np.array_equal(np.hstack([watched.rows[:, :ours], watched.rows[:, -3:]]), plain.rows)


readings = st.one_of(
    st.floats(width=64), st.floats(270.0, 300.0), st.sampled_from([np.nan, np.inf, -np.inf, 77.0, 473.1, 1e6, -1e300])
)


@given(st.lists(st.tuples(readings, readings, readings), min_size=1, max_size=40), st.sampled_from([(), ("heat",)]))
@settings(max_examples=60)
def test_no_readings_make_the_state_anything_but_numbers(z, estimate):
    watched = observer(estimate=estimate)
    u = np.repeat(drive()[0][100:101], len(z), axis=0)
    rows, out = marched(watched, watched.start(AMBIENT_K, 0.5), u, np.array(z))
    assert np.isfinite(rows).all() and np.isfinite(out).all()
    belief = watched._found(np.arange(float(len(z))), rows, out).belief()
    assert np.linalg.eigvalsh(belief.P)[0] > -1e-9 * np.trace(belief.P)
    assert set(belief.fault) <= {*SENSORS, "heat"}


@pytest.mark.parametrize(
    ("rz", "sensors", "estimate"), [(True, 3, ()), (True, 3, ("heat", "bias")), (False, 1, ("h",))]
)
@pytest.mark.parametrize("fault", [biased, drifting, held, opened, lost, "heat"])
def test_kernel_and_twin_agree(rz, sensors, estimate, fault):
    u, z, _ = drive(2700, rz, 8.0 if fault == "heat" else 0.0)
    z = z.copy()
    if fault != "heat":
        fault(z, 0)
    kernel, twin = (observed(observer(sensors, rz, estimate, engine=e), u, z) for e in ("kernel", "filterpy"))
    assert np.array_equal(kernel.faults.code, twin.faults.code) and np.array_equal(kernel.faults.heat, twin.faults.heat)
    assert kernel.faults.code.any() == (fault != "heat")
    N = kernel.joint_states
    x = [found.rows[:, :N] - found.rows[:, N : 2 * N] for found in (kernel, twin)]
    np.testing.assert_allclose(x[0], x[1], rtol=0, atol=1e-9)
    np.testing.assert_allclose(kernel.faults.states, twin.faults.states, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("fault", [biased, held, opened, lost])
def test_single_precision_finds_the_same(fault):
    u, z, _ = drive()
    z = z.copy()
    fault(z, 1)
    double, single = (observed(observer(real=real), u, z) for real in ("double", "float"))
    assert abs(single.core_K - double.core_K).max() < 0.02  # the bar of this form
    onset = [np.argmax(found.faults.code[:, 1] > 0) for found in (double, single)]
    assert abs(int(onset[0]) - int(onset[1])) < 20 and not single.faults.code[:, [0, 2]].any()


def test_step_after_step_is_the_run_and_the_belief_says_what_is_wrong():
    u, z, _ = drive()
    z = z[:60].copy()
    z[20:, 2] += 4.0
    watched = observer()
    belief = watched.start(float(z[0].mean()), 0.5)
    whole = observed(watched, u[:60], z, belief)
    assert belief.fault == {} and belief.soc == 0.5
    for k in range(60):
        belief, estimate = watched.step(belief, Inputs(np.nan, np.nan, AMBIENT_K, heat_W=u[k, 2]), z[k])
    assert belief.row.tobytes() == whole.belief().row.tobytes() and estimate.core_K == whole.core_K[-1]
    assert belief.fault == {"surface_right": "bias"} and belief.soc == 0.5
    N = belief.states
    assert np.array_equal(belief.P, covariance(belief.row[2 * N : 2 * N + N * (N + 1) // 2]))
    rested = watched.rest(belief, 600.0, AMBIENT_K)
    assert rested.fault["surface_right"] == "bias" and rested.fault["surface"] == "absent"


def test_a_run_says_what_it_found_everywhere(tmp_path):
    u, z, core = drive(1500)
    z = z.copy()
    biased(z, 1)
    volts = np.full(len(z), np.nan)
    run = Run(np.arange(len(z)), volts, volts, u[:, 3], dict(zip(SENSORS, z.T, strict=True)), core, name="made")
    found = observer().run(run, initial_soc=0.5)
    assert f"surface_left: bias from {AT} s, masked" in found.notes
    assert ("surface", "no fault, trusted 100 % of the time") in found.beside()
    found.to_csv(tmp_path / "found.csv")
    rows = np.genfromtxt(tmp_path / "found.csv", delimiter=",", names=True)
    assert np.array_equal(rows["fault_surface_left"], found.faults.code[:, 1])
    np.testing.assert_allclose(rows["unaccounted_heat_std_W"], found.faults.heat_sd_W, rtol=1e-5)
    axes = found.plot(tmp_path / "found.png").axes[0]
    assert "surface left not believed" in [line.get_label() for line in axes.get_lines()]
    assert "watches for faults" in repr(observer())


def test_the_stated_rates_are_those_of_a_gaussian():
    rules = FaultRules()
    assert chi2.sf(rules.limit, 1) == pytest.approx(5e-4, rel=0.1)
    assert 3 * 0.5 * chi2.sf(rules.limit, 1) == pytest.approx(7e-4, rel=0.15)  # three sensors, a draw in two hours
    assert 3600 * 2 * norm.sf(rules.jump) == pytest.approx(0.002, rel=0.1)
    assert norm.sf(np.sqrt(rules.heat_limit)) == pytest.approx(3e-5, rel=0.1)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_the_middle_of_some_numbers_is_their_median(values):
    assert _median(list(values)) == np.median(values)


def test_twice_the_limit_takes_the_window_to_be_flagged():
    rules = FaultRules(window_s=30.0)
    watch, rng = Watch(rules, 3, 1.0, 200.0, 0.01, 0.0), np.random.default_rng(0)
    off = np.sqrt(2 * rules.limit * rules.offset_K**2 * 1.5)
    taken = []
    for _ in range(32):
        both = 300.0 + 0.1 * rng.standard_normal()  # what all do is no matter
        taken.append(watch.look([both + off, both, both], [300.0] * 3, [0.0] * 3, lambda _: 1.0)[0])
    assert all(map(all, taken[:29])) and taken[-1] == [False, True, True]
    assert len(watch.state) == CELL + 3 * SENSOR


def test_wrong_requests_are_refused_with_a_sentence():
    with pytest.raises(InputError, match="limit"):
        FaultRules(limit=0.0)
    with pytest.raises(InputError, match="faults"):
        Observer(model(), faults="yes")
    plain = observer(faults=False, estimate=("heat",))
    with pytest.raises(InputError, match="belief"):
        observer(estimate=("heat",)).step(plain.start(AMBIENT_K, 0.5), Inputs(0.0, 3.3, AMBIENT_K), [AMBIENT_K] * 3)
    strict = Observer(model(), SENSORS, faults=replace(FaultRules(), recover_s=600.0))
    assert strict.faults.recover_s == 600.0

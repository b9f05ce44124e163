"""Faults in a run: when they are there, how far they have grown, what they change, and that it is all they change."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.faults import KINDS, Fault, Injector
from hil.sensors import Driver, SensorChain, SensorsSpec
from hil.signals import Actuators

sys.path.insert(0, str(Path(__file__).parent))
from hil_truth import truth

SENSORS = ["surface", "tab"]
ZERO = 273.15


def fault(kind, **given):
    return Fault.model_validate({"kind": kind} | given)


def injector(*faults, cells=3, step_s=1.0, seed=0):
    return Injector(faults, cells, SENSORS, step_s, seed)


def levels(made, steps, step_s=1.0, **signals):
    """Level at the end of each step, 0 where it is not there."""
    found = []
    for k in range(steps):
        made.advance(truth(time_s=k * step_s, cells=3, sensors=2, **{name: at(k) for name, at in signals.items()}))
        first = made.faults[0]
        found.append(next((level for each, level in made.on(first.spec.stage) if each is first), 0.0))
    return np.array(found)


@given(st.integers(0, 20), st.integers(1, 15), st.sampled_from([0.1, 1.0, 2.5]))
def test_a_fault_begins_and_ends_when_it_says(begin, length, step_s):
    made = injector(fault("open", target="tab", at_s=begin * step_s, duration_s=length * step_s), step_s=step_s)
    found = levels(made, 40, step_s)
    # steps that begin at at_s or later: the reading at at_s itself is the last healthy one
    assert np.flatnonzero(found).tolist() == list(range(begin, begin + length))


def test_a_time_within_a_step_is_that_of_the_next():
    assert np.flatnonzero(levels(injector(fault("open", target="tab", at_s=3.2, duration_s=2.0)), 10)).tolist() == [
        4,
        5,
    ]


def test_without_a_trigger_it_is_there_from_the_first_step_to_the_last():
    assert (levels(injector(fault("open", target="tab")), 10) == 1).all()


@given(st.integers(0, 5), st.floats(0.5, 30))
def test_a_ramp_is_a_straight_line_from_where_it_begins(begin, ramp_s):
    found = levels(injector(fault("bias", target="tab", offset_K=1, at_s=begin, ramp_s=ramp_s)), 40)
    exact = np.clip((np.arange(40) + 1 - begin) / ramp_s, 0, 1)
    assert np.abs(found - exact).max() < 1e-12


def test_a_condition_begins_it_once_each_time_it_comes_true():
    core = [300, 312, 315, 315, 300, 300, 320, 320, 320, 320, 320]
    given = {"target": "tab", "when": "true_core_degC > 38"}
    found = levels(injector(fault("open", duration_s=2, **given)), 11, core_K=lambda k: core[k])
    assert found.tolist() == [0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0]
    found = levels(injector(fault("open", **given)), 11, core_K=lambda k: core[k])
    assert found.tolist() == [0] + [1] * 10  # without an end it stays, whatever the core does


def test_a_ramp_of_a_condition_begins_with_it():
    made = injector(fault("bias", target="tab", offset_K=1, when="time_s >= 4", ramp_s=4))
    assert levels(made, 10).tolist() == [0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1]


def test_a_rate_is_a_rate():
    made = injector(*(fault("open", target="tab", name=f"n{k}", per_hour=36, duration_s=1, seed=k) for k in range(20)))
    began = 0
    for k in range(2000):
        made.advance(truth(time_s=float(k), cells=3, sensors=2))
        began += made.states()[1::3].sum()
    # 1 - exp(-0.01) of 40 000 steps: 398, standard deviation 20
    assert abs(began - 40_000 * -math.expm1(-0.01)) < 4 * 20


def test_chance_follows_from_seeds_and_name_alone():
    one = fault("open", target="tab", per_hour=300, duration_s=2, seed=4)
    other = fault("open", target="surface", name="other", per_hour=300, duration_s=3)
    alone, beside = levels(injector(one), 300), levels(injector(one, other), 300)
    assert (alone == beside).all()
    assert alone.any()
    assert (alone != levels(injector(one, seed=1), 300)).any()
    assert (alone != levels(injector(one.model_copy(update={"seed": 5})), 300)).any()
    made = injector(one)
    first = levels(made, 300)
    made.reset()
    assert (levels(made, 300) == first).all()


def test_states_tell_armed_from_met_from_felt():
    faults = [
        fault("bias", target="tab", offset_K=3, at_s=2),
        fault("bias", name="off", target="tab", offset_K=3, enabled=False),
        fault("series_resistance", target="tab", series_Ohm=1, at_s=1, duration_s=1),
        fault("stuck", target="ambient", at_s=0),  # of what stands still: met, and changes nothing
        fault("cell", resistance=2, at_s=1),
    ]
    made, still = injector(*faults), truth(cells=3, sensors=2)
    chain = SensorChain(SensorsSpec.ideal(), 3, SENSORS, 1.0, 0)
    chain.reset(still)
    rows = []
    for k in range(3):
        made.advance(truth(time_s=float(k), cells=3, sensors=2))
        made.actuators()
        chain.read(truth(time_s=k + 1.0, cells=3, sensors=2), made)
        rows.append(made.states().reshape(-1, 3).tolist())
    on, armed, nothing, met = [1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]
    assert rows[0] == [armed, nothing, armed, met, armed]
    assert rows[1] == [armed, nothing, on, met, on]
    assert rows[2] == [on, nothing, armed, met, on]


def run(*faults, seed=0, spec=None, steps=30, cells=3, **moves):
    """Readings ``(steps, values)`` in the order of `Places.names`, and states ``(steps, faults, 3)``."""
    made, chain = injector(*faults, cells=cells), SensorChain(spec or SensorsSpec(), cells, SENSORS, 1.0, seed)
    warm = 300 + np.arange(cells * 2).reshape(cells, 2) * 3.0

    def at(time_s):
        surface_K = warm + 0.2 * time_s
        return truth(time_s, cells, 2, surface_K, 290.0 + 0.01 * time_s, 5 + math.sin(time_s), soc=0.5 + time_s / 100)

    chain.reset(at(0.0))
    rows, states = [], []
    for k in range(steps):
        made.advance(at(float(k)))
        made.actuators()
        read = chain.read(at(k + 1.0), made)
        rows.append(np.concatenate([read.surfaces_K.ravel(), [read.ambient_K], read.voltage_V, [read.current_A]]))
        states.append(made.states().reshape(-1, 3))
    return np.array(rows), np.array(states)


NAMES = injector().places.names
TAB1, TAB2, CURRENT = (NAMES.index(name) for name in ("tab[1]", "tab[2]", "current"))
#: Of each kind that a reading can show: parameters, and the channels that it moves.
SHOWN = {
    "open": ({}, [TAB1]), "short": ({}, [TAB1]), "stuck": ({"value_degC": 70}, [TAB1]),
    "bias": ({"offset_K": 2}, [TAB1]), "drift": ({"rate_K_h": 3600}, [TAB1]),
    "series_resistance": ({"series_Ohm": 500}, [TAB1]), "leakage": ({"leakage_Ohm": 50e3}, [TAB1]),
    "reference": ({"reference_percent": 3}, [TAB1]), "noise": ({"sigma_K": 2}, [TAB1]),
    "quantisation": ({"lsb_K": 5}, [TAB1]), "delay": ({"delay_s": 6}, [TAB1]),
    "detached": ({"coupling": 0.3, "lag_s": 2}, [TAB1]), "swap": ({"target": ["tab[1]", "tab[2]"]}, [TAB1, TAB2]),
    "current": ({"target": "current", "offset_A": 2}, [CURRENT]),
    "dropout": ({"target": "bus"}, []), "frame": ({"target": "bus", "error": "crc"}, []),
    "cooling": ({"target": "cooling", "part": "pump"}, []), "cell": ({"target": "cell[1]", "short_W": 2}, []),
    "timing": ({"target": "time", "late_s": 0.1}, []),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_moves_its_own_channels_in_its_own_time_and_nothing_else(kind):
    given, moved = SHOWN[kind]
    healthy, _ = run()
    found, states = run(fault(kind, **{"target": "tab[1]"} | given, at_s=10, duration_s=10))
    differs = found != healthy
    others = [k for k in range(len(NAMES)) if k not in moved]
    assert not differs[:, others].any()
    assert differs[10:20, moved].all()
    assert not differs[:10].any()
    # what was felt at the place, or dried the bulb, is followed with the sensor's lag; all else is over at once
    assert not differs[20:].any() or kind == "detached"
    assert (states[:, 0, 1] == [10 <= k < 20 for k in range(30)]).all()
    if moved:
        assert (states[:, 0, 2] == states[:, 0, 1]).all()


@pytest.mark.parametrize("kind", [kind for kind, (_, moved) in SHOWN.items() if moved])
def test_a_fault_twice_is_the_same_to_the_byte(kind):
    made = fault(kind, **{"target": "tab[1]"} | SHOWN[kind][0], at_s=3)
    assert run(made)[0].tobytes() == run(made)[0].tobytes()


def test_another_fault_leaves_the_chance_of_the_first_alone():
    noisy = fault("noise", target="tab[1]", sigma_K=1, spike_K=5, contact_p=0.2, burst_s=3)
    other = fault("noise", name="other", target="surface", sigma_K=1, at_s=5)
    alone, _ = run(noisy)
    beside, _ = run(other, noisy)
    assert (alone[:, TAB1] == beside[:, TAB1]).all()
    assert (alone[:, 0] != beside[:, 0]).any()


def ideal(*faults, **more):
    """Difference of a run with faults from one without, without noise and lags, in K."""
    bare = SensorsSpec.ideal().model_copy(update={"driver": Driver(table=None, coldest_degC=-273, hottest_degC=5000)})
    found, states = run(*faults, spec=bare, **more)
    return found - run(spec=bare, **more)[0], found, states


@given(st.floats(-20, 20), st.floats(0.5, 1.5), st.floats(1, 40))
@settings(max_examples=20)
def test_bias_and_gain_of_degC_with_a_ramp(offset_K, gain, ramp_s):
    _, found, _ = ideal(fault("bias", target="tab[1]", offset_K=offset_K, gain=gain, ramp_s=ramp_s))
    _, healthy, _ = ideal()
    level = np.minimum((np.arange(30) + 1) / ramp_s, 1)
    exact = (1 + level * (gain - 1)) * (healthy[:, TAB1] - ZERO) + level * offset_K + ZERO
    assert np.abs(found[:, TAB1] - exact).max() < 1e-9


def test_drift_walks_at_its_rate_from_its_begin_to_its_limit():
    found, _, _ = ideal(fault("drift", target="tab", rate_K_h=-3600, limit_K=5, at_s=10))
    exact = -np.clip(np.arange(30) + 1 - 10, 0, 5)
    assert np.abs(found[:, [1, 3, 5]] - exact[:, None]).max() < 1e-9


def test_stuck_holds_the_last_reading_and_lets_go():
    _, found, _ = ideal(fault("stuck", target="tab[1]", at_s=10, duration_s=5))
    assert (found[10:15, TAB1] == found[9, TAB1]).all()
    assert found[15, TAB1] > found[9, TAB1] + 1


def test_delay_shows_what_was():
    _, found, _ = ideal(fault("delay", target="tab[1]", delay_s=4, at_s=10))
    _, healthy, _ = ideal()
    assert (found[10:, TAB1] == healthy[6:26, TAB1]).all()


def test_swap_exchanges():
    _, found, _ = ideal(fault("swap", target=["tab[1]", "tab[2]"]), fault("swap", name="v", target=["surface", "tab"]))
    _, healthy, _ = ideal()
    # first the two tabs, then each cell's surface with its tab
    assert (found[:, 2] == healthy[:, TAB2]).all()
    assert (found[:, TAB1] == healthy[:, 2]).all()


@pytest.mark.parametrize(("given", "exact"), [
    ({"offset_A": 2}, lambda x: x + 2), ({"gain": 1.02}, lambda x: 1.02 * x), ({"reversed": True}, lambda x: -x),
    ({"hold_A": 7}, lambda x: 0 * x + 7), ({"reversed": True, "gain": 2, "offset_A": 1}, lambda x: 1 - 2 * x),
    ({"hold": True}, lambda x: 0 * x + 5),
])  # fmt: skip
def test_current(given, exact):
    _, found, _ = ideal(fault("current", **given))
    _, healthy, _ = ideal()
    assert np.abs(found[:, CURRENT] - exact(healthy[:, CURRENT])).max() < 1e-9


def chained(kind, degC, **given):
    """What a fault makes of a temperature in the chain, K."""
    fine = SensorsSpec.ideal().model_copy(update={"driver": Driver(table=None, coldest_degC=-273, hottest_degC=5000)})
    chain, still = SensorChain(fine, 1, ["surface"], 1.0, 0), truth(surface_K=degC + ZERO)
    chain.reset(still)
    made = Injector([fault(kind, target="surface", **given)], 1, ["surface"], 1.0, 0)
    made.advance(still)
    return chain.read(still, made).surfaces_K[0, 0] - ZERO - degC


@pytest.mark.parametrize(("kind", "degC", "given", "off_K", "sure_K"), [
    # figures of two digits, and half a step of a 16-bit converter (0.007 K at -40 degC)
    ("series_resistance", 25, {"series_Ohm": 100}, -0.26, 0.006),
    ("series_resistance", 60, {"series_Ohm": 100}, -1.06, 0.01),
    ("series_resistance", 80, {"series_Ohm": 100}, -2.1, 0.05),
    ("leakage", -40, {"leakage_Ohm": 1e6}, 3.6, 0.05),
    ("leakage", 25, {"leakage_Ohm": 1e6}, 0.26, 0.006), ("leakage", 80, {"leakage_Ohm": 1e6}, 0.06, 0.006),
])  # fmt: skip
def test_figures_of_the_notes_come_out_of_the_chain(kind, degC, given, off_K, sure_K):
    assert chained(kind, degC, **given) == pytest.approx(off_K, abs=sure_K)


def test_open_is_cold_and_short_is_hot():
    assert chained("open", 25) + 25 == pytest.approx(-273)
    assert chained("short", 25) + 25 == pytest.approx(5000)


def test_reference_and_pull_up():
    # r = 1/2: a reference that is 2 % high reads 0.5 / 1.02; a pull-up that is 2 % large, 1 / 2.02
    ntc = SensorsSpec().ntc
    for wrong, share in (({"reference_percent": 2}, 0.5 / 1.02), ({"pull_up_percent": 2}, 1 / 2.02)):
        exact = ntc.temperature_K(1e4 * share / (1 - share)) - 298.15
        assert chained("reference", 25, **wrong) == pytest.approx(exact, abs=0.002)


@pytest.mark.parametrize(("given", "step_K"), [({"bits": 10}, 0.101), ({"lsb_K": 1.0}, 1.0), ({"bits": 8}, 0.404)])
def test_quantisation_has_its_step(given, step_K):
    off = [chained("quantisation", 25 + x, **given) for x in np.linspace(0, 2 * step_K, 60)]
    assert np.abs(off).max() == pytest.approx(step_K / 2, rel=0.07)  # a point every thirtieth of a step


def test_detached_ends_at_the_weighted_mean_of_surface_and_coolant_and_with_its_time():
    ideal_spec, still = SensorsSpec.ideal(), truth(surface_K=320.0, ambient_K=280.0)
    chain = SensorChain(ideal_spec, 1, ["surface"], 1.0, 0)
    chain.reset(still)
    made = Injector([fault("detached", target="surface", coupling=0.25, lag_s=20)], 1, ["surface"], 1.0, 0)
    found = []
    for k in range(200):
        made.advance(truth(time_s=float(k)))
        found.append(chain.read(still, made).surfaces_K[0, 0])
    exact = 290 + 30 * np.exp(-np.arange(1, 201) / 20)
    assert np.abs(found - exact).max() < 0.003  # half a step of 16 bits


def test_noise_has_its_size_ripple_its_current_and_spikes_their_rate():
    def off(**given):
        bare = SensorsSpec.ideal()
        made = Injector([fault("noise", target="surface", **given)], 500, ["surface"], 1.0, 0)
        chain, still = SensorChain(bare, 500, ["surface"], 1.0, 0), truth(cells=500, current_A=8.0)
        chain.reset(still)
        made.advance(still)
        return np.concatenate([chain.read(still, made).surfaces_K[:, 0] - 298.15 for _ in range(40)])

    # 20 000 readings: a standard deviation is known to 0.5 %, a rate of 0.05 to 3 %; five times that
    assert off(sigma_K=0.7).std() == pytest.approx(0.7, rel=0.025)
    ripple = off(ripple_K_A=0.1)
    assert ripple.std() == pytest.approx(0.8 / math.sqrt(2), rel=0.025)
    assert np.abs(ripple).max() <= 0.8 + 0.002
    spikes = off(spike_K=6.0, spike_p=0.05)
    assert (np.abs(spikes) > 3).mean() == pytest.approx(0.05, rel=0.15)
    assert np.abs(np.abs(spikes[np.abs(spikes) > 3]) - 6).max() < 0.002
    opened = off(contact_p=0.05) < -50
    assert opened.mean() == pytest.approx(0.05, rel=0.15)


def test_an_intermittent_contact_opens_in_bursts():
    bursts = fault("noise", target="tab[1]", contact_p=0.02, burst_s=8)
    _, found, _ = ideal(bursts, steps=2000)
    opened = found[:, TAB1] < 200
    edges = np.flatnonzero(np.diff(opened.astype(int)))
    lengths = np.diff(edges)[0 if opened[edges[0] + 1] else 1 :: 2]
    # one reading and the whole steps of an exponential time of mean 8: 1 + 1 / (e^(1/8) - 1) = 8.5; some 30 of them,
    # a standard error of 18 %, three of those
    assert lengths.mean() == pytest.approx(1 + 1 / math.expm1(1 / 8), rel=0.55)
    assert lengths.size > 15


def test_faults_compose_by_stage_and_then_as_they_are_listed():
    shorted, opened = fault("short", target="tab[1]"), fault("open", target="tab[1]")
    bias = fault("bias", target="tab[1]", offset_K=4)
    stuck = fault("stuck", target="tab[1]", value_degC=30)
    _, found, states = ideal(bias, shorted, opened)
    assert found[:, TAB1] == pytest.approx(0.15 + 4)  # 1e-3 above -273 degC: the later of the two, then the bias
    assert states[:, :, 2].all()
    assert ideal(stuck, bias)[1][:, TAB1] == pytest.approx(30 + 4 + ZERO)
    assert ideal(bias, stuck)[1][:, TAB1] == pytest.approx(30 + ZERO)


@given(st.data())
@settings(max_examples=40)
def test_whatever_comes_together_the_readings_are_numbers_and_the_states_agree(data):
    kinds = data.draw(st.lists(st.sampled_from(list(SHOWN)), min_size=1, max_size=6))
    faults = []
    for k, kind in enumerate(kinds):
        given, _ = SHOWN[kind]
        when = data.draw(st.sampled_from([{}, {"at_s": 3}, {"per_hour": 2000}, {"when": "true_soc > 0.55"}]))
        lasts = data.draw(st.sampled_from([{}, {"duration_s": 2}, {"duration_s": 7}]))
        ramp = {"ramp_s": 4} if KINDS[kind].ramps and data.draw(st.booleans()) else {}
        names = {"name": f"n{k}", "seed": k, "enabled": data.draw(st.booleans())}
        faults.append(fault(kind, **{"target": "tab[1]"} | given | when | lasts | ramp | names))
    found, states = run(*faults, steps=12)
    assert np.isfinite(found).all()
    # injected is active is enabled
    assert (np.diff(states, axis=2) <= 0).all()
    assert run(*faults, steps=12)[0].tobytes() == found.tobytes()


def test_bits_that_are_there_anyway_change_nothing():
    found, states = run(fault("quantisation", target="tab", bits=12))
    assert (found == run()[0]).all()
    assert not states[:, 0, 2].any()


def actuators(*faults, k=0):
    made = injector(*faults)
    made.advance(truth(time_s=float(k), cells=3, sensors=2))
    return made, made.actuators()


@pytest.mark.parametrize(("given", "field", "value"), [
    ({"kind": "cooling", "part": "pump", "left": 0.2}, "cooling", [0.2, 0.2, 0.2]),
    ({"kind": "cooling", "part": "fan", "left": 0.6, "ramp_s": 2}, "cooling", [0.8, 0.8, 0.8]),
    ({"kind": "cooling", "part": "branch", "target": "cell[2]", "left": 0}, "cooling", [1, 1, 0]),
    ({"kind": "cooling", "part": "inlet", "inlet_K": 10, "ramp_s": 4}, "inlet_K", 2.5),
    ({"kind": "cell", "target": "cell[0]", "resistance": 3}, "resistance", [3, 1, 1]),
    ({"kind": "cell", "short_W": 5, "target": ["cell[0]", "cell[1]"]}, "short_W", [5, 5, 0]),
    ({"kind": "cell", "contact_Ohm": 0.002, "ramp_s": 2, "target": "cell[1]"}, "contact_Ohm", [0, 0.001, 0]),
])  # fmt: skip
def test_faults_of_the_plant_are_actuators(given, field, value):
    made, found = actuators(Fault.model_validate(given))
    healthy = Actuators.healthy(3)
    for name in vars(healthy):
        expected = value if name == field else getattr(healthy, name)
        assert np.allclose(getattr(found, name), expected, atol=1e-15), name
    assert made.states().tolist() == [1, 1, 1]


def test_faults_of_the_plant_compose_and_a_healthy_one_is_healthy():
    _, found = actuators(
        fault("cooling", part="pump", left=0.5),
        fault("cooling", name="b", part="branch", target="cell[1]", left=0.5),
        fault("cell", resistance=2), fault("cell", name="r", target="cell[0]", resistance=2, contact_Ohm=0.1),
    )  # fmt: skip
    assert np.allclose(found.cooling, [0.5, 0.25, 0.5])
    assert np.allclose(found.resistance, [4, 2, 2])
    made, found = actuators(fault("cell", resistance=2, at_s=9), fault("cell", name="none", resistance=1))
    assert all(np.all(getattr(found, name) == value) for name, value in vars(Actuators.healthy(3)).items())
    assert made.states().tolist() == [1, 0, 0, 1, 1, 0]


def test_spread_is_drawn_once_for_each_cell():
    made = Injector([fault("cell", spread=0.1)], 400, SENSORS, 1.0, 0)
    made.advance(truth(cells=400, sensors=2))
    one, other = made.actuators().resistance, made.actuators().resistance
    assert (one == other).all()
    assert np.log(one).std() == pytest.approx(0.1, rel=0.15)  # four standard errors of 400
    few = Injector([fault("cell", spread=0.1, target="cell[7]")], 9, SENSORS, 1.0, 0)
    few.advance(truth(cells=9, sensors=2))
    assert few.actuators().resistance[7] == one[7]


def test_bus_and_time_are_handed_on_and_marked_by_who_applies_them():
    made = injector(fault("dropout", loss=0.5), fault("timing", jitter_s=0.01), fault("frame", error="alive", at_s=5))
    made.advance(truth(cells=3, sensors=2))
    assert made.states().tolist() == [1, 1, 0, 1, 1, 0, 1, 0, 0]
    ((lost, level),) = made.on("bus")
    assert (lost["loss"], lost["gap_s"], level) == (0.5, 0.0, 1.0)
    made.mark("dropout", False)
    assert made.states().tolist() == [1, 1, 0, 1, 1, 0, 1, 0, 0]
    made.mark("dropout", True)
    ((late, _),) = made.on("time")
    assert (late["jitter_s"], late["late_s"]) == (0.01, None)
    assert made.states().tolist() == [1, 1, 1, 1, 1, 1, 1, 0, 0]

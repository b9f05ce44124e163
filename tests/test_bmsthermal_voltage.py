"""The voltage as a measurement: slopes, exact cases, what is absent, and what it says of made and measured runs."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bmsthermal import CoupledModel, Inputs, Observer, Run, load_cell, read_measured
from bmsthermal.cli import application
from bmsthermal.errors import InputError
from bmsthermal.heat import MeasuredHeat
from bmsthermal.joint import JointFilter, JointNoise
from bmsthermal.open_circuit import open_circuit
from bmsthermal.resistance import fit_resistance
from bmsthermal.voltage import HEATS, Tables, Voltage, VoltageNoise

PANASONIC = Path(__file__).parents[2] / "shared" / "data" / "panasonic_18650pf"
KINDS = ("soc", "resistance")
AMBIENT_K = 288.15


@cache
def reduced(name="lgm50_21700"):
    return CoupledModel(load_cell(name), heat="measured").reduce(order=4)


def soc_of(belief):
    """A joint belief's row ends with charge and mean heat."""
    return float(belief.row[-2])


class Frozen:
    """Factors that learn nothing and remember what was asked of them."""

    def spread(self, row):
        return 0.0

    def measure(self, row, variance):
        self.row, self.noise = row.copy(), variance
        return np.zeros(len(row)), 1.0


def straight():
    """The cell with straight tables: their slope is that of differences, however wide."""
    line = np.linspace(0.0, 1.0, 65)
    return replace(
        Tables.of(load_cell("lgm50_21700")), open_circuit_V=3.0 + 1.1 * line, entropy_V_K=2e-4 * (line - 0.4),
        resistance_Ohm=0.05 - 0.02 * line,
    )  # fmt: skip


def made(heat="fused", tables=None, kinds=("h", "heat", *KINDS)):
    """A filter, its voltage and where its states are."""
    observer = Observer(reduced(), estimate=kinds, heat=heat)
    voltage = Voltage(tables or straight(), VoltageNoise(), heat, 1.0)
    filter_ = JointFilter(observer.packed, kinds, JointNoise(), 1.0, voltage)
    return filter_, filter_.voltage, filter_.layout.places


def state(filter_, soc=0.6171, seed=2):
    """A state in general position, away from the nodes of the tables (64 stretches, half a slope's width)."""
    x = np.random.default_rng(seed).normal(0, 0.05, filter_.layout.states)
    x[0] += 6.0
    x[filter_.layout.places["soc"]] = soc
    return x


def differences(of, x, width=1e-5):
    """Central differences of a vector function, ``(m, N)``."""
    return np.array([(of(x + width * e) - of(x - width * e)) / (2 * width) for e in np.eye(len(x))]).T


U = np.array([3.7, 3.71, np.nan])


@pytest.mark.parametrize("heat", HEATS)
@pytest.mark.parametrize("voltage_V", [3.71, np.nan])
def test_heat_has_the_slopes_of_differences(heat, voltage_V):
    filter_, voltage, at = made(heat)
    u = np.array([3.7, voltage_V, np.nan])

    def said(x):
        return voltage.correct(x.copy(), Frozen(), at, filter_.model.mean, u, 0.5, True)

    x = state(filter_)
    found = said(x)
    if heat == "fused":  # w belongs to the point, and is held there
        white, sensor = (0.1 * found.point.grown * found.point.drop_V) ** 2, 0.005**2
        w = white / (white + sensor) if np.isfinite(voltage_V) else 0.0
        others = [made(other)[1] for other in ("measured", "model")]

        def of(x):
            a, b = (v.correct(x.copy(), Frozen(), at, filter_.model.mean, u, 0.5, True).heat_W for v in others)
            return np.array([w * a + (1 - w) * b])

        assert found.heat_W == pytest.approx(float(of(x)[0]), rel=1e-12)
    else:

        def of(x):
            return np.array([said(x).heat_W])

    np.testing.assert_allclose(found.slopes, differences(of, x)[0], atol=1e-7)


def test_voltage_has_the_slopes_of_differences_where_the_resistance_is_one():
    flat = replace(straight(), resistance_Ohm=np.full(65, 0.03), activation_K=0.0)
    filter_, voltage, at = made(tables=flat)
    x, frozen = state(filter_), Frozen()

    def expected(x):
        return np.array([U[1] - voltage.correct(x.copy(), frozen, at, filter_.model.mean, U, 0.5, True).innovation_V])

    slopes = differences(expected, x)[0]
    expected(x)
    np.testing.assert_allclose(frozen.row[1:], slopes[1:], atol=1e-7)
    assert frozen.row[0] == 0.0  # the voltage teaches no temperature
    # in general, all but what R changes by with charge and temperature
    filter_, voltage, at = made()
    slopes = differences(expected, x)[0]
    expected(x)
    rest = np.setdiff1d(np.arange(1, len(x)), at["soc"].start)
    np.testing.assert_allclose(frozen.row[rest], slopes[rest], atol=1e-7)
    point = voltage.at(x[at["soc"]].item(), 0.0, 298.15, 0.0)
    assert frozen.row[at["soc"].start] == pytest.approx(point.open_circuit_soc, rel=0.01)  # and a little with T


def test_the_step_has_the_slopes_of_differences():
    filter_, voltage, at = made()
    n, mean = len(state(filter_)), filter_.model.mean

    def step(x):
        x, F, G, q = x.copy(), np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
        said = voltage.correct(x, Frozen(), at, mean, U, 0.5, True)
        voltage.move(said, x, F, G, q, at, np.zeros(n))
        return x, F, q

    own = np.concatenate([np.arange(at[name].start, at[name].stop) for name in (*KINDS, "curve", "slow", "share")])
    x = state(filter_)
    after, F, q = step(x)
    np.testing.assert_allclose(F[own, 1:], differences(lambda x: step(x)[0], x)[own, 1:], atol=1e-7)
    assert (q[own] > 0).all()
    assert after[at["soc"]] == pytest.approx(x[at["soc"]] - 3.7 / 3600 / voltage.tables.capacity_Ah)


def test_the_whole_step_of_the_filter_moves_by_its_slopes():
    """Thermal states and readings with what the heat hands on to them: through the filter's own F."""
    filter_, _, at = made("model")
    kept = {}

    class Keep(Frozen):
        def predict(self, F, G, q):
            kept["F"] = F.copy()

    u = np.array([3.7, np.nan, np.nan, AMBIENT_K, np.nan])

    def step(x):
        filter_.x, filter_.factors = x.copy(), Keep()
        filter_.step(u, np.array([np.nan]))
        return filter_.x.copy()

    x = state(filter_)
    slopes = differences(step, x)
    step(x)
    own = slice(at["soc"].start, None)
    slopes[: own.start, own] = 0.0  # a surface that is cooled otherwise than thought must not move the charge
    slopes[own, 0] = 0.0
    np.testing.assert_allclose(kept["F"], slopes, atol=1e-7)


def test_heat_of_a_known_point_is_that_of_the_formulas():
    filter_, voltage, at = made("measured", Tables.of(load_cell("lgm50_21700")))
    cell, x = load_cell("lgm50_21700"), np.zeros(filter_.layout.states)
    x[at["soc"]] = 0.61
    warm = (310.0 - cell.reference_K) / filter_.model.mean
    x[0] = warm
    heat, mean = MeasuredHeat(cell), filter_.model.mean
    found = voltage.correct(x.copy(), Frozen(), at, mean, U, 0.5, True)
    S = np.interp(0.61, heat.soc, heat.entropy_V_K)
    of_file = heat.heat_W(3.7, 3.71, 0.61, 310.0) + 3.7 * (310.0 - cell.reference_K) * S  # E at 310 K
    assert found.heat_W == pytest.approx(float(of_file), rel=1e-12)
    # the model's, when the slow drop has come: the whole drop, and what has grown of its fast part
    drop = 3.7 * np.interp(0.61, heat.soc, heat.resistance_Ohm(heat.soc, 310.0))
    x[at["slow"]], x[at["resistance"]] = drop, np.log(1.2)
    modelled = Voltage(voltage.tables, voltage.noise, "model", 1.0).correct(x.copy(), Frozen(), at, mean, U, 0.5, True)
    a = voltage.noise.share
    assert modelled.heat_W == pytest.approx(3.7 * drop * (1.2 * (1 - a) + a) - 3.7 * 310.0 * S, rel=1e-9)


def test_a_rested_cell_at_its_open_circuit_learns_the_charge_and_gives_no_heat():
    observer = Observer(reduced(), estimate=KINDS)
    E = load_cell("lgm50_21700").curve("Open-circuit voltage [V]")(0.7)
    belief = observer.start(298.15, 0.6)
    for _ in range(600):
        belief, found = observer.step(belief, Inputs(0.0, float(E), 298.15), [298.15])
    assert abs(soc_of(belief) - 0.7) < 0.01 and found.heat_W == 0.0
    assert abs(found.core_K - 298.15) < 0.01


@pytest.mark.parametrize("voltage_V", [np.nan, 0.0, 1e9, -np.inf])
def test_without_a_voltage_the_model_heats_and_nothing_is_learnt_from_it(voltage_V):
    found = {}
    for heat in HEATS:
        observer = Observer(reduced(), estimate=KINDS, heat=heat)
        belief = observer.start(298.15, 0.5)
        belief, estimate = observer.step(belief, Inputs(5.0, voltage_V, 298.15), [298.15])
        found[heat] = estimate.heat_W
    assert len(set(found.values())) == 1 and found["model"] > 0.1
    assert soc_of(belief) == pytest.approx(0.5 - 5.0 / 3600 / load_cell("lgm50_21700").capacity_Ah, rel=1e-12)


def test_without_a_current_nothing_is_known_of_the_heat_and_the_charge_blurs():
    observer = Observer(reduced(), estimate=KINDS)
    belief = observer.start(298.15, 0.5)
    kept, _ = observer.step(belief, Inputs(0.0, np.nan, 298.15), [np.nan])
    lost, estimate = observer.step(belief, Inputs(np.nan, 3.9, 298.15), [np.nan])
    layout = observer.filter().layout
    z, n = layout.of("soc"), layout.states
    assert estimate.heat_W == 0.0 and soc_of(lost) == 0.5
    variances = [observer._resumed(each).factors.variance(z) for each in (kept, lost)]
    assert variances[1] > variances[0]
    assert observer._resumed(lost).factors.spread(np.eye(n)[0]) > observer._resumed(kept).factors.spread(np.eye(n)[0])


def test_the_charge_stays_within_its_limits():
    observer = Observer(reduced(), estimate=KINDS)
    for soc, amperes in ((0.0, 20.0), (1.0, -20.0)):
        belief = observer.start(298.15, soc)
        for _ in range(20):
            belief, found = observer.step(belief, Inputs(amperes, np.nan, 298.15), [298.15])
            assert 0.0 <= soc_of(belief) <= 1.0 and np.isfinite(found.core_K)
        assert soc_of(belief) == soc


WILD = st.one_of(st.floats(-200, 200), st.just(np.nan), st.just(np.inf), st.floats(-1e9, 1e9))


@settings(max_examples=40)
@given(st.lists(st.tuples(WILD, st.one_of(st.floats(0, 6), WILD)), min_size=1, max_size=30), st.floats(0, 1))
def test_whatever_comes_states_are_finite_and_variances_positive(rows, soc):
    observer = Observer(reduced(), estimate=("h", "heat", *KINDS))
    filter_ = observer._resumed(observer.start(298.15, soc))
    for k, (current, voltage) in enumerate(rows):
        filter_.step(np.array([current, voltage, np.nan, 298.15, np.nan]), np.array([298.15 if k % 3 else np.nan]))
        assert np.isfinite(filter_.x).all() and 0.0 <= filter_.soc <= 1.0
        assert all(filter_.factors.variance(i) >= 0 for i in range(filter_.layout.states))


def test_without_these_kinds_the_layout_is_what_it_was():
    observer = Observer(reduced(), estimate=("h", "heat"))
    assert observer.heat is None and observer.filter().voltage is None
    assert observer.filter().layout.states == 4 + 1 + 1 + 1 + 1
    found = observer.run(simulated(seconds=60)[0], initial_soc=0.5)
    assert not {"soc", "soc_std", "voltage_innovation_V", "resistance_growth"} & {*found.columns()}


def simulated(name="lgm50_21700", seconds=1800, growth=1.2, seed=4):
    """A drive made of the tables themselves: fast drop that has grown, slow drop that has not; and the charge."""
    t, noise, rng = Tables.of(load_cell(name)), VoltageNoise(), np.random.default_rng(seed)
    current = np.repeat(rng.choice([-0.5, 0.0, 0.5, 1.5], seconds // 20 + 1), 20)[:seconds] * t.capacity_Ah
    soc = 0.55 - np.r_[0.0, np.cumsum(current[:-1])] / 3600 / t.capacity_Ah
    grid, T = np.linspace(0, 1, 65), AMBIENT_K
    warm = np.exp(t.activation_K * (1 / T - 1 / t.reference_K))
    drop, slow, v = current * np.interp(soc, grid, t.resistance_Ohm) * warm, np.empty(seconds), 0.0
    for k in range(seconds):
        slow[k] = v
        v += (1 - np.exp(-1 / noise.slow_s)) * (drop[k] - v)
    open_V = np.interp(soc, grid, t.open_circuit_V) + (T - t.reference_K) * np.interp(soc, grid, t.entropy_V_K)
    voltage = open_V - (1 - noise.share) * growth * drop - noise.share * slow + 0.002 * rng.standard_normal(seconds)
    around = np.full(seconds, T)
    return Run(np.arange(float(seconds)), current, voltage, around, {"surface": around.copy()}, name="made"), soc


@pytest.mark.parametrize("off", [-0.1, 0.1])
def test_a_wrong_charge_and_a_grown_resistance_are_found(off):
    run, soc = simulated()
    found = Observer(reduced(), estimate=("soc", "resistance")).run(run, initial_soc=soc[0] + off)
    error = (found.soc - soc)[120:]
    # sigma is that of a real cell's curve and slow drop, which this one follows exactly
    assert np.abs(error).max() < 0.025 and np.mean(np.abs(error) < 2 * found.soc_std[120:]) > 0.95
    assert abs(found.growth[-1] - 0.2) < 0.04 and found.soc_std[-1] < 0.04
    names = [name for name, _ in found.beside()]
    assert names == ["state of charge", "resistance over the file's"]


def test_a_flat_curve_says_little_and_the_sigma_knows():
    run, soc = simulated("a123_26650")
    found = Observer(reduced("a123_26650"), estimate=KINDS).run(run, initial_soc=soc[0] + 0.1)
    assert found.soc_std[600:].min() > 0.05  # of 0.1 at the start: hardly anything was learnt
    assert (np.abs(found.soc - soc) < 2 * found.soc_std).all()


def test_a_voltage_that_is_missing_costs_little_with_the_model():
    run, soc = simulated(growth=1.0)
    whole = Observer(reduced(), estimate=KINDS).run(run, initial_soc=soc[0])
    gap = np.where((run.time_s >= 600) & (run.time_s < 1200), np.nan, run.voltage_V)
    lost = replace(run, voltage_V=gap)
    by_model = Observer(reduced(), estimate=KINDS).run(lost, initial_soc=soc[0])
    nothing = Observer(reduced(), estimate=("heat",)).run(lost, initial_soc=soc[0])
    heat = [each.heat_W[601:1201].mean() for each in (whole, by_model, nothing)]
    assert abs(heat[1] / heat[0] - 1) < 0.1 and heat[2] < 0.5 * heat[0]
    assert not [note for note in by_model.notes if "no heat known" in note]


@pytest.mark.skipif(not PANASONIC.is_dir(), reason="the public measurements are not beside the project")
@pytest.mark.parametrize(("part", "off"), [(0.0, -0.1), (0.4, 0.1), (0.4, -0.1)])
def test_measured_charge_from_a_wrong_start(part, off, record_property):
    """25 degC, charge counted from full; the resistance is fitted to runs at 0 and 10 degC."""
    cell = measured_cell()
    run = panasonic("25degC_cycle_1")
    counted = run.resample(1.0)
    soc = 1 - np.r_[0.0, np.cumsum(np.nan_to_num(counted.current_A[:-1]))] / 3600 / cell.capacity_Ah
    if part:
        run = run.part(part, 1.0)
        soc = soc[round(run.time_s[0] - counted.time_s[0]) :]
    model = CoupledModel(cell, heat="measured").reduce(4)
    found = Observer(model, estimate=(*KINDS, "heat")).run(run, initial_soc=min(soc[0] + off, 1.0))
    soc = soc[: len(found.soc)]
    error, inside = (found.soc - soc)[600:], np.abs(found.soc - soc)[600:] < 2 * found.soc_std[600:]
    rmse = float(np.sqrt(np.mean(error**2)))
    record_property("soc_rmse", round(rmse, 4))
    assert rmse < 0.03 and inside.mean() > 0.85


def panasonic(name):
    degC = {"0degC_cycle_1": 0.0}.get(name)
    columns = {"ambient_degC": "chamber_degC"} if degC is None else None
    return read_measured(PANASONIC / f"{name}.csv", columns=columns, ambient_degC=degC)


@cache
def measured_cell():
    curve = open_circuit(load_cell("panasonic_18650pf"), panasonic("25degC_c20_ocv"))
    cell = curve.written(load_cell("panasonic_18650pf"))
    runs = [panasonic(name) for name in ("10degC_rising_ambient_cycle_1", "0degC_cycle_1")]
    return fit_resistance(cell, runs, initial_soc=1.0).written(cell)


def test_the_command_writes_charge_and_growth(tmp_path):
    run, _ = simulated(seconds=120)
    run.to_csv(tmp_path / "run.csv")
    command = ["estimate", "lgm50_21700", "--data", str(tmp_path / "run.csv"), "--estimate", "soc,resistance"]
    found = CliRunner().invoke(application(), [*command, "--heat", "measured", "-o", str(tmp_path / "found.csv")])
    assert found.exit_code == 0, found.output
    names = np.genfromtxt(tmp_path / "found.csv", delimiter=",", names=True).dtype.names
    assert {"soc", "soc_std", "resistance_growth", "resistance_growth_std", "voltage_innovation_V"} <= {*names}


def test_wrong_requests_are_refused_with_a_sentence():
    bare = load_cell("lgm50_21700")
    document = dict(bare.document)
    user = {k: v for k, v in bare.thermal.items() if k != "DC resistance [Ohm]"}
    document["Parameterisation"] = {**bare.document["Parameterisation"], "User-defined": user}
    model = CoupledModel(replace(bare, document=document), heat="measured").reduce(4)
    with pytest.raises(InputError, match="DC resistance"):
        Observer(model, estimate=("soc",))
    with pytest.raises(InputError, match="heat = 'guessed'"):
        Observer(reduced(), heat="guessed")
    with pytest.raises(InputError, match="share"):
        VoltageNoise(share=1.0)
    with pytest.raises(InputError, match="without the voltage"):
        JointFilter(Observer(reduced()).packed, ("soc",), JointNoise(), 1.0)

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.signal import lfilter
from scipy.stats import multivariate_normal

from bmsthermal import CoupledModel, InputError, Observer, Run, load_cell
from bmsthermal.calibration import Parameter, _lessons, calibrate
from bmsthermal.identifiability import LEARNT
from bmsthermal.likelihood import DISCREPANCY_S, SLOW_HEAT_S, BlockModel, HeatError, block_means, laplace
from bmsthermal.parameters import CONDUCTIVITY, SPECIFIC_HEAT, Family, Values, priors
from bmsthermal.posterior import Problem
from bmsthermal.vehicle import Vehicle, load_schedule

K_TRUE, H_TRUE, C_TRUE, LAG_TRUE_S, SOC = 0.58, 18.0, 1060.0, 2.0, 0.8
K_KEY = CONDUCTIVITY["cylinder"]
H_KEY = "Heat transfer coefficient [W.m-2.K-1]"


def drive(cell, *, cycles=2, rest_s=900, seed=1, name="truth") -> Run:
    """US06 and a rest through the full model, as a log: a sensor with lag and noise, and the true core."""
    time, speed = load_schedule("us06")
    current = np.r_[np.tile(Vehicle().cell_current_A(time, speed), cycles), np.zeros(rest_s)]
    t = np.arange(len(current), dtype=float)
    ambient = 288.15 + 0.5 * np.sin(t / 400)
    blank = Run(t, current, np.full(t.shape, np.nan), ambient, name=name)
    truth = CoupledModel(cell, heat="measured").simulate(blank, initial_soc=SOC, start_K=float(ambient[0]))
    noise = np.random.default_rng(seed)
    stays = np.exp(-1 / LAG_TRUE_S)
    surface = lfilter([1 - stays], [1, -stays], truth.surface_K, zi=[stays * truth.surface_K[0]])[0]
    surface += 0.03 * noise.standard_normal(len(t))
    return Run(t, current, truth.voltage_V, ambient, {"surface": surface}, truth.core_K, name)


@pytest.fixture(scope="module")
def cell():
    return load_cell("a123_26650")


@pytest.fixture(scope="module")
def true_cell(cell):
    return cell.with_values({K_KEY: K_TRUE, H_KEY: {"side": H_TRUE}, SPECIFIC_HEAT: C_TRUE})


@pytest.fixture(scope="module")
def run(true_cell):
    return drive(true_cell)


@pytest.fixture(scope="module")
def short(run):
    return run.before(run.time_s[0] + 900)


@pytest.fixture(scope="module")
def found(cell, run):
    return calibrate(cell, run, initial_soc=SOC)


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def found_short(cell, short, told):
    return calibrate(cell, short, initial_soc=SOC, progress=lambda share, doing: told.append((share, doing)))


def without(cell, key):
    document = json.loads(json.dumps(cell.document))
    del document["Parameterisation"]["User-defined"][key]
    return replace(cell, document=document)


def text(calibration) -> str:
    return json.dumps(calibration.cell.document)


# what is found


@pytest.mark.parametrize(("row", "truth"), [(0, K_TRUE), (1, C_TRUE), (2, H_TRUE)], ids=["k", "C", "h"])
def test_the_truth_is_within_two_posterior_deviations(found, row, truth):
    p = found.parameters[row]
    assert abs(np.log(p.value / truth)) < 2 * p.sd / p.value
    assert p.sd < p.prior_sd


def test_the_core_is_known_better_than_before(found, cell, run):
    def rmse(which):
        return Observer(CoupledModel(which, heat="measured").reduce()).run(run, initial_soc=SOC).score()

    before, after = rmse(cell), rmse(found.cell)
    assert after.rmse_K < 0.5 * before.rmse_K
    assert after.coverage > 0.9


def test_the_file_says_what_the_observer_needs(found, tmp_path):
    settings = found.cell.settings
    assert settings["Gradient uncertainty"] == pytest.approx(found.gradient, rel=1e-4)
    assert 0 < found.gradient < found.cell.spread[K_KEY]
    assert (settings["Order"], settings["Step [s]"], settings["Sensors"]) == (4, 1.0, ["surface"])
    noise = [settings[k] for k in ("Heat noise [W.s0.5]", "Sensor noise [K]", "Offset uncertainty [K]")]
    assert noise == [3.0, 0.05, 0.1]
    assert found.cell.thermal["Sources"][K_KEY]["description"].startswith("Calibrated on truth (surface).")
    found.cell.save(tmp_path / "mine.json")
    again = load_cell(tmp_path / "mine.json")
    assert again.digest == found.cell.digest and found.cell.name == "a123_26650"


def test_the_fitted_surface_follows_the_measured_one(found):
    (fit,) = found.fits
    assert np.sqrt(np.mean((fit.measured_K - fit.fitted_K)[60:] ** 2)) < 0.1


def test_two_runs_say_more_than_one(cell, true_cell, short, found_short):
    other = drive(true_cell, cycles=1, rest_s=300, seed=2, name="other")
    both = calibrate(cell, [short, other], initial_soc=SOC)
    assert both.parameters[2].z_sd < found_short.parameters[2].z_sd
    assert len(both.fits) == len(both.initial_soc) == 2
    assert "truth, other" in both.cell.thermal["Sources"][K_KEY]["description"]


def test_the_core_may_be_used_where_it_is_asked_for(cell, short, found_short):
    with_core = calibrate(cell, short, use=("surface", "core"), initial_soc=SOC)
    assert with_core.gradient < found_short.gradient
    assert with_core.cell.settings["Sensors"] == ["surface"]


# what may not happen


def test_a_core_that_is_not_used_changes_not_a_byte(cell, short, found_short):
    core = np.random.default_rng(3).permutation(short.core_K) + 40
    core[::7] = np.nan
    assert text(calibrate(cell, replace(short, core_K=core), initial_soc=SOC)) == text(found_short)


def test_blank_stretches_do_no_harm(cell, short, found_short):
    surface, voltage = short.surfaces_K["surface"].copy(), short.voltage_V.copy()
    surface[200:320] = np.nan
    surface[5::9] = np.nan
    voltage[500:540] = np.nan
    blank = replace(short, surfaces_K={"surface": surface}, voltage_V=voltage)
    gaps = calibrate(cell, blank, initial_soc=SOC)
    h, whole = gaps.parameters[2], found_short.parameters[2]
    assert abs(np.log(h.value / whole.value)) < 2 * whole.sd / whole.value


def test_a_missing_voltage_is_the_drop_of_the_resistance(cell, short):
    gap = slice(305, 500)
    voltage, current = short.voltage_V.copy(), short.current_A.copy()
    voltage[300:500] = np.nan  # the last sample is held for some rows
    current[620:660] = np.nan
    for dry in (True, False):
        known = cell if dry else without(cell, "DC resistance [Ohm]")
        heat, per_V, doubt = Problem(
            known, [replace(short, voltage_V=voltage, current_A=current)], ("surface",), False, 4, 1.0, SOC
        )._heat[0]
        # the truth was made with that very resistance, at the mean temperature and not at the surface
        whole = Problem(cell, [short], ("surface",), False, 4, 1.0, SOC)._heat[0][0]
        error = np.sqrt(np.mean((heat - whole)[gap] ** 2))
        assert (error < 0.4 * whole[gap].std()) == dry
        assert (np.abs(per_V[gap]).max() > 0) == dry and not per_V[630:650].any()
        assert (doubt > 0).sum() >= 3 and np.isfinite(doubt).all()


@pytest.mark.parametrize(
    ("spoil", "arguments", "words"),
    [
        (lambda r: r, {"use": ("surface_left",)}, ["truth", "no sensor 'surface_left'", "one of surface"]),
        (lambda r: r, {"use": "surface"}, ["in a list"]),
        (lambda r: r, {"use": ("core",)}, ["surface sensors"]),
        (lambda r: r, {"use": ("surface", "surface")}, ["each once"]),
        (lambda r: replace(r, core_K=None), {"use": ("surface", "core")}, ["no core", "leave 'core' out"]),
        (lambda r: r.before(r.time_s[0] + 200), {}, ["2 blocks of 70 s", "at least 5", "longer run"]),
        (lambda r: replace(r, current_A=0 * r.current_A), {}, ["no current flows", "nothing to learn"]),
        (lambda r: replace(r, current_A=np.nan * r.current_A), {}, ["the current is entirely blank"]),
        (lambda r: replace(r, voltage_V=np.nan * r.voltage_V), {}, ["the voltage is entirely blank"]),
        (lambda r: replace(r, surfaces_K={"surface": np.nan * r.time_s}), {}, ["entirely blank"]),
        (lambda r: r, {"initial_soc": 50.0}, ["initial SOC 50.0", "0 to 1"]),
        (lambda r: r, {"order": 0}, ["order 0"]),
    ],
    ids=[
        "sensor", "text", "core only", "twice", "no core", "short", "rest", "current", "voltage", "blank",
        "soc", "order",
    ],
)  # fmt: skip
def test_a_mistake_gets_its_sentence(cell, run, spoil, arguments, words):
    with pytest.raises(InputError) as error:
        calibrate(cell, spoil(run), **{"initial_soc": SOC} | arguments)
    for word in words:
        assert word in str(error.value)


def test_no_runs_and_no_cooling(cell, short):
    with pytest.raises(InputError, match="no runs"):
        calibrate(cell, [])
    with pytest.raises(InputError, match="guess of the cooling"):
        calibrate(cell.with_values({H_KEY: {"side": 0}}), short)


# what it says


def test_an_unknown_state_of_charge_is_said(cell, short):
    under_load = short.after(short.time_s[0] + 30)
    problem = Problem(cell, [under_load], ("surface",), False, 4, 1.0, None)
    assert 0.5 < problem.soc[0] < 1.0 and "SOC not identified" in problem.notes[0]
    current = np.r_[0.0, short.current_A[1:]]
    resting = replace(short, current_A=current, voltage_V=np.r_[3.31, short.voltage_V[1:]])
    problem = Problem(cell, [resting], ("surface",), False, 4, 1.0, None)
    assert "SOC not identified" in problem.notes[0] and "absorbs" in problem.notes[0]
    full = replace(resting, voltage_V=np.r_[3.5, short.voltage_V[1:]])
    assert not Problem(cell, [full], ("surface",), False, 4, 1.0, None).notes
    empty = replace(resting, voltage_V=np.r_[2.9, short.voltage_V[1:]])
    (note,) = Problem(cell, [empty], ("surface",), False, 4, 1.0, None).notes
    assert "uses more charge" in note


def test_an_unlearnt_conductivity_is_said(cell):
    prior = priors(cell)[0]
    shares = (LEARNT - 0.05, LEARNT + 0.05)
    unlearnt, learnt = (Parameter.of(prior, 0.1, np.sqrt(1 - share)) for share in shares)
    (sentence,) = _lessons((unlearnt,), with_core=False)
    assert sentence.startswith("surface data added almost nothing on the conductivity")
    assert "(posterior sd 0.40 of prior 0.45)" in sentence
    assert "core reference" in sentence and not _lessons((learnt,), with_core=False)


def test_progress_only_grows(told, found_short):
    shares, doing = zip(*told, strict=True)
    assert list(shares) == sorted(shares) and shares[-1] == 1.0 and len(shares) > 5
    assert {"fit 1 of 2", "fit 2 of 2", "uncertainty"} <= set(doing)


def test_table_and_picture(found, tmp_path):
    rows = found.table()
    assert [len(row) for row in rows] == [7] * 10 and rows[2][-1].endswith("%")
    found.plot(tmp_path / "one.png")
    found.plot(tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert "gradient" in repr(found)


# the mathematics


def dense(model: BlockModel, heat, lost):
    """Covariance of all readings of a block model at once."""
    steps, (m, n) = len(heat), model.H.shape
    P, through = model.P, [np.eye(n)]
    S = np.zeros((steps * m, steps * m))
    for _ in range(steps - 1):
        through.append(model.A @ through[-1])
    for i in range(steps):
        for j in range(i, steps):
            block = model.H @ through[j - i] @ P @ model.H.T
            S[j * m : (j + 1) * m, i * m : (i + 1) * m] = block
            S[i * m : (i + 1) * m, j * m : (j + 1) * m] = block.T
        P = model.A @ P @ model.A.T + model.Q + heat[i] * model.Q_heat + lost[i] * model.Q_lost
    return S + model.R * np.eye(steps * m)


@pytest.mark.parametrize("walls", [[0], [0, 0]], ids=["one sensor", "two sensors"])
def test_block_likelihood_is_the_dense_normal_density(cell, walls):
    reduced = CoupledModel(cell, heat="measured").reduce(4)
    error = HeatError(0.05, 0.2, 0.08, 0.1 if len(walls) > 1 else 0.0)
    model = BlockModel.of(reduced.modal, reduced.conductance_W_K, reduced.modal.E[:, walls], 0.1, error, 70.0)
    random = np.random.default_rng(0)
    heat, lost = random.uniform(0, 4, 14), np.where(np.arange(14) == 5, 0.3, 0.0)
    S = dense(model, heat, lost)
    residual = random.multivariate_normal(np.zeros(len(S)), S).reshape(14, -1)
    residual[3, 0] = residual[8, -1] = np.nan
    seen = np.isfinite(residual.ravel())
    exact = multivariate_normal(np.zeros(seen.sum()), S[np.ix_(seen, seen)]).logpdf(residual.ravel()[seen])
    assert model.log_density(residual, heat, lost) == pytest.approx(exact, abs=1e-8)


def test_block_model_is_the_matrix_exponential_of_its_plant(cell):
    reduced = CoupledModel(cell, heat="measured").reduce(4)
    g, error, seconds = reduced.conductance_W_K, HeatError(0.05, 0.2, 0.08), 70.0
    model = BlockModel.of(reduced.modal, g, reduced.modal.E, 0.1, error, seconds)
    F = np.zeros((7, 7))
    F[:4, :4] = -reduced.modal.K - (reduced.modal.E * g) @ reduced.modal.E.T
    F[:4, 4] = F[:4, 6] = reduced.modal.B[:, 0]
    F[4, 4], F[5, 5] = -1 / SLOW_HEAT_S, -1 / DISCREPANCY_S
    hold = expm(seconds * F)
    H = np.r_[0.9 * reduced.modal.E[:, 0], 0, 1]
    # another basis of the modes, so compare what is seen from outside
    for column, seen in ((4, model.A[:, 4]), (5, model.A[:, 5])):
        assert H @ hold[:6, column] == pytest.approx(model.H[0] @ seen, rel=1e-9)
    assert (H @ hold[:6, 6]) ** 2 == pytest.approx(model.H[0] @ model.Q_lost @ model.H[0], rel=1e-9)
    assert model.H[0] @ model.P @ model.H[0] == pytest.approx((0.9 * 0.05) ** 2 + 0.08**2)


def test_block_means_skip_what_is_missing():
    values = np.arange(12.0)
    values[[1, 4, 5, 6]] = np.nan
    np.testing.assert_allclose(block_means(values, 4), [5 / 3, np.nan, 9.5])
    assert block_means(values[:, None], 5).shape == (2, 1)


def test_laplace_is_the_inverse_hessian_and_never_wider_than_the_prior():
    rotation = np.linalg.qr(np.random.default_rng(4).standard_normal((3, 3)))[0]
    curvature = np.array([400.0, 9.0, 0.2])
    hessian = rotation @ np.diag(curvature) @ rotation.T
    covariance = laplace(lambda z: 0.5 * float((z - 1) @ hessian @ (z - 1)), np.ones(3))
    expected = rotation @ np.diag(1 / np.maximum(curvature, 1)) @ rotation.T
    np.testing.assert_allclose(covariance, expected, rtol=1e-6, atol=1e-8)


SLAB = {
    "Form factor": {"description": "slab"}, "Cell thickness [m]": 0.012, "Cell area [m2]": 0.0029,
    CONDUCTIVITY["slab"]: 0.8, H_KEY: {"back": 10.0, "front": 30.0},
}  # fmt: skip
CAN = {
    "Can thickness [m]": 3e-4, "Can thermal conductivity [W.m-1.K-1]": 15.0, "Can density [kg.m-3]": 7900.0,
    "Can specific heat capacity [J.K-1.kg-1]": 500.0, "Can thermal contact resistance [m2.K.W-1]": 2e-4,
}  # fmt: skip


@pytest.mark.parametrize("extra", [{}, CAN, SLAB], ids=["cylinder", "can", "slab"])
def test_a_family_holds_the_models_that_would_be_built_anew(cell, extra):
    cell = cell.with_values(extra)
    family = Family(cell, 6, 1.0, 290.0)
    values = Values(*(prior.value(0.4) for prior in priors(cell))).physical
    short_way, long_way = family.reduced(values), CoupledModel(family.changed(values), heat="measured").reduce(6)
    assert short_way.cell == long_way.cell
    np.testing.assert_allclose(short_way.conductance_W_K, family.conductance_W_K(values))
    np.testing.assert_allclose(np.diag(short_way.modal.K)[1:3], np.diag(long_way.modal.K)[1:3], rtol=1e-2)
    cold = np.zeros(len(cell.walls))
    steady = [m.modal.C @ m.modal.steady(m.conductance_W_K, [1.0], cold) for m in (short_way, long_way)]
    # the basis stays that of the cell as given: exact where the cell is of one material
    np.testing.assert_allclose(steady[0], steady[1], rtol=2e-3 if extra is CAN else 1e-9)


def test_a_written_cell_is_the_observer_that_was_judged(cell, run):
    problem = Problem(cell, [run], ("surface",), True, 4, 1.0, SOC)
    values = problem.values(np.array([0.8, 0.3, 0.2, -0.5, 1.0, 0.5, 0, 0, 0, 0]))
    reduced = CoupledModel(problem.family.changed(values), heat="measured").reduce(4)
    whole = Observer(reduced, ambient_offset_K=values.ambient_K).run(run, initial_soc=SOC).core_K
    np.testing.assert_allclose(problem.deployed(values.physical)[0], whole, atol=1e-9)


def test_a_shift_of_the_enthalpy_voltage_is_written_as_entropy(cell):
    for extra in ({}, {"Entropic change coefficient [V.K-1]": "1e-4 * x"}):
        before = cell.with_values(extra)
        family = Family(before, 4, 1.0, 290.0)
        values = Values(*(prior.value(0.0) for prior in priors(before)))._replace(enthalpy_V=0.02)
        after = family.changed(values, 5)
        key = "Entropic change coefficient [V.K-1]"
        np.testing.assert_allclose(after.curve(key)(0.3) - before.curve(key)(0.3), -0.02 / 290, rtol=1e-4)
        heat = [CoupledModel(c, heat="measured").reduce(2).heat.heat_W(2.0, 3.2, 0.3, 290.0) for c in (before, after)]
        assert heat[1] - heat[0] == pytest.approx(2.0 * 0.02, rel=1e-3)

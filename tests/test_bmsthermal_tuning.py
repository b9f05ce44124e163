"""Noise from predictions: what is known is found again, what is not stays at its prior, and the file holds it all."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Observer, load_cell, tuning
from bmsthermal.innovations import look_ahead
from bmsthermal.joint import JointNoise
from bmsthermal.jointly import JointObserver
from bmsthermal.noise import Noise
from bmsthermal.run import Run
from bmsthermal.schema import JOINT_NOISE
from bmsthermal.tuning import FARTHEST, SPREAD, tune

HEAT, SENSOR = 2.2, 0.07


def linear(model, seconds, heat=HEAT, sensor=SENSOR, seed=0, core_off_K=0.0):
    """A cell at rest that white heat drives, read through white noise: linear, Gaussian, and the filter's own model."""
    rng = np.random.default_rng(seed)
    A, B = model.step.matrices(model.conductance_W_K)
    coolant = 298.15 - model.cell.reference_K
    share, x, read, core = model.cell.ambient_share, coolant * model.constant, np.empty(seconds), np.empty(seconds)
    watts = heat * rng.standard_normal(seconds)
    for k in range(seconds):
        read[k] = (1 - share) * (model.outputs[2] @ x) + share * coolant
        core[k] = model.outputs[0] @ x
        x = A @ x + B @ np.array([watts[k], coolant])
    read += sensor * rng.standard_normal(seconds) + model.cell.reference_K
    # core and surface agree at first: what is apart there counts as mismatch of thermocouples
    core[20:] += core_off_K
    still = np.zeros(seconds)
    return Run(np.arange(float(seconds)), still, still + 3.3, still + 298.15, {"surface": read},
               core + model.cell.reference_K if core_off_K else None, f"seed {seed}")  # fmt: skip


def deviation(parameter):
    """Posterior standard deviation of the logarithm, from the interval."""
    return np.log(parameter.high / parameter.low) / (2 * 1.96)


@pytest.mark.parametrize("ahead_s", [1.0, 60.0])
def test_known_noise_is_found_again(reduced, ahead_s):
    seconds = 40_000 if ahead_s > 1 else 4_000  # some 660 windows of a minute; single innovations say more each
    off = []
    for seed in range(4):
        found = tune(Observer(reduced), linear(reduced, seconds, seed=seed), initial_soc=0.5, ahead_s=ahead_s)
        for parameter, true in zip(found.parameters, (HEAT, SENSOR), strict=True):
            assert parameter.information > 0.5 and parameter.low < parameter.high
            off.append(np.log(parameter.value / true) / deviation(parameter))
    # eight normal deviates, shrunk to the prior by less than half of the way: 3.5 sigma, and their mean square
    assert np.abs(off).max() < 3.5 and np.mean(np.square(off)) < 3.0


def test_runs_are_pooled_into_one_noise(reduced):
    runs = [linear(reduced, 20_000, seed=seed) for seed in (5, 6)]
    one, two, both = (tune(Observer(reduced), each, initial_soc=0.5) for each in (runs[0], runs[1], runs))
    for i in range(2):
        apart = sorted((one.parameters[i].value, two.parameters[i].value))
        assert apart[0] * 0.98 <= both.parameters[i].value <= apart[1] * 1.02
        assert deviation(both.parameters[i]) < min(deviation(one.parameters[i]), deviation(two.parameters[i]))
    assert len(both.predictions()) == 2 and [*both.runs] == ["seed 5", "seed 6"]


def test_few_windows_stay_near_the_prior_and_none_run_away(reduced):
    short = linear(reduced, 500, heat=1e-3, sensor=1e-3)
    found = tune(Observer(reduced), short, initial_soc=0.5)
    for parameter in found.parameters:
        assert parameter.prior * np.exp(-SPREAD * FARTHEST) <= parameter.value <= parameter.prior
    loud = tune(Observer(reduced), linear(reduced, 5000, heat=300.0, sensor=5.0), initial_soc=0.5)
    assert all(p.value <= p.prior * np.exp(SPREAD * FARTHEST) for p in loud.parameters)
    assert any("the model may be what is wrong" in note for note in loud.notes)


def test_errors_that_resemble_one_another_count_less(reduced):
    run = linear(reduced, 6000)
    slow = replace(run, surfaces_K={"surface": run.surfaces_K["surface"] + 3 * np.sin(run.time_s / 600)})
    weights = [tune(Observer(reduced), each, initial_soc=0.5).weights[0][0] for each in (run, slow)]
    assert weights[1] < 0.7 * weights[0] <= 0.7


def test_a_core_that_is_off_widens_the_band_unless_the_cell_was_fitted_to_it(reduced):
    run = linear(reduced, 20_000, core_off_K=1.0)
    found = tune(Observer(reduced), run, initial_soc=0.5)
    values = {p.name: p for p in found.parameters}
    assert values["Offset uncertainty"].value > 1.5 * values["Offset uncertainty"].prior
    fitted = reduced.cell.with_values({"Observer": {"Calibrated on": {run.name: run.digest}}})
    observer = Observer(replace(reduced, cell=fitted))
    again = tune(observer, run, initial_soc=0.5)
    assert [p.name for p in again.parameters] == ["Heat noise", "Sensor noise"]
    assert "a core there does not count" in again.notes[-1]


def test_a_prediction_one_step_ahead_is_the_innovation(reduced):
    observer = Observer(reduced)
    run = linear(reduced, 200)
    found, ahead = observer.run(run, initial_soc=0.5), look_ahead(observer, run, 1.0, 0.5)
    np.testing.assert_array_equal(ahead.error_K[:, 0], found.innovations[2:, 0][: len(ahead.error_K)])
    np.testing.assert_array_equal(ahead.variance_K2[:, 0], found.variances[2:, 0][: len(ahead.error_K)])


@pytest.mark.parametrize("kinds", [(), ("h", "heat")])
def test_a_prediction_is_what_the_filter_says_without_readings(reduced, kinds):
    observer, run = Observer(reduced, estimate=kinds), linear(reduced, 240)
    blind = run.surfaces_K["surface"].copy()
    blind[121:180] = np.nan  # from the reading at 120 s to that at 180 s
    ahead = look_ahead(observer, run, 60.0, 0.5)
    found = observer.run(replace(run, surfaces_K={"surface": blind}), initial_soc=0.5)
    i = int(np.flatnonzero(ahead.time_s == 180.0)[0])
    assert ahead.error_K[i, 0] == found.innovations[180, 0] and ahead.variance_K2[i, 0] == found.variances[180, 0]


def test_the_file_describes_the_observer_and_the_same_runs_give_the_same_bytes(reduced, tmp_path):
    run = linear(reduced, 3000)
    first, second = (tune(Observer(reduced), run, initial_soc=0.5) for _ in range(2))
    first.cell.save(tmp_path / "a.json")
    second.cell.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    read = Observer.of(tmp_path / "a.json")
    assert read.noise == first.observer.noise and read.measured == ("surface",) and type(read) is Observer
    section = json.loads((tmp_path / "a.json").read_text())["Observer"]
    assert section["Tuned on"] == {run.name: run.digest} and section["Covariance"] == "symmetric"
    same = [each.run(run, initial_soc=0.5).core_std_K for each in (read, first.observer)]
    np.testing.assert_allclose(*same, rtol=1e-12)
    assert Observer.of(tmp_path / "a.json", noise=Noise(), order=3).reduced.order == 3


def test_a_joint_observer_goes_through_the_file_and_leaves_the_noise_of_temperatures(reduced, tmp_path):
    sure = JointNoise(0.7, sensor_K=0.2, gradient=0.15, offset_K=0.3, lag_s=4.0, heat=0.3, log_h=0.5, bias_K=2.0)
    cell = reduced.cell.with_values({"Observer": Noise(2.0).document() | {"Order": 4, "Sensors": ["surface"]}})
    observer = Observer(replace(reduced, cell=cell), estimate=("h", "heat"), noise=sure, ambient_offset_K=0.25)
    written = cell.with_values({"Observer": observer.section()})
    written.save(tmp_path / "joint.json")
    read = Observer.of(tmp_path / "joint.json")
    assert isinstance(read, JointObserver) and read.estimate == ("h", "heat") and read.noise == sure
    assert read.ambient_offset_K == 0.25 and read.section() == observer.section()
    alone = Observer.of(tmp_path / "joint.json", estimate=())
    assert type(alone) is Observer and alone.noise == Noise(2.0, gradient=0.15, offset_K=0.3)
    assert "Estimate" not in alone.section() and alone.section()["Joint noise"] == observer.section()["Joint noise"]


def test_every_number_of_the_joint_noise_has_a_key():
    shared = {"gradient", "offset_K", "lag_s"}
    assert {each.name for each in fields(JointNoise)} == {*JOINT_NOISE} | shared


def test_a_joint_observer_is_tuned_too(reduced, monkeypatch):
    monkeypatch.setattr(tuning, "MOST", 1)  # one step: its filter is slow
    observer = Observer(reduced, estimate=("h", "heat"))
    found = tune(observer, linear(reduced, 500, sensor=0.01), initial_soc=0.5)
    assert {p.name for p in found.parameters} >= {"Walk of ln h", "Slow heat", "Relative heat noise"}
    before, after = (sum(each.scores().sum() for each in looks) for looks in (found.before, found.after))
    assert after > before and isinstance(found.observer, JointObserver)
    assert Observer.of(found.cell).noise == found.observer.noise


def test_what_cannot_be_tuned_is_refused_in_a_sentence(reduced):
    observer, run = Observer(reduced), linear(reduced, 300)
    for runs, ahead_s, said in (([], 60.0, "no runs"), (run, 60.0, "a run of 299 s"), (run, 0.1, "ahead_s = 0.1")):
        with pytest.raises(InputError, match=said):
            tune(observer, runs, initial_soc=0.5, ahead_s=ahead_s)
    for section, said in (
        ({"Estimate": "h"}, "a list such as"), ({"Covariance": "square"}, "symmetric or UD"),
        ({"Joint noise": 3}, "a section"), ({"Joint noise": {"Sensor noise [K]": -1}}, "a number from"),
        ({"Tuned on": ["x"]}, "a text per run"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            reduced.cell.with_values({"Observer": section})
    odd = reduced.cell.with_values({"Observer": {"Estimate": ["mass"]}})
    with pytest.raises(InputError, match="some of h, heat, bias"):
        Observer.of(odd)


def test_a_picture_shows_before_and_after(reduced, tmp_path):
    found = tune(Observer(reduced), linear(reduced, 1200), initial_soc=0.5)
    drawn = found.plot(tmp_path / "innovations.png")
    assert (tmp_path / "innovations.png").stat().st_size > 5000
    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["before", "after"]
    assert "Tuning(a123_26650 on seed 0" in repr(found)


def test_copies_keep_everything_but_the_noise():
    model = CoupledModel(load_cell("lco_marquis"), heat="measured").reduce(order=5)
    observer = Observer(model, ["surface"], real="float", ambient_offset_K=0.5)
    copy = observer.changed(noise=Noise(1.0))
    assert (copy.real, copy.ambient_offset_K, copy.measured, copy.noise.heat_W_rts) == ("float", 0.5, ("surface",), 1.0)

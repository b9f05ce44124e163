from __future__ import annotations

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Run, load_cell
from bmsthermal.prediction import predict
from bmsthermal.surroundings import Surroundings, fit_surroundings


@pytest.fixture(scope="module")
def cell():
    return load_cell("a123_26650")


def drive(cell, rig, seed=0):
    """A chamber that warms by 10 K in an hour and then stays, felt through slow walls; two hours of pulses."""
    random, t = np.random.default_rng(seed), np.arange(7200.0)
    current = np.repeat(random.uniform(-15, 20, 120), 60)
    chamber = 288.15 + np.minimum(t / 360, 10.0)
    run = Run(t, current, np.full(t.shape, np.nan), chamber, {"surface": np.full(t.shape, 288.15)}, name="drift")
    felt = rig.seen(run).ambient_K
    blank = Run(t, current, run.voltage_V, felt, name="drift")
    truth = CoupledModel(cell, heat="measured").reduce(4).simulate(blank, initial_soc=0.8, start_K=288.15)
    surface = truth.surface_K + 0.03 * random.standard_normal(len(t))
    return Run(t, current, truth.voltage_V, chamber, {"surface": surface}, name="drift"), truth


def test_walls_begin_at_the_cell_and_follow_the_air(cell):
    rig = Surroundings(0.3, 1800.0, 0.5)
    t = np.arange(20_000.0)
    run = Run(t, 0 * t, 0 * t, np.full(t.shape, 300.0), {"surface": np.full(t.shape, 295.5)})
    felt = rig.seen(run).ambient_K
    np.testing.assert_allclose(felt, 300 - 0.3 * 5.0 * np.exp(-(t + 1) / 1800), atol=1e-9)
    np.testing.assert_array_equal(rig.seen(run, logged=False).ambient_K, np.full(t.shape, 295.0))


def test_slow_walls_are_found_in_a_drift(cell):
    rig = Surroundings(0.3, 2500.0)
    run, _ = drive(cell, rig)
    found = fit_surroundings(cell, [run], initial_soc=0.8)
    assert abs(found.share - rig.share) < 0.1 and 0.5 < found.time_s / rig.time_s < 2
    # a constant is shared between the offset, the start of the walls and the heat: the shape is what is found
    wrong = (found.seen(run).ambient_K - rig.seen(run).ambient_K).std()
    assert wrong < 0.3 * (run.ambient_K - rig.seen(run).ambient_K).std()


def test_an_open_loop_prediction_is_the_simulation_through_the_sensor(cell):
    run, truth = drive(cell, Surroundings(0.0, 1.0))
    found = predict(cell.with_values({"Surface sensor ambient share": 0.0}), run, initial_soc=0.8)
    # five readings of 0.03 K give the start
    np.testing.assert_allclose(found.fitted_K, truth.surface_K, atol=0.05)
    offset = cell.with_values({"Observer": {"Ambient offset [K]": 1.0}})
    assert (predict(offset, run, initial_soc=0.8).fitted_K - found.fitted_K)[-1] > 0.5
    leaky = cell.with_values({"Surface sensor ambient share": 0.2})
    assert predict(leaky, run, initial_soc=0.8, lag_s=20.0).fitted_K[0] == pytest.approx(found.fitted_K[0], abs=0.01)


def test_a_mistake_gets_its_sentence(cell):
    run, _ = drive(cell, Surroundings(0.0, 1.0))
    with pytest.raises(InputError, match="one answer for each run"):
        fit_surroundings(cell, [run], logged=[False])
    for ask in (lambda: Surroundings(0.1, 10.0).seen(run, sensor="left"), lambda: predict(cell, run, sensor="left")):
        with pytest.raises(InputError, match="no sensor 'left'"):
            ask()

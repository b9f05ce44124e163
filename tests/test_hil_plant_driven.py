"""The plant: the full model behind sensors."""

import numpy as np
import pytest

from bmsthermal import CoupledModel, load_cell
from hil.plant.driven import DrivenModel
from hil.sensors import Sensor, SensorSet


@pytest.fixture(scope="module")
def plant():
    ideal = SensorSet(*[Sensor()] * 4)
    return DrivenModel(CoupledModel(load_cell("a123_26650"), heat="measured"), ideal)


def test_ideal_sensors_read_the_truth(plant):
    time_s = np.arange(301.0)
    truth, seen = plant.drive(time_s, np.full(301, 10.0), ambient_K=298.15, initial_soc=0.8)
    assert (seen.surfaces_K["surface"] == truth.surface_K).all()
    assert (seen.core_K == truth.core_K).all()
    assert (seen.voltage_V == truth.voltage_V).all()
    # a discharge warms the core more than the surface, and the surface more than the air
    assert truth.core_K[-1] > truth.surface_K[-1] > 298.15


def test_charge_is_counted_exactly(plant):
    truth, _ = plant.drive(np.arange(361.0), np.full(361, 2.3), ambient_K=298.15, initial_soc=0.8)
    # 1C for 360 s is a tenth of the capacity
    assert truth.soc[-1] == pytest.approx(0.7, abs=1e-12)


def test_a_cell_left_alone_goes_to_ambient(plant):
    truth, _ = plant.drive(
        np.arange(0.0, 20_001.0), np.zeros(20_001), ambient_K=283.15, initial_soc=0.5, start_K=313.15
    )
    # slowest time of this cell in still air is about 500 s: forty of them
    assert abs(truth.core_K[-1] - 283.15) < 1e-9
    assert (np.diff(truth.core_K) < 1e-9).all()


def test_a_current_sensor_that_lies_changes_what_is_seen_and_not_the_truth(plant):
    lying = DrivenModel(plant.model, SensorSet(Sensor(offset=1.0), Sensor(), Sensor(), Sensor()))
    time_s, current_A = np.arange(61.0), np.full(61, 5.0)
    honest_truth, _ = plant.drive(time_s, current_A, ambient_K=298.15, initial_soc=0.5)
    truth, seen = lying.drive(time_s, current_A, ambient_K=298.15, initial_soc=0.5)
    assert (truth.core_K == honest_truth.core_K).all()
    assert (seen.current_A == 6.0).all()

"""Sensors: each error does what its formula says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hil.sensors import Sensor, SensorSet


def test_an_ideal_sensor_reads_the_truth():
    truth = np.linspace(-3, 3, 7)
    assert (Sensor().read(truth) == truth).all()


@given(st.floats(-5, 5), st.floats(0.5, 2.0), st.floats(0.001, 1.0))
def test_offset_gain_and_resolution(offset, gain, resolution):
    truth = np.linspace(-10, 10, 41)
    reading = Sensor(offset=offset, gain=gain, resolution=resolution).read(truth)
    # rounding is to the nearest step: never further than half of one
    assert np.abs(reading - (gain * truth + offset)).max() <= resolution / 2 * (1 + 1e-9)
    assert np.allclose(reading / resolution, np.round(reading / resolution), atol=1e-6)


def test_noise_has_the_promised_size_and_repeats_with_its_seed():
    truth = np.zeros(20_000)
    reading = Sensor(noise=0.2, seed=7).read(truth)
    # standard error of a standard deviation is sigma / sqrt(2 n) = 0.001: five of them
    assert abs(reading.std() - 0.2) < 0.005
    assert (Sensor(noise=0.2, seed=7).read(truth) == reading).all()
    assert (Sensor(noise=0.2, seed=8).read(truth) != reading).any()


def test_the_sensors_of_a_set_are_independent():
    sensors, truth = SensorSet(), np.zeros(5_000)
    a, b = sensors.surface_K.read(truth), sensors.ambient_K.read(truth)
    # correlation of independent noise is 1 / sqrt(n) = 0.014: four of them
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.06

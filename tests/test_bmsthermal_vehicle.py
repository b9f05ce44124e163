from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal.errors import InputError, InputWarning
from bmsthermal.vehicle import GRAVITY_M_S2, Vehicle, load_schedule, schedules

DATA = Path(__file__).parents[2] / "shared" / "data" / "drive_cycles"
MILE_M = 1609.344
CELLS = 900


@given(st.floats(0.1, 60), st.floats(100, 5000), st.floats(0, 2), st.floats(0, 0.05))
def test_constant_speed_is_the_closed_form(speed, mass, area, rolling):
    car = Vehicle(mass_kg=mass, drag_area_m2=area, rolling=rolling)
    power = car.wheel_power_W([0, 1, 3], [speed] * 3)
    exact = rolling * mass * GRAVITY_M_S2 * speed + 0.5 * car.air_kg_m3 * area * speed**3
    np.testing.assert_allclose(power, exact, rtol=1e-12, atol=1e-9)


def test_standing_still_takes_the_auxiliaries_only():
    car = Vehicle()
    assert np.all(car.wheel_power_W([0, 1, 2], [0, 0, 0]) == 0)
    np.testing.assert_allclose(car.cell_current_A([0, 1, 2], [0, 0, 0]), car.auxiliary_W / CELLS / 3.3)


@given(st.lists(st.tuples(st.floats(0.1, 5), st.floats(0, 60)), min_size=2, max_size=40))
def test_without_losses_the_wheels_deliver_the_kinetic_energy(samples):
    dt, speed = np.array(samples).T
    time = np.cumsum(dt)
    power = Vehicle(drag_area_m2=0, rolling=0).wheel_power_W(time, speed)
    kinetic = 0.5 * Vehicle().mass_kg * (speed[-1] ** 2 - speed[0] ** 2)
    assert power[:-1] @ np.diff(time) == pytest.approx(kinetic, abs=1e-3)


def test_energy_is_kept_from_wheel_to_cell():
    time, speed = load_schedule("us06")
    car = Vehicle(drivetrain_efficiency=1, regeneration_fraction=1, regeneration_limit_W=1e9, auxiliary_W=0)
    wheel, cell = car.wheel_power_W(time, speed), car.cell_power_W(time, speed)
    np.testing.assert_allclose(cell * CELLS, wheel, rtol=1e-12)
    # a closed cycle with nothing lost on the way leaves drag and rolling resistance to pay
    mean = (speed[1:] + speed[:-1]) / 2
    lost = 0.5 * 1.225 * car.drag_area_m2 * np.sum(mean**3) + car.rolling * car.mass_kg * GRAVITY_M_S2 * np.sum(mean)
    assert wheel[:-1].sum() == pytest.approx(lost, rel=1e-9)


def test_losses_only_ever_cost():
    time, speed = load_schedule("udds")
    ideal = Vehicle(drivetrain_efficiency=1, regeneration_fraction=1, regeneration_limit_W=1e9, auxiliary_W=0)
    assert np.all(Vehicle().cell_power_W(time, speed) >= ideal.cell_power_W(time, speed))


def test_braking_charges_with_its_share_and_up_to_its_limit():
    time, speed = [0, 1, 2, 3], [20, 19, 10, 10]
    car = Vehicle(auxiliary_W=0)
    wheel, cell = car.wheel_power_W(time, speed), car.cell_power_W(time, speed) * CELLS
    assert wheel[0] < 0 and wheel[1] < 0 < wheel[2]
    assert cell[0] == pytest.approx(wheel[0] * car.regeneration_fraction * car.drivetrain_efficiency)
    assert cell[1] == pytest.approx(-car.regeneration_limit_W)
    assert np.all(Vehicle(auxiliary_W=0, regeneration_fraction=0).cell_power_W(time, speed)[:2] == 0)
    assert np.all(car.cell_current_A(time, speed)[:2] < 0)


def test_the_default_works_the_a123_cell_as_documented():
    time, speed = load_schedule("us06")
    current = Vehicle().cell_current_A(time, speed)
    used = current[:-1].sum() / 3600 / 2.3
    assert 28 < current.max() < 29 and -10 < current.min() < -9.5
    assert np.sqrt(np.mean(current**2)) == pytest.approx(7.3, abs=0.05)
    assert used == pytest.approx(0.30, abs=0.01)
    charge = 0.9 - np.cumsum(current) / 3600 / 2.3
    assert charge.min() > 0.2 and charge.max() < 0.9
    for name in schedules():
        assert 0 < Vehicle().cell_current_A(*load_schedule(name)).sum() / 3600 / 2.3 < 0.7


@pytest.mark.parametrize(
    ("name", "samples", "distance_m"),
    [
        ("us06", 601, 8.01 * MILE_M),
        ("udds", 1370, 7.45 * MILE_M),
        ("hwfet", 766, 10.26 * MILE_M),
        ("wltc_3b", 1801, 23_266),
    ],
)
def test_schedules_have_their_length_and_distance(name, samples, distance_m):
    time, speed = load_schedule(name)
    np.testing.assert_array_equal(time, np.arange(samples))
    assert speed[0] == speed[-1] == 0 and speed.min() == 0
    assert np.trapezoid(speed, time) == pytest.approx(distance_m, abs=0.005 * MILE_M)


@pytest.mark.parametrize(("name", "fastest_m_s"), [("us06", 80.3 * 0.44704), ("wltc_3b", 131.3 / 3.6)])
def test_units_of_the_schedules(name, fastest_m_s):
    assert load_schedule(name)[1].max() == pytest.approx(fastest_m_s)


@pytest.mark.skipif(not DATA.is_dir(), reason="the public speed traces are not beside the project")
@pytest.mark.parametrize("name", ["us06", "udds", "hwfet", "wltc_3b"])
def test_published_tenths_agree_with_the_traces_in_m_s(name):
    time, speed = np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1).T
    ours = load_schedule(name)
    np.testing.assert_array_equal(ours[0], time)
    assert np.abs(ours[1] - speed).max() < 0.03


def test_schedules_are_listed():
    assert schedules() == ("hwfet", "udds", "us06", "wltc_3b")
    with pytest.raises(InputError, match="no schedule 'nedc', expected one of hwfet, udds, us06, wltc_3b"):
        load_schedule("nedc")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mass_kg": 0}, "mass_kg = 0, expected a positive number"),
        ({"mass_kg": float("nan")}, "mass_kg = nan"),
        ({"rolling": -0.1}, "rolling = -0.1, expected a number of at least 0"),
        ({"drivetrain_efficiency": 90}, "drivetrain_efficiency = 90, expected a fraction"),
        ({"regeneration_fraction": 1.1}, "regeneration_fraction = 1.1, expected a fraction"),
        ({"cells_in_parallel": 0}, "cells_in_parallel = 0"),
    ],
)
def test_a_vehicle_that_cannot_be(given, words):
    with pytest.raises(InputError, match=words):
        Vehicle(**given)


@pytest.mark.parametrize(
    ("time", "speed", "words"),
    [
        ([0, 1], [0, 1, 2], "one length"),
        ([0], [0], "at least 2"),
        ([0, 0], [0, 1], "increasing"),
        ([0, 1], [0, -1], "negative"),
        ([0, 1], [0, np.nan], "not finite"),
    ],
)
def test_a_schedule_that_cannot_be(time, speed, words):
    with pytest.raises(InputError, match=words):
        Vehicle().wheel_power_W(time, speed)


def test_a_speed_in_km_h_warns():
    with pytest.warns(InputWarning, match="130 m/s looks like km/h"):
        Vehicle().wheel_power_W([0, 1], [130, 130])

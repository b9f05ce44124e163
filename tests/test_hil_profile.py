"""Profiles: charge of a schedule, holding of tables, key-off, and a charge that ends with the plant's voltage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bmsthermal import InputError, load_cell
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.profiles import profile_of
from bmsthermal.protocol import parse_steps
from hil.cycler import Cycler
from hil.plant import PlantSpec, build_plant
from hil.profile import Part, Profile, SurroundingsSpec
from hil.signals import Actuators, Command

CELL = load_cell("a123_26650")
HEALTHY = Actuators.healthy(1)


def profile(*parts, step_s=1.0, folder=Path(), **surroundings) -> Profile:
    read = TypeAdapter(tuple[Part, ...]).validate_python(parts)
    return Profile(read, SurroundingsSpec(**surroundings), CELL, step_s, folder)


def currents(given: Profile) -> np.ndarray:
    steps = round(given.duration_s / given.step_s)
    return np.array([given.current_A(k * given.step_s, None) for k in range(steps)])


@pytest.mark.parametrize("step_s", [0.1, 1.0, 7.0])
def test_a_schedule_keeps_its_charge_at_any_step(step_s):
    run, _ = profile_of("us06", CELL.capacity_Ah)
    made = profile({"kind": "drive", "schedule": "us06", "repeat": 2, "scale": 0.5}, step_s=step_s)
    found = currents(made)
    whole = int(600 / step_s + 1e-9) * step_s  # a broken step at the end is left out
    held = np.interp(np.arange(0, whole, 0.1), run.time_s, np.cumsum(np.append(0, run.current_A[:-1])))
    assert made.duration_s == pytest.approx(2 * whole)
    assert found.sum() * step_s == pytest.approx(held[-1], abs=abs(run.current_A).max())  # one sample of the reference


def test_at_one_second_a_schedule_is_itself_and_is_repeated():
    run, _ = profile_of("us06", CELL.capacity_Ah)
    found = currents(profile({"kind": "drive", "schedule": "us06", "repeat": 3, "scale": -2.0}))
    np.testing.assert_allclose(found, np.tile(-2 * run.current_A[:-1], 3))


def test_parts_follow_each_other_and_the_device_sleeps_in_between():
    made = profile(
        {"kind": "steps", "steps": "discharge 2A for 5s; rest 5s"},
        {"kind": "key_off", "duration_s": 3.0, "memory": "kept"},
        {"kind": "steps", "steps": "charge 1A for 2s", "duration_s": 4.0},
    )
    plant = build_plant(CELL, PlantSpec(), step_s=1.0, sensors=["surface"], seed=1)
    truth, found = plant.reset(0.5, 298.15), []
    for k in range(20):
        found.append(made.current_A(float(k), truth))
        truth = plant.step(Command(found[-1], 298.15), HEALTHY)
    assert found == [2.0] * 5 + [0.0] * 8 + [-1.0] * 2 + [0.0] * 5
    assert [made.powered(float(k)) for k in range(20)] == [True] * 10 + [False] * 3 + [True] * 7
    woken = [k for k in range(20) if made.key_on(float(k)) is not None]
    assert woken == [13]
    assert made.key_on(13.0).memory == "kept"


@given(st.integers(1, 40), st.sampled_from([0.1, 0.3, 1.0]))
def test_power_comes_back_on_the_step_that_it_should_whatever_rounding_does(seconds, step_s):
    made = profile(
        {"kind": "key_off", "duration_s": float(seconds)}, {"kind": "steps", "steps": "rest 10s"}, step_s=step_s
    )
    steps = round(made.duration_s / step_s)
    off = sum(not made.powered(k * step_s) for k in range(steps))
    assert off == int(np.ceil(seconds / step_s - 1e-6))
    assert sum(made.key_on(k * step_s) is not None for k in range(steps)) == 1


def test_coolant_is_straight_between_points_and_cooling_is_held():
    made = profile(
        {"kind": "steps", "steps": "rest 100s"}, ambient_degC=[[0, 50], [10, 50], [20, 30]], cooling=[[0, 0.2], [10, 2]]
    )
    assert [made.ambient_K(t) - ZERO_DEGC_K for t in (0.0, 15.0, 99.0)] == pytest.approx([50, 40, 30])
    assert [made.cooling(t) for t in (0.0, 9.0, 10.0, 99.0)] == [0.2, 0.2, 2.0, 2.0]
    assert made.start_K == pytest.approx(323.15)
    assert profile({"kind": "steps", "steps": "rest 1s"}, start_degC=-5.0).start_K == pytest.approx(268.15)


def test_a_file_brings_its_own_coolant_and_is_found_beside_the_scenario(tmp_path):
    (tmp_path / "drive.csv").write_text("t,I,T\n0,1,10\n2,-3,20\n4,0,30\n")
    columns = {"time_s": "t", "current_A": "I", "ambient_degC": "T"}
    made = profile(
        {"kind": "csv", "path": "drive.csv", "columns": columns, "current_sign": "charge"},
        {"kind": "steps", "steps": "rest 2s"},
        folder=tmp_path,
    )
    np.testing.assert_allclose(currents(made)[:4], [-1, -1, 3, 3])
    assert [made.ambient_K(float(t)) - ZERO_DEGC_K for t in range(6)] == pytest.approx([10, 15, 20, 25, 25, 25])


def charged(steps: str, cells: int = 1, seconds: int = 1500, soc: float = 0.2, resistance: float = 1.0):
    """Highest and lowest voltage, and current, of a charge; with another resistance than the cell's file."""
    wrong = replace(Actuators.healthy(cells), resistance=np.full(cells, resistance))
    plant = build_plant(CELL, PlantSpec(cells=cells), step_s=1.0, sensors=["surface"], seed=3)
    cycler, truth, rows = Cycler(parse_steps(steps, CELL.capacity_Ah), CELL), plant.reset(soc, 298.15), []
    for k in range(seconds):
        truth = plant.step(Command(cycler.current_A(float(k), truth), 298.15), wrong)
        rows.append((truth.voltage_V.max(), truth.voltage_V.min(), truth.current_A[0]))
    return np.array(rows).T


def test_a_charge_holds_the_voltage_of_the_plant_and_tapers():
    high, _, current = charged("charge 4C until 3.6V; hold 3.6V until 0.23A; rest 1min", cells=5)
    limit, done = int(np.argmax(high >= 3.6)), int(np.argmax(current > -0.23))
    assert np.all(current[: limit + 1] == -4 * CELL.capacity_Ah)
    held = slice(limit + 10, done - 1)
    # half of what is left in each step: 1e-3 after ten of them, and what the plant moves meanwhile
    np.testing.assert_allclose(high[held], 3.6, atol=0.005)
    assert np.all(current >= -4 * CELL.capacity_Ah)
    assert -0.5 < current[done - 1] <= -0.2
    assert np.all(current[done + 1 :] == 0)


@pytest.mark.parametrize("resistance", [0.3, 3.0, 6.0])
def test_a_held_voltage_does_not_ring_in_a_cell_of_another_resistance(resistance):
    high, _, current = charged("charge 2C until 3.45V; hold 3.45V for 10min", resistance=resistance)
    begun = int(np.argmax(high >= 3.45))
    moves = np.diff(current[begun + 5 : begun + 500])
    rings = (moves[1:] * moves[:-1] < 0) & (np.abs(moves[1:]) > 0.02 * CELL.capacity_Ah)
    assert rings.sum() <= 2
    # slower where the resistance is far less: a sixth of what is left in each step
    np.testing.assert_allclose(high[begun + 40 : begun + 500], 3.45, atol=0.005)


def test_a_discharge_ends_with_the_lowest_cell_and_power_is_power():
    _, low, current = charged("discharge 2C until 2.8V", cells=8, soc=0.15, seconds=400)
    last = int(np.argmax(current == 0)) - 1
    assert low[last] <= 2.8 < low[last - 1]
    high, _, current = charged("power 10W for 30s; rest 5s", seconds=60)
    # the voltage is that of the step before: a step's own drop is what is left
    np.testing.assert_allclose((high * current)[2:29], 10.0, rtol=0.01)
    assert np.all(current[30:] == 0)


def test_a_step_ends_with_heat_too():
    _, _, current = charged("discharge 10C until 27degC; rest 1s", seconds=200, soc=0.9)
    assert 5 < np.count_nonzero(current) < 150


def test_a_cycler_begins_anew_when_it_is_reset():
    made = profile({"kind": "steps", "steps": "discharge 1A for 2s; rest 1s"})
    plant = build_plant(CELL, PlantSpec(), step_s=1.0, sensors=["surface"], seed=1)
    truth = plant.reset(0.5, 298.15)
    once = [made.current_A(float(k), truth) for k in range(3)]
    made.reset()
    assert [made.current_A(float(k), truth) for k in range(3)] == once == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"kind": "steps", "steps": "charge 1C until 3.6V"}, "end only at a limit"),
        ({"kind": "steps", "steps": "charge slowly"}, "cannot read it"),
        ({"kind": "csv", "path": "nowhere.csv"}, "no such file"),
    ],
)
def test_what_cannot_be_driven_is_said_with_the_number_of_its_part(part, said):
    with pytest.raises(InputError, match=said) as error:
        profile({"kind": "steps", "steps": "rest 1s"}, part)
    assert error.value.part == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"ambient_degC": 300.0}, {"ambient_degC": []}, {"ambient_degC": [[1, 20]]},
        {"ambient_degC": [[0, 20], [0, 30]]}, {"cooling": -1.0}, {"start_degC": float("nan")}, {"ambient_degC": True},
        {"ambient_degC": "25"}, {"ambent": 1},
    ],
)  # fmt: skip
def test_surroundings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValidationError):
        SurroundingsSpec(**wrong)

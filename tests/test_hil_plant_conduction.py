"""Plants by conduction: energy, charge, the full model's answer, closed forms of actuators, cells alone and many."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))

from hil_plants import ROOM_K, SAME, driven, finite, wrong

from bmsthermal import CoupledModel, InputError, Run, load_cell
from bmsthermal.heat import MeasuredHeat
from hil.plant import PlantSpec, Spread, build_plant
from hil.plant.conduction import ConductionPlant
from hil.plant.spec import Factors
from hil.signals import Actuators, Command

CELL = load_cell("a123_26650")
SLAB = load_cell("lco_marquis")
DRIVE = 8.0 * np.sin(np.arange(300) / 15.0) + 2.0


def plant_of(cell=CELL, *, step_s=1.0, seed=1, sensors=("surface",), spread=SAME, **given):
    return build_plant(cell, PlantSpec(spread=spread, **given), step_s=step_s, sensors=sensors, seed=seed)


def model_run(cell, current_A, step_s, *, soc=0.6, start_K=300.0, ambient_K=285.0, thermal=None):
    k = len(current_A)
    run = Run(step_s * np.arange(k + 1.0), np.append(current_A, 0.0), np.full(k + 1, np.nan), np.full(k + 1, ambient_K))
    model = CoupledModel(cell, heat="measured", thermal=thermal)
    return model.simulate(run, initial_soc=soc, start_K=start_K, step_s=step_s)


@pytest.mark.parametrize("cell", [CELL, SLAB], ids=lambda cell: cell.name)
def test_insulated_it_is_the_full_model_to_rounding(cell):
    # without a wall flow both step their modes exactly: what is left is the order of sums over 200 of them
    tight = cell.with_values({"Heat transfer coefficient [W.m-2.K-1]": dict.fromkeys(cell.walls, 0.0)})
    scale = cell.capacity_Ah / 2.3
    full = model_run(tight, scale * DRIVE, 1.0)
    found = driven(plant_of(tight), scale * DRIVE, start_K=300.0, ambient_K=285.0)
    assert np.abs([t.core_K[0] for t in found] - full.core_K).max() < 1e-9
    assert np.abs([t.surfaces_K[0, 0] for t in found] - full.surface_K).max() < 1e-9
    assert np.abs([t.soc[0] for t in found] - full.soc).max() < 1e-12
    assert np.abs([t.voltage_V[0] for t in found[1:]] - full.voltage_V[:-1]).max() < 1e-9
    assert np.abs([t.heat_W[0] for t in found[1:]] - full.heat_W[:-1]).max() < 1e-9


@pytest.mark.parametrize("cell", [CELL, SLAB], ids=lambda cell: cell.name)
def test_cooled_it_nears_the_full_model_faster_than_the_step_shrinks(cell):
    # of the heat both say the same: the straight line of the wall flow is all that differs, and what the coolant's
    # jump at the start leaves, a flow like 1/sqrt(t), makes that of order 3/2: a factor of 2.83 a halving
    errors = []
    for step_s in (4.0, 2.0, 1.0):
        current = np.repeat(DRIVE[::20], round(20 / step_s)) * cell.capacity_Ah / 2.3
        full = model_run(cell, current, step_s)
        found = driven(plant_of(cell, step_s=step_s), current, start_K=300.0, ambient_K=285.0)
        late = int(60 / step_s)
        errors.append(np.abs([t.core_K[0] for t in found] - full.core_K)[late:].max())
    ratios = np.array(errors[:-1]) / errors[1:]
    assert errors[-1] < 1e-3
    assert (ratios > 2.7).all(), errors


@pytest.mark.parametrize(("cell", "thermal"), [(CELL, None), (SLAB, None), (CELL, "r-z")], ids=lambda v: str(v)[:12])
def test_energy_closes_while_the_cooling_changes(cell, thermal):
    cooling = np.abs(np.sin(np.arange(300) / 7.0)) * (np.arange(300) % 50 > 10)
    plant = plant_of(cell, thermal=thermal, spread=Spread(), cells=3)
    truth = driven(plant, DRIVE, cooling=cooling, ambient_K=280.0, actuators=wrong(3, short_W=0.5, resistance=1.3))[-1]
    capacity = cell.heat_capacity_J_K * plant._factors.heat_capacity
    balance = plant.heated_J - plant.cooled_J - capacity * (truth.mean_K - ROOM_K)
    # 300 steps of sums in double, of some 100 J
    assert np.abs(balance).max() < 1e-6
    assert plant.cooled_J.min() > 10.0


def test_a_cell_left_alone_ends_at_the_coolant():
    truth = driven(plant_of(step_s=10.0), np.zeros(2000), start_K=320.0, ambient_K=281.0)[-1]
    assert truth.core_K == pytest.approx(281.0, abs=1e-9)


def test_charge_is_conserved_and_held_at_the_ends():
    plant = plant_of(cells=2, spread=Spread(capacity=0.1))
    found = driven(plant, DRIVE, soc=0.7)
    counted = 0.7 - DRIVE.sum() / 3600.0 / (CELL.capacity_Ah * plant._factors.capacity)
    assert found[-1].soc == pytest.approx(counted, abs=1e-12)
    assert not plant.said
    truth = driven(plant, np.full(300, 10.0), soc=0.05)[-1]
    assert (truth.soc == 0.0).all()
    assert finite(truth)
    ((_, sentence),) = plant.said
    assert "empty" in sentence
    driven(plant, np.full(300, -10.0), soc=0.95)
    assert ["full" in sentence for _, sentence in plant.said] == [True]


def stepped(current_A=10.0, **given):
    """The first step from rest, healthy and wrong: plants, truths."""
    pairs = []
    for actuators in (Actuators.healthy(1), wrong(**given)):
        plant = plant_of()
        plant.reset(0.6, 310.0)
        pairs.append(plant.step(Command(current_A, 310.0), actuators))
    return pairs


def test_resistance_that_grows_takes_voltage_and_makes_heat():
    heat = MeasuredHeat(CELL)
    R = float(heat.resistance_Ohm(0.6, 310.0))
    healthy, aged = stepped(resistance=1.5)
    assert healthy.voltage_V - aged.voltage_V == pytest.approx(0.5 * R * 10.0, rel=1e-12)
    assert aged.heat_W - healthy.heat_W == pytest.approx(0.5 * R * 100.0, rel=1e-9)


def test_a_contact_takes_voltage_and_leaves_no_heat_in_the_cell():
    healthy, bad = stepped(contact_Ohm=0.003)
    assert healthy.voltage_V - bad.voltage_V == pytest.approx(0.03, rel=1e-12)
    assert bad.heat_W == healthy.heat_W
    assert bad.core_K == healthy.core_K


def test_a_short_heats_the_cell_and_takes_its_charge():
    E = float(np.interp(0.6, MeasuredHeat(CELL).soc, MeasuredHeat(CELL).open_circuit_V))
    healthy, shorted = stepped(current_A=0.0, short_W=2.0)
    assert healthy.heat_W == 0.0
    assert shorted.heat_W == pytest.approx(2.0, rel=1e-12)
    assert shorted.current_A == 0.0
    assert healthy.soc - shorted.soc == pytest.approx(2.0 / E / 3600.0 / CELL.capacity_Ah, rel=1e-9)
    R = float(MeasuredHeat(CELL).resistance_Ohm(0.6, 310.0))
    assert healthy.voltage_V - shorted.voltage_V == pytest.approx(2.0 / E * R, rel=1e-9)
    # under a current its drop is the cell's too: what the chemistry gives is what leaves, and the heat
    healthy, shorted = stepped(short_W=2.0)
    assert shorted.heat_W - healthy.heat_W == pytest.approx(2.0 + 10.0 * 2.0 / E * R, rel=1e-9)


def test_an_empty_cell_has_nothing_left_to_short():
    truth = driven(plant_of(), np.zeros(3000), soc=0.002, actuators=wrong(short_W=50.0))[-1]
    assert truth.soc == 0.0
    assert truth.heat_W == 0.0


def test_a_pump_that_is_off_leaves_all_heat_inside():
    plant = plant_of()
    found = driven(plant, np.full(200, 10.0), cooling=1.0, ambient_K=270.0, actuators=wrong(cooling=0.0))
    assert (plant.cooled_J == 0.0).all()
    assert plant.heated_J == pytest.approx(CELL.heat_capacity_J_K * (found[-1].mean_K - ROOM_K), rel=1e-9)
    # the same by command, and a factor by either is the same factor
    for one, other in ((0.0, 1.0), (0.4, 0.5)):
        by_command = driven(plant_of(), DRIVE, cooling=one * other, ambient_K=270.0)[-1]
        by_fault = driven(plant_of(), DRIVE, cooling=other, ambient_K=270.0, actuators=wrong(cooling=one))[-1]
        assert by_command.core_K == pytest.approx(by_fault.core_K, abs=1e-12)


def test_a_warmer_inlet_is_a_warmer_coolant():
    shifted = driven(plant_of(), DRIVE, ambient_K=280.0, actuators=wrong(inlet_K=7.0))[-1]
    told = driven(plant_of(), DRIVE, ambient_K=287.0)[-1]
    assert shifted.core_K == told.core_K
    assert shifted.ambient_K == told.ambient_K == 287.0


@pytest.mark.parametrize(("cell", "thermal"), [(CELL, None), (SLAB, None), (CELL, "r-z")], ids=lambda v: str(v)[:12])
def test_a_cell_of_a_module_is_that_cell_alone_bit_for_bit(cell, thermal):
    spec = PlantSpec(cells=5, thermal=thermal)
    factors = Factors.draw(spec.spread, 5, 7)
    many = driven(ConductionPlant(cell, spec, factors, 1.0, ["surface"]), DRIVE[:60], ambient_K=280.0)
    for i in (0, 3):
        alone = driven(ConductionPlant(cell, spec, factors.of(i), 1.0, ["surface"]), DRIVE[:60], ambient_K=280.0)
        for a, b in zip(many, alone, strict=True):
            for name in ("voltage_V", "soc", "core_K", "mean_K", "surfaces_K", "heat_W"):
                assert getattr(a, name)[i].tobytes() == getattr(b, name)[0].tobytes()


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_cells():
    def run(seed):
        plant = plant_of(cells=4, seed=seed, spread=Spread())
        return plant.digest, driven(plant, DRIVE[:50])[-1].core_K.tobytes()

    assert run(3) == run(3)
    assert run(3)[0] != run(4)[0]
    assert run(3)[1] != run(4)[1]


def test_the_spread_has_the_moments_that_it_says():
    sigma, n = 0.2, 20_000
    factors = Factors.draw(Spread(capacity=sigma, resistance=0.0), n, 5)
    # of n log-normal numbers the mean is off by sigma/sqrt(n), the deviation by some sigma/sqrt(2n): four times that
    assert factors.capacity.mean() == pytest.approx(1.0, abs=4 * sigma / np.sqrt(n))
    assert factors.capacity.std() == pytest.approx(sigma, rel=4 * 1.3 / np.sqrt(2 * n))
    assert (factors.resistance == 1.0).all()
    other = Factors.draw(Spread(capacity=sigma, resistance=0.1), n, 5)
    assert (other.capacity == factors.capacity).all()
    assert (Factors.draw(Spread(), 3, 5).conductivity == Factors.draw(Spread(), 9, 5).conductivity[:3]).all()


def test_fewer_states_say_nearly_the_same():
    whole, few = (driven(plant_of(order=order), DRIVE, ambient_K=285.0)[-1] for order in (None, 12))
    assert few.core_K == pytest.approx(whole.core_K, abs=2e-3)


def test_sensors_sit_at_their_faces():
    plant = plant_of(SLAB.with_values({"Heat transfer coefficient [W.m-2.K-1]": {"back": 0.0, "front": 400.0}}),
                     sensors=("surface_front", "surface_back"))  # fmt: skip
    truth = driven(plant, np.zeros(30), ambient_K=280.0)[-1]
    front, back = truth.surfaces_K[0]
    assert 280.0 < front < back
    assert plant.places == ("surface_front", "surface_back")


EDGE = st.floats(-1e5, 1e5, allow_nan=False)
ANY = st.one_of(EDGE, st.sampled_from([np.nan, np.inf, -np.inf]))


@pytest.fixture(scope="module")
def pair():
    return plant_of(cells=2, spread=Spread())


@settings(max_examples=60)
@given(st.lists(st.tuples(ANY, ANY, ANY, ANY, ANY, ANY), min_size=1, max_size=8), st.floats(0, 1), st.floats(200, 400))
def test_it_never_says_what_is_no_number(pair, steps, soc, start_K):
    assert finite(pair.reset(soc, start_K))
    for current, ambient, cooling, growth, contact, short in steps:
        actuators = wrong(2, cooling=cooling, inlet_K=ambient, resistance=growth, contact_Ohm=contact, short_W=short)
        truth = pair.step(Command(current, ambient, cooling), actuators)
        assert finite(truth)
        assert (truth.soc >= 0).all() and (truth.soc <= 1).all()


@settings(max_examples=20)
@given(st.one_of(st.just(0.0), st.floats(1e-6, 1e5)), st.floats(0.1, 100.0))
def test_any_constant_cooling_is_stable(h, step_s):
    # a triangle hold leaves a passive system passive: however hard it is cooled, nothing grows
    plant = plant_of(h_W_m2K=h, step_s=step_s)
    truth = driven(plant, np.zeros(300), start_K=330.0, ambient_K=290.0)[-1]
    assert 289.0 < truth.mean_K[0] < 330.1


def test_what_cannot_be_is_refused_with_a_reason():
    for bad in ({"cells": 0}, {"model": "magic"}, {"order": 1}, {"spread": {"capacity": 2.0}}, {"colour": 1}):
        with pytest.raises(ValidationError):
            PlantSpec(**bad)
    with pytest.raises(InputError, match="cells"):
        plant_of(model="full", cells=2)
    with pytest.raises(InputError, match="file"):
        plant_of(file="some.npz")
    with pytest.raises(InputError, match="start_K"):
        plant_of().reset(0.5, 25.0)
    with pytest.raises(InputError, match="SOC"):
        plant_of().reset(50.0, 298.15)

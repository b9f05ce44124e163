"""Plants by electrochemistry, reduced and full: the models' own answers, energy, actuators, where physics ends."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from hil_plants import ROOM_K, SAME, driven, finite, wrong
from reduced_cells import reduced_cell

from bmsthermal import CoupledModel, InputError, Run, load_cell
from hil.plant import PlantSpec, Spread, build_plant
from hil.plant.coupled import CoupledPlant
from hil.plant.spec import Factors
from hil.signals import Command

pytest.importorskip("bmsthermal._cell", reason="the compiled kernel is not installed")
CELL = load_cell("lgm50_21700")
DRIVE = 6.0 * np.sin(np.arange(120) / 15.0) + 3.0


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("reduced") / "cell.npz"
    reduced_cell().save(path)
    return path


def plant_of(file, *, spread=SAME, step_s=1.0, seed=1, **given):
    spec = PlantSpec(model="coupled", file=file, spread=spread, **given)
    return build_plant(CELL, spec, step_s=step_s, sensors=["surface"], seed=seed)


def full_plant(spread=SAME, **given):
    return build_plant(
        CELL, PlantSpec(model="full", spread=spread, **given), step_s=1.0, sensors=["surface"], seed=1
    )  # fmt: skip


def run_of(current_A, ambient_K=ROOM_K):
    k = len(current_A)
    return Run(np.arange(k + 1.0), np.append(current_A, 0.0), np.full(k + 1, np.nan), np.full(k + 1, ambient_K))


def test_healthy_and_without_spread_it_is_the_reduced_model_to_the_last_bit(file):
    reduced = reduced_cell().with_h(CELL.h_W_m2K)
    told = reduced.simulate(run_of(DRIVE, 290.0), initial_soc=0.6, start_K=ROOM_K)
    found = driven(plant_of(file), DRIVE, ambient_K=290.0)
    assert ([t.voltage_V[0] for t in found[1:]] == told.voltage_V[:-1]).all()
    assert ([t.heat_W[0] for t in found[1:]] == told.heat_W[:-1]).all()
    # temperatures are read of the same states, summed here and in the kernel
    assert np.abs([t.core_K[0] for t in found] - told.core_K).max() < 1e-9
    assert [t.soc[0] for t in found] == pytest.approx(told.soc, abs=1e-12)


def test_energy_closes_while_the_cooling_changes(file):
    cooling = np.abs(np.sin(np.arange(120) / 7.0)) * (np.arange(120) % 50 > 10)
    plant = plant_of(file, cells=3, spread=Spread())
    truth = driven(plant, DRIVE, cooling=cooling, ambient_K=280.0, actuators=wrong(3, short_W=0.5, resistance=1.3))[-1]
    capacity = np.array([one.factors.heat_capacity[0] for one in plant._each]) * CELL.heat_capacity_J_K
    balance = plant.heated_J - plant.cooled_J - capacity * (truth.mean_K - ROOM_K)
    assert np.abs(balance).max() < 1e-6  # of some 100 J: rounding
    assert plant.cooled_J.min() > 1.0


def test_cooling_that_changes_back_and_forth_leaves_no_trace_where_nothing_flows(file):
    still = driven(plant_of(file), DRIVE, cooling=0.0, ambient_K=270.0)[-1]
    blocked = driven(plant_of(file), DRIVE, ambient_K=270.0, actuators=wrong(cooling=0.0))[-1]
    assert still.core_K == blocked.core_K


def test_a_contact_and_a_resistance(file):
    healthy, contact, grown = (
        driven(plant_of(file), np.full(20, 5.0), actuators=wrong(**given))
        for given in ({}, {"contact_Ohm": 0.002}, {"resistance": 1.5})
    )
    assert [h.voltage_V[0] - c.voltage_V[0] for h, c in zip(healthy[1:], contact[1:], strict=True)] == pytest.approx(
        [0.01] * 20, rel=1e-9
    )
    assert contact[-1].core_K == healthy[-1].core_K
    more = 0.5 * plant_of(file)._each[0].resistance_Ohm
    assert healthy[1].voltage_V - grown[1].voltage_V == pytest.approx(5.0 * more, rel=1e-6)
    assert grown[1].heat_W - healthy[1].heat_W == pytest.approx(25.0 * more, rel=1e-6)


def test_a_short_at_rest_warms_as_its_watts_do(file):
    plant = plant_of(file)
    truth = driven(plant, np.zeros(100), cooling=0.0, actuators=wrong(short_W=2.0))[-1]
    # its current of half an ampere has heat of its own in the cell, a few parts in a hundred
    assert plant.heated_J == pytest.approx(200.0, rel=0.1)
    assert truth.soc == pytest.approx(0.6 - 200.0 / 3.75 / 3600 / plant._stops.capacity_Ah, abs=2e-4)
    assert truth.current_A == 0.0


def test_an_empty_cell_carries_no_more_current_and_says_so(file):
    plant = plant_of(file)
    found = driven(plant, np.full(400, 20.0), soc=0.1)
    assert all(map(finite, found))
    assert found[-1].current_A == 0.0
    assert found[-1].soc == 0.0
    assert any("empty" in sentence for _, sentence in plant.said)


def test_a_cell_of_a_module_is_that_cell_alone_bit_for_bit(file):
    spec = PlantSpec(model="coupled", file=file, cells=3)
    factors = Factors.draw(spec.spread, 3, 7)
    many = driven(CoupledPlant(CELL, spec, factors, 1.0, ["surface"]), DRIVE[:40], ambient_K=280.0)
    alone = driven(CoupledPlant(CELL, spec, factors.of(1), 1.0, ["surface"]), DRIVE[:40], ambient_K=280.0)
    for a, b in zip(many, alone, strict=True):
        for name in ("voltage_V", "soc", "core_K", "mean_K", "surfaces_K", "heat_W"):
            assert getattr(a, name)[1].tobytes() == getattr(b, name)[0].tobytes()


NUMBER = st.one_of(st.floats(-1e4, 1e4), st.just(np.nan))


@settings(max_examples=30)
@given(steps=st.lists(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), min_size=1, max_size=6), soc=st.floats(0, 1))
def test_it_never_says_what_is_no_number(file, steps, soc):
    plant = plant_of(file)
    assert finite(plant.reset(soc, 280.0))
    for current, ambient, cooling, more in steps:
        assert finite(plant.step(Command(current, ambient, cooling), wrong(short_W=more, resistance=more)))


def test_another_cell_s_file_is_refused(file):
    with pytest.raises(InputError, match="lgm50_21700"):
        build_plant(
            load_cell("a123_26650"), PlantSpec(model="coupled", file=file), step_s=1.0, sensors=["surface"], seed=1
        )  # fmt: skip


def test_the_full_model_step_by_step_is_its_own_run():
    current = np.concatenate([np.full(20, 5.0), np.full(20, -4.0), np.zeros(10)])
    told = CoupledModel(CELL).simulate(run_of(current, 290.0), initial_soc=0.6, start_K=ROOM_K)
    plant = full_plant()
    found = driven(plant, current, ambient_K=290.0)
    # both keep the solver's tolerance of 1e-5 by steps of their own
    assert np.abs([t.core_K[0] for t in found] - told.core_K).max() < 1e-3
    assert [t.soc[0] for t in found] == pytest.approx(told.soc, abs=1e-9)
    stored = plant._capacity_J_K * (found[-1].mean_K[0] - ROOM_K)
    assert plant.heated_J[0] - plant.cooled_J[0] == pytest.approx(stored, abs=1e-6)


def test_the_full_model_with_actuators_keeps_its_energy_and_its_limits():
    plant = full_plant(Spread())
    cooling = np.where(np.arange(15) % 4, 1.0, 0.2)
    actuators = wrong(short_W=2.0, resistance=1.5, contact_Ohm=0.01)
    truth = driven(plant, np.full(15, 5.0), cooling=cooling, ambient_K=280.0, actuators=actuators)[-1]
    stored = plant._capacity_J_K * (truth.mean_K[0] - ROOM_K)
    assert plant.heated_J[0] - plant.cooled_J[0] == pytest.approx(stored, abs=1e-6)
    assert not plant.said
    found = driven(plant, np.full(120, 40.0), soc=0.05)
    assert all(map(finite, found))
    assert plant.said


@pytest.mark.skipif(not os.environ.get("BMSTHERMAL_FULL"), reason="a whole sweep: set BMSTHERMAL_FULL=1")
def test_a_reduced_cell_is_made_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("BMSTHERMAL_CACHE", str(tmp_path))
    spec = PlantSpec(model="coupled", spread=SAME)
    first = build_plant(CELL, spec, step_s=1.0, sensors=["surface"], seed=1)
    (made,) = tmp_path.glob("plant-*.npz")
    before = made.stat().st_mtime_ns
    assert build_plant(CELL, spec, step_s=1.0, sensors=["surface"], seed=1).digest == first.digest
    assert made.stat().st_mtime_ns == before

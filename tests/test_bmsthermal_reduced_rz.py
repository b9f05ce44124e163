"""The reduced cell in r and z: three walls, each cooled by its own coefficient."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Mesh, Observer, ParticleGrid, Range, load_cell
from bmsthermal.protocol import parse_steps
from bmsthermal.reduced import training
from bmsthermal.reduced.build import LARGEST, SMALLEST, Ingredients, Sizes, ends
from bmsthermal.reduced.judge import judge
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.sweep import sweep
from bmsthermal.reduced.training import Case
from bmsthermal.reduced_commands import simulate
from bmsthermal.simulating import Drive

pytest.importorskip("bmsthermal._cell", reason="the compiled kernel is missing")
sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import ROOM_K, amperes, drive, filling, reduced_cell, through

from bmsthermal.reduced.twin import Twin

MESH = Mesh(8, 3, 4, ParticleGrid(6), ParticleGrid(6))
COOLING = {"side": 40.0, "bottom": 400.0, "top": 5.0}
INSULATED_ENDS = {"side": 60.0, "bottom": 0.0, "top": 0.0}
KEY = "Heat transfer coefficient [W.m-2.K-1]"
CASES = (
    Case("2C", 25.0, 60.0, 2.0, 1.0, 400.0),
    Case("us06", 25.0, 60.0, 1.5, 0.7, 180.0),
    Case("udds", 15.0, 20.0, 1.5, 0.6, 180.0),
)


def full_model(h: object = 60.0, name: str = "lgm50_21700", thermal: str | None = "r-z") -> CoupledModel:
    return CoupledModel(load_cell(name).with_values({KEY: h}), thermal=thermal, mesh=MESH)


def tall(thermal: int = 5) -> ReducedCell:
    return reduced_cell(rz=True, thermal=thermal)


@cache
def traces(folder: Path):
    return sweep(full_model(), CASES, workers=1, cache=folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[ReducedCell, tuple]:
    """A reduced cell of 18 states, and the runs it is from and judged by."""
    found = traces(tmp_path_factory.mktemp("runs"))
    return Ingredients(full_model(), found[:2], 1.0).build(Sizes(5, 2, (4, 1), (4, 1))), found


def test_kernel_and_twin_agree_with_three_walls(us06):
    # coolants differ at every wall, so that none stands for another
    reduced = tall().with_h(COOLING)
    coolant_K, current = ROOM_K + np.array([5.0, -20.0, 9.0]), drive(us06, reduced)
    out, _, _ = through(reduced, current, coolant_K=coolant_K)
    twin = Twin(reduced)
    _, found = twin.run(twin.rest(filling(reduced, 0.7), ROOM_K), current, coolant_K)
    np.testing.assert_allclose(out[:, 7:12], found.temperature_K, rtol=0, atol=1e-9)
    np.testing.assert_allclose(out[:, 0], found.voltage_V, rtol=0, atol=1e-9)
    assert np.ptp(out[:, 7]) > 1 and (out[-1, 11] - out[-1, 10]) > 1  # the bottom is the cold one
    single, _, _ = through(reduced, current, coolant_K=coolant_K, dtype=np.float32)
    assert np.abs(single - out)[:, 7:12].max() < 1e-3  # 600 steps of half an ulp of 300 K


def test_steady_gains_are_those_of_r_z_at_every_cooling():
    full = full_model()
    field, system = full.equations.field, full.system
    reduced = full.reduce_conduction(4)
    for h, allowed in ((dict.fromkeys(COOLING, 10.0), 1e-4), (dict.fromkeys(COOLING, 60.0), 2e-3), (COOLING, 0.015)):
        g, outside = np.array(list(h.values())) * reduced.areas_m2, np.array([3.0, -2.0, 1.0])
        np.testing.assert_allclose(reduced.with_h(h).conductance_W_K, g, rtol=1e-12)
        found = reduced.modal.C @ reduced.modal.steady(g, [2.0], outside)
        # four states hold the constant and what goes from the heat and each wall to another: exact but for rounding
        np.testing.assert_allclose(found, system.C @ system.steady(g, [2.0], outside), rtol=1e-9)
        # what one flow a wall leaves against a film at every node: see the table of ConductionField.system
        heated = reduced.modal.C @ reduced.modal.steady(g, [1.0], np.zeros(3))
        exact = field.C @ field.steady(list(h.values()), 1.0, 0.0)
        assert np.abs(heated[:2] / exact[:2] - 1).max() < allowed


def test_insulated_ends_leave_a_radial_cell():
    # with nothing through the ends the heights are alike, and the axial conductivity has no say
    current = np.full(600, amperes(reduced_cell(), 2.0))
    flat = reduced_cell(thermal=5)
    (radial, _, _), (out, _, _) = (through(model, current) for model in (flat, tall().with_h(INSULATED_ENDS)))
    # 12 intervals along the radius against 200: the error of second order is below 0.1 % of a rise of 14 K
    np.testing.assert_allclose(out[:, 7:10], radial[:, 7:10], rtol=0, atol=0.01)
    np.testing.assert_allclose(out[:, 10], out[:, 11], rtol=0, atol=1e-9)  # the ends are alike
    assert radial[-1, 7] - ROOM_K > 10


@pytest.mark.parametrize("h", [0.0, 60.0, COOLING])
def test_energy_closes(h):
    reduced = tall(6).with_h(h)
    run = reduced.simulate("discharge at 2 C for 600 s; rest 5min", initial_soc=0.9, ambient_K=ROOM_K)
    assert not run.stopped and abs(run.energy_residual) < 1e-9
    assert list(run.surfaces_K) == ["surface side", "surface bottom", "surface top"]
    if h == 0.0:
        assert run.totals["cooling_J"] == 0.0
    elif h is COOLING:
        assert run.surfaces_K["surface bottom"][-1] < run.surfaces_K["surface top"][-1] - 0.5
    poles = reduced.thermal.step.poles(reduced.thermal.conductance_W_K)
    assert (np.sum(poles == 1.0) == 1) == (h == 0.0) and poles.max() <= 1.0


def test_core_stays_near_the_full_model(built):
    reduced, found = built
    for trace in found:
        error = judge(reduced, trace)
        assert error.scored and error.energy < 1e-9
        # 1 % of the rise: heat of 18 states 0.4 %, one flow a wall 0.2 % at h 60 and three times that at the ends
        assert error.core_K < 0.01 * error.rise_K and error.surface_K < 0.01 * error.rise_K
        assert error.voltage_rms_V < 0.004


def test_ends_that_are_cooled_otherwise_need_no_other_reduction(built):
    reduced, _ = built
    step = "discharge at 2 C for 400 s"
    for h in (INSULATED_ENDS, COOLING):
        full = full_model(h).simulate(step, initial_soc=0.9, ambient_K=ROOM_K)
        run = reduced.with_h(h).simulate(step, initial_soc=0.9, ambient_K=ROOM_K)
        # one flow a wall costs 1.3 % of the steady rise where the ends differ as here, and this is 400 s
        assert np.abs(run.core_K - full.core_K).max() < 0.012 * np.ptp(full.core_K)
        assert np.abs(run.mean_K - full.mean_K).max() < 0.012 * np.ptp(full.core_K)


def test_reduced_by_a_call_with_a_certificate_and_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "TRAINING_S", 180.0)
    monkeypatch.setattr(training, "CHECK_S", dict.fromkeys(training.CHECK_S, 180.0))
    full, narrow = full_model(), Range(ambient_degC=(25.0, 25.0), h=(60.0, 60.0), c_rate=(2.0, 2.0))
    assert ends(full) == (replace(SMALLEST, thermal=5), replace(LARGEST, thermal=6)) and ends(full)[1].fits
    with pytest.raises(InputError, match=f"a whole number from {SMALLEST.states + 2} to {LARGEST.states + 1}"):
        full.reduce(order=SMALLEST.states, range=narrow)
    reduced = full.reduce(order=15, range=narrow, workers=1, cache=tmp_path)
    assert reduced.order == 15 and reduced.thermal.order >= 5 and reduced.thermal.walls == ("side", "bottom", "top")
    certificate = reduced.certificate
    assert certificate.conserved == certificate.poles_at_one == 2 and certificate.dc < 1e-9
    assert certificate.frequency.core_error().max() < 0.02  # of the largest response
    place = tmp_path / "cell.npz"
    reduced.save(place)
    again = ReducedCell.load(place)
    assert again.digest == reduced.digest and again.thermal.resolution == "r-z"
    runs = [model.with_h(COOLING).simulate("discharge at 1 C for 60 s", initial_soc=0.8) for model in (reduced, again)]
    assert runs[0].core_K.tobytes() == runs[1].core_K.tobytes()


def test_the_full_model_beside_it_is_r_z_too(built):
    drive = Drive(parse_steps("discharge 2C for 30s", 5.0))
    asked = {"initial_soc": 0.9, "start_K": None, "ambient_K": ROOM_K, "hottest_K": np.inf}
    run, full = simulate(built[0].with_h(COOLING), drive, **asked, compare=True)
    assert list(run.surfaces_K) == list(full.surfaces_K) and len(run.surfaces_K) == 3


def test_conduction_of_r_z_runs_in_an_observer_only(us06):
    conduction = tall().thermal
    with pytest.raises(InputError, match="a run of r-z conduction alone, expected radial or slab"):
        conduction.simulate(us06)
    assert "measures surface" in repr(Observer(conduction))
    for end, read in ((0, 0), (-1, 2)):  # at middle height, from the core to the side
        np.testing.assert_allclose(conduction.point(float(conduction.position_m[end])), conduction.outputs[read])


def test_a_file_may_name_the_ends_of_a_cylinder():
    cell = load_cell("lgm50_21700").with_values({KEY: COOLING})
    assert cell.h_W_m2K == COOLING and next(iter(cell.h_W_m2K)) == "side" and cell.walls == ("side",)
    eq = full_model(COOLING).equations
    np.testing.assert_allclose(eq.conductance_W_K / eq.field.wall_area_m2, list(COOLING.values()), rtol=1e-12)
    np.testing.assert_allclose([cell.area_m2(w) for w in COOLING], eq.field.wall_area_m2, rtol=1e-12)
    side, bottom = (full_model({**COOLING, **more}, thermal=None).equations for more in ({}, {"bottom": 1.0}))
    assert side.conductance_W_K == bottom.conductance_W_K  # a radial cell has no ends
    for faces in ({"bottom": 1.0}, {"side": 1.0, "lid": 1.0}):
        with pytest.raises(InputError, match="perhaps bottom and top"):
            cell.with_values({KEY: faces})

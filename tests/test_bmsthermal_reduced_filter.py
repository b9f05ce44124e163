"""The observer on the reduced coupled model: it forgets a wrong start, knows what it does not see, repeats itself."""

from __future__ import annotations

import copy
import pickle
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, ROOM_K, amperes, filling, inputs, reduced_cell

from bmsthermal import Inputs, Observer, Run
from bmsthermal.belief import Belief
from bmsthermal.errors import InputError
from bmsthermal.noise import Noise
from bmsthermal.reduced.differences import Differences
from bmsthermal.reduced.filter import CoupledNoise
from bmsthermal.reduced.observing import CoupledEstimates, CoupledObserver
from bmsthermal.reduced.twin import places

OHM, SOC = 0.004, 0.7


@cache
def truth(name: str, rows: int = 600, ohm: float = OHM) -> tuple[Run, np.ndarray]:
    """Jumps of up to 2C through a reduced cell of more resistance; sensors without noise; and its charge."""
    reduced = reduced_cell(name).aged(resistance_Ohm=ohm)
    current = amperes(reduced, 2.0) * np.repeat(np.random.default_rng(1).uniform(-0.5, 1.0, rows // 20 + 1), 20)[:rows]
    kernel = reduced.kernel()
    kernel.rest(filling(reduced, SOC), ROOM_K)
    out, past = np.empty((rows, kernel.out_size)), np.empty((rows, kernel.state_size))
    assert kernel.run(inputs(reduced, current), out, past)
    empty, full = filling(reduced, 0.0), filling(reduced, 1.0)
    surface = dict(zip(sensors(name), out[:, 9:].T, strict=False))
    run = Run(np.arange(float(rows)), current, out[:, 0], np.full(rows, ROOM_K), surface, out[:, 7])
    return run, (past[:, 0] - empty) / (full - empty)


def sensors(name: str) -> list[str]:
    return ["surface"] if name == CELLS[0] else ["surface_back", "surface_front"]


def noisy(run: Run, seed: int = 0) -> Run:
    noise = np.random.default_rng(seed)
    surfaces = {key: value + 0.05 * noise.standard_normal(value.shape) for key, value in run.surfaces_K.items()}
    return replace(
        run, voltage_V=run.voltage_V + 0.002 * noise.standard_normal(run.voltage_V.shape), surfaces_K=surfaces
    )


def observer(name: str = CELLS[0], **noise: float) -> CoupledObserver:
    reduced = reduced_cell(name)
    made = Observer(reduced, sensors(name), noise=replace(CoupledNoise.of(reduced.cell), **noise) if noise else None)
    assert isinstance(made, CoupledObserver)
    return made


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_wrong_start_is_forgotten(name, sign):
    run, soc = truth(name)
    found = observer(name).run(noisy(run), initial_soc=SOC + 0.1 * sign, start_K=ROOM_K + 10.0 * sign)
    late = found.time_s >= 300
    assert abs(found.core_K[0] - run.core_K[0]) > 9 and abs(found.soc[0] - soc[0]) > 0.09
    assert np.sqrt(np.mean((found.core_K - run.core_K)[late] ** 2)) < 0.1
    assert np.abs(found.soc - soc)[late].max() < 0.03
    # errors are those that it expects
    assert np.mean(np.abs(found.soc - soc)[late] < 2 * found.soc_std[late]) > 0.9
    assert np.mean(np.abs(found.core_K - run.core_K)[late] < 2 * found.core_std_K[late]) > 0.9
    assert abs(found.resistance_Ohm[-1] - OHM) < 2 * found.resistance_std_Ohm[-1] < found.resistance_std_Ohm[0]


def test_a_model_that_is_right_and_starts_right_stays_right():
    run, soc = truth(CELLS[0], ohm=0.0)
    found = observer().run(run, initial_soc=SOC, start_K=ROOM_K)
    # every innovation is rounding, and what 1e-9 K of it leaves
    np.testing.assert_allclose(found.core_K, run.core_K, atol=1e-7)
    np.testing.assert_allclose(found.soc, soc, atol=1e-9)
    np.testing.assert_allclose(found.resistance_Ohm, 0.0, atol=1e-9)
    assert np.nanmax(np.abs(found.voltage_innovation_V)) < 1e-8


@pytest.mark.parametrize("name", CELLS)
def test_a_resistance_as_a_state_is_that_of_the_kernel(name):
    run, _ = truth(name)
    made = observer(name)
    cell = Differences(made.coupled)
    x, P = made.filter.start(cell, made.start(ROOM_K, SOC).x[made.filter.first : -2], np.eye(3), SOC)
    x[-2] = OHM
    kernel = reduced_cell(name).aged(resistance_Ohm=OHM).kernel()
    kernel.rest(filling(reduced_cell(name), SOC), ROOM_K)
    out, nothing = np.empty((1, kernel.out_size)), np.full(len(made.measured), np.nan)
    around = np.full(len(made.coupled.thermal.walls), ROOM_K)
    for i, row in enumerate(inputs(reduced_cell(name), run.current_A[:60])):
        assert kernel.run(row[None], out)
        x, P, heat, _ = made.filter.step(cell, x, P, row[0], np.nan, around, nothing)
        np.testing.assert_allclose(heat, out[0, 1], rtol=1e-9)
        np.testing.assert_allclose(out[0, 0], run.voltage_V[i], rtol=1e-12)
    np.testing.assert_allclose(x[:-2], np.frombuffer(kernel.state)[places(made.coupled)], rtol=1e-9, atol=1e-11)


def test_what_is_not_there_is_not_used():
    run, soc = truth(CELLS[0])
    made = observer()
    voltage, surface = noisy(run).voltage_V.copy(), noisy(run).surfaces_K["surface"].copy()
    voltage[100:200], surface[150:250] = np.nan, np.nan
    found = made.run(replace(run, voltage_V=voltage, surfaces_K={"surface": surface}), initial_soc=0.6)
    # the voltage of row i is used in the step that ends at row i + 1
    assert np.isnan(found.voltage_innovation_V[101:201]).all() and np.isfinite(found.voltage_innovation_V[201:]).all()
    assert np.isnan(found.innovation_K[150:250]).all() and np.isfinite(found.innovation_K[250:]).all()
    np.testing.assert_array_equal(found.sensors[[99, 120, 160, 230, 300]], [2, 1, 0, 1, 2])
    assert found.soc_std[200] > 0.999 * found.soc_std[101]  # surfaces say next to nothing of the charge
    assert (np.diff(found.core_std_K[160:200]) > 0).all()
    assert np.abs(found.soc - soc)[300:].max() < 0.03 and np.abs(found.core_K - run.core_K)[300:].max() < 0.5


def test_a_thermometer_that_is_off_is_put_right():
    run, _ = truth(CELLS[0], 60)
    made = Observer(reduced_cell(), ambient_offset_K=2.0)
    off = replace(noisy(run), ambient_K=run.ambient_K - 2.0)
    one, two = made.run(off, initial_soc=SOC), observer().run(noisy(run), initial_soc=SOC)
    np.testing.assert_allclose(one.core_K, two.core_K, atol=1e-9)
    belief = made.rest(made.start(ROOM_K, SOC), 600.0, ROOM_K - 2.0)
    np.testing.assert_allclose(belief.x[made.filter.first], ROOM_K - made.filter.reference_K, atol=1e-9)


def test_what_is_absurd_is_absent():
    run, _ = truth(CELLS[0], 60)
    voltage, absurd = run.voltage_V.copy(), run.voltage_V.copy()
    voltage[20:30], absurd[20:30] = np.nan, 1e9
    one, two = (observer().run(replace(run, voltage_V=each), initial_soc=SOC) for each in (voltage, absurd))
    assert one.rows.tobytes() == two.rows.tobytes()


def test_without_a_current_it_waits_and_is_less_sure():
    run, _ = truth(CELLS[0])
    current = run.current_A.copy()
    current[300:330] = np.nan
    found = observer().run(replace(noisy(run), current_A=current), initial_soc=SOC)
    # a sample of the current stands for three steps
    assert np.ptp(found.soc[303:330]) < 1e-3 and found.soc_std[330] > found.soc_std[300]
    assert np.isnan(found.voltage_innovation_V[301:331]).all()


def test_charge_and_resistance_are_written(tmp_path):
    run, _ = truth(CELLS[0], 60)
    found = observer().run(noisy(run), initial_soc=0.6, start_K=290.0)
    found.to_csv(tmp_path / "found.csv")
    rows = np.genfromtxt(tmp_path / "found.csv", delimiter=",", names=True)
    np.testing.assert_allclose(rows["soc"], found.soc, rtol=1e-5)  # six digits
    np.testing.assert_allclose(rows["resistance_std_Ohm"], found.resistance_std_Ohm, rtol=1e-5)


def test_the_same_run_gives_the_same_bytes_and_step_is_run():
    run, _ = truth(CELLS[0], 60)
    one, two = (observer().run(noisy(run), initial_soc=0.6, start_K=290.0) for _ in range(2))
    assert isinstance(one, CoupledEstimates) and one.rows.tobytes() == two.rows.tobytes()
    made, given = observer(), noisy(run)
    belief = made.start(290.0, 0.6)
    for i in range(59):
        row = Inputs(float(given.current_A[i]), float(given.voltage_V[i]), ROOM_K)
        belief, estimate = made.step(belief, row, [given.surfaces_K["surface"][i + 1]])
    assert belief.row.tobytes() == one.rows[-1].tobytes() == one.belief().row.tobytes()
    assert estimate.core_K == one.core_K[-1] and estimate.sensors == 2
    assert belief.soc == one.soc[-1] and belief.P.shape == (made.filter.n + 2,) * 2


def test_observers_can_be_copied_and_sent():
    made = observer()
    for each in (made, Observer(made.reduced)):
        for other in (copy.deepcopy(each), pickle.loads(pickle.dumps(each))):
            assert type(other) is type(each)
            assert other.start(ROOM_K, 0.5).row.tobytes() == each.start(ROOM_K, 0.5).row.tobytes()


def test_the_covariance_stays_one():
    run, _ = truth(CELLS[0])
    found = observer().run(noisy(run), initial_soc=0.6, start_K=ROOM_K + 10)
    for i in (1, 10, 100, 599):
        P = found.belief(i).P
        # salt and modes have no noise but the current's: their share is small, never negative beyond rounding
        scale = np.sqrt(np.maximum(np.diag(P), 1e-300))
        assert np.linalg.eigvalsh(P / np.outer(scale, scale)).min() > -1e-7


def test_a_first_voltage_says_the_charge():
    run, _ = truth(CELLS[0], 60)
    found = observer().run(run)
    assert abs(found.soc[0] - SOC) < 0.02 and "initial SOC" in found.notes[0]
    with pytest.raises(InputError, match="first row"):
        observer().run(replace(run, voltage_V=np.full(60, np.nan)))


def test_rest_keeps_the_charge_and_ends_at_the_ambient():
    made = observer()
    belief = made.rest(made.start(ROOM_K + 20, 0.5), 7200.0, ROOM_K)
    assert abs(belief.soc - 0.5) < 1e-9
    np.testing.assert_allclose(belief.x[made.filter.first], ROOM_K - made.filter.reference_K, atol=1e-2)
    assert belief.P[-1, -1] == pytest.approx(made.filter.noise.model_V**2)  # it has forgotten what it was off by


def test_a_file_of_a_reduced_cell_is_observed(tmp_path):
    reduced_cell().save(tmp_path / "cell.npz")
    run, _ = truth(CELLS[0], 60)
    found = Observer.of(tmp_path / "cell.npz", heat="dfn").run(noisy(run), initial_soc=0.6, start_K=290.0)
    assert isinstance(found, CoupledEstimates)
    assert found.rows.tobytes() == observer().run(noisy(run), initial_soc=0.6, start_K=290.0).rows.tobytes()
    assert [name for name, _ in found.beside()] == ["state of charge", "resistance beside the model's"]
    narrow = Observer.of(reduced_cell(), heat="dfn", real="float").run(noisy(run), initial_soc=0.6, start_K=290.0)
    np.testing.assert_allclose(narrow.core_K, found.core_K, atol=2e-3)
    for wrong in ({"estimate": ["h"]}, {"order": 4}, {"step_s": 1.0}, {"faults": True}):
        with pytest.raises(InputError, match="its own"):
            Observer.of(reduced_cell(), heat="dfn", **wrong)


def test_bad_input_is_said():
    reduced = reduced_cell()
    for wrong, said in (
        ({"engine": "filterpy"}, "filterpy"), ({"noise": Noise()}, "CoupledNoise"),
        ({"measured": []}, "at least one sensor"), ({"measured": [f"surface_{i}" for i in range(8)]}, "8 sensors"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            Observer(reduced, **wrong)
    with pytest.raises(InputError, match="r-z"):
        Observer(reduced_cell(rz=True))
    with pytest.raises(InputError, match="reduced model"):
        Observer(3)
    with pytest.raises(InputError, match="model_V"):
        CoupledNoise(model_V=0.0)
    made = observer()
    belief = made.start(ROOM_K, 0.5)
    with pytest.raises(InputError, match="heat_W"):
        made.step(belief, Inputs(1.0, 3.7, ROOM_K, heat_W=1.0), [ROOM_K])
    with pytest.raises(InputError, match="kelvin"):
        made.step(belief, Inputs(1.0, 3.7, ROOM_K), [25.0])
    with pytest.raises(InputError, match="another observer"):
        made.step(
            Belief(belief.row[:-1], belief.states),
            Inputs(1.0, 3.7, ROOM_K),
            [ROOM_K],
        )
    with pytest.raises(InputError, match="packed_filter"):
        _ = made.packed
    with pytest.raises(InputError, match="2 cells"):
        made.kernel(2)
    with pytest.raises(InputError, match="ekf"):
        made.on_target("float", "ekf")
    with pytest.raises(InputError, match="precision"):
        made.on_target("float").step(belief, Inputs(1.0, 3.7, ROOM_K), [ROOM_K])
    with pytest.raises(InputError, match="seconds"):
        made.rest(belief, -1.0, ROOM_K)
    with pytest.raises(InputError, match="no sensor"):
        made.run(replace(truth(CELLS[0])[0], surfaces_K={}))

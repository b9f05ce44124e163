"""From a full model to a reduced cell and its certificate, all the way: the same bytes whatever the workers."""

from __future__ import annotations

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Mesh, ParticleGrid, Range, load_cell
from bmsthermal.reduced import training
from bmsthermal.reduced.build import LARGEST, SMALLEST
from bmsthermal.reduced.model import ReducedCell

NARROW = Range(ambient_degC=(25, 25), h=(60, 60), c_rate=(2, 2))


@pytest.fixture(scope="module")
def full():
    return CoupledModel(load_cell("lgm50_21700"), mesh=Mesh(6, 3, 4, ParticleGrid(5), ParticleGrid(5)), nodes=8)


@pytest.fixture(scope="module", autouse=True)
def short():
    """Drives of three minutes in place of half an hour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "TRAINING_S", 180.0)
        patch.setattr(training, "CHECK_S", dict.fromkeys(training.CHECK_S, 180.0))
        yield


@pytest.fixture(scope="module")
def made(full, tmp_path_factory):
    """Twelve states, the cache they came from, and what was said on the way."""
    cache, said = tmp_path_factory.mktemp("cache"), []
    model = full.reduce(
        order=12, range=NARROW, workers=2, cache=cache, progress=lambda share, doing: said.append((share, doing))
    )
    return model, cache, said


def test_a_reduction_has_the_order_that_was_asked_for_and_a_certificate_that_holds(full, made):
    model, certificate = made[0], made[0].certificate
    assert model.order == 12 == certificate.trial.states and model.step_s == 1.0
    model.verify()
    certificate.verify()
    assert certificate.digest == full.cell.digest and certificate.range == NARROW
    assert certificate.wanted_core_K is None and certificate.wanted_voltage_V is None and certificate.reached
    assert certificate.conserved == 2 and certificate.poles_at_one == 2
    assert len(certificate.poles) == 12 and max(certificate.poles) <= 1 + 1e-7  # lithium stays, warmth goes
    assert max(certificate.energy, certificate.dc) < 1e-9
    cases = training.check_cases(NARROW)
    assert [error.case for error in certificate.cases] == [case.name for case in cases]
    assert certificate.trial.core_K == max(error.core_K for error in certificate.cases if error.scored) < 1.0
    voltage = certificate.frequency.voltage_error()
    assert np.isfinite(voltage).all() and np.median(voltage) < 0.2


def test_the_answer_is_close_to_the_full_model(full, made):
    run, wanted = (
        model.simulate("discharge at 1 C for 600 s", initial_soc=0.9, ambient_K=298.15, **options)
        for model, options in ((made[0], {}), (full, {"step_s": 1.0}))
    )
    np.testing.assert_allclose(run.core_K, np.interp(run.time_s, wanted.time_s, wanted.core_K), atol=0.2)
    voltage = np.interp(run.time_s, wanted.time_s, wanted.voltage_V)
    np.testing.assert_allclose(run.voltage_V[60:], voltage[60:], atol=0.02)


def test_the_same_question_gives_the_same_bytes_with_one_worker_and_with_two(full, made, tmp_path):
    alone = full.reduce(order=12, range=NARROW, workers=1, cache=tmp_path / "alone")
    made[0].save(tmp_path / "two.npz")
    alone.save(tmp_path / "one.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    back = ReducedCell.load(tmp_path / "one.npz")
    assert back.digest == made[0].digest and back.certificate.to_dict() == made[0].certificate.to_dict()


def test_progress_goes_from_the_full_model_over_reductions_to_the_certificate(made):
    shares = [share for share, _ in made[2]]
    assert shares == sorted(shares) and min(shares) > 0 and max(shares) < 1
    kinds = [doing.split(":")[0] for _, doing in made[2]]
    assert list(dict.fromkeys(kinds)) == ["full model", "reductions", "certificate"]


def test_errors_that_are_asked_for_decide_the_order(full, made):
    easy = full.reduce(core_K=10.0, voltage_V=1.0, range=NARROW, cache=made[1])
    assert (easy.certificate.wanted_core_K, easy.certificate.wanted_voltage_V) == (10.0, 1.0)
    assert easy.certificate.reached and easy.certificate.limit == "" and easy.order <= made[0].order + 4
    hard = full.reduce(voltage_V=1e-6, range=NARROW, cache=made[1])
    assert not hard.certificate.reached and hard.certificate.wanted_core_K == 0.1
    assert "runs are beyond what was asked for" in hard.certificate.limit and "\n" not in hard.certificate.limit
    hard.certificate.verify()  # what it must keep it keeps all the same
    assert easy.order <= hard.order


def test_another_step_is_another_reduction_from_the_same_runs(full, made):
    before = {path.name for path in made[1].iterdir()}
    model = full.reduce(order=12, step_s=2.0, range=NARROW, cache=made[1])
    assert model.step_s == model.certificate.step_s == 2.0 and model.order == 12
    assert {path.name for path in made[1].iterdir()} == before
    model.certificate.verify()


@pytest.mark.parametrize(
    "options, said",
    [
        ({"order": 12, "core_K": 0.1}, "order with core_K or voltage_V, expected one or the other"),
        ({"order": 12, "voltage_V": 0.1}, "order with core_K or voltage_V"),
        ({"order": SMALLEST.states - 1}, f"expected a whole number from {SMALLEST.states} to {LARGEST.states}"),
        ({"order": LARGEST.states + 1}, f"expected a whole number from {SMALLEST.states} to {LARGEST.states}"),
        ({"order": 12.0}, "order=12.0"), ({"order": True}, "order=True"), ({"order": "12"}, "order='12'"),
        ({"core_K": 0.0}, "core_K=0.0"), ({"core_K": float("nan")}, "core_K=nan"),
        ({"voltage_V": "5 mV"}, "voltage_V="), ({"voltage_V": -1.0}, "voltage_V=-1.0"),
        ({"step_s": 0.0}, "step_s"), ({"step_s": "1"}, "step_s"),
        ({"method": "pod"}, "method 'pod'"), ({"workers": 0}, "workers"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused_before_anything_runs(full, tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        full.reduce(range=NARROW, cache=tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_options_of_the_one_are_refused_with_the_other(a123):
    conduction = CoupledModel(a123, heat="measured")
    for options in ({"core_K": 0.1}, {"voltage_V": 0.1}, {"range": NARROW}, {"workers": 2}):
        with pytest.raises(InputError, match=f"{next(iter(options))} with heat='measured'"):
            conduction.reduce(**options)
    assert conduction.reduce().order == 4 and conduction.reduce(order=2).order == 2

"""A reduced cell as a file: what comes back is what was saved, and everything else is refused in one sentence."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmsthermal import CoupledModel, InputError, ReducedModel, load_model
from bmsthermal.reduced.certificate import Certificate, Trial
from bmsthermal.reduced.measures import CaseError
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.range import Range
from bmsthermal.reduced.storing import is_reduced_cell

sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, reduced_cell

#: Everything that is free is not as made, and nothing is a round number.
FREE = {"resistance_Ohm": 0.1 / 3, "entropic_scale": 1 / 3, "capacity_fade": 0.07}


@pytest.fixture(scope="module", params=CELLS)
def saved(request, tmp_path_factory):
    """A reduced cell and its file."""
    model = replace(reduced_cell(request.param), **FREE, couplings=("stress-potential",))
    path = tmp_path_factory.mktemp("saved") / "reduced.npz"
    model.save(path)
    return model, path


def changed(path, where, **arrays):
    """The same file with other arrays."""
    with np.load(path) as data:
        np.savez(where, **{name: data[name] for name in data.files} | arrays)
    return where


def refused(path, said=None):
    with pytest.raises(InputError, match=said) as caught:
        ReducedCell.load(path)
    text = str(caught.value)
    assert str(path) in text and "\n" not in text and len(text) < 400
    return text


def test_what_comes_back_is_what_was_saved(saved):
    model, path = saved
    back = ReducedCell.load(path)
    assert back.digest == model.digest and repr(back) == repr(model)
    assert back.couplings == model.couplings and back.cell.digest == model.cell.digest and back.certificate is None
    assert {name: getattr(back, name) for name in FREE} == FREE
    np.testing.assert_array_equal(back.row, model.row)
    runs = [each.simulate("discharge at 1 C for 100 s", initial_soc=0.7) for each in (model, back)]
    np.testing.assert_array_equal(runs[0].voltage_V, runs[1].voltage_V)
    np.testing.assert_array_equal(runs[0].core_K, runs[1].core_K)


def test_the_same_model_is_the_same_bytes_and_saving_again_changes_none(saved, tmp_path):
    model, path = saved
    ReducedCell.load(path).save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()
    model.aged(resistance_Ohm=0.0).save(tmp_path / "other.npz")
    assert (tmp_path / "other.npz").read_bytes() != path.read_bytes()


def test_a_certificate_comes_back_too(tmp_path):
    error = CaseError("1C 25 degC h 60", 25.0, 60.0, 600.0, "end", True, 5.0, 0.1, 0.1, 0.003, 0.01, 0.002, 1e-13)
    trial = Trial("3 + 2 points", 14, "sizes", 0.1, 0.003, 0.01, 0.002, error.case)
    made = Certificate(
        "lgm50_21700", "digest", 1.0, Range(), 0.1, None, True, "", (trial,), (error,), (1.0, 0.9), 2, 2, 1e-13, 1e-13
    )
    replace(reduced_cell(), certificate=made).save(tmp_path / "one.npz")
    back = ReducedCell.load(tmp_path / "one.npz")
    assert back.certificate is not None and back.certificate.to_dict() == made.to_dict()
    back.save(tmp_path / "two.npz")
    assert (tmp_path / "two.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()


def test_every_number_that_is_changed_is_found(saved, tmp_path):
    model, path = saved
    for name, array in model.arrays.items():
        moved = array.copy()
        moved.flat[0] = np.nextafter(moved.flat[0], np.inf)
        refused(changed(path, tmp_path / "changed.npz", **{name: moved}))
    assert "changed after it was saved" in refused(
        changed(path, tmp_path / "changed.npz", salt_separator=np.nextafter(model.salt.separator, np.inf))
    )


@pytest.mark.parametrize("key, value", [("step_s", 2.0), ("couplings", []), ("name", "another"), ("free", {})])
def test_settings_that_are_changed_are_found(saved, tmp_path, key, value):
    with np.load(saved[1]) as data:
        settings = json.loads(str(data["settings"])) | {key: value}
    refused(changed(saved[1], tmp_path / "changed.npz", settings=json.dumps(settings)), "changed after it was saved")


def test_a_cell_that_is_changed_is_found(saved, tmp_path):
    document = saved[0].cell.with_values({"Heat transfer coefficient [W.m-2.K-1]": 1.0}).document
    refused(changed(saved[1], tmp_path / "changed.npz", cell=json.dumps(document)), "not a reduced coupled model")


@pytest.mark.parametrize(
    "arrays",
    [
        {"salt_separator": np.full(2, np.nan)}, {"salt_separator": np.zeros(3)}, {"negative_surface": np.zeros((3, 1))},
        {"thermal_rates": np.zeros(0)}, {"positive_rate": np.array([1, 2, 3, 4])}, {"negative_extra": np.zeros(1)},
        {"settings": "[]"}, {"settings": "no"}, {"settings": json.dumps({"kind": "another"})}, {"cell": "{}"},
        {"certificate": '{"cell": 1}'},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_sentence(saved, tmp_path, arrays):
    refused(changed(saved[1], tmp_path / "changed.npz", **arrays), "not a reduced coupled model")


def test_a_file_that_is_cut_is_a_sentence(saved, tmp_path):
    content, path = saved[1].read_bytes(), tmp_path / "cut.npz"
    for size in (0, 1, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        refused(path, "not a reduced coupled model")
        assert not is_reduced_cell(path)


@given(place=st.floats(0.0, 1.0, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=25)
def test_a_flipped_bit_is_found_or_does_not_matter(saved, tmp_path_factory, place, bit):
    model, path = saved
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    flipped = tmp_path_factory.mktemp("flipped") / "flipped.npz"
    flipped.write_bytes(content)
    try:
        assert ReducedCell.load(flipped).digest == model.digest  # a time stamp of the archive, for one
    except InputError as error:
        assert "\n" not in str(error)


def test_what_is_no_file_or_another_kind_is_refused(tmp_path):
    refused(tmp_path / "nothing.npz", "no such file")
    refused(tmp_path, "no such file")
    (tmp_path / "text.npz").write_text("a text")
    refused(tmp_path / "text.npz", "not a reduced coupled model")
    conduction = CoupledModel(reduced_cell().cell, heat="measured").reduce(4)
    conduction.save(tmp_path / "conduction.npz")
    refused(tmp_path / "conduction.npz", "not a reduced coupled model")
    assert not is_reduced_cell(tmp_path / "conduction.npz") and not is_reduced_cell(tmp_path / "nothing.npz")
    assert load_model(tmp_path / "conduction.npz").digest == conduction.digest


def test_commands_of_conduction_find_it_in_there(saved):
    model, path = saved
    assert is_reduced_cell(path)
    conduction = load_model(path)
    assert isinstance(conduction, ReducedModel) and conduction.order == model.thermal.order
    assert conduction.digest == model.thermal.digest
    assert load_model(path, order=3, step_s=1.0).order == 3
    with pytest.raises(InputError, match="its conduction has 3 states and a step of 1 s"):
        load_model(path, order=5)


def test_a_plain_conduction_does_not_open_it(saved):
    with pytest.raises(InputError):
        ReducedModel.load(saved[1])


def test_a_folder_that_is_not_there_is_a_sentence(saved, tmp_path):
    with pytest.raises(InputError):
        saved[0].save(tmp_path / "nowhere" / "reduced.npz")

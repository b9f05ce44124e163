"""Files: whole or not at all, and a sentence where there is no place for them."""

from __future__ import annotations

import os
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmsthermal.errors import InputError
from bmsthermal.files import PICTURES, check_outputs, figures, folder, write_whole


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=300), st.text(st.characters(exclude_categories=["Cs"]), max_size=100)))
def test_what_is_written_is_what_is_read(tmp_path, content):
    target = tmp_path / "a file.bin"
    write_whole(target, content)
    assert target.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a file.bin"]  # no draft is left


@pytest.mark.parametrize("failing", ["replace", "chmod"])
@pytest.mark.parametrize(
    ("error", "raised"), [(OSError(28, "No space left on device"), InputError), (KeyboardInterrupt(), BaseException)]
)
def test_a_failure_in_the_middle_leaves_the_old_file(tmp_path, monkeypatch, failing, error, raised):
    target = tmp_path / "cell.json"
    target.write_text("old")

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(raised) as caught:
            write_whole(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
    if raised is InputError:
        assert str(caught.value) == f"{target}: cannot be written (No space left on device)"


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    target, seen, replace = tmp_path / "cell.json", [], os.replace
    target.write_text("old")

    def watch(draft, place):
        with open(draft) as stream:
            seen.extend([target.read_text(), stream.read()])
        replace(draft, place)

    monkeypatch.setattr(os, "replace", watch)
    write_whole(target, "new")
    assert seen == ["old", "new"]  # all of the new one is on the disk while the old one still has the name


def test_the_file_has_the_rights_of_any_new_file(tmp_path):
    write_whole(tmp_path / "ours", "x")
    (tmp_path / "theirs").write_text("x")
    ours, theirs = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "theirs"))
    assert ours == theirs


def test_places_that_cannot_be_written_are_named(tmp_path):
    missing = tmp_path / "no" / "cell.json"
    with pytest.raises(InputError, match="cannot be written") as caught:
        write_whole(missing, "x")
    assert str(missing) in str(caught.value)
    assert not missing.parent.exists()
    with pytest.raises(InputError, match="is not an ordinary file, expected the name of a file"):
        write_whole(tmp_path, "x")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "file" / "cell.json", "y")
    assert (tmp_path / "file").read_text() == "x"


def test_a_name_that_is_too_long(tmp_path):
    for act in (lambda path: write_whole(path, "x"), lambda path: check_outputs((path, [".csv"]))):
        with pytest.raises(InputError, match="cannot be written"):
            act(tmp_path / ("a" * 300 + ".csv"))


def test_outputs_that_can_be_written_leave_no_trace(tmp_path):
    (tmp_path / "old.csv").write_text("old")
    check_outputs((tmp_path / "old.csv", [".csv"]), (tmp_path / "P.PNG", PICTURES), (None, [".npz"]), inputs=["a123"])
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.csv", "old")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("in.csv", "is read or written too"), ("link.csv", "is read or written too"), ("hard.csv", "is read"),
        ("x/../in.csv", "is read or written too"), ("out.csv", "is read or written too"), ("x/a.jpg", "ends in '.jpg'"),
        ("x", "has no ending, expected .csv or .png"), ("no/a.csv", "cannot be written"), ("x.csv", "not an ordinary"),
    ],
)  # fmt: skip
def test_outputs_that_would_destroy_or_fail_are_refused_before(tmp_path, name, words):
    (tmp_path / "in.csv").write_text("measured")
    (tmp_path / "link.csv").symlink_to(tmp_path / "in.csv")
    os.link(tmp_path / "in.csv", tmp_path / "hard.csv")
    (tmp_path / "x").mkdir()
    (tmp_path / "x.csv").mkdir()
    kinds = (".csv", ".png")
    with pytest.raises(InputError, match=words) as caught:
        check_outputs((tmp_path / "out.csv", kinds), (tmp_path / name, kinds), inputs=[tmp_path / "in.csv"])
    assert str(caught.value).startswith(str(tmp_path / name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hard.csv", "in.csv", "link.csv", "x", "x.csv"]


def test_folder_is_made_with_its_parents_or_taken(tmp_path):
    place = folder(tmp_path / "a" / "b")
    assert place.is_dir()
    (place / "kept").write_text("x")
    assert folder(str(place)) == place
    assert (place / "kept").read_text() == "x"


@pytest.mark.parametrize("under", ["file", "file/below"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, under):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot make the folder") as caught:
        folder(tmp_path / under)
    assert str(tmp_path / under) in str(caught.value)
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize(
    "value, said",
    [(1136.4, "1140"), (0.74321, "0.743"), (25213.0, "25200"), (0.0, "0"), (-3e-5, "-3e-05"), (2e7, "2e+07")],
)
def test_figures_are_written_as_people_do(value, said):
    assert figures(value) == said

import dataclasses
import functools
import os
import re
import shutil

import pytest

from bmsthermal import CoupledModel, Observer, load_cell
from bmsthermal.errors import InputError
from bmsthermal.observer import compiled
from firmware_export import export
from firmware_export.prove import prove
from firmware_export.prove.analysers import clang_analyze, clang_tidy, gcc
from firmware_export.prove.coverage import coverage
from firmware_export.prove.decisions import Constants
from firmware_export.prove.eva import eva
from firmware_export.prove.fuzz import LONG, SHORT, fuzz
from firmware_export.prove.header import charges, members, numbers
from firmware_export.prove.misra import misra, rules
from firmware_export.prove.seeds import checked_copy

pytestmark = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
full = pytest.mark.skipif(os.environ.get("BMSTHERMAL_FULL") != "1", reason="minutes of tools: set BMSTHERMAL_FULL=1")
SLAB = {
    "Form factor": {"description": "slab"}, "Cell thickness [m]": 0.012, "Cell area [m2]": 0.00285,
    "Through-plane thermal conductivity [W.m-1.K-1]": 0.6,
    "Heat transfer coefficient [W.m-2.K-1]": {"back": 80.0, "front": 15.0},
}  # fmt: skip
KINDS = ("small", "five", "slab", "ud", "joint", "watched")


def needs(*programs):
    return pytest.mark.skipif(not all(map(shutil.which, programs)), reason=f"{', '.join(programs)} not here")


@functools.cache
def observer(kind):
    a123 = load_cell("a123_26650")
    if kind == "watched":
        rz = CoupledModel(load_cell("lfp_32113"), heat="measured", thermal="r-z").reduce(order=3)
        return Observer(rz, ["surface", "surface_left", "surface_right"], estimate=("heat",), faults=True)
    if kind == "slab":
        model = CoupledModel(a123.with_values(SLAB, "slab"), heat="measured").reduce(order=3)
        return Observer(model, ["surface_front"])
    model = CoupledModel(a123, heat="measured").reduce(order=5 if kind == "five" else 2)
    return Observer(model, estimate=("h", "heat") if kind == "joint" else ())


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    @functools.cache
    def make(kind, real="float"):
        form = "ekf" if kind in ("small", "five", "slab") else "ud"
        return export(observer(kind), tmp_path_factory.mktemp("bundle") / "c", real=real, form=form, name="cell")

    return make


@pytest.fixture
def small(bundles):
    return bundles("small")


def changed(bundle, place, file, old, new):
    """Return the bundle in another folder, with a bug."""
    shutil.copytree(bundle.folder, place)
    text = (place / file).read_text()
    assert old in text
    (place / file).write_text(text.replace(old, new, 1))
    return dataclasses.replace(bundle, folder=place)


def test_the_header_tells_the_numbers(small, bundles):
    n = small.manifest["sizes"]["states"]
    assert members(small, "state") == [("x", n, True), ("P", n * (n + 1) // 2, True), ("soc", 1, False)]
    assert numbers(small, "state")[-1] == "soc" and charges(small) == ["soc"]
    for struct, bytes_of in (("state", "state_bytes"), ("output", "output_bytes")):
        for kind in ("small", "joint"):
            sizes = bundles(kind).manifest["sizes"]
            assert 4 * len(numbers(bundles(kind), struct)) == sizes[bytes_of]
    with pytest.raises(InputError, match="no cell_nothing_t"):
        members(small, "nothing")


def test_rules_are_numbers_with_categories_and_our_reasons():
    known = rules()
    assert len(known) == 158 and len({rule.split(".")[0] for rule in known}) == 22
    assert {category for category, _ in known.values()} == {"mandatory", "required", "advisory"}
    assert all(category == "advisory" for category, reason in known.values() if reason)


def test_conditions_that_are_constants(small):
    constants = Constants(small)
    states = small.manifest["sizes"]["states"]
    assert constants.value(f"CELL_STATES == {states}") is True
    assert constants.value("(0 > 1) && (x > 2.0f)") is False and constants.value("(x > 2.0f) || !0") is True
    assert constants.value("(1 > 0) && (x > y)") is None
    assert constants.leaves("((a) && ((b(1) > 2) || c))") == ["a", "b(1) > 2", "c"]


def test_a_seed_that_has_no_ground_is_told(small, tmp_path):
    other = changed(
        small, tmp_path / "c", "real.h", "#define ROM_INDEX(x) ((rom_index_t)(x))", "#define ROM_INDEX(x) 0"
    )
    with pytest.raises(InputError, match="ROM_INDEX"):
        checked_copy(other, tmp_path / "copy")


def test_tools_that_are_not_here_say_how_to_get_them(small, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = []
    verdicts = prove(small, tmp_path / "place", asked.append)
    assert len(verdicts) == len(asked) == 7
    for verdict in verdicts:
        assert verdict.passed is None and "install" in verdict.found and "not run" in str(verdict)


@needs("cppcheck")
def test_no_required_rule_is_broken(small, tmp_path):
    verdict = misra(small, tmp_path / "place")
    assert verdict.passed, verdict.details
    assert verdict.found.startswith("0 required") and any("no claim of compliance" in line for line in verdict.details)
    assert not [line for line in verdict.details if "no reason yet" in line]


@needs("cppcheck")
@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("for (int k = 0; k < STEPS", "for (unsigned k = 0; k < STEPS", "10.4"),
        ("found |= left[i] ^ right[i]", "found |= (left[i] == right[i]) ? 0 : (goto_it())", "17.3"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_found(old, new, rule, small, tmp_path):
    verdict = misra(changed(small, tmp_path / "c", "cell_selftest.c", old, new), tmp_path / "place")
    assert verdict.passed is False and any(f"rule {rule} cell_selftest.c" in line for line in verdict.details)


ANALYSERS = [
    pytest.param(gcc, marks=needs("gcc")), pytest.param(clang_tidy, marks=needs("clang-tidy-14")),
    pytest.param(clang_analyze, marks=needs("clang-19")),
]  # fmt: skip


@pytest.mark.parametrize("tool", ANALYSERS)
def test_analysers_find_nothing(tool, small, tmp_path):
    verdict = tool(small, tmp_path)
    assert verdict.passed, verdict.details


@pytest.mark.parametrize("tool", ANALYSERS)
def test_analysers_find_a_null_pointer(tool, small, tmp_path):
    bug = "int cell_selftest(void)\n{\n    const int *none = (const int *)0;\n    if (*none > 3) return 9;"
    verdict = tool(changed(small, tmp_path / "c", "cell_selftest.c", "int cell_selftest(void)\n{", bug), tmp_path)
    assert verdict.passed is False and any("cell_selftest.c" in line for line in verdict.details)


@needs("frama-c")
def test_eva_proves_a_step_and_finds_the_clamp_that_is_gone(small, tmp_path):
    verdict = eva(small, tmp_path / "place", subsets=False)
    assert verdict.passed, verdict.details
    assert verdict.found == "0 alarms; the bug that was put into a copy was found"


@needs("clang-14")
def test_bytes_do_no_harm_and_find_the_clamp_that_is_gone(small, tmp_path):
    verdict = fuzz(small, tmp_path / "place", SHORT)
    assert verdict.passed, verdict.found
    assert f"{SHORT} inputs" in verdict.found and "an index leaves its table" in verdict.found


@needs("clang-19")
def test_the_tests_pass_through_every_outcome(small, tmp_path):
    verdict = coverage(small, tmp_path / "place")
    assert verdict.passed and verdict.found.startswith("100.0 %"), verdict.details


@needs("clang-19")
def test_an_outcome_that_nothing_tests_is_named(small, tmp_path):
    bug = "if ((soc > 7.0f) && (surface_K > 0.0f)) {\n        soc = 7.0f;\n    }\n    state->soc = "
    verdict = coverage(changed(small, tmp_path / "c", "cell.c", "state->soc = ", bug), tmp_path / "place", drives=2)
    assert verdict.passed is False
    assert any("cell.c" in line and "surface_K > 0.0f" in line for line in verdict.details)


@full
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("tool", [misra, gcc, clang_tidy, clang_analyze])
def test_every_kind_is_clean(tool, real, kind, bundles, tmp_path):
    verdict = tool(bundles(kind, real), tmp_path / "place")
    assert verdict.passed, verdict.details


@full
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_holds_under_bytes(kind, bundles, tmp_path):
    verdict = fuzz(bundles(kind), tmp_path / "place", LONG if kind == "five" else SHORT)
    assert verdict.passed, verdict.found


@full
@needs("frama-c")
@pytest.mark.parametrize("kind", ["five", "slab"])
@pytest.mark.parametrize("real", ["float", "double"])
def test_eva_proves_every_subset_of_inputs(real, kind, bundles, tmp_path):
    verdict = eva(bundles(kind, real), tmp_path / "place")
    assert verdict.passed, verdict.details


@full
@needs("clang-19")
@pytest.mark.parametrize("kind", KINDS)
def test_coverage_of_every_kind(kind, bundles, tmp_path):
    verdict = coverage(bundles(kind), tmp_path / "place")
    share = float(re.match(r"[\d.]+", verdict.found)[0])
    assert share >= (95.0 if kind == "watched" else 100.0), verdict.details

"""Cells: every number sourced, and a sentence for every mistake."""

from __future__ import annotations

import copy
import json
import re

import numpy as np
import pytest

from bmsthermal import Cell, InputError, cells, load_cell
from bmsthermal.schema import ELECTROCHEMICAL, ELECTROCHEMISTRY, ENTROPIC

RADIAL = "Radial thermal conductivity [W.m-1.K-1]"
H = "Heat transfer coefficient [W.m-2.K-1]"
OCV = "Open-circuit voltage [V]"
CAN = {
    "Can thickness [m]": 3e-4,
    "Can thermal conductivity [W.m-1.K-1]": 14.0,
    "Can density [kg.m-3]": 7900.0,
    "Can specific heat capacity [J.K-1.kg-1]": 470.0,
    "Can thermal contact resistance [m2.K.W-1]": 1e-3,
}
THIN_CAN = CAN | {"Can thickness [m]": 1e-5}


@pytest.mark.parametrize("name", cells())
def test_shipped_cells_are_whole_and_sourced(name):
    cell = load_cell(name)
    sources = cell.thermal["Sources"]
    aside = {"description", "Sources", "Relative standard deviation"}
    owed = (set(cell.thermal) - aside) | {"Density [kg.m-3]", "Specific heat capacity [J.K-1.kg-1]", "Volume [m3]",
                                          "Nominal cell capacity [A.h]"}  # fmt: skip
    owed -= {key for key in owed if key in ELECTROCHEMISTRY}  # one source for all layers, one for the collectors
    owed |= {title for title in ELECTROCHEMICAL if title in cell.document["Parameterisation"]}
    assert owed <= set(sources)
    assert all(len(entry["description"].split()) >= 2 for entry in sources.values())
    assert set(cell.spread) <= owed  # a prior belongs to a number that is there
    assert name in repr(cell) and f"{cell.heat_capacity_J_K:.1f} J/K" in repr(cell)


@pytest.mark.parametrize("name", cells())
def test_the_layers_carry_the_heat_capacity_of_the_file(name):
    cell = load_cell(name)
    slab = cell.form == "slab"
    for whole in (cell, cell.with_values(THIN_CAN if slab else CAN)):
        stored = sum(
            cell.extent * layer.heat_capacity_J_m3K * (layer.outer_m - layer.inner_m)
            * (1.0 if slab else np.pi * (layer.outer_m + layer.inner_m))
            for layer in whole.layers
        )  # fmt: skip
        assert stored == pytest.approx(cell.heat_capacity_J_K, rel=1e-12)
        thickness = whole.thermal["Cell thickness [m]"] if slab else whole.thermal["Cell diameter [m]"] / 2
        assert whole.layers[-1].outer_m == pytest.approx(thickness)


def test_round_trip_keeps_the_digest(tmp_path, a123):
    a123.save(tmp_path / "again.json")
    again = load_cell(tmp_path / "again.json")
    assert again.digest == a123.digest and again.name == "again"
    shuffled = json.dumps(json.loads((tmp_path / "again.json").read_text()), sort_keys=True)
    (tmp_path / "other.json").write_text("\ufeff" + shuffled, encoding="utf-8")
    assert load_cell(tmp_path / "other.json").digest == a123.digest
    assert a123.with_values({RADIAL: 0.5}).digest != a123.digest


def test_with_values_leaves_the_original_alone(a123):
    before = a123.digest
    changed = a123.with_values({RADIAL: 0.5, "Volume [m3]": 3e-5, "Observer": {"Sensor noise [K]": 0.2}}, "mine")
    assert (changed.name, changed.thermal[RADIAL], changed.lumped["Volume [m3]"]) == ("mine", 0.5, 3e-5)
    assert dict(changed.settings) == {"Sensor noise [K]": 0.2}
    assert Cell("a", a123.document).digest == before


def test_slab_and_cylinder_know_their_faces(a123, slab):
    assert a123.walls == ("side",) and slab.walls == ("back", "front")
    assert a123.areas_m2["side"] == pytest.approx(np.pi * 0.02586 * 0.06515)
    assert slab.areas_m2 == {"back": 0.00285, "front": 0.00285}
    assert slab.with_values({H: 7.0}).h_W_m2K == {"back": 7.0, "front": 7.0}
    canned = slab.with_values(CAN).layers
    assert [layer.name for layer in canned] == ["can", "roll", "can"]


def edited(cell, change):
    document = copy.deepcopy(dict(cell.document))
    change(document["Parameterisation"])
    return document


def drop(section, key):
    return lambda p: p[section].pop(key)


def put(key, value, section="User-defined"):
    return lambda p: p[section].update({key: value})


def rename(old, new):
    return lambda p: p["User-defined"].update({new: p["User-defined"].pop(old)})


def can_without(key, thickness=3e-4):
    can = {k: v for k, v in (CAN | {"Can thickness [m]": thickness}).items() if k != key}
    return lambda p: p["User-defined"].update(can)


BAD = {
    "missing": (drop("User-defined", RADIAL), [f"no {RADIAL!r}", "User-defined"]),
    "missing lumped": (drop("Cell", "Density [kg.m-3]"), ["no 'Density [kg.m-3]'", "Cell"]),
    "other unit": (rename("Cell length [m]", "Cell length [mm]"), ["Cell length [m"]),
    "second unit": (put("Cell diameter [mm]", 26), ["'Cell diameter [mm]' has another unit", "'Cell diameter [m]'"]),
    "negative": (put(RADIAL, -0.4), [RADIAL, "-0.4", "a number from 0.001 to 10000"]),
    "zero": (put(RADIAL, 0), [RADIAL, "found 0", "a number from 0.001 to 10000"]),
    "nan": (put(RADIAL, float("nan")), [RADIAL, "nan"]),
    "text": (put("Cell length [m]", "0.065"), ["Cell length [m]", "'0.065'"]),
    "not rising in x": (put(OCV, {"x": [0, 0.5, 0.5, 1], "y": [3, 3.1, 3.2, 3.3]}), [OCV, "x[2] = 0.5 follows 0.5"]),
    "falling voltage": (put(OCV, {"x": [0, 1], "y": [3.3, 3.0]}), [OCV, "falls with the state of charge"]),
    "unknown form": (put("Form factor", {"description": "prism"}), ["'prism'", "'cylinder' or 'slab'"]),
    "no form": (drop("User-defined", "Form factor"), ["no 'Form factor'", "'Cell diameter [m]'"]),
    "wide mandrel": (put("Mandrel diameter [m]", 0.03), ["Mandrel diameter [m]", "not thinner"]),
    "thick can": (can_without(None, thickness=0.013), ["Can thickness [m]", "no volume"]),
    "wrong face": (put(H, {"front": 10}), [H, "'front'", "'side'"]),
    "negative h": (put(H, {"side": -1}), [H, "'side'", "-1"]),
    "huge whole number": (put(RADIAL, 10**400), [RADIAL, "found 1000000"]),
    "tiny h": (put(H, 1e-300), [H, "1e-300", "from 1e-06 to 100000, or 0"]),
    "spread": (put("Relative standard deviation", {RADIAL: 1e300}), ["Relative standard deviation", "1e+300"]),
    "form without a text": (put("Form factor", {"description": {}}), ["Form factor"]),
    "form of a number": (put("Form factor", 5), ["unknown form factor 5", "'cylinder' or 'slab'"]),
    "cold reference": (put("Reference temperature [K]", 25.0, "Cell"), ["Reference temperature [K]", "200 to 400"]),
    "no reference": (put("Reference temperature [K]", float("nan"), "Cell"), ["Reference temperature [K]", "nan"]),
    "huge reference": (put("Reference temperature [K]", 10**400, "Cell"), ["Reference temperature [K]"]),
    "light": (put("Density [kg.m-3]", 1e-300, "Cell"), ["Density [kg.m-3]", "1e-300", "1 to 100000"]),
    "hot": (put("Specific heat capacity [J.K-1.kg-1]", 1e300, "Cell"), ["Specific heat capacity", "1e+300"]),
    "no heat capacity": (
        lambda p: p["Cell"].update({"Density [kg.m-3]": 1.0, "Specific heat capacity [J.K-1.kg-1]": 1.0}),
        ["'Density [kg.m-3]' times", "3.4", "0.1 to 1e+06"],
    ),
    "long": (put("Cell length [m]", 1e300), ["Cell length [m]", "0.0001 to 10"]),
    "share of 1": (put("Surface sensor ambient share", 1.0), ["Surface sensor ambient share", "0 to 0.99"]),
    "thin can": (can_without(None, thickness=1e-12), ["Can thickness [m]", "1e-12", "1e-05 to 0.1, or 0"]),
    "can for a table": (put("Can thickness [m]", {"x": [0, 1], "y": [0, 1]}), ["Can thickness [m]", "a number"]),
    "contact of nothing": (put("Can thermal contact resistance [m2.K.W-1]", 1e-300), ["contact", "1e-08 to 1, or 0"]),
    "contact of a vacuum": (put("Can thermal contact resistance [m2.K.W-1]", 1e300), ["contact", "1e+300"]),
    "all mandrel": (put("Mandrel diameter [m]", 0.02586 - 1e-17), ["Mandrel diameter [m]", "not thinner"]),
    "no roll": (can_without(None, thickness=0.01293 - 1e-12), ["Can thickness [m]", "no volume"]),
    "voltage of a pack": (put(OCV, 400.0), [OCV, "reaches 400", "0.001 to 10"]),
    "voltage of nothing": (put(OCV, {"x": [0, 1], "y": [-1, 3]}), [OCV, "reaches -1"]),
} | {
    f"can without {key}": (can_without(key), [f"no {key!r}"])
    for key in CAN
    if "contact" not in key and "thickness" not in key
}  # fmt: skip


@pytest.mark.parametrize("change, said", BAD.values(), ids=BAD)
def test_a_bad_file_gets_a_sentence(tmp_path, a123, change, said):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(edited(a123, change)))
    with pytest.raises(InputError) as told:
        _ = load_cell(path).layers
    for part in ("mine", *said):
        assert part in str(told.value)


OBSERVER = {
    "Ambient offset [K]": [float("nan"), 1e300, -51, "x", None, 10**400],
    "Order": [0, -1, 2.5, "4", True, None],
    "Step [s]": [0, -1, float("inf"), None, "1", True, 1e300, 10**400],
    "Sensors": ["surface", [], None, [1], ["core"], ["surface_"], ["surface"] * 2, [["surface"]], {"surface": 1}],
    "Calibrated on": [5, {"run": []}],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, bad in OBSERVER.items() for value in bad])
def test_a_bad_observer_section_gets_a_sentence(a123, key, value):
    with pytest.raises(InputError) as told:
        a123.with_values({"Observer": {key: value}}, "mine")
    assert f"mine, Observer, {key!r}: found " in str(told.value) and ", expected a " in str(told.value)


def test_a_good_observer_section_is_taken(a123):
    section = {
        "Order": 3, "Step [s]": 0.5, "Sensors": ["surface", "surface_left"], "Ambient offset [K]": -0.3,
        "Calibrated on": {"run": "0a1b"},
    }  # fmt: skip
    assert dict(a123.with_values({"Observer": section}).settings) == section


def test_an_entropic_coefficient_may_have_either_sign(a123):
    for value in (-1e-4, 0.0, 1e-4):
        key = "Entropic change coefficient [V.K-1]"
        assert a123.with_values({key: value}).curve(key)(0.5) == value


def test_a_thermal_cell_needs_its_geometry():
    document = copy.deepcopy(dict(load_cell("lfp_32113").document))
    document["Parameterisation"]["User-defined"].pop("Form factor")
    with pytest.raises(InputError, match="mine, User-defined: no 'Form factor'"):
        Cell("mine", document)


def test_the_external_area_is_that_of_bpx_or_of_the_faces(a123, slab):
    assert a123.external_area_m2 == 0.006343
    document = edited(slab, drop("Cell", "External surface area [m2]"))
    assert Cell("mine", document).external_area_m2 == pytest.approx(2 * 0.00285)


def test_what_is_not_a_cell_file(tmp_path):
    path = tmp_path / "cell.json"
    path.write_text('{"a": 1,\n "b" 2}')
    with pytest.raises(InputError, match="line 2: not JSON"):
        load_cell(path)
    for text in ("[]", "{}", '"a"'):
        path.write_text(text)
        with pytest.raises(InputError, match="no 'Parameterisation'"):
            load_cell(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read"):
        load_cell(path)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError) as told:
        load_cell("a123_2665")
    assert all(name in str(told.value) for name in cells())
    assert "did you mean 'a123_26650'?" in str(told.value)


OWN = "Electrolyte thermodynamic factor"
REFUSED = {
    "table of text": (put(OWN, {"x": ["a", 1], "y": [1, 2]}), [f"User-defined, {OWN!r}: table holds", "x[0] = 'a'"]),
    "uneven table": (put(OCV, {"x": [0, 1], "y": [1]}), [f"User-defined, {OCV!r}: table has 2 values of x and 1 of y"]),
    "table within": (
        put("Mine", {"part": {"x": [0, None], "y": [1, 2]}}),
        ["User-defined, 'Mine', 'part': table holds"],
    ),
    "null": (put(OWN, None), [f"User-defined, {OWN!r}: found null, expected a number, a table", "leave the key out"]),
    "null within": (put(H, {"side": None}), [f"User-defined, {H!r}, 'side': found null"]),
    "list": (put("Mine", [1, 2]), ["User-defined, 'Mine': found [1, 2], expected a number, a table"]),
    "formula": (put("Mine", "2 +"), ["User-defined, 'Mine': found '2 +', expected a number, a table"]),
    "null of BPX": (put("Porosity", None, "Negative electrode"), ["Negative electrode > Porosity: found null"]),
    "null curve": (put("OCP [V]", None, "Negative electrode"), ["Negative electrode > OCP [V]: found null"]),
    "table of BPX": (
        put("OCP [V]", {"x": [0, 1, 2], "y": [1, 2]}, "Negative electrode"),
        ["Negative electrode > OCP [V]: table has 3 values of x and 2 of y"],
    ),
    "formula of BPX": (put("OCP [V]", "2 +", "Negative electrode"), ["Negative electrode > OCP [V]: ", "'2 +'"]),
    "text of BPX": (put("Porosity", "a", "Negative electrode"), ["Negative electrode > Porosity: ", "found 'a'"]),
    "null lumped": (put("Density [kg.m-3]", None, "Cell"), ["Cell > Density [kg.m-3]: found null"]),
    "null section": (
        lambda p: p.update({"Separator": None}),
        ["Parameterisation, 'Separator': found null", "leave it"],
    ),
    "text section": (lambda p: p.update({"Cell": "a"}), ["Parameterisation, 'Cell': found 'a', expected a section"]),
    "null User-defined": (lambda p: p.update({"User-defined": None}), ["'User-defined': found null"]),
}


@pytest.fixture(scope="module")
def lgm50():
    return load_cell("lgm50_21700")


@pytest.mark.parametrize("change, said", REFUSED.values(), ids=REFUSED)
def test_what_bpx_refuses_is_said_by_its_key(lgm50, change, said):
    with pytest.raises(InputError) as told:
        Cell("mine", edited(lgm50, change))
    for part in ("mine", *said):
        assert part in str(told.value)


HEADERS = {
    "null": ({"Header": None}, "mine, Header: found null"),
    "model null": ({"Header": {"BPX": "1.1", "Model": None}}, "mine, Header, 'Model': found null"),
    "model": ({"Header": {"BPX": "1.1", "Model": "P2D"}}, "mine, Header, 'Model': found 'P2D'"),
    "no model": ({"Header": {"BPX": "1.1"}}, "mine, Header, 'Model': no 'Model', expected one of 'DFN', 'SPMe', 'SPM'"),
    "parameters": ({"Parameterisation": None}, "mine, Parameterisation: found null"),
}


@pytest.mark.parametrize("change, said", HEADERS.values(), ids=HEADERS)
def test_the_header_is_looked_at_first(lgm50, change, said):
    document = edited(lgm50, put("Porosity", None, "Negative electrode")) | change
    with pytest.raises(InputError) as told:
        Cell("mine", document)
    assert said in str(told.value)
    with pytest.raises(InputError, match="mine, Header: no 'Header'"):
        Cell("mine", {key: value for key, value in document.items() if key != "Header"})


def single(cell, model="SPM", *kept):
    """Make a single-particle file of one for the full model."""
    document = edited(cell, lambda p: None)
    document["Header"]["Model"] = model
    sections = document["Parameterisation"]
    for title in {"Electrolyte", "Separator"} - {*kept}:
        sections.pop(title)
    for title in ("Negative electrode", "Positive electrode"):
        for key in ("Porosity", "Transport efficiency", "Conductivity [S.m-1]"):
            sections[title].pop(key)
    return document


def test_a_single_particle_file_is_called_one(lgm50):
    cell = Cell("mine", single(lgm50))  # with geometry and curves of the whole cell it is good for measured heat
    with pytest.raises(InputError) as told:
        _ = cell.electrochemistry
    for part in ("a single-particle file (Header, 'Model': 'SPM') with no 'Electrolyte', no 'Separator'",
                 "expected a DFN file", "the full model needs the sections of electrolyte and separator"):  # fmt: skip
        assert part in str(told.value)
    for model in ("DFN", "SPMe"):
        for kept in ((), ("Electrolyte",), ("Separator",)):
            with pytest.raises(InputError, match="single-particle file; the full model needs electrolyte and") as told:
                Cell("mine", single(lgm50, model, *kept))
            assert f"'Model': {model!r}" in str(told.value) and (kept == ()) == ("' and no '" in str(told.value))
    whole = edited(lgm50, lambda p: None)
    whole["Header"]["Model"] = "SPM"
    with pytest.raises(InputError, match=r"'Model': found 'SPM', a single-particle file, but the file has 'Electrol"):
        Cell("mine", whole)


def test_what_bpx_refuses_is_refused_however_often_it_is_asked():
    cell = load_cell("lgm50_21700")
    known = cell.with_values({"Specific heat capacity [J.K-1.kg-1]": 1001.0}).document
    for spoiled in ("1000", None, True):
        for _ in range(2):
            with pytest.raises(InputError, match="Specific heat capacity"):
                cell.with_values({"Specific heat capacity [J.K-1.kg-1]": spoiled})
            with pytest.raises(InputError):
                cell.with_values({"Can thickness [m]": spoiled})
    for path in (("Negative electrode", "Particle radius [m]"), ("Electrolyte", "Conductivity [S.m-1]")):
        document = copy.deepcopy(known)
        document["Parameterisation"][path[0]][path[1]] = "no formula ("
        for _ in range(2):
            with pytest.raises(InputError, match=re.escape(path[1])):
                Cell("spoiled", document)


def test_bpx_reads_a_file_once_for_all_cells_that_differ_in_numbers_alone(monkeypatch):
    import bpx

    cell, calls = load_cell("lgm50_21700").with_values({"Reference temperature [K]": 300.0}), []
    parse = bpx.parse_bpx_obj
    monkeypatch.setattr(bpx, "parse_bpx_obj", lambda document: calls.append(1) or parse(document))
    for k in range(5):
        cell.with_values({"Specific heat capacity [J.K-1.kg-1]": 900.0 + k, H: 9.0 + k})
    assert len(calls) <= 1  # the first has another kind of cooling
    cell.with_values({ENTROPIC: {"x": [0.0, 1.0], "y": [1e-4, 2.1e-4]}})
    assert len(calls) >= 1

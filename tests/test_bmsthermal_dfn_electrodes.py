"""Electrodes: the published numbers, any public BPX file, and a sentence for every mistake."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal import Cell, InputError, cells, load_cell
from bmsthermal.errors import InputWarning
from bmsthermal.heat import FARADAY_C_mol

GOLDEN = Path(__file__).parent / "golden" / "oregan2022.bpx.json"
WITH_ELECTRODES = [name for name in cells() if load_cell(name).has_electrodes]
GAS_J_molK = 8.314462618
# per set at x = 0.4, y = 0.6, 800 mol/m3, from PyBaMM 26.10: potential, diffusivity, exchange current at 298.15 and
# 308.15 K of both electrodes, then conductivity and diffusivity of the electrolyte
PUBLISHED = {
    "lgm50_21700": [
        0.1352402016,
        3.3e-14,
        0.2974995963,
        0.4704048254,
        3.824473963,
        4e-15,
        2.990429783,
        3.775129831,
        0.9335966005,
        2.247216e-10,
    ],
    "a123_26650": [
        0.1352402016,
        3e-15,
        0.2743518596,
        0.4338037437,
        3.39553307,
        5.9e-18,
        0.1896055234,
        0.3182864705,
        2.103765072,
        2e-10,
    ],
    "lco_marquis": [
        0.2141085959,
        3.9e-14,
        6.923564658,
        11.30875189,
        4.027013847,
        1e-13,
        0.4258178382,
        0.7148106993,
        1.0254648,
        3.174739726e-10,
    ],
    str(GOLDEN): [
        0.1352402016,
        1.463091016e-15,
        1.108448489,
        1.871230928,
        3.824473963,
        6.798452426e-15,
        2.108316435,
        2.886953375,
        0.88992171,
        3.276301415e-10,
    ],
}


@pytest.fixture(scope="module")
def lgm50():
    return load_cell("lgm50_21700")


def public(cell, change=lambda document: None):
    """Return what a stranger's BPX file holds: no geometry, nothing of ours."""
    document = copy.deepcopy(dict(cell.document))
    document["Parameterisation"].pop("User-defined")
    change(document)
    return document


def arrhenius(energy, T_K, reference_K):
    return np.exp(energy / GAS_J_molK * (1 / reference_K - 1 / T_K))


def exchange_A_m2(electrode, ratio, x, T_K):
    k = electrode.reaction_rate_mol_m2s * arrhenius(electrode.reaction_activation_J_mol, T_K, 298.15)
    aa, ac = electrode.anodic_transfer, electrode.cathodic_transfer
    return FARADAY_C_mol * k * ratio**aa * x**ac * (1 - x) ** aa


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_numbers_are_the_published_ones(name):
    p = load_cell(name).electrochemistry
    ratio = 800 / p.electrolyte.initial_concentration_mol_m3
    found = []
    for electrode, x in ((p.negative, 0.4), (p.positive, 0.6)):
        found += [electrode.potential(x), electrode.diffusivity(x)]
        found += [exchange_A_m2(electrode, ratio, x, T_K) for T_K in (298.15, 308.15)]
    found += [p.electrolyte.conductivity(800.0), p.electrolyte.diffusivity(800.0)]
    np.testing.assert_allclose(found, PUBLISHED[name], rtol=1e-8)


@pytest.mark.parametrize("name", [*WITH_ELECTRODES, str(GOLDEN)])
def test_the_windows_fit_the_voltage_and_each_other(name):
    p = load_cell(name).electrochemistry
    ends = p.open_circuit_V([0.0, 1.0])
    full = 4.18102788 if name == str(GOLDEN) else p.upper_voltage_V
    np.testing.assert_allclose(ends, [p.lower_voltage_V, full], atol=1e-6)
    assert p.negative.window_C_m2 == pytest.approx(p.positive.window_C_m2, rel=1e-6)
    assert p.capacity_Ah == pytest.approx(p.negative.window_C_m2 * p.area_m2 / 3600, rel=1e-6)


@pytest.mark.parametrize("name", WITH_ELECTRODES)
def test_the_electrodes_have_the_entropy_of_the_cell(name):
    cell = load_cell(name)
    table = cell.thermal["Entropic change coefficient [V.K-1]"]
    np.testing.assert_allclose(cell.electrochemistry.entropic_V_K(table["x"]), table["y"], rtol=2e-3, atol=5e-7)


@pytest.mark.parametrize("name", ["lgm50_21700", "lco_marquis"])
def test_the_electrodes_have_the_voltage_of_the_cell(name):
    cell = load_cell(name)
    table = cell.thermal["Open-circuit voltage [V]"]
    np.testing.assert_allclose(cell.electrochemistry.open_circuit_V(table["x"]), table["y"], atol=1e-4)


@given(soc=st.floats(0, 1), T_K=st.floats(250, 340))
def test_the_windows_are_linear_and_the_potential_too(soc, T_K):
    p = load_cell("lgm50_21700").electrochemistry
    (x0, y0), (x1, y1), (x, y) = (p.stoichiometries(s) for s in (0.0, 1.0, soc))
    assert (x0, x1) == (p.negative.minimum_stoichiometry, p.negative.maximum_stoichiometry)
    assert (y0, y1) == pytest.approx((p.positive.maximum_stoichiometry, p.positive.minimum_stoichiometry))
    assert x == pytest.approx(x0 + soc * (x1 - x0)) and y == pytest.approx(y0 + soc * (y1 - y0))
    warmed = p.open_circuit_V(soc, T_K) - p.open_circuit_V(soc)
    assert warmed == pytest.approx(p.entropic_V_K(soc) * (T_K - 298.15), abs=1e-12)


def sandwich_J_K(p):
    layers = zip(
        (p.negative.thickness_m, p.separator.thickness_m, p.positive.thickness_m),
        (p.negative_layer, p.separator_layer, p.positive_layer),
        strict=True,
    )
    held = sum(t * layer.density_kg_m3 * layer.specific_heat_J_kgK for t, layer in layers)
    collectors = (p.negative_collector, p.positive_collector)
    return p.area_m2 * (held + sum(c.thickness_m * c.density_kg_m3 * c.specific_heat_J_kgK for c in collectors))


COPPER = {"Negative current collector thickness [m]": 1e-5}
LAYER = {"Separator density [kg.m-3]": 900, "Separator specific heat capacity [J.K-1.kg-1]": 1900}


@pytest.mark.parametrize("extra", [{}, COPPER, LAYER, COPPER | LAYER], ids=["bare", "copper", "layer", "both"])
def test_a_sandwich_without_layers_has_the_heat_capacity_of_the_cell(a123, extra):
    cell = a123.with_values(extra)
    p = cell.electrochemistry
    assert sandwich_J_K(p) == pytest.approx(cell.heat_capacity_J_K, rel=1e-12)
    assert p.positive_layer.conductivity_W_mK == 0.38  # the radial one of the file


def test_layers_of_the_file_stand_as_they_are(lgm50):
    p = lgm50.electrochemistry
    assert (p.negative_layer.density_kg_m3, p.negative_collector.thickness_m) == (2060, 1.2e-5)
    assert sandwich_J_K(load_cell("lco_marquis").electrochemistry) == pytest.approx(14.13, abs=0.05)


def test_a_public_file_is_taken_as_it_is(tmp_path, lgm50):
    (tmp_path / "theirs.json").write_text(json.dumps(public(lgm50)))
    cell = load_cell(tmp_path / "theirs.json")
    assert cell.has_electrodes and cell.external_area_m2 == 0.00531
    assert cell.heat_capacity_J_K == pytest.approx(lgm50.heat_capacity_J_K)
    assert cell.h_W_m2K == {"surface": 10.0}
    assert repr(cell) == "Cell(theirs: 61.6 J/K, 5 A.h, electrodes, h surface 10 W/m2K)"
    p, full = cell.electrochemistry, lgm50.electrochemistry
    assert p.capacity_Ah == full.capacity_Ah and p.negative_collector.thickness_m == 0
    assert sandwich_J_K(p) == pytest.approx(cell.heat_capacity_J_K)
    for ask in ("form", "walls", "layers", "areas_m2", "conductance_W_K"):
        with pytest.raises(InputError, match=r"theirs, User-defined: no 'Form factor'.*'Cell diameter \[m\]'"):
            getattr(cell, ask)


def test_without_heat_capacity_it_is_isothermal(lgm50):
    def change(document):
        document["Parameterisation"]["Cell"].pop("Density [kg.m-3]")

    cell = Cell("theirs", public(lgm50, change))
    assert cell.electrochemistry.negative_layer is None and "J/K" not in repr(cell)
    with pytest.raises(InputError, match=r"theirs, Cell: no 'Density \[kg.m-3\]'"):
        _ = cell.heat_capacity_J_K


def test_what_the_state_says_is_taken(lgm50):
    def change(document):
        document["State"] = {
            "Initial conditions": {
                "Initial state-of-charge": 0.0, "Initial temperature [K]": 283.15,
                "Initial electrolyte concentration [mol.m-3]": 1200,
            },
            "Thermal environment": {"Ambient temperature [K]": 273.15, "Heat transfer coefficient [W.m-2.K-1]": 33},
        }  # fmt: skip

    cell = Cell("theirs", public(lgm50, change))
    p = cell.electrochemistry
    assert (p.initial_soc, p.initial_K, p.ambient_K) == (0.0, 283.15, 273.15)
    assert p.electrolyte.initial_concentration_mol_m3 == 1200
    assert cell.h_W_m2K == {"surface": 33.0}


def test_version_0_keeps_its_start_elsewhere(lgm50):
    def change(document):
        document.pop("State")
        document["Header"]["BPX"] = 0.1
        document["Parameterisation"]["Cell"] |= {
            "Ambient temperature [K]": 288.15,
            "Thermal conductivity [W.m-1.K-1]": 2,
        }
        document["Parameterisation"]["Electrolyte"]["Initial concentration [mol.m-3]"] = 1100

    p = Cell("theirs", public(lgm50, change)).electrochemistry
    assert (p.ambient_K, p.initial_K, p.electrolyte.initial_concentration_mol_m3) == (288.15, 288.15, 1100)


def test_pairs_multiply_the_area(lgm50):
    def change(document):
        cell = document["Parameterisation"]["Cell"]
        cell["Electrode area [m2]"] /= 34
        cell["Number of electrode pairs connected in parallel to make a cell"] = 34

    p = Cell("theirs", public(lgm50, change)).electrochemistry
    assert p.pairs == 34 and p.area_m2 == pytest.approx(0.1027)


def test_what_bpx_lacks_is_read(lgm50):
    p = lgm50.with_values({
        "Contact resistance [Ohm]": 2e-3, "Soret coefficient [K-1]": 3e-3,
        "Electrolyte thermodynamic factor": "1 + x / 1000",
        "Electrolyte cation transference number": {"x": [0, 2000], "y": [0.4, 0.2]},
        "Negative electrode anodic transfer coefficient": 0.3,
        "Positive electrode film resistance [Ohm.m2]": 1e-3,
        "Positive electrode conductivity activation energy [J.mol-1]": 3500,
        "Positive electrode Young's modulus [Pa]": 1.4e11, "Positive electrode Poisson's ratio": 0.2,
        "Positive electrode partial molar volume [m3.mol-1]": -7.3e-7,
        "Positive electrode strain-free concentration [mol.m-3]": 28457,
        "Positive electrode stress activation volume [m3.mol-1]": 1e-7,
    }).electrochemistry  # fmt: skip
    assert (p.contact_resistance_Ohm, p.electrolyte.soret_1_K) == (2e-3, 3e-3)
    assert p.electrolyte.thermodynamic_factor(500.0) == 1.5 and p.electrolyte.transference(1000.0) == pytest.approx(0.3)
    assert (p.negative.anodic_transfer, p.negative.cathodic_transfer) == (0.3, 0.7)
    assert (p.positive.anodic_transfer, p.positive.cathodic_transfer) == (0.5, 0.5)
    e = p.positive
    assert (e.film_resistance_Ohm_m2, e.conductivity_activation_J_mol, e.youngs_modulus_Pa) == (1e-3, 3500, 1.4e11)
    assert (e.poisson_ratio, e.partial_molar_volume_m3_mol) == (0.2, -7.3e-7)
    assert (e.strain_free_concentration_mol_m3, e.stress_activation_volume_m3_mol) == (28457, 1e-7)
    assert load_cell("a123_26650").electrochemistry.negative.youngs_modulus_Pa is None


NEGATIVE, POSITIVE, ELECTROLYTE, SEPARATOR = "Negative electrode", "Positive electrode", "Electrolyte", "Separator"
STATE = "Initial electrolyte concentration [mol.m-3]"


def put(section, key, value):
    return lambda document: document["Parameterisation"].setdefault(section, {}).update({key: value})


def scale(section, key, factor):
    def change(document):
        document["Parameterisation"][section][key] *= factor

    return change


def partial(*dropped):
    """Make the file one that may lack sections."""

    def change(document):
        document["Header"]["Model"] = "Partial"
        for section in dropped:
            document["Parameterisation"].pop(section)

    return change


def start(value):
    return lambda document: document["State"]["Initial conditions"].update({STATE: value})


BAD = {
    "no electrolyte": (partial("Electrolyte"), ["Parameterisation: no 'Electrolyte'"]),
    "no electrodes": (
        lambda d: (partial("Electrolyte", NEGATIVE, SEPARATOR, POSITIVE)(d)),
        ["no 'Form factor'"],
    ),
    "flat": (put(NEGATIVE, "Thickness [m]", 0.0), [NEGATIVE, "'Thickness [m]': found 0.0", "in metres"]),
    "micrometres": (put(POSITIVE, "Thickness [m]", 75.6), [POSITIVE, "'Thickness [m]': found 75.6", "in metres"]),
    "negative separator": (put(SEPARATOR, "Thickness [m]", -1e-5), [SEPARATOR, "'Thickness [m]'"]),
    "no pores": (put(NEGATIVE, "Porosity", 0.0), [NEGATIVE, "'Porosity': found 0.0"]),
    "all pores": (put(POSITIVE, "Porosity", 1.0), [POSITIVE, "'Porosity': found 1.0"]),
    "separator of 47 %": (put(SEPARATOR, "Porosity", 47), [SEPARATOR, "'Porosity': found 47"]),
    "nan": (put(NEGATIVE, "Porosity", float("nan")), [NEGATIVE, "'Porosity': found nan"]),
    "efficient": (put(NEGATIVE, "Transport efficiency", 1.5), [NEGATIVE, "'Transport efficiency': found 1.5"]),
    "full": (scale(NEGATIVE, "Particle radius [m]", 10.0), [NEGATIVE, "Surface area per unit volume [m-1]", "7.5 of"]),
    "large": (put(NEGATIVE, "Particle radius [m]", 5.86), [NEGATIVE, "'Particle radius [m]': found 5.86", "metres"]),
    "reversed": (put(NEGATIVE, "Maximum stoichiometry", 0.01), [NEGATIVE, "'Maximum stoichiometry': found 0.01"]),
    "above 1": (put(POSITIVE, "Maximum stoichiometry", 1.2), [POSITIVE, "'Maximum stoichiometry': found 1.2"]),
    "below 0": (put(POSITIVE, "Minimum stoichiometry", -0.2), [POSITIVE, "'Minimum stoichiometry': found -0.2"]),
    "litres": (put(NEGATIVE, "Maximum concentration [mol.m-3]", 33.1), [NEGATIVE, "'Maximum concentration", "mol/m3"]),
    "small area": (scale("Cell", "Electrode area [m2]", 0.1), ["'Nominal cell capacity [A.h]': found 5", "hold 0.515"]),
    "many pairs": (
        put("Cell", "Number of electrode pairs connected in parallel to make a cell", 34),
        ["'Nominal cell capacity [A.h]': found 5", "number of pairs"],
    ),
    "no pair": (
        put("Cell", "Number of electrode pairs connected in parallel to make a cell", 0),
        ["'Number of electrode pairs connected in parallel to make a cell': found 0"],
    ),
    "diffusivity of nothing": (
        put(NEGATIVE, "Diffusivity [m2.s-1]", "3e-14 * (x - 0.5)"),
        [NEGATIVE, "'Diffusivity [m2.s-1]': the curve is -1.421e-14 at 0.02635"],
    ),
    "diffusivity of nan": (put(POSITIVE, "Diffusivity [m2.s-1]", "4e-15 * (x - 0.3)**0.5"), [POSITIVE, "curve is nan"]),
    "conductivity in mS/cm": (put(
        ELECTROLYTE, "Conductivity [S.m-1]", "1.297 * (x/1000)**3 - 25.1 * (x/1000)**1.5 + 33.29 * (x/1000)"),
        [ELECTROLYTE, "'Conductivity [S.m-1]': the curve is 7.933", "divide mS/cm by 10"],
    ),
    "conductivity of mol/l": (
        put(ELECTROLYTE, "Conductivity [S.m-1]", "0.1297 * x**3 - 2.51 * x**1.5 + 3.329 * x"),
        [ELECTROLYTE, "'Conductivity [S.m-1]'", "as a function of mol/m3"],
    ),
    "slow electrolyte": (put(ELECTROLYTE, "Diffusivity [m2.s-1]", -2e-10), [ELECTROLYTE, "'Diffusivity [m2.s-1]'"]),
    "cation": (put(ELECTROLYTE, "Cation transference number", 1.0), [ELECTROLYTE, "'Cation transference number'"]),
    "kilojoules": (
        put(NEGATIVE, "Reaction rate constant activation energy [J.mol-1]", 35),
        [NEGATIVE, "'Reaction rate constant activation energy [J.mol-1]': found 35", "kJ/mol"],
    ),
    "rate": (put(NEGATIVE, "Reaction rate constant [mol.m-2.s-1]", 0), ["'Reaction rate constant [mol.m-2.s-1]'"]),
    "insulator": (put(POSITIVE, "Conductivity [S.m-1]", 0.0), [POSITIVE, "'Conductivity [S.m-1]': found 0.0"]),
    "steep entropy": (
        put(POSITIVE, "Entropic change coefficient [V.K-1]", 0.1),
        [POSITIVE, "'Entropic change coefficient [V.K-1]': the curve is 0.1", "divide mV/K by 1000"],
    ),
    "millivolts": (put(POSITIVE, "OCP [V]", "3700 - 500 * x"), [POSITIVE, "'OCP [V]': the curve is 3568"]),
    "swapped": (
        lambda d: d["Parameterisation"].update({k: d["Parameterisation"][j] for k, j in
                                                ((NEGATIVE, POSITIVE), (POSITIVE, NEGATIVE))}),
        ["Lower voltage cut-off [V]", "far outside 2.5 to 4.2 V"],
    ),
    "far": (put("Cell", "Lower voltage cut-off [V]", 3.2), ["'Lower voltage cut-off [V]'", "2.5 V at a state"]),
    "crossed": (put("Cell", "Upper voltage cut-off [V]", 2.0), ["'Upper voltage cut-off [V]': found 2.0"]),
    "falling": (
        put(POSITIVE, "OCP [V]", {"x": [0.26, 0.5, 0.6, 0.86], "y": [4.2, 3.6, 3.7, 3.6]}),
        ["'OCP [V]'", "falls by", "expected a rising one"],
    ),
    "blend": (
        lambda d: d["Parameterisation"].update({NEGATIVE: {
            **{k: v for k, v in d["Parameterisation"][NEGATIVE].items() if k in
               ("Thickness [m]", "Porosity", "Transport efficiency", "Conductivity [S.m-1]")},
            "Particle": {name: {k: v for k, v in d["Parameterisation"][NEGATIVE].items() if k not in
               ("Thickness [m]", "Porosity", "Transport efficiency", "Conductivity [S.m-1]")}
               for name in ("graphite", "silicon")}}}),
        [f"{NEGATIVE}, 'Particle': a blend of 'graphite', 'silicon'"],
    ),
    "salt": (start(1.0), [f"State, Initial conditions, {STATE!r}: found 1.0", "in mol/m3"]),
    "state of 90": (
        lambda d: d["State"]["Initial conditions"].update({"Initial state-of-charge": 90}),
        ["'Initial state-of-charge': found 90", "divide per cent by 100"],
    ),
    "celsius": (
        lambda d: d["State"]["Thermal environment"].update({"Ambient temperature [K]": 25}),
        ["'Ambient temperature [K]': found 25", "in kelvin"],
    ),
    "thick copper": (
        put("User-defined", "Negative current collector thickness [m]", 9e-4),
        ["'Specific heat capacity [J.K-1.kg-1]': collectors and layers hold"],
    ),
    "thermodynamics": (
        put("User-defined", "Electrolyte thermodynamic factor", "1 - x / 1000"),
        ["User-defined, 'Electrolyte thermodynamic factor': the curve is 0 at 1000"],
    ),
}  # fmt: skip
BAD_AT_ONCE = {
    "poisson": ("Negative electrode Poisson's ratio", 0.7),
    "transfer": ("Positive electrode anodic transfer coefficient", 1.5),
    "contact": ("Contact resistance [Ohm]", -1e-3),
    "formula": ("Contact resistance [Ohm]", "1e-3 * x"),
    "collector": ("Positive current collector thickness [m]", 16),
    "density": ("Separator density [kg.m-3]", 0.0),
}


@pytest.mark.parametrize("change, said", BAD.values(), ids=BAD)
def test_bad_electrodes_get_a_sentence(tmp_path, lgm50, change, said):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(public(lgm50, change)))
    with pytest.raises(InputError) as told:
        _ = load_cell(path).electrochemistry
    for part in ("mine", *said):
        assert part in str(told.value)


@pytest.mark.parametrize("key, value", BAD_AT_ONCE.values(), ids=BAD_AT_ONCE)
def test_a_bad_addition_is_refused_when_it_is_loaded(lgm50, key, value):
    with pytest.raises(InputError) as told:
        Cell("mine", public(lgm50, put("User-defined", key, value)))
    assert "mine" in str(told.value) and key in str(told.value)


def test_a_missing_key_is_named(lgm50):
    for section in (NEGATIVE, SEPARATOR, ELECTROLYTE):
        for key, value in lgm50.document["Parameterisation"][section].items():
            document = public(lgm50)
            document["Parameterisation"][section].pop(key)
            if "activation" in key or "Entropic" in key:
                Cell("mine", document)
            else:
                with pytest.raises(InputError, match="mine") as told:
                    _ = Cell("mine", document).electrochemistry
                assert key in str(told.value), value


def warned(document):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = Cell("mine", document).electrochemistry
    return made, [str(w.message) for w in caught if w.category is InputWarning]


def test_what_is_odd_is_warned_of(lgm50):
    made, said = warned(public(lgm50, put(NEGATIVE, "Porosity", 0.3)))
    assert made.negative.porosity == 0.3 and "mine, Negative electrode, 'Porosity'" in said[0]
    assert "'Maximum stoichiometry'" in warned(public(lgm50, put(NEGATIVE, "Maximum stoichiometry", 0.75)))[1][0]
    assert "'Initial electrolyte" in warned(public(lgm50, lambda document: document.pop("State")))[1][0]
    made, said = warned(public(lgm50, put(POSITIVE, "OCP (lithiation) [V]", "4.4 - x")))
    assert "without hysteresis" in said[0] and made.positive.potential(
        0.5
    ) == lgm50.electrochemistry.positive.potential(0.5)
    assert warned(public(lgm50)) == (Cell("mine", public(lgm50)).electrochemistry, [])


def test_a_table_may_run_backwards(lgm50):
    table = {"x": [0.9, 0.3, 0.2], "y": [3.5, 4.1, 4.2]}
    made = Cell("mine", public(lgm50, put(POSITIVE, "OCP [V]", table))).electrochemistry
    assert made.positive.potential(0.6) == pytest.approx(3.8)


def test_a_single_particle_is_no_blend(lgm50):
    porous = ("Thickness [m]", "Porosity", "Transport efficiency", "Conductivity [S.m-1]")

    def change(document):
        whole = document["Parameterisation"][NEGATIVE]
        particle = {key: value for key, value in whole.items() if key not in porous}
        document["Parameterisation"][NEGATIVE] = {key: whole[key] for key in porous} | {"Particle": {"only": particle}}

    made = Cell("mine", public(lgm50, change)).electrochemistry
    assert made.negative.reaction_rate_mol_m2s == lgm50.electrochemistry.negative.reaction_rate_mol_m2s


def test_a_thermal_cell_says_what_it_has_not():
    cell = load_cell("lfp_32113")
    assert not cell.has_electrodes
    with pytest.raises(InputError, match="lfp_32113, Parameterisation: no 'Electrolyte', no 'Negative electrode'"):
        _ = cell.electrochemistry


def test_a_cell_is_loaded_without_the_full_model():
    code = "import sys, bmsthermal; bmsthermal.load_cell('lgm50_21700'); print('bmsthermal.dfn' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "False"


SHARE = "Electrolyte cation transference number"
BEYOND = {
    "diffusivity": (POSITIVE, "Diffusivity [m2.s-1]", "4e-15*sqrt(0.8605-x)/0.5", "the curve is nan at 0.861"),
    "negative diffusivity": (NEGATIVE, "Diffusivity [m2.s-1]", "3e-14 * (0.95 - x)", "at 0.95"),
    "entropy": (POSITIVE, "Entropic change coefficient [V.K-1]", "1e-6 * log(x - 0.2)", "the curve is nan at 0.001"),
    "conductivity": (ELECTROLYTE, "Conductivity [S.m-1]", "(x - 400) / 600", "the curve is -0.5833 at 50, "),
    "rooted conductivity": (ELECTROLYTE, "Conductivity [S.m-1]", "sqrt(x-450)/30", "the curve is nan at 50, "),
    "salt diffusivity": (ELECTROLYTE, "Diffusivity [m2.s-1]", "1e-13 * (2000 - x)", "the curve is -1.175e-12 at 2012"),
    "transference": ("User-defined", SHARE, "0.3 + 0 * log(x - 300)", "the curve is nan at 50, "),
}


@pytest.mark.parametrize("section, key, curve, said", BEYOND.values(), ids=BEYOND)
def test_a_curve_that_ends_beyond_its_window_is_warned_of(lgm50, section, key, curve, said):
    found = warned(public(lgm50, put(section, key, curve)))[1]
    assert len(found) == 1
    assert found[0].startswith(f"mine, {section}, {key!r}: ") and said in found[0]
    assert "a run may stop or crawl there: continue the curve" in found[0]


@pytest.mark.parametrize("name", [*WITH_ELECTRODES, str(GOLDEN)])
def test_no_cell_is_warned_of(name):
    assert warned(load_cell(name).document)[1] == []


def test_a_curve_that_ends_within_its_window_is_still_an_error(lgm50):
    for curve in ("sqrt(x-550)/30", "(x - 600) / 600"):
        with pytest.raises(InputError, match=r"'Conductivity \[S.m-1\]': the curve is"):
            warned(public(lgm50, put(ELECTROLYTE, "Conductivity [S.m-1]", curve)))


def test_a_table_that_is_too_rough_is_refused_when_the_electrodes_are_read(lgm50):
    x = np.linspace(0, 1, 3000)
    table = {"x": x.tolist(), "y": (3e-14 * (1 + np.random.default_rng(0).uniform(size=3000))).tolist()}
    with pytest.raises(InputError, match=r"mine, Negative electrode, 'Diffusivity \[m2.s-1\]': a table of 3000 points"):
        _ = Cell("mine", public(lgm50, put(NEGATIVE, "Diffusivity [m2.s-1]", table))).electrochemistry

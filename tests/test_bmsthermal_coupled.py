"""Full and reduced model: the same question, the same answer."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, ReducedModel, Run, load_cell
from bmsthermal.reduction import METHODS


@pytest.fixture(scope="module")
def full(a123):
    return CoupledModel(a123, heat="measured")


def constant(current, ambient_K=298.15, seconds=6000.0, step_s=1.0):
    time = np.arange(0.0, seconds + step_s, step_s)
    return Run(time, np.full(time.size, current), np.full(time.size, np.nan), np.full(time.size, ambient_K))


@pytest.mark.parametrize("method", METHODS)
def test_reduced_minus_full_is_small_on_a_drive(full, us06, method):
    truth, small = full.simulate(us06), full.reduce(method=method).simulate(us06)
    # 0.1 K is what a reduction of order 4 promises; the wall flow of a step is first order
    assert np.abs(small.core_K - truth.core_K).max() < 0.1
    assert np.abs(small.surface_K - truth.surface_K).max() < 0.1
    assert np.ptp(truth.core_K) > 3.0  # there was something to follow


def test_two_faces_reduce_as_well(slab, us06):
    full = CoupledModel(slab, heat="measured")
    cold = {"back": 288.15}
    truth, small = full.simulate(us06, coolant_K=cold), full.reduce(order=6).simulate(us06, coolant_K=cold)
    for wall, kelvin in truth.surfaces_K.items():
        assert np.abs(small.surfaces_K[wall] - kelvin).max() < 0.15  # a step of 10 K on one face at the start
    assert truth.surfaces_K["surface back"][-1] < truth.surfaces_K["surface front"][-1] - 2


@pytest.mark.parametrize("which", ["full", "reduced"])
def test_rest_stays_and_a_new_ambient_is_reached(full, which):
    model = full if which == "full" else full.reduce()
    rest = model.simulate(constant(0.0))
    for kelvin in (rest.core_K, rest.mean_K, rest.surface_K):
        np.testing.assert_allclose(kelvin, 298.15, atol=1e-8)
    moved = model.simulate(constant(0.0, seconds=20000.0), start_K=278.15)
    assert moved.core_K[0] == pytest.approx(278.15, abs=1e-6)
    assert (moved.core_K[-1], moved.surface_K[-1]) == pytest.approx((298.15, 298.15), abs=1e-6)


@pytest.mark.parametrize("order", [1, 2, 4, 8])
def test_energy_closes_in_every_order(full, order):
    reduced = full.reduce(order=order)
    run = reduced.simulate(constant(15.0))
    stored = (run.mean_K[-1] - run.mean_K[0]) * reduced.cell.heat_capacity_J_K
    # the wall flow of a step is the one at its end
    lost = reduced.conductance_W_K[0] * (run.surface_K[1:] - 298.15).sum()
    assert stored == pytest.approx(run.heat_W[:-1].sum() - lost, rel=1e-9)


def test_an_insulated_reduced_cell_only_stores(full):
    reduced = full.reduce().with_h(0.0)
    run = reduced.simulate(constant(15.0, seconds=1000))
    stored = (run.mean_K[-1] - 298.15) * reduced.cell.heat_capacity_J_K
    assert stored == pytest.approx(run.heat_W[:-1].sum(), rel=1e-10)


def test_with_h_is_reducing_the_other_cell(full, us06):
    key = "Heat transfer coefficient [W.m-2.K-1]"
    again = CoupledModel(full.cell.with_values({key: {"side": 200.0}}), heat="measured").reduce().simulate(us06)
    np.testing.assert_allclose(full.reduce().with_h(200.0).simulate(us06).core_K, again.core_K, atol=1e-9)
    assert full.reduce().with_h({"side": 7.0}).cell.h_W_m2K == {"side": 7.0}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", [1, 3, 8])
def test_verify_holds(full, method, order):
    for step_s in (1e-3, 1.0, 1e4):
        full.reduce(order=order, method=method, step_s=step_s).verify()


def test_verify_finds_what_is_wrong(full):
    reduced = full.reduce()
    broken = full.reduce()
    broken.modal.C[1, 1] += 1e-3  # the cached copy of another reduction
    with pytest.raises(ArithmeticError, match="carries heat"):
        broken.verify()
    reduced.verify()


def test_point_is_core_and_surface_at_its_ends_and_refuses_outside(full):
    reduced = full.reduce()
    np.testing.assert_allclose(reduced.point(0.0), reduced.outputs[0], atol=1e-9)
    np.testing.assert_allclose(reduced.point(full.position_m[-1]), reduced.outputs[2], atol=1e-9)
    assert reduced.point(0.005) @ reduced.constant == pytest.approx(1.0)
    with pytest.raises(InputError, match=r"0 to 0\.01293 m"):
        reduced.point(0.02)


def test_saved_and_loaded_is_the_same(full, us06, tmp_path):
    reduced = full.reduce(order=3, step_s=0.5)
    for name in ("a.npz", "b.npz"):
        reduced.save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = ReducedModel.load(tmp_path / "a.npz")
    assert (again.cell.digest, again.step_s, again.method) == (full.cell.digest, 0.5, "multipoint")
    np.testing.assert_array_equal(again.simulate(us06).core_K, reduced.simulate(us06).core_K)
    assert again.digest == reduced.digest != full.reduce(order=3).digest
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()
    for absent in ("absent.npz", "."):
        with pytest.raises(InputError, match="no such file"):
            ReducedModel.load(tmp_path / absent)


def refused(path):
    with pytest.raises(InputError, match=f"{path.name}: not a reduced model .*; make one with bmsthermal reduce"):
        ReducedModel.load(path)


@pytest.fixture
def saved(full, tmp_path):
    full.reduce().save(tmp_path / "saved.npz")
    return tmp_path / "saved.npz"


def test_a_damaged_file_is_not_a_model(saved):
    whole = saved.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(b"NUMPY") + 130] ^= 1  # a bit of the rates: the archive's checksum fails
    table = io.BytesIO()
    np.save(table, np.ones(3))
    for content in (b"", b"not a zip", whole[:1000], whole[:-10], bytes(flipped), table.getvalue()):
        saved.write_bytes(content)
        refused(saved)


def rewritten(path, honest=False, **changes):
    """Write the file again with other arrays, or other settings; `honest` signs what it holds."""
    with np.load(path) as data:
        content = dict(data) | {key: value for key, value in changes.items() if key in data}
    settings = json.loads(str(content["settings"])) | {k: v for k, v in changes.items() if k not in content}
    np.savez(path, **{**content, "settings": json.dumps(settings)})
    if honest:
        model, _ = ReducedModel._read(path)
        rewritten(path, digest=model.digest)


BAD_ARRAYS = {
    "short": lambda a: a[:-1], "flat": np.ravel, "no number": lambda a: a.astype(str), "complex": lambda a: a + 0j,
    "single": np.float32, "nan": lambda a: a * np.nan, "infinite": lambda a: a + np.inf, "scaled": lambda a: a * 1e200,
    "negative": np.negative, "scalar": np.sum,
}  # fmt: skip


@pytest.mark.parametrize("name", ["rates", "B", "E", "C", "shapes", "position_m"])
@pytest.mark.parametrize("change", BAD_ARRAYS)
def test_changed_arrays_are_refused(saved, name, change):
    with np.load(saved) as data:
        before = data[name]
    after = BAD_ARRAYS[change](before)
    if change == "flat" and before.ndim == 1:
        after = before[:, None]
    rewritten(saved, **{name: after})
    refused(saved)


@pytest.mark.filterwarnings("ignore:overflow")  # a wall of 1e200 is what is being refused
@pytest.mark.parametrize("name", ["C", "E"])
@pytest.mark.parametrize("change", ["scaled", "negative"])
def test_what_is_signed_must_still_be_a_cell(saved, name, change):
    with np.load(saved) as data:
        after = BAD_ARRAYS[change](data[name])
    rewritten(saved, honest=True, **{name: after})
    refused(saved)


@pytest.mark.parametrize("settings", [
    {"step_s": None}, {"step_s": -1.0}, {"step_s": float("inf")}, {"step_s": "1"}, {"step_s": 2.0}, {"method": []},
    {"method": "pod"}, {"name": None}, {"digest": None}, {"digest": "0"},
])  # fmt: skip
def test_changed_settings_are_refused(saved, settings):
    rewritten(saved, **settings)
    refused(saved)


def test_missing_and_changed_parts_are_refused(saved, full):
    with np.load(saved) as data:
        content = dict(data)
    for key in content:
        np.savez(saved, **{k: v for k, v in content.items() if k != key})
        refused(saved)
    for key in ("settings", "cell"):
        for text in ("", "[]", "{}", "5", "[" * 100000, "\x00"):
            np.savez(saved, **{**content, key: text})
            refused(saved)
    other = full.cell.with_values({"Heat transfer coefficient [W.m-2.K-1]": 26.0})
    np.savez(saved, **{**content, "cell": json.dumps(other.document)})
    refused(saved)


def test_extreme_cells_get_a_sentence_that_names_them(full):
    # as extreme as a file may be, and past it: solved, or refused in words
    can = {
        "Can thickness [m]": 1e-5, "Can thermal conductivity [W.m-1.K-1]": 1e4, "Can density [kg.m-3]": 1e5,
        "Can specific heat capacity [J.K-1.kg-1]": 1e5, "Can thermal contact resistance [m2.K.W-1]": 1e-8,
    }  # fmt: skip
    radial = "Radial thermal conductivity [W.m-1.K-1]"
    for changes in (
        {radial: 1e-3}, {radial: 1e4}, {radial: 1e4, "Mandrel diameter [m]": 0.02586 - 2.1e-5},
        can, can | {radial: 1e-3, "Can specific heat capacity [J.K-1.kg-1]": 1.0},
        can | {"Can thermal contact resistance [m2.K.W-1]": 1.0, "Can specific heat capacity [J.K-1.kg-1]": 1.0},
        {"Heat transfer coefficient [W.m-2.K-1]": 1e5}, {"Heat transfer coefficient [W.m-2.K-1]": 1e-6},
    ):  # fmt: skip
        try:
            CoupledModel(full.cell.with_values(changes, "mine"), heat="measured").reduce().verify()
        except InputError as error:
            assert str(error).startswith("mine")
    with pytest.raises(InputError, match=r"a123_26650: cannot solve its heat conduction .*the heat is not positive"):
        _ = CoupledModel(full.cell, heat_shape=lambda x: x * np.nan, heat="measured").system
    with pytest.raises(InputError, match="a123_26650: cannot solve"):
        _ = CoupledModel(full.cell, heat_shape=np.zeros_like, heat="measured").system


def test_to_control_keeps_the_steady_gain(full):
    gain = full.reduce().to_control().dcgain()
    inside = 1 / (4 * np.pi * 0.38 * full.cell.extent)
    assert gain[0, 0] - gain[2, 0] == pytest.approx(inside, rel=1e-6)
    np.testing.assert_allclose(gain[:, 1], 1.0, rtol=1e-9)


def test_mistakes_get_a_sentence(full):
    with pytest.raises(InputError, match=r"order 500, expected 1 to 201, the states of the full model"):
        full.reduce(order=500)
    for bad in (0, -1):
        with pytest.raises(InputError, match=f"order {bad}"):
            full.reduce(order=bad)
    with pytest.raises(InputError, match="unknown method 'magic', expected one of multipoint, pade, pod"):
        full.reduce(method="magic")
    for step in (0.0, -1.0, float("nan"), float("inf"), 10**400, None, "1"):
        with pytest.raises(InputError, match="step_s"):
            full.reduce(step_s=step)
        with pytest.raises(InputError, match="step_s"):
            full.simulate(constant(0.0, seconds=2.0), step_s=step)
    with pytest.raises(InputError, match="heat='magic', expected one of dfn, three-term, measured"):
        CoupledModel(full.cell, heat="magic")
    with pytest.raises(InputError, match="heat='dfn', expected a cell file with electrodes"):
        CoupledModel(load_cell("lfp_32113"), heat="dfn")
    with pytest.raises(InputError, match="thermal with heat='measured'"):
        CoupledModel(full.cell, heat="measured", thermal="lumped")
    with pytest.raises(InputError, match="nodes=2"):
        CoupledModel(full.cell, nodes=2, heat="measured")
    with pytest.raises(InputError, match=r"no face \['top'\]"):
        full.simulate(constant(0.0, seconds=2.0), coolant_K={"top": 280.0})


@pytest.mark.parametrize("h", [{"side": 0.0}, {"side": 25.0}])
def test_a_uniform_start_is_uniform_whatever_the_cooling(a123, h):
    cell = a123.with_values({"Heat transfer coefficient [W.m-2.K-1]": h})
    time_s = np.arange(11.0)
    run = Run(time_s, np.zeros(11), np.full(11, np.nan), np.full(11, 310.0))
    found = CoupledModel(cell, heat="measured").simulate(run, start_K=310.0)
    # 201 modes add up to it: rounding of each
    for T in (found.core_K, found.mean_K, found.surface_K):
        np.testing.assert_allclose(T, 310.0, atol=1e-8)


def test_more_states_than_a_basis_holds_are_refused(a123):
    with pytest.raises(InputError, match="order 100, expected at most"):
        CoupledModel(a123, heat="measured").reduce(100)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layers": 2.5}, r"layers=2.5, expected a whole number from 1 to 40, the nodes"),
        ({"layers": 100_000}, r"layers=100000, expected a whole number from 1 to 40"),
        ({"thermal": "r-z", "layers": 30}, r"layers=30, expected at most 12; take more nodes"),
        ({"thermal": "lumped", "layers": 2}, r"layers=2 with thermal='lumped', expected thermal radial, slab or r-z"),
        ({"thermal": "slab"}, r"thermal='slab' of a cylinder"),
        ({"thermal": "magic"}, r"thermal='magic', expected one of isothermal, lumped, x, radial, slab, r-z"),
        ({"thermal": "isothermal", "reactions": "all"}, r"a temperature that is held cannot run away"),
        ({"thermal": "radial", "couplings": "soret"}, r"Soret or Dufour with thermal='radial', expected thermal='x'"),
        ({"couplings": ("magic",)}, r"unknown coupling 'magic', expected some of stress, soret"),
        ({"nodes": 10**7}, r"nodes=10000000, expected a whole number from 4 to 2000"),
        ({"reactions": "all", "heat": "measured"}, r"reactions with heat='measured'"),
        ({"heat_shape": np.ones_like, "heat": "dfn"}, r"heat_shape with heat='dfn'"),
    ],
)
def test_options_that_cannot_be_get_a_sentence(options, said):
    with pytest.raises(InputError, match=said):
        CoupledModel(load_cell("lgm50_21700"), **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rtol": -1}, r"rtol=-1, expected 1e-12 to 0.1"),
        ({"atol": float("nan")}, r"atol=nan, expected 1e-12 to 0.1"),
        ({"hottest_K": 25.0}, r"hottest_K=25.0, expected 150 to 1500, in kelvin"),
        ({"coolant_K": {"side": 300.0}}, r"coolant_K, expected ambient_K"),
        ({"step_s": 1e-3, "fields": True}, r"3.6e\+06 rows of 0.001 s, expected fewer"),
        ({"initial_soc": 1.1}, r"1.1"),
    ],
)
def test_runs_that_cannot_be_get_a_sentence(options, said):
    model = CoupledModel(load_cell("lgm50_21700"), thermal="lumped")
    with pytest.raises(InputError, match=said):
        model.simulate("rest 1h", **options)


def test_a_profile_in_degC_is_named_by_its_row():
    ambient = np.array([300.0, 300.0, 25.0])
    run = Run(np.arange(3.0), np.zeros(3), np.full(3, np.nan), ambient, name="drive")
    with pytest.raises(InputError, match=r"profile drive: ambient_K in row 3=25.0, expected 150 to 1500, in kelvin"):
        CoupledModel(load_cell("lgm50_21700"), thermal="lumped").simulate(run)

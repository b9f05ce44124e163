"""Finite volumes in radius and height against closed forms, against one dimension, and against themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, optimize, special

from bmsthermal import load_cell
from bmsthermal.conduction import Layer, conduct
from bmsthermal.conduction_field import ConductionField
from bmsthermal.conduction_rz import conduct_rz, field_rz

K, KZ, C, R, L = 0.67, 21.0, 2.3e6, 0.013, 0.065
ROLL = Layer("roll", 0.0, R, K, C)
CAN = Layer("can", R, R + 3e-4, 16.0, 3.8e6, heated=False)
BASE = Layer("base", 0.0, 4e-4, 16.0, 3.8e6, heated=False)
LID = Layer("lid", L - 1e-3, L, 16.0, 3.8e6, heated=False)
END = np.pi * R**2


def bare(nodes_r=12, nodes_z=12, **given):
    return field_rz([ROLL], L, axial_conductivity_W_mK=[KZ], nodes_r=nodes_r, nodes_z=nodes_z, **given)


def canned(nodes=8, *, contact=0.0, ends=(BASE, LID), **given):
    layers = [replace(ROLL, inner_m=0.002, contact_m2K_W=contact), CAN]
    return field_rz(
        layers, L, axial_conductivity_W_mK=[KZ, 16.0], end_layers=ends, nodes_r=nodes, nodes_z=nodes, **given
    )


def rates(field, h):
    """All decay rates of the field, cooled node by node."""
    return linalg.eigh(field.cooled(h).toarray(), np.diag(field.capacity_J_K), eigvals_only=True)


# --- exact solutions


@pytest.mark.parametrize("ends", [(None, None), (replace(BASE, heated=True), None)])
def test_insulated_ends_leave_the_parabola_of_one_dimension(ends):
    h = 40.0
    if ends[0]:  # a disc of the same material is no disc
        ends = (replace(ROLL, inner_m=0.0, outer_m=4e-3), None)
    field = bare(end_layers=ends)
    T = field.steady([h, 0, 0], 3.0, 5.0)
    exact = 5.0 + 3.0 / (h * 2 * np.pi * R * L) + 3.0 * (1 - (field.r_m / R) ** 2) / (4 * np.pi * K * L)
    np.testing.assert_allclose(T, exact, rtol=1e-11)  # a parabola has no error of second order


@pytest.mark.parametrize(("bottom", "top"), [(50.0, 50.0), (10.0, 2000.0), (800.0, 0.0)])
def test_an_insulated_side_leaves_the_slab_with_its_biot_numbers(bottom, top):
    field = bare()
    T = field.steady([0, bottom, top], 2.0, 0.0)
    q, z = 2.0 / (END * L), field.z_m
    b, t = bottom * L / KZ, top * L / KZ  # Biot numbers: -T'' = q/k, T'(0) = b T(0)/L, T'(L) = -t T(L)/L
    base = q * L**2 / KZ * (1 + t / 2) / (b + t + b * t)
    exact = base * (1 + b * z / L) - q * z**2 / (2 * KZ)
    np.testing.assert_allclose(T, exact, rtol=1e-11)


def test_discs_and_contacts_are_resistances_in_series():
    base, lid, h = replace(BASE, contact_m2K_W=2e-4), replace(LID, contact_m2K_W=5e-5), 300.0
    field = bare(end_layers=(base, lid))
    roll = L - 4e-4 - 1e-3
    down = field.C @ field.steady([0, h, 0], 1.0, 0.0)
    through = 4e-4 / 16.0 + 2e-4 + roll / 2 / KZ * 0.75  # parabola: 3/4 of the drop up to the middle
    np.testing.assert_allclose(down[3] * END, 1 / h, rtol=1e-10)
    np.testing.assert_allclose((down[0] - down[3]) * END, through, rtol=1e-10)
    up = field.C @ field.steady([0, 0, h], 1.0, 0.0)
    np.testing.assert_allclose((up[0] - up[4]) * END, 1e-3 / 16.0 + 5e-5 + roll / 2 / KZ * 0.75, rtol=1e-10)


def eigenmode(side, bottom, top):
    """Slowest mode ``J0(zeta r/R) cos(beta z - delta)`` of a bare roll and its decay rate."""
    biot = side * R / K
    zeta = optimize.brentq(lambda x: x * special.j1(x) - biot * special.j0(x), 0.0, 2.404, xtol=1e-15) if side else 0.0

    def phase(beta):
        return beta * L - np.arctan2(bottom, KZ * beta) - np.arctan2(top, KZ * beta)

    beta = optimize.brentq(phase, 1e-9, np.pi / L, xtol=1e-13) if bottom or top else 0.0
    delta = np.arctan2(bottom, KZ * beta) if beta else 0.0
    rate = (K * (zeta / R) ** 2 + KZ * beta**2) / C
    return lambda r, z: special.j0(zeta * r / R) * np.cos(beta * z - delta), rate


@pytest.mark.parametrize(
    ("h", "grids"),
    [
        ((150.0, 0.0, 0.0), [(8, 2), (16, 2), (32, 2)]),  # the radius alone
        ((0.0, 400.0, 2000.0), [(2, 8), (2, 16), (2, 32)]),  # the height alone, an end cooled more than the other
        ((150.0, 400.0, 2000.0), [(8, 8), (16, 16)]),
    ],
)
def test_the_product_of_bessel_and_cosine_decays_with_second_order(h, grids):
    shape, rate = eigenmode(*h)
    errors = []
    for grid in grids:
        field = bare(*grid)
        lam, V = linalg.eigh(field.cooled(h).toarray(), np.diag(field.capacity_J_K))
        start = shape(field.r_m, field.z_m)
        t = 1.0 / rate  # one time constant: e falls to 1/e
        T = V @ (np.exp(-lam * t) * (V.T @ (field.capacity_J_K * start)))
        errors.append([np.abs(T - np.exp(-1.0) * start).max(), abs(lam[0] - rate) / rate])
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 2.0, atol=0.1)
    assert max(errors[-1]) < 1e-3


def test_insulated_waves_along_the_axis_have_their_rates():
    exact = (np.pi * np.arange(1, 4) / L) ** 2 * KZ / C
    copper = [replace(ROLL, conductivity_W_mK=400.0)]  # waves across the radius come after those along the axis
    fields = [field_rz(copper, L, axial_conductivity_W_mK=[KZ], nodes_r=2, nodes_z=n) for n in (12, 24, 48)]
    errors = np.array([np.abs(field.system().modes[0][1:4] - exact) for field in fields])
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), 2.0, atol=0.1)


def test_layers_discs_and_contacts_converge_with_second_order():
    ends, h = (replace(BASE, contact_m2K_W=1e-4), LID), [30.0, 300.0, 50.0]
    fields = [canned(n, contact=3e-4, ends=ends) for n in (8, 16, 32, 64)]
    outputs = np.array([field.C @ field.steady(h, 1.0, 0.0) for field in fields])
    steps = np.diff(outputs, axis=0)  # against the next finer one: there is no closed form
    # coarse thin layers keep their least number of intervals, hence wider
    np.testing.assert_allclose(np.log2(np.abs(steps[:-1] / steps[1:])), 2.0, atol=0.15)


# --- one dimension, and other ways to say the same


def in_one_dimension(**given):
    layers = [replace(ROLL, inner_m=0.002, contact_m2K_W=3e-4), CAN]
    system, x = conduct(layers, "cylinder", L, nodes=20, **given)
    return layers, system, x


def test_without_axial_gradients_it_is_conduct():
    layers, system, x = in_one_dimension(heat_shape=lambda r: 1 + (r / R) ** 2)
    field = field_rz(
        layers, L, axial_conductivity_W_mK=[KZ, 16.0], nodes_r=20, nodes_z=4, heat_shape=lambda r, z: 1 + (r / R) ** 2
    )
    h = 60.0
    g = h * field.wall_area_m2[0]
    T, expected = field.steady([h, 0, 0], 2.0, 3.0), system.steady(g, [2.0], [3.0])
    for z in np.unique(field.z_m):
        np.testing.assert_array_equal(field.r_m[field.z_m == z], x)
        np.testing.assert_allclose(T[field.z_m == z], expected, rtol=1e-11)
    rng = np.random.default_rng(1)
    inputs = np.column_stack([rng.uniform(0, 5, 50), rng.normal(0, 3, 50)])
    flat = system.hold(g, 10.0).simulate(inputs)
    full = field.system().hold([g, 0, 0], 10.0).simulate(np.column_stack([inputs, np.zeros((50, 2))]))
    np.testing.assert_allclose(full[:, :3], flat, atol=1e-9)


def test_one_dimension_is_a_field_too():
    _, system, x = in_one_dimension()
    area = 2 * np.pi * CAN.outer_m * L
    field = ConductionField.from_passive(system, x, [area])
    np.testing.assert_allclose(field.steady(50.0, 2.0, 4.0), system.steady(50.0 * area, [2.0], [4.0]), rtol=1e-10)
    again = field.system()
    for name in "MKBEC":
        np.testing.assert_array_equal(getattr(again, name), getattr(system, name))
    slab, x = conduct([ROLL], "slab", 0.02, nodes=20)
    field = ConductionField.from_passive(slab, x, [0.02, 0.02])
    np.testing.assert_allclose(field.steady([9.0, 40.0], 1.0, [1.0, 2.0]), slab.steady([0.18, 0.8], [1.0], [1.0, 2.0]))
    assert field.walls == ("back", "front") and repr(field).endswith("back 200 cm2, front 200 cm2)")


def test_a_field_survives_the_way_through_its_dense_system():
    field = canned(contact=2e-4)
    again = ConductionField.from_passive(field.system(), field.r_m, field.wall_area_m2)
    np.testing.assert_allclose(again.surface_area_m2, field.surface_area_m2, rtol=1e-14)
    assert abs(again.K - field.K).max() == 0


def test_conduct_rz_is_the_dense_field():
    system, r, z = conduct_rz([ROLL], L, axial_conductivity_W_mK=[KZ], nodes_r=6, nodes_z=4)
    field = bare(6, 4)
    np.testing.assert_array_equal(system.K, field.K.toarray())
    np.testing.assert_array_equal(np.column_stack([r, z]), np.column_stack([field.r_m, field.z_m]))
    assert system.outputs == ("core", "mean", "surface side", "surface bottom", "surface top")


@pytest.mark.parametrize("contact", [0.0, 2e-4])
def test_half_of_a_symmetric_cell_is_the_cell(contact):
    ends = (replace(BASE, contact_m2K_W=contact), replace(BASE, inner_m=L - 4e-4, outer_m=L, contact_m2K_W=contact))
    whole, half = (canned(contact=contact, ends=ends, symmetric=s) for s in (False, True))
    assert half.order < 0.6 * whole.order
    np.testing.assert_allclose(half.wall_area_m2, whole.wall_area_m2, rtol=1e-13)
    assert half.capacity_J_K.sum() == pytest.approx(whole.capacity_J_K.sum(), rel=1e-13)
    h = [20.0, 300.0, 300.0]
    np.testing.assert_allclose(half.C @ half.steady(h, 2.0, 1.0), whole.C @ whole.steady(h, 2.0, 1.0), rtol=1e-10)
    # half of the rates are the symmetric ones
    gap = np.abs(rates(whole, h)[:, None] / rates(half, h) - 1).min(axis=0)
    assert gap.max() < 1e-8
    # bottom and top cooled differently: each gets the mean
    np.testing.assert_allclose(half.steady([20, 600, 0], 2.0, 1.0), half.steady(h, 2.0, 1.0), rtol=1e-10)


def test_upside_down_is_upside_down():
    turned = (replace(BASE, outer_m=1e-3), replace(LID, inner_m=L - 4e-4))  # both discs are steel
    up, down = canned(), canned(ends=turned)
    a = up.C @ up.steady([20.0, 300.0, 50.0], 2.0, [1.0, 2.0, 3.0])
    b = down.C @ down.steady([20.0, 50.0, 300.0], 2.0, [1.0, 3.0, 2.0])
    np.testing.assert_allclose(a, b[[0, 1, 2, 4, 3]], rtol=1e-9)


@settings(max_examples=15)
@given(st.floats(0.2, 5.0))
def test_a_stretched_cell_with_its_conductivity_by_the_square_is_the_same(s):
    """``z -> s z, k_z -> s^2 k_z, h_end -> s h_end``: all powers grow by s, no temperature changes."""
    short = bare(8, 8)
    long = field_rz([ROLL], s * L, axial_conductivity_W_mK=[s**2 * KZ], nodes_r=8, nodes_z=8)
    np.testing.assert_allclose((long.K - s * short.K).toarray(), 0, atol=1e-12 * s * abs(short.K).max())
    T = short.steady([30.0, 200.0, 40.0], 1.0, [0.0, 1.0, 2.0])
    np.testing.assert_allclose(long.steady([30.0, s * 200.0, s * 40.0], s, [0.0, 1.0, 2.0]), T, rtol=1e-9)


def test_a_contact_of_nothing_joins_and_an_endless_one_parts():
    joined, nearly, parted = canned(contact=0.0), canned(contact=1e-10), canned(contact=1e9, ends=(None, None))
    h = [50.0, 50.0, 50.0]
    np.testing.assert_allclose(joined.C @ joined.steady(h, 1.0, 0.0), nearly.C @ nearly.steady(h, 1.0, 0.0), rtol=1e-5)
    T = parted.C @ parted.steady([50.0, 0.0, 80.0], 1.0, 0.0)
    roll = np.pi * (R**2 - 0.002**2)
    assert T[4] == pytest.approx(1 / (80.0 * roll), rel=1e-6)  # all of the heat leaves through the roll's own top
    assert abs(T[2]) < 1e-3 * T[4]


def test_a_disc_is_one_piece_and_so_is_a_can_with_its_disc():
    endless = 1e9
    base = replace(BASE, contact_m2K_W=endless)
    around = canned(contact=endless).steady([200.0, 0, 0], 1.0, 0.0)  # out of the roll by the discs, then into the can
    down = canned(ends=(base, replace(LID, contact_m2K_W=endless))).steady([0, 200.0, 0], 1.0, 0.0)  # by the can
    assert around.min() > 0 and around.max() < 40 and down.min() > 0 and down.max() < 40


# --- what holds on any mesh

sizes = st.floats(-4, -2).map(lambda e: 10.0**e)
conductivities = st.floats(-1, 2.5).map(lambda e: 10.0**e)
films = st.one_of(st.just(0.0), st.floats(0, 3.5).map(lambda e: 10.0**e))
contacts = st.one_of(st.just(0.0), st.floats(-6, -2).map(lambda e: 10.0**e))


@st.composite
def cells(draw):
    edge = draw(st.sampled_from([0.0, 0.002]))
    layers = []
    for i in range(draw(st.integers(1, 3))):
        outer = edge + draw(sizes)
        heated = i == 0 or draw(st.booleans())
        layers.append(
            Layer(str(i), edge, outer, draw(conductivities), draw(st.floats(1e5, 5e6)), heated, draw(contacts))
        )
        edge = outer
    ends = [None, None]
    for i, spread in enumerate(((0.0, 5e-4), (0.019, 0.02))):
        if draw(st.booleans()):
            ends[i] = Layer("end", *spread, draw(conductivities), 3e6, draw(st.booleans()), draw(contacts))
    axial = [draw(conductivities) for _ in layers]
    given = {"end_layers": tuple(ends), "nodes_r": draw(st.integers(2, 6)), "nodes_z": 2 * draw(st.integers(1, 3))}
    return layers, field_rz(layers, 0.02, axial_conductivity_W_mK=axial, **given), ends


@settings(max_examples=25)
@given(cells())
def test_volume_areas_and_heat_are_exact(cell):
    layers, field, (base, lid) = cell
    a, b = layers[0].inner_m, layers[-1].outer_m
    body = 0.02 - 5e-4 * bool(base) - 1e-3 * bool(lid)
    discs = np.pi * (b**2 - a**2) * 3e6 * (0.02 - body)
    rings = sum(np.pi * (x.outer_m**2 - x.inner_m**2) * body * x.heat_capacity_J_m3K for x in layers)
    assert field.capacity_J_K.sum() == pytest.approx(discs + rings, rel=1e-12)
    end = np.pi * (b**2 - a**2)
    np.testing.assert_allclose(field.wall_area_m2, [2 * np.pi * b * 0.02, end, end], rtol=1e-12)
    assert field.heat_share.sum() == pytest.approx(1.0, rel=1e-12) and (field.heat_share >= 0).all()
    np.testing.assert_allclose(field.C @ np.ones(field.order), 1.0, rtol=1e-12)
    assert (field.surface_area_m2[field.r_m < b, 0] == 0).all()
    assert (field.surface_area_m2[field.z_m > 0, 1] == 0).all()
    assert (field.surface_area_m2[field.z_m < 0.02, 2] == 0).all()


@settings(max_examples=25)
@given(cells(), st.tuples(films, films, films), st.integers(0, 10**6))
def test_energy_closes(cell, h, seed):
    _, field, _ = cell
    rng = np.random.default_rng(seed)
    T, heat, outside = rng.normal(0.0, 5.0, field.order), 4.0, rng.normal(0.0, 5.0, 3)
    stored = (field.drive(h) @ [heat, *outside] - field.cooled(h) @ T).sum()
    lost = (field.surface_area_m2 * np.array(h) * (T[:, None] - outside)).sum()
    # neighbours exchange far more than is stored: 1e-12 of what they exchange
    assert stored == pytest.approx(heat - lost, abs=1e-12 * (abs(field.K) @ np.abs(T)).sum())
    assert abs(field.K - field.K.T).max() == 0
    off = field.K.tocoo()
    assert (off.data[off.row != off.col] <= 0).all()  # heat goes from warm to cold


@settings(max_examples=25)
@given(cells(), st.tuples(films, films, films), st.integers(0, 10**6))
def test_without_heat_no_node_leaves_the_range_of_the_surroundings(cell, h, seed):
    _, field, _ = cell
    if not any(h):
        h = (1.0, 0.0, 0.0)
    outside = np.random.default_rng(seed).normal(0.0, 5.0, 3)
    seen = outside[np.array(h) > 0]
    T = field.steady(h, 0.0, outside)
    assert T.min() >= seen.min() - 1e-6 and T.max() <= seen.max() + 1e-6


@settings(max_examples=20)
@given(cells(), st.tuples(films, films, films))
def test_the_mean_of_a_wall_never_cools_better_than_its_nodes(cell, h):
    """``h a a'/sum(a) <= h diag(a)``: the film of the reduction is a projection of the exact one."""
    _, field, _ = cell
    system, films = field.system(), np.array(h) * field.wall_area_m2
    M = np.diag(field.capacity_J_K)
    slow, fast = (linalg.eigh(A, M, eigvals_only=True) for A in (
        system.K + (system.E * films) @ system.E.T, field.cooled(h).toarray()
    ))  # fmt: skip
    assert (slow <= fast + 1e-9 * fast[-1]).all()
    np.testing.assert_allclose(system.E.sum(axis=0), 1.0, rtol=1e-12)


# --- the two ways to cool, and what is refused


@pytest.mark.parametrize(
    ("name", "ends", "said"),
    [
        ("a123_26650", False, {(10, 10, 10): 0.10, (30, 30, 30): 0.65, (100, 100, 100): 3.6, (500, 500, 500): 16.0}),
        ("a123_26650", True, {(10, 10, 10): 0.03, (30, 30, 30): 0.22, (100, 100, 100): 1.3, (500, 500, 500): 6.1}),
        ("lgm50_21700", False, {(30, 30, 30): 0.05, (100, 100, 100): 0.38, (500, 500, 500): 3.0}),
        ("a123_26650", False, {(10, 1000, 10): 2.0}),
        ("lgm50_21700", False, {(10, 1000, 10): 1.25}),
    ],
)
def test_the_mean_closure_is_as_far_off_as_its_docstring_says(name, ends, said):
    cell = load_cell(name)
    k, length = cell.thermal["Axial thermal conductivity [W.m-1.K-1]"], cell.extent
    discs = (BASE, replace(LID, inner_m=length - 1e-3, outer_m=length)) if ends else (None, None)
    field = field_rz(cell.layers, length, axial_conductivity_W_mK=[k], end_layers=discs, nodes_r=12, nodes_z=12)
    system = field.system()
    for h, percent in said.items():
        g, exact = h * field.wall_area_m2, field.C @ field.steady(h, 1.0, 0.0)
        T = system.steady(g, [1.0], np.zeros(3))
        core = (system.C @ T)[0]
        assert 100 * (core / exact[0] - 1) == pytest.approx(percent, rel=0.06, abs=0.006)  # as rounded there
        assert g @ (system.E.T @ T) == pytest.approx(1.0, rel=1e-9)  # what comes in goes out, here too


def test_a_film_may_vary_along_its_wall():
    field = bare()
    h = np.column_stack([100.0 * field.z_m / L, np.zeros(field.order), np.zeros(field.order)])  # a draught on top
    T = field.steady(h, 2.0, 0.0)
    assert (field.surface_area_m2 * h * T[:, None]).sum() == pytest.approx(2.0, rel=1e-10)
    y = field.C @ T
    assert y[4] < y[3]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"axial_conductivity_W_mK": [KZ, KZ]}, ValueError, "expected one for each of 1 layers"),
        ({"nodes_z": 5}, ValueError, "even nodes_z"),
        ({"layers": [replace(ROLL, outer_m=0.0)]}, ValueError, "without thickness"),
        ({"layers": [ROLL, replace(CAN, inner_m=0.02)], "axial_conductivity_W_mK": [1, 1]}, ValueError, "begin where"),
        ({"end_layers": (LID, None)}, ValueError, "do not end at 0"),
        ({"end_layers": (replace(BASE, outer_m=L), None)}, ValueError, "nothing between"),
        ({"end_layers": (BASE, None), "symmetric": True}, ValueError, "not the same"),
        ({"end_layers": (BASE, LID), "symmetric": True}, ValueError, "not the same"),
        ({"layers": [replace(ROLL, contact_m2K_W=np.nan)]}, ValueError, "contact"),
        ({"axial_conductivity_W_mK": [-1.0]}, ArithmeticError, "negative"),
        ({"layers": [replace(ROLL, heated=False)]}, ArithmeticError, "not positive"),
        ({"layers": [replace(ROLL, heat_capacity_J_m3K=0.0)]}, ArithmeticError, "not positive"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(changes, error, words):
    given = {"layers": [ROLL], "length_m": L, "axial_conductivity_W_mK": [KZ], "nodes_r": 4, "nodes_z": 4} | changes
    with pytest.raises(error, match=words):
        field_rz(**given)


def test_films_and_shapes_are_checked():
    field = bare(4, 4)
    with pytest.raises(ValueError, match="insulated"):
        field.steady(0.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="finite and >= 0"):
        field.cooled([-1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="heat_share has shape"):
        replace(field, heat_share=np.ones(3))
    system = field.system()
    with pytest.raises(ValueError, match="not diagonal"):
        ConductionField.from_passive(replace(system, M=system.M + 1.0), field.r_m, field.wall_area_m2)
    with pytest.raises(ValueError, match="heat alone"):
        two = replace(system, B=np.hstack([system.B, system.B]), inputs=("heat", "tab"))
        ConductionField.from_passive(two, field.r_m, field.wall_area_m2)
    with pytest.raises(ValueError, match="one per wall: side, bottom, top"):
        ConductionField.from_passive(system, field.r_m, [1.0])

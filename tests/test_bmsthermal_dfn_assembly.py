"""Assembly from local laws: the Jacobian, its pattern, what is conserved; and curves as expressions."""

from __future__ import annotations

from types import SimpleNamespace

import casadi as ca
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bmsthermal import load_cell
from bmsthermal.curves import Curve
from bmsthermal.dfn.assembly import Assembly
from bmsthermal.dfn.decomposition import Decomposition
from bmsthermal.dfn.equations import Equations
from bmsthermal.dfn.expressions import FARADAY, expression
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.dfn.particle import ParticleGrid
from bmsthermal.errors import InputError

EXTRA = {
    "Soret coefficient [K-1]": 8e-3,
    "Contact resistance [Ohm]": 0.01,
    "Negative electrode film resistance [Ohm.m2]": 2e-3,
    "Negative electrode partial molar volume [m3.mol-1]": 3.1e-6,
    "Negative electrode Young's modulus [Pa]": 15e9,
    "Negative electrode Poisson's ratio": 0.3,
    "Negative electrode stress activation volume [m3.mol-1]": 1e-6,
    "Positive electrode partial molar volume [m3.mol-1]": -7e-7,
    "Positive electrode Young's modulus [Pa]": 375e9,
    "Positive electrode Poisson's ratio": 0.2,
}
STRESS = ("stress-flux", "stress-diffusivity", "stress-potential")
MESH = Mesh(3, 2, 3, ParticleGrid(3), ParticleGrid(2, (0.6,)))


def right(system, y, u):
    return system.right(y, u).full()[:, 0]


# --- small systems ---


def star(count):
    """`count` unknowns that meet no other but the last one."""
    assembly = Assembly(("u",))
    y, hub = assembly.unknown("y", count, mass=1.0), assembly.unknown("hub")

    def law(y, p, u):
        return [-p[0] * y[0] * y[1], ca.sin(y[0]) + u[0] * y[1] ** 2], {"product": y[0] * y[1]}

    assembly.law("spoke", law, [y, hub], [y, hub], [np.arange(1.0, count + 1)])
    return assembly.build()


@pytest.mark.parametrize("count", [1, 7, 100])
def test_an_unknown_that_meets_all_costs_one_row_and_one_column(count):
    system = star(count)
    assert system.pattern.nnz == 3 * count + 1  # diagonal, row and column: not count**2


def test_a_law_is_added_at_all_its_places():
    system = star(4)
    y, u = np.array([0.1, 0.2, 0.3, 0.4, 2.0]), np.array([3.0])
    expected = np.append(-np.arange(1, 5) * y[:4] * y[4], np.sin(y[:4]).sum() + 4 * 3.0 * y[4] ** 2)
    np.testing.assert_allclose(right(system, y, u), expected, rtol=1e-14)
    slope = np.zeros((5, 5))
    slope[range(4), range(4)], slope[:4, 4] = -np.arange(1, 5) * y[4], -np.arange(1, 5) * y[:4]
    slope[4, :4], slope[4, 4] = np.cos(y[:4]), 4 * 2 * 3.0 * y[4]
    np.testing.assert_allclose(system.jacobian(y, u).toarray(), slope, rtol=1e-14)
    assert system.names == ["spoke_product"]
    np.testing.assert_allclose(system.observe(y, u).full()[0], y[:4] * y[4], rtol=1e-14)


def test_places_that_coincide_add_up():
    # one unknown read twice, one row written twice, in one law and in two; no input at all
    assembly = Assembly(())
    y = assembly.unknown("y", 2, mass=1.0)
    assembly.law("square", lambda y, p, u: ([y[0] * y[1], 2.0 * y[0]], {}), [y, y], [y[[0, 0]], y[[0, 0]]])
    assembly.law("constant", lambda y, p, u: ([5.0], {}), [y[:1]], [y[:1]])
    system, at = assembly.build(), np.array([3.0, 4.0])
    np.testing.assert_allclose(right(system, at, []), [9 + 6 + 16 + 8 + 5, 0])
    np.testing.assert_allclose(system.jacobian(at, []).toarray(), [[6 + 2, 8 + 2], [0, 0]])
    assert (system.pattern.diagonal() == 1).all()  # a slot even where nothing depends: the mass goes there


def test_unknowns_know_their_mass_and_scale():
    assembly = Assembly(())
    assembly.unknown("a", 2, mass=[1.0, 2.0], scale=10.0)
    assert assembly.unknown("b", 2).tolist() == [2, 3]
    assembly.unknown("c", mass=3.0)
    assert assembly.count == 5 and assembly.mass == [1.0, 2.0, 0.0, 0.0, 3.0]
    assert assembly.algebraic.tolist() == [2, 3] and assembly.scale == [10.0, 10.0, 1.0, 1.0, 1.0]


# --- the whole cell ---


@pytest.fixture(scope="module", params=["lumped", "x", "radial", "isothermal"])
def whole(request):
    """Every law there is, in some resolution; with functions, a place, and the inputs of a discharge into power."""
    kind = request.param
    cell = load_cell("lgm50_21700").with_values(EXTRA, "all")
    equations = Equations(
        cell, kind, layers=2 if kind == "radial" else 1, mesh=MESH, nodes=6,
        couplings=(*STRESS, *(("soret", "dufour") if kind == "x" else ())),
        reactions=Decomposition.of("all") if kind in ("lumped", "x") else None,
    )  # fmt: skip
    walls = len(equations.heat.walls)
    u = np.array([0.5, 0.2, 0.1, 4.0, *np.full(walls, 300.0), *np.linspace(0.2, 0.5, walls)])
    return equations, u


def states(equations, seed):
    """Anywhere, uneven in all fields; and the size of a small step of each unknown."""
    rng, at = np.random.default_rng(seed), equations.places
    y, size = equations.rest(rng.uniform(0.2, 0.8), 310.0), np.full(equations.system.assembly.count, 0.01)
    steps = {"salt": 0.3, "phi_e": 0.03, "T": 5.0, "T_sandwich": 5.0, "Q": 5.0, "I": 5.0, "V": 0.1, "current": 20.0}
    for name, places in at.items():
        size[places] = steps.get(name, 0.01)  # else stoichiometries, extents, potentials of the solid
        y[places] += rng.uniform(-1.0, 1.0, len(places)) * size[places]
        if name.startswith("x_"):
            y[places] = y[places].clip(0.02, 0.98)
    return y, size


@pytest.mark.parametrize("seed", [1, 2])
def test_jacobian_is_the_slope_of_the_residual(whole, seed):
    equations, u = whole
    system, (y, step) = equations.system, states(equations, seed)
    J = system.jacobian(y, u)
    whole_graph = ca.Function("slope", [system.y, system.u], [ca.jacobian(system.f, system.y)])(y, u)
    size = abs(J) @ step
    # differentiated law by law and scattered, or as one graph: the same numbers but for rounding
    assert (np.abs(whole_graph.full() - J.toarray()) @ step <= 1e-12 * size).all()
    h = 1e-3
    for direction in np.random.default_rng(seed).uniform(-1, 1, (3, len(y))) * step:
        found = (right(system, y + h * direction, u) - right(system, y - h * direction, u)) / (2 * h)
        # steepest is exp(-39 x): (39 h 0.01)^2 / 6 = 3e-8; rounding of 4 V over steps of 1e-5 V is 1e-10
        assert (np.abs(found - J @ direction) <= 1e-6 * size).all()


def test_pattern_holds_every_slope_and_the_diagonal(whole):
    system = whole[0].system
    n, pattern = system.assembly.count, system.pattern
    assert (pattern.diagonal() == 1).all()
    assert (pattern.data == 1).all() and pattern.has_canonical_format
    np.testing.assert_array_equal(pattern.indices[system.diagonal], np.arange(n))
    wanted = ca.jacobian(system.f, system.y).sparsity()
    rows, columns = wanted.get_triplet()
    assert np.asarray(pattern[rows, columns]).all()
    assert pattern.nnz <= wanted.nnz() + n  # and nothing besides


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lithium_is_conserved_in_any_state(whole, seed):
    # what leaves the particles is in the electrolyte, whatever the potentials: consistent or not
    equations, u = whole
    p, sandwich, at = equations.parameters, equations.sandwich, equations.places
    y, _ = states(equations, seed)
    f = right(equations.system, y, u)
    widths = dict(zip(("negative", "separator", "positive"), sandwich.widths_m, strict=True))
    solid, size = 0.0, 0.0
    for name, (electrode, grid, _) in sandwich.electrodes.items():
        charge = FARADAY * electrode.maximum_concentration_mol_m3 * electrode.active_fraction * widths[name]
        rate = f[at[f"x_{name}"]].reshape(sandwich.layers, -1, grid.count) @ grid.share
        solid, size = solid + (charge * rate).sum(), size + np.abs(charge * rate).sum()
    # rounding of what crosses inner faces: fluxes of electrolyte are some thousand times what reacts here
    assert solid + f[at["salt"]].sum() == pytest.approx(0.0, abs=1e-10 * size)
    assert solid + f[at["phi_e"]].sum() == pytest.approx(0.0, abs=1e-10 * size)
    assert p.negative.film_resistance_Ohm_m2 > 0  # with a current of its own in the film
    # and the rows of salt are charge per relative concentration: their mass is all the salt there is
    regions = (
        (part.porosity, widths[name].sum())
        for name, part in zip(widths, (p.negative, p.separator, p.positive), strict=True)
    )
    salt = FARADAY * p.electrolyte.initial_concentration_mol_m3 * sum(porosity * width for porosity, width in regions)
    assert equations.system.mass[at["salt"]].sum() == pytest.approx(sandwich.layers * salt, rel=1e-12)


def test_all_heat_has_a_name_and_reaches_the_temperatures_of_an_insulated_cell(whole):
    equations, u = whole
    at, (y, _) = equations.places, states(equations, 4)
    u = u.copy()
    u[4 + len(equations.heat.walls) :] = 0.0
    f = right(equations.system, y, u)
    observed = zip(equations.system.names, equations.system.observe(y, u), strict=True)
    heats = [value.full().ravel() for name, value in observed if not name.endswith(("current_A_m2", "cooling"))]
    # the row of Q is what is released less Q; Q then goes to the temperatures, but to one that is held
    arrived = f[at["Q"]].sum() if "Q" in at else 0.0
    arrived += y[at["Q"]].sum() if equations.resolution == "isothermal" else f[at["T"]].sum()
    # rounding: of the heats, which have both signs where potentials are not consistent, and of
    # conduction between neighbours, 1e5 W where 5 K differ over 10 um
    size = np.abs(np.concatenate(heats)).sum() + 1e5
    assert arrived == pytest.approx(np.concatenate(heats).sum(), abs=1e-13 * size)


# --- curves ---


def value(curve, x):
    """By way of a symbol."""
    symbol = ca.SX.sym("x")
    function = ca.Function("f", [symbol], [expression(curve, symbol)])
    return function.map(len(x))(np.reshape(x, (1, -1))).full()[0]


@st.composite
def tables(draw):
    steps = draw(st.lists(st.floats(1e-3, 10.0), min_size=2, max_size=12))
    y = draw(st.lists(st.floats(-1e3, 1e3), min_size=len(steps), max_size=len(steps)))
    return {"x": (np.cumsum(steps) - draw(st.floats(0.0, 50.0))).tolist(), "y": y}


@given(tables(), st.lists(st.floats(-100.0, 200.0), min_size=1, max_size=5))
def test_a_table_is_the_same_inside_and_outside(table, x):
    curve, points = Curve(table), np.array(table["x"])
    x = np.array([*x, *points, points[0] - 1e9, points[-1] + 1e9])
    slopes = np.diff(table["y"]) / np.diff(points)
    bends = abs(slopes[0]) + np.abs(np.diff(slopes)).sum()
    # a sum of bends: each is rounded in its slope and in its place, which is known to 1e-14
    size = np.abs(table["y"]).max() + bends * (points[-1] - points[0])
    atol = 1e-14 * size + 4e-14 * bends + 1e-300  # below it lie the subnormal numbers
    np.testing.assert_allclose(value(curve, x), curve(x), atol=atol, rtol=0)


def test_a_table_has_the_slope_of_its_segment():
    symbol = ca.SX.sym("x")
    curve = expression(Curve({"x": [0.0, 1.0, 3.0], "y": [1.0, 2.0, -2.0]}), symbol)
    slope = ca.Function("slope", [symbol], [ca.jacobian(curve, symbol)])
    assert [float(slope(x)) for x in (-1.0, 0.5, 2.0, 4.0)] == [0.0, 1.0, -2.0, 0.0]


@given(st.floats(-1e6, 1e6) | st.integers(-5, 5))
def test_a_number_is_a_number(number):
    assert expression(Curve(number), ca.SX.sym("x")) == number


def joined(children):
    infix = st.builds("({} {} {})".format, children, st.sampled_from("+-*"), children)
    over = st.builds("({} / (1 + {}**2))".format, children, children)
    call = st.builds("{}(tanh({}))".format, st.sampled_from(["exp", "cosh", "sinh", "tanh"]), children)
    rooted = st.builds("{}(1 + {}**2)".format, st.sampled_from(["log", "sqrt"]), children)
    power = st.builds("(1.5 + tanh({}))**{}".format, children, st.sampled_from(["2", "0.5", "-1.5", "x"]))
    signed = st.builds("(-{})".format, children) | st.builds("(+{})".format, children)
    return infix | over | call | rooted | power | signed


constants = st.floats(-3.0, 3.0).map(lambda c: repr(round(c, 4)).join("()")) | st.integers(0, 3).map(str)
texts = st.recursive(constants | st.just("x") | st.just("x**3"), joined, max_leaves=8)


@settings(max_examples=200)
@given(texts, st.floats(-2.0, 2.0))
def test_an_expression_is_the_same(text, x):
    curve = Curve(text)
    exact = float(curve(x))
    assume(abs(exact) < 1e6)
    # libm and NumPy differ in the last digit; products of 8 values of up to 8 that cancel leave 1e-9 of it
    np.testing.assert_allclose(value(curve, np.array([x])), exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("part", ["negative", "positive"])
def test_curves_of_a_cell(part):
    electrode = getattr(load_cell("lgm50_21700").electrochemistry, part)
    x = np.linspace(0.01, 0.99, 99)
    for curve in (electrode.potential, electrode.entropic, electrode.diffusivity):
        np.testing.assert_allclose(value(curve, x), curve(x), rtol=1e-12)  # sums of a few terms of one size


def test_what_a_curve_would_have_refused():
    with pytest.raises(InputError, match="c: expression holds 'x < 1'"):
        expression(SimpleNamespace(source="x < 1", where="c"), ca.SX.sym("x"))


def smooth(x):
    return 4.2 - x + 0.1 * np.tanh(25 * (x - 0.4)) + 0.05 * np.exp(-30 * x)


@pytest.mark.parametrize("points", [201, 2000, 100_000, 1_000_000])
def test_a_long_table_is_thinned_to_the_same_curve(points):
    x = np.linspace(0.0, 1.0, points)
    curve = Curve({"x": x, "y": smooth(x)})
    assert 20 < len(curve.thinned[0]) <= 400
    assert curve.thinned is curve.thinned  # found once
    at = np.unique(np.concatenate([np.linspace(-0.1, 1.1, 4321), x[:: max(points // 4000, 1)]]))
    np.testing.assert_allclose(value(curve, at), curve(at), rtol=0, atol=1.001e-5 * np.ptp(smooth(x)))


def test_a_table_of_a_cliff_is_thinned_too():
    x = np.linspace(0.0, 1.0, 50_000)
    curve = Curve({"x": x, "y": np.where(x < 0.3, 1.0, 0.0)})
    assert len(curve.thinned[0]) == 4
    np.testing.assert_allclose(value(curve, x[::7]), curve(x[::7]), atol=1e-9)
    flat = Curve({"x": x, "y": np.full(50_000, 3e-14)})
    assert len(flat.thinned[0]) == 2


@pytest.mark.parametrize("points", [2, 17, 200])
def test_a_short_table_stays_as_it_is(points):
    x = np.sort(np.random.default_rng(points).uniform(size=points))
    y = np.random.default_rng(1).uniform(size=points)  # as rough as can be
    curve = Curve({"x": x, "y": y})
    np.testing.assert_array_equal(curve.thinned, (x, y))
    # slopes of up to 1 over the narrowest gap cancel
    bound = 1e-14 * points * (1 + np.abs(np.diff(y) / np.diff(x)).max())
    np.testing.assert_allclose(value(curve, x), y, atol=bound, rtol=0)


def test_a_curve_as_busy_as_published_ones_gets_what_400_points_can_do():
    x = np.linspace(0.0, 1.0, 5000)
    curve = Curve({"x": x, "y": np.sin(20 * x)})
    assert 200 < len(curve.thinned[0]) <= 400
    np.testing.assert_allclose(np.interp(x, *curve.thinned), curve(x), rtol=0, atol=2.001e-4 * 2)


@pytest.mark.parametrize("points", [2000, 1_000_000])
def test_a_rough_table_is_refused_by_its_key(points):
    y = np.random.default_rng(0).uniform(size=points)
    curve = Curve({"x": np.arange(points), "y": y}, "mine, Negative electrode, 'OCP [V]'")
    with pytest.raises(InputError, match=rf"^mine, Negative electrode, 'OCP \[V\]': a table of {points} poi") as told:
        expression(curve, ca.SX.sym("x"))
    assert "at most 400 points after thinning" in str(told.value) and "smooth its noise" in str(told.value)

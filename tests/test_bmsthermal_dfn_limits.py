"""Where the full model has an exact answer: order of convergence, porous electrodes of Newman, films, Soret cells."""

from __future__ import annotations

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Step, load_cell
from bmsthermal.dfn.electrolyte import heat_of_transport_J_mol
from bmsthermal.dfn.equations import Equations
from bmsthermal.dfn.expressions import FARADAY, GAS, arrhenius
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.dfn.particle import ParticleGrid
from bmsthermal.dfn.solver import Solver

SMALL = ParticleGrid(3)
TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def mesh(cells, grid=SMALL):
    return Mesh(cells, max(cells // 2, 2), cells, grid, grid)


def order(counts, errors):
    return -np.polyfit(np.log(counts), np.log(np.abs(errors)), 1)[0]


# --- order of convergence ---


# A123 at 2C: at 1C the error of its temperature changes sign between the meshes
@pytest.mark.parametrize(("name", "c_rate"), [("lgm50_21700", 1), ("lco_marquis", 1), ("a123_26650", 2)])
def test_through_the_sandwich_it_is_of_second_order(name, c_rate):
    counts = [8, 16, 32, 64, 128]

    def answer(cells):
        model = CoupledModel(load_cell(name), thermal="lumped", mesh=mesh(cells))
        run = model.simulate(f"discharge {c_rate}C for 600s", step_s=600, initial_soc=0.9, **TIGHT)
        return [run.voltage_V[0], run.voltage_V[-1], run.mean_K[-1]]

    # from mesh to mesh: what each doubling changes falls as the error does, and needs no reference
    change = np.diff([answer(cells) for cells in counts], axis=0)
    at_once, later, warmth = (order(counts[:-1], column) for column in change.T)
    print(f"{name}: order in x of the voltage at the start, after 600 s, of the temperature", at_once, later, warmth)
    # edges that see one-sided means are a little better than 2 on meshes that are not yet asymptotic
    assert 1.9 <= at_once <= 2.5 and 1.9 <= later <= 2.5
    assert (1.8 if name == "a123_26650" else 1.9) <= warmth <= 2.5  # its dU/dT is a table, with kinks amid cells


@pytest.mark.parametrize("name", ["lgm50_21700", "lco_marquis"])
def test_the_temperature_field_is_of_second_order(name):
    counts = [4, 8, 16, 32, 64]

    def answer(cells):
        model = CoupledModel(load_cell(name), thermal="x", mesh=mesh(cells))
        run = model.simulate("discharge 2C for 300s", step_s=300, initial_soc=0.9, **TIGHT)
        return [run.voltage_V[-1], run.mean_K[-1], run.core_K[-1] - run.mean_K[-1]]

    change = np.diff([answer(cells) for cells in counts], axis=0)
    found = [order(counts[:-1], column) for column in change.T]
    assert min(found[:2]) >= 1.9
    assert found[2] >= 1.8  # the microkelvins from the separator to the mean, from four cells on


@pytest.mark.parametrize(("name", "degrees"), [("lgm50_21700", (3, 7)), ("lco_marquis", (1, 3))])
def test_along_the_radius_one_element_converges_spectrally(name, degrees):
    exact = _voltage_and_mixing(name, ParticleGrid(20))
    error = np.array([np.abs(_voltage_and_mixing(name, ParticleGrid(d)) - exact) for d in degrees])
    # a factor of three and more for each degree: geometric, down to what time stepping leaves
    assert (error[1] < 3.0 ** (degrees[0] - degrees[1]) * error[0]).all()


@pytest.mark.parametrize("name", ["lgm50_21700", "lco_marquis", "a123_26650"])
def test_along_the_radius_even_shells_are_of_second_order(name):
    exact, shells = _voltage_and_mixing(name, ParticleGrid(16)), [12, 16, 24, 32]
    error = [_voltage_and_mixing(name, ParticleGrid.uniform(n)) - exact for n in shells]
    found = [order(shells, column) for column in np.transpose(error)]
    assert found == pytest.approx([2.0, 2.0], abs=0.1)  # voltage and heat of mixing: the order of the grid


def _voltage_and_mixing(name, grid):
    model = CoupledModel(load_cell(name), thermal="isothermal", mesh=Mesh(2, 2, 2, grid, grid))
    run = model.simulate("discharge 1C for 900s", step_s=900, **TIGHT)
    return np.array([run.voltage_V[-1], run.heat_terms_W["mixing"][-1]])


@pytest.mark.parametrize("name", ["lgm50_21700", "lco_marquis", "a123_26650"])
def test_in_time_the_error_falls_with_the_tolerance(name):
    model = CoupledModel(load_cell(name), mesh=mesh(3), thermal="lumped")

    def answer(tolerance):
        run = model.simulate("discharge 1C for 1800s; rest 600s", step_s=100, rtol=tolerance, atol=tolerance)
        return np.column_stack([run.voltage_V, run.mean_K / 100])

    tolerances, exact = np.array([1e-4, 1e-5, 1e-6, 1e-7]), answer(1e-10)
    error = np.array([np.abs(answer(tolerance) - exact).max() for tolerance in tolerances])
    slope = np.polyfit(np.log(tolerances), np.log(error), 1)[0]
    assert 0.6 < slope < 1.2  # methods of order 1 to 5 that control the error per step
    assert error[1] < 2e-3  # the default, over a jump of current


# --- porous electrodes ---


def electrode(name, title, *, film=0.0):
    """What Newman's electrode of linear kinetics is made of, at soc 0.5 and the reference temperature."""
    key = f"{title.capitalize()} electrode film resistance [Ohm.m2]"
    cell = load_cell(name).with_values({key: film}) if film else load_cell(name)
    p = cell.electrochemistry
    e, stoichiometry = getattr(p, title), p.stoichiometries(0.5)[title == "positive"]
    exchange = FARADAY * e.reaction_rate_mol_m2s * np.sqrt(stoichiometry * (1 - stoichiometry))
    conductance = 1 / (GAS * p.reference_K / FARADAY / exchange + film)
    kappa = float(p.electrolyte.conductivity(p.electrolyte.initial_concentration_mol_m3))
    return cell, p, e, conductance, kappa


def newman(e, conductance, kappa):
    """Exact reaction against depth z (0 at the collector, 1 at the separator), and resistance in Ohm m2.

    ``i_e'' = nu^2 (i_e - beta I)`` with ``i_e(0) = 0`` and ``i_e(1) = I`` (Newman & Thomas-Alyea 2004, ch. 22.3).
    """
    pores = kappa * e.transport_efficiency
    beta = pores / (pores + e.conductivity_S_m)
    nu = e.thickness_m * np.sqrt(e.area_per_volume_m * conductance * (1 / pores + 1 / e.conductivity_S_m))
    C = (1 - beta * (1 - np.cosh(nu))) / np.sinh(nu)

    def reaction(z):
        return nu / (e.area_per_volume_m * e.thickness_m) * (C * np.cosh(nu * z) - beta * np.sinh(nu * z))

    # collector to the end of the pores: what the reaction takes at z = 0, and what the pores take from there
    pore_drop = e.thickness_m / pores * (beta * (1 - np.sinh(nu) / nu) + C * (np.cosh(nu) - 1) / nu)
    return reaction, reaction(0.0) / conductance + pore_drop


@pytest.mark.parametrize("film", [0.0, 0.05])
@pytest.mark.parametrize("title", ["negative", "positive"])
@pytest.mark.parametrize("name", ["lgm50_21700", "lco_marquis", "a123_26650"])
def test_a_small_current_spreads_as_in_newmans_electrode(name, title, film):
    cell, p, e, conductance, kappa = electrode(name, title, film=film)
    reaction, _ = newman(e, conductance, kappa)
    counts, error, whole_A = [4, 8, 16, 32], [], 1e-5 * p.nominal_Ah
    for cells in counts:
        model = CoupledModel(cell, thermal="isothermal", mesh=mesh(cells, ParticleGrid(1)))
        eq = model.equations
        first = model.simulate(f"discharge {whole_A}A for 1s", initial_soc=0.5).snapshots[0]
        j = eq.system.observe(first.y, first.u)[eq.system.names.index(f"{title}_current_A_m2")].full().ravel()
        z = (np.arange(cells) + 0.5) / cells
        exact = reaction(z if title == "negative" else 1 - z) * whole_A / p.area_m2
        exact = exact if title == "negative" else -exact
        error.append(np.abs(j - exact).max() / np.abs(exact).max())
    assert order(counts[1:], error[1:]) >= 1.8 or max(error) < 1e-6
    assert error[-1] < 2e-3


@pytest.mark.parametrize("film", [0.0, 0.05])
@pytest.mark.parametrize("name", ["lgm50_21700", "lco_marquis", "a123_26650"])
def test_voltage_falls_at_once_by_the_exact_resistance(name, film):
    cell, p, negative, g, kappa = electrode(name, "negative", film=film)
    _, _, positive, G, _ = electrode(name, "positive")
    pores = p.separator.thickness_m / (p.separator.transport_efficiency * kappa)
    exact = (
        newman(negative, g, kappa)[1] + pores + newman(positive, G, kappa)[1]
    ) / p.area_m2 + p.contact_resistance_Ohm
    counts, error, current_A = [4, 8, 16, 32], [], 1e-3 * p.nominal_Ah
    for cells in counts:
        model = CoupledModel(cell, thermal="isothermal", mesh=mesh(cells, ParticleGrid(1)))
        run = model.simulate(f"discharge {current_A}A for 1s", initial_soc=0.5)
        found = (float(p.open_circuit_V(0.5)) - run.voltage_V[0]) / current_A
        error.append(found / exact - 1)
    assert order(counts, error) >= 1.9  # conductors and edges: second order; better if films even the reaction out
    assert abs(error[-1]) < 1e-3


def test_a_film_costs_its_resistance_where_the_reaction_is_even():
    # 2 Ohm m2 is much against kinetics and pores: the reaction is even, and the film's share is exact
    films, current_A = (2.0, 2.1), 1e-3
    drop = []
    for film in films:
        cell = load_cell("lgm50_21700").with_values({"Negative electrode film resistance [Ohm.m2]": film})
        model = CoupledModel(cell, thermal="isothermal", mesh=mesh(12))
        run = model.simulate(f"discharge {current_A}A for 1s", initial_soc=0.5)
        drop.append((run.voltage_V[0], run.heat_terms_W["reaction"][0]))
    p = cell.electrochemistry
    extra = current_A * (films[1] - films[0]) / (p.negative.area_per_volume_m * p.negative.thickness_m * p.area_m2)
    (V, Q), (V_more, Q_more) = drop
    assert V - V_more == pytest.approx(extra, rel=1e-3)  # what is uneven still: kinetics and pores over the film
    assert Q_more - Q == pytest.approx(extra * current_A, rel=1e-3)  # and all of it is heat


# --- Soret and Dufour ---

SORET = 5e-2


def warm(couplings, cells=6):
    cell = load_cell("lco_marquis").with_values({"Soret coefficient [K-1]": SORET})
    return Equations(cell, "x", couplings=couplings, mesh=mesh(cells))


def test_soret_and_dufour_do_nothing_where_nothing_differs():
    found = []
    for couplings in ((), ("soret", "dufour")):
        eq = warm(couplings)
        y, u = eq.rest(0.5, 300.0), np.zeros(len(eq.system.assembly.inputs))
        u[:4], u[4:] = [1.0, 0.0, 0.0, 0.0], [300.0, 1.0]
        flat = eq.system.right(y, u).full()[:, 0]
        y[eq.places["salt"]] = np.linspace(0.7, 1.3, len(eq.places["salt"]))
        found.append((flat, eq.system.right(y, u).full()[eq.places["salt"], 0]))
    np.testing.assert_array_equal(found[0][0], found[1][0])  # nothing at all at rest
    np.testing.assert_array_equal(found[0][1], found[1][1])  # no Soret flux without a temperature difference


def held(eq, y, duration_s):
    """State after a rest, with temperatures that hold as in a cell of infinite heat capacity."""

    def never(t, y, out):
        out[:] = 1.0

    solver = Solver(eq.system, 1e-9, 1e-9, never, 1)
    solver.mass[eq.places["T"]] *= 1e15
    solver.u[:] = [1.0, 0.0, 0.0, 0.0, 298.15, 0.0]
    y = solver.start(0.0, y)
    found = solver.step(duration_s)
    assert found.status >= 0
    return found.y


def test_a_hot_face_against_a_cold_one_separates_salt():
    eq = warm(("soret",))
    y = eq.rest(0.5, 298.15)
    T = eq.places["T"]
    y[T] += np.linspace(-2.0, 2.0, len(T))  # the negative side is the cold one
    after = held(eq, y, 1e9)  # until lithium in the particles has answered too
    salt = after[eq.places["salt"]]
    within = after[eq.heat.temperatures][eq.heat._first :][: len(salt)]
    # no flux and no current anywhere: d ln c = -S_T dT, to the third power of what a face sees
    np.testing.assert_allclose(np.log(salt[0] / salt), SORET * (within - within[0]), atol=2e-4)
    assert salt[0] > 1.05 > 0.95 > salt[-1]  # salt goes to the cold


def test_heat_of_transport_goes_with_the_diffusion_flux():
    on, off = warm(("dufour",)), warm(())
    y, u = on.rest(0.5, 300.0), np.zeros(len(on.system.assembly.inputs))
    u[:4], u[4:] = [1.0, 0.0, 0.0, 0.0], [300.0, 0.0]
    cells, T = on.places["salt"], on.places["T"]
    position = on.sandwich.position_m
    p = on.parameters
    rise = 20.0  # 1/m, so little that all means of a face are one
    y[cells] = 1.0 + rise * (position - position.mean())
    difference = on.system.right(y, u).full()[:, 0] - off.system.right(y, u).full()[:, 0]
    extra = difference[T]
    assert abs(extra.sum()) < 1e-9 * np.abs(extra).max()  # heat is moved, not made
    assert not np.delete(difference, T).any()  # and nothing else is touched
    # through a face of the negative electrode: Q* N, with N = -D dc/dx
    face = 2
    first = on.heat._first
    carried = -extra[: first + face + 1].sum()
    c, e = (y[cells[face]] + y[cells[face + 1]]) / 2, p.electrolyte
    c0 = e.initial_concentration_mol_m3
    D = float(e.diffusivity(c0 * c) * arrhenius(e.diffusivity_activation_J_mol, 300.0, p.reference_K))
    flux = -p.negative.transport_efficiency * D * c0 * rise
    exact = float(heat_of_transport_J_mol(e, c, 300.0)) * flux * p.area_m2
    assert carried == pytest.approx(exact, rel=1e-6)
    assert exact < 0  # down the concentration, as S_T is positive


def test_a_run_goes_on_from_a_state():
    """Second by second, as a bench does it, is the same run."""
    model = CoupledModel(load_cell("lgm50_21700"), thermal="lumped", mesh=Mesh(6, 2, 4))
    whole = model.simulate("discharge 1C for 20s; rest 10s", step_s=10.0, rtol=1e-8, atol=1e-8)
    run = model.simulate("discharge 1C for 1s", rtol=1e-8, atol=1e-8)
    for second in range(1, 30):
        step = Step("current", 5.0 if second < 20 else 0.0, 1.0)
        run = model.simulate(step, start=run.end, rtol=1e-8, atol=1e-8)
    assert run.time_s[-1] == whole.time_s[-1] == 30.0
    assert run.voltage_V[-1] == pytest.approx(whole.voltage_V[-1], abs=1e-6)  # of two solvers at 1e-8
    assert run.core_K[-1] == pytest.approx(whole.core_K[-1], abs=1e-5)
    assert run.soc[-1] == pytest.approx(whole.soc[-1], abs=1e-12)
    with pytest.raises(InputError, match="start with initial_soc or start_K"):
        model.simulate(step, start=run.end, initial_soc=0.5)
    with pytest.raises(InputError, match=r"a Simulation, expected a state of this model"):
        model.simulate(step, start=run)


def test_a_full_cell_at_rest_is_not_cut_off():
    model = CoupledModel(load_cell("lco_marquis"), thermal="lumped", mesh=Mesh(4, 2, 4))
    run = model.simulate("rest 5min", ambient_K=330.0, start_K=298.15, step_s=60.0)
    assert run.stopped == "" and run.time_s[-1] == 300.0
    assert run.voltage_V.max() > model.equations.parameters.upper_voltage_V


@pytest.mark.parametrize("given", [{"start_K": 25.0}, {"ambient_K": 25.0}, {"start_K": np.nan}])
def test_a_temperature_in_degC_is_refused(given):
    model = CoupledModel(load_cell("lgm50_21700"), thermal="lumped", mesh=Mesh(4, 2, 4))
    with pytest.raises(InputError, match=r"expected 150 to 1500, in kelvin"):
        model.simulate("rest 10s", **given)


def test_couplings_may_be_a_text():
    model = CoupledModel(load_cell("lgm50_21700"), couplings="stress")
    assert model.equations.couplings == ("stress-flux", "stress-diffusivity", "stress-potential")
    with pytest.raises(InputError, match="a cell of type str, expected what load_cell returns"):
        CoupledModel("lgm50_21700")

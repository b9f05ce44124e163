"""Finite volumes against closed forms: steady profiles, eigenvalues, energy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special

from bmsthermal.conduction import Layer, conduct, graded

K, C, R, L = 0.67, 2.3e6, 0.013, 0.065
CYLINDER = Layer("roll", 0.0, R, K, C)
SLAB = Layer("roll", 0.0, 0.012, K, C)


def rise(layers, form, extent, g, heat=1.0, nodes=200, **given):
    """Steady temperatures of every node above the surroundings."""
    system, x = conduct(layers, form, extent, nodes=nodes, **given)
    return system.steady(g, [heat], np.zeros(len(system.walls))), x, system


def test_solid_cylinder_is_a_parabola():
    T, x, _ = rise([CYLINDER], "cylinder", L, 0.2, heat=3.0)
    exact = 3.0 / 0.2 + 3.0 * (1 - (x / R) ** 2) / (4 * np.pi * K * L)
    np.testing.assert_allclose(T, exact, rtol=1e-9)  # a parabola has no error of second order; solve of 200 nodes
    assert T[0] - T[-1] == pytest.approx(3.0 / (4 * np.pi * K * L), rel=1e-9)


def test_hollow_cylinder_has_its_logarithm():
    a = 0.002
    T, x, _ = rise([Layer("roll", a, R, K, C)], "cylinder", L, 0.2)
    per_volume = 1.0 / (np.pi * (R**2 - a**2) * L)
    exact = 1.0 / 0.2 + per_volume / (4 * K) * (R**2 - x**2 + 2 * a**2 * np.log(x / R))
    np.testing.assert_allclose(T, exact, rtol=2e-5)  # second order at 200 intervals: (1/200)^2


@pytest.mark.parametrize("g", [(0.2, 0.2), (0.1, 2.0)])
def test_slab_with_two_faces_is_a_parabola(g):
    T, x, _ = rise([SLAB], "slab", 0.02, g)
    # -k T'' = q, k T'(0) = h0 T(0), -k T'(d) = h1 T(d)
    q, d, A = 1.0 / (0.02 * 0.012), 0.012, 0.02
    h0, h1 = g[0] / A, g[1] / A
    slope = q * d * (1 + h1 * d / (2 * K)) / (K * (1 + h1 / h0 + h1 * d / K))
    exact = slope * K / h0 + slope * x - q * x**2 / (2 * K)
    np.testing.assert_allclose(T, exact, rtol=1e-9)


def test_layers_are_resistances_in_series():
    contact, can = 1e-3, 3e-4
    layers = [
        Layer("roll", 0.0, R, K, C, contact_m2K_W=contact),
        Layer("can", R, R + can, 14.0, 3.7e6, heated=False),
    ]
    T, _, _ = rise(layers, "cylinder", L, 0.2)
    through = 1 / (4 * np.pi * K * L) + contact / (2 * np.pi * R * L) + np.log(1 + can / R) / (2 * np.pi * 14.0 * L)
    # midpoint area in four thin shells of 75 um: relative error (75e-6 / 13e-3)^2 / 12 of the smallest resistance
    assert T[0] - T[-1] == pytest.approx(through, rel=1e-7)
    assert T[-1] == pytest.approx(1 / 0.2, rel=1e-9)


def test_distributed_heat_moves_the_core():
    # q ~ r^2: T(0) - T(R) = Q / (8 pi k L), half of the uniform one
    T, _, _ = rise([CYLINDER], "cylinder", L, 0.2, heat_shape=lambda r: r**2)
    assert T[0] - T[-1] == pytest.approx(1.0 / (8 * np.pi * K * L), rel=1e-4)  # second order at 200 intervals
    assert T[-1] == pytest.approx(1 / 0.2, rel=1e-9)


def bessel_rates(biot, count):
    """Eigenvalues of a cooled cylinder: z J1(z) = Bi J0(z)."""

    def f(z):
        return z * special.j1(z) - biot * special.j0(z)

    grid = np.linspace(1e-6, 4.0 * count, 4000 * count)
    ends = np.flatnonzero(np.diff(np.sign(f(grid))) != 0)[:count]
    z = np.array([optimize.brentq(f, grid[i], grid[i + 1], xtol=1e-14) for i in ends])
    return z**2 * K / (C * R**2)


@pytest.mark.parametrize("h", [20.0, 300.0])
def test_cylinder_rates_converge_with_second_order(h):
    g, exact = h * 2 * np.pi * R * L, bessel_rates(h * R / K, 3)
    error = []
    for nodes in (40, 80, 160):
        system, _ = conduct([CYLINDER], "cylinder", L, nodes=nodes)
        rates = np.sort(-system.closed(g).poles().real)[:3]
        error.append(np.abs(rates - exact))
    order = np.log2(np.array(error[:-1]) / error[1:])
    np.testing.assert_allclose(order, 2.0, atol=0.1)


def test_insulated_slab_rates_converge_with_second_order():
    exact = (np.pi * np.arange(1, 4) / 0.012) ** 2 * K / C
    error = [np.abs(conduct([SLAB], "slab", 0.02, nodes=n)[0].modes[0][1:4] - exact) for n in (40, 80, 160)]
    np.testing.assert_allclose(np.log2(np.array(error[:-1]) / error[1:]), 2.0, atol=0.1)


@pytest.mark.parametrize("form", ["cylinder", "slab"])
def test_energy_closes(form):
    layer, extent = (CYLINDER, L) if form == "cylinder" else (SLAB, 0.02)
    system, _ = conduct([layer], form, extent, nodes=60)
    g = np.full(len(system.walls), 0.3)
    rng = np.random.default_rng(0)
    A = system.closed(g)
    x = rng.normal(0.0, 5.0, system.order)
    heat, outside = 4.0, rng.normal(0.0, 5.0, len(g))
    change = A.A @ x + A.B @ np.concatenate([[heat], outside])
    lost = g @ (system.E.T @ x - outside)
    stored = np.ones(system.order) @ system.M @ change
    # neighbours exchange up to 1e5 W, which cancel: 1e-13 of that
    assert stored == pytest.approx(heat - lost, abs=1e-13 * (np.abs(system.K) @ np.abs(x)).sum())
    through = system.hold(g, 10.0)
    assert through.dc_gain()[:, 0] == pytest.approx(system.C @ system.steady(g, [1.0], 0 * g), rel=1e-9)


def test_a_run_closes_its_energy():
    """Heat in minus heat out is what is stored, over a run held exactly (constant inputs until steady)."""
    system, _ = conduct([CYLINDER], "cylinder", L, nodes=60)
    T = system.steady(0.2, [2.0], [5.0])
    assert 0.2 * (system.C[2] @ T - 5.0) == pytest.approx(2.0, rel=1e-10)
    mean = system.hold(0.0, 1.0).simulate(np.tile([2.0, 0.0], (1000, 1)))[:, 1]
    np.testing.assert_allclose(np.diff(mean) * system.M.sum(), 2.0, rtol=1e-10)


def test_heat_capacity_is_the_volume_times_its_density():
    layers = [Layer("roll", 0.002, R, K, C), Layer("can", R, R + 3e-4, 14.0, 3.7e6, heated=False)]
    system, _ = conduct(layers, "cylinder", L, nodes=50)
    volumes = np.pi * L * np.array([R**2 - 0.002**2, (R + 3e-4) ** 2 - R**2])
    assert system.M.sum() == pytest.approx(volumes @ [C, 3.7e6], rel=1e-12)
    assert system.B.sum() == pytest.approx(1.0, rel=1e-12)  # all of a watt arrives
    assert system.C[1].sum() == pytest.approx(1.0, rel=1e-12)  # the mean of one is one


def test_grid_touches_both_ends_and_is_finer_outside():
    x = graded(CYLINDER, 20)
    assert (x[0], x[-1]) == (0.0, R) and (np.diff(np.diff(x)) < 0).all()
    both = graded(SLAB, 20, both=True)
    np.testing.assert_allclose(both + both[::-1], 0.012)

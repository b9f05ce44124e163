"""The directions every basis starts from: energy and steady states exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bmsthermal.conduction import Layer, conduct
from rom.basis import orthonormal, port_basis, solve_insulated

CYLINDER, r = conduct([Layer("roll", 0.0, 0.0129, 0.67, 2.47e6)], "cylinder", 0.065, nodes=60)
SLAB, _ = conduct(
    [
        Layer("roll", 0.0, 0.012, 0.8, 2.4e6, contact_m2K_W=1e-4),
        Layer("case", 0.012, 0.0125, 200.0, 2.4e6, heated=False),
    ],
    "slab", 0.02, nodes=30,
)  # fmt: skip
BOTH = pytest.mark.parametrize("system", [CYLINDER, SLAB], ids=["cylinder", "slab"])


def test_orthonormal_spans_and_drops_what_is_dependent():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(61, 3))
    given = np.column_stack([columns, columns @ [1.0, 2.0, 3.0], np.zeros(61)])
    V = orthonormal(given, CYLINDER.M)
    assert V.shape == (61, 3)
    np.testing.assert_allclose(V.T @ CYLINDER.M @ V, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(V @ (V.T @ CYLINDER.M @ columns), columns, atol=1e-12)


def test_nearly_parallel_columns_come_out_orthogonal():
    column = np.linspace(0, 1, 61)
    V = orthonormal(np.column_stack([column, column + 1e-7 * np.cos(9 * column)]), CYLINDER.M)
    # one pass would leave 1e-16 / 1e-7 = 1e-9; the second brings it to rounding
    np.testing.assert_allclose(V.T @ CYLINDER.M @ V, np.eye(2), atol=1e-14)


def test_start_comes_first_and_stays_as_it_is():
    start = orthonormal(np.ones((61, 1)), CYLINDER.M)
    V = orthonormal(r[:, None] ** 2, CYLINDER.M, start=start)
    assert np.array_equal(V[:, :1], start) and V.shape == (61, 2)


@BOTH
def test_insulated_solution_carries_a_balanced_load_with_zero_mean(system):
    constant = system.modes[1][:, :1]
    load = system.B - system.E[:, :1] * (constant.T @ system.B) / (constant.T @ system.E[:, :1])
    x = solve_insulated(system, load)
    np.testing.assert_allclose(system.K @ x, load, atol=1e-10 * np.abs(load).max())
    assert abs((constant.T @ system.M @ x).item()) <= 1e-12 * np.sqrt((x.T @ system.M @ x).item())


def test_uniform_heat_in_a_cylinder_gives_the_parabola():
    V = port_basis(CYLINDER)
    shape = np.linalg.lstsq(np.column_stack([np.ones_like(r), r**2]), V, rcond=None)
    # finite volumes on a graded grid are second order: (1/60)^2
    np.testing.assert_allclose(np.column_stack([np.ones_like(r), r**2]) @ shape[0], V, atol=3e-3 * np.abs(V).max())


@BOTH
@pytest.mark.parametrize("g", [1e-3, 0.3, 50.0])
def test_steady_states_and_energy_are_exact_in_the_smallest_basis(system, g):
    V = port_basis(system)
    assert V.shape[1] == len(system.inputs) + len(system.walls)
    np.testing.assert_allclose(V.T @ system.M @ V, np.eye(V.shape[1]), atol=1e-12)
    reduced = system.project(V)
    for u, c in (([1.0], np.zeros(len(system.walls))), ([0.0], np.arange(1.0, 1 + len(system.walls)))):
        exact = system.C @ system.steady(g, u, c)
        # rounding times the condition of K + g: 1e9 for the metal case behind the smallest g
        np.testing.assert_allclose(reduced.C @ reduced.steady(g, u, c), exact, rtol=1e-7 * 1e-3 / g + 1e-11)
    assert np.sum(reduced.modes[0] == 0.0) == 1


def test_two_pieces_that_do_not_touch_are_refused():
    K = np.zeros((2, 2))
    apart = replace(CYLINDER, M=np.eye(2), K=K, B=np.ones((2, 1)), E=np.eye(2)[:, :1], C=np.ones((3, 2)))
    with pytest.raises(ValueError, match="2 quantities are conserved"):
        port_basis(apart)

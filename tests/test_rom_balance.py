"""Balanced reduction against its error bound."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from bmsthermal.conduction import Layer, conduct
from rom import StateSpace
from rom.balance import balanced, hankel_singular_values

CYLINDER, _ = conduct([Layer("roll", 0.0, 0.0129, 0.67, 2.47e6)], "cylinder", 0.065, nodes=40)
CLOSED = CYLINDER.closed(0.35)
OMEGA = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 80)])
EXACT = [CLOSED.at(1j * w) for w in OMEGA]


@pytest.mark.parametrize("match_dc", [True, False])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_error_is_within_twice_the_tail(order, match_dc):
    reduced = balanced(CLOSED, order, match_dc=match_dc)
    worst = max(np.linalg.norm(H - reduced.at(1j * w), 2) for w, H in zip(OMEGA, EXACT, strict=True))
    tail = hankel_singular_values(CLOSED)[order:].sum()
    # Gramians of this stiff system carry rounding of 1e-9 of their largest value
    assert worst <= 2 * tail + 1e-8 * hankel_singular_values(CLOSED)[0]
    assert reduced.poles().real.max() < 0


@pytest.mark.parametrize("order", [1, 3, 5])
def test_matching_keeps_the_steady_gain_and_dropping_does_not(order):
    exact = CLOSED.dc_gain()
    np.testing.assert_allclose(balanced(CLOSED, order).dc_gain(), exact, atol=1e-7 * np.abs(exact).max())
    if order == 1:
        assert np.abs(balanced(CLOSED, order, match_dc=False).dc_gain() - exact).max() > 1e-3


def test_hankel_values_are_those_of_the_gramians():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(5, 5)) - 4 * np.eye(5)
    system = StateSpace(A, rng.normal(size=(5, 2)), rng.normal(size=(2, 5)), np.zeros((2, 2)))
    P = linalg.solve_continuous_lyapunov(A, -system.B @ system.B.T)
    Q = linalg.solve_continuous_lyapunov(A.T, -system.C.T @ system.C)
    wanted = np.sort(np.sqrt(np.linalg.eigvals(P @ Q).real))[::-1]
    np.testing.assert_allclose(hankel_singular_values(system), wanted, rtol=1e-9)


def test_full_order_is_the_same_system():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(4, 4)) - 4 * np.eye(4)
    system = StateSpace(A, rng.normal(size=(4, 2)), rng.normal(size=(2, 4)), rng.normal(size=(2, 2)))
    np.testing.assert_allclose(balanced(system, 9).at(0.7j), system.at(0.7j), rtol=1e-9)


def test_names_are_kept():
    reduced = balanced(CLOSED, 3)
    assert (reduced.inputs, reduced.outputs) == (CLOSED.inputs, CLOSED.outputs)


def test_an_insulated_or_discrete_system_is_refused():
    with pytest.raises(ValueError, match="asymptotically stable"):
        balanced(CYLINDER.closed(0.0), 2)
    with pytest.raises(ValueError, match="continuous"):
        balanced(CLOSED.discretise(1.0), 2)

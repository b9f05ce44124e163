"""Passive systems: what every congruence keeps, and what closing the walls does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmsthermal.conduction import Layer, conduct
from rom import PassiveSystem
from rom.passive import held

SLAB, _ = conduct([Layer("roll", 0.0, 0.012, 0.8, 2.4e6)], "slab", 0.02, nodes=30)
CYLINDER, _ = conduct([Layer("roll", 0.0, 0.0129, 0.67, 2.47e6)], "cylinder", 0.065, nodes=40)
conductances = st.one_of(st.just(0.0), st.floats(-6, 6).map(lambda e: 10.0**e))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 8), conductances, conductances)
def test_any_congruence_keeps_real_poles_that_do_not_grow(seed, order, g_back, g_front):
    V = np.random.default_rng(seed).normal(size=(SLAB.order, order))
    poles = SLAB.project(V).closed([g_back, g_front]).poles()
    size = np.abs(poles).max()
    # rounding of a solve with V'MV, whose condition stays below 1e6 for random V
    assert np.abs(poles.imag).max() <= 1e-9 * size
    assert poles.real.max() <= 1e-9 * size


def test_a_square_congruence_changes_nothing():
    V = np.random.default_rng(0).normal(size=(41, 41)) + 10 * np.eye(41)
    s = 0.01 + 0.05j
    same = CYLINDER.project(V).closed(0.3).at(s)
    np.testing.assert_allclose(same, CYLINDER.closed(0.3).at(s), rtol=1e-8)  # cond(V)^2 times rounding


def test_modes_are_orthonormal_and_the_conserved_one_is_exact():
    rates, shapes = SLAB.modes
    np.testing.assert_allclose(shapes.T @ SLAB.M @ shapes, np.eye(SLAB.order), atol=1e-12)
    assert np.sum(rates == 0.0) == 1 and rates.min() == 0.0
    assert np.ptp(shapes[:, 0]) <= 1e-9 * abs(shapes[0, 0])  # the constant


@pytest.mark.parametrize("g", [0.0, 0.3, [0.1, 7.0]])
def test_modal_form_answers_as_the_full_system(g):
    modal, shapes = SLAB.modal()
    for s in (1e-3, 0.02j, 1.0 + 1j):
        exact = SLAB.closed(g).at(s)
        # one face seen from the other is a millionth of the largest: rounding is that of the largest
        np.testing.assert_allclose(modal.closed(g).at(s), exact, atol=1e-9 * np.abs(exact).max())
    np.testing.assert_allclose(SLAB.C @ shapes, modal.C)


@pytest.mark.parametrize("g", [0.0, 0.3, [0.1, 7.0]])
@pytest.mark.parametrize("step", [0.1, 10.0])
def test_hold_is_the_discretised_closed_system(g, step):
    u = np.random.default_rng(1).normal(size=(60, 3)) * [5.0, 10.0, 10.0]
    ours, theirs = SLAB.hold(g, step).simulate(u), SLAB.closed(g).discretise(step).simulate(u)
    # expm of a norm of 1e4 at 10 s loses four digits of fifteen in squaring
    np.testing.assert_allclose(ours, theirs, atol=1e-8 * np.abs(theirs).max())


def test_steady_state_is_where_the_system_rests():
    g, u, c = [0.2, 1.5], [3.0], [10.0, -5.0]
    x = SLAB.steady(g, u, c)
    flow = np.array(g) * (SLAB.E.T @ x - c)
    assert flow.sum() == pytest.approx(3.0, rel=1e-11)  # what comes in goes out
    rest = -SLAB.K @ x + SLAB.B @ u - SLAB.E @ flow
    assert np.abs(rest).max() <= 1e-12 * np.abs(SLAB.K @ np.abs(x)).max()
    np.testing.assert_allclose(SLAB.closed(g).dc_gain() @ [*u, *c], SLAB.C @ x, rtol=1e-10)


def test_steady_needs_an_open_wall():
    with pytest.raises(ValueError, match="insulated"):
        SLAB.steady(0.0, [1.0], [0.0, 0.0])


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, [0.1, -1e-9]])
def test_conductances_must_be_finite_and_not_negative(bad):
    with pytest.raises(ValueError, match="finite and >= 0"):
        SLAB.closed(bad)


@pytest.mark.parametrize("name", ["M", "K", "B", "E", "C"])
def test_shapes_are_checked(name):
    with pytest.raises(ValueError, match=f"{name} has shape"):
        replace(SLAB, **{name: np.ones((2, 5))})


@pytest.mark.parametrize("name", ["M", "K"])
def test_asymmetry_is_refused(name):
    skewed = getattr(SLAB, name).copy()
    skewed[0, 1] += 1e-6 * np.abs(skewed).max()
    with pytest.raises(ValueError, match=f"{name} is not symmetric"):
        replace(SLAB, **{name: skewed})


def test_held_is_exact_in_its_limits():
    decay, gain = held(np.array([0.0, 1e-14, 2.0, 1e6]), 0.5)
    np.testing.assert_allclose(decay, [1.0, 1.0, np.exp(-1.0), 0.0])
    np.testing.assert_allclose(gain, [0.5, 0.5, (1 - np.exp(-1.0)) / 2, 1e-6], rtol=1e-13)
    for step in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="positive"):
            held(np.ones(1), step)


def test_repr_says_what_it_is():
    assert repr(SLAB) == "PassiveSystem(31 states, walls back, front)"
    assert isinstance(SLAB, PassiveSystem)

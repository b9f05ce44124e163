"""State-space systems against matrix exponentials and against python-control."""

from __future__ import annotations

import control
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from rom import StateSpace


def random_system(seed: int, n: int = 4) -> StateSpace:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n)) - 3 * np.eye(n)
    C, D = rng.normal(size=(3, n)), rng.normal(size=(3, 2))
    return StateSpace(A, rng.normal(size=(n, 2)), C, D, 0.0, ("heat_W", "coolant_K"), ("a", "b", "c"))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.floats(1e-3, 2.0))
def test_zero_order_hold_is_the_matrix_exponential(seed, step):
    system = random_system(seed)
    discrete = system.discretise(step)
    Ad = expm(system.A * step)
    # rounding of two expm of norm below 20, and of the solve
    np.testing.assert_allclose(discrete.A, Ad, atol=1e-12)
    integral = np.linalg.solve(system.A, (Ad - np.eye(4)) @ system.B)
    scale = np.linalg.cond(system.A)
    np.testing.assert_allclose(discrete.B, integral, atol=1e-12 * scale)


def test_zero_order_hold_of_a_singular_system_integrates():
    discrete = StateSpace([[0.0]], [[2.0]], [[1.0]], [[0.0]]).discretise(0.25)
    assert discrete.A.item() == 1.0
    assert discrete.B.item() == pytest.approx(0.5, rel=1e-15)


def test_zero_order_hold_agrees_with_control():
    system = random_system(1)
    theirs = control.sample_system(system.to_control(), 0.3, method="zoh")
    ours = system.discretise(0.3)
    for name in "ABCD":
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-13)  # both expm


@pytest.mark.parametrize("step", [0.0, 0.5])
def test_to_control_and_back_is_the_identity(step):
    system = random_system(2) if step == 0 else random_system(2).discretise(step)
    back = StateSpace.from_control(system.to_control())
    for name in "ABCD":
        assert np.array_equal(getattr(back, name), getattr(system, name))
    assert (back.step_s, back.inputs, back.outputs) == (step, system.inputs, system.outputs)


def test_a_control_system_without_a_stated_step_is_refused():
    with pytest.raises(ValueError, match="step"):
        StateSpace.from_control(control.ss([[0.5]], [[1]], [[1]], [[0]], True))


def test_steady_gain_survives_the_hold_and_is_where_a_step_response_ends():
    system = random_system(3)
    discrete = system.discretise(0.7)
    np.testing.assert_allclose(discrete.dc_gain(), system.dc_gain(), rtol=1e-11)  # cond(A) times rounding
    end = discrete.simulate(np.tile([1.0, -2.0], (400, 1)))[-1]
    np.testing.assert_allclose(end, system.dc_gain() @ [1.0, -2.0], rtol=1e-11)


def test_response_agrees_with_control():
    system = random_system(4)
    np.testing.assert_allclose(system.at(0.3j), system.to_control()(0.3j), rtol=1e-12)


def test_simulate_starts_from_the_given_state_and_reports_the_end_of_the_step():
    system = StateSpace([[0.5]], [[1.0]], [[1.0]], [[0.0]], 1.0)
    np.testing.assert_array_equal(system.simulate([1.0, 0.0], x0=[4.0])[:, 0], [3.0, 1.5])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: StateSpace(np.eye(2), np.ones((3, 1)), np.ones((1, 2)), [[0.0]]), "shapes do not fit"),
        (lambda: StateSpace(np.ones((2, 3)), np.ones((2, 1)), np.ones((1, 2)), [[0.0]]), "shapes do not fit"),
        (lambda: random_system(0).discretise(1.0).discretise(1.0), "already discrete"),
        (lambda: random_system(0).discretise(0.0), "positive"),
        (lambda: random_system(0).discretise(float("nan")), "positive"),
        (lambda: random_system(0).simulate([[0.0, 0.0]]), "discretise"),
    ],
)
def test_misuse_is_answered_with_a_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        wrong()

"""Curves of a file: data, never code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal.curves import Curve
from bmsthermal.errors import InputError

TABLE = {"x": [0.0, 0.4, 1.0], "y": [3.0, 3.2, 3.5]}


def test_a_table_is_linear_inside_and_constant_outside():
    np.testing.assert_allclose(Curve(TABLE)([-1, 0, 0.2, 0.4, 0.7, 1, 9]), [3, 3, 3.1, 3.2, 3.35, 3.5, 3.5])


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", 2.0), ("-x", -0.5), ("+x", 0.5), ("2 * exp(-3 * x) + x ** 2", 2 * np.exp(-1.5) + 0.25),
     ("tanh(x) / cosh(x) - sinh(x)", np.tanh(0.5) / np.cosh(0.5) - np.sinh(0.5)),
     ("log(x) + sqrt(x)", np.log(0.5) + np.sqrt(0.5))],
)  # fmt: skip
def test_expressions_are_arithmetic(text, value):
    assert Curve(text)(0.5) == pytest.approx(value, rel=1e-15)
    assert Curve(text)([0.5, 0.5]).shape == (2,)


@pytest.mark.parametrize(
    "text",
    ["y", "x.real", "__import__('os')", "exp.__class__", "open('x')", "(lambda: 1)()", "[x]", "x if x else 1",
     "exp(x, x)", "exp(x=x)", "x < 1", "'text'", "True", "x[0]", "x // 2", "x @ x", "[y for y in x]", "eval(x)"],
)  # fmt: skip
def test_anything_else_is_refused_when_the_file_is_read(text):
    with pytest.raises(InputError, match="file, 'key': expression holds"):
        Curve(text, "file, 'key'")


@pytest.mark.parametrize("text", ["2 +", "x x", "", "import os", "x = 1"])
def test_what_cannot_be_parsed_says_so(text):
    with pytest.raises(InputError, match="cannot read the expression"):
        Curve(text)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"x": [0, 1, 1], "y": [1, 2, 3]}, r"not increasing in x: x\[2\] = 1 follows 1"),
        ({"x": [0, 2, 1], "y": [1, 2, 3]}, r"not increasing in x: x\[2\] = 1 follows 2"),
        ({"x": [0, 1], "y": [1, float("nan")]}, "NaN or infinity"),
        ({"x": [0, float("inf")], "y": [1, 2]}, "NaN or infinity"),
        ({"x": [0, 1], "y": [1]}, "2 values of x and 1 of y"),
        ({"x": [0], "y": [1]}, "at least two"),
        ({"x": [0, 1], "y": [1, "b"]}, "not a number"),
        ({"x": [0, 1], "y": [1.0, 10**400]}, "not a number"),
        ({"x": [0, 1]}, r"keys \['x'\]"),
        ({"x": [0, 1], "y": [0, 1], "z": []}, "keys"),
    ],
)
def test_a_bad_table_is_described(table, said):
    with pytest.raises(InputError, match=said):
        Curve(table)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, 10**400, -(10**400), None, [1.0]])
def test_a_number_is_finite(value):
    with pytest.raises(InputError, match="expected a finite number"):
        Curve(value)


@pytest.mark.parametrize("source", [2.5, TABLE, "1 + x"])
@given(factor=st.floats(-10, 10))
def test_scaling_and_slope(source, factor):
    x = np.linspace(0.05, 0.35, 7)  # within one piece of the table
    np.testing.assert_allclose(Curve(Curve(source).scaled(factor))(x), factor * Curve(source)(x), rtol=1e-12)
    slope = {float: 0.0, dict: 0.5, str: 1.0}[type(source)]
    np.testing.assert_allclose(Curve(source).slope(x), slope, atol=1e-12)


@pytest.mark.parametrize("text", ["sqrt(x-450)/30", "log(x - 1)", "1 / (x - 0.5)", "(x - 2)**0.5"])
def test_a_curve_need_be_no_number_where_it_is_not_used(text):
    assert np.isfinite(Curve(text)(1000.0))


@pytest.mark.parametrize("text", ["log(-1)", "exp(1000)", "log(0)", "1e999", "sqrt(2) * 1e999"])
def test_an_expression_without_x_is_a_number_or_nothing(text):
    with pytest.raises(InputError, match=r"file, 'key': .* is not a number"):
        Curve(text, "file, 'key'")


@pytest.mark.parametrize("text", ["1 / 0", "x + 1 / 0", "10.0**400 * x", "(-8)**0.5 + x"])
def test_arithmetic_that_cannot_be_done_is_refused_when_the_file_is_read(text):
    with pytest.raises(InputError, match=r"file, 'key': (cannot evaluate|.* is not real)"):
        Curve(text, "file, 'key'")


def test_a_bad_table_names_the_row():
    for table, said in (
        ({"x": [0, 1], "y": [1, "b"]}, r"not a number: y\[1\] = 'b'"),
        ({"x": [0, None, 2], "y": [1, 2, 3]}, r"not a number: x\[1\] = None"),
        ({"x": [0, 1], "y": [True, False]}, r"not a number: y\[0\] = True"),
        ({"x": [0, 1], "y": [1, float("nan")]}, r"y\[1\] = nan, expected finite numbers"),
    ):
        with pytest.raises(InputError, match=said):
            Curve(table)

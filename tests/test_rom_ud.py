"""U D U' factors: the covariance recursion without its rounding, never negative and never lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_export.host import STRICT, find_compiler
from rom.ud import Factors, PlainFactors, compiled, covariance, factored, increment, packed, plain_increment, unpacked

KINDS = [PlainFactors, Factors] if compiled() else [PlainFactors]
BOTH = pytest.mark.parametrize("kind", KINDS)
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
SIZES = pytest.mark.parametrize("n", range(1, 13))
needs_kernel = pytest.mark.skipif(not compiled(), reason="rom was installed without a compiler: no rom._ud")


def wide(rng, *shape):
    """Both signs, magnitudes from 1e-8 to 1e8, a fifth of them 0."""
    values = rng.choice([-1.0, 1.0], shape) * 10.0 ** rng.uniform(-8, 8, shape)
    return np.where(rng.random(shape) < 0.2, 0.0, values)


def spoilt(rng, values):
    """Now and then not a number, or infinite."""
    values = np.array(values)
    if rng.random() < 0.1:
        values.flat[rng.integers(values.size)] = rng.choice([np.nan, np.inf, -np.inf])
    return values


def units(n):
    """Of the states: from 1e-3 to 1e3."""
    return 10.0 ** np.random.default_rng(n).uniform(-3, 3, n)


def some_covariance(rng, n):
    A, scale = rng.normal(size=(n, n)), units(n)
    return scale[:, None] * (A @ A.T / n + np.eye(n)) * scale


def steps_of_a_filter(rng, n, steps=10):
    """Operations as (name, arguments)."""
    scale = units(n)
    for k in range(steps):
        F = scale[:, None] * (0.9 * np.linalg.qr(rng.normal(size=(n, n)))[0]) / scale
        F[:, rng.integers(n)] *= k % 3 > 0  # singular now and then
        g = rng.integers(1, n + 1)
        yield "predict", (F, scale[:, None] * rng.normal(size=(n, g)), rng.uniform(0.01, 1.0, g))
        yield "measure", (rng.normal(size=n) / scale, rng.uniform(0.1, 1.0), rng.choice([1.0, 0.0, 0.5]))
        yield "inflate", (scale * np.eye(n)[rng.integers(n)], 0.3)


def plain_covariance(P, name, args):
    """The same in the covariance itself, Joseph's form."""
    if name == "predict":
        F, G, q = args
        return F @ P @ F.T + (G * q) @ G.T, None
    if name == "inflate":
        return P + args[1] * np.outer(args[0], args[0]), None
    row, variance, weight = args
    if weight == 0:
        return P, np.zeros(len(P))
    gain = P @ row / (row @ P @ row + variance / weight)
    left = np.eye(len(P)) - np.outer(gain, row)
    return left @ P @ left.T + np.outer(gain, gain) * variance / weight, gain


@BOTH
@DTYPES
@SIZES
def test_equals_the_covariance_recursion(kind, dtype, n):
    rng, scale = np.random.default_rng(n), units(n)
    few = 50 * np.finfo(dtype).eps  # ten steps, correlations of a condition up to 500; 7 eps found
    P = some_covariance(rng, n)
    factors = kind(factored(P), dtype)
    for name, args in steps_of_a_filter(rng, n):
        P, gain = plain_covariance(P, name, args)
        found = getattr(factors, name)(*args)
        np.testing.assert_allclose(covariance(factors.packed) / np.outer(scale, scale), P / np.outer(scale, scale),
                                   rtol=0, atol=few * np.max(np.diag(P) / scale**2))  # fmt: skip
        if gain is not None:
            np.testing.assert_allclose(found[0] / scale, gain / scale, rtol=0, atol=few)
    row = rng.normal(size=n) / scale
    np.testing.assert_allclose(factors.spread(row), row @ P @ row, rtol=2 * few)
    np.testing.assert_allclose([factors.variance(i) for i in range(n)], np.diag(P), rtol=2 * few)


@needs_kernel
@SIZES
def test_kernel_is_the_twin(n):
    rng = np.random.default_rng(100 + n)
    start = factored(some_covariance(rng, n))
    kernel, twin = Factors(start), PlainFactors(start)
    for name, args in steps_of_a_filter(rng, n):
        theirs, ours = getattr(twin, name)(*args), getattr(kernel, name)(*args)
        scale = np.sqrt([twin.variance(i) for i in range(n)])
        difference = covariance(kernel.packed) - covariance(twin.packed)
        np.testing.assert_allclose(difference / np.outer(scale, scale), 0, atol=1e-12)
        if name == "measure":
            root = theirs[1] ** 0.5
            np.testing.assert_allclose((ours[0] - theirs[0]) * root / scale, 0, atol=1e-12)
            np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)
        row = rng.normal(size=n) / scale
        np.testing.assert_allclose(kernel.spread(row), twin.spread(row), rtol=1e-12)


@BOTH
@DTYPES
@settings(deadline=None, max_examples=300)
@given(n=st.integers(1, 12), seed=st.integers(0, 2**32 - 1), names=st.lists(st.sampled_from("pmi"), max_size=12))
def test_never_negative_and_never_lost(kind, dtype, n, seed, names):
    rng = np.random.default_rng(seed)
    factors = kind(packed(np.eye(n), np.abs(wide(rng, n))), dtype)
    for name in names:
        if name == "p":
            F = spoilt(rng, wide(rng, n, n) * (10.0 ** -rng.integers(0, 9)))
            F[rng.integers(n)] = 0.0  # singular
            g = rng.integers(0, n + 1)
            factors.predict(F, spoilt(rng, wide(rng, n, g)) if g else None, np.abs(wide(rng, g)) if g else None)
        elif name == "m":
            row, variance = spoilt(rng, wide(rng, n)), float(spoilt(rng, np.abs(wide(rng, 1)))[0])
            before = factors.packed
            gain, S = factors.measure(row, variance, rng.choice([1.0, 0.5, 0.0, np.nan]))
            assert np.isfinite(gain).all() and np.isfinite(S) and S >= 0
            assert S > 0 or (not gain.any() and factors.packed.tobytes() == before.tobytes())
        else:
            factors.inflate(wide(rng, n), rng.choice([1e8, 1.0, 1e-8, 0.0, np.nan]))
        row = factors.packed
        assert np.isfinite(row).all() and (unpacked(row)[1] >= 0).all()
        variances = np.array([factors.variance(i) for i in range(n)])
        assert np.isfinite(variances).all() and (variances >= 0).all()


@BOTH
@DTYPES
def test_absent_readings_change_no_byte(kind, dtype):
    factors = kind(factored(some_covariance(np.random.default_rng(0), 4)), dtype)
    before, row = factors.packed.tobytes(), np.ones(4)
    for absent in [
        (row, 1.0, 0.0),
        (row, 1.0, np.nan),
        (row, np.nan),
        (row, -1.0),
        (row * np.nan, 1.0),
        (row * 0, 0.0),
    ]:
        gain, S = factors.measure(*absent)
        assert not gain.any() and S == 0 and factors.packed.tobytes() == before


@BOTH
@DTYPES
def test_an_exact_reading_leaves_nothing_to_know(kind, dtype):
    rng = np.random.default_rng(1)
    P = some_covariance(rng, 5)
    row = rng.normal(size=5) / np.sqrt(np.diag(P))
    factors = kind(factored(P), dtype)
    before = factors.spread(row)
    gain, _ = factors.measure(row, 0.0)
    assert abs(row @ gain - 1) < 100 * np.finfo(dtype).eps
    assert factors.spread(row) < 100 * np.finfo(dtype).eps ** 2 * before  # squared: the factors are rounded, not P


@BOTH
def test_bierman_s_two_readings_in_single_precision(kind):
    # x1 + eps x2 and x1 + x2, deviation 1 each, after a deviation of 1 / eps: 1 + eps counts, 1 + eps^2 rounds to 1
    eps = np.float32(1e-4)
    rows = np.array([[1, eps], [1, 1]], np.float32)
    P = np.eye(2, dtype=np.float32) / (eps * eps)
    factors = kind(packed(np.eye(2), np.diag(P)), np.float32)
    wide_rows = rows.astype(float)
    exact = np.linalg.inv(np.eye(2) * float(eps) ** 2 + wide_rows.T @ wide_rows)
    for row in rows:
        gain = P @ row / (row @ P @ row + np.float32(1))
        P = P - np.outer(gain, row @ P)
        factors.measure(row, 1.0)
    assert P.dtype == np.float32 and np.diag(P).min() < 0
    np.testing.assert_allclose(covariance(factors.packed), exact, rtol=1e-6)  # a few last digits of single precision


@BOTH
@DTYPES
def test_a_state_beyond_range_is_unknown_and_alone(kind, dtype):
    factors = kind(factored(some_covariance(np.random.default_rng(2), 3)), dtype)
    kept = covariance(factors.packed)
    F = np.eye(3)
    F[1, 0] = np.nan
    factors.predict(F)
    P = covariance(factors.packed)
    np.testing.assert_allclose(P[1], [0, 1e18, 0], rtol=1e-6)
    np.testing.assert_allclose(P[::2, ::2], kept[::2, ::2], rtol=1e-5)
    factors.measure([0, 1, 0], 4.0)  # and one reading brings it back
    np.testing.assert_allclose(factors.variance(1), 4.0, rtol=1e-6)


@needs_kernel
@DTYPES
def test_unused_states_at_the_end_change_no_byte(dtype):
    rng, n = np.random.default_rng(3), 5
    P = some_covariance(rng, n)
    small = Factors(factored(P), dtype)
    U, D = unpacked(small.packed)
    large = Factors(packed(np.pad(U, (0, 3)) + np.diag([0.0] * n + [1.0] * 3), np.pad(D, (0, 3))), dtype)
    for name, args in steps_of_a_filter(rng, n):
        getattr(small, name)(*args)
        pad = [(0, 3)] * np.ndim(args[0])
        if name == "predict":
            args = (args[0], np.pad(args[1], [(0, 3), (0, 0)]), args[2])
        getattr(large, name)(np.pad(args[0], pad), *args[1:])
        U, D = unpacked(large.packed)
        assert packed(U[:n, :n], D[:n]).tobytes() == small.packed.tobytes()
        assert not D[n:].any() and not U[:n, n:].any()


def test_factors_of_a_covariance_and_back():
    rng = np.random.default_rng(4)
    for P in (some_covariance(rng, 6), np.diag([1e-8, 0.0, 1e8]), np.ones((3, 3)), np.zeros((2, 2))):
        np.testing.assert_allclose(covariance(factored(P)), P, rtol=1e-12, atol=1e-15 * P.max())
        U, D = unpacked(factored(P))
        assert (packed(U, D) == factored(P)).all() and (D >= 0).all()
    for wrong in ([[1, 2], [2, 1]], [[1, 0.5], [0, 1]], [[np.nan]], [[-1.0]]):
        with pytest.raises(ValueError, match="covariance must be"):
            factored(wrong)


@pytest.mark.parametrize("add", [plain_increment, increment] if compiled() else [plain_increment])
def test_small_increments_are_not_lost_in_single_precision(add):
    few = 10**7 if add is increment else 10**4  # NumPy goes row by row
    start = np.array([0.0, 1.0], np.float32)  # beside 1 each one is 100 times less than a last digit
    x, carry = start, np.zeros(2, np.float32)
    dx = np.full((few // 10, 2), 1e-9, np.float32)
    for _ in range(10):
        x, carry = add(x, carry, dx)
    found = x.astype(float) - carry - start
    np.testing.assert_allclose(found, few * 1e-9, rtol=1e-6)
    assert abs(float(x[0]) - few * 1e-9) < 1e-6 * few * 1e-9  # and without looking at the carry


@BOTH
def test_wrong_shapes_are_refused(kind):
    factors = kind(packed(np.eye(2), [1.0, 1.0]))
    for wrong in (
        lambda: kind([1.0, 2.0]), lambda: kind([-1.0]), lambda: kind([np.nan]), lambda: factors.predict(np.eye(3)),
        lambda: factors.predict(np.eye(2), np.eye(2), [1.0]), lambda: factors.measure([1.0], 1.0),
        lambda: factors.inflate([1.0, 2.0, 3.0], 1.0), lambda: factors.spread([1.0]),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            wrong()


@needs_kernel
def test_sizes_that_were_not_built_are_refused():
    with pytest.raises(ValueError, match="1 to 48"):
        Factors(packed(np.eye(49), np.ones(49)))
    with pytest.raises(ValueError, match="float64 or float32"):
        Factors([1.0], np.float16)
    with pytest.raises(IndexError):
        Factors([1.0]).variance(1)


@pytest.mark.parametrize("flags", [[*STRICT], [*STRICT, "-DROM_DOUBLE"], ["-DROM_LANES=4", "-Wno-psabi"]])
def test_text_compiles_for_a_target_and_side_by_side(flags, tmp_path):
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("no C compiler")
    source = """#include "real.h"
    #if defined(ROM_LANES)
    #include "lanes.h"
    #endif
    #define UD_(name) few_##name
    #define UD_ROOM 3
    #define UD_COLUMNS 1
    #include "ud.h"
    real_t few(real_t *ud, real_t *x, real_t *carry, const real_t *F, const real_t *q);
    real_t few(real_t *ud, real_t *x, real_t *carry, const real_t *F, const real_t *q)
    {
        few_predict(3, 1, ud, F, F, q);
        few_inflate(3, ud, F, q[0]);
        few_add(3, x, carry, F);
        return few_measure(3, ud, F, q[0], q[1], x) + few_variance(3, ud, 1) + few_spread(3, ud, F);
    }"""
    (tmp_path / "few.c").write_text(source)
    include = f"-I{Path(__file__).parents[1] / 'rom' / 'kernel'}"
    command = [*compiler, "-Wall", "-Werror", *flags, "-O2", include, "-c", "few.c"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr

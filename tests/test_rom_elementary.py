"""log, exp and 1/sqrt of the kernel, in both precisions, against more digits than they have."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from firmware_export.host import STRICT, find_compiler

SOURCE = """
#include <stddef.h>
#include "elementary.h"
void logs(const num_t *x, num_t *y, size_t n);
void exps(const num_t *x, num_t *y, size_t n);
void roots(const num_t *x, num_t *y, size_t n);
void logs(const num_t *x, num_t *y, size_t n) { for (size_t i = 0; i < n; i++) { y[i] = rom_log(x[i]); } }
void exps(const num_t *x, num_t *y, size_t n) { for (size_t i = 0; i < n; i++) { y[i] = rom_exp(x[i]); } }
void roots(const num_t *x, num_t *y, size_t n) { for (size_t i = 0; i < n; i++) { y[i] = rom_root(x[i]); } }
"""
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Both precisions, each as the function of an array."""
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("elementary")
    (folder / "elementary.c").write_text(SOURCE)
    found = {}
    for dtype, flags in ((np.float64, ["-DROM_DOUBLE"]), (np.float32, [])):
        target = folder / f"{np.dtype(dtype).name}.so"
        include = f"-I{Path(__file__).parents[1] / 'rom' / 'kernel'}"
        command = [*compiler, *STRICT, "-O2", "-fPIC", "-shared", *flags, include, "elementary.c", "-o", str(target)]
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        found[dtype] = ctypes.CDLL(str(target))
    return found


def apply(library, name, x):
    y = np.empty_like(x)
    pointers = (array.ctypes.data_as(ctypes.c_void_p) for array in (x, y))
    getattr(library[x.dtype.type], name)(*pointers, ctypes.c_size_t(len(x)))
    return y


def numbers(dtype):
    """All normal magnitudes, those near one, and the edges of the halves of the mantissa."""
    rng, info = np.random.default_rng(0), np.finfo(dtype)
    low, high = np.log2(float(info.tiny)), np.log2(float(info.max))
    wide = 2.0 ** rng.uniform(low, high, 100_000)
    near = 1.0 + rng.normal(0, 1, 50_000) * 10.0 ** rng.uniform(-6, -1, 50_000)
    places = np.array([1.0, 1.5, 0.75, 2.0, 0.5, 3.0], dtype)
    edges = np.concatenate([places, np.nextafter(places, dtype(0)), np.nextafter(places, dtype(9))])
    x = np.concatenate([wide, near, edges, [info.tiny, info.max]]).astype(dtype)
    return x[(x >= info.tiny) & np.isfinite(x)]


@DTYPES
def test_log_within_a_few_last_digits(library, dtype):
    x = numbers(dtype)
    y, exact = apply(library, "logs", x), np.log(x.astype(np.longdouble))
    np.testing.assert_array_less(np.abs(y - exact), 4 * np.spacing(np.abs(exact).astype(dtype)) + np.finfo(dtype).tiny)
    assert apply(library, "logs", np.ones(1, dtype))[0] == 0.0


@DTYPES
def test_inverse_root_within_a_few_last_digits(library, dtype):
    x = numbers(dtype)
    y, exact = apply(library, "roots", x), 1 / np.sqrt(x.astype(np.longdouble))
    np.testing.assert_array_less(np.abs(y - exact), 4 * np.spacing(exact.astype(dtype)))


@DTYPES
def test_log_rises_and_root_falls(library, dtype):
    # a Newton iteration on the voltage leans on it: to a few last digits
    x = np.sort(numbers(dtype))
    few = 4 * np.finfo(dtype).eps
    y, r = apply(library, "logs", x), apply(library, "roots", x)
    assert (np.diff(y) >= -few * np.abs(y[1:])).all()
    assert (np.diff(r) <= few * r[1:]).all()


@DTYPES
def test_exp_within_a_few_last_digits(library, dtype):
    rng = np.random.default_rng(1)
    ends = np.array([0.0, 80.0, -80.0, np.log(2) / 2, -np.log(2) / 2])
    x = np.concatenate([rng.uniform(-80, 80, 50_000), rng.normal(0, 1e-3, 10_000), ends]).astype(dtype)
    y, exact = apply(library, "exps", x), np.exp(x.astype(np.longdouble))
    np.testing.assert_array_less(np.abs(y - exact), 4 * np.spacing(exact.astype(dtype)))
    assert apply(library, "exps", np.zeros(1, dtype))[0] == 1.0

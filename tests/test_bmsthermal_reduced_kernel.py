"""The compiled reduced cell: its readable twin, both precisions, what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from firmware_export.host import STRICT, find_compiler

pytest.importorskip("bmsthermal._cell", reason="the compiled kernel is missing")
sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, ROOM_K, amperes, drive, filling, inputs, reduced_cell, through

from bmsthermal._cell import Kernel
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.twin import Twin, places

KERNEL = Path(__file__).parents[1] / "bmsthermal" / "kernel"
#: What the kernel finds before the temperatures.
POWERS = ("voltage_V", "heat_W", "ohmic_W", "reaction_W", "reversible_W", "mixing_W", "contact_W")
LARGE = {"thermal": 6, "salts": 4, "modes": (8, 7), "points": (4, 3)}
FREE = {"resistance_Ohm": 0.01, "entropic_scale": 0.5, "capacity_fade": 0.1, "couplings": ("stress-potential",)}
BOTH = pytest.mark.parametrize("name", CELLS)
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@BOTH
@pytest.mark.parametrize(
    ("soc", "start_K", "sizes"),
    [(0.7, ROOM_K, {}), (0.7, 258.15, {}), (0.1, 318.15, {}), (0.7, ROOM_K, LARGE | FREE),
     (0.7, ROOM_K, {"points": (1, 1), "modes": (3, 3)}),
     (0.7, ROOM_K, {"points": (2, 2), "modes": (6, 5), "thermal": 4, "salts": 3, "step_s": 0.5})],
)  # fmt: skip
def test_kernel_and_twin_agree_over_a_drive_with_jumps(name, soc, start_K, sizes, us06):
    reduced = reduced_cell(name, **sizes)
    current, walls = drive(us06, reduced), len(reduced.cell.walls)
    coolant_K = start_K + np.array([5.0, -2.0])
    out, past, _ = through(reduced, current, soc, start_K, coolant_K)
    twin = Twin(reduced)
    states, found = twin.run(twin.rest(filling(reduced, soc), start_K), current, coolant_K[:walls])
    np.testing.assert_allclose(out[:, 7 : 9 + walls], found.temperature_K, rtol=0, atol=1e-9)
    for column, power in enumerate(POWERS):
        np.testing.assert_allclose(out[:, column], getattr(found, power), rtol=0, atol=1e-9, err_msg=power)
    np.testing.assert_allclose(past[:, places(reduced)], states[:-1], rtol=0, atol=1e-9)
    rest = np.delete(past, places(reduced), axis=1)
    assert np.abs(rest[:, 1:]).max(initial=0.0) == 0.0 and np.abs(rest[:, 0]).max() < 1e-15  # zeros, and the carry
    assert np.ptp(out[:, 7]) > 1 and np.ptp(out[:, 0]) > 0.1  # there was something to agree about


@BOTH
@pytest.mark.parametrize(("soc", "start_K"), [(0.7, ROOM_K), (0.5, 263.15)])
def test_float_stays_near_double(name, soc, start_K, us06):
    reduced = reduced_cell(name)
    double, single = (
        through(reduced, drive(us06, reduced), soc, start_K, start_K, dtype)[0].astype(float)
        for dtype in (np.float64, np.float32)
    )
    # 4 V round to 2e-7, potentials are differences of a few of them; 600 steps of half an ulp of 300 K
    assert np.abs(single - double)[:, 0].max() < 1e-5
    assert np.abs(single - double)[:, 7:].max() < 1e-3
    # the heat is a difference of enthalpy and work, each about 4 V times the current
    assert np.abs(single - double)[:, 1].max() < 1e-5 * 4 * amperes(reduced, 2.5) * 4
    np.testing.assert_allclose(single[:, 1].mean(), double[:, 1].mean(), rtol=2e-4)


@pytest.mark.parametrize("source", ["cell_f32.c", "cell_f64.c"])
@pytest.mark.parametrize("more", [(), ("-DROM_UNROLL",)])
def test_c_files_compile_as_c99_without_a_warning(source, more, tmp_path):
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("no C compiler")
    include = [f"-I{KERNEL}", f"-I{KERNEL.parents[1] / 'rom' / 'kernel'}"]
    # -O1 is enough for what the compiler sees of uninitialised values
    command = [*compiler, *STRICT, *more, "-O1", *include, "-c", str(KERNEL / source), "-o", str(tmp_path / "cell.o")]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr[:3000]


class Roomy(ReducedCell):
    """The same model in the largest class."""

    @property
    def size(self):
        return 8, 6, 4


@BOTH
@DTYPES
def test_zeros_that_fill_up_change_no_bit(name, dtype, us06):
    sizes = {"thermal": 4, "salts": 3, "modes": (6, 5)}
    small, large = reduced_cell(name, **sizes), reduced_cell(name, kind=Roomy, **sizes)
    assert len(large.row) > len(small.row)
    current = drive(us06, small)
    # products with zero add nothing, and they come last in each sum
    small_out, _, _ = through(small, current, dtype=dtype)
    large_out, _, _ = through(large, current, dtype=dtype)
    assert small_out.tobytes() == large_out.tobytes()


@BOTH
@DTYPES
def test_going_on_from_a_kept_state_is_one_run(name, dtype, us06):
    reduced = reduced_cell(name)
    current = drive(us06, reduced)
    whole, past, kernel = through(reduced, current, dtype=dtype)
    first, _, one = through(reduced, current[:300], dtype=dtype)
    assert one.state == past[300].tobytes()
    other = reduced.kernel(dtype)
    other.state = one.state
    second = np.empty_like(whole[300:])
    other.run(inputs(reduced, current[300:], dtype=dtype), second)
    assert first.tobytes() + second.tobytes() == whole.tobytes()
    assert other.state == kernel.state
    row = np.empty_like(whole[:1])
    again = reduced.kernel(dtype)
    again.state = past[17].tobytes()
    again.run(inputs(reduced, current[17:18], dtype=dtype), row)
    assert row.tobytes() == whole[17:18].tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e7])
@pytest.mark.parametrize("column", [0, 1, 2, 3])
@DTYPES
def test_a_number_that_is_none_is_refused_before_any_step(bad, column, dtype):
    reduced = reduced_cell()
    kernel = reduced.kernel(dtype)
    kernel.rest(0.5, ROOM_K)
    before = kernel.state
    u = inputs(reduced, np.ones(20), dtype=dtype)
    u[7, column] = bad
    out = np.zeros((20, kernel.out_size), dtype)
    with pytest.raises(ValueError, match=f"row 7: the {'coolant' if column else 'current'} must be a number"):
        kernel.run(u, out)
    assert kernel.state == before and not out.any()


@DTYPES
def test_the_state_never_becomes_nan(dtype):
    reduced, rng = reduced_cell(), np.random.default_rng(0)
    for c_rate in (3.0, 10.0, 1e2, 1e4):
        for soc in (0.0, 0.5, 1.0):
            kernel = reduced.kernel(dtype)
            kernel.rest(filling(reduced, soc), 268.15)
            for current in (rng.normal(0, amperes(reduced, c_rate), 500), np.full(500, -amperes(reduced, c_rate))):
                current = np.clip(current, -9e5, 9e5)
                out = np.empty((500, kernel.out_size), dtype)
                before = kernel.state
                stayed = kernel.run(inputs(reduced, current, dtype=dtype), out)
                assert stayed or kernel.state == before
                assert stayed or c_rate > 10  # beyond that, numbers may leave what numbers can hold
                assert np.isfinite(np.frombuffer(kernel.state, dtype)).all()


@BOTH
def test_overcharge_does_not_run_away(name):
    # at the ends of the filling, the filling helps the reaction on: to look ahead there would be an explosion
    reduced = reduced_cell(name)
    current = np.full(1800, -amperes(reduced, 2.0))
    out, _, _ = through(reduced, current, soc=0.9, start_K=273.15, coolant_K=273.15)
    assert np.abs(out[:, 1]).max() < 10 * np.abs(current[0])  # W: at most 10 V of overpotential
    assert np.ptp(out[:, 7]) < 200


def test_rows_that_do_not_fit_are_refused():
    reduced = reduced_cell()
    row, use, sizes = reduced.row, np.array([0.0, 1.0, 1.0, 0.5, 0.0, 0.0]), (3, 2, 4)
    Kernel(row, use, *sizes)
    with pytest.raises(ValueError, match="one precision"):
        Kernel(row, use.astype(np.float32), *sizes)
    with pytest.raises(ValueError, match="one precision"):
        Kernel(row.astype(np.int64), use.astype(np.int64), *sizes)
    with pytest.raises(ValueError, match="one dimension"):
        Kernel(np.tile(row[:, None], 2), use, *sizes)
    with pytest.raises(ValueError, match="numbers, expected"):
        Kernel(row[:-1], use, *sizes)
    with pytest.raises(ValueError, match="numbers, expected"):
        Kernel(row, use[:-1], *sizes)
    with pytest.raises(ValueError, match="numbers, expected"):
        Kernel(row, use, 2, 2, 4)
    with pytest.raises(ValueError, match="built for points"):
        Kernel(row, use, 5, 2, 4)
    with pytest.raises(ValueError, match="built for points"):
        Kernel(row, use, 3, 2, 5)
    for place, bad in ((0, np.nan), (100, np.inf), (len(row) - 1, np.nan)):
        broken = row.copy()
        broken[place] = bad
        with pytest.raises(ValueError, match="finite"):
            Kernel(broken, use, *sizes)
    for place, bad in ((2, 0.0), (2, -1.0), (3, -1e-3), (4, -1.0), (5, -1.0)):
        broken = use.copy()
        broken[place] = bad
        with pytest.raises(ValueError, match="area must be positive"):
            Kernel(row, broken, *sizes)


def test_arrays_that_do_not_fit_are_refused():
    reduced = reduced_cell()
    kernel = reduced.kernel()
    u, out = np.zeros((4, kernel.input_size)), np.zeros((4, kernel.out_size))
    past = np.zeros((4, kernel.state_size))
    assert kernel.run(u, out, past) and kernel.run(u[:0], out[:0])
    with pytest.raises(ValueError, match="u must be"):
        kernel.run(u[:, :2].copy(), out)
    with pytest.raises(ValueError, match="u must be"):
        kernel.run(u, out[:3])
    with pytest.raises(ValueError, match="past must be"):
        kernel.run(u, out, past[:3])
    for wrong in ((u.astype(np.float32), out, past), (u, out.astype(np.float32), past), (u, out, past.astype("f4"))):
        with pytest.raises(ValueError, match="precision"):
            kernel.run(*wrong)
    with pytest.raises(ValueError, match="precision"):  # as many bytes, but not these
        kernel.run(np.zeros((4, 2 * kernel.input_size), np.float32), out)
    for filled, kelvin in ((np.nan, ROOM_K), (0.5, np.inf)):
        with pytest.raises(ValueError, match="must be finite"):
            kernel.rest(filled, kelvin)
    with pytest.raises(ValueError, match="bytes"):
        kernel.state = kernel.state[:-1]
    with pytest.raises(ValueError, match="finite"):
        kernel.state = np.full(kernel.state_size, np.nan).tobytes()

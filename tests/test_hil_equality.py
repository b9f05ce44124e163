"""Model, software and processor on the inputs of a run: equal to the bit, and a bit that differs is found."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hil_devices import drive, observer
from reduced_cells import reduced_cell

import hil.equality
from bmsthermal import InputError, Observer
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.observer import compiled
from firmware_export.host import find_compiler
from firmware_export.targets.cores import CORES, HOST
from firmware_export.targets.equality import emulators
from firmware_export.targets.toolchains import toolchains
from hil.equality import drive_of, equality
from hil.record import Record, column_names

if not compiled() or find_compiler() is None:
    pytest.skip("no C compiler, or the compiled kernel is missing", allow_module_level=True)

STEPS = 120


def recorded(watched, steps=STEPS, cells=1):
    """Record of a run, of which only what the device saw is filled in."""
    names, sensors = column_names(cells, watched.measured, ()), tuple(watched.measured)
    record = Record(names, np.zeros((steps, len(names))), cells, sensors)
    for row, seen in zip(record.rows, drive(watched, steps, cells), strict=True):
        one = replace(record, rows=row[None])
        row[names.index("time_s")] = seen.time_s
        row[names.index("seen_current_A")] = seen.current_A
        row[names.index("seen_ambient_degC")] = seen.ambient_K - ZERO_DEGC_K
        one.each("seen_voltage_V")[:] = seen.voltage_V
        for k, sensor in enumerate(sensors):
            one.each(f"seen_{sensor}_degC")[:] = seen.surfaces_K[:, k] - ZERO_DEGC_K
    return record


def there(*cores):
    for core in (CORES[name] for name in cores):
        if not toolchains(core) or not emulators(core):
            pytest.skip(f"nothing here that compiles for {core.name} or emulates it")


@pytest.mark.parametrize("kind", ["cylinder", "slab", "watched", "voltage", "fixed"])
def test_all_three_are_equal(kind):
    there("cortex-m4f")
    found = equality(observer(kind), recorded(observer(kind)), 0.6)
    assert list(found) == ["software", "processor"]
    assert all(said.startswith(f"{STEPS} steps equal to the bit (") for said in found.values())
    assert "cortex-m4f" in found["processor"] and "-O2" in found["software"]


def test_an_observer_on_a_coupled_model():
    watched = Observer(reduced_cell(), ["surface"])
    assert equality(watched, recorded(watched), 0.6, ["host"])["software"].startswith(f"{STEPS} steps equal")


def test_cores_of_several_kinds_and_a_cell_of_a_module():
    there("cortex-m4f", "riscv32")
    found = equality(
        observer("cylinder"), recorded(observer("cylinder"), 20, 3), 0.6, ["riscv32", "host", "cortex-m4f"], cell=2
    )
    assert list(found) == ["software", "processor riscv32", "processor cortex-m4f"]
    assert all("20 steps equal to the bit, cell 2 of 3 (" in said for said in found.values())


def test_a_long_run_is_cut_and_says_so(monkeypatch):
    there("cortex-m4f")
    monkeypatch.setattr(hil.equality, "MOST_STEPS", 30)
    found = equality(observer("cylinder"), recorded(observer("cylinder"), 50), 0.6)
    assert found["software"].startswith("50 steps") and found["processor"].startswith("first 30 of 50 steps equal")


@pytest.mark.parametrize("place", ["inputs", "measurements"])
def test_one_bit_of_one_input_is_found(place, monkeypatch):
    """What Python is told differs by one unit of the last place, in one step: that step and its member are named."""
    import firmware_export.targets.equality as equalities

    watched, step = observer("cylinder"), 55
    record = recorded(watched)
    run = equalities.python_run

    def elsewhere(watched, form, u, z, start):
        u, z = u.copy(), z.copy()
        row = (u if place == "inputs" else z)[step]
        at = int(np.argmax(np.isfinite(row)))
        assert np.isfinite(row[at])
        row[at] = np.nextafter(row[at], np.float32(np.inf))
        return run(watched, form, u, z, start)

    monkeypatch.setattr(equalities, "python_run", elsewhere)
    found = equality(watched, record, 0.6, [])["software"]
    assert found.startswith("DIFFERS: ") and f"after step {step} is" in found and "in Python" in found


def test_what_is_not_here_is_said(monkeypatch):
    watched, record = observer("cylinder"), recorded(observer("cylinder"), 5)
    monkeypatch.setattr(hil.equality, "emulators", lambda core: [] if core is not HOST else ["native"])
    found = equality(watched, record, 0.6, ["cortex-m4f"])
    assert found["software"].startswith("5 steps") and "nothing that emulates cortex-m4f" in found["processor"]
    with pytest.raises(InputError, match="z80"):
        equality(watched, record, 0.6, ["z80"])
    monkeypatch.setattr("hil.devices.images.toolchains", lambda core: [])
    found = equality(watched, record, 0.6, [])
    assert found["software"].startswith("not compared: nothing that compiles for host")


def test_the_run_starts_where_the_device_did():
    watched = observer("watched")
    record = recorded(watched)
    run = drive_of(watched, record, 0.6)
    first = [record[f"seen_{name}_degC"][0] + ZERO_DEGC_K for name in watched.measured]
    assert run.start_K == pytest.approx(np.nanmean(first), abs=1e-9) and run.start_soc == 0.6
    assert np.isnan(run.inputs[:, 2]).all() and run.inputs.shape == (STEPS, 3 + 2 * len(watched.reduced.walls))

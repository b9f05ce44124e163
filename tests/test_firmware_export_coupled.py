"""The observer on a reduced coupled model as C: it has the bytes of Python's run, and says what Python says."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, reduced_cell
from test_firmware_export_bundle import c_run, contents, sources

from bmsthermal import InputError, Observer
from firmware_export import export
from firmware_export.folder import MANIFEST
from firmware_export.form_coupled import CoupledForm
from firmware_export.host import compile_bundle, find_compiler

pytest.importorskip("bmsthermal._cell_filter", reason="the compiled kernel is missing")
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler here")
#: A cylinder with one wall; a slab with two, and two sensors; modes and shapes that do not fill a class of sizes.
KINDS = {
    "cylinder": (CELLS[0], ("surface",), {}),
    "slab": (CELLS[1], ("surface_back", "surface_front"), {}),
    "odd": (CELLS[0], ("surface",), {"modes": (5, 3), "points": (2, 2)}),
}
REALS = ("float", "double")


@functools.cache
def observer(kind="cylinder"):
    cell, sensors, sizes = KINDS[kind]
    return Observer(reduced_cell(cell, **sizes), list(sensors))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    @functools.cache
    def make(kind, real):
        return export(observer(kind), tmp_path_factory.mktemp("coupled") / "c", real=real, name=f"{kind}_{real}")

    return make


def drive(made, steps, seed):
    """Inputs and measurements like a drive cycle's, with everything missing or absurd now and then."""
    rng, capacity = np.random.default_rng(seed), made.filter.capacity_Ah
    walls, sensors, t = len(made.coupled.thermal.walls), len(made.measured), np.arange(steps)
    u = np.full((steps, 2 + walls), np.nan)
    u[:, 0] = np.convolve(rng.normal(0.02, capacity, steps), np.ones(8) / 4, "same")
    open_V = float(made.coupled.cell.electrochemistry.open_circuit_V(np.array(0.5)))
    u[:, 1] = open_V - 0.1 / capacity * u[:, 0] + rng.normal(0, 0.003, steps)
    u[:, 2:] = 295.0 + 3.0 * np.sin(t / 200.0)[:, None] + np.arange(walls)
    z = 299.0 + 4.0 * np.sin(t / 300.0)[:, None] + rng.normal(0, 0.05, (steps, sensors))
    for column in (0, 1, 2):
        u[rng.random(steps) < 0.03, column] = np.nan
    z[rng.random(z.shape) < 0.1] = np.nan
    u[150:180, 1] = np.nan
    u[200:203], u[210, :2], u[220, 0] = np.inf, -np.inf, 50 * capacity
    z[300:350], z[360], z[370] = np.nan, -np.inf, 1e9
    return u, z


@needs_compiler
@pytest.mark.parametrize(
    ("kind", "real"), [("cylinder", "float"), ("cylinder", "double"), ("slab", "float"), ("odd", "float")]
)
def test_c_and_python_have_the_same_bytes_over_a_drive(kind, real, bundles, tmp_path):
    bundle, form = bundles(kind, real), CoupledForm(observer(kind), real)
    report = bundle.check()
    assert report.passed and report.data_B in (0, None) and report.bss_B in (0, None)
    u, z = drive(observer(kind), 600, seed=len(kind))
    begun, states, outs = c_run(bundle, tmp_path, u, z, 301.7, 0.63)
    past, out = form.run(u.astype(form.dtype), z, 301.7, 0.63)
    assert begun.tobytes() == form.start_row(301.7, 0.63).tobytes()
    assert states.tobytes() == past.tobytes() and outs.tobytes() == out.tobytes()
    assert np.isfinite(states).all() and np.isfinite(outs).all()


@needs_compiler
def test_what_c_reads_out_is_what_python_estimates(bundles, tmp_path):
    made = observer()
    u, z = drive(made, 400, seed=1)
    _, states, outs = c_run(bundles("cylinder", "double"), tmp_path, u, z, 298.0, 0.5)
    found = made._estimates(np.arange(400.0), made._with_soc(states), np.zeros((400, 17)))
    for place, wanted in enumerate((
        found.core_K, found.core_std_K**2, found.mean_K, found.surface_K, found.surface_std_K**2, found.soc,
        found.soc_std**2, found.resistance_Ohm, found.resistance_std_Ohm**2,
    )):  # fmt: skip
        np.testing.assert_allclose(outs[:, place], wanted, rtol=1e-9, atol=1e-15)


@needs_compiler
def test_the_host_program_drives_from_csv(bundles, tmp_path):
    bundle, made = bundles("slab", "float"), observer("slab")
    form = CoupledForm(made, "float")
    u, z = (each[-60:].astype(np.float32) for each in drive(made, 400, seed=9))
    columns = [*bundle.manifest["inputs"], "surface_back_K", "surface_front_K"]
    rows = [",".join("" if np.isnan(v) else str(v) for v in row) for row in np.column_stack([u, z])]
    program = compile_bundle(bundle.folder, [*sources(bundle.name), "main.c"], tmp_path / "host")
    text = "\n".join([",".join(columns), *rows]) + "\n"
    said = subprocess.run([program, "300.0", "0.4"], input=text, capture_output=True, text=True, check=True).stdout
    past, out = form.run(u, z, 300.0, 0.4)
    lines = said.splitlines()
    assert lines[-1] == "state " + past[-1].tobytes().hex() and len(lines) == 62
    assert np.array(lines[-2].split(","), np.float32).tobytes() == out[-1].tobytes()
    assert lines[0].startswith("core_K,core_variance_K2,mean_K") and len(lines[0].split(",")) == out.shape[1]


@needs_compiler
@pytest.mark.parametrize("real", REALS)
def test_a_constant_that_was_changed_is_found(real, bundles, tmp_path):
    bundle = bundles("cylinder", real)
    model = f"{bundle.name}_model.c"
    text = (bundle.folder / model).read_text()
    at = text.index("enthalpic potential")
    digit = re.search(r"0\.\d{4}(\d)", text[at + 8000 :])
    assert digit is not None
    place = at + 8000 + digit.start(1)
    changed = text[:place] + str((int(digit[1]) + 1) % 10) + text[place + 1 :]
    for path in bundle.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / model).write_text(changed)
    program = compile_bundle(tmp_path, [*sources(bundle.name), "main.c"], tmp_path / "host")
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "-1" in done.stderr


def test_same_observer_same_bytes_whatever_it_runs_at(bundles, tmp_path):
    bundle = bundles("odd", "float")
    again = export(observer("odd").on_target("float"), tmp_path / "c", real="float", name=bundle.name)
    assert contents(again.folder) == contents(bundle.folder)


def test_the_manifest_says_what_went_in(bundles):
    said = json.loads((bundles("slab", "float").folder / MANIFEST).read_text())
    made = observer("slab")
    assert said["cell"] == {"name": CELLS[1], "digest": made.coupled.cell.digest}
    assert said["reduced"]["digest"] == made.coupled.digest and said["form"] == "ud"
    assert said["inputs"] == ["current_A", "voltage_V", "coolant_back_K", "coolant_front_K"]
    n = made.filter.n + 2
    assert said["sizes"]["state_bytes"] == 4 * (n * (n + 3) // 2 + 2) and not said["unrolled"]
    assert said["sizes"]["model_bytes"] > 4 * 3 * 513 * 6  # three tables


def test_what_cannot_be_is_refused(tmp_path):
    for name, said in (("cell_filter", "own"), ("1x", "identifier")):
        with pytest.raises(InputError, match=said):
            export(observer(), tmp_path / "c", name=name)
    with pytest.raises(InputError, match="ekf"):
        export(observer(), tmp_path / "c", form="ekf")

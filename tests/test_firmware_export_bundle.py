import ctypes
import functools
import graphlib
import itertools
import json
import platform
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Noise, Observer, load_cell
from bmsthermal.observer import compiled
from firmware_export import export
from firmware_export.folder import BUILD, MANIFEST
from firmware_export.form import form_of, read_out, start_row
from firmware_export.host import compile_bundle, find_compiler
from firmware_export.render import DTYPES

pytestmark = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler here")
needs_objdump = pytest.mark.skipif(
    find_compiler() is None or not (shutil.which("objdump") and shutil.which("nm")) or platform.machine() != "x86_64",
    reason="no C compiler, no binutils, or not x86-64",
)

SLAB = {
    "Form factor": {"description": "slab"}, "Cell thickness [m]": 0.012, "Cell area [m2]": 0.00285,
    "Through-plane thermal conductivity [W.m-1.K-1]": 0.6,
    "Heat transfer coefficient [W.m-2.K-1]": {"back": 80.0, "front": 15.0},
}  # fmt: skip
KINDS = (
    "cylinder", "slab", "sensors", "given", "given_slab", "fixed", "fixed_sensors", "fixed_given",
    "factored", "joint", "joint_slab", "voltage", "voltage_slab", "watched",
)  # fmt: skip
UNROLLED = KINDS[:8]  # the others keep their covariance as factors
REALS = ("float", "double")


def form_and_inputs(kind):
    """How a kind is exported."""
    form = "fixed-gain" if kind.startswith("fixed") else "ekf" if kind in UNROLLED else "ud"
    return {"form": form, "inputs": "heat" if "given" in kind else "measured"}


@functools.cache
def observer(kind):
    if kind.startswith("fixed"):
        return observer("sensors" if kind == "fixed_sensors" else "cylinder").changed(form="fixed-gain")
    if kind.startswith("given"):
        return observer("slab" if kind == "given_slab" else "cylinder")
    a123 = load_cell("a123_26650")
    if kind == "cylinder":
        return Observer(CoupledModel(a123, heat="measured").reduce(order=4))
    if kind == "slab":
        return Observer(
            CoupledModel(a123.with_values(SLAB, "slab"), heat="measured").reduce(order=5), ["surface_front"]
        )
    if kind == "factored":
        return Observer(CoupledModel(a123, heat="measured").reduce(order=4), form="ud")
    if kind == "joint":
        return Observer(CoupledModel(a123, heat="measured").reduce(order=4), estimate=("h", "heat"))
    if kind == "voltage":
        return Observer(
            CoupledModel(a123, heat="measured").reduce(order=4), estimate=("h", "heat", "soc", "resistance")
        )
    if kind == "voltage_slab":
        slab = CoupledModel(a123.with_values(SLAB, "slab"), heat="measured").reduce(order=2)
        return Observer(slab, ["surface_front"], estimate=("soc",), heat="measured")
    if kind == "joint_slab":
        slab = CoupledModel(a123.with_values(SLAB, "slab"), heat="measured").reduce(order=3)
        return Observer(slab, ["surface_front", "surface_back"], estimate=("h", "heat", "bias"))
    if kind == "watched":
        rz = CoupledModel(load_cell("lfp_32113"), heat="measured", thermal="r-z").reduce(order=4)
        return Observer(rz, ["surface", "surface_left", "surface_right"], estimate=("heat",), faults=True)
    leaky = load_cell("lfp_32113").with_values({"Surface sensor ambient share": 0.1})
    return Observer(
        CoupledModel(leaky, heat="measured").reduce(order=8, step_s=0.5), ["surface", "surface_left", "surface_right"]
    )


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    @functools.cache
    def make(kind, real):
        folder = tmp_path_factory.mktemp("bundle") / "c"
        return export(observer(kind), folder, real=real, **form_and_inputs(kind), name=f"{kind}_{real}")

    return make


def sources(name):
    return f"{name}.c", f"{name}_model.c", f"{name}_selftest.c"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def drive(observer, steps, seed):
    """Inputs and measurements like a drive cycle's, with everything missing, given or changed now and then."""
    rng = np.random.default_rng(seed)
    walls, sensors, heat = len(observer.packed.wall), len(observer.measured), observer.reduced.heat
    t = np.arange(steps)
    u = np.full((steps, 3 + 2 * walls), np.nan)
    u[:, 0] = np.convolve(rng.normal(0.0, 12.0, steps), np.ones(8) / 4, "same")
    u[:, 1] = heat.open_circuit_V[40] - 0.015 * u[:, 0] + rng.normal(0, 0.003, steps)
    u[:, 3 : 3 + walls] = 295.0 + 3.0 * np.sin(t / 200.0)[:, None] + np.arange(walls)
    z = 299.0 + 4.0 * np.sin(t / 300.0)[:, None] + rng.normal(0, 0.05, (steps, sensors))
    for column in (0, 1, 3):
        u[rng.random(steps) < 0.03, column] = np.nan
    u[300:360, 1] = np.nan
    u[500:520, 2] = 4.0
    u[700:900, 3 + walls :] = 3.0 * observer.packed.conductance_W_K
    u[1000:1010, :2] = np.inf
    z[rng.random(z.shape) < 0.1] = np.nan
    z[1200:1400] = np.nan
    z[steps // 4] = -1e9
    return u, z


def python_run(observer, real, u, z, surface_K, soc, given=False):
    dtype, form = DTYPES[real], form_of(observer, given)
    u = u.astype(dtype)
    u[:, ~form.taken(len(form.cell.wall))] = np.nan
    kernel = form.engine(dtype, z.shape[1])
    kernel.write(start_row(observer, form, surface_K, soc, real)[None, :])
    past = np.empty((len(u), 1, kernel.state_size), dtype)
    out = np.zeros((len(u), 1, kernel.output_size), dtype)
    kernel.run(u[:, None, :], z.astype(dtype)[:, None, :], out, past)
    return past[:, 0], out[:, 0]


def c_run(bundle, place, u, z, surface_K, soc):
    """States and outputs of the bundle, loaded as a shared object."""
    name, real = bundle.name, bundle.real
    library = compile_bundle(bundle.folder, sources(name), place / f"{name}.so", "-shared", "-fPIC")
    lib, number, dtype = ctypes.CDLL(str(library)), getattr(ctypes, f"c_{real}"), DTYPES[real]
    model = ctypes.byref(ctypes.c_char.in_dll(lib, f"{name}_model"))
    init, step, get = (getattr(lib, f"{name}_{verb}") for verb in ("init", "step", "get"))
    if u.shape[1] != len(bundle.manifest["inputs"]):  # all of Python's: what this bundle takes of them
        walls = (u.shape[1] - 3) // 2
        members = np.array(["current", "voltage", "heat", *["coolant"] * walls, *["conductance"] * walls])
        u = u[:, np.isin(members, [word.split("_")[0] for word in bundle.manifest["inputs"]])]
    u, z = np.ascontiguousarray(u, dtype), np.ascontiguousarray(z, dtype)
    state = np.empty(bundle.manifest["sizes"]["state_bytes"] // dtype().itemsize, dtype)
    out = np.empty(bundle.manifest["sizes"]["output_bytes"] // dtype().itemsize, dtype)
    init(model, ctypes.c_void_p(state.ctypes.data), number(surface_K), number(soc))
    begun, states, outs = state.copy(), np.empty((len(u), len(state)), dtype), np.empty((len(u), len(out)), dtype)
    for k in range(len(u)):
        pointers = [ctypes.c_void_p(row.ctypes.data) for row in (state, u[k], z[k], out)]
        step(model, *pointers)
        get(model, pointers[0], pointers[3])
        states[k], outs[k] = state, out
    return begun, states, outs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("real", REALS)
def test_same_observer_same_bytes(kind, real, bundles, tmp_path):
    bundle = bundles(kind, real)
    asked = form_and_inputs(kind)
    again = export(observer(kind), tmp_path / "elsewhere", real=real, **asked, name=bundle.name)
    assert contents(again.folder) == contents(bundle.folder)
    assert export(observer(kind), bundle.folder, real=real, **asked, name=bundle.name) == bundle
    assert contents(again.folder) == contents(bundle.folder)
    assert {path.name for path in bundle.files} == set(contents(bundle.folder))


def test_the_kernel_is_the_one_that_python_runs(bundles):
    for kind in ("cylinder", "joint"):
        for file, package in form_of(observer(kind)).kernel.items():
            text = (resources.files(package) / file).read_bytes()
            assert (bundles(kind, "float").folder / file).read_bytes() == text


def test_the_manifest_says_what_went_in(bundles):
    bundle = bundles("slab", "float")
    said = json.loads((bundle.folder / MANIFEST).read_text())
    assert said["cell"] == {"digest": observer("slab").reduced.cell.digest, "name": "slab"}
    assert said["sizes"]["walls"] == ["back", "front"] and said["sizes"]["state_bytes"] == 4 * 21
    assert said["model"] != bundles("slab", "double").manifest["model"]


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("real", REALS)
def test_compiles_without_a_warning_and_passes_its_selftest(kind, real, bundles):
    report = bundles(kind, real).check()
    assert report.passed and report.failed_look == 0
    assert report.data_B in (0, None) and report.bss_B in (0, None)
    assert "passed" in str(report)


@needs_compiler
@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_make_check(bundles, tmp_path):
    bundle = bundles("cylinder", "float")
    shutil.copytree(bundle.folder, tmp_path / "c")
    done = subprocess.run(["make", "-C", tmp_path / "c", "check"], capture_output=True, text=True, check=True)
    assert "self-test passed" in done.stderr


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("real", REALS)
def test_c_and_python_have_the_same_bytes_over_a_drive(kind, real, bundles, tmp_path):
    watched = observer(kind)
    u, z = drive(watched, 2000, seed=KINDS.index(kind))
    begun, states, outs = c_run(bundles(kind, real), tmp_path, u, z, 301.7, 0.63)
    given = form_and_inputs(kind)["inputs"] == "heat"
    past, out = python_run(watched, real, u, z, 301.7, 0.63, given)
    form, layout = form_of(watched, given), getattr(watched, "layout", None)
    assert begun.tobytes() == form.kept(start_row(watched, form, 301.7, 0.63, real)).tobytes()
    assert states.tobytes() == form.kept(past).tobytes()
    assert np.isfinite(states).all() and np.isfinite(outs).all()
    expected = [read_out(form, layout, past[k], out[k], z.shape[1]) for k in range(0, 2000, 97)]
    assert outs[::97].tobytes() == np.array(expected).tobytes()


@needs_compiler
def test_factors_and_packed_covariance_are_the_same_filter(bundles, tmp_path):
    u, z = drive(observer("factored"), 2000, seed=4)
    found = [c_run(bundles(kind, "double"), tmp_path, u, z, 298.0, 0.5)[2] for kind in ("cylinder", "factored")]
    # a start whose smallest variances are 1e-8 of its largest keeps half of its digits; that fades
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[0][1000:], found[1][1000:], rtol=1e-4, atol=1e-6)


@needs_compiler
def test_what_c_reads_out_of_cooling_and_heat_is_what_python_estimates(bundles, tmp_path):
    watched = observer("joint_slab")
    u, z = drive(watched, 400, seed=6)
    _, states, outs = c_run(bundles("joint_slab", "double"), tmp_path, u, z, 298.0, 0.5)
    found = watched._found(np.arange(400.0), states, np.zeros((400, 17)))
    own = watched.reduced.conductance_W_K / watched.reduced.areas_m2
    for places, wanted in (
        (slice(5, 7), found.h_W_m2K / own), (slice(7, 9), found.h_sd**2), (9, found.slow_heat_W),
        (10, found.slow_heat_sd_W**2), (slice(11, 13), found.bias_K), (slice(13, 15), found.bias_sd_K**2),
        (0, found.core_K),
    ):  # fmt: skip
        np.testing.assert_allclose(outs[:, places], wanted, rtol=1e-9, atol=1e-12)


@needs_compiler
def test_what_c_reads_out_is_what_python_estimates(bundles, tmp_path):
    watched = observer("slab")
    u, z = drive(watched, 400, seed=5)
    _, states, outs = c_run(bundles("slab", "double"), tmp_path, u, z, 298.0, 0.5)
    n = watched.reduced.order
    assert outs[:, 0] == pytest.approx(states[:, :n] @ watched.reduced.outputs[0] + 298.15, abs=1e-9)
    assert outs[:, 3] == pytest.approx(states[:, :n] @ watched.reduced.outputs[2] + 298.15, abs=1e-9)
    assert (outs[:, 1] > 0).all() and (outs[:, 4] > 0).all()


@needs_compiler
@pytest.mark.parametrize("kind", ["cylinder", "sensors"])
def test_cells_share_the_covariance_of_the_first(kind, bundles, tmp_path):
    from bmsthermal._observer import Kernel

    bundle, watched, cells, steps = bundles(kind, "float"), observer(kind), 4, 300
    name, n, m = bundle.name, watched.reduced.order, len(watched.measured)
    parts = [f"{name}.c", f"{name}_model.c", f"{name}_cells.c"]
    lib = ctypes.CDLL(str(compile_bundle(bundle.folder, parts, tmp_path / "cells.so", "-shared", "-fPIC")))
    model = ctypes.byref(ctypes.c_char.in_dll(lib, f"{name}_model"))
    drives = [drive(watched, steps, seed) for seed in range(cells)]
    u, z = (np.stack([each[i] for each in drives], axis=1).astype(np.float32) for i in range(2))
    start = start_row(watched.on_target("float", "ekf"), form_of(watched), 300.0, 0.6, "float")
    kernel = Kernel(watched.packed.row(np.float32), n, 1, m, cells, gains="shared")
    kernel.write(np.tile(start, (cells, 1)))
    past = np.empty((steps, cells, kernel.state_size), np.float32)
    out = np.zeros((steps, cells, kernel.output_size), np.float32)
    kernel.run(u, z, out, past)

    first, others = start.copy(), np.empty((cells - 1, n + 1), np.float32)
    for row in others:
        getattr(lib, f"{name}_cell_init")(
            model, ctypes.c_void_p(row.ctypes.data), ctypes.c_float(300.0), ctypes.c_float(0.6)
        )
    said = np.zeros((cells, bundle.manifest["sizes"]["output_bytes"] // 4), np.float32)
    for k in range(steps):
        pointers = [ctypes.c_void_p(row.ctypes.data) for row in (first, others, u[k], z[k], said)]
        getattr(lib, f"{name}_cells_step")(model, *pointers[:2], cells - 1, *pointers[2:])
        assert first.tobytes() == past[k, 0].tobytes()
        assert others.tobytes() == past[k, 1:][:, [*range(n), -1]].tobytes()
    np.testing.assert_array_equal(said[:, 5], out[-1, :, 0])
    shown = said[0].copy()
    getattr(lib, f"{name}_cell_get")(model, *(ctypes.c_void_p(row.ctypes.data) for row in (first, others[1], shown)))
    expected = read_out(form_of(watched), None, past[-1, 2], out[-1, 2], m)
    np.testing.assert_array_equal(shown[:5], expected[:5])


@needs_compiler
@pytest.mark.parametrize("real", REALS)
def test_the_host_program_drives_from_csv(real, bundles, tmp_path):
    bundle, watched, dtype = bundles("slab", real), observer("slab"), DTYPES[real]
    u, z = drive(watched, 600, seed=9)
    columns = [
        "current_A", "voltage_V", "heat_W", "coolant_back_K", "coolant_front_K", "conductance_back_W_K",
        "conductance_front_W_K", "surface_front_K",
    ]  # fmt: skip
    rows = np.column_stack([u, z]).astype(dtype)
    order = [7, 0, 1, 2, 3, 4, 5, 6]
    lines = [",".join(["time_s", *(columns[i] for i in order)])]
    for k, row in enumerate(rows):
        lines.append(",".join([str(k), *("" if np.isnan(row[i]) else str(row[i]) for i in order)]))
    (tmp_path / "drive.csv").write_text("\n".join(lines) + "\n")
    program = compile_bundle(bundle.folder, [*sources(bundle.name), "main.c"], tmp_path / "host")
    text = (tmp_path / "drive.csv").read_text()
    from_file, from_stdin = (
        subprocess.run([program, "300.0", "0.4", *more], input=text, capture_output=True, text=True, check=True).stdout
        for more in ([tmp_path / "drive.csv"], [])
    )
    assert from_file == from_stdin
    past, out = python_run(watched, real, u, z, 300.0, 0.4)
    printed = from_file.splitlines()
    assert printed[-1] == "state " + past[-1].tobytes().hex()
    assert printed[0].startswith("core_K,core_variance_K2,mean_K,surface_K") and len(printed) == 602
    assert len(printed[0].split(",")) == len(printed[-2].split(","))
    last = np.array(printed[-2].split(","), dtype)
    assert last.tobytes() == read_out(form_of(watched), None, past[-1], out[-1], 1).tobytes()
    bad = subprocess.run([program, "300", "0.4"], input="current_mA\n1\n", capture_output=True, text=True, check=False)
    assert bad.returncode == 2 and "current_mA" in bad.stderr


@needs_compiler
def test_cells_of_several_sizes_and_precisions_share_a_program(bundles, tmp_path):
    parts = [bundles("cylinder", "float"), bundles("slab", "double"), bundles("sensors", "float")]
    objects = []
    for bundle in parts:
        for source in sources(bundle.name):
            objects.append(compile_bundle(bundle.folder, [source], tmp_path / f"{source}.o", "-c"))
    includes = "".join(f'#include "{b.folder}/{b.name}.h"\n' for b in parts)
    sizes = " + ".join(f"sizeof({b.name}_state_t)" for b in parts)
    tests = " + ".join(f"{b.name}_selftest()" for b in parts)
    total = sum(b.manifest["sizes"]["state_bytes"] for b in parts)
    body = f"int main(void) {{ return {tests} + (({sizes} == {total}) ? 0 : 1); }}\n"
    (tmp_path / "fleet.c").write_text(includes + body)
    program = compile_bundle(tmp_path, ["fleet.c"], tmp_path / "fleet", *map(str, objects))
    assert subprocess.run([program], check=False).returncode == 0


def functions(listing):
    """Instructions of each function: address to mnemonic and operands."""
    found = {}
    for line in listing.splitlines():
        if head := re.match(r"[0-9a-f]+ <(.+)>:", line):
            found[head[1]] = code = {}
        elif part := re.match(r"\s+([0-9a-f]+):\t(\S+)\s*(.*)", line):
            code[int(part[1], 16)] = (part[2], part[3])
    return found


def ways(code):
    """Successors of every instruction."""
    addresses = sorted(code)
    following = dict(itertools.pairwise(addresses))
    graph = {}
    for at, (word, operands) in code.items():
        graph[at] = set()
        if word.startswith("j"):
            assert not operands.startswith("*"), "a jump to where a register says"
            graph[at].add(int(operands.split()[0], 16))
        if not word.startswith(("jmp", "ret", "ud2")) and at in following:
            graph[at].add(following[at])
    return graph


@needs_objdump
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("real", REALS)
def test_no_way_back_and_nothing_missing(kind, real, bundles, tmp_path):
    bundle = bundles(kind, real)
    name = bundle.name
    for source in sources(name):
        part = compile_bundle(bundle.folder, [source], tmp_path / "part.o", "-c")
        wanted = subprocess.run(["nm", "-u", part], capture_output=True, text=True, check=True).stdout.split()
        assert all(word == "U" or word.startswith(name) for word in wanted), wanted
        if source == f"{name}.c":
            assert wanted == []
    part = compile_bundle(bundle.folder, [f"{name}.c"], tmp_path / "step.o", "-c")
    command = ["objdump", "-d", "--no-show-raw-insn", part]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = functions(listing)
    assert {f"{name}_init", f"{name}_step", f"{name}_get"} <= set(found)
    for code in found.values() if kind in UNROLLED else ():
        graphlib.TopologicalSorter(ways(code)).prepare()  # raises CycleError where there is a loop
    if kind == "cylinder":
        assert not [word for word, _ in found[f"{name}_step"].values() if word.startswith("call")]


def test_a_loop_would_be_seen():
    code = {0: ("mov", ""), 2: ("add", ""), 4: ("jne", "2 <f+0x2>"), 6: ("ret", "")}
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(ways(code)).prepare()


@needs_compiler
def test_fast_math_does_not_compile(bundles, tmp_path):
    bundle = bundles("cylinder", "float")
    with pytest.raises(InputError, match="fast-math breaks NaN"):
        compile_bundle(bundle.folder, [f"{bundle.name}.c"], tmp_path / "o", "-c", "-ffast-math")


@needs_compiler
@pytest.mark.parametrize(
    "member", ["decay", "drive", "wall", "sink", "heat_variance", "lost_heat_variance", "mean", "reference_K",
               "soc_per_A", "gradient_variance", "offset_variance", "core", "conductance_W_K", "open_circuit_V",
               "entropy_V_K", "sense", "mixed", "sense_variance", "start"],
)  # fmt: skip
def test_the_selftest_finds_a_constant_that_was_changed(member, bundles, tmp_path):
    kind = {"mixed": "sensors", "sense": "sensors", "wall": "slab"}.get(member, "cylinder")
    bundle = bundles(kind, "float")
    name = bundle.name
    others = [
        compile_bundle(bundle.folder, [source], tmp_path / f"{source}.o", "-c")
        for source in (f"{name}.c", f"{name}_selftest.c", "main.c")
    ]
    shutil.copytree(bundle.folder, tmp_path / "c")
    model = tmp_path / "c" / f"{name}_model.c"
    text = model.read_text()
    member_text = re.search(rf"\.{member} = (.+?),\n *(/\*|}})", text, re.DOTALL)
    numbers = list(re.compile(r"-?\d[\d.e+-]*f").finditer(text, *member_text.span(1)))
    # table points and rows alike: first, middle and last number of the member
    if member == "wall":  # modes are 1 at the first
        numbers = numbers[len(numbers) // 2 :]
    for match in {numbers[0], numbers[len(numbers) // 2], numbers[-1]}:
        value = float(match[0][:-1])
        if member in ("drive", "core") and abs(value) < 1e-9:
            continue  # a zero but for rounding
        changed = f"{value * 1.1 + (1e-3 if value == 0 else 0.0):.8e}f"
        model.write_text(text[: match.start()] + changed + text[match.end() :])
        program = compile_bundle(tmp_path / "c", [model.name], tmp_path / "host", *map(str, others))
        assert subprocess.run([program], capture_output=True, check=False).returncode == 1, (member, match[0])


def test_a_folder_with_other_files_is_refused(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        export(observer("cylinder"), folder)
    (folder / "thesis.tex").unlink()
    export(observer("cylinder"), folder)
    (folder / BUILD).mkdir()
    export(observer("cylinder"), folder, name="other")
    assert not list(folder.glob("a123*")) and (folder / "other.c").exists()
    (folder / "other.c").write_text("/* tuned by hand */")
    with pytest.raises(InputError, match="changed after it was exported"):
        export(observer("cylinder"), folder)
    assert (folder / "other.c").read_text() == "/* tuned by hand */"
    with pytest.raises(InputError, match="not a folder"):
        export(observer("cylinder"), folder / "other.c")
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_nothing_is_left_half_written(tmp_path, monkeypatch):
    export(observer("cylinder"), tmp_path / "c")
    before = contents(tmp_path / "c")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.write_bytes", stop)
    with pytest.raises(KeyboardInterrupt):
        export(observer("cylinder"), tmp_path / "c", real="double", form="ud")
    assert contents(tmp_path / "c") == before and [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("at", [0, 1])
def test_an_interrupt_between_the_renames_leaves_a_folder(at, tmp_path, monkeypatch):
    export(observer("cylinder"), tmp_path / "c")
    before, rename, calls = contents(tmp_path / "c"), Path.rename, itertools.count()

    def stop(path, target):
        rename(path, target)
        if next(calls) == at:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        export(observer("cylinder"), tmp_path / "c", real="double", form="ud")
    assert (contents(tmp_path / "c") == before) == (at == 0)  # all of the old one, or all of the new one
    assert contents(tmp_path / "c").keys() == before.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_folder_whose_name_is_too_long(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        export(observer("cylinder"), tmp_path / ("c" * 300))


@pytest.mark.parametrize("name", ["my-cell", "int", "main", "n" * 40, "NULL", "stdint", "String", "uint8_t"])
def test_bad_names(name, tmp_path):
    with pytest.raises(InputError, match=re.escape(name)):
        export(observer("cylinder"), tmp_path / "c", name=name)
    assert not list(tmp_path.iterdir())


def test_other_refusals(tmp_path):
    reduced = observer("cylinder").reduced
    with pytest.raises(InputError, match="'float' or 'double'"):
        export(observer("cylinder"), tmp_path / "c", real="half")
    sure = Observer(reduced, noise=Noise(sensor_K=1e-3, start_K=50.0))
    with pytest.raises(InputError, match="float covariance may turn indefinite"):
        export(sure, tmp_path / "c", real="float", form="ekf")
    export(sure, tmp_path / "c", real="float")  # factors carry it
    with pytest.raises(InputError, match="form='ekf' with estimate"):
        export(observer("joint"), tmp_path / "c", form="ekf")
    with pytest.raises(InputError, match="9 sensors"):
        export(Observer(reduced, [f"surface_{i}" for i in range(9)], engine="filterpy"), tmp_path / "d")
    with pytest.raises(InputError, match=r"sensor 'surface-left'.*--sensors"):
        export(Observer(reduced, ["surface-left"]), tmp_path / "d")
    large = CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=9)
    with pytest.raises(InputError, match="9 states"):
        export(Observer(large, engine="filterpy"), tmp_path / "d")


def test_without_a_compiler_there_is_no_report(bundles, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert bundles("cylinder", "float").check() is None
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(InputError, match="no-such-compiler"):
        bundles("cylinder", "float").check()


@pytest.mark.skipif(platform.system() == "Windows", reason="programs of a Unix")
@pytest.mark.parametrize(
    ("compiler", "said"),
    [
        ("false", "'false' failed (no output, exit code 1)"), ("true", "'true' failed (no output, exit code 0)"),
        ("echo", "'echo' failed"), ("sleep 3", "'sleep 3' failed (sleep: "),
        ('"', "CC: '\"' is no command (No closing"),
        pytest.param("gcc -Wl,--nope", "--nope'); the folder", marks=needs_compiler),
    ],
)  # fmt: skip
def test_a_compiler_that_fails_is_a_sentence(compiler, said, bundles, monkeypatch):
    monkeypatch.setenv("CC", compiler)
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        bundles("cylinder", "float").check()
    assert compiler == '"' or "complete but unchecked" in str(caught.value)
    assert "\n" not in str(caught.value)


@needs_compiler
def test_a_program_that_does_not_run_here_is_a_sentence(bundles, tmp_path, monkeypatch):
    cross = tmp_path / "cross"
    work = 'printf "\\177ELF" > "$last"; chmod +x "$last"'
    cross.write_text(f'#!/bin/sh\nfor last; do :; done\n[ "$last" = --version ] || {{ {work}; }}\n')
    cross.chmod(0o755)
    monkeypatch.setenv("CC", str(cross))
    with pytest.raises(InputError, match=r"Exec format error.*complete but unchecked"):
        bundles("cylinder", "float").check()


def test_the_command(tmp_path):
    typer = pytest.importorskip("typer")
    from typer.testing import CliRunner

    from firmware_export.commands import add

    app = typer.Typer()
    app.callback()(lambda: None)
    add(app)
    place = tmp_path / "build"
    done = CliRunner().invoke(app, ["export", "a123_26650", "-o", str(place), "--real", "double", "--order", "3"])
    assert done.exit_code == 0, done.output
    assert "a123_26650_model.c" in done.output and "host:" in done.output
    assert json.loads((place / MANIFEST).read_text())["sizes"]["states"] == 3


@pytest.mark.parametrize("kinds", [("soc",), ("soc", "resistance")])
@pytest.mark.parametrize("real", ["float", "double"])
def test_charge_without_cooling_compiles_without_a_warning(kinds, real, tmp_path):
    # gcc 12 unrolls the two columns of noise and thought the last entries of a vector never written
    reduced = CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=4)
    report = export(Observer(reduced, estimate=kinds), tmp_path / "c", real=real).check()
    if report is None:
        pytest.skip("no C compiler")
    assert report.passed


@needs_compiler
def test_a_watch_with_nothing_estimated_beside_compiles_and_passes(tmp_path):
    """There a sensor has neither lag nor offset: both would be the same place of a row, which gcc 12 looks at."""
    reduced = CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=4)
    assert export(Observer(reduced, faults=True), tmp_path / "c").check().passed

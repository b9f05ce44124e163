"""What is around the kernel in a bundle: where it is placed, how it is built, and many of them in one program."""

import functools
import graphlib
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bmsthermal import CoupledModel, InputError, Observer, load_cell
from bmsthermal.observer import compiled
from firmware_export import export
from firmware_export.form import form_of
from firmware_export.host import STRICT, compile_bundle, find_compiler

pytestmark = [
    pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing"),
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler here"),
]
ARM = shutil.which("arm-none-eabi-gcc")
CMAKE = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
needs_cmake = pytest.mark.skipif(
    CMAKE is None or not (shutil.which("make") or shutil.which("ninja")), reason="no cmake, or nothing for it to drive"
)
SURFACES = ["surface", "surface_left", "surface_right"]


@functools.cache
def observer(kind):
    cell = load_cell("lfp_32113" if kind in ("largest", "watched") else "a123_26650")
    thermal = "r-z" if kind in ("largest", "watched") else None
    order, step_s = {"largest": (8, 0.5), "small": (2, 0.1)}.get(kind, (4, 1.0))
    reduced = CoupledModel(cell, heat="measured", thermal=thermal).reduce(order=order, step_s=step_s)
    if kind == "joint":
        return Observer(reduced, estimate=("h", "heat", "soc"))
    if kind == "watched":
        return Observer(reduced, SURFACES, estimate=("heat",), faults=True)
    return Observer(reduced, SURFACES if kind == "largest" else ["surface"])


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    @functools.cache
    def make(kind):
        folder, name = tmp_path_factory.mktemp("bundle") / kind, f"Tc_{kind}"
        if kind == "given":
            return export(observer(kind), folder, form="fixed-gain", inputs="heat", name=name)
        return export(observer(kind), folder, form="ud" if kind in ("joint", "watched") else "ekf", name=name)

    return make


def sources(name):
    return f"{name}.c", f"{name}_model.c", f"{name}_selftest.c"


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def preprocessed(bundle, file, *flags):
    return run(*find_compiler(), "-E", "-P", *flags, bundle.folder / file)


def test_a_memory_map_surrounds_code_and_constants(bundles, tmp_path):
    bundle = bundles("small")
    name, upper = bundle.name, bundle.name.upper()
    sections = [f"{upper}_{edge}_SEC_{what}" for what in ("CODE", "CONST_UNSPECIFIED") for edge in ("START", "STOP")]
    marks = "".join(f"#ifdef {each}\n#undef {each}\n#define FOUND\nint seen_{each};\n#endif\n" for each in sections)
    refuse = "#ifndef FOUND\n#error nothing to map\n#endif\n#undef FOUND\n"  # as AUTOSAR's maps do
    (tmp_path / "Map.h").write_text(marks + refuse)
    flags = "-I", tmp_path, f'-D{upper}_MEMMAP="Map.h"'
    start, stop = (f"int seen_{upper}_{edge}_SEC_CODE;" for edge in ("START", "STOP"))
    before, inside, after = re.split(f"{start}|{stop}", preprocessed(bundle, f"{name}.c", *flags))
    bodies = [f"{name}_{verb}(" for verb in ("kernel_observe", "init", "step", "get")]
    assert all(re.search(rf"{re.escape(body)}[^;{{]*\{{", inside) for body in bodies)
    assert "kernel" not in before and not after.strip()
    start, stop = (f"int seen_{upper}_{edge}_SEC_CONST_UNSPECIFIED;" for edge in ("START", "STOP"))
    before, inside, after = re.split(f"{start}|{stop}", preprocessed(bundle, f"{name}_model.c", *flags))
    assert inside.strip().startswith(f"const {name}_model_t {name}_model =") and not after.strip()


@pytest.mark.skipif(platform.system() != "Linux" or shutil.which("objdump") is None, reason="sections of an ELF")
def test_attributes_place_functions_and_constants(bundles, tmp_path):
    bundle = bundles("small")
    name, upper = bundle.name, bundle.name.upper()
    attribute = '#define {}_{} __attribute__((section("{}")))\n'
    text = attribute.format(upper, "CODE", ".fast_code") + attribute.format(upper, "CONST", ".calibration")
    (tmp_path / "my_port.h").write_text(text)
    table = ""
    for source in sources(name)[:2]:
        flags = "-c", f'-D{upper}_PORT="my_port.h"', f"-I{tmp_path}"
        table += run("objdump", "-t", compile_bundle(bundle.folder, [source], tmp_path / "part.o", *flags))
    placed = {line.split()[-1]: line.split()[-3] for line in table.splitlines() if " g " in line}
    wanted = {f"{name}_{verb}": ".fast_code" for verb in ("init", "step", "get")}
    assert placed == wanted | {f"{name}_model": ".calibration"}


@pytest.mark.parametrize(("period_us", "good"), [(100_000, True), (1_000_000, False)])
def test_a_task_of_another_period_does_not_compile(period_us, good, bundles, tmp_path):
    bundle = bundles("small")
    arguments = bundle.folder, [f"{bundle.name}.c"], tmp_path / "o", "-c"
    flag = f"-D{bundle.name.upper()}_PERIOD_US={period_us}"
    if good:
        compile_bundle(*arguments, flag)
    else:
        with pytest.raises(InputError, match="cannot step this model; export it with that --step-s"):
            compile_bundle(*arguments, flag)


@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-ffinite-math-only"])
def test_a_compiler_that_knows_no_nan_is_refused(flag, bundles, tmp_path):
    with pytest.raises(InputError, match="fast-math breaks NaN"):
        compile_bundle(bundles("small").folder, [f"{bundles('small').name}.c"], tmp_path / "o", "-c", flag)


@pytest.mark.parametrize("kind", ["small", "given", "watched"])
def test_the_example_of_the_readme_compiles(kind, bundles, tmp_path):
    text = (bundles(kind).folder / "README.md").read_text()
    (example,) = re.findall(r"```c\n(.*?)```", text, re.DOTALL)
    (tmp_path / "example.c").write_text(example)
    compile_bundle(tmp_path, ["example.c"], tmp_path / "o", "-c", f"-I{bundles(kind).folder}")
    assert f"{bundles(kind).manifest['step_s']:g} s" in text and not re.search(r"[{}%]{2}", text)


def test_the_manifest_names_the_numbers_of_an_input_in_their_order(bundles):
    bundle = bundles("largest")
    header = (bundle.folder / f"{bundle.name}.h").read_text()
    (struct,) = re.findall(rf"typedef struct {{([^}}]*)}} {bundle.name}_input_t;", header)
    walls, named = bundle.manifest["sizes"]["walls"], []
    for member, stem, unit, array in re.findall(r"\s((\w+?)_(\w+))(\[\w+\])?;", struct):
        named += [f"{stem}_{wall}_{unit}" for wall in walls] if array else [member]
    assert len(walls) == 3 and bundle.manifest["inputs"] == named
    assert bundle.manifest["model"] in (bundle.folder / f"{bundle.name}_model.c").read_text()


EXPORT = """
import locale, sys
from bmsthermal import CoupledModel, Observer, load_cell
from firmware_export import export
try:
    locale.setlocale(locale.LC_ALL, "")
except locale.Error:
    pass
reduced = CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=3)
export(Observer(reduced, estimate=("soc", "h", "heat")), sys.argv[1])
"""


def test_same_bytes_from_processes_of_other_hash_seed_locale_and_folder(tmp_path):
    folders = []
    for seed, language in (("0", "C"), ("4242", "de_DE.UTF-8")):
        here = tmp_path / f"ü {seed}"
        here.mkdir()
        settings = {"PYTHONHASHSEED": seed, "LC_ALL": language, "TZ": f"X{seed[0]}", "PYTHONUTF8": "0"}
        run(sys.executable, "-c", EXPORT, here / "c", cwd=here, env=os.environ | settings)
        folders.append({path.name: path.read_bytes() for path in (here / "c").iterdir()})
    assert folders[0] == folders[1]
    for file, data in folders[0].items():
        assert data.isascii() and b"\r" not in data and data.endswith(b"\n"), file
        assert os.fsencode(tmp_path) not in data, file


def test_names_that_only_case_tells_apart_from_the_kernel(tmp_path):
    for kind in ("small", "watched"):
        form = form_of(observer(kind))
        for file in form.kernel:
            name = file.removesuffix(".h").capitalize()
            with pytest.raises(InputError, match=f"name '{name}'"):
                export(observer(kind), tmp_path / "c", form=form.name, name=name)
    for name in ("Test", "package", "rom", "FLT"):
        with pytest.raises(InputError, match="one of the bundle's own"):
            export(observer("small"), tmp_path / "c", name=name)
    assert not list(tmp_path.iterdir())


FLEET = """
#include <string.h>
{includes}
#define STEPS 200
{cells}
int main(void)
{{
    int wrong = {tests};
    for (int k = 0; k < STEPS; k++) {{
        {together}
    }}
    {alone}
    return wrong;
}}
"""
CELL = """
static {n}_state_t {n}_cells[2], {n}_lone;
static void {n}_once({n}_state_t *state, int k, float amps)
{{
    {n}_input_t input = {N}_NO_INPUT;
    {n}_output_t output;
    float surface_K[{N}_SENSORS];
    for (int i = 0; i < {N}_SENSORS; i++) {{
        surface_K[i] = (k % 7 == i) ? {N}_ABSENT : 299.0f + 0.01f * (float)k;
    }}
    {drive}
    for (int i = 0; i < {N}_WALLS; i++) {{
        input.coolant_K[i] = 296.0f;
    }}
    if (k == 0) {{
        {n}_init(&{n}_model, state, 299.0f, 0.6f);
    }}
    {n}_step(&{n}_model, state, &input, surface_K, &output);
    {n}_get(&{n}_model, state, &output);
}}
"""


DRIVEN = "input.current_A = amps; input.voltage_V = 3.2f;"
GIVEN = "input.heat_W = 0.1f * amps;"


@pytest.fixture(scope="module")
def fleet(bundles):
    return [bundles(kind) for kind in ("small", "largest", "given", "joint", "watched")]


@pytest.fixture(scope="module")
def objects(fleet, tmp_path_factory):
    place = tmp_path_factory.mktemp("objects")
    return {
        source: str(compile_bundle(bundle.folder, [source], place / f"{source}.o", "-c", "-O1"))
        for bundle in fleet
        for source in sources(bundle.name)
    }


def test_cells_of_any_size_and_form_run_interleaved_in_one_program(fleet, objects, tmp_path):
    names = [bundle.name for bundle in fleet]
    once = " ".join(f"{n}_once(&{n}_cells[{i}], k, {5 - 9 * i}.0f);" for i in (0, 1) for n in names)
    alone = [
        f"for (int k = 0; k < STEPS; k++) {{ {n}_once(&{n}_lone, k, -4.0f); }}"
        f" wrong += memcmp(&{n}_lone, &{n}_cells[1], sizeof {n}_lone) != 0;"
        f" wrong += memcmp(&{n}_lone, &{n}_cells[0], sizeof {n}_lone) == 0;"
        for n in names
    ]
    text = FLEET.format(
        includes="\n".join(f'#include "{bundle.folder}/{bundle.name}.h"' for bundle in fleet),
        cells="".join(CELL.format(n=n, N=n.upper(), drive=GIVEN if n == "Tc_given" else DRIVEN) for n in names),
        alone="\n    ".join(alone),
        tests=" + ".join(f"{n}_selftest()" for n in names), together=once,
    )  # fmt: skip
    (tmp_path / "fleet.c").write_text(text)
    run(compile_bundle(tmp_path, ["fleet.c"], tmp_path / "fleet", *objects.values()))


@pytest.mark.skipif(shutil.which("nm") is None, reason="no nm")
def test_every_external_name_begins_with_the_bundles(fleet, objects):
    for bundle in fleet:
        found = "".join(run("nm", "-g", objects[source]) for source in sources(bundle.name))
        assert all(line.split()[-1].startswith(bundle.name) for line in found.splitlines() if line.strip())


def cmake(source, build, *options):
    run(CMAKE, "-S", source, "-B", build, *options)
    run(CMAKE, "--build", build)


@needs_cmake
def test_cmake_alone_builds_strictly_and_runs_the_selftest(bundles, tmp_path):
    bundle = bundles("small")
    shutil.copytree(bundle.folder, tmp_path / "c")
    cmake(tmp_path / "c", tmp_path / "c/host/cmake", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    said = run(CMAKE, "-E", "chdir", tmp_path / "c/host/cmake", Path(CMAKE).with_name("ctest"))
    assert "100% tests passed" in said and f"{bundle.name}_selftest" in said
    for each in json.loads((tmp_path / "c/host/cmake/compile_commands.json").read_text()):
        assert set(STRICT) <= set(each["command"].split())
    export(observer("small"), tmp_path / "c", name="again")  # what CMake built is in nobody's way


@needs_cmake
def test_bundles_are_parts_of_a_project(bundles, tmp_path):
    parts = [bundles("small"), bundles("largest")]
    lines = ["cmake_minimum_required(VERSION 3.15)", "project(pack C)", "add_executable(pack pack.c)"]
    lines += [f'add_subdirectory("{b.folder.as_posix()}" {b.name})' for b in parts]
    lines += [f"target_link_libraries(pack {b.name} {b.name}_selftest)" for b in parts]
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lines) + "\n")
    body = f"int main(void) {{ return {' + '.join(f'{b.name}_selftest()' for b in parts)}; }}\n"
    (tmp_path / "pack.c").write_text("".join(f'#include "{b.name}.h"\n' for b in parts) + body)
    cmake(tmp_path, tmp_path / "build")
    run(tmp_path / "build/pack")
    assert not list((tmp_path / "build").rglob("*_host"))


@pytest.mark.skipif(ARM is None, reason="no arm-none-eabi-gcc")
@pytest.mark.parametrize("kind", ["largest", "given", "joint", "watched"])
def test_the_compiler_of_a_target_warns_of_nothing_either(kind, bundles, tmp_path):
    bundle = bundles(kind)
    for source in sources(bundle.name):
        flags = "-c", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"
        compile_bundle(bundle.folder, [source], tmp_path / "o", *flags, compiler=[ARM])


@needs_cmake
@pytest.mark.skipif(ARM is None, reason="no arm-none-eabi-gcc")
def test_cmake_with_a_toolchain_file(bundles, tmp_path):
    core = "-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard"
    (tmp_path / "arm.cmake").write_text(
        "set(CMAKE_SYSTEM_NAME Generic)\nset(CMAKE_SYSTEM_PROCESSOR arm)\n"
        f'set(CMAKE_C_COMPILER "{ARM}")\nset(CMAKE_C_FLAGS_INIT "{core}")\n'
        "set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\n"
    )
    name = bundles("small").name
    cmake(bundles("small").folder, tmp_path / "arm", f"-DCMAKE_TOOLCHAIN_FILE={tmp_path / 'arm.cmake'}")
    assert (tmp_path / f"arm/lib{name}.a").exists() and not list((tmp_path / "arm").glob("*_host*"))


@pytest.mark.skipif(shutil.which("objdump") is None or platform.machine() != "x86_64", reason="no x86-64 to read")
def test_the_largest_step_is_unrolled_and_factors_say_that_they_are_not(bundles, tmp_path):
    bundle = bundles("largest")  # 8 states, 3 walls, 3 sensors
    assert bundle.manifest["unrolled"] and "a longest path" in (bundle.folder / "README.md").read_text()
    part = compile_bundle(bundle.folder, [f"{bundle.name}.c"], tmp_path / "o", "-c")
    listing = run("objdump", "-d", "--no-show-raw-insn", f"--disassemble={bundle.name}_step", part)
    code = [match.groups() for match in re.finditer(r"^\s+([0-9a-f]+):\t(\w+)\s*(\S*)", listing, re.MULTILINE)]
    assert len(code) > 1000 and not [word for _, word, _ in code if word.startswith("call")]
    assert no_way_back([(int(at, 16), word, target) for at, word, target in code])
    assert not bundles("watched").manifest["unrolled"]
    assert "no longest path is claimed" in (bundles("watched").folder / "README.md").read_text()


def no_way_back(code):
    """Whether no instruction is reached twice: jumps back there may be, to what the compiler moved out of line."""
    following = {at: {after} for (at, _, _), (after, _, _) in itertools.pairwise(code)}
    for at, word, target in code:
        if word.startswith(("jmp", "ret")):
            following[at] = set()
        if word.startswith("j"):
            following.setdefault(at, set()).add(int(target, 16))
    try:
        graphlib.TopologicalSorter(following).prepare()
    except graphlib.CycleError:
        return False
    return True


def command(*words):
    """What `bmsthermal export` prints, or says when it refuses."""
    typer = pytest.importorskip("typer")
    from typer.testing import CliRunner

    from firmware_export.commands import add

    app = typer.Typer()
    app.callback()(lambda: None)
    add(app)
    done = CliRunner().invoke(app, ["export", *words])
    return " ".join(f"{done.output} {done.exception or ''}".split())


def test_the_command_says_where_loops_stay(tmp_path):
    words = "a123_26650", "--order", "2", "--no-check", "-o", str(tmp_path / "c"), "--form"
    assert "no longest path is claimed" in command(*words, "ud")
    assert "longest path" not in command(*words, "ekf")


def test_a_reduced_file_of_another_step_is_refused(tmp_path):
    observer("small").reduced.save(tmp_path / "small.npz")
    assert "a step of 0.1 s" in command(str(tmp_path / "small.npz"), "--step-s", "1", "-o", str(tmp_path / "c"))
    assert not (tmp_path / "c").exists()

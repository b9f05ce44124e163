import functools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reduced_cells import CELLS, reduced_cell

from bmsthermal import CoupledModel, InputError, Observer, load_cell
from bmsthermal.observer import compiled
from firmware_export import export, fill_addresses
from firmware_export.a2l import CALIBRATED, RESULT, calibrated, chosen, chosen_coupled, find_a2ltool, measured
from firmware_export.constants import HEAT, JOINT, MODEL, VOLTAGE
from firmware_export.constants_coupled import cell_members, filter_members
from firmware_export.form import form_of
from firmware_export.form_coupled import CoupledForm
from firmware_export.host import STRICT, find_compiler

pytestmark = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
TOOL = find_a2ltool()
needs_tool = pytest.mark.skipif(TOOL is None, reason="no a2ltool: pip install 'bmsthermal[target]'")
M4F = "-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard -specs=nosys.specs -Wl,--no-warn-rwx-segments"
#: Compiler and its flags.
PROGRAMS = {
    "host": (find_compiler() or ["cc"], "-no-pie"),
    "cortex-m4f": (["arm-none-eabi-gcc"], M4F),
    "big-endian": (["arm-none-eabi-gcc"], "-mcpu=cortex-r5 -marm -mbig-endian -nostdlib -Wl,-e,main -r"),
}
FORMS = {"ekf": "float", "fixed": "float", "watched": "float", "joint": "double", "coupled": "float"}
#: How a bundle keeps its covariance; the others as factors.
KEPT = {"ekf": "ekf", "fixed": "fixed-gain"}


@functools.cache
def observer(kind):
    if kind == "coupled":
        pytest.importorskip("bmsthermal._cell_filter", reason="the compiled kernel is missing")
        return Observer(reduced_cell(CELLS[0]), ["surface"])
    cell = load_cell("lfp_32113" if kind == "watched" else "a123_26650")
    thermal = "r-z" if kind == "watched" else None
    reduced = CoupledModel(cell, heat="measured", thermal=thermal).reduce(order=4)
    if kind == "joint":
        return Observer(reduced, estimate=("h", "heat", "soc", "resistance"))
    if kind == "watched":
        return Observer(reduced, ["surface", "surface_left", "surface_right"], estimate=("heat", "bias"), faults=True)
    return Observer(reduced)


def exported(kind):
    """Form of a bundle, and its constants that may be changed."""
    if kind == "coupled":
        form = CoupledForm(observer(kind), FORMS[kind])
        coupled = observer(kind).coupled
        use = cell_members(coupled, form.packed)["use"]
        return form, list(chosen_coupled(filter_members(coupled, form.packed), use))
    form = form_of(observer(kind).on_target(FORMS[kind], KEPT.get(kind, "ud")), kind == "fixed")
    return form, list(chosen(form))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    @functools.cache
    def make(kind):
        options = {"real": FORMS[kind], "form": KEPT.get(kind, "ud"), "name": f"Tc_{kind}"}
        inputs = "heat" if kind == "fixed" else "measured"
        return export(observer(kind), tmp_path_factory.mktemp("bundle") / "c", inputs=inputs, **options)

    return make


PROGRAM = """
#include "{n}.h"
static {n}_state_t cell, cells[3];
static {n}_output_t cell_output, cells_output[3];
static struct {{ int other; {n}_state_t belief; {n}_output_t said; }} pack;
int main(void)
{{
    {n}_init(&{n}_model, &cell, 298.0f, 0.5f);
    {n}_init(&{n}_model, &cells[2], 298.0f, 0.5f);
    {n}_init(&{n}_model, &pack.belief, 298.0f, 0.5f);
    {n}_get(&{n}_model, &cell, &cell_output);
    {n}_get(&{n}_model, &cells[2], &cells_output[2]);
    {n}_get(&{n}_model, &pack.belief, &pack.said);
    return pack.other + (cell_output.core_K > cells_output[2].core_K);
}}
"""


@pytest.fixture(scope="module")
def programs(bundles, tmp_path_factory):
    @functools.cache
    def make(kind, target, debug="-g"):
        compiler, flags = PROGRAMS[target]
        if shutil.which(compiler[0]) is None:
            pytest.skip(f"no {compiler[0]}")
        bundle, place = bundles(kind), tmp_path_factory.mktemp("program")
        (place / "main.c").write_text(PROGRAM.format(n=bundle.name))
        files = [place / "main.c", bundle.folder / f"{bundle.name}.c", bundle.folder / f"{bundle.name}_model.c"]
        strict = [flag for flag in STRICT if flag != "-Werror"]
        command = [
            *compiler,
            *strict,
            "-O1",
            debug,
            *flags.split(),
            f"-I{bundle.folder}",
            *files,
            "-o",
            place / "p.elf",
        ]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        return place / "p.elf"

    return make


def addresses(path):
    """Address of every item of an A2L file, by its name."""
    text = path.read_text()
    found = {
        name: int(at, 16) for name, at in re.findall(r"MEASUREMENT (\S+) \".*?ECU_ADDRESS (0x\w+)", text, re.DOTALL)
    }
    constants = re.findall(r"CHARACTERISTIC (\S+) \"[^\"]*\"\s+\w+ (0x\w+)", text)
    return found | {name: int(at, 16) for name, at in constants}


def symbols(elf):
    tool = "arm-none-eabi-nm" if elf.read_bytes()[4] == 1 else "nm"
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}")
    lines = subprocess.run([tool, elf], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1]: int(line.split()[0], 16) for line in lines if len(line.split()) == 3}


@needs_tool
@pytest.mark.parametrize("kind", FORMS)
def test_a_checker_finds_nothing(kind, bundles):
    file = bundles(kind).folder / f"{bundles(kind).name}.a2l"
    done = subprocess.run([TOOL, "--strict", "--check", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "No problems found" in done.stdout + done.stderr


@pytest.mark.parametrize("kind", FORMS)
def test_every_number_of_state_and_output_is_there_with_its_unit(kind, bundles):
    (form, _), bundle = exported(kind), bundles(kind)
    items = measured(form.state, form.output)
    width = 4 if bundle.real == "float" else 8
    counted = [sum(width * (i.count or 1) for i in items if i.symbol.startswith(of)) for of in ("cell.", f"{RESULT}.")]
    assert counted == [bundle.manifest["sizes"][f"{of}_bytes"] for of in ("state", "output")]
    units = {item.symbol.split(".")[1]: item.unit for item in items}
    assert units["core_K"] == "degC" and units["core_variance_K2"] == "K2" and units["heat_W"] == "W"
    assert units["innovation_K"] == "K" and units["x"] == "-"
    text = (bundle.folder / f"{bundle.name}.a2l").read_text()
    assert bundle.manifest["model"] in text and "COEFFS_LINEAR 1 -273.15" in text
    assert ("FLOAT64_IEEE" in text) == (bundle.real == "double") != ("FLOAT32_IEEE" in text)


def test_constants_that_follow_from_others_cannot_be_calibrated():
    known = MODEL | HEAT | JOINT | VOLTAGE
    assert set(CALIBRATED) <= set(known)
    names = {item.symbol.rsplit(".", 1)[1] for kind in FORMS for item in calibrated("c", exported(kind)[1])}
    assert not names & {"decay", "decay2", "wall", "sink", "core", "sense", "table_last", "sensors", "uniform", "on"}
    assert {"open_circuit_V", "conductance_W_K", "sense_variance", "resistance_Ohm", "log_h_fresh", "stuck_s"} <= names


@needs_tool
@pytest.mark.parametrize(
    ("kind", "target"), [*((kind, "cortex-m4f") for kind in ("ekf", "fixed", "watched", "coupled")), ("joint", "host")]
)
def test_addresses_are_those_of_the_program(kind, target, bundles, programs, tmp_path):
    bundle, elf = bundles(kind), programs(kind, target)
    file = bundle.folder / f"{bundle.name}.a2l"
    before = file.read_bytes()
    out = fill_addresses(file, elf)
    assert out == elf.with_suffix(".a2l") and file.read_bytes() == before
    found, known, (form, chosen_ones) = addresses(out), symbols(elf), exported(kind)
    items = [*measured(form.state, form.output), *calibrated(bundle.name, chosen_ones)]
    assert found.keys() == {item.symbol for item in items}
    width = 4 if bundle.real == "float" else 8
    for of, numbers in (("cell", form.state), (RESULT, form.output)):
        offset = 0
        for number in numbers:
            assert found[f"{of}.{number.name}"] == known[of] + offset
            offset += width * number.size
    # a constant: the bytes at its address are its value
    for path, member in chosen_ones:
        wanted = np.asarray(member.value, f"<f{width}").ravel()
        assert read(elf, found[f"{bundle.name}_model.{path}{member.name}"], wanted.nbytes) == wanted.tobytes()
    checked = subprocess.run([TOOL, "--strict", "--check", out], capture_output=True, text=True, check=False)
    assert checked.returncode == 0


def read(elf, address, count):
    """Bytes that an ELF has at an address."""
    library = pytest.importorskip("elftools.elf.elffile", reason="no pyelftools")
    with elf.open("rb") as file:
        for section in library.ELFFile(file).iter_sections():
            begin = section["sh_addr"]
            if begin and begin <= address < begin + section["sh_size"] and section["sh_type"] != "SHT_NOBITS":
                return section.data()[address - begin : address - begin + count]
    raise AssertionError(f"no section at {address:#x}")


@needs_tool
@pytest.mark.parametrize(
    ("names", "state", "output"),
    [
        ({"instance": "cells[2]"}, "cells[2].soc", "cells_output[2].core_K"),
        ({"instance": "pack.belief", "result": "pack.said"}, "pack.belief.soc", "pack.said.core_K"),
    ],
)
def test_the_callers_names(names, state, output, bundles, programs, tmp_path):
    bundle, elf = bundles("ekf"), programs("ekf", "cortex-m4f")
    out = fill_addresses(bundle.folder / f"{bundle.name}.a2l", elf, out=tmp_path / "x.a2l", **names)
    found, known, sizes = addresses(out), symbols(elf), bundle.manifest["sizes"]
    first, soc = state.split(".")[0].split("[")[0], sizes["state_bytes"] - 4
    assert found[state] == known[first] + (2 * sizes["state_bytes"] if "[" in state else 4) + soc
    said = known["cells_output"] + 2 * sizes["output_bytes"] if "[" in state else known["pack"] + 4 + soc + 4
    assert found[output] == said and not any(name.startswith("cell.") for name in found)


@needs_tool
def test_byte_order_is_the_programs(bundles, programs, tmp_path):
    file = bundles("ekf").folder / "Tc_ekf.a2l"
    orders = []
    for target in ("cortex-m4f", "big-endian"):
        text = fill_addresses(file, programs("ekf", target), out=tmp_path / "x.a2l").read_text()
        orders += re.findall(r"BYTE_ORDER (\w+)", text)
    assert orders == ["MSB_LAST", "MSB_FIRST"]


def test_what_cannot_be_filled_is_a_sentence(bundles, programs, tmp_path, monkeypatch):
    file, elf = bundles("ekf").folder / "Tc_ekf.a2l", programs("ekf", "host")
    if TOOL:
        for arguments, said in (
            ({"instance": "nobody"}, "'?nobody'?.*does not exist|\"nobody\" does not exist"),
            ({"instance": "cell; rm"}, "a name of C"), ({"result": "cell"}, "a2ltool says"),
        ):  # fmt: skip
            with pytest.raises(InputError, match=said):
                fill_addresses(file, elf, out=tmp_path / "x.a2l", **arguments)
        with pytest.raises(InputError, match="is no ELF file"):
            fill_addresses(file, file)
        with pytest.raises(InputError, match="debug info"):
            fill_addresses(file, programs("ekf", "host", "-g0"), out=tmp_path / "x.a2l")
        with pytest.raises(InputError, match=r"none\.elf: cannot be read"):
            fill_addresses(file, tmp_path / "none.elf")
    monkeypatch.setattr("firmware_export.a2l.find_a2ltool", lambda: None)
    with pytest.raises(InputError, match=r"not installed.*bmsthermal\[target\]"):
        fill_addresses(file, elf)
    assert not list(tmp_path.iterdir())

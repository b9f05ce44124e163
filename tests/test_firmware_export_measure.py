import dataclasses
import functools
import importlib.util
import json
import math
import shutil
import subprocess

import pytest

from bmsthermal import CoupledModel, InputError, Observer, load_cell
from firmware_export import export
from firmware_export.measure import COLUMNS, cycles, measure
from firmware_export.measure.corners import USUAL, _Bench
from firmware_export.measure.listing import Instruction, Program
from firmware_export.measure.paths import paths
from firmware_export.measure.scaling import draw, scaling
from firmware_export.measure.sizes import size_of
from firmware_export.measure.stack import deepest, usage
from firmware_export.targets import machine
from firmware_export.targets.cores import CORES
from firmware_export.targets.toolchains import build, toolchains

GCC = shutil.which("arm-none-eabi-gcc")
READERS = all(importlib.util.find_spec(name) for name in ("elftools", "capstone"))
pytestmark = pytest.mark.skipif(not READERS, reason="pyelftools and capstone are not here (extra target)")
needs_gcc = pytest.mark.skipif(GCC is None, reason="no arm-none-eabi-gcc here")
M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")

# functions whose longest way was counted by hand: instructions, back-edges, calls, computed jumps
WRITTEN = {
    "line": ("add r0, r0, #1; mul r0, r0, r1; bx lr", 3, 0, 0, 0),
    # the side with the jump: cmp beq (1f) add mov bx
    "diamond": ("cmp r0, #0; beq 1f; mov r0, #7; b 2f; 1: mov r0, #1; add r0, r0, #2; add r0, r0, #3; 2: bx lr",
                6, 0, 0, 0),
    # what an IT block passes over is fetched and counted
    "block": ("cmp r0, #0; itte gt; addgt r0, r0, #1; addgt r0, r0, #1; movle r0, #0; bx lr", 6, 0, 0, 0),
    "leaves_early": ("cmp r0, #0; it le; bxle lr; add r0, r0, #1; add r0, r0, #1; bx lr", 6, 0, 0, 0),
    "pops_early": ("push {r4, lr}; cmp r0, #0; it eq; popeq {r4, pc}; mov r0, #1; pop {r4, pc}", 6, 0, 0, 0),
    # a constant inside, which read as code would be a way back: 0xe7fe is a jump to itself
    "pool": ("ldr r0, 1f; b 2f; .align 2; 1: .word 0xe7fee7fe; 2: add r0, r0, #1; bx lr", 4, 0, 0, 0),
    # compilers put rare code behind: a jump back in the text that closes no loop
    "behind": ("cbz r0, 1f; 2: add r0, r0, #1; bx lr; 1: mov r0, #3; b 2b", 5, 0, 0, 0),
    "loop": ("1: subs r0, r0, #1; bne 1b; bx lr", None, 1, 0, 0),
    "nest": ("mov r2, r1; 1: mov r1, r2; 2: subs r1, r1, #1; bne 2b; subs r0, r0, #1; bne 1b; bx lr", None, 2, 0, 0),
    "caller": ("push {r4, lr}; bl line; pop {r4, pc}", None, 0, 1, 0),
    "through": ("push {r4, lr}; blx r3; pop {r4, pc}", None, 0, 1, 0),
    "tail": ("add r0, r0, #1; b.w line", None, 0, 1, 0),
    "table": ("tbb [pc, r0]; .byte 1, 2; add r0, r0, #1; bx lr", None, 0, 0, 1),
    "register": ("bx r3", None, 0, 0, 1),
    "runs_on": ("add r0, r0, #1", None, 0, 0, 1),
}  # fmt: skip


def assembled(place, bodies, flags=M4):
    """A program of functions written by hand."""
    lines = [".syntax unified", ".thumb"]
    for name, body in bodies.items():
        lines += [f".global {name}", f".type {name}, %function", ".thumb_func", f"{name}:",
                  *(part.strip() for part in body.split(";")), f".size {name}, . - {name}", ".align 2"]  # fmt: skip
    (place / "by_hand.S").write_text("\n".join(lines) + "\n")
    return linked(place, place / "by_hand.S", flags)


def linked(place, source, flags=M4):
    command = [GCC, *flags, "-O2", "-nostdlib", "-Wl,-e,0", source, "-o", place / "by_hand.elf", "-lgcc"]
    subprocess.run(command, check=True, capture_output=True, cwd=place)
    return Program(place / "by_hand.elf")


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    return assembled(tmp_path_factory.mktemp("hand"), {name: body for name, (body, *_) in WRITTEN.items()})


@needs_gcc
@pytest.mark.parametrize("name", WRITTEN)
def test_the_longest_way_is_the_one_counted_by_hand(name, by_hand):
    _, longest, *counts = WRITTEN[name]
    found = paths(by_hand.listing(name))
    assert (found.longest, found.back_edges, found.calls, found.computed) == (longest, *counts)
    assert bool(found.reason) == (longest is None) and found.cycles is None


@needs_gcc
def test_what_is_not_claimed_says_why(by_hand):
    assert paths(by_hand.listing("nest")).reason == "not claimed: 2 back-edges"
    assert paths(by_hand.listing("tail")).reason == "not claimed: 1 call"
    assert paths(by_hand.listing("table")).reason == "not claimed: 1 computed jump"
    with pytest.raises(InputError, match="no function 'absent'"):
        by_hand.listing("absent")


# cycles counted by hand from the manual's tables, refill 2
COSTS = {
    "vadd.f32 s0, s0, s1; bx lr": 1 + 3,
    "vmla.f32 s0, s1, s2; vfma.f32 s0, s1, s2; vmul.f32 s0, s1, s2; vsub.f32 s0, s1, s2; bx lr": 3 + 3 + 1 + 1 + 3,
    "vldr s0, [r0]; vstr s0, [r0, #4]; vldr d1, [r0]; vdiv.f32 s0, s0, s1; bx lr": 2 + 2 + 3 + 14 + 3,
    "vpush {d8-d9}; vldmia r0!, {s0-s2}; vpop {d8-d9}; bx lr": 5 + 4 + 5 + 3,
    "push {r4, r5, lr}; ldrd r4, r5, [r0]; ldr r1, [r0]; strb r1, [r0]; pop {r4, r5, pc}": 4 + 3 + 2 + 2 + 6,
    "vcmpe.f32 s0, s1; vmrs apsr_nzcv, fpscr; ite gt; vmovgt.f32 s0, s1; vmovle.f32 s0, s2; bx lr": 5 + 3,
    "cmp r0, #0; beq 1f; add r0, r0, #1; 1: bx lr": 1 + 3 + 3,  # taken beats the one instruction that it passes over
    "cmp r0, #0; it eq; bxeq lr; bx lr": 1 + 1 + 1 + 3,
    "vmov r0, r1, s0, s1; vmov s0, r0; vcvt.s32.f32 s0, s0; sdiv r0, r0, r1; bx lr": 2 + 1 + 1 + 12 + 3,
}


@needs_gcc
def test_cycles_are_the_manuals(tmp_path):
    program = assembled(tmp_path, {f"f{k}": body for k, body in enumerate(COSTS)})
    for k, (body, expected) in enumerate(COSTS.items()):
        assert paths(program.listing(f"f{k}"), cycles=True).cycles == expected, body


def test_no_cycles_where_the_table_does_not_say():
    assert cycles.cost(Instruction(0, 4, "vadd.f64", "d0, d0, d1")) is None
    assert cycles.cost(Instruction(0, 4, "aesmc.8", "q0, q1")) is None
    assert "cortex-m7" not in cycles.CORES and "cortex-m55" not in cycles.CORES


@needs_gcc
def test_arm_code_and_its_bytes_in_either_order(tmp_path):
    text = """
    float f(float x) { return x > 1.5e6f ? x * x : x + 1.0f; }
    int g(int n) { while (n & 7) n += f(n); return n; }
    """
    (tmp_path / "c.c").write_text(text)
    found = []
    for order in ((), ("-mbig-endian", "-mbe32"), ("-mbig-endian", "-mbe8")):
        flags = ("-mcpu=cortex-r5", "-mfpu=vfpv3-d16", "-mfloat-abi=hard", "-marm", *order)
        program = linked(tmp_path, tmp_path / "c.c", flags)
        found.append([paths(program.listing(name)) for name in "fg"])
    assert found[0] == found[1] == found[2]
    assert found[0][0].longest and found[0][1].back_edges >= 1


@needs_gcc
def test_loops_and_vectors_of_a_cortex_m55(tmp_path):
    text = """
    int f(int n) { int s = 1; for (int i = 0; i < n; i++) s += s * i ^ 5; return s; }
    __attribute__((optimize("O3"))) void g(int *restrict to, const int *restrict from)
    {
        for (int i = 0; i < 4; i++) to[i] = from[i] + 1;
    }
    """
    (tmp_path / "c.c").write_text(text)
    program = linked(tmp_path, tmp_path / "c.c", ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"))
    assert paths(program.listing("f")).reason == "not claimed: 1 back-edge"
    whole = paths(program.listing("g"))
    assert whole.longest and not whole.reason
    assert "vector" in {each.name for each in program.listing("g").instructions}


@pytest.mark.skipif(shutil.which("riscv64-unknown-elf-gcc") is None, reason="no riscv64-unknown-elf-gcc here")
def test_riscv(tmp_path):
    text = """
    __attribute__((noinline)) float f(float x) { return x > 1.5e6f ? x * x : x + 1.0f; }
    int g(int n) { while (n & 7) n += 3 * n; return n; }
    float h(float x) { return 2.0f * f(x); }
    """
    (tmp_path / "c.c").write_text(text)
    command = ["riscv64-unknown-elf-gcc", "-march=rv32imafc", "-mabi=ilp32f", "-O2", "-nostdlib", "-Wl,-e,0"]
    subprocess.run([*command, "c.c", "-o", "c.elf"], check=True, capture_output=True, cwd=tmp_path)
    program = Program(tmp_path / "c.elf")
    f, g, h = (paths(program.listing(name)) for name in "fgh")
    assert f.longest and f.branches == 1 and not f.reason
    assert g.reason == "not claimed: 1 back-edge" and h.reason == "not claimed: 1 call"


@needs_gcc
def test_stack_adds_up_along_the_deepest_calls(tmp_path):
    text = """
    __attribute__((noipa)) int leaf(volatile int *p) { return *p; }
    __attribute__((noipa)) int wide(int x) { volatile int a[16]; a[x] = x; return leaf(&a[x]) + 1; }
    int top(int x) { volatile int a[4]; a[x] = x; return wide(x) + leaf(&a[x]); }
    int odd(int n) { volatile char a[n]; a[0] = 1; return a[0]; }
    int again(int n) { return n ? n + again(n - 1) * again(n - 2) : 0; }
    """
    (tmp_path / "c.c").write_text(text)
    subprocess.run([GCC, *M4, "-O2", "-fstack-usage", "-c", "c.c", "-o", "c.o"], check=True, cwd=tmp_path)
    program, frames = linked(tmp_path, tmp_path / "c.o"), usage([tmp_path / "c.o"])
    found = deepest(program, frames, "top")
    assert found.deepest_B == frames["top"] + frames["wide"] + frames["leaf"]
    assert found.path[:2] == ("top", "wide") and frames["wide"] >= 64
    assert "no fixed size is told for odd" in deepest(program, frames, "odd").reason
    assert "again calls itself" in deepest(program, frames, "again").reason
    assert deepest(program, {}, "top").reason == "not told by this compiler"


KIND = {"ekf": 5, "ud": 3}  # states: small where it is slow


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    @functools.cache
    def make(form, core, tool, level="-O2", real="float"):
        place = tmp_path_factory.mktemp("image")
        reduced = CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=KIND[form])
        bundle = export(Observer(reduced), place / "c", real=real, form=form, name="cell")
        found = [each for each in toolchains(CORES[core]) if each.name == tool]
        if not found or machine.version() is None:
            pytest.skip(f"no {tool} for {core} here, or no emulator (extra target)")
        return build(bundle.folder, "cell", CORES[core], found[0], place / "image", level=level), bundle.manifest

    return make


@pytest.fixture(scope="module")
def measured(images):
    return functools.cache(lambda *what: measure(images(*what)[0], "cell", images(*what)[1]))


@needs_gcc
def test_what_runs_takes_what_was_counted(images, by_hand):
    core = machine.Machine(dataclasses.replace(images("ekf", "cortex-m4f", "gcc")[0], path=by_hand.path))
    blocks = []
    core.watch_blocks(lambda address, size: blocks.append(by_hand.count(address, size)))

    def counted(name, value):
        blocks.clear()
        core.run(name, value, 1)
        return sum(blocks)

    for name in ("line", "diamond", "block", "leaves_early", "pool", "behind"):
        assert max(counted(name, value) for value in (-1, 0, 1)) == paths(by_hand.listing(name)).longest, name
    assert counted("caller", 1) == 2 + 3 + 1 and counted("loop", 5) == 2 * 5 + 1
    # the emulator's own count leaves out what a condition passes over: one of the two sides of the block
    assert [core.call("block", value, 1).instructions for value in (1, 0)] == [5, 4]
    assert core.call("line", 1, 1).instructions == 3


@pytest.mark.parametrize("core, tool", [("cortex-m4f", "gcc"), ("cortex-m4f", "zig"), ("cortex-r5f-be", "gcc")])
def test_no_step_is_longer_than_the_bound(core, tool, measured):
    found = measured("ekf", core, tool)
    assert found.step.back_edges == found.step.calls == 0 and found.undefined == ()
    assert found.corners.least < found.corners.most <= found.step.longest
    assert found.corners.most > 0.98 * found.step.longest  # few ways exclude each other
    assert found.added.ram_B == 0 and found.state_B == 84
    assert (found.step.cycles is None) == (core == "cortex-r5f-be")


def test_blocks_count_what_single_instructions_do(images):
    image, manifest = images("ekf", "cortex-m4f", "gcc")
    bench = _Bench(machine.Machine(image), "cell", manifest)
    assert len(set(bench.states)) == 4 and not any(bench.states[0])
    for heat, reading in ((3.0, 299.0), (math.nan, 1e30)):
        given = USUAL | {"heat": heat, "surface": reading}
        for state in bench.states:
            passed_over = bench.step(state, given) - bench.watched(state, given).instructions
            assert 0 <= passed_over < 20  # in IT blocks


def test_a_bound_is_not_claimed_for_what_has_loops_or_calls(measured):
    loops, plain = measured("ud", "cortex-m4f", "gcc"), measured("ekf", "cortex-m4f", "gcc", "-O0")
    for found in (loops, plain):
        assert found.step.longest is None and found.step.cycles is None and found.assumptions == ()
        assert found.step.reason.startswith("not claimed: ") and found.corners.most > 1000
        assert found.share(1.0, 96, 168e6) is None
    assert loops.step.back_edges and plain.step.calls


def test_a_core_without_floating_point_draws_in_its_arithmetic(images):
    image, _ = images("ekf", "cortex-m0plus", "gcc")
    found = measure(image, "cell")  # without running it, which takes seconds
    assert found.step.calls > 100 and found.corners is None and found.state_B is None
    assert {"__aeabi_fadd", "__aeabi_fmul"} <= set(found.undefined)
    assert found.added.text_B > found.objects[0].text_B + 1000
    assert found.row()[3] == "not run"


def test_double_where_the_core_has_it(measured):
    found = measured("ekf", "cortex-r5f-be", "gcc", "-O2", "double")
    assert found.undefined == () and found.corners.most <= found.step.longest and found.step.cycles is None
    assert found.state_B == 2 * 84


@needs_gcc
def test_sizes_are_those_of_binutils(images, measured):
    (image, manifest), found = images("ekf", "cortex-m4f", "gcc"), measured("ekf", "cortex-m4f", "gcc")
    for path in (*image.objects, image.path):
        said = subprocess.run(["arm-none-eabi-size", path], capture_output=True, text=True, check=True).stdout
        size = size_of(path)
        assert [size.text_B + size.rodata_B, size.data_B, size.bss_B] == [int(n) for n in said.split()[6:9]]
    functions = sum(found.functions_B[f"cell_{verb}"] for verb in ("init", "step", "get"))
    assert 0 <= found.added.text_B - functions < 8  # the gaps between three functions
    assert found.added.rodata_B == found.objects[1].rodata_B == manifest["sizes"]["model_bytes"]
    assert found.added.flash_B == found.added.text_B + found.added.rodata_B


def test_the_stack_that_was_seen_is_what_the_compiler_says(measured):
    found = measured("ekf", "cortex-m4f", "gcc")
    assert found.corners.stack_B == found.stacks[1].deepest_B == found.stack_B
    assert measured("ekf", "cortex-m4f", "zig").stacks[1].deepest_B is None  # it does not say


def test_share_of_a_processor(measured):
    found = measured("ekf", "cortex-m4f", "gcc")
    assert found.share(10.0, 96, 168e6) == pytest.approx(found.step.cycles * 960 / 168e6)
    with pytest.raises(InputError, match="positive"):
        found.share(10.0, 96, 0.0)


def test_what_is_printed_and_kept(measured):
    found = measured("ekf", "cortex-m4f", "gcc")
    assert len(found.row()) == len(COLUMNS) and found.row()[-1] == "none"
    assert dict(found.rows())[COLUMNS[2]] == str(found.step.longest) and all("/" in name for name in COLUMNS[2:-1])
    kept = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert kept["paths"][1]["longest"] == found.step.longest and len(kept["assumptions"]) == len(cycles.ASSUMPTIONS)
    assert found.assumptions == cycles.ASSUMPTIONS
    longest = found.step.longest
    for most, said in ((longest - 1, "not reached"), (longest, "reached"), (longest + 1, "EXCEEDED")):
        corners = dataclasses.replace(found.corners, least=7, most=most)
        assert dataclasses.replace(found, corners=corners).seen == f"7 to {most}, {said}"


def test_growth(tmp_path):
    core = CORES["cortex-m4f"]
    found = toolchains(core)
    if not found:
        pytest.skip("no cross compiler here")
    observer = Observer(CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=2))
    small, large = scaling(observer, core, found[-1], tmp_path, forms=("ekf",), sizes=((2, 1), (3, 2)))
    assert small.instructions < large.instructions and large.row()[:3] == ("ekf", "3", "2")
    assert [each.measured.state_B for each in (small, large)] == [24, 40]
    draw([small, large], tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 5000

import importlib.util
import shutil
import subprocess

import pytest

from bmsthermal import InputError
from firmware_export.measure import cycles
from firmware_export.measure.listing import Instruction, Program
from firmware_export.measure.paths import paths
from firmware_export.measure.stack import deepest, usage

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
    text = "float f(float x) { return x > 1.5e6f ? x * x : x + 1.0f; } int g(int n) { while (n & 7) n += f(n); return n; }"
    (tmp_path / "c.c").write_text(text)
    found = []
    for order in ((), ("-mbig-endian", "-mbe32"), ("-mbig-endian", "-mbe8")):
        flags = ("-mcpu=cortex-r5", "-mfpu=vfpv3-d16", "-mfloat-abi=hard", "-marm", *order)
        program = linked(tmp_path, tmp_path / "c.c", flags)
        found.append([paths(program.listing(name)) for name in "fg"])
    assert found[0] == found[1] == found[2]
    assert found[0][0].longest and found[0][1].back_edges >= 1


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

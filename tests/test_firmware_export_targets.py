import dataclasses
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from bmsthermal import InputError
from bmsthermal.faults import CELL, CODE, HOT, NAMES, SENSOR
from bmsthermal.observer import compiled
from firmware_export import export
from firmware_export.form import form_of, start_row
from firmware_export.targets import qemu
from firmware_export.targets.cores import CORES, HOST
from firmware_export.targets.cycle import START_K, START_SOC, cycle
from firmware_export.targets.equality import compare, emulators, python_run
from firmware_export.targets.machine import Machine
from firmware_export.targets.toolchains import Toolchain, build, core_named, toolchains

sys.path.insert(0, str(Path(__file__).parent))
from test_firmware_export_bundle import KINDS, UNROLLED, form_and_inputs, observer

pytestmark = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
FULL = bool(os.environ.get("BMSTHERMAL_FULL"))
WHERE = CORES | {"host": HOST}

#: In the ordinary run: each core once, each toolchain, each emulator, each kind of observer.
FEW = (
    ("cylinder", "host", "gcc", "native", 10_000), ("slab", "host", "clang", "native", 10_000),
    ("cylinder", "cortex-m4f", "zig", "unicorn", 10_000), ("cylinder", "cortex-m4f", "gcc", "qemu", 10_000),
    ("sensors", "cortex-m7", "gcc", "unicorn", 2000), ("slab", "cortex-m0plus", "gcc", "qemu", 2000),
    ("slab", "cortex-r5f-be", "gcc", "unicorn", 10_000), ("cylinder", "riscv32", "gcc", "unicorn", 10_000),
    ("cylinder", "cortex-m33", "gcc", "qemu", 10_000), ("slab", "cortex-m55", "gcc", "qemu", 10_000),
    ("factored", "riscv32", "zig", "qemu", 2000), ("joint", "cortex-r5f-be", "zig", "unicorn", 500),
    ("joint_slab", "cortex-m33", "zig", "unicorn", 500), ("voltage", "cortex-m7", "gcc", "qemu", 2000),
    ("voltage_slab", "cortex-m55", "zig", "qemu", 500), ("watched", "cortex-m4f", "gcc", "qemu", 2000),
    ("given", "cortex-r5f-be", "zig", "unicorn", 10_000), ("given_slab", "riscv32", "gcc", "unicorn", 2000),
    ("fixed", "cortex-m4f", "gcc", "unicorn", 10_000), ("fixed_sensors", "cortex-m33", "zig", "unicorn", 2000),
    ("fixed_given", "cortex-m0plus", "zig", "unicorn", 2000),
)  # fmt: skip


def everything():
    """Each kind on each core with each toolchain; under both emulators where that is quick."""
    for kind in KINDS:
        for name, core in WHERE.items():
            found = ["native"] if core is HOST else [e for e in ("qemu", "unicorn") if getattr(core, e)]
            for toolchain in core.flags:
                for emulator in found if kind in UNROLLED and core.hard_float else found[:1]:
                    yield kind, name, toolchain, emulator, 10_000


def rows():
    rare = pytest.mark.skipif(not FULL, reason="set BMSTHERMAL_FULL=1 for every kind on every core")
    for row in FEW:
        yield pytest.param(*row, id="-".join(map(str, row)))
    for row in everything():
        if row not in FEW:
            yield pytest.param(*row, id="-".join(map(str, row)), marks=rare)


def toolchain_for(core, name):
    found = {each.name: each for each in toolchains(core)}
    if name not in found:
        pytest.skip(f"no {name} for {core.name} here")
    return found[name]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    made = {}

    def make(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp("bundle") / "c"
            made[kind] = export(observer(kind), folder, **form_and_inputs(kind), name=f"{kind}_c")
        return made[kind]

    return make


@pytest.mark.parametrize(("kind", "core", "toolchain", "emulator", "steps"), list(rows()))
def test_every_byte_is_pythons(kind, core, toolchain, emulator, steps, bundles, tmp_path):
    core = WHERE[core]
    found = toolchain_for(core, toolchain)
    if emulator not in emulators(core):
        pytest.skip(f"no {emulator} here")
    result = compare(bundles(kind), observer(kind), core, found, tmp_path, steps, emulator=emulator)
    assert result.equal, str(result)
    assert "equal to the bit" in str(result) and result.steps == steps


def test_the_cycle_meets_every_fault():
    watched = observer("watched").on_target("float", "ud")
    form = form_of(watched)
    u, z = (each.astype(np.float32) for each in cycle(watched, form.cell, 10_000, 0))
    past, out = python_run(watched, form, u, z, start_row(watched, form, START_K, START_SOC, "float"))
    assert np.isfinite(past).all() and np.isfinite(out).all()
    at = [place for each in form.state for place in [each.name] * each.size].index("watch")
    codes = past[:, at + CELL + CODE : at + CELL + SENSOR * 3 : SENSOR]
    assert set(np.unique(codes)) == set(range(len(NAMES)))
    assert not past[0, at + HOT] and past[:, at + HOT].any()


def somewhere(bundle, tmp_path):
    """A bundle's folder, to be changed."""
    folder = tmp_path / "changed"
    shutil.copytree(bundle.folder, folder)
    return dataclasses.replace(bundle, folder=folder)


@pytest.mark.parametrize("member", ["decay", "core", "sense_variance"])
def test_a_constant_changed_by_one_unit_of_the_last_place_is_found(member, bundles, tmp_path):
    changed = somewhere(bundles("slab"), tmp_path)
    found = toolchain_for(HOST, "gcc")
    model = changed.folder / f"{changed.name}_model.c"
    text = model.read_text()
    number = re.compile(r"-?\d[\d.]*(e[+-]?\d+)?(?=f)").search(text, text.index(f".{member} ="))
    other = np.nextafter(np.float32(number[0]), np.float32(np.inf))
    model.write_text(text[: number.start()] + str(other) + text[number.end() :])
    result = compare(changed, observer("slab"), HOST, found, tmp_path, 2000)
    assert not result.equal and "after step" in str(result)


def test_another_order_of_a_sum_is_found(bundles, tmp_path):
    changed = somewhere(bundles("slab"), tmp_path)
    kernel = changed.folder / "step.h"
    text = kernel.read_text()
    forth = "real_t sum = a[0] * b[0];\n    ROM_FOR\n    for (int i = 1; i < ROM_N; i++) {"
    back = "real_t sum = a[ROM_N - 1] * b[ROM_N - 1];\n    for (int i = ROM_N - 2; i >= 0; i--) {"
    assert text.count(forth) == 1
    kernel.write_text(text.replace(forth, back))
    assert not compare(changed, observer("slab"), HOST, toolchain_for(HOST, "gcc"), tmp_path, 2000).equal


def test_contraction_is_found(bundles, tmp_path):
    core = CORES["cortex-m4f"]
    found = toolchain_for(core, "gcc")
    if not emulators(core):
        pytest.skip("no emulator here")
    fused = compare(bundles("cylinder"), observer("cylinder"), core, found, tmp_path, 500, flags=["-ffp-contract=fast"])
    assert not fused.equal and "contract=fast" in str(fused) and " is " in fused.first_difference


@pytest.mark.parametrize("core", [name for name, core in CORES.items() if core.unicorn])
def test_a_call_on_an_emulated_core(core, bundles, tmp_path):
    pytest.importorskip("unicorn")
    found = toolchains(CORES[core])
    if not found:
        pytest.skip(f"no compiler for {core} here")
    name = bundles("cylinder").name
    machine = Machine(build(bundles("cylinder").folder, name, CORES[core], found[-1], tmp_path))
    model, state = machine.address(f"{name}_model"), machine.block
    begun = machine.call(f"{name}_init", model, state, 300.0, 0.25)
    reference = observer("cylinder").packed.reference_K
    assert machine.read(state, 1)[0] == np.float32(300.0) - np.float32(reference)
    assert machine.read(state, 15)[-1] == np.float32(0.25)  # the number after four states and their covariance
    assert 20 < begun.instructions < 2000 and 0 <= begun.stack_B < 400
    u, z, out = state + 0x100, state + 0x200, state + 0x300
    machine.write(u, np.full(5, np.nan, np.float32))
    machine.write(z, np.float32([301.0]))
    watched, again = (machine.call(f"{name}_step", model, state, u, z, out) for _ in range(2))
    assert watched.stack_B % 4 == 0 and watched.instructions > 200
    if machine.core.hard_float:  # soft sums take as long as their numbers say
        assert (watched.instructions, watched.stack_B) == (again.instructions, again.stack_B)
    assert machine.run(f"{name}_selftest") == 0


def test_refusals(bundles, tmp_path):
    bundle = bundles("cylinder")
    with pytest.raises(InputError, match="cortex-m4f"):
        core_named("cortex-m3")
    host = toolchain_for(HOST, "gcc")
    with pytest.raises(InputError, match="expected at most"):
        compare(bundle, observer("cylinder"), HOST, host, tmp_path, 1_000_000)
    image = build(bundle.folder, bundle.name, HOST, host, tmp_path)
    with pytest.raises(InputError, match="Unicorn has no host"):
        Machine(image)
    with pytest.raises(InputError, match="fast-math"):
        build(bundle.folder, bundle.name, HOST, host, tmp_path, flags=["-ffast-math"])


def test_without_tools_there_is_a_sentence(bundles, tmp_path, monkeypatch):
    core, bundle = CORES["cortex-m4f"], bundles("cylinder")
    some = toolchains(core)
    image = build(bundle.folder, bundle.name, core, some[0], tmp_path) if some else None
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert toolchains(core) == [] and toolchains(HOST) == []
    monkeypatch.setitem(sys.modules, "unicorn", None)
    qemu.version.cache_clear()
    assert emulators(core) == [] and emulators(HOST) == ["native"]
    with pytest.raises(InputError, match=r"nothing that emulates cortex-m4f; pip install .*target"):
        compare(bundle, observer("cylinder"), core, Toolchain("zig", "0", ("zig",)), tmp_path)
    if image is not None:
        with pytest.raises(InputError, match="no QEMU for cortex-m4f"):
            qemu.run(image, b"", tmp_path)
        with pytest.raises(InputError, match="no unicorn"):
            Machine(image)
    qemu.version.cache_clear()


@pytest.mark.parametrize(("core", "toolchain"), [("cortex-m4f", "zig"), ("cortex-r5f-be", "gcc")])
def test_cells_share_a_covariance_on_a_core(core, toolchain, bundles, tmp_path):
    """The first cell with its covariance, and the others' temperatures and charges, after every step."""
    from bmsthermal._observer import Kernel

    core, bundle, watched, cells, steps = CORES[core], bundles("cylinder"), observer("cylinder"), 4, 200
    name, n, packed = bundle.name, watched.reduced.order, watched.packed
    found = toolchain_for(core, toolchain)
    kept = tmp_path / "kept.c"  # a section that the linker keeps, calling what it would drop
    kept.write_text(
        f'#include "{name}_cells.h"\n\nvoid kept(void);\n\n__attribute__((section(".vectors"), used)) void kept(void)'
        f"\n{{\n    {name}_cells_step(0, 0, 0, 0, 0, 0, 0);\n}}\n"
    )
    extra = [bundle.folder / f"{name}_cells.c", kept]
    machine = Machine(build(bundle.folder, name, core, found, tmp_path / "build", extra=extra))
    drives = [cycle(watched.on_target("float", "ekf"), packed, steps, seed) for seed in range(cells)]
    u, z = (np.stack([each[i] for each in drives], axis=1).astype(np.float32) for i in range(2))
    start = start_row(watched.on_target("float", "ekf"), form_of(watched), START_K, START_SOC, "float")
    kernel = Kernel(packed.row(np.float32), n, 1, 1, cells, gains="shared")
    kernel.write(np.tile(start, (cells, 1)))
    past = np.empty((steps, cells, kernel.state_size), np.float32)
    kernel.run(u, z, None, past)

    first, others, inputs, readings, outputs = (machine.block + 4096 * i for i in range(5))
    machine.write(first, start)
    machine.write(others, np.tile(np.append(start[:n], start[-1]), cells - 1))
    for k in range(steps):
        machine.write(inputs, u[k].ravel())
        machine.write(readings, z[k].ravel())
        machine.run(
            f"{name}_cells_step", machine.address(f"{name}_model"), first, others, cells - 1, inputs, readings, outputs
        )
        assert machine.read(first, len(start)).tobytes() == past[k, 0].tobytes()
        assert machine.read(others, (cells - 1) * (n + 1)).tobytes() == past[k, 1:][:, [*range(n), -1]].tobytes()

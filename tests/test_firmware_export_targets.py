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
from test_firmware_export_bundle import FORM, KINDS, UNROLLED, observer

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
            made[kind] = export(observer(kind), folder, form=FORM[kind in UNROLLED], name=f"{kind}_c")
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

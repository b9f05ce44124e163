"""Devices that are called: they say the same to the last bit, forget when told, and take what is absent."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hil_devices import Readings, Status, drive, observer, said, same
from reduced_cells import reduced_cell

from bmsthermal import InputError, Inputs, Observer
from bmsthermal.faults import NAMES
from bmsthermal.observer import compiled
from firmware_export.folder import MANIFEST
from firmware_export.host import find_compiler
from hil.devices import DEVICES, DeviceError, plain_device
from hil.devices.numbers import answer, start_K

if not compiled():
    pytest.skip("the compiled kernel is missing", allow_module_level=True)

from hil.devices.compiled import Compiled, exported
from hil.devices.in_process import InProcess

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler here")
KINDS = ("cylinder", "slab", "fixed", "factored", "joint_slab", "voltage", "watched")
STEPS, CELLS = 150, 3


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache of these tests' own, so that nothing that was built before is taken."""
    import tempfile

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(tempfile, "tempdir", None)
        yield
    tempfile.tempdir = None


def in_process(watched, cells=1, real="float"):
    """The observer in the precision and form of its export."""
    form = json.loads((exported(watched, real).folder / MANIFEST).read_text()).get("form")
    return InProcess(watched.on_target(real, form), cells)


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_c_says_what_the_observer_in_process_says_to_the_last_bit(kind):
    watched = observer(kind)
    readings = drive(watched, STEPS, CELLS)
    found = said(in_process(watched, CELLS), readings)
    assert same(said(Compiled(watched, CELLS), readings), found)
    core_K, std_K, fault, _ = found
    assert (abs(core_K[:50] - 299.0) < 10.0).all() and (std_K > 0).all()  # later it believes what is absurd
    assert np.ptp(core_K, axis=1).max() > 0.01  # cells of their own
    if kind == "watched":
        assert {NAMES[code] for code in np.unique(fault)} >= {"none", "open"}
        assert NAMES[fault[55, 0, 0]] == "open" and not fault[55, 1:].any()
    else:
        assert not fault.any()


@needs_compiler
def test_what_it_computes_with_has_a_digest():
    made = [
        device for kind in ("watched", "joint_slab") for device in (InProcess(observer(kind)), Compiled(observer(kind)))
    ]
    kernels, models = ([device.digests[name] for device in made] for name in ("kernel", "model"))
    assert kernels[0] == kernels[1] != kernels[2] == kernels[3]  # one text, here and there
    assert len(set(models)) == 4  # in another precision constants are others
    assert InProcess(observer("watched")).digests == made[0].digests


@needs_compiler
@pytest.mark.parametrize("kind", ["cylinder", "watched"])
def test_in_double_precision_too(kind):
    readings = drive(observer(kind), 60, 2)
    found = said(in_process(observer(kind), 2, "double"), readings)
    assert same(said(Compiled(observer(kind), 2, real="double"), readings), found)


@needs_compiler
@pytest.mark.parametrize("real", ["float", "double"])
def test_an_observer_on_a_coupled_model(real):
    watched = Observer(reduced_cell(), ["surface"])
    readings = drive(watched, 40, 2)
    found = said(in_process(watched, 2, real), readings)
    assert same(said(Compiled(watched, 2, real=real), readings), found)
    assert (found[1] > 0).all() and not found[2].any()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_observer_step_by_step(kind):
    watched = observer(kind)
    readings = [each for each in drive(watched, 30) if np.isfinite(each.surfaces_K).all()]
    found = said(InProcess(watched), readings)
    belief = watched.start(float(start_K(readings[0])[0]), 0.6)
    for k, each in enumerate(readings):
        belief, estimate = watched.step(
            belief, Inputs(each.current_A, each.voltage_V[0], each.ambient_K), each.surfaces_K[0]
        )
        # sums are taken in another order; and on a target what a first voltage tells is as unsure as at the reference
        assert found[0][k, 0] == pytest.approx(estimate.core_K, abs=1e-5 if kind == "voltage" else 1e-9)
        if watched.estimate or kind != "watched":
            assert found[1][k, 0] == pytest.approx(estimate.core_std_K, rel=1e-5)


@needs_compiler
@pytest.mark.parametrize("text", ["model", "sil"])
@pytest.mark.parametrize("kind", ["cylinder", "watched"])
def test_a_module_is_so_many_cells_and_reset_forgets(text, kind):
    watched = observer(kind)
    readings = drive(watched, 100, CELLS)
    device = plain_device(text, watched, CELLS)
    together = said(device, readings)
    assert same(said(device, readings), together)
    # a cell that reads nothing at first is started as its neighbours are, which it does not have alone
    begun = start_K(readings[0])
    first = replace(readings[0], surfaces_K=np.repeat(begun[:, None], len(watched.measured), axis=1))
    device.reset(first, 0.6)
    whole = np.array([device.step(each).core_K for each in readings])
    for cell in range(CELLS):
        part = slice(cell, cell + 1)
        alone = plain_device(text, watched, 1)
        alone.reset(replace(first, voltage_V=first.voltage_V[part], surfaces_K=first.surfaces_K[part]), 0.6)
        for k, each in enumerate(readings):
            own = replace(each, voltage_V=each.voltage_V[part], surfaces_K=each.surfaces_K[part])
            assert alone.step(own).core_K[0] == whole[k, cell]
    device.close()
    device.close()


@pytest.mark.parametrize("version", [2, 3])
def test_an_fmu_says_the_same_and_leaves_nothing(version):
    pytest.importorskip("fmpy", reason="fmpy is not installed")
    if find_compiler() is None:
        pytest.skip("no C compiler here")
    from hil.devices.fmu import Fmu

    watched = observer("watched")
    readings = drive(watched, 60, 2)
    device = Fmu(watched, 2, version=version)
    found = said(device, readings)
    assert same(found, said(Compiled(watched, 2), readings))
    assert same(found, said(device, readings))
    place = Path(device._place)
    assert place.is_dir()
    device.close()
    device.close()
    assert not place.exists()


def test_an_fmu_with_names_of_its_own():
    pytest.importorskip("fmpy", reason="fmpy is not installed")
    if find_compiler() is None:
        pytest.skip("no C compiler here")
    from firmware_export.fmu import export_fmu
    from hil.devices.cache import place

    watched, path = observer("cylinder"), place() / "one.fmu"
    export_fmu(watched, path, 2)
    names = {"core_K": "estimate.surface_K", "ambient_K": "coolant_side_K", "surface_K": "surface_K"}
    readings = drive(watched, 20)
    device = plain_device(f"fmu:{path}", watched, names=names)
    shown = said(device, readings)[0]
    device.close()
    beside = path.with_suffix(".names.json")
    beside.write_text(json.dumps(names))
    device = plain_device(f"fmu:{path}", watched)
    assert (said(device, readings)[0] == shown).all()
    device.close()
    beside.write_text("[]")
    with pytest.raises(InputError, match=r"one\.names\.json: cannot be read"):
        plain_device(f"fmu:{path}", watched)
    beside.unlink()
    other = plain_device(f"fmu:{path}", watched)
    assert same(said(other, readings), said(Compiled(watched), readings))
    other.close()
    assert (shown != said(Compiled(watched), readings)[0]).any()
    with pytest.raises(InputError, match=r"no variable 'inside'.*estimate\.core_K"):
        plain_device(f"fmu:{path}", watched, names={"core_K": "inside"})
    with pytest.raises(InputError, match=r"name 'cor_K', expected one of .*core_K"):
        plain_device(f"fmu:{path}", watched, names={"cor_K": "estimate.core_K"})
    with pytest.raises(InputError, match="has no surface_front_K"):
        plain_device(f"fmu:{path}", observer("slab"))


def test_an_fmu_in_degrees_celsius(tmp_path):
    """The same binary under a description in degC takes and gives what is 273.15 higher in kelvin."""
    pytest.importorskip("fmpy", reason="fmpy is not installed")
    if find_compiler() is None:
        pytest.skip("no C compiler here")
    from firmware_export.fmu import export_fmu
    from hil.devices.fmu import Fmu

    watched, changed = observer("cylinder"), tmp_path / "changed.fmu"
    with zipfile.ZipFile(export_fmu(watched, tmp_path / "one.fmu", 2)) as one, zipfile.ZipFile(changed, "w") as other:
        for name in one.namelist():
            text = one.read(name)
            if name == "modelDescription.xml":
                text = text.replace(b'name="K"', b'name="degC"').replace(b'unit="K"', b'unit="degC"')
            other.writestr(name, text)
    readings = [each for each in drive(watched, 30) if np.isfinite(each.surfaces_K).all()]
    device = Fmu(tmp_path / "one.fmu", 1, watched.measured)
    device.begin(np.array([300.0]), 0.5)
    plain = np.array([device.advance(each)[0, 0] for each in readings])
    device.close()
    device = Fmu(changed, 1, watched.measured)
    device.begin(np.array([573.15]), 0.5)
    warmer = [
        replace(each, ambient_K=each.ambient_K + 273.15, surfaces_K=each.surfaces_K + 273.15) for each in readings
    ]
    shifted = np.array([device.advance(each)[0, 0] for each in warmer])
    device.close()
    np.testing.assert_allclose(shifted, plain + 273.15, rtol=0, atol=2e-4)  # single precision: 3e-5 K a reading


def test_an_emulated_core_says_the_same_and_counts():
    pytest.importorskip("unicorn", reason="no Unicorn")
    pytest.importorskip("capstone", reason="no capstone")
    from firmware_export.targets.cores import CORES
    from firmware_export.targets.toolchains import toolchains
    from hil.devices import emulated

    if not toolchains(CORES["cortex-m4f"]) or find_compiler() is None:
        pytest.skip("no cross compiler here")
    watched = observer("watched")
    readings = drive(watched, 60, 2)[45:]  # around an open lead
    device = plain_device("emulated:cortex-m4f", watched, 2)
    assert same(said(device, readings), said(Compiled(watched, 2), readings))
    cost = device.cost()
    assert cost["steps"] == 30 and 1000 < cost["least_instructions"] <= cost["mean_instructions"]
    assert cost["mean_instructions"] <= cost["most_instructions"] < emulated.MOST_INSTRUCTIONS / 10
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emulated, "MOST_INSTRUCTIONS", 500)  # as if it went on
        with pytest.raises(DeviceError, match="did not return within 500 instructions"):
            device.step(readings[0])
    with pytest.raises(InputError, match="Unicorn has no cortex-m55"):
        plain_device("emulated:cortex-m55", watched)


def test_where_it_starts():
    def first(surfaces, ambient=290.0):
        return Readings(0.0, 0.0, np.full(len(surfaces), 3.3), ambient, np.array(surfaces))

    nan = np.nan
    assert start_K(first([[300.0, 302.0], [nan, 310.0]])).tolist() == [301.0, 310.0]
    assert start_K(first([[173.0, 1000.0], [nan, 300.0]])).tolist() == [290.0, 300.0]  # open, shorted
    assert start_K(first([[nan], [300.0], [304.0]], nan)).tolist() == [302.0, 300.0, 304.0]
    assert np.isnan(start_K(first([[nan]], nan))).all()
    watched = observer("cylinder")
    device = InProcess(watched)
    device.reset(first([[nan]], nan), 0.5)
    assert device.step(first([[nan]], nan)).core_K[0] == pytest.approx(watched.packed.reference_K, abs=0.1)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ([np.nan, 1.0, 0, 0], "nan"), ([np.inf, 1.0, 0, 0], "inf"), ([300.0, -1.0, 0, 0], "-1"),
        ([300.0, np.inf, 0, 0], "inf"), ([300.0, 1.0, 8, 0], "8"), ([300.0, 1.0, np.nan, 0], "nan"),
        ([300.0, 1.0, -1, 0], "-1"), ([300.0, 1.0, 0, np.nan], "nan"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_garbage(row, why):
    found = answer(3.0, np.array([[300.0, 1.0, 0, 0], row], float))
    assert found.status == Status.GARBAGE and "cell 1" in found.said and why in found.said
    assert np.isnan(found.core_K).all() and found.time_s == 3.0


def test_a_device_without_a_sigma_says_none():
    found = answer(1.0, np.array([[300.0, np.nan, 2.0, 1.0]]))
    assert found.status == Status.OK and np.isnan(found.core_std_K[0])
    assert found.fault[0, 0] == 2 and found.heat_fault[0]


def test_where_there_is_a_bus_frames_are_in_between():
    pytest.importorskip("can", reason="python-can is not installed")
    from hil.bus import Framed
    from hil.devices import make_device
    from hil.scenario import load_scenario

    plain, framed = load_scenario("us06"), load_scenario("can_loss")
    assert isinstance(make_device("model", plain), InProcess)
    for device in (make_device("model", framed), make_device("model", plain, bus="virtual")):
        assert isinstance(device, Framed) and isinstance(device.device, InProcess)
        device.close()


@pytest.mark.parametrize("text", ["", "modell", "model:x", "sil:", "emulated", "emulated:", "serial", "can:0", "FMU"])
def test_what_is_no_device_is_refused_with_the_list(text):
    with pytest.raises(InputError) as refused:
        plain_device(text, observer("cylinder"))
    assert all(name in str(refused.value) for name in DEVICES)


def test_what_is_not_there_is_refused(tmp_path):
    watched = observer("cylinder")
    with pytest.raises(InputError, match=r"target 'z80'.*cortex-m4f"):
        plain_device("emulated:z80", watched)
    with pytest.raises(InputError, match="is no bundle"):
        plain_device(f"sil:{tmp_path}", watched)
    with pytest.raises(InputError, match="is no file"):
        plain_device(f"fmu:{tmp_path / 'none.fmu'}", watched)
    with pytest.raises(InputError, match="behind a bus"):
        plain_device("can", watched)


BUILD = """
import sys, time
from hil.devices.cache import built

def build(folder):
    (folder / "text").write_text("one half, ")
    time.sleep(0.5)
    (folder / "whole").write_text("and the other")

print(built("key", build, "whole"))
"""


def test_several_processes_may_build_at_once(tmp_path):
    env = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", BUILD]
    started = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    places = {process.communicate()[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0] and len(places) == 1
    folder = Path(places.pop())
    assert sorted(path.name for path in folder.iterdir()) == ["text", "whole"]
    assert list(folder.parent.iterdir()) == [folder]  # nobody left a draft
    (folder / "whole").unlink()  # as what sweeps temporary folders does
    subprocess.run(command, env=env, check=True, capture_output=True)
    assert (folder / "whole").exists()


def test_a_cache_that_somebody_else_could_write_is_not_taken(tmp_path, monkeypatch):
    import tempfile

    from hil.devices.cache import place

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = place()
    assert own.parent == tmp_path and own == place()
    own.chmod(0o777)
    assert place() != own

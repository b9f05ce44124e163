import ctypes
import functools
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import test_firmware_export_bundle as b
from reduced_cells import reduced_cell

from bmsthermal import CoupledModel, InputError, Observer, load_cell
from bmsthermal.observer import compiled
from firmware_export import export
from firmware_export.fmu import add_fmus, export_fmu, said
from firmware_export.folder import EVIDENCE, check_own
from firmware_export.form import form_of, read_out
from firmware_export.form_coupled import CoupledForm
from firmware_export.host import compile_bundle, find_compiler

fmpy = pytest.importorskip("fmpy", reason="fmpy is not installed")
from fmpy import fmi2, fmi3  # noqa: E402
from fmpy.validation import validate_fmu  # noqa: E402

pytestmark = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler here")
KINDS = ("cylinder", "joint_slab", "watched")
VERSIONS = (2, 3)
START_K, START_SOC = 301.7, 0.63


def form(kind):
    return b.form_and_inputs(kind)["form"]


@pytest.fixture(scope="module")
def fmus(tmp_path_factory):
    @functools.cache
    def make(kind, version, real="float"):
        path = tmp_path_factory.mktemp("fmu") / f"{kind}.fmu"
        return export_fmu(b.observer(kind), path, version, real=real, form=form(kind), name=kind)

    return make


class Instance:
    """One instance, the same for both versions."""

    def __init__(self, place, token=None):
        self.about = fmpy.read_model_description(place)
        self.version = self.about.fmiMajorVersion
        name, self.log = self.about.modelIdentifier, []
        self.step_s = float(self.about.defaultExperiment.stepSize)
        kind = fmi2.FMU2Slave if self.version == 2 else fmi3.FMU3Slave
        self.fmu = kind(guid=token or self.about.guid, unzipDirectory=place, modelIdentifier=name, instanceName="one")
        if self.version == 2:
            self.callbacks = fmi2.fmi2CallbackFunctions()
            self.callbacks.logger = fmi2.fmi2CallbackLoggerTYPE(lambda e, n, s, c, m: self.log.append(m.decode()))
            self.fmu.instantiate(callbacks=self.callbacks)
        else:
            self.fmu.instantiate(logMessage=lambda e, s, c, m: self.log.append(m.decode()))
        variables = self.about.modelVariables
        self.inputs = [v.valueReference for v in variables if v.causality == "input"]
        self.shown = [v.valueReference for v in variables if v.causality in ("output", "local")]
        self.of = {v.name: v.valueReference for v in variables}
        v2 = self.version == 2
        self.get, self.set = (self.fmu.getReal, self.fmu.setReal) if v2 else (self.fmu.getFloat64, self.fmu.setFloat64)
        self.keep = self.fmu.getFMUstate if v2 else self.fmu.getFMUState
        self.put = self.fmu.setFMUstate if v2 else self.fmu.setFMUState
        self.write = self.fmu.serializeFMUstate if v2 else self.fmu.serializeFMUState
        self.read = self.fmu.deSerializeFMUstate if v2 else self.fmu.deserializeFMUState

    def start(self, time=0.0):
        self.set([self.of["start_K"], self.of["start_soc"]], [START_K, START_SOC])
        if self.version == 2:
            self.fmu.setupExperiment(startTime=time)
            self.fmu.enterInitializationMode()
        else:
            self.fmu.enterInitializationMode(startTime=time)
        self.fmu.exitInitializationMode()
        self.time = time
        return self

    def step(self, row, length=None):
        """Outputs and state after a step, by default of the length that the FMU asks for."""
        length = self.step_s if length is None else length
        self.set(self.inputs, row)
        self.fmu.doStep(currentCommunicationPoint=self.time, communicationStepSize=length)
        self.time += length
        return self.get(self.shown)


@pytest.fixture
def begin(fmus, tmp_path):
    def make(kind, version, **more):
        place = tmp_path / f"{kind}{version}"
        if not place.exists():
            fmpy.extract(fmus(kind, version), place)
        return Instance(str(place), **more)

    return make


def expected(kind, u, z, counts=None, real="float"):
    """Outputs and state after each communication step, of which each has so many steps, as Python runs them."""
    watched = b.observer(kind)
    counts = np.ones(len(u), int) if counts is None else counts
    ends, read = np.cumsum(counts) - 1, np.full((counts.sum(), z.shape[1]), np.nan)
    read[ends[counts > 0]] = z[counts > 0]  # a reading counts once, at the end of the communication step
    past, out = b.python_run(watched, real, np.repeat(u, counts, 0), read, START_K, START_SOC)
    kept, layout = form_of(watched), getattr(watched, "layout", None)
    return {
        j: np.concatenate([read_out(kept, layout, past[k], out[k], z.shape[1]), past[k]]).astype(float)
        for j, k in enumerate(ends) if k >= 0
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_validator_finds_nothing(kind, version, fmus):
    path = fmus(kind, version)
    assert validate_fmu(str(path)) == []
    about = fmpy.read_model_description(str(path), validate_model_structure=True, validate_variable_names=True)
    assert about.fmiVersion == f"{version}.0" and about.generationDateAndTime is None
    assert float(about.defaultExperiment.stepSize) == 1.0
    assert about.coSimulation.canSerializeFMUstate and not about.coSimulation.canBeInstantiatedOnlyOncePerProcess
    assert version == 2 or float(about.coSimulation.fixedInternalStepSize) == 1.0
    of = {v.name: v for v in about.modelVariables}
    core = of["estimate.core_K"]
    assert (core.unit, core.declaredType.displayUnit) == ("K", "degC")
    assert of["estimate.innovation_K[1]"].declaredType.relativeQuantity in (True, "true")
    assert of["current_A"].start == "NaN" and of["current_A"].unit == "A"
    assert of["state.soc"].unit is None and of["state.soc"].causality == "local"


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_stepping_has_the_bytes_of_python(kind, version, begin):
    u, z = b.drive(b.observer(kind), 1500, seed=3)  # with absent samples, and whole stretches of them
    rows, wanted = np.hstack([u, z]), expected(kind, u, z)
    instance = begin(kind, version).start()
    for k, row in enumerate(rows):
        found = instance.step(row)
        if k % 97 == 0 or k == len(rows) - 1:
            assert np.array(found).tobytes() == wanted[k].tobytes(), k


@needs_compiler
def test_another_precision_another_step(fmus, tmp_path):
    u, z = b.drive(b.observer("sensors"), 200, seed=3)
    instance = Instance(fmpy.extract(fmus("sensors", 3, "double"), tmp_path / "d")).start()
    assert instance.step_s == 0.5
    for row in np.hstack([u, z]):
        found = instance.step(row)
    assert np.array(found).tobytes() == expected("sensors", u, z, real="double")[199].tobytes()


@needs_compiler
def test_the_filter_on_a_reduced_cell_is_an_fmu_too(tmp_path):
    pytest.importorskip("bmsthermal._cell_filter", reason="the compiled kernel is missing")
    watched = Observer(reduced_cell())
    path = export_fmu(watched, tmp_path / "c.fmu", 3)
    assert validate_fmu(str(path)) == []
    instance = Instance(fmpy.extract(str(path), tmp_path / "c")).start()
    assert instance.log == []
    rng = np.random.default_rng(4)
    u = np.column_stack([rng.normal(0.0, 5.0, 60), rng.normal(3.7, 0.02, 60), np.full(60, 296.0)])
    z = rng.normal(300.0, 0.1, (60, 1))
    u[20:25, :2], z[rng.random(60) < 0.2] = np.nan, np.nan
    for row in np.hstack([u, z]):
        found = instance.step(row)
    past, out = CoupledForm(watched, "float").run(u, z, START_K, START_SOC)
    assert np.array(found).tobytes() == np.concatenate([out[-1], past[-1]]).astype(float).tobytes()


@needs_compiler
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("length", [1.0, 2.0, 0.5, 1.3, 0.1])
def test_communication_steps_are_rounded_and_the_rest_is_carried(version, length, begin):
    u, z = b.drive(b.observer("cylinder"), 120, seed=8)
    ends = np.arange(1, 121) * length
    steps = np.floor(ends + 0.5 + 1e-6)  # halves up, whatever the sum of the lengths is rounded to
    counts = np.diff(steps, prepend=0).astype(int)
    wanted = expected("cylinder", u, z, counts)
    instance = begin("cylinder", version).start(time=40.0)
    for j, row in enumerate(np.hstack([u, z])):
        found = instance.step(row, length)
        if j in wanted:
            assert np.array(found).tobytes() == wanted[j].tobytes(), j
    assert instance.get([0]) == [instance.time]


@needs_compiler
@pytest.mark.parametrize("version", VERSIONS)
def test_a_state_repeats_exactly(version, begin):
    u, z = b.drive(b.observer("watched"), 300, seed=1)
    rows = np.hstack([u, z])
    instance = begin("watched", version).start()
    for row in rows[:200]:
        instance.step(row, 1.3)
    kept, time = instance.keep(), instance.time
    bytes_ = instance.write(kept)
    first = [instance.step(row, 1.3) for row in rows[200:]]
    instance.put(kept)
    instance.time = time
    assert [instance.step(row, 1.3) for row in rows[200:]] == first
    other = begin("watched", version)  # never started: the bytes say where it stands
    other.put(other.read(bytes_))
    other.time = time
    assert [other.step(row, 1.3) for row in rows[200:]] == first
    assert other.write(other.keep()) == instance.write(instance.keep())


@needs_compiler
@pytest.mark.parametrize("version", VERSIONS)
def test_instances_do_not_know_each_other_and_reset_forgets(version, begin):
    u, z = b.drive(b.observer("cylinder"), 60, seed=2)
    rows = np.hstack([u, z])
    one, two = begin("cylinder", version).start(), begin("cylinder", version).start()
    for k in range(60):
        first, second = one.step(rows[k]), two.step(rows[59 - k])
    assert np.array(first).tobytes() == expected("cylinder", u, z)[59].tobytes()
    assert np.array(second).tobytes() == expected("cylinder", u[::-1], z[::-1])[59].tobytes()
    one.fmu.terminate()
    one.fmu.reset()
    one.start()
    for row in rows:
        again = one.step(row)
    assert again == first


@needs_compiler
@pytest.mark.parametrize("version", VERSIONS)
def test_before_the_first_step_it_says_where_it_starts(version, begin):
    instance = begin("cylinder", version)
    core = instance.of["estimate.core_K"]
    assert instance.get([core])[0] == pytest.approx(298.15, abs=1e-4)
    instance.start()
    assert instance.get([core])[0] == pytest.approx(START_K, abs=1e-4)
    assert np.isnan(instance.get(instance.inputs)).all()


@needs_compiler
@pytest.mark.parametrize("version", VERSIONS)
def test_refusals_are_sentences(version, begin):
    with pytest.raises(Exception, match="instantiate"):
        begin("cylinder", version, token="of another one")
    instance = begin("cylinder", version)

    def refused(call, *said):
        with pytest.raises(Exception, match="rror"):
            call()
        assert all(words in instance.log[-1] for words in said), instance.log

    instance.time = 0.0
    refused(lambda: instance.step([np.nan] * 6), "a step", "before initialisation")
    refused(lambda: instance.set([instance.of["estimate.core_K"]], [300.0]), "cannot be set")
    refused(lambda: instance.get([10_000]), "no variable has the reference 10000")
    instance.start()
    refused(lambda: instance.set([instance.of["start_K"]], [300.0]), "any more")
    refused(lambda: instance.step([np.nan] * 6, -1.0), "a communication step of -1 s")
    refused(lambda: instance.step([np.nan] * 6, np.nan), "a communication step of nan s")
    instance.time = 5.0
    refused(lambda: instance.step([np.nan] * 6), "a step from 5 s does not follow", "0 s")
    refused(lambda: instance.read(b"no state"), "these 8 bytes are no state of this FMU")
    refused(instance.fmu.enterInitializationMode, "the instance is stepping")
    other = instance.fmu.getInteger if version == 2 else instance.fmu.getInt32
    refused(lambda: other([1]), "all variables are")
    assert other([]) == []
    instance.fmu.terminate()
    refused(lambda: instance.step([np.nan] * 6), "any more")
    refused(lambda: instance.fmu.doStep(0.0, 1.0), "terminated")


@needs_compiler
@pytest.mark.parametrize("version", VERSIONS)
def test_fmpy_simulates_a_drive(version, fmus):
    u, z = b.drive(b.observer("cylinder"), 50, seed=5)
    about = fmpy.read_model_description(str(fmus("cylinder", version)))
    names = [v.name for v in about.modelVariables if v.causality == "input"]
    rows = np.hstack([u, z])
    signals = np.array([(k, *row) for k, row in enumerate(rows)], [(name, float) for name in ("time", *names)])
    result = fmpy.simulate_fmu(
        str(fmus("cylinder", version)), stop_time=50, output_interval=1, input=signals, output=["estimate.core_K"],
        start_values={"start_K": START_K, "start_soc": START_SOC},
    )  # fmt: skip
    wanted = expected("cylinder", u, z)
    assert result["estimate.core_K"][1:].tolist() == [wanted[k][0] for k in range(50)]


@needs_compiler
def test_fmi_3_has_all_of_its_functions_and_the_kernel_is_hidden(fmus, tmp_path):
    place = Path(fmpy.extract(fmus("cylinder", 3), tmp_path / "c"))
    wanted = set(re.findall(r"(fmi3\w+)TYPE", (place / "sources/fmi3FunctionTypes.h").read_text()))
    (binary,) = (place / "binaries").glob("*/cylinder.*")
    library = ctypes.CDLL(str(binary))
    assert len(wanted) > 70 and not [name for name in wanted if not hasattr(library, name)]
    assert not hasattr(library, "cylinder_step")  # so that two FMUs of one name do not meet


@pytest.mark.parametrize("version", VERSIONS)
def test_same_observer_same_bytes(version, fmus, tmp_path):
    path = fmus("cylinder", version)
    again = export_fmu(b.observer("cylinder"), tmp_path / "x.fmu", version, form="ekf", name="cylinder")
    assert again.read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
        for entry in entries:
            assert b"/tmp" not in archive.read(entry) and str(tmp_path).encode() not in archive.read(entry)
        shipped = archive.read("sources/observer.h")
        header = archive.read(f"sources/fmi{version}Functions.h")
    assert shipped == (Path(b.__file__).parents[1] / "bmsthermal/kernel/observer.h").read_bytes()
    assert b"Redistribution and use in source and binary forms" in header  # the licence stays in it


@needs_compiler
@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake here")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_sources_build_again(version, fmus, tmp_path):
    build = pytest.importorskip("fmpy.build", reason="an fmpy that does not build")
    fmpy.extract(fmus("cylinder", version), tmp_path / "c")
    shutil.rmtree(tmp_path / "c/binaries")
    build.build_platform_binary(tmp_path / "c")
    u, z = b.drive(b.observer("cylinder"), 50, seed=5)
    instance = Instance(str(tmp_path / "c")).start()
    assert instance.log == []  # the self-test had nothing to say
    for row in np.hstack([u, z]):
        found = instance.step(row)
    assert np.array(found).tobytes() == expected("cylinder", u, z)[49].tobytes()


@needs_compiler
@pytest.mark.parametrize("version", VERSIONS)
def test_a_build_that_computes_something_else_says_so(version, fmus, tmp_path):
    fmpy.extract(fmus("cylinder", version), tmp_path / "c")
    folder = tmp_path / "c/sources"
    model = folder / "cylinder_model.c"
    model.write_text(model.read_text().replace(".soc_per_A = ", ".soc_per_A = 2.0f * "))
    (binary,) = (tmp_path / "c/binaries").glob("*/cylinder.*")
    compile_bundle(folder, [path.name for path in folder.glob("*.c")], binary, "-shared", "-fPIC")
    assert "does not compute what was tested" in Instance(str(tmp_path / "c")).log[0]


@needs_compiler
@pytest.mark.skipif(shutil.which("nm") is None, reason="no nm here")
def test_several_link_into_one_program_with_a_prefix(fmus, tmp_path):
    objects = []
    for kind, version in (("cylinder", 2), ("cylinder", 3), ("joint_slab", 3)):
        fmpy.extract(fmus(kind, version), tmp_path / f"{kind}{version}")
        prefix = f"-DFMI{version}_FUNCTION_PREFIX={kind}_"
        for source in (tmp_path / f"{kind}{version}/sources").glob(f"*_fmi{version}.c"):
            objects.append(compile_bundle(source.parent, [source.name], tmp_path / f"{kind}{version}.o", "-c", prefix))
    said = subprocess.run(["nm", "--defined-only", "-g", *objects], capture_output=True, text=True, check=True).stdout
    names = [line.split()[-1] for line in said.splitlines() if " T " in line]
    assert len(names) == len(set(names)) and "joint_slab_fmi3DoStep" in names


def test_without_a_compiler_there_are_sources_only(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    path = export_fmu(b.observer("cylinder"), tmp_path / "c.fmu", 3)
    assert validate_fmu(str(path)) == []
    assert said(path) == "c.fmu: sources only: no C compiler found here to build it"


def test_the_folder_of_a_bundle_holds_them_whole(tmp_path):
    watched = b.observer("cylinder")
    bundle = export(watched, tmp_path / "c", form="ekf")
    before = b.contents(bundle.folder)
    paths = add_fmus(bundle, watched, (3, 2, 3))
    assert [path.name for path in paths] == [f"{bundle.name}_fmi2.fmu", f"{bundle.name}_fmi3.fmu"]
    after = b.contents(bundle.folder)
    assert {name for name in after if after[name] != before.get(name)} == {EVIDENCE, *(path.name for path in paths)}
    assert set(json.loads(after[EVIDENCE])["files"]) == {path.name for path in paths}
    check_own(bundle.folder)
    alone = export_fmu(watched, tmp_path / "alone.fmu", 3, form="ekf")
    assert alone.read_bytes() == paths[1].read_bytes()
    export(watched, bundle.folder, form="ekf")  # of the same bytes: they still belong to it
    assert b.contents(bundle.folder) == after
    export(watched, bundle.folder, form="ud")  # takes the place of all of it
    assert not b.contents(bundle.folder).keys() & {EVIDENCE, *(path.name for path in paths)}


def test_other_refusals(tmp_path, monkeypatch):
    watched = b.observer("cylinder")
    with pytest.raises(InputError, match=r"FMI version 1, expected 2 or 3"):
        export_fmu(watched, tmp_path / "c.fmu", 1)
    twice = Observer(CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=2), ["coolant_side"])
    with pytest.raises(InputError, match="'coolant_side_K' twice"):
        export_fmu(twice, tmp_path / "c.fmu")
    monkeypatch.setenv("CC", "false")
    with pytest.raises(InputError, match=r"binary was not built: 'false' failed.*; name another C compiler with CC"):
        export_fmu(watched, tmp_path / "c.fmu")
    monkeypatch.setitem(sys.modules, "fmpy", None)
    with pytest.raises(InputError, match=r'pip install "bmsthermal\[fmi\]"'):
        export_fmu(watched, tmp_path / "c.fmu")
    assert not list(tmp_path.iterdir())


def test_the_heat_is_given_to_an_fmu_too(tmp_path):
    reduced = CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=4)
    observer = Observer(reduced, ["surface"]).on_target("float", "ekf")
    bundle = export(observer, tmp_path / "given", form="ekf", inputs="heat")
    assert [path.name[-9:] for path in add_fmus(bundle, observer, [2, 3])] == ["_fmi2.fmu", "_fmi3.fmu"]

"""The foxBMS 2 adapter against stand-ins of its headers: what the database says has to reach the observer, and back."""

import ctypes
import functools
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Observer, load_cell
from bmsthermal.observer import compiled
from firmware_export import export
from firmware_export.folder import MANIFEST
from firmware_export.foxbms import write_foxbms
from firmware_export.host import find_compiler

pytestmark = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler here")
ARM = "arm-none-eabi-gcc"
needs_arm = pytest.mark.skipif(shutil.which(ARM) is None, reason=f"no {ARM} here")

HEADERS = Path(__file__).parent / "foxbms"
STRICT = (
    "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wdouble-promotion", "-Wshadow",
    "-Wundef", "-Wcast-qual", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror", "-ffp-contract=off",
)  # fmt: skip
PACK = {"BS_NR_OF_STRINGS": 2, "BS_NR_OF_MODULES_PER_STRING": 3}
TEMPERATURE, VOLTAGE, CURRENT, SOC = range(4)  # numbers of the stand-in database's entries
ABSENT_CURRENT, ABSENT_VOLTAGE, ABSENT_COOLANT, ABSENT_SENSOR = 1, 2, 4, 8
ZERO = np.float32(273.15)


@functools.cache
def observer(kind):
    cell = load_cell("lfp_32113" if kind == "watched" else "a123_26650")
    if kind == "watched":
        rz = CoupledModel(cell, heat="measured", thermal="r-z").reduce(order=4)
        return Observer(rz, ["surface", "surface_left", "surface_right"], estimate=("heat",), faults=True)
    return Observer(CoupledModel(cell, heat="measured").reduce(order=3))


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    @functools.cache
    def make(kind, real="float"):
        place = tmp_path_factory.mktemp("foxbms")
        bundle = export(observer(kind), place / "bundle", real=real, name=kind)
        write_foxbms(bundle, place / "foxbms")
        return bundle, place / "foxbms"

    return make


def command(bundle, folder, *flags, compiler="cc", **defines):
    includes = [f"-I{place}" for place in (HEADERS, folder, bundle.folder)]
    return [compiler, *STRICT, "-O1", *includes, *(f"-D{k}={v}" for k, v in defines.items()), *flags]


def build(bundle, folder, place, **defines):
    """The adapter, the bundle and the stand-ins as a shared object."""
    name = bundle.name
    sources = [*folder.glob("*.c"), *(bundle.folder / f"{name}{part}.c" for part in ("", "_model", "_selftest"))]
    files = [str(file) for file in (*sources, HEADERS / "bench.c")]
    compiler = find_compiler()[0]
    flags = ("-shared", "-fPIC", *files, "-o", str(place / "bench.so"), "-lm")
    subprocess.run(command(bundle, folder, *flags, compiler=compiler, **defines), check=True)
    return Pack(ctypes.CDLL(str(place / "bench.so")), bundle)


class Pack:
    """A battery as foxBMS sees it, in its units; every write of a step is a second later."""

    def __init__(self, lib, bundle):
        self.lib, self.bundle, self.time_ms = lib, bundle, 1000
        lib.set_soc.argtypes = [ctypes.c_uint, ctypes.c_float]
        lib.set_time(self.time_ms)

    def every(self, temperature_ddegC=250, voltage_mV=3300, current_mA=0, invalid=0):
        """The same everywhere."""
        for s in range(2):
            self.lib.set_current(s, current_mA, invalid)
            for m in range(3):
                for k in range(8):
                    self.lib.set_temperature(s, m, k, temperature_ddegC, invalid)
                for c in range(18):
                    self.lib.set_voltage(s, m, c, voltage_mV, invalid)

    def step(self, wrote=(TEMPERATURE, VOLTAGE, CURRENT), wait_ms=1000):
        for entry in wrote:
            self.lib.written(entry)
        self.lib.run()
        self.time_ms += wait_ms
        self.lib.set_time(self.time_ms)

    def start(self, soc_perc=50.0):
        assert self.lib.initialize() == 0
        for s in range(2):
            self.lib.set_soc(s, soc_perc)
        self.lib.written(SOC)
        self.every()
        self.step()

    def told(self, s, m, e):
        return self.lib.core_ddegC(s, m, e), self.lib.sigma_ddegC(s, m, e), self.lib.is_invalid(s, m, e)


class Direct:
    """The bundle's own functions beside the adapter: what it should have made of the same readings."""

    def __init__(self, pack, surface_ddegC=250, soc=0.5):
        self.lib, self.name = pack.lib, pack.bundle.name
        self.walls = len(pack.bundle.manifest["sizes"]["walls"])
        self.model = ctypes.byref(ctypes.c_char.in_dll(self.lib, f"{self.name}_model"))
        self.state = np.zeros(pack.bundle.manifest["sizes"]["state_bytes"] // 4, np.float32)
        self.out = np.zeros(pack.bundle.manifest["sizes"]["output_bytes"] // 4, np.float32)
        surface_K = np.float32(surface_ddegC) * np.float32(0.1) + ZERO
        self.call("init", ctypes.c_float(surface_K), ctypes.c_float(soc))

    def call(self, verb, *arguments):
        getattr(self.lib, f"{self.name}_{verb}")(self.model, ctypes.c_void_p(self.state.ctypes.data), *arguments)

    def step(self, current_A, voltage_V, surface_degC, coolant_degC=25.0):
        surface_K, coolant_K = (
            np.float32(np.round(degC * 10)) * np.float32(0.1) + ZERO for degC in (surface_degC, coolant_degC)
        )
        u = np.array([current_A, voltage_V, np.nan, *[coolant_K] * self.walls, *[np.nan] * self.walls], np.float32)
        z = np.array([surface_K], np.float32)
        self.call("step", *(ctypes.c_void_p(row.ctypes.data) for row in (u, z, self.out)))

    @property
    def told(self):
        self.call("get", ctypes.c_void_p(self.out.ctypes.data))
        core, variance = (self.out[:2]).astype(float)
        sigma_ddegC = math.ceil(math.sqrt(variance) * 10)
        return round((core - float(ZERO)) * 10), sigma_ddegC, int(sigma_ddegC > 50)


@pytest.fixture
def pack(adapters, tmp_path):
    pack = build(*adapters("plain"), tmp_path, **PACK)
    pack.start()
    return pack


@needs_compiler
@pytest.mark.parametrize(("discharges", "parallel"), [("true", 1), ("false", 1), ("true", 4)])
def test_units_signs_and_places(discharges, parallel, adapters, tmp_path):
    positive = {"BS_POSITIVE_DISCHARGE_CURRENT": discharges, "BS_NR_OF_PARALLEL_CELLS_PER_CELL_BLOCK": f"{parallel}u"}
    pack = build(*adapters("plain"), tmp_path, **PACK, **positive)
    pack.start()
    hot, cold = Direct(pack), Direct(pack)
    for _ in range(40):
        pack.every()
        pack.lib.set_current(1, -30_000, 0)
        pack.lib.set_temperature(1, 2, 5, 312, False)
        pack.lib.set_voltage(1, 2, 12, 3456, False)  # of estimator 5 as it is written: (2 * 5 + 1) * 18 // 16
        pack.step()
        ampere = np.float32(-30_000) * np.float32(0.001) * np.float32(1 if discharges == "true" else -1)
        hot.step(ampere / np.float32(parallel), np.float32(3456) * np.float32(0.001), 31.2)
        cold.step(0.0, np.float32(3300) * np.float32(0.001), 25.0)
        assert pack.told(1, 2, 5) == hot.told
        assert pack.told(0, 2, 5) == pack.told(0, 0, 0) == cold.told
    assert hot.told != cold.told and pack.told(1, 2, 5) != pack.told(1, 2, 4)
    assert [pack.lib.absent(s, m, e) for s in range(2) for m in range(3) for e in range(8)] == [0] * 48


@needs_compiler
def test_a_discharge_warms_under_either_sign(adapters, tmp_path):
    # at 3 V a discharge releases heat and a charge would have to take it up: without a sensor the sign shows
    for discharges, ampere in (("true", 20_000), ("false", -20_000)):
        (tmp_path / discharges).mkdir()
        pack = build(*adapters("plain"), tmp_path / discharges, **PACK, BS_POSITIVE_DISCHARGE_CURRENT=discharges)
        pack.start()
        for _ in range(60):
            pack.every(current_mA=ampere, voltage_mV=3000)
            pack.step(wrote=(VOLTAGE, CURRENT))
        assert pack.told(0, 0, 0)[0] > 252


@needs_compiler
def test_invalid_flags_become_absent(pack):
    direct = Direct(pack)
    nothing = np.nan
    for k, (current, voltage, sensor) in enumerate([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)] * 5):
        pack.every(current_mA=5000, voltage_mV=3200)
        pack.lib.set_current(0, 5000, current)
        pack.lib.set_voltage(0, 1, 1, 3200, bool(voltage))
        pack.lib.set_temperature(0, 1, 0, 250 + k, bool(sensor))
        pack.step()
        direct.step(
            nothing if current else np.float32(5000) * np.float32(0.001),
            nothing if voltage else np.float32(3200) * np.float32(0.001),
            nothing if sensor else 25.0 + k / 10,
        )
        assert pack.told(0, 1, 0) == direct.told
        assert pack.lib.absent(0, 1, 0) == current * ABSENT_CURRENT | voltage * ABSENT_VOLTAGE | sensor * ABSENT_SENSOR
        assert pack.lib.absent(1, 1, 0) == 0  # the other string has its own current


@needs_compiler
def test_what_was_not_written_is_absent(pack):
    pack.every()
    pack.step()
    assert pack.lib.absent(0, 0, 0) == 0
    pack.step(wrote=(VOLTAGE, CURRENT))  # recent, but its reading has been used
    assert pack.lib.absent(0, 0, 0) == ABSENT_SENSOR
    for _ in range(3):
        pack.step(wrote=())
    assert pack.lib.absent(0, 0, 0) == ABSENT_CURRENT | ABSENT_VOLTAGE | ABSENT_SENSOR
    pack.every()
    pack.lib.set_broken(True)
    pack.step()
    assert pack.lib.absent(0, 0, 0) == ABSENT_CURRENT | ABSENT_VOLTAGE | ABSENT_SENSOR
    pack.lib.set_broken(False)
    pack.every()
    pack.step()
    assert pack.lib.absent(0, 0, 0) == 0
    for _ in range(3):  # one string's current sensor falls silent, the other keeps the entry recent
        pack.lib.set_current(1, 0, 0)
        pack.step()
    assert (pack.lib.absent(0, 0, 0), pack.lib.absent(1, 0, 0)) == (ABSENT_CURRENT, 0)


@needs_compiler
def test_the_clock_wraps(pack):
    pack.time_ms = 2**32 - 1500
    pack.lib.set_time(pack.time_ms)
    for _ in range(4):
        pack.every()
        pack.step()
        pack.time_ms %= 2**32
        assert pack.lib.absent(0, 0, 0) == 0


@needs_compiler
def test_a_start_waits_for_a_surface_and_a_charge(adapters, tmp_path):
    pack = build(*adapters("plain"), tmp_path, **PACK)
    assert pack.lib.initialize() == 0
    assert pack.lib.timestamp() == 1000 and pack.told(0, 0, 0) == (0, 0, 1)
    pack.step(wrote=())  # zeros that look valid, never written
    assert pack.lib.is_invalid(0, 0, 0)
    pack.every(temperature_ddegC=301)
    pack.step()
    assert pack.lib.is_invalid(0, 0, 0)
    pack.lib.set_soc(0, 80.0)
    pack.lib.written(SOC)
    pack.lib.set_temperature(0, 0, 3, 301, True)
    pack.step()
    assert pack.told(0, 0, 0) == Direct(pack, 301, np.float32(80) * np.float32(0.01)).told
    pack.step()
    assert pack.lib.is_invalid(0, 0, 3) and not pack.lib.is_invalid(0, 0, 2)
    pack.lib.set_temperature(0, 0, 3, 301, False)
    pack.step()
    assert pack.told(0, 0, 3)[:2] == (301, 51)  # the prior of a start is wider than an estimate may be
    pack.step()
    assert not pack.lib.is_invalid(0, 0, 3)
    assert pack.lib.initialize() == 0
    assert pack.lib.is_invalid(0, 0, 3)


@needs_compiler
def test_a_long_silence_makes_an_estimate_invalid(adapters, tmp_path):
    bundle, folder = adapters("plain")
    own = shutil.copytree(folder, tmp_path / "own")
    cfg = own / "cte_cfg.h"
    cfg.write_text(cfg.read_text().replace("MAXIMUM_SIGMA_ddegC (50u)", "MAXIMUM_SIGMA_ddegC (8u)"))
    pack = build(bundle, own, tmp_path, **PACK)
    pack.start()
    for _ in range(50):
        pack.every()
        pack.step()
    assert pack.told(0, 0, 0)[1] <= 8 and not pack.lib.is_invalid(0, 0, 0)
    for _ in range(300):
        pack.step(wrote=())
    assert pack.told(0, 0, 0)[1] > 8 and pack.lib.is_invalid(0, 0, 0)


@needs_compiler
@pytest.mark.parametrize(("sensor_ddegC", "expected_ddegC"), [(32_767, 32_767), (-32_768, -32_768), (-5, -5), (4, 4)])
def test_numbers_are_held_inside_int16(sensor_ddegC, expected_ddegC, adapters, tmp_path):
    # the observer starts at its sensor; 0.1 degC apart because 3276.7 degC is not a float
    pack = build(*adapters("plain"), tmp_path, **PACK)
    assert pack.lib.initialize() == 0
    pack.lib.written(SOC)
    pack.every(temperature_ddegC=sensor_ddegC)
    pack.step()
    assert abs(pack.told(0, 0, 0)[0] - expected_ddegC) <= (1 if abs(sensor_ddegC) > 30_000 else 0)


@needs_compiler
def test_rounding_to_the_database(adapters, tmp_path):
    bundle, folder = adapters("plain")
    own = shutil.copytree(folder, tmp_path / "own")
    (own / "cte.c").write_text((own / "cte.c").read_text() + "\nextern int saturated(float_t x);\n"
                               "extern int saturated(float_t x) { return CTE_Saturate(x); }\n")  # fmt: skip
    pack = build(bundle, own, tmp_path, **PACK)
    pack.lib.saturated.argtypes = [ctypes.c_float]
    given = [0.0, 0.49, 0.5, -0.49, -0.5, 32766.4, 32766.6, 32767.5, 1e30, -32767.6, -32768.0, -1e30, np.nan, -np.inf]
    wanted = [0, 0, 1, 0, -1, 32766, 32767, 32767, 32767, -32768, -32768, -32768, -32768, -32768]
    assert [pack.lib.saturated(x) for x in given] == wanted


@needs_compiler
def test_coolant_from_a_sensor(adapters, tmp_path):
    bundle, folder = adapters("plain")
    own = shutil.copytree(folder, tmp_path / "own")
    cfg, sensor = own / "cte_cfg.c", ".fromSensor = true, .module = 1u, .sensor = 7u"
    cfg.write_text(cfg.read_text().replace(".fromSensor = false, .module = 0u, .sensor = 0u", sensor))
    pack = build(bundle, own, tmp_path, **PACK)
    pack.start()
    direct = Direct(pack)
    for k in range(20):
        pack.every()
        pack.lib.set_temperature(0, 1, 7, 100, k == 7)
        pack.step()
        direct.step(0.0, np.float32(3300) * np.float32(0.001), 25.0, math.nan if k == 7 else 10.0)
        assert pack.told(0, 0, 0) == direct.told
        assert pack.lib.absent(0, 0, 0) == (ABSENT_COOLANT if k == 7 else 0)
        assert pack.lib.absent(1, 0, 0) == 0
    pack.step(wrote=(VOLTAGE, CURRENT))
    assert pack.lib.absent(0, 0, 0) == ABSENT_SENSOR  # a coolant holds, a correction does not


@needs_compiler
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("cte_cfg.c", ".cellBlock = 1u", ".cellBlock = 18u"), ("cte_cfg.c", ".sensor = {7u}", ".sensor = {8u}"),
        ("cte_cfg.c", ".fromSensor = false, .module = 0u", ".fromSensor = true, .module = 3u"),
        ("cte_cfg.c", ".fromSensor = false, .module = 0u, .sensor = 0u",
         ".fromSensor = true, .module = 0u, .sensor = 8u"),
        ("plain.h", "STEP_S 1.0f", "STEP_S 0.5f"), ("plain_model.c", ".mean = ", ".mean = 1.0f + "),
    ],
)  # fmt: skip
def test_initialization_fails_where_it_has_to(file, old, new, adapters, tmp_path):
    bundle, folder = adapters("plain")
    own = shutil.copytree(folder, tmp_path / "own")
    shutil.copytree(bundle.folder, own, dirs_exist_ok=True)
    text = (own / file).read_text()
    assert old in text
    (own / file).write_text(text.replace(old, new))
    for name in ("main.c", "README.md"):
        (own / name).unlink()
    sources = [str(path) for path in (*own.glob("*.c"), HEADERS / "bench.c")]
    flags = ("-shared", "-fPIC", *sources, "-o", str(tmp_path / "bench.so"), "-lm")
    subprocess.run(command(bundle, own, *flags, compiler=find_compiler()[0], **PACK), check=True)
    assert ctypes.CDLL(str(tmp_path / "bench.so")).initialize() == 1


@needs_compiler
@pytest.mark.parametrize(
    ("defines", "said"),
    [
        ({"ALGO_TICK_ms": "300u"}, "not a multiple of ALGO_TICK_ms"),
        ({"CTE_OBSERVER_STEP_ms": None}, "the constants of the observer belong to one step"),
        ({"BS_NR_OF_TEMP_SENSORS_PER_MODULE": "6u"}, "written for 8 sensors a module"),
        ({"BS_NR_OF_CELL_BLOCKS_PER_MODULE": "12u"}, "written for 18 cell blocks a module"),
    ],
)
def test_what_does_not_match_does_not_compile(defines, said, adapters, tmp_path):
    bundle, folder = adapters("plain")
    own = shutil.copytree(folder, tmp_path / "own")
    if None in defines.values():
        cfg = own / "cte_cfg.h"
        cfg.write_text(cfg.read_text().replace("CYCLE_TIME_ms (1000u)", "CYCLE_TIME_ms (500u)"))
        defines = {}
    flags = ("-fsyntax-only", *map(str, own.glob("*.c")))
    words = command(bundle, own, *flags, compiler=find_compiler()[0], **defines)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode and said in done.stderr


@needs_compiler
@pytest.mark.parametrize(("kind", "real"), [("plain", "double"), ("watched", "float")])
def test_other_observers_compile_and_run(kind, real, adapters, tmp_path):
    pack = build(*adapters(kind, real), tmp_path, **PACK)
    pack.start()
    for _ in range(5):
        pack.every(current_mA=1000, voltage_mV=3250)
        pack.step()
    assert pack.told(1, 2, 1)[0] == pytest.approx(250, abs=10) and not pack.lib.is_invalid(1, 2, 1)


@needs_arm
@pytest.mark.parametrize("kind", ["plain", "watched"])
def test_it_compiles_for_the_core_of_foxbms(kind, adapters, tmp_path):
    bundle, folder = adapters(kind)
    core = ("-mcpu=cortex-r5", "-mfpu=vfpv3-d16", "-mfloat-abi=hard", "-marm", "-mbig-endian", "-O0")
    for source in folder.glob("*.c"):
        flags = (*core, "-c", str(source), "-o", str(tmp_path / "part.o"))
        subprocess.run(command(bundle, folder, *flags, compiler=ARM, **PACK), check=True)


def test_the_folder(adapters, tmp_path):
    bundle, folder = adapters("plain")
    again = write_foxbms(bundle, tmp_path / "again")
    assert {p.name: p.read_bytes() for p in again} == {p.name: p.read_bytes() for p in folder.iterdir()}
    assert MANIFEST in {p.name for p in again}
    write_foxbms(bundle, tmp_path / "again", prefix="CORE", sensors=2, cell_blocks=4, coolant_degC=-10.0)
    text = (tmp_path / "again" / "core_cfg.c").read_text()
    assert ".cellBlock = 1u, .sensor = {0u}" in text and ".cellBlock = 3u, .sensor = {1u}" in text
    assert ".constant_ddegC = -100}" in text
    assert not [p for p in (tmp_path / "again").iterdir() if "cte" in p.name or "CTE" in p.read_text()]
    (tmp_path / "again" / "core_cfg.c").write_text("/* our map */")
    with pytest.raises(InputError, match="changed after it was exported"):
        write_foxbms(bundle, tmp_path / "again")
    widths = [len(line) for p in folder.iterdir() for line in p.read_text().splitlines() if p.suffix in (".c", ".h")]
    assert max(widths) <= 120


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prefix": "Core"}, "prefix 'Core'"), ({"prefix": "DATA"}, "prefix 'DATA'"), ({"sensors": 0}, "0 sensors"),
        ({"cell_blocks": 0}, "0 cell blocks"), ({"coolant_degC": 1e4}, "coolant_degC"),
        ({"coolant_degC": math.nan}, "coolant_degC"),
    ],
)  # fmt: skip
def test_options_that_are_refused(options, said, adapters, tmp_path):
    with pytest.raises(InputError, match=said):
        write_foxbms(adapters("plain")[0], tmp_path / "f", **options)
    assert not list(tmp_path.iterdir())


def test_bundles_and_folders_that_are_refused(adapters, tmp_path):
    bundle, _ = adapters("plain")
    with pytest.raises(InputError, match="in the bundle's folder"):
        write_foxbms(bundle, bundle.folder / "foxbms")
    with pytest.raises(InputError, match="2 sensors a module"):
        write_foxbms(adapters("watched")[0], tmp_path / "f", sensors=2)
    odd = CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=2, step_s=0.0125)
    with pytest.raises(InputError, match=r"12\.5 ms"):
        write_foxbms(export(Observer(odd), tmp_path / "c", name="odd"), tmp_path / "f")


def test_the_command(tmp_path):
    typer = pytest.importorskip("typer")
    from typer.testing import CliRunner

    from firmware_export.commands import add

    app = typer.Typer()
    app.callback()(lambda: None)
    add(app)
    words = ["export", "a123_26650", "-o", str(tmp_path / "build"), "--foxbms", str(tmp_path / "foxbms"), "--no-check"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "foxbms" / "cte.c").exists() and "foxBMS" in done.output

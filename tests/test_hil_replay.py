"""Replay: what was recorded, stepped over again, says the same to the last bit; what cannot be is said why."""

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Observer, Run, load_cell
from bmsthermal.files import ZERO_DEGC_K
from hil.bench import open_bench
from hil.devices.device import DeviceError
from hil.devices.in_process import InProcess
from hil.logs import FrameLog, figures, initial_soc, read, readings_of, replay, step_of, write, write_frames
from hil.logs.records import record_of_readings, record_of_run
from hil.scenario import load_scenario
from hil.signals import Answer, Readings, Status

SECONDS = 40


@pytest.fixture(scope="module")
def observer():
    reduced = CoupledModel(load_cell("a123_26650"), heat="measured").reduce_conduction(order=3)
    return Observer(reduced, faults=True, real="float")


@pytest.fixture(scope="module")
def run():
    """A scenario with a fault, its bench's record, and what made its device."""
    scenario = load_scenario("us06_sensor_drift")
    told = scenario.observer.model_copy(update={"start_error_K": 0.0, "start_soc_error": 0.0})
    scenario = scenario.model_copy(update={"observer": told})
    with open_bench(scenario, device="model") as bench:
        bench.step(SECONDS)
        return scenario, bench.record


@pytest.fixture
def device(run):
    return InProcess(run[0].make_observer(), run[1].cells)


@pytest.mark.parametrize("ending", ["csv", "npz", "mf4"])
def test_a_recorded_run_says_the_same_to_the_last_bit(ending, run, device, tmp_path):
    if ending == "mf4":
        pytest.importorskip("asammdf")
    scenario, record = run
    write(record, tmp_path / f"run.{ending}")
    found = read(tmp_path / f"run.{ending}")
    assert (found.names, found.cells, found.sensors, found.faults) == (
        record.names, record.cells, record.sensors, record.faults,
    )  # fmt: skip
    np.testing.assert_array_equal(found.rows, record.rows)
    again = replay(device, found, scenario.step_s, initial_soc=scenario.initial_soc)
    np.testing.assert_array_equal(again.rows, record.rows)
    assert dict(figures(again)) == dict(figures(record)) and "core RMSE" in dict(figures(again))


def test_another_device_is_measured_against_the_recorded_core(run):
    scenario, record = run
    other = Observer(CoupledModel(load_cell("a123_26650"), heat="measured").reduce_conduction(order=2), record.sensors)
    again = replay(InProcess(other, record.cells), record, initial_soc=0.2)
    assert (again["core_degC"] != record["core_degC"]).any()
    np.testing.assert_array_equal(again["true_core_degC"], record["true_core_degC"])
    np.testing.assert_array_equal(again["seen_current_A"], record["seen_current_A"])
    assert initial_soc(record, other) == pytest.approx(record["true_soc"][0])
    assert step_of(record) == scenario.step_s


class Moody:
    """Answers, is late, talks nonsense, then dies."""

    name = "moody"

    def __init__(self, last=None):
        self.steps, self.last = 0, last

    def reset(self, first, soc):
        self.first, self.soc = first, soc

    def step(self, readings):
        self.steps += 1
        if self.steps == 4 and self.last is not None:
            raise self.last
        status = (Status.OK, Status.LATE, Status.GARBAGE, Status.DEAD)[self.steps - 1]
        if status is not Status.OK:
            return Answer.none(readings.time_s, 1, 1, status, status.name)
        return Answer(readings.time_s, np.array([300.0]), np.ones(1), np.array([[4]]), np.array([True]))

    def close(self):
        pass


@pytest.mark.parametrize("last", [None, DeviceError("DEAD")])
def test_whatever_a_device_does_is_in_the_record(last):
    record = record_of_readings(
        [Readings(k + 1.0, 1.0, np.array([3.3]), 298.0, np.array([[298.0]])) for k in range(6)], ["surface"]
    )
    device = Moody(last)
    found = replay(device, record, initial_soc=0.5)
    assert device.soc == 0.5 and device.first.time_s == 1.0 and device.steps == 4
    assert found["status"].tolist() == [0, 1, 2, 3, 3, 3]
    np.testing.assert_array_equal(np.isfinite(found["core_degC"]), [True, True, True, False, False, False])
    assert found["answer_age_s"].tolist()[:3] == [0, 1, 2]  # the last answer stands
    assert found.said == ((2.0, "LATE"), (3.0, "GARBAGE"), (4.0, "DEAD"))
    assert dict(figures(found)) == {
        "steps answered": "3 of 6", "steps with a fault flagged": "3", "core error": "no core was recorded",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"in steps of 1 s, expected the 0\.1 s of the device"):
        replay(device, record, 0.1, initial_soc=0.5)
    with pytest.raises(InputError, match=r"initial_soc = 1\.5"):
        replay(device, record, initial_soc=1.5)


def measured(k=60):
    random = np.random.default_rng(1)
    time_s = np.arange(k, dtype=float)
    current_A = np.round(10 * np.sin(time_s / 7), 3)
    surface = 298.0 + 0.02 * time_s + random.normal(0, 0.05, k)
    surface[5] = np.nan
    return Run(time_s, current_A, np.full(k, 3.3), np.full(k, 297.0), {"surface": surface}, surface + 1.0, "drive")


def test_a_measured_csv_says_what_the_observer_says_of_it(observer, tmp_path):
    run = measured()
    run.to_csv(tmp_path / "drive.csv")
    record = read(tmp_path / "drive.csv")
    device = InProcess(observer)
    found = replay(device, record, observer.reduced.step_s, initial_soc=0.6)
    from bmsthermal import read_measured

    seen = read_measured(tmp_path / "drive.csv")
    start = float(seen.surfaces_K["surface"][1])  # the first reading that a device steps with, as on a bench
    known = observer.run(seen, initial_soc=0.6, start_K=start)
    n = observer.reduced.order  # of the covariance, each form keeps something else
    np.testing.assert_array_equal(device.states[0, :n], known.states[-1, :n])
    # read out of the same states: here in double, there in single precision, with a few roundings of 3e-5 K
    np.testing.assert_allclose(found["core_degC"] + ZERO_DEGC_K, known.core_K[1:], rtol=0, atol=2e-4)
    np.testing.assert_allclose(found["true_core_degC"], seen.core_K[1:] - ZERO_DEGC_K, rtol=0, atol=1e-12)
    assert len(record.rows) == len(run.time_s) - 1 and "core RMSE" in dict(figures(found))


def test_a_measured_run_comes_in_the_devices_steps():
    record = record_of_run(measured(), ["surface"], 2.0)
    assert step_of(record) == 2.0 and record.time_s[0] == 2.0
    np.testing.assert_allclose(record["seen_current_A"][0], measured().current_A[:2].mean())


def test_the_first_row_tells_the_charge_or_a_sentence_does(observer):
    rest = measured()
    rest = Run(rest.time_s, 0 * rest.current_A, rest.voltage_V - 0.15, rest.ambient_K, rest.surfaces_K)
    told = record_of_run(rest, ["surface"], 1.0)
    assert 0 < initial_soc(told, observer) < 0.3  # 3.15 V at rest: a cell of iron phosphate that is nearly empty
    flat = record_of_run(measured(), ["surface"], 1.0)
    with pytest.raises(InputError, match="give it with --initial-soc"):
        initial_soc(flat, observer)


def mf4(path, **signals):
    asammdf = pytest.importorskip("asammdf")
    with asammdf.MDF(version="4.10") as mdf:
        for name, (at, values, unit) in signals.items():
            mdf.append([asammdf.Signal(np.asarray(values), np.asarray(at, float), name=name, unit=unit)])
        mdf.save(path, overwrite=True)
    return path


def test_signals_of_mf4_each_on_its_own_clock_and_in_its_own_unit(tmp_path):
    fast, slow = np.arange(0, 10, 0.1), np.arange(0.0, 10.0)
    path = mf4(
        tmp_path / "car.mf4", I_pack=(fast, 1000 * fast, "mA"), U=(slow, np.full(10, 3300.0), "mV"),
        T_skin=(slow, 298.15 + slow, "K"), T_air=(slow[::3], np.full(4, 20.0), "degC"),
    )  # fmt: skip
    names = {"current_A": "I_pack", "voltage_V": "U", "surface_degC": "T_skin", "ambient_degC": "T_air"}
    found = read(path, names=names, current_sign="charge")
    assert len(found.rows) == 9
    np.testing.assert_allclose(found["seen_current_A"], -(np.arange(9) + 0.45), atol=1e-9)  # mean of ten samples
    np.testing.assert_allclose(found["seen_surface_degC"], 26.0 + np.arange(9), atol=1e-9)
    np.testing.assert_allclose(found["seen_voltage_V"], 3.3)
    np.testing.assert_allclose(found["seen_ambient_degC"], 20.0)
    without = {key: value for key, value in names.items() if key != "ambient_degC"}
    np.testing.assert_allclose(read(path, names=without, ambient_degC=7.0)["seen_ambient_degC"], 7.0)
    with pytest.raises(InputError, match=r"no signal 'ambient_degC'.*say which one is ambient_degC"):
        read(path, names=without)
    with pytest.raises(InputError, match="signal 'U' in 'mV'"):
        read(path, names=names | {"current_A": "U"})


def test_a_bus_log_is_what_the_device_saw_of_it(tmp_path):
    pytest.importorskip("cantools")
    pytest.importorskip("asammdf")
    scenario = load_scenario("can_loss")
    told = scenario.observer.model_copy(update={"start_error_K": 0.0, "start_soc_error": 0.0})
    faults = tuple(fault.model_copy(update={"at_s": 10.0 + 20 * i}) for i, fault in enumerate(scenario.faults))
    seen = []
    with open_bench(scenario.model_copy(update={"observer": told, "faults": faults}), device="model") as bench:
        while len(seen) < 30 + 20 * len(faults):
            bench.step()
            seen.append(bench.device.seen)
        frames = list(bench.device.frames)
    for ending in ("blf", "asc", "log", "mf4"):
        write_frames(frames, tmp_path / f"run.{ending}")
        record = read(
            tmp_path / f"run.{ending}", bus=scenario.bus, sensors=scenario.observer.sensors, step_s=scenario.step_s
        )
        found = list(readings_of(record))
        assert [each.time_s for each in found] == pytest.approx([each.time_s for each in seen][: len(found)])
        assert len(seen) - len(found) <= 60  # nothing is known of steps after the last good frame
        for one, other in zip(found, seen, strict=False):
            assert (one.current_A, one.ambient_K) == pytest.approx((other.current_A, other.ambient_K), nan_ok=True)
            np.testing.assert_allclose(one.voltage_V, other.voltage_V, rtol=0, atol=1e-12)
            np.testing.assert_allclose(one.surfaces_K, other.surfaces_K, rtol=0, atol=1e-12)
        ours = replay(InProcess(scenario.make_observer()), record, initial_soc=scenario.initial_soc)
        assert np.isfinite(ours["core_degC"]).all()


@pytest.mark.parametrize("given", [{}, {"profile": "foxbms", "coolant_degC": 25.0}, {"cycle_s": {"temperature": 4.0}}])
def test_a_module_on_any_bus_logged_as_it_runs_until_it_is_aborted(given, tmp_path):
    pytest.importorskip("cantools")
    from hil.bus import BusSpec

    bus, seen = BusSpec(**given), []
    scenario = load_scenario("module_branch").model_copy(update={"bus": bus})
    with (
        pytest.raises(KeyboardInterrupt),
        FrameLog(tmp_path / "run.blf") as log,
        open_bench(scenario, device="model") as bench,
    ):
        bench.device.log = log
        while True:
            bench.step()
            seen.append(bench.device.seen)
            if len(seen) == 20:
                raise KeyboardInterrupt
    cells, sensors = scenario.plant.cells, scenario.observer.sensors
    record = read(tmp_path / "run.blf", bus=bus, cells=cells, sensors=sensors, step_s=scenario.step_s)
    assert record.cells == cells > 1
    for one, other in zip(readings_of(record), seen, strict=True):
        assert one.time_s == pytest.approx(other.time_s)
        np.testing.assert_allclose([one.current_A, one.ambient_K], [other.current_A, other.ambient_K], rtol=1e-15)
        np.testing.assert_allclose(one.voltage_V, other.voltage_V, rtol=1e-15)
        np.testing.assert_allclose(one.surfaces_K, other.surfaces_K, rtol=1e-15)


@pytest.fixture
def their_dbc(tmp_path):
    cantools = pytest.importorskip("cantools")
    path = tmp_path / "their.dbc"
    path.write_text(
        'VERSION ""\n\nBU_: Car\n\nBO_ 256 Fast: 4 Car\n SG_ I : 0|32@1- (1,0) [0|0] "mA" Car\n\n'
        'BO_ 512 Slow: 6 Car\n SG_ U : 0|16@1+ (1,0) [0|0] "mV" Car\n SG_ T : 16|16@1- (0.1,0) [0|0] "degC" Car\n'
        ' SG_ Air : 32|16@1- (0.1,0) [0|0] "degC" Car\n'
    )
    return path, cantools.database.load_file(path)


THEIRS = {"current_A": "I", "voltage_V": "U", "surface_degC": "T", "ambient_degC": "Air"}


def their_frames(database, begin_s):
    import can

    for k in range(100):
        data = database.encode_message("Fast", {"I": 100 * k})
        yield can.Message(timestamp=begin_s + 0.1 * k, arbitration_id=256, data=data, is_extended_id=False)
        if k % 10 == 0:
            data = database.encode_message("Slow", {"U": 3300, "T": 25.0 + k / 10, "Air": 20.0})
            yield can.Message(timestamp=begin_s + 0.1 * k, arbitration_id=512, data=data, is_extended_id=False)


@pytest.mark.parametrize("begin_s", [0.0, 5.0])
def test_frames_of_somebody_elses_database(begin_s, their_dbc, tmp_path):
    path, database = their_dbc
    write_frames(their_frames(database, begin_s), tmp_path / "car.blf")
    found = read(tmp_path / "car.blf", path, THEIRS)
    # samples of the second around each whole one, the first of half a second
    assert found.time_s.tolist() == (begin_s + np.arange(11)).tolist()
    np.testing.assert_allclose(found["seen_current_A"][1:-1], np.arange(1, 10) + 0.05, atol=1e-9)
    np.testing.assert_allclose(found["seen_surface_degC"][:-1], 25.0 + np.arange(10), atol=1e-9)
    np.testing.assert_allclose(found["seen_voltage_V"][:-1], 3.3)


def test_dates_are_counted_from_the_first_frame(their_dbc, tmp_path):
    path, database = their_dbc
    lines = [
        f"({frame.timestamp + 1.7e9:.6f}) can0 {frame.arbitration_id:03X}#{frame.data.hex()}"
        for frame in their_frames(database, 0.0)
    ]
    (tmp_path / "car.log").write_text("\n".join(lines) + "\n")
    assert read(tmp_path / "car.log", path, THEIRS).time_s.tolist() == list(range(11))


def test_bad_frame_logs_are_told(their_dbc, tmp_path):
    path, database = their_dbc
    frames = list(their_frames(database, 0.0))
    write_frames(frames, tmp_path / "car.blf")
    whole = (tmp_path / "car.blf").read_bytes()

    def refused(match, **given):
        with pytest.raises(InputError, match=match):
            read(tmp_path / "car.blf", **given)

    ours = {"dbc": path, "names": THEIRS}
    refused(r"110 frames, and none with readings \(unknown: 110\); is the DBC its own\?")
    refused("no signal 'nothing'", dbc=path, names=THEIRS | {"current_A": "nothing"})
    refused(
        r"110 frames, and none with surface_degC \(none refused\)", dbc=path, names={"current_A": "I", "voltage_V": "U"}
    )
    (tmp_path / "car.blf").write_bytes(whole[:-200])
    refused(rf"is cut short: {len(whole) - 200} of {len(whole)} bytes", **ours)
    (tmp_path / "car.blf").write_bytes(whole[:100])
    refused("is cut short", **ours)
    (tmp_path / "car.blf").write_bytes(b"")
    refused("is no BLF file", **ours)
    (tmp_path / "car.blf").write_bytes(whole[:16] + (144).to_bytes(8, "little") + bytes(120))
    refused("holds no frames", **ours)
    write_frames([frames[20], *frames[:3]], tmp_path / "car.blf")
    refused("frame 2 is at 0.000000 s, and the one before it at", **ours)
    (tmp_path / "bad.dbc").write_text("nothing")
    refused(r"bad\.dbc: is no DBC", dbc=tmp_path / "bad.dbc", names=THEIRS)
    (tmp_path / "car.asc").write_bytes(b"\xff\xfe\x00" * 50)
    with pytest.raises(InputError, match=r"car\.asc: (holds no frames|cannot be read)"):
        read(tmp_path / "car.asc", path, THEIRS)


def test_an_aborted_log_is_replayed_as_far_as_it_goes(their_dbc, tmp_path):
    path, database = their_dbc
    write_frames(their_frames(database, 0.0), tmp_path / "car.blf")
    whole = (tmp_path / "car.blf").read_bytes()
    for cut in (len(whole), len(whole) - 50, len(whole) // 2):
        (tmp_path / "car.blf").write_bytes(whole[:16] + (144).to_bytes(8, "little") + whole[24:cut])
        found = read(tmp_path / "car.blf", path, THEIRS)
        np.testing.assert_allclose(found["seen_voltage_V"][:3], 3.3)


def test_bad_tables_are_told(run, tmp_path):
    _, record = run
    write(record, tmp_path / "r.csv")
    text = (tmp_path / "r.csv").read_text()
    lines = text.splitlines(keepends=True)

    def refused(content, match, name="r.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(InputError, match=match):
            read(tmp_path / name)

    refused(text[:-40], r"row 41: the file ends within the line, expected the \d+ of the header|row 41: \d+ cells")
    refused("".join([*lines[:5], "nonsense\n"]), r"row 6: 1 cells, expected the \d+ of the header")
    refused("".join([*lines[:5], lines[5].replace(",", ",x", 1)]), "row 6: could not convert")
    refused("".join([*lines[:5], *lines[7:]]), r"time_s goes from 4 to 7 in row 5, expected even steps of 1 s")
    refused("".join([lines[0], *lines[:0:-1]]), "expected times that increase")
    refused(lines[0], "0 rows, expected at least 2")
    refused("", "the file is empty")
    refused("time_s,current_A\n1,2\n", "no column 'voltage_V'")
    refused(b"\xff\xfe\x00", "not a text file")
    refused(b"PK", r"cannot be read .*expected the \.npz of a record", "r.npz")
    refused(b"MDF", r"cannot be read|is no MDF|expected an MF4 file", "r.mf4")
    refused(b"", r"ends in '\.txt', expected \.csv or", "r.txt")
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.blf")
    column = record.names.index("seen_surface_degC")
    blank = record.rows.copy()
    blank[:, column] = np.nan
    write(type(record)(record.names, blank, record.cells, record.sensors, record.faults), tmp_path / "r.npz")
    with pytest.raises(InputError, match="there is no reading of surface_degC"):
        read(tmp_path / "r.npz")


class Raises:
    """A device of somebody's own that raises what it likes."""

    name = "raises"

    def reset(self, first, soc):
        pass

    def step(self, readings):
        raise ZeroDivisionError("by its own fault")

    def close(self):
        pass


def test_a_device_that_raises_leaves_a_whole_record(run):
    _, record = run
    answered = replay(Raises(), record, initial_soc=0.9)
    assert (answered["status"] == Status.DEAD).all()
    assert answered.said == ((1.0, "it raised ZeroDivisionError: by its own fault"),)

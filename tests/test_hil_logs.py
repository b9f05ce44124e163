"""Logs: they read back to the last bit, the same content is the same bytes, and no end of a run loses them."""

import os
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bmsthermal import InputError
from hil.logs import FrameLog, write, write_frames
from hil.logs.columns import is_record, meaning_of, record_of, unit_of
from hil.logs.tables import read_csv, read_npz
from hil.record import Record, column_names

NAMES = column_names(2, ("surface", "surface_left"), ("drift",))
NUMBERS = st.floats(allow_infinity=False, allow_nan=True)


def record(rows=None, said=((1.5, "gone, müde"),)):
    if rows is None:
        rows = np.random.default_rng(0).standard_normal((20, len(NAMES)))
        rows[:, 0] = np.arange(1, 21) * 0.1
        rows[3, 5:9] = np.nan
    return Record(NAMES, rows, 2, ("surface", "surface_left"), ("drift",), said)


def frames(count=2000):
    can = pytest.importorskip("can")
    return [
        can.Message(
            timestamp=0.1 * k, arbitration_id=0x100 + k % 5 + 0x10000 * (k % 2), is_extended_id=k % 2 == 1,
            data=bytes([k % 256] * (k % 9)), is_rx=k % 3 == 0, channel=0,
        )
        for k in range(count)
    ]  # fmt: skip


def read_frames(path):
    can = pytest.importorskip("can")
    with can.LogReader(path) as reader:
        return list(reader)


def same(ours, theirs, within_s):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert abs(a.timestamp - b.timestamp) <= within_s
        assert (a.arbitration_id, a.is_extended_id, a.is_rx, a.data) == (
            b.arbitration_id, b.is_extended_id, b.is_rx, b.data,
        )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(rows=arrays(np.float64, (3, len(NAMES)), elements=NUMBERS))
def test_any_record_reads_back_bit_for_bit(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    write(record(rows), folder / "r.csv")
    write(record(rows), folder / "r.npz")
    with open(folder / "r.csv") as text:
        from_csv = read_csv(folder / "r.csv", list(text))
    for found in (from_csv, read_npz(folder / "r.npz")):
        np.testing.assert_array_equal(found.rows, rows)
        np.testing.assert_array_equal(np.signbit(found.rows[rows == 0]), np.signbit(rows[rows == 0]))
        assert (found.names, found.cells, found.sensors, found.faults) == (
            NAMES, 2, ("surface", "surface_left"), ("drift",),
        )  # fmt: skip


def test_npz_holds_what_the_device_said_and_no_pickle(tmp_path):
    write(record(), tmp_path / "r.npz")
    assert read_npz(tmp_path / "r.npz").said == ((1.5, "gone, müde"),)
    with np.load(tmp_path / "r.npz", allow_pickle=False) as kept:
        assert set(kept.files) == {"names", "rows", "said_s", "said"}


def test_units_and_meanings_of_every_column():
    assert [unit_of(name) for name in NAMES[:4]] == ["s", "A", "degC", ""]
    assert unit_of("seen_surface_left_degC[1]") == "degC" and unit_of("core_std_K[0]") == "K"
    assert unit_of("drift.injected") == "" and unit_of("true_heat_W[1]") == "W"
    assert all(meaning_of(name) for name in NAMES)
    assert is_record(NAMES) and not is_record(["time_s", "current_A"])


def test_columns_that_are_no_records_are_refused():
    with pytest.raises(InputError, match="'nonsense' is not that of a record"):
        record_of([*NAMES[:5], "nonsense", *NAMES[6:]], np.zeros((1, len(NAMES))))
    with pytest.raises(InputError, match="'extra' is not that of a record, expected 'nothing'"):
        record_of([*NAMES, "extra"], np.zeros((1, len(NAMES))))


def test_mf4_has_units_meanings_and_what_was_said(tmp_path):
    asammdf = pytest.importorskip("asammdf")
    write(record(), tmp_path / "r.mf4")
    with asammdf.MDF(tmp_path / "r.mf4") as mdf:
        for name in NAMES[1:]:
            signal = mdf.get(name)
            np.testing.assert_array_equal(signal.samples, record()[name])
            np.testing.assert_array_equal(signal.timestamps, record().time_s)
            assert (signal.unit, signal.comment) == (unit_of(name), meaning_of(name))
        said = mdf.get("said")
        assert said.samples.tolist() == ["gone, müde".encode()] and said.timestamps.tolist() == [1.5]


@pytest.mark.parametrize("name", ["r.csv", "r.npz", "r.mf4", "f.blf", "f.asc", "f.log", "f.mf4"])
def test_same_content_same_bytes_at_another_time_in_another_zone(name, tmp_path, monkeypatch):
    if name.endswith("mf4"):
        pytest.importorskip("asammdf")
    content = record() if name.startswith("r") else frames(300)
    begun = time.time()
    for place, zone, later_s in (("one", "UTC", 0), ("two", "Asia/Tokyo", 40_000_000)):
        (tmp_path / place).mkdir()
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        with monkeypatch.context() as changed:
            changed.setattr(time, "time", lambda later_s=later_s: begun + later_s)
            (write if name.startswith("r") else write_frames)(content, tmp_path / place / name)
    monkeypatch.undo()
    time.tzset()
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(("ending", "within_s"), [("blf", 1e-12), ("asc", 1e-6), ("log", 1e-6), ("mf4", 0)])
def test_frames_read_back_on_the_clock_of_the_bench(ending, within_s, tmp_path):
    if ending == "mf4":
        pytest.importorskip("asammdf")
    late = frames()[7:]  # the first frame is not at zero, and stays where it was
    write_frames(late, tmp_path / f"f.{ending}")
    same(read_frames(tmp_path / f"f.{ending}"), late, within_s)


@st.composite
def any_frame(draw):
    can = pytest.importorskip("can")
    fd, extended = draw(st.booleans()), draw(st.booleans())
    length = draw(st.sampled_from([0, 1, 7, 8, *([12, 64] if fd else [])]))
    return can.Message(
        timestamp=draw(st.integers(0, 10**7)) / 1000, is_extended_id=extended,
        arbitration_id=draw(st.integers(0, 2**29 - 1 if extended else 2047)),
        is_fd=fd, bitrate_switch=fd and draw(st.booleans()), is_rx=draw(st.booleans()),
        data=draw(st.binary(min_size=length, max_size=length)), channel=draw(st.integers(0, 3)),
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(some=st.lists(any_frame(), min_size=1, max_size=20))
@pytest.mark.parametrize("ending", ["blf", "asc"])
def test_any_frames_read_back(ending, some, tmp_path_factory):
    some.sort(key=lambda frame: frame.timestamp)
    path = tmp_path_factory.mktemp("frames") / f"f.{ending}"
    write_frames(some, path)
    same(read_frames(path), some, 1e-6)
    for one, other in zip(read_frames(path), some, strict=True):
        assert (one.is_fd, one.bitrate_switch, one.dlc) == (other.is_fd, other.bitrate_switch, other.dlc)


def test_frames_with_dates_and_other_endings_are_refused(tmp_path):
    some = frames(3)
    some[2].timestamp = 1.7e9
    with pytest.raises(InputError, match="seconds of the bench, not a date"):
        write_frames(some, tmp_path / "f.blf")
    with pytest.raises(InputError, match=r"ends in '\.txt', expected \.blf or \.asc or \.log or \.mf4"):
        write_frames(some, tmp_path / "f.txt")
    with pytest.raises(InputError, match=r"expected \.csv or \.npz or \.mf4"):
        write(record(), tmp_path / "r.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_is_closed_is_that_of_all_frames(tmp_path):
    with FrameLog(tmp_path / "loop.blf") as log:
        for frame in frames():
            log(frame)
    log.close()
    write_frames(frames(), tmp_path / "whole.blf")
    assert (tmp_path / "loop.blf").read_bytes() == (tmp_path / "whole.blf").read_bytes()


def test_a_log_is_whole_when_the_run_is_aborted(tmp_path):
    with pytest.raises(KeyboardInterrupt), FrameLog(tmp_path / "f.blf") as log:
        log.write(frames(100))
        raise KeyboardInterrupt
    same(read_frames(tmp_path / "f.blf"), frames(100), 1e-12)


@pytest.mark.parametrize(
    ("ending", "clock"), [("blf", "virtual"), ("mf4", "virtual"), ("blf", "real"), ("asc", "real")]
)
def test_frames_that_pass_are_logged_until_a_run_is_aborted(ending, clock, tmp_path):
    if ending == "mf4":
        pytest.importorskip("asammdf")
    from hil.logs.passing import logged

    some = frames(200)
    with pytest.raises(KeyboardInterrupt), logged(tmp_path / f"f.{ending}", clock) as take:
        for frame in some:
            take(frame)
        raise KeyboardInterrupt
    same(read_frames(tmp_path / f"f.{ending}"), some, 1e-6)
    with logged(tmp_path / "none.blf", "virtual"):
        pass
    with logged(None, clock) as nobody:
        assert nobody is None
    assert [path.name for path in tmp_path.iterdir()] == [f"f.{ending}"]


def test_a_log_is_readable_when_the_process_is_killed(tmp_path):
    pytest.importorskip("can")
    child = (
        "import os, signal, can\nfrom hil.logs import FrameLog\n"
        f"log = FrameLog({str(tmp_path / 'f.blf')!r})\n"
        "log.write(can.Message(timestamp=k * 0.01, arbitration_id=k, data=[1] * 8) for k in range(2000))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", child], env=os.environ, check=False)
    assert done.returncode < 0
    found = read_frames(tmp_path / "f.blf")
    assert 2000 - 342 <= len(found) < 2000  # 16 KiB of 48 bytes a frame waited
    assert [frame.arbitration_id for frame in found] == list(range(len(found)))


def test_damaged_archives_are_named(tmp_path):
    write(record(), tmp_path / "r.npz")
    whole = (tmp_path / "r.npz").read_bytes()
    (tmp_path / "r.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"r\.npz: cannot be read .*the \.npz of a record"):
        read_npz(tmp_path / "r.npz")
    with zipfile.ZipFile(tmp_path / "r.npz", "w") as archive:
        archive.writestr("names.npy", b"nothing")
    with pytest.raises(InputError, match=r"the \.npz of a record"):
        read_npz(tmp_path / "r.npz")


def test_signals_of_a_database_in_mf4(tmp_path):
    """Of the bench's own messages, and only of them."""
    asammdf, _ = pytest.importorskip("asammdf"), pytest.importorskip("cantools")
    from hil.bus.dbc import bench_database, write_dbc
    from hil.bus.spec import BusSpec

    write_dbc(tmp_path / "bench.dbc", 1, ["surface"])
    can, database = pytest.importorskip("can"), bench_database(1, ["surface"], BusSpec())
    message = database.get_message_by_name("Temperatures_0")
    zeros = {signal.name: 0 for signal in message.signals}
    logged = [
        can.Message(
            timestamp=k + 1.0, arbitration_id=message.frame_id, is_extended_id=False,
            data=message.encode(zeros | {"surface_degC": 20 + k}),
        )
        for k in range(5)
    ]  # fmt: skip
    for name in ("one.mf4", "two.mf4"):
        write_frames(logged, tmp_path / name, tmp_path / "bench.dbc")
    assert (tmp_path / "one.mf4").read_bytes() == (tmp_path / "two.mf4").read_bytes()
    with asammdf.MDF(tmp_path / "one.mf4") as mdf:
        signal = mdf.get("surface_degC")
        assert signal.unit == "degC" and signal.samples.tolist() == [20, 21, 22, 23, 24]
        assert signal.timestamps.tolist() == [1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="none of its messages is among 300 frames"):
        write_frames(
            [frame for frame in frames(300) if frame.is_extended_id] * 2, tmp_path / "x.mf4", tmp_path / "bench.dbc"
        )
    with pytest.raises(InputError, match=r"expected a file \.mf4"):
        write_frames(logged, tmp_path / "x.blf", tmp_path / "bench.dbc")


@pytest.mark.parametrize(
    ("package", "name", "hint"), [("can", "f.blf", "bmsthermal[can]"), ("asammdf", "r.mf4", "bmsthermal[mdf]")]
)
def test_a_package_that_is_missing_is_named(package, name, hint, tmp_path, monkeypatch):
    for module in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError) as refused:
        FrameLog(tmp_path / name) if package == "can" else write(record(), tmp_path / name)
    assert hint in str(refused.value) and list(tmp_path.iterdir()) == []

"""The database of the bench: what is written is read back, and every number comes through within its resolution."""

import sys
from pathlib import Path

import numpy as np
import pytest

from bmsthermal import InputError
from hil.bus import BusSpec, bench_database, read_dbc, write_dbc
from hil.bus.link import Link
from hil.bus.names import answer_names, answer_of_row, reading_names, readings_of_row, row_of_answer, row_of_readings
from hil.bus.receiver import Receiver
from hil.bus.sender import Sender
from hil.bus.wire import Wire, checksum, data_ids
from hil.signals import Answer, Status

sys.path.insert(0, str(Path(__file__).parent))
from hil_frames import SENSORS, readings

cantools = pytest.importorskip("cantools")
pytest.importorskip("can")

#: Half a resolution of each unit, and a little for the rounding of doubles.
HALF = {"A": 0.0005, "V": 0.00005, "K": 0.0005, "degC": 0.005}


def sent(wire, row):
    """Row that a receiver makes of the frames of a row."""
    sender, receiver = Sender(wire, [1] * len(wire.frames)), Receiver(wire, np.ones(len(wire.frames)))
    sender.put(row, 0, 0.0, 0.5)
    for message in sender.take(0.5):
        assert receiver.take(message, 0.5) is not None
    return receiver.read(0.5)


@pytest.mark.parametrize(("cells", "sensors"), [(1, 1), (2, 3), (5, 7), (96, 2)])
def test_every_signal_comes_through_within_its_resolution(cells, sensors):
    names = [f"surface_{k}" for k in range(sensors)]
    wire = Wire(bench_database(cells, names, BusSpec()), reading_names(cells, names))
    asked = readings(3.0, cells, sensors)
    got = readings_of_row(sent(wire, row_of_readings(asked, 7)), 3.0, cells, sensors)
    assert abs(got.current_A - asked.current_A) < HALF["A"] * 1.001
    assert np.abs(got.voltage_V - asked.voltage_V).max() < HALF["V"] * 1.001
    assert abs(got.ambient_K - asked.ambient_K) < HALF["degC"] * 1.001
    assert np.abs(got.surfaces_K - asked.surfaces_K).max() < HALF["degC"] * 1.001
    assert np.array_equal(sent(wire, row_of_readings(asked, 7)), wire.quantised(row_of_readings(asked, 7)))

    random = np.random.default_rng(cells)
    answer = Answer(
        3.0, 290 + 40 * random.random(cells), 3 * random.random(cells), random.integers(0, 8, (cells, sensors)),
        random.random(cells) < 0.5,
    )  # fmt: skip
    wire = Wire(bench_database(cells, names, BusSpec()), answer_names(cells, names))
    row = sent(wire, row_of_answer(answer, [200, 1, 3, 4]))
    back = answer_of_row(row, 3.0, cells, sensors, Status.OK, "")
    assert row[-4:].tolist() == [200, 1, 3, 4]
    assert np.abs(back.core_K - answer.core_K).max() < HALF["degC"] * 1.001
    assert np.abs(back.core_std_K - answer.core_std_K).max() < HALF["K"] * 1.001
    assert np.array_equal(back.fault, answer.fault) and np.array_equal(back.heat_fault, answer.heat_fault)


def test_beyond_the_range_is_held_and_nan_is_flagged():
    wire = Wire(bench_database(1, ["surface"], BusSpec()), reading_names(1, ["surface"]))
    row = sent(wire, np.array([-1e9, np.nan, 99.0, 1072.0, 300]))
    assert row[0] == pytest.approx(-8388.608) and np.isnan(row[1]) and row[2] == pytest.approx(6.5535)
    assert row[3] == pytest.approx(327.67 + 273.15)  # a shorted thermistor still reads hotter than any cell
    assert row[4] == 255


def test_a_dbc_is_the_same_bytes_and_reads_back_strictly(tmp_path):
    bus = BusSpec(cycle_s={"temperature": 2.0})
    for name in ("one.dbc", "two.dbc"):
        write_dbc(tmp_path / name, 96, SENSORS, bus, step_s=0.1)
    assert (tmp_path / "one.dbc").read_bytes() == (tmp_path / "two.dbc").read_bytes()
    read, made = read_dbc(tmp_path / "one.dbc"), bench_database(96, SENSORS, bus, 0.1)
    assert [m.name for m in read.messages] == [m.name for m in made.messages]
    assert read.get_message_by_name("Temperatures_63").cycle_time == 2000
    assert read.get_message_by_name("Pack").cycle_time == 100
    row = row_of_readings(readings(1.0, 96), 5)
    theirs, ours = (Wire(database, reading_names(96, SENSORS)) for database in (read, made))
    for one, other in zip(theirs.frames, ours.frames, strict=True):
        assert one.encode(*theirs.raw(row), 9) == other.encode(*ours.raw(row), 9)


def test_96_cells_fit_classic_can_ten_times_a_second():
    link = Link(BusSpec(), 96, SENSORS, 0.1)
    frames = len(link.readings.frames) + len(link.answers.frames)
    longest_bits = 135  # an 8-byte frame of 11-bit identifier with the most stuffing, and the pause after it
    assert 10 * frames * longest_bits < 0.7 * 500_000
    assert max(message.frame_id for message in link.database.messages) <= 0x7FF
    with pytest.raises(InputError, match="at most 1021"):
        bench_database(900, SENSORS, BusSpec())


def test_the_checksum_is_that_of_autosar():
    from cantools.autosar import compute_profile2_crc

    random = np.random.default_rng(1)
    for _ in range(200):
        payload, data_id = random.bytes(int(random.integers(2, 9))), int(random.integers(256))
        assert checksum(payload, data_id) == compute_profile2_crc(payload, data_id)


def test_no_two_messages_share_their_data_identifiers():
    assert len({data_ids(frame_id) for frame_id in range(0x800)}) == 0x800


OWN_DBC = """VERSION ""
NS_ :
BS_:
BU_:
BO_ 100 Shunt: 8 Vector__XXX
 SG_ I : 7|32@0- (1,0) [0|0] "mA" Vector__XXX
 SG_ Count : 39|4@0+ (1,0) [0|0] "" Vector__XXX
BO_ 2147484000 Cells: 8 Vector__XXX
 SG_ U00 : 0|16@1+ (0.5,1000) [0|0] "mV" Vector__XXX
 SG_ U01 : 16|16@1+ (0.5,1000) [0|0] "mV" Vector__XXX
 SG_ T00 : 32|12@1+ (0.1,200) [0|0] "K" Vector__XXX
 SG_ T01 : 44|12@1+ (0.1,200) [0|0] "K" Vector__XXX
 SG_ F00 : 56|1@1+ (1,0) [0|1] "" Vector__XXX
 SG_ F01 : 57|1@1+ (1,0) [0|1] "" Vector__XXX
"""
MAPPING = {
    "current_A": "I", "Shunt.alive": "Count", "voltage_V_{}": "Cells.U{:02d}", "surface_degC_{}": "T{:02d}",
    "surface_degC_{}_valid": "F{:02d}",
}  # fmt: skip


def test_a_database_of_ones_own(tmp_path):
    (tmp_path / "own.dbc").write_text(OWN_DBC)
    bus = BusSpec(dbc=tmp_path / "own.dbc", signals=MAPPING, coolant_degC=20)
    link = Link(bus, 2, ["surface"])
    row = np.array([-12.3456, 300.0, 3.3003, 4.1, 301.23, np.nan, 1])
    got = sent(link.readings, row)
    assert got[:1] == pytest.approx([-12.346]) and got[2:5] == pytest.approx([3.3005, 4.1, 301.2], abs=2.6e-4)
    assert np.isnan(got[[1, 5, 6]]).all()  # not on the bus, and flagged as not valid
    sender = Sender(link.readings, [1, 1])
    sender.put(row, 0, 0.0, 0.5)
    shunt, cells = sender.take(1.0)
    assert shunt.data == (-12346).to_bytes(4, "big", signed=True) + bytes(4)  # counter 0
    assert cells.is_extended_id and cells.data[7] == 0b01
    assert cells.data[:4] == (4601).to_bytes(2, "little") + (6200).to_bytes(2, "little")  # (3300.5 - 1000) / 0.5


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ({"current_A": "U99"}, "no signal 'U99'"),
        ({"current_A": "T00"}, "T00 in 'K', expected one of A, mA"),
        ({"ambient_K": "T00"}, "no signal is mapped"),
        ({"current_A": "I", "Shunt.crc": "Count"}, "profile 2"),
        ({"voltage_V_{}": "U{x}"}, "expected '{}'"),
    ],
)
def test_a_mapping_that_does_not_fit(signals, message, tmp_path):
    (tmp_path / "own.dbc").write_text(OWN_DBC)
    with pytest.raises(InputError, match=message):
        Link(BusSpec(dbc=tmp_path / "own.dbc", signals=signals), 2, ["surface"])


def test_answers_have_identifiers_of_their_own(tmp_path):
    (tmp_path / "own.dbc").write_text(OWN_DBC)
    with pytest.raises(InputError, match="0x64 of Shunt is one of the bench's answers"):
        Link(BusSpec(dbc=tmp_path / "own.dbc", signals=MAPPING, base_id=0x60), 2, ["surface"])


def test_a_file_that_is_no_dbc(tmp_path):
    with pytest.raises(InputError, match=r"no\.dbc: cannot be read"):
        read_dbc(tmp_path / "no.dbc")
    (tmp_path / "bad.dbc").write_text("BO_ what")
    with pytest.raises(InputError, match="is no DBC"):
        read_dbc(tmp_path / "bad.dbc")
    overlapping = OWN_DBC.replace("U01 : 16|16", "U01 : 8|16")
    (tmp_path / "bad.dbc").write_text(overlapping)
    with pytest.raises(InputError, match="is no DBC"):
        read_dbc(tmp_path / "bad.dbc")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cycle_s": {"core": 1.0}}, "pack, voltage, temperature"),
        ({"signals": {"current_A": "I"}}, "go together"),
        ({"profile": "foxbms", "dbc": "x.dbc", "signals": {"current_A": "I"}}, "one of them"),
        ({"timeout_cycles": 0}, "0.1"),
        ({"what": 1}, "what"),
    ],
)
def test_a_spec_that_does_not_fit(given, message):
    with pytest.raises(ValueError, match=message):
        BusSpec(**given)
    with pytest.raises(InputError, match="whole steps of 1 s"):
        Link(BusSpec(cycle_s={"voltage": 1.5}), 1, ["surface"])


def test_a_frame_byte_by_byte():
    wire = Link(BusSpec(), 2, ["surface"]).readings
    row = np.array([-1.5, 273.15 + 21.5, 3.7, np.nan, 273.15 - 10.01, 273.15 + 60.0, 200])
    sender = Sender(wire, [1, 1, 1])
    for step in range(6):
        sender.put(row, step, float(step), 0.5)
        frames = {message.arbitration_id: bytes(message.data) for message in sender.take(step + 0.5)}
    # counter 5 in the low half of byte 1, flags above it, cell 0 lowest; little endian from byte 2 on
    assert frames[0x101][1:] == bytes([0b0010_0101]) + (37000).to_bytes(2, "little") + bytes(4)
    degC = (-1001).to_bytes(2, "little", signed=True) + (6000).to_bytes(2, "little")
    assert frames[0x102][1:] == bytes([5]) + degC + bytes(2)
    pack = (-1500).to_bytes(3, "little", signed=True) + (2150).to_bytes(2, "little") + bytes([200])
    assert frames[0x4FD][1:] == bytes([5]) + pack

"""The receiving end: what is refused, what it is refused for, and when a reading is too old."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.bus import BusSpec
from hil.bus.link import Link
from hil.bus.names import row_of_readings
from hil.bus.receiver import REASONS
from hil.bus.sender import Sender

sys.path.insert(0, str(Path(__file__).parent))
from hil_frames import SENSORS, readings

can = pytest.importorskip("can")
pytest.importorskip("cantools")

LINK = Link(BusSpec(), 2, SENSORS)
FOXBMS = Link(BusSpec(profile="foxbms"), 2, SENSORS)
ROW = row_of_readings(readings(1.0), 1)


class Line:
    """A sender and a receiver, a step a second."""

    def __init__(self, link=LINK):
        self.sender, self.receiver = Sender(link.readings, link.cycles), link.receiver(link.readings)
        self.step = 0

    def __call__(self, change=lambda message: [message]):
        """Send a step's frames, changed on the way; return the row that is read at the end of the step."""
        self.sender.put(ROW, self.step, float(self.step), 0.5)
        for message in self.sender.take(self.step + 0.5):
            for arrived in change(message):
                self.receiver.take(arrived, self.step + 0.5)
        self.step += 1
        return self.receiver.read(self.step - 0.5)


def frame(identifier, data, **given):
    return can.Message(arbitration_id=identifier, data=data, is_extended_id=False, **given)


def only(identifier, change):
    return lambda message: change(message) if message.arbitration_id == identifier else [message]


PACK = LINK.readings.frames[-1].message.frame_id
VOLTAGES = LINK.readings.frames[0].message.frame_id


def corrupted(message):
    message.data[3] ^= 0x10
    return [message]


def shortened(message):
    return [frame(message.arbitration_id, message.data[:-1])]


def lengthened(message):
    message.dlc = 7  # says other than it carries
    return [message]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda message: [], "stale"),
        (corrupted, "checksum"),
        (shortened, "length"),
        (lengthened, "length"),
        (lambda message: [frame(message.arbitration_id, message.data, is_remote_frame=True)], "stale"),
        (lambda message: [frame(0x7FF, message.data)], "stale"),
    ],
)
def test_one_step_without_is_bridged_and_the_second_is_not(change, reason):
    line = Line()
    before = line()
    assert np.array_equal(line(only(VOLTAGES, change)), before)  # 1.5 cycles: the value before stands
    after = line(only(VOLTAGES, change))
    assert np.isnan(after[2:4]).all() and np.isfinite(after[[0, 1, *range(4, 9)]]).all()
    assert line.receiver.missing() == {"voltage_V_0": reason, "voltage_V_1": reason}
    assert line.receiver.counts[reason] == (1 if reason == "stale" else 2)
    assert np.array_equal(line(), before) and line.receiver.missing() == {}


@pytest.mark.parametrize(("timeout", "bridged"), [(0.5, 0), (1.5, 1), (2.5, 2), (9.5, 9)])
def test_the_time_out_is_met_to_the_step(timeout, bridged):
    line = Line(Link(BusSpec(timeout_cycles=timeout), 2, SENSORS))
    line()
    seen = [bool(np.isfinite(line(lambda message: [])).all()) for _ in range(bridged + 3)]
    assert seen == bridged * [True] + 3 * [False]


def test_a_slower_cycle_has_a_longer_time_out_and_its_frames_are_spread():
    link = Link(BusSpec(cycle_s={"temperature": 4.0}), 6, SENSORS)  # 4 frames of temperatures
    line, sent = Line(link), []
    ids = [frame.message.frame_id for frame in link.readings.frames if frame.group == "temperature"]
    row = row_of_readings(readings(1.0, 6), 1)
    for k in range(9):
        line.sender.put(row, k, float(k), 0.5)
        sent.append([message.arbitration_id for message in line.sender.take(k + 0.5)])
    assert set(ids) < set(sent[0])  # all at the start
    assert [[i for i in each if i in ids] for each in sent[1:]] == [[i] for i in (*ids[1:], *ids, ids[0])][:8]
    frames = link.readings.frames
    timeouts = dict(zip([frame.group for frame in frames], line.receiver.timeouts_s, strict=True))
    assert timeouts == {"voltage": 1.5, "temperature": 6.0, "pack": 1.5}


def test_a_frozen_counter_is_never_believed_again():
    line = Line()
    line()
    frozen = {}

    def freeze(message):
        return [frozen.setdefault(message.arbitration_id, message)]

    rows = [line(freeze) for _ in range(20)]
    assert np.isfinite(rows[0]).all()  # the first of them is new
    assert all(np.isnan(row).all() for row in rows[2:])
    assert line.receiver.counts["repeated"] == 19 * len(LINK.readings.frames)
    assert set(line.receiver.missing().values()) == {"repeated"}


def test_a_duplicate_changes_nothing_and_is_counted():
    line = Line()
    assert np.isfinite(line(lambda message: [message, message])).all()
    assert line.receiver.counts["repeated"] == len(LINK.readings.frames)


def test_an_older_frame_is_refused_and_frames_in_between_are_counted():
    line, late = Line(), []
    line()
    line(only(PACK, lambda message: late.append(message) or []))
    line(only(PACK, lambda message: [message, *late]))
    assert line.receiver.counts["lost"] == 1 and line.receiver.counts["order"] == 1


def test_after_a_time_out_the_counter_may_begin_anywhere():
    line = Line()
    line()
    for _ in range(12):  # 12 of 16: back, if it were not a new beginning
        line(lambda message: [])
    assert np.isfinite(line()).all() and line.receiver.counts["order"] == 0


def test_what_never_arrived_is_absent():
    line = Line()
    assert np.isnan(line(lambda message: [])).all()
    assert set(line.receiver.missing().values()) == {"absent"}
    row = row_of_readings(readings(1.0), 1)
    row[2] = np.nan
    line.sender.put(row, 1, 1.0, 0.5)
    for message in line.sender.take(2.0):
        line.receiver.take(message, 1.5)
    line.receiver.read(1.5)
    assert line.receiver.missing() == {"voltage_V_0": "flagged"} and line.receiver.counts["flagged"] == 1


IDS = st.one_of(
    st.integers(0x100, 0x108),
    st.sampled_from([0x4FE, 0x4FF]),
    st.sampled_from([0x270, 0x280, 0x521]),
    st.integers(0, 0x1FFFFFFF),
)


@given(
    st.sampled_from([LINK, FOXBMS]),
    st.lists(
        st.builds(
            can.Message, arbitration_id=IDS, data=st.binary(max_size=64), is_extended_id=st.booleans(),
            is_remote_frame=st.booleans(), is_error_frame=st.booleans(), is_fd=st.booleans(),
            dlc=st.none() | st.integers(0, 64),
        ),
        max_size=30,
    ),
)  # fmt: skip
def test_whatever_comes_nothing_is_raised_and_all_of_it_is_counted(link, messages):
    receiver = link.receiver(link.readings)
    good = [receiver.take(message, 1.0) for message in messages]
    row = receiver.read(1.0)
    refused = sum(receiver.counts[reason] for reason in REASONS if reason not in ("flagged", "stale", "lost"))
    assert refused == good.count(None)
    carried = [slot.index for which in set(good) - {None} for slot in link.readings.frames[which].slots]
    assert set(np.flatnonzero(np.isfinite(row))) <= set(carried)


def test_a_foreign_message_under_a_known_identifier_is_no_garbage_that_counts():
    # the checksum holds the message's own data identifiers: one message's bytes are not another's
    line = Line()
    line.sender.put(ROW, 0, 0.0, 0.5)
    messages = line.sender.take(1.0)
    messages[0].arbitration_id, messages[1].arbitration_id = messages[1].arbitration_id, messages[0].arbitration_id
    for message in messages[:2]:
        assert line.receiver.take(message, 0.5) is None
    assert line.receiver.counts["checksum"] == 2

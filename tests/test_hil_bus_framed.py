"""A device behind frames: what it sees, what comes back, and what faults of frames make of it."""

import sys
from pathlib import Path

import numpy as np
import pytest

from hil.bus import BusSpec, Framed
from hil.devices.device import DeviceError
from hil.signals import Answer, Status

sys.path.insert(0, str(Path(__file__).parent))
from hil_frames import SENSORS, Warmer, drive, injector, readings, truth

can = pytest.importorskip("can")
pytest.importorskip("cantools")


@pytest.fixture(autouse=True)
def opened():
    """Close what a test has opened."""
    devices = []
    framed.opened = devices
    yield
    for device in devices:
        device.close()


def framed(faults=None, cells=2, device=None, log=None, **bus):
    made = Framed(device or Warmer(), BusSpec(**bus), faults, cells, SENSORS, log=log)
    framed.opened.append(made)
    return made


def bytes_of(device):
    return [(m.timestamp, m.arbitration_id, bytes(m.data)) for m in device.frames]


def absent(device):
    """Share of the readings that the device did not get, step by step."""
    return [float(np.isnan(np.append(seen.surfaces_K, seen.current_A)).mean()) for seen in device.device.readings[1:]]


def test_without_faults_only_the_resolution_is_lost():
    device = framed()
    answers, asked = drive(device, 30)
    assert device.device.soc == pytest.approx(0.6)
    for told, seen, answer in zip(asked, device.device.readings[1:], answers, strict=True):
        assert seen.time_s == told.time_s == answer.time_s
        assert np.abs(seen.surfaces_K - told.surfaces_K).max() <= 0.005001
        assert np.abs(answer.core_K - seen.surfaces_K[:, 0] - 5).max() < 1e-9
        assert answer.status == Status.OK and not answer.fault.any() and not answer.heat_fault.any()
    assert {reason for reason, count in device.counts.items() if count} == {"answer flagged"}  # of the start
    device.close()
    assert device.device.closed


def test_frames_are_kept_in_order_with_the_time_of_the_bench():
    device = framed()
    drive(device, 10)
    times = [message.timestamp for message in device.frames]
    assert times == sorted(times) and times[0] == 0.0 and times[-1] < 11.0
    each = 1 + len(device.link.readings.frames) + len(device.link.answers.frames)
    assert len(device.frames) == each + 10 * (each - 1)
    log = []
    other = framed(log=log.append)
    drive(other, 10)
    assert bytes_of(device) == [(m.timestamp, m.arbitration_id, bytes(m.data)) for m in log] and not other.frames


FAULTS = {
    "checksum": {"kind": "frame", "error": "crc"},
    "repeated": {"kind": "frame", "error": "alive"},
    "length": {"kind": "frame", "error": "length"},
    "order": {"kind": "frame", "error": "reorder"},
    "lost": {"kind": "dropout", "loss": 0.4},
    "stale": {"kind": "dropout"},
}


@pytest.mark.parametrize("reason", FAULTS)
def test_each_fault_is_seen_for_what_it_is(reason):
    faults = injector(FAULTS[reason] | {"at_s": 5, "duration_s": 10})
    device = framed(faults)
    answers, _ = drive(device, 25, faults)
    counts = device.node.heard.counts
    assert counts[reason] > 0
    assert not {"checksum", "repeated", "length", "order"} - {reason} & {name for name, n in counts.items() if n}
    missing = absent(device)
    assert not any(missing[:5]) and not any(missing[16:])
    if reason in ("checksum", "repeated", "length", "stale"):
        assert missing[6:15] == 9 * [1.0]  # the first step is bridged; then nothing is trusted
        assert all(answer.fault.all() and np.isnan(answer.core_K).all() for answer in answers[6:15])
    assert all(answer.status == Status.OK for answer in answers)  # the device still answers


def test_a_duplicate_is_counted_and_does_no_harm():
    faults = injector({"kind": "frame", "error": "duplicate"})
    device = framed(faults)
    drive(device, 10, faults)
    assert not any(absent(device)) and device.node.heard.counts["repeated"] == 10 * len(device.link.readings.frames)


def test_lost_answers_make_the_device_late_and_the_last_answer_stands():
    faults = injector({"kind": "dropout", "target": "answers", "at_s": 4, "duration_s": 3})
    device = framed(faults)
    answers, _ = drive(device, 10, faults)
    assert [int(answer.status) for answer in answers] == 4 * [0] + 3 * [int(Status.LATE)] + 3 * [0]
    assert [answer.time_s for answer in answers[3:7]] == 4 * [4.0]
    assert np.array_equal(answers[5].core_K, answers[3].core_K) and not any(absent(device))


def test_one_message_or_one_group_can_be_meant():
    for target, gone in (("voltage", "voltage_V"), ("Pack", "current_A"), ("temperature", "surfaces_K")):
        faults = injector({"kind": "dropout", "target": target})
        device = framed(faults)
        drive(device, 4, faults)
        seen = device.device.readings[-1]
        found = {name for name in ("voltage_V", "current_A", "surfaces_K") if np.isnan(getattr(seen, name)).all()}
        assert found == {gone}


def test_late_frames_are_a_step_old_and_jitter_leaves_none_behind():
    faults = injector({"kind": "timing", "late_s": 1.0, "at_s": 3})
    device = framed(faults)
    answers, asked = drive(device, 12, faults)
    for before, seen, answer in list(zip(asked, device.device.readings[2:], answers[1:], strict=False))[4:]:
        assert np.abs(seen.surfaces_K - before.surfaces_K).max() <= 0.005001
        assert answer.time_s == before.time_s  # and the answer is known to be one to them
    faults = injector({"kind": "timing", "jitter_s": 0.2})
    device = framed(faults, timeout_cycles=0.6)
    drive(device, 200, faults)
    times = [message.timestamp for message in device.frames]
    assert times == sorted(times)
    assert 0 < np.mean(absent(device)) < 0.2  # now and then one comes after its step


def test_early_frames_stay_in_their_step():
    faults = injector({"kind": "timing", "early_s": 0.3})
    device = framed(faults)
    drive(device, 20, faults)
    assert not any(absent(device)) and device.node.heard.counts["order"] == 0


def test_the_share_and_the_length_of_gaps_are_what_was_asked_for():
    faults = injector({"kind": "dropout", "loss": 0.3, "gap_s": 5.0, "target": "Pack"})
    device = framed(faults, timeout_cycles=0.5)
    drive(device, 4000, faults)
    gone = np.isnan([seen.current_A for seen in device.device.readings[1:]])
    gaps = np.flatnonzero(np.diff(np.concatenate([[0], gone, [0]])))
    lengths = gaps[1::2] - gaps[::2]
    # 240 gaps: their mean is known to a fifteenth of it, and a gap of less than a step is seen as one or as none
    assert gone.mean() == pytest.approx(0.3, abs=0.05) and lengths.mean() == pytest.approx(5.5, abs=0.8)


def test_same_seed_same_frames_and_another_seed_others():
    def run(seed):
        faults = injector(
            {"kind": "dropout", "loss": 0.2}, {"kind": "frame", "error": "crc", "p": 0.3},
            {"kind": "timing", "jitter_s": 0.1, "at_s": 4}, seed=seed,
        )  # fmt: skip
        device = framed(faults)
        drive(device, 40, faults)
        return bytes_of(device)

    assert run(1) == run(1) != run(2)


def test_a_second_run_of_one_device_is_the_first():
    faults = injector({"kind": "dropout", "loss": 0.3})
    device = framed(faults)
    first, _ = drive(device, 20, faults)
    faults.reset()
    second, _ = drive(device, 20, faults)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.core_K, other.core_K, equal_nan=True) and one.status == other.status


def test_a_fault_counts_as_injected_in_the_steps_in_which_it_changed_a_frame():
    faults = injector({"kind": "dropout", "loss": 0.1, "target": "Pack"})
    device, touched = framed(faults), []
    device.reset(readings(0.0), 0.5)
    for k in range(1, 60):
        sent = len(device.frames)
        faults.advance(truth(k - 1.0))
        device.step(readings(float(k)))
        lost = device.link.readings.frames[-1].message.frame_id not in [m.arbitration_id for m in device.frames[sent:]]
        touched.append((bool(faults.states()[2]), lost))
    assert set(touched) == {(True, True), (False, False)}


def test_96_cells_go_there_and_back():
    device = framed(cells=96)
    answers, asked = drive(device, 2, cells=96)
    assert np.abs(answers[-1].core_K - asked[-1].surfaces_K[:, 0] - 5).max() <= 0.005001


def test_what_the_device_says_of_itself_comes_through():
    class Broken(Warmer):
        def step(self, readings):
            if readings.time_s > 3:
                raise DeviceError("burnt")
            return (
                Answer.none(readings.time_s, 2, 2, Status.DEAD, "smoke")
                if readings.time_s > 2
                else super().step(readings)
            )

    device = framed(device=Broken())
    device.reset(readings(0.0), 0.5)
    assert [int(device.step(readings(float(k))).status) for k in (1, 2, 3)] == [0, 0, int(Status.DEAD)]
    assert device.step(readings(3.0)).said == "smoke"
    with pytest.raises(DeviceError, match="burnt"):
        device.step(readings(4.0))
    device.close()
    device.close()

"""A device on a bus, good and bad: it is asked, waited for, given up, and never holds the bench up."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest

from hil.bus import BusSpec, CanDevice
from hil.bus.link import DeviceEnd, Link
from hil.devices.device import DeviceError
from hil.signals import Status

sys.path.insert(0, str(Path(__file__).parent))
from hil_frames import SENSORS, Warmer, drive, free_channel, injector, readings

can = pytest.importorskip("can")
pytest.importorskip("cantools")
from hil.bus.loopback import UdpLoopbackBus  # noqa: E402

QUICK = {"interface": "udp_loopback", "answer_s": 0.05, "give_up": 3, "flood": 500}


class Bench:
    """A `CanDevice`, and beside it another node that does as it is told each time a frame has been sent."""

    def __init__(self, react, wait=True, faults=None, **bus):
        channel = free_channel()
        self.node = UdpLoopbackBus(channel)
        self.spec = BusSpec(**QUICK | {"channel": channel} | bus)
        self.end = DeviceEnd(Link(self.spec, 2, SENSORS), Warmer())
        self.frames, self.steps, self.react = [], 0, react
        self.device = CanDevice(self.spec, 2, SENSORS, wait=wait, injector=faults, log=self.log)

    def log(self, message):
        self.frames.append((message.timestamp, message.arbitration_id, bytes(message.data)))
        if not message.is_rx:
            self.react(self)

    def answer(self):
        """What a good device does with a frame that has come."""
        message = self.node.recv(1.0)
        if self.end.take(message, self.steps + 1.0):
            self.steps = self.end.count if self.end.clocked else self.steps + 1
            for each in self.end.step(float(self.steps), float(self.steps), 0.5):
                self.node.send(each)
        if self.end.asked:
            for each in self.end.sign():
                self.node.send(each)

    def close(self):
        self.device.close()
        self.node.shutdown()


@pytest.fixture
def bench():
    opened = []

    def make(*given, **more):
        opened.append(Bench(*given, **more))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def good(bench):
    bench.answer()


def silent(bench):
    bench.node.recv(0.1)


def flooding(bench):
    for _ in range(150):
        bench.node.send(can.Message(arbitration_id=0x7A0, data=bytes(8), is_extended_id=False))


def raving(bench):
    """Bytes by chance, under identifiers by chance and under its own."""
    chance = bench.__dict__.setdefault("chance", random.Random(3))
    ours = [frame.message.frame_id for frame in bench.end.link.answers.frames]
    for _ in range(4):
        data = chance.randbytes(chance.randrange(9))
        bench.node.send(can.Message(arbitration_id=chance.choice([*ours, 5]), data=data, is_extended_id=False))


def answering_always_the_same(bench):
    if not hasattr(bench, "said"):
        good_frames = bench.end.step(1.0, 1.0, 0.5)
        bench.said = good_frames
    for message in bench.said:
        bench.node.send(message)


def test_a_good_device_is_answered_to_within_the_resolution(bench):
    answers, asked = drive(bench(good).device, 20)
    for answer, told in zip(answers, asked, strict=True):
        assert answer.status == Status.OK and answer.time_s == told.time_s
        assert np.abs(answer.core_K - told.surfaces_K[:, 0] - 5).max() <= 0.005001


def test_the_log_is_the_same_every_time(bench):
    def run():
        one = bench(good)
        drive(one.device, 10)
        return one.frames

    first = run()
    assert first == run()
    times = [time_s for time_s, *_ in first]
    assert times == sorted(times)


@pytest.mark.parametrize("react", [silent, flooding, raving, answering_always_the_same])
def test_a_bad_device_never_hangs_the_bench_and_is_given_up(react, bench):
    answers, _ = drive(bench(react).device, 400)
    assert len(answers) == 400  # with four waits of 50 ms: of the start, and of the steps until it is given up
    first, last = {answer.status for answer in answers[:3]}, {answer.status for answer in answers[3:]}
    assert first <= {Status.LATE, Status.GARBAGE} and last == {Status.DEAD}
    assert first == ({Status.LATE} if react is silent else {Status.GARBAGE})
    assert all(np.isnan(answer.core_K).all() and answer.said for answer in answers)
    assert answers[-1].said.startswith("gone after 3 steps: ")


def test_a_device_that_stops_for_two_steps_is_not_given_up(bench):
    pausing = bench(lambda self: silent(self) if self.device.bench.step in (5, 6) else good(self))
    answers, _ = drive(pausing.device, 12)
    found = [int(answer.status) for answer in answers]
    assert found == 4 * [0] + 2 * [int(Status.LATE)] + 6 * [0]


def test_a_flood_among_good_answers_is_borne(bench):
    def both(self):
        for _ in range(5):
            self.node.send(can.Message(arbitration_id=0x7A0, data=bytes(8), is_extended_id=False))
        good(self)

    one = bench(both)
    answers, _ = drive(one.device, 10)
    assert all(answer.status == Status.OK for answer in answers)
    assert one.device.counts["answer unknown"] >= 10 * 5


def test_faults_reach_a_device_on_a_bus(bench):
    faults = injector({"kind": "frame", "error": "crc", "target": "voltage", "at_s": 4})
    one = bench(good, faults=faults)
    drive(one.device, 12, faults)
    seen = [np.isnan(each.voltage_V).all() for each in one.end.device.readings]
    assert seen == 6 * [False] + 7 * [True] and one.end.heard.counts["checksum"] == 8


def test_a_device_on_foxbms_frames_is_asked_and_heard_though_nobody_names_the_cycle(bench):
    one = bench(good, profile="foxbms", coolant_degC=25)
    answers, asked = drive(one.device, 8)
    one.device.bench.step += 5  # a bench that has asked before
    for answer, told in zip(answers, asked, strict=True):
        assert answer.status == Status.OK and np.abs(answer.core_K - told.surfaces_K[:, 0] - 5).max() <= 0.505
    assert one.device.step(readings(14.0)).status == Status.OK


def test_a_silent_bus_does_not_stop_a_device_of_which_the_bench_keeps_the_time(bench):
    faults = injector({"kind": "dropout", "at_s": 3, "duration_s": 6})
    one = bench(good, faults=faults)
    answers, _ = drive(one.device, 12, faults)
    assert [int(answer.status) for answer in answers] == 12 * [0]
    assert [int(answer.fault.all()) for answer in answers] == 4 * [0] + 5 * [1] + 3 * [0]
    assert [seen.time_s for seen in one.end.device.readings] == list(range(13))


def test_a_second_bench_begins_anew(bench):
    one = bench(good)
    drive(one.device, 3, soc=0.4)
    other = CanDevice(one.spec, 2, SENSORS, opened=one.device._bus, log=one.log)
    answers, _ = drive(other, 3, soc=0.7)
    assert one.end.device.soc == pytest.approx(0.7) and all(answer.status == Status.OK for answer in answers)


@pytest.mark.parametrize("grace_s", [0.0, 0.02])
def test_on_the_real_clock_the_last_answer_stands_until_it_is_too_old(grace_s, bench):
    one = bench(lambda self: good(self) if self.device.bench.step < 6 else silent(self), wait=False, grace_s=grace_s)
    answers, _ = drive(one.device, 12)
    assert [answer.time_s for answer in answers[:5]] == [1, 2, 3, 4, 5]  # here the other node is quicker than the bench
    assert [int(answer.status) for answer in answers] == 7 * [0] + 5 * [int(Status.LATE)]
    assert answers[6].time_s == 5.0  # two steps old, within one and a half cycles after its step
    assert np.isnan(answers[7].core_K).all()


def test_on_the_real_clock_an_answer_that_comes_late_is_known_to_be_old(bench):
    held = []

    def slow(self):
        """Keep each answer until the next question has begun."""
        for message in held:
            self.node.send(message)
        held.clear()
        send, self.node.send = self.node.send, held.append
        good(self)
        self.node.send = send

    answers, asked = drive(bench(slow, wait=False).device, 6)
    assert [answer.time_s for answer in answers[1:]] == [1, 2, 3, 4, 5]
    for answer, told in zip(answers[1:], asked, strict=False):
        assert np.abs(answer.core_K - told.surfaces_K[:, 0] - 5).max() <= 0.005001


def test_a_process_that_has_ended_is_dead_at_once(bench):
    one = bench(silent)
    alive = iter([True, False, False])
    one.device._alive = lambda: next(alive, False)
    one.device.step(readings(1.0))
    answer = one.device.step(readings(2.0))
    assert answer.status == Status.DEAD and answer.said == "its process has ended"


def test_an_adapter_that_fails_is_late_and_then_dead(bench):
    one = bench(silent)

    class Gone:
        def send(self, *_, **__):
            raise can.CanOperationError("unplugged")

        def recv(self, *_):
            raise can.CanOperationError("unplugged")

        def shutdown(self):
            pass

    one.device._bus.shutdown()
    one.device._bus = Gone()
    answers = [one.device.step(readings(float(k))) for k in range(1, 6)]
    assert [int(answer.status) for answer in answers] == 3 * [int(Status.LATE)] + 2 * [int(Status.DEAD)]
    assert "cannot send (unplugged)" in answers[0].said


def test_a_device_with_other_sensors_says_so_and_is_not_misread(bench):
    one = bench(good)
    one.end = DeviceEnd(Link(one.spec, 2, ["surface", "surface_right"]), Warmer())
    with pytest.raises(DeviceError, match="has not 2 cells with surface, surface_left"):
        one.device.reset(readings(0.0), 0.5)
    assert one.end.device.soc is None


def test_who_is_there_is_answered_and_starts_nothing(bench):
    one = bench(good)
    drive(one.device, 3)
    soc, asked = one.end.device.soc, len(one.end.device.readings)
    sent = one.device._bus.send
    one.device._bus.send = lambda message, timeout=None: (sent(message), one.answer())
    assert one.device.hear(5.0)
    assert (one.end.device.soc, len(one.end.device.readings)) == (soc, asked) and one.end.running
    one.device._bus.send = sent
    assert not bench(silent).device.hear(0.1)


def test_closed_twice_and_asked_after_it(bench):
    one = bench(good)
    one.device.close()
    one.device.close()
    with pytest.raises(DeviceError, match="closed"):
        one.device.step(readings(1.0))

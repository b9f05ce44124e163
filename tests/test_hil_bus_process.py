"""Devices in processes of their own: ours, and some that behave badly."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Observer, load_cell
from bmsthermal.observer import compiled
from hil.bus import BusSpec, CanDevice, Framed, open_bus, spawn_device
from hil.bus.process import Child
from hil.signals import Status

sys.path.insert(0, str(Path(__file__).parent))
from hil_frames import SENSORS, Warmer, free_channel, readings

pytest.importorskip("can")
pytest.importorskip("cantools")
pytestmark = pytest.mark.skipif(not compiled(), reason="the compiled kernel is missing")


@pytest.fixture(scope="module")
def observer():
    reduced = CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=3)
    return Observer(reduced, faults=True)


def spec(**given):
    return BusSpec(**{"interface": "udp_loopback", "channel": free_channel(), "answer_s": 5.0} | given)


def run(device, steps, cells, sensors=1):
    device.reset(readings(0.0, cells, sensors), 0.5)
    return [device.step(readings(float(k), cells, sensors)) for k in range(1, steps + 1)]


def test_the_observer_in_another_process_says_what_it_says_here(observer):
    from hil.devices.in_process import InProcess

    here = Framed(InProcess(observer, 3), BusSpec(), None, 3, observer.measured)
    there = spawn_device(observer, spec(), cells=3)
    try:
        for one, other in zip(run(here, 25, 3), run(there, 25, 3), strict=True):
            assert other.status == Status.OK and other.time_s == one.time_s
            assert np.array_equal(one.core_K, other.core_K) and np.array_equal(one.core_std_K, other.core_std_K)
            assert np.array_equal(one.fault, other.fault)
        # the same frames too, but for the bench's time and for counters of who has waited longer
        clock = there.link.clock.frames[0].message.frame_id
        data = [[bytes(m.data)[2:] for m in each.frames if m.arbitration_id != clock][-50:] for each in (here, there)]
        assert data[0] == data[1]
        there.child._process.send_signal(signal.SIGSTOP)
        there._patience_s = 0.1
        stopped = there.step(readings(26.0, 3, 1))
        there.child._process.kill()
        assert stopped.status == Status.LATE
        killed = [there.step(readings(float(k), 3, 1)).status for k in range(27, 30)]
        assert killed[-1] == Status.DEAD
    finally:
        here.close()
        there.close()
    assert not there.child.alive()


def test_a_child_ends_with_the_pipe_of_its_parent(observer):
    bus = spec()
    child = Child(observer, bus, cells=1)
    with open_bus(bus) as here:
        assert here.recv(30.0) is not None  # it is there
        child._process.stdin.close()  # as when the parent dies, however it dies
        assert child._process.wait(10.0) == 0
    child.close()


def test_a_device_that_is_served_ends_on_an_interrupt(observer, tmp_path):
    bus = spec()
    # a job in the background may have been told to leave interrupts alone
    code = f"""
import signal
from bmsthermal import load_cell, CoupledModel, Observer
from hil.bus import BusSpec, serve
signal.signal(signal.SIGINT, signal.default_int_handler)
observer = Observer(CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=3))
serve(observer, BusSpec(interface="udp_loopback", channel={bus.channel}), report=lambda line: print(line, flush=True))
print("ended", flush=True)
"""
    with open_bus(bus) as here:
        process = subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True)
        try:
            assert here.recv(30.0) is not None
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=10.0)
        finally:
            process.kill()
    assert said.splitlines()[0].startswith("model on udp_loopback channel") and said.splitlines()[-1] == "ended"


BAD = {
    "dies": "import sys; s.recv(99); sys.exit(3)",
    "is silent": "time.sleep(60)",
    "floods": """
while time.monotonic() < end:
    s.sendto(b"CAN1" + bytes([0, 0, 7, 0xA0, 0, 8]) + bytes(8), to)""",
    "raves": """
while time.monotonic() < end:
    s.sendto(b"CAN1" + bytes([0, 0, 1, random.randrange(256), 0, 8]) + random.randbytes(8), to)
    s.sendto(random.randbytes(20), to)""",
}


@pytest.mark.parametrize("how", BAD)
def test_a_process_that_is_no_device_never_hangs_the_bench(how):
    bus = spec(answer_s=0.1, flood=300)
    code = f"""
import random, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", {bus.channel} + 1))
to, end = ("127.0.0.1", {bus.channel}), time.monotonic() + 30
s.sendto(b"here", to)
{BAD[how]}
"""
    device = CanDevice(bus, 1, ["surface"])
    process = subprocess.Popen([sys.executable, "-P", "-c", code])
    try:
        device._bus._socket.setblocking(True)
        device._bus._socket.settimeout(20.0)
        device._bus._socket.recv(99)  # it is up
        device._bus._socket.setblocking(False)
        answers = run(device, 300, 1)
    finally:
        process.kill()
        process.wait()
        device.close()
    # four waits of 0.1 s at most: of the start, and of the steps until it is given up
    assert {answer.status for answer in answers[:3]} <= {Status.LATE, Status.GARBAGE}
    assert {answer.status for answer in answers[3:]} == {Status.DEAD}


def test_a_device_that_does_not_come_up_is_said(observer):
    with pytest.raises(InputError, match="ends with this process"):
        spawn_device(observer, BusSpec())
    taken = spec()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.bind(("127.0.0.1", taken.channel))
        with pytest.raises(InputError, match="did not come up"):
            spawn_device(observer, taken)


def test_on_its_own_clock_a_device_goes_on_where_nothing_comes():
    from hil.bus.link import BenchEnd, DeviceEnd, Link
    from hil.bus.process import _Served

    link = Link(BusSpec(), 2, SENSORS, 0.01)
    device, bench = Warmer(), BenchEnd(link)
    frames = bench.begin(readings(0.0), 0.3, 0.005) + bench.ask(readings(0.01), 0.005)

    class Line:
        channel_info = "a line"

        def recv(self, wait_s):
            time.sleep(0 if frames else wait_s)
            return frames.pop(0) if frames else None

        def send(self, message, timeout=None):
            pass

    said = []
    _Served(link, DeviceEnd(link, device), Line(), said.append).run(lambda: len(device.readings) >= 6)
    assert device.soc == pytest.approx(0.3) and said == ["warmer on a line: 2 cells"]
    assert [bool(np.isnan(seen.surfaces_K).all()) for seen in device.readings] == 3 * [False] + 3 * [True]
    assert [seen.time_s for seen in device.readings] == pytest.approx([0.01 * k for k in range(1, 7)])


def test_a_scenario_whose_bus_ends_with_the_process_is_taken_between_two(monkeypatch):
    from types import SimpleNamespace

    from hil.bus import process

    made = []
    monkeypatch.setattr(process, "spawn_device", lambda tested, bus, **given: made.append(bus.interface))
    monkeypatch.setattr("hil.bus.loopback.taken", lambda channel, nodes: 0)
    observed = SimpleNamespace(measured=("surface",))
    plant = SimpleNamespace(cells=1)
    scenario = SimpleNamespace(bus=BusSpec(), make_observer=lambda: observed, plant=plant, step_s=1.0)
    process.can_device(scenario)
    assert made == ["udp_loopback"]
    with pytest.raises(InputError, match="ends with this process"):
        process.can_device(scenario, bus="virtual")

"""A device of ours on a bus: served in this process, or in a child of the bench."""

from __future__ import annotations

import contextlib
import pickle
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.observer import Observer
from hil.bus.can_device import LOOK_S, CanDevice, open_bus
from hil.bus.link import DeviceEnd, Link
from hil.bus.spec import BusSpec
from hil.children import command_of
from hil.devices.device import Device, DeviceError
from hil.extras import extra

if TYPE_CHECKING:
    import can

    from hil.bus.frame_faults import Injected
    from hil.scenario import Scenario

#: Seconds: between signs of life of a device that waits, between lines that it prints, for a child to come up.
SIGN_S, PRINT_S, START_S = 0.5, 5.0, 60.0

VIRTUAL, BETWEEN = "the bus 'virtual' ends with this process", "udp_loopback, or another interface of python-can"


def serve(
    tested: Observer | Device,
    bus: BusSpec,
    *,
    cells: int = 1,
    sensors: Sequence[str] = (),
    step_s: float = 1.0,
    soc: float = 0.5,
    report: Callable[[str], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Be a device on a bus until Ctrl-C: hear readings, check them, step, answer.

    Where the bench tells the time, a step is taken when it says so. Elsewhere one is taken when the frames of a cycle
    are there; or a quarter of ``answer_s`` (half a step, if that is less) after the first of them, with what has come
    till then; or, once it runs, after one and a half steps in which nothing came. It counts the time in its own steps.
    Before it runs, it says twice a second that it is there.

    Parameters
    ----------
    tested
        An observer, which runs on the compiled kernel for all cells; or any device.
    bus
        What is agreed on.
    cells
        Number of cells.
    sensors
        Of each cell; of an observer those that it measures.
    step_s
        Of a device; of an observer the step of its model.
    soc
        State of charge to begin with, where the bench does not say.
    report
        Gets a line now and then, of what is seen.
    stop
        Asked between frames; it ends where that says so.

    Raises
    ------
    InputError
        If the bus cannot be opened, or does not fit.
    """
    device: Device
    if isinstance(tested, Observer):
        from hil.devices.in_process import InProcess

        device, sensors, step_s = InProcess(tested, cells), tested.measured, tested.reduced.step_s
    else:
        device = tested
    link = Link(bus, cells, sensors, step_s)
    opened = open_bus(bus)
    try:
        _Served(link, DeviceEnd(link, device, soc), opened, report or (lambda _: None)).run(stop)
    except KeyboardInterrupt:
        pass
    finally:
        opened.shutdown()
        device.close()


class _Served:
    """The loop of `serve`."""

    def __init__(self, link: Link, node: DeviceEnd, bus: can.BusABC, report: Callable[[str], None]) -> None:
        self.link, self.node, self.bus, self.report = link, node, bus, report
        self.patience_s = min(link.bus.answer_s / 4, link.step_s / 2)
        self.steps, self.printed = 0, 0

    def run(self, stop: Callable[[], bool]) -> None:
        node, step_s = self.node, self.link.step_s
        begun = shown = spoke = stepped = time.monotonic()
        late = None  # when a cycle that has begun is not waited for any longer
        self.report(f"{node.device.name} on {self.bus.channel_info}: {self.link.cells} cells")
        while not stop():
            now = time.monotonic()
            message = self._receive(min(max(late - now, 0.0), LOOK_S) if late else LOOK_S)
            closed = message is not None and node.take(message, (self.steps + 1) * step_s)
            now = time.monotonic()
            if node.clocked or not node.heard.fresh:
                late = None
            elif late is None:
                late = now + self.patience_s
            alone = node.running and not node.clocked and now - stepped >= 1.5 * step_s
            if closed or alone or (late is not None and now >= late):
                self.steps, late = node.count if node.clocked else self.steps + 1, None
                stepped = now if not alone else stepped + step_s
                at_s = self.steps * step_s
                try:
                    self._send(node.step(at_s, at_s, step_s / 2))
                except DeviceError as error:
                    self.report(f"the device is gone: {error}")
                    return
            elif node.asked or (not node.running and now - spoke >= SIGN_S):
                spoke = now
                self._send(node.sign())
            if now - shown >= PRINT_S:
                shown = now
                self.report(self._line(now - begun))

    def _receive(self, wait_s: float) -> can.Message | None:
        import can

        try:
            return self.bus.recv(wait_s)
        except (can.CanError, OSError):
            time.sleep(0.01)  # an adapter that went may come back
            return None

    def _send(self, frames: Sequence[can.Message]) -> None:
        import can

        for message in frames:
            with contextlib.suppress(can.CanError, OSError):  # whoever asked will find its answer late
                self.bus.send(message, timeout=self.patience_s)

    def _line(self, passed_s: float) -> str:
        """What was seen: readings, answer, and what is wrong with the frames."""
        steps, self.printed = self.steps - self.printed, self.steps
        seen, wrong = self.node.seen, self.node.heard.counts
        if seen is None or not steps:
            return f"{passed_s:.0f} s: nobody asks"
        with np.errstate(all="ignore"):
            surface = seen.surfaces_K[np.isfinite(seen.surfaces_K)] - ZERO_DEGC_K
        warm = f"{surface.min():.1f} to {surface.max():.1f} degC" if surface.size else "no surface"
        found = ", ".join(f"{count} {reason}" for reason, count in sorted(wrong.items()) if count)
        return f"{passed_s:.0f} s: {steps} steps, {seen.current_A:.1f} A, {warm}" + (f"; {found}" if found else "")


class Child:
    """A device in a process that this one has started, and ends.

    Parameters
    ----------
    tested, bus, cells, sensors, step_s, soc
        As for `serve`; what is tested must be picklable.
    """

    def __init__(self, tested: Any, bus: BusSpec, **given: Any) -> None:
        # a pipe that nobody reads would hold it up once it is full
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        command, environment = command_of("hil.bus.process")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._said, env=environment
        )
        order = pickle.dumps((tested, bus, given))
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(len(order).to_bytes(8, "big") + order)
            self._process.stdin.flush()  # it stays open: the child ends where it is closed, whatever became of us
        except OSError:
            self.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def last_words(self) -> str:
        """Last line that it wrote before it ended."""
        if self.alive():
            return ""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """End it."""
        if self.alive():
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._said.close()


class SpawnedDevice(CanDevice):
    """A `CanDevice` whose device is a child of this process, ended with it in every case."""

    name = "CAN device (our observer in a process of its own: nobody else answered)"

    def __init__(self, child: Child, bus: BusSpec, cells: int, sensors: Sequence[str], **given: Any) -> None:
        self.child = child
        try:
            super().__init__(bus, cells, sensors, alive=child.alive, **given)
        except BaseException:
            child.close()
            raise

    @property
    def pid(self) -> int:
        """Of the child."""
        return self.child.pid

    def close(self) -> None:
        """Leave the bus, and end the child."""
        try:
            super().close()
        finally:
            self.child.close()


def spawn_device(
    tested: Observer | Device, bus: BusSpec, *, cells: int = 1, sensors: Sequence[str] = (), step_s: float = 1.0,
    soc: float = 0.5, wait: bool = True, injector: Injected | None = None, **given: Any,
) -> SpawnedDevice:  # fmt: skip
    """Start a device in a process of its own, and wait until it is on the bus.

    Parameters
    ----------
    tested, bus, cells, sensors, step_s, soc
        As for `serve`.
    wait, injector, given
        As for `CanDevice`.

    Raises
    ------
    InputError
        If the bus does not go between processes, or the device does not come up.
    """
    if bus.interface == "virtual":
        raise InputError(VIRTUAL, expected=BETWEEN)
    if isinstance(tested, Observer):
        sensors, step_s = tested.measured, tested.reduced.step_s
    Link(bus, cells, sensors, step_s)  # what does not fit is said here and not there
    child = Child(tested, bus, cells=cells, sensors=tuple(sensors), step_s=step_s, soc=soc)
    device = SpawnedDevice(child, bus, cells, sensors, step_s=step_s, wait=wait, injector=injector, **given)
    if not device.hear(START_S):
        said = child.last_words or f"nothing heard of it in {START_S:g} s"
        device.close()
        raise InputError(f"the device did not come up ({said})", where=f"bus {bus.interface}")
    return device


def can_device(
    scenario: Scenario, injector: Injected | None = None, *, bus: str | None = None, real: bool = False
) -> CanDevice:
    """Return whoever answers on a scenario's bus; where nobody does on `udp_loopback`, its observer in a child process.

    Parameters
    ----------
    scenario
        Says which observer, cells and bus.
    injector
        Faults of frames.
    bus
        Interface, or ``interface:channel``, instead of the scenario's.
    real
        Whether the bench keeps real time; then it does not wait for answers.

    Raises
    ------
    InputError
        If the bus cannot be opened.
    """
    extra("can", "a bus")
    spec = (scenario.bus or BusSpec()).on(bus)
    if spec.interface == "virtual":
        if bus is not None:
            raise InputError(VIRTUAL, expected=BETWEEN)
        spec = spec.on("udp_loopback")  # a scenario's bus of this process, between two
    observer, cells = scenario.make_observer(), scenario.plant.cells
    given: dict[str, Any] = {"wait": not real, "injector": injector}
    if spec.interface != "udp_loopback":
        return CanDevice(spec, cells, observer.measured, step_s=scenario.step_s, **given)
    from hil.bus.loopback import CHANNEL, free_channel, taken

    nodes, channel = int(spec.config.get("nodes", 2)), spec.channel or CHANNEL
    there = taken(int(channel), nodes) if str(channel).isdecimal() else 0
    if 0 < there < nodes:
        device = CanDevice(spec, cells, observer.measured, step_s=scenario.step_s, **given)
        if device.hear(2.5 * SIGN_S):
            return device
        device.close()
        if spec.channel is not None:
            raise InputError(
                "somebody is on the channel, and says nothing", where=f"bus {spec.interface}, channel {channel}",
                hint="a device has to send a frame before the run, and to answer a Start of session 0 with its Status",
            )  # fmt: skip
    if there and spec.channel is None:  # somebody else's bench
        spec = spec.model_copy(update={"channel": free_channel(nodes)})
    return spawn_device(observer, spec, cells=cells, **given)


def _child() -> None:
    """Serve what comes over the standard input, and end where that is closed."""
    size = int.from_bytes(sys.stdin.buffer.read(8), "big")
    tested, bus, given = pickle.loads(sys.stdin.buffer.read(size))

    def orphaned() -> bool:
        try:
            return bool(select.select([0], [], [], 0.0)[0])  # nothing more comes: it is readable when it is closed
        except OSError:  # Windows waits for sockets only
            return False

    serve(tested, bus, stop=orphaned, **given)


if __name__ == "__main__":
    try:
        _child()
    except InputError as error:
        sys.exit(str(error))

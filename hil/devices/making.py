"""A device under test from what a person asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmsthermal.errors import InputError
from hil.devices.device import Device
from hil.extras import extra

if TYPE_CHECKING:
    from bmsthermal.observer import Observer
    from hil.faults import Injector
    from hil.scenario import Scenario

#: What can be asked for.
DEVICES = {
    "model": "the observer itself, in this process",
    "sil": "its exported C, compiled for this machine",
    "sil:FOLDER": "a bundle of C in a folder, in a process of its own",
    "emulated:CORE": "its exported C on an emulated core",
    "fmu": "its FMU",
    "fmu:FILE": "an FMU in a file, in a process of its own",
    "can": "whatever answers on a CAN bus",
    "serial:PORT": "whatever answers on a serial port, PORT@BAUD; serial:desk: its exported C as a program behind one",
}


def make_device(
    text: str, scenario: Scenario, injector: Injector | None = None, *, bus: str | None = None, real: bool = False
) -> Device:
    """Make the device of a scenario; one of this process stands behind frames where there is a bus, or faults of one.

    Parameters
    ----------
    text
        One of `DEVICES`.
    scenario
        Says which observer, how many cells, and which bus.
    injector
        Faults of frames.
    bus
        Interface of python-can, and ``:channel``, instead of the scenario's.
    real
        Whether the bench keeps real time.

    Raises
    ------
    InputError
        If there is no such device, or what it needs is not there.
    """
    kind, _ = _split(text)
    observer, cells, sensors = scenario.make_observer(), scenario.plant.cells, scenario.observer.sensors
    if kind == "can":
        check_bus()
        from hil.bus import can_device

        return can_device(scenario, injector, bus=bus, real=real)
    if kind == "serial":
        return plain_device(text, observer, cells, answer_s=scenario.step_s / 2 if real else None)
    device = plain_device(text, observer, cells)
    frames = any(fault.spec.stage == "bus" for fault in scenario.faults)
    if scenario.bus is None and bus is None and not frames:
        return device
    check_bus()
    from hil.bus import BusSpec, Framed

    if bus is not None and bus.partition(":")[0] != "virtual":
        raise InputError(f"bus {bus!r} for a device of this process", expected="virtual, or --device can")
    spec = (scenario.bus or BusSpec()).on(bus)
    return Framed(device, spec, injector, cells, sensors, step_s=scenario.step_s)


def check_bus() -> None:
    """Refuse a bus where something that it needs is not installed, before anything runs.

    Raises
    ------
    InputError
        With the line that installs it.
    """
    for package in ("can", "cantools", "crccheck"):
        extra(package, "a bus")


def plain_device(
    text: str, observer: Observer, cells: int = 1, *, answer_s: float | None = None,
    names: Mapping[str, str] | None = None,
) -> Device:  # fmt: skip
    """Make a device that is called, and behind no bus.

    Parameters
    ----------
    text
        One of `DEVICES` but ``can``.
    observer
        What is under test; of a folder and a file it says which sensors there are.
    cells
        How many cells.
    answer_s
        Longest that a step of a process of its own, or of a board, may take, in s.
    names
        Of an FMU of somebody else's, see `hil.devices.fmu.Fmu`.

    Raises
    ------
    InputError
        If there is no such device, or what it needs is not there.
    """
    kind, rest = _split(text)
    limit: dict[str, Any] = {} if answer_s is None else {"answer_s": answer_s}
    if kind == "model":
        from hil.devices.in_process import InProcess

        return InProcess(observer, cells)
    if kind == "sil":
        from hil.devices.compiled import Compiled, guarded_bundle

        return guarded_bundle(rest, observer.measured, cells, **limit) if rest else Compiled(observer, cells)
    if kind == "emulated":
        from hil.devices.emulated import Emulated

        return Emulated(observer, rest, cells)
    if kind == "fmu":
        from hil.devices.fmu import Fmu, guarded_fmu

        if rest:
            return guarded_fmu(Path(rest), observer.measured, cells, names, observer.reduced.step_s, **limit)
        return Fmu(observer, cells)
    if kind == "serial":
        from hil.devices.serial import serial_device

        return serial_device(rest, observer, cells, timeout_s=1.0 if answer_s is None else answer_s)
    raise InputError(f"device {text!r}", expected="one that is stepped", hint="it is behind a bus: send a log there")


def _split(text: str) -> tuple[str, str]:
    """Kind and what is behind the colon.

    Raises
    ------
    InputError
        If there is no such device.
    """
    kind, colon, rest = text.partition(":")
    known = [(name.partition(":")[0], ":" in name) for name in DEVICES]
    if (kind, bool(colon)) not in known or (colon and not rest):
        raise InputError(f"device {text!r}", expected=f"one of {', '.join(DEVICES)}")
    return kind, rest

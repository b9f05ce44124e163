"""A bench from a scenario: its parts put together, run, judged and digested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from hil.devices import make_device
from hil.devices.device import Device
from hil.faults import Injector
from hil.loop import Bench
from hil.outcome import Outcome
from hil.plant import build_plant
from hil.requirements import judge
from hil.scenario import MOST_SEED, Scenario, check_length, load_scenario
from hil.sensors import SensorChain
from hil.timing import Overrun, Pacer, open_clock, realtime

#: Called with names and row after each step.
Seen = Callable[[tuple[str, ...], Array], None]
#: Called with each frame of CAN.
Log = Callable[[Any], None]
#: Steps at the start of a run that time is not counted in: the first of each part is slow.
GRACE_STEPS = 10


def open_bench(
    scenario: Scenario | str, *, device: str | Device = "sil", bus: str | None = None, clock: str = "virtual",
    policy: str = "slip", seen: Seen | None = None,
) -> Bench:  # fmt: skip
    """Put a bench together.

    Parameters
    ----------
    scenario
        A scenario, the name of a shipped one, or its file.
    device
        ``model``, ``sil``, ``emulated:CORE``, ``fmu``, ``can`` or ``serial:PORT``, see `hil.devices.make_device`; or
        a device of your own.
    bus
        Frames between bench and device: the interface, see `hil.bus`; by default what the scenario says.
    clock
        ``virtual``, ``scaled:FACTOR`` or ``real``, see `hil.timing`.
    policy
        What becomes of a step that begins late: ``slip``, ``drop``, ``catch-up:N`` or ``abort:N``.
    seen
        Called with names and row after each step.

    Returns
    -------
    Bench
        To be closed, best by ``with``.

    Raises
    ------
    InputError
        If one of them is none, or something that it needs is not installed.
    """
    for key, given in (("clock", clock), ("policy", policy), ("bus", bus or "")):
        if not isinstance(given, str):
            raise InputError(f"{key} is {given!r:.60}", expected="a word, as 'virtual'")
    if not isinstance(device, str) and not all(hasattr(device, verb) for verb in ("name", "reset", "step", "close")):
        raise InputError(
            f"device is {device!r:.60}", expected="its name, or an object with name, reset, step and close"
        )
    scenario = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    check_length(scenario)
    cell, spec, sensors = scenario.loaded, scenario.plant, scenario.observer.sensors
    if spec.file is not None:
        spec = spec.model_copy(update={"file": scenario.folder / spec.file})
    pacer = Pacer(open_clock(clock), scenario.step_s, policy, GRACE_STEPS)
    plant = build_plant(cell, spec, step_s=scenario.step_s, sensors=sensors, seed=scenario.seed)
    injector = Injector(scenario.faults, spec.cells, sensors, scenario.step_s, scenario.seed)
    chain = SensorChain(scenario.sensors, spec.cells, sensors, scenario.step_s, scenario.seed)
    profile = scenario.make_profile()
    tested = make_device(device, scenario, injector, bus=bus, real=pacer.real) if isinstance(device, str) else device
    if (child := getattr(tested, "pid", None)) is not None:
        pacer.usage.watch("device", child)
    return Bench(
        plant, chain, injector, profile, tested, pacer, step_s=scenario.step_s, steps=scenario.steps, sensors=sensors,
        faults=tuple(fault.name for fault in scenario.faults), initial_soc=scenario.initial_soc,
        capacity_Ah=cell.capacity_Ah, start_error_K=scenario.observer.start_error_K,
        start_soc_error=scenario.observer.start_soc_error, seen=seen,
    )  # fmt: skip


def run_scenario(
    scenario: Scenario | str, *, device: str | Device = "sil", bus: str | None = None, clock: str = "virtual",
    policy: str = "slip", duration_s: float | None = None, seed: int | None = None, seen: Seen | None = None,
    compare: tuple[str, ...] = (), log: Log | None = None,
) -> Outcome:  # fmt: skip
    """Run a scenario to its end, or to what ends it, and judge it.

    Parameters
    ----------
    scenario, device, bus, clock, policy, seen
        As for `open_bench`.
    duration_s
        End earlier.
    seed
        Instead of the scenario's.
    compare
        Cores on which the device's observer is run again on what this run's device saw, see `hil.equality`; ``host``
        is this machine.
    log
        Called with each CAN frame as it passes; by default frames are kept on the virtual clock, and else are not.

    Returns
    -------
    Outcome
        Whatever the device did.

    Raises
    ------
    InputError
        As for `open_bench`; once the run has begun, nothing does.
    """
    scenario = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    if seed is not None and not (isinstance(seed, int | np.integer) and 0 <= seed <= MOST_SEED):
        raise InputError(f"seed {seed!r:.60}", where=scenario.name, expected=f"0 to {MOST_SEED}")
    _check_cores(compare)
    changes: dict[str, Any] = {} if seed is None else {"seed": seed}
    if duration_s is not None:
        longest = scenario.length_s
        if not scenario.step_s <= duration_s <= longest:
            raise InputError(f"{duration_s:g} s", where=scenario.name, expected=f"{scenario.step_s:g} to {longest:g} s")
        changes["duration_s"] = duration_s
    scenario = scenario.model_copy(update=changes) if changes else scenario
    with open_bench(scenario, device=device, bus=bus, clock=clock, policy=policy, seen=seen) as bench:
        ended = ""
        if hasattr(bench.device, "log") and (log is not None or bench.pacer.real):
            # of a long run in real time nobody could keep them all
            bench.device.log = _guarded(log, bench) if log else lambda _: None
        with realtime() if bench.pacer.real else nullcontext():
            try:
                bench.run()
            except Overrun as overrun:
                ended = str(overrun)
            except KeyboardInterrupt:
                ended = "interrupted"
        record, timing = bench.record, bench.pacer.report()
        cost: dict[str, Any] = getattr(bench.device, "cost", dict)()
        name, frames = bench.device.name, tuple(getattr(bench.device, "frames", ()))
        digests = _digests(scenario, bench) | {"record": record.digest}
    same: Mapping[str, str] = {}
    if compare and len(record.time_s):
        from hil.equality import equality

        same = equality(scenario.make_observer(), record, scenario.initial_soc, cores=compare)
    if cost:
        most = f"at most {cost['most_instructions']:,} instructions a step, with what is read out"
        same = dict(same) | {"cost": f"{most} ({cost['core']}, {cost['toolchain']}, {cost['emulator']})"}
    results = judge(scenario, record, timing)
    return Outcome(scenario, name, record, results, timing, same, digests, ended, frames)


def _guarded(log: Log, bench: Bench) -> Log:
    """Take frames until the log fails, as on a disk that is full: that is said, and is no fault of the device."""
    failed = False

    def take(frame: Any) -> None:
        nonlocal failed
        if not failed:
            try:
                log(frame)
            except Exception as error:  # of a log of somebody's own, which may raise anything
                failed = True
                bench.said.append((bench.done * bench.step_s, f"the log of frames ends here: {error}"))

    return take


def _check_cores(names: tuple[str, ...]) -> None:
    """Refuse cores that there are none of before a run, and not after it."""
    if others := [name for name in names if name != "host"]:
        from firmware_export.targets.toolchains import core_named

        for name in others:
            core_named(name)


def _digests(scenario: Scenario, bench: Bench) -> dict[str, str]:
    """Of everything that a run is made from."""
    found = {"scenario": scenario.digest, "cell": scenario.loaded.digest, "plant": bench.plant.digest}
    return found | dict(getattr(bench.device, "digests", {}))

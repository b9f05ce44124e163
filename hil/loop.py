"""The loop: command, plant, sensors and their faults, device, record; and the verbs that a test has.

A step is one line of time: what is commanded over it, where the plant stands at its end, what the sensors say of that,
and what the device makes of it. The verbs are those of ASAM XIL: `read`, `write`, `capture`, `stimulate`, `tasks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from hil.devices.device import Device
from hil.devices.under_test import UnderTest
from hil.faults import Injector
from hil.plant import Plant
from hil.profile import Profile
from hil.record import Record, column_names, names_of
from hil.sensors import SensorChain
from hil.signals import Answer, Command, Readings
from hil.timing import Pacer

#: What is commanded: a test may write it, as it may what the device is to see.
COMMANDS = ("command_A", "ambient_degC", "cooling")

#: Value of a signal in its unit, over time in s.
Drive = Callable[[float], float]


@dataclass(frozen=True)
class Capture:
    """Signals from the step after which they were captured; it grows while the bench steps."""

    bench: Bench = field(repr=False)
    names: tuple[str, ...]
    first: int

    @property
    def time_s(self) -> Array:
        """Ends of the steps, ``(k,)``."""
        return self["time_s"]

    def __getitem__(self, name: str) -> Array:
        """Values ``(k,)`` of one of them."""
        if name not in (*self.names, "time_s"):
            raise InputError(f"signal {name!r} was not captured", expected="one of " + ", ".join(self.names))
        return self.bench.rows[self.first : self.bench.done, self.bench.place(name)].copy()


class Bench:
    """A plant, its sensors and faults, and a device under test, stepped together.

    Parameters
    ----------
    plant, chain, injector
        The cells, what looks at them, and what goes wrong.
    profile
        Current, coolant, cooling and power of the device over time.
    device
        The device under test.
    pacer
        Keeps the time, and counts where it was not kept.
    step_s, steps
        Length of a step, and the longest run.
    sensors
        Names of the sensors of a cell.
    faults
        Names of the faults, in the injector's order.
    initial_soc
        Where the cells start; their temperature is the profile's.
    capacity_Ah
        By which the device's own counter of charge, which outlives a key-off, goes on.
    start_error_K, start_soc_error
        What the device is told wrong at its first start, on purpose.
    seen
        Called with names and row after each step; it must return at once.

    Examples
    --------
    >>> from hil.bench import open_bench
    >>> with open_bench("us06", device="model") as bench:
    ...     bench.step(60)
    ...     bench.write("cooling", 0.0)
    ...     capture = bench.capture("true_core_degC")
    ...     bench.step(60)
    ...     len(capture["true_core_degC"])
    60
    """

    def __init__(
        self, plant: Plant, chain: SensorChain, injector: Injector, profile: Profile, device: Device, pacer: Pacer, *,
        step_s: float, steps: int, sensors: tuple[str, ...], faults: tuple[str, ...], initial_soc: float,
        capacity_Ah: float, start_error_K: float = 0.0, start_soc_error: float = 0.0,
        seen: Callable[[tuple[str, ...], Array], None] | None = None,
    ) -> None:  # fmt: skip
        self.plant, self.chain, self.injector, self.profile = plant, chain, injector, profile
        self.device, self.pacer, self.step_s, self.steps, self.seen = device, pacer, step_s, steps, seen
        self.sensors, self.faults, self.cells = sensors, faults, plant.cells
        self.names = column_names(plant.cells, sensors, faults)
        self.rows = np.full((steps, len(self.names)), np.nan)
        self.done = 0
        self._place = {name: i for i, name in enumerate(self.names)}
        self._written: dict[str, Drive] = {}
        self._share_per_A = step_s / 3600 / capacity_Ah
        self._soc, self._start_error_K = min(max(initial_soc + start_soc_error, 0.0), 1.0), start_error_K
        self._begun, self._slept = False, 0
        self._tested = UnderTest(device, plant.cells, len(sensors))
        profile.reset()
        injector.reset()
        self._truth = plant.reset(initial_soc, profile.start_K)
        self._readings = chain.reset(self._truth)
        self._answer = self._tested.off(0.0)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.device.close()

    # verbs

    def place(self, name: str) -> int:
        """Column of a signal.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        if name not in self._place:
            raise InputError(f"no signal {name!r}", expected="one of " + ", ".join(self.names))
        return self._place[name]

    def read(self, name: str) -> float:
        """Value of a signal after the last step; NaN before the first."""
        at = self.place(name)
        return float(self.rows[self.done - 1, at]) if self.done else np.nan

    def write(self, name: str, value: float) -> None:
        """Hold a command, or what the device sees, at a value from the next step on, until `release`.

        Raises
        ------
        InputError
            If the signal cannot be written, or the value is no number; a command is finite.
        """
        self._check_writable(name)
        if (held := _numbers(name, value)).ndim:
            raise InputError(f"{value!r:.60}", where=name, expected="a number", hint="stimulate takes a table")
        self._written[name] = lambda _: float(held)

    def stimulate(self, name: str, time_s: ArrayLike, values: ArrayLike) -> None:
        """Drive a command, or what the device sees, along a table from the next step on; its ends are held.

        Parameters
        ----------
        name
            The signal, in its unit.
        time_s, values
            ``(k,)`` each, time counted from now; between its points it is a straight line.

        Raises
        ------
        InputError
            If the signal cannot be written, or the table is not finite, increasing and as long as its values.
        """
        self._check_writable(name)
        at, to = _numbers("time_s", time_s), _numbers(name, values)
        if at.ndim != 1 or at.shape != to.shape or not len(at) or not np.isfinite(at).all() or (np.diff(at) <= 0).any():
            raise InputError(
                f"a table of shapes {at.shape} and {to.shape}", where=name,
                expected="as many values as times, which are finite and increase",
            )  # fmt: skip
        now = self.done * self.step_s
        self._written[name] = lambda t: float(np.interp(t - now, at, to))

    def release(self, name: str) -> None:
        """Let a signal go its own way again."""
        self.place(name)
        self._written.pop(name, None)

    def capture(self, *names: str) -> Capture:
        """Watch signals from the next step on."""
        for name in names:
            self.place(name)
        return Capture(self, names, self.done)

    def tasks(self) -> tuple[str, ...]:
        """What each step consists of, in its order."""
        return ("plant", "sensors", "device", "record")

    def step(self, steps: int = 1) -> None:
        """Take so many steps, of `step_s` each; past the end of the run there is nothing.

        Raises
        ------
        InputError
            If the run is shorter.
        """
        if not isinstance(steps, int | np.integer) or steps < 0 or self.done + steps > self.steps:
            raise InputError(f"{steps!r} steps after {self.done}", expected=f"whole steps, {self.steps} in all at most")
        for _ in range(steps):
            self._advance()

    def run(self) -> Record:
        """Run to the end, or to what ends it: the record is whole in any case."""
        for tick in self.pacer.ticks(self.steps - self.done):
            for _ in range(tick.skipped):
                self._advance(serve=False)
            self._advance()
        return self.record

    @property
    def said(self) -> list[tuple[float, str]]:
        """What the device was heard to say, or is said of it: time in s and sentence."""
        return self._tested.said

    @property
    def record(self) -> Record:
        """What was logged so far."""
        said = (*self.said, *((time_s, f"plant: {sentence}") for time_s, sentence in self.plant.said))
        return Record(self.names, self.rows[: self.done], self.cells, self.sensors, self.faults, said)

    # one step

    def _advance(self, serve: bool = True) -> None:
        """One step of time; a period that was dropped is not served to the device."""
        begin_s, end_s = self.done * self.step_s, (self.done + 1) * self.step_s
        pacer = self.pacer
        with pacer.task("plant"):
            command = self._command(begin_s)
            self.injector.advance(self._truth)
            self._truth = self.plant.step(command, self.injector.actuators())
        with pacer.task("sensors"):
            self._readings = self._overridden(self.chain.read(self._truth, self.injector), end_s)
        with pacer.task("device"):
            if serve:  # what is dropped takes no time: else a lasting overrun would drop more and more
                for fault, level in self.injector.on("time"):
                    pacer.burn((fault["overrun_s"] or 0.0) * level)
                self._answer = self._asked(begin_s)
        with pacer.task("record"):
            self._log(command, end_s)
        self.done += 1
        if self.seen is not None:
            self.seen(self.names, self.rows[self.done - 1])

    def _command(self, time_s: float) -> Command:
        current_A = self.profile.current_A(time_s, self._truth)
        ambient_K, cooling = self.profile.ambient_K(time_s), self.profile.cooling(time_s)
        if self._written:
            current_A = self._value("command_A", time_s, current_A)
            ambient_K = self._value("ambient_degC", time_s, ambient_K - ZERO_DEGC_K) + ZERO_DEGC_K
            cooling = self._value("cooling", time_s, cooling)
        return Command(current_A, ambient_K, cooling)

    def _asked(self, begin_s: float) -> Answer:
        """Ask the device, if it has power."""
        readings = self._readings
        if not self.profile.powered(begin_s):
            self._slept += 1
            return self._tested.off(readings.time_s)
        answer = self._tested.ask(readings, partial(self._wake, begin_s))
        self._readings = self._tested.seen or readings
        # the charge that a device keeps through a key-off is what its own current sensor counted
        if np.isfinite(readings.current_A):
            self._soc = min(max(self._soc - readings.current_A * self._share_per_A, 0.0), 1.0)
        return answer

    def _wake(self, begin_s: float) -> None:
        """Start the device at first, and after a time without power as the profile says."""
        off = self.profile.key_on(begin_s) if self._slept else None
        slept, self._slept = self._slept, 0
        if not self._begun or (off is not None and off.memory == "lost"):
            first = self._readings
            self.device.reset(replace(first, surfaces_K=first.surfaces_K + self._start_error_K), self._soc)
            self._begun, self._start_error_K = True, 0.0
        elif off is not None and off.memory == "told":
            nothing = np.full_like(self._readings.surfaces_K, np.nan)
            for k in range(slept, 0, -1):
                self.device.step(
                    Readings(
                        self._readings.time_s - k * self.step_s, 0.0, np.full(self.cells, np.nan),
                        self._readings.ambient_K, nothing,
                    )
                )  # fmt: skip

    def _log(self, command: Command, end_s: float) -> None:
        """Write the row: see `hil.record.Record` for its columns."""
        truth, seen, answer = self._truth, self._readings, self._answer
        zero = ZERO_DEGC_K
        parts = (
            (end_s, command.current_A, command.ambient_K - zero, command.cooling),
            truth.current_A, truth.voltage_V, truth.soc, truth.core_K - zero, truth.mean_K - zero,
            (truth.surfaces_K - zero).T.ravel(), truth.ambient_K - zero, truth.heat_W,
            (seen.current_A, seen.ambient_K - zero), seen.voltage_V, (seen.surfaces_K - zero).T.ravel(),
            answer.row(end_s), self.injector.states(),
        )  # fmt: skip
        np.concatenate(parts, out=self.rows[self.done], casting="unsafe")

    # what a test writes

    def _check_writable(self, name: str) -> None:
        self.place(name)
        if name not in COMMANDS and not name.startswith("seen_"):
            raise InputError(
                f"signal {name!r} is a result", expected=", ".join(COMMANDS) + " or what the device sees (seen_...)"
            )

    def _value(self, name: str, time_s: float, own: float) -> float:
        drive = self._written.get(name)
        return own if drive is None else drive(time_s)

    def _overridden(self, readings: Readings, time_s: float) -> Readings:
        """Put in what a test wrote in place of what the sensors say."""
        if not any(name.startswith("seen_") for name in self._written):
            return readings
        voltage_V, surfaces_K = readings.voltage_V.copy(), readings.surfaces_K.copy()
        for cell in range(self.cells):
            name = names_of("seen_voltage_V", self.cells)[cell]
            voltage_V[cell] = self._value(name, time_s, voltage_V[cell])
            for k, sensor in enumerate(self.sensors):
                name = names_of(f"seen_{sensor}_degC", self.cells)[cell]
                if name in self._written:
                    surfaces_K[cell, k] = self._written[name](time_s) + ZERO_DEGC_K
        ambient_K = readings.ambient_K
        if "seen_ambient_degC" in self._written:
            ambient_K = self._written["seen_ambient_degC"](time_s) + ZERO_DEGC_K
        current_A = self._value("seen_current_A", time_s, readings.current_A)
        return Readings(readings.time_s, current_A, voltage_V, ambient_K, surfaces_K)


def _numbers(name: str, values: ArrayLike) -> Array:
    """Copy of what is written to a signal; a sensor may say nothing (NaN), and a command always says something."""
    try:
        found = np.array(values, float)
    except (TypeError, ValueError):
        raise InputError(f"{values!r:.60}", where=name, expected="numbers") from None
    if name in COMMANDS and not np.isfinite(found).all():
        raise InputError(f"{values!r:.60}", where=name, expected="finite numbers")
    return found

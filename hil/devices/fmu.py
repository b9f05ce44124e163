"""An FMU as a device, FMI 2.0 or 3.0: our own export, or any whose variables are named."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.observer import Observer
from hil.devices.device import DeviceError
from hil.devices.guarded import ANSWER_S, Guarded
from hil.devices.stepped import Stepped
from hil.extras import extra
from hil.signals import Readings

#: What a device may take and give, and what of that has to be there; sensors, ``<sensor>_K``, come to it.
INPUTS, OUTPUTS = ("current_A", "voltage_V", "ambient_K"), ("core_K", "core_variance_K2", "core_std_K", "heat_fault")
STARTS = ("start_K", "start_soc")
_CELSIUS = ("degC", "Celsius", "celsius", "°C")


class Fmu(Stepped):
    """An FMU for co-simulation, an instance of it per cell, each stepped by the length of a bench's step.

    Parameters
    ----------
    source
        An observer, of which version 3 is exported; or a file.
    cells
        How many cells.
    sensors
        Sensors of the bench; by default the observer's.
    names
        What the FMU calls ``current_A``, ``voltage_V``, ``ambient_K``, ``<sensor>_K``, ``core_K``, ``core_std_K`` or
        ``core_variance_K2``, ``fault_<sensor>`` (codes of `bmsthermal.faults.NAMES`), ``heat_fault``, ``start_K`` and
        ``start_soc``. What is not named is called as in our own export, or so itself; what is then not there is left
        out, but for current, core and a sensor. Temperatures of the unit degC are converted.
    version
        Of FMI, of an observer's export.
    step_s
        Length of a step of the bench; by default the observer's, else the one that the FMU asks for, else 1 s.

    Raises
    ------
    InputError
        If fmpy is not installed, the file is no FMU for co-simulation with a binary for this machine, or it lacks what
        it has to have.
    """

    def __init__(
        self, source: Observer | str | Path, cells: int = 1, sensors: Sequence[str] | None = None,
        names: Mapping[str, str] | None = None, version: int = 3,
        step_s: float | None = None,
    ) -> None:  # fmt: skip
        fmpy = _fmpy()
        self.name, self.cells, self._instances, self._begun = "fmu", cells, list[Any](), False
        self._place = tempfile.mkdtemp(prefix="bmsthermal-fmu-")
        try:
            if isinstance(source, Observer):
                from firmware_export.fmu import export_fmu

                sensors, step_s = sensors or source.measured, source.reduced.step_s
                source = export_fmu(source, Path(self._place) / "observer.fmu", version)
            self.sensors, self._where = tuple(sensors or ()), str(source)
            self._inside = str(Path(self._place) / "inside")
            try:
                fmpy.extract(str(source), self._inside)
                self._about = fmpy.read_model_description(self._inside)
            except Exception as error:  # fmpy raises what its parsers raise
                raise InputError(f"is no FMU ({error})", where=self._where) from error
            if self._about.coSimulation is None:
                raise InputError("is no FMU for co-simulation", where=self._where)
            self.digests = {"fmu": str(self._about.guid or self._about.instantiationToken)}
            self._read_names(dict(names or {}))
            own = getattr(self._about.defaultExperiment, "stepSize", None)
            self._usual_s = float(step_s or own or 1.0)
            self._time_s, self._last_s = 0.0, float("nan")
            try:
                self._fresh()
            except Exception as error:
                hint = f"build it for {fmpy.platform_tuple}"
                raise InputError(f"cannot be instantiated ({error})", where=self._where, hint=hint) from error
        except BaseException:
            self.close()
            raise

    def begin(self, start_K: Array, soc: float) -> None:
        """Instantiate anew, set where it starts, and initialise."""
        self._tried(lambda: self._start(start_K, soc))

    def advance(self, readings: Readings) -> Array:
        """Set, step and get of every cell."""
        said: Array = self._tried(lambda: self._stepped(readings))
        return said

    def close(self) -> None:
        """Let go of instances and of the folder that the file was extracted to."""
        self._free()
        shutil.rmtree(self._place, ignore_errors=True)

    def _read_names(self, names: dict[str, str]) -> None:
        """Find references and shifts of what is set and got."""
        variables = {each.name: each for each in self._about.modelVariables}
        own = {f"fault_{sensor}": f"estimate.fault[{k + 1}]" for k, sensor in enumerate(self.sensors)}
        own |= {name: f"estimate.{name}" for name in OUTPUTS}
        if unknown := [theirs for theirs in names.values() if theirs not in variables]:
            raise InputError(
                f"has no variable {unknown[0]!r}", where=self._where, expected=f"one of {', '.join(variables)}"
            )

        sensed, codes = ([form.format(sensor) for sensor in self.sensors] for form in ("{}_K", "fault_{}"))
        ours = (*INPUTS, *sensed, *codes, *OUTPUTS, *STARTS)
        if unknown := [name for name in names if name not in ours]:
            raise InputError(f"name {unknown[0]!r}", where=self._where, expected=f"one of {', '.join(ours)}")

        def find(name: str) -> list[Any]:
            if name == "ambient_K" and name not in names and name not in variables:
                return [each for each in variables.values() if each.name.startswith("coolant_")]
            theirs = names.get(name, own.get(name, name))
            return [variables[each] for each in (theirs, name) if each in variables][:1]

        found = {name: find(name) for name in ours}
        lacking = [name for name in ("current_A", "core_K") if not found[name]]
        if lacking or not any(found[name] for name in sensed):
            asked = ", ".join(lacking or sensed)
            hint = f"name it: its variables are {', '.join(variables)}"
            raise InputError(f"has no {asked}", where=self._where, hint=hint)

        def shift(variable: Any) -> float:
            unit = variable.unit or getattr(variable.declaredType, "unit", None)
            return ZERO_DEGC_K if unit in _CELSIUS else 0.0

        #: Reference of each input, where in the readings of a cell it is, and what to take off it.
        places = {name: k for k, name in enumerate((*INPUTS, *sensed))}
        taken = [(each, places[name]) for name in places for each in found[name]]
        self._set_refs = [each.valueReference for each, _ in taken]
        self._set_from, self._set_off = [k for _, k in taken], np.array([shift(each) for each, _ in taken])
        given = [*found["core_K"], *(found["core_variance_K2"] or found["core_std_K"])]
        self._squared = not found["core_variance_K2"] and bool(found["core_std_K"])
        self._got_to = list(range(len(given)))
        for k, name in enumerate((*codes, "heat_fault"), 2):
            given += found[name]
            self._got_to += [k] * len(found[name])
        self._get_refs = [each.valueReference for each in given]
        self._core_off = shift(given[0])
        self._starts = [(found[name][0].valueReference if found[name] else None) for name in STARTS]
        self._start_off = shift(found["start_K"][0]) if found["start_K"] else 0.0

    def _fresh(self) -> None:
        """Instances that were not initialised."""
        from fmpy import fmi2, fmi3

        self._free()
        about, three = self._about, self._about.fmiVersion.startswith("3")
        kind = fmi3.FMU3Slave if three else fmi2.FMU2Slave
        for cell in range(self.cells):
            made = kind(
                guid=about.guid, unzipDirectory=self._inside, modelIdentifier=about.coSimulation.modelIdentifier,
                instanceName=f"cell{cell}",
            )  # fmt: skip
            made.instantiate()
            self._instances.append(made)
        self._three, self._begun = three, False

    def _start(self, start_K: Array, soc: float) -> None:
        if self._begun:
            self._fresh()
        for instance, kelvin in zip(self._instances, start_K.tolist(), strict=True):
            set_ = instance.setFloat64 if self._three else instance.setReal
            values = (kelvin - self._start_off, soc)
            told = [(at, value) for at, value in zip(self._starts, values, strict=True) if at is not None]
            told = [(at, value) for at, value in told if np.isfinite(value)]
            set_([at for at, _ in told], [value for _, value in told])
            if self._three:
                instance.enterInitializationMode(startTime=0.0)
            else:
                instance.setupExperiment(startTime=0.0)
                instance.enterInitializationMode()
            instance.exitInitializationMode()
        self._begun, self._time_s, self._last_s = True, 0.0, float("nan")

    def _stepped(self, readings: Readings) -> Array:
        step_s = self._step_s(readings.time_s)
        cells, count = self.cells, len(self.sensors)
        rows = np.empty((cells, 3 + count))
        rows[:, 0], rows[:, 1], rows[:, 2] = readings.current_A, readings.voltage_V, readings.ambient_K
        rows[:, 3:] = readings.surfaces_K
        given = (rows[:, self._set_from] - self._set_off).tolist()
        said = np.zeros((cells, 3 + count))
        said[:, 1] = np.nan
        for cell, instance in enumerate(self._instances):
            set_, get = (
                (instance.setFloat64, instance.getFloat64) if self._three else (instance.setReal, instance.getReal)
            )
            set_(self._set_refs, given[cell])
            instance.doStep(currentCommunicationPoint=self._time_s, communicationStepSize=step_s)
            said[cell, self._got_to] = get(self._get_refs)
        self._time_s += step_s
        said[:, 0] += self._core_off
        if self._squared:
            said[:, 1] **= 2
        return said

    def _step_s(self, time_s: float) -> float:
        """Length of a step: what passed since the last one; at first the usual one."""
        passed_s = time_s - self._last_s
        self._last_s = time_s
        return passed_s if passed_s > 0 else self._usual_s  # not a number at first

    def _tried(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except Exception as error:  # of fmpy, where a call fails; and of ctypes
            raise DeviceError(f"{self.name}: {error}") from error

    def _free(self) -> None:
        """End and free what was instantiated; what fails at that is past caring about."""
        while self._instances:
            instance = self._instances.pop()
            for end in ([instance.terminate] if self._begun else []) + [instance.freeInstance]:
                with contextlib.suppress(Exception):
                    end()


def guarded_fmu(
    path: Path, sensors: Sequence[str], cells: int = 1, names: Mapping[str, str] | None = None,
    step_s: float | None = None, answer_s: float = ANSWER_S,
) -> Guarded:  # fmt: skip
    """An FMU of somebody else's in a process of its own; for its arguments see `Fmu`.

    Where no names are given they are those of a file beside it: ``theirs.names.json`` of ``theirs.fmu``.

    Raises
    ------
    InputError
        If fmpy is not installed, there is no such file, or `Fmu` refuses it.
    """
    _fmpy()
    if not path.is_file():
        raise InputError("is no file", where=str(path), expected="an FMU")
    beside = path.with_suffix(".names.json")
    if names is None and beside.is_file():
        try:
            names = {str(ours): str(theirs) for ours, theirs in json.loads(beside.read_text(encoding="utf-8")).items()}
        except (OSError, ValueError, AttributeError) as error:
            expected = 'an object of names, {"core_K": "T_core"}'
            raise InputError(f"cannot be read ({error})", where=str(beside), expected=expected) from error
    what = {"fmu": str(path.resolve()), "sensors": list(sensors), "names": dict(names or {}), "step_s": step_s}
    return Guarded(f"fmu:{path}", what, cells, sensors, answer_s)


def _fmpy() -> Any:
    return extra("fmpy", "an FMU")

"""The variables of an FMU: every number of input, output and state under the name that it has in C."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bmsthermal.errors import InputError
from firmware_export.form import Number

#: Endings of names and their units, longer ones first.
UNITS = (
    ("_W_K", "W/K"), ("_K2", "K2"), ("_W2", "W2"), ("_V2", "V2"), ("_Ohm2", "Ohm2"), ("_K", "K"), ("_W", "W"),
    ("_V", "V"), ("_A", "A"), ("_Ohm", "Ohm"),
)  # fmt: skip
#: Numbers in K that are differences, which no shift to degC applies to.
DIFFERENCES = ("innovation_K", "bias_K")
#: What meanings say to readers of the C alone: which function writes from there on.
_CUES = {"by _get, from here": "temperature of the core", "by _step, from here: ": ""}
#: Temperature and state of charge to start from, unless set.
START_K, START_SOC = 298.15, 0.5


@dataclass(frozen=True)
class Variable:
    """A variable of the FMU; its value reference is its place, from 1, and 0 is the time.

    Parameters
    ----------
    name
        As the user sees it.
    causality
        Of FMI.
    start
        Value before anything is set; None where it is calculated. NaN: absent.
    meaning
        In a few words.
    """

    name: str
    causality: Literal["parameter", "input", "output", "local"]
    start: float | None
    meaning: str

    @property
    def stem(self) -> str:
        """Name without its place in a struct and an array."""
        return self.name.split(".")[-1].split("[")[0]

    @property
    def unit(self) -> str | None:
        """Unit that its name says."""
        return next((unit for ending, unit in UNITS if self.stem.endswith(ending)), None)

    @property
    def difference(self) -> bool:
        """Whether it is a difference of temperatures."""
        return self.unit == "K" and self.stem.endswith(DIFFERENCES)


def inputs_of(manifest: Mapping[str, Any]) -> list[str]:
    """Numbers of ``<name>_input_t`` in their order, each by a name of its own."""
    if "inputs" in manifest:
        return list(manifest["inputs"])
    walls = manifest["sizes"]["walls"]
    return [
        "current_A", "voltage_V", "heat_W", *(f"coolant_{wall}_K" for wall in walls),
        *(f"conductance_{wall}_W_K" for wall in walls),
    ]  # fmt: skip


def variables(output: Sequence[Number], state: Sequence[Number], manifest: Mapping[str, Any]) -> list[Variable]:
    """Every variable, in the order in which C keeps the numbers: parameters, inputs, readings, output, state.

    Inputs have the names of the columns that the bundle's program for the host reads; as some of them come out too
    (``heat_W``), what comes out is under ``estimate.``.

    Raises
    ------
    InputError
        If a sensor's name makes two variables of one name.
    """
    absent = float("nan")
    found = [
        Variable("start_K", "parameter", START_K, "temperature to start from, everywhere"),
        Variable("start_soc", "parameter", START_SOC, "state of charge to start from, 0 to 1"),
        *(Variable(name, "input", absent, _meaning(name)) for name in inputs_of(manifest)),
        *(
            Variable(f"{sensor}_K", "input", absent, f"reading of the sensor {sensor}; NaN: absent")
            for sensor in manifest["sizes"]["sensors"]
        ),
        *(Variable(f"estimate.{name}", "output", None, meaning) for name, meaning in _spread(output)),
        *(Variable(f"state.{name}", "local", None, meaning) for name, meaning in _spread(state)),
    ]
    names = [each.name for each in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"the FMU would have {twice!r} twice", hint="name the sensor otherwise")
    return found


def _spread(numbers: Sequence[Number]) -> Iterator[tuple[str, str]]:
    for each in numbers:
        meaning = each.meaning
        for cue, instead in _CUES.items():
            meaning = meaning.replace(cue, instead)
        for i in range(each.size):
            yield (each.name if each.count is None else f"{each.name}[{i + 1}]"), meaning


def _meaning(name: str) -> str:
    said = {
        "current_A": "positive discharges", "voltage_V": "of the terminals",
        "heat_W": "known otherwise; replaces what current and voltage say",
    }  # fmt: skip
    if name in said:
        return f"{said[name]}; NaN: absent"
    if name.startswith("conductance_"):
        return "of that wall, h times area; NaN: the model's own"
    return "around that wall; NaN: absent, nothing is exchanged" if name.startswith("coolant_") else "NaN: absent"

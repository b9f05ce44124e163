"""What a bundle's own texts say of it: its manifest, and the members of its output in its header."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.errors import InputError
from hil.devices.numbers import COOLANT, CURRENT, VOLTAGE
from hil.signals import Readings

_MEMBER = re.compile(r"^\s*(?:float|double)\s+(\w+)(?:\[(\d+)\])?;", re.MULTILINE)
_NO_BUNDLE = "a folder that bmsthermal export wrote"


@dataclass(frozen=True)
class BundleTexts:
    """A bundle as its folder describes it.

    Parameters
    ----------
    folder
        Where it is.
    name, real
        What its functions begin with, and its number type.
    inputs, sensors
        Names of what a step takes, in order.
    state, output
        How many numbers each struct has.
    places
        Where in an output core, variance, codes of sensors and flag of heat are; -1 where there is none.
    digests
        Of its constants, ``model``, and its text, ``kernel``, as the manifest has them.
    """

    folder: Path
    name: str
    real: str
    inputs: tuple[str, ...]
    sensors: tuple[str, ...]
    state: int
    output: int
    places: tuple[int, ...]
    digests: Mapping[str, str] = field(repr=False)

    @classmethod
    def read(cls, folder: str | Path) -> BundleTexts:
        """Read a bundle's folder.

        Raises
        ------
        InputError
            If it is none, takes heat in place of a current, or its header and its manifest do not fit.
        """
        folder = Path(folder)
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            name, real, sizes = manifest["name"], manifest["real"], manifest["sizes"]
            header = (folder / f"{name}.h").read_text(encoding="utf-8")
            width = np.dtype(_dtype(real)).itemsize
            state, output = sizes["state_bytes"] // width, sizes["output_bytes"] // width
            inputs, sensors = tuple(manifest["inputs"]), tuple(sizes["sensors"])
            digests = {"model": str(manifest["model"]), "kernel": kernel_digest(manifest["kernel"])}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"is no bundle ({error})", where=str(folder), expected=_NO_BUNDLE) from error
        if CURRENT not in inputs:
            raise InputError(
                "takes heat, which nothing measures", where=str(folder), hint="export with measured inputs"
            )
        members = _members(header, f"{name}_output_t")
        if sum(size for _, size in members.values()) != output or "core_K" not in members:
            raise InputError(f"{name}.h and the manifest do not fit", where=str(folder), expected=_NO_BUNDLE)
        return cls(folder, name, real, inputs, sensors, state, output, _places(members, len(sensors)), digests)

    @property
    def dtype(self) -> type[np.floating[Any]]:
        """Number type as NumPy has it."""
        return _dtype(self.real)


def kernel_digest(files: Mapping[str, str]) -> str:
    """One digest of a kernel's files, each of which has one."""
    return sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()


def _dtype(real: str) -> type[np.floating[Any]]:
    kinds: dict[str, type[np.floating[Any]]] = {"float": np.float32, "double": np.float64}
    return kinds[real]


def _members(header: str, struct: str) -> dict[str, tuple[int, int]]:
    """First place and count of each member of a struct."""
    end = header.find(f"}} {struct};")
    found, at = {}, 0
    for name, count in _MEMBER.findall(header[header.rfind("typedef struct {", 0, end) : end]):
        found[name] = at, int(count or 1)
        at += found[name][1]
    return found


def _places(members: Mapping[str, tuple[int, int]], sensors: int) -> tuple[int, ...]:
    def at(name: str) -> int:
        return members[name][0] if name in members else -1

    codes = [at("fault") + k if "fault" in members else -1 for k in range(sensors)]
    return (at("core_K"), at("core_variance_K2"), *codes, at("heat_fault"))


class Rows:
    """Inputs, readings and outputs of all cells, in a bundle's precision and order.

    Parameters
    ----------
    inputs, sensors
        Names of what a step takes.
    cells, outputs
        How many rows, and numbers of an output.
    places
        As of `BundleTexts`.
    dtype
        Precision.
    """

    def __init__(
        self, inputs: tuple[str, ...], sensors: int, cells: int, outputs: int, places: tuple[int, ...],
        dtype: type[np.floating[Any]],
    ) -> None:  # fmt: skip
        self.u = np.full((cells, len(inputs)), np.nan, dtype)
        self.z = np.full((cells, sensors), np.nan, dtype)
        self.out = np.zeros((cells, outputs + 1), dtype)[:, :outputs]
        # what is absent reads the number behind the output, which stays 0
        self._room = self.out.base
        self._places = [outputs if place < 0 else place for place in places]
        self._current, self._voltage = inputs.index(CURRENT), inputs.index(VOLTAGE)
        self._around = [i for i, name in enumerate(inputs) if name.startswith(COOLANT)]

    def put(self, readings: Readings) -> None:
        """Fill in the readings of a step."""
        self.u[:, self._current] = readings.current_A
        self.u[:, self._voltage] = readings.voltage_V
        self.u[:, self._around] = readings.ambient_K
        self.z[:] = readings.surfaces_K

    def said(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Rows of the outputs as of `hil.devices.numbers` ``(cells, 3 + sensors)``."""
        assert self._room is not None
        return self._room[:, self._places].astype(float)

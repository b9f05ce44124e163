"""The constants of an exported filter on a reduced cell, member by member, in the sizes that a target has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.reduced.packing import NODES, PACES, TABLE, WALLS, WARM
from firmware_export.constants import MODAL, Member

if TYPE_CHECKING:
    from bmsthermal.reduced.filter_packing import PackedFilter
    from bmsthermal.reduced.model import ReducedCell

#: Members of ``electrode_t`` in their order: unit, meaning, and shape in the letters of `Sizes`.
ELECTRODE = {
    "weight": ("-", "of the points, 1 in all", "Q"),
    "surface": ("-", "modes at the surface of the particles", "QM"),
    "inside": ("-", "modes along their radius", "QMR"),
    "share": ("-", "of the volume, along the radius", "R"),
    "reach": ("-", "m2 of particles per m2 that each point stands for", "Q"),
    "flow": ("-", "current of the electrolyte at each point per reaction at the others", "QQ"),
    "pull": ("m", "what a voltage per thickness at the others does at each point", "QQ"),
    "salt": ("-", "shapes of the salt at the points", "QS"),
    "source": ("m2/A", "salt per reaction and step", "SQ"),
    "diffusion_heat": ("K", "activation of the diffusion over the gas constant", ""),
    "fill": ("m2/A", "filling of a particle per reaction held for a step", ""),
    "area": ("-", "surface of particles per area of electrode", ""),
    "thickness": ("m", "of the electrode", ""),
    "pores": ("Ohm m", "resistivity of its electrolyte over that of the table", ""),
    "film": ("Ohm m2", "on the particles", ""),
    "stress": ("V", "per filling of the surface less the mean", ""),
    "stored": ("A/m2", "charge of a full electrode per step", ""),
    "lean": ("-", "how far from the mean to the surface diffusion is taken", ""),
    "pace_grid": ("-", "ln D/D_ref: first, intervals per unit, last interval", "3"),
    "pace": ("-", "e^-z, (1 - e^-z)/z and (1 - that)/z of each mode, each with its slope", "P6M"),
    "grid": ("-", "filling: first, intervals per unit, last interval", "3"),
    "table": ("V, V/K, -", "enthalpic potential, dU/dT, ln D/D_ref, each with its slope", "T6"),
}
#: Members of ``cell_t``: before the electrodes, and after electrodes and conduction.
HEAD = {
    "reference_K": ("K", "of the electrodes' values", ""),
    "zero_K": ("K", "temperature that the thermal states count from", ""),
    "area_m2": ("m2", "of the electrodes", ""),
    "contact": ("Ohm", "in series", ""),
    "positive_at": ("-", "filling of the positive particles where the negative ones are empty", ""),
    "positive_per": ("-", "loss of it per filling of the negative ones", ""),
    "thermal_voltage": ("V/K", "2 R/F", ""),
    "separator": ("Ohm m2", "its electrolyte over that of the table", ""),
    "separator_salt": ("-", "shapes of the salt in it", "S"),
    "spread": ("-", "diffusion of the salt per step, by the point that D is taken at", "DSS"),
    "warm_grid": ("K", "first, intervals per unit, last interval", "3"),
    "warm": ("SI", "what warmth multiplies, then the slopes", "V9"),
    "grid": ("-", "concentration over the first one: first, intervals per unit, last interval", "3"),
    "table": ("-", "kappa, D and junction potential over their references, each with its slope", "T6"),
}
CONDUCTION = {"decay": "N", "drive": "1N", "wall": "WN", "sink": "WN"}
READ = ("-", "core, mean and surfaces, of the thermal states", "ON")
#: Members of ``filter_t`` but for ``use`` and ``cell``.
FILTER = {
    "salt_states": ("-", "shapes of the salt in use"),
    "negative_states": ("-", "modes of the negative particles in use"),
    "positive_states": ("-", "modes of the positive particles in use"),
    "thermal_states": ("-", "modes of conduction in use"),
    "sensors": ("-", "how many are fitted"),
    "empty": ("-", "filling of the negative particles at SOC 0"),
    "window": ("-", "and what it rises by up to SOC 1"),
    "coolant_reference_K": ("K", "temperature that states count from, on the thermometer of the coolant"),
    "most_A": ("A", "a current beyond is none"),
    "current_variance": ("A2", "of the current"),
    "lost_variance": ("A2", "of what may flow while the current is missing"),
    "heat_variance": ("W2", "of the heat of one step"),
    "freezing": ("K2", "that a step adds to each thermal state"),
    "resistance_fresh": ("-", "that a step adds to the resistance, relative to the square of the cell's own"),
    "error_keep": ("-", "share of the voltage error that a step leaves"),
    "error_fresh": ("V2", "variance that comes in"),
    "voltage_variance": ("V2", "noise of the voltage"),
    "drop": ("-", "and relative to what it drops by"),
    "sense_variance": ("K2", "noise of each sensor"),
    "gradient_variance": ("-", "relative, of a temperature difference inside the cell"),
    "offset_variance": ("K2", "of every temperature: what no measurement removes"),
    "reach": ("-", "of the differences: each state before the thermal ones, mean temperature, current"),
    "sense": ("-", "what each sensor reads, of the thermal states"),
    "mixed": ("-", "and of the surroundings of each wall"),
}
#: Members of ``cell_use_t``.
USE = {
    "resistance": ("Ohm", "in series, beside the contact", ""),
    "entropic": ("-", "multiplies dU/dT", ""),
    "area": ("-", "multiplies the electrodes' area", ""),
    "conductance": ("W/K", "h A of each wall", "W"),
}


@dataclass(frozen=True)
class Sizes:
    """How large the arrays are: points, modes, salt shapes, thermal modes and walls."""

    negative: int
    positive: int
    modes: int
    salt: int
    thermal: int
    walls: int

    @classmethod
    def of(cls, reduced: ReducedCell) -> Sizes:
        """As many as are in use."""
        modes = max(len(reduced.negative.rate), len(reduced.positive.rate))
        points = len(reduced.negative.depth), len(reduced.positive.depth)
        return cls(*points, modes, len(reduced.salt.separator), reduced.thermal.order, len(reduced.thermal.walls))

    @classmethod
    def host(cls, reduced: ReducedCell) -> Sizes:
        """What the kernel of a desk has room for."""
        modes, thermal, salt = reduced.size
        return cls(len(reduced.negative.depth), len(reduced.positive.depth), modes, salt, thermal, WALLS)

    def shape(self, letters: str) -> tuple[int, ...]:
        """Shape that letters stand for."""
        points = max(self.negative, self.positive)
        size = {
            "Q": points, "M": self.modes, "S": self.salt, "N": self.thermal, "W": self.walls, "R": NODES[4],
            "D": 2 * points + 1, "O": 2 + self.walls, "T": TABLE, "P": PACES, "V": WARM,
            "1": 1, "3": 3, "6": 6, "9": 12,
        }  # fmt: skip
        return tuple(size[letter] for letter in letters)


def _take(row: Array, at: int, letters: str, host: Sizes, target: Sizes) -> tuple[Array, int]:
    """Next member of a host's row, cut to the target's size; and where the one after it begins."""
    shape = host.shape(letters)
    whole = row[at : at + prod(shape)].reshape(shape)
    return whole[tuple(slice(n) for n in target.shape(letters))], at + prod(shape)


def cell_members(reduced: ReducedCell, packed: PackedFilter) -> dict[str, list[Member]]:
    """Members of ``cell_t`` by part: ``head``, ``negative``, ``positive``, ``conduction``, ``read`` and ``use``."""
    host, target, row, at = Sizes.host(reduced), Sizes.of(reduced), packed.cell, 0
    conduction = {name: (*MODAL[name], letters) for name, letters in CONDUCTION.items()}
    parts: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
        "head": HEAD, "negative": ELECTRODE, "positive": ELECTRODE, "conduction": conduction, "read": {"read": READ},
    }  # fmt: skip
    found: dict[str, list[Member]] = {}
    for part, names in parts.items():
        found[part] = []
        for name, (unit, meaning, letters) in names.items():
            value, at = _take(row, at, letters, host, target)
            found[part].append(Member(name, unit, meaning, value))
    assert at == len(row)
    found["use"], at = [], 0
    for name, (unit, meaning, letters) in USE.items():
        value, at = _take(packed.use, at, letters, host, target)
        found["use"].append(Member(name, unit, meaning, value))
    return found


def filter_members(reduced: ReducedCell, packed: PackedFilter) -> list[Member]:
    """Members of ``filter_t`` before ``use`` and ``cell``."""
    target, found = Sizes.of(reduced), []
    for name, (unit, meaning) in FILTER.items():
        value = np.asarray(getattr(packed, name), float)
        if name == "reach":
            value = np.pad(value, (0, reduced.order + 2 - len(value)))
        elif value.ndim == 2:
            value = value[:, : target.thermal if name == "sense" else target.walls]
        found.append(Member(name, unit, meaning, value))
    return found


def numbers(members: dict[str, list[Member]], filter: list[Member], start: Array) -> Array:
    """Every constant in the order in which a target holds them."""
    ordered = [*filter, *members["use"]]
    for part in ("head", "negative", "positive", "conduction", "read"):
        ordered += members[part]
    return np.concatenate([*(np.ravel(np.asarray(each.value, float)) for each in ordered), start])

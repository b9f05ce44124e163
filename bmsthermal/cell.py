"""A cell: every number with its unit and source, checked once when it is loaded."""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bmsthermal import schema
from bmsthermal.conduction import Layer
from bmsthermal.curves import Array, Curve
from bmsthermal.errors import InputError
from bmsthermal.files import write_whole

if TYPE_CHECKING:
    from bmsthermal.dfn.electrodes import Parameters


@dataclass(frozen=True)
class Cell:
    """A cell as its file describes it.

    Made by `load_cell`; `with_values` returns a changed copy. All lengths in
    m, conductivities in W/mK, heat capacities in J/m3K, capacity in A.h.

    Parameters
    ----------
    name
        File stem or shipped name.
    document
        The file's content: the BPX part, and an ``Observer`` section if there is one.
    """

    name: str
    document: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        schema.check(self.name, self.document)

    def __repr__(self) -> str:
        said: list[str] = [self.form] if "Form factor" in self.thermal else []
        if self.has_heat_capacity:
            said.append(f"{self.heat_capacity_J_K:.1f} J/K")
        said += [f"{self.capacity_Ah:g} A.h", "electrodes"] if self.has_electrodes else [f"{self.capacity_Ah:g} A.h"]
        said += [f"h {wall} {value:g} W/m2K" for wall, value in self.h_W_m2K.items()]
        return f"Cell({self.name}: {', '.join(said)})"

    @property
    def lumped(self) -> Mapping[str, Any]:
        """The BPX ``Cell`` section."""
        return dict(self.document["Parameterisation"]["Cell"])

    @property
    def thermal(self) -> Mapping[str, Any]:
        """The ``User-defined`` section: geometry, conductivities and full-cell curves."""
        return dict(self.document["Parameterisation"].get("User-defined") or {})

    @property
    def settings(self) -> Mapping[str, Any]:
        """The ``Observer`` section; empty when the file has none."""
        return dict(self.document.get("Observer", {}))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, the same for every way of writing the same JSON."""
        text = json.dumps(self.document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def form(self) -> Literal["cylinder", "slab"]:
        """Form factor.

        Raises
        ------
        InputError
            If the file has none, as one with electrodes may.
        """
        if "Form factor" not in self.thermal:
            raise schema.bad_form(self.name, None)
        form: Literal["cylinder", "slab"] = schema.text(self.thermal["Form factor"])
        return form

    @property
    def walls(self) -> tuple[str, ...]:
        """Names of the cooled faces."""
        return schema.WALLS[self.form]

    @property
    def extent(self) -> float:
        """Length of a cylinder in m, or area of a slab in m2."""
        return float(self.thermal["Cell length [m]" if self.form == "cylinder" else "Cell area [m2]"])

    @property
    def areas_m2(self) -> dict[str, float]:
        """Area of each cooled face."""
        if self.form == "slab":
            return dict.fromkeys(self.walls, self.extent)
        return {"side": np.pi * float(self.thermal["Cell diameter [m]"]) * self.extent}

    def area_m2(self, face: str) -> float:
        """Area of a face; the ends of a cylinder too, less the mandrel."""
        if face in ("bottom", "top"):
            return float(np.pi * (self.layers[-1].outer_m ** 2 - self.layers[0].inner_m ** 2))
        return self.areas_m2[face]

    @property
    def h_W_m2K(self) -> dict[str, float]:
        """Heat-transfer coefficient of each face; one number in the file stands for all of them.

        Without one under ``User-defined`` that of BPX's ``State`` counts, or
        10; a file without a form factor has the one face ``surface``. The ends of
        a cylinder are there if the file names them; if not, r-z cools them as the side.
        """
        around = (self.document.get("State") or {}).get("Thermal environment") or {}
        given = self.thermal.get(schema.COOLING, around.get(schema.COOLING))
        walls = self.walls if "Form factor" in self.thermal else ("surface",)
        if isinstance(given, Mapping):
            named = schema.FACES[self.form] if "Form factor" in self.thermal else walls
            return {wall: float(given[wall]) for wall in named if wall in given}
        return dict.fromkeys(walls, 10.0 if given is None else float(given))

    @property
    def conductance_W_K(self) -> Array:
        """Heat-transfer coefficient times area of each face, ``(w,)``."""
        h, area = self.h_W_m2K, self.areas_m2
        return np.array([h[wall] * area[wall] for wall in self.walls])

    @property
    def external_area_m2(self) -> float:
        """Area of the whole surface, as BPX gives it; else that of the cooled faces."""
        if schema.AREA in self.lumped:
            return float(self.lumped[schema.AREA])
        return float(sum(self.areas_m2.values()))

    @property
    def has_heat_capacity(self) -> bool:
        """Whether the file says how much heat the cell holds."""
        return all(key in self.lumped for key in schema.LUMPED[:3])

    @property
    def heat_capacity_J_K(self) -> float:
        """Heat capacity of the whole cell: density times specific heat capacity times volume.

        Raises
        ------
        InputError
            If one of the three is missing, as in a file with electrodes it may.
        """
        if missing := [key for key in schema.LUMPED[:3] if key not in self.lumped]:
            found = "no " + ", no ".join(map(repr, missing))
            raise InputError(found, where=f"{self.name}, Cell", hint="a temperature that changes needs it")
        density, specific, volume = (float(self.lumped[key]) for key in schema.LUMPED[:3])
        return density * specific * volume

    @property
    def capacity_Ah(self) -> float:
        """Nominal capacity."""
        return float(self.lumped["Nominal cell capacity [A.h]"])

    @property
    def reference_K(self) -> float:
        """Temperature that the curves are given at, and that the reduced model counts from."""
        return float(self.lumped.get("Reference temperature [K]", 298.15))

    @property
    def has_electrodes(self) -> bool:
        """Whether the file describes both electrodes."""
        return schema.has_electrodes(self.document)

    @cached_property
    def electrochemistry(self) -> Parameters:
        """Electrodes, separator and electrolyte, as the full model needs them.

        Raises
        ------
        InputError
            If a section or key is missing, or a value cannot be.
        """
        from bmsthermal.dfn.parameters import parameters

        return parameters(self)

    @property
    def ambient_share(self) -> float:
        """Share of the surroundings in what a surface sensor reads (lead and fin error)."""
        return float(self.thermal.get("Surface sensor ambient share", 0.0))

    @property
    def spread(self) -> dict[str, float]:
        """One-sigma relative spread of the literature per key: the priors of `calibrate`."""
        given = self.thermal.get(schema.SPREAD, {})
        return {key: float(value) for key, value in given.items() if key != "description"}

    @property
    def resistance_activation_J_mol(self) -> float:
        """Activation energy of the DC resistance."""
        return float(self.thermal.get("DC resistance activation energy [J.mol-1]", 0.0))

    def curve(self, key: str, default: float | None = None) -> Curve:
        """One of the full-cell curves against state of charge."""
        if key not in self.thermal and default is None:
            raise InputError(f"no {key!r}", where=f"{self.name}, User-defined", hint="add the curve against SOC")
        return Curve(self.thermal.get(key, default), f"{self.name}, User-defined, {key!r}")

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Materials from core to surface (through the thickness of a slab).

        The roll carries what is left of the cell's heat capacity once the can
        is taken out, so that the whole is what the file says.
        """
        t = self.thermal
        can = float(t.get("Can thickness [m]", 0.0))
        if self.form == "slab":
            edges = (0.0, float(t["Cell thickness [m]"]))
            key = "Through-plane thermal conductivity [W.m-1.K-1]"
        else:
            edges = (float(t.get("Mandrel diameter [m]", 0.0)) / 2, float(t["Cell diameter [m]"]) / 2)
            key = "Radial thermal conductivity [W.m-1.K-1]"

        def volume(inner: float, outer: float) -> float:
            return self.extent * (outer - inner if self.form == "slab" else np.pi * (outer**2 - inner**2))

        inner, outer = edges
        back = can if self.form == "slab" else 0.0
        roll_volume = volume(inner + back, outer - can)
        shells: list[tuple[float, float]] = []
        can_capacity = 0.0
        if can > 0:
            can_capacity = float(t["Can density [kg.m-3]"]) * float(t["Can specific heat capacity [J.K-1.kg-1]"])
            shells = [(outer - can, outer)] if self.form == "cylinder" else [(0.0, can), (outer - can, outer)]
        roll_capacity = self.heat_capacity_J_K - can_capacity * sum(volume(*shell) for shell in shells)
        if not (roll_volume > 0 and roll_capacity > 0):
            raise InputError(
                "the can leaves no volume or no heat capacity for the roll",
                where=f"{self.name}, User-defined, 'Can thickness [m]'",
                hint="check it against the cell's size and its lumped heat capacity",
            )
        contact = float(t.get("Can thermal contact resistance [m2.K.W-1]", 0.0))
        roll = Layer(
            "roll", inner + back, outer - can, float(t[key]), roll_capacity / roll_volume,
            contact_m2K_W=contact if can > 0 else 0.0,
        )  # fmt: skip
        k_can = float(t.get("Can thermal conductivity [W.m-1.K-1]", 0.0))
        cans = [Layer("can", a, b, k_can, can_capacity, heated=False) for a, b in shells]
        return (roll, *cans) if self.form == "cylinder" else (*cans[:1], roll, *cans[1:])

    def with_values(self, changes: Mapping[str, Any], name: str | None = None) -> Cell:
        """Copy with other values of `Cell` or `User-defined` keys (or a new ``Observer`` section)."""
        document = copy.deepcopy(dict(self.document))
        for key, value in changes.items():
            if key == "Observer":
                document["Observer"] = dict(value)
                continue
            section = "Cell" if key in {*self.lumped, *schema.LUMPED, schema.AREA} else "User-defined"
            document["Parameterisation"].setdefault(section, {})[key] = value
        return Cell(name or self.name, document)

    def save(self, path: str | Path) -> None:
        """Write the file that `load_cell` reads; all of it or nothing."""
        write_whole(path, json.dumps(self.document, indent=2, ensure_ascii=False) + "\n")


def cells() -> list[str]:
    """Names of the cells that are shipped."""
    folder = resources.files("bmsthermal") / "cells"
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))


def load_cell(name: str | Path) -> Cell:
    """Load a shipped cell by name, or a cell file (BPX JSON, with electrodes or a thermal ``User-defined`` section).

    Raises
    ------
    InputError
        If the cell is unknown, the file cannot be read, or a key is missing,
        has another unit, is out of range or is not a curve.
    """
    text = str(name)
    if text in cells():
        content = (resources.files("bmsthermal") / "cells" / f"{text}.json").read_text(encoding="utf-8")
        return Cell(text, json.loads(content))
    path = Path(name)
    if not os.path.isfile(path):  # unlike Path.is_file, no error for a name that is too long
        near = difflib.get_close_matches(text, cells(), 1)
        raise InputError(
            f"unknown cell {text!r}: neither a shipped name nor a file",
            expected="one of " + ", ".join(cells()) + " or the path of a cell file",
            hint=f"did you mean {near[0]!r}?" if near else "",
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", where=f"{path}, line {error.lineno}") from error
    except (OSError, ValueError, RecursionError) as error:  # not text, too deep, or a number of 5000 digits
        raise InputError(f"cannot read the file ({error})", where=text) from error
    if not isinstance(document, dict) or "Parameterisation" not in document:
        raise InputError("no 'Parameterisation'", where=text, expected="a BPX file")
    return Cell(path.stem, document)

"""A cell: every number with its unit and source, checked once when it is loaded."""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bmsthermal.conduction import Layer
from bmsthermal.curves import Curve
from bmsthermal.errors import InputError
from bmsthermal.files import write_whole

#: What the thermal section needs for each form factor, beside what BPX itself asks for.
_NEEDED = {
    "cylinder": ("Cell diameter [m]", "Cell length [m]", "Radial thermal conductivity [W.m-1.K-1]"),
    "slab": ("Cell thickness [m]", "Cell area [m2]", "Through-plane thermal conductivity [W.m-1.K-1]"),
}
_WALLS = {"cylinder": ("side",), "slab": ("back", "front")}
_OPTIONAL = (
    "Mandrel diameter [m]", "Axial thermal conductivity [W.m-1.K-1]", "In-plane thermal conductivity [W.m-1.K-1]",
    "Can thickness [m]", "Can thermal conductivity [W.m-1.K-1]", "Can density [kg.m-3]",
    "Can specific heat capacity [J.K-1.kg-1]", "Can thermal contact resistance [m2.K.W-1]",
    "Heat transfer coefficient [W.m-2.K-1]", "Open-circuit voltage [V]", "Entropic change coefficient [V.K-1]",
    "DC resistance [Ohm]", "DC resistance activation energy [J.mol-1]", "Surface sensor ambient share",
)  # fmt: skip
_LUMPED = ("Density [kg.m-3]", "Specific heat capacity [J.K-1.kg-1]", "Volume [m3]", "Nominal cell capacity [A.h]")
_MAY_BE_ZERO = {
    "Mandrel diameter [m]", "Can thickness [m]", "Can thermal contact resistance [m2.K.W-1]",
    "Heat transfer coefficient [W.m-2.K-1]", "DC resistance activation energy [J.mol-1]",
    "Surface sensor ambient share",
}  # fmt: skip


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
        _check(self)

    def __repr__(self) -> str:
        h = ", ".join(f"h {wall} {value:g} W/m2K" for wall, value in self.h_W_m2K.items())
        return f"Cell({self.name}: {self.form}, {self.heat_capacity_J_K:.1f} J/K, {self.capacity_Ah:g} A.h, {h})"

    @property
    def lumped(self) -> Mapping[str, Any]:
        """The BPX ``Cell`` section."""
        return dict(self.document["Parameterisation"]["Cell"])

    @property
    def thermal(self) -> Mapping[str, Any]:
        """The ``User-defined`` section: geometry, conductivities and full-cell curves."""
        return dict(self.document["Parameterisation"]["User-defined"])

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
        """Form factor."""
        form: Literal["cylinder", "slab"] = _text(self.thermal["Form factor"])
        return form

    @property
    def walls(self) -> tuple[str, ...]:
        """Names of the cooled faces."""
        return _WALLS[self.form]

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

    @property
    def h_W_m2K(self) -> dict[str, float]:
        """Heat-transfer coefficient of each face; one number in the file stands for all of them."""
        given = self.thermal.get("Heat transfer coefficient [W.m-2.K-1]", 10.0)
        if isinstance(given, Mapping):
            return {wall: float(given[wall]) for wall in self.walls}
        return dict.fromkeys(self.walls, float(given))

    @property
    def heat_capacity_J_K(self) -> float:
        """Heat capacity of the whole cell: density times specific heat capacity times volume."""
        density, specific, volume, _ = (float(self.lumped[key]) for key in _LUMPED)
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
    def ambient_share(self) -> float:
        """Share of the surroundings in what a surface sensor reads (lead and fin error)."""
        return float(self.thermal.get("Surface sensor ambient share", 0.0))

    @property
    def spread(self) -> dict[str, float]:
        """One-sigma relative spread of the literature per key: the priors of `calibrate`."""
        return {k: float(v) for k, v in self.thermal.get("Relative standard deviation", {}).items()}

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
            section = "Cell" if key in self.lumped else "User-defined"
            document["Parameterisation"][section][key] = value
        return Cell(name or self.name, document)

    def save(self, path: str | Path) -> None:
        """Write the file that `load_cell` reads; all of it or nothing."""
        write_whole(path, json.dumps(self.document, indent=2, ensure_ascii=False) + "\n")


def cells() -> list[str]:
    """Names of the cells that are shipped."""
    folder = resources.files("bmsthermal") / "cells"
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))


def load_cell(name: str | Path) -> Cell:
    """Load a shipped cell by name, or a cell file (BPX 1.1 JSON with a thermal ``User-defined`` section).

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
    if not path.is_file():
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
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the file ({error})", where=text) from error
    if not isinstance(document, dict) or "Parameterisation" not in document:
        raise InputError("no 'Parameterisation'", where=text, expected="a BPX file")
    return Cell(path.stem, document)


def _check(cell: Cell) -> None:
    """Hold a document against BPX, then against what the thermal model needs."""
    _check_bpx(cell)
    sections = cell.document["Parameterisation"]
    lumped, thermal = sections.get("Cell", {}), sections.get("User-defined", {})
    where = f"{cell.name}, User-defined"
    form = _text(thermal.get("Form factor"))
    if form not in _NEEDED:
        raise InputError(
            f"unknown form factor {form!r}" if form else "no 'Form factor'",
            where=where, expected="'cylinder' or 'slab'", hint="a core-to-surface model needs geometry that BPX lacks",
        )  # fmt: skip
    for section, keys in (("Cell", _LUMPED), ("User-defined", _NEEDED[form])):
        values = sections.get(section, {})
        for key in keys:
            if key not in values:
                _raise_missing(key, values, f"{cell.name}, {section}")
    for key in (*_NEEDED[form], *_OPTIONAL):
        stem = key.split(" [")[0]
        for other in thermal:
            if other != key and other.split(" [")[0] == stem:
                raise InputError(f"{other!r} has another unit", where=where, expected=repr(key))
    values = {key: lumped[key] for key in _LUMPED}
    values |= {key: thermal[key] for key in _NEEDED[form] + _OPTIONAL if key in thermal}
    for key, value in values.items():
        if isinstance(value, Mapping | str) and key.split(" [")[0] != "Heat transfer coefficient":
            Curve(value, f"{where}, {key!r}")
            continue
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        for part, number in parts:
            _check_number(number, f"{cell.name}, {key!r}{', ' + repr(part) if part else ''}", key in _MAY_BE_ZERO)
    h = thermal.get("Heat transfer coefficient [W.m-2.K-1]")
    if isinstance(h, Mapping) and set(h) != set(_WALLS[form]):
        raise InputError(
            f"faces {sorted(h)}", where=f"{where}, 'Heat transfer coefficient [W.m-2.K-1]'",
            expected=f"{list(_WALLS[form])} for a {form}",
        )  # fmt: skip
    if thermal.get("Can thickness [m]", 0.0) > 0:
        for key in (k for k in _OPTIONAL if k.startswith("Can ") and "contact" not in k):
            if key not in thermal:
                _raise_missing(key, thermal, where)
    if form == "cylinder" and not thermal.get("Mandrel diameter [m]", 0.0) < thermal["Cell diameter [m]"]:
        raise InputError("the mandrel is not thinner than the cell", where=f"{where}, 'Mandrel diameter [m]'")
    ocv = Curve(thermal.get("Open-circuit voltage [V]", 0.0), f"{where}, 'Open-circuit voltage [V]'")
    if "Open-circuit voltage [V]" in thermal and (np.diff(ocv(np.linspace(0, 1, 101))) < -1e-9).any():
        raise InputError("the curve falls with the state of charge", where=ocv.where, expected="a rising one")


def _check_bpx(cell: Cell) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bpx warns about its own dependencies and about old versions
        import bpx

        document = {key: value for key, value in cell.document.items() if key != "Observer"}
        try:
            bpx.parse_bpx_obj(document)
        except Exception as error:  # bpx raises ValidationError, ValueError or TypeError, by kind of mistake
            raise InputError(_first_line_of(error), where=f"{cell.name} (BPX)") from error


def _first_line_of(error: Exception) -> str:
    errors = getattr(error, "errors", None)
    if callable(errors) and (found := errors()):
        first = found[0]
        return f"{' > '.join(str(part) for part in first['loc'])}: {first['msg']}, found {first.get('input')!r:.60}"
    return str(error).splitlines()[0]


def _check_number(value: Any, where: str, may_be_zero: bool) -> None:
    wanted = "a number >= 0" if may_be_zero else "a positive number"
    good = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    if not good or value < 0 or (value == 0 and not may_be_zero):
        raise InputError(f"found {value!r}", where=where, expected=wanted)


def _raise_missing(key: str, values: Mapping[str, Any], where: str) -> None:
    near = difflib.get_close_matches(key, list(values), 1, cutoff=0.7)
    hint = f"is {near[0]!r} meant to be it?" if near else "add it, with its source"
    raise InputError(f"no {key!r}", where=where, hint=hint)


def _text(value: Any) -> Any:
    """Return a text of a User-defined section: BPX reads a bare string there as a formula."""
    return value.get("description") if isinstance(value, Mapping) else value

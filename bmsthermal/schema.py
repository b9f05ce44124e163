"""What a cell file must hold: BPX, and the thermal section that BPX has no fields for."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bmsthermal.curves import Curve
from bmsthermal.errors import InputError, InputWarning

#: Faces that are cooled, by form factor.
WALLS = {"cylinder": ("side",), "slab": ("back", "front")}
#: What is needed of the BPX ``Cell`` section: the first three are the heat capacity of the cell.
LUMPED = ("Density [kg.m-3]", "Specific heat capacity [J.K-1.kg-1]", "Volume [m3]", "Nominal cell capacity [A.h]")
#: What is needed of ``User-defined``, by form factor.
NEEDED = {
    "cylinder": ("Cell diameter [m]", "Cell length [m]", "Radial thermal conductivity [W.m-1.K-1]"),
    "slab": ("Cell thickness [m]", "Cell area [m2]", "Through-plane thermal conductivity [W.m-1.K-1]"),
}
#: What a can needs, once it has a thickness.
CAN = ("Can thermal conductivity [W.m-1.K-1]", "Can density [kg.m-3]", "Can specific heat capacity [J.K-1.kg-1]")
OPEN_CIRCUIT, ENTROPIC = "Open-circuit voltage [V]", "Entropic change coefficient [V.K-1]"
RESISTANCE, COOLING = "DC resistance [Ohm]", "Heat transfer coefficient [W.m-2.K-1]"
#: Curves against the state of charge.
CURVES = (OPEN_CIRCUIT, ENTROPIC, RESISTANCE)
SHARE, SPREAD = "Surface sensor ambient share", "Relative standard deviation"
MAY_BE_ZERO = (
    "Mandrel diameter [m]", "Can thickness [m]", "Can thermal contact resistance [m2.K.W-1]", COOLING,
    "DC resistance activation energy [J.mol-1]", SHARE,
)  # fmt: skip
OPTIONAL = (
    *MAY_BE_ZERO, *CAN, *CURVES,
    "Axial thermal conductivity [W.m-1.K-1]", "In-plane thermal conductivity [W.m-1.K-1]",
)  # fmt: skip
#: The ``Observer`` section: noise by the name that `bmsthermal.noise.Noise` gives it, and the rest.
NOISE = {
    "heat_W_rts": "Heat noise [W.s0.5]",
    "sensor_K": "Sensor noise [K]",
    "gradient": "Gradient uncertainty",
    "offset_K": "Offset uncertainty [K]",
    "start_K": "Start uncertainty [K]",
    "start_gradient_K": "Start gradient uncertainty [K]",
    "lost_heat_W": "Lost heat uncertainty [W]",
}
OBSERVER = ("Order", "Step [s]", "Sensors", "Ambient offset [K]", "Calibrated on", *NOISE.values())

#: Largest plausible entropic coefficient in V/K, and voltage drop of a resistance at 1C in V.
STEEP_ENTROPY_V_K, LARGE_DROP_V = 5e-3, 3.0
#: How far the volume may be from that of the dimensions, as a share.
VOLUME_SLACK = 0.3


def check(name: str, document: Mapping[str, Any]) -> None:
    """Hold a cell file against BPX, then against what the thermal model needs.

    Parameters
    ----------
    name
        What the file is called in messages.
    document
        Its content.

    Raises
    ------
    InputError
        If a key is missing, has another unit, is of the wrong kind or out of range.

    Warns
    -----
    InputWarning
        If a key is unknown.
    """
    _check_kinds(name, document)
    _check_bpx(name, document)
    sections = document["Parameterisation"]
    lumped, thermal = sections.get("Cell", {}), sections.get("User-defined", {})
    where = f"{name}, User-defined"
    form = text(thermal.get("Form factor"))
    if form not in NEEDED:
        raise InputError(
            f"unknown form factor {form!r}" if form else "no 'Form factor'", where=where,
            expected="'cylinder' or 'slab', under 'description'",
            hint="a core-to-surface model needs geometry that BPX lacks",
        )  # fmt: skip
    _check_units(thermal, NEEDED[form], where)
    _check_there(lumped, LUMPED, f"{name}, Cell")
    _check_there(thermal, NEEDED[form], where)
    if thermal.get("Can thickness [m]", 0.0) > 0:
        _check_there(thermal, CAN, where)
    for key in (*LUMPED, "Reference temperature [K]"):
        if key in lumped:
            _check_number(lumped[key], f"{name}, {key!r}")
    for key in (*NEEDED[form], *OPTIONAL):
        if key in thermal and key not in CURVES:
            faces = thermal[key] if key == COOLING and isinstance(thermal[key], Mapping) else {"": thermal[key]}
            for face, number in faces.items():
                at = f"{name}, {key!r}" + (f", {face!r}" if face else "")
                _check_number(number, at, may_be_zero=key in MAY_BE_ZERO)
    _check_geometry(lumped, thermal, form, where)
    for key in CURVES:
        if key in thermal:
            _check_curve(thermal[key], key, float(lumped[LUMPED[3]]), f"{where}, {key!r}")
    spread = thermal.get(SPREAD, {})
    if not isinstance(spread, Mapping):
        raise InputError(f"found {spread!r}", where=f"{where}, {SPREAD!r}", expected="a number per key")
    for key, value in spread.items():
        if key != "description":
            _check_number(value, f"{where}, {SPREAD!r}, {key!r}")
    known = (*NEEDED["cylinder"], *NEEDED["slab"], *OPTIONAL, SPREAD, "Sources", "Form factor", "description")
    _warn_unknown(thermal, known, where)
    _warn_unknown(document.get("Observer", {}), OBSERVER, f"{name}, Observer")


def text(value: Any) -> Any:
    """Return a text of a User-defined section: BPX reads a bare string there as a formula."""
    return value.get("description") if isinstance(value, Mapping) else value


def _check_kinds(name: str, document: Mapping[str, Any]) -> None:
    """Refuse a bare text where a number is wanted, in words that are clearer than those of BPX."""
    sections = document.get("Parameterisation")
    thermal = sections.get("User-defined") if isinstance(sections, Mapping) else None
    if isinstance(thermal, Mapping):
        if isinstance(form := thermal.get("Form factor"), str):
            raise InputError(
                f"found the bare text {form!r}", where=f"{name}, User-defined, 'Form factor'",
                expected=f'{{"description": "{form}"}}', hint="BPX reads a bare text here as a formula",
            )  # fmt: skip
        for key in {*NEEDED["cylinder"], *NEEDED["slab"], *OPTIONAL} - {*CURVES}:
            if isinstance(thermal.get(key), str):
                raise InputError(f"found {thermal[key]!r}", where=f"{name}, {key!r}", expected="a number")
    if not isinstance(document.get("Observer", {}), Mapping):
        raise InputError(f"found {document['Observer']!r}", where=f"{name}, Observer", expected="a section")


def _check_bpx(name: str, document: Mapping[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bpx warns about its own dependencies and about old versions
        import bpx

        try:
            bpx.parse_bpx_obj({key: value for key, value in document.items() if key != "Observer"})
        except Exception as error:  # bpx raises ValidationError, ValueError or TypeError, by kind of mistake
            raise InputError(_first_of(error), where=f"{name} (BPX)") from error


def _first_of(error: Exception) -> str:
    errors = getattr(error, "errors", None)
    if callable(errors) and (found := errors()):
        place = " > ".join(str(part) for part in found[0]["loc"])
        if found[0]["type"] == "missing":
            return f"no {place!r}"
        return f"{place}: {found[0]['msg']}, found {found[0].get('input')!r:.60}"
    return str(error).splitlines()[0]


def _check_units(thermal: Mapping[str, Any], needed: Iterable[str], where: str) -> None:
    for key in (*needed, *OPTIONAL):
        for other in thermal:
            if other != key and other.split(" [")[0] == key.split(" [")[0]:
                raise InputError(f"{other!r} has another unit", where=where, expected=repr(key))


def _check_there(values: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    missing = [key for key in keys if key not in values]
    if missing:
        known = {*NEEDED["cylinder"], *NEEDED["slab"], *OPTIONAL, *LUMPED}
        near = difflib.get_close_matches(missing[0], sorted(set(values) - known), 1, cutoff=0.7)
        hint = f"is {near[0]!r} meant to be the first?" if near else "add it, with its source"
        raise InputError("no " + ", no ".join(map(repr, missing)), where=where, hint=hint)


def _check_number(value: Any, where: str, *, may_be_zero: bool = False) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    if not good or value < 0 or (value == 0 and not may_be_zero):
        expected = "a number >= 0" if may_be_zero else "a positive number"
        raise InputError(f"found {value!r}", where=where, expected=expected)


def _check_geometry(lumped: Mapping[str, Any], thermal: Mapping[str, Any], form: str, where: str) -> None:
    h = thermal.get(COOLING)
    if isinstance(h, Mapping) and set(h) != set(WALLS[form]):
        raise InputError(
            f"faces {sorted(h)}", where=f"{where}, {COOLING!r}", expected=f"{list(WALLS[form])} for a {form}"
        )
    if not thermal.get(SHARE, 0.0) < 1:
        raise InputError(f"found {thermal[SHARE]!r}", where=f"{where}, {SHARE!r}", expected="less than 1")
    first, second = (float(thermal[key]) for key in NEEDED[form][:2])
    if form == "cylinder" and not thermal.get("Mandrel diameter [m]", 0.0) < first:
        raise InputError("the mandrel is not thinner than the cell", where=f"{where}, 'Mandrel diameter [m]'")
    volume = np.pi / 4 * first**2 * second if form == "cylinder" else first * second
    if not abs(float(lumped["Volume [m3]"]) / volume - 1.0) <= VOLUME_SLACK:
        raise InputError(
            f"found {lumped['Volume [m3]']:g}, but {NEEDED[form][0]!r} and {NEEDED[form][1]!r} make {volume:.3g}",
            where=f"{where.split(',')[0]}, 'Volume [m3]'", expected="the same volume", hint="is one in mm or litres?",
        )  # fmt: skip


def _check_curve(source: Any, key: str, capacity_Ah: float, where: str) -> None:
    """Hold a curve against what it stands for, over the state of charge."""
    curve = Curve(source, where)
    if isinstance(source, Mapping) and not (min(source["x"]) >= 0 and max(source["x"]) <= 1):
        found = f"states of charge from {min(source['x']):g} to {max(source['x']):g}"
        raise InputError(found, where=where, expected="0 to 1", hint="divide per cent by 100")
    values = curve(np.linspace(0.0, 1.0, 101))
    if not np.isfinite(values).all():
        raise InputError("the curve is not a number at every state of charge", where=where)
    if key != ENTROPIC and values.min() <= 0:
        raise InputError(f"the curve falls to {values.min():g}", where=where, expected="positive values")
    if key == OPEN_CIRCUIT and (np.diff(values) < -1e-9).any():
        raise InputError("the curve falls with the state of charge", where=where, expected="a rising one")
    if key == ENTROPIC and np.abs(values).max() > STEEP_ENTROPY_V_K:
        found = f"the curve reaches {np.abs(values).max():g}"
        raise InputError(found, where=where, expected="volts per kelvin", hint="divide mV/K by 1000")
    if key == RESISTANCE and values.max() * capacity_Ah > LARGE_DROP_V:
        drop = f"{values.max():g} Ohm drops {values.max() * capacity_Ah:.3g} V at 1C"
        raise InputError(drop, where=where, expected="ohms", hint="divide mOhm by 1000")


def _warn_unknown(values: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), 1, cutoff=0.6)
            hint = f", is {near[0]!r} meant?" if near else ""
            warnings.warn(f"{where}: nothing here reads {key!r}{hint}", InputWarning, stacklevel=4)

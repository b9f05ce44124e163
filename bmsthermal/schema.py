"""What a cell file must hold: BPX, and what BPX has no fields for."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bmsthermal.curves import Curve
from bmsthermal.errors import InputError, InputWarning

#: Faces that are cooled, by form factor; and those that may have a coefficient: r-z cools the ends of a cylinder too.
WALLS = {"cylinder": ("side",), "slab": ("back", "front")}
FACES = {"cylinder": ("side", "bottom", "top"), "slab": WALLS["slab"]}
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
AXIAL = "Axial thermal conductivity [W.m-1.K-1]"
CONTACT = "Can thermal contact resistance [m2.K.W-1]"
ALONG, WIDTH = "In-plane thermal conductivity [W.m-1.K-1]", "Cell width [m]"
SHARE, SPREAD = "Surface sensor ambient share", "Relative standard deviation"
#: Sections that the full electrochemical model reads.
ELECTRODES = ("Negative electrode", "Positive electrode")
ELECTROCHEMICAL = ("Electrolyte", ELECTRODES[0], "Separator", ELECTRODES[1])
#: What the header calls a file; a single-particle file has neither electrolyte nor separator.
MODELS, SINGLE, PARTIAL = ("DFN", "SPMe", "SPM", "Partial"), "SPM", "Partial"
#: What it reads of ``User-defined``: numbers with their range, or None for that of the unit; and curves.
ELECTROCHEMISTRY: dict[str, tuple[float, float] | None] = {
    "Contact resistance [Ohm]": (1e-9, 10.0),
    "Soret coefficient [K-1]": (-1.0, 1.0),
    **{
        f"{electrode} {key}": bounds
        for electrode in ELECTRODES
        for key, bounds in {
            "anodic transfer coefficient": (0.01, 0.99),
            "cathodic transfer coefficient": (0.01, 0.99),
            "film resistance [Ohm.m2]": (1e-9, 10.0),
            "conductivity activation energy [J.mol-1]": (200.0, 2e5),
            "partial molar volume [m3.mol-1]": (-1e-4, 1e-4),
            "Young's modulus [Pa]": (1e5, 1e13),
            "Poisson's ratio": (-0.99, 0.499),
            "strain-free concentration [mol.m-3]": (0.0, 5e5),
            "stress activation volume [m3.mol-1]": (-1e-3, 1e-3),
        }.items()
    },
    **{f"{sign} current collector thickness [m]": (1e-7, 1e-3) for sign in ("Negative", "Positive")},
    **{
        f"{layer} {key}": None
        for layer in (*ELECTRODES, "Separator", "Negative current collector", "Positive current collector")
        for key in ("density [kg.m-3]", "specific heat capacity [J.K-1.kg-1]", "thermal conductivity [W.m-1.K-1]")
    },
}
ELECTROLYTE_CURVES = ("Electrolyte thermodynamic factor", "Electrolyte cation transference number")
MAY_BE_ZERO = (
    "Mandrel diameter [m]", "Can thickness [m]", CONTACT, COOLING,
    "DC resistance activation energy [J.mol-1]", SHARE, "Contact resistance [Ohm]",
    *(f"{electrode} {key}" for electrode in ELECTRODES
      for key in ("film resistance [Ohm.m2]", "conductivity activation energy [J.mol-1]")),
    *(f"{sign} current collector thickness [m]" for sign in ("Negative", "Positive")),
)  # fmt: skip
OPTIONAL = (
    *MAY_BE_ZERO, *CAN, *CURVES, *ELECTROCHEMISTRY,
    AXIAL, ALONG, WIDTH,
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
ORDER, STEP, SENSORS, OFFSET, CALIBRATED = "Order", "Step [s]", "Sensors", "Ambient offset [K]", "Calibrated on"
THERMAL, LAG, SLOW = "Thermal", "Sensor lag [s]", "Slow heat uncertainty"
#: What is estimated beside the temperatures, how sure the observer then is, how covariances are kept, what tuned it.
ESTIMATE, JOINT, COVARIANCE, TUNED = "Estimate", "Joint noise", "Covariance", "Tuned on"
#: Where the heat comes from, if the voltage is a measurement.
HEAT, HEATS = "Heat source", ("measured", "model", "fused")
#: Entries of ``Joint noise`` by the name that `bmsthermal.joint.JointNoise` gives them; what no filter learns
#: (gradient, offset, lag of the sensor) stands beside it, once for every observer of the cell.
JOINT_NOISE = {
    **{name: key for name, key in NOISE.items() if name not in ("gradient", "offset_K")},
    "heat": "Relative heat noise [s0.5]",
    "slow_heat": "Relative slow heat",
    "slow_heat_W": "Slow heat [W]",
    "log_h": "Log heat transfer coefficient uncertainty",
    "log_h_rth": "Log heat transfer coefficient walk [h-0.5]",
    "discrepancy_K": "Sensor discrepancy [K]",
    "bias_K": "Sensor bias [K]",
}
#: Forms of covariance: the whole symmetric matrix, or its factors U D U'.
COVARIANCES = ("symmetric", "UD", "fixed")
OBSERVER = (
    ORDER, STEP, THERMAL, SENSORS, OFFSET, LAG, SLOW, CALIBRATED, ESTIMATE, HEAT, JOINT, COVARIANCE, TUNED,
    *NOISE.values(),
)  # fmt: skip
AREA = "External surface area [m2]"
REFERENCE, CAPACITY = "Reference temperature [K]", "Heat capacity [J.K-1]"

#: Plausible numbers by key, or else by unit: what lies outside is a slip of units or a damaged file.
RANGES: dict[str, tuple[float, float]] = {
    "m": (1e-4, 10.0), "m2": (1e-8, 10.0), "m3": (1e-12, 10.0),
    "kg.m-3": (1.0, 1e5), "J.K-1.kg-1": (1.0, 1e5), "W.m-1.K-1": (1e-3, 1e4), "W.m-2.K-1": (1e-6, 1e5),
    "m2.K.W-1": (1e-8, 1.0), "J.mol-1": (1.0, 2e5), "A.h": (1e-6, 1e5), "s": (1e-3, 1e5),
    "Can thickness [m]": (1e-5, 0.1), "Mandrel diameter [m]": (0.0, 10.0), SHARE: (0.0, 0.99), SPREAD: (1e-6, 10.0),
    REFERENCE: (200.0, 400.0), CAPACITY: (0.1, 1e6), OPEN_CIRCUIT: (1e-3, 10.0), RESISTANCE: (1e-9, 1e3),
    **dict.fromkeys([key for name, key in JOINT_NOISE.items() if name not in NOISE], (1e-9, 1e6)),
    OFFSET: (-50.0, 50.0), LAG: (1e-3, 1e5), SLOW: (1e-6, 10.0), "Heat noise [W.s0.5]": (1e-6, 1e6),
    "Sensor noise [K]": (1e-6, 1e3),
    "Gradient uncertainty": (0.0, 1e3), "Offset uncertainty [K]": (0.0, 1e3), "Start uncertainty [K]": (0.0, 1e3),
    "Start gradient uncertainty [K]": (0.0, 1e3), "Lost heat uncertainty [W]": (0.0, 1e6),
    **{key: bounds for key, bounds in ELECTROCHEMISTRY.items() if bounds},
}  # fmt: skip
#: Largest plausible entropic coefficient in V/K, and voltage drop of a resistance at 1C in V.
STEEP_ENTROPY_V_K, LARGE_DROP_V = 5e-3, 3.0
#: How far the volume may be from that of the dimensions, as a share, and the thinnest roll in m.
VOLUME_SLACK, THIN_ROLL_M = 0.3, 1e-5


def check(name: str, document: Mapping[str, Any]) -> None:
    """Hold a cell file against BPX, then against what the thermal model needs.

    A file with electrodes may be without geometry and heat capacity: it is a
    model of one temperature, or of none.

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
    _check_model(name, document)
    _check_kinds(name, document)
    _check_bpx(name, document)
    sections = document["Parameterisation"]
    lumped, thermal = sections.get("Cell") or {}, sections.get("User-defined") or {}
    where = f"{name}, User-defined"
    form = text(thermal.get("Form factor"))
    needed: tuple[str, ...] = ()
    if "Form factor" in thermal or not has_electrodes(document):
        if not isinstance(form, str) or form not in NEEDED:
            raise bad_form(name, form)
        needed = NEEDED[form]
    _check_units(thermal, needed, where)
    _check_there(lumped, LUMPED if needed else LUMPED[3:], f"{name}, Cell")
    _check_there(thermal, needed, where)
    for key in (*LUMPED, AREA, REFERENCE):
        if key in lumped:
            check_number(lumped[key], key, f"{name}, {key!r}")
    for key in (*NEEDED["cylinder"], *NEEDED["slab"], *OPTIONAL):
        if key in thermal and key not in CURVES:
            faces = thermal[key] if key == COOLING and isinstance(thermal[key], Mapping) else {"": thermal[key]}
            for face, number in faces.items():
                check_number(number, key, f"{name}, {key!r}" + (f", {face!r}" if face else ""))
    around = (document.get("State") or {}).get("Thermal environment") or {}
    if around.get(COOLING) is not None:
        check_number(around[COOLING], COOLING, f"{name}, State, Thermal environment, {COOLING!r}")
    if thermal.get("Can thickness [m]", 0.0) > 0:
        _check_there(thermal, CAN, where)
    h = thermal.get(COOLING)
    if isinstance(h, Mapping) and not needed and set(h) != {"surface"}:
        raise bad_form(name, None)
    if isinstance(h, Mapping) and needed and not {*WALLS[form]} <= {*h} <= {*FACES[form]}:
        ends = ", perhaps bottom and top," if form == "cylinder" else ""
        raise InputError(
            f"faces {sorted(h)}", where=f"{where}, {COOLING!r}", expected=f"{list(WALLS[form])}{ends} for a {form}"
        )
    if needed:
        _check_geometry(lumped, thermal, form, where)
    for key in CURVES:
        if key in thermal:
            _check_curve(thermal[key], key, float(lumped[LUMPED[3]]), f"{where}, {key!r}")
    spread = thermal.get(SPREAD, {})
    if not isinstance(spread, Mapping):
        raise InputError(f"found {spread!r}", where=f"{where}, {SPREAD!r}", expected="a number per key")
    for key, value in spread.items():
        if key != "description":
            check_number(value, SPREAD, f"{where}, {SPREAD!r}, {key!r}")
    named = (*NEEDED["cylinder"], *NEEDED["slab"], *OPTIONAL, *ELECTROLYTE_CURVES)
    known = (*named, SPREAD, "Sources", "Form factor", "description")
    _warn_unknown(thermal, known, where)
    observer = document.get("Observer", {})
    _check_observer(observer, form, f"{name}, Observer")
    _warn_unknown(observer, OBSERVER, f"{name}, Observer")


def check_number(value: Any, key: str, where: str) -> None:
    """Hold a number against the plausible range of its key, or else of the unit that the key ends in.

    Raises
    ------
    InputError
        If it is not a number or not in the range (0 is, where the key may be zero).
    """
    low, high = RANGES[key if key in RANGES else key.split("[")[-1].rstrip("]")]
    zero = low > 0 and key in MAY_BE_ZERO
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not (low <= value <= high or (zero and value == 0)):
        expected = f"a number from {low:g} to {high:g}" + (", or 0" if zero else "")
        raise InputError(f"found {value!r:.60}", where=where, expected=expected)


def has_electrodes(document: Mapping[str, Any]) -> bool:
    """Whether a file describes both electrodes."""
    return all(document["Parameterisation"].get(title) for title in ELECTRODES)


def bad_form(name: str, form: Any) -> InputError:
    """Return what is said of a form factor that is not there or not known."""
    return InputError(
        f"unknown form factor {form!r}" if form else "no 'Form factor'", where=f"{name}, User-defined",
        expected="'cylinder' or 'slab', under 'description'",
        hint="a core-to-surface model needs geometry that BPX lacks: it and "
        + ", or ".join(", ".join(map(repr, keys)) for keys in NEEDED.values()),
    )  # fmt: skip


def text(value: Any) -> Any:
    """Return a text of a User-defined section: BPX reads a bare string there as a formula."""
    return value.get("description") if isinstance(value, Mapping) else value


def _check_model(name: str, document: Mapping[str, Any]) -> None:
    """Hold the sections against the model that the header names."""
    header, sections = (_section(name, document, title) for title in ("Header", "Parameterisation"))
    model = header.get("Model")
    if model not in MODELS:
        found = f"found {_said(model)}" if "Model" in header else "no 'Model'"
        raise InputError(found, where=f"{name}, Header, 'Model'", expected="one of " + ", ".join(map(repr, MODELS)))
    for title in ("Cell", *ELECTROCHEMICAL, "User-defined"):
        section = sections.get(title, {})
        if not isinstance(section, Mapping) and not (section is None and model == PARTIAL):
            raise InputError(
                f"found {_said(section)}", where=f"{name}, Parameterisation, {title!r}", expected="a section",
                hint="" if title == "Cell" else "leave it out if there is none",
            )  # fmt: skip
    between = ("Electrolyte", "Separator")
    absent = [title for title in between if not sections.get(title)]
    if model in ("DFN", "SPMe") and absent and has_electrodes(document):
        raise InputError(
            "no " + " and no ".join(map(repr, absent)), where=f"{name}, Parameterisation",
            expected=f"both of a file with 'Model': {model!r}",
            hint="else it is a single-particle file; the full model needs electrolyte and separator, a DFN file",
        )  # fmt: skip
    porous = [f"{title!r}" for title in between if sections.get(title)] + [
        f"'Porosity' of the {title}" for title in ELECTRODES if "Porosity" in (sections.get(title) or {})
    ]
    if model == SINGLE and porous:
        raise InputError(
            f"found {model!r}, a single-particle file, but the file has {', '.join(porous)}",
            where=f"{name}, Header, 'Model'", expected="'DFN', with electrolyte, separator and porous electrodes",
            hint="the full model needs a DFN file",
        )  # fmt: skip


def _section(name: str, document: Mapping[str, Any], title: str) -> Mapping[str, Any]:
    section = document.get(title)
    if not isinstance(section, Mapping):
        found = f"found {_said(section)}" if title in document else f"no {title!r}"
        raise InputError(found, where=f"{name}, {title}", expected="a section of a BPX file")
    return section


def _said(value: Any) -> str:
    """Value as a JSON file has it."""
    return "null" if value is None else f"{value!r:.60}"


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
            user = document["Parameterisation"].get("User-defined")
            if isinstance(user, Mapping):
                _check_user(user, f"{name} (BPX), User-defined")
            raise _first_of(error, document, f"{name} (BPX)") from error


def _check_user(values: Mapping[str, Any], where: str) -> None:
    """Find the key that BPX refuses: it does not say which."""
    from bpx.schema import UserDefined

    for key, value in values.items():
        place = f"{where}, {key!r}"
        try:
            UserDefined.model_validate({key: value})
        except Exception as error:
            if isinstance(value, Mapping):
                if any(isinstance(part, list | tuple) for part in value.values()):
                    Curve(value, place)
                else:
                    _check_user(value, place)
            kinds = "a number, a table of x and y, or an expression of x"
            hint = "leave the key out if it has no value" if value is None else ""
            raise InputError(f"found {_said(value)}", where=place, expected=kinds, hint=hint) from error


def _first_of(error: Exception, document: Mapping[str, Any], where: str) -> InputError:
    """Return the first mistake that BPX found, by its key."""
    errors = getattr(error, "errors", None)
    if not (callable(errors) and (found := errors())):
        return InputError(str(error).splitlines()[0], where=where)
    first, value, keys = found[0], document["Parameterisation"], []
    for part in first["loc"]:  # what follows the key is which of its kinds BPX tried
        if not (isinstance(value, Mapping) and part in value):
            break
        value = value[part]
        keys.append(str(part))
    whole = " > ".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return InputError(f"no {whole!r}", where=where)
    if not keys:
        place = f"{whole}: " if whole else ""
        return InputError(f"{place}{first['msg']}, found {_said(first.get('input'))}", where=where)
    place = f"{where}, {' > '.join(keys)}"
    if value is None:
        hint = "leave the key out if it has no value"
        return InputError("found null", where=place, expected="a value", hint=hint)
    if isinstance(value, Mapping) and {*value} & {"x", "y"}:
        try:
            Curve(value, place)
        except InputError as described:
            return described
    same = [each for each in found if [str(part) for part in each["loc"][: len(keys)]] == keys]
    said = next((each for each in same if each["type"] == "value_error"), first)
    return InputError(f"{said['msg']}, found {_said(said.get('input'))}", where=place)


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


def _check_observer(section: Mapping[str, Any], form: str | None, where: str) -> None:
    for key in (STEP, OFFSET, LAG, SLOW, *NOISE.values()):
        if key in section:
            check_number(section[key], key, f"{where}, {key!r}")
    order, sensors = section.get(ORDER, 4), section.get(SENSORS, ["surface"])
    if not isinstance(order, int) or isinstance(order, bool) or order < 1:
        raise InputError(f"found {order!r:.60}", where=f"{where}, {ORDER!r}", expected="a whole number from 1")
    named = isinstance(sensors, list | tuple | Mapping) and all(isinstance(name, str) for name in sensors)
    if not named or not sensors or len(set(sensors)) < len(sensors) or not all(map(_is_sensor, sensors)):
        raise InputError(
            f"found {sensors!r:.60}", where=f"{where}, {SENSORS!r}",
            expected="a list of 'surface' or 'surface_NAME', each once, or each with its place",
        )  # fmt: skip
    for name, place in sensors.items() if isinstance(sensors, Mapping) else ():
        if not _is_place(place, form):
            raise InputError(
                f"found {place!r:.60} of {name!r}", where=f"{where}, {SENSORS!r}",
                expected=f"a 'wall', one of {list(FACES.get(form or '', ()))}, and perhaps 0 to 1 as 'height' on the "
                "side or 'radius' on an end of a cylinder, 'x' and 'y' on a slab",
            )  # fmt: skip
    if section.get(THERMAL, "r-z") != "r-z":
        raise InputError(f"found {section[THERMAL]!r:.60}", where=f"{where}, {THERMAL!r}", expected="'r-z', or none")
    for key in (CALIBRATED, TUNED):
        runs = section.get(key, {})
        if not isinstance(runs, Mapping) or not all(isinstance(digest, str) for digest in runs.values()):
            raise InputError(f"found {runs!r:.60}", where=f"{where}, {key!r}", expected="a text per run")
    beside, joint, kept = section.get(ESTIMATE, []), section.get(JOINT, {}), section.get(COVARIANCE, "UD")
    if not isinstance(beside, list | tuple) or not all(isinstance(kind, str) for kind in beside):
        raise InputError(
            f"found {beside!r:.60}", where=f"{where}, {ESTIMATE!r}", expected="a list such as ['h', 'heat']"
        )
    if kept not in COVARIANCES:
        raise InputError(f"found {kept!r:.60}", where=f"{where}, {COVARIANCE!r}", expected=" or ".join(COVARIANCES))
    if section.get(HEAT, HEATS[0]) not in HEATS:
        raise InputError(f"found {section[HEAT]!r:.60}", where=f"{where}, {HEAT!r}", expected=" or ".join(HEATS))
    if not isinstance(joint, Mapping):
        raise InputError(f"found {joint!r:.60}", where=f"{where}, {JOINT!r}", expected="a section")
    for key in joint:
        if key in JOINT_NOISE.values():
            check_number(joint[key], key, f"{where}, {JOINT!r}, {key!r}")
    _warn_unknown(joint, JOINT_NOISE.values(), f"{where}, {JOINT!r}")


def _is_place(place: Any, form: str | None) -> bool:
    """Whether it is the place of a sensor: a wall, and how far along it; nothing stands for the default."""
    if not isinstance(place, Mapping) or not place:
        return isinstance(place, Mapping)
    wall = place.get("wall")
    along = ("x", "y") if form == "slab" else ("height",) if wall == "side" else ("radius",)
    shares = [place.get(name, 0.0) for name in along]
    numbers = all(isinstance(share, int | float) and not isinstance(share, bool) for share in shares)
    inside = numbers and all(0 <= share <= 1 for share in shares)
    return wall in FACES.get(form or "", ()) and {*place} <= {"wall", *along} and inside


def _is_sensor(name: str) -> bool:
    return name == "surface" or (name.startswith("surface_") and len(name) > len("surface_"))


def _check_geometry(lumped: Mapping[str, Any], thermal: Mapping[str, Any], form: str, where: str) -> None:
    first, second = (float(thermal[key]) for key in NEEDED[form][:2])
    mandrel, can = (thermal.get(key, 0.0) for key in ("Mandrel diameter [m]", "Can thickness [m]"))
    room = (first - mandrel) / 2 if form == "cylinder" else first / 2
    if room < THIN_ROLL_M:
        found = f"{mandrel!r} is not thinner than the cell with its {first!r}"
        raise InputError(found, where=f"{where}, 'Mandrel diameter [m]'")
    if room - can < THIN_ROLL_M:
        raise InputError(
            f"found {can!r}, which leaves no volume for the roll", where=f"{where}, 'Can thickness [m]'",
            expected=f"less than {room:.3g}, from the cell's surface to its middle or mandrel",
        )  # fmt: skip
    volume = np.pi / 4 * first**2 * second if form == "cylinder" else first * second
    if not abs(float(lumped["Volume [m3]"]) / volume - 1.0) <= VOLUME_SLACK:
        raise InputError(
            f"found {lumped['Volume [m3]']:g}, but {NEEDED[form][0]!r} and {NEEDED[form][1]!r} make {volume:.3g}",
            where=f"{where.split(',')[0]}, 'Volume [m3]'", expected="the same volume", hint="is one in mm or litres?",
        )  # fmt: skip
    capacity = float(np.prod([float(lumped[key]) for key in LUMPED[:3]]))
    check_number(capacity, CAPACITY, f"{where.split(',')[0]}, {LUMPED[0]!r} times {LUMPED[1]!r} times {LUMPED[2]!r}")


def _check_curve(source: Any, key: str, capacity_Ah: float, where: str) -> None:
    """Hold a curve against what it stands for, over the state of charge."""
    curve = Curve(source, where)
    if isinstance(source, Mapping) and not (min(source["x"]) >= 0 and max(source["x"]) <= 1):
        found = f"states of charge from {min(source['x']):g} to {max(source['x']):g}"
        raise InputError(found, where=where, expected="0 to 1", hint="divide per cent by 100")
    values = curve(np.linspace(0.0, 1.0, 101))
    if not np.isfinite(values).all():
        raise InputError("the curve is not a number at every state of charge", where=where)
    for extreme in (values.min(), values.max()):
        if key in RANGES and not RANGES[key][0] <= extreme <= RANGES[key][1]:
            low, high = RANGES[key]
            raise InputError(f"the curve reaches {extreme:g}", where=where, expected=f"{low:g} to {high:g}")
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

"""Scenarios: what is done to a cell, what is wrong with it, and what is asked of the device, in one TOML file."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, Field, Strict, ValidationError, model_validator

from bmsthermal.cell import Cell, load_cell
from bmsthermal.errors import InputError
from hil.bus import BusSpec
from hil.faults import Fault
from hil.lines import Place, lines_of
from hil.plant import PlantSpec
from hil.profile import CONFIG, Number, Part, Positive, Profile, Share, SurroundingsSpec
from hil.requirements import Requirement
from hil.sensors import SensorsSpec

if TYPE_CHECKING:
    from bmsthermal.observer import Observer

#: Most mistakes of a file that are said at once.
MOST_SAID = 10
#: Beyond it a temperature is taken for kelvin.
HOT_DEGC = 150.0


def _sensor(names: tuple[str, ...]) -> tuple[str, ...]:
    good = all(name == "surface" or name.startswith("surface_") for name in names)
    if not good or not names or len(set(names)) < len(names):
        raise InputError(f"found {list(names)}", expected="'surface' or 'surface_NAME', each once")
    return names


class ObserverSpec(BaseModel):
    """The observer that a device is made of; what is left out is as the cell file's ``Observer`` section has it."""

    model_config = CONFIG
    sensors: Annotated[tuple[str, ...], AfterValidator(_sensor)] = ("surface",)
    """Surface sensors of each cell."""
    order: Annotated[int, Strict(), Field(ge=2, le=32)] | None = None
    """Thermal states."""
    estimate: tuple[Literal["h", "heat", "bias", "soc", "resistance"], ...] = ()
    """What is estimated beside the temperatures."""
    faults: bool = True
    """Whether it watches its sensors."""
    rules: dict[str, Positive] = {}
    """Limits of that watch, see `bmsthermal.faults.FaultRules`."""
    form: Literal["ekf", "ud", "fixed-gain"] | None = None
    """How the covariance is kept."""
    heat: Literal["measured", "model", "fused"] | None = None
    """Where the heat comes from."""
    noise: dict[str, Annotated[float, Strict(), Field(ge=0)]] = {}
    """Standard deviations, see `bmsthermal.noise.Noise` and `bmsthermal.joint.JointNoise`."""
    start_error_K: Number = 0.0
    """What is added to the surface readings that the device starts from: it starts wrong on purpose."""
    start_soc_error: Annotated[float, Strict(), Field(ge=-1, le=1)] = 0.0
    """What is added to the state of charge that it is told at the start."""

    def observer(self, cell: Cell, step_s: float) -> Observer:
        """Make it for a cell, in double precision; the same one every time."""
        key = self.model_dump_json(), cell.digest, step_s
        if key not in _MADE:
            _MADE[key] = self._make(cell, step_s)
        return _MADE[key]

    def _make(self, cell: Cell, step_s: float) -> Observer:
        from bmsthermal.faults import FaultRules
        from bmsthermal.observer import Observer

        given: dict[str, Any] = {"heat": self.heat, "form": self.form}
        if self.faults:
            given["faults"] = FaultRules(**self.rules)
        given = {key: value for key, value in given.items() if value is not None}
        found = Observer.of(cell, self.sensors, order=self.order, step_s=step_s, estimate=self.estimate, **given)
        return found.changed(noise=replace(found.noise, **self.noise)) if self.noise else found


#: Observers that were made, by what they are made of.
_MADE: dict[tuple[str, str, float], Observer] = {}


class _MisfitError(ValueError):
    """A mistake in how two places of a scenario fit, and where the wrong one is."""

    def __init__(self, place: Place, sentence: str) -> None:
        super().__init__(sentence)
        self.place = place


class Scenario(BaseModel):
    """A scenario. Made by `load_scenario`, or in Python; its JSON schema is ``Scenario.model_json_schema()``."""

    model_config = CONFIG
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    """Short name; by default that of the file."""
    title: str
    """What it is, in a line."""
    cell: str = "a123_26650"
    """Shipped cell, or a file, seen from the folder of the scenario's."""
    step_s: Positive = 1.0
    """Of bench and observer."""
    duration_s: Positive | None = None
    """By default that of the profile; after it, the current is 0."""
    seed: Annotated[int, Strict(), Field(ge=0)] = 1
    """Of everything that is drawn."""
    initial_soc: Share
    """State of charge at the start, 0 to 1."""
    profile: Annotated[tuple[Part, ...], Field(min_length=1)]
    """What is done, one after the other: ``kind = "drive"``, ``"csv"``, ``"steps"``, ``"key_off"``."""
    surroundings: SurroundingsSpec = SurroundingsSpec()
    """Coolant, start and cooling."""
    plant: PlantSpec = PlantSpec()
    """The truth."""
    sensors: SensorsSpec = SensorsSpec()
    """Between the truth and what the device reads."""
    observer: ObserverSpec = ObserverSpec()
    """The device."""
    bus: BusSpec | None = None
    """Frames between the two; without it, plain signals."""
    faults: tuple[Fault, ...] = ()
    """What goes wrong."""
    requirements: Annotated[tuple[Requirement, ...], Field(min_length=1)]
    """What is asked."""
    folder: Annotated[Path, Field(exclude=True)] = Path()
    """Where its files are seen from; set by the loader."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for key, given in (("id", self.requirements), ("name", self.faults)):
            where = "requirements" if key == "id" else "faults"
            seen = [getattr(each, key) for each in given]
            for i, one in enumerate(seen):
                if one in seen[:i]:
                    raise _MisfitError((where, i, key), f"{one!r} is taken: each {key} once")
        names = [fault.name for fault in self.faults]
        for i, requirement in enumerate(self.requirements):
            fault, during = getattr(requirement, "fault", None), getattr(requirement, "during", "all")
            known = ", ".join(map(repr, names)) or "none"
            if fault is not None and fault not in names:
                raise _MisfitError(
                    ("requirements", i, "fault"), f"no fault {fault!r}, one of those of the file: {known}"
                )
            if during not in ("all", "healthy", "faulted", *names):
                expected = f"'all', 'healthy', 'faulted' or a fault of the file: {known}"
                raise _MisfitError(("requirements", i, "during"), f"{during!r}, {expected}")
            for j, sensor in enumerate(getattr(requirement, "sensors", None) or ()):
                if sensor not in self.observer.sensors:
                    expected = f"one of {', '.join(self.observer.sensors)}"
                    raise _MisfitError(("requirements", i, "sensors", j), f"no sensor {sensor!r}, {expected}")
        return self

    @property
    def loaded(self) -> Cell:
        """Its cell."""
        file = self.folder / self.cell
        return _cell(str(file) if file.is_file() else self.cell)

    def make_profile(self) -> Profile:
        """Profile of a run, at its beginning."""
        return Profile(self.profile, self.surroundings, self.loaded, self.step_s, self.folder)

    def make_observer(self) -> Observer:
        """Return its observer, in double precision; the same one every time."""
        return self.observer.observer(self.loaded, self.step_s)

    @cached_property
    def steps(self) -> int:
        """Steps of a run."""
        duration = self.duration_s or self.make_profile().duration_s
        return max(round(duration / self.step_s), 1)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what it says; files that it names are not in it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


@lru_cache(maxsize=32)
def _cell(name: str) -> Cell:
    return load_cell(name)


def shipped() -> dict[str, Scenario]:
    """Scenarios that come along, by name, in the order of the alphabet; cells and files are not looked at."""
    return {name: _parse(_folder() / f"{name}.toml") for name in _shipped_names()}


def load_scenario(name: str | Path) -> Scenario:
    """Read a scenario: a shipped one by name, or a file.

    Parameters
    ----------
    name
        Name, or path of a ``.toml``.

    Raises
    ------
    InputError
        If there is none; or with file, line, key, what was found and what was expected, for each mistake of the file.
    """
    path = Path(name)
    if str(name) in _shipped_names():
        path = _folder() / f"{name}.toml"
    elif path.suffix != ".toml" and not path.is_file():
        near = difflib.get_close_matches(str(name), _shipped_names(), 1)
        hint = f"is {near[0]!r} meant?" if near else ""
        expected = f"a .toml file or one of {', '.join(_shipped_names())}"
        raise InputError(f"no scenario {str(name)!r}", expected=expected, hint=hint)
    scenario = _parse(path)
    _check_files(scenario, path)
    return scenario


def _folder() -> Path:
    with resources.as_file(resources.files("hil") / "scenarios") as folder:
        return folder


def _shipped_names() -> list[str]:
    return sorted(path.stem for path in _folder().glob("*.toml"))


def _parse(path: Path) -> Scenario:
    """Read a file; cells and other files that it names are not looked at."""
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        line = getattr(error, "lineno", None) or _line_in(message, text)
        raise InputError(message.split(" (at")[0], where=f"{path}, line {line}", expected="TOML") from None
    if not document:
        raise InputError("the file is empty", where=str(path), expected="a scenario in TOML", hint="see hil/scenarios")
    try:
        return Scenario.model_validate({"name": path.stem} | document | {"folder": path.parent})
    except ValidationError as error:
        raise _told(error, document, path, text) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError("not a text in UTF-8", where=str(path), hint=f"byte {error.start} is none") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from None


def _line_in(message: str, text: str) -> int:
    """Line that a message of tomllib names; the last one if it names the end."""
    words = message.replace(",", " ").split()
    return int(words[words.index("line") + 1]) if "line" in words else text.rstrip().count("\n") + 1


def _check_files(scenario: Scenario, path: Path) -> None:
    """Refuse a cell, an observer or a profile that is not there or makes no sense, at its line."""
    lines = lines_of(_text(path))
    for key, look in (("cell", lambda: scenario.loaded), ("profile", scenario.make_profile)):
        try:
            look()
        except InputError as error:
            part = getattr(error, "part", None)
            _, where = _where(lines, (key,) if part is None else (key, part))
            raise InputError(str(error), where=f"{path}, {where}") from None


def _told(error: ValidationError, document: Mapping[str, Any], path: Path, text: str) -> InputError:
    """Say all mistakes of a file, in its order; a mistake counts once, however many kinds of a thing it rules out."""
    lines = lines_of(text)
    said: dict[Place, tuple[int, str]] = {}
    for each in error.errors():
        place = getattr(each.get("ctx", {}).get("error"), "place", None) or _place(each["loc"], document)
        place = _named(each["msg"], place, document)
        line, where = _where(lines, place)
        said.setdefault(place, (line, str(_mistake(each, place, document, f"{path}, {where}"))))
    inner = {place[:i] for place in said for i in range(len(place))}  # what is wrong inside makes the outside wrong
    kept = [one for place, one in said.items() if place not in inner]
    sentences = [sentence for _, sentence in sorted(kept, key=lambda one: one[0])]
    more = [f"and {len(sentences) - MOST_SAID} more"] if len(sentences) > MOST_SAID else []
    return InputError("\n".join([*sentences[:MOST_SAID], *more]))


def _place(loc: Place, document: Any) -> Place:
    """Keys of the file that a place of pydantic stands for: between them it names kinds."""
    place: list[str | int] = []
    value = document
    for i, part in enumerate(loc):
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            if i + 1 < len(loc) or not isinstance(value, Mapping):
                continue
            place.append(part)  # the key that lacks
            break
        place.append(part)
    return tuple(place)


def _named(sentence: str, place: Place, document: Any) -> Place:
    """Place of the key of a table that a sentence about the table names."""
    for part in place:
        document = document.get(part) if isinstance(document, Mapping) else document[part]
    keys = list(document) if isinstance(document, Mapping) else []
    return next(((*place, key) for key in keys if repr(key) in sentence), place)


def _mistake(error: Any, place: Place, document: Mapping[str, Any], where: str) -> InputError:
    kind, found, key = error["type"], f"found {error['input']!r:.60}", str(place[-1]) if place else ""
    if kind == "missing":
        return InputError(f"no {key!r}", where=where)
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key, _keys(place[:-1], document), 1, cutoff=0.5)
        return InputError(f"unknown key {key!r}", where=where, hint=f"is {near[0]!r} meant?" if near else "")
    if kind == "value_error":
        return InputError(str(error["ctx"]["error"]), where=where)
    expected, hint = error["msg"].removeprefix("Input should be "), ""
    if kind == "union_tag_not_found":
        found, expected = "no 'kind'", "one, which says what it is"
    elif kind == "union_tag_invalid":
        found, expected = f"found kind {error['ctx']['tag']!r}", f"one of {error['ctx']['expected_tags']}"
    elif any("_degC" in str(part) for part in place) and isinstance(error["input"], float | int):
        hint = "subtract 273.15 if it is in kelvin" if error["input"] > HOT_DEGC else ""
    return InputError(found, where=where, expected=expected, hint=hint)


def _keys(place: Place, document: Any) -> list[str]:
    """Keys that may stand at a place: of the tables of pydantic that are of the kind that the file says."""
    models: list[type[BaseModel]] = [Scenario]
    for part in place:
        document = document[part]
        if isinstance(part, str):
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [inner for field in fields for inner in _models(field.annotation)]
    kind = document.get("kind")
    tagged = [
        model for model in models if kind in get_args(getattr(model.model_fields.get("kind"), "annotation", None))
    ]
    return sorted({name for model in tagged or models for name in model.model_fields} - {"folder"})


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Tables of pydantic in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _where(lines: Mapping[Place, int], place: Place) -> tuple[int, str]:
    """Line, and line and dotted key in words; the line of its table where a key is not there."""
    known = place
    while known and known not in lines:
        known = known[:-1]
    line = lines.get(known, 1)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return line, f"line {line}, {key}" if key else f"line {line}"

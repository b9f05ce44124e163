"""Scenarios: what is done to a cell, what is wrong with it, and what is asked of the device, in one TOML file."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, Strict, model_validator

from bmsthermal.cell import Cell, load_cell
from bmsthermal.errors import InputError
from hil.bus import BusSpec
from hil.config import CONFIG, Number, Positive, Share
from hil.faults import Fault, Injector
from hil.lines import Place
from hil.mistakes import MisfitError, read_toml, where_in
from hil.plant import PlantSpec
from hil.profile import Part, Profile, SurroundingsSpec
from hil.record import column_names
from hil.requirements import SETS, Requirement
from hil.sensors import SensorsSpec

if TYPE_CHECKING:
    from bmsthermal.observer import Observer

#: Longest run, and most numbers of its record: a table of it is a gigabyte or two.
MOST_STEPS, MOST_NUMBERS = 5_000_000, 250_000_000
#: Largest seed.
MOST_SEED = 2**32 - 1


def _sensor(names: tuple[str, ...]) -> tuple[str, ...]:
    good = all(name == "surface" or name.startswith("surface_") for name in names)
    if not good or not names or len(set(names)) < len(names):
        raise InputError(f"found {list(names)}", expected="'surface' or 'surface_NAME', each once")
    return names


def _rules(given: dict[str, float]) -> dict[str, float]:
    from bmsthermal.faults import FaultRules

    _check_names(given, FaultRules())
    return given


def _noise(given: dict[str, float]) -> dict[str, float]:
    from bmsthermal.joint import JointNoise

    _check_names(given, JointNoise())
    return given


def _check_names(given: dict[str, float], usual: object) -> None:
    for name in given:
        if name not in vars(usual):
            raise InputError(f"unknown key {name!r}", expected=f"some of {', '.join(vars(usual))}")


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
    rules: Annotated[dict[str, Positive], AfterValidator(_rules)] = {}
    """Limits of that watch, see `bmsthermal.faults.FaultRules`."""
    form: Literal["ekf", "ud", "fixed-gain"] | None = None
    """How the covariance is kept."""
    heat: Literal["measured", "model", "fused"] | None = None
    """Where the heat comes from."""
    noise: Annotated[dict[str, Annotated[float, Strict(), Field(ge=0)]], AfterValidator(_noise)] = {}
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
        if unknown := [name for name in self.noise if name not in vars(found.noise)]:
            raise InputError(f"noise {unknown[0]!r}", expected="something that is estimated beside, or faults = true")
        return found.changed(noise=replace(found.noise, **self.noise)) if self.noise else found


#: Observers that were made, by what they are made of.
_MADE: dict[tuple[str, str, float], Observer] = {}


class Scenario(BaseModel):
    """A scenario. Made by `load_scenario`, or in Python; its JSON schema is ``Scenario.model_json_schema()``."""

    model_config = CONFIG
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = "scenario"
    """Short name; by default that of the file."""
    title: str
    """What it is, in a line."""
    cell: str = "a123_26650"
    """Shipped cell, or a file, seen from the folder of the scenario's."""
    cell_values: dict[str, Any] = {}
    """Values of that cell that are others here, and another ``Observer`` section: see `bmsthermal.Cell.with_values`."""
    step_s: Annotated[float, Strict(), Field(ge=1e-3, le=3600)] = 1.0
    """Of bench and observer."""
    duration_s: Positive | None = None
    """By default that of the profile; after it, the current is 0."""
    seed: Annotated[int, Strict(), Field(ge=0, le=MOST_SEED)] = 1
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
    requirements: tuple[Requirement, ...] = ()
    """What is asked."""
    sets: tuple[Literal["foxbms"], ...] = ()
    """What is asked beside that, see `hil.requirements.SETS`."""
    folder: Annotated[Path, Field(exclude=True)] = Path()
    """Where its files are seen from; set by the loader."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.asked:
            raise MisfitError(("requirements",), "nothing is asked, expected at least one requirement")
        for key, given in (("id", self.requirements), ("name", self.faults)):
            where = "requirements" if key == "id" else "faults"
            seen = [getattr(each, key) for each in given]
            for i, one in enumerate(seen):
                if one in seen[:i]:
                    raise MisfitError((where, i, key), f"{one!r} is taken: each {key} once")
        names = [fault.name for fault in self.faults]
        for i, requirement in enumerate(self.requirements):
            fault, during = getattr(requirement, "fault", None), getattr(requirement, "during", "all")
            known = ", ".join(map(repr, names)) or "none"
            if fault is not None and fault not in names:
                raise MisfitError(
                    ("requirements", i, "fault"), f"no fault {fault!r}, one of those of the file: {known}"
                )
            if during not in ("all", "healthy", "faulted", *names):
                expected = f"'all', 'healthy', 'faulted' or a fault of the file: {known}"
                raise MisfitError(("requirements", i, "during"), f"{during!r}, {expected}")
            for j, cell in enumerate(getattr(requirement, "cells", None) or ()):
                if cell >= self.plant.cells:
                    raise MisfitError(
                        ("requirements", i, "cells", j), f"no cell {cell}, expected below {self.plant.cells}"
                    )
            for j, sensor in enumerate(getattr(requirement, "sensors", None) or ()):
                if sensor not in self.observer.sensors:
                    expected = f"one of {', '.join(self.observer.sensors)}"
                    raise MisfitError(("requirements", i, "sensors", j), f"no sensor {sensor!r}, {expected}")
        return self

    @property
    def asked(self) -> tuple[Requirement, ...]:
        """All that is asked, sets too."""
        return (*self.requirements, *(requirement for name in self.sets for requirement in SETS[name]))

    # none of these is kept: copies with other keys would have the old ones
    @property
    def loaded(self) -> Cell:
        """Its cell."""
        file = self.folder / self.cell
        return _cell(str(file) if file.is_file() else self.cell, json.dumps(self.cell_values, default=str))

    def make_profile(self) -> Profile:
        """Profile of a run, at its beginning."""
        return Profile(self.profile, self.surroundings, self.loaded, self.step_s, self.folder)

    def make_observer(self) -> Observer:
        """Return its observer, in double precision; the same one every time."""
        return self.observer.observer(self.loaded, self.step_s)

    @property
    def steps(self) -> int:
        """Steps of a run."""
        duration = self.duration_s or self.make_profile().duration_s
        return max(round(duration / self.step_s), 1)

    @property
    def length_s(self) -> float:
        """Length of a run."""
        return self.steps * self.step_s

    @property
    def digest(self) -> str:
        """SHA-256 of what it says; files that it names are not in it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


@lru_cache(maxsize=32)
def _cell(name: str, values: str) -> Cell:
    cell = load_cell(name)
    return cell.with_values(json.loads(values)) if values != "{}" else cell


def shipped() -> dict[str, Scenario]:
    """Scenarios that come along, by name, in the order of the alphabet; cells and files are not looked at."""
    return {name: _parse(_folder() / f"{name}.toml") for name in shipped_names()}


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
    if not isinstance(name, str | Path):
        raise InputError(f"{name!r:.60}", expected="a scenario, the name of a shipped one, or its file")
    path = Path(name)
    if str(name) in shipped_names():
        path = _folder() / f"{name}.toml"
    elif path.suffix != ".toml" and not path.is_file():
        near = difflib.get_close_matches(str(name), shipped_names(), 1)
        hint = f"is {near[0]!r} meant?" if near else ""
        expected = f"a .toml file or one of {', '.join(shipped_names())}"
        raise InputError(f"no scenario {str(name)!r}", expected=expected, hint=hint)
    scenario = _parse(path)
    _check_files(scenario, path)
    return scenario


def _folder() -> Path:
    with resources.as_file(resources.files("hil") / "scenarios") as folder:
        return folder


def shipped_names() -> list[str]:
    """Names of the scenarios that come along, in the order of the alphabet."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def _parse(path: Path) -> Scenario:
    """Read a file; cells and other files that it names are not looked at."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem)
    return read_toml(path, Scenario, {"name": name}, {"folder": path.parent})


def _check_files(scenario: Scenario, path: Path) -> None:
    """Refuse, at its line, what is there only once it is made: cell, profile, observer, and what faults act on."""
    cells, sensors = scenario.plant.cells, scenario.observer.sensors
    make: list[tuple[Place, Callable[[], object]]] = [
        (("cell",), lambda: scenario.loaded),
        (("profile",), scenario.make_profile),
        (("duration_s",), partial(check_length, scenario)),
        (("observer",), scenario.make_observer),
        *(
            (("faults", i), partial(Injector, [fault], cells, sensors, scenario.step_s, scenario.seed))
            for i, fault in enumerate(scenario.faults)
        ),
    ]
    for place, made in make:
        try:
            made()
        except InputError as error:
            part = getattr(error, "part", None)
            where = where_in(path, place if part is None else (*place, part))
            raise InputError(str(error), where=where) from None


def check_length(scenario: Scenario) -> None:
    """Refuse a run whose record is too large for the memory of a computer.

    Raises
    ------
    InputError
        With the most steps that its cells leave room for.
    """
    names = column_names(scenario.plant.cells, scenario.observer.sensors, [fault.name for fault in scenario.faults])
    most = min(MOST_STEPS, MOST_NUMBERS // len(names))
    if scenario.steps > most:
        of = f" of {scenario.plant.cells} cells" if most < MOST_STEPS else ""
        raise InputError(f"{scenario.steps:.3g} steps of {scenario.step_s:g} s{of}", expected=f"at most {most:,}")

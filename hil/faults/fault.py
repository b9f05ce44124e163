"""A fault, as a scenario states it: what, on what, how strongly, and when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bmsthermal.errors import InputError
from hil.config import CONFIG
from hil.faults.condition import parse
from hil.faults.kind import Kind, Value
from hil.faults.kinds import KINDS


class Fault(BaseModel):
    """A fault.

    A step is faulty when it begins at `at_s` or later and before the fault's end; its readings are those of its end.
    The parameters of the kind stand beside the other keys, with their units in their names.

    Examples
    --------
    >>> fault = Fault.model_validate({"kind": "bias", "target": "surface", "at_s": 600, "offset_K": 2})
    >>> fault.name, fault["offset_K"]
    ('bias', 2.0)
    """

    # an editor cannot know which parameters a kind has
    model_config = ConfigDict(**CONFIG, json_schema_extra={"additionalProperties": True})

    kind: str
    """One of `hil.faults.KINDS`."""
    name: str = Field(default="", pattern=r"^[A-Za-z_][\w-]*$")
    """Of its columns in the record; its kind by default."""
    target: str | tuple[str, ...] = ""
    """A sensor (`surface`: that of every cell; `surface[3]`: of the fourth), `ambient`, `voltage[3]`, `cell[3]`, or
    several; what the kind acts on by default."""
    at_s: float | None = Field(default=None, ge=0)
    """It begins then; at the start where nothing else is said."""
    when: str | None = None
    """It begins when this becomes true of the truth, and again whenever it does."""
    per_hour: float | None = Field(default=None, gt=0)
    """It begins by chance, so often in an hour without it."""
    duration_s: float | None = Field(default=None, gt=0)
    """It lasts so long; to the end of the run by default."""
    ramp_s: float = Field(default=0.0, ge=0)
    """It grows to its full size in this time."""
    seed: int = Field(default=0, ge=0)
    """Of its own chance."""
    enabled: bool = True
    """Whether it can begin at all."""
    parameters: dict[str, Value] = Field(default_factory=dict)
    """Of its kind, all of them."""

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, given: Any) -> Any:
        """Put the parameters of the kind together, and check them."""
        if not isinstance(given, Mapping):
            return given
        named = dict(given)
        kind = named.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise InputError(f"no kind of fault {kind!r}", expected=", ".join(KINDS))
        if not isinstance(named.get("parameters", {}), Mapping):
            raise InputError("parameters is no table", where=f"fault {kind!r}")
        extra = {key: named.pop(key) for key in list(named) if key not in cls.model_fields}
        named["parameters"] = KINDS[kind].check(dict(named.get("parameters", {})) | extra)
        named["name"] = named.get("name") or kind
        return named

    @model_validator(mode="after")
    def _agrees(self) -> Fault:
        """Check what must go together."""
        where = f"fault {self.name!r}"
        triggers = [key for key in ("at_s", "when", "per_hour") if getattr(self, key) is not None]
        if len(triggers) > 1:
            raise InputError(f"both {' and '.join(triggers)}", where=where, expected="one of them")
        if self.when is not None:
            parse(self.when)
        if self.ramp_s and not self.spec.ramps:
            raise InputError(f"{self.kind} comes at once", where=where, hint="leave ramp_s out")
        if not self.targets:
            raise InputError("target is missing", where=where, expected="a sensor, such as 'surface' or 'surface[0]'")
        if self.kind == "swap" and len(self.targets) != 2:
            raise InputError(f"{len(self.targets)} targets", where=where, expected="the two that are exchanged")
        if self.kind == "cooling":
            cells = not any(target == "cooling" for target in self.targets)
            if cells != (self["part"] == "branch"):
                raise InputError(
                    f"{self['part']} of {self.targets[0]!r}", where=where, expected="a branch of cells, or all cooling"
                )
            if bool(self["inlet_K"]) != (self["part"] == "inlet"):
                raise InputError(
                    f"{self['part']} with inlet_K = {self['inlet_K']:g}",
                    where=where,
                    expected="inlet_K for an inlet, and left for the others",
                )
        return self

    @property
    def spec(self) -> Kind:
        """Its kind."""
        return KINDS[self.kind]

    @property
    def targets(self) -> tuple[str, ...]:
        """What it acts on."""
        given = (self.target,) if isinstance(self.target, str) else self.target
        return tuple(filter(None, given)) or tuple(filter(None, [self.spec.target]))

    @property
    def lasts_s(self) -> float:
        """Its length; infinite where it does not end."""
        return math.inf if self.duration_s is None else self.duration_s

    def __getitem__(self, parameter: str) -> Any:
        """Return a parameter of its kind; None where it is not said."""
        return self.parameters.get(parameter)

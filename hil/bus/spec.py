"""What a scenario says of its bus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from bmsthermal.errors import InputError
from hil.config import CONFIG

#: Groups of readings that may have a cycle of their own.
GROUPS = ("pack", "voltage", "temperature")


class BusSpec(BaseModel):
    """A bus between bench and device."""

    model_config = CONFIG

    interface: str = "virtual"
    """Of python-can, or ``udp_loopback``; a device in the bench's own process is always on ``virtual``."""
    channel: str | int | None = None
    """Of the interface."""
    config: Mapping[str, Any] = Field(default_factory=dict)
    """What else the interface takes, such as ``bitrate``."""
    profile: Literal["bench", "foxbms"] = "bench"
    """``bench``: the messages of `hil.bus.dbc`; ``foxbms``: readings as foxBMS 2's debug front end takes them."""
    dbc: Path | None = None
    """Another database; then `signals` says which of its signals is which of ours."""
    signals: Mapping[str, str] = Field(default_factory=dict)
    """``{"current_A": "IVT.Result_I", "voltage_V_{}": "cellVoltage_{:03d}", "voltage_V_{}_invalid": "flag_{:03d}"}``:
    braces run through the cells. ``_invalid`` names a flag that is 1 where a reading does not hold, ``_valid`` one that
    is 1 where it does; ``Message.alive`` a counter, ``Message.crc`` a checksum of E2E profile 2 in the first byte."""
    cycle_s: Mapping[str, float] = Field(default_factory=dict)
    """Cycle times of ``pack`` (current, ambient), ``voltage`` and ``temperature``, whole steps; every step where not
    given. The frames of a slower group are spread over its cycle."""
    timeout_cycles: float = Field(default=1.5, ge=0.1, le=1e6)
    """A reading older than so many of its cycles is absent: between 1 and 2, one lost frame is bridged by the value
    before it, and two are not."""
    base_id: int = Field(default=0x100, ge=0, le=0x400)
    """First identifier of the bench's own messages; the last is 0x3ff above it."""
    coolant_degC: float | None = Field(default=None, ge=-100, le=300)
    """What a device of ours takes for the ambient where the bus does not carry it."""
    answer_s: float = Field(default=1.0, gt=0, le=60)
    """Longest wait for an answer, in real time, on the virtual clock."""
    grace_s: float = Field(default=0.02, ge=0, le=60)
    """The same on the real clock, there never more than a quarter of a step: who answers later is heard in the next."""
    give_up: int = Field(default=3, ge=1)
    """A device that left so many steps in a row unanswered is gone; on the virtual clock."""
    flood: int = Field(default=2000, ge=1)
    """Most frames that are taken from the bus in one step."""

    @field_validator("cycle_s")
    @classmethod
    def _groups(cls, cycles: Mapping[str, float]) -> Mapping[str, float]:
        for group, cycle in cycles.items():
            if group not in GROUPS or not 0 < cycle <= 1e6:
                raise InputError(f"{group} = {cycle:g}", expected=f"seconds of {', '.join(GROUPS)}")
        return cycles

    @model_validator(mode="after")
    def _mapped(self) -> Self:
        if bool(self.signals) != (self.dbc is not None):
            raise InputError("signals and dbc go together", expected="both, or neither")
        if self.dbc is not None and self.profile != "bench":
            raise InputError(f"both a dbc and the profile {self.profile!r}", expected="one of them")
        return self

    def on(self, text: str | None) -> BusSpec:
        """Return the same on another interface, and channel: ``socketcan:can0``; None changes nothing."""
        if text is None:
            return self
        interface, colon, channel = text.partition(":")
        return self.model_copy(update={"interface": interface, "channel": channel if colon else self.channel})

"""What a scenario says of its bus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

#: Groups of readings that may have a cycle of their own.
GROUPS = ("pack", "voltage", "temperature")


class BusSpec(BaseModel):
    """A bus between bench and device.

    Parameters
    ----------
    interface, channel, config
        As python-can has them; `config` is what else its interface takes, such as ``bitrate``.
    profile
        ``bench``: the messages of `hil.bus.dbc`; ``foxbms``: readings as foxBMS 2's debug front end takes them
        (`hil.bus.foxbms`), answers in the bench's messages.
    dbc, signals
        Another database, and which of its signals is which of ours: ``{"current_A": "IVT.Result_I",
        "voltage_V_{}": "cellVoltage_{:03d}", "voltage_V_{}_invalid": "cellVoltage_{:03d}_flag"}``. Braces run through
        the cells. ``_invalid`` names a flag that is 1 where a reading does not hold, ``_valid`` one that is 1 where
        it does; ``Message.alive`` a counter, ``Message.crc`` a checksum of AUTOSAR E2E profile 2 in the first byte.
    cycle_s
        Cycle times of ``pack`` (current, ambient), ``voltage`` and ``temperature``, whole steps; every step where
        not given. The frames of a slower group are spread over its cycle.
    timeout_cycles
        A reading that is older than so many of its cycles is stale, and absent. Between 1 and 2 one lost frame is
        bridged by the value before it, and two are not.
    base_id
        First identifier of the bench's own messages.
    coolant_degC
        What a device is told of the ambient where the bus does not carry it.
    answer_s
        Longest wait for an answer, in real time, where the bench waits for one.
    give_up
        A device that left so many steps in a row unanswered is gone. It counts only where the bench waits.
    flood
        Most frames that are taken from the bus in one step.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    interface: str = "virtual"
    channel: str | int | None = None
    config: Mapping[str, Any] = Field(default_factory=dict)
    profile: Literal["bench", "foxbms"] = "bench"
    dbc: Path | None = None
    signals: Mapping[str, str] = Field(default_factory=dict)
    cycle_s: Mapping[str, float] = Field(default_factory=dict)
    timeout_cycles: float = Field(default=1.5, ge=0.1, le=1e6)
    base_id: int = Field(default=0x100, ge=0, le=0x7FF)
    coolant_degC: float | None = Field(default=None, ge=-100, le=300)
    answer_s: float = Field(default=1.0, gt=0, le=60)
    give_up: int = Field(default=3, ge=1)
    flood: int = Field(default=2000, ge=1)

    @field_validator("cycle_s")
    @classmethod
    def _groups(cls, cycles: Mapping[str, float]) -> Mapping[str, float]:
        for group, cycle in cycles.items():
            if group not in GROUPS:
                raise ValueError(f"{group!r}: expected {', '.join(GROUPS)}")
            if not 0 < cycle < 1e6:
                raise ValueError(f"{group} = {cycle!r}: expected seconds")
        return cycles

    @field_validator("signals")
    @classmethod
    def _mapped(cls, signals: Mapping[str, str], info: Any) -> Mapping[str, str]:
        if signals and info.data.get("dbc") is None:
            raise ValueError("given without a dbc that has them")
        return signals

"""What the columns of a record are: unit and meaning of each, and the record that a list of them belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from hil.record import Record, column_names

_UNITS = re.compile(r"_(degC|K|A|V|W|s)$")
_PLACE = re.compile(r"\[(\d+)\]$")
#: What a column means, by its beginning.
_MEANINGS = (
    ("time_s", "end of the step"),
    ("command_A", "asked of the plant; positive discharges"),
    ("ambient_degC", "asked of the inlet"),
    ("cooling", "asked of pump or fan, as a share of the cell file's heat transfer"),
    ("true_", "the plant: what no device sees"),
    ("seen_", "what the device saw; NaN where absent"),
    ("core_degC", "the device's estimate"),
    ("core_std_K", "the device's standard deviation"),
    ("fault_", "the device's code of a sensor's fault: bmsthermal.faults.NAMES"),
    ("heat_fault", "1 where the device flags heat that nobody accounts for"),
    ("status", "how the device did: 0 ok, 1 late, 2 garbage, 3 dead"),
    ("answer_age_s", "age of the answer that stands"),
)
_STATES = {
    ".enabled": "1 where the fault may come",
    ".active": "1 where its trigger holds",
    ".injected": "1 where it is applied",
}


def unit_of(name: str) -> str:
    """Unit that a column's name says; empty for a pure number.

    Examples
    --------
    >>> unit_of("true_core_degC[3]"), unit_of("status")
    ('degC', '')
    """
    found = _UNITS.search(_PLACE.sub("", name))
    return found[1] if found else ""


def meaning_of(name: str) -> str:
    """Meaning of a column in a few words; empty where nothing is known of it."""
    states = (said for ending, said in _STATES.items() if name.endswith(ending))
    return next(states, "") or next((said for start, said in _MEANINGS if name.startswith(start)), "")


def is_record(names: Sequence[str]) -> bool:
    """Whether a list of columns looks like a record's."""
    return {"time_s", "seen_current_A", "answer_age_s"} <= set(names)


def record_of(names: Sequence[str], rows: Array, said: Sequence[tuple[float, str]] = (), *, where: str = "") -> Record:
    """Record that columns are of: cells, sensors and faults are what their names say.

    Raises
    ------
    InputError
        If they are not all columns of a record, in its order.
    """
    stems = [_PLACE.sub("", name) for name in names]
    cells = max(stems.count("seen_voltage_V"), 1)
    seen = dict.fromkeys(stem for stem in stems if re.fullmatch(r"seen_.*_degC", stem))
    sensors = tuple(stem.removeprefix("seen_").removesuffix("_degC") for stem in seen if stem != "seen_ambient_degC")
    faults = tuple(name.removesuffix(".injected") for name in names if name.endswith(".injected"))
    expected = column_names(cells, sensors, faults)
    for one, wanted in zip_longest(names, expected, fillvalue="nothing"):
        if one != wanted:
            raise InputError(f"column {one!r} is not that of a record", where=where, expected=repr(wanted))
    return Record(tuple(names), rows, cells, sensors, faults, tuple(said))

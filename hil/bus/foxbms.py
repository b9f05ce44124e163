"""The frames that foxBMS 2 takes its readings from, where it is built with the debug CAN front end.

Read from its sources, v1.11; nothing of them is in here. All of it is big endian, classic CAN, eleven-bit identifiers.

=====================  =====  ==================================================================================
message                id     layout, in bits as a DBC counts them
=====================  =====  ==================================================================================
AFE_CellVoltages       0x270  page 7|8; of four cells a page: flags 12 to 15, mV in 13 bits at 11, 30, 33 and 52
AFE_CellTemperatures   0x280  page 7|8; of six sensors a page: flags 8 to 13, degC in 8 signed bits at 23, 31, .. 63
IVT_Msg_Result_I       0x521  six bytes: 0, error flags and a counter, mA in 32 signed bits at 23
=====================  =====  ==================================================================================

Three traps. What its sources call invalid flag says *valid* where it is 1 (``DECAN_DATA_IS_VALID``). Temperatures are
whole kelvin. And there is no checksum or counter but that of the current sensor: a frame that repeats itself is not
found out. Sensors are numbered on through the cells: those of cell 0, then those of cell 1. foxBMS takes one page of
each kind in 10 ms, so a cycle has to be long enough for all of them; it has no ambient: give ``coolant_degC``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bmsthermal.errors import InputError
from hil.bus.dbc import cantools_types
from hil.bus.names import check_sensors, indexed

if TYPE_CHECKING:
    from cantools.database.can import Database, Signal

VOLTAGES, TEMPERATURES, CURRENT = 0x270, 0x280, 0x521
#: First bits of the signals of a page, and of their flags.
VOLTAGE_BITS, VOLTAGE_FLAGS = (11, 30, 33, 52), (12, 13, 14, 15)
TEMPERATURE_BITS, TEMPERATURE_FLAGS = (23, 31, 39, 47, 55, 63), (8, 9, 10, 11, 12, 13)
#: Pages that foxBMS has: 200 voltages, 180 temperatures.
PAGES = {"voltages": (4, 50), "temperatures": (6, 30)}


def foxbms_database(cells: int, sensors: Sequence[str]) -> tuple[Database, dict[str, str]]:
    """Messages for so many cells, and which signal is which reading.

    Raises
    ------
    InputError
        If foxBMS takes fewer.
    """
    _, Database = cantools_types()
    from cantools.database.can import Message, Signal

    check_sensors(sensors)
    for of, count in (("voltages", cells), ("temperatures", cells * len(sensors))):
        each, pages = PAGES[of]
        if count > each * pages:
            raise InputError(f"{count} {of}", where="bus.profile", expected=f"at most {each * pages} for foxBMS 2")
    flags = [Signal(f"IVT_{of}_Error", bit, 1, "big_endian") for of, bit in
             (("System", 15), ("Measurement", 14), ("Channel", 13))]  # fmt: skip
    counter = Signal("IVT_MsgCount_Result_I", 11, 4, "big_endian")
    result = Signal("IVT_Result_I", 23, 32, "big_endian", is_signed=True, unit="mA")
    current = Message(
        CURRENT, "IVT_Msg_Result_I", 6, [Signal("IVT_ID_Result_I", 7, 8, "big_endian"), *flags, counter, result]
    )
    voltages = _pages("cellVoltage", cells, VOLTAGE_BITS, VOLTAGE_FLAGS, 13, False, "mV")
    temperatures = _pages("cellTemperature", cells * len(sensors), TEMPERATURE_BITS, TEMPERATURE_FLAGS, 8, True, "degC")
    mapping = {
        "current_A": "IVT_Result_I", "current_A_invalid": "IVT_Measurement_Error",
        "IVT_Msg_Result_I.alive": "IVT_MsgCount_Result_I",
    }  # fmt: skip
    for cell, name in enumerate(indexed("voltage_V", cells)):
        mapping |= {name: f"cellVoltage_{cell:03d}", f"{name}_valid": f"cellVoltage_{cell:03d}_invalidFlag"}
    for s, sensor in enumerate(sensors):
        for cell, name in enumerate(indexed(f"{sensor}_degC", cells)):
            theirs = f"cellTemperature_{cell * len(sensors) + s:03d}"
            mapping |= {name: theirs, f"{name}_valid": f"{theirs}_invalidFlag"}
    made = [
        Message(VOLTAGES, "AFE_CellVoltages", 8, voltages),
        Message(TEMPERATURES, "AFE_CellTemperatures", 8, temperatures),
        current,
    ]
    return Database(messages=made, version="readings of foxBMS 2"), mapping


def _pages(
    name: str, count: int, bits: Sequence[int], flags: Sequence[int], length: int, signed: bool, unit: str
) -> list[Signal]:
    from cantools.database.can import Signal

    page = f"AFE_{name}_Mux"
    signals = [Signal(page, 7, 8, "big_endian", is_multiplexer=True)]
    for k in range(count):
        of, at = divmod(k, len(bits))
        paged = {"byte_order": "big_endian", "multiplexer_ids": [of], "multiplexer_signal": page}
        signals.append(Signal(f"{name}_{k:03d}_invalidFlag", flags[at], 1, **paged))  # type: ignore[arg-type]
        signals.append(Signal(f"{name}_{k:03d}", bits[at], length, is_signed=signed, unit=unit, **paged))  # type: ignore[arg-type]
    return signals

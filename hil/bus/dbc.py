"""The bench's own messages: classic CAN, protected by AUTOSAR E2E profile 2, written as a DBC and read back strictly.

==================  =====================  ==========================  =============================
message             signals                bits, resolution            range
==================  =====================  ==========================  =============================
Start               soc, session           16 of 0.0001, 8             0 to 1; number of the start
..                  layout, clocked        16, 8                       of cells and sensors; 1 if `Clock` is sent
Voltages_k          three voltage_V        16 unsigned of 0.1 mV       0 to 6.5535 V
Temperatures_k      three <sensor>_degC    16 signed of 0.01 K         -327.68 to 327.67 degC
Pack                current_A              24 signed of 1 mA           -8388.608 to 8388.607 A
..                  ambient_degC           16 signed of 0.01 K         as above
..                  cycle                  8                           number of the cycle, closes it
Clock               step                   32                          steps of the bench since the start
Estimate_k          core_degC, core_std_K  16 of 0.01 K, 16 of 0.001   sigma up to 65.535 K
..                  heat_fault, fault_s    1, 4                        codes of `bmsthermal.faults`
Status              echo, state            8, 4                        cycle answered; 1 runs
..                  rejected, absent       16, 16                      frames refused, readings absent
==================  =====================  ==========================  =============================

Each message begins with the checksum (8 bits) and the alive counter (4 bits); then come flags of one bit, ``_invalid``
where the signal does not hold, then the signals, little endian. A number beyond the range of its signal is sent as the
nearest one, NaN as invalid. `Start` has the identifier ``base_id``; `Pack`, `Clock` and `Status` have 0x3fd to 0x3ff
above it, so that they close readings and answer; the others count up from ``base_id`` in the order above. `Clock` is
what stands for a device's own timer where the time is the bench's: no fault touches it, and no car has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bmsthermal.errors import InputError
from bmsthermal.files import write_whole
from hil.bus.names import OWN, START, check_sensors, indexed, unit_of
from hil.bus.spec import BusSpec
from hil.extras import extra

if TYPE_CHECKING:
    from cantools.database.can import Database, Message

#: Bits, sign and resolution, by the unit in a signal's name, or by the name.
LAYOUT = {
    "A": (24, True, 0.001), "V": (16, False, 0.0001), "degC": (16, True, 0.01), "K": (16, False, 0.001),
    "cycle": (8, False, 1), "echo": (8, False, 1), "state": (4, False, 1), "rejected": (16, False, 1),
    "absent": (16, False, 1), "soc": (16, False, 0.0001), "session": (8, False, 1), "layout": (16, False, 1),
    "clocked": (8, False, 1), "step": (32, False, 1),
    "heat_fault": (1, False, 1),
    "fault": (4, False, 1),
}  # fmt: skip
#: Identifiers above the first: of what closes the readings, of the bench's time, and of what closes the answer.
PACK, CLOCK, STATUS = 0x3FD, 0x3FE, 0x3FF
#: Bits of a frame; where its flags begin, and where its signals do.
BITS, FLAGS, SIGNALS = 64, 12, 16


#: What a signal says that its name and unit do not, by the begin of its name.
COMMENTS = {
    "crc": "AUTOSAR E2E profile 2 of bytes 1 to 7; data identifiers: hil.bus.wire.data_ids",
    "alive": "counts the frames of this message, 0 to 15, and begins anew",
    "cycle": "closes the readings of a step: number of the step modulo 256",
    "echo": "closes an answer: the cycle that it answers to",
    "state": "0 waits for Start, 1 runs, 2 has other cells or sensors than the bench",
    "rejected": "frames refused since the start",
    "absent": "readings that the device lacks in this step",
    "soc": "state of charge to begin with",
    "session": "number of the start, 1 to 255; 0 asks who is there: send Status",
    "layout": "of the bench's cells and sensors; another one than the device's own is answered by state 2",
    "clocked": "1 where the bench sends Clock: step when it comes; 0: step on time of your own",
    "step": "number of the step that is over",
    "fault": "0 none, 1 absent, 2 open, 3 short, 4 bias, 5 stuck, 6 drift, 7 swap",
    "heat_fault": "1 where there is heat that nobody accounts for",
}


def layout(name: str) -> tuple[int, bool, float]:
    """Bits, sign and resolution of a signal."""
    if name.startswith("fault_"):
        return LAYOUT["fault"]
    return LAYOUT.get(name) or LAYOUT.get(unit_of(name)) or LAYOUT["heat_fault"]


def bench_database(cells: int, sensors: Sequence[str], bus: BusSpec, step_s: float = 1.0) -> Database:
    """Messages of a bench.

    Parameters
    ----------
    cells
        Number of cells.
    sensors
        Sensors of each cell.
    bus
        Its identifiers and cycle times.
    step_s
        Cycle of what has none in `bus`.

    Raises
    ------
    InputError
        If there are more messages than identifiers, or cantools is not there.
    """
    _, Database = cantools_types()
    check_sensors(sensors)
    temperatures = [name for sensor in sensors for name in indexed(f"{sensor}_degC", cells)]
    rows: list[tuple[str, list[str], str]] = [("Start", list(START), "")]
    rows += [(f"Voltages_{k}", part, "voltage") for k, part in enumerate(_threes(indexed("voltage_V", cells)))]
    rows += [(f"Temperatures_{k}", part, "temperature") for k, part in enumerate(_threes(temperatures))]
    for cell in range(cells):
        of = "" if cells == 1 else f"_{cell}"
        codes = [f"fault_{sensor}{of}" for sensor in sensors]
        rows.append((f"Estimate{of}", [f"core_degC{of}", f"core_std_K{of}", f"heat_fault{of}", *codes[:4]], "pack"))
        rows += [(f"Faults{of}_{k}", codes[at : at + 12], "pack") for k, at in enumerate(range(4, len(codes), 12))]
    if len(rows) > PACK:
        raise InputError(f"{len(rows)} messages of {cells} cells", where="bus", expected=f"at most {PACK}")
    numbered = [
        *enumerate(rows),
        (PACK, ("Pack", ["current_A", "ambient_degC", "cycle"], "pack")),
        (CLOCK, ("Clock", ["step"], "")),
        (STATUS, ("Status", list(OWN), "pack")),
    ]
    made = [
        _message(bus.base_id + k, name, names, bus.cycle_s.get(group, step_s) if group else 0.0)
        for k, (name, names, group) in numbered
    ]
    return Database(messages=made, version="bmsthermal bench")


def write_dbc(
    path: str | Path, cells: int, sensors: Sequence[str], bus: BusSpec | None = None, step_s: float = 1.0
) -> None:
    """Write the messages of a bench as a DBC, for any tool that reads one; the arguments are those of `bench_database`.

    Raises
    ------
    InputError
        As `bench_database`, and if the file cannot be written.
    """
    text = bench_database(cells, sensors, bus or BusSpec(), step_s).as_dbc_string(sort_signals="default")
    write_whole(path, text.encode("cp1252"))


def read_dbc(path: str | Path) -> Database:
    """Read a DBC strictly.

    Raises
    ------
    InputError
        If it is not there, no DBC, or its signals overlap or leave their message.
    """
    cantools_types()
    import cantools

    try:
        return cantools.database.load_file(path, database_format="dbc", strict=True, prune_choices=False)  # type: ignore[return-value]
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from error
    except (cantools.Error, ValueError) as error:
        raise InputError(f"is no DBC that can be used ({error})", where=str(path)) from error


def cantools_types() -> tuple[type[Message], type[Database]]:
    """Types of cantools, or what to install."""
    extra("cantools", "a bus")
    from cantools.database.can import Database, Message

    return Message, Database


def _threes(names: list[str]) -> list[list[str]]:
    return [names[at : at + 3] for at in range(0, len(names), 3)]


def _message(frame_id: int, name: str, names: list[str], cycle_s: float) -> Message:
    from cantools.database.can import Message, Signal
    from cantools.database.conversion import BaseConversion

    flagged = [of for of in names if unit_of(of)]
    flags = [f"{of}_invalid" for of in flagged] + [of for of in names if layout(of)[0] == 1]
    signals = [Signal("crc", 0, 8, comment=COMMENTS["crc"]), Signal("alive", 8, 4, comment=COMMENTS["alive"])]
    signals += [Signal(flag, FLAGS + k, 1, comment=comment(flag)) for k, flag in enumerate(flags)]
    at = SIGNALS
    for of in names:
        bits, signed, resolution = layout(of)
        if bits == 1:
            continue
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        signals.append(
            Signal(
                of, at, bits, is_signed=signed, unit=unit_of(of) or None,
                conversion=BaseConversion.factory(scale=resolution, offset=0, is_float=False),
                minimum=round(low * resolution, 4), maximum=round(high * resolution, 4), comment=comment(of),
            )
        )  # fmt: skip
        at += bits
    cycle = round(1000 * cycle_s) or None
    return Message(frame_id, name, BITS // 8, signals, cycle_time=cycle, strict=True)


def comment(name: str) -> str | None:
    """What a signal says, of `COMMENTS`."""
    return next((text for begin, text in COMMENTS.items() if name == begin or name.startswith(f"{begin}_")), None)


def templates(mapping: Mapping[str, str], cells: int) -> dict[str, str]:
    """Write out what stands for each of the cells: ``{"voltage_V_{}": "cellVoltage_{:03d}"}``."""
    found: dict[str, str] = {}
    for ours, theirs in mapping.items():
        for cell in range(cells) if "{" in ours else [0]:
            try:
                name = ours.format(cell) if cells > 1 else ours.replace("_{}", "")
                found[name] = theirs.format(cell)
            except (IndexError, KeyError, ValueError) as error:
                raise InputError(f"{ours!r} = {theirs!r} ({error})", where="bus.signals", expected="'{}'") from error
    return found

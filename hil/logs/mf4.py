"""Records and frames as ASAM MDF 4, with units and meanings; the same content is the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal.errors import InputError
from bmsthermal.files import write_whole
from hil.extras import extra
from hil.logs.columns import meaning_of, unit_of
from hil.record import Record

if TYPE_CHECKING:
    import can

VERSION = "4.10"
#: Transposed and deflated.
_COMPRESSION = 2


def _bytes(mdf: Any) -> bytes:
    """Whole file, closed, without the day: the head's time and the history's are those that a bench starts from."""
    from datetime import UTC, datetime

    from asammdf.blocks.v4_blocks import FileHistory

    zero, history = datetime.fromtimestamp(0, UTC), FileHistory()
    mdf.header.start_time = history.time_stamp = zero
    history.comment = "<FHcomment><TX>created</TX><tool_id>bmsthermal</tool_id></FHcomment>"
    mdf.file_history.append(history)
    buffer = io.BytesIO()
    mdf.save(buffer, compression=_COMPRESSION, add_history_block=False)
    mdf.close()
    return buffer.getvalue()


def write_mf4(record: Record, path: Path) -> None:
    """Write a record: a group of its signals, and one of what the device said, if it said anything."""
    package = extra("asammdf", "MF4")
    mdf, time_s = package.MDF(version=VERSION), record.time_s.copy()
    mdf.append(
        [
            package.Signal(values.copy(), time_s, unit=unit_of(name), name=name, comment=meaning_of(name))
            for name, values in record.columns.items() if name != "time_s"
        ],
        acq_name="bench", comment="signals at the ends of steps", common_timebase=True,
    )  # fmt: skip
    if record.said:
        times, texts = zip(*record.said, strict=True)
        said = np.array([text.encode() for text in texts])
        mdf.append(
            [package.Signal(said, np.array(times), name="said", encoding="utf-8", comment="by the device")],
            acq_name="said", comment="what the device was heard to say for itself",
        )  # fmt: skip
    write_whole(path, _bytes(mdf))


def decoded(frames: Sequence[can.Message], dbc: Path) -> bytes:
    """Signals of frames in the units of their database, a group for each message.

    Raises
    ------
    InputError
        If no frame is of the database.
    """
    package = extra("asammdf", "MF4")
    with package.MDF(io.BytesIO(bus_log(frames))) as raw:
        found = raw.extract_bus_logging({"CAN": [(str(dbc), 0)]})  # 0: whatever the channel
    if not found.groups:
        found.close()
        raise InputError(f"none of its messages is among {len(frames)} frames", where=str(dbc))
    return _bytes(found)


def bus_log(frames: Sequence[can.Message]) -> bytes:
    """Frames as a bus log: the group that python-can, asammdf and the tools of the trade know as ``CAN_DataFrame``."""
    package = extra("asammdf", "MF4")
    from asammdf.blocks.v4_constants import BUS_TYPE_CAN
    from asammdf.blocks.v4_constants import SOURCE_BUS as FROM_BUS
    from can.io.mf4 import STD_DTYPE
    from can.util import channel2int, len2dlc

    kept = [frame for frame in frames if not (frame.is_error_frame or frame.is_remote_frame)]
    table = np.zeros(len(kept), STD_DTYPE)
    columns = {
        "BusChannel": [channel2int(frame.channel) or 0 for frame in kept],
        "ID": [frame.arbitration_id for frame in kept],
        "IDE": [frame.is_extended_id for frame in kept],
        "DLC": [len2dlc(frame.dlc) for frame in kept],
        "DataLength": [len(frame.data) for frame in kept],
        "Dir": [not frame.is_rx for frame in kept],
        "EDL": [frame.is_fd for frame in kept],
        "BRS": [frame.is_fd and frame.bitrate_switch for frame in kept],
        "ESI": [frame.is_fd and frame.error_state_indicator for frame in kept],
    }
    for name, values in columns.items():
        table[f"CAN_DataFrame.{name}"] = values
    padded = b"".join(bytes(frame.data).ljust(64, b"\0") for frame in kept)
    table["CAN_DataFrame.DataBytes"] = np.frombuffer(padded, np.uint8).reshape(-1, 64)
    source = package.Source("CAN", "", "", FROM_BUS, BUS_TYPE_CAN)
    times = np.array([frame.timestamp for frame in kept], float)
    mdf = package.MDF(version=VERSION)
    mdf.append(package.Signal(table, times, name="CAN_DataFrame", source=source), acq_source=source)
    return _bytes(mdf)

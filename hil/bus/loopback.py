"""A CAN bus between the processes of one machine: UDP unicast on 127.0.0.1, as an interface of python-can.

``can.Bus(interface="udp_loopback", channel=21320)``. A channel is a row of `nodes` ports from that number on, two by
default. A node takes the first one that is free, and sends every frame to all the others; nothing leaves the machine,
and no rights are needed. As on any UDP, a frame is lost where a node does not read for long.

A datagram is a frame, big endian:

======  =====  =====================================================================
offset  bytes
======  =====  =====================================================================
0       4      ``CAN1``
4       4      identifier; bit 31: 29 bits long, bit 30: remote, bit 29: error frame
8       1      bit 0: CAN FD, bit 1: bit-rate switch, bit 2: error state
9       1      length of the data; of a remote frame: of what it asks for
10      ..     data, none of a remote frame
======  =====  =====================================================================

Whatever else arrives, from another address or port, of another form or length, is dropped and counted in `dropped`.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import Any

import can

#: Where a channel begins that is not named; below the ports that systems give out.
CHANNEL = 21320
ADDRESS = "127.0.0.1"
MAGIC = b"CAN1"
HEADER = struct.Struct("!4sIBB")
EXTENDED, REMOTE, ERROR = 1 << 31, 1 << 30, 1 << 29
FD, SWITCHED, STATE = 1, 2, 4
#: Lengths that a frame of CAN FD may have.
FD_LENGTHS = frozenset((*range(9), 12, 16, 20, 24, 32, 48, 64))
#: Bytes of frames that wait to be read, as far as the system grants them: a cycle of a module, many times over.
WAITING_BYTES = 1 << 22
#: Datagrams that are looked at for one frame: among noise, a read still ends.
MOST_DROPPED = 256


class UdpLoopbackBus(can.BusABC):
    """Node of a channel.

    Parameters
    ----------
    channel
        First port, 1024 to 65535 less the nodes.
    nodes
        Most nodes of the channel, 2 to 16; the same number for all of them.
    can_filters, kwargs
        As for any `can.BusABC`.

    Raises
    ------
    can.CanInitializationError
        If the channel is no port, or all of its nodes are taken.
    """

    def __init__(
        self, channel: int | str | None = CHANNEL, nodes: int | str = 2, can_filters: Any = None, **kwargs: Any
    ) -> None:
        try:
            first, count = int(CHANNEL if channel is None else channel), int(nodes)
        except ValueError:
            first, count = 0, 0
        if not 2 <= count <= 16 or not 1024 <= first <= 65536 - count:
            raise can.CanInitializationError(
                f"channel {channel!r} with {nodes!r} nodes: expected a port, 2 to 16 nodes"
            )
        self.dropped = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WAITING_BYTES)
        for port in range(first, first + count):
            try:
                self._socket.bind((ADDRESS, port))
                break
            except OSError:
                continue
        else:
            self._socket.close()
            raise can.CanInitializationError(f"all {count} nodes of channel {first} are taken")
        self._others = frozenset((ADDRESS, other) for other in range(first, first + count) if other != port)
        self._can_protocol = can.CanProtocol.CAN_FD
        self.channel_info = f"udp_loopback channel {first}, node {port - first} of {count}"
        super().__init__(channel=first, can_filters=can_filters, **kwargs)

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send a frame to all other nodes that are there; it never waits."""
        datagram = pack(msg)
        for other in sorted(self._others):
            try:
                self._socket.sendto(datagram, other)
            except (BlockingIOError, ConnectionError):
                continue  # a node that is full, or not there: a bus does not know of it
            except OSError as error:
                raise can.CanOperationError(f"cannot send ({error.strerror})") from error

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        until = None if timeout is None else time.monotonic() + timeout
        for _ in range(MOST_DROPPED):
            try:
                datagram, sender = self._socket.recvfrom(128)
            except BlockingIOError:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return None, False
                select.select([self._socket], [], [], left)
                continue
            except ConnectionError:
                continue  # Windows tells of a node that is not there
            except (OSError, ValueError) as error:
                raise can.CanOperationError(f"cannot receive ({error})") from error
            message = unpack(datagram) if sender in self._others else None
            if message is not None:
                message.timestamp = time.time()
                return message, False
            self.dropped += 1
        return None, False

    def fileno(self) -> int:
        """Socket, for `select`."""
        return self._socket.fileno()

    def shutdown(self) -> None:
        """Leave the channel."""
        super().shutdown()
        self._socket.close()

    @staticmethod
    def _detect_available_configs() -> list[Any]:
        return [{"interface": "udp_loopback", "channel": CHANNEL}]


def taken(channel: int, nodes: int = 2) -> int:
    """How many nodes of a channel are taken."""
    count = 0
    for port in range(channel, channel + nodes):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                count += 1
    return count


def free_channel(nodes: int = 2) -> int:
    """Return the first channel from the usual one on that nobody is on.

    Raises
    ------
    can.CanInitializationError
        If there is none among a thousand.
    """
    for channel in range(CHANNEL, CHANNEL + 1000 * nodes, nodes):
        if not taken(channel, nodes):
            return channel
    raise can.CanInitializationError("no free channel")


def pack(message: can.Message) -> bytes:
    """Datagram of a frame.

    Raises
    ------
    can.CanOperationError
        If it is none that can be sent.
    """
    flags = FD * message.is_fd + SWITCHED * message.bitrate_switch + STATE * message.error_state_indicator
    bits = EXTENDED * message.is_extended_id + REMOTE * message.is_remote_frame + ERROR * message.is_error_frame
    data = b"" if message.is_remote_frame else bytes(message.data)
    length = message.dlc if message.is_remote_frame else len(data)
    highest = 0x1FFFFFFF if message.is_extended_id else 0x7FF
    if not 0 <= message.arbitration_id <= highest or length > 64:
        raise can.CanOperationError(f"no frame: identifier {message.arbitration_id:#x}, {length} bytes")
    datagram = HEADER.pack(MAGIC, message.arbitration_id | bits, flags, length) + data
    if unpack(datagram) is None:
        raise can.CanOperationError(f"no frame: {length} bytes{' of CAN FD' if message.is_fd else ''}")
    return datagram


def unpack(datagram: bytes) -> can.Message | None:
    """Frame of a datagram; None if it is none."""
    if len(datagram) < HEADER.size:
        return None
    magic, bits, flags, length = HEADER.unpack_from(datagram)
    data, fd, remote = datagram[HEADER.size :], bool(flags & FD), bool(bits & REMOTE)
    identifier = bits & 0x1FFFFFFF
    if magic != MAGIC or flags > (FD | SWITCHED | STATE) or (not fd and flags) or (fd and remote):
        return None
    if not bits & EXTENDED and identifier > 0x7FF:
        return None
    if length not in FD_LENGTHS or (length > 8 and not fd) or len(data) != (0 if remote else length):
        return None
    return can.Message(
        arbitration_id=identifier, is_extended_id=bool(bits & EXTENDED), is_remote_frame=remote,
        is_error_frame=bool(bits & ERROR), is_fd=fd, bitrate_switch=bool(flags & SWITCHED),
        error_state_indicator=bool(flags & STATE), dlc=length, data=data,
    )  # fmt: skip

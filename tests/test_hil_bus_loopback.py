"""The bus between processes: what is sent is what arrives, and whatever else arrives is dropped."""

import random
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal import InputError
from hil.bus import BusSpec, open_bus

sys.path.insert(0, str(Path(__file__).parent))
from hil_frames import free_channel

can = pytest.importorskip("can")
from hil.bus.loopback import FD_LENGTHS, HEADER, MOST_DROPPED, UdpLoopbackBus, pack, unpack  # noqa: E402


@pytest.fixture
def nodes():
    opened = []

    def open_nodes(count, of=None):
        first = free_channel(of or count)
        opened.extend(UdpLoopbackBus(first, of or count) for _ in range(count))
        return opened[-count:]

    yield open_nodes
    for node in opened:
        node.shutdown()


def frame(identifier=0x123, data=b"\x01\x02", **given):
    return can.Message(arbitration_id=identifier, data=data, **{"is_extended_id": False} | given)


FRAMES = [
    frame(), frame(data=b""), frame(0x7FF, bytes(8)), frame(0x1FFFFFFF, b"abc", is_extended_id=True),
    frame(data=None, is_remote_frame=True, dlc=5), frame(0x20, bytes(8), is_error_frame=True),
    frame(data=bytes(range(64)), is_fd=True, bitrate_switch=True),
    frame(data=bytes(12), is_fd=True, error_state_indicator=True),
]  # fmt: skip


@pytest.mark.parametrize("message", FRAMES, ids=str)
def test_a_frame_arrives_as_it_was_sent(message, nodes):
    here, there = nodes(2)
    here.send(message)
    got = there.recv(1.0)
    assert got.equals(message, timestamp_delta=None, check_direction=False, check_channel=False)
    assert here.recv(0) is None and there.recv(0) is None and there.dropped == 0


def test_all_other_nodes_hear_a_frame_and_a_channel_has_an_end(nodes):
    first, *others = nodes(3, of=4)
    first.send(frame())
    assert all(other.recv(1.0).data == b"\x01\x02" for other in others)
    with pytest.raises(can.CanInitializationError, match="expected a port"):
        UdpLoopbackBus("can0")
    with pytest.raises(can.CanInitializationError, match="2 to 16"):
        UdpLoopbackBus(20000, 1)
    here, _ = nodes(2)
    with pytest.raises(can.CanInitializationError, match="are taken"):
        UdpLoopbackBus(int(here.channel_info.split()[2].strip(",")))


def test_order_is_kept_and_a_cycle_of_a_module_is_not_lost(nodes):
    here, there = nodes(2)
    for k in range(200):
        here.send(frame(k))
    assert [there.recv(1.0).arbitration_id for _ in range(200)] == list(range(200))


def test_only_nodes_of_the_channel_are_listened_to(nodes):
    here, there = nodes(2)
    port = here._socket.getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        for _ in range(3):
            stranger.sendto(pack(frame()), ("127.0.0.1", port))
        assert here.recv(0.05) is None and here.dropped == 3
        for _ in range(2 * MOST_DROPPED):
            stranger.sendto(b"noise", ("127.0.0.1", port))
        there.send(frame())
        found = [here.recv(0) for _ in range(4)]  # a read ends among noise too
        assert next(message for message in found if message is not None).arbitration_id == 0x123


@given(st.binary(max_size=90) | st.binary(max_size=80).map(lambda rest: b"CAN1" + rest))
def test_bytes_are_a_frame_or_none(datagram):
    message = unpack(datagram)
    assert message is None or pack(message) == datagram


@pytest.mark.parametrize(
    "datagram",
    [
        b"", b"CAN1", HEADER.pack(b"CAN2", 1, 0, 0), HEADER.pack(b"CAN1", 0x800, 0, 0), HEADER.pack(b"CAN1", 1, 0, 2),
        HEADER.pack(b"CAN1", 1, 0, 9) + bytes(9), HEADER.pack(b"CAN1", 1, 1, 13) + bytes(13),
        HEADER.pack(b"CAN1", 1, 2, 0), HEADER.pack(b"CAN1", 1, 8, 0), HEADER.pack(b"CAN1", 1 | 1 << 30, 1, 0),
    ],
)  # fmt: skip
def test_what_is_no_frame(datagram):
    assert unpack(datagram) is None


@pytest.mark.parametrize("message", [frame(data=bytes(9)), frame(0x800), frame(data=bytes(13), is_fd=True)])
def test_what_cannot_be_sent_is_said(message, nodes):
    here, _ = nodes(2)
    with pytest.raises(can.CanOperationError, match="no frame"):
        here.send(message)


def test_python_can_knows_it_by_name():
    first = free_channel()
    with open_bus(BusSpec(interface="udp_loopback", channel=str(first))) as here:
        assert isinstance(here, UdpLoopbackBus)
        with can.Bus(interface="udp_loopback", channel=first) as there:
            here.send(frame(data=random.Random(1).randbytes(8)))
            assert there.recv(1.0).arbitration_id == 0x123
    assert {0, 8, 64} <= FD_LENGTHS and 9 not in FD_LENGTHS


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"interface": "can_of_worms"}, "no interface of python-can, expected .*udp_loopback"),
        ({"interface": "udp_loopback", "channel": 80}, "cannot be opened .*expected a port"),
        ({"interface": "socketcan", "channel": "no_such_bus"}, "cannot be opened"),
    ],
)
def test_a_bus_that_cannot_be_opened(given, message):
    with pytest.raises(InputError, match=message):
        open_bus(BusSpec(**given))

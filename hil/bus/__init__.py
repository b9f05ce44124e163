"""CAN: messages, frames and their faults, devices behind a bus, in this process or another."""

from hil.bus.can_device import CanDevice, open_bus
from hil.bus.dbc import bench_database, read_dbc, write_dbc
from hil.bus.framed import Framed
from hil.bus.process import can_device, serve, spawn_device
from hil.bus.spec import BusSpec

__all__ = [
    "BusSpec", "CanDevice", "Framed", "bench_database", "can_device", "open_bus", "read_dbc", "serve", "spawn_device",
    "write_dbc",
]  # fmt: skip

"""CAN: messages, frames and their faults, devices behind a bus, in this process or another."""

from hil.bus.dbc import bench_database, read_dbc, write_dbc
from hil.bus.framed import Framed
from hil.bus.spec import BusSpec

__all__ = ["BusSpec", "Framed", "bench_database", "read_dbc", "write_dbc"]

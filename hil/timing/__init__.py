"""Time: clocks, a pacer that counts what was late, real time where it is granted, and a logger in another process."""

from __future__ import annotations

from hil.timing.clock import Clock, FakeClock, RealClock, ScaledClock, VirtualClock, open_clock
from hil.timing.frame_stream import FrameStream
from hil.timing.histogram import EDGES_S, Histogram
from hil.timing.pacer import Overrun, Pacer
from hil.timing.policy import POLICIES, Policy
from hil.timing.realtime import granted, promote, realtime
from hil.timing.stream import CsvSink, Sink, Stream
from hil.timing.task import Task, Tick

__all__ = [
    "EDGES_S", "POLICIES", "Clock", "CsvSink", "FakeClock", "FrameStream", "Histogram", "Overrun", "Pacer", "Policy",
    "RealClock", "ScaledClock", "Sink", "Stream", "Task", "Tick", "VirtualClock", "granted", "open_clock", "promote",
    "realtime",
]  # fmt: skip

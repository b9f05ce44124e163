"""Faults: 19 kinds, each entering where it happens, with trigger, ramp and chance of its own."""

from hil.faults.fault import Fault
from hil.faults.injector import Injector
from hil.faults.kind import Kind, Parameter
from hil.faults.kinds import KINDS, listing
from hil.faults.live import Scene

__all__ = ["KINDS", "Fault", "Injector", "Kind", "Parameter", "Scene", "listing"]

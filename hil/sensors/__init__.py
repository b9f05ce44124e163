"""Sensors: from the temperature of a place to the number that a driver hands on."""

from hil.sensors.chain import SensorChain
from hil.sensors.driver import Adc, Divider, Driver, Table
from hil.sensors.ntc import Ntc
from hil.sensors.simple import Sensor, SensorSet
from hil.sensors.spec import CurrentSensor, SensorsSpec, VoltageSensor

__all__ = [
    "Adc", "CurrentSensor", "Divider", "Driver", "Ntc", "Sensor", "SensorChain", "SensorSet", "SensorsSpec", "Table",
    "VoltageSensor",
]  # fmt: skip

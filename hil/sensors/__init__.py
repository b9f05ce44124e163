"""Sensors: from the temperature of a place to the number that a driver hands on."""

from hil.sensors.simple import Sensor, SensorSet

__all__ = ["Sensor", "SensorSet"]

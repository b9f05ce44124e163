"""Devices under test, of one shape: in this process, compiled, on an emulated core, an FMU, behind a bus."""

from hil.devices.device import Device, DeviceError
from hil.devices.making import DEVICES, make_device, plain_device

__all__ = ["DEVICES", "Device", "DeviceError", "make_device", "plain_device"]

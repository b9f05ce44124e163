"""Devices under test, of one shape: in this process, compiled, on an emulated core, an FMU, behind a bus."""

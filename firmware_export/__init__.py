"""An observer in, a folder of C out: the kernel byte for byte, its constants, and the proof that it runs the same.

The walk: `export` writes a `Bundle`; its ``check`` compiles and runs it on the host; `fill_addresses` completes its
A2L file from a linked program.
"""

from firmware_export.a2l import fill_addresses
from firmware_export.bundle import Bundle, export
from firmware_export.host import HostReport

__all__ = ["Bundle", "HostReport", "export", "fill_addresses"]

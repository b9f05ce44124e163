"""An observer in, a folder of C out: the kernel byte for byte, its constants, and the proof that it runs the same.

The walk: `export` writes a `Bundle`; its ``check`` compiles and runs it on the host.
"""

from firmware_export.bundle import Bundle, export
from firmware_export.host import HostReport

__all__ = ["Bundle", "HostReport", "export"]

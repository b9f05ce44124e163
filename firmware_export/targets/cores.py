"""The cores that a bundle is tried on: how each is compiled for, where its memory is, and what emulates it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

#: Room in each kind of memory. Programs and their stack are small; a block holds the inputs of a whole run, and from
#: `RECORD` on what came of it.
FLASH_B, RAM_B, BLOCK_B, RECORD_B = 1 << 18, 1 << 16, 1 << 24, 3 << 22
RECORD = BLOCK_B - RECORD_B


@dataclass(frozen=True)
class Core:
    """A kind of processor.

    Parameters
    ----------
    name
        As it is asked for.
    words
        What it is.
    flags
        What each toolchain needs to compile for it; the first word is the program, where that is not zig.
    flash, ram, block
        Where each kind of memory begins: what the linker fills, what a program needs, and a large one for the data of
        a test.
    unicorn
        Its model in Unicorn, None where that has none.
    qemu
        A machine of QEMU that runs its code, None where that has none.
    hard_float
        Whether numbers of single precision are passed in registers of their own.
    big_endian
        Whether the first byte of a number is its highest.
    """

    name: str
    words: str
    flags: Mapping[str, tuple[str, ...]] = field(hash=False)
    flash: int
    ram: int
    block: int
    unicorn: str | None
    qemu: str | None
    hard_float: bool = True
    big_endian: bool = False

    @property
    def family(self) -> str:
        """``riscv`` or ``arm``."""
        return "riscv" if self.name.startswith("riscv") else "arm"

    @property
    def order(self) -> Literal["<", ">"]:
        """Its byte order, as NumPy and struct write it."""
        return ">" if self.big_endian else "<"

    @property
    def thumb(self) -> bool:
        """Whether it runs Thumb code, of which addresses of functions are odd."""
        return self.name.startswith("cortex-m")

    def __repr__(self) -> str:
        return f"Core({self.name!r}: {self.words})"


def _cortex_m(
    name: str, words: str, gcc: str, zig: str, unicorn: str | None, qemu: str, places: tuple[int, int, int],
    hard: bool = True,
) -> Core:  # fmt: skip
    flags = {
        "zig": ("-target", f"thumb-freestanding-eabi{'hf' if hard else ''}", f"-mcpu={zig}"),
        "gcc": ("arm-none-eabi-gcc", "-mthumb", f"-mfloat-abi={'hard' if hard else 'soft'}", *gcc.split()),
    }
    return Core(name, words, MappingProxyType(flags), *places, unicorn, qemu, hard)


#: Flash, RAM and a large RAM of the boards that QEMU has.
_MPS2, _AN505, _AN547 = (
    (0x0, 0x2000_0000, 0x2100_0000), (0x1000_0000, 0x3800_0000, 0x8000_0000), (0x0, 0x2000_0000, 0x6000_0000),
)  # fmt: skip

_ALL = (
    _cortex_m("cortex-m4f", "single precision", "-mcpu=cortex-m4 -mfpu=fpv4-sp-d16", "cortex_m4+vfp4d16sp",
              "CORTEX_M4", "mps2-an386", _MPS2),
    _cortex_m("cortex-m7", "single and double precision", "-mcpu=cortex-m7 -mfpu=fpv5-d16", "cortex_m7+fp_armv8d16",
              "CORTEX_M7", "mps2-an500", (0x0, 0x2000_0000, 0x6000_0000)),
    _cortex_m("cortex-m0plus", "no floating point unit", "-mcpu=cortex-m0plus", "cortex_m0plus",
              "CORTEX_M0", "mps2-an386", _MPS2, hard=False),
    Core("cortex-r5f-be", "big-endian (be32), Arm code",
         MappingProxyType({
             "zig": ("-target", "armeb-freestanding-eabihf", "-mcpu=cortex_r5+vfp3d16+fp64", "-Wno-unsupported-abi"),
             "gcc": ("arm-none-eabi-gcc", "-mcpu=cortex-r5", "-mfpu=vfpv3-d16", "-mfloat-abi=hard", "-marm",
                     "-mbig-endian", "-mbe32"),
         }), *_MPS2, "CORTEX_R5F", None, big_endian=True),
    Core("riscv32", "rv32imafc",
         MappingProxyType({
             "zig": ("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+a+f+c", "-mabi=ilp32f"),
             "gcc": ("riscv64-unknown-elf-gcc", "-march=rv32imafc", "-mabi=ilp32f"),
         }), 0x8000_0000, 0x8010_0000, 0x8100_0000, "RISCV32_ANY", "virt"),
    _cortex_m("cortex-m33", "single precision", "-mcpu=cortex-m33 -mfpu=fpv5-sp-d16", "cortex_m33+fp_armv8d16sp",
              "CORTEX_M33", "mps2-an505", _AN505),
    # vectors of MVE flush subnormal numbers to zero: the compiler makes none by itself
    _cortex_m("cortex-m55", "with vectors (MVE), not used", "-mcpu=cortex-m55 -fno-tree-vectorize",
              "cortex_m55+fp_armv8d16", None, "mps3-an547", _AN547),
)  # fmt: skip

#: The cores by name.
CORES: dict[str, Core] = {core.name: core for core in _ALL}

#: This machine, as a core among the others: its programs are loaded here.
HOST = Core(
    "host", platform.machine(), MappingProxyType({"gcc": ("gcc",), "clang": ("clang",)}), 0, 0, 0, None, None,
    big_endian=sys.byteorder == "big",
)  # fmt: skip

"""Bytes of code, constants and variables: of each object, of each function, and what linking adds to a program."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmsthermal.errors import InputError

if TYPE_CHECKING:
    from firmware_export.targets.toolchains import Image

_ALLOCATED, _WRITABLE, _CODE = 0x2, 0x1, 0x4  # bits of sh_flags


@dataclass(frozen=True)
class Size:
    """Bytes of an object or of a program.

    Parameters
    ----------
    name
        The file.
    text_B, rodata_B
        Code with the constants between its instructions, and constants.
    data_B, bss_B
        Variables that begin with a value, which is kept in flash too; and that begin with zero.
    """

    name: str
    text_B: int
    rodata_B: int
    data_B: int
    bss_B: int

    @property
    def flash_B(self) -> int:
        """Bytes of flash: code, constants, and the image of the variables."""
        return self.text_B + self.rodata_B + self.data_B

    @property
    def ram_B(self) -> int:
        """Bytes of variables."""
        return self.data_B + self.bss_B


def size_of(path: Path) -> Size:
    """Size of an object or a program, by what each of its sections is for."""
    counts = dict.fromkeys(("text", "rodata", "data", "bss"), 0)
    for section in _elf(path).iter_sections():
        flags = section["sh_flags"]
        if not flags & _ALLOCATED:
            continue
        kind = "bss" if section["sh_type"] == "SHT_NOBITS" else "data" if flags & _WRITABLE else "rodata"
        counts["text" if flags & _CODE else kind] += section["sh_size"]
    return Size(path.name, *counts.values())


def functions(paths: Iterable[Path]) -> dict[str, int]:
    """Bytes of each function of some objects."""
    return {
        each.name: each["st_size"]
        for path in paths
        for each in _symbols(path)
        if each["st_info"]["type"] == "STT_FUNC"
    }  # fmt: skip


def undefined(paths: Iterable[Path]) -> tuple[str, ...]:
    """Names that some objects want and none of them has: what they need of libraries."""
    wanted: set[str] = set()
    there: set[str] = set()
    for path in paths:
        for each in _symbols(path):
            if each.name and each["st_info"]["bind"] != "STB_LOCAL":
                (wanted if each["st_shndx"] == "SHN_UNDEF" else there).add(each.name)
    return tuple(sorted(wanted - there))


def added(image: Image, name: str) -> Size:
    """Size that a bundle adds to a program that calls its init, step and get, with what libraries it draws in.

    It is linked alone, without a start, and the linker throws away what these three do not reach: an empty program
    has no byte.

    Parameters
    ----------
    image
        The program that the bundle was built into.
    name
        What the bundle's functions begin with.
    """
    from firmware_export.targets.toolchains import library

    core, tools = image.core, image.toolchain
    real = "double" if any(symbol.startswith("__") for symbol in undefined(image.objects)) else "float"
    flags = core.flags[tools.name][tools.name != "zig" :]  # gcc's begin with the compiler
    wanted = [f"-Wl,-u,{name}_{verb}" for verb in ("init", "step", "get", "model")]
    parts = [*image.objects, image.path.parent / "memory.o"]
    alone = image.path.with_name(f"{name}_alone.elf")
    # what the image was linked with, but for its start
    script = image.path.parent / "link.ld"
    options = ("-static", "-T", str(script), "-Wl,--gc-sections", "-Wl,-e,0", *library(core, tools, real))
    command = [*tools.command, *flags, *options, *wanted, *map(str, parts), "-o", str(alone)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise InputError(f"does not link alone ({done.stderr.strip().splitlines()[-1:]})", where=str(image.path))
    return size_of(alone)


def _elf(path: Path) -> Any:
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        raise InputError("pyelftools is not installed", hint='pip install "bmsthermal[target]"') from error
    from io import BytesIO

    return ELFFile(BytesIO(path.read_bytes()))


def _symbols(path: Path) -> list[Any]:
    table = _elf(path).get_section_by_name(".symtab")
    return [] if table is None else list(table.iter_symbols())

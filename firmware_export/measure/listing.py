"""A function of a linked image: its instructions, and where each can go next.

Compilers put constants between the instructions of a long function. The mapping symbols of the ELF say what is
code (``$t`` Thumb, ``$a`` Arm, ``$x`` RISC-V) and what is not (``$d``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bmsthermal.errors import InputError

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

#: Where an instruction goes: on to the next, elsewhere in the function, into another function and back, into
#: another for good, back to the caller, or to where a register or a table says.
Way = Literal["on", "jump", "call", "tail", "return", "computed"]

_BIG_ENDIAN_CODE = 0x00800000  # EF_ARM_BE8 in e_flags: big-endian data, little-endian code
_RETURNS = re.compile(
    r"bx lr|mov pc, lr|(pop|ldm\w*) .*\bpc\}|ldr pc, \[sp\], #4|(c\.)?(ret|jr ra)|jalr zero, (0\()?ra\)?"
)
_MISSING = 'pip install "bmsthermal[target]"'


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Parameters
    ----------
    address
        Where it stands.
    size_B
        Its bytes.
    name
        What it does, without condition and width: ``vmul.f32``, ``b``, ``ldm``.
    operands
        As capstone writes them.
    conditional
        Whether it may be passed over: a conditional branch, an instruction of an IT block or with a condition.
    way
        Where it goes.
    target
        Address that a jump, call or tail call goes to; None where a register says.
    """

    address: int
    size_B: int
    name: str
    operands: str = ""
    conditional: bool = False
    way: Way = "on"
    target: int | None = None

    @property
    def falls(self) -> bool:
        """Whether the next instruction can follow."""
        return self.conditional or self.way in ("on", "call")

    @property
    def registers(self) -> list[str]:
        """Registers of its list in braces, where it has one."""
        listed = re.search(r"\{(.*)\}", self.operands)
        return listed[1].replace(" ", "").split(",") if listed else []


@dataclass(frozen=True)
class Listing:
    """Instructions of a function, in the order of their addresses."""

    name: str
    address: int
    size_B: int
    instructions: tuple[Instruction, ...] = field(repr=False)

    def by_address(self) -> dict[int, Instruction]:
        """Instructions by where they stand."""
        return {each.address: each for each in self.instructions}


class Program:
    """A linked ELF, whose functions can be listed.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If pyelftools or capstone is not installed, or the file is no ELF with symbols for Arm or RISC-V.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            import capstone  # noqa: F401
            from elftools.common.exceptions import ELFError
            from elftools.elf.elffile import ELFFile
        except ImportError as error:
            raise InputError(f"{error.name} is not installed", hint=_MISSING) from error
        self.path = Path(path)
        try:
            with open(path, "rb") as stream:
                elf = ELFFile(stream)
                self._read(elf)
        except (OSError, ELFError) as error:
            raise InputError(f"is no ELF file ({error})", where=str(path)) from error

    def _read(self, elf: ELFFile) -> None:
        table = elf.get_section_by_name(".symtab")
        if table is None or elf["e_machine"] not in ("EM_ARM", "EM_RISCV"):
            raise InputError("is no program with symbols for Arm or RISC-V", where=str(self.path))
        self.riscv = elf["e_machine"] == "EM_RISCV"
        self.big_endian = not elf.little_endian and not elf["e_flags"] & _BIG_ENDIAN_CODE
        self._sections = [
            (part["sh_addr"], part.data())
            for part in elf.iter_sections()
            if part["sh_flags"] & 2 and part["sh_type"] == "SHT_PROGBITS"
        ]
        odd = 0 if self.riscv else 1  # bit 0 of a function's address says Thumb
        symbols = list(table.iter_symbols())
        marks = {each["st_value"]: each.name[1] for each in symbols if re.match(r"\$[adtx]", each.name)}
        self._marks = sorted(marks.items())
        #: Address and bytes of each function by name.
        self.functions = {
            each.name: (each["st_value"] & ~odd, each["st_size"])
            for each in symbols
            if each["st_info"]["type"] == "STT_FUNC"
        }

    def name_at(self, address: int | None) -> str:
        """Name of the function at an address."""
        named = [name for name, (start, _) in self.functions.items() if start == address]
        return min(named, default="where a register says" if address is None else f"0x{address:x}")

    def listing(self, name: str) -> Listing:
        """Instructions of a function.

        Raises
        ------
        InputError
            If there is no such function, or an instruction that capstone cannot read.
        """
        if name not in self.functions:
            raise InputError(f"no function {name!r}", where=str(self.path))
        start, size = self.functions[name]
        found: list[Instruction] = []
        for first, last, kind in self._stretches(start, start + size):
            if kind != "d":
                found += self._decode(first, last, kind, start, start + size)
        if not found:
            raise InputError(f"{name!r} has no code of a known size", where=str(self.path))
        return Listing(name, start, size, tuple(found))

    def count(self, address: int, size: int) -> int:
        """Instructions in some bytes of code, whatever function they belong to."""
        parts = self._stretches(address, address + size)
        return sum(1 for first, last, kind in parts for _ in self._decode(first, last, kind, address, address + size))

    def _stretches(self, start: int, end: int) -> Iterator[tuple[int, int, str]]:
        """First and last address of what is code or constants, and which."""
        kind, first = "x" if self.riscv else "a", start
        for at, mark in self._marks:
            if at > start and first < min(at, end):
                yield first, min(at, end), kind
            first = max(first, at)
            kind = mark if at < end else kind
            if at >= end:
                return
        if first < end:
            yield first, end, kind

    def _decode(self, first: int, last: int, kind: str, start: int, end: int) -> Iterator[Instruction]:
        import capstone

        if self.riscv:
            reader = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
        else:
            thumb = capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
            mode = thumb if kind == "t" else capstone.CS_MODE_ARM
            order = capstone.CS_MODE_BIG_ENDIAN if self.big_endian else capstone.CS_MODE_LITTLE_ENDIAN
            reader = capstone.Cs(capstone.CS_ARCH_ARM, mode | order)
        reader.detail = True
        base, data = next((at, data) for at, data in self._sections if at <= first < at + len(data))
        done = first
        while done < last:
            for each in reader.disasm(data[done - base : last - base], done):
                done = each.address + each.size
                yield (_riscv if self.riscv else _arm)(each, start, end)
            if done < last:
                newer = _armv8_1m(done, data[done - base : done - base + 4]) if kind == "t" else None
                if newer is None:
                    raise InputError(f"an instruction at 0x{done:x} that cannot be read", where=str(self.path))
                yield newer
                done += 4


def _arm(each: Any, start: int, end: int) -> Instruction:
    from capstone import arm

    head, _, width = each.mnemonic.partition(".")
    given = each.cc not in (arm.ARM_CC_AL, arm.ARM_CC_INVALID) and not re.fullmatch(r"it[te]*|vsel\w\w", head)
    # hs is written cs by some, lo cc: the condition is always the last two letters
    name = "it" if re.fullmatch(r"it[te]*", head) else head[:-2] if given else head
    name += f".{width}" if width not in ("", "w", "n") else ""
    common = (each.address, each.size, name, each.op_str)
    values = [part.imm for part in each.operands if part.type == arm.ARM_OP_IMM]
    if name in ("cbz", "cbnz"):
        return Instruction(*common, True, "jump", values[-1])
    if name in ("bl", "blx"):
        return Instruction(*common, given, "call", values[0] & ~1 if values else None)
    if name == "b":
        inside = start <= values[0] < end
        return Instruction(*common, given, "jump" if inside else "tail", values[0])
    if _RETURNS.fullmatch(f"{name} {each.op_str}"):
        return Instruction(*common, given, "return")
    if name in ("bx", "tbb", "tbh") or each.op_str.startswith("pc,"):
        return Instruction(*common, given, "computed")
    return Instruction(*common, given)


def _armv8_1m(at: int, code: bytes) -> Instruction | None:
    """What capstone does not know of Armv8.1-M: vectors, of which none jumps, and loops that count by themselves."""
    first, second = (int.from_bytes(code[k : k + 2], "little") for k in (0, 2))
    if first >> 10 & 0x3B == 0x3B:
        return Instruction(at, 4, "vector")
    if first >> 7 != 0x1E0 or second & 0xF001 not in (0xC001, 0xE001):
        return None
    if second == 0xE001:
        return Instruction(at, 4, "dls")
    offset = (second >> 1 & 0x3FF) << 2 | (second >> 11 & 1) << 1
    ends = first & 0xF == 0xF
    return Instruction(at, 4, "le" if ends else "wls", "", True, "jump", at + 4 + (-offset if ends else offset))


def _riscv(each: Any, start: int, end: int) -> Instruction:
    from capstone import riscv

    name = each.mnemonic.removeprefix("c.")
    common = (each.address, each.size, name, each.op_str)
    values = [each.address + part.imm for part in each.operands if part.type == riscv.RISCV_OP_IMM]
    if _RETURNS.fullmatch(f"{each.mnemonic} {each.op_str}".strip()):
        return Instruction(*common, way="return")
    if name in ("j", "jal") or re.fullmatch(r"b(eq|ne|lt|ge|le|gt)u?z?", name):
        if name == "jal" and not each.op_str.startswith("zero"):
            return Instruction(*common, way="call", target=values[-1])
        inside = start <= values[-1] < end
        return Instruction(*common, name.startswith("b"), "jump" if inside else "tail", values[-1])
    if name in ("jr", "jalr"):
        linked = name == "jalr" and not each.op_str.startswith("zero")
        return Instruction(*common, way="call" if linked else "computed")
    return Instruction(*common)

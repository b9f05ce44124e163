"""An emulated core with an image in it: its functions are called from here, counted and watched (Unicorn)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from bmsthermal.errors import InputError
from firmware_export.targets.cores import BLOCK_B, FLASH_B, RAM_B, RECORD, Core
from firmware_export.targets.toolchains import Image

#: Where a call returns to: a page of its own.
_STOP, _PAGE = 0x7000_0000, 0x1000
#: Flag of an ELF: data of a big-endian core, and code of a little-endian one.
_BE8 = 0x0080_0000
#: The first arguments are passed in registers.
_REGISTERS = {"arm": 4, "riscv": 8}


@dataclass(frozen=True)
class Call:
    """What a call took.

    Parameters
    ----------
    instructions
        How many were executed.
    stack_B
        Largest depth of the stack below its place at the call.
    returned
        The word that came back, as a signed integer.
    """

    instructions: int
    stack_B: int
    returned: int


class Machine:
    """An emulated core with an image in its memory.

    Its floating point unit is on, and nothing has run. Numbers are converted to the core's byte order and back.

    Parameters
    ----------
    image
        What `build` made, for a core that Unicorn knows.

    Raises
    ------
    InputError
        If Unicorn or pyelftools are not there, or Unicorn has no such core.
    """

    def __init__(self, image: Image) -> None:
        if image.core.unicorn is None:
            raise InputError(f"Unicorn has no {image.core.name}", hint="QEMU has it")
        try:
            import unicorn
            from elftools.elf.elffile import ELFFile
        except ImportError as error:
            raise InputError(f"no {error.name}", hint='pip install "bmsthermal[target]"') from error
        self.image = image
        core = self.core
        with image.path.open("rb") as file:
            elf = ELFFile(file)
            self._uc = _emulator(core, bool(elf.header["e_flags"] & _BE8))
            for start, size in (
                (core.flash, FLASH_B), (core.ram, RAM_B), (core.block, BLOCK_B), (_STOP, _PAGE)
            ):  # fmt: skip
                self._uc.mem_map(start, size)
            for segment in elf.iter_segments("PT_LOAD"):
                self._uc.mem_write(segment["p_vaddr"], segment.data())
            named = [each for each in elf.get_section_by_name(".symtab").iter_symbols() if each.name]
            self.symbols: dict[str, int] = {each.name: each["st_value"] for each in named}
        self._error = unicorn.UcError
        self._hook_code = unicorn.UC_HOOK_CODE
        self._names = _names(core)
        self._enable()

    @property
    def core(self) -> Core:
        """What it emulates."""
        return self.image.core

    @property
    def block(self) -> int:
        """Address of a large memory for data."""
        return self.core.block

    @property
    def record(self) -> int:
        """Address in it of what `drive` writes."""
        return self.core.block + RECORD

    def address(self, symbol: str) -> int:
        """Address of a function or an object.

        Raises
        ------
        InputError
            If the image has none of that name.
        """
        if symbol not in self.symbols:
            raise InputError(f"no symbol {symbol!r}", where=self.image.path.name)
        return self.symbols[symbol]

    def write(self, address: int, values: ArrayLike) -> None:
        """Put numbers into memory, in their own type and the core's byte order."""
        array = np.ascontiguousarray(values)
        self._uc.mem_write(address, array.astype(self._ordered(array.dtype)).tobytes())

    def read(self, address: int, count: int, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Numbers from memory ``(count,)``."""
        kind = self._ordered(np.dtype(dtype))
        return np.frombuffer(bytes(self._uc.mem_read(address, count * kind.itemsize)), kind).astype(dtype)

    def write_bytes(self, address: int, data: bytes) -> None:
        """Put bytes into memory as they are."""
        self._uc.mem_write(address, data)

    def read_bytes(self, address: int, size: int) -> bytes:
        """Bytes of the memory as they are."""
        return bytes(self._uc.mem_read(address, size))

    def drive(self, block: bytes, part: int) -> bytes:
        """Drive a bundle over a block of inputs, `part` steps at a time, see drive.c: what it recorded."""
        self.write_bytes(self.block, block)
        parts: list[bytes] = []
        while size := self.run("drive", self.block, len(parts) * part, self.record):
            parts.append(self.read_bytes(self.record, size))
        return b"".join(parts)

    def run(self, symbol: str, *arguments: int | float | np.number) -> int:
        """Call a function at full speed: what it returns, as a signed integer.

        Parameters
        ----------
        symbol
            The function.
        arguments
            Whole numbers and addresses as integers, everything else as a number of single precision.

        Raises
        ------
        InputError
            If the core stops before the function returns.
        """
        start = self.address(symbol)
        self._place(arguments)
        try:
            self._uc.emu_start(start, _STOP)
        except self._error as error:
            at = self._uc.reg_read(self._names["pc"])
            raise InputError(f"{symbol} stopped at {at:#x} ({error})", where=self.image.path.name) from error
        return int(np.int32(np.uint32(self._uc.reg_read(self._names["result"]))))

    def call(self, symbol: str, *arguments: int | float | np.number) -> Call:
        """Call a function and watch it: see `run`; a thousand times slower."""
        with self._watched() as seen:
            returned = self.run(symbol, *arguments)
        return Call(seen[0], seen[1], returned)

    def watch_blocks(self, seen: Callable[[int, int], None]) -> None:
        """From here on, tell address and bytes of every stretch of code up to a jump as it begins: far quicker."""
        import unicorn

        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, lambda uc, address, size, *_: seen(address, size))
        self._uc.ctl_flush_tb()

    def stop(self) -> None:
        """Leave the function that runs, from what `watch_blocks` calls."""
        self._uc.emu_stop()

    @contextmanager
    def _watched(self) -> Iterator[list[int]]:
        seen, sp, top = [0, 0], self._names["sp"], 0

        def each(uc: Any, *_: Any) -> None:
            nonlocal top
            at = uc.reg_read(sp)
            top = top or at
            seen[0] += 1
            seen[1] = max(seen[1], top - at)

        hook = self._uc.hook_add(self._hook_code, each)
        self._uc.ctl_flush_tb()  # what was translated before does not know of it
        try:
            yield seen
        finally:
            self._uc.hook_del(hook)
            self._uc.ctl_flush_tb()

    def _place(self, arguments: tuple[int | float | np.number, ...]) -> None:
        words: list[int] = []
        numbers: list[int] = []
        for each in arguments:
            whole = isinstance(each, int | np.integer)
            word = int(each) & 0xFFFF_FFFF if whole else int(np.float32(each).view(np.uint32))
            (words if whole or not self.core.hard_float else numbers).append(word)
        inside = _REGISTERS[self.core.family]
        sp = self.core.ram + RAM_B - 4 * len(words[inside:])
        sp -= sp % 16
        self.write(sp, np.array(words[inside:], np.uint32))
        for kind, values in (("words", words), ("numbers", numbers)):
            for name, value in zip(self._names[kind], values, strict=False):
                self._uc.reg_write(name, value)
        self._uc.reg_write(self._names["sp"], sp)
        self._uc.reg_write(self._names["lr"], _STOP | self.core.thumb)

    def _ordered(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return dtype.newbyteorder(self.core.order)

    def _enable(self) -> None:
        if self.core.family == "riscv":
            self._uc.reg_write(self._names["status"], self._uc.reg_read(self._names["status"]) | 3 << 13)
        elif self.core.hard_float:
            self._uc.reg_write(self._names["status"], 1 << 30)


def _emulator(core: Core, be8: bool) -> Any:
    import unicorn
    from unicorn import arm_const, riscv_const

    if core.family == "riscv":
        uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        uc.ctl_set_cpu_model(getattr(riscv_const, f"UC_CPU_{core.unicorn}"))
        return uc
    mode = unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS if core.thumb else unicorn.UC_MODE_ARM
    if core.big_endian:
        mode |= unicorn.UC_MODE_ARMBE8 if be8 else unicorn.UC_MODE_BIG_ENDIAN
    uc = unicorn.Uc(unicorn.UC_ARCH_ARM, mode)
    uc.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{core.unicorn}"))
    return uc


def _names(core: Core) -> dict[str, Any]:
    """Unicorn's numbers for the registers of a call."""
    from unicorn import arm_const, riscv_const

    if core.family == "riscv":
        of = {name.removeprefix("UC_RISCV_REG_"): value for name, value in vars(riscv_const).items()}
        words, numbers = [f"A{i}" for i in range(8)], [f"FA{i}" for i in range(8)]
        single = {"pc": "PC", "sp": "SP", "lr": "RA", "result": "A0", "status": "MSTATUS"}
    else:
        of = {name.removeprefix("UC_ARM_REG_"): value for name, value in vars(arm_const).items()}
        words, numbers = [f"R{i}" for i in range(4)], [f"S{i}" for i in range(16)]
        single = {"pc": "PC", "sp": "SP", "lr": "LR", "result": "R0", "status": "FPEXC"}
    return {key: of[name] for key, name in single.items()} | {
        "words": [of[name] for name in words], "numbers": [of[name] for name in numbers]
    }  # fmt: skip


def version() -> str | None:
    """Unicorn's version; None where it is not there, or pyelftools is not."""
    try:
        import elftools  # noqa: F401
        import unicorn
    except ImportError:
        return None
    return str(unicorn.__version__)

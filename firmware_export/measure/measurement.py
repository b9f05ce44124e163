"""Everything that is measured of one image, as a report prints it and as a manifest keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bmsthermal.errors import InputError
from firmware_export.measure import cycles, sizes, stack
from firmware_export.measure.corners import COMBINED, Corners, run_corners
from firmware_export.measure.listing import Program
from firmware_export.measure.paths import Paths, paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmware_export.targets.toolchains import Image

#: The functions that a program calls.
VERBS = ("init", "step", "get")
#: Columns of `Measurement.row`.
COLUMNS = (
    "core", "compiler", "step: longest path / instructions", "seen over corner inputs / instructions",
    "step, estimated / cycles", "flash / B", "data + bss / B", "state / B", "stack of step / B", "undefined symbols",
)  # fmt: skip


@dataclass(frozen=True)
class Measurement:
    """What was measured of a bundle in one image.

    Parameters
    ----------
    name
        What the bundle's functions begin with.
    core, compiler, level
        What it was built for, with what, at which level of optimisation.
    paths
        Of init, step and get, in this order.
    stacks
        Of the same, as the compiler says.
    corners
        Steps run over corner inputs; None where nothing here runs the core.
    objects
        Sizes of the bundle's objects.
    functions_B
        Bytes of each function in them.
    added
        What the bundle adds to a program that calls it.
    undefined
        Symbols that its objects want of libraries.
    state_B
        Bytes of a state; None where it was not told.
    """

    name: str
    core: str
    compiler: str
    level: str
    paths: tuple[Paths, ...] = field(repr=False)
    stacks: tuple[stack.Stack, ...] = field(repr=False)
    corners: Corners | None
    objects: tuple[sizes.Size, ...] = field(repr=False)
    functions_B: dict[str, int] = field(repr=False)
    added: sizes.Size
    undefined: tuple[str, ...]
    state_B: int | None = None

    @property
    def step(self) -> Paths:
        """Ways through the step."""
        return self.paths[VERBS.index("step")]

    @property
    def stack_B(self) -> int | None:
        """Stack of a step: the larger of what was seen and what the compiler says; None where neither is known."""
        seen = None if self.corners is None else self.corners.stack_B
        known = (self.stacks[VERBS.index("step")].deepest_B, seen)
        return max((each for each in known if each is not None), default=None)

    @property
    def seen(self) -> str:
        """Instructions of the steps that were run, and whether one of them went the longest way."""
        if self.corners is None:
            return "not run"
        said = f"{self.corners.least} to {self.corners.most}"
        if self.step.longest is None:
            return said
        beyond = self.corners.most - self.step.longest
        return f"{said}, {'reached' if beyond == 0 else 'not reached' if beyond < 0 else 'EXCEEDED'}"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the estimated cycles take for granted; empty where there is no estimate."""
        return cycles.ASSUMPTIONS if self.step.cycles is not None else ()

    def share(self, rate_Hz: float, cells: int, clock_Hz: float) -> float | None:
        """Share of the processor that steps take, 0 to 1; None where no cycles are estimated.

        Parameters
        ----------
        rate_Hz
            Steps per second of each cell.
        cells
            How many are stepped.
        clock_Hz
            Of the processor.
        """
        if not (rate_Hz > 0 and cells > 0 and clock_Hz > 0):
            raise InputError(f"{rate_Hz:g} Hz, {cells} cells, clock {clock_Hz:g} Hz", expected="positive numbers")
        return None if self.step.cycles is None else self.step.cycles * rate_Hz * cells / clock_Hz

    def row(self) -> tuple[str, ...]:
        """One line of a table under `COLUMNS`."""
        return (
            self.core, f"{self.compiler} {self.level}", _bound(self.step), self.seen,
            _or_dash(self.step.cycles), str(self.added.flash_B), str(self.added.ram_B), _or_dash(self.state_B),
            _or_dash(self.stack_B), _names(self.undefined),
        )  # fmt: skip

    def rows(self) -> list[tuple[str, str]]:
        """What was measured, line by line, with its unit; for a table of two columns."""
        found = [*zip(COLUMNS, self.row(), strict=True)]
        for way, deep in zip(self.paths, self.stacks, strict=True):
            found += [
                (f"{way.name}: code / B", str(way.code_B)),
                (f"{way.name}: longest path / instructions", _bound(way)),
                (f"{way.name}: estimated / cycles", _or_dash(way.cycles)),
                (f"{way.name}: stack by compiler / B", deep.reason or f"{deep.deepest_B} ({' > '.join(deep.path)})"),
            ]
        for each in self.objects:
            found.append((
                f"{each.name}: text, rodata, data, bss / B",
                f"{each.text_B}, {each.rodata_B}, {each.data_B}, {each.bss_B}",
            ))  # fmt: skip
        return found + [("assumption", each) for each in self.assumptions]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers and words, for JSON."""
        return asdict(self) | {
            "flash_B": self.added.flash_B, "ram_B": self.added.ram_B, "stack_B": self.stack_B,
            "assumptions": list(self.assumptions),
        }  # fmt: skip


def measure(image: Image, name: str, manifest: Mapping[str, Any] | None = None) -> Measurement:
    """Measure a bundle in an image.

    Parameters
    ----------
    image
        What `firmware_export.targets.build` made of it.
    name
        What its functions begin with.
    manifest
        Of the bundle; with it the step is run over corner inputs where an emulator is here.

    Raises
    ------
    InputError
        If pyelftools or capstone is not installed, or the image does not hold the bundle.
    """
    program, estimated = Program(image.path), image.core.name in cycles.CORES
    names = [f"{name}_{verb}" for verb in VERBS]
    frames = stack.usage(image.objects)
    ways = tuple(paths(program.listing(each), cycles=estimated) for each in names)
    # all combinations are for a bound that is to be reached
    combined = COMBINED if ways[VERBS.index("step")].longest is not None else ()
    return Measurement(
        name,
        image.core.name,
        str(image.toolchain),
        image.level,
        ways,
        tuple(stack.deepest(program, frames, each) for each in names),
        None if manifest is None else run_corners(image, name, manifest, combined),
        tuple(sizes.size_of(each) for each in image.objects),
        sizes.functions(image.objects),
        sizes.added(image, name),
        sizes.undefined(image.objects),
        None if manifest is None else manifest["sizes"]["state_bytes"],
    )


def _bound(way: Paths) -> str:
    return way.reason or str(way.longest)


def _names(symbols: tuple[str, ...]) -> str:
    helpers = sum(each.startswith("__") for each in symbols)
    said = [*([f"{helpers} of the compiler's arithmetic"] if helpers else []),
            *(each for each in symbols if not each.startswith("__"))]  # fmt: skip
    return ", ".join(said) or "none"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else str(value)

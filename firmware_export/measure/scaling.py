"""How a bundle grows with its states and its sensors: instructions, code and state, on one core."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware_export.measure.measurement import COLUMNS as SUMMARY
from firmware_export.measure.measurement import Measurement, measure

if TYPE_CHECKING:
    from bmsthermal.observer import Observer
    from firmware_export.targets.cores import Core
    from firmware_export.targets.toolchains import Toolchain

#: Forms whose growth is measured.
FORMS = ("ekf", "fixed-gain", "ud")
#: States with one sensor, then sensors with five states.
SIZES = (*((states, 1) for states in range(2, 9)), *((5, sensors) for sensors in range(2, 5)))
COLUMNS = ("form", "states", "sensors", *SUMMARY[2:9])


@dataclass(frozen=True)
class Growth:
    """One size of a form, and what was measured of it."""

    form: str
    states: int
    sensors: int
    measured: Measurement

    @property
    def instructions(self) -> int | None:
        """Of the longest way through a step; where none is claimed, of the longest step that was seen."""
        seen = self.measured.corners
        return self.longest or (None if seen is None else seen.most)

    @property
    def longest(self) -> int | None:
        """Instructions of the longest way through a step; None where none is claimed."""
        return self.measured.step.longest

    @property
    def cycles(self) -> int | None:
        """Estimated, of the costliest way; None where there is no estimate."""
        return self.measured.step.cycles

    @property
    def step_B(self) -> int:
        """Code of the step without what it calls."""
        return self.measured.step.code_B

    @property
    def code_B(self) -> int:
        """Code that the bundle adds to a program."""
        return self.measured.added.text_B

    @property
    def state_B(self) -> int | None:
        """State of a cell."""
        return self.measured.state_B

    def row(self) -> tuple[str, ...]:
        """One line of a table under `COLUMNS`."""
        return self.form, str(self.states), str(self.sensors), *self.measured.row()[2:9]


def scaling(
    observer: Observer,
    core: Core,
    toolchain: Toolchain,
    place: Path,
    *,
    forms: Sequence[str] = FORMS,
    sizes: Sequence[tuple[int, int]] = SIZES,
    progress: Callable[[str], None] = lambda what: None,
) -> list[Growth]:
    """Build an observer's cell at several sizes and measure each.

    Sensors beside the first all sit on the same wall: for what they cost it does not matter where.

    Parameters
    ----------
    observer
        Names the cell and the step.
    core, toolchain
        What to build for, with what.
    place
        Folder for bundles and images.
    forms
        Forms of the filter.
    sizes
        States and sensors.
    progress
        Told what is being built.

    Raises
    ------
    InputError
        If a size is beyond what the kernel is built for, or the compiler refuses it.
    """
    from bmsthermal import CoupledModel
    from bmsthermal.observer import Observer as Made
    from firmware_export.bundle import export
    from firmware_export.targets.toolchains import build

    full, found = CoupledModel(observer.reduced.cell, heat="measured"), []
    for form in forms:
        for states, sensors in sizes:
            name = f"{form.replace('-', '_')}_{states}_{sensors}"
            progress(f"{form}, {states} states, {sensors} sensors")
            named = ["surface", *(f"surface_{k}" for k in range(2, sensors + 1))]
            made = Made(full.reduce(order=states, step_s=observer.reduced.step_s), named)
            chosen: Any = form
            bundle = export(made, place / name, real="float", form=chosen, name=name)
            image = build(bundle.folder, name, core, toolchain, place / f"{name}_image")
            found.append(Growth(form, states, sensors, measure(image, name, bundle.manifest)))
    return found


def draw(found: Sequence[Growth], path: str | Path | None = None) -> Any:
    """Draw instructions, flash and state against the states, with one sensor; save it where a path is given."""
    from bmsthermal.plot import CORE, ESTIMATE, SURFACE, figure, save

    drawn = figure(11.0, 3.8)
    panels = drawn.subplots(1, 3)
    one = [each for each in found if each.sensors == 1]
    for form, colour in zip(
        dict.fromkeys(each.form for each in one), itertools.cycle((CORE, SURFACE, ESTIMATE)), strict=False
    ):
        rows = [each for each in one if each.form == form]
        values = (
            [each.instructions for each in rows], [each.measured.added.flash_B for each in rows],
            [each.state_B for each in rows],
        )  # fmt: skip
        for axes, heights in zip(panels, values, strict=True):
            axes.plot([each.states for each in rows], heights, "o-", color=colour, label=form)
    for axes, what in zip(panels, ("instructions of a step", "flash, B", "state of a cell, B"), strict=True):
        axes.set(xlabel="states", ylabel=what, ylim=(0, None))
        axes.grid(alpha=0.3)
    panels[0].legend()
    return save(drawn, path)

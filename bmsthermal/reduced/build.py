"""From runs of the full model to a reduced cell of given sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bmsthermal.coupled import CoupledModel
from bmsthermal.curves import Array
from bmsthermal.dfn.mechanics import EFFECTS
from bmsthermal.errors import InputError
from bmsthermal.reduced import particles, salt
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.packing import CLASSES, NODES, class_of
from bmsthermal.reduced.particles import Particles
from bmsthermal.reduced.trace import Trace

#: Points through the electrodes that the kernel is built for, and what a map with so many is called.
POINTS = {
    (1, 1): "uniform reaction", (2, 2): "2 + 2 points", (3, 2): "3 + 2 points", (4, 3): "4 + 3 points",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Sizes:
    """How many states of each kind.

    Parameters
    ----------
    thermal, salt
        Modes of conduction and shapes of the electrolyte.
    negative, positive
        Modes of the particles of each electrode: those of uniform reaction (Padé), and further ones (POD).
    points
        Through each electrode, where the reaction is found.
    """

    thermal: int = 3
    salt: int = 2
    negative: tuple[int, int] = (3, 1)
    positive: tuple[int, int] = (3, 1)
    points: tuple[int, int] = (3, 2)

    @property
    def states(self) -> int:
        """All of them, lithium too."""
        return self.thermal + self.salt + sum(self.negative) + sum(self.positive) + 1

    @property
    def fits(self) -> bool:
        """Whether the kernel has room, and one point asks for no shape that changes with depth."""
        modes, thermal, shapes = CLASSES[-1]
        within = (
            max(sum(self.negative), sum(self.positive)) <= modes and self.thermal <= thermal and self.salt <= shapes
        )
        flat = all(n > 1 or further == 0 for n, (_, further) in zip(self.points, self._particles, strict=True))
        return within and flat and self.points in POINTS

    @property
    def _particles(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return self.negative, self.positive

    @property
    def method(self) -> str:
        """What the map of the reaction is called."""
        return POINTS[self.points]

    def more(self) -> Iterator[Sizes]:
        """One state more, of each kind that has room."""
        (a, b), (c, d) = self.negative, self.positive
        for change in (
            {"thermal": self.thermal + 1}, {"salt": self.salt + 1}, {"negative": (a + 1, b)},
            {"negative": (a, b + 1)}, {"positive": (c + 1, d)}, {"positive": (c, d + 1)},
        ):  # fmt: skip
            made = replace(self, **change)
            if made.fits:
                yield made

    def less(self, least: Sizes | None = None) -> Iterator[Sizes]:
        """One state less, of each kind that has more than `least`, by default `SMALLEST`."""
        (a, b), (c, d), least = self.negative, self.positive, least or SMALLEST
        for allowed, change in (
            (self.thermal > least.thermal, {"thermal": self.thermal - 1}),
            (self.salt > least.salt, {"salt": self.salt - 1}),
            (a > least.negative[0], {"negative": (a - 1, b)}), (b > 0, {"negative": (a, b - 1)}),
            (c > least.positive[0], {"positive": (c - 1, d)}), (d > 0, {"positive": (c, d - 1)}),
        ):  # fmt: skip
            if allowed:
                yield replace(self, **change)

    def __str__(self) -> str:
        (a, b), (c, d) = self.negative, self.positive
        return f"thermal {self.thermal}, salt {self.salt}, negative {a} + {b}, positive {c} + {d}, lithium 1"


#: Where a search ends, and where it begins. Three Padé shapes cover the frequencies of a drive, and three
#: thermal states the swings of a coolant, whether or not the runs that it is judged by have them.
SMALLEST = Sizes(3, 1, (3, 0), (3, 0))
LARGEST = Sizes(5, 4, (5, 3), (5, 2))


def ends(model: CoupledModel) -> tuple[Sizes, Sizes]:
    """Smallest and largest reduction of a model: r-z has four steady shapes, and moves by at least one more."""
    if model.equations.resolution != "r-z":
        return SMALLEST, LARGEST
    return replace(SMALLEST, thermal=5), replace(LARGEST, thermal=6)


def conduction(model: CoupledModel) -> CoupledModel:
    """What the thermal states are reduced from: r-z as the model has it, one dimension on the finest grid."""
    return model if model.equations.resolution == "r-z" else CoupledModel(model.cell, heat="measured")


def check_reducible(model: CoupledModel) -> None:
    """Refuse what the reduced model cannot carry.

    Raises
    ------
    InputError
        Naming the option.
    """
    where, eq, p = model.cell.name, model.equations, model.cell.electrochemistry
    if model.layers > 1:
        raise InputError(
            f"layers={model.layers}", where=where, expected="layers=1",
            hint="sandwiches at temperatures of their own share the current by their voltages: run the full model",
        )  # fmt: skip
    if model.reactions != "none":
        raise InputError(
            f"reactions={model.reactions!r}", where=where, expected="reactions='none'",
            hint="decomposition at each temperature is no small model: run the full one",
        )  # fmt: skip
    if lost := sorted({*eq.couplings} - {*EFFECTS}):
        raise InputError(
            f"couplings={lost[0]!r}", where=where, expected="stress couplings or none",
            hint="thermodiffusion needs the temperature through the sandwich: run the full model",
        )  # fmt: skip
    slowed = p.negative.stress_activation_volume_m3_mol, p.positive.stress_activation_volume_m3_mol
    if "stress-diffusivity" in eq.couplings and any(slowed):
        raise InputError(
            "couplings='stress-diffusivity'", where=where, expected="no stress activation volume, or no such coupling",
            hint="D would change with the distance from the mean, of which one D for all particles carries too little "
            "(of 8 mV at 3e-6 m3/mol 6 mV are missed): run the full model",
        )  # fmt: skip
    if model.heat != "dfn":
        raise InputError(f"heat={model.heat!r}", where=where, expected="heat='dfn'", hint="energy closes only so")
    if eq.resolution not in ("radial", "slab", "r-z"):
        raise InputError(
            f"thermal={eq.resolution!r}", where=where, expected="radial, slab or r-z",
            hint="the cell file needs its form, dimensions and conductivity",
        )  # fmt: skip
    for name, electrode in (("Negative", p.negative), ("Positive", p.positive)):
        if (electrode.anodic_transfer, electrode.cathodic_transfer) != (0.5, 0.5):
            raise InputError(
                f"{name.lower()} transfer coefficients {electrode.anodic_transfer:g} and "
                f"{electrode.cathodic_transfer:g}", where=where, expected="0.5 and 0.5",
                hint="others have no closed form of the overpotential: run the full model",
            )  # fmt: skip


@dataclass(frozen=True)
class Ingredients:
    """What all reductions of a cell are made from.

    Parameters
    ----------
    model
        The full model.
    traces
        Its training runs.
    step_s
        Length of a step.
    """

    model: CoupledModel
    traces: Sequence[Trace]
    step_s: float
    _made: dict[tuple[object, ...], object] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not sum(len(trace.snapshot_s) for trace in self.traces):
            stopped = next((trace.stopped for trace in self.traces if trace.stopped), "no runs")
            raise InputError(f"no training run began ({stopped})", where=self.model.cell.name)

    def build(self, sizes: Sizes) -> ReducedCell:
        """Project onto shapes of these sizes."""
        p, mesh = self.model.cell.electrochemistry, self.model.equations.mesh
        modes = max(sum(sizes.negative), sum(sizes.positive))
        nodes = NODES[class_of(modes, sizes.thermal, sizes.salt)[0]]
        sides = {}
        for k, name in enumerate(("negative", "positive")):
            (uniform, further), points = getattr(sizes, name), sizes.points[k]
            key = (name, uniform, further, points, nodes)
            if key not in self._made:
                seen = self._snapshots(name, mesh)
                shapes = particles.basis(getattr(p, name), self.step_s, points, uniform, further, seen)
                self._made[key] = Particles.of(shapes, points, nodes)
            sides[name] = self._made[key]
        if ("salt", sizes.salt) not in self._made:
            snapshots = np.vstack([trace.salt for trace in self.traces if len(trace.salt)])
            self._made["salt", sizes.salt] = salt.shapes(p, mesh, sizes.salt, snapshots)
        if ("thermal", sizes.thermal) not in self._made:
            made = conduction(self.model).reduce_conduction(sizes.thermal, step_s=self.step_s)
            self._made["thermal", sizes.thermal] = made
        negative, positive, shape, thermal = (
            sides["negative"], sides["positive"], self._made["salt", sizes.salt], self._made["thermal", sizes.thermal]
        )  # fmt: skip
        projected = salt.salt(p, mesh, shape, negative.depth, positive.depth)  # type: ignore[arg-type, attr-defined]
        couplings = tuple(self.model.equations.couplings)
        return ReducedCell(self.model.cell, thermal, negative, positive, projected, couplings)  # type: ignore[arg-type]

    def _snapshots(self, name: str, mesh: object) -> Array:
        if ("snapshots", name) not in self._made:
            grid = getattr(mesh, f"particle_{name}")
            found = [particles.expand(grid, getattr(trace, name)) for trace in self.traces if len(trace.snapshot_s)]
            self._made["snapshots", name] = np.vstack(found)
        return self._made["snapshots", name]  # type: ignore[return-value]

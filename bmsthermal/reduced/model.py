"""The reduced cell: what the full coupled model answers, from a dozen states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from bmsthermal.cell import Cell
from bmsthermal.curves import Array, is_number
from bmsthermal.errors import InputError
from bmsthermal.files import digest
from bmsthermal.protocol import Step
from bmsthermal.reduced.packing import WALLS, class_of, pack
from bmsthermal.reduced.particles import Particles
from bmsthermal.reduced.salt import Salt
from bmsthermal.reduction import ReducedModel
from bmsthermal.run import Run
from bmsthermal.simulation import Simulation

if TYPE_CHECKING:
    from bmsthermal._cell import Kernel
    from bmsthermal.reduced.certificate import Certificate

#: What may change while it runs, and from where to where.
FREE = {"resistance_Ohm": (0.0, 1e3), "entropic_scale": (-10.0, 10.0), "capacity_fade": (0.0, 0.99)}


@dataclass(frozen=True)
class ReducedCell:
    """A cell whose five fields and temperature are a dozen states, stepped in C.

    Parameters
    ----------
    cell
        What was reduced.
    thermal
        Conduction from core to surface; its step is the model's.
    negative, positive
        Diffusion in the particles of each electrode.
    salt
        The electrolyte.
    couplings
        Stress couplings that it carries.
    resistance_Ohm
        Resistance in series that has grown since the file was written.
    entropic_scale
        Multiplies the electrodes' slope of potential with temperature.
    capacity_fade
        Share of the electrodes' area that is lost.
    certificate
        What was tried, and the error over the range it was made for.

    Notes
    -----
    The last three numbers, and the cooling (`with_h`), are free while it runs: nothing is reduced again.

    Raises
    ------
    InputError
        If one of them is out of its limits.
    """

    cell: Cell
    thermal: ReducedModel = field(repr=False)
    negative: Particles = field(repr=False)
    positive: Particles = field(repr=False)
    salt: Salt = field(repr=False)
    couplings: tuple[str, ...] = ()
    resistance_Ohm: float = 0.0
    entropic_scale: float = 1.0
    capacity_fade: float = 0.0
    certificate: Certificate | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, (low, high) in FREE.items():
            value = getattr(self, name)
            if not is_number(value) or not low <= value <= high:
                raise InputError(f"{name}={value!r:.60}", where=self.cell.name, expected=f"{low:g} to {high:g}")

    def __repr__(self) -> str:
        return f"ReducedCell({self.cell.name}: {self.order} states ({self.sizes}), step {self.step_s:g} s)"

    @property
    def step_s(self) -> float:
        """Length of a step in s."""
        return self.thermal.step_s

    @property
    def sizes(self) -> str:
        """What the states are, in words."""
        counts = {
            "thermal": self.thermal.order, "salt": len(self.salt.separator), "negative": len(self.negative.rate),
            "positive": len(self.positive.rate), "lithium": 1,
        }  # fmt: skip
        return ", ".join(f"{name} {count}" for name, count in counts.items())

    @property
    def order(self) -> int:
        """Number of all states."""
        return self.thermal.order + len(self.salt.separator) + 1 + len(self.negative.rate) + len(self.positive.rate)

    @property
    def size(self) -> tuple[int, int, int]:
        """Class of sizes in the kernel that it fits into: modes of each electrode, thermal modes, salt shapes."""
        modes = max(len(self.negative.rate), len(self.positive.rate))
        return class_of(modes, self.thermal.order, len(self.salt.separator))

    @cached_property
    def row(self) -> Array:
        """Everything that the kernel needs, as one row."""
        return pack(self)

    def conductance_W_K(self, h_W_m2K: float | None = None) -> Array:
        """Heat-transfer coefficient times area of each face ``(w,)``: the file's, or one for all."""
        return self.thermal.conductance_W_K if h_W_m2K is None else h_W_m2K * self.thermal.areas_m2

    def kernel(self, dtype: DTypeLike = np.float64, *, h_W_m2K: float | None = None) -> Kernel:
        """Return a compiled cell, at a state of its own, in double or single precision; perhaps cooled otherwise."""
        try:
            from bmsthermal._cell import Kernel
        except ImportError:
            raise InputError(
                "the compiled kernel is not installed", where="bmsthermal",
                hint="install a C compiler and bmsthermal again; the full model needs none",
            ) from None  # fmt: skip

        conductance = np.zeros(WALLS)
        conductance[: len(self.thermal.walls)] = self.conductance_W_K(h_W_m2K)
        use = np.array([self.resistance_Ohm, self.entropic_scale, 1.0 - self.capacity_fade, *conductance], dtype)
        points = len(self.negative.depth), len(self.positive.depth)
        return Kernel(self.row.astype(dtype), use, *points, self.size[0])

    def rest(
        self, soc: float, T_K: float, *, h_W_m2K: float | None = None, dtype: DTypeLike = np.float64
    ) -> Kernel:  # fmt: skip
        """Return a compiled cell at rest, at a state of charge and one temperature everywhere."""
        kernel = self.kernel(dtype, h_W_m2K=h_W_m2K)
        kernel.rest(self.cell.electrochemistry.stoichiometries(soc)[0], T_K)
        return kernel

    def inputs(self, current_A: ArrayLike, ambient_K: ArrayLike, dtype: DTypeLike = np.float64) -> Array:
        """Rows ``(k, 1 + walls)`` that the kernel steps along: currents, and one ambient around every face."""
        current = np.atleast_1d(current_A)
        u = np.empty((len(current), 1 + WALLS), dtype)
        u[:, 0] = current
        u[:, 1:] = np.reshape(np.asarray(ambient_K) - self.thermal.cell.reference_K, (-1, 1))
        return u

    def wall_K(self, states: Array) -> Array:
        """Mean temperature of each wall ``(k, w)``, which its flow is driven by, of the kernel's states ``(k, s)``.

        In one dimension that is the surface; in r-z the surfaces that are read are points: middle and centres.
        """
        first = states.shape[1] - self.size[1]
        return states[:, first : first + self.thermal.order] @ self.thermal.step.wall + self.thermal.cell.reference_K

    def with_h(self, h_W_m2K: Mapping[str, float] | float) -> ReducedCell:
        """Return the same model with other heat-transfer coefficients."""
        thermal = self.thermal.with_h(h_W_m2K)
        made = replace(self, cell=thermal.cell, thermal=thermal)
        made.__dict__["row"] = self.row  # cooling is no part of it
        return made

    def with_step(self, step_s: float) -> ReducedCell:
        """Return the same shapes with another length of step."""
        return replace(self, thermal=replace(self.thermal, step_s=float(step_s)))

    def aged(
        self, *, resistance_Ohm: float | None = None, capacity_fade: float | None = None,
        entropic_scale: float | None = None,
    ) -> ReducedCell:  # fmt: skip
        """Return the same model with another resistance, area or entropic scale; None keeps what it is.

        Raises
        ------
        InputError
            If a number is out of its limits.
        """
        given = {"resistance_Ohm": resistance_Ohm, "capacity_fade": capacity_fade, "entropic_scale": entropic_scale}
        made = replace(self, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        made.__dict__["row"] = self.row
        return made

    def simulate(
        self,
        profile: Run | Step | Sequence[Step] | str,
        *,
        initial_soc: float | None = None,
        start_K: float | None = None,
        ambient_K: float | None = None,
        hottest_K: float = np.inf,
        dtype: DTypeLike = np.float64,
    ) -> Simulation:
        """Run it as a target would step it; the same questions as `bmsthermal.CoupledModel.simulate`.

        Parameters
        ----------
        profile
            A run (each row holds until the next; within a step the mean current counts), or steps of current
            and rest, or their text. A step of a protocol ends with the model's step in which its limit is passed.
        initial_soc
            State of charge at the start; by default the file's, else 1.
        start_K
            Uniform start temperature; by default the first ambient.
        ambient_K
            Around the cell where no run says it; by default that of the file, else 298.15 K.
        hottest_K
            Core temperature that ends the run.
        dtype
            ``float64`` or ``float32``, as on a target.

        Returns
        -------
        Simulation
            Heat is that of the step that begins in its row.

        Raises
        ------
        InputError
            If the profile controls voltage or power, or cannot be run from the start.
        """
        from bmsthermal.reduced.marching import march

        return march(
            self, profile, initial_soc=initial_soc, start_K=start_K, ambient_K=ambient_K, hottest_K=hottest_K,
            dtype=dtype,
        )  # fmt: skip

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """What `save` writes beside the cell, by name."""
        found = {f"thermal_{name}": array for name, array in self.thermal.arrays.items()}
        for part in ("negative", "positive", "salt"):
            value = getattr(self, part)
            found |= {f"{part}_{each.name}": getattr(value, each.name) for each in fields(value)}
        return found

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model: its cell, its settings and every number, to the last bit."""
        settings = [self.cell.digest, self.cell.name, self.step_s, self.thermal.method, list(self.couplings)]
        settings += [getattr(self, name) for name in FREE]
        return digest(settings, self.arrays)

    def verify(self) -> None:
        """Check the answer: the conduction's guarantees, no growing mode, lithium in no mode, salt in no shape.

        Raises
        ------
        ArithmeticError
            If one of them does not hold.
        """
        self.thermal.verify()
        for name, part in (("negative", self.negative), ("positive", self.positive)):
            if part.rate.min(initial=0.0) < 0:
                raise ArithmeticError(f"a mode of the {name} particles grows")
            lithium = np.einsum("q,r,qmr->m", part.weight, part.share, part.inside)
            if np.abs(lithium).max(initial=0.0) > 1e-9:
                raise ArithmeticError(f"a mode of the {name} particles holds lithium")
        spread = self.salt.spread.sum(axis=0)
        if not np.linalg.eigvalsh((spread + spread.T) / 2).min() > 0:
            raise ArithmeticError("a shape of the salt does not decay")

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` that holds the cell and the certificate too; the same model gives the same bytes."""
        from bmsthermal.reduced.storing import save

        save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> ReducedCell:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If there is no such file, it is not a reduced coupled model, or it was changed after it was saved.
        """
        from bmsthermal.reduced.storing import load

        return load(path)

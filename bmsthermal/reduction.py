"""The reduced model: a handful of states that answer what the full model answers."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal import schema
from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import digest, write_whole
from bmsthermal.heat import MeasuredHeat
from bmsthermal.run import Run
from bmsthermal.simulation import Simulation, simulate
from rom import PassiveSystem
from rom.balance import balanced_basis
from rom.pade import multipoint, pade
from rom.pod import pod, port_snapshots
from rom.step import ModalStep


def _conductances(system: PassiveSystem, *shares: float) -> list[Array]:
    """Wall conductances as shares of heat capacity times slowest rate: from still air (0.02) to liquid (0.4)."""
    capacity = 1.0 / (system.C[1] @ system.modes[1][:, 0]) ** 2
    return [np.full(len(system.walls), share * capacity * system.modes[0][1]) for share in shares]


def _pod(system: PassiveSystem, order: int) -> Array:
    return pod(system, port_snapshots(system, _conductances(system, 0.02, 0.4)), order)


def _balanced(system: PassiveSystem, order: int) -> Array:
    return balanced_basis(system, order, _conductances(system, 0.1)[0])


#: Bases, each a function of the full system and the order.
METHODS: dict[str, Callable[[PassiveSystem, int], Array]] = {
    "multipoint": multipoint, "pade": pade, "pod": _pod, "balanced": _balanced,
}  # fmt: skip
#: A surface feels a mode that moves it by this share of what it moves the surface that feels it most.
FELT = 1e-3


@dataclass(frozen=True)
class ReducedModel:
    """A few thermal modes, insulated, with the cooled faces closed at run time.

    Each state is what its mode adds to the temperature of the first surface,
    in kelvin above the cell's reference temperature; the first mode is the
    constant, so that the mean temperature is conserved exactly. In r-z, a mode
    that the side does not feel is counted in kelvin of an end.

    Parameters
    ----------
    cell
        The cell that was reduced.
    modal
        Reduced system in modal form.
    shapes
        ``(n, r)``: what lifts the modes back to the nodes of the full model; in r-z height by height.
    position_m
        Coordinates of those nodes; in r-z of the nodes of one height, along the radius.
    step_s
        Length of a step.
    method
        The basis it was made with.
    height_m
        Heights of the nodes in r-z, from the bottom.
    """

    cell: Cell
    modal: PassiveSystem = field(repr=False)
    shapes: Array = field(repr=False)
    position_m: Array = field(repr=False)
    step_s: float
    method: str
    height_m: Array = field(default_factory=lambda: np.zeros(1), repr=False)

    def __repr__(self) -> str:
        times = ", ".join(f"{1 / rate:.3g}" for rate in np.diag(self.modal.K)[1:])
        full = self.resolution if self.resolution in ("r-z", "pouch") else str(len(self.position_m))
        return (
            f"ReducedModel({self.cell.name}: {full} -> {self.order} states by {self.method}, "
            f"step {self.step_s:g} s, times {times} s)"
        )

    @property
    def order(self) -> int:
        """Number of thermal states."""
        return self.modal.order

    @property
    def walls(self) -> tuple[str, ...]:
        """Names of the cooled faces; in r-z side, bottom and top."""
        return self.modal.walls

    @property
    def resolution(self) -> str:
        """Where the temperature lives, as `bmsthermal.CoupledModel` calls it: ``radial``, ``slab`` or ``r-z``."""
        return ("radial", "slab", "r-z")[len(self.walls) - 1]

    @cached_property
    def scale(self) -> Array:
        """Value of each unit mode at the first surface that feels it, ``(r,)``: what turns modes into kelvin."""
        felt = np.abs(self.modal.E) > FELT * np.abs(self.modal.E).max(axis=1, keepdims=True)
        return np.asarray(self.modal.E[np.arange(self.order), felt.argmax(axis=1)])

    @cached_property
    def step(self) -> ModalStep:
        """The step that runs on a target, in kelvin at the first surface."""
        step, s = ModalStep.of(self.modal, self.step_s), self.scale[:, None]
        drive = step.drive * s
        # uniform heat reaches the constant mode alone: what rounding leaves elsewhere is not the same everywhere
        drive = np.where(np.abs(drive) < 1e-12 * np.abs(drive).max(), 0.0, drive)
        return ModalStep(step.decay, drive, step.wall / s, step.sink * s, self.step_s)

    @cached_property
    def outputs(self) -> Array:
        """Rows ``(2 + w, r)``: core, mean and each surface, of the states."""
        rows = np.asarray(self.modal.C / self.scale)
        rows[1, 1:] = 0.0  # modes other than the constant carry no mean, to the last bit
        return rows

    @property
    def felt(self) -> Array:
        """Square of what a state moves the face that feels it most, ``(r,)``: 1 but where an end feels it more."""
        return np.asarray((self.step.wall**2).max(axis=1))

    @property
    def constant(self) -> Array:
        """State ``(r,)`` that is one kelvin everywhere."""
        return np.asarray(np.eye(self.order)[0])

    @property
    def conductance_W_K(self) -> Array:
        """Heat-transfer coefficient times area of each face, ``(w,)``."""
        h = self.cell.h_W_m2K
        return np.array([h.get(wall, h[self.walls[0]]) for wall in self.walls]) * self.areas_m2

    @property
    def areas_m2(self) -> Array:
        """Area of each face, ``(w,)``."""
        return np.array([self.cell.area_m2(wall) for wall in self.walls])

    @cached_property
    def heat(self) -> MeasuredHeat:
        """Heat from current and voltage."""
        return MeasuredHeat(self.cell)

    def point(self, position_m: float, height_m: float | None = None) -> Array:
        """Row ``(r,)`` that gives the temperature at a coordinate between core and surface.

        In r-z that is a radius, and `height_m` counts from the bottom: by default the middle.
        """
        return np.asarray(self.weights(position_m, height_m) @ self.shapes / self.scale)

    def weights(self, position_m: float, height_m: float | None = None) -> Array:
        """What the temperature at a place is of those of the nodes, ``(n,)``; see `point`."""
        low, high = float(self.position_m[0]), float(self.position_m[-1])
        bottom, top = float(self.height_m[0]), float(self.height_m[-1])
        if not low <= position_m <= high:
            raise InputError(f"position {position_m:g} m", expected=f"{low:g} to {high:g} m, core to surface")
        if height_m is None:
            height_m = (bottom + top) / 2
        if not bottom <= height_m <= top:
            raise InputError(f"height {height_m:g} m", expected=f"{bottom:g} to {top:g} m, bottom to top")
        return np.asarray(np.outer(_hats(height_m, self.height_m), _hats(position_m, self.position_m)).ravel())

    def simulate(
        self,
        run: Run,
        *,
        initial_soc: float = 0.5,
        start_K: float | None = None,
        coolant_K: Mapping[str, ArrayLike] | None = None,
    ) -> Simulation:
        """Run the reduced model as a target would step it; see `bmsthermal.simulation.simulate`."""
        self.check_one_dimension()
        return simulate(
            self.cell, self.step.matrices(self.conductance_W_K), self.outputs, self.constant, run, self.step_s,
            initial_soc=initial_soc, start_K=start_K, coolant_K=coolant_K,
        )  # fmt: skip

    def with_h(self, h_W_m2K: Mapping[str, float] | float) -> ReducedModel:
        """Return the same model with other heat-transfer coefficients: nothing is reduced again."""
        h = dict(h_W_m2K) if isinstance(h_W_m2K, Mapping) else dict.fromkeys(self.walls, float(h_W_m2K))
        cell = self.cell.with_values({"Heat transfer coefficient [W.m-2.K-1]": h})
        return replace(self, cell=cell)

    def check_one_dimension(self) -> None:
        """Refuse to run r-z alone.

        Raises
        ------
        InputError
            If it has the ends of a cylinder.
        """
        if self.resolution == "r-z":
            raise InputError(
                "a run of r-z conduction alone", where=self.cell.name, expected="radial or slab",
                hint="an observer runs in r-z, and so does the reduced coupled model",
            )  # fmt: skip

    def to_control(self) -> Any:
        """Return the closed, discrete model as a `control.StateSpace`: inputs heat in W and coolants in K."""
        from rom import StateSpace

        A, B = self.step.matrices(self.conductance_W_K)
        D = np.zeros((len(self.outputs), B.shape[1]))
        inputs = ("heat_W", *(f"coolant_{w}_K" for w in self.walls))
        outputs = ("core_K", "mean_K", *(f"surface_{w}_K" for w in self.walls))
        return StateSpace(A, B, self.outputs, D, self.step_s, inputs, outputs).to_control()

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """What `save` writes beside the cell, by name."""
        modal = self.modal
        arrays = {"rates": np.diag(modal.K), "B": modal.B, "E": modal.E, "C": modal.C}
        arrays |= {"shapes": self.shapes, "position_m": self.position_m}
        return arrays | ({"height_m": self.height_m} if self.resolution == "r-z" else {})

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model: its cell, its settings and every number, to the last bit."""
        return digest([self.cell.digest, self.cell.name, self.step_s, self.method], self.arrays)

    def verify(self) -> None:
        """Check the answer: poles inside the unit circle, one at 1 when insulated, mean and one kelvin conserved.

        Raises
        ------
        ArithmeticError
            If one of them does not hold.
        """
        insulated = self.step.poles(0.0)
        if np.sum(insulated == 1.0) != 1 or insulated.max() > 1.0:
            raise ArithmeticError(f"insulated poles are {insulated}: expected exactly one at 1")
        if self.step.poles(self.conductance_W_K).max() > 1.0 + 1e-12:  # rounding
            raise ArithmeticError("a pole is outside the unit circle")
        if np.abs(self.modal.C[1, 1:] * self.modal.E[1:, 0]).max(initial=0.0) > 1e-9 * abs(self.modal.C[1, 0]):
            raise ArithmeticError("a mode other than the constant carries heat")
        if np.abs(self.outputs @ self.constant - 1.0).max() > 1e-6:
            raise ArithmeticError("one kelvin everywhere is not read as one kelvin")

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` that holds the cell too; the same model gives the same bytes."""
        buffer = io.BytesIO()
        settings = {"step_s": self.step_s, "method": self.method, "name": self.cell.name, "digest": self.digest}
        np.savez(
            buffer, allow_pickle=False, **self.arrays,
            cell=json.dumps(self.cell.document), settings=json.dumps(settings),
        )  # fmt: skip
        write_whole(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> ReducedModel:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If there is no such file, it is not a reduced model, or it was changed after it was saved.
        """
        if not os.path.isfile(path):
            raise InputError("no such file", where=str(path))
        try:
            model, digest = cls._read(path)
            if model.digest != digest:
                raise ValueError("changed after it was saved")
            model.verify()
        except Exception as error:  # a damaged archive raises a dozen kinds, from BadZipFile to MemoryError
            raise InputError(
                f"not a reduced model ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
                where=str(path), hint="make one with bmsthermal reduce",
            ) from error  # fmt: skip
        return model

    @classmethod
    def _read(cls, path: str | Path) -> tuple[ReducedModel, str]:
        """Return the model of a file and the digest that it should have."""
        with np.load(path, allow_pickle=False) as data:
            arrays = {key: data[key] for key in data.files}
        settings, document = json.loads(str(arrays.pop("settings"))), json.loads(str(arrays.pop("cell")))
        cell = Cell(str(settings["name"]), document)
        return cls.of_arrays(cell, arrays, settings["step_s"], settings["method"]), settings["digest"]

    @classmethod
    def of_arrays(cls, cell: Cell, arrays: Mapping[str, Array], step_s: Any, method: str) -> ReducedModel:
        """Make it from what `save` writes of it.

        Raises
        ------
        ValueError
            If an array has another shape or is not finite, or the step is no step.
        """
        walls = cell.walls if arrays["E"].shape[1:] == (len(cell.walls),) else schema.FACES[cell.form]
        arrays = {"height_m": np.zeros(1)} | dict(arrays)
        r, n, z = (len(arrays[name]) for name in ("rates", "position_m", "height_m"))
        wanted = {"shapes": (n * z, r), "rates": (r,), "position_m": (n,), "height_m": (z,), "B": (r, 1)}
        wanted |= {"E": (r, len(walls))}
        for name, shape in (wanted | {"C": (2 + len(walls), r)}).items():
            array = arrays[name]
            if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
                raise ValueError(f"{name} is not {shape} finite numbers")
        schema.check_number(step_s, schema.STEP, "step_s")
        modal = PassiveSystem(
            np.eye(r), np.diag(arrays["rates"]), arrays["B"], arrays["E"], arrays["C"],
            ("heat",), walls, ("core", "mean", *(f"surface {w}" for w in walls)),
        )  # fmt: skip
        return cls(cell, modal, arrays["shapes"], arrays["position_m"], step_s, method, arrays["height_m"])


def _hats(at: float, nodes: Array) -> Array:
    """What a value between nodes is of the values at them, ``(n,)``, on a line between neighbours."""
    return np.array([np.interp(at, nodes, one) for one in np.eye(len(nodes))])

"""The full model of a cell: conduction from core to surface, driven by the heat that current and voltage say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.cell import Cell, load_cell
from bmsthermal.conduction import conduct
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.reduction import METHODS, ReducedModel
from bmsthermal.run import Run
from bmsthermal.schema import ORDER, STEP, check_number
from bmsthermal.simulation import Simulation, simulate
from rom import PassiveSystem


@contextmanager
def _solving(cell: Cell) -> Iterator[None]:
    """Say of which cell the numbers are when they cannot be computed with."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, ArithmeticError) as error:
        raise InputError(
            f"cannot solve its heat conduction ({error})", where=cell.name,
            hint="is a dimension, a conductivity or a contact resistance extreme?",
        ) from error  # fmt: skip


@dataclass(frozen=True)
class CoupledModel:
    """Semi-discrete heat conduction through a cell with its measured heat.

    Parameters
    ----------
    cell
        The cell.
    heat
        ``measured``: heat from current and voltage.
    nodes
        Finite volumes across the roll.
    heat_shape
        Relative heat per volume against the coordinate in m; uniform by default.

    Examples
    --------
    >>> from bmsthermal import CoupledModel, load_cell
    >>> CoupledModel(load_cell("a123_26650"))
    CoupledModel(a123_26650: 201 states, side h 25 W/m2K)
    """

    cell: Cell
    heat: Literal["measured"] = "measured"
    nodes: int = 200
    heat_shape: Callable[[Array], Array] | None = None

    def __post_init__(self) -> None:
        if self.heat != "measured":
            raise InputError(f"heat={self.heat!r} is not built yet", expected="'measured'")
        if self.nodes < 4:
            raise InputError(f"nodes={self.nodes}", expected="at least 4")

    def __repr__(self) -> str:
        faces = ", ".join(f"{w} h {h:g} W/m2K" for w, h in self.cell.h_W_m2K.items())
        return f"CoupledModel({self.cell.name}: {self.system.order} states, {faces})"

    @cached_property
    def _conduction(self) -> tuple[PassiveSystem, Array]:
        cell = self.cell
        with _solving(cell):
            return conduct(cell.layers, cell.form, cell.extent, nodes=self.nodes, heat_shape=self.heat_shape)

    @property
    def system(self) -> PassiveSystem:
        """The insulated conduction problem; its walls are closed by `conductance_W_K`."""
        return self._conduction[0]

    @property
    def position_m(self) -> Array:
        """Coordinate of each node, ``(n,)``."""
        return self._conduction[1]

    @property
    def conductance_W_K(self) -> Array:
        """Heat-transfer coefficient times area of each face, ``(w,)``."""
        return self.cell.conductance_W_K

    def simulate(
        self,
        run: Run,
        *,
        initial_soc: float = 0.5,
        start_K: float | None = None,
        coolant_K: Mapping[str, ArrayLike] | None = None,
        step_s: float = 1.0,
    ) -> Simulation:
        """Run the full model, each step held exactly; see `bmsthermal.simulation.simulate`."""
        check_number(step_s, STEP, "step_s")
        with _solving(self.cell):
            step = self.system.hold(self.conductance_W_K, step_s)
        decay = np.diag(step.A)
        if self.conductance_W_K.any():  # one kelvin everywhere is where one kelvin outside and no heat lead to
            constant = np.asarray(step.B[:, 1:].sum(axis=1) / (1.0 - decay), float)
        else:  # insulated: the first mode, as large as makes its mean one kelvin
            constant = np.eye(len(decay))[0] / step.C[1, 0]
        return simulate(
            self.cell, (decay, step.B), step.C, constant, run, step_s,
            initial_soc=initial_soc, start_K=start_K, coolant_K=coolant_K,
        )  # fmt: skip

    def reduce(self, order: int = 4, *, step_s: float = 1.0, method: str = "multipoint") -> ReducedModel:
        """Reduce to `order` thermal states.

        Parameters
        ----------
        order
            Number of states; 4 is within 0.1 K of the full model on drive cycles.
        step_s
            Length of the step that the model will run at.
        method
            ``multipoint`` (Padé about several points), ``pade`` (about zero),
            ``pod`` or ``balanced``: bases of one projection, valid at every ``h``.

        Raises
        ------
        InputError
            If the order is larger than the full model or smaller than 1, the
            method is unknown, or the numbers of the cell cannot be solved with.
        """
        if method not in METHODS:
            raise InputError(f"unknown method {method!r}", expected="one of " + ", ".join(METHODS))
        if not isinstance(order, int | np.integer) or isinstance(order, bool) or not 1 <= order <= self.system.order:
            raise InputError(f"order {order!r}", expected=f"1 to {self.system.order}, the states of the full model")
        check_number(step_s, STEP, "step_s")
        with _solving(self.cell):
            basis = METHODS[method](self.system, order)
            if basis.shape[1] < order:
                raise InputError(
                    f"order {order}", where=f"{self.cell.name}, {method}",
                    expected=f"at most {basis.shape[1]}, which is all that this basis can tell apart",
                )  # fmt: skip
            modal, shapes = self.system.project(basis).modal()
            if order == 1:  # the constant alone: its rate is rounding, and there is no other to hold it against
                modal = replace(modal, K=np.zeros((1, 1)))
            reduced = ReducedModel(self.cell, modal, basis @ shapes, self.position_m, float(step_s), method)
            reduced.verify()
        return reduced


def load_model(
    name: str | Path, *, order: int | None = None, step_s: float | None = None, method: str = "multipoint"
) -> ReducedModel:
    """Open whatever a command takes as CELL: a shipped name, a cell file, or a reduced ``.npz``.

    Parameters
    ----------
    name
        Shipped cell, cell file or reduced model.
    order, step_s
        Wanted states and step; by default what the ``Observer`` section says,
        else 4 states and 1 s. A reduced model has its own.
    method
        Basis, see `CoupledModel.reduce`.

    Raises
    ------
    InputError
        If it cannot be opened, or a reduced model is asked for another order or step.
    """
    if str(name).endswith(".npz"):
        reduced = ReducedModel.load(name)
        if order not in (None, reduced.order) or step_s not in (None, reduced.step_s):
            raise InputError(
                f"it has {reduced.order} states and a step of {reduced.step_s:g} s",
                where=str(name), hint="reduce the cell again for another order or step",
            )  # fmt: skip
        return reduced
    cell = load_cell(name)
    settings = {ORDER: 4, STEP: 1.0} | dict(cell.settings)
    order = settings[ORDER] if order is None else order
    step_s = settings[STEP] if step_s is None else step_s
    return CoupledModel(cell).reduce(order, step_s=step_s, method=method)

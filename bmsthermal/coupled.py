"""The full model of a cell: heat from core to surface, and the five fields of its electrodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.cell import Cell, load_cell
from bmsthermal.conduction import conduct
from bmsthermal.conduction_pouch import PouchModel, Sheet, pouch_of
from bmsthermal.conduction_rz import field_of
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.protocol import Step
from bmsthermal.reduction import METHODS, ReducedModel
from bmsthermal.run import Run
from bmsthermal.schema import ORDER, STEP, THERMAL, check_number
from bmsthermal.simulation import Simulation, simulate
from rom import PassiveSystem, StateSpace

if TYPE_CHECKING:
    from bmsthermal.dfn.equations import Equations
    from bmsthermal.dfn.integrate import State
    from bmsthermal.dfn.mesh import Mesh
    from bmsthermal.reduced.range import Range

#: Most finite volumes, and the tolerances that a solver can keep.
MOST_NODES, TOLERANCES = 2000, (1e-12, 0.1)
#: Where the heat comes from.
HEATS = ("dfn", "three-term", "measured")


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
    """Semi-discrete equations of a cell.

    Parameters
    ----------
    cell
        The cell.
    heat
        ``dfn``: the five-field electrochemical model releases it, the default
        where the cell has electrodes; ``three-term``: the same without heat of
        mixing and contact, as most tools have it; ``measured``: current and
        voltage say it, no electrodes needed.
    thermal
        Where the temperature lives in the electrochemical model:
        ``isothermal``, ``lumped``, ``x`` (through the sandwich), ``radial``,
        ``slab`` or ``r-z``. Where heat is measured ``r-z`` and ``pouch`` (a slab, along its sheet too) are
        to name. By default ``x`` if Soret or Dufour are on, else through the cell's
        geometry, else whatever the file has numbers for.
    layers
        Sandwiches at their own temperatures, in parallel on one voltage.
    couplings
        Some of ``soret dufour stress-flux stress-diffusivity stress-potential``; ``stress`` is the last three,
        of which flux and potential are thermodynamically consistent only together.
    mesh
        Resolution of the electrochemical model, `bmsthermal.dfn.mesh.Mesh`.
    reactions
        Decomposition reactions by name, ``all`` or ``none``.
    nodes
        Finite volumes across the roll; by default 200, or 40 with electrochemistry.
    heat_shape
        Relative heat per volume against the coordinate in m (of a pouch x, y and z, see
        `bmsthermal.conduction_pouch`), where heat is measured; uniform by default.

    Raises
    ------
    InputError
        If an option is unknown, or the cell file lacks what it needs.

    Examples
    --------
    >>> from bmsthermal import CoupledModel, load_cell
    >>> CoupledModel(load_cell("a123_26650"), heat="measured")
    CoupledModel(a123_26650: 201 states, side h 25 W/m2K)
    """

    cell: Cell
    heat: Literal["dfn", "three-term", "measured"] | None = None
    thermal: str | None = None
    layers: int = 1
    couplings: Sequence[str] | str = ()
    mesh: Mesh | None = None
    reactions: str = "none"
    nodes: int | None = None
    heat_shape: Callable[..., Array] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.cell, Cell):
            raise InputError(f"a cell of type {type(self.cell).__name__}", expected="what load_cell returns")
        heat = self.heat or ("dfn" if self.cell.has_electrodes else "measured")
        object.__setattr__(self, "heat", heat)
        if heat not in HEATS:
            raise InputError(f"heat={heat!r}", expected="one of " + ", ".join(HEATS))
        if heat == "measured":
            given = {
                "thermal": self.thermal not in ("r-z", "pouch") and self.thermal, "couplings": self.couplings,
                "mesh": self.mesh, "layers": self.layers != 1, "reactions": self.reactions != "none",
            }  # fmt: skip
            if unused := [name for name, value in given.items() if value]:
                raise InputError(f"{unused[0]} with heat='measured'", where=self.cell.name, expected="heat='dfn'")
            if self.thermal == "pouch":
                if self.cell.form != "slab" or self.nodes:
                    found = f"a pouch of a {self.cell.form}, nodes={self.nodes!r}"
                    raise InputError(found, where=self.cell.name, expected="a slab, without nodes")
            elif self.thermal and (self.cell.form != "cylinder" or self.nodes or self.heat_shape):
                found = f"r-z conduction of a {self.cell.form}, nodes={self.nodes!r}, heat_shape={self.heat_shape!r}"
                raise InputError(found, where=self.cell.name, expected="a cylinder, without nodes and heat_shape")
        elif not self.cell.has_electrodes:
            raise InputError(
                f"heat={heat!r}", where=self.cell.name, expected="a cell file with electrodes",
                hint="heat='measured' needs none",
            )  # fmt: skip
        elif self.heat_shape is not None:
            raise InputError(f"heat_shape with heat={heat!r}", where=self.cell.name, expected="heat='measured'")
        if self.nodes is not None and not (isinstance(self.nodes, int) and 4 <= self.nodes <= MOST_NODES):
            raise InputError(f"nodes={self.nodes!r}", expected=f"a whole number from 4 to {MOST_NODES}")
        if heat != "measured":
            _ = self.equations  # an unknown option or a missing key is said here

    def __repr__(self) -> str:
        faces = ", ".join(f"{w} h {h:g} W/m2K" for w, h in self.cell.h_W_m2K.items())
        if self.heat == "measured":
            return f"CoupledModel({self.cell.name}: {self.system.order} states, {faces})"
        eq = self.equations
        layers = f" in {eq.layers} layers" if eq.layers > 1 else ""
        return f"CoupledModel({self.cell.name}: {eq.resolution}{layers}, {len(eq.system.mass)} unknowns, {faces})"

    @cached_property
    def equations(self) -> Equations:
        """The electrochemical model, discrete in space."""
        from bmsthermal.dfn.build import equations

        return equations(self)

    @cached_property
    def _pouch(self) -> tuple[PassiveSystem, Sheet]:
        with _solving(self.cell):
            return pouch_of(self.cell, self.heat_shape)

    @cached_property
    def _conduction(self) -> tuple[PassiveSystem, Array, Array]:
        cell = self.cell
        if self.thermal == "pouch":
            return self._pouch[0], self._pouch[1].z_m, np.zeros(1)
        with _solving(cell):
            if self.thermal != "r-z":
                made = conduct(cell.layers, cell.form, cell.extent, nodes=self.nodes or 200, heat_shape=self.heat_shape)
                return *made, np.zeros(1)
            field, h = field_of(cell) if self.heat == "measured" else self.equations.field, cell.h_W_m2K
            # where heat is measured the file's own cooling is exact, along each wall; another one nearly
            near = [h.get(wall, h["side"]) for wall in field.walls] if self.heat == "measured" else 0.0
            return field.by_height().system(near), *field.levels

    @property
    def system(self) -> PassiveSystem:
        """The insulated conduction problem, its walls to be closed: in r-z `ConductionField.system`, by height."""
        return self._conduction[0]

    @property
    def position_m(self) -> Array:
        """Coordinate of each node, ``(n,)``; in r-z, of the nodes of each height."""
        return self._conduction[1]

    @property
    def conductance_W_K(self) -> Array:
        """Heat-transfer coefficient times area of each face, ``(w,)``."""
        h = self.cell.h_W_m2K
        faces = self.system.walls if self.thermal == "r-z" else self.cell.walls
        return np.array([h.get(wall, h[faces[0]]) * self.cell.area_m2(wall) for wall in faces])

    def simulate(
        self,
        profile: Run | Step | Sequence[Step] | str,
        *,
        initial_soc: float | None = None,
        start_K: float | None = None,
        ambient_K: float | None = None,
        coolant_K: Mapping[str, ArrayLike] | None = None,
        step_s: float = 1.0,
        rtol: float = 1e-5,
        atol: float = 1e-5,
        hottest_K: float = np.inf,
        start: State | None = None,
        fields: bool = False,
        progress: bool = False,
    ) -> Simulation:
        """Run the full model.

        Parameters
        ----------
        profile
            A run (each row holds until the next), or, with electrochemistry,
            steps or their text: see `bmsthermal.protocol.parse_steps`.
        initial_soc
            State of charge at the start; 0.5 where heat is measured, else that
            of the file's ``State``, else 1.
        start_K
            Uniform start temperature; by default the first ambient.
        ambient_K
            Around the cell where no run says it; by default that of the file, else 298.15 K.
        coolant_K
            Coolant by face in place of the run's ambient, where heat is measured.
        step_s
            Time between rows. Where heat is measured, the run is resampled to
            it and each step is held exactly; else the solver chooses its own
            steps, and a profile has its own rows too.
        rtol, atol
            Relative tolerance of the solver, and absolute tolerance in typical sizes.
        hottest_K
            Temperature anywhere that ends the run.
        start
            State of another run of this model to go on from, with its clock: ``run.end`` or ``run.at(time_s)``.
        fields
            Whether to keep all fields in all rows.
        progress
            Whether to show a progress bar.

        Raises
        ------
        InputError
            If the profile cannot be run from the start.
        """
        check_number(step_s, STEP, "step_s")
        for name, value in (("rtol", rtol), ("atol", atol)):
            if not isinstance(value, int | float) or not TOLERANCES[0] <= value <= TOLERANCES[1]:
                raise InputError(f"{name}={value!r}", expected="{:g} to {:g}".format(*TOLERANCES))
        if self.heat != "measured":
            if coolant_K is not None:
                raise InputError("coolant_K", where=self.cell.name, expected="ambient_K, or a run's own ambient")
            from bmsthermal.dfn.build import simulate as run_full

            return run_full(
                self, profile, initial_soc=initial_soc, start_K=start_K, ambient_K=ambient_K, step_s=step_s,
                rtol=rtol, atol=atol, hottest_K=hottest_K, start=start, fields=fields, progress=progress,
            )  # fmt: skip
        if self.thermal == "r-z":
            raise InputError("a run in r-z with heat='measured'", where=self.cell.name, expected="radial or slab")
        if not isinstance(profile, Run):
            raise InputError("steps with heat='measured'", where=self.cell.name, expected="a run")
        with _solving(self.cell):
            step = self.system.hold(self.conductance_W_K, step_s)
        decay = np.diag(step.A)
        if self.conductance_W_K.any():  # one kelvin everywhere is where one kelvin outside and no heat lead to
            constant = np.asarray(step.B[:, 1:].sum(axis=1) / (1.0 - decay), float)
        else:  # insulated: the first mode, as large as makes its mean one kelvin
            constant = np.eye(len(decay))[0] / step.C[1, 0]
        return simulate(
            self.cell, (decay, step.B), step.C, constant, profile, step_s,
            initial_soc=0.5 if initial_soc is None else initial_soc, start_K=start_K, coolant_K=coolant_K,
        )  # fmt: skip

    def linearise(self, at: State) -> StateSpace:
        """Small-signal behaviour about a state of the electrochemical model.

        Parameters
        ----------
        at
            From `Simulation.at`.

        Returns
        -------
        StateSpace
            Continuous. Inputs are the controlled quantity (``current_A`` unless
            the state is under another control) and each coolant; outputs
            voltage, heat and temperatures, all as differences from `at`. About
            a state that itself moves it is good for times that are short
            against that, and slow poles may be positive.

        Raises
        ------
        InputError
            If the model has no electrochemistry, or the state is another model's.
        """
        from bmsthermal.dfn.linearise import linearise

        if self.heat == "measured":
            raise InputError("linearise with heat='measured'", where=self.cell.name, expected="heat='dfn'")
        return linearise(self.equations, at)

    def reduce(
        self,
        order: int | None = None,
        *,
        step_s: float = 1.0,
        method: str = "multipoint",
        core_K: float | None = None,
        voltage_V: float | None = None,
        range: Range | None = None,
        workers: int | None = None,
        cluster: str | None = None,
        cache: Path | None = None,
        progress: Callable[[float, str], None] | None = None,
    ) -> Any:
        """Reduce the model to a few states that a target can step.

        Parameters
        ----------
        order
            Number of states; with measured heat 4 by default, with electrochemistry as few as reach the errors.
        step_s
            Length of the step that the model will run at.
        method
            With measured heat: ``multipoint`` (Padé about several points), ``pade`` (about zero),
            ``pod`` or ``balanced``: bases of one projection, valid at every ``h``.
        core_K, voltage_V
            With electrochemistry: error of the core that is allowed (or 1 % of its rise, if that is more; 0.1 K by
            default), and rms error of the voltage (5 mV by default).
        range
            With electrochemistry: ambients, cooling, charges and rates that it is for, `bmsthermal.Range`.
        workers, cluster, cache, progress
            With electrochemistry: of the runs that it is made from and judged by, `bmsthermal.reduced.sweep.sweep`.

        Returns
        -------
        ReducedModel or ReducedCell
            Conduction driven by measured heat; or, with electrochemistry, voltage, heat and temperatures by current.

        Raises
        ------
        InputError
            If the order is larger than the full model or too small, the method is unknown, an option cannot be
            reduced, or the numbers of the cell cannot be solved with.
        """
        if self.heat == "measured":
            given = {"core_K": core_K, "voltage_V": voltage_V, "range": range, "workers": workers, "cluster": cluster}
            if unused := [name for name, value in given.items() if value is not None]:
                raise InputError(f"{unused[0]} with heat='measured'", where=self.cell.name, expected="heat='dfn'")
            return self.reduce_conduction(4 if order is None else order, step_s=step_s, method=method)
        if method != "multipoint":
            raise InputError(f"method {method!r} with heat={self.heat!r}", expected="heat='measured'")
        from bmsthermal.reduced.reduce import reduce

        check_number(step_s, STEP, "step_s")
        shown = (lambda share, doing: None) if progress is None else progress
        return reduce(
            self, core_K=core_K, voltage_V=voltage_V, order=order, wanted=range, step_s=float(step_s), workers=workers,
            cluster=cluster, cache=cache, progress=shown,
        )  # fmt: skip

    def reduce_conduction(self, order: int = 4, *, step_s: float = 1.0, method: str = "multipoint") -> ReducedModel:
        """Reduce the conduction alone to `order` thermal states; see `reduce`."""
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
            lift, (_, *nodes) = basis @ shapes, self._conduction
            made = self.cell, modal, lift, nodes[0], float(step_s), method, nodes[1]
            reduced = ReducedModel(*made) if self.thermal != "pouch" else PouchModel(*made, sheet=self._pouch[1])
            reduced.verify()
        return reduced


def _load(path: str | Path) -> ReducedModel:
    """Reduced conduction of a file; of a reduced cell its own."""
    from bmsthermal.reduced.storing import is_reduced_cell, load

    return load(path).thermal if is_reduced_cell(path) else ReducedModel.load(path)


def load_model(
    name: str | Path | Cell, *, order: int | None = None, step_s: float | None = None, method: str = "multipoint"
) -> ReducedModel:
    """Open whatever a command takes as CELL: a shipped name, a cell file, or a reduced ``.npz``.

    Parameters
    ----------
    name
        Shipped cell, cell file or reduced model, or a cell as it was loaded.
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
    if not isinstance(name, Cell) and str(name).endswith(".npz"):
        reduced = _load(name)
        if order not in (None, reduced.order) or step_s not in (None, reduced.step_s):
            raise InputError(
                f"its conduction has {reduced.order} states and a step of {reduced.step_s:g} s",
                where=str(name), hint="reduce the cell again for another order or step",
            )  # fmt: skip
        return reduced
    cell = name if isinstance(name, Cell) else load_cell(name)
    thermal = cell.settings.get(THERMAL)
    settings = {ORDER: 8 if thermal else 4, STEP: 1.0} | dict(cell.settings)
    order = settings[ORDER] if order is None else order
    step_s = settings[STEP] if step_s is None else step_s
    return CoupledModel(cell, heat="measured", thermal=thermal).reduce_conduction(order, step_s=step_s, method=method)

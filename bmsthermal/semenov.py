"""Heat of a cell against its temperature while everything slow is frozen, and where cooling keeps up with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq
from scipy.sparse.linalg import splu

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.dfn.assembly import Index
from bmsthermal.dfn.decomposition import Decomposition
from bmsthermal.dfn.equations import Equations
from bmsthermal.dfn.inputs import CONTROLLED, COOLANT
from bmsthermal.dfn.solver import Solver, UnsolvableError
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.heat import check_soc

if TYPE_CHECKING:
    from bmsthermal.coupled import CoupledModel
    from bmsthermal.simulation import Simulation

Control = Literal["current", "voltage", "power"]
UNITS = {"current": "A", "voltage": "V", "power": "W"}
#: Temperatures that a heat curve covers, in K; above lies no cell that still is one.
RANGE_K = (250.0, 450.0)
#: Heat-transfer coefficients that are asked for, in W/m2K: from a vacuum to boiling water.
H_RANGE_W_m2K = (1e-3, 1e5)


@dataclass(frozen=True, eq=False)
class HeatCurve:
    """Heat of a cell against its temperature, everything slow frozen.

    Parameters
    ----------
    T_K, heat_W, slope_W_K
        Temperature, heat, and the exact slope of the heat, ``(k,)`` each.
    area_m2
        Cooled area.
    capacity_J_K
        Heat capacity.
    """

    T_K: Array
    heat_W: Array
    slope_W_K: Array
    area_m2: float
    capacity_J_K: float

    @cached_property
    def heat(self) -> Any:
        """Cubic Hermite interpolant of the heat in W."""
        return CubicHermiteSpline(self.T_K, self.heat_W, self.slope_W_K, extrapolate=False)

    @cached_property
    def slope(self) -> Any:
        """Its derivative in W/K."""
        return self.heat.derivative()

    @property
    def silent(self) -> bool:
        """Whether there is no heat, but for rounding."""
        return bool(np.abs(self.heat_W).max() < 1e-9)

    def _touching(self, cooling_W_K: float) -> Array:
        """Temperatures where heat and cooling rise equally."""
        found = np.asarray(self.slope.solve(cooling_W_K, extrapolate=False))
        return np.asarray(found[np.isfinite(found)])

    def _fine(self, cooling_W_K: float) -> tuple[Array, Array]:
        """Temperatures with each fold among them, so that no pair of states hides between two, and heats."""
        T = np.linspace(self.T_K[0], self.T_K[-1], 8 * (len(self.T_K) - 1) + 1)
        T = np.union1d(T, self._touching(cooling_W_K))
        return T, self.heat(T)

    def eigenvalue_1_s(self, h_W_m2K: ArrayLike, T_K: ArrayLike) -> Array:
        """``(Q' - h A) / C`` of the linearised balance; negative is stable."""
        return np.asarray((self.slope(T_K) - np.asarray(h_W_m2K) * self.area_m2) / self.capacity_J_K)

    def limit_K(self, h_W_m2K: float) -> float:
        """Highest ambient of the stable states that begin in the cold.

        Infinite if nothing ends them up to the last temperature of the curve,
        minus infinite if there are none at its first, or if nothing cools.
        """
        cooling = h_W_m2K * self.area_m2
        if cooling <= 0:
            return np.inf if self.silent else -np.inf
        if self.slope_W_K[0] >= cooling:
            return -np.inf
        touching = self._touching(cooling)
        up = touching[self.slope.derivative()(touching) > 0]
        return float(up[0] - self.heat(up[0]) / cooling) if len(up) else np.inf

    def least_h_W_m2K(self, ambient_K: float) -> float:
        """Least heat-transfer coefficient whose `limit_K` is not below `ambient_K`; 0 if any will do, or infinite."""

        def spare(log_h: float) -> float:
            return float(np.clip(self.limit_K(np.exp(log_h)) - ambient_K, -1.0, 1.0))

        low, high = np.log(H_RANGE_W_m2K)
        if spare(low) >= 0:
            return 0.0
        return float(np.exp(brentq(spare, low, high, xtol=1e-10))) if spare(high) >= 0 else np.inf

    def steady_K(self, h_W_m2K: float, ambient_K: ArrayLike) -> Array:
        """Temperature of the coldest steady state, ``(m,)`` as the ambients; NaN where the curve has none.

        A cell that starts at ambient and heats ends there; so it is stable.
        """
        ambient, cooling = np.asarray(ambient_K, float), h_W_m2K * self.area_m2
        if cooling <= 0:
            return ambient.copy() if self.silent else np.full_like(ambient, np.nan)
        T, heat = self._fine(cooling)
        a = T - heat / cooling
        right = np.searchsorted(np.maximum.accumulate(a), ambient)  # the first with a >= ambient
        found = (right > 0) & (right < len(T))
        i, wanted = right[found], ambient[found]
        at = T[i - 1] + (wanted - a[i - 1]) / (a[i] - a[i - 1]) * (T[i] - T[i - 1])
        for _ in range(10):  # Newton's method, kept between the two points; the slope is less than the cooling there
            gain = self.heat(at) - cooling * (at - wanted)
            at = np.clip(at + gain / np.maximum(cooling - self.slope(at), 1e-9 * cooling), T[i - 1], T[i])
        steady = np.full_like(ambient, np.nan)
        steady[found] = at
        return steady

    def unstable_K(self, h_W_m2K: float, ambient_K: float) -> float:
        """Temperature above which the cell runs away from `steady_K`.

        Infinite if the curve ends before; NaN if there is no steady state to run away from.
        """
        steady = float(self.steady_K(h_W_m2K, ambient_K))
        T, heat = self._fine(h_W_m2K * self.area_m2)
        gain = heat - h_W_m2K * self.area_m2 * (T - ambient_K)
        above = np.flatnonzero((steady < T) & (gain > 0))
        above = above[(above > 0) & (gain[above - 1] <= 0)]
        if not len(above):
            return np.nan if np.isnan(steady) else np.inf
        i = above[0]
        return float(T[i - 1] + (T[i] - T[i - 1]) * gain[i - 1] / (gain[i - 1] - gain[i]))


def frozen_heat(
    equations: Equations, y: Array, u: Array, range_K: tuple[float, float] = RANGE_K, step_K: float = 1.0
) -> HeatCurve:
    """Heat at all temperatures with concentrations and extents as in a state, at its control.

    Parameters
    ----------
    equations
        With ``mixing=False``: concentrations that are frozen release none. The unknowns are the same.
    y, u
        Consistent state and inputs; a state with a temperature profile is taken as uniform.
    range_K, step_K
        Temperatures. The curve ends early where the control can no longer be met.

    Raises
    ------
    InputError
        If the control cannot be met around the state's own temperature.
    """
    solver, T, walls = _solver(equations, u), _temperatures(equations), len(equations.heat.walls)
    solver.u[COOLANT + walls :] = 0.0  # what is left of the balance is the heat
    here = float(np.clip(np.mean(y[T]), *range_K))
    rows: list[tuple[float, float, float]] = []
    below, above = (max(int(np.ceil(abs(end - here) / step_K)), 1) for end in range_K)
    for side in (np.linspace(here, range_K[0], below + 1), np.linspace(here, range_K[1], above + 1)[1:]):
        at = y.copy()
        for T_K in side:
            at[T] = T_K
            try:
                at = solver.consistent(at)
            except UnsolvableError:
                break
            rows.append((T_K, float(solver.right(at)[T].sum()), float(subsystem(equations, at, solver.u).sum())))
    rows.sort()
    if len(rows) < 2:
        raise InputError(f"no heat around {degC(here)}", expected="a control that the cell can meet")
    curve = np.array(rows).T
    capacity = float(equations.heat.capacity_J_K.sum())
    return HeatCurve(curve[0], curve[1], curve[2], _area_m2(equations.cell), capacity)


def subsystem(equations: Equations, y: Array, u: Array) -> Array:
    """``df/dT`` in W/K with potentials that follow at once, ``(n, n)``: exact, by elimination from the Jacobian."""
    system, T = equations.system, _temperatures(equations)
    J, a = system.jacobian(y, u), system.assembly.algebraic
    columns = J[:, T]
    follow = splu(J[a][:, a].tocsc()).solve(columns[a].toarray())
    return np.asarray(columns[T].toarray() - J[T][:, a] @ follow)


def margin(equations: Equations, y: Array, u: Array) -> tuple[float, float]:
    """Semenov margin at a state of a run, and the largest eigenvalue of its fast subsystem in 1/s.

    The margin is ``1 - Q'/hA``. Over several nodes `Q'/hA` is the largest
    eigenvalue of the slope of the heat over cooling and conduction: the margin
    is zero where the eigenvalue is, and at most 1 since some profile hardly
    heats. It is infinite where nothing cools.

    Parameters
    ----------
    equations
        With thermal lumped, radial, slab or r-z, and ``mixing=False``.
    y, u
        State and inputs.
    """
    slope, heat = subsystem(equations, y, u), equations.heat
    conduction, areas = equations.field, equations.field.surface_area_m2
    walls = len(heat.walls)
    films = areas / areas.sum(axis=0) @ u[COOLANT + walls : COOLANT + 2 * walls]
    cooling = conduction.K.toarray() + np.diag(films)
    eigenvalue = float(np.linalg.eigvals(slope / heat.capacity_J_K[:, None]).real.max())
    if not films.any():
        return (0.0 if eigenvalue == 0 else -np.inf * eigenvalue), eigenvalue
    return 1.0 - float(np.linalg.eigvals(np.linalg.solve(cooling, slope + cooling)).real.max()), eigenvalue


def margins(model: CoupledModel, run: Simulation) -> tuple[Array, Array]:
    """Semenov margin along a run of the full electrochemical model, under the control that it ran at.

    Parameters
    ----------
    model, run
        The model and what it simulated.

    Returns
    -------
    time_s, margin : (k,) ndarray
        At the states that the run kept: 1 where heat does not depend on the
        temperature, 0 where it rises as fast as cooling.

    Raises
    ------
    InputError
        If the temperature is imposed, or lives in the sandwich.
    """
    own = model.equations
    if own.resolution in ("isothermal", "x"):
        raise InputError(f"a margin with thermal={own.resolution!r}", expected="lumped, radial, slab or r-z")
    frozen = replace(own, mixing=False)
    return (
        np.array([state.time_s for state in run.snapshots]),
        np.array([margin(frozen, state.y, state.u)[0] for state in run.snapshots]),
    )


def heat_curve(
    cell: Cell, *, control: Control = "current", set_point: float | None = None, c_rate: float = 1.0,
    soc: float = 0.5, reactions: str = "none",
) -> tuple[HeatCurve, str]:  # fmt: skip
    """Heat of a fresh cell against temperature, at a state of charge and under a control.

    Parameters
    ----------
    cell
        With electrodes.
    control, set_point
        What is held, in A, V or W; discharge is positive. By default what `c_rate` gives at the reference temperature.
    c_rate
        Current over nominal capacity.
    soc
        State of charge.
    reactions
        Decomposition: ``none``, ``all``, or names with commas between them.

    Returns
    -------
    curve, words
        And the set point in words.

    Raises
    ------
    InputError
        If an argument cannot be, or the cell cannot reach the set point.
    """
    if control not in get_args(Control):
        raise InputError(f"control {control!r}", expected="current, voltage or power")
    check_soc(soc)
    some = Decomposition.of(reactions)
    equations = Equations(cell, "lumped", mixing=False, reactions=some if some.names else None)
    p, at = equations.parameters, equations.places
    y, u = equations.rest(soc, p.reference_K), np.zeros(len(equations.system.assembly.inputs))
    solver, where = _solver(equations, u), f"at {soc:.0%} charge and {degC(p.reference_K)}"

    def check(kind: str, goal: float) -> None:
        amperes, volts = 100 * p.nominal_Ah, p.upper_voltage_V
        most = {"current": amperes, "voltage": volts, "power": amperes * volts}[kind]
        least = p.lower_voltage_V if kind == "voltage" else -most
        if not least <= goal <= most:
            raise InputError(f"{kind} {goal:.4g} {UNITS[kind]}", where=cell.name, expected=f"{least:g} to {most:g}")

    def hold(y: Array, kind: str, goal: float) -> Array:
        check(kind, goal)
        start = float(y[at["V"]][0]) if kind == "voltage" else 0.0
        solver.u[:COOLANT] = *CONTROLLED[kind], 0.0
        try:
            for solver.u[3] in np.linspace(start, goal, 41)[1:]:
                y = solver.consistent(y)
        except UnsolvableError as error:
            raise InputError(
                f"{goal:g} {UNITS[kind]} cannot be reached {where}", hint="ask for less, or at another state of charge"
            ) from error
        return y

    if set_point is None:
        y = hold(y, "current", c_rate * p.nominal_Ah)
        voltage = float(y[at["V"]][0])
        current = c_rate * p.nominal_Ah
        set_point = {"current": current, "voltage": voltage, "power": current * voltage}[control]
        check(control, set_point)
        solver.u[:COOLANT] = *CONTROLLED[control], set_point
    else:
        y = hold(y, control, set_point)
    words = f"{set_point:.4g} {UNITS[control]} held"
    if control != "current":
        words += f" ({y[at['I']][0]:.3g} A at {degC(p.reference_K)})"
    return frozen_heat(equations, y, solver.u), words


def _solver(equations: Equations, u: Array) -> Solver:
    solver = Solver(equations.system, 1e-6, 1e-6, lambda t, y, out: None, 1)
    solver.u[:] = u
    return solver


def _temperatures(equations: Equations) -> Index:
    if equations.resolution not in ("lumped", "radial", "slab", "r-z"):
        raise InputError(f"thermal={equations.resolution!r}", expected="lumped, radial, slab or r-z")
    return equations.heat.temperatures


def _area_m2(cell: Cell) -> float:
    return float(sum(cell.areas_m2.values())) if "Form factor" in cell.thermal else cell.external_area_m2


def degC(T_K: float) -> str:
    """Temperature as a person reads it."""
    return f"{T_K - ZERO_DEGC_K:.1f} degC"

r"""Slopes of the reduced cell: of its voltage in closed form, of a step and its heat by complex step.

The voltage is :math:`V = -dP/dI`, where :math:`P(I, \theta)` is the least dissipation over all reactions (both
electrodes, separator and contact). The reaction follows from the implicit function theorem, and as second
derivatives are symmetric, what a quantity at a point does to the voltage is what the current does to the
reaction there:

.. math:: \frac{dV}{d\theta} = -\frac{d}{dI}\,\frac{\partial P}{\partial\theta}\Big|_j
          = -\sum_q w_q \frac{dj_q}{dI}\,\frac{\partial}{\partial\theta}(U + \eta + \Phi)_q - \ldots

That is the map at its minimum. The kernel takes two Newton rounds towards it (`rounds` of
`bmsthermal.reduced.twin.Twin`): up to 3C at 25 degC, and 1.5C at -10 degC, its voltage is within 0.2 mV of it
and its slopes within 2 % of the largest of their kind; at 2.5C and -10 degC within 2 mV and 10 %.

A step and its heat hold further solves, whose slopes would need second derivatives of everything: they are
differentiated by a complex step of the twin, with its rounds, which is exact to rounding (Squire & Trapp 1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.reduced.twin import COLDEST_K, HOTTEST_K, Instant, Twin
from bmsthermal.reduced.twin_electrode import EMPTIEST, FULLEST, ElectrodeTwin, Local, Reaction

if TYPE_CHECKING:
    from bmsthermal.reduced.model import ReducedCell

#: Newton rounds after which nothing changes any more.
CONVERGED = 50
#: A voltage that still changes by this has not converged.
CIRCLE_V = 1e-9
#: Length of the complex step: its square is nothing.
TINY = 1e-30


@dataclass(frozen=True)
class Jacobian:
    """Slopes at a state and a current.

    Parameters
    ----------
    voltage
        Of the voltage with each state, ``(n,)``, in V per its unit: lithium, salt, negative, positive, thermal.
    voltage_by_current
        In V/A.
    step
        Of the state after a step with each state before it ``(n, n)``.
    heat
        Of the heat over the step with each state ``(n,)``, in W per its unit.
    """

    voltage: Array
    voltage_by_current: float
    step: Array
    heat: Array


def jacobian(reduced: ReducedCell, state: Array, current_A: float) -> Jacobian:
    """Linearise the step of a reduced cell.

    Parameters
    ----------
    reduced
        The cell.
    state
        ``(n,)``, in the order of `bmsthermal.reduced.twin.Twin`.
    current_A
        Held over the step; positive discharges.

    Raises
    ------
    ArithmeticError
        If Newton's rounds go round in circles, as they may at high rates far below -20 degC.

    Examples
    --------
    >>> found = jacobian(reduced, twin.rest(0.8, 298.15), 5.0)   # doctest: +SKIP
    """
    state = np.asarray(state, float)
    twin = Twin(reduced, CONVERGED)
    # going round in circles shows between an even number of rounds and an odd one
    if abs(twin.voltage(state, current_A) - Twin(reduced, CONVERGED + 1).voltage(state, current_A)) > CIRCLE_V:
        raise ArithmeticError(f"the reaction at {current_A:g} A was not found in {CONVERGED} rounds: is it too cold?")
    voltage, by_current = voltage_slopes(twin, state, current_A)
    step, heat = step_slopes(Twin(reduced), state, current_A)
    return Jacobian(voltage, by_current, step, heat)


def step_slopes(twin: Twin, state: Array, current_A: float) -> tuple[Array, Array]:
    """Slopes of the step ``(n, n)`` and of its heat ``(n,)`` with the state, by complex step."""
    # the coolant comes in by itself: its temperature changes no slope
    coolant_K = twin.reduced.thermal.cell.reference_K
    found = [twin.step(state + 1j * TINY * axis, current_A, coolant_K) for axis in np.eye(len(state))]
    step = np.array([after.imag for after, _ in found]).T / TINY
    return step, np.array([said.heat_W.imag for _, said in found]) / TINY


def voltage_slopes(twin: Twin, state: Array, current_A: float) -> tuple[Array, float]:
    """Slopes of the voltage with each state ``(n,)`` and with the current, in closed form."""
    at = twin.instant(state, current_A)
    f2 = twin.thermal_voltage * at.T
    n = _answer(twin.negative, at.local[0], at.reaction[0], at.current, 0.0, 1.0)
    p = _answer(twin.positive, at.local[1], at.reaction[1], at.current, 1.0, -1.0)
    lithium = n.filling - twin.per * p.filling
    salt = n.salt(twin, at, 0) + p.salt(twin, at, 1) + _separator(twin, at)
    # everything warmth touches, through the mean temperature
    values, rises = twin.warm(at.T), twin.warm.rise(at.T) * twin.warm.inside(at.T)
    relative = rises / values
    by_T = -at.current * at.separator * relative[4]
    for side, turn, solid in ((n, 0, 1), (p, 2, 3)):
        over, _ = side.electrode.kinetics(side.local, side.reaction.current, f2)
        kinetic = over / at.T + side.reaction.current * side.reaction.give * relative[turn]
        by_T = by_T - side.points @ (side.local.entropic + kinetic + side.local.junction / at.T)
        by_T = by_T - side.resist @ side.local.resist * relative[4] - side.solid * rises[solid]
    mean = twin.reduced.thermal.outputs[1]
    T = mean @ state[twin.cuts[-1] :] + twin.reduced.thermal.cell.reference_K
    thermal = by_T * mean * float(COLDEST_K <= T <= HOTTEST_K)
    by_current = -(n.stiffness + p.stiffness + at.separator + twin.series) / twin.area
    return np.concatenate([[lithium], salt, n.modes, p.modes, thermal]), float(by_current)


@dataclass(frozen=True)
class _Answer:
    """What the current does to an electrode, and so what the electrode's quantities do to the voltage.

    `points` is -dV/d of a potential at each point, `resist` and `solid` -dV/d of the resistivities.
    """

    electrode: ElectrodeTwin
    local: Local
    reaction: Reaction
    points: Array
    resist: Array
    solid: float
    stiffness: float

    @property
    def _inside(self) -> tuple[Array, Array]:
        """Slope of open-circuit potential, and of the overpotential, with the filling: 0 beyond the ends."""
        e, local, r = self.electrode, self.local, self.reaction
        x = local.filling
        kinetic = -r.current * r.give * (1 - 2 * x) / (2 * x * (1 - x))
        free = (x > EMPTIEST) & (x < FULLEST)
        return (local.bend + e.stress) * e.table.inside(x) * free, kinetic * free

    @property
    def filling(self) -> float:
        """Slope of the voltage with the filling of the whole electrode."""
        return float(-self.points @ (self._inside[0] + self._inside[1]))

    @property
    def modes(self) -> Array:
        """Slopes of the voltage with the modes, which pull at the stress too."""
        slope = self._inside[0] + self._inside[1] - self.electrode.stress
        return np.asarray(-(self.points * slope) @ self.electrode.particles.surface)

    def salt(self, twin: Twin, at: Instant, side: int) -> Array:
        """Slopes of the voltage with the salt's shapes at the points of this electrode."""
        c, r = at.concentration[2 * side], self.reaction
        free = np.asarray(c > twin.salt.grid[0], float)
        conductivity, _, junction = (twin.salt.rise(c) * twin.salt.inside(c)[:, None]).T
        by_c = self.points * (twin.thermal_voltage * at.T * junction - r.current * r.give / (2 * c))
        by_c = by_c - self.resist * self.local.resist * conductivity / twin.salt(c)[:, 0]
        return np.asarray(-(by_c * free) @ self.electrode.salt)


def _separator(twin: Twin, at: Instant) -> Array:
    """Slopes of the voltage with the salt's shapes in the separator."""
    c = at.concentration[1]
    relative = twin.salt.rise(c)[:, 0] * twin.salt.inside(c) / twin.salt(c)[:, 0] * (c > twin.salt.grid[0])
    return np.asarray(at.current * at.separator * relative * twin.reduced.salt.separator)


def _answer(e: ElectrodeTwin, local: Local, r: Reaction, I: Array, before: float, total: float) -> _Answer:  # noqa: E741
    """How the reaction goes with the current: of `before` and `total`, so much per current."""
    # stiff dj + pull dI = w dlevel,  w dj = total dI
    pull = e.pull @ (local.resist * before - local.solid * (1 - before))
    ones, back = np.linalg.solve(r.stiff, np.column_stack([e.w, pull])).T
    change = (total + e.w @ back) / (e.w @ ones) * ones - back
    within = before + e.integral @ change
    size = e.thickness * e.weight
    resist, solid = size * r.within * within, float((size * (I - r.within)) @ (1 - within))
    local_part = change @ (e.w * (r.give + e.film) * change)
    joule = size @ (local.resist * within**2 + local.solid * (1 - within) ** 2)
    return _Answer(e, local, r, e.w * change, resist, solid, float(local_part + joule))

"""The reduced cell's step in NumPy, formula by formula: the readable twin of ``kernel/cell.h``.

It is there to be read, to check the kernel, and to be differentiated: every
function takes complex states, so that a step of 1e-30 i gives exact slopes
(Squire & Trapp 1998). For speed there is the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.curves import Array
from bmsthermal.dfn.electrodes import Parameters
from bmsthermal.heat import FARADAY_C_mol, GAS_CONSTANT_J_molK
from bmsthermal.reduced.packing import electrolyte_table, warmth_table
from bmsthermal.reduced.tables import Table, limit
from bmsthermal.reduced.twin_electrode import ElectrodeTwin, Local, Reaction

if TYPE_CHECKING:
    from bmsthermal.reduced.model import ReducedCell

#: Newton rounds of the kernel, from the uniform reaction.
ROUNDS = 2
#: Temperatures in K between which a cell is thought of at all.
COLDEST_K, HOTTEST_K = 150.0, 1500.0


@dataclass(frozen=True)
class Found:
    """What a step finds, or a run row by row.

    Parameters
    ----------
    voltage_V, mean_voltage_V
        At the begin of the step, and the mean over it that the work is counted with.
    heat_W
        Over the step; the parts after it sum to it.
    ohmic_W, reaction_W, reversible_W, mixing_W, contact_W
        Where it comes from.
    temperature_K
        Core, mean and each surface at the begin of the step, ``(2 + walls,)``.
    """

    voltage_V: Array
    mean_voltage_V: Array
    heat_W: Array
    ohmic_W: Array
    reaction_W: Array
    reversible_W: Array
    mixing_W: Array
    contact_W: Array
    temperature_K: Array


@dataclass(frozen=True)
class Instant:
    """Everything that a state and a current say at once, before the step."""

    T: Array
    current: Array
    concentration: tuple[Array, Array, Array]
    diffusivity: Array
    separator: Array
    filling: tuple[Array, Array]
    local: tuple[Local, Local]
    reaction: tuple[Reaction, Reaction]
    drop: Array
    voltage: Array


class Twin:
    """A reduced cell that is stepped in NumPy.

    States are rows of lithium, salt, negative modes, positive modes and thermal
    modes, as the kernel has them but without what fills it up (`places`).

    Parameters
    ----------
    reduced
        The cell.
    rounds
        Newton rounds of the reaction; 50 are converged to rounding, unless they go round in circles, as they may at
        high rates far below -20 degC.

    Examples
    --------
    >>> twin = Twin(reduced)                                     # doctest: +SKIP
    >>> state, found = twin.step(twin.rest(0.8, 298.15), 5.0, 298.15)  # doctest: +SKIP
    """

    def __init__(self, reduced: ReducedCell, rounds: int = ROUNDS) -> None:
        p = reduced.cell.electrochemistry
        el, self.reduced, self.rounds, self.p = p.electrolyte, reduced, rounds, p
        stress = "stress-potential" in reduced.couplings
        self.area = (1.0 - reduced.capacity_fade) * p.area_m2
        self.series = (p.contact_resistance_Ohm + reduced.resistance_Ohm) * self.area
        self.thermal_voltage = 2 * GAS_CONSTANT_J_molK / FARADAY_C_mol
        self.salt, self.warm = Table.of(*electrolyte_table(el)), _warm(p)
        self.negative = ElectrodeTwin(reduced, p.negative, reduced.negative, reduced.salt.negative, stress=stress)
        self.positive = ElectrodeTwin(reduced, p.positive, reduced.positive, reduced.salt.positive, stress=stress)
        # what leaves the negative particles enters the positive ones
        self.per = self.negative.capacity_C_m2 / self.positive.capacity_C_m2
        x_full, y_full = p.stoichiometries(1.0)
        self.positive_at = y_full + self.per * x_full
        kappa, self.D = (float(c(el.initial_concentration_mol_m3)) for c in (el.conductivity, el.diffusivity))
        self.through = p.separator.thickness_m / (kappa * p.separator.transport_efficiency)
        self.conduction = reduced.thermal.step.matrices(reduced.thermal.conductance_W_K)
        counts = (1, len(reduced.salt.separator), len(reduced.negative.rate), len(reduced.positive.rate))
        self.cuts = np.cumsum(counts)

    def rest(self, filling: float, temperature_K: float) -> Array:
        """State ``(n,)`` with the negative particles filled that far and one temperature everywhere."""
        state = np.zeros(self.reduced.order)
        state[0] = filling
        thermal = self.reduced.thermal
        state[self.cuts[-1]] = (temperature_K - thermal.cell.reference_K) / thermal.outputs[1, 0]
        return state

    def voltage(self, state: Array, current_A: complex) -> Array:
        """Voltage in V of a state under a current that discharges."""
        return self.instant(state, current_A).voltage

    def instant(self, state: Array, current_A: complex) -> Instant:
        """Reaction and voltage of a state under a current."""
        lithium, salt, negative, positive, thermal = np.split(np.asarray(state), self.cuts)
        outputs, shapes = self.reduced.thermal.outputs, self.reduced.salt
        I = np.asarray(current_A / self.area)  # noqa: E741
        T = limit(outputs[1] @ thermal + self.reduced.thermal.cell.reference_K, COLDEST_K, HOTTEST_K)
        turn_n, solid_n, turn_p, solid_p, resist, spread = self.warm(T)
        # salt is relative to the first concentration; no shape holds any
        low = float(self.salt.grid[0])
        all_c = 1.0 + np.vstack([shapes.negative, shapes.separator, shapes.positive]) @ salt
        c = np.split(limit(all_c, low, np.inf), [len(shapes.negative), len(shapes.negative) + 1])
        found = [self.salt(part) for part in c]  # conductivity, diffusivity, junction
        f2 = self.thermal_voltage * T
        fillings = (lithium[0], self.positive_at - self.per * lithium[0])
        (resist_n, resist_p), (junction_n, junction_p) = (
            [resist / found[side][:, 0] for side in (0, 2)], [f2 * found[side][:, 2] for side in (0, 2)]
        )  # fmt: skip
        local = (
            self.negative.local(negative, fillings[0], c[0], T, turn_n, solid_n, resist_n, junction_n),
            self.positive.local(positive, fillings[1], c[2], T, turn_p, solid_p, resist_p, junction_p),
        )
        reaction = (
            self.negative.react(local[0], I, 0.0 * I, I, f2, self.rounds),
            self.positive.react(local[1], I, I, -I, f2, self.rounds),
        )
        # V = level_p - level_n - d(dissipation)/dI: the reaction is where the dissipation is least, so that what
        # it does with the current does not count (envelope theorem)
        separator = resist * self.through / found[1][0, 0]
        n, p = self.negative, self.positive
        drop = (
            (separator + self.series) * I
            + n.thickness * n.weight @ (local[0].solid * (I - reaction[0].within))
            + p.thickness * p.weight @ (local[1].resist * reaction[1].within)
        )
        D = spread * np.concatenate([part[:, 1] for part in found])
        voltage = reaction[1].level - reaction[0].level - drop
        return Instant(T, I, (c[0], c[1], c[2]), D, separator, fillings, local, reaction, drop, voltage)

    def step(self, state: Array, current_A: complex, coolant_K: ArrayLike) -> tuple[Array, Found]:
        """One step.

        Parameters
        ----------
        state
            ``(n,)``, real or complex.
        current_A
            Held over the step; positive discharges.
        coolant_K
            At each face ``(walls,)``, or one for all.

        Returns
        -------
        tuple
            State after it ``(n,)``, and what was found.
        """
        at = self.instant(state, current_A)
        _, salt, negative, positive, thermal = np.split(np.asarray(state), self.cuts)
        (n, p), (local_n, local_p), I, shapes = (self.negative, self.positive), at.local, at.current, self.reduced.salt  # noqa: E741
        held_n = n.hold(local_n, at.reaction[0], negative)
        held_p = p.hold(local_p, at.reaction[1], positive)
        source = self.reduced.step_s * (shapes.negative_source @ held_n + shapes.positive_source @ held_p)
        salt_after = self.spread(salt, at.diffusivity, source)
        after_n = n.diffuse(local_n, at.reaction[0], held_n, negative, at.filling[0], at.T)
        after_p = p.diffuse(local_p, at.reaction[1], held_p, positive, at.filling[1], at.T)
        # the mean of the voltage over the step: level's slopes are the shares of the points
        later = after_p.relaxed - after_n.relaxed + self._salt_rise(at) @ (salt_after - salt) / 2
        given = after_n.given + after_p.given
        heat = given - I * (at.voltage + later)  # first law: stored energy and work leave it
        ohmic = at.separator * I * I + n.ohmic(local_n, at.reaction[0], I) + p.ohmic(local_p, at.reaction[1], I)
        contact = self.series * I * I
        reversible = at.T * (n.turned(local_n, at.reaction[0]) + p.turned(local_p, at.reaction[1]))
        # Rao & Newman 1997: enthalpy of the particles beyond what lithium takes along at their surface
        mixing = given + after_n.surfaced + after_p.surfaced
        reaction = heat - contact - ohmic - reversible - mixing
        temperature = self.reduced.thermal.outputs @ thermal + self.reduced.thermal.cell.reference_K
        thermal_after = self._conduct(thermal, self.area * heat, coolant_K)
        lithium = np.atleast_1d(at.filling[0] + after_n.change)
        after = np.concatenate([lithium, salt_after, after_n.modes, after_p.modes, thermal_after])
        found = Found(
            at.voltage, at.voltage + later, self.area * heat, self.area * ohmic, self.area * reaction,
            self.area * reversible, self.area * mixing, self.area * contact, temperature,
        )  # fmt: skip
        return after, found

    def run(self, state: Array, current_A: ArrayLike, coolant_K: ArrayLike) -> tuple[Array, Found]:
        """Step along currents ``(k,)`` and coolants ``(k, walls)``, ``(k, 1)`` or one number.

        Returns
        -------
        tuple
            States ``(k + 1, n)``, the first as given, and what was found row by row.
        """
        current = np.asarray(current_A)
        states, rows = [np.asarray(state)], []
        walls = len(self.reduced.thermal.conductance_W_K)
        for I, coolant in zip(current, np.broadcast_to(coolant_K, (len(current), walls)), strict=True):  # noqa: E741
            after, found = self.step(states[-1], I, coolant)
            states.append(after)
            rows.append(found)
        return np.array(states), Found(*(np.array([getattr(row, f.name) for row in rows]) for f in fields(Found)))

    def spread(self, salt: Array, D: Array, source: Array) -> Array:
        """Salt after a step with its diffusivities held: two stages, L-stable, second order (Alexander 1977)."""
        K = self.reduced.step_s * self.D * np.einsum("q,qik->ik", D, self.reduced.salt.spread)
        g = 1.0 - 1.0 / np.sqrt(2.0)
        A = np.eye(len(salt)) + g * K
        first = np.linalg.solve(A, source - K @ salt)
        second = np.linalg.solve(A, source - K @ (salt + (1.0 - g) * first))
        return np.asarray(salt + (1.0 - g) * first + g * second)

    def _salt_rise(self, at: Instant) -> Array:
        """Slope of the voltage with the salt's shapes, through junction and kinetics, ``(s,)``."""
        sides = zip((self.negative, self.positive), at.reaction, at.concentration[::2], strict=True)
        slopes = []
        for electrode, reaction, c in sides:
            junction = self.thermal_voltage * at.T * self.salt.rise(c)[:, 2]
            # i_0 goes with sqrt(c), and d over / d ln i_0 = -j d over / dj
            kinetic = -reaction.current * reaction.give / (2 * c)
            slopes.append((reaction.share * (junction + kinetic)) @ electrode.salt)
        return np.asarray(slopes[1] - slopes[0])

    def _conduct(self, x: Array, heat_W: Array, coolant_K: ArrayLike) -> Array:
        """Modes of conduction after a step (`rom.step.ModalStep`, where the wall flow is solved at its end)."""
        A, B = self.conduction
        coolant = np.broadcast_to(np.asarray(coolant_K), (B.shape[1] - 1,)) - self.reduced.thermal.cell.reference_K
        return np.asarray(A @ x + B @ np.concatenate([np.atleast_1d(heat_W), coolant]))


def _warm(p: Parameters) -> Table:
    """What warmth multiplies: 1/(2 F k) and resistivity of each electrode, resistivity and D of the electrolyte."""
    table, grid = warmth_table(p)
    half = table.shape[1] // 2
    return Table(grid, table[:, :half], table[:, half:])


def places(reduced: ReducedCell) -> Array:
    """Where in the kernel's state each of the twin's states stands, ``(n,)``; what is between is a carry and zeros."""
    modes, _, shapes = reduced.size
    salt, negative, positive = len(reduced.salt.separator), len(reduced.negative.rate), len(reduced.positive.rate)
    starts = np.cumsum([2, shapes, modes, modes])
    counts = (salt, negative, positive, reduced.thermal.order)
    return np.concatenate([[0], *(start + np.arange(n) for start, n in zip(starts, counts, strict=True))]).astype(int)

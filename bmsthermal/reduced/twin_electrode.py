"""One electrode of the readable twin: where it dissipates least, what it holds over a step, how its particles fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.dfn.electrodes import Electrode
from bmsthermal.dfn.mechanics import modulus_J_mol
from bmsthermal.heat import FARADAY_C_mol
from bmsthermal.reduced.packing import electrode_table, pace_table
from bmsthermal.reduced.particles import LEAN, Particles, diffusion_K
from bmsthermal.reduced.tables import Table, limit

if TYPE_CHECKING:
    from bmsthermal.reduced.model import ReducedCell

#: Fillings between which a surface is thought of at all: an exchange current of 0 has no overpotential.
EMPTIEST, FULLEST = 0.0001, 0.9999


@dataclass(frozen=True)
class Local:
    """What the points ``(q,)`` are like before any current flows.

    Potentials in V, `bend` the slope of `potential` with the filling, `turn` half of 1/i_0 in m2/A, resistivities of
    the solid and of the electrolyte in Ohm m; `decay`, `gain` and `later` say what the modes do in a step.
    """

    away: Array
    filling: Array
    potential: Array
    entropic: Array
    bend: Array
    turn: Array
    junction: Array
    solid: Array
    resist: Array
    decay: Array
    gain: Array
    later: Array


@dataclass(frozen=True)
class Reaction:
    """The reaction of least dissipation.

    Parameters
    ----------
    level
        Potential of the electrode against the electrolyte at its left end, V.
    current, give
        Reaction in A/m2 of particle, and slope of its overpotential, ``(q,)``.
    stiff
        Second derivatives of the dissipation ``(q, q)``.
    share
        What each point counts in the level, 1 in all.
    slope
        Of potential and overpotential with the filling.
    within
        Current in the electrolyte in A/m2 of electrode.
    """

    level: Array
    current: Array
    give: Array
    stiff: Array
    share: Array
    slope: Array
    within: Array


@dataclass(frozen=True)
class Filled:
    """Particles after a step: change of the filling, modes, enthalpy given up and taken along in W/m2."""

    change: Array
    modes: Array
    given: Array
    surfaced: Array
    relaxed: Array


class ElectrodeTwin:
    """One electrode; `salt` are the salt's shapes at its points ``(q, s)``."""

    def __init__(self, reduced: ReducedCell, e: Electrode, particles: Particles, salt: Array, *, stress: bool) -> None:
        p = reduced.cell.electrochemistry
        el, self.particles, self.salt = p.electrolyte, particles, salt
        self.weight, self.film, self.thickness = particles.weight, e.film_resistance_Ohm_m2, e.thickness_m
        self.area = e.area_per_volume_m * e.thickness_m  # m2 of particles per m2
        self.w = self.weight * self.area
        self.capacity_C_m2 = FARADAY_C_mol * e.maximum_concentration_mol_m3 * e.active_fraction * e.thickness_m
        self.step_s, self.reference_K, self.entropic_scale = reduced.step_s, p.reference_K, reduced.entropic_scale
        # charge per area of particle over that to fill a sphere, for a step
        self.fill = 3.0 * self.step_s / (FARADAY_C_mol * e.maximum_concentration_mol_m3 * e.particle_radius_m)
        self.activation_K = diffusion_K(e, reduced.couplings, p.reference_K)
        kappa = float(el.conductivity(el.initial_concentration_mol_m3))
        self.pores = 1.0 / (kappa * e.transport_efficiency)
        # stress shifts the potential by the surface's filling less the mean (Zhang, Shyy & Sastry 2007)
        self.stress = 0.0
        if stress and e.partial_molar_volume_m3_mol is not None:
            shift = e.partial_molar_volume_m3_mol * e.maximum_concentration_mol_m3 / FARADAY_C_mol
            self.stress = shift * modulus_J_mol(e)
        self.table = Table.of(*electrode_table(e, p.reference_K, reduced.couplings))
        self.pace = Table.of(*pace_table(reduced, e, particles, len(particles.rate)))
        # current in the electrolyte at each point per reaction at the others, and the dissipation's quadratic form
        self.integral = self.area * particles.integral
        self.pull = self.thickness * self.integral.T * self.weight

    def local(
        self, modes: Array, filling: Array, c: Array, T: Array, turn: Array, solid: Array, resist: Array,
        junction: Array,
    ) -> Local:  # fmt: skip
        """Potentials, kinetics and resistivities at the points."""
        away = self.particles.surface @ modes
        x = limit(filling + away, EMPTIEST, FULLEST)
        enthalpic, entropic, _ = self.table(x).T
        rise, rise_entropic, _ = self.table.rise(x).T
        warm = (T - self.reference_K) * self.entropic_scale
        # U(T) = U_ref + (T - T_ref) dU/dT, where only the temperature's part is scaled
        potential = enthalpic + (self.reference_K + warm) * entropic - self.stress * away
        bend = rise + (self.reference_K + warm) * rise_entropic - self.stress
        # 1/(2 i_0) of i_0 = F k sqrt(c x (1 - x)): alpha = 1/2 for all three
        half = turn / np.sqrt(c * x * (1 - x))
        between = filling + LEAN * (self.weight @ x - filling)
        fast = self.activation_K * (1 / self.reference_K - 1 / T) + self.table(between)[2]
        decay, gain, later = self.pace(fast)
        return Local(
            away, x, potential, self.entropic_scale * entropic, bend, half, junction, solid, resist * self.pores,
            decay, gain, later,
        )  # fmt: skip

    def kinetics(self, local: Local, current: Array, f2: Array) -> tuple[Array, Array]:
        """Overpotential and its slope: Butler-Volmer with alpha = 1/2 (Newman & Thomas-Alyea 2004, eq. 8.7)."""
        x = local.turn * current
        sign = np.where(np.real(x) < 0, -1.0, 1.0)
        root = np.sqrt(1 + x * x)
        return f2 * sign * np.log(sign * x + root), f2 * local.turn / root  # asinh and its derivative

    def nearby(self, local: Local, current: Array, f2: Array) -> tuple[Array, Array]:
        """The same near the reaction `current` that all points have, from the mean of them: enough for a first round.

        Overpotentials lack what is common to all points, which is the level's.
        """
        mean = self.weight @ local.turn
        root = 1 / np.sqrt(1 + (mean * current[0]) ** 2)
        away = (local.turn - mean) * current
        bend = root * root * mean * current * away  # Padé (1, 1) of asinh, (0, 1) of its derivative
        return f2 * root * away / (1 + bend / 2), f2 * local.turn * root / (1 + bend)

    def react(self, local: Local, I: Array, before: Array, total: Array, f2: Array, rounds: int) -> Reaction:  # noqa: E741
        r"""Reaction that dissipates least, of an electrode that lets `before` of the current `I` through at its left.

        Of all reactions with :math:`\sum w_q j_q = total` the one where

        .. math:: \sum_q w_q \int (U_q + \eta_q + R j_q + \Phi_q)\,dj_q
                  + \tfrac{L}{2} \sum_r weight_r (\rho_r i_r^2 + \sigma (I - i_r)^2), \quad
                  i_r = before + \sum_q integral_{rq} j_q

        is least; it is convex. Newton's rounds begin at the uniform reaction, the first of them `nearby`; the level is
        the multiplier.
        """
        ohmic = self.pull * (local.resist + local.solid) @ self.integral
        offset = self.pull @ (local.resist * before - local.solid * (I - before))
        j = np.ones(len(self.w)) * total / self.area
        for done in range(rounds):
            over, give = self.kinetics(local, j, f2) if done else self.nearby(local, j, f2)
            stiff = ohmic + np.diag(self.w * (give + self.film))
            miss = self.w * (local.potential + over + self.film * j + local.junction) + offset + ohmic @ j
            ones, back = np.linalg.solve(stiff, np.column_stack([self.w, miss])).T
            level = (total + self.w @ (back - j)) / (self.w @ ones)
            j = j + level * ones - back
        # d over / d ln i_0 = -j d over / dj, and i_0 goes with sqrt(x (1 - x))
        x = local.filling
        slope = local.bend - j * give * (1 - 2 * x) / (2 * x * (1 - x))
        return Reaction(level, j, give, stiff, self.w * ones / (self.w @ ones), slope, before + self.integral @ j)

    def hold(self, local: Local, reaction: Reaction, modes: Array) -> Array:
        """The reaction to hold over the step: least dissipation where the particles are at its end.

        One Newton step from the present reaction, as Rosenbrock's methods take it: stable however fast
        the reaction would move through the electrode.
        """
        surface, weight, j = self.particles.surface, self.weight, reaction.current
        answer = self.fill * (surface * local.gain) @ surface.T * weight
        moved = -self.fill * (weight @ j) - surface @ ((1 - local.decay) * modes) - answer @ j
        # where filling helps the reaction on, as at the ends of the filling, it is held as it is: A stays definite
        slope = self.w * np.where(np.real(reaction.slope) < 0, reaction.slope, 0.0)
        A = reaction.stiff - slope[:, None] * (answer + self.fill * weight)
        ones, back = np.linalg.solve(A, np.column_stack([self.w, slope * moved])).T
        return np.asarray(j + (self.w @ back) / (self.w @ ones) * ones - back)

    def diffuse(self, local: Local, reaction: Reaction, held: Array, modes: Array, filling: Array, T: Array) -> Filled:
        """Step the particles; with the flow held, diffusion in its own modes is exact."""
        at, scale = self.particles, self.reference_K * (1 - self.entropic_scale)
        change = -self.fill * (self.weight @ held)
        drive = self.fill * at.surface.T @ (self.weight * held)
        after = local.decay * modes - local.gain * drive
        mean = local.gain * modes - local.later * drive - modes  # of the step, less its begin
        moved = change / 2 + at.surface @ mean
        # enthalpy U - T dU/dT by the midpoint along the radius; stress stores its own work
        place = filling + change / 2 + np.einsum("qmr,m->qr", at.inside, (modes + after) / 2)
        by = change + np.einsum("qmr,m->qr", at.inside, after - modes)
        values = self.table(place)
        full = place @ at.share
        enthalpic = values[..., 0] + scale * values[..., 1] - self.stress * (place - full[:, None])
        given = self.capacity_C_m2 / self.step_s * (self.weight @ ((enthalpic * by) @ at.share))
        surface = local.potential - T * local.entropic + local.bend * moved
        return Filled(change, after, given, (self.w * held) @ surface, (reaction.share * reaction.slope) @ moved)

    def ohmic(self, local: Local, reaction: Reaction, I: Array) -> Array:  # noqa: E741
        """Joule heat of both phases and what the reaction gains in the junction's potential, W/m2."""
        solid, within = I - reaction.within, reaction.within
        joule = self.thickness * self.weight @ (local.solid * solid**2 + local.resist * within**2)
        return np.asarray(joule + (self.w * reaction.current) @ local.junction)

    def turned(self, local: Local, reaction: Reaction) -> Array:
        """Reversible heat per kelvin, W/m2K."""
        return np.asarray((self.w * reaction.current) @ local.entropic)

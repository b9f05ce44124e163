"""One cell of a porous electrode: its particle, its reaction, and the heat of both."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import pairwise
from typing import Any

import casadi as ca
import numpy as np

from bmsthermal.dfn import mechanics
from bmsthermal.dfn.assembly import Law
from bmsthermal.dfn.electrodes import Electrode
from bmsthermal.dfn.expressions import FARADAY, arrhenius, expression
from bmsthermal.dfn.kinetics import butler_volmer, enthalpic, equilibrium, exchange_current
from bmsthermal.dfn.particle import ParticleGrid


def electrode_law(
    electrode: Electrode, grid: ParticleGrid, reference_K: float, *,
    couplings: Collection[str] = (), mixing: bool = True,
) -> Law:  # fmt: skip
    """Law of one electrode cell.

    Reads the stoichiometry at each particle node, the relative salt
    concentration, the potentials of electrolyte and solid, the temperature,
    and, where a film resists, the current density through it. Adds to the rows
    of the same unknowns: 1/s for the particle, A/m2 of electrode for salt and
    charge, W for the heat. Parameters are the width of the cell in m and the
    area of the electrode in m2.
    """
    n, film = grid.count, electrode.film_resistance_Ohm_m2
    uniform = isinstance(electrode.diffusivity.source, int | float) and not {*couplings} & {*mechanics.EFFECTS[:2]}
    stiffness = ca.DM(grid.slope.T @ (grid.stiffness[:, None] * grid.slope))
    if uniform:
        stiffness = float(electrode.diffusivity(0.5)) * stiffness
    slope, radius_m, cmax = ca.DM(grid.slope), electrode.particle_radius_m, electrode.maximum_concentration_mol_m3

    def diffusivity(value: Any, mean: Any, T: Any) -> Any:
        D = expression(electrode.diffusivity, value)
        if "stress-flux" in couplings:
            D = D * mechanics.flux_factor(electrode, value, T)
        if "stress-diffusivity" in couplings:
            D = D * mechanics.diffusivity_factor(electrode, value, mean, T)
        return D

    def law(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        x, (salt, phi_e, phi_s, T) = ca.vertcat(*y[:n]), y[n : n + 4]
        width_m, area_m2 = p
        surface, mean = y[n - 1], ca.dot(ca.DM(grid.share), x)
        U, entropic = equilibrium(electrode, surface, T, reference_K)
        if "stress-potential" in couplings:
            U = U + mechanics.potential_shift(electrode, surface, mean)
        eta = phi_s - phi_e - U
        exchange = exchange_current(electrode, surface, salt, T, reference_K)
        if film > 0:
            j = y[n + 4]
            closure = [butler_volmer(electrode, exchange, eta - film * j, T) - j]
        else:
            j, closure = butler_volmer(electrode, exchange, eta, T), []

        D = arrhenius(electrode.diffusivity_activation_J_mol, T, reference_K) / radius_m**2
        if uniform:
            gain = -D * ca.mtimes(stiffness, x)
        else:
            # D dx/dr = dPhi/dr with Phi the integral of D: exact where D changes a thousandfold from node to node
            steps = ca.vertcat(0.0, *(_integral(diffusivity, a, b, mean, T) for a, b in pairwise(y[:n])))
            gain = -D * ca.mtimes(slope.T, ca.DM(grid.stiffness) * ca.mtimes(slope, ca.cumsum(steps)))
        gain[n - 1] -= j / (FARADAY * cmax * radius_m)
        rate = gain / ca.DM(grid.weight)

        current = electrode.area_per_volume_m * j * width_m
        volume_m3, heats = width_m * area_m2, {}
        heats["reaction"] = area_m2 * current * eta
        heats["reversible"] = area_m2 * current * T * entropic
        if mixing:
            enthalpy = ca.vertcat(*(enthalpic(electrode, value, reference_K) for value in y[:n]))
            if "stress-potential" in couplings:  # what is stored elastically
                enthalpy = enthalpy + mechanics.potential_shift(electrode, x, mean)
            stored = FARADAY * cmax * electrode.active_fraction * ca.dot(ca.DM(grid.share) * enthalpy, rate)
            heats["mixing"] = volume_m3 * stored + area_m2 * current * enthalpy[n - 1]
        rows = [*ca.vertsplit(rate), current, current, -current, sum(heats.values()), *closure]
        return rows, {"current_A_m2": j, **heats}

    return law


def _integral(diffusivity: Callable[..., Any], start: Any, stop: Any, mean: Any, T: Any) -> Any:
    """Integral of D between two stoichiometries, by Gauss's rule of three points."""
    points, weights = np.polynomial.legendre.leggauss(3)
    return sum(
        w / 2 * diffusivity(start + (p + 1) / 2 * (stop - start), mean, T) * (stop - start)
        for p, w in zip(points, weights, strict=True)
    )

r"""A face between two cells of electrolyte: salt, charge and heat that cross it.

.. math::
    i_e &= -\kappa \left(\nabla\phi_e - \frac{2RT}{F}(1-t_+)\,\gamma\,\nabla\ln c_e\right) \\
    N &= -D\,(\nabla c_e + c_e S_T \nabla T) + t_+ i_e / F

(Newman & Thomas-Alyea 2004, eqs. 12.15 and 12.27) with the thermodynamic
factor :math:`\gamma = 1 + d\ln f/d\ln c`. Where the material changes both halves
of the face resist in series, so that flux is continuous.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import casadi as ca

from bmsthermal.dfn.assembly import Law
from bmsthermal.dfn.electrodes import Electrolyte
from bmsthermal.dfn.expressions import FARADAY, GAS, arrhenius, expression
from bmsthermal.dfn.kinetics import TINY


@dataclass(frozen=True)
class _Link:
    """What drives salt and charge from one cell to the next, and what resists on each side."""

    voltage: Any
    resistance: tuple[Any, Any]
    excess: Any
    barrier: tuple[Any, Any]
    transference: Any
    carried_J_mol: Any

    @property
    def current(self) -> Any:
        """Current density of a face amid equal cells."""
        return self.voltage / sum(self.resistance)

    @property
    def diffusion(self) -> Any:
        """Diffusion flux of a face amid equal cells."""
        return self.excess / sum(self.barrier)


def electrolyte_law(
    electrolyte: Electrolyte, reference_K: float, *, soret: bool = False, dufour: bool = False, edge: bool = False
) -> Law:
    """Law of one face.

    Reads salt, potential and temperature on its left and right; adds to the
    rows of salt, charge, heat and temperature of both sides. Parameters:
    half width over transport efficiency on each side in m, and area in m2.

    With `edge`, the face of a region: it reads two cells on each side (so has
    four half widths), and adds to the inner two. Flux varies across a half
    cell, at an edge on one side otherwise than on the other; with the flux
    through the next face its mean over the half cell is :math:`(3 f + f')/4`.
    """
    cells = 4 if edge else 2

    def law(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        salt, phi, T = y[:cells], y[cells : 2 * cells], y[2 * cells :]
        half_m, area_m2 = p[:cells], p[cells]

        def link(k: int) -> _Link:
            pair = slice(k, k + 2)
            at_edge = edge and k == 1
            return _link(electrolyte, reference_K, salt[pair], phi[pair], T[pair], half_m[pair], soret, at_edge)

        at = link(1) if edge else link(0)
        current, diffusion = at.current, at.diffusion
        if edge:
            before, after = link(0), link(2)
            current = _between(at.voltage, at.resistance, before.current, after.current)
            diffusion = _between(at.excess, at.barrier, before.diffusion, after.diffusion)
        flow = FARADAY * diffusion + at.transference * current
        left = 1 if edge else 0
        heat = area_m2 * current * (phi[left] - phi[left + 1])
        carried = area_m2 * at.carried_J_mol * diffusion if dufour else 0.0
        share = at.resistance[0] / sum(at.resistance)
        rows = [-flow, flow, -current, current, share * heat, (1.0 - share) * heat, -carried, carried]
        return rows, {"current_A_m2": current, "ohmic": heat}

    return law


def _between(drive: Any, resistance: tuple[Any, Any], before: Any, after: Any) -> Any:
    """Flux through an edge whose half cells carry ``(3 f + f')/4`` in the mean."""
    return (drive - (resistance[0] * before + resistance[1] * after) / 4) / (0.75 * sum(resistance))


def _link(
    electrolyte: Electrolyte, reference_K: float, salt: list[Any], phi: list[Any], T: list[Any], half_m: list[Any],
    soret: bool, edge: bool,
) -> _Link:  # fmt: skip
    """Between two cells: with the properties of the middle inside a region, with those of each side at its edge."""
    initial = electrolyte.initial_concentration_mol_m3
    c, T_face = (salt[0] + salt[1]) / 2, (T[0] + T[1]) / 2
    sides = list(zip(salt, T, strict=True)) if edge else [(c, T_face)] * 2
    kappa, D = (
        [expression(curve, initial * c_) * arrhenius(activation, T_, reference_K) for c_, T_ in sides]
        for curve, activation in (
            (electrolyte.conductivity, electrolyte.conductivity_activation_J_mol),
            (electrolyte.diffusivity, electrolyte.diffusivity_activation_J_mol),
        )
    )
    transference, factor = (
        expression(curve, initial * c) for curve in (electrolyte.transference, electrolyte.thermodynamic_factor)
    )
    logarithm = ca.log(ca.fmax(salt[1], TINY)) - ca.log(ca.fmax(salt[0], TINY))
    junction = 2.0 * GAS * T_face / FARADAY * (1.0 - transference) * factor * logarithm
    separation = c * electrolyte.soret_1_K * (T[0] - T[1]) if soret else 0.0
    return _Link(
        voltage=phi[0] - phi[1] + junction,
        resistance=(half_m[0] / kappa[0], half_m[1] / kappa[1]),
        excess=initial * (salt[0] - salt[1] + separation),
        barrier=(half_m[0] / D[0], half_m[1] / D[1]),
        transference=transference,
        carried_J_mol=heat_of_transport_J_mol(electrolyte, c, T_face),
    )


def heat_of_transport_J_mol(electrolyte: Electrolyte, salt: Any, T_K: Any) -> Any:
    r"""``Q* = 2 R gamma T^2 S_T`` of the salt.

    The Soret flux is :math:`L_{1q}/T^2 = D c S_T` times the temperature gradient,
    and :math:`L_{q1} = L_{1q}` (Onsager) makes the Dufour flow
    :math:`-L_{q1}\nabla\mu/T = -2R\gamma T^2 S_T D \nabla c` (de Groot & Mazur 1962, ch. XI).
    Heat is carried by the whole diffusion flux, :math:`q = Q^* N - \lambda\nabla T` with the
    conductivity of salt at rest, so :math:`N^2/L_{11} + \lambda (\nabla T/T)^2` is the entropy
    production: never negative.
    """
    factor = expression(electrolyte.thermodynamic_factor, electrolyte.initial_concentration_mol_m3 * salt)
    return 2.0 * GAS * factor * T_K**2 * electrolyte.soret_1_K


def onsager_limit_W_mK(
    electrolyte: Electrolyte, salt: Any, T_K: Any, reference_K: float, *, transport_efficiency: float = 1.0
) -> Any:
    r"""Smallest heat conductivity in W/mK that a uniform electrolyte can have.

    With the forces :math:`-\nabla\mu_T/T` and :math:`\nabla(1/T)` the law has
    :math:`L_{11} = D c / 2R\gamma`, :math:`L_{1q} = L_{q1} = D c S_T T^2` and
    :math:`L_{qq} = \lambda_{uniform} T^2`. Entropy production is never negative if
    :math:`L_{11} L_{qq} \ge L_{1q}^2`, which is

    .. math:: \lambda_{uniform} \ge 2 R \gamma\, D\, c\, S_T^2\, T^2

    with D of the pores: 1e-5 W/mK at :math:`S_T` = 0.01 1/K. By as much it exceeds the
    conductivity of salt at rest, which `electrolyte_law` takes the file's to be.
    """
    c = electrolyte.initial_concentration_mol_m3 * salt
    D = expression(electrolyte.diffusivity, c) * arrhenius(electrolyte.diffusivity_activation_J_mol, T_K, reference_K)
    factor = expression(electrolyte.thermodynamic_factor, c)
    return 2.0 * GAS * factor * transport_efficiency * D * c * (electrolyte.soret_1_K * T_K) ** 2

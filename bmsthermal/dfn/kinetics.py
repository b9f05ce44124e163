r"""Charge transfer at the particle surface (Newman & Thomas-Alyea 2004, eqs. 8.7 and 22.10).

.. math:: j = i_0\left(e^{\alpha_a F\eta/RT} - e^{-\alpha_c F\eta/RT}\right), \qquad
          i_0 = F k \left(\frac{c_e}{c_{e,0}}\right)^{\alpha_a} (1-x)^{\alpha_a} x^{\alpha_c}

with :math:`\eta = \phi_s - \phi_e - U`; :math:`j > 0` is anodic, lithium leaves the particle.
"""

from __future__ import annotations

from typing import Any

import casadi as ca

from bmsthermal.dfn.electrodes import Electrode
from bmsthermal.dfn.expressions import FARADAY, GAS, arrhenius, expression

#: What a concentration is kept above inside a power while Newton looks for the answer.
TINY = 1e-24


def exchange_current(electrode: Electrode, x: Any, salt: Any, T_K: Any, reference_K: float) -> Any:
    """``i_0`` in A/m2 at the surface stoichiometry `x` and the relative salt concentration `salt`."""
    anodic, cathodic = electrode.anodic_transfer, electrode.cathodic_transfer
    rate = FARADAY * electrode.reaction_rate_mol_m2s
    rate = rate * arrhenius(electrode.reaction_activation_J_mol, T_K, reference_K)
    full, empty, salt = (ca.fmax(value, TINY) for value in (x, 1.0 - x, salt))
    if anodic == cathodic == 0.5:
        return rate * ca.sqrt(salt * full * empty)
    return rate * (salt * empty) ** anodic * full**cathodic


def butler_volmer(electrode: Electrode, exchange_A_m2: Any, overpotential_V: Any, T_K: Any) -> Any:
    """``j`` in A/m2."""
    anodic, cathodic = electrode.anodic_transfer, electrode.cathodic_transfer
    reduced = FARADAY / GAS * overpotential_V / T_K
    if anodic == cathodic:
        return 2.0 * exchange_A_m2 * ca.sinh(anodic * reduced)
    return exchange_A_m2 * (ca.exp(anodic * reduced) - ca.exp(-cathodic * reduced))


def equilibrium(electrode: Electrode, x: Any, T_K: Any, reference_K: float) -> tuple[Any, Any]:
    """``U(x, T)`` in V, linear in the temperature, and ``dU/dT`` in V/K."""
    entropic = expression(electrode.entropic, x)
    return expression(electrode.potential, x) + (T_K - reference_K) * entropic, entropic


def enthalpic(electrode: Electrode, x: Any, reference_K: float) -> Any:
    """``U - T dU/dT`` in V: what lithium's enthalpy in the particle is, per charge; the same at every T."""
    return expression(electrode.potential, x) - reference_K * expression(electrode.entropic, x)

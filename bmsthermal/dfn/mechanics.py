r"""Diffusion-induced stress in an elastic sphere (Zhang, Shyy & Sastry 2007, eqs. 11-14).

With the mean concentration inside the radius r, :math:`\bar c(r) = 3 r^{-3}\int_0^r c\,s^2 ds`, and
:math:`Y = \Omega E / (1-\nu)`:

.. math::
    \sigma_r = \tfrac{2}{9} Y (\bar c(R) - \bar c(r)), \quad
    \sigma_t = \tfrac{1}{9} Y (2\bar c(R) + \bar c(r) - 3 c), \quad
    \sigma_h = \tfrac{2}{9} Y (\bar c(R) - c)

Tension is positive. Where lithium swells its host, a surface that is poorer in lithium
than the mean is in tension: on discharge the negative electrode, while the positive one,
which fills, is in compression. A negative :math:`\Omega` turns both round.
"""

from __future__ import annotations

from typing import Any

import casadi as ca
import numpy as np

from bmsthermal.curves import Array
from bmsthermal.dfn.electrodes import Electrode
from bmsthermal.dfn.expressions import FARADAY, GAS
from bmsthermal.dfn.particle import ParticleGrid

#: What stress does: it drives diffusion, it changes the diffusivity, it shifts the equilibrium potential.
EFFECTS = ("stress-flux", "stress-diffusivity", "stress-potential")


def modulus_J_mol(electrode: Electrode) -> float:
    """``2/9 Omega E / (1 - nu)``: hydrostatic stress per concentration, in Pa m3/mol."""
    assert electrode.partial_molar_volume_m3_mol is not None
    assert electrode.youngs_modulus_Pa is not None and electrode.poisson_ratio is not None
    return (
        2.0 / 9.0 * electrode.partial_molar_volume_m3_mol * electrode.youngs_modulus_Pa
        / (1.0 - electrode.poisson_ratio)
    )  # fmt: skip


def hydrostatic(electrode: Electrode, x: Any, mean: Any) -> Any:
    """Hydrostatic stress in Pa where the stoichiometry is `x` and its mean over the particle is `mean`."""
    return modulus_J_mol(electrode) * electrode.maximum_concentration_mol_m3 * (mean - x)


def flux_factor(electrode: Electrode, x: Any, T_K: Any) -> Any:
    r"""What the stress gradient multiplies the flux by: ``1 + theta c``, ``theta = Omega/RT 2/9 Omega E/(1-nu)``.

    From :math:`N = -D(\nabla c - \Omega c\,\nabla\sigma_h / RT)` (Zhang et al. 2007, eq. 7); c counts from the
    strain-free concentration where the file has one (as in Ai et al. 2020).
    """
    assert electrode.partial_molar_volume_m3_mol is not None
    theta = electrode.partial_molar_volume_m3_mol * modulus_J_mol(electrode) / (GAS * T_K)
    free = electrode.strain_free_concentration_mol_m3 or 0.0
    return 1.0 + theta * (electrode.maximum_concentration_mol_m3 * x - free)


def diffusivity_factor(electrode: Electrode, x: Any, mean: Any, T_K: Any) -> Any:
    """``exp(V_a sigma_h / R T)``: compression slows the hop, tension eases it."""
    return ca.exp(electrode.stress_activation_volume_m3_mol * hydrostatic(electrode, x, mean) / (GAS * T_K))


def potential_shift(electrode: Electrode, surface: Any, mean: Any) -> Any:
    """``Omega sigma_h / F`` at the surface, in V: what stress adds to the equilibrium potential."""
    assert electrode.partial_molar_volume_m3_mol is not None
    return electrode.partial_molar_volume_m3_mol * hydrostatic(electrode, surface, mean) / FARADAY


def stresses(electrode: Electrode, grid: ParticleGrid, x: Array) -> dict[str, Array]:
    """Stress along the radius from stoichiometries `x`.

    Parameters
    ----------
    electrode
        With its mechanical numbers.
    grid
        Nodes ``n`` along the radius.
    x
        Stoichiometries ``(n, ...)``.

    Returns
    -------
    dict
        ``radial_Pa``, ``tangential_Pa`` and ``hydrostatic_Pa``, each of the shape of `x`.
    """
    inside = grid.inner_means @ np.asarray(x, float).reshape(grid.count, -1)
    inside = inside.reshape(np.shape(x))
    mean, unit = inside[-1], 0.5 * modulus_J_mol(electrode) * electrode.maximum_concentration_mol_m3
    return {
        "radial_Pa": 2.0 * unit * (mean - inside),
        "tangential_Pa": unit * (2.0 * mean + inside - 3.0 * x),
        "hydrostatic_Pa": 2.0 * unit * (mean - x),
    }

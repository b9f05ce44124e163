"""What a cell is made of: electrodes, separator, electrolyte, collectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.curves import Array, Curve
from bmsthermal.heat import FARADAY_C_mol

Number = TypeVar("Number", float, Array)


@dataclass(frozen=True)
class Electrode:
    """A porous electrode with one kind of spherical particle.

    The exchange-current density is
    ``F k (c_e/c_e0)**aa * x**ac * (1 - x)**aa`` with the reaction rate `k` and
    the anodic and cathodic transfer coefficients `aa` and `ac`. A value with an
    activation energy E is ``value * exp(E/R (1/T_ref - 1/T))``.

    Parameters
    ----------
    thickness_m
        Thickness in m.
    porosity
        Volume share of the electrolyte.
    transport_efficiency
        Effective over bulk conductivity (and diffusivity) of the electrolyte in the pores.
    conductivity_S_m
        Effective electronic conductivity in S/m.
    particle_radius_m
        Radius of the particles in m.
    area_per_volume_m
        Surface of the particles per volume of the electrode in 1/m.
    maximum_concentration_mol_m3
        Lithium in the particles at stoichiometry 1, in mol/m3.
    minimum_stoichiometry, maximum_stoichiometry
        Window that the state of charge runs over.
    diffusivity
        Of lithium in the particles, in m2/s against stoichiometry.
    diffusivity_activation_J_mol
        Its activation energy in J/mol.
    reaction_rate_mol_m2s
        Reaction rate `k` in mol/m2s.
    reaction_activation_J_mol
        Its activation energy in J/mol.
    potential
        Open-circuit potential against lithium in V, against stoichiometry, at the reference temperature.
    entropic
        Its slope with temperature in V/K, against stoichiometry.
    anodic_transfer, cathodic_transfer
        Transfer coefficients `aa` and `ac`.
    film_resistance_Ohm_m2
        Of a film on the particles, per surface of particle, in Ohm m2.
    conductivity_activation_J_mol
        Activation energy of the electronic conductivity in J/mol.
    partial_molar_volume_m3_mol, youngs_modulus_Pa, poisson_ratio, strain_free_concentration_mol_m3
        Mechanics of a particle; None where the file has none.
    stress_activation_volume_m3_mol
        How the hydrostatic stress shifts the reaction, in m3/mol.
    """

    thickness_m: float
    porosity: float
    transport_efficiency: float
    conductivity_S_m: float
    particle_radius_m: float
    area_per_volume_m: float
    maximum_concentration_mol_m3: float
    minimum_stoichiometry: float
    maximum_stoichiometry: float
    diffusivity: Curve
    diffusivity_activation_J_mol: float
    reaction_rate_mol_m2s: float
    reaction_activation_J_mol: float
    potential: Curve
    entropic: Curve
    anodic_transfer: float = 0.5
    cathodic_transfer: float = 0.5
    film_resistance_Ohm_m2: float = 0.0
    conductivity_activation_J_mol: float = 0.0
    partial_molar_volume_m3_mol: float | None = None
    youngs_modulus_Pa: float | None = None
    poisson_ratio: float | None = None
    strain_free_concentration_mol_m3: float | None = None
    stress_activation_volume_m3_mol: float = 0.0

    @property
    def active_fraction(self) -> float:
        """Volume share of the particles."""
        return self.area_per_volume_m * self.particle_radius_m / 3

    @property
    def window_C_m2(self) -> float:
        """Charge between the ends of the window, per area of electrode."""
        lithium = self.active_fraction * self.thickness_m * self.maximum_concentration_mol_m3
        return FARADAY_C_mol * lithium * (self.maximum_stoichiometry - self.minimum_stoichiometry)


@dataclass(frozen=True)
class Separator:
    """What keeps the electrodes apart.

    Parameters
    ----------
    thickness_m
        Thickness in m.
    porosity
        Volume share of the electrolyte; 1 is a free gap.
    transport_efficiency
        Effective over bulk conductivity (and diffusivity) of the electrolyte in it.
    """

    thickness_m: float
    porosity: float
    transport_efficiency: float


@dataclass(frozen=True)
class Electrolyte:
    """A binary electrolyte; curves are against its concentration in mol/m3.

    Parameters
    ----------
    initial_concentration_mol_m3
        Concentration at rest, at which the reaction rates are given.
    transference
        Transference number of the cation.
    diffusivity
        In m2/s.
    diffusivity_activation_J_mol
        Its activation energy in J/mol.
    conductivity
        In S/m.
    conductivity_activation_J_mol
        Its activation energy in J/mol.
    thermodynamic_factor
        ``1 + dlnf/dlnc``.
    soret_1_K
        Soret coefficient in 1/K.
    """

    initial_concentration_mol_m3: float
    transference: Curve
    diffusivity: Curve
    diffusivity_activation_J_mol: float
    conductivity: Curve
    conductivity_activation_J_mol: float
    thermodynamic_factor: Curve = field(default_factory=lambda: Curve(1.0))
    soret_1_K: float = 0.0


@dataclass(frozen=True)
class Collector:
    """A current collector, as far as heat goes.

    Parameters
    ----------
    thickness_m
        Thickness in m, as much of it as belongs to one sandwich.
    conductivity_W_mK
        Thermal conductivity in W/mK.
    density_kg_m3
        Density in kg/m3.
    specific_heat_J_kgK
        Specific heat capacity in J/kgK.

    Notes
    -----
    The defaults are those of copper at 25 degC.
    """

    thickness_m: float = 0.0
    conductivity_W_mK: float = 401.0
    density_kg_m3: float = 8960.0
    specific_heat_J_kgK: float = 385.0


ALUMINIUM = Collector(0.0, 237.0, 2700.0, 897.0)


@dataclass(frozen=True)
class ThermalLayer:
    """An electrode or the separator with its electrolyte, as far as heat goes.

    Parameters
    ----------
    density_kg_m3
        Density in kg/m3.
    specific_heat_J_kgK
        Specific heat capacity in J/kgK.
    conductivity_W_mK
        Thermal conductivity across it in W/mK.
    """

    density_kg_m3: float
    specific_heat_J_kgK: float
    conductivity_W_mK: float


@dataclass(frozen=True)
class Parameters:
    """What the five-field model of a cell needs; made by `parameters`.

    Parameters
    ----------
    negative, separator, positive, electrolyte
        The sandwich.
    area_m2
        Area of all electrode pairs together.
    pairs
        How many pairs are connected in parallel.
    lower_voltage_V, upper_voltage_V
        Cut-offs.
    nominal_Ah
        Nominal capacity.
    reference_K
        Temperature that all values are given at.
    contact_resistance_Ohm
        Of tabs and collectors, for the whole cell.
    negative_collector, positive_collector
        Current collectors; of no thickness where the file has none.
    negative_layer, separator_layer, positive_layer
        Thermal properties across the sandwich. What the file lacks is filled
        up so that the sandwich has the heat capacity of the cell; None where
        the cell has none either (`Cell.heat_capacity_J_K` says what is missing).
    ambient_K, initial_K, initial_soc
        Of the file's ``State``, or else the reference temperature (twice) and None.
    """

    negative: Electrode
    separator: Separator
    positive: Electrode
    electrolyte: Electrolyte
    area_m2: float
    pairs: int
    lower_voltage_V: float
    upper_voltage_V: float
    nominal_Ah: float
    reference_K: float
    contact_resistance_Ohm: float = 0.0
    negative_collector: Collector = Collector()
    positive_collector: Collector = ALUMINIUM
    negative_layer: ThermalLayer | None = None
    separator_layer: ThermalLayer | None = None
    positive_layer: ThermalLayer | None = None
    ambient_K: float = 298.15
    initial_K: float = 298.15
    initial_soc: float | None = None

    def stoichiometries(self, soc: Number) -> tuple[Number, Number]:
        """Negative and positive stoichiometry at a state of charge, linear over both windows."""
        n, p = self.negative, self.positive
        negative = n.minimum_stoichiometry + soc * (n.maximum_stoichiometry - n.minimum_stoichiometry)
        positive = p.maximum_stoichiometry - soc * (p.maximum_stoichiometry - p.minimum_stoichiometry)
        return negative, positive

    def open_circuit_V(self, soc: ArrayLike, T_K: float | None = None) -> Array:
        """Open-circuit voltage at a state of charge; at the reference temperature unless told."""
        x, y = self.stoichiometries(np.asarray(soc, float))
        voltage = self.positive.potential(y) - self.negative.potential(x)
        if T_K is None:
            return voltage
        return np.asarray(voltage + self.entropic_V_K(soc) * (T_K - self.reference_K))

    def entropic_V_K(self, soc: ArrayLike) -> Array:
        """Slope of the open-circuit voltage with temperature at a state of charge."""
        x, y = self.stoichiometries(np.asarray(soc, float))
        return self.positive.entropic(y) - self.negative.entropic(x)

    @property
    def capacity_Ah(self) -> float:
        """Charge that the windows hold: of the smaller of the two electrodes."""
        return self.area_m2 * min(self.negative.window_C_m2, self.positive.window_C_m2) / 3600

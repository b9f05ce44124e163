"""Electrode sandwiches on one terminal voltage: negative electrode, separator, positive electrode, M times."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.dfn.assembly import Assembly, Index
from bmsthermal.dfn.electrode import electrode_law
from bmsthermal.dfn.electrodes import Electrode, Parameters
from bmsthermal.dfn.electrolyte import electrolyte_law
from bmsthermal.dfn.expressions import FARADAY, arrhenius
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.dfn.particle import ParticleGrid


@dataclass(frozen=True)
class Sandwich:
    """Unknowns of the sandwiches: where each sits among the unknowns of the system.

    Parameters
    ----------
    parameters, mesh
        What it is made of, and how finely it is resolved.
    area_m2
        Electrode area of each sandwich ``(m,)``.
    """

    parameters: Parameters
    mesh: Mesh
    area_m2: Array
    places: dict[str, Index] = field(default_factory=dict)

    @property
    def layers(self) -> int:
        """Number of sandwiches ``m``."""
        return len(self.area_m2)

    @property
    def widths_m(self) -> tuple[Array, Array, Array]:
        """Widths of the cells of each region."""
        p, mesh = self.parameters, self.mesh
        return (
            np.full(mesh.negative, p.negative.thickness_m / mesh.negative),
            np.full(mesh.separator, p.separator.thickness_m / mesh.separator),
            np.full(mesh.positive, p.positive.thickness_m / mesh.positive),
        )

    @property
    def position_m(self) -> Array:
        """Middle of each cell, from the negative collector, ``(n,)``."""
        dx = np.concatenate(self.widths_m)
        return np.cumsum(dx) - dx / 2

    @property
    def electrodes(self) -> dict[str, tuple[Electrode, ParticleGrid, slice]]:
        """Each electrode with its particle grid and its cells."""
        mesh, n = self.mesh, self.mesh.negative + self.mesh.separator
        return {
            "negative": (self.parameters.negative, mesh.particle_negative, slice(0, mesh.negative)),
            "positive": (self.parameters.positive, mesh.particle_positive, slice(n, n + mesh.positive)),
        }

    def declare(self, assembly: Assembly) -> None:
        """Add the unknowns: relative concentrations, potentials, and the current of each sandwich."""
        p, m, dx = self.parameters, self.layers, np.concatenate(self.widths_m)
        porosity = np.repeat(
            [p.negative.porosity, p.separator.porosity, p.positive.porosity], [len(w) for w in self.widths_m]
        )
        salt = FARADAY * porosity * dx * p.electrolyte.initial_concentration_mol_m3
        for name, (_, grid, cells) in self.electrodes.items():
            count = cells.stop - cells.start
            shape = (m, count, grid.count)
            self.places[f"x_{name}"] = assembly.unknown(f"x_{name}", m * count * grid.count, mass=1.0).reshape(shape)
        self.places["salt"] = assembly.unknown("salt", m * len(dx), mass=np.tile(salt, m)).reshape(m, -1)
        self.places["phi_e"] = assembly.unknown("phi_e", m * len(dx)).reshape(m, -1)
        for name, (electrode, _, cells) in self.electrodes.items():
            count = cells.stop - cells.start
            self.places[f"phi_{name}"] = assembly.unknown(f"phi_{name}", m * count).reshape(m, -1)
            if electrode.film_resistance_Ohm_m2 > 0:
                self.places[f"j_{name}"] = assembly.unknown(f"j_{name}", m * count).reshape(m, -1)
        self.places["current"] = assembly.unknown("current", m, scale=p.nominal_Ah / p.area_m2)

    def assemble(
        self, assembly: Assembly, temperature: Index, heat: Index, terminal: tuple[Index, Index], *,
        couplings: Collection[str], mixing: bool, spread: bool,
    ) -> None:  # fmt: skip
        """Add the laws.

        Parameters
        ----------
        assembly
            Where to.
        temperature, heat
            Of each cell ``(m, n)``: the unknown that is its temperature, and the row that its heat is added to.
        terminal
            Places of the cell's current and voltage.
        couplings, mixing
            Which couplings are on, and whether heat of mixing is released.
        spread
            Whether cells of one sandwich have temperatures of their own (else nothing crosses between them).
        """
        p, m = self.parameters, self.layers
        dx, at = np.concatenate(self.widths_m), self.places
        for name, (electrode, grid, cells) in self.electrodes.items():
            x = at[f"x_{name}"].reshape(-1, grid.count).T
            film = [at[f"j_{name}"].ravel()] if f"j_{name}" in at else []
            own = [at["salt"][:, cells].ravel(), at["phi_e"][:, cells].ravel(), at[f"phi_{name}"].ravel()]
            area = np.repeat(self.area_m2, cells.stop - cells.start)
            assembly.law(
                name, electrode_law(electrode, grid, p.reference_K, couplings=couplings, mixing=mixing),
                [*x, *own, temperature[:, cells].ravel(), *film], [*x, *own, heat[:, cells].ravel(), *film],
                [np.tile(dx[cells], m), area],
            )  # fmt: skip
            self._conduct(assembly, name, electrode, cells, temperature, heat)
        efficiency = np.repeat(
            [p.negative.transport_efficiency, p.separator.transport_efficiency, p.positive.transport_efficiency],
            [len(w) for w in self.widths_m],
        )
        half = dx / 2 / efficiency
        edges = np.cumsum([len(w) for w in self.widths_m])[:2] - 1
        inner = np.setdiff1d(np.arange(len(dx) - 1), edges)
        for name, faces, reach in (("electrolyte", inner, (0, 1)), ("electrolyte_edges", edges, (-1, 0, 1, 2))):
            near = [faces + k for k in reach]
            law = electrolyte_law(
                p.electrolyte, p.reference_K, soret=spread and "soret" in couplings,
                dufour=spread and "dufour" in couplings, edge=len(reach) > 2,
            )  # fmt: skip
            reads = [a[:, cell].ravel() for a in (at["salt"], at["phi_e"], temperature) for cell in near]
            rows = (at["salt"], at["phi_e"], heat, temperature if spread else heat)
            writes = [a[:, faces + k].ravel() for a in rows for k in (0, 1)]
            given = [np.tile(half[cell], m) for cell in near]
            assembly.law(name, law, reads, writes, [*given, np.repeat(self.area_m2, len(faces))])
        self._close(assembly, temperature, heat, terminal)

    def _conduct(
        self, assembly: Assembly, name: str, electrode: Electrode, cells: slice, temperature: Index, heat: Index
    ) -> None:
        """Ohm's law between the cells of one electrode."""
        phi, dx = self.places[f"phi_{name}"], np.concatenate(self.widths_m)[cells]
        T, Q, m = temperature[:, cells], heat[:, cells], self.layers

        def law(y: list[Any], p: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
            phi, T, half_m, area_m2 = y[:2], y[2:], p[:2], p[2]
            resistance = [half / _conductivity(electrode, t, self) for half, t in zip(half_m, T, strict=True)]
            current = (phi[0] - phi[1]) / sum(resistance)
            heat, share = area_m2 * current * (phi[0] - phi[1]), resistance[0] / sum(resistance)
            return [-current, current, share * heat, (1 - share) * heat], {"ohmic": heat}

        sides = [(a[:, :-1].ravel(), a[:, 1:].ravel()) for a in (phi, T, Q)]
        assembly.law(
            f"{name}_solid", law, [*sides[0], *sides[1]], [*sides[0], *sides[2]],
            [np.tile(dx[:-1] / 2, m), np.tile(dx[1:] / 2, m), np.repeat(self.area_m2, len(dx) - 1)],
        )  # fmt: skip

    def _close(self, assembly: Assembly, temperature: Index, heat: Index, terminal: tuple[Index, Index]) -> None:
        """Collectors: the negative one is the zero of potential, the positive one carries current and voltage.

        As at an edge of the electrolyte, a half cell carries ``(3 f + f')/4`` in the mean.
        """
        p, at, dx = self.parameters, self.places, np.concatenate(self.widths_m)
        current, voltage = terminal

        def ground(y: list[Any], q: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
            resistance = q[0] / _conductivity(p.negative, y[2], self)
            flow = -(y[0] / resistance + (y[0] - y[1]) / resistance / 8) / 0.75
            heat = -q[1] * flow * y[0]
            return [flow, heat], {"ohmic": heat}

        def collect(y: list[Any], q: list[Any], u: list[Any]) -> tuple[list[Any], dict[str, Any]]:
            before, phi, flow, T, cell_current, cell_voltage = y
            drop = 0.75 * flow * q[0] / _conductivity(p.positive, T, self) + (before - phi) / 8
            heat = q[1] * flow * drop
            balance = phi - drop - p.contact_resistance_Ohm * cell_current - cell_voltage
            return [-flow, balance, heat, q[1] * flow], {"ohmic": heat}

        assembly.law(
            "negative_collector", ground,
            [at["phi_negative"][:, 0], at["phi_negative"][:, 1], temperature[:, 0]],
            [at["phi_negative"][:, 0], heat[:, 0]], [dx[0] / 2, self.area_m2],
        )  # fmt: skip
        assembly.law(
            "positive_collector", collect,
            [at["phi_positive"][:, -2], at["phi_positive"][:, -1], at["current"], temperature[:, -1], current, voltage],
            [at["phi_positive"][:, -1], at["current"], heat[:, -1], current], [dx[-1] / 2, self.area_m2],
        )  # fmt: skip


def _conductivity(electrode: Electrode, T_K: Any, sandwich: Sandwich) -> Any:
    reference = sandwich.parameters.reference_K
    return electrode.conductivity_S_m * arrhenius(electrode.conductivity_activation_J_mol, T_K, reference)

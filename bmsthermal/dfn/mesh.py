"""How finely the model is resolved: equal cells through each region, nodes along each radius."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bmsthermal.dfn.particle import ParticleGrid


@dataclass(frozen=True)
class Mesh:
    """Cells through the sandwich and nodes in the particles.

    Parameters
    ----------
    negative, separator, positive
        Equal finite volumes through each region: second order.
    particle_negative, particle_positive
        Along the radius of a particle of each electrode: spectral.
    """

    negative: int = 16
    separator: int = 4
    positive: int = 8
    particle_negative: ParticleGrid = field(default_factory=lambda: ParticleGrid(7))
    particle_positive: ParticleGrid = field(default_factory=lambda: ParticleGrid(7))

    def __post_init__(self) -> None:
        if min(self.negative, self.separator, self.positive) < 2:
            raise ValueError(f"{self.negative}, {self.separator}, {self.positive} cells: at least 2 in each region")

    def refined(self, factor: int = 2) -> Mesh:
        """`factor` times as many cells, and particles of `factor` times the degree."""
        particles = (
            replace(grid, degree=factor * grid.degree) for grid in (self.particle_negative, self.particle_positive)
        )
        return Mesh(factor * self.negative, factor * self.separator, factor * self.positive, *particles)

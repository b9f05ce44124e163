"""How finely the model is resolved: equal cells through each region, nodes along each radius."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bmsthermal.dfn.particle import ParticleGrid, check_whole
from bmsthermal.errors import InputError

#: Most cells through a region: beyond them rounding grows, and the answer does not change.
MOST_CELLS = 500


@dataclass(frozen=True)
class Mesh:
    """Cells through the sandwich and nodes in the particles.

    Parameters
    ----------
    negative, separator, positive
        Equal finite volumes through each region: second order.
    particle_negative, particle_positive
        Along the radius of a particle of each electrode: spectral.

    Raises
    ------
    InputError
        If a number of cells is not whole, less than 2 or too many, or a particle has no `ParticleGrid`.
    """

    negative: int = 16
    separator: int = 4
    positive: int = 8
    particle_negative: ParticleGrid = field(default_factory=lambda: ParticleGrid(7))
    particle_positive: ParticleGrid = field(default_factory=lambda: ParticleGrid(7))

    def __post_init__(self) -> None:
        for name in ("negative", "separator", "positive"):
            check_whole(getattr(self, name), name, 2, MOST_CELLS)
        for name in ("particle_negative", "particle_positive"):
            if not isinstance(grid := getattr(self, name), ParticleGrid):
                raise InputError(f"{name}={grid!r:.60}", expected="a ParticleGrid, such as ParticleGrid(7)")

    def refined(self, factor: int = 2) -> Mesh:
        """`factor` times as many cells, and particles of `factor` times the degree.

        Raises
        ------
        InputError
            If `factor` is not a whole number, or makes a mesh that is too fine.
        """
        check_whole(factor, "factor", 1, MOST_CELLS)
        particles = (
            replace(grid, degree=factor * grid.degree) for grid in (self.particle_negative, self.particle_positive)
        )
        return Mesh(factor * self.negative, factor * self.separator, factor * self.positive, *particles)

"""Small reduced cells for tests: from two short runs of the full model on a coarse mesh."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from bmsthermal import CoupledModel, load_cell
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.dfn.particle import ParticleGrid
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.packing import NODES, WALLS, class_of
from bmsthermal.reduced.particles import Particles, basis, expand
from bmsthermal.reduced.salt import salt, shapes

#: A cylinder with one wall, and a slab with two.
CELLS = ("lgm50_21700", "lco_marquis")
#: What snapshots are taken from.
RUNS = (
    {"profile": "discharge at 2 C for 400 s", "initial_soc": 0.9, "ambient_K": 298.15},
    {"profile": "charge at 1 C for 300 s", "initial_soc": 0.4, "ambient_K": 278.15},
)
ROOM_K = 298.15
MESH = Mesh(8, 3, 4, ParticleGrid(7), ParticleGrid(7))


@cache
def snapshots(name: str) -> Mapping[str, np.ndarray]:
    """Salt, and coefficients of the particles' expansion."""
    model = CoupledModel(load_cell(name), mesh=MESH)
    places = model.equations.places
    found: dict[str, list[np.ndarray]] = {"salt": [], "negative": [], "positive": []}
    for run in RUNS:
        states = [snapshot.y for snapshot in model.simulate(**run).snapshots[::20]]
        found["salt"] += [y[places["salt"]].ravel() for y in states]
        for side, cells in (("negative", MESH.negative), ("positive", MESH.positive)):
            x = np.array([y[places["x_" + side]].reshape(cells, -1) for y in states])
            found[side] += list(expand(getattr(MESH, "particle_" + side), x))
    return {key: np.array(values) for key, values in found.items()}


@cache
def reduced_cell(
    name: str = CELLS[0], *, thermal: int = 3, salts: int = 2, modes: tuple[int, int] = (4, 4),
    points: tuple[int, int] = (3, 2), h: float = 60.0, step_s: float = 1.0, kind: type = ReducedCell,
    rz: bool = False, **free: Any,
) -> ReducedCell:  # fmt: skip
    """A reduced cell: sizes, cooling of every face, step, r-z or not, and what `ReducedCell` leaves free."""
    cell = load_cell(name)
    cell = cell.with_values({"Heat transfer coefficient [W.m-2.K-1]": dict.fromkeys(cell.walls, h)})
    p, seen = cell.electrochemistry, snapshots(name)
    nodes = NODES[class_of(max(modes), thermal, salts)[0]]
    negative, positive = (
        Particles.of(basis(electrode, step_s, count, max(1, n - 1), n - max(1, n - 1), seen[side]), count, nodes)
        for electrode, count, n, side in zip(
            (p.negative, p.positive), points, modes, ("negative", "positive"), strict=True
        )
    )
    electrolyte = salt(p, MESH, shapes(p, MESH, salts, seen["salt"]), negative.depth, positive.depth)
    full = CoupledModel(cell, thermal="r-z", mesh=MESH) if rz else CoupledModel(cell, heat="measured")
    conduction = full.reduce_conduction(thermal, step_s=step_s)
    return kind(cell, conduction, negative, positive, electrolyte, **free)


def amperes(reduced: ReducedCell, c_rate: float = 1.0) -> float:
    return c_rate * reduced.cell.electrochemistry.nominal_Ah


def filling(reduced: ReducedCell, soc: float) -> float:
    return float(reduced.cell.electrochemistry.stoichiometries(soc)[0])


def drive(us06, reduced: ReducedCell, peak: float = 2.5, rows: int = 600) -> np.ndarray:
    """Ten minutes of US06 with jumps between full discharge and full charge."""
    current = us06.current_A[:rows] / np.abs(us06.current_A).max() * amperes(reduced, peak)
    current[100] *= -1
    current[200:230], current[300:330], current[400:430] = amperes(reduced, peak), -amperes(reduced, peak), 0.0
    return current


def inputs(reduced: ReducedCell, current, coolant_K=ROOM_K, dtype=np.float64) -> np.ndarray:
    u = np.zeros((len(current), 1 + WALLS), dtype)
    u[:, 0] = current
    given = np.full(WALLS, coolant_K) if np.ndim(coolant_K) == 0 else np.asarray(coolant_K)
    u[:, 1 : 1 + len(given)] = given - reduced.thermal.cell.reference_K
    return u


def through(reduced, current, soc=0.7, start_K=ROOM_K, coolant_K=ROOM_K, dtype=np.float64):
    """Rows, states before them, and the kernel as it then is."""
    kernel = reduced.kernel(dtype)
    kernel.rest(filling(reduced, soc), start_K)
    out = np.full((len(current), kernel.out_size), np.nan, dtype)
    past = np.full((len(current), kernel.state_size), np.nan, dtype)
    assert kernel.run(inputs(reduced, current, coolant_K, dtype), out, past)
    return out, past, kernel

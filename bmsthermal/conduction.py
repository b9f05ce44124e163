r"""Full conduction model: vertex-centred finite volumes through a cell, core to surface.

.. math:: \rho c_p\,\partial_t T = r^{-m}\,\partial_r(r^m k\,\partial_r T) + Q

with :math:`m = 1` along the radius of a cylinder and :math:`m = 0` through a
slab. Nodes sit on the axis, on every interface and on every surface, so that
core and surface temperature are states and the wall flow enters where it is
measured. Fluxes are taken at the middle between nodes: second order in space,
conservative on any grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bmsthermal.curves import Array
from rom import PassiveSystem


@dataclass(frozen=True)
class Layer:
    """One material between two coordinates.

    Parameters
    ----------
    name
        What it is, such as ``roll`` or ``can``.
    inner_m, outer_m
        Radii of a cylinder, or coordinates through a slab, in m.
    conductivity_W_mK
        Conductivity along that direction (radial; through-plane).
    heat_capacity_J_m3K
        Density times specific heat capacity.
    heated
        Whether the cell's heat is released in it.
    contact_m2K_W
        Contact resistance between this layer and the next one outwards.
    """

    name: str
    inner_m: float
    outer_m: float
    conductivity_W_mK: float
    heat_capacity_J_m3K: float
    heated: bool = True
    contact_m2K_W: float = 0.0


def graded(layer: Layer, count: int, *, both: bool = False, steepness: float = 1.5) -> Array:
    """Nodes ``(count + 1,)`` of a layer, finer towards its outer end (or `both` ends)."""
    s = np.linspace(-1.0 if both else 0.0, 1.0, count + 1)
    s = np.tanh(steepness * s) / np.tanh(steepness)
    s = (s + 1) / 2 if both else s
    return np.asarray(layer.inner_m + (layer.outer_m - layer.inner_m) * s)


def conduct(
    layers: Sequence[Layer],
    form: Literal["cylinder", "slab"],
    extent: float,
    *,
    nodes: int = 200,
    heat_shape: Callable[[Array], Array] | None = None,
) -> tuple[PassiveSystem, Array]:
    """Assemble the insulated conduction problem of a cell.

    Parameters
    ----------
    layers
        From the inside out (or from back to front), touching each other.
    form
        ``cylinder``: radial, with the wall ``side``; ``slab``: through-plane,
        with the walls ``back`` and ``front``.
    extent
        Length of the cylinder in m, or area of the slab in m2.
    nodes
        Intervals of the thickest layer; a thin one gets at least four.
    heat_shape
        Relative heat per volume against the coordinate in m, in the heated
        layers; uniform by default.

    Returns
    -------
    system : PassiveSystem
        States are node temperatures; the source is the heat in W, walls have
        flows in W, outputs are core, mean (by heat content) and each wall.
    position_m : (n,) ndarray
        Coordinate of each node.

    Raises
    ------
    ArithmeticError
        If a heat capacity or the heat as a whole is not positive, or a conductance is not finite.
    """
    thickest = max(layer.outer_m - layer.inner_m for layer in layers)
    x: list[float] = []
    M: list[float] = []
    heat: list[float] = []
    links: list[tuple[int, int, float]] = []
    for i, layer in enumerate(layers):
        share = (layer.outer_m - layer.inner_m) / thickest
        grid = graded(layer, max(4, 2 * round(nodes * share / 2)), both=form == "slab")
        first = len(x) - 1
        if i == 0 or layers[i - 1].contact_m2K_W > 0:  # a resistance parts the temperatures: two nodes at one place
            if i > 0:
                area = _area(np.array([layer.inner_m]), form, extent)[0]
                links.append((first, first + 1, area / layers[i - 1].contact_m2K_W))
            first += 1
            x.append(grid[0])
            M.append(0.0)
            heat.append(0.0)
        middle = (grid[1:] + grid[:-1]) / 2
        volume = np.diff(_volume(np.sort(np.concatenate([grid, middle])), form, extent))
        shape = np.zeros_like(grid) if not layer.heated else np.ones_like(grid)
        if layer.heated and heat_shape is not None:
            shape = np.asarray(heat_shape(grid), float)
        flow = layer.conductivity_W_mK * _area(middle, form, extent) / np.diff(grid)
        for j in range(len(middle)):
            links.append((first + j, first + j + 1, flow[j]))
            x.append(grid[j + 1])
            M.append(0.0)
            heat.append(0.0)
            for node, half, weight in ((j, volume[2 * j], shape[j]), (j + 1, volume[2 * j + 1], shape[j + 1])):
                M[first + node] += layer.heat_capacity_J_m3K * half
                heat[first + node] += weight * half
    return _assemble(np.array(x), np.array(M), np.array(heat), links, form)


def _assemble(
    x: Array, capacity: Array, heat: Array, links: list[tuple[int, int, float]], form: str
) -> tuple[PassiveSystem, Array]:
    n = len(x)
    K = np.zeros((n, n))
    for i, j, conductance in links:
        K[i, i] += conductance
        K[j, j] += conductance
        K[i, j] -= conductance
        K[j, i] -= conductance
    if not ((capacity > 0).all() and np.isfinite(K).all() and 0 < heat.sum() < np.inf):
        raise ArithmeticError("a heat capacity or the heat is not positive, or a conductance not finite")
    unit = np.eye(n)
    walls: tuple[str, ...] = ("side",)
    core, E = unit[0], unit[:, [n - 1]]
    if form == "slab":
        walls = ("back", "front")
        core, E = unit[int(np.argmin(np.abs(x - (x[0] + x[-1]) / 2)))], unit[:, [0, n - 1]]
    outputs = ("core", "mean", *(f"surface {w}" for w in walls))
    C = np.vstack([core, capacity / capacity.sum(), E.T])
    system = PassiveSystem(np.diag(capacity), K, (heat / heat.sum())[:, None], E, C, ("heat",), walls, outputs)
    return system, x


def _area(x: Array, form: str, extent: float) -> Array:
    return 2 * np.pi * x * extent if form == "cylinder" else np.full(x.shape, extent)


def _volume(x: Array, form: str, extent: float) -> Array:
    return np.pi * x**2 * extent if form == "cylinder" else extent * x

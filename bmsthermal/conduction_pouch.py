r"""Full conduction model of a pouch: through its thickness and along its sheet.

.. math:: \rho c_p\,\partial_t T = \partial_z(k_z\,\partial_z T) + k_\parallel(\partial_x^2 + \partial_y^2) T + Q

A pouch conducts tens of times better along its foils than across them, and its
edges are thin: they are taken as insulated. Then cosines along the sheet are
exact, :math:`T = \sum_{mn} \theta_{mn}(z, t) \cos(m\pi x/W) \cos(n\pi y/H)`, and each
of them is a slab of `bmsthermal.conduction` with a sink of its own. Heat that
is the same all over the sheet excites the first one alone: the slab it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bmsthermal.conduction import Layer, conduct
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.reduction import ReducedModel
from bmsthermal.schema import ALONG, WIDTH
from rom import PassiveSystem

if TYPE_CHECKING:
    from bmsthermal.cell import Cell

#: Points of either side at which the heat is sampled: what is finer than two of them is not seen.
SAMPLES = 128
#: A cosine that holds less than this share of the heat is left out, as half of them are where heat is symmetric.
EXCITED = 1e-9


@dataclass(frozen=True)
class Sheet:
    """What the states of a pouch are: cosines along its sheet, at nodes through its thickness.

    Parameters
    ----------
    width_m, height_m
        Sides of the sheet.
    waves
        Half waves ``(k, 2)`` along either side.
    z_m
        Nodes ``(n,)`` from back to front.
    """

    width_m: float
    height_m: float
    waves: NDArray[np.int64]
    z_m: Array

    def along(self, x: float, y: float) -> Array:
        """Value ``(k,)`` of each cosine at shares 0 to 1 of either side; the mean of their squares is 1."""
        return np.asarray(_cosines(self.waves[:, 0], x) * _cosines(self.waves[:, 1], y))

    def weights(self, x: float, y: float, z: float) -> Array:
        """What the temperature at shares 0 to 1 of width, height and thickness is of the states, ``(k n,)``."""
        if not all(0 <= share <= 1 for share in (x, y, z)):
            raise InputError(f"place {(x, y, z)!r}", expected="shares of width, height and thickness, 0 to 1")
        at = self.z_m[0] + z * (self.z_m[-1] - self.z_m[0])
        through = np.array([np.interp(at, self.z_m, one) for one in np.eye(len(self.z_m))])
        return np.outer(self.along(x, y), through).ravel()


@dataclass(frozen=True, repr=False)
class PouchModel(ReducedModel):
    """A reduced pouch: a `ReducedModel` that knows places on its sheet.

    Parameters
    ----------
    sheet
        What `shapes` lift the modes back to.
    """

    sheet: Sheet = field(kw_only=True)

    @property
    def resolution(self) -> str:
        """``pouch``."""
        return "pouch"

    @cached_property
    def scale(self) -> Array:
        """Value of each unit mode in the middle of the face that feels it more, ``(r,)``."""
        middle = self.modal.C[2:]
        return np.asarray(middle[np.abs(middle).argmax(axis=0), np.arange(self.order)])

    @property
    def felt(self) -> Array:
        """Square of what a state moves that middle: 1."""
        return np.ones(self.order)

    def place(self, x: float, y: float, z: float) -> Array:
        """Row ``(r,)`` that gives the temperature at shares 0 to 1 of width, height and thickness, back to front."""
        return np.asarray(self.sheet.weights(x, y, z) @ self.shapes / self.scale)

    def save(self, path: str | Path) -> None:
        """Not there yet.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError("a pouch cannot be saved yet", where=str(path), hint="save the cell file and reduce it again")


def conduct_pouch(
    layers: Sequence[Layer],
    width_m: float,
    height_m: float,
    *,
    in_plane_W_mK: Sequence[float],
    h_W_m2K: tuple[float, float] = (0.0, 0.0),
    nodes: int = 12,
    waves: int = 100,
    heat_shape: Callable[[Array, Array, Array], Array] | None = None,
) -> tuple[PassiveSystem, Sheet]:
    """Assemble the conduction problem of a pouch with insulated edges.

    Parameters
    ----------
    layers
        Through the thickness from back to front, as for a slab.
    width_m, height_m
        Sides of the sheet.
    in_plane_W_mK
        Conductivity along the sheet, one per layer.
    h_W_m2K
        Of back and front, at which the film is exact: what it does beyond the mean of a face joins the conduction,
        as in `bmsthermal.conduction_field.ConductionField.system`. The walls stay to be closed.
    nodes
        Intervals of the thickest layer; a thin one gets at least four.
    waves
        Most cosines along the sheet, the longest first.
    heat_shape
        Relative heat per volume in the heated layers against x, y and z in m, from a corner of the back; uniform by
        default. Heat at a face is one that is not 0 at the first node alone, ``z == 0``.

    Returns
    -------
    system : PassiveSystem
        The source is the heat in W; walls are ``back`` and ``front``, with flows in W and mean temperatures. Outputs
        are the core (middle of sheet and thickness), the mean and the middle of either face.
    sheet : Sheet
        What its states are.

    Raises
    ------
    ValueError
        If there is not one conductivity along the sheet for each layer.
    ArithmeticError
        If a heat capacity or the heat as a whole is not positive, or a conductance is not finite.
    """
    if len(in_plane_W_mK) != len(layers):
        raise ValueError(f"{len(in_plane_W_mK)} conductivities along the sheet, expected one for each layer")
    slab, z = conduct(layers, "slab", width_m * height_m, nodes=nodes)
    spread = [replace(each, heat_capacity_J_m3K=k) for each, k in zip(layers, in_plane_W_mK, strict=True)]
    along = conduct(spread, "slab", width_m * height_m, nodes=nodes)[0].M
    film = width_m * height_m * (slab.E * h_W_m2K) @ slab.E.T
    heat, pairs = _heat(slab.B[:, 0], z, width_m, height_m, waves, heat_shape)
    sheet = Sheet(width_m, height_m, pairs, z)

    k, n = heat.shape
    square = (np.pi * pairs[:, 0] / width_m) ** 2 + (np.pi * pairs[:, 1] / height_m) ** 2
    M, K = np.asarray(np.kron(np.eye(k), slab.M), float), np.zeros((k * n, k * n))
    for i in range(k):
        own = slice(i * n, (i + 1) * n)
        K[own, own] = slab.K + square[i] * along + (film if i else 0.0)
    first = np.eye(k)[:, :1]
    core, mean, *_ = slab.C
    C = np.vstack([
        np.kron(sheet.along(0.5, 0.5), core), np.kron(first[:, 0], mean),
        np.kron(sheet.along(0.5, 0.5), slab.E.T),
    ])  # fmt: skip
    return PassiveSystem(
        M, K, heat.reshape(-1, 1), np.asarray(np.kron(first, slab.E), float), C, slab.inputs, slab.walls, slab.outputs
    ), sheet  # fmt: skip


def pouch_of(
    cell: Cell, heat_shape: Callable[[Array, Array, Array], Array] | None = None
) -> tuple[PassiveSystem, Sheet]:
    """Conduction of a slab cell as its file has it, cooled as it says.

    Raises
    ------
    InputError
        If the file gives no width or no conductivity along the sheet.
    """
    if missing := [key for key in (WIDTH, ALONG) if key not in cell.thermal]:
        raise InputError(
            f"no {missing[0]!r}", where=f"{cell.name}, User-defined", hint="conduction of a pouch needs it"
        )
    width, along = float(cell.thermal[WIDTH]), float(cell.thermal[ALONG])
    h = cell.h_W_m2K
    return conduct_pouch(
        cell.layers, width, cell.extent / width,
        in_plane_W_mK=[along if layer.heated else layer.conductivity_W_mK for layer in cell.layers],
        h_W_m2K=(h["back"], h["front"]), heat_shape=heat_shape,
    )  # fmt: skip


def _heat(
    uniform: Array,
    z: Array,
    width_m: float,
    height_m: float,
    waves: int,
    shape: Callable[[Array, Array, Array], Array] | None,
) -> tuple[Array, NDArray[np.int64]]:
    """Share ``(k, n)`` of the heat in each cosine and node, and the cosines ``(k, 2)``, the longest first."""
    if shape is None:
        return uniform[None, :], np.zeros((1, 2), np.int64)
    middles, counts = (np.arange(SAMPLES) + 0.5) / SAMPLES, np.arange(SAMPLES // 2)
    given = np.asarray(shape(middles[:, None, None] * width_m, middles[:, None] * height_m, z), float)
    given = np.broadcast_to(given, (SAMPLES, SAMPLES, len(z)))
    waving = _cosines(counts, middles[:, None]) / SAMPLES
    heat = np.einsum("xm,yn,xyz->mnz", waving, waving, given, optimize=True) * uniform
    if not 0 < heat[0, 0].sum() < np.inf:
        raise ArithmeticError("the heat is not positive")
    heat = heat / heat[0, 0].sum()
    m, n = np.meshgrid(counts, counts, indexing="ij")
    longest = np.argsort((m / width_m) ** 2 + (n / height_m) ** 2, axis=None, kind="stable")
    excited = np.abs(heat).max(axis=2).ravel()[longest] > EXCITED * np.abs(heat[0, 0]).max()
    excited[0] = True
    kept = longest[excited][:waves]
    return heat.reshape(-1, len(z))[kept], np.column_stack([m.ravel()[kept], n.ravel()[kept]])


def _cosines(waves: NDArray[np.int64], share: Array | float) -> Array:
    """``cos(m pi share)``, times the root of two but for the constant."""
    return np.asarray(np.where(waves > 0, np.sqrt(2.0), 1.0) * np.cos(np.pi * waves * np.asarray(share)))

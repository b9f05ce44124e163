"""Rank of the joint filter at operating points that stay as they are, by the observability matrix of `control`.

Cooling, slow heat and offsets are taken for constant there: a number of constants that is larger than that of the
sensors can never be told at one point. Over several points their matrices stand below each other, as if the state were
carried from one to the next (Goshen-Meskin and Bar-Itzhack 1992).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.information import STEP_S, cooling, uncertainty
from bmsthermal.joint import JointFilter
from bmsthermal.observer import Observer
from bmsthermal.packing import pack

#: Operating points: mean temperature above the ambient in K, heat in W per W/K of cooling, whether walls are cooled.
POINTS = {
    "at rest, at the ambient": (0.0, 0.0, True), "at rest, 10 K warmer": (10.0, 0.0, True),
    "at rest, 10 K colder": (-10.0, 0.0, True), "under steady heat": (10.0, 10.0, True),
    "walls insulated": (10.0, 0.0, False),
}  # fmt: skip
#: Part of a direction of length 1, or of a state after a step, from which it is more than rounding.
PART = 1e-6


@dataclass(frozen=True)
class Point:
    """Rank at an operating point, of so many states, and what cannot be told there."""

    name: str
    rank: int
    states: int
    untold: tuple[str, ...]

    def row(self) -> tuple[str, ...]:
        """Row of a table."""
        return self.name, f"{self.rank} of {self.states}", ", ".join(self.untold)


def points(observer: Observer, measured: Sequence[str], kinds: Collection[str]) -> tuple[Point, ...]:
    """Ranks at each of `POINTS`, and over all of them, for the states that the filter has with these kinds."""
    reduced, noise = replace(observer.reduced, step_s=STEP_S), uncertainty(observer, kinds)
    model, common = pack(reduced, measured, noise, reduced.cell.ambient_share, 0.0), reduced.resolution == "r-z"
    filter_ = JointFilter(model, kinds, noise, STEP_S, common=common)
    layout, at = filter_.layout, filter_.layout.places
    around = np.full(len(reduced.walls), reduced.cell.reference_K)
    C = np.array([layout.row(k) for k in range(len(measured))])
    names = {layout.of("h", i): name for i, name in enumerate(cooling(reduced)) if "h" in kinds}
    names |= {layout.of("heat"): "slow heat"} if "heat" in kinds else {}
    names |= {layout.of("bias", i): f"offset of {name}" for i, name in enumerate(measured) if "bias" in kinds}
    names = {0: "mean temperature"} | names

    found: list[Point] = []
    matrices = []
    for name, (level, watts, cooled) in POINTS.items():
        filter_.x[:] = 0.0
        filter_.x[at["thermal"]] = level * reduced.constant
        heat, coolant = watts * reduced.conductance_W_K.sum(), around if cooled else np.full_like(around, np.nan)
        F = filter_.predict(np.concatenate([[0.0, np.nan, heat], coolant, np.full_like(around, np.nan)]))[1]
        for kind in ("heat", "bias"):
            F[at[kind], at[kind]] = np.eye(at[kind].stop - at[kind].start)
        dead = np.linalg.norm(F, axis=0) < PART  # gone within a step: nobody needs to see them
        matrices.append(matrix(F, C))
        found.append(_point(name, matrices[-1], names, dead))
    return (*found, _point("over all of these", np.vstack(matrices), names, dead))


def matrix(F: Array, C: Array) -> Array:
    """Observability matrix ``(m N, N)`` of ``x <- F x, y = C x``."""
    import control

    return np.asarray(control.obsv(F, C))


def _point(name: str, observability: Array, names: dict[int, str], dead: NDArray[np.bool_]) -> Point:
    seen = np.where(dead, 0.0, observability)
    rank = int(np.linalg.matrix_rank(seen))
    hidden = np.linalg.norm(np.linalg.svd(seen)[2][rank:], axis=0)
    return Point(name, rank, int((~dead).sum()), tuple(said for i, said in names.items() if hidden[i] > PART))

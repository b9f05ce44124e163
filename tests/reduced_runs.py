"""What reductions in tests are built from and judged by: three short runs of a full model on a coarse mesh."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from bmsthermal import CoupledModel, Mesh, ParticleGrid, load_cell
from bmsthermal.reduced.build import Ingredients
from bmsthermal.reduced.sweep import sweep
from bmsthermal.reduced.trace import Trace
from bmsthermal.reduced.training import Case

MESH = Mesh(8, 3, 4, ParticleGrid(6), ParticleGrid(6))
#: Two to train, and one more to judge by.
CASES = (
    Case("2C", 25.0, 60.0, 2.0, 1.0, 400.0),
    Case("us06", 25.0, 60.0, 1.5, 0.7, 180.0),
    Case("udds", 15.0, 20.0, 1.5, 0.6, 180.0),
)


@cache
def full_model() -> CoupledModel:
    return CoupledModel(load_cell("lgm50_21700"), mesh=MESH, nodes=8)


@cache
def traces() -> tuple[Trace, ...]:
    """Of all cases."""
    with tempfile.TemporaryDirectory() as folder:
        return sweep(full_model(), CASES, workers=1, cache=Path(folder))


@cache
def ingredients() -> Ingredients:
    """Of the two that train, for steps of 1 s."""
    return Ingredients(full_model(), traces()[:2], 1.0)

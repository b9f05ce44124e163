"""What a scenario says of its plant, and how far its cells are off what the file says."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from bmsthermal.curves import Array
from hil.config import CONFIG

#: Most cells of a module, and most of a relative spread: beyond it a log-normal number is no tolerance any more.
MOST_CELLS, WIDEST = 1000, 0.5
_Sigma = Annotated[float, Field(ge=0, le=WIDEST)]


class Spread(BaseModel):
    """Relative standard deviation of each parameter between the cell file and the cells of the plant.

    Each cell has a factor of its own on each, log-normal with mean exactly 1: ``exp(s g - s^2/2)``, `g` standard
    normal and ``s^2 = ln(1 + sigma^2)``, which has the standard deviation `sigma`. The observer keeps the
    values of the file.
    """

    model_config = CONFIG

    capacity: _Sigma = 0.01
    """Of the charge that a cell holds."""
    resistance: _Sigma = 0.03
    """Of the resistance that makes the heat."""
    heat_transfer: _Sigma = 0.05
    """Of the heat transfer from the surface to the coolant."""
    conductivity: _Sigma = 0.05
    """Of every conductance inside the cell."""
    heat_capacity: _Sigma = 0.02
    """Of the heat that a cell holds."""


class PlantSpec(BaseModel):
    """The plant of a scenario."""

    model_config = CONFIG

    model: Literal["conduction", "coupled", "full"] = "conduction"
    """``conduction``: every node of the full conduction, heat from the file's open-circuit voltage, entropy and DC
    resistance; ``coupled``: the reduced electrochemical model; ``full``: the five-field electrochemical model."""
    cells: Annotated[int, Field(ge=1, le=MOST_CELLS)] = 1
    """Cells in series."""
    order: Annotated[int, Field(ge=2)] | None = None
    """States: of ``conduction`` all that the full model has by default, of ``coupled`` as many as its errors need."""
    thermal: Literal["through", "r-z"] | None = None
    """Whether heat flows ``through`` the cell alone, or in ``r-z`` along its axis too; by default as the file says."""
    h_W_m2K: Annotated[float, Field(ge=0, le=1e5)] | dict[str, Annotated[float, Field(ge=0, le=1e5)]] | None = None
    """Heat transfer of all faces or of each in W/m2K, with its cooling at 1; by default that of the cell file."""
    spread: Spread = Spread()
    """How far the cells are off the file."""
    file: Path | None = None
    """Reduced cell of ``coupled``, an ``.npz`` of ``bmsthermal reduce``; by default it is made once and kept."""


@dataclass(frozen=True)
class Factors:
    """What multiplies the file's parameters, ``(cells,)`` each; see `Spread`."""

    capacity: Array
    resistance: Array
    heat_transfer: Array
    conductivity: Array
    heat_capacity: Array

    @classmethod
    def draw(cls, spread: Spread, cells: int, seed: int) -> Factors:
        """Draw them: the same seed gives the same cells, the first ones of a longer module too."""
        return cls(**{each.name: _draw(getattr(spread, each.name), each.name, cells, seed) for each in fields(cls)})

    def of(self, cell: int) -> Factors:
        """Return those of one cell."""
        return Factors(**{each.name: getattr(self, each.name)[cell : cell + 1] for each in fields(self)})


def _draw(sigma: float, name: str, cells: int, seed: int) -> Array:
    # a stream for each name: another spread of one parameter leaves the others as they were
    s2 = np.log1p(sigma**2)
    drawn = np.random.default_rng([seed, zlib.crc32(name.encode())]).standard_normal(cells)
    return np.asarray(np.exp(np.sqrt(s2) * drawn - s2 / 2))

"""White noise: each channel has chance of its own, so that one more does not move that of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bmsthermal.curves import Array

#: Draws of a channel at once.
_BLOCK = 64


class Noise:
    """Standard normal numbers of channels.

    Parameters
    ----------
    names
        Of the channels: a channel's numbers follow from its name and the seed alone.
    seed
        Of the run.
    """

    def __init__(self, names: Sequence[str], seed: int) -> None:
        self._sources = [np.random.default_rng([seed, *name.encode()]) for name in names]
        self._block, self._used = np.empty((_BLOCK, len(names))), _BLOCK

    def draw(self) -> Array:
        """Return the next number of each channel, ``(channels,)``."""
        if self._used == _BLOCK:
            for k, source in enumerate(self._sources):
                self._block[:, k] = source.standard_normal(_BLOCK)
            self._used = 0
        self._used += 1
        row: Array = self._block[self._used - 1]
        return row

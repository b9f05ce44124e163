"""A truth that stands still, or follows a formula, for tests of sensors and faults."""

import numpy as np

from hil.signals import Truth


def truth(time_s=0.0, cells=1, sensors=1, surface_K=298.15, ambient_K=None, current_A=5.0, **other):
    """All cells alike; `surface_K` may be ``(cells, sensors)``."""

    def each(value):
        return np.array(np.broadcast_to(float(value) if np.isscalar(value) else value, cells), float)

    surfaces_K = np.array(np.broadcast_to(surface_K, (cells, sensors)), float)
    given = {
        "current_A": each(current_A), "voltage_V": each(3.3), "soc": each(0.5),
        "core_K": surfaces_K.mean(axis=1) + 5, "mean_K": surfaces_K.mean(axis=1) + 3,
        "ambient_K": each(surfaces_K.mean() if ambient_K is None else ambient_K), "heat_W": each(1.0),
    }  # fmt: skip
    return Truth(time_s=time_s, surfaces_K=surfaces_K, **given | {key: each(value) for key, value in other.items()})

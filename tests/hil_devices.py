"""Readings for tests of devices, and observers of each kind."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from test_firmware_export_bundle import observer

from hil.signals import Answer, Readings, Status

__all__ = ["Answer", "Readings", "Status", "drive", "observer", "same", "said"]


def drive(observer, steps, cells=1, seed=0, first_s=0.0):
    """Readings of so many steps, with what is absent and what is absurd."""
    rng, sensors = np.random.default_rng(seed), len(observer.measured)
    volts = 3.3 if not hasattr(observer, "coupled") else 3.7
    current = np.convolve(rng.normal(1.0, 6.0, steps), np.ones(8) / 4)[:steps]
    voltage = volts - 0.015 * current[:, None] + rng.normal(0, 0.003, (steps, cells))
    ambient = 295.0 + 3.0 * np.sin(np.arange(steps) / 200.0)
    surfaces = 299.0 + np.cumsum(rng.normal(0, 0.02, (steps, cells, sensors)), axis=0)
    for each in (current, voltage, ambient, surfaces):
        each[rng.random(each.shape) < 0.05] = np.nan
    current[30:33], voltage[40:41] = np.inf, -1e9
    surfaces[50:60, 0, 0], surfaces[70:75, -1, -1], surfaces[80:90] = 190.0, -np.inf, np.nan
    step_s = observer.reduced.step_s
    return [
        Readings(first_s + (k + 1) * step_s, float(current[k]), voltage[k], float(ambient[k]), surfaces[k])
        for k in range(steps)
    ]


def said(device, readings, soc=0.6):
    """Core, sigma, codes and flag along a run, begun anew; and that all were answers."""
    device.reset(readings[0], soc)
    answers = [device.step(each) for each in readings]
    assert all(answer.status == Status.OK for answer in answers)
    assert [answer.time_s for answer in answers] == [each.time_s for each in readings]
    names = ("core_K", "core_std_K", "fault", "heat_fault")
    return tuple(np.array([getattr(answer, name) for answer in answers]) for name in names)


def same(one, other):
    """Whether two runs have the same bytes."""
    return all(a.tobytes() == b.tobytes() and a.shape == b.shape for a, b in zip(one, other, strict=True))

"""What a bench engineer asks of a bench by its verbs, and what the observer must answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hil.loop import Bench

Opener = Callable[..., Bench]


def test_read_estimate_beside_truth(bench: Opener) -> None:
    """After ten minutes of a drive the estimate is within three sigma of the core."""
    opened = bench("us06")
    opened.step(600)
    assert abs(opened.read("core_degC") - opened.read("true_core_degC")) < 3 * opened.read("core_std_K")


def test_write_cooling_off_warms_the_cell(bench: Opener) -> None:
    """Of two cells on one drive, the one without cooling ends warmer."""
    ends = []
    for cooling in (1.0, 0.0):
        opened = bench("us06")
        opened.write("cooling", cooling)
        opened.step(500)
        ends.append(opened.read("true_core_degC"))
    assert ends[1] > ends[0]


def test_capture_rest_relaxes_the_gradient(bench: Opener) -> None:
    """Without current the core and the surface come together, and the estimate follows."""
    opened = bench("us06")
    opened.step(500)
    opened.write("command_A", 0.0)
    capture = opened.capture("true_core_degC", "true_surface_degC", "core_degC")
    opened.step(60)
    apart = capture["true_core_degC"] - capture["true_surface_degC"]
    assert abs(apart[-1]) < abs(apart[0])
    assert np.isfinite(capture["core_degC"]).all()


def test_stimulate_reading_beyond_its_range_is_flagged(bench: Opener) -> None:
    """A reading that runs to 300 degC is no cell's: the device flags it, or is told that it is invalid."""
    opened = bench("us06_sensor_drift")
    sensor = opened.sensors[0]
    opened.step(60)
    opened.stimulate(f"seen_{sensor}_degC", [0.0, 60.0], [25.0, 300.0])
    opened.step(180)
    assert opened.read(f"fault_{sensor}") > 0

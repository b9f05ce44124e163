"""The demonstration, end to end."""

import shutil

import numpy as np
import pytest

from hil.demo import SETTLED_S, demonstrate, drive_current


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    begun: list[str] = []
    return demonstrate(folder, "a123_26650", begun.append), folder, begun


def test_it_says_each_step_and_leaves_pictures_and_code(made):
    demo, folder, begun = made
    assert len(begun) == 7
    for name in ("demo.png", "certificate.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert (folder / "c" / "Makefile").exists()
    demo.certificate.verify()


def test_the_observer_forgets_its_wrong_start_and_beats_the_surface(made):
    demo, _, _ = made
    late = demo.truth.time_s >= SETTLED_S
    error = (demo.estimates.core_K - demo.truth.core_K)[late]
    surface = (demo.seen.surfaces_K["surface"] - demo.truth.core_K)[late]
    assert abs(demo.estimates.core_K[0] - demo.truth.core_K[0]) > 9.0
    # 0.1 K of sensor noise, amplified by at most 1.5 through the gradient
    assert np.sqrt(np.mean(error**2)) < 0.15
    assert np.sqrt(np.mean(surface**2)) > 5 * np.sqrt(np.mean(error**2))


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on this machine")
def test_the_exported_code_ran_here(made):
    demo, _, _ = made
    assert demo.host is not None
    assert demo.host.passed
    assert any("bytes" in value for _, value in demo.rows())


def test_the_drive_is_the_public_schedule_through_the_vehicle():
    time_s, current_A = drive_current(2)
    assert len(time_s) == 1200
    assert (np.diff(time_s) == 1.0).all()
    # the vehicle brakes electrically: both signs, and a net discharge
    assert current_A.min() < 0 < current_A.sum()

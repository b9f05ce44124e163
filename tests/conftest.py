"""What several test files share: the public measurements, a drive, and a cell of each shape."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from bmsthermal import Cell, CoupledModel, ReducedModel, Run, load_cell
from bmsthermal.vehicle import Vehicle, load_schedule

# a loaded machine is slow, not wrong; CI tries the same examples every time
settings.register_profile("calm", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("calm")

#: What a reason says where a test was skipped for want of something else than a tool.
NO_TOOL = ("not beside the project", "BMSTHERMAL_FULL", "Windows")


def demanded(report):
    """A skip for want of a tool hides a hole: where BMSTHERMAL_NEEDS_TOOLS says that all are there, it fails."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("BMSTHERMAL_NEEDS_TOOLS"):
        *_, reason = report.longrepr
        if not any(words in reason for words in NO_TOOL):
            report.outcome, report.longrepr = "failed", f"BMSTHERMAL_NEEDS_TOOLS is set, and this was {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return demanded((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return demanded((yield))


SLAB = {
    "Form factor": {"description": "slab"},
    "Cell thickness [m]": 0.012,
    "Cell area [m2]": 0.00285,
    "Through-plane thermal conductivity [W.m-1.K-1]": 0.6,
    "Heat transfer coefficient [W.m-2.K-1]": {"back": 80.0, "front": 15.0},
}


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the public measurements."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the public measurements are not beside the project")
    return folder


@pytest.fixture(scope="session")
def a123() -> Cell:
    return load_cell("a123_26650")


@pytest.fixture(scope="session")
def slab(a123: Cell) -> Cell:
    """A pouch of our own with two faces that are cooled differently."""
    return a123.with_values(SLAB, "slab")


@pytest.fixture(scope="session")
def reduced(a123: Cell) -> ReducedModel:
    return CoupledModel(a123, heat="measured").reduce(order=4)


@pytest.fixture(scope="session")
def us06() -> Run:
    """A US06 drive of an A123 26650 at 25 degC, without voltage and without sensors."""
    time_s, speed = load_schedule("us06")
    current = Vehicle().cell_current_A(time_s, speed)
    return Run(time_s, current, np.full(time_s.size, np.nan), np.full(time_s.size, 298.15), name="us06")

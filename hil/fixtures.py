"""A pytest plugin: benches as a fixture, for the cases of this package and for a user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hil.loop import Bench


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which device the benches have."""
    group = parser.getgroup("bmsthermal", "hardware in the loop")
    group.addoption("--hil-device", default="sil", help="Device of the benches, see bmsthermal hil run (default: sil).")


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """Name the device under test: what ``--hil-device`` says."""
    return str(request.config.getoption("--hil-device"))


@pytest.fixture
def bench(device: str) -> Iterator[Callable[..., Bench]]:
    """Open benches that are closed when the test ends: ``bench("us06")``; see `hil.bench.open_bench`."""
    from hil.bench import open_bench

    opened: list[Bench] = []

    def opener(scenario: Any, **given: Any) -> Bench:
        opened.append(open_bench(scenario, **{"device": device} | given))
        return opened[-1]

    yield opener
    for each in opened:
        each.device.close()

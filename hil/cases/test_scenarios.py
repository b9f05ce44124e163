"""Each shipped scenario meets its requirements."""

from __future__ import annotations

import pytest

from hil.bench import run_scenario
from hil.scenario import shipped


@pytest.mark.parametrize("name", sorted(shipped()))
def test_scenario(name: str, device: str) -> None:
    """A run to the end, and no requirement that fails or goes unjudged."""
    outcome = run_scenario(name, device=device)
    missed = [f"{each.requirement}: {each.found}, asked {each.bound}" for each in outcome.results if not each.passed]
    assert outcome.passed, "; ".join([outcome.ended, *missed])

"""A bench from a scenario: its parts put together, run, judged and digested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bmsthermal.cell import Cell, load_cell
from bmsthermal.curves import Array
from bmsthermal.files import ZERO_DEGC_K
from hil.devices import make_device
from hil.equality import equality
from hil.faults import Injector
from hil.loop import Bench
from hil.outcome import Outcome
from hil.plant import build_plant
from hil.profile import Profile
from hil.requirements import judge
from hil.scenario import Scenario, load_scenario
from hil.sensors import SensorChain
from hil.timing import Overrun, Pacer, open_clock

#: Called with names and row after each step.
Seen = Callable[[tuple[str, ...], Array], None]


def open_bench(
    scenario: Scenario | str, *, device: str = "sil", clock: str = "virtual", policy: str = "slip",
    seen: Seen | None = None,
) -> Bench:  # fmt: skip
    """Put a bench together.

    Parameters
    ----------
    scenario
        A scenario, the name of a shipped one, or its file.
    device
        ``model``, ``sil``, ``emulated:CORE``, ``fmu``, ``can`` or ``serial:PORT``, see `hil.devices.make_device`.
    clock
        ``virtual``, ``scaled:FACTOR`` or ``real``, see `hil.timing`.
    policy
        What becomes of a step that begins late: ``slip``, ``drop``, ``catch-up:N`` or ``abort:N``.
    seen
        Called with names and row after each step.

    Returns
    -------
    Bench
        To be closed, best by ``with``.

    Raises
    ------
    InputError
        If one of them is none, or something that it needs is not installed.
    """
    if not isinstance(scenario, Scenario):
        scenario = load_scenario(scenario)
    cell = scenario.load_cell()
    ...

"""A loop that overruns, on purpose and on the virtual clock: what the bench counts, and what it leaves."""

import numpy as np
import pytest

from hil.bench import open_bench
from hil.scenario import Scenario
from hil.timing import Overrun

AT, STEPS = 20, 40


def late(policy):
    """A bench whose steps 20 to 24, of 1 s each, take 2.5 s; all others take no time."""
    scenario = Scenario.model_validate({
        "name": "late", "title": "a loop that overruns", "initial_soc": 0.5, "duration_s": float(STEPS),
        "profile": [{"kind": "steps", "steps": f"rest {STEPS} s"}],
        "faults": [{"kind": "timing", "name": "slow", "at_s": float(AT), "duration_s": 5.0, "overrun_s": 2.5}],
        "requirements": [{"id": "TIME", "kind": "overruns"}],
    })  # fmt: skip
    return open_bench(scenario, device="model", policy=policy)


@pytest.mark.parametrize(
    ("policy", "overruns", "skipped", "steps"),
    [
        ("slip", 5, 0, 40),  # each of the five, and the next one begins anew
        ("drop", 2, 4, 36),  # 20 and 23 are run, 21, 22, 24 and 25 are not
        ("catch-up:100", 12, 0, 40),  # at 32.5 s they are done with 24, and nothing is late from 33 on
    ],
)
def test_a_lasting_overrun_is_counted_and_the_record_is_whole(policy, overruns, skipped, steps):
    with late(policy) as bench:
        record = bench.run()
        report = bench.pacer.report()
    assert np.array_equal(record.time_s, np.arange(1.0, STEPS + 1))
    assert np.isfinite(record["true_core_degC"]).all()
    assert (report["overruns"], report["skipped"], report["steps"]) == (overruns, skipped, steps)


def test_abort_ends_the_run_with_what_there_is():
    with late("abort:3") as bench:
        with pytest.raises(Overrun, match=r"^3 overruns, the last by"):
            bench.run()
        assert bench.done == AT + 3
        assert np.isfinite(bench.record["true_core_degC"]).all()

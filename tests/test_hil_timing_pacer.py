"""The accounting of time, on clocks that go as told: exact, whatever the machine does."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal.errors import InputError
from hil.timing import EDGES_S, POLICIES, FakeClock, Histogram, Overrun, Pacer, Policy, VirtualClock

QUIET = 0.25


def run(times, policy, steps, grace=0, late=()):
    """Steps that take so long each, with a period of 1 s; ticks and pacer."""
    clock = FakeClock(late)
    pacer = Pacer(clock, 1.0, policy, grace)
    ticks, ends, work = [], [], iter(times)
    try:
        for tick in pacer.ticks(steps):
            ticks.append((tick.index, tick.deadline_s, tick.lateness_s, tick.skipped))
            with pacer.task("work"):
                pacer.burn(next(work, QUIET))
            ends.append(clock.now())
    except Overrun:
        ends.append(None)
    return ticks, ends, pacer


# the second step takes 2.5 s: index, deadline, lateness, skipped of each tick; overruns, longest run, skipped, slipped
ONE_LONG = {
    "slip": (
        [(0, 0, 0, 0), (1, 1, 0, 0), (2, 2, 1.5, 0), (3, 4.5, 0, 0), (4, 5.5, 0, 0), (5, 6.5, 0, 0)], 1, 1, 0, 1.5
    ),
    "drop": ([(0, 0, 0, 0), (1, 1, 0, 0), (4, 4, 0, 2), (5, 5, 0, 0)], 1, 1, 2, 0),
    "catch-up:1": ([(0, 0, 0, 0), (1, 1, 0, 0), (2, 2, 1.5, 0), (4, 4, 0, 1), (5, 5, 0, 0)], 2, 2, 1, 0),
    "catch-up:3": (
        [(0, 0, 0, 0), (1, 1, 0, 0), (2, 2, 1.5, 0), (3, 3, 0.75, 0), (4, 4, 0, 0), (5, 5, 0, 0)], 2, 2, 0, 0
    ),
    "abort:3": ([(0, 0, 0, 0), (1, 1, 0, 0), (2, 2, 1.5, 0), (3, 3, 0.75, 0), (4, 4, 0, 0), (5, 5, 0, 0)], 2, 2, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("policy", ONE_LONG)
def test_one_long_step(policy):
    ticks, _, pacer = run([QUIET, 2.5], policy, 6)
    expected, overruns, longest, skipped, slipped = ONE_LONG[policy]
    assert ticks == expected
    report = pacer.report()
    found = report["overruns"], report["longest_run"], report["skipped"], report["slipped_s"], report["steps"]
    assert found == (overruns, longest, skipped, slipped, len(expected))
    assert report["lateness"]["max_s"] == max(late for _, _, late, _ in expected)
    # the task ends with its step: its own overruns are those of the step
    assert report["tasks"]["work"]["overruns"] == overruns
    execution = [2.5 if k == 1 else QUIET for k in range(len(expected))]
    assert report["tasks"]["work"]["execution"]["counts"] == counted(execution)


def counted(times):
    edges = [-np.inf, *EDGES_S, np.inf]
    return [sum(low <= t < high for t in times) for low, high in pairwise(edges)]


def test_abort_gives_up_at_the_nth_overrun_and_says_which():
    pacer = Pacer(FakeClock(), 0.5, "abort:2")
    seen = []
    with pytest.raises(Overrun, match=r"^2 overruns, the last by 250 ms in step 3; the policy is abort:2$"):
        for tick in pacer.ticks(10):
            seen.append(tick.index)
            pacer.burn({0: 0.75, 3: 0.75}.get(tick.index, 0.125))
    assert seen == [0, 1, 2, 3]
    assert pacer.report()["overruns"] == 2


def test_a_step_that_takes_its_whole_period_is_in_time():
    ticks, _, pacer = run([1.0] * 4, "abort:1", 4)
    assert [late for _, _, late, _ in ticks] == [0.0] * 4
    assert pacer.report()["overruns"] == 0


def test_the_start_up_grace_counts_nothing_and_moves_the_grid():
    ticks, _, pacer = run([3.5, 1.25], "abort:1", 5, grace=2)
    assert ticks == [(0, 0, 0, 0), (1, 1, 2.5, 0), (2, 4.5, 0.25, 0), (3, 5.75, 0, 0), (4, 6.75, 0, 0)]
    report = pacer.report()
    assert report["overruns"] == 0
    assert report["grace"] == {"steps": 2, "overruns": 2, "longest_run": 2}
    assert report["lateness"]["count"] == report["tasks"]["work"]["execution"]["count"] == 3
    assert report["tasks"]["work"]["overruns"] == 0


def test_a_kernel_that_wakes_late_makes_lateness_and_no_overrun():
    ticks, _, pacer = run([QUIET] * 4, "drop", 4, late=[0.125, 0.5, 0.0, 0.75])
    assert ticks == [(0, 0, 0.125, 0), (1, 1, 0.5, 0), (2, 2, 0, 0), (3, 3, 0.75, 0)]
    report = pacer.report()
    assert report["overruns"] == report["skipped"] == 0
    assert report["lateness"]["counts"] == counted([0.125, 0.5, 0.0, 0.75])


def test_the_last_period_is_never_dropped():
    ticks, _, pacer = run([QUIET, 7.5], "drop", 5)
    assert ticks == [(0, 0, 0, 0), (1, 1, 0, 0), (4, 4, 4.5, 2)]
    assert pacer.report()["skipped"] == 2


def test_a_slow_rate_has_until_its_own_next_release():
    clock = VirtualClock()
    pacer = Pacer(clock, 1.0, "drop")
    slow = pacer.task("slow", every=4)
    ran = []
    for tick in pacer.ticks(16):
        with pacer.task("fast"):
            clock.spend(0.125)
        if slow.due(tick):
            ran.append(tick.index)
            with slow:
                clock.spend({4: 3.0, 12: 4.5}.get(tick.index, 0.25))
    # the step of period 4 is over at 7.125 and that of period 12 past the end: the last one is run whatever happens
    assert ran == [0, 4, 8, 12]
    tasks = pacer.report()["tasks"]
    assert tasks["slow"]["every"] == 4
    assert (tasks["slow"]["overruns"], tasks["fast"]["overruns"]) == (1, 1)
    assert tasks["slow"]["execution"]["counts"] == counted([0.25, 3.0, 0.25, 4.5])
    assert pacer.report()["overruns"] == 3


def test_a_release_in_a_dropped_period_comes_with_the_next_tick():
    pacer = Pacer(FakeClock(), 1.0, "drop")
    slow = pacer.task("slow", every=4)
    ran = []
    for tick in pacer.ticks(12):
        if slow.due(tick):
            ran.append(tick.index)
        pacer.burn(3.5 if tick.index == 2 else 0.5)
    assert ran == [0, 6, 8]


def test_a_task_outside_of_the_ticks_is_measured_and_never_late():
    clock = VirtualClock()
    pacer = Pacer(clock, 1.0)
    with pacer.task("plant"):
        clock.spend(5.0)
    report = pacer.report()["tasks"]["plant"]
    assert report["overruns"] == 0
    assert report["execution"]["max_s"] == 5.0


def test_quantiles_are_upper_edges_and_never_more_than_the_largest():
    found = Histogram()
    assert found.report() | {"counts": None} == {
        "count": 0, "mean_s": 0.0, "p50_s": 0.0, "p99_s": 0.0, "p99_9_s": 0.0, "max_s": 0.0, "counts": None,
    }  # fmt: skip
    for _ in range(98):
        found.add(EDGES_S[40])
    found.add(0.0)
    found.add(1e6)
    report = found.report()
    assert sum(report["counts"]) == report["count"] == 100
    assert (report["counts"][0], report["counts"][41], report["counts"][-1]) == (1, 98, 1)
    assert (report["p50_s"], report["p99_s"], report["p99_9_s"]) == (EDGES_S[41], EDGES_S[41], 1e6)


def test_edges_are_twenty_a_decade_and_increase():
    assert EDGES_S[0] == 1e-7
    assert EDGES_S[-1] == 100.0
    # rounded to four digits
    assert np.allclose(np.diff(np.log10(EDGES_S)), 0.05, atol=5e-4)


policies = st.sampled_from(["slip", "drop", "catch-up:1", "catch-up:2", "catch-up:5", "abort:1", "abort:4"])
# sixty-fourths: sums of them are exact
durations = st.lists(st.integers(0, 400).map(lambda n: n / 64), min_size=1, max_size=40)


@given(times=durations, policy=policies, grace=st.integers(0, 3))
def test_whatever_the_steps_take(times, policy, grace):
    steps = len(times)
    ticks, ends, pacer = run(times, policy, steps, grace)
    index, deadline, late, skipped = (np.array(column) for column in zip(*ticks, strict=True))
    assert (np.cumsum(1 + skipped) == index + 1).all()
    assert (np.diff(deadline) >= 1).all()
    assert (late >= 0).all()
    aborted = ends[-1] is None
    if aborted:
        del ends[-1]
    else:
        assert index[-1] == steps - 1
    # what was not yet counted moved the grid, as slip does: such a step has its whole period from where it began
    shifted = np.array([policy == "slip" or k <= grace for k in index])
    over = np.array(ends) > deadline + np.where(shifted, late, 0.0) + 1
    counting = index >= grace
    report = pacer.report()
    assert report["overruns"] == np.count_nonzero(over & counting)
    assert report["grace"]["overruns"] == np.count_nonzero(over & ~counting)
    assert report["steps"] == len(ticks)
    assert report["skipped"] == skipped.sum()
    assert sum(report["lateness"]["counts"]) == np.count_nonzero(counting)
    assert report["tasks"]["work"]["execution"]["counts"] == counted(np.array(times[: len(ticks)])[counting])
    kind, _, limit = policy.partition(":")
    assert aborted == (kind == "abort" and report["overruns"] >= int(limit))
    if kind == "slip":
        assert report["slipped_s"] == late.sum()
    if kind == "catch-up":  # but for the last, which is never dropped
        assert longest(late[(index > grace) & (index < steps - 1)] > 0) <= int(limit)
    if kind == "drop":
        assert not late[(index > grace) & (index < steps - 1)].any()


def longest(flags):
    best = run_ = 0
    for flag in flags:
        run_ = run_ + 1 if flag else 0
        best = max(best, run_)
    return best


@given(steps=st.integers(0, 50), period=st.floats(1e-3, 10.0), policy=policies)
def test_a_virtual_clock_is_never_late(steps, period, policy):
    pacer = Pacer(VirtualClock(), period, policy)
    ticks = list(pacer.ticks(steps))
    assert [tick.index for tick in ticks] == list(range(steps))
    assert not any(tick.lateness_s or tick.skipped for tick in ticks)
    report = pacer.report()
    assert report["overruns"] == report["lateness"]["max_s"] == 0
    assert "load" not in report  # nothing that differs between two runs


def test_the_report_is_plain_json():
    _, _, pacer = run([0.5, 3.0], "slip", 4)
    report = pacer.report()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert len(report["edges_s"]) + 1 == len(report["lateness"]["counts"])


@pytest.mark.parametrize("text", ["slip", "drop", "catch-up:3", "abort:5"])
def test_a_policy_is_what_it_says(text):
    assert str(Policy.parse(text)) == text


@pytest.mark.parametrize("text", ["", "skip", "slip:2", "catch-up", "catch-up:0", "catch-up:-1", "abort:", "abort:x"])
def test_no_policy(text):
    with pytest.raises(InputError, match=r"expected slip, drop, catch-up:N, abort:N with N at least 1") as found:
        Policy.parse(text)
    assert repr(text) in str(found.value)
    assert set(POLICIES) == {"slip", "drop", "catch-up:N", "abort:N"}


@pytest.mark.parametrize("period", [0.0, -1.0, float("nan"), float("inf")])
def test_no_period(period):
    with pytest.raises(InputError, match="positive period"):
        Pacer(VirtualClock(), period)

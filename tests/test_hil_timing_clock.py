"""Clocks: what they answer, and that they agree with a wall clock without being held to it."""

import time

import pytest

from bmsthermal.errors import InputError
from hil.timing import FakeClock, RealClock, ScaledClock, VirtualClock, open_clock


def test_a_virtual_clock_stands_still_until_it_is_told():
    clock = VirtualClock()
    assert clock.now() == clock.now() == 0.0
    clock.sleep_until(3.0)
    clock.sleep_until(2.0)
    assert clock.now() == 3.0
    clock.spend(0.5)
    assert clock.now() == 3.5
    assert not clock.real


def test_sleeps_of_a_fake_clock_end_as_late_as_told():
    clock = FakeClock([0.25, 0.5])
    found = []
    for deadline in (1.0, 2.0, 3.0):
        clock.sleep_until(deadline)
        found.append(clock.now())
    assert found == [1.25, 2.5, 3.0]


@pytest.mark.parametrize(("clock", "factor"), [(RealClock(), 1.0), (ScaledClock(50.0), 50.0), (ScaledClock(0.5), 0.5)])
def test_a_clock_that_runs_never_wakes_early_nor_goes_faster_than_it_should(clock, factor):
    assert clock.real
    wall, begun = time.perf_counter(), clock.now()
    clock.sleep_until(begun + 0.004 * factor)
    assert clock.now() >= begun + 0.004 * factor
    begun = clock.now()
    clock.spend(0.001 * factor)
    assert clock.now() >= begun + 0.001 * factor
    clock.sleep_until(begun)  # past: at once
    spent = time.perf_counter() - wall
    assert spent >= 0.005
    assert clock.now() - begun <= spent * factor


def test_clocks_by_name():
    assert type(open_clock("virtual")) is VirtualClock
    assert type(open_clock("real")) is RealClock
    for text in ("scaled:10", "scaled:0.5"):
        clock = open_clock(text)
        assert clock.name == text
        assert clock.real
    assert [open_clock(each).name for each in ("virtual", "real")] == ["virtual", "real"]


@pytest.mark.parametrize("text", ["", "wall", "scaled", "scaled:", "scaled:0", "scaled:-2", "scaled:inf", "real:2"])
def test_no_clock(text):
    with pytest.raises(InputError, match=r"no clock .*expected virtual, real or scaled:FACTOR"):
        open_clock(text)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_no_factor(factor):
    with pytest.raises(InputError, match=r"expected 0\.001 to 1e\+06"):
        ScaledClock(factor)

"""Cases of a reduction: where they lie, and the currents that they mean."""

from __future__ import annotations

import numpy as np
import pytest

from bmsthermal import InputError, load_cell
from bmsthermal.reduced.range import Range
from bmsthermal.reduced.training import Case, check_cases, current, middle_h, training_cases
from bmsthermal.vehicle import schedules

WANTED = [
    Range(),
    Range((25.0, 25.0), (60.0, 60.0), (0.2, 0.8), (1.0, 1.0)),
    Range((30.0, 40.0), (0.0, 0.0), (0.8, 0.9), (4.0, 6.0)),
    Range((-20.0, 0.0), (0.0, 500.0), (0.0, 0.5), (0.05, 0.2)),
]


@pytest.fixture(scope="module")
def cell():
    return load_cell("lgm50_21700")


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("made", [training_cases, check_cases])
def test_cases_lie_in_the_range_and_reach_its_ends(made, wanted):
    cases = made(wanted)
    assert len(set(cases)) == len(cases) == len({case.name for case in cases})
    for name in ("ambient_degC", "h"):
        low, high = getattr(wanted, name)
        assert all(low <= getattr(case, name) <= high for case in cases)
    assert {case.ambient_degC for case in cases} >= {*wanted.ambient_degC}
    constants, drives = ([case for case in cases if case.drive is which] for which in (False, True))
    assert {case.c_rate for case in constants} >= {*wanted.c_rate}
    assert {case.initial_soc for case in constants} == {wanted.soc[1]}
    assert {case.c_rate for case in drives} == {min(2.5, wanted.c_rate[1])}
    assert all(wanted.soc[0] < case.initial_soc <= min(wanted.soc[1], 1.0) for case in drives)
    assert all(case.duration_s for case in drives)


def test_a_reduction_is_judged_where_it_was_not_made():
    made, judged = training_cases(Range()), check_cases(Range())
    assert not {*made} & {*judged}
    assert {case.h for case in made} == {middle_h(Range())}
    assert {case.h for case in judged if not case.drive} == {*Range().h}
    for name in ("us06", "udds", "wltc_3b"):  # each drive meets every ambient and every cooling
        met = [case for case in judged if case.profile == name]
        assert len({case.ambient_degC for case in met}) == len({case.h for case in met}) == len(met) == 3


def test_other_schedules_and_unknown_ones():
    names = {case.profile for case in training_cases(Range(), ("udds", "hwfet")) if case.drive}
    assert names == {"udds", "hwfet"}
    with pytest.raises(InputError, match="us06"):
        training_cases(Range(), ("us07",))


def test_the_middle_of_h_is_geometric():
    assert middle_h(Range(h=(10.0, 1000.0))) == 100.0
    assert middle_h(Range(h=(0.0, 100.0))) == 10.0
    assert middle_h(Range(h=(12.3456, 12.3456))) == 12.3456


@pytest.mark.parametrize("name", schedules())
def test_a_drive_peaks_at_its_rate_and_repeats_exactly(cell, name):
    run = current(Case(name, 10.0, 20.0, 2.0, 0.7, 4000.0), cell)
    np.testing.assert_array_equal(run.time_s, np.arange(4001.0))
    assert np.abs(run.current_A).max() == pytest.approx(2.0 * cell.capacity_Ah, rel=1e-14)
    assert (run.ambient_K == 283.15).all()
    period = {"hwfet": 765, "udds": 1369, "us06": 600, "wltc_3b": 1800}[name]
    np.testing.assert_array_equal(run.current_A[period:], run.current_A[:-period])


def test_a_drive_without_a_duration_uses_the_charge_up(cell):
    run = current(Case("us06", 25.0, 20.0, 2.5, 0.7), cell)
    assert run.current_A[:-1].sum() >= 0.7 * 3600 * cell.capacity_Ah
    assert current(Case("us06", 25.0, 20.0, 2.5, 0.7, 10.5), cell).time_s[-1] == 10.5


def test_a_constant_discharge_is_the_text_of_a_step(cell):
    assert current(Case("2C", 25.0, 20.0, 2.0, 1.0), cell) == "discharge at 2.0 C until 2.5 V"
    assert current(Case("2C", 25.0, 20.0, 2.0, 1.0, 60.0), cell) == "discharge at 2.0 C for 60.0 s until 2.5 V"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("3C", 25.0, 20.0, 2.0, 1.0), "2C or one of"),
        (("drive", 25.0, 20.0, 2.0, 1.0), "us06"),
        (("2C", np.nan, 20.0, 2.0, 1.0), "ambient_degC"),
        (("2C", 25.0, -1.0, 2.0, 1.0), "h=-1"),
        (("2C", 25.0, 20.0, 0.0, 1.0), "above 0"),
        (("2C", 25.0, 20.0, 2.0, 70.0), "to 1"),
        (("us06", 25.0, 20.0, 2.0, 0.7, 0.0), "duration_s"),
        (("us06", 25.0, 20.0, 2.0, 0.7, 1e9), "duration_s"),
    ],
)
def test_a_case_that_cannot_be_is_refused(values, words):
    with pytest.raises(InputError, match=words):
        Case(*values)

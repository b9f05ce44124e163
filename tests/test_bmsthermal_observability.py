import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bmsthermal import CoupledModel, Observer, Run, load_cell
from bmsthermal.cli import main
from bmsthermal.errors import InputError
from bmsthermal.information import DRIVE_S, SURE, passage, uncertainty
from bmsthermal.joint import JointFilter, JointNoise
from bmsthermal.observability import observability
from bmsthermal.operating import matrix, points
from bmsthermal.packing import pack


@cache
def reduced(cell="a123_26650", thermal=None):
    order = 8 if thermal else 4
    return CoupledModel(load_cell(cell), heat="measured", thermal=thermal).reduce(order=order)


def seen(sensors=("surface",), kinds=("h", "heat"), cell="a123_26650", thermal=None, **given):
    return observability(Observer(reduced(cell, thermal), sensors), kinds, **given)


def hautus(F, C):
    """Rank by eigenvectors, without powers of F: what no output row sees of each eigenvalue (Hautus 1969)."""
    values = np.linalg.eigvals(F)
    apart = [v for i, v in enumerate(values) if np.abs(values[:i] - v).min(initial=1.0) > 1e-6]
    n = len(F)
    hidden = [n - np.linalg.matrix_rank(np.vstack([v * np.eye(n) - F, C]), tol=1e-8) for v in apart]
    return n - sum(hidden)


def test_a_level_and_the_offset_of_its_only_sensor_are_one():
    insulated, cooled = np.diag([1.0, 1.0]), np.diag([0.9, 1.0])  # level, offset
    one, two = np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])
    for F, C, rank in ((insulated, one, 1), (cooled, one, 2), (insulated, two, 2)):
        assert np.linalg.matrix_rank(matrix(F, C)) == rank == hautus(F, C)


@pytest.mark.parametrize(
    ("sensors", "kinds", "thermal"),
    [
        (("surface",), ("h",), None), (("surface",), ("bias",), None), (("a", "b"), ("h", "heat", "bias"), None),
        (("surface",), ("h", "heat"), "r-z"),
        (("surface", "surface_left", "surface_right"), ("h", "heat", "bias"), "r-z"),
    ],
)  # fmt: skip
def test_ranks_are_those_of_eigenvectors(sensors, kinds, thermal, monkeypatch):
    found = []

    def watched(F, C):
        found.append(hautus(F, C))
        return matrix(F, C)

    monkeypatch.setattr("bmsthermal.operating.matrix", watched)
    at = points(Observer(reduced("lfp_32113", thermal), sensors), sensors, kinds)
    assert [point.rank for point in at[:-1]] == found


def test_cooling_is_seen_only_where_heat_flows_through_a_wall():
    at = {point.name: point for point in seen(kinds=("h",)).points}
    for name in ("at rest, at the ambient", "walls insulated"):
        assert at[name].untold == ("h of side",) and at[name].rank == at[name].states - 1
    for name in ("at rest, 10 K warmer", "at rest, 10 K colder", "under steady heat", "over all of these"):
        assert at[name].untold == () and at[name].rank == at[name].states


def test_heat_and_cooling_are_confused_at_every_point_and_told_over_several():
    at = seen(kinds=("h", "heat")).points
    assert all(point.rank == point.states - 1 for point in at[:-1])
    assert {"h of side", "slow heat"} <= set(at[1].untold)
    assert at[-1].untold == () and at[-1].rank == at[-1].states


def test_in_r_z_one_factor_on_the_cooling_is_told_by_one_sensor():
    found = seen(cell="lfp_32113", thermal="r-z")
    assert found.names[0] == "h of all walls" and found.refused == ()
    assert found.points[-1].untold == ()


@pytest.mark.parametrize("cell", ["a123_26650", "lco_marquis"])
def test_the_column_of_the_ambient_is_a_difference(cell):
    observer = Observer(reduced(cell))
    way = passage(observer, ["surface"], ["h", "heat", "bias"])
    noise = uncertainty(observer, ["bias"])
    model = pack(replace(observer.reduced, step_s=10.0), ["surface"], noise, observer.reduced.cell.ambient_share, 0.0)
    walls, T = len(observer.reduced.walls), observer.reduced.cell.reference_K
    after = []
    for coolant in (T, T + 1.0):
        filter_ = JointFilter(model, ("h", "heat", "bias"), noise, 10.0)
        filter_.predict(np.concatenate([[0.0, np.nan, way.heat_W[0]], np.full(walls, coolant), np.full(walls, np.nan)]))
        after.append(filter_.x.copy())
    np.testing.assert_allclose(way.F[0, :-1, -1], after[1] - after[0], atol=1e-12)  # linear: rounding of 300 K


def test_the_recursion_is_the_regression_of_all_readings():
    way = passage(Observer(reduced()), ["surface"], ["h", "heat"])
    way = replace(way, F=way.F[:30], Q=0 * way.Q[:30])
    rows, moved = [], np.eye(len(way.P))
    for F in way.F:
        moved = F @ moved
        rows.append(way.H @ moved)
    all_ = np.vstack(rows)
    S = all_ @ way.P @ all_.T + way.R * np.eye(len(all_))
    P = moved @ (way.P - way.P @ all_.T @ np.linalg.solve(S, all_ @ way.P)) @ moved.T
    # variances from 1e-6 to 25 K2 in one matrix
    np.testing.assert_allclose(way.covariances()[-1], P, atol=1e-9)


def test_information_grows_with_time_and_with_sensors():
    way = passage(Observer(reduced()), ["surface"], ["h", "heat"])
    h = way.layout.of("h")
    still = replace(way, Q=0 * way.Q).covariances()[:, h, h]
    assert (np.diff(still) <= 1e-12).all() and still[-1] < 0.01 * still[0]
    one, two = seen(), seen(("surface", "surface_2"))
    for name in ("h of side", "slow heat", "core", "mean temperature", "ambient"):
        i, j = one.names.index(name), two.names.index(name)
        assert (two.sigma[:, j] <= one.sigma[:, i] + 1e-9).all()
    assert (two.information[:2] > 0).all() and two.rank >= one.rank


def test_the_analysis_says_what_the_filter_will_say():
    observer = Observer(reduced(), estimate=("h", "heat"))
    told = seen(ambient_K=SURE)
    way = passage(observer, ["surface"], ("h", "heat"))
    steps = np.repeat(way.heat_W, 10)  # readings every second, where the analysis has their mean over ten
    filter_, T = observer.filter(), observer.reduced.cell.reference_K
    begun = Observer(reduced()).start(T, 0.5, noise=filter_.noise)
    filter_.start(begun.x, begun.P, 0.5, np.array([T]))
    for watts in steps:
        x = filter_.x.copy()
        u = np.array([0.0, np.nan, watts, T, np.nan])
        shadow = JointFilter(filter_.model, ("h", "heat"), filter_.noise, 1.0)
        shadow.x[:], shadow.mean_W = x, filter_.mean_W
        shadow.predict(u)
        filter_.step(u, shadow.x[filter_.layout.places["reading"]] + filter_.model.reference_K)  # as predicted
    for name, i in (("h of side", filter_.layout.of("h")), ("slow heat", filter_.layout.of("heat"))):
        # the analysis has offsets of 0.1 K beside, and steps of 10 s
        assert told.sigma[-1, told.names.index(name)] == pytest.approx(np.sqrt(filter_.factors.variance(i)), rel=0.15)


def test_the_offset_of_one_sensor_is_refused_with_what_would_mend_it():
    with pytest.raises(InputError) as said:
        Observer(reduced(), estimate=("bias",))
    for words in (
        "one sensor alone, surface",
        "more heat, less cooling or a warmer ambient",
        "another sensor (surface_2)",
    ):
        assert words in str(said.value)
    assert "known to 0.1 K" in str(said.value)
    # what it says is so
    assert seen(("surface", "surface_2"), ("bias",)).refused == ()
    assert seen(kinds=("bias",), rest_s=7200.0, ambient_K=0.1).refused == ()
    Observer(reduced(), ["surface", "surface_2"], estimate=("h", "heat", "bias"))
    Observer(reduced(), [f"surface_{i}" for i in range(8)], estimate=("h", "heat"))


@pytest.mark.parametrize("cell", ["a123_26650", "lfp_32113", "lgm50_21700", "panasonic_18650pf", "lco_marquis"])
@pytest.mark.parametrize("h", [5.0, 30.0, 100.0, 500.0])
def test_whatever_the_cooling_one_offset_is_refused_and_the_rest_is_not(cell, h):
    model = reduced(cell).with_h(h)
    assert observability(Observer(model), ("h", "heat")).refused == ()
    assert observability(Observer(model), ("h", "heat", "bias")).refused == ("bias",)
    assert observability(Observer(model, ["surface", "surface_2"]), ("h", "heat", "bias")).refused == ()


def test_what_is_known_already_is_not_refused_for_it():
    tight = JointNoise(log_h=0.02, bias_K=0.01)
    Observer(reduced(), ["surface", "surface_2"], estimate=("h", "bias"), noise=tight)
    with pytest.raises(InputError, match="one sensor"):
        Observer(reduced(), estimate=("h", "bias"), noise=tight)


def test_cooling_takes_a_wall_that_cools():
    still = observability(Observer(reduced().with_h(0.0)), ("h", "heat"))
    assert still.told[0] < 1e-9 and "no heat flows" in str(still.refusal())
    assert np.isinf(still.after_s(0)) and still.rows()[0][4] == "never"


def test_it_checks_itself_and_refuses_nonsense():
    found = seen()
    found.verify()
    assert "rank 2 of 2, all told" in repr(found)
    with pytest.raises(ArithmeticError, match="less sure"):
        replace(found, sigma=2 * found.prior).verify()
    with pytest.raises(InputError, match="some of h, heat, bias"):
        seen(kinds=("charge",))
    with pytest.raises(InputError, match="one temperature"):
        found.placement()


def test_places_of_a_sensor_are_symmetric_and_two_are_no_worse_than_one():
    found = seen(cell="lfp_32113", thermal="r-z")
    alone, beside = ({(p.wall, p.share): p.core_K for p in found.placement(kept)} for kept in (False, True))
    assert alone["side", 0.1] == pytest.approx(alone["side", 0.9], rel=1e-6)
    assert alone["top", 0.5] == pytest.approx(alone["bottom", 0.5], rel=1e-6)
    assert all(beside[place] <= alone[place] for place in alone)


def test_a_run_that_tells_nothing_says_so():
    observer = Observer(reduced(), estimate=("h",))
    k, T = 900, 298.15
    watts = 20.0 * (np.arange(k) < DRIVE_S)
    still = np.zeros(k)
    surface = T + 0.01 * np.sin(np.arange(k))
    rest = Run(np.arange(float(k)), still, still + 3.3, still + T, {"surface": surface}, name="rest")
    notes = observer.run(rest, initial_soc=0.5).notes
    assert any("does not tell the h of side" in note for note in notes)
    amperes = 20.0 * (watts > 0)
    driven = replace(rest, current_A=amperes, voltage_V=3.3 - 0.012 * amperes)
    warm = reduced().simulate(driven, initial_soc=0.5)
    driven = replace(driven, surfaces_K={"surface": warm.surface_K})
    assert not any("does not tell" in note for note in observer.run(driven, initial_soc=0.5).notes)


def test_the_command_prints_ranks_and_ends_with_1_where_it_refuses(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for words, refused in ((["h,heat"], False), (["bias", "--plot", "seen.png"], True)):
        monkeypatch.setattr(sys, "argv", ["bmsthermal", "observability", "a123_26650", "--estimate", *words])
        ended = ""
        try:
            main()
        except SystemExit as stop:  # with a sentence it ends with 1
            ended = str(stop.code or "")
        assert ended.startswith("error: a123_26650: estimate bias") == refused
        assert "over all of these" in capsys.readouterr().out
    assert (tmp_path / "seen.png").stat().st_size > 1000

"""Whether a sigma is right: figures of innovations and cores whose statistics are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bmsthermal import InputError, Observer
from bmsthermal.consistency import Consistency, Normalised
from bmsthermal.innovations import core_error, correlated, effective
from bmsthermal.noise import Noise
from bmsthermal.run import Run


def coloured(rho: float, count: int, seed: int = 0) -> np.ndarray:
    """First-order noise of variance one."""
    rng, x = np.random.default_rng(seed), np.zeros(count)
    e = rng.standard_normal(count)
    x[0] = e[0]
    for k in range(1, count):
        x[k] = rho * x[k - 1] + np.sqrt(1 - rho**2) * e[k]
    return x


@pytest.fixture(scope="module")
def found(reduced):
    """Estimates along an hour of white currents, whose innovations and core are then replaced."""
    rng, k = np.random.default_rng(1), 3600
    current = np.repeat(rng.choice([-10.0, 0.0, 12.0], k // 10), 10)
    T = np.full(k, 298.15)
    run = Run(np.arange(float(k)), current, 3.3 - 0.01 * current, T, {"surface": T}, T, name="made")
    return Observer(reduced).run(run, initial_soc=0.5)


def made(found, scaled, core_scaled, name="made"):
    """Innovations and core errors that are these times their sigma; the core agrees with the surface at first."""
    variances = np.full((len(scaled), 1), 0.04)
    core = found.core_K + core_scaled * found.core_std_K
    surface = core.copy()
    run = replace(found.run, core_K=core, surfaces_K={"surface": surface}, name=name)
    return replace(found, innovations=0.2 * scaled[:, None], variances=variances, run=run)


def test_white_innovations_have_the_figures_of_their_numbers(found):
    rng = np.random.default_rng(2)
    z, c = rng.standard_normal((2, 3600))
    said = Consistency.of(made(found, z, c))
    (sensor,) = said.sensors
    assert sensor.nis.mean == pytest.approx(np.mean(z**2), rel=1e-12)
    assert sensor.nis.low < sensor.nis.mean < sensor.nis.high
    # white: all count, but for autocorrelations by chance, a few times 1 / sqrt(3600)
    assert 0.8 * 3600 < sensor.nis.effective <= 3600 == sensor.nis.samples
    np.testing.assert_allclose(sensor.autocorrelation, 0.0, atol=4 / 60)
    assert sensor.white == pytest.approx(1.96 / 60)
    assert said.core.nees.mean == pytest.approx(np.mean(c**2), rel=1e-9)
    assert said.core.inside_1 == np.mean(np.abs(c) <= 1) and said.core.inside_2 == np.mean(np.abs(c) <= 2)
    assert said.core.median_std_K == np.median(found.core_std_K)
    assert said.core.rmse_K == pytest.approx(np.sqrt(np.mean((c * found.core_std_K) ** 2)))


def test_a_sigma_that_is_half_or_twice_what_it_should_be_is_told(found):
    z = np.random.default_rng(3).standard_normal(3600)
    over, under = (Consistency.of(made(found, f * z, f * z)) for f in (2.0, 0.5))
    assert over.sensors[0].nis.mean > over.sensors[0].nis.high and over.core.nees.mean > over.core.nees.high
    assert under.sensors[0].nis.mean < under.sensors[0].nis.low and under.core.nees.mean < under.core.nees.low


def test_runs_are_pooled_by_their_samples_and_the_least_is_named(found):
    z = np.random.default_rng(4).standard_normal(3600)
    runs = [made(found, z, z, "good"), made(found, 3 * z, 3 * z, "bad")]
    one, other, both = (Consistency.of(each) for each in (runs[0], runs[1], runs))
    assert both.core.inside_2 == pytest.approx((one.core.inside_2 + other.core.inside_2) / 2)
    assert (both.core.least_run, both.core.least_2) == ("bad", other.core.inside_2)
    assert both.sensors[0].nis.mean == pytest.approx((one.sensors[0].nis.mean + other.sensors[0].nis.mean) / 2)
    assert both.runs == ("good", "bad")
    # from half way on
    late = Consistency.of(runs[0], found.time_s[1800])
    assert late.core.nees.mean == pytest.approx(np.mean(z[1800:] ** 2))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95])
def test_correlated_values_count_as_many_as_their_theory_says(rho):
    x = coloured(rho, 100_000)
    # of first-order noise: n (1 - rho) / (1 + rho); estimated from some 2500 independent ones or more: 3 sigma
    assert effective(x) == pytest.approx(100_000 * (1 - rho) / (1 + rho), rel=0.2)
    assert effective(x, of_squares=True) == pytest.approx(100_000 * (1 - rho**2) / (1 + rho**2), rel=0.2)
    assert correlated(x, 3) == pytest.approx(rho**3, abs=0.05)


def test_the_interval_of_correlated_innovations_holds_95_percent():
    inside = []
    for seed in range(200):
        nis = Normalised.of([coloured(0.9, 1000, seed)])
        inside.append(nis.low <= nis.mean <= nis.high)
    assert 0.9 <= np.mean(inside) <= 0.99  # of 200: 95 % within 3 sigma of a binomial, 0.015


def test_what_is_off_throughout_counts_once_and_gaps_do_not_count():
    assert effective(np.ones(100)) == effective(np.ones(100), of_squares=True) == 1.0
    gaps = np.where(np.arange(1000) % 3 == 0, np.nan, coloured(0.0, 1000))
    assert 400 < effective(gaps) <= np.isfinite(gaps).sum()
    assert np.isnan(correlated(gaps[:5], 9)) and effective(np.full(4, np.nan)) == 0.0
    assert Normalised.of([np.full(4, np.nan)]).samples == 0


def test_the_same_estimates_give_the_same_json(found, tmp_path):
    said = Consistency.of(found)
    said.save(tmp_path / "a.json")
    Consistency.of(found).save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    read = json.loads((tmp_path / "a.json").read_text())
    assert read["sensors"][0]["nis"]["mean"] == said.sensors[0].nis.mean and len(read["lags_s"]) == 4
    assert {name.split(" of ")[0] for name, _ in said.rows()} >= {"NIS", "autocorrelation"}


def test_two_sensors_stand_apart_and_different_ones_are_not_pooled(reduced, found):
    run = replace(
        found.run, surfaces_K={"surface": found.run.surfaces_K["surface"], "surface_left": found.core_K + 1.0}
    )
    two = Observer(reduced, ["surface", "surface_left"], noise=Noise()).run(run, initial_soc=0.5)
    said = Consistency.of(two)
    assert [each.name for each in said.sensors] == ["sensor 1", "sensor 2"]
    assert sum(each.nis.mean for each in said.sensors) == pytest.approx(np.nanmean(two.nis))
    with pytest.raises(InputError, match="the same sensors in each"):
        Consistency.of([found, two])
    with pytest.raises(InputError, match="one run at least"):
        Consistency.of([])


def test_without_a_core_there_is_no_word_of_it(found):
    bare = replace(found, run=replace(found.run, core_K=None))
    assert Consistency.of(bare).core is None
    assert not [name for name, _ in Consistency.of(bare).rows() if "core" in name]
    assert core_error(found).shape == found.time_s.shape


def test_a_still_cell_estimated_without_an_error_has_figures_too(reduced, recwarn):
    T = np.full(400, 298.15)
    run = Run(np.arange(400.0), np.zeros(400), np.full(400, 3.3), T, {"surface": T}, T, name="still")
    found = Observer(reduced).run(run, initial_soc=0.5)
    found = replace(found, core_K=T, innovations=np.zeros_like(found.innovations))
    assert "infinitely many" in dict(found.score().rows())["median sigma of the core"]
    assert dict(Consistency.of(found).rows())["claimed sigma of the core over RMSE"] == "infinitely many"
    assert not recwarn.list

"""The numbers behind the observer's covariance."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bmsthermal import InputError, Noise, load_cell
from bmsthermal.reduced.observing import _noise
from bmsthermal.schema import NOISE as KEYS


def test_what_a_noise_writes_a_cell_reads(a123):
    noise = Noise(1.5, sensor_K=0.2, gradient=0.1, offset_K=0.0, start_K=2.0, start_gradient_K=0.5, lost_heat_W=9.0)
    assert set(noise.document()) == set(KEYS.values())
    assert Noise.of(a123.with_values({"Observer": noise.document()})) == noise


def test_without_a_section_the_spread_of_the_conductivity_counts(a123):
    plain = a123.with_values({"Observer": {}})
    assert Noise.of(plain) == replace(Noise(), gradient=a123.spread["Radial thermal conductivity [W.m-1.K-1]"])
    other = {"Relative standard deviation": {"DC resistance [Ohm]": 0.1}}
    assert Noise.of(plain.with_values(other)) == Noise()


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e300, 10**50, "x", None, True])
def test_impossible_values_name_their_key(name, value):
    with pytest.raises(InputError) as told:
        Noise(**{name: value})
    assert KEYS[name] in str(told.value) and repr(value) in str(told.value)


@pytest.mark.parametrize("name", KEYS)
def test_only_what_divides_must_not_be_zero(name):
    if name in ("heat_W_rts", "sensor_K"):
        for tiny in (0.0, 1e-300):
            with pytest.raises(InputError, match="expected a number from 1e-06 to"):
                Noise(**{name: tiny})
    else:
        assert getattr(Noise(**{name: 0.0}), name) == 0.0


@pytest.mark.parametrize("value", ["0.1", True, None, [0.1], 1e300, 10**400])
def test_a_file_holds_numbers(value):
    with pytest.raises(InputError, match=r"a123_26650, Observer, 'Sensor noise \[K\]'.*expected a number"):
        load_cell("a123_26650").with_values({"Observer": {"Sensor noise [K]": value}})


def test_what_a_certificate_says_of_the_core_widens_the_band_of_a_coupled_observer(a123):
    def sure(*cases):
        scored = [SimpleNamespace(scored=True, core_K=core, voltage_rms_V=0.001) for core in cases]
        return _noise(SimpleNamespace(cell=a123, certificate=SimpleNamespace(cases=scored)))

    # uniform within the largest error of a case: its third in variance, on average over cases
    assert sure(0.3, 0.6).offset_K == pytest.approx(np.sqrt(0.1**2 + (0.09 + 0.36) / 2 / 3))
    assert sure(0.3, np.nan).offset_K == 0.1 and _noise(SimpleNamespace(cell=a123, certificate=None)).offset_K == 0.1

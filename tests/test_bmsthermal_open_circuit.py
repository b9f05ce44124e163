from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bmsthermal import InputError, Run, load_cell
from bmsthermal.heat import MeasuredHeat
from bmsthermal.open_circuit import open_circuit
from bmsthermal.resistance import fit_resistance

CAPACITY, R = 2.2, 0.05
KEYS = "Open-circuit voltage [V]", "DC resistance [Ohm]", "DC resistance activation energy [J.mol-1]"


@pytest.fixture(scope="module")
def truth():
    """A cell whose curves are known: a smooth open circuit and one resistance."""
    soc = np.linspace(0, 1, 101)
    volts = 3.0 + 0.6 * soc + 0.5 * np.tanh((soc - 0.02) / 0.05)
    values = dict(zip(KEYS, ({"x": soc.tolist(), "y": volts.tolist()}, R, 0.0), strict=True))
    return load_cell("a123_26650").with_values({**values, "Nominal cell capacity [A.h]": CAPACITY})


@pytest.fixture(scope="module")
def unknown(truth):
    """The same with what its file may say before: another curve and the nominal capacity."""
    return truth.with_values({KEYS[0]: {"x": [0, 1], "y": [2.5, 4.2]}, "Nominal cell capacity [A.h]": 2.3})


def slow(truth, back=1.0):
    """C/20 down, an hour of rest, and the share `back` of it up again, every minute."""
    amperes = CAPACITY / 20
    down, up = np.full(1200, amperes), np.full(int(1200 * back), -amperes)
    current = np.r_[0.0, down, np.zeros(60), up, 0.0]
    time = 60.0 * np.arange(len(current))
    soc = 1 - np.cumsum(np.r_[0.0, current[:-1]]) / 60 / CAPACITY
    volts = MeasuredHeat(truth).voltage_V(current, soc, np.full(len(time), 298.15))
    return Run(time, current, volts, np.full(len(time), 298.15), name="slow")


def tabled(truth, soc):
    """Open circuit as the heat knows it: on its table."""
    heat = MeasuredHeat(truth)
    return np.interp(soc, heat.soc, heat.open_circuit_V)


def test_a_discharge_and_its_charge_are_averaged(truth, unknown):
    found = open_circuit(unknown, slow(truth))
    assert found.capacity_Ah == pytest.approx(CAPACITY, rel=1e-9) and not found.notes
    inside = (found.soc > 0.01) & (found.soc < 0.99)
    exact = tabled(truth, found.soc)
    # the drop cancels; a minute of C/20 is 0.0008 of the charge
    np.testing.assert_allclose(found.voltage_V[inside], exact[inside], atol=1e-3)
    np.testing.assert_allclose(found.sd_V[inside], R * CAPACITY / 20, atol=1e-3)
    table = found.table()
    assert len(table["x"]) < 60 and (table["x"][0], table["x"][-1]) == (0.0, 1.0)
    written = found.written(unknown)
    np.testing.assert_allclose(written.curve(KEYS[0])(found.soc), found.voltage_V, atol=6e-4)
    assert written.capacity_Ah == pytest.approx(CAPACITY, rel=1e-4)
    assert written.thermal["Sources"][KEYS[0]]["description"].startswith("Measured: slow")


def test_a_charge_that_took_less_does_not_count(truth, unknown):
    found = open_circuit(unknown, slow(truth, back=0.85))
    (note,) = found.notes
    assert "the charge took 1.870 A.h of the 2.200" in note
    exact = tabled(truth, found.soc)
    np.testing.assert_allclose(found.voltage_V[3:-3], exact[3:-3], atol=1e-3)


def test_a_fast_run_and_a_gap_are_no_open_circuit(truth, unknown):
    run = slow(truth)
    with pytest.raises(InputError, match="no slow whole discharge"):
        open_circuit(unknown, replace(run, current_A=10 * run.current_A))
    gap = replace(run, time_s=np.where(np.arange(len(run.time_s)) > 600, run.time_s + 9e4, run.time_s))
    assert open_circuit(unknown, gap).capacity_Ah == pytest.approx(CAPACITY * 1199 / 1200, rel=1e-6)
    with pytest.raises(InputError, match="no row has both"):
        open_circuit(unknown, replace(run, voltage_V=np.nan * run.voltage_V))


def driven(truth, T, seed=0):
    random = np.random.default_rng(seed)
    current = np.repeat(random.uniform(-1, 4, 180), 20)
    soc = 0.95 - np.cumsum(np.r_[0.0, current[:-1]]) / 3600 / CAPACITY
    volts = MeasuredHeat(truth).voltage_V(current, soc, np.full(3600, T)) + 0.002 * random.standard_normal(3600)
    return Run(np.arange(3600.0), current, volts, np.full(3600, T), {"surface": np.full(3600, T)}, name=f"drive {T:g}")


def test_resistance_and_its_activation_energy_are_found(truth):
    shaped = truth.with_values({KEYS[1]: {"x": [0, 0.5, 1], "y": [0.08, 0.04, 0.05]}, KEYS[2]: 30e3})
    runs = [driven(shaped, 298.15), driven(shaped, 268.15, 1)]
    found = fit_resistance(truth, runs, initial_soc=0.95)
    seen = (found.soc > 0.35) & (found.soc < 0.95)
    exact = shaped.curve(KEYS[1])(found.soc)
    off = np.abs(np.log(found.ohm / exact))[seen]
    assert (off < 0.05).all() and (off < 2 * found.relative_sd[seen]).all()
    assert abs(found.activation_J_mol - 30e3) < min(2 * found.activation_sd, 2e3)
    assert found.relative_sd[0] > 3 * found.relative_sd[seen].max()
    written = found.written(truth)
    at = MeasuredHeat(written).resistance_Ohm(0.5, 268.15) / MeasuredHeat(shaped).resistance_Ohm(0.5, 268.15)
    assert at == pytest.approx(1, rel=0.05) and len(found.table()) == len(found.soc) + 1


def test_a_resistance_needs_current_and_a_sign(truth):
    run = driven(truth, 298.15)
    with pytest.raises(InputError, match="of current"):
        fit_resistance(truth, replace(run, current_A=0 * run.current_A), initial_soc=0.9)
    with pytest.raises(InputError, match="sign of the current"):
        fit_resistance(truth, replace(run, voltage_V=run.voltage_V + 1), initial_soc=0.95)

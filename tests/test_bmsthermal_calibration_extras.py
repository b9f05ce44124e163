"""Contact resistance and the shape of the entropic curve: found within their interval, or said to be unknown."""

from __future__ import annotations

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Run, load_cell
from bmsthermal.calibration import calibrate
from bmsthermal.parameters import (
    CONDUCTIVITY,
    ENTROPY,
    ENTROPY_SHAPE_V_K,
    EXTRAS,
    USUAL_CONTACT,
    Family,
    contacted,
    priors,
    shapes_of,
    valued,
)  # fmt: skip
from bmsthermal.posterior import Problem
from bmsthermal.schema import CONTACT

CAN = {
    "Can thickness [m]": 3e-4, "Can thermal conductivity [W.m-1.K-1]": 15.0, "Can density [kg.m-3]": 7900.0,
    "Can specific heat capacity [J.K-1.kg-1]": 500.0,
}  # fmt: skip
SOC = 0.9


@pytest.fixture(scope="module")
def canned(a123):
    return a123.with_values(CAN)


def swing(cell, name="truth", hours=1.6) -> Run:
    """Discharges of 2C down to a tenth of the charge and back, with the true core, and 0.03 K of noise."""
    t = np.arange(hours * 3600)
    ampere = 2.0 * cell.capacity_Ah * np.where(t % 3400 < 1400, 1.0, np.where(t % 3400 < 2000, 0.0, -1.0))
    ambient = 293.15 + 0.2 * np.sin(t / 500)
    blank = Run(t, ampere, np.full(t.shape, np.nan), ambient, name=name)
    truth = CoupledModel(cell, heat="measured").simulate(blank, initial_soc=SOC, start_K=float(ambient[0]))
    noise = 0.03 * np.random.default_rng(2).standard_normal(len(t))
    return Run(t, ampere, truth.voltage_V, ambient, {"surface": truth.surface_K + noise}, truth.core_K, name)


def numbers(found):
    return {p.name: p for p in found.parameters}


def test_contact_is_within_its_interval_and_not_told_from_conductivity(canned):
    true = canned.with_values({CONTACT: 1.2e-3, CONDUCTIVITY["cylinder"]: 0.5})
    found = calibrate(canned, swing(true, hours=0.5), initial_soc=SOC, extras=["contact"])
    p = numbers(found)
    contact, k = p[CONTACT.split(" [")[0]], p["Radial thermal conductivity"]
    assert contact.low < 1.2e-3 < contact.high and k.low < 0.5 < k.high
    assert contact.prior == pytest.approx(USUAL_CONTACT) and contact.unit == "m2K/W"
    assert found.cell.thermal[CONTACT] == pytest.approx(contact.value, rel=1e-4)
    assert "Calibrated on truth" in found.cell.thermal["Sources"][CONTACT]["description"]
    # a tenth of the resistance from core to surface lies in the contact
    said = [each for each in found.identifiability().sentences() if "contact" in each]
    assert "cannot tell" in said[0] and "radial thermal conductivity" in said[0]
    assert contact.information < 0.5


def test_shape_of_the_entropic_curve_is_within_its_interval(a123):
    scale, tilt, hump, s = 1.3, 7e-5, -4e-5, np.linspace(0, 1, 41)
    table = scale * a123.curve(ENTROPY)(s) + shapes_of(s) @ [tilt, hump]
    run = swing(a123.with_values({ENTROPY: {"x": s.tolist(), "y": table.tolist()}}))
    found = calibrate(a123, run, initial_soc=SOC, extras=["entropy shape"])
    p = numbers(found)
    # scale and shape overlap, so what is judged is the curve over the charge that the run went through
    after, used = found.cell.curve(ENTROPY)(s), (s > 0.15) & (s < 0.85)
    off = after - table
    before = a123.curve(ENTROPY)(s) - table
    # a shift of the level leaves the deviation from the mean: this is what calibration without the shape would leave
    assert np.std(off[used]) < 0.4 * np.std(before[used])
    for name, truth in (("scale", scale), ("tilt over charge", tilt), ("hump at half charge", hump)):
        one = p["Entropic curve over the file's" if name == "scale" else f"Entropic curve, {name}"]
        assert one.low < truth < one.high
        assert one.information > 0.1


def test_heat_is_linear_in_the_shape_and_the_file_says_the_same(a123):
    run = swing(a123, hours=0.5)
    problem = Problem(a123, [run], ("surface",), False, 4, 1.0, SOC, extras=EXTRAS[1:])
    z = np.zeros(len(problem.priors))
    z[-3:] = 0.8, -1.5, 1.1
    values = problem.values(z)
    changed = problem.family.changed(values)
    s, T = np.full(1, 0.42), 300.0
    own = float(a123.curve(ENTROPY)(s)[0])
    wanted = values.entropy_scale * own + float((shapes_of(s) @ [values.tilt_V_K, values.hump_V_K])[0])
    # 1e-7 V/K: the table is a line between 21 points and those of the file
    assert float(changed.curve(ENTROPY)(s)[0]) == pytest.approx(wanted, abs=ENTROPY_SHAPE_V_K * 0.03)
    base, per, _ = problem._heat[0]
    again = Problem(changed, [run], ("surface",), False, 4, 1.0, SOC)._heat[0][0]
    np.testing.assert_allclose(base + per @ values.entropy, again, atol=0.03 * ENTROPY_SHAPE_V_K * T * 4.6)


def test_a_contact_family_holds_the_models_that_would_be_built_anew(canned):
    cell = contacted(canned)
    family = Family(cell, 6, 1.0, 290.0, extras=["contact"])
    z = 0.6 * np.ones(11)
    values = valued(priors(cell, extras=["contact"]), z).physical
    short_way = family.reduced(values)
    long_way = CoupledModel(family.changed(values), heat="measured").reduce(6)
    # the wide basis knows any contact, but only the conductivity of the file
    np.testing.assert_allclose(np.diag(short_way.modal.K), np.diag(long_way.modal.K), rtol=1e-4, atol=1e-14)
    assert family.changed(values).thermal[CONTACT] == pytest.approx(USUAL_CONTACT * np.exp(0.6))


def test_an_expression_is_bent_too(a123):
    cell = a123.with_values({ENTROPY: "1e-4 * x - 5e-5"})
    family = Family(cell, 4, 1.0, 290.0, extras=["entropy shape"])
    values = valued(priors(cell, extras=["entropy shape"]), 0.5 * np.ones(13))
    s = np.linspace(0, 1, 7)
    wanted = values.entropy_scale * (1e-4 * s - 5e-5) + shapes_of(s) @ [values.tilt_V_K, values.hump_V_K]
    np.testing.assert_allclose(family.changed(values).curve(ENTROPY)(s), wanted - values.enthalpy_V / 290.0, rtol=1e-9)


def test_a_curve_of_nothing_has_no_scale(a123):
    names = [prior.field for prior in priors(a123.with_values({ENTROPY: 0.0}), extras=EXTRAS[1:])]
    assert names[10:] == ["tilt_V_K", "hump_V_K"]


def test_a_mistake_gets_its_sentence(a123, canned):
    run = swing(a123, hours=0.3)
    with pytest.raises(InputError, match="without a can"):
        calibrate(load_cell("a123_26650"), run, extras=["contact"])
    for extras in ("contact", ["ageing"]):
        with pytest.raises(InputError, match="some of contact, entropy shape"):
            calibrate(canned, run, extras=extras)

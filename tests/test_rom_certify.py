"""The certificate, and the bars that the default reduction of a cylinder must keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmsthermal.conduction import Layer, conduct
from bmsthermal.vehicle import Vehicle, load_schedule
from rom.certify import certify
from rom.pade import multipoint, pade
from rom.pod import pod, port_snapshots
from rom.step import ModalStep

# 26650: R 12.9 mm, L 65 mm, 0.67 W/mK, 2107 kg/m3, 1171.6 J/kgK
RADIUS_M, LENGTH_M = 0.0129, 0.065
AREA_M2 = 2 * np.pi * RADIUS_M * LENGTH_M
FULL, _ = conduct([Layer("roll", 0.0, RADIUS_M, 0.67, 2107 * 1171.6)], "cylinder", LENGTH_M, nodes=200)
MODAL, _ = FULL.project(multipoint(FULL, 4)).modal()

HEAT = np.tile(Vehicle().cell_current_A(*load_schedule("us06")), 6) ** 2
COOLANT = np.concatenate([np.full(3000, -10.0), 10 * np.sin(2 * np.pi * np.arange(3000) / 300)])
H = (5.0, 65.0, 300.0, 1000.0)


def by_pod(system, order):
    return pod(system, port_snapshots(system, [15 * AREA_M2, 300 * AREA_M2]), order)


@pytest.fixture(scope="module")
def certificate():
    return certify(
        FULL, {"multipoint": multipoint, "pade": pade, "pod": by_pod}, [2, 4, 6],
        conductances=[h * AREA_M2 for h in H], source=HEAT, surroundings={"coolant": COOLANT}, step_s=1.0,
        scale=(0, 2, 10.0), units=("K", "W/K"),
    )  # fmt: skip


def errors(certificate, method, order, run, h):
    (row,) = [
        row
        for row in certificate.table()
        if (row["method"], row["order"], row["run"]) == (method, order, run)
        and row["conductance"] == pytest.approx((h * AREA_M2,))
    ]
    return row["hold"], row["step"]


# measured (hold/step): 65: .0205/.0220 and .0759/.0748; 300: .0564/.0504 and .305/.288; 1000: .0906/.0874 and .702/.645
@pytest.mark.parametrize(
    ("h", "heat_K", "coolant_K"), [(5.0, 0.03, 0.01), (65.0, 0.03, 0.10), (300.0, 0.07, 0.35), (1000.0, 0.12, 0.75)]
)
def test_four_states_keep_the_core(certificate, h, heat_K, coolant_K):
    assert max(errors(certificate, "multipoint", 4, "source", h)) <= heat_K
    assert max(errors(certificate, "multipoint", 4, "coolant", h)) <= coolant_K


# measured: .0287/.0876, .0664/.319, .0956/.753
@pytest.mark.parametrize(("h", "heat_K", "coolant_K"), [(65.0, 0.035, 0.10), (300.0, 0.08, 0.35), (1000.0, 0.12, 0.8)])
def test_four_states_by_pod_keep_it_too(certificate, h, heat_K, coolant_K):
    assert max(errors(certificate, "pod", 4, "source", h)) <= heat_K
    assert max(errors(certificate, "pod", 4, "coolant", h)) <= coolant_K


def test_steady_gain_and_energy_are_exact_and_the_certificate_says_so(certificate):
    certificate.verify()
    for kept in certificate.kept:
        assert kept.dc <= 1e-10  # at 5 to 1000 W/m2K; the condition of K + g is 4e6
        assert kept.energy <= 1e-10
        assert kept.largest_pole <= 1 + 1e-12
        assert kept.poles_at_one == certificate.conserved == 1


def test_more_states_are_better(certificate):
    for method in ("multipoint", "pade", "pod"):
        worst = [certificate.worst(method, order) for order in (2, 4, 6)]
        response = [k.frequency for k in certificate.kept if k.method == method]
        for run in ("source", "coolant"):
            assert worst[0][run] > 2 * worst[1][run] > 4 * worst[2][run]
        assert response[0] > response[1] > response[2]


@settings(deadline=None, max_examples=200)
@given(st.floats(0, 5000), st.floats(-2, 1).map(lambda e: 10.0**e))
def test_no_pole_outside_at_any_h_and_step(h, step_s):
    poles = ModalStep.of(MODAL, step_s).poles(h * AREA_M2)
    assert np.abs(poles).max() <= 1 + 1e-12  # rounding of an eigenvalue of size one
    if h > 1e-3:
        assert np.abs(poles).max() < 1


@settings(deadline=None)
@given(st.floats(-2, 1).map(lambda e: 10.0**e))
def test_exactly_one_pole_at_one_when_insulated(step_s):
    assert np.sum(ModalStep.of(MODAL, step_s).poles(0.0) == 1.0) == 1


def test_the_full_model_reduced_to_itself_has_no_error():
    small, _ = conduct([Layer("roll", 0.0, RADIUS_M, 0.67, 2107 * 1171.6)], "cylinder", LENGTH_M, nodes=12)
    itself = certify(
        small, {"all": lambda system, order: np.eye(system.order)}, [13], conductances=[0.3],
        source=HEAT[:600], surroundings={"coolant": COOLANT[:600]}, step_s=1.0, scale=(0, 2, 10.0),
    )  # fmt: skip
    for error in itself.errors:
        assert error.hold <= 1e-9 < error.step < 0.1  # rounding of 600 steps; what is left is the wall flow's
    assert itself.kept[0].frequency <= 1e-9


def test_source_is_scaled_at_each_conductance():
    def peak(h):
        scaled = certify(
            FULL, {"none": lambda system, order: multipoint(system, 2)}, [2], conductances=[h * AREA_M2],
            source=HEAT[:600], surroundings={}, step_s=1.0, scale=(0, 2, size), output=0,
        )  # fmt: skip
        return scaled.errors[0].hold

    size = 10.0
    ten = peak(65.0)
    size = 1.0
    assert peak(65.0) == pytest.approx(ten / 10, rel=1e-9)


def test_what_does_not_hold_is_named():
    bad = certify(
        FULL, {"modes": lambda system, order: system.modes[1][:, 1 : 1 + order], "pade": pade}, [1, 3],
        conductances=[0.3], source=HEAT[:300], surroundings={"coolant": COOLANT[:300]}, step_s=1.0,
    )  # fmt: skip
    with pytest.raises(ArithmeticError) as caught:
        bad.verify()
    sentence = str(caught.value)
    assert "modes of order 3 insulated has 0 poles at 1, expected 1" in sentence
    assert "modes of order 3 misses the steady gain" in sentence
    assert "modes of order 3 loses" in sentence
    assert "pade of order 1 misses the steady gain" in sentence
    assert "pade of order 3" not in sentence


def test_two_walls_and_a_closed_one():
    slab, _ = conduct([Layer("roll", 0.0, 0.012, 0.8, 2.4e6)], "slab", 0.02, nodes=40)
    certificate = certify(
        slab, {"multipoint": multipoint}, [5], conductances=[0.5, (0.0, 2.0)], source=HEAT[:600],
        surroundings={"back": np.column_stack([COOLANT[:600], 0 * COOLANT[:600]])}, step_s=1.0,
    )  # fmt: skip
    certificate.verify()
    closed = [e for e in certificate.errors if e.run == "back" and e.conductance == (0.0, 2.0)]
    assert closed[0].hold == 0.0  # nothing comes in through a closed wall


def test_it_reads_as_a_table(certificate):
    text = str(certificate)
    assert text.startswith("Largest error of core [K]: model / step of 1 s\nat wall conductances [W/K]")
    assert len(text.splitlines()) == 2 + 18 + 2 + 9
    assert max(map(len, text.splitlines())) <= 31 + 20 * len(H)
    assert repr(certificate) == "Certificate(9 reductions, errors of core)"
    assert set(certificate.table()[0]) == {"method", "order", "run", "conductance", "hold", "step"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"conductances": [0.0]}, "open"),
        ({"conductances": [-1.0]}, "finite and >= 0"),
        ({"source": np.ones((5, 2))}, "run 'source' has shape"),
        ({"surroundings": {"coolant": [np.nan, 1.0]}}, "run 'coolant'"),
        ({"step_s": 0.0}, "positive"),
    ],
)
def test_misuse_is_answered_with_a_sentence(change, sentence):
    given = {"conductances": [0.3], "source": HEAT[:5], "surroundings": {"coolant": COOLANT[:5]}, "step_s": 1.0}
    with pytest.raises(ValueError, match=sentence):
        certify(FULL, {"pade": pade}, [2], **(given | change))


def test_an_unknown_reduction_is_not_invented(certificate):
    with pytest.raises(ValueError, match="no reduction by 'pod' of order 5"):
        certificate.worst("pod", 5)


def test_verify_trusts_nothing_that_is_not_a_number(certificate):
    broken = replace(certificate, kept=(replace(certificate.kept[0], dc=float("nan")),))
    with pytest.raises(ArithmeticError, match="steady gain"):
        broken.verify()

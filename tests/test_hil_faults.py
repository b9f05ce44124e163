"""Faults as data: the catalogue, what a fault may say, and conditions that are read and never run."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bmsthermal.errors import InputError
from hil.faults import KINDS, Fault, Injector, listing
from hil.faults.condition import parse
from hil.faults.effects import EFFECTS

sys.path.insert(0, str(Path(__file__).parent))
from hil_truth import truth

CATALOGUE = [
    "open", "short", "stuck", "bias", "drift", "series_resistance", "leakage", "reference", "noise", "quantisation",
    "delay", "detached", "dropout", "frame", "swap", "current", "cooling", "cell", "timing",
]  # fmt: skip
#: A fault of each kind, on the second cell of a module where it can be.
ONE_OF_EACH = {
    "open": {"target": "tab[1]"},
    "short": {"target": "tab[1]"},
    "stuck": {"target": "tab[1]", "value_degC": 30},
    "bias": {"target": "tab[1]", "offset_K": 2},
    "drift": {"target": "tab[1]", "rate_K_h": 3600},
    "series_resistance": {"target": "tab[1]", "series_Ohm": 500},
    "leakage": {"target": "tab[1]", "leakage_Ohm": 50e3},
    "reference": {"target": "tab[1]", "reference_percent": 3},
    "noise": {"target": "tab[1]", "sigma_K": 2},
    "quantisation": {"target": "tab[1]", "lsb_K": 1},
    "delay": {"target": "tab[1]", "delay_s": 3},
    "detached": {"target": "tab[1]", "coupling": 0.3, "lag_s": 2},
    "dropout": {"loss": 0.5},
    "frame": {"error": "crc"},
    "swap": {"target": ["tab[1]", "tab[2]"]},
    "current": {"offset_A": 1.0},
    "cooling": {"part": "pump"},
    "cell": {"target": "cell[1]", "resistance": 2.0},
    "timing": {"late_s": 0.1},
}


def fault(kind, **given):
    return Fault.model_validate({"kind": kind} | given)


def test_the_catalogue_is_the_one_of_the_notes():
    assert list(KINDS) == CATALOGUE == list(ONE_OF_EACH)


def test_each_kind_of_the_sensors_does_something_at_its_stage():
    for name, kind in KINDS.items():
        if kind.stage in ("bus", "plant", "time"):
            assert name not in EFFECTS
        else:
            assert kind.stage in EFFECTS[name]


def test_the_listing_has_a_row_of_each_kind():
    rows = {row[0]: row[1:] for row in listing()}
    assert list(rows) == CATALOGUE
    assert rows["series_resistance"][:2] == ("resistance", "series_Ohm [Ohm]")
    assert rows["frame"][1].startswith("error [alive|crc|length|duplicate|reorder]")
    assert all(sentence.endswith(".") for _, _, sentence in rows.values())


@pytest.mark.parametrize("kind", [None, 1, [], {}, ["open"]])
def test_a_kind_that_is_no_word_is_refused(kind):
    with pytest.raises(ValidationError, match="no kind of fault"):
        Fault.model_validate({"kind": kind, "target": "surface"})


@pytest.mark.parametrize("kind", CATALOGUE)
def test_a_fault_survives_being_written_down(kind):
    made = fault(kind, **ONE_OF_EACH[kind], at_s=5)
    assert made.name == kind
    assert Fault.model_validate(made.model_dump()) == made
    assert Fault.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("kind", CATALOGUE)
def test_no_kind_takes_what_it_does_not_know(kind):
    with pytest.raises(ValidationError, match=f"fault '{kind}': has no parameter 'ofset', expected"):
        fault(kind, **ONE_OF_EACH[kind], ofset=1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kind": "opened"}, "no kind of fault 'opened', expected open, short"),
        ({"kind": "bias", "target": "tab", "offset_degC": 1}, "offset_degC is in degC, expected offset_K or offset_V"),
        ({"kind": "drift", "target": "tab", "rate_K_s": 1}, "rate_K_s is in K/s, expected rate_K_h"),
        ({"kind": "leakage", "target": "tab", "leakage_kOhm": 1}, "leakage_kOhm is in kOhm, expected leakage_Ohm"),
        ({"kind": "delay", "target": "tab", "delay": 1}, "delay has no unit, expected delay_s"),
        ({"kind": "leakage", "target": "tab"}, "leakage_Ohm is missing, expected a number above 0 in Ohm"),
        ({"kind": "leakage", "target": "tab", "leakage_Ohm": 0}, "expected a number above 0"),
        ({"kind": "leakage", "target": "tab", "leakage_Ohm": float("nan")}, "leakage_Ohm is nan"),
        ({"kind": "leakage", "target": "tab", "leakage_Ohm": "1 MOhm"}, "leakage_Ohm is '1 MOhm'"),
        ({"kind": "quantisation", "target": "tab", "bits": 9.5}, "bits is 9.5, expected a whole number at least 1"),
        ({"kind": "bias", "target": "tab"}, "says nothing of what it does, expected offset_K or offset_V or gain"),
        ({"kind": "bias", "target": "tab", "offset_K": True}, "offset_K is True"),
        ({"kind": "current", "hold": 1}, "hold is 1, expected true or false"),
        ({"kind": "frame", "error": "bad"}, "expected 'alive' or 'crc'"),
        ({"kind": "dropout", "loss": 1.5}, "loss is 1.5, expected a number at least 0 at most 1"),
        ({"kind": "open"}, "target is missing"),
        ({"kind": "open", "target": "tab", "ramp_s": 5}, "open comes at once; leave ramp_s out"),
        ({"kind": "swap", "target": "tab[0]"}, "1 targets, expected the two"),
        ({"kind": "open", "target": "tab", "at_s": 1, "per_hour": 2}, "both at_s and per_hour, expected one of them"),
        ({"kind": "open", "target": "tab", "when": "core hot"}, "'core hot' is no comparison"),
        ({"kind": "open", "target": "tab", "duration_s": 0}, "greater than 0"),
        ({"kind": "open", "target": "tab", "name": "a b"}, "match pattern"),
        ({"kind": "cooling", "part": "branch"}, "branch of 'cooling'"),
        ({"kind": "cooling", "part": "pump", "target": "cell[0]"}, "pump of 'cell"),
        ({"kind": "cooling", "part": "inlet"}, "expected inlet_K for an inlet"),
        ({"kind": "cooling", "part": "fan", "inlet_K": 3}, "fan with inlet_K = 3"),
    ],
)
def test_a_bad_fault_is_refused_with_a_sentence(given, says):
    with pytest.raises(ValidationError) as caught:
        Fault.model_validate(given)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kind": "open", "target": "top"}, r"no target 'top', expected surface[0] to [2], tab[0] to [2], ambient"),
        ({"kind": "open", "target": "tab[3]"}, r"no target 'tab[3]'"),
        ({"kind": "open", "target": "ambient[0]"}, "no target 'ambient[0]'"),
        ({"kind": "open", "target": "voltage"}, "no target 'voltage'"),
        ({"kind": "open", "target": "tab[-1]"}, "no target 'tab[-1]'"),
        ({"kind": "open", "target": ["tab", "tab[1]"]}, "a channel is named twice"),
        ({"kind": "swap", "target": ["tab", "ambient"]}, "targets of several sizes"),
        ({"kind": "swap", "target": ["tab[0]", "voltage[0]"]}, "targets of several units"),
        ({"kind": "bias", "target": "voltage", "offset_K": 1}, "offset_K of 'voltage'"),
        ({"kind": "stuck", "target": "voltage", "value_degC": 1}, "value_degC of 'voltage'"),
        ({"kind": "bias", "target": "tab", "offset_V": 1}, "offset_V of 'tab'"),
        ({"kind": "cell", "target": "cell[7]", "short_W": 1}, "expected cell[0] to [2]"),
        ({"kind": "current", "target": "tab", "gain": 1.02}, "expected current"),
        ({"kind": "delay", "target": "tab", "delay_s": 0.2}, "expected steps of 1 s"),
        ({"kind": "open", "target": "tab", "when": "true_top_degC > 1"}, "no such signal, expected time_s"),
        ({"kind": "open", "target": "tab", "when": "true_soc[9] > 1"}, "no cell 9, expected 0 to 2"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(given, says):
    with pytest.raises(InputError) as caught:
        Injector([Fault.model_validate(given)], 3, ["surface", "tab"], 1.0, 0)
    assert says in str(caught.value)


def test_two_faults_have_two_names():
    both = [fault("open", target="tab"), fault("open", target="surface")]
    with pytest.raises(InputError, match="2 of one name; give each a name"):
        Injector(both, 1, ["surface", "tab"], 1.0, 0)
    Injector([both[0], fault("open", target="surface", name="other")], 1, ["surface", "tab"], 1.0, 0)


@given(st.floats(-1e6, 1e6), st.sampled_from([">", ">=", "<", "<="]), st.floats(-50, 90))
def test_a_condition_is_what_it_says(number, sign, core_degC):
    met = parse(f"true_core_degC {sign} {number!r}").bind(1, ["surface"])
    now = truth(core_K=core_degC + 273.15)
    found = now.core_K[0] - 273.15
    assert met(now) == {">": found > number, ">=": found >= number, "<": found < number, "<=": found <= number}[sign]


def test_and_binds_closer_than_or_and_a_module_is_any_of_its_cells():
    now = truth(time_s=7.0, cells=3, soc=[0.2, 0.5, 0.8])
    for text, holds in {
        "true_soc > 0.7": True,
        "true_soc[1] > 0.7": False,
        "true_soc > 0.9 or time_s >= 7": True,
        "true_soc > 0.9 and time_s >= 7 or true_soc < 0.3": True,
        "true_soc > 0.9 and time_s >= 7 or true_soc < 0.1": False,
        "true_tab_degC>24 and true_current_A >= 5e0": True,
    }.items():
        assert parse(text).bind(3, ["tab"])(now) == holds, text


@pytest.mark.parametrize(
    "text",
    [
        "", "true", "__import__('os').system('true') > 0", "true_soc > true_soc", "true_soc > 0.5 and",
        "1 < true_soc < 2", "true_soc == 1", "true_soc > nan", "true_soc > inf", "true_soc > 1; x", "(true_soc > 1)",
        "true_soc > 1 or or x > 2", "true_soc[-1] > 0",
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(InputError, match="is no comparison"):
        parse(text)

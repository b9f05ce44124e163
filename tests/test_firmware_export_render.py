import re
import struct
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal.errors import InputError
from bmsthermal.packing import Packed
from firmware_export.constants import HEAT, MODAL, MODEL
from firmware_export.render import aligned, as_identifier, bits, braces, comment, identifier, listing, literal, prefix

REAL = re.compile(r"-?(\d+\.\d+(e[+-]\d+)?|\d+e[+-]\d+)")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_literal_reads_back_to_the_same_bits(value):
    text = literal(value, "double")
    assert REAL.fullmatch(text)
    assert struct.pack("d", float(text)) == struct.pack("d", value)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_float_literal_reads_back_to_the_same_bits(value):
    text = literal(value, "float")
    assert REAL.fullmatch(text.removesuffix("f")) and text.endswith("f")
    assert np.float32(text[:-1]).tobytes() == np.float32(value).tobytes()


@given(st.floats(-1e30, 1e30))
def test_a_float_literal_is_rounded_first(value):
    # rounding the decimals of the double a second time would be another number now and then
    assert literal(value, "float") == literal(float(np.float32(value)), "float")


@pytest.mark.parametrize("value", [4e-14, 1.2345678901234567e-12, 1e-25, 1e-40])
def test_small_numbers_keep_their_digits(value):
    assert float(literal(value, "double")) == value
    assert np.float32(literal(value, "float")[:-1]) == np.float32(value)


def test_numbers_that_no_type_holds():
    assert literal(float("nan"), "float") == "ABSENT"
    for value, real in ((np.inf, "double"), (1e39, "float")):
        with pytest.raises(InputError, match="holds"):
            literal(value, real)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=9))
def test_bits_are_those_of_the_number(values):
    back = [struct.unpack("f", struct.pack("I", int(word.rstrip("u"), 16)))[0] for word in bits(values, "float")]
    assert back == values


def test_arrays_become_braces():
    assert braces([1, 2.5], "float", 0) == "{1.0f, 2.5f}"
    assert braces([[1, 2], [3, 4]], "double", 0) == "{\n    {1.0, 2.0},\n    {3.0, 4.0}\n}"
    long = listing([f"word{i}" for i in range(100)], 8)
    assert max(map(len, long.splitlines())) <= 110
    assert re.findall(r"word\d+", long) == [f"word{i}" for i in range(100)]


@pytest.mark.parametrize("name", ["", "2cells", "my-cell", "my cell", "zelle_ä", "a*/", "int", "class", "_hidden"])
def test_names_that_c_does_not_take(name):
    with pytest.raises(InputError):
        identifier(name)


@pytest.mark.parametrize("name", ["observer", "Real", "main", "vectors", "ROM", "test", "n" * 23])
def test_names_that_would_collide(name):
    with pytest.raises(InputError, match=r"bundle's own|at most 22"):
        prefix(name, ("real.h", "observer.h"))


@given(st.text(max_size=40))
def test_any_cell_name_becomes_an_identifier(text):
    identifier(as_identifier(text))


@given(st.text())
def test_a_comment_cannot_be_left(text):
    assert "*/" not in comment(text) and comment(text).isascii() and "??" not in comment(text)


def test_comments_stand_in_one_column():
    assert aligned("int a; /* x */\nfloat bc; /* y */") == "int a;    /* x */\nfloat bc; /* y */\n"


def test_every_constant_has_a_unit_and_a_meaning():
    assert list(MODAL | MODEL | HEAT) == [field.name for field in fields(Packed)]

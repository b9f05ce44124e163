"""The range of a reduction: what it takes, and what it says of what it does not take."""

from __future__ import annotations

import numpy as np
import pytest

from bmsthermal import InputError
from bmsthermal.reduced.range import Range


def test_the_default_is_a_range_and_numbers_become_floats():
    assert Range() == Range.parse() == Range(ambient_degC=(-10, 45), h=[10, 300])
    assert all(type(end) is float for end in Range(h=(np.int64(5), 7)).h)
    assert Range(ambient_degC=(25, 25), h=(60, 60), c_rate=(1, 1)).h == (60.0, 60.0)


def test_texts_of_a_command_line_are_read():
    wanted = Range.parse(ambient_degC="-10:45", h="1e1: 300", soc="0.2:0.9", c_rate="1:1")
    assert wanted == Range((-10.0, 45.0), (10.0, 300.0), (0.2, 0.9), (1.0, 1.0))


@pytest.mark.parametrize("text", ["", "25", "a:b", "1:2:3", "1-2", ":", "nan:5", "0:inf", "300:10", None])
def test_other_texts_are_refused(text):
    if text is None:
        assert Range.parse(h=text) == Range()
        return
    with pytest.raises(InputError, match="range of h"):
        Range.parse(h=text)


@pytest.mark.parametrize(
    ("name", "pair", "words"),
    [
        ("ambient_degC", (298.15, 318.15), "degC and not kelvin"),
        ("ambient_degC", (45.0, -10.0), "swap them"),
        ("ambient_degC", 25.0, "two finite numbers"),
        ("ambient_degC", "0:40", "two finite numbers"),
        ("ambient_degC", ("0", "40"), "two finite numbers"),
        ("h", (np.nan, 10.0), "two finite numbers"),
        ("h", (0.0, np.inf), "two finite numbers"),
        ("h", (-1.0, 10.0), "0 to 100000"),
        ("h", (1.0, 2.0, 3.0), "two finite numbers"),
        ("h", (True, 2.0), "two finite numbers"),
        ("soc", (10.0, 90.0), "not a percentage"),
        ("soc", (0.5, 0.5), "below the high one"),
        ("c_rate", (0.0, 3.0), "0.01 to 20"),
        ("c_rate", (1.0, 50.0), "0.01 to 20"),
        ("c_rate", None, "two finite numbers"),
    ],
)
def test_a_pair_that_is_no_range_is_named(name, pair, words):
    with pytest.raises(InputError, match=words) as caught:
        Range(**{name: pair})
    assert f"range of {name}" in str(caught.value)

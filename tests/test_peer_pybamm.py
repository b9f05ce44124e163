"""PyBaMM beside ours: a row of each kind of the matrix in ``tests/benchmarks/peer_matrix.py``, at the same bars."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("pybamm", reason="PyBaMM is not installed: pip install bmsthermal[peer]")
sys.path.insert(0, str(Path(__file__).parent))

import peer

#: Coarser than the matrix, and fine enough for its bars.
THEIRS = {"x_n": 60, "x_s": 16, "x_p": 40, "r_n": 50, "r_p": 50, "x": "chebyshev", "stretch": 2.5}


@pytest.mark.parametrize(
    "name, load, thermal, ambient_degC, kind",
    [
        ("lgm50_21700", "1C", "lumped", 25, "three-term"),
        ("lco_marquis", "pulses", "x", 45, "three-term"),
        ("a123_26650", "2C", "isothermal", 0, "three-term"),
        ("lgm50_21700", "1C", "lumped", 25, "stress"),
        ("lco_marquis", "2C", "lumped", 25, "mixing"),
    ],
)
def test_a_row_of_the_matrix(name, load, thermal, ambient_degC, kind):
    found = peer.compare(
        name, load=load, thermal=thermal, ambient_K=ambient_degC + 273.15, kind=kind,
        their_mesh=THEIRS | ({"x_n": 24, "x_p": 24, "r_n": 40, "r_p": 40} if kind == "mixing" else {}),
    )  # fmt: skip
    print(found)
    assert found.misses(peer.bars(name)) == []
    assert abs(found.end_s) < 1.0
    if thermal != "isothermal":
        assert found.rise_K > 0.1  # something happened
    assert ("mixing" in found.heat_percent) == (kind == "mixing")


def test_a_miss_is_said():
    found = peer.Difference(0.5, 0.03, {"ohmic": 0.1}, 0.0, {}, 0.0, 1.0, (0.0, 0.0))
    assert found.misses(peer.bars("lgm50_21700")) == ["temperature_K"]
    assert found.misses(peer.bars("oregan2022")) == []

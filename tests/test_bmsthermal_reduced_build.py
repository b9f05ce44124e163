"""Sizes of a reduction, what cannot be reduced, and a reduced cell from runs of the full model."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmsthermal import CoupledModel, InputError, Mesh, load_cell
from bmsthermal.reduced.build import LARGEST, POINTS, SMALLEST, Ingredients, Sizes, check_reducible
from bmsthermal.reduced.packing import CLASSES

sys.path.insert(0, str(Path(__file__).parent))

from reduced_runs import full_model, ingredients, traces

CELL = load_cell("lgm50_21700")
SHAPES = st.tuples(st.integers(SMALLEST.negative[0], 6), st.integers(0, 3))
SIZES = st.builds(
    Sizes,
    st.integers(SMALLEST.thermal, 6),
    st.integers(SMALLEST.salt, 4),
    SHAPES,
    SHAPES,
    st.sampled_from(list(POINTS)),
)


@given(SIZES)
def test_one_more_and_one_less_are_inverse_and_change_one_state(sizes):
    n = 1 + sizes.thermal + sizes.salt + sum(sizes.negative) + sum(sizes.positive)
    assert sizes.states == n
    for made in sizes.more():
        assert made.states == n + 1 and made.fits and made.points == sizes.points and sizes in set(made.less())
    for made in sizes.less():
        assert made.states == n - 1 and made.points == sizes.points
        assert made.thermal >= SMALLEST.thermal and made.salt >= SMALLEST.salt
        assert made.negative >= SMALLEST.negative and made.positive >= SMALLEST.positive
        assert not sizes.fits or sizes in set(made.more())
    assert len(set(sizes.more())) == len(list(sizes.more())) <= 6
    assert len(set(sizes.less())) == len(list(sizes.less())) <= 6


@given(SIZES)
def test_what_fits_is_what_the_kernel_has_room_for(sizes):
    modes, thermal, shapes = CLASSES[-1]
    room = sum(sizes.negative) <= modes and sum(sizes.positive) <= modes
    room = room and sizes.thermal <= thermal and sizes.salt <= shapes
    # one point cannot tell shapes that change with depth
    flat = all(
        n > 1 or further == 0 for n, (_, further) in zip(sizes.points, (sizes.negative, sizes.positive), strict=True)
    )
    assert sizes.fits == (room and flat)


def test_ends_of_the_search_fit_and_say_what_they_are():
    assert SMALLEST.fits and LARGEST.fits and list(SMALLEST.less()) == []
    assert SMALLEST.states < Sizes().states < LARGEST.states <= 1 + CLASSES[-1][0] + sum(CLASSES[-1])
    assert not replace(LARGEST, points=(5, 5)).fits
    assert str(Sizes(3, 2, (4, 1), (3, 0))) == "thermal 3, salt 2, negative 4 + 1, positive 3 + 0, lithium 1"
    assert replace(SMALLEST, points=(1, 1)).method == "uniform reaction" and SMALLEST.method == "3 + 2 points"


@pytest.mark.parametrize(
    "options, named",
    [
        ({"layers": 2}, "layers=2"), ({"couplings": "soret"}, "couplings='soret'"),
        ({"couplings": "dufour"}, "couplings='dufour'"), ({"reactions": "all"}, "reactions='all'"),
        ({"heat": "three-term"}, "heat='three-term'"), ({"thermal": "isothermal"}, "thermal='isothermal'"),
        ({"thermal": "lumped"}, "thermal='lumped'"), ({"thermal": "x"}, "thermal='x'"),
    ],
)  # fmt: skip
def test_what_cannot_be_reduced_is_refused_by_name(options, named):
    model = CoupledModel(CELL, mesh=Mesh(4, 2, 3), nodes=8, **options)
    with pytest.raises(InputError, match=f"lgm50_21700: {named}, expected .*; .") as caught:
        model.reduce(order=12)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side, kind", [("Negative", "anodic"), ("Positive", "cathodic")])
def test_other_transfer_coefficients_are_refused(side, kind):
    cell = CELL.with_values({f"{side} electrode {kind} transfer coefficient": 0.4})
    with pytest.raises(InputError, match=f"{side.lower()} transfer coefficients .*0.4.*expected 0.5 and 0.5"):
        check_reducible(CoupledModel(cell, mesh=Mesh(4, 2, 3), nodes=8))


def test_stress_that_changes_the_diffusivity_is_refused():
    cell = CELL.with_values({"Positive electrode stress activation volume [m3.mol-1]": 1e-6})
    for couplings in ("stress", "stress-diffusivity"):
        with pytest.raises(InputError, match=r"couplings='stress-diffusivity', expected .*; .*6 mV"):
            check_reducible(CoupledModel(cell, mesh=Mesh(4, 2, 3), nodes=8, couplings=couplings))


def test_what_can_be_reduced_is_not_refused():
    for options in (
        {}, {"couplings": "stress"}, {"couplings": "stress-flux"}, {"thermal": "radial"}, {"thermal": "r-z"},
    ):  # fmt: skip
        check_reducible(CoupledModel(CELL, mesh=Mesh(4, 2, 3), nodes=8, **options))


def test_no_runs_are_a_sentence():
    with pytest.raises(InputError, match=r"lgm50_21700: no training run began \(no runs\)"):
        Ingredients(full_model(), (), 1.0)
    none = replace(traces()[0], snapshot_s=np.empty(0), stopped="too cold")
    with pytest.raises(InputError, match=r"no training run began \(too cold\)"):
        Ingredients(full_model(), (none,), 1.0)


@pytest.mark.parametrize(
    "sizes", [SMALLEST, Sizes(), LARGEST, Sizes(points=(2, 2)), Sizes(4, 1, (4, 0), (3, 0), (1, 1))]
)
def test_a_reduced_cell_has_the_sizes_that_were_asked_for_and_keeps_what_it_must(sizes):
    model = ingredients().build(sizes)
    model.verify()
    assert model.order == sizes.states and model.step_s == 1.0
    assert (len(model.negative.depth), len(model.positive.depth)) == sizes.points
    assert len(model.negative.rate) == sum(sizes.negative) and len(model.salt.separator) == sizes.salt
    run = model.simulate("discharge at 1 C for 60 s", initial_soc=0.8)
    assert not run.stopped and abs(run.energy_residual) < 1e-9


def test_parts_that_are_the_same_are_made_once_and_the_model_does_not_depend_on_what_came_before():
    first, other = ingredients().build(Sizes()), ingredients().build(replace(Sizes(), salt=1))
    assert first.negative is other.negative and first.thermal is other.thermal
    fresh = Ingredients(full_model(), traces()[:2], 1.0).build(Sizes())
    assert fresh.digest == first.digest != other.digest

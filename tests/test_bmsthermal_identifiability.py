from __future__ import annotations

import numpy as np
import pytest

from bmsthermal import load_cell
from bmsthermal.calibration import Parameter
from bmsthermal.identifiability import Identifiability
from bmsthermal.parameters import NOISES, priors

#: Numbers that the observer itself has, in one dimension.
PHYSICAL = NOISES.start


def weigh(jacobian):
    """Of data ``y = J z + noise`` of deviation 1 on numbers with the priors of a cell."""
    covariance = np.linalg.inv(np.eye(PHYSICAL) + jacobian.T @ jacobian)
    sigma = np.sqrt(np.diag(covariance))
    chosen = priors(load_cell("a123_26650"))[:PHYSICAL]
    return Identifiability.of([Parameter.of(p, 0.0, s) for p, s in zip(chosen, sigma, strict=True)], covariance)


def test_numbers_that_enter_as_a_sum_are_named_together():
    # five of six numbers known; conductivity and heat capacity only by their sum
    J = 30.0 * np.eye(PHYSICAL)
    J[1] = 0.0
    J[0, 1] = J[0, 0]
    found = weigh(J)
    assert found.learnt == pytest.approx(np.sort(found.learnt))
    assert found.learnt[0] == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(np.abs(found.directions[0][:2]), np.sqrt(0.5), atol=1e-9)
    assert found.condition == pytest.approx(np.sqrt(1 + 2 * 30.0**2))
    ((one, other, correlation),) = found.pairs
    assert one.startswith("Radial") and other.startswith("Specific") and correlation < -0.99
    change, together = found.sentences()
    assert "radial thermal conductivity by" in change and "specific heat capacity by" in change
    assert "0 % of that variance" in change and "known together, not apart" in together


def test_a_number_without_data_is_named_alone_and_good_data_say_nothing():
    J = 30.0 * np.eye(PHYSICAL)
    assert weigh(J).sentences() == [] and weigh(J).condition == pytest.approx(1.0)
    J[3, 3] = 0.1
    (sentence,) = weigh(J).sentences()
    assert sentence.startswith("enthalpy voltage shift is as unknown as before")
    assert "1 % of that variance" in sentence


def test_the_eigenvalues_are_the_information_of_the_data():
    J = np.random.default_rng(0).standard_normal((9, PHYSICAL))
    found = weigh(J)
    gained = found.learnt / (1 - found.learnt)
    np.testing.assert_allclose((found.directions.T * gained) @ found.directions, J.T @ J, atol=1e-9)


def test_an_interval_is_of_the_number_and_stays_positive_where_it_must():
    k, _, _, shift = priors(load_cell("a123_26650"))[:4]
    wide, plain = Parameter.of(k, 0.0, 1.0), Parameter.of(shift, 0.0, 1.0)
    assert 0 < wide.low < wide.value < wide.high and wide.low * wide.high == pytest.approx(wide.value**2)
    assert (plain.low, plain.high) == pytest.approx((-1.96 * shift.sd, 1.96 * shift.sd))

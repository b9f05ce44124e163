"""Which numbers the data told apart, and which they only knew together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bmsthermal.curves import Array

if TYPE_CHECKING:
    from bmsthermal.calibration import Parameter

#: A number or a direction of which less than this share of the prior variance went is called unlearnt.
LEARNT = 0.25
#: Correlation from which two numbers are called inseparable.
INSEPARABLE = 0.95
#: Part of a direction, of its length 1, from which a number is named in it.
NAMED = 0.3


@dataclass(frozen=True)
class Identifiability:
    """What data say about numbers, alone and together, all in prior standard deviations.

    With a prior of covariance 1 and a posterior of covariance `P` the data
    brought the information ``inv(P) - 1``. Its eigenvectors are the
    combinations that the data know independently of each other; an eigenvalue
    of `a` takes the share ``a / (1 + a)`` off the prior variance along its own.

    Parameters
    ----------
    parameters
        The ``n`` numbers, as fitted.
    directions
        ``(n, n)``: combinations in rows, the least known first.
    learnt
        ``(n,)``: share of the prior variance that the data removed along each of them.
    correlation
        ``(n, n)``: of the posterior.
    """

    parameters: tuple[Parameter, ...]
    directions: Array = field(repr=False)
    learnt: Array
    correlation: Array = field(repr=False)

    @classmethod
    def of(cls, parameters: Sequence[Parameter], covariance: Array) -> Identifiability:
        """Weigh a posterior.

        Parameters
        ----------
        parameters
            The numbers, ``n`` of them.
        covariance
            ``(n, n)``, in prior standard deviations; what else was fitted has been marginalised.
        """
        variance, axes = np.linalg.eigh(covariance)
        # eigenvectors have no sign of their own: the largest part is positive, so that the same input says the same
        largest = axes[np.abs(axes).argmax(axis=0), np.arange(len(axes))]
        axes = (axes * np.where(largest < 0, -1.0, 1.0)).T
        sigma = np.sqrt(np.diag(covariance))
        learnt = np.clip(1.0 - variance, 0.0, 1.0)
        return cls(tuple(parameters), axes[::-1], learnt[::-1], covariance / np.outer(sigma, sigma))

    @property
    def condition(self) -> float:
        """How many times better, in standard deviations, the best known combination is known than the worst."""
        return float(np.sqrt((1 - self.learnt[0]) / max(1 - self.learnt[-1], 1e-15)))

    @property
    def pairs(self) -> list[tuple[str, str, float]]:
        """Names and correlation of the numbers that are inseparable, the worst first."""
        rows, columns = np.triu_indices(len(self.correlation), 1)
        found = [
            (self.parameters[i].name, self.parameters[j].name, float(self.correlation[i, j]))
            for i, j in zip(rows, columns, strict=True)
            if abs(self.correlation[i, j]) > INSEPARABLE
        ]
        return sorted(found, key=lambda pair: -abs(pair[2]))

    def sentences(self) -> list[str]:
        """What a person should know of it."""
        said = []
        for axis, learnt in zip(self.directions, self.learnt, strict=True):
            named = np.flatnonzero(np.abs(axis) >= NAMED)
            if learnt >= LEARNT or not len(named):
                continue
            removed = f"the data removed {100 * learnt:.0f} % of that variance"
            if len(named) == 1:
                p = self.parameters[named[0]]
                said.append(f"{p.name.lower()} is as unknown as before: {removed}")
                continue
            step = axis * np.sqrt(1 - learnt)
            order = named[np.argsort(-np.abs(axis[named]), kind="stable")]
            moves = [_move(self.parameters[i], float(step[i])) for i in order]
            said.append(f"the data cannot tell a change of {' with '.join(moves)} from none: {removed}")
        for one, other, correlation in self.pairs:
            better = np.sqrt((1 + abs(correlation)) / (1 - abs(correlation)))
            said.append(
                f"{one.lower()} and {other.lower()} are known together, not apart (correlation {correlation:+.3f}): "
                f"one combination {better:.0f} times better than the other"
            )
        return said


def _move(parameter: Parameter, by: float) -> str:
    unit = "" if parameter.unit == "1" else f" {parameter.unit}"
    return f"{parameter.name.lower()} by {by * parameter.slope:+.2g}{unit}"

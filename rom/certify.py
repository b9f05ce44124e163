"""What a reduction is worth: its errors over runs and wall conductances, and what it must keep exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from rom.certificate import Certificate, Error, Kept
from rom.passive import PassiveSystem, held
from rom.statespace import Array
from rom.step import ModalStep, filtered

__all__ = ["Certificate", "Error", "Kept", "certify"]

#: Steps in s, shares of the conductances and frequencies in Hz over which poles and responses are looked at.
STEPS_S = np.geomspace(0.01, 10.0, 7)
SHARES = np.concatenate([[0.0], np.geomspace(1e-3, 1e2, 6)])
FREQUENCIES_HZ = np.concatenate([[0.0], np.geomspace(1e-6, 10.0, 141)])


def certify(
    full: PassiveSystem,
    bases: Mapping[str, Callable[[PassiveSystem, int], Array]],
    orders: Sequence[int],
    *,
    conductances: Sequence[ArrayLike],
    source: ArrayLike,
    surroundings: Mapping[str, ArrayLike],
    step_s: float,
    output: int = 0,
    scale: tuple[int, int, float] | None = None,
    units: tuple[str, str] = ("", ""),
) -> Certificate:
    """Measure reductions of `full` against it.

    Parameters
    ----------
    full
        The system before reduction.
    bases
        By name: functions of the system and an order that give a basis ``(n, order)``.
    orders
        Orders to try.
    conductances
        Wall conductances, each one number or ``(w,)``, not all of them 0.
    source
        Drive of the sources ``(k, u)`` with the surroundings at 0; its run is called ``source``.
    surroundings
        By name: runs of the surroundings ``(k, w)`` with the sources at 0.
    step_s
        Length of a step in s; inputs are held over it.
    output
        Index of the output that errors are of.
    scale
        ``(a, b, size)``: at each conductance the source is scaled so that
        outputs `a` and `b` of the full system differ by at most `size`.
    units
        Unit of the output and of the conductances, for the table.

    Raises
    ------
    ValueError
        If the drives do not fit the system, or a set of conductances is all zero.
    """
    u, w = len(full.inputs), len(full.walls)
    drives = {"source": np.pad(_rows(source, u, "source"), ((0, 0), (0, w)))}
    drives |= {name: np.pad(_rows(c, w, name), ((0, 0), (u, 0))) for name, c in surroundings.items()}
    truths = []
    for g in conductances:
        closed, runs = _Closed(full, full.conductances(g)), dict(drives)
        if scale is not None:
            y = closed.outputs(runs["source"], step_s)
            runs["source"] = runs["source"] * (scale[2] / np.abs(y[:, scale[0]] - y[:, scale[1]]).max())
        truths.append(_Truth(closed, runs, {name: closed.outputs(run, step_s) for name, run in runs.items()}))
    errors: list[Error] = []
    kept = []
    for method, basis in bases.items():
        for order in orders:
            V = basis(full, order)
            modal, shapes = full.project(V).modal()
            step = ModalStep.of(modal, step_s)
            errors += [Error(method, order, *row) for row in _errors(modal, step, truths, output)]
            dc, frequency = _gains(modal, step, truths, output)
            energy = _energy(full, modal, step, V @ shapes, truths)
            largest, at_one = _poles(modal, step, [truth.closed.g for truth in truths])
            kept.append(Kept(method, order, dc, energy, largest, at_one, frequency))
    conserved = int(np.sum(full.modes[0] == 0.0))
    return Certificate(full.outputs[output], units, step_s, conserved, tuple(errors), tuple(kept))


class _Closed:
    """A system with its walls closed by `g`, in its own modes."""

    def __init__(self, system: PassiveSystem, g: Array) -> None:
        if not g.any():
            raise ValueError("every set of conductances needs a wall that is open (g > 0)")
        closed = replace(system, K=system.K + (system.E * g) @ system.E.T)
        inputs = np.hstack([system.B, system.E * g])
        self.g, (self.rates, shapes) = g, closed.modes
        self.drive, self.read = shapes.T @ inputs, system.C @ shapes
        # not from the modes: their smallest rate is known to the rounding of the largest only
        self.dc: Array = system.C @ linalg.solve(closed.K, inputs, assume_a="pos")

    def outputs(self, u: Array, step_s: float) -> Array:
        """``(k, y)`` at the end of each step, inputs held over it, from zero."""
        decay, gain = held(self.rates, step_s)
        return np.asarray(filtered(decay, u @ (gain[:, None] * self.drive).T) @ self.read.T)

    def response(self, output: int) -> NDArray[np.complex128]:
        """``(f, u + w)`` of one output over `FREQUENCIES_HZ`."""
        s = 2j * np.pi * FREQUENCIES_HZ
        return np.asarray(self.read[output] / (s[:, None] + self.rates) @ self.drive)


@dataclass(frozen=True)
class _Truth:
    """The full system at one set of conductances: runs ``(k, u + w)`` and their outputs ``(k, y)``."""

    closed: _Closed
    runs: dict[str, Array]
    outputs: dict[str, Array]


def _errors(
    modal: PassiveSystem, step: ModalStep, truths: Sequence[_Truth], output: int
) -> Iterator[tuple[str, tuple[float, ...], float, float]]:
    for truth in truths:
        g = truth.closed.g
        reduced = _Closed(modal, g)
        for name, u in truth.runs.items():
            exact = truth.outputs[name][:, output]
            by_hold = np.abs(reduced.outputs(u, step.step_s)[:, output] - exact).max()
            by_step = np.abs(step.run(u, g) @ modal.C[output] - exact).max()
            yield name, tuple(g.tolist()), float(by_hold), float(by_step)


def _gains(modal: PassiveSystem, step: ModalStep, truths: Sequence[_Truth], output: int) -> tuple[float, float]:
    dc = frequency = 0.0
    for truth in truths:
        exact, reduced = truth.closed, _Closed(modal, truth.closed.g)
        A, B = step.matrices(exact.g)
        for gain in (reduced.dc, modal.C @ np.linalg.solve(np.eye(len(A)) - A, B)):
            dc = max(dc, _relative(gain - exact.dc, np.abs(exact.dc).max(axis=0)))
        missed = reduced.response(output) - exact.response(output)
        frequency = max(frequency, _relative(missed, np.abs(exact.dc[output])))
    return dc, frequency


def _energy(full: PassiveSystem, modal: PassiveSystem, step: ModalStep, lift: Array, truths: Sequence[_Truth]) -> float:
    worst = 0.0
    constants = full.modes[1][:, full.modes[0] == 0.0]
    for truth in truths:
        g = truth.closed.g
        for u in truth.runs.values():
            x = step.run(u, g)
            flow = np.hstack([u[:, : -len(g)], g * (u[:, -len(g) :] - x @ modal.E)])
            carried = step.step_s * flow @ np.hstack([full.B, full.E]).T @ constants
            stored = constants.T @ full.M @ lift @ x[-1]
            worst = max(worst, _relative(carried.sum(axis=0) - stored, np.abs(carried).sum(axis=0)))
    return worst


def _poles(modal: PassiveSystem, step: ModalStep, opened: Sequence[Array]) -> tuple[float, int]:
    grid = [ModalStep.of(modal, t).poles(share * g) for t in STEPS_S for share in SHARES for g in opened]
    return float(np.abs(grid).max()), int(np.sum(step.poles(0.0) == 1.0))


def _relative(error: NDArray[Any], size: Array) -> float:
    return float(np.max(np.abs(error) / np.maximum(size, np.finfo(float).tiny), initial=0.0))


def _rows(values: ArrayLike, columns: int, name: str) -> Array:
    rows = np.asarray(values, float)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != columns or not np.isfinite(rows).all():
        raise ValueError(f"run {name!r} has shape {rows.shape}, expected (steps, {columns}) finite numbers")
    return rows

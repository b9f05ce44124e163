r"""How likely a surface temperature is, given a model that is wrong in ways we can name.

The residual of an open-loop simulation is averaged over blocks of about the
slowest internal time constant, and its covariance is that of a linear system

.. math:: x_{k+1} = A x_k + w_k,\qquad y_k = H x_k + v_k

whose states are the thermal modes, a slow relative error of the heat, a slow
discrepancy of each sensor and, where there are several, an offset of each. At
1 Hz an innovations likelihood would count noise of the sensor as knowledge of
the conductivity; blocks and named errors do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from bmsthermal.curves import Array
from rom import PassiveSystem
from rom.passive import held

#: Correlation times of the slow heat error and of the surface discrepancy, in s.
SLOW_HEAT_S, DISCREPANCY_S = 600.0, 200.0
#: Noise of a block mean, and uncertainty of the uniform start, in K.
BLOCK_NOISE_K, START_K = 0.01, 0.05


@dataclass(frozen=True)
class HeatError:
    """Named errors of the model.

    Parameters
    ----------
    slow
        Standard deviation of the slow error, relative to the heat.
    white_rts
        Density of the white error, relative to the heat, in s^0.5.
    discrepancy_K
        Standard deviation of what the model never explains at a sensor.
    offset_K
        Standard deviation of what each sensor reads beside the others, for good.
    """

    slow: float
    white_rts: float
    discrepancy_K: float
    offset_K: float = 0.0


@dataclass(frozen=True)
class BlockModel:
    """Linear system of the block residual, with ``n`` states and ``m`` sensors.

    Parameters
    ----------
    A
        ``(n, n)``: from block to block.
    H
        ``(m, n)``: sensors.
    P
        ``(n, n)``: covariance at the first block.
    Q
        ``(n, n)``: covariance of what a block adds at any heat.
    Q_heat
        ``(n, n)``: what it adds per W2 of mean squared heat.
    Q_lost
        ``(n, n)``: what it adds per W2 of variance where the heat was not measured.
    R
        Variance of a block mean in K2.
    """

    A: Array
    H: Array
    P: Array
    Q: Array
    Q_heat: Array
    Q_lost: Array
    R: float = BLOCK_NOISE_K**2

    @classmethod
    def of(
        cls,
        modal: PassiveSystem,
        g: Array,
        seen: Array,
        share: float,
        error: HeatError,
        seconds: float,
    ) -> BlockModel:
        """Build it from a modal system.

        Parameters
        ----------
        modal
            Thermal modes, insulated; its first mode is the constant.
        g
            Wall conductances ``(w,)`` in W/K.
        seen
            Temperature at each sensor, of the modes, ``(n, m)``.
        share
            Share of the surroundings in a reading.
        error
            Named errors.
        seconds
            Length of a block.
        """
        n, m = seen.shape
        heat, sensors = n, slice(n + 1, n + 1 + m)
        rates, shapes = np.linalg.eigh(modal.K + (modal.E * g) @ modal.E.T)
        drive, wall = shapes.T @ modal.B[:, 0], shapes.T @ seen
        faster = rates - 1 / SLOW_HEAT_S
        faster = np.where(faster == 0, 1e-12, faster)
        A = np.diag(np.exp(-seconds * np.r_[rates, 1 / SLOW_HEAT_S, np.full(m, 1 / DISCREPANCY_S)]))
        A[:n, heat] = -drive * A[heat, heat] * np.expm1(-faster * seconds) / faster
        held_W = np.r_[drive * held(rates, seconds)[1], np.zeros(1 + m)]
        Q_lost = np.outer(held_W, held_W)
        Q_heat = error.white_rts**2 / seconds * Q_lost
        Q_heat[heat, heat] -= error.slow**2 * np.expm1(-2 * seconds / SLOW_HEAT_S)
        P, Q = np.zeros_like(A), np.zeros_like(A)
        P[:n, :n] = (START_K / modal.E[0, 0]) ** 2 * np.outer(shapes[0], shapes[0])
        P[sensors, sensors] = error.discrepancy_K**2 * np.eye(m)
        Q[sensors, sensors] = P[sensors, sensors] * -np.expm1(-2 * seconds / DISCREPANCY_S)
        H = np.hstack([(1 - share) * wall.T, np.zeros((m, 1)), np.eye(m)])
        if error.offset_K > 0:
            A, P = block_diag(A, np.eye(m)), block_diag(P, error.offset_K**2 * np.eye(m))
            Q, Q_heat, Q_lost = (block_diag(each, np.zeros((m, m))) for each in (Q, Q_heat, Q_lost))
            H = np.hstack([H, np.eye(m)])
        return cls(A, H, P, Q, Q_heat, Q_lost)

    def log_density(self, residual: Array, heat_W2: Array, lost_W2: Array) -> float:
        """Exact Gaussian log density of block means, by a Kalman filter.

        Parameters
        ----------
        residual
            ``(b, m)`` in K, NaN where a sensor was absent.
        heat_W2
            ``(b,)``: mean squared heat.
        lost_W2
            ``(b,)``: variance of the heat from what was not measured.
        """
        x, P, total = np.zeros(len(self.A)), self.P, 0.0
        for row, heat, lost in zip(residual, heat_W2, lost_W2, strict=True):
            for h, value in zip(self.H, row, strict=True):
                if np.isnan(value):
                    continue
                Ph = P @ h
                S = float(h @ Ph) + self.R
                e = float(value - h @ x)
                total -= 0.5 * (np.log(2 * np.pi * S) + e * e / S)
                x = x + Ph * (e / S)
                P = P - Ph[:, None] * (Ph / S)
            x = self.A @ x
            P = self.A @ P @ self.A.T + (self.Q + heat * self.Q_heat + lost * self.Q_lost)
        return float(total)


def block_means(values: Array, rows: int) -> Array:
    """Means ``(b, ...)`` of blocks of `rows`; NaN where less than half of a block was measured."""
    count = len(values) // rows
    blocks = values[: count * rows].reshape(count, rows, *values.shape[1:])
    known = np.isfinite(blocks).sum(axis=1)
    total = np.nansum(blocks, axis=1)
    return np.where(2 * known >= rows, total / np.maximum(known, 1), np.nan)


def laplace(cost: Callable[[Array], float], at: Array) -> Array:
    """Posterior covariance ``(n, n)`` around a minimum of minus the log posterior.

    Coordinates count prior standard deviations.

    The Hessian is differenced in steps of 0.05, and twice more in steps of half
    the posterior deviations just found: a badly scaled valley has no other
    honest step. No direction comes out wider than the prior.
    """
    n, f0 = len(at), cost(at)
    L = 0.05 * np.eye(n)
    for step in (1.0, 0.5, 0.5):
        I = step * np.eye(n)  # noqa: E741
        up = [cost(at + L @ d) for d in I]
        down = [cost(at - L @ d) for d in I]
        hessian = np.diag([u - 2 * f0 + d for u, d in zip(up, down, strict=True)])
        for i in range(n):
            for j in range(i):
                both = cost(at + L @ (I[i] + I[j])) + cost(at - L @ (I[i] + I[j]))
                hessian[i, j] = hessian[j, i] = (both - up[i] - up[j] + 2 * f0 - down[i] - down[j]) / 2
        back = np.linalg.inv(L)
        curvature, axes = np.linalg.eigh(back.T @ (hessian / step**2) @ back)
        L = axes / np.sqrt(np.maximum(curvature, 1.0))
    return np.asarray(L @ L.T)

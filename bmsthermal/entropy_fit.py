"""One recording, one entropic coefficient: temperature steps told apart from relaxation, drift and noise.

The voltage at rest is

    U(t) = U0 + sum_k s_k T_k(t) + sum_j b_j (T(t) - Z_j(t)) + A exp(-theta(t) / tau) + D theta(t) + C t + noise,

linear in ``U0`` and the slopes ``s_k`` of the steps (T_k is the part of the temperature that step k made, so that
each step has a dU/dT of its own), in ``b`` for what a step stirs up and that then settles (one Z follows T in minutes,
one in an hour), ``A`` for the relaxation that began before, ``D`` for self-discharge and ``C`` for a steady drift.
Diffusion and self-discharge are faster in the warmth: theta is time on a clock of activation energy E,
``dtheta/dt = exp(-E/R (1/T - 1/298.15 K))``, and Z runs on it too. T is the surface temperature behind a lag. Time
constants and E are nonlinear and have weak priors; the linear part is solved for each of them (variable projection:
Golub and Pereyra 1973, SIAM J. Numer. Anal. 10, 413). The noise is white and, in time, correlated (Ornstein-Uhlenbeck);
its three numbers maximise the restricted likelihood (Patterson and Thompson 1971, Biometrika 58, 545), and the fit is
generalised least squares with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, qr, solve_triangular
from scipy.optimize import least_squares, minimize

from bmsthermal.curves import Array
from bmsthermal.potentiometry import Recording

GAS_J_MOL_K, REFERENCE_K = 8.314462618, 298.15
#: Priors, mean and standard deviation: logarithms of the times [s] of relaxation, of slow and of fast settling, all at
#: 25 degC, and of the lag; activation energy in units of 10 kJ/mol (diffusion and charge transfer have 20 to 80).
PRIOR = np.array([[np.log(1e4), 1.5], [np.log(2e3), 0.7], [np.log(200.0), 0.7], [np.log(30.0), 0.7], [5.0, 6.0]])
#: Prior standard deviations of the linear part: what a step stirs up beside dU/dT, slowly and fast, in V/K (a measured
#: cell had 5 to 30 and 5 to 80 uV/K); relaxation, self-discharge and steady drift over the recording in V, all wide.
LINEAR = np.array([2e-5, 1e-4, 0.03, 0.01, 0.01])
#: Standard errors are wider by this: they count neither the error of the noise's numbers nor that the model is not
#: linear. Chosen on synthetic sets: the bare 95 % band covers 91 to 92 % there, this one 94 to 96 %.
WIDER = 1.25
#: Rows of the fit are means over so many seconds; of the first plateau so many are used; a plateau is so long.
ROW_S, BEFORE_S, SETTLED_S = 120.0, 7200.0, 900.0
#: Rounds of fit and noise.
ROUNDS = 3
#: Bounds of the noise: volts of the correlated part and of one row, correlation time in s.
NOISE = np.log([[1e-6, 3e-3], [1e-6, 1e-3], [120.0, 20_000.0]])


@dataclass(frozen=True, eq=False)
class Steps:
    """What one recording says, step by step.

    Parameters
    ----------
    slope_V_K
        dU/dT of each step [V/K], shape ``(k,)``.
    covariance
        Its covariance, ``(k, k)``.
    middle_K
        Temperature halfway of each step [K], ``(k,)``.
    levels_K
        Temperature before the first step and after each one, ``(k + 1,)``.
    creep_K
        How far the temperature still moved over the last 10 minutes before the next step, ``(k + 1,)``.
    relaxation_V, drift_V
        What relaxation and drift change from the first row to the last [V].
    noise
        Standard deviation of the correlated and of the white noise [V], correlation time [s].
    nonlinear
        Times of relaxation, of slow and of fast settling at 25 degC and lag [s]; activation energy [J/mol].
    rms_V
        Root mean square of the residual [V].
    """

    slope_V_K: Array
    covariance: Array
    middle_K: Array
    levels_K: Array
    creep_K: Array
    relaxation_V: float
    drift_V: float
    noise: Array
    nonlinear: Array
    rms_V: float


class _Window:
    """The part of a recording that is fitted: from the end of its first plateau on, but for the moving pieces."""

    def __init__(self, run: Recording, moves: list[tuple[int, int]]) -> None:
        least, before = round(SETTLED_S / run.step_s), round(BEFORE_S / run.step_s)
        # heating at once from rest mixes its step with the relaxation that it stirs up: it begins after that
        late = moves[0][0] < least
        after, self.moves = (moves[0][1], moves[1:]) if late else (0, moves)
        self.starts = np.zeros(0, int)
        if len(self.moves) < 2:
            return
        at = self.moves[0][0]
        begin = max(min(after + least, at - least // 3), at - before, 0)
        self.step_s = run.step_s
        self.kelvin, voltage = run.surface_K[begin:], run.voltage_V[begin:]
        self.moves = [(a - begin, b - begin) for a, b in self.moves]
        used = ~np.isnan(voltage)
        for a, b in self.moves:
            used[a:b] = False
        self.used = np.flatnonzero(used)
        row = self.used // max(round(ROW_S / run.step_s), 1)
        self.starts = np.flatnonzero(np.diff(row, prepend=-1))
        self.counts = np.diff(self.starts, append=len(row))
        self.time_s = self.rows(run.time_s[begin:])
        self.zero_V = float(np.median(voltage[self.used])) if len(self.used) else 0.0
        self.voltage = self.rows(voltage - self.zero_V)

    def rows(self, values: Array) -> Array:
        """Mean over each row of the fit."""
        means: Array = np.add.reduceat(values[self.used], self.starts) / self.counts
        return means

    def design(self, p: Array) -> Array:
        """Columns of the linear part at the nonlinear parameters, ``(rows, 6 + steps)``."""
        relaxing, slow, fast, lag = np.exp(p[:4])
        kelvin = _follow(self.kelvin, np.full(len(self.kelvin), self.step_s / lag))
        rate = np.exp(-1e4 * p[4] / GAS_J_MOL_K * (1 / kelvin - 1 / REFERENCE_K)) * self.step_s
        theta = np.concatenate([[0.0], np.cumsum(rate[:-1])])
        index = np.arange(len(kelvin))
        ends = [a for a, _ in self.moves[1:]] + [len(kelvin)]
        made = [kelvin[np.clip(index, a, b - 1)] - kelvin[a] for (a, _), b in zip(self.moves, ends, strict=True)]
        shapes = [np.ones(len(kelvin)), *made, *(kelvin - _follow(kelvin, rate / tau) for tau in (slow, fast))]
        shapes += [np.exp(-theta / relaxing), theta / theta[-1], index / len(kelvin)]
        return np.array([self.rows(shape) for shape in shapes]).T

    def covariance(self, noise: Array) -> Array:
        """Covariance of the rows at the logarithms of the noise's three numbers."""
        slow, white, tau = np.exp(noise)
        between = np.abs(self.time_s[:, None] - self.time_s)
        return np.asarray(slow**2 * np.exp(-between / tau) + np.diag(white**2 * self.counts.max() / self.counts))


def _follow(values: Array, rate: Array) -> Array:
    """First-order lag whose rate times step is `rate`, exact for values that are held."""
    state, kept = values[0], []
    for value, keep in zip(values.tolist(), np.exp(-rate).tolist(), strict=True):
        state = value + (state - value) * keep
        kept.append(state)
    return np.array(kept)


def fit_steps(run: Recording) -> Steps | None:
    """Fit one recording; None where fewer than two steps have rows on both of their sides."""
    moves = run.moves()
    if not moves:
        return None
    window = _Window(run, moves)
    if len(window.starts) < 3 * (len(window.moves) + 11):
        return None
    noise, p = np.log([2e-5, 5e-6, 1000.0]), PRIOR[:, 0]
    for _ in range(ROUNDS):
        p, linear, jacobian, residual = _least_squares(window, p, noise)
        noise = _restricted(window, jacobian, residual, noise)
    p, linear, jacobian, residual = _least_squares(window, p, noise)
    white = solve_triangular(cholesky(window.covariance(noise), lower=True), jacobian, lower=True)
    root = qr(np.vstack([white, np.diag(_known(1 + len(window.moves)))]), mode="r")[0][: white.shape[1]]
    half = solve_triangular(root, np.eye(len(root)))
    covariance = WIDER**2 * half @ half.T
    count = len(window.moves)
    levels, creep = _levels(window)
    end = jacobian[-1] - jacobian[0]
    return Steps(
        linear[1 : 1 + count], covariance[1 : 1 + count, 1 : 1 + count], (levels[1:] + levels[:-1]) / 2, levels, creep,
        float(end[count + 3] * linear[-3]), float(end[count + 4 : count + 6] @ linear[-2:]), np.exp(noise),
        np.array([*np.exp(p[:4]), 1e4 * p[4]]), float(np.sqrt(np.mean(residual**2))),
    )  # fmt: skip


def _known(free: int) -> Array:
    """One over the prior deviation of each parameter, 0 for the first `free` ones."""
    return np.concatenate([np.zeros(free), 1 / LINEAR, 1 / PRIOR[:, 1]])


def _least_squares(window: _Window, start: Array, noise: Array) -> tuple[Array, Array, Array, Array]:
    """Nonlinear and linear parameters, the Jacobian of both ``(rows, linear + nonlinear)``, and the residual."""
    root = cholesky(window.covariance(noise), lower=True)
    known = np.diag(_known(1 + len(window.moves)))[:, : -len(PRIOR)]
    aim = np.concatenate([solve_triangular(root, window.voltage, lower=True), np.zeros(len(known))])

    def solve(p: Array) -> tuple[Array, Array, Array]:
        design = window.design(p)
        white = np.vstack([solve_triangular(root, design, lower=True), known])
        scale = np.abs(white).max(0)
        linear = np.linalg.lstsq(white / scale, aim, rcond=1e-10)[0] / scale
        return design, linear, white @ linear - aim

    def cost(p: Array) -> Array:
        return np.concatenate([solve(p)[2], (p - PRIOR[:, 0]) / PRIOR[:, 1]])

    p: Array = least_squares(cost, start, method="lm", diff_step=1e-4, xtol=1e-6, ftol=1e-9).x
    design, linear, _ = solve(p)
    h = 1e-4
    moved = [(window.design(p + h * unit) - window.design(p - h * unit)) @ linear / (2 * h) for unit in np.eye(len(p))]
    return p, linear, np.column_stack([design, *moved]), window.voltage - design @ linear


def _restricted(window: _Window, jacobian: Array, residual: Array, start: Array) -> Array:
    """Noise of largest restricted likelihood, the model being linear near the fit."""
    known = np.diag(_known(1 + len(window.moves)))

    def cost(noise: Array) -> float:
        root = cholesky(window.covariance(noise), lower=True)
        white = solve_triangular(root, np.column_stack([jacobian, residual]), lower=True)
        q, r = qr(np.vstack([white[:, :-1], known]), mode="economic")
        left = white[:, -1] @ white[:, -1] - ((white[:, -1] @ q[: len(white)]) ** 2).sum()
        return float(2 * np.log(np.diag(root)).sum() + 2 * np.log(np.abs(np.diag(r))).sum() + left)

    found = minimize(cost, np.clip(start, *NOISE.T), method="L-BFGS-B", bounds=NOISE.tolist())
    return np.asarray(found.x)


def _levels(window: _Window) -> tuple[Array, Array]:
    """Temperature at the end of each plateau, and what it moved over the 10 minutes before, both ``(steps + 1,)``."""
    back = max(round(600 / window.step_s), 1)
    ends = [a for a, _ in window.moves] + [len(window.kelvin)]
    begins = [0] + [b for _, b in window.moves]
    last = [window.kelvin[max(b - max(back // 5, 1), a) : b].mean() for a, b in zip(begins, ends, strict=True)]
    first = [window.kelvin[max(b - back, min(a, b - 1))] for a, b in zip(begins, ends, strict=True)]
    return np.array(last), np.array(last) - np.array(first)

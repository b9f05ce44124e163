"""The observer written to be read: filterpy's extended Kalman filter on the same model as the kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array
from bmsthermal.packing import Packed, unpack_covariance

HUGE = 1.0e6  # what the kernel takes for absent, beside NaN


def present(value: float) -> bool:
    """Whether a number is neither NaN nor absurd."""
    return bool(-HUGE < value < HUGE)


class Reference:
    """Twin of the compiled `Kernel` for one cell, in float64, with the same methods.

    Parameters
    ----------
    model
        The packed model.
    """

    single, cells = False, 1

    def __init__(self, model: Packed) -> None:
        from filterpy.kalman import ExtendedKalmanFilter

        self.model = model
        self.states, self.walls = len(model.decay), len(model.wall)
        self.sensors = len(model.sense)
        self.state_size = self.states + self.states * (self.states + 1) // 2 + 1
        self.input_size, self.output_size = 3 + 2 * self.walls, 1 + 2 * 8
        self.filter = ExtendedKalmanFilter(dim_x=self.states, dim_z=1)
        self.filter.predict_x = self._predict_x
        self.soc = 0.5

    def heat(self, u: Array) -> tuple[float, float, float]:
        """Heat in W, its slope in W/K and its variance in W2; counts the charge on the way."""
        m = self.model
        current, voltage, given = u[:3]
        known = present(current)
        current = current if known else 0.0
        grid = np.linspace(0.0, 1.0, len(m.open_circuit_V))
        E, dE = np.interp(self.soc, grid, m.open_circuit_V), np.interp(self.soc, grid, m.entropy_V_K)
        T = m.reference_K + m.mean * self.filter.x[0, 0]
        heat = current * (E - voltage) - current * T * dE
        counted = self.soc - m.soc_per_A * current
        self.soc = min(max(counted, 0.0), 1.0)
        if present(given):
            return given, 0.0, m.heat_variance
        if known and present(heat) and 0.0 <= counted <= 1.0:
            return heat, -current * dE, m.heat_variance
        return 0.0, 0.0, m.heat_variance + m.lost_heat_variance

    def step(self, u: Array, z: Array) -> tuple[float, Array, Array]:
        """Predict with inputs `u` held over the step, update with `z` at its end."""
        m, ekf = self.model, self.filter
        heat, slope, variance = self.heat(u)
        coolant = np.array(u[3 : 3 + self.walls]) - m.coolant_reference_K
        given = np.array(u[3 + self.walls :])
        g = np.where([present(value) and value >= 0 for value in given], given, m.conductance_W_K)
        open_ = np.abs(np.nan_to_num(coolant, nan=np.inf)) < HUGE
        g = np.where(open_, g, 0.0)

        # x+ = W (D x + d heat) + surroundings,  W = 1 - S (1 + g E'S)^-1 g E'
        E, S, d = m.wall.T, m.sink.T, m.drive[0]
        flow = np.linalg.solve(np.eye(self.walls) + g[:, None] * (E.T @ S), np.diag(g))
        W = np.eye(self.states) - S @ flow @ E.T
        slope_row = slope * m.mean * np.eye(self.states)[0]
        insulated = m.decay * ekf.x[:, 0] + d * heat
        coolant = np.where(open_, coolant, E.T @ insulated)
        self._next = (W @ insulated + S @ flow @ coolant)[:, None]
        ekf.F = W @ (np.diag(m.decay) + np.outer(d, slope_row))
        ekf.Q = W @ (variance * np.outer(d, d) + np.diag(m.noise)) @ W.T
        ekf.predict()

        innovation, spread = np.zeros(8), np.zeros(8)
        for k, reading in enumerate(z):
            if not present(reading - m.reference_K):
                continue
            H = m.sense[[k]]
            before = ekf.x.copy()
            ekf.update(
                np.array([[reading - m.reference_K - m.mixed[k] @ coolant]]),
                HJacobian=lambda x, H=H: H, Hx=lambda x, H=H: H @ x, R=np.array([[m.sense_variance[k]]]),
            )  # fmt: skip
            innovation[k] = reading - m.reference_K - m.mixed[k] @ coolant - (H @ before)[0, 0]
            spread[k] = ekf.S[0, 0]
        return heat, innovation, spread

    def run(self, u: Array, z: Array, out: Array | None = None, past: Array | None = None) -> None:
        """Step through arrays; see `Kernel.run`."""
        for k in range(len(u)):
            heat, innovation, spread = self.step(u[k, 0], z[k, 0])
            if out is not None:
                out[k, 0] = np.concatenate([[heat], innovation, spread])
            if past is not None:
                self.read(past[k])

    def read(self, rows: NDArray[np.float64]) -> None:
        """Copy the state into `rows` ``(1, state_size)``."""
        n = self.states
        rows[0, :n] = self.filter.x[:, 0]
        rows[0, n:-1] = self.filter.P[np.tril_indices(n)]
        rows[0, -1] = self.soc

    def write(self, rows: NDArray[np.float64]) -> None:
        """Set the state from `rows`."""
        n = self.states
        self.filter.x = np.array(rows[0, :n])[:, None]
        self.filter.P = unpack_covariance(rows[0, n:-1], n)
        self.soc = float(rows[0, -1])

    def _predict_x(self, u: float = 0.0) -> None:
        self.filter.x = self._next

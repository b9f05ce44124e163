r"""What sensors can tell of cooling, heat and their own offsets, along a drive and a rest that nobody has driven yet.

The slopes of the joint filter along a nominal run make it a linear one, whose covariance is known without any
measurement. Everything is unsure in it, asked for or not: what is not estimated is not known for that. Beside the
filter's own states it carries the error of the ambient's thermometer. One kelvin more of the
coolant and of the cell is one kelvin more a step later, so that its column is :math:`e - F e`, with `e` one kelvin
everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.joint import KINDS, JointFilter, JointNoise, Layout
from bmsthermal.observer import Observer
from bmsthermal.packing import pack
from bmsthermal.reduction import ReducedModel

#: Step of the analysis in s: readings in between count as their mean.
STEP_S = 10.0
#: The nominal run: pulses of heat for 10 minutes, on for 60 s of every 80, then rest; in s.
DRIVE_S, REST_S, ON_S, PULSE_S = 600.0, 600.0, 60.0, 80.0
#: What the heat would warm the cell by, in K, if it lasted.
RISE_K = 30.0
#: How many times less sure the thermometer of the ambient is than a sensor: it hangs somewhere else.
AMBIENT = 2.0
#: A standard deviation that is none.
SURE = 1e-3


@dataclass(frozen=True)
class Passage:
    """Slopes and noise of the joint filter along a run of ``k`` steps, ``N`` states of which the last is the ambient.

    Parameters
    ----------
    F, Q
        ``(k, N, N)``: slopes of each step, and covariance of its noise.
    H, R
        ``(m, N)`` and K2: what is read at the end of each, and the variance of that.
    P
        ``(N, N)`` before the first.
    layout
        Where the states are; the ambient comes after them.
    time_s, heat_W
        Start of each step, and its heat, ``(k,)``.
    """

    F: Array
    Q: Array
    H: Array
    R: float
    P: Array
    layout: Layout
    time_s: Array
    heat_W: Array

    def covariances(self, seen: bool = True) -> Array:
        """Covariance ``(k + 1, N, N)`` before the first step and after each, with or without what is read."""
        P, found = self.P, [self.P]
        for F, Q in zip(self.F, self.Q, strict=True):
            P = F @ P @ F.T + Q
            if seen:
                S = self.H @ P @ self.H.T + self.R * np.eye(len(self.H))
                left = np.eye(len(P)) - P @ self.H.T @ np.linalg.solve(S, self.H)
                # Joseph's form: what is left of a large variance is not the difference of two
                K = np.linalg.solve(S, self.H @ P).T
                P = left @ P @ left.T + self.R * K @ K.T
            found.append((P + P.T) / 2)
        return np.array(found)


def passage(
    observer: Observer, measured: Sequence[str], kinds: Collection[str], *, rest_s: float = REST_S,
    ambient_K: float | None = None, cooling_known: bool = False, rows: tuple[Array, Array] | None = None,
) -> Passage:  # fmt: skip
    """Run the joint filter of an observer's model along the nominal drive and rest.

    Parameters
    ----------
    observer
        Its model and noise are taken.
    measured
        Surface sensors.
    kinds
        What is asked for. Offsets that are not asked for are no larger than ``offset_K`` of the noise.
    rest_s
        Length of the rest.
    ambient_K
        How sure the thermometer of the ambient is; by default as sure as the sensors are.
    cooling_known
        Whether the heat-transfer coefficients are.
    rows
        What each sensor reads of the states ``(m, n)`` and of the coolants ``(m, w)``, in place of what its name says.
    """
    reduced, noise = replace(observer.reduced, step_s=STEP_S), uncertainty(observer, kinds)
    if cooling_known:
        noise = replace(noise, log_h=SURE, log_h_rth=SURE)
    # the mean of the readings of a step counts, whatever the observer's own step is
    noise = replace(noise, sensor_K=noise.sensor_K * float(np.sqrt(max(observer.reduced.step_s, 1.0) / STEP_S)))
    model = pack(reduced, measured, noise, reduced.cell.ambient_share, 0.0)
    if rows is not None:
        model = replace(model, sense=rows[0], mixed=rows[1])
    filter_ = JointFilter(model, KINDS, noise, STEP_S, common=reduced.resolution == "r-z")
    at, N, walls = filter_.layout.places, filter_.layout.states, len(reduced.walls)
    around = np.full(walls, reduced.cell.reference_K)
    begun = Observer.start(observer, reduced.cell.reference_K, 0.5, noise=noise)  # at rest, every state 0
    shares = np.eye(N + 1)  # a sensor at rest with what it reads, which the true coolant has a share in
    shares[at["reading"], N] = model.mixed.sum(axis=1)
    P = np.zeros((N + 1, N + 1))
    P[:N, :N] = filter_.prior(begun.P)
    P[N, N] = (AMBIENT * noise.bias_K if ambient_K is None else ambient_K) ** 2

    one = np.zeros(N)
    one[at["thermal"]], one[at["reading"]] = reduced.constant, 1.0
    capacity_J_K = STEP_S / float(model.drive[0, 0])  # the first state is one kelvin everywhere
    time_s = np.arange(0.0, DRIVE_S + rest_s, STEP_S)
    watts = RISE_K * (_steady_W_K(reduced) + capacity_J_K / (DRIVE_S + REST_S))
    heat = np.where((time_s < DRIVE_S) & (time_s % PULSE_S < ON_S), watts, 0.0)
    Fs, Qs = np.zeros((2, len(heat), N + 1, N + 1))
    for k, watt in enumerate(heat):
        _, F, G, q, _ = filter_.predict(np.concatenate([[0.0, np.nan, watt], around, np.full(walls, np.nan)]))
        Fs[k, :N, :N], Fs[k, :N, N], Fs[k, N, N] = F, one - F @ one, 1.0
        Qs[k, :N, :N] = (G * q) @ G.T
    H = np.zeros((len(measured), N + 1))
    H[:, :N] = [filter_.layout.row(i) for i in range(len(measured))]
    return Passage(Fs, Qs, H, noise.sensor_K**2, shares @ P @ shares.T, filter_.layout, time_s, heat)


def cooling(reduced: ReducedModel) -> tuple[str, ...]:
    """Names of the heat-transfer coefficients that a filter has: one a wall, in r-z one for all."""
    return ("h of all walls",) if reduced.resolution == "r-z" else tuple(f"h of {wall}" for wall in reduced.walls)


def uncertainty(observer: Observer, kinds: Collection[str]) -> JointNoise:
    """Standard deviations that the analysis takes: the observer's, with offsets as large as what is asked says.

    Priors of h and of offsets are no tighter than the usual ones: whether data tell a thing is not a matter of how well
    it is known already.
    """
    given = observer.noise
    noise = given if isinstance(given, JointNoise) else JointNoise.told(observer.reduced.cell)
    usual = max(noise.bias_K, JointNoise.bias_K)
    bias_K = usual if "bias" in kinds else max(min(noise.offset_K, usual), SURE)
    return replace(noise, log_h=max(noise.log_h, JointNoise.log_h), bias_K=bias_K)


def _steady_W_K(reduced: ReducedModel) -> float:
    """Steady heat in W that warms the mean by one kelvin; 0 where no wall is cooled."""
    if not reduced.conductance_W_K.any():
        return 0.0
    A, B = reduced.step.matrices(reduced.conductance_W_K)
    return 1.0 / float(reduced.outputs[1] @ np.linalg.solve(np.eye(len(A)) - A, B[:, 0]))

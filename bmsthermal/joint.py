r"""Filter that estimates, beside the temperatures, what nobody knows in a car: cooling, heat, and faults of a sensor.

The state is that of the reduced model, then

log h
    Of each wall, or of all walls together, over the model's own: a random walk from a physical prior. With the wall
    flow solved at the end of a step, :math:`q_w = g_w (E_w' x^+ - c_w)`, its slope is
    :math:`\partial q / \partial \ln g_w = (1 + g E' S)^{-1} e_w q_w`, as the flow itself drives the rest; the slope
    of all together is the sum.
slow heat
    What the heat is off by for minutes, W: first-order noise whose size goes with the mean heat.
reading
    Of each sensor: the surface's mix, through its lag. A lag left out reads as less heat: it must be a state.
discrepancy
    Of each sensor: what the model never explains there, first-order noise over minutes.
bias
    Of each sensor: first-order noise over hours.

Covariances are kept as U D U' factors (`rom.ud`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.faults import HEAT, HOT, Watch
from bmsthermal.likelihood import DISCREPANCY_S
from bmsthermal.noise import Noise, check_positive
from bmsthermal.packing import Packed
from bmsthermal.reference import HUGE
from bmsthermal.schema import JOINT, JOINT_NOISE, LAG, SLOW
from bmsthermal.voltage import VoltageFilter
from rom.ud import Factors

#: What may be estimated beside the temperatures.
KINDS = ("h", "heat", "bias")
#: How long a slow error of the heat lasts, and a bias, in s; and the mean that the former is relative to.
SLOW_S, BIAS_S, MEAN_S = 600.0, 7200.0, 300.0
#: How far ln h may get from the model's own, a factor of 20: beyond it, readings are wrong and not the cooling.
MOST_LOG_H = 3.0


@dataclass(frozen=True)
class JointNoise(Noise):
    """Standard deviations of the thermal observer, and of what is estimated beside.

    Parameters
    ----------
    heat
        White error of the heat relative to its mean over minutes, in s^0.5, beside ``heat_W_rts``, which is less here:
        a filter that takes the surface's word for the heat cannot learn the cooling from it. Relative to the heat of
        the moment it would trust the surface most while a pulse has not reached it yet, and lose heat at every one.
    slow_heat, slow_heat_W
        Slow error of the heat, relative to its mean over minutes, and in W.
    log_h, log_h_rth
        Of ln h at the start (0.7: a factor of two), and density of its walk in 1/h^0.5.
    lag_s
        Time constant of a surface sensor.
    discrepancy_K, bias_K
        Of what a sensor is off by, for minutes and for hours.

    Notes
    -----
    ``sensor_K`` is 0.1 K here: errors of the model from second to second count as noise of the sensor, or they would
    be taken for knowledge of the cooling; within a second they are one error, however many steps it has.
    ``start_gradient_K`` is 3 K: a key may be turned on mid-drive.
    """

    heat_W_rts: float = 0.3
    sensor_K: float = 0.1
    start_gradient_K: float = 3.0
    heat: float = 0.2
    slow_heat: float = 0.05
    slow_heat_W: float = 0.1
    log_h: float = 0.7
    log_h_rth: float = 0.1
    lag_s: float = 8.0
    discrepancy_K: float = 0.05
    bias_K: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        zero = ("heat", "slow_heat", "slow_heat_W", "log_h_rth", "discrepancy_K")
        check_positive(self, (*zero, "log_h", "lag_s", "bias_K"), "JointNoise", HUGE, zero)

    @classmethod
    def told(cls, cell: Cell) -> JointNoise:
        """What the ``Joint noise`` of the cell's ``Observer`` section says, else its defaults.

        What no filter learns is as calibration found it: gradient, offset, lag of the sensor; error of the heat, too.
        """
        usual, settings = Noise.of(cell), cell.settings
        said = settings.get(JOINT, {})
        known = {name: float(settings[key]) for name, key in (("lag_s", LAG), ("slow_heat", SLOW)) if key in settings}
        known |= {"gradient": usual.gradient, "offset_K": usual.offset_K}
        return cls(**known | {name: float(said[key]) for name, key in JOINT_NOISE.items() if key in said})

    def document(self) -> Mapping[str, float]:
        """Return the entries of ``Joint noise`` of an ``Observer`` section."""
        return {key: float(getattr(self, name)) for name, key in JOINT_NOISE.items()}

    def sensor_variance(self, step_s: float) -> float:
        """Variance of a reading in K2, with steps of that length."""
        return self.sensor_K**2 * max(1.0 / step_s, 1.0)


@dataclass(frozen=True)
class Instant:
    """What a step found: heat in W, innovations in K and their variances ``(m,)``, 0 where a sensor was absent."""

    heat_W: float
    innovation_K: Array
    variance_K2: Array


@dataclass(frozen=True)
class Layout:
    """Where each kind of state is, after ``n`` thermal ones; a kind that is not estimated has none.

    Parameters
    ----------
    n, walls, sensors
        Thermal states, walls, sensors.
    kinds
        Some of `KINDS`.
    lagged
        Whether each sensor has a lag and a discrepancy.
    common
        Whether one log h is that of all walls.
    """

    n: int
    walls: int
    sensors: int
    kinds: frozenset[str]
    lagged: bool = True
    common: bool = False

    @cached_property
    def places(self) -> dict[str, slice]:
        """Slices by name: thermal, h, heat, reading, discrepancy, bias."""
        factors = 1 if self.common else self.walls
        sizes = {
            "thermal": self.n, "h": factors * ("h" in self.kinds), "heat": int("heat" in self.kinds),
            "reading": self.sensors * self.lagged, "discrepancy": self.sensors * self.lagged,
            "bias": self.sensors * ("bias" in self.kinds),
        }  # fmt: skip
        ends = np.cumsum([0, *sizes.values()]).tolist()
        return {name: slice(a, b) for name, a, b in zip(sizes, ends[:-1], ends[1:], strict=True)}

    @property
    def states(self) -> int:
        """All of them."""
        return int(self.places["bias"].stop)

    def of(self, name: str, i: int = 0) -> int:
        """Place of the `i`-th state of a kind."""
        return int(self.places[name].start) + i

    def row(self, k: int) -> Array:
        """What sensor `k` reads of the states, ``(N,)``: its surface through its lag, and what it is off by."""
        row = np.zeros(self.states)
        if self.lagged:
            row[[self.of(name, k) for name in ("reading", "discrepancy")]] = 1.0
        if "bias" in self.kinds:
            row[self.of("bias", k)] = 1.0
        return row


class JointFilter:
    """One cell's filter: it holds its state, as `bmsthermal.reference.Reference` does.

    Parameters
    ----------
    model
        The thermal observer as its kernel has it.
    kinds
        What is estimated beside the temperatures, of `KINDS`.
    noise
        Standard deviations.
    step_s
        Length of a step.
    lagged
        Whether the sensors have lags and discrepancies: without, and without kinds, it is the thermal observer.
    common
        Whether one log h is that of all walls.
    voltage
        Where the voltage is a measurement: it says the heat, and the charge.
    watch
        Over the sensors, where faults are looked for.

    Raises
    ------
    InputError
        If a kind is not one of `KINDS`.
    """

    def __init__(
        self,
        model: Packed,
        kinds: Collection[str],
        noise: JointNoise,
        step_s: float,
        *,
        lagged: bool = True,
        common: bool = False,
        voltage: VoltageFilter | None = None,
        watch: Watch | None = None,
    ) -> None:
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise InputError(f"estimate {unknown[0]!r}", expected=f"some of {', '.join(KINDS)}")
        self.model, self.noise, self.step_s, self.voltage = model, noise, step_s, voltage
        sizes = len(model.decay), len(model.wall), len(model.sense)
        self.layout = Layout(*sizes, frozenset(kinds), lagged, common)
        self.x, self.factors = np.zeros(self.layout.states), Factors(np.zeros(1))
        self.soc, self.mean_W, self.lost_W2, self.watch = 0.5, 0.0, 0.0, watch
        self.sensors, self.input_size, self.output_size = len(model.sense), 3 + 2 * len(model.wall), 1 + 2 * 8
        self.joint_size = self.layout.states * (self.layout.states + 5) // 2
        beside = [*([voltage.row] if voltage else []), *([watch.state] if watch else [])]
        self.state_size = self.joint_size + sum(map(len, beside)) + 3

    def start(self, x: Array, P: Array, soc: float, coolant_K: Array, soc_sd: float | None = None) -> None:
        """Begin with thermal states `x` ``(n,)`` of covariance `P`, sensors at rest with what they read."""
        from rom.ud import factored

        at, m = self.layout.places, self.model
        self.x[:] = 0.0
        self.x[at["thermal"]] = x
        if self.layout.lagged:
            self.x[at["reading"]] = m.sense @ x + m.mixed @ (coolant_K - m.coolant_reference_K)
        self.factors = Factors(factored(self.prior(P)))
        self.soc, self.mean_W = soc, 0.0
        if self.voltage:
            self.voltage.start(soc, self._mean_K, soc_sd)

    def prior(self, P: Array) -> Array:
        """Covariance ``(N, N)`` to begin with, where that of the thermal states is `P` ``(n, n)``."""
        at, m, noise = self.layout.places, self.model, self.noise
        whole = np.zeros((self.layout.states,) * 2)
        whole[at["thermal"], at["thermal"]] = P
        read = np.eye(self.layout.states)
        if self.layout.lagged:
            read[at["reading"], at["thermal"]], read[at["reading"], at["reading"]] = m.sense, 0.0
        for name, sd in (("h", noise.log_h), ("heat", noise.slow_heat_W), ("discrepancy", noise.discrepancy_K),
                         ("bias", noise.bias_K)):  # fmt: skip
            whole[at[name], at[name]] = sd**2 * np.eye(len(self.x[at[name]]))
        return np.asarray(read @ whole @ read.T)

    def step(self, u: Array, z: Array) -> Instant:
        """Predict with inputs `u` held over the step, as the kernel has them; update with `z` in K at its end."""
        m, at, x = self.model, self.layout.places, self.x
        heat, F, G, q, coolant = self.predict(u)
        self.factors.predict(F, G, q)
        taken, level = self._trusted(u, z, coolant), self._level()

        innovation, variance = np.zeros(len(z)), np.zeros(len(z))
        for k, reading in enumerate(np.asarray(z, float) - m.reference_K):
            if not (taken[k] and abs(reading) < HUGE):
                continue
            row, known = self.layout.row(k), 0.0
            if not self.layout.lagged:
                row[at["thermal"]], known = m.sense[k], m.mixed[k] @ coolant
            off = reading - row @ x - known
            gain, S = self.factors.measure(row, m.sense_variance[k])
            x += gain * off
            innovation[k], variance[k] = off, S
        x[at["h"]] = np.clip(x[at["h"]], -MOST_LOG_H, MOST_LOG_H)
        slow = float(x[at["heat"]].sum())
        if self.watch is not None:
            self._note(u, coolant, level, None if self.lost_W2 > 0 else slow)
        return Instant(heat + slow, innovation, variance)

    def _trusted(self, u: Array, z: Array, coolant: Array) -> list[bool]:
        """Which readings are to be taken: all, or those that the watch trusts."""
        if self.watch is None:
            return [True] * len(z)
        at, expected_K = self.layout.places, self._expected_K(coolant)
        around = np.array(u[3 : 3 + self.layout.walls]) - self.model.coolant_reference_K + self.model.reference_K
        around = around[np.abs(around) < HUGE]
        rise = np.abs(expected_K[:, None] - around).max(axis=1, initial=0.0)
        states = np.eye(len(self.x))

        def variance(k: int) -> float:
            row = self.layout.row(k)
            row[at["bias"]], row[at["thermal"]] = 0.0, 0.0 if self.layout.lagged else self.model.sense[k]
            return self.factors.spread(row)

        taken, healed = self.watch.look(np.asarray(z, float).tolist(), expected_K.tolist(), rise.tolist(), variance)
        for k in healed:  # what was known of its bias may be of the fault
            for name, sd in (("discrepancy", self.noise.discrepancy_K), ("bias", self.noise.bias_K)):
                if at[name].start < at[name].stop:
                    self.factors.inflate(states[self.layout.of(name, k)], sd**2)
        return taken

    def _level(self) -> float:
        """Mean temperature, and what all sensors are biased by: readings that move either say that there is heat."""
        return float(self.model.mean * self.x[0]) + self._common()

    def _common(self) -> float:
        """Mean bias of the sensors, 0 where it is no state."""
        bias = self.x[self.layout.places["bias"]]
        return float(bias.sum()) / max(len(bias), 1)

    def _expected_K(self, coolant: Array) -> Array:
        """What the sensors would read without biases ``(m,)``."""
        m, reading = self.model, self.x[self.layout.places["reading"]]
        return np.asarray(
            m.reference_K + (reading if self.layout.lagged else m.sense @ self.x[: self.layout.n] + m.mixed @ coolant)
        )

    def _note(self, u: Array, coolant: Array, level: float, slow: float | None) -> None:
        """Tell the watch what the readings did; while heat is unknown, sensors that agree are not all biased."""
        assert self.watch is not None
        m, at, x, n, watch = self.model, self.layout.places, self.x, self.layout.n, self.watch
        g = m.conductance_W_K * (
            np.exp(np.clip(x[at["h"]], -MOST_LOG_H, MOST_LOG_H)) if "h" in self.layout.kinds else 1.0
        )
        around = np.array(u[3 : 3 + self.layout.walls]) - m.coolant_reference_K
        g = np.where(np.abs(around) < HUGE, g, 0.0)
        out_W = abs(float(np.where(g > 0, g * (m.wall @ x[:n] - around), 0.0).sum()))
        common, told = self._common(), None
        if slow is not None:
            slow_W2 = self.factors.variance(self.layout.of("heat")) if "heat" in self.layout.kinds else 0.0
            told = (self.mean_W, out_W, slow + float(g.sum()) * common, slow_W2, float(g.sum()))
        added_K = self._level() - level
        if watch.cell[HOT] > 0 and common != 0:  # as if their mean bias had been read: none
            mean = np.zeros(len(x))
            mean[at["bias"]] = 1 / self.layout.sensors
            gain, _ = self.factors.measure(mean, watch.rules.offset_K**2)
            x -= gain * common
            by_K = gain[at["reading"]] if self.layout.lagged else m.sense @ gain[:n]
            watch.shifted((-common * by_K).tolist())
        watch.after(self._expected_K(coolant).tolist(), added_K, told)

    def run(self, u: Array, z: Array, out: Array | None = None, past: Array | None = None) -> None:
        """Step through arrays; see `Kernel.run`."""
        for k in range(len(u)):
            said = self.step(u[k, 0], z[k, 0])
            if out is not None:
                m = self.sensors
                out[k, 0, 0], out[k, 0, 1 : 1 + m], out[k, 0, 9 : 9 + m] = vars(said).values()
            if past is not None:
                self.read(past[k])

    def read(self, rows: Array) -> None:
        """Copy the state into `rows` ``(1, state_size)``.

        That is x, what rounding took (nothing), factors, volts and watch where there are any, and a tally.
        """
        n = self.layout.states
        volts = self.voltage.row if self.voltage else ()
        watch = self.watch.state if self.watch else ()
        rows[0] = [*self.x, *np.zeros(n), *self.factors.packed, *volts, *watch, self.soc, 0.0, self.mean_W]

    def write(self, rows: Array) -> None:
        """Set the state from `rows`."""
        n, row = self.layout.states, np.asarray(rows[0], float)
        self.x, self.factors = row[:n] - row[n : 2 * n], Factors(row[2 * n : self.joint_size])
        watched = len(row) - 3 - (len(self.watch.state) if self.watch else 0)
        if self.voltage:
            self.voltage.row = row[self.joint_size : watched]
        if self.watch:
            self.watch.state[:] = row[watched:-3]
        self.soc, self.mean_W = row[-3] - row[-2], row[-1]

    def predict(self, u: Array) -> tuple[float, Array, Array, Array, Array]:
        """Move the state, not its covariance, over a step.

        Returns
        -------
        heat_W
            Heat of the step, without the slow one.
        F, G, q
            Slopes ``(N, N)`` of the state, columns ``(N, N + 1)`` and variances ``(N + 1,)`` of the step's noise.
        coolant
            Surroundings beside the reference, ``(w,)``.
        """
        heat, slope, lost = self._heat(u)
        self.lost_W2 = lost
        if self.voltage:
            said = self.voltage.step(u, self._mean_K)
            self.lost_W2 = said.lost * self.model.lost_heat_variance
            heat, slope, lost = said.heat_W, said.slope_W_K, said.variance_W2 + self.lost_W2
            self.soc = float(self.voltage.x[0])
        self.mean_W += (abs(heat) - self.mean_W) * min(self.step_s / MEAN_S, 1.0)
        return heat, *self._predict(u, heat, slope, lost)

    @property
    def _mean_K(self) -> float:
        return float(self.model.reference_K + self.model.mean * self.x[0])

    def _heat(self, u: Array) -> tuple[float, float, float]:
        """Heat in W, its slope in W/K and what the variance has in addition; counts the charge on the way."""
        m = self.model
        current, voltage, given = (float(value) for value in u[:3])
        known = abs(current) < HUGE
        current = current if known else 0.0
        grid = np.linspace(0.0, 1.0, len(m.open_circuit_V))
        E, dE = np.interp(self.soc, grid, m.open_circuit_V), np.interp(self.soc, grid, m.entropy_V_K)
        with np.errstate(invalid="ignore"):  # an infinite voltage and no current
            heat = current * (E - voltage) - current * (m.reference_K + m.mean * self.x[0]) * dE
        counted = self.soc - m.soc_per_A * current
        self.soc = min(max(counted, 0.0), 1.0)
        if abs(given) < HUGE:
            return given, 0.0, 0.0
        if known and abs(heat) < HUGE and 0.0 <= counted <= 1.0:
            return float(heat), float(-current * dE), 0.0
        return 0.0, 0.0, m.lost_heat_variance

    def _predict(self, u: Array, heat: float, slope: float, lost: float) -> tuple[Array, Array, Array, Array]:
        """Move the state; return its slopes ``(N, N)``, columns and variances of the noise, and the surroundings."""
        m, at, noise, x, s = self.model, self.layout.places, self.noise, self.x, self.step_s
        n, walls, N = self.layout.n, self.layout.walls, self.layout.states
        coolant = np.array(u[3 : 3 + walls]) - m.coolant_reference_K
        given = np.array(u[3 + walls :])
        g = np.where((np.abs(given) < HUGE) & (given >= 0), given, m.conductance_W_K)
        if "h" in self.layout.kinds:
            g = g * np.exp(np.clip(x[at["h"]], -MOST_LOG_H, MOST_LOG_H))
        open_ = np.abs(coolant) < HUGE
        g = np.where(open_, g, 0.0)
        E, S, d = m.wall.T, m.sink.T, m.drive[0]
        insulated = m.decay * x[:n] + d * (heat + x[at["heat"]].sum())
        coolant = np.where(open_, coolant, E.T @ insulated)
        flow = np.linalg.inv(np.eye(walls) + g[:, None] * (E.T @ S))
        W = np.eye(n) - S @ flow @ (g[:, None] * E.T)
        out_W = flow @ (g * (E.T @ insulated - coolant))

        F, G, q = np.zeros((N, N)), np.zeros((N, N + 1)), np.zeros(N + 1)
        F[:n, :n] = W * m.decay
        F[:n, 0] += W @ d * (slope * m.mean)
        if "h" in self.layout.kinds:
            of_walls = -S @ flow * out_W
            F[:n, at["h"]] = of_walls.sum(axis=1, keepdims=True) if self.layout.common else of_walls
        F[at["h"], at["h"]] = np.eye(len(x[at["h"]]))
        F[:n, at["heat"]] = (W @ d)[:, None]
        # thermal states freeze without noise of their own
        G[:n, :n], q[:n] = np.eye(n), m.noise
        for name, sd, lasts in (
            ("heat", np.hypot(noise.slow_heat_W, noise.slow_heat * self.mean_W), SLOW_S),
            ("discrepancy", noise.discrepancy_K, DISCREPANCY_S), ("bias", noise.bias_K, BIAS_S),
        ):  # fmt: skip
            size, keep = len(x[at[name]]), np.exp(-s / lasts)
            F[at[name], at[name]], G[at[name], at[name]] = keep * np.eye(size), np.eye(size)
            q[at[name]] = sd**2 * (1 - keep**2)
            x[at[name]] *= keep
        G[at["h"], at["h"]], q[at["h"]] = np.eye(len(x[at["h"]])), noise.log_h_rth**2 * s / 3600.0
        G[:n, N] = W @ d
        q[N] = (noise.heat_W_rts**2 + (noise.heat * self.mean_W) ** 2) / s + lost
        if self.watch is not None and self.watch.cell[HOT] > 0:  # a heat event: the heat is not known
            slow, unknown = "heat" in self.layout.kinds, min(self.watch.cell[HEAT] ** 2, HUGE)
            q[at["heat"].start if slow else N] += unknown * (s / self.watch.rules.heat_s if slow else 1.0 / s)

        x[:n] = W @ insulated + S @ flow @ (g * coolant)
        if not self.layout.lagged:
            return F, G, q, coolant
        late = np.exp(-s / noise.lag_s)
        x[at["reading"]] = late * x[at["reading"]] + (1 - late) * (m.sense @ x[:n] + m.mixed @ coolant)
        F[at["reading"]] = (1 - late) * m.sense @ F[:n]
        F[at["reading"], at["reading"]] = late * np.eye(len(m.sense))
        G[at["reading"]] = (1 - late) * m.sense @ G[:n]
        return F, G, q, coolant

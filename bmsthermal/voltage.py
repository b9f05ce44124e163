r"""The voltage as a measurement: what it says of charge and resistance, and the heat that it and the model agree on.

.. math:: V = E(z) + (T - T_0) S(z) + c - \eta + \text{noise}, \qquad \eta = (1 - a)\,e^{\rho} D + s v, \qquad
          D = I R(z)\, e^{A (1/T - 1/T_0)}

The tables E, S = dE/dT and R are those of the cell file. States, of a filter of their own:

soc
    z: it counts the charge. A gain of the current (and a capacity that is off) lasts for hours.
resistance
    rho, the logarithm of what the fast part of the resistance has grown by: a slow walk. Of the whole drop it is
    (1 - a) (e^rho - 1).
curve
    c, what the open circuit under load is off by: noise of first order in the *charge* that flows, for hysteresis and
    errors of the table stay for as long as a cell rests. However long the voltage is watched, the charge is no surer
    than c over the slope of the curve: where that is flat, as of LFP, the filter knows that it does not know.
slow, share
    v, the drop D a minute late, and s, what of it counts: `a` give or take, for hours.

The heat is :math:`I \theta - I T S` with :math:`\theta = w (E + c - V) + (1 - w) \eta`, at the states that the
voltage has corrected already: ``measured`` has w = 1, ``model`` w = 0. ``fused``: what the corrected states do not
explain of the voltage is noise of the sensor, which is no heat, or an overpotential that came and went within the step,
which is; the best guess splits it by their variances, :math:`w = \sigma_D^2 / (\sigma_D^2 + \sigma_V^2)`. Without a
voltage w = 0.

E, S and R count by their slope over `curve_soc` to each side, and what E bends by within counts as noise of the
voltage, all of an hour as one error: it stays while the charge does. A slope that goes with each stretch of the table,
or with the sigma, differs from step to step: that tells a filter z and c apart, which nothing in the cell does.

How R changes with charge and temperature moves the heat, but teaches neither: no file knows it well enough. (With these
slopes in the measurement the charge of measured runs was off by three times its sigma.) Nor have temperatures and these
states any covariance in common, which is why the filter is one of its own: what it is unsure of widens the heat's
variance, but a surface that is cooled otherwise than thought must not move the charge.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.heat import REST_BLUR_V, GAS_CONSTANT_J_molK, MeasuredHeat
from bmsthermal.noise import check_positive
from bmsthermal.reference import HUGE
from bmsthermal.schema import HEATS, RESISTANCE, SPREAD
from rom.ud import Factors, packed

#: What may be estimated, and all states.
KINDS = ("soc", "resistance")
STATES = (*KINDS, "curve", "slow", "share")
#: Numbers of its state in a row.
ROW = 27
#: How long an error of the current, or of a table's slope, lasts in s; rate in C that may flow unseen without it.
CURRENT_S, LOST_C = 3600.0, 0.5
#: Bounds of logarithms of factors of R, and of temperatures in K.
MOST_LOG, KELVIN = 5.0, (150.0, 1000.0)


@dataclass(frozen=True)
class VoltageNoise:
    """Standard deviations of what the voltage measures, and how slow it is.

    Parameters
    ----------
    start_soc
        Of the state of charge at the start, where a run does not say it.
    current, offset
        Of the counted current: relative, the capacity's error in it, and as a share of 1C; both last for an hour.
    growth, growth_rth
        Of the logarithm of the resistance over the file's at the start, and density of its walk in 1/h^0.5.
    sensor_V, drop
        White noise of the voltage: of the sensor, and of the drop relative to it.
    curve_V, load, curve_soc
        Of what the open-circuit voltage is off by (half of `bmsthermal.heat.REST_BLUR_V`, which is two standard
        deviations), beside it a share of the drop at C/2, and the charge over which both change.
    share, share_sd, share_s
        Slow share of the drop, its standard deviation, and how long an error of it lasts. Pulses of an 18650 reach 0.6
        of the mean drop of a drive within a second.
    slow_s, slow, slow_V
        Time constant of the slow drop, and what it is off by: relative to the drop, and in V.

    Raises
    ------
    InputError
        If one is not a positive number, or the share is not below 1.
    """

    start_soc: float = 0.1
    current: float = 0.02
    offset: float = 0.002
    growth: float = 0.3
    growth_rth: float = 0.1
    sensor_V: float = 0.005
    drop: float = 0.1
    curve_V: float = REST_BLUR_V / 2
    load: float = 0.25
    curve_soc: float = 0.1
    share: float = 0.4
    share_sd: float = 0.15
    share_s: float = 7200.0
    slow_s: float = 60.0
    slow: float = 0.1
    slow_V: float = 0.01

    def __post_init__(self) -> None:
        check_positive(self, vars(self), "VoltageNoise", HUGE)
        check_positive(self, ["share"], "VoltageNoise", 1.0)

    @classmethod
    def told(cls, cell: Cell) -> Self:
        """Its defaults, with the spread of the resistance that the cell file has."""
        spread = cell.thermal.get(SPREAD, {}).get(RESISTANCE)
        return cls() if spread is None else cls(growth=float(spread))


@dataclass(frozen=True)
class Tables:
    """The cell as numbers: tables against state of charge 0 to 1 at even steps ``(m,)``, in V, V/K and Ohm."""

    open_circuit_V: Array
    entropy_V_K: Array
    resistance_Ohm: Array
    activation_K: float
    reference_K: float
    capacity_Ah: float

    @classmethod
    def of(cls, cell: Cell) -> Self:
        """Tables of a cell.

        Raises
        ------
        InputError
            If it has no resistance.
        """
        if RESISTANCE not in cell.thermal:
            raise InputError(
                f"no {RESISTANCE!r}", where=f"{cell.name}, User-defined", expected="it, to compare voltages with",
                hint="bmsthermal calibrate --resistance fits it",
            )  # fmt: skip
        heat = MeasuredHeat(cell)
        return cls(
            heat.open_circuit_V, heat.entropy_V_K, heat.resistance_Ohm(heat.soc, cell.reference_K),
            cell.resistance_activation_J_mol / GAS_CONSTANT_J_molK, cell.reference_K, cell.capacity_Ah,
        )  # fmt: skip


@dataclass(frozen=True)
class Point:
    """Open circuit, its dE/dT and drop in V at a state of charge and a temperature, with slopes over both.

    ``drop_V`` is D, ``ohm`` D over the current; ``grown`` is e^rho, and ``free`` 0 where that is at its bound;
    ``bend_V`` is what the open circuit is off its own slope.
    """

    open_circuit_V: float
    entropy_V_K: float
    drop_V: float
    open_circuit_soc: float
    entropy_soc: float
    drop_soc: float
    drop_K: float
    ohm: float
    grown: float
    free: float
    bend_V: float


@dataclass(frozen=True)
class Said:
    """What a step begins with: heat in W, its slope in W/K of the mean and its variance in W2.

    Its ``slopes`` over the states are ``(5,)``; ``weight`` is w; ``lost``: nothing is known of it.
    """

    heat_W: float
    slope_W_K: float
    variance_W2: float
    slopes: Array
    weight: float = 0.0
    lost: bool = False


class VoltageFilter:
    """Charge and resistance of one cell from its voltage, and its heat: it holds its state.

    Parameters
    ----------
    tables
        The cell.
    noise
        Standard deviations.
    heat
        One of `bmsthermal.schema.HEATS`.
    kinds
        Some of `KINDS`; what is none is known: the counted charge, or the resistance of the file.
    step_s
        Length of a step.

    Attributes
    ----------
    x, factors
        State ``(5,)``, in the order of `STATES`, and its covariance.
    seen
        Innovation of the voltage in V and its variance, 0 where it was absent.

    Raises
    ------
    InputError
        If there is no such heat.
    """

    def __init__(self, tables: Tables, noise: VoltageNoise, heat: str, kinds: Collection[str], step_s: float) -> None:
        if heat not in HEATS:
            raise InputError(f"heat = {heat!r:.60}", expected=f"one of {', '.join(HEATS)}")
        self.tables, self.noise, self.heat, self.kinds, self.step_s = tables, noise, heat, frozenset(kinds), step_s
        self.x, self.factors, self.seen = np.zeros(len(STATES)), Factors(np.zeros(15)), (0.0, 0.0)
        self.soc_per_A = step_s / (3600.0 * tables.capacity_Ah)
        self.keep_share = float(np.exp(-step_s / noise.share_s))
        self.keep = float(np.exp(-step_s / noise.slow_s))
        #: Steps over which what a table bends by is one error.
        self.bent = max(CURRENT_S / step_s, 1.0)
        #: A voltage outside is a broken wire.
        self.range_V = 0.5 * float(tables.open_circuit_V.min()), 1.5 * float(tables.open_circuit_V.max())

    @property
    def row(self) -> Array:
        """State as the kernel has it ``(27,)``: x, what rounding took (nothing), factors, innovation and variance."""
        return np.concatenate([self.x, np.zeros(len(STATES)), self.factors.packed, self.seen])

    @row.setter
    def row(self, row: Array) -> None:
        self.x, self.factors, self.seen = row[:5] - row[5:10], Factors(row[10:-2]), (row[-2], row[-1])

    def start(self, soc: float, T_K: float, soc_sd: float | None = None) -> None:
        """Begin at a charge, known within `soc_sd` or what the noise says, where nobody knows what has flowed."""
        noise, usual_V = self.noise, abs(self.at(soc, 0.0, T_K, LOST_C * self.tables.capacity_Ah).drop_V)
        sd = [
            (noise.start_soc if soc_sd is None else soc_sd) * ("soc" in self.kinds),
            noise.growth * ("resistance" in self.kinds), float(np.hypot(noise.curve_V, noise.load * usual_V)),
            noise.share * usual_V, noise.share_sd,
        ]  # fmt: skip
        self.x, self.seen = np.array([soc, 0.0, 0.0, 0.0, 0.0]), (0.0, 0.0)
        self.factors = Factors(packed(np.eye(len(STATES)), np.square(sd)))

    def at(self, soc: float, growth: float, T_K: float, current_A: float) -> Point:
        """The cell at a charge, rho, a temperature and a current."""
        t = self.tables
        soc, half = min(max(soc, 0.0), 1.0), self.noise.curve_soc
        ends = max(soc - half, 0.0), min(soc + half, 1.0)
        grid = np.linspace(0.0, 1.0, len(t.open_circuit_V))
        (E, dE, bend), (S, dS, _), (R, dR, _) = (
            _chord(grid, table, soc, *ends) for table in (t.open_circuit_V, t.entropy_V_K, t.resistance_Ohm)
        )
        T = min(max(T_K, KELVIN[0]), KELVIN[1])
        above, warm = T_K - t.reference_K, _exp(t.activation_K * (1 / T - 1 / t.reference_K))
        ohm, drop_V = R * warm, current_A * R * warm
        return Point(
            E + above * S, S, drop_V, dE + above * dS, dS, current_A * dR * warm,
            -float(T == T_K) * t.activation_K / T**2 * drop_V, ohm, _exp(growth), float(abs(growth) < MOST_LOG), bend,
        )  # fmt: skip

    def step(self, u: Array, T_K: float) -> Said:
        """Correct by the voltage of a step that begins, at a mean temperature; its heat; and move over it.

        Parameters
        ----------
        u
            Inputs as the kernel has them: current in A, voltage in V, heat in W, NaN where absent.
        T_K
            Mean temperature.
        """
        current, voltage, given = (float(value) for value in u[:3])
        known = abs(current) < HUGE
        current = current if known else 0.0
        seen = known and self.range_V[0] < voltage < self.range_V[1]
        self.seen = self.correct(current, voltage, T_K) if seen else (0.0, 0.0)
        point = self.at(self.x[0], self.x[1], T_K, current)
        said = self.say(point, current, voltage, T_K, seen)
        if abs(given) < HUGE or not known:
            lost = not abs(given) < HUGE
            said = Said(0.0 if lost else given, 0.0, 0.0, np.zeros(5), lost=lost)
        F, q = self.move(point, current, known)
        self.factors.predict(F, np.eye(5), q)
        return said

    def row_of(self, point: Point) -> tuple[float, Array]:
        """Voltage that a point shows, and what of the states moves it ``(5,)``.

        How R changes with charge teaches nothing of it.
        """
        over, by = self._over(point)
        row = -by
        row[0], row[2] = point.open_circuit_soc, 1.0
        return point.open_circuit_V + self.x[2] - over, row

    def correct(self, current: float, voltage: float, T_K: float) -> tuple[float, float]:
        """Correct the state; return innovation in V and its variance."""
        point = self.at(self.x[0], self.x[1], T_K, current)
        expected, row = self.row_of(point)
        off = voltage - expected
        gain, S = self.factors.measure(row, self.noise.sensor_V**2 + self._white(point) + point.bend_V**2 * self.bent)
        self.x += gain * off
        self.x[0] = min(max(self.x[0], 0.0), 1.0)
        return off, S

    def say(self, point: Point, current: float, voltage: float, T_K: float, seen: bool) -> Said:
        """Heat at a point."""
        noise, white, sensor = self.noise, self._white(point), self.noise.sensor_V**2
        counted = "soc" in self.kinds or 0.0 <= self.x[0] - self.soc_per_A * current <= 1.0
        w = {"measured": 1.0, "model": 0.0, "fused": white / (white + sensor)}[self.heat] if seen and counted else 0.0
        over, by = self._over(point)
        over, slopes = (1 - w) * over, (1 - w) * by
        if w:  # a voltage that is not there must not be multiplied by 0: it is no number
            over += w * (point.open_circuit_V + self.x[2] - voltage)
        slopes[0] += w * point.open_circuit_soc - T_K * point.entropy_soc
        slopes[2] += w
        slopes *= current
        slope = current * (1 - w) * ((1 - noise.share) * point.grown * point.drop_K - point.entropy_V_K)
        variance = current**2 * ((1 - w) ** 2 * white + w**2 * sensor)
        # what its states are unsure of lasts about a minute in a drive: so many steps err alike
        variance += max(self.factors.spread(slopes), 0.0) * max(2 * noise.slow_s / self.step_s, 1.0)
        return Said(current * (over - T_K * point.entropy_V_K), slope, variance, slopes, w)

    def move(self, point: Point, current: float, known: bool) -> tuple[Array, Array]:
        """Move the state; return its slopes ``(5, 5)`` and the variances of its noise ``(5,)``."""
        noise, keep, x, unseen_A = self.noise, self.keep, self.x, LOST_C * self.tables.capacity_Ah
        amperes = (noise.current * current) ** 2 + (noise.offset * self.tables.capacity_Ah) ** 2
        # what flows unseen changes within minutes, an error of the sensor within an hour
        lasting = amperes * CURRENT_S + (0.0 if known else unseen_A**2 * noise.slow_s)
        passed = min(self.soc_per_A * abs(current) / noise.curve_soc, 1.0)
        usual_V2 = (unseen_A * point.ohm) ** 2
        drop_V2 = point.drop_V**2 if known else usual_V2
        q = np.array([
            self.soc_per_A**2 * lasting / self.step_s * ("soc" in self.kinds),
            noise.growth_rth**2 * self.step_s / 3600.0 * ("resistance" in self.kinds),
            (noise.curve_V**2 + noise.load**2 * usual_V2) * passed * (2 - passed),
            (noise.slow_V**2 + noise.slow**2 * drop_V2) * (1 - keep**2), noise.share_sd**2 * (1 - self.keep_share**2),
        ])  # fmt: skip
        F = np.diag([1.0, 1.0, 1 - passed, keep, self.keep_share])
        F[3, 0] = (1 - keep) * point.drop_soc
        x[2:] = (1 - passed) * x[2], keep * x[3] + (1 - keep) * point.drop_V, self.keep_share * x[4]
        x[0] = min(max(x[0] - self.soc_per_A * current, 0.0), 1.0)
        return F, q

    def _white(self, point: Point) -> float:
        """Variance in V2 of what comes and goes of the drop within a step."""
        return float((self.noise.drop * point.grown * point.drop_V) ** 2)

    def _over(self, point: Point) -> tuple[float, Array]:
        """Overpotential in V, and its slopes over the states ``(5,)``."""
        fast, share, slow = (1 - self.noise.share) * point.grown, self.noise.share + self.x[4], self.x[3]
        slopes = np.array([fast * point.drop_soc, point.free * fast * point.drop_V, 0.0, share, slow])
        return float(fast * point.drop_V + share * slow), slopes


def _chord(grid: Array, table: Array, at: float, low: float, high: float) -> tuple[float, float, float]:
    """A table's value, its slope between two ends, and how far the value is off the straight line between them."""
    value, left, right = (float(v) for v in np.interp((at, low, high), grid, table))
    slope = (right - left) / (high - low)
    return value, slope, value - (left + slope * (at - low))


def _exp(x: float) -> float:
    """e^x, x within its bounds."""
    return float(np.exp(min(max(x, -MOST_LOG), MOST_LOG)))

r"""What goes wrong in a car: sensors that break, drift, stick or were swapped, and heat that nobody accounts for.

Before each step's readings are taken, a `Watch` compares them with what the model expects of them. What a sensor is
off by, :math:`r_k = z_k - y_k`, holds errors of heat, cooling and ambient, which all sensors share; what it is off by
*beside the median of the others*, :math:`d_k`, does not, and is what tells a sensor from the cell.

range
    No cell reads below ``coldest_K`` or above ``hottest_K``: as an NTC reads when open, and when shorted.
jump
    :math:`r_k` moves in one step by more than noise and any heat could, and the others do not.
bias, drift
    Model error is correlated over hours: nothing is gained by averaging it. It is counted as one draw of variance
    :math:`s^2 = o^2 (1 + 1/m) + (p\,\Delta T)^2`, of offsets beside `m` others and of what the model gets wrong along
    the surface, per kelvin above the coolant. :math:`\chi^2 = d_k^2 / s^2` above its limit is summed up (a CUSUM), of
    the worst sensor only. Of two that differ, neither is believed.
stuck
    The reading stays within its resolution while the model moves on.
swap
    Two residuals that are explained when the two readings are exchanged, where a third sensor is there to say so.
heat
    What the readings must add to the energy of the cell, in W, over minutes: heat or cooling that the model lacks.

All of it is a row of numbers per sensor and one for the cell, with no other memory and no function but + - * /.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.noise import check_positive
from bmsthermal.reference import HUGE

#: Codes of a sensor; from ``open`` on its readings are not taken.
NAMES = ("none", "absent", "open", "short", "bias", "stuck", "drift", "swap")
NONE, ABSENT, OPEN, SHORT, BIAS, STUCK, DRIFT, SWAP = range(8)
#: Of the cell: seconds since it began, seconds with fewer than two trusted sensors, heat that readings add, all that
#: is not accounted for and the variance of it, cooling, whether it is flagged, seconds since it was too small for that.
AGE, ALONE, ADDED, HEAT, VARIANCE, COOLING, HOT, CALM = range(8)
#: Of a sensor: code, seconds absent, residual before and seconds since (-1: none yet), residual before a jump and
#: seconds since, reading it holds to, expectation and difference from the others then, moves of the model since,
#: expectation after the last update, CUSUM, seconds beyond half the limit, seconds of agreement (-1: to move first).
CODE, MISSING, LAST, GAP, BEFORE, JUMPED, HELD, THEN, BESIDE, MOVED, AFTER, SUM, HALF, AGREED = range(14)
#: Numbers of the cell, and of each sensor.
CELL, SENSOR = 8, 14


@dataclass(frozen=True)
class FaultRules:
    """Limits, and the rates of false alarms that follow from them for Gaussian errors of the stated size.

    Parameters
    ----------
    coldest_K, hottest_K
        Plausible readings, -60 to 200 degC.
    lost_s
        A sensor without readings for so long is absent.
    jump
        Sigmas of the filter's ``sensor_K`` that two readings differ by: 5 are exceeded by noise of that size 0.002
        times an hour and sensor, by noise of half that size never.
    fastest_K_s
        No surface warms faster; sensors that all jump are no fault of one.
    confirm_s
        A jump that is gone by then was one bad reading.
    offset_K, place, place_1d
        What a healthy sensor is off by; what the model is off by between places, per kelvin above the coolant, in
        r-z and where the model knows one temperature of the surface.
    limit
        Of chi-square with one degree of freedom: 12 is exceeded in 5e-4 of draws. An error that lasts two hours is a
        draw per sensor and two hours: 7e-4 false alarms an hour with three sensors.
    window_s
        Seconds that twice the limit takes to be flagged; a larger error takes a third of that at least.
    drift_s
        Error that took longer from half its limit on is called drift.
    resolution_K, stuck_K, stuck_s
        What a stuck reading may move by, what the model has to move by (and four resolutions), and within what time.
    recover_s
        Seconds of agreement after which a sensor is taken again: within half the limit of the healthy ones, or, where
        there is none, within two sigma of the filter.
    alone_K
        What a sensor drifts by over hours, which no other one shows: it goes into the sigma of the temperatures.
    heat, cooling, heat_K_s
        Errors of the heat, of the cooling, and in K/s of the whole cell: the sigma of what is not accounted for, with
        what offsets of the sensors make of the cooling. The heat's is at least the ``slow_heat`` of the noise.
    heat_limit
        Of its square over its variance: 16 is exceeded upwards in 3e-5 of draws.
    heat_s, settle_s
        Time constant of its mean, and what is left out after a start.

    Raises
    ------
    InputError
        If one is not a positive number.
    """

    coldest_K: float = 213.15
    hottest_K: float = 473.15
    lost_s: float = 60.0
    jump: float = 5.0
    fastest_K_s: float = 0.05
    confirm_s: float = 3.0
    offset_K: float = 0.1
    place: float = 0.01
    place_1d: float = 0.1
    limit: float = 12.0
    window_s: float = 60.0
    drift_s: float = 120.0
    resolution_K: float = 0.02
    stuck_K: float = 0.5
    stuck_s: float = 300.0
    recover_s: float = 120.0
    alone_K: float = 1.0
    heat: float = 0.1
    cooling: float = 0.1
    heat_K_s: float = 0.0005
    heat_limit: float = 16.0
    heat_s: float = 200.0
    settle_s: float = 600.0

    def __post_init__(self) -> None:
        check_positive(self, vars(self), "FaultRules", HUGE)


class Watch:
    """The watch over the sensors of one cell.

    Parameters
    ----------
    rules
        Limits.
    sensors
        Number of sensors.
    step_s
        Length of a step.
    heat_J_K
        Heat capacity of the cell.
    noise_K2
        Variance of a reading.
    place
        ``rules.place`` or ``rules.place_1d``, as the model is.

    Attributes
    ----------
    state
        ``(CELL + SENSOR * sensors,)``: all that it remembers.
    """

    def __init__(
        self, rules: FaultRules, sensors: int, step_s: float, heat_J_K: float, noise_K2: float, place: float
    ) -> None:
        self.rules, self.sensors, self.step_s = rules, sensors, step_s
        self.heat_J_K, self.noise_K2, self.place = heat_J_K, noise_K2, place
        self.state = np.zeros(CELL + SENSOR * sensors)
        rows = self.rows
        rows[:, GAP], rows[:, HELD] = -1.0, HUGE

    @property
    def cell(self) -> Array:
        """Its numbers of the cell ``(CELL,)``, a view."""
        return self.state[:CELL]

    @property
    def rows(self) -> Array:
        """Its numbers of each sensor ``(sensors, SENSOR)``, a view."""
        return self.state[CELL:].reshape(self.sensors, SENSOR)

    def look(
        self,
        readings_K: Sequence[float],
        expected_K: Sequence[float],
        rise_K: Sequence[float],
        variance: Callable[[int], float],
    ) -> tuple[list[bool], list[int]]:
        """Judge the readings of a step.

        Parameters
        ----------
        readings_K, expected_K
            What the sensors read, NaN where absent, and what the model expects, without biases, ``(m,)`` in K.
        rise_K
            What each place is above the coolant.
        variance
            Of what the model expects of a sensor.

        Returns
        -------
        taken
            Which readings are to be taken.
        healed
            Which sensors are trusted again from now on: what is known of their biases is not.
        """
        rules, rows, dt, count = self.rules, self.rows, self.step_s, self.sensors
        off, usable = [0.0] * count, [False] * count
        for k in range(count):
            usable[k] = self._in_range(rows[k], readings_K[k])
            off[k] = readings_K[k] - expected_K[k] if usable[k] else 0.0
            usable[k] = usable[k] and abs(off[k]) < HUGE
        trusted = [usable[k] and rows[k, CODE] <= ABSENT for k in range(count)]
        moves = [off[k] - rows[k, LAST] if usable[k] and rows[k, GAP] >= 0 else 0.0 for k in range(count)]
        beside, chi2, healthy = [0.0] * count, [0.0] * count, [0] * count
        for k in range(count):
            others = [j for j in range(count) if j != k and trusted[j]]
            healthy[k] = len(others)
            others = others or [j for j in range(count) if j != k and usable[j]]
            if usable[k] and others:
                beside[k] = off[k] - _median([off[j] for j in others])
                chi2[k] = beside[k] ** 2 / self._variance(len(others), rise_K[k])
        worst = max((k for k in range(count) if trusted[k]), key=lambda k: chi2[k], default=0)

        healed = []
        for k in range(count):
            row, was = rows[k], rows[k, CODE]
            if not usable[k]:
                continue
            self._jump(row, off[k], moves[k], [moves[j] for j in range(count) if j != k and usable[j]])
            self._stuck(row, readings_K[k], expected_K[k], beside[k], healthy[k])
            if row[CODE] <= ABSENT:
                high = min(chi2[k], 4 * rules.limit) - rules.limit
                # an error of one is seen by all, by half as much; what one that is masked is off by is nobody else's
                if not healthy[k] or (healthy[k] > 1 and k != worst):
                    high = min(high, 0.0)
                row[SUM] = max(row[SUM] + high / rules.limit * dt / rules.window_s, 0.0)
                row[HALF] = row[HALF] + dt if 4 * chi2[k] > rules.limit else 0.0
                if row[SUM] >= 1 and healthy[k]:
                    self._name(k, min(abs(expected_K[k] - row[THEN]), abs(beside[k] - row[BESIDE])), trusted)
                    healthy = [0] * count  # one in a step
            elif was > ABSENT and row[JUMPED] == 0 and self._agrees(k, off[k], chi2[k], healthy[k], variance):
                healed.append(k)
                if not healthy[k]:  # it moves the level that the others did not hold: no sign of heat
                    self.cell[AGE] = self.cell[ADDED] = 0.0
            if trusted[k] and row[CODE] in (BIAS, DRIFT):
                self._swap(k, off, readings_K, expected_K, rise_K[k], trusted)
        self.cell[AGE] += dt
        taken = [usable[k] and rows[k, CODE] <= ABSENT for k in range(count)]
        self.cell[ALONE] = self.cell[ALONE] + dt if sum(taken) < 2 else 0.0
        return taken, healed

    def after(
        self, expected_K: Sequence[float], added_K: float, told: tuple[float, float, float, float, float] | None
    ) -> None:
        """Note what the readings of a step did.

        Parameters
        ----------
        expected_K
            What the model expects of the sensors now, ``(m,)``.
        added_K
            What the readings added to the mean temperature of the cell.
        told
            Mean heat and cooling in W, the slow heat that the filter has found with its variance, and what the walls
            conduct in W/K; None where the heat was not known.
        """
        cell, rules, dt = self.cell, self.rules, self.step_s
        self.rows[:, AFTER] = expected_K
        if told is None or cell[AGE] < rules.settle_s or not abs(added_K) < HUGE:
            return
        heat_W, cooling_W, slow_W, slow_W2, open_W_K = told
        share = min(dt / rules.heat_s, 1.0)
        cell[ADDED] += (self.heat_J_K * added_K / dt - cell[ADDED]) * share
        cell[COOLING] += (cooling_W - cell[COOLING]) * share
        own = rules.heat_K_s * self.heat_J_K
        off_K2 = rules.offset_K**2 + (rules.alone_K**2 if cell[ALONE] > 0 else 0.0)  # an offset reads as cooling
        sure = (rules.heat * heat_W) ** 2 + (rules.cooling * cell[COOLING]) ** 2 + own**2 + open_W_K**2 * off_K2
        found = cell[ADDED] + slow_W
        cell[HEAT], cell[VARIANCE] = found, sure + slow_W2
        if found > 0 and found**2 > rules.heat_limit * (sure + (slow_W2 if cell[HOT] == 0 else 0.0)):
            cell[HOT], cell[CALM] = 1.0, 0.0
        elif cell[HOT] > 0:  # half of it keeps the flag
            cell[CALM] = 0.0 if found > 0 and 4 * found**2 > rules.heat_limit * sure else cell[CALM] + dt
            cell[HOT] = 0.0 if cell[CALM] > rules.recover_s else 1.0

    def shifted(self, by_K: Sequence[float]) -> None:
        """Forget a shift of what the model expects, ``(m,)`` in K, that is no move of it."""
        rows = self.rows
        rows[:, THEN] += by_K
        rows[:, AFTER] += by_K
        rows[:, LAST] -= by_K
        rows[:, BEFORE] -= by_K

    def _in_range(self, row: Array, reading_K: float) -> bool:
        """Whether a reading is there and plausible; else its code says why not."""
        rules, dt = self.rules, self.step_s
        if row[GAP] >= 0:
            row[GAP] += dt
        if not abs(reading_K) < HUGE:
            row[MISSING] += dt
            row[AGREED] = min(row[AGREED], 0.0)
            if row[CODE] == NONE and row[MISSING] >= rules.lost_s:
                row[CODE] = ABSENT
            return False
        row[MISSING] = 0.0
        if row[CODE] == ABSENT:
            row[CODE] = NONE
        if rules.coldest_K < reading_K < rules.hottest_K:
            return True
        row[CODE] = OPEN if reading_K <= rules.coldest_K else SHORT
        row[AGREED] = row[JUMPED] = 0.0
        return False

    def _variance(self, others: int, rise_K: float) -> float:
        """Of what a healthy sensor is off by beside the median of the others."""
        return self.rules.offset_K**2 * (1 + 1 / others) + (self.place * rise_K) ** 2

    def _jump(self, row: Array, off: float, move: float, others: list[float]) -> None:
        """A step that neither noise nor heat makes, and that the others do not make."""
        rules = self.rules
        most = rules.jump**2 * 2 * self.noise_K2 + (rules.fastest_K_s * max(row[GAP], 0.0)) ** 2
        alone = not others or (move - _median(others)) ** 2 > most
        if row[CODE] <= ABSENT and move**2 > most and alone:
            row[CODE], row[BEFORE], row[JUMPED], row[AGREED] = BIAS, row[LAST], self.step_s, 0.0
        elif row[JUMPED] > 0:
            if (off - row[BEFORE]) ** 2 <= most:
                row[CODE], row[JUMPED] = NONE, 0.0
            else:
                row[JUMPED] = row[JUMPED] + self.step_s if row[JUMPED] < rules.confirm_s else 0.0
        row[LAST], row[GAP] = off, 0.0

    def _stuck(self, row: Array, reading_K: float, expected_K: float, beside_K: float, healthy: int) -> None:
        """A reading that stays where it is while the others and the model move; alone, while the model does."""
        rules, cell = self.rules, self.cell
        if abs(reading_K - row[HELD]) > rules.resolution_K:
            row[HELD], row[THEN], row[BESIDE], row[MOVED] = reading_K, expected_K, beside_K, 0.0
            row[AGREED] = max(row[AGREED], 0.0)
        elif healthy:
            moved = min(abs(expected_K - row[THEN]), abs(beside_K - row[BESIDE]))
            if row[CODE] <= ABSENT and moved > self._moves:
                row[CODE], row[AGREED] = STUCK, -1.0
        else:
            row[THEN], row[BESIDE] = expected_K, beside_K
            # what the model is steadily off by is no move of it
            steady = cell[ADDED] * self.step_s / self.heat_J_K
            keep = max(1 - self.step_s / rules.stuck_s, 0.0)
            row[MOVED] = keep * row[MOVED] + expected_K - row[AFTER] + steady if cell[AGE] > rules.settle_s else 0.0
            if row[CODE] <= ABSENT and abs(row[MOVED]) > self._moves and cell[HOT] == 0:
                row[CODE], row[AGREED] = STUCK, -1.0

    @property
    def _moves(self) -> float:
        """What the model has to move by."""
        return self.rules.stuck_K + 4 * self.rules.resolution_K

    def _name(self, k: int, moved_K: float, trusted: list[bool]) -> None:
        """Say which fault makes a sensor differ from the others; of two, either may be off."""
        rows, row = self.rows, self.rows[k]
        row[CODE], row[SUM], row[AGREED] = DRIFT if row[HALF] > self.rules.drift_s else BIAS, 0.0, 0.0
        if moved_K > self._moves / 2:
            row[CODE], row[AGREED] = STUCK, -1.0
        elif sum(trusted) == 2:
            for j in range(self.sensors):
                if trusted[j]:
                    rows[j, CODE], rows[j, SUM], rows[j, AGREED] = row[CODE], 0.0, 0.0

    def _swap(
        self,
        k: int,
        off: list[float],
        readings_K: Sequence[float],
        expected_K: Sequence[float],
        rise_K: float,
        trusted: list[bool],
    ) -> None:
        """Rename the fault of a sensor where another one reads what it should, and it what the other one should."""
        most = self.rules.limit * self._variance(1, rise_K)
        for j in range(self.sensors):
            rest = [off[i] for i in range(self.sensors) if trusted[i] and i not in (j, k)]
            if j == k or not trusted[j] or not rest:
                continue
            middle = _median(rest)
            now = min((off[i] - middle) ** 2 for i in (j, k))
            changed = max((readings_K[i] - expected_K[m] - middle) ** 2 for i, m in ((j, k), (k, j)))
            if 4 * now > most and 4 * changed < most:
                for i in (j, k):
                    row = self.rows[i]
                    row[CODE], row[SUM], row[JUMPED], row[AGREED] = SWAP, 0.0, 0.0, 0.0

    def _agrees(self, k: int, off: float, chi2: float, healthy: int, variance: Callable[[int], float]) -> bool:
        """Whether a sensor that was masked has agreed for long enough; it is trusted again then."""
        row, rules = self.rows[k], self.rules
        agrees = 2 * chi2 < rules.limit
        if agrees and not healthy:
            agrees = off**2 < 4 * (variance(k) + rules.offset_K**2 + self.noise_K2)
        if row[AGREED] >= 0:
            row[AGREED] = row[AGREED] + self.step_s if agrees else 0.0
        if row[AGREED] < rules.recover_s:
            return False
        row[CODE] = row[SUM] = row[HALF] = row[AGREED] = 0.0
        return True


def _median(values: list[float]) -> float:
    """Middle value, or the mean of both, by insertion."""
    for i in range(1, len(values)):
        j, value = i, values[i]
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2

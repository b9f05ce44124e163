"""How probable the numbers are, given runs: their surface, and their core where it may count."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.signal import lfilter

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.estimates import apart, mismatch
from bmsthermal.heat import MeasuredHeat, check_soc
from bmsthermal.likelihood import BlockModel, HeatError, block_means
from bmsthermal.noise import Noise
from bmsthermal.observer import LARGEST_H, SOC_IDENTIFIED, Observer
from bmsthermal.parameters import NOISES, Family, Values, priors, shapes_of, valued
from bmsthermal.run import Run
from bmsthermal.schema import RESISTANCE, STEEP_ENTROPY_V_K
from rom import PassiveSystem
from rom.step import ModalStep

#: Told the share done, 0 to 1, and what is being done.
Progress = Callable[[float, str], None]
#: Fewest blocks of a run, and the shortest block in s.
FEWEST_BLOCKS, SHORTEST_BLOCK_S = 5, 10.0
#: Error of the deployed core that is never blamed on the parameters, in K.
CORE_FLOOR_K = 0.05
#: Distance from the ambient at which a start is said to be taken as uniform, in K.
UNIFORM_K = 2.0
#: Relative uncertainty of a resistance whose file gives none.
RESISTANCE_SPREAD = 0.4
#: Farthest that the search may go from the prior, in its standard deviations.
FARTHEST = 8.0
_SHARE, _DISCREPANCY = Values._fields.index("ambient_share"), Values._fields.index("discrepancy_K")


def minimum(cost: Callable[[Array], float], count: int, say: Progress) -> Array:
    """Coordinates ``(count,)`` of the lower of two minima, with the model's surface doubted more and less."""
    found = []
    for i, discrepancy in enumerate((0.0, -1.5)):
        start = np.zeros(count)
        start[_SHARE], start[_DISCREPANCY] = 0.6, discrepancy
        steps = iter(range(1000))

        def tell(_: Array, i: int = i, steps: Any = steps) -> None:
            say(0.3 * (i + 1 - 0.9 ** next(steps)), f"fit {i + 1} of 2")

        options = {"gtol": 0.02, "maxiter": 100}
        found.append(minimize(cost, start, method="BFGS", callback=tell, options=options))
    return np.asarray(min(found, key=lambda result: float(result.fun)).x)


@dataclass(frozen=True)
class Fit:
    """Measured and fitted first sensor of a run, ``(k,)``, in K."""

    name: str
    time_s: Array
    measured_K: Array
    fitted_K: Array


class Problem:
    """Minus the log posterior of as many coordinates as there are priors, ``(p,)``, given runs.

    Parameters
    ----------
    cell, runs, sensors, order, step_s, initial_soc
        As in `calibrate`.
    with_core
        Whether the core of the runs counts.
    thermal
        ``r-z``, or None for one dimension.
    extras
        What is fitted beside, of `bmsthermal.parameters.EXTRAS`.
    """

    def __init__(
        self,
        cell: Cell,
        runs: Sequence[Run],
        sensors: tuple[str, ...],
        with_core: bool,
        order: int,
        step_s: float,
        initial_soc: float | None,
        thermal: str | None = None,
        extras: Collection[str] = (),
    ) -> None:
        if not runs:
            raise InputError("no runs", expected="at least one")
        for run in runs:
            _check(run, sensors, with_core, cell)
        self.sensors, self.with_core = sensors, with_core
        self.priors, self.noise, self.heat = priors(cell, thermal, extras), Noise.of(cell), MeasuredHeat(cell)
        self.notes: list[str] = []
        # one sensor's offset is the start's and the ambient's; several disagree at rest
        self._offset_K = self.noise.offset_K if len(sensors) > 1 else 0.0
        self.digests = {run.name: run.digest for run in runs}  # as recorded: resampling may change a last bit
        self.runs = [run.resample(step_s) for run in runs]
        self.step_s = step_s
        self.soc = [self._start_soc(run, initial_soc) for run in self.runs]
        self.readings = [np.column_stack([run.surfaces_K[name] for name in sensors]) for run in self.runs]
        level = float(np.nanmean(np.concatenate([z.ravel() for z in self.readings])))
        self.family = Family(cell, order, step_s, level, thermal, sensors, extras)
        rates = np.diag(self.family.base.modal.K)
        slowest_s = float(1 / rates[1]) if order > 1 else 60.0
        self.rows = max(1, round(max(SHORTEST_BLOCK_S, 10 * round(slowest_s / 10)) / step_s))
        for run, z in zip(self.runs, self.readings, strict=True):
            warm = float(z[np.isfinite(z)][0] - run.ambient_K[0])
            if abs(warm) > UNIFORM_K:
                self.notes.append(f"{run.name} begins {warm:+.1f} K from its ambient: taken as uniform there")
            blocks = int(np.isfinite(block_means(z, self.rows)).all(axis=1).sum())
            if blocks < FEWEST_BLOCKS:
                raise InputError(
                    f"{blocks} blocks of {self.rows * step_s:g} s with a surface temperature",
                    where=run.name,
                    expected=f"at least {FEWEST_BLOCKS}",
                    hint="the slowest internal time constant sets the block: take a longer run",
                )
        self._heat = [self._measured_heat(*of) for of in zip(self.runs, self.readings, self.soc, strict=True)]
        self._reference = [self._core_blocks(run) for run in self.runs] if with_core else []
        self.deployed = lru_cache(maxsize=64)(self._deployed)

    def values(self, z: Array) -> Values:
        """Return the numbers at coordinates `z` ``(p,)``."""
        return valued(self.priors, z)

    def cost(self, z: Array) -> float:
        """Minus the log posterior at `z` ``(p,)``, up to a constant."""
        if not np.abs(z).max() < FARTHEST:
            return 1e9
        values = self.values(z)
        if not values.h_W_m2K * max(1.0, values.bottom, values.top) < LARGEST_H:
            return 1e9
        if self.steepest(values) > STEEP_ENTROPY_V_K:
            return 1e9
        total = 0.5 * float(z @ z) - sum(self._log_density(values))
        if self.with_core:
            estimates = self.deployed(self._observed(values))
            error = np.concatenate([
                block_means(core, self.rows) - reference
                for core, reference in zip(estimates, self._reference, strict=True)
            ])  # fmt: skip
            error = error[np.isfinite(error)]
            # neighbouring blocks agree: half of them count
            total += len(error) / 4 * float(np.log(np.mean(error**2) + CORE_FLOOR_K**2))
        return total

    def deployed_noise(self, values: Values) -> Noise:
        """Return the noise of the observer that would be written.

        What one temperature cannot explain, several sensors would otherwise fight over.
        """
        if len(self.sensors) == 1:
            return self.noise
        return replace(self.noise, sensor_K=float(np.hypot(self.noise.sensor_K, values.discrepancy_K)))

    def _observed(self, values: Values) -> Values:
        kept = values.discrepancy_K if len(self.sensors) > 1 else 0.0
        return values.physical._replace(discrepancy_K=kept)

    def surface(self, values: Values, modal: PassiveSystem, seen: Array, i: int) -> Array:
        """Readings ``(k, m)`` in K of an open-loop simulation of run `i` from one temperature throughout."""
        run, share = self.runs[i], values.ambient_share
        ambient = run.ambient_K + values.ambient_K
        begin = self.readings[i][:5]
        first = float(np.nanmean(begin)) if np.isfinite(begin).any() else float(ambient[0])
        start = (first - share * float(ambient[:5].mean())) / (1 - share)
        heat = self._heat[i][0] + self._heat[i][1] @ values.entropy
        u = np.column_stack([heat, *[ambient - start] * len(modal.walls)])
        step = ModalStep.of(modal, self.family.base.step_s)
        x = step.run(u[:-1], self.family.conductance_W_K(values))
        wall = np.vstack([np.zeros(seen.shape[1]), x @ seen]) + start
        reading = (1 - share) * wall + share * ambient[:, None]
        stays = np.exp(-step.step_s / values.lag_s)
        return np.asarray(lfilter([1 - stays], [1, -stays], reading, axis=0, zi=stays * reading[:1])[0])

    def fits(self, z: Array) -> tuple[Fit, ...]:
        """First sensor of every run, measured and fitted."""
        values = self.values(z)
        modal, shapes = self.family.modal(values)
        seen = self.family.seen(modal, shapes)
        return tuple(
            Fit(run.name, run.time_s, self.readings[i][:, 0], self.surface(values, modal, seen, i)[:, 0])
            for i, run in enumerate(self.runs)
        )

    def gradient(self, z: Array, covariance: Array) -> float:
        """Posterior of the deployed core over what it claims, both as root sums of squares over the runs."""
        slopes = []
        physical = np.delete(np.arange(len(z)), NOISES)
        for i, half in zip(physical, 0.5 * np.sqrt(np.diag(covariance)[physical]), strict=True):
            aside = half * np.eye(len(z))[i]
            slopes.append((self._cores(z + aside) - self._cores(z - aside)) / (2 * half))
        J = np.array(slopes)
        spread = np.einsum("ik,ij,jk->k", J, covariance[np.ix_(physical, physical)], J)
        inside = self._cores(z) - np.concatenate([readings[:, 0] for readings in self.readings])
        known = np.isfinite(inside)
        return float(np.sqrt(spread[known].sum() / (inside[known] ** 2).sum()))

    def _cores(self, z: Array) -> Array:
        return np.concatenate(self.deployed(self._observed(self.values(z))))

    def _deployed(self, values: Values) -> list[Array]:
        """Core ``(k,)`` in K of each run by the observer that would be written: `Observer.run`, core only."""
        offset, noise = values.ambient_K, self.deployed_noise(values)
        observer = Observer(self.family.reduced(values), self.sensors, noise=noise, ambient_offset_K=offset)
        engine, core, n = observer.kernel(), observer.reduced.outputs[0], observer.reduced.order
        cores = []
        for run, z, soc in zip(self.runs, self.readings, self.soc, strict=True):
            u = np.full((len(z), 1, engine.input_size), np.nan)
            u[:, 0, 0], u[:, 0, 1] = run.current_A, run.voltage_V
            u[:, 0, 3 : 3 + len(observer.reduced.walls)] = run.ambient_K[:, None]
            past = np.empty((len(z), 1, engine.state_size))
            past[0] = observer.start(float(np.nanmean(z[np.isfinite(z).any(axis=1)][0])), soc).row
            engine.write(past[0].copy())
            engine.run(u[:-1], np.ascontiguousarray(z[1:, None, :]), None, past[1:])
            cores.append(past[:, 0, :n] @ core + self.family.cell.reference_K)
        return cores

    def _log_density(self, values: Values) -> list[float]:
        modal, shapes = self.family.modal(values)
        seen = self.family.seen(modal, shapes)
        model = BlockModel.of(
            modal, self.family.conductance_W_K(values), seen, values.ambient_share,
            HeatError(values.slow_heat, values.white_heat_rts, values.discrepancy_K, self._offset_K),
            self.rows * self.family.base.step_s,
        )  # fmt: skip
        densities = []
        for i, readings in enumerate(self.readings):
            at_zero, per, lost = self._heat[i]
            heat = at_zero + per @ values.entropy
            residual = block_means(readings - self.surface(values, modal, seen, i), self.rows)
            densities.append(model.log_density(residual, block_means(heat**2, self.rows), lost))
        return densities

    def _measured_heat(self, run: Run, readings: Array, soc: float) -> tuple[Array, Array, Array]:
        """Heat ``(k,)`` in W, its change ``(k, 4)`` by `Values.entropy`, and the variance ``(b,)`` of what was lost."""
        rows, current = np.arange(len(run.time_s)), np.nan_to_num(run.current_A)
        used = np.cumsum(np.r_[0.0, current[:-1]]) * self.family.base.step_s / 3600
        T, seen = readings[:, 0], np.isfinite(readings[:, 0])
        T = np.interp(rows, rows[seen], T[seen])
        charge = np.clip(soc - used / self.heat.cell.capacity_Ah, 0.0, 1.0)
        heat = self.heat.heat_W(run.current_A, run.voltage_V, charge, T)
        lost, variance = ~np.isfinite(heat), float(np.nanvar(heat))
        # where the heat was not measured the run's mean stands in, as uncertain as the heat varies
        filled = np.where(lost, np.nanmean(heat), heat)
        share = block_means(lost.astype(float), self.rows)
        if RESISTANCE in self.heat.cell.thermal and (dry := lost & np.isfinite(run.current_A)).any():
            # where only the voltage is missing the resistance gives it, as uncertain as the file says
            modelled = self.heat.heat_W(current, self.heat.voltage_V(current, charge, T), charge, T)
            filled, lost = np.where(dry, modelled, filled), lost & ~dry
            spread = self.heat.cell.spread.get(RESISTANCE, RESISTANCE_SPREAD)
            modelled_W2 = min(spread**2 * float(np.mean(modelled[dry] ** 2)), variance)
            of_model, share = block_means(dry.astype(float), self.rows), block_means(lost.astype(float), self.rows)
            doubt = of_model**2 * modelled_W2 + share**2 * variance
        else:
            doubt = share**2 * variance
        own = np.interp(charge, self.heat.soc, self.heat.entropy_V_K)
        per = (current * T)[:, None] * np.column_stack([
            np.full_like(T, 1.0 / self.family.reference_K), -own, -shapes_of(charge)
        ])  # fmt: skip
        return filled, np.where(lost[:, None], 0.0, per), doubt

    def steepest(self, values: Values) -> float:
        """Largest entropic coefficient in V/K, either way, less the shift of its level."""
        tilted = shapes_of(self.heat.soc) @ [values.tilt_V_K, values.hump_V_K]
        return float(np.abs(values.entropy_scale * self.heat.entropy_V_K + tilted).max())

    def _core_blocks(self, run: Run) -> Array:
        """Block means ``(b,)`` of the measured core, thermocouple mismatch at the start removed."""
        core, surface = np.asarray(run.core_K), run.surfaces_K[self.sensors[0]]
        return block_means(core - mismatch(apart(core, surface)), self.rows)

    def _start_soc(self, run: Run, given: float | None) -> float:
        if given is not None:
            return check_soc(given)
        soc, blur = self.heat.start_soc(float(run.current_A[0]), float(run.voltage_V[0]))
        used = np.cumsum(np.nan_to_num(run.current_A)) * self.step_s / (3600 * self.heat.cell.capacity_Ah)
        fits = min(max(soc, float(used.max())), 1.0 + float(used.min()))  # the whole run stays inside 0 to 1
        if blur > SOC_IDENTIFIED:
            self.notes.append(
                f"SOC not identified: the first row of {run.name} leaves it between {soc - blur:.2f} and "
                f"{soc + blur:.2f}, {fits:.2f} taken; give --initial-soc, unless the cell is on a plateau, "
                "where the enthalpy voltage shift absorbs the error"
            )
        elif abs(fits - soc) > SOC_IDENTIFIED:
            self.notes.append(
                f"{run.name} uses more charge than SOC {soc:.2f} from its rest voltage holds: {fits:.2f} taken; "
                "check current, capacity and open-circuit curve"
            )
        return min(max(fits, 0.0), 1.0)


def _check(run: Run, sensors: tuple[str, ...], with_core: bool, cell: Cell) -> None:
    """Refuse a run that has nothing to say."""
    for name in sensors:
        if name not in run.surfaces_K:
            here = ", ".join(run.surfaces_K) or "none"
            raise InputError(f"no sensor {name!r}", where=run.name, expected=f"one of {here}")
        if not np.isfinite(run.surfaces_K[name]).any():
            raise InputError(f"sensor {name!r} is entirely blank", where=run.name, expected="temperatures")
    if with_core and (run.core_K is None or not np.isfinite(run.core_K).any()):
        raise InputError("no core temperature", where=run.name, hint="leave 'core' out of use")
    for label, column in (("current", run.current_A), ("voltage", run.voltage_V), ("ambient", run.ambient_K)):
        if not np.isfinite(column).any():
            raise InputError(f"the {label} is entirely blank", where=run.name, expected="numbers")
    if not np.nanmax(np.abs(run.current_A)) > 0.02 * cell.capacity_Ah:
        raise InputError(
            "no current flows, so nothing heats the cell and there is nothing to learn",
            where=run.name, expected="more than C/50", hint="take a run that warms the cell",
        )  # fmt: skip

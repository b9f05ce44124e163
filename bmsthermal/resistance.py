r"""The DC resistance of a cell against state of charge and temperature, from measured runs.

.. math:: E_\mathrm{oc}(s) - V = I\,R(s)\,\exp\!\Big(\frac{E_a}{R_g}\big(\tfrac1T - \tfrac1{T_0}\big)\Big)

The heat needs no resistance where the voltage is measured; where it is not, and
where the state of charge is read off a voltage under load, it does. One number
per state of charge stands for all that a current does over some seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import least_squares

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K, figures
from bmsthermal.heat import GAS_CONSTANT_J_molK, MeasuredHeat, check_soc
from bmsthermal.likelihood import block_means
from bmsthermal.run import Run
from bmsthermal.schema import RESISTANCE, SPREAD

#: Seconds whose mean is one reading, and over which errors of neighbouring readings hang together.
READING_S, CORRELATED_S = 10.0, 600.0
#: Smallest current, as a share of 1C, that says something of a resistance.
LEAST_RATE = 0.1
NODES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
#: Prior: logarithm of the resistance and how neighbours differ, and activation energy in J/mol, one sigma each.
LEVEL_SD, STEP_SD, ACTIVATION, ACTIVATION_SD = 1.0, 0.3, 25e3, 10e3
ACTIVATION_KEY = "DC resistance activation energy [J.mol-1]"


@dataclass(frozen=True)
class Resistance:
    """What runs say of the resistance; standard deviations are one sigma.

    Parameters
    ----------
    soc, ohm, relative_sd
        The table ``(k,)`` at the cell's reference temperature.
    activation_J_mol, activation_sd
        Its change with temperature.
    residual_V
        Root mean square of what it leaves of the voltage, in V.
    kelvin
        Lowest and highest surface temperature of the data.
    names
        Of the runs.
    """

    soc: Array = field(repr=False)
    ohm: Array = field(repr=False)
    relative_sd: Array = field(repr=False)
    activation_J_mol: float
    activation_sd: float
    residual_V: float
    kelvin: tuple[float, float]
    names: tuple[str, ...]

    def table(self) -> list[tuple[str, ...]]:
        """Rows of state of charge, resistance, its 95 % interval low:high, in Ohm; the activation energy last."""
        reach = np.exp(1.96 * self.relative_sd)
        rows = [
            (f"R at SOC {s:g}", figures(r), f"{figures(r / f)}:{figures(r * f)}", "Ohm")
            for s, r, f in zip(self.soc, self.ohm, reach, strict=True)
        ]
        E, sd = self.activation_J_mol, 1.96 * self.activation_sd
        return [*rows, ("activation energy", figures(E), f"{figures(E - sd)}:{figures(E + sd)}", "J/mol")]

    def written(self, cell: Cell) -> Cell:
        """Return the cell with this resistance and its spread."""
        coldest, hottest = (T - ZERO_DEGC_K for T in self.kelvin)
        how = f"Fitted to {', '.join(self.names)}, {coldest:.0f} to {hottest:.0f} degC, "
        how += f"means of {READING_S:g} s; leaves {1e3 * self.residual_V:.0f} mV rms of the voltage"
        keys = (RESISTANCE, ACTIVATION_KEY)
        sources = dict(cell.thermal.get("Sources", {})) | {key: {"description": how} for key in keys}
        spread = dict(cell.thermal.get(SPREAD, {}))
        spread[RESISTANCE] = float(f"{np.median(self.relative_sd):.3g}")
        spread[ACTIVATION_KEY] = float(f"{self.activation_sd / self.activation_J_mol:.3g}")
        return cell.with_values({
            RESISTANCE: {"x": self.soc.tolist(), "y": [float(f"{r:.4g}") for r in self.ohm]},
            ACTIVATION_KEY: float(f"{self.activation_J_mol:.4g}"),
            "Sources": sources, SPREAD: spread,
        })  # fmt: skip


def fit_resistance(
    cell: Cell, runs: Run | Sequence[Run], *, initial_soc: float | None = None, sensor: str = "surface"
) -> Resistance:
    """Fit a resistance table and its activation energy to the voltage of runs.

    Parameters
    ----------
    cell
        Its open-circuit curve and capacity are taken as they are.
    runs
        One or several; the activation energy needs them at several temperatures.
    initial_soc
        State of charge at the first rows; by default from their voltage.
    sensor
        Whose temperature stands for that of the cell.

    Raises
    ------
    InputError
        If no row has current, voltage and temperature, or no current is large enough.
    """
    taken, heat = (runs,) if isinstance(runs, Run) else tuple(runs), MeasuredHeat(cell)
    rows = [_readings(cell, heat, run, initial_soc, sensor) for run in taken]
    drop, amperes, soc, T = np.hstack(rows) if rows else np.empty((4, 0))
    if not len(drop):
        raise InputError(
            "no row has current, voltage and temperature", where=", ".join(run.name for run in taken) or "no runs",
            expected=f"at least {LEAST_RATE:g}C of current",
        )  # fmt: skip
    nodes = np.array(NODES)
    weights = np.array([np.interp(soc, nodes, row) for row in np.eye(len(nodes))]).T
    colder = (1 / T - 1 / cell.reference_K) / GAS_CONSTANT_J_molK
    usual = float(np.median(drop / amperes))
    if not usual > 0:
        raise InputError("the voltage is above the open circuit under discharge", where=taken[0].name,
                         hint="check the sign of the current, the open-circuit curve and the initial SOC")  # fmt: skip

    def left(z: Array) -> Array:
        return np.asarray(drop - amperes * usual * np.exp(weights @ z[:-1] + z[-1] * colder))

    def prior(z: Array) -> Array:
        return np.asarray(
            np.r_[z[:-1].mean() / LEVEL_SD, np.diff(z[:-1]) / STEP_SD, (z[-1] - ACTIVATION) / ACTIVATION_SD]
        )

    z, sigma = np.r_[np.zeros(len(nodes)), ACTIVATION], 0.05
    scale = np.r_[np.ones(len(nodes)), ACTIVATION_SD]
    # neighbouring readings err alike: so many of them count as one
    alike = CORRELATED_S / READING_S
    for _ in range(4):
        weight = 1 / (sigma * np.sqrt(alike))
        found = least_squares(lambda y, w=weight: np.r_[w * left(y), prior(y)], z, x_scale=scale)
        z, sigma = found.x, float(np.sqrt(np.mean(left(found.x) ** 2)))
    sd = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
    return Resistance(
        nodes, usual * np.exp(z[:-1]), sd[:-1], float(z[-1]), float(sd[-1]), sigma,
        (float(T.min()), float(T.max())), tuple(run.name for run in taken),
    )  # fmt: skip


def _readings(cell: Cell, heat: MeasuredHeat, run: Run, initial_soc: float | None, sensor: str) -> Array:
    """Voltage drop, current, state of charge and temperature ``(4, k)`` of the means that say something."""
    run = run.resample(1.0)
    first = heat.start_soc(float(run.current_A[0]), float(run.voltage_V[0]))[0] if initial_soc is None else initial_soc
    used = np.cumsum(np.r_[0.0, np.nan_to_num(run.current_A[:-1])]) / (3600 * cell.capacity_Ah)
    soc = np.clip(check_soc(first) - used, 0.0, 1.0)
    T = run.surfaces_K.get(sensor, run.ambient_K)
    drop = cell.curve("Open-circuit voltage [V]")(soc) - run.voltage_V
    table = block_means(np.column_stack([drop, run.current_A, soc, T]), round(READING_S))
    known = np.isfinite(table).all(axis=1) & (np.abs(table[:, 1]) > LEAST_RATE * cell.capacity_Ah)
    return np.asarray(table[known].T)

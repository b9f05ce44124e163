"""An oven test: a cell put into a hot oven, from warm-up to runaway or to rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from bmsthermal.conduction import Layer, conduct
from bmsthermal.curves import Array
from bmsthermal.dfn.decomposition import Decomposition
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.plot import AMBIENT, CORE, SURFACE, figure, save

STEFAN_BOLTZMANN_W_m2K4 = 5.670374419e-8
#: Self-heating that calls it a runaway, in K/s: a usual criterion of calorimetry.
RUNAWAY_K_s = 1.0


@dataclass(frozen=True, eq=False)
class Oven:
    """An oven test: temperatures, heats and states at the solver's own times, rows ``(k,)``.

    Parameters
    ----------
    oven_K
        Temperature of the oven.
    time_s
        Since the cell was put in.
    core_K, mean_K, surface_K
        Temperatures of the cell; the mean is by heat content.
    heats_W
        Heat of each reaction over the whole cell.
    states
        State of each reaction, mean over the jelly roll.
    """

    oven_K: float
    time_s: Array
    core_K: Array
    mean_K: Array
    surface_K: Array
    heats_W: dict[str, Array] = field(repr=False)
    states: dict[str, Array] = field(repr=False)

    @cached_property
    def onset_s(self) -> float:
        """When the cell, hotter than the oven, heats at `RUNAWAY_K_s`; NaN if it never does."""
        fast = (np.gradient(self.mean_K, self.time_s) > RUNAWAY_K_s) & (self.mean_K > self.oven_K)
        return float(self.time_s[np.argmax(fast)]) if fast.any() else float("nan")

    def __repr__(self) -> str:
        end = f"runs away after {self.onset_s:.0f} s" if self.onset_s > 0 else "does not run away"
        return f"Oven({self.oven_K - ZERO_DEGC_K:.1f} degC: {end}, peak {self.core_K.max() - ZERO_DEGC_K:.0f} degC)"


#: The 18650 cell of the published oven tests: length in m, and its jelly roll (2580 kg/m3, 830 J/kgK, 3.4 W/mK).
LICOO2_18650 = (0.065, (Layer("roll", 0.0, 0.009, 3.4, 2580.0 * 830.0),))


def oven(
    cell: tuple[float, Sequence[Layer]],
    oven_K: float,
    decomposition: Decomposition,
    *,
    duration_s: float = 9000.0,
    initial_K: float = 301.15,
    h_W_m2K: float = 7.17,
    emissivity: float = 0.8,
    lumped: bool = False,
    nodes: int = 6,
) -> Oven:
    """Put a cylindrical cell into an oven.

    Its ends count as surface, though heat flows along the radius only.

    Parameters
    ----------
    cell
        Length in m, and layers from core to surface: ``(cell.extent, cell.layers)`` of a `Cell`.
    oven_K
        Temperature of the oven's air and walls.
    decomposition
        What reacts, in the heated layers.
    duration_s
        How long it stays there.
    initial_K
        Uniform temperature at first.
    h_W_m2K, emissivity
        Convection and radiation. The defaults are Kim et al. 2007 as remembered; a re-statement's h A of
        1816 W/K per m3 of cell is 7.18 W/m2K over this surface. They move the onset more than anything else:
        134 degC with no radiation, 147 with `h_W_m2K` 10, against 145.6.
    lumped
        One temperature in place of a radial profile.
    nodes
        Intervals of the thickest layer, at least 4.

    Raises
    ------
    ArithmeticError
        If the solver gives up.
    """
    length, layers = cell
    outer = layers[-1].outer_m
    area = 2 * np.pi * outer * (length + outer)
    volume = np.pi * length * sum(layer.outer_m**2 - layer.inner_m**2 for layer in layers if layer.heated)
    system, position = conduct(layers, "cylinder", length, nodes=nodes)
    if lumped:
        system = system.project(np.ones((len(position), 1)))
    n, share = system.order, system.B[:, 0]
    capacity, E = np.diag(system.M), system.E[:, 0]

    def react(y: Array) -> Array:  # what each place does by itself, (1 + reactions, n)
        T, *state = y
        heat = volume * share * decomposition.heat_W_m3(state, T)
        return np.stack([heat / capacity, *decomposition.rates(state, T)])

    def slope(_: float, flat: Array) -> Array:
        y = flat.reshape(-1, n)
        wall, change = float(E @ y[0]), react(y)
        # q'' = h (T - T_oven) + eps sigma (T^4 - T_oven^4)
        flux = h_W_m2K * (wall - oven_K) + emissivity * STEFAN_BOLTZMANN_W_m2K4 * (wall**4 - oven_K**4)
        change[0] -= (system.K @ y[0] + E * area * flux) / capacity
        return change.ravel()

    def jacobian(_: float, flat: Array) -> Array:
        y = flat.reshape(-1, n)
        here, made = react(y), np.zeros((len(y), n, len(y), n))
        for j, small in enumerate([1e-4, *(1e-7 for _ in decomposition.names)]):
            moved = y.copy()
            moved[j] += small
            made[:, range(n), j, range(n)] = (react(moved) - here) / small
        film = h_W_m2K + 4 * emissivity * STEFAN_BOLTZMANN_W_m2K4 * float(E @ y[0]) ** 3
        made[0, :, 0, :] -= (system.K + area * film * np.outer(E, E)) / capacity[:, None]
        return made.reshape(len(flat), len(flat))

    start = np.repeat([initial_K, *decomposition.initial()], n)
    scale = np.repeat([1e-4, *(1e-9 for _ in decomposition.names)], n)
    found = solve_ivp(slope, (0.0, duration_s), start, "BDF", jac=jacobian, rtol=1e-6, atol=scale)
    if not found.success:
        raise ArithmeticError(f"the oven at {oven_K:g} K was not solved: {found.message}")
    T, *states = found.y.reshape(-1, n, len(found.t))
    heats = decomposition.heats(states, T)
    core, mean, surface = system.C @ T
    return Oven(
        oven_K, found.t, core, mean, surface,
        {name: volume * share @ heat for name, heat in heats.items()},
        {name: share @ state for name, state in zip(decomposition.names, states, strict=True)},
    )  # fmt: skip


def draw_oven(results: Sequence[Oven], path: str | Path | None = None) -> Any:
    """Draw core temperatures of oven tests, and below them the heats of the first that runs away."""
    drawn = figure(9.0, 6.5)
    top, bottom = drawn.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    shades = np.linspace(1.0, 0.35, len(results))
    for test, shade in zip(sorted(results, key=lambda test: -test.oven_K), shades, strict=True):
        colour, end = (CORE, f"{test.onset_s / 60:.0f} min") if test.onset_s > 0 else (SURFACE, "no runaway")
        label = f"oven {test.oven_K - ZERO_DEGC_K:.0f} degC: {end}"
        top.plot(test.time_s / 60, test.core_K - ZERO_DEGC_K, color=colour, alpha=shade, lw=1.5, label=label)
    top.set_ylabel("core temperature\ndegC")
    top.set_title("Oven test: convection, radiation and decomposition reactions", fontsize=10, loc="left")
    shown = next((test for test in sorted(results, key=lambda test: test.oven_K) if test.onset_s > 0), results[0])
    for (name, heat), style in zip(shown.heats_W.items(), ("-", "--", "-.", ":"), strict=False):
        bottom.semilogy(shown.time_s / 60, heat, color=CORE, ls=style, lw=1.3, label=name)
    bottom.set_ylim(1e-3, None)
    bottom.set_ylabel(f"heat in the oven of\n{shown.oven_K - ZERO_DEGC_K:.0f} degC, W")
    bottom.set_xlabel("time in the oven, minutes")
    for axes in (top, bottom):
        if axes.lines:
            axes.legend(fontsize=8, frameon=False, loc="best")
        axes.grid(color=AMBIENT, alpha=0.15, lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.margins(x=0)
    return save(drawn, path)

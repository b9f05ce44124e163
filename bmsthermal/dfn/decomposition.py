r"""Decomposition of a hot cell: four exothermic reactions with Arrhenius kinetics, and an oven to try them in.

.. math::

    R_\mathrm{sei} &= A\,e^{-E/RT}\,x_\mathrm{sei} \\
    R_\mathrm{negative} &= A\,e^{-E/RT}\,x_\mathrm{negative}\,e^{-t/t_\mathrm{ref}},
        \qquad t = t_0 + x_\mathrm{negative,0} - x_\mathrm{negative} \\
    R_\mathrm{positive} &= A\,e^{-E/RT}\,\alpha\,(1 - \alpha) \\
    R_\mathrm{electrolyte} &= A\,e^{-E/RT}\,c_\mathrm{e}

    Q = \sum H\,W\,R

after Hatchard, MacNeil, Basu & Dahn 2001 (J. Electrochem. Soc. 148, A755) in
the form of Kim, Pesaran & Spotnitz 2007 (J. Power Sources 170, 476): a state
per reaction, :math:`dx/dt = -R` for what is used up and
:math:`d\alpha/dt = +R` for the conversion of the positive electrode. The film
that slows the negative electrode down grows by what the electrode loses
(:math:`dt/dt = R_\mathrm{negative}`), so it is no state of its own.

Nothing here knows a grid: a state is a number, an array or a symbol of casadi,
one entry per place. With casadi, pass the module as `xp`, which gives ``exp``.

The numbers of `REACTIONS` are those of the LiCoO2/graphite 18650 cell of Kim
et al. 2007, table 1. They were written down without the paper at hand: every
one was compared with public re-statements that cite it (a dMod2 model, "Kim et
al. (2007), Table 1": all, one content rounded to 407; a 21700 runaway model,
"Table 2": all; LiionTR after Hu et al. 2020, ACS Omega,
10.1021/acsomega.0c01862: the reactions looked at), which agree. Other sources
give other cathode kinetics, and other chemistries need others altogether.
Venting, ejecta and a short circuit are not in it: peak temperatures and the
power at the peak are those of the kinetics alone.
"""

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
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.heat import GAS_CONSTANT_J_molK
from bmsthermal.plot import AMBIENT, CORE, SURFACE, figure, save

STEFAN_BOLTZMANN_W_m2K4 = 5.670374419e-8
#: Self-heating that calls it a runaway, in K/s: a usual criterion of calorimetry.
RUNAWAY_K_s = 1.0


@dataclass(frozen=True)
class Reaction:
    """One reaction, its kinetics and its heat.

    Parameters
    ----------
    name
        What decomposes.
    frequency_1_s, activation_J_mol
        Arrhenius kinetics: ``A`` and ``E``.
    heat_J_kg
        Heat released per mass of reactant, exothermic positive.
    content_kg_m3
        Reactant per volume of jelly roll.
    initial
        State of a fresh cell: the fraction that is left, from there to 0; of
        an autocatalytic reaction the conversion, from there to 1.
    order
        Exponent of what is left.
    autocatalytic
        Whether the rate grows with the conversion: ``alpha (1 - alpha)^order``.
    film, film_reference
        Thickness of the film at first and that which slows the reaction
        e-fold, dimensionless; `film_reference` 0 means no film.
    """

    name: str
    frequency_1_s: float
    activation_J_mol: float
    heat_J_kg: float
    content_kg_m3: float
    initial: float = 1.0
    order: float = 1.0
    autocatalytic: bool = False
    film: float = 0.0
    film_reference: float = 0.0

    def rate(self, state: Any, T: Any, xp: Any = np) -> Any:
        """Progress in 1/s, never negative: there is none where nothing is left (or, autocatalytic, no start)."""
        left = 1.0 - state if self.autocatalytic else state
        some = left > 0
        left = left * some  # exact inside, with the derivative of the inside; unlike fmax it hands a NaN on
        k = self.frequency_1_s * xp.exp(-self.activation_J_mol / (GAS_CONSTANT_J_molK * T))
        progress = k * some * (left if self.order == 1 else left**self.order)
        if self.autocatalytic:
            progress = progress * (state * (state > 0))
        if self.film_reference > 0:
            progress = progress * xp.exp(-(self.film + self.initial - left) / self.film_reference)
        return progress

    @property
    def sign(self) -> float:
        """Direction in which the state moves."""
        return 1.0 if self.autocatalytic else -1.0

    @property
    def energy_J_m3(self) -> float:
        """Heat of the whole reactant, for a state from 0 to 1, per volume of jelly roll."""
        return self.heat_J_kg * self.content_kg_m3

    @property
    def available_J_m3(self) -> float:
        """Heat that a fresh cell has left to release."""
        return self.energy_J_m3 * (1 - self.initial if self.autocatalytic else self.initial)


#: Kim, Pesaran & Spotnitz 2007 (LiCoO2/graphite); the head of this module says how sure that is.
REACTIONS: dict[str, Reaction] = {
    reaction.name: reaction
    for reaction in (
        Reaction("sei", 1.667e15, 1.3508e5, 2.57e5, 610.4, 0.15),
        Reaction("negative", 2.5e13, 1.3508e5, 1.714e6, 610.4, 0.75, film=0.033, film_reference=0.033),
        Reaction("positive", 6.667e13, 1.396e5, 3.14e5, 1221.0, 0.04, autocatalytic=True),
        Reaction("electrolyte", 5.14e25, 2.74e5, 1.55e5, 406.9, 1.0),
    )
}


@dataclass(frozen=True)
class Decomposition:
    """Some reactions together: one state each, in their order.

    A `state` is a sequence of ``n`` entries, one per reaction; each entry and
    the temperature `T` in K are numbers, arrays or symbols of casadi of one
    shape, and so is what comes back.

    Examples
    --------
    >>> Decomposition.of("electrolyte, sei").names
    ('sei', 'electrolyte')
    """

    reactions: tuple[Reaction, ...]

    @classmethod
    def of(cls, names: str) -> Decomposition:
        """Choose published reactions: ``all``, ``none`` or names with commas between them.

        Raises
        ------
        InputError
            If a name is not known.
        """
        wanted = {name.strip() for name in names.split(",")}
        if wanted <= {"all"} or wanted <= {"none"}:
            return cls(tuple(REACTIONS.values()) if "all" in wanted else ())
        if unknown := sorted(wanted - set(REACTIONS)):
            raise InputError(
                f"unknown decomposition {', '.join(map(repr, unknown))}",
                expected=f"'all', 'none' or some of {', '.join(REACTIONS)}, with commas between them",
            )
        return cls(tuple(reaction for name, reaction in REACTIONS.items() if name in wanted))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the reactions, and of their states."""
        return tuple(reaction.name for reaction in self.reactions)

    def initial(self) -> Array:
        """State of a fresh cell, ``(n,)``."""
        return np.array([reaction.initial for reaction in self.reactions])

    def rates(self, state: Sequence[Any], T: Any, xp: Any = np) -> list[Any]:
        """Time derivative of each state in 1/s."""
        pairs = zip(self.reactions, state, strict=True)
        return [reaction.sign * reaction.rate(x, T, xp) for reaction, x in pairs]

    def heats(self, state: Sequence[Any], T: Any, xp: Any = np) -> dict[str, Any]:
        """Heat of each reaction in W per m3 of jelly roll."""
        pairs = zip(self.reactions, state, strict=True)
        return {reaction.name: reaction.energy_J_m3 * reaction.rate(x, T, xp) for reaction, x in pairs}

    def heat_W_m3(self, state: Sequence[Any], T: Any, xp: Any = np) -> Any:
        """Heat of all reactions together in W per m3 of jelly roll."""
        return sum(self.heats(state, T, xp).values(), 0.0 * T)

    def released_J_m3(self, state: Sequence[Any]) -> Any:
        """Heat released on the way from the fresh cell to `state`, per m3 of jelly roll: heat x content x extent."""
        pairs = zip(self.reactions, state, strict=True)
        return sum(r.sign * r.energy_J_m3 * (x - r.initial) for r, x in pairs)


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

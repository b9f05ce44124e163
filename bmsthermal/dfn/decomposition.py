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
from dataclasses import dataclass
from typing import Any

import numpy as np

from bmsthermal.curves import Array
from bmsthermal.errors import InputError
from bmsthermal.heat import GAS_CONSTANT_J_molK


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

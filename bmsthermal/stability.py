r"""Stability of a cell's temperature: where it settles, and where it runs away.

.. math:: C\,\dot T = Q(T) - hA\,(T - T_\mathrm{amb})

Concentrations and reaction extents are frozen, potentials follow at once, the
control (a current, a voltage or a power) is held. A steady state is stable as
long as cooling rises faster than heat, :math:`Q' < hA`. Its ambient is
:math:`a(T) = T - Q(T)/hA`, so that :math:`a' = 1 - Q'/hA`, the Semenov margin,
is positive on a stable branch, and the branch that starts in the cold ends
where heat and cooling touch, :math:`Q'(T^*) = hA` (Semenov 1928): the limit is
:math:`a(T^*)`, and it rises with h wherever the cell heats at all.

At constant current ohmic and reaction heat fall with temperature: such a cell
has no limit. At constant voltage the current rises; decomposition always
rises. What is frozen moves in truth, at 1C about as fast as the temperature:
the answer holds for the state of charge at hand, not for a whole discharge.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.cell import Cell
from bmsthermal.curves import Array
from bmsthermal.dfn.decomposition import Decomposition
from bmsthermal.dfn.equations import Equations
from bmsthermal.errors import InputError
from bmsthermal.files import ZERO_DEGC_K, check_outputs, write_whole
from bmsthermal.plot import ESTIMATE, figure, save
from bmsthermal.semenov import RANGE_K, Control, H_RANGE_W_m2K, HeatCurve, degC, heat_curve

#: Colours of the map: beyond the limit nothing settles, or something hot does; or it settles off the curve.
REGIONS = ("#969696", "#c994c7", "#e0e0e0")


@dataclass(frozen=True, eq=False)
class Stability:
    """Where a cell's temperature settles, over cooling and ambient.

    Parameters
    ----------
    cell
        Name.
    control, set_point
        What is held, and at which value, in words.
    soc
        State of charge, frozen.
    reactions
        Names of the decomposition reactions of a fresh cell.
    curve
        Its heat against temperature.
    h_W_m2K, ambient_K
        Axes of the map: ``(n,)`` and ``(m,)``.
    limit_K
        Highest ambient of a stable steady state at each h, ``(n,)``: see `HeatCurve.limit_K`.
    steady_K, eigenvalue_1_s
        Coldest steady state and its eigenvalue ``(n, m)``; NaN where there is none.
    operating
        The cell file's own heat-transfer coefficient in W/m2K and ambient in K.
    """

    cell: str
    control: Control
    set_point: str
    soc: float
    reactions: tuple[str, ...]
    curve: HeatCurve = field(repr=False)
    h_W_m2K: Array = field(repr=False)
    ambient_K: Array = field(repr=False)
    limit_K: Array = field(repr=False)
    steady_K: Array = field(repr=False)
    eigenvalue_1_s: Array = field(repr=False)
    operating: tuple[float, float]

    @property
    def has_limit(self) -> bool:
        """Whether stability is lost anywhere on the map."""
        return bool((self.limit_K < self.ambient_K[-1]).any())

    def verdict(self) -> str:
        """Say in a sentence whether there is a limit and where, or else why not and what would give one."""
        (h, ambient), curve, T = self.operating, self.curve, self.curve.T_K
        top = degC(T[-1])
        if self.has_limit:
            limit, least = curve.limit_K(h), curve.least_h_W_m2K(ambient)
            lost = f"is lost above an ambient of {degC(limit)}"
            if limit == -np.inf:
                lost = "is lost at every ambient"
            elif limit == np.inf:
                reach = T[-1] - curve.heat_W[-1] / (h * curve.area_m2)  # ambient of the last steady state on the curve
                lost = f"is never lost, but above an ambient of {degC(reach)} the cell gets hotter than {top}"
            needs = f"needs at least {least:.3g} W/m2K" if np.isfinite(least) else "is too hot for any cooling"
            needs = needs if least > 0 else "is safe with any cooling"
            return f"{self.set_point}: at h {h:.3g} W/m2K stability {lost}; an ambient of {degC(ambient)} {needs}."
        steepest = int(np.argmax(curve.slope_W_K))
        rise, cooling = float(curve.slope_W_K[steepest]), self.h_W_m2K[0] * curve.area_m2
        if curve.silent:
            why = "there is no heat"
        elif rise <= 0:
            why = f"the heat falls with temperature, all the way from {degC(T[0])} to {top}"
        elif rise < cooling:
            why = f"heat rises by {rise:.2g} W/K at most (at {degC(T[steepest])}), cooling by {cooling:.2g} or more"
        else:
            why = f"it lies above an ambient of {degC(self.limit_K.min())}"
        hot = f" (not everywhere between {degC(T[0])} and {top})" if np.isnan(self.steady_K).any() else ""
        would = ["--control voltage"] * (self.control != "voltage") + ["--reactions all"] * (not self.reactions)
        more = " or ".join(would) or "less cooling or a hotter ambient"
        least = curve.least_h_W_m2K(ambient)
        needs = f"; an ambient of {degC(ambient)} needs at least {least:.3g} W/m2K" if 0 < least < np.inf else ""
        words = f"no limit on this map, for {why}; what settles is stable{hot}{needs}; {more} may give one."
        return f"{self.set_point}: {words}"

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` of axes and arrays with units (temperatures in degC) and settings; same map, same bytes."""
        check_outputs((Path(path), [".npz"]))
        (h, ambient), buffer = self.operating, io.BytesIO()
        settings = {
            "cell": self.cell, "control": self.control, "set_point": self.set_point, "soc": f"{self.soc:g}",
            "reactions": ",".join(self.reactions) or "none", "cooled_area_m2": f"{self.curve.area_m2:.10g}",
            "heat_capacity_J_K": f"{self.curve.capacity_J_K:.10g}", "own_h_W_m2K": f"{h:.10g}",
            "own_ambient_degC": f"{ambient - ZERO_DEGC_K:.10g}",
            "least_h_at_own_ambient_W_m2K": f"{self.curve.least_h_W_m2K(ambient):.10g}",
        }  # fmt: skip
        kelvin = {"ambient": self.ambient_K, "limit": self.limit_K, "steady": self.steady_K}
        arrays: dict[str, Any] = {"h_W_m2K": self.h_W_m2K}
        arrays |= {f"{name}_degC": np.round(T - ZERO_DEGC_K, 9) + 0.0 for name, T in kelvin.items()}
        arrays |= {"eigenvalue_1_s": self.eigenvalue_1_s, "settings": json.dumps(settings)}
        np.savez(buffer, allow_pickle=False, **arrays)
        write_whole(path, buffer.getvalue())

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw the map: temperature of the steady state, the limit, what lies beyond, and the operating point.

        Raises
        ------
        InputError
            If there is no limit to draw.
        """
        if not self.has_limit:
            raise InputError(f"nothing to draw: {self.verdict()}")
        drawn = figure(8.5, 5.5)
        axes = drawn.add_subplot()
        h, ambient, steady = self.h_W_m2K, self.ambient_K - ZERO_DEGC_K, self.steady_K.T - ZERO_DEGC_K
        beyond, none = self.ambient_K[:, None] > self.limit_K, np.isnan(steady)
        regions = np.where(beyond, np.where(none, 0.0, 1.0), np.where(none, 2.0, np.nan))
        first, last = (f"{T - ZERO_DEGC_K:.0f}" for T in self.curve.T_K[[0, -1]])
        coldest = self.curve.T_K[0] - self.curve.heat_W[0] / (h * self.curve.area_m2)  # ambient that it belongs to
        cold = (regions == 2.0) & (self.ambient_K[:, None] <= coldest)
        outside = f"above {last} degC"
        if cold.any():
            outside = f"below {first} degC" if cold.sum() == (regions == 2.0).sum() else f"below {first} or {outside}"
        names = (
            f"beyond the limit: runaway past {last} degC", "beyond the limit: jump to a hot steady state",
            f"settles {outside} (outside what is searched)",
        )  # fmt: skip
        colours = axes.pcolormesh(h, ambient, np.ma.masked_where(beyond | none, steady), cmap="YlOrRd", rasterized=True)
        drawn.colorbar(colours, ax=axes, label="stable steady state, degC")
        flat = {"cmap": _flat(REGIONS), "vmin": -0.5, "vmax": 2.5, "rasterized": True}
        axes.pcolormesh(h, ambient, np.ma.masked_invalid(regions), **flat)
        last_K = self.curve.T_K[-1] - self.curve.heat_W[-1] / (h * self.curve.area_m2)  # ambient of the curve's end
        outer = np.where((regions == 2.0).any(axis=0), last_K - ZERO_DEGC_K, np.nan)
        axes.plot(h, outer, color=REGIONS[2], lw=2.5)  # hides the steps of the mesh
        edge = np.where(np.isfinite(self.limit_K), self.limit_K - ZERO_DEGC_K, np.nan)
        axes.plot(h, edge, color=ESTIMATE, lw=1.8, label="limit: heat and cooling touch")
        for value, name in enumerate(names):
            if (regions == value).any():
                axes.fill_between([], [], color=REGIONS[value], label=name)
        own_h, own = self.operating[0], self.operating[1] - ZERO_DEGC_K
        if h[0] <= own_h <= h[-1] and ambient[0] <= own <= ambient[-1]:
            axes.plot(own_h, own, "o", color=ESTIMATE, mfc="white", ms=7, clip_on=False, label="the cell file's own")
        least = self.curve.least_h_W_m2K(self.operating[1])
        if h[0] <= least <= h[-1] and ambient[0] <= own <= ambient[-1]:
            label = f"at {own:.4g} degC: at least {least:.3g} W/m2K"
            axes.plot(least, own, "D", color=ESTIMATE, mfc="white", ms=6, clip_on=False, label=label)
        axes.set_xscale("log")
        axes.set(xlim=(h[0], h[-1]), ylim=(ambient[0], ambient[-1]))
        axes.set_xlabel("heat-transfer coefficient of the cooled faces, W/m2K")
        axes.set_ylabel("ambient temperature, degC")
        frozen = f"frozen: concentrations at SOC {self.soc:g}"
        frozen += f", fresh extents of {', '.join(self.reactions)}" if self.reactions else ", no decomposition"
        axes.set_title(f"{self.cell}: {self.set_point}\n{frozen}", fontsize=9, loc="left")
        drawn.legend(fontsize=8, frameon=False, ncols=2, loc="outside lower center")
        axes.tick_params(labelsize=8)
        return save(drawn, path)


def stability(
    cell: Cell, *, control: Control = "current", set_point: float | None = None, c_rate: float = 1.0,
    soc: float = 0.5, reactions: str = "none", h_W_m2K: tuple[float, float] = (1.0, 100.0),
    ambient_K: tuple[float, float] = (293.15, 353.15), points: int = 300,
) -> Stability:  # fmt: skip
    """Map where a cell's temperature settles, and where it runs away.

    Parameters
    ----------
    cell, control, set_point, c_rate, soc, reactions
        As for `heat_curve`.
    h_W_m2K, ambient_K
        Range of the heat-transfer coefficient, the same on all cooled faces, and of the ambient.
    points
        Of the map, in each direction.

    Raises
    ------
    InputError
        If an argument cannot be, or the cell cannot reach the set point.
    """
    _check_range("h", h_W_m2K, H_RANGE_W_m2K, "W/m2K")
    _check_range("ambient", ambient_K, RANGE_K, "K")
    curve, words = heat_curve(cell, control=control, set_point=set_point, c_rate=c_rate, soc=soc, reactions=reactions)
    h, ambient = np.geomspace(*h_W_m2K, points), np.linspace(*ambient_K, points)
    steady = np.array([curve.steady_K(value, ambient) for value in h])
    own = Equations(cell, "lumped").conductance_W_K.sum() / curve.area_m2
    return Stability(
        cell.name, control, words, soc, Decomposition.of(reactions).names, curve, h, ambient,
        np.array([curve.limit_K(value) for value in h]), steady, curve.eigenvalue_1_s(h[:, None], steady),
        (float(own), cell.electrochemistry.ambient_K),
    )  # fmt: skip


def _check_range(name: str, given: tuple[float, float], bounds: tuple[float, float], unit: str) -> None:
    low, high = given
    if not bounds[0] <= low < high <= bounds[1]:
        said = f"{bounds[0]:g} to {bounds[1]:g} {unit}"
        if unit == "K":
            said += " ({:g} to {:g} degC)".format(*(value - ZERO_DEGC_K for value in bounds))
        raise InputError(f"{name} from {low:g} to {high:g} {unit}", expected=f"a range within {said}, lower end first")


def _flat(colours: Sequence[str]) -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap(list(colours))

"""A reduced cell as the row of numbers that the kernel reads, in the order of ``cell_t`` in ``kernel/cell.h``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.curves import Array, Curve
from bmsthermal.dfn.electrodes import Electrode, Electrolyte, Parameters
from bmsthermal.heat import FARADAY_C_mol, GAS_CONSTANT_J_molK
from bmsthermal.reduced.particles import LEAN, Particles, diffusion_K, log_diffusivity, middle_diffusivity

if TYPE_CHECKING:
    from bmsthermal.reduced.model import ReducedCell

#: Sizes in the kernel that are the same for all: walls, and rows of the tables.
WALLS, TABLE, PACES, WARM = 3, 513, 65, 91
#: Classes of sizes: modes of each electrode, thermal modes, salt shapes. Smaller models are filled up with zeros.
CLASSES = ((4, 3, 2), (6, 4, 3), (8, 6, 4))
#: Nodes along a radius that the enthalpy is summed over, by the modes of a class.
NODES = {4: 4, 6: 4, 8: 4}
#: Range of the tables: stoichiometry, and concentration over the initial one.
FILLING, CONCENTRATION = (0.0005, 0.9995), (0.01, 4.0)
#: Temperatures in K that the tables cover; beyond them the end counts.
WARMTH_K = (213.15, 393.15)
_NEAR = 1e-5


def class_of(modes: int, thermal: int, shapes: int) -> tuple[int, int, int]:
    """Smallest of `CLASSES` that so many modes of an electrode, thermal modes and salt shapes fit into."""
    need = modes, thermal, shapes
    return next(size for size in CLASSES if all(a <= b for a, b in zip(need, size, strict=True)))


def _slope(curve: Curve, x: Array) -> Array:
    """Derivative by central differences: exact enough for a Hermite table, and it needs no formula."""
    return np.asarray((curve(x + _NEAR) - curve(x - _NEAR)) / (2 * _NEAR)) * np.ones_like(x)


def _table(columns: Iterable[tuple[Array, Array]], interval: float) -> Array:
    """Value and slope times interval of each quantity, ``(TABLE, 6)``."""
    return np.column_stack([part for value, slope in columns for part in (value, slope * interval)])


def _grid(low: float, high: float, count: int = TABLE) -> tuple[Array, list[float]]:
    """Places, and the three numbers of ``grid_t``."""
    return np.linspace(low, high, count), [low, (count - 1) / (high - low), count - 2.0]


def _pace(rate: Array, log_D: Array, interval: float, modes: int) -> Array:
    """What becomes of each mode in a step, ``(PACES, 6, modes)``, against ln D over its reference.

    With ``z = rate D``: the decay ``e^-z``, the mean ``g = (1 - e^-z)/z`` and the mean of what
    is driven, ``(1 - g)/z``; slopes are by ln D, ``z d/dz``.
    """
    z = rate * np.exp(log_D)[:, None]
    near = np.where(z < 0.02, z, 1.0)  # there by series: the differences cancel
    far = np.where(z < 0.02, 1.0, z)
    decay = np.exp(-z)
    g = np.where(z < 0.02, 1 - near / 2 + near**2 / 6 - near**3 / 24 + near**4 / 120 - near**5 / 720,
                 -np.expm1(-far) / far)  # fmt: skip
    later = np.where(z < 0.02, 0.5 - near / 6 + near**2 / 24 - near**3 / 120 + near**4 / 720 - near**5 / 5040,
                     (1 - g) / far)  # fmt: skip
    late = np.where(z < 0.02, 0.5 - near / 3 + near**2 / 8 - near**3 / 30 + near**4 / 144, (g - decay) / far)
    slopes = (-z * decay, decay - g, late - later)
    columns = [
        part for value, slope in zip((decay, g, later), slopes, strict=True) for part in (value, slope * interval)
    ]
    return np.pad(np.stack(columns, axis=1), ((0, 0), (0, 0), (0, modes - len(rate))))


def _pad(values: ArrayLike, *shape: int) -> Array:
    array = np.asarray(values, float)
    return np.pad(array, [(0, size - n) for size, n in zip(shape, array.shape, strict=True)]).ravel()


def _integral(x: Array, y: Array) -> Array:
    """Integral from the first place to each, by splines."""
    from scipy.interpolate import CubicSpline

    return np.asarray(CubicSpline(x, y).antiderivative()(x))


def _monotone(x: Array, y: Array) -> Array:
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(x, y).derivative()(x))


def electrode_table(e: Electrode, reference_K: float, couplings: Collection[str]) -> tuple[Array, list[float]]:
    """Enthalpic potential, dU/dT and ln D over its reference, against filling; and the grid."""
    x, grid = _grid(*FILLING)
    one = np.ones_like(x)
    potential, entropic = (np.asarray(curve(x)) * one for curve in (e.potential, e.entropic))
    potential_slope, entropic_slope = _slope(e.potential, x), _slope(e.entropic, x)
    log_D = log_diffusivity(e, x, couplings, reference_K)
    table = _table(
        [(potential - reference_K * entropic, potential_slope - reference_K * entropic_slope),
         (entropic, entropic_slope), (log_D, _monotone(x, log_D))],
        x[1] - x[0],
    )  # fmt: skip
    return table, grid


def pace_table(model: ReducedCell, e: Electrode, particles: Particles, modes: int) -> tuple[Array, list[float]]:
    """What becomes of so many modes in a step (`_pace`), against ln D over its reference; and the grid."""
    reference_K, x = model.cell.electrochemistry.reference_K, _grid(*FILLING)[0]
    log_D = log_diffusivity(e, x, model.couplings, reference_K)
    colder = diffusion_K(e, model.couplings, reference_K) * (1 / reference_K - 1 / np.array(WARMTH_K))
    paces, grid = _grid(log_D.min() + colder.min() - 0.01, log_D.max() + colder.max() + 0.01, PACES)
    rate = middle_diffusivity(e) / e.particle_radius_m**2 * model.step_s * particles.rate
    return _pace(rate, paces, paces[1] - paces[0], modes), grid


def electrolyte_table(el: Electrolyte) -> tuple[Array, list[float]]:
    """Conductivity and D over those at first, junction potential over 2RT/F, against relative concentration."""
    initial = el.initial_concentration_mol_m3
    c, grid = _grid(*CONCENTRATION)
    one = np.ones_like(c)
    kappa, D = (np.asarray(curve(initial * c)) * one for curve in (el.conductivity, el.diffusivity))
    kappa_0, D_0 = float(el.conductivity(initial)), float(el.diffusivity(initial))
    carried = (1.0 - np.asarray(el.transference(initial * c)) * one) * np.asarray(el.thermodynamic_factor(initial * c))
    junction = _integral(np.log(c), carried)
    slopes = [_slope(curve, initial * c) * initial for curve in (el.conductivity, el.diffusivity)]
    table = _table(
        [(kappa / kappa_0, slopes[0] / kappa_0), (D / D_0, slopes[1] / D_0), (junction, carried / c)],
        c[1] - c[0],
    )  # fmt: skip
    return table, grid


def _electrode(
    model: ReducedCell, e: Electrode, particles: Particles, shapes: Array, source: Array, *, stress: bool
) -> list[Array]:
    from bmsthermal.dfn.mechanics import modulus_J_mol

    (modes, _, salt), points = model.size, len(model.negative.depth)
    step_s, reference_K = model.step_s, model.cell.electrochemistry.reference_K
    electrolyte = model.cell.electrochemistry.electrolyte
    table, grid = electrode_table(e, reference_K, model.couplings)
    pace, pace_grid = pace_table(model, e, particles, modes)
    shift = 0.0
    if stress:
        assert e.partial_molar_volume_m3_mol is not None
        shift = e.partial_molar_volume_m3_mol * modulus_J_mol(e) * e.maximum_concentration_mol_m3 / FARADAY_C_mol
    area = e.area_per_volume_m * e.thickness_m
    flow = area * particles.integral
    pull = e.thickness_m * flow.T * particles.weight
    kappa = float(electrolyte.conductivity(electrolyte.initial_concentration_mol_m3))
    scalars = [
        diffusion_K(e, model.couplings, reference_K),
        3.0 * step_s / (FARADAY_C_mol * e.maximum_concentration_mol_m3 * e.particle_radius_m),
        area, e.thickness_m, 1.0 / (kappa * e.transport_efficiency),
        e.film_resistance_Ohm_m2, shift,
        FARADAY_C_mol * e.maximum_concentration_mol_m3 * e.active_fraction * e.thickness_m / step_s,
        LEAN,
    ]  # fmt: skip
    return [
        _pad(particles.weight, points), _pad(particles.surface, points, modes),
        _pad(particles.inside, points, modes, len(particles.share)), particles.share,
        _pad(area * particles.weight, points), _pad(flow, points, points), _pad(pull, points, points),
        _pad(shapes, points, salt), _pad(step_s * source, salt, points),
        np.array(scalars + pace_grid), pace.ravel(), np.array(grid), table.ravel(),
    ]  # fmt: skip


def warmth_table(p: Parameters) -> tuple[Array, list[float]]:
    """What warmth multiplies, ``(WARM, 12)``: values, then slopes; and the grid."""
    T, grid = _grid(*WARMTH_K, WARM)
    rows = []
    for e in (p.negative, p.positive):
        rows.append((0.5 / (FARADAY_C_mol * e.reaction_rate_mol_m2s), -e.reaction_activation_J_mol))
        rows.append((1.0 / e.conductivity_S_m, -e.conductivity_activation_J_mol))
    el = p.electrolyte
    rows += [(1.0, -el.conductivity_activation_J_mol), (1.0, el.diffusivity_activation_J_mol)]
    per_K = np.array([activation / GAS_CONSTANT_J_molK for _, activation in rows])
    value = np.array([v for v, _ in rows]) * np.exp(per_K * (1 / p.reference_K - 1 / T[:, None]))
    return np.hstack([value, value * per_K / T[:, None] ** 2 * (T[1] - T[0])]), grid


def pack(model: ReducedCell) -> Array:
    """Row of ``cell_t``."""
    p, salt, thermal = model.cell.electrochemistry, model.salt, model.thermal
    el, step = p.electrolyte, model.thermal.step
    initial = el.initial_concentration_mol_m3
    table, grid = electrolyte_table(el)
    kappa_0, D_0 = float(el.conductivity(initial)), float(el.diffusivity(initial))
    _, states, shapes = model.size
    n, s = len(model.negative.depth), len(salt.separator)
    spread = np.zeros((2 * n + 1, shapes, shapes))
    spread[: len(salt.spread), :s, :s] = salt.spread
    lithium = [
        e.area_per_volume_m * e.thickness_m * e.maximum_concentration_mol_m3 * e.particle_radius_m
        for e in (p.negative, p.positive)
    ]
    per = lithium[0] / lithium[1]
    x_full, y_full = p.stoichiometries(1.0)
    stress = "stress-potential" in model.couplings
    head = [
        p.reference_K, thermal.cell.reference_K, p.area_m2, p.contact_resistance_Ohm, y_full + per * x_full, per,
        2 * GAS_CONSTANT_J_molK / FARADAY_C_mol,
        p.separator.thickness_m / (kappa_0 * p.separator.transport_efficiency),
    ]  # fmt: skip
    conduction = [
        _pad(step.decay, states), _pad(step.drive.T, 1, states), _pad(step.wall.T, WALLS, states),
        _pad(step.sink.T, WALLS, states),
    ]  # fmt: skip
    warm, warm_grid = warmth_table(p)
    parts = [
        np.array(head), _pad(salt.separator, shapes), model.step_s * D_0 * spread.ravel(), np.array(warm_grid),
        warm.ravel(), np.array(grid), table.ravel(),
        *_electrode(model, p.negative, model.negative, salt.negative, salt.negative_source, stress=stress),
        *_electrode(model, p.positive, model.positive, salt.positive, salt.positive_source, stress=stress),
        *conduction, _pad(thermal.outputs, 2 + WALLS, states),
    ]  # fmt: skip
    return np.concatenate([np.ravel(part) for part in parts])

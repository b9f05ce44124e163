"""Ways to get voltage and heats from the coordinates of a reduced cell, beside each other: `reduced_maps.py` runs them.

Every map answers rows of `NAMES`: the voltage in V, its heats in W, and what the particles give up in W, of states
``(k, n)`` as `bmsthermal.reduced.twin.Twin` has them and currents ``(k,)``, at an instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.special import roots_jacobi

from bmsthermal.dfn.electrodes import Electrode
from bmsthermal.reduced.model import ReducedCell
from bmsthermal.reduced.particles import DEPTH, RADIUS, Particles, along_radius, middle_diffusivity, sphere, through
from bmsthermal.reduced.tables import limit
from bmsthermal.reduced.twin import ROUNDS, Twin
from bmsthermal.reduced.twin_electrode import EMPTIEST, FULLEST, ElectrodeTwin, Local

Array = np.ndarray
HEATS = ("solid", "electrolyte", "reaction", "reversible", "mixing", "contact")
NAMES = ("voltage", *HEATS, "given")
SIDES = ("negative", "positive")
#: Step in s that is an instant to particles and salt.
INSTANT_S = 1e-3
#: What empirical interpolation spreads from some cells to all.
INTERPOLATED = ("current", "resist", "reaction", "reversible", "mixing", "junction")
#: Spread of a potential in V that is as good as none, and shortest step of Newton that is tried.
CLOSE_V, SHORTEST = 1e-6, 0.01
#: Penalties of a fit that are tried, and parts that the training runs are left out in.
PENALTIES, FOLDS = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), 5


def structured(reduced: ReducedCell, states: Array, current_A: Array, rounds: int = ROUNDS) -> Array:
    """The package's map: least dissipation at Gauss points; its heat of reaction is counted, not what is left over."""
    twin = Twin(reduced.with_step(INSTANT_S), rounds)
    rows = []
    for state, current in zip(states, current_A, strict=True):
        at, found = twin.instant(state, current), twin.step(state, current, 298.15)[1]
        solid = reaction = 0.0
        for side, local, react in zip((twin.negative, twin.positive), at.local, at.reaction, strict=True):
            over, _ = side.kinetics(local, react.current, twin.thermal_voltage * at.T)
            reaction += (side.w * react.current) @ (over + side.film * react.current)
            solid += side.thickness * side.weight @ (local.solid * (at.current - react.within) ** 2)
        solid, reaction = twin.area * solid, twin.area * reaction
        given = found.heat_W + current * found.mean_voltage_V
        rows.append((
            at.voltage, solid, found.ohmic_W - solid, reaction, found.reversible_W, found.mixing_W, found.contact_W,
            given,
        ))  # fmt: skip
    return np.array(rows)


def principal(profiles: Array, count: int, *, uniform: bool = False) -> Array:
    """Principal directions ``(n, count)`` of profiles ``(k, n)`` (Sirovich 1987), perhaps the uniform one first."""
    one = np.full((profiles.shape[1], int(uniform)), profiles.shape[1] ** -0.5)
    rest = profiles - profiles @ one @ one.T
    return np.hstack([one, np.linalg.svd(rest, full_matrices=False)[2][: count - int(uniform)].T])


def greedy(basis: Array) -> Array:
    """Cells ``(k,)`` to interpolate a basis ``(n, k)`` at: where those before miss most (Chaturantabut et al. 2010)."""
    cells = [int(np.argmax(np.abs(basis[:, 0])))]
    for k in range(1, basis.shape[1]):
        miss = basis[:, k] - interpolation(basis[:, :k], np.array(cells)) @ basis[cells, k]
        cells.append(int(np.argmax(np.abs(miss))))
    return np.array(cells)


def interpolation(basis: Array, cells: Array) -> Array:
    """Matrix ``(n, k)`` from values at the cells to the profile of the basis through them."""
    return np.linalg.solve(basis[cells].T, basis.T).T


@dataclass(frozen=True)
class Coordinates:
    """From fields of the full model to the state of a reduced cell, and back to every cell of the mesh.

    Parameters
    ----------
    reduced
        The cell.
    modes
        From the expansion of each electrode's particles to its modes ``(m, DEPTH * RADIUS)``.
    salt
        From relative concentrations to shapes ``(s, cells)``.
    """

    reduced: ReducedCell
    modes: tuple[Array, Array]
    salt: Array

    def __call__(self, states: Mapping[str, Array]) -> Array:
        """States ``(k, n)`` of lithium ``filling``, ``salt``, ``negative``, ``positive`` and ``mean_K``."""
        thermal = np.zeros((len(states["filling"]), self.reduced.thermal.order))
        thermal[:, 0] = (states["mean_K"] - self.reduced.thermal.cell.reference_K) / self.reduced.thermal.outputs[1, 0]
        modes = [states[side] @ matrix.T for side, matrix in zip(SIDES, self.modes, strict=True)]
        return np.column_stack([states["filling"], (states["salt"] - 1.0) @ self.salt.T, *modes, thermal])


def everywhere(particles: Particles, shapes: Array, depth: Array) -> tuple[Particles, Array]:
    """The same modes at other depths, and what makes them of an expansion ``(m, DEPTH * RADIUS)``."""
    points, nodes = len(particles.depth), len(particles.share)
    vectors = shapes @ np.linalg.eigh(shapes.T @ np.kron(np.eye(points), sphere().K) @ shapes)[1]
    coefficients = vectors.reshape(points, RADIUS, -1)

    def surface(x: Array) -> Array:
        return np.einsum("j,qd,djm->qm", sphere().E[:, 0], through(x)[:, :points], coefficients)

    sign = np.sign((surface(particles.depth) * particles.surface).sum(axis=0))
    node = np.sqrt((1 + roots_jacobi(nodes, 0.0, 0.5)[0]) / 2)
    inside = np.einsum(
        "rj,qd,djm->qmr", along_radius(node)[:, :nodes], through(depth)[:, :points], coefficients[:, :nodes]
    )
    weight = np.full(len(depth), 1 / len(depth))
    made = Particles(depth, weight, particles.rate, surface(depth) * sign, inside * sign[:, None], particles.share)
    return made, np.pad(sign[:, None] * vectors.T, ((0, 0), (0, (DEPTH - points) * RADIUS)))


class Half:
    """One electrode whose reaction is collocated at some of its cells, and interpolated between them.

    Parameters
    ----------
    reduced, electrode
        Constants and curves.
    fine, salt
        Modes and salt's shapes at every cell.
    cells, spread
        Of each of `INTERPOLATED`: where it is evaluated ``(k,)``, and from there to all cells ``(n, k)``. What needs
        the kinetics is evaluated where the reaction is.
    """

    def __init__(
        self, reduced: ReducedCell, electrode: Electrode, fine: Particles, salt: Array, cells: Mapping[str, Array],
        spread: Mapping[str, Array],
    ) -> None:  # fmt: skip
        n, at, mixed = len(fine.depth), cells["current"], cells["mixing"]
        points = replace(
            fine, depth=fine.depth[at], weight=fine.weight[at], surface=fine.surface[at], inside=fine.inside[at]
        )
        self.twin = ElectrodeTwin(reduced, electrode, points, salt[at], stress=False)
        self.fine, self.spread, self.share = fine, spread, spread["current"]
        self.salt, self.mixed = salt[cells["resist"]], (fine.surface[mixed], fine.inside[mixed], self.share[mixed])
        self.pace = middle_diffusivity(electrode) / electrode.particle_radius_m**2
        self.width = self.twin.thickness / n
        half = np.tril(np.ones((n, n))) - np.eye(n) / 2  # integral from the left end to the middle of each cell
        self.until, self.within = self.width * half[at], self.twin.area / n * half @ self.share
        self.weight = {name: self.twin.area / n * matrix.sum(axis=0) for name, matrix in spread.items()}

    def react(
        self, local: Local, rho: Array, I: float, before: float, total: float, f2: float, rounds: int  # noqa: E741
    ) -> tuple[Array, float]:  # fmt: skip
        """Reaction at its cells in A/m2 of particle, and level of the potential in V: Newton from the uniform one."""
        k, w = len(self.until), self.weight["current"]
        # of (i_s / sigma - rho i_e), with i_s = I - i_e; on a target these are tensors of k^3 numbers
        ohmic = -self.until @ ((local.solid + rho)[:, None] * self.within)
        offset = self.until @ (local.solid * (I - before) - rho * before)

        def miss(j: Array) -> tuple[Array, Array]:
            over, give = self.twin.kinetics(local, j, f2)
            return local.potential + over + self.twin.film * j + local.junction + offset + ohmic @ j, give

        j, level = np.full(k, total / self.twin.area), 0.0
        found, give = miss(j)
        for _ in range(rounds):
            A = np.zeros((k + 1, k + 1))
            A[:k, :k], A[:k, k], A[k, :k] = ohmic + np.diag(give + self.twin.film), -1.0, w
            step, short = np.linalg.solve(A, np.append(-found, total - w @ j)), 1.0
            level = float(step[k])
            while np.ptp((new := miss(j + short * step[:k]))[0]) > np.ptp(found) and short > SHORTEST:
                short /= 2  # far from the answer a whole step may lead away
            j, (found, give) = j + short * step[:k], new
            if np.ptp(found) < CLOSE_V:
                break
        return j, level

    def densities(self, local: Local, j: Array, modes: Array, filling: float, T: float, f2: float) -> dict[str, Array]:
        """Heats and the junction's work where they are evaluated, W per m2 of particle."""
        twin, (surface, inside, share) = self.twin, self.mixed
        surfaced = twin.table(limit(filling + surface @ modes, EMPTIEST, FULLEST))[:, 0]
        return {
            "reaction": j * (twin.kinetics(local, j, f2)[0] + twin.film * j), "reversible": T * j * local.entropic,
            "mixing": self.released(inside, j, modes, filling, T) / twin.area + (share @ j) * surfaced,
            "junction": j * local.junction,
        }  # fmt: skip

    def released(self, inside: Array, j: Array, modes: Array, filling: float, T: float) -> Array:
        """Enthalpy in W/m2 that all particles would give up if they were like these, whose modes are ``(q, m, r)``."""
        twin, fine = self.twin, self.fine
        fast = twin.activation_K * (1 / twin.reference_K - 1 / T) + twin.table(np.array(filling))[2]
        current, fill = self.share @ j, twin.fill / twin.step_s
        motion = -self.pace * np.exp(fast) * fine.rate * modes - fill * fine.surface.T @ (fine.weight * current)
        by = np.einsum("qmr,m->qr", inside, motion) - fill * fine.weight @ current
        enthalpic = twin.table(filling + np.einsum("qmr,m->qr", inside, modes))[..., 0]
        return np.asarray(twin.capacity_C_m2 * (enthalpic * by) @ fine.share)


@dataclass(frozen=True)
class Collocated:
    """Map whose reaction is found at some cells: all of them, or those of empirical interpolation."""

    reduced: ReducedCell
    halves: Sequence[Half]
    rounds: int

    @cached_property
    def twin(self) -> Twin:
        """Constants and tables."""
        return Twin(self.reduced)

    def __call__(self, states: Array, current_A: Array) -> Array:
        """Rows of `NAMES`."""
        return np.array([self.one(*row)[0] for row in zip(states, current_A, strict=True)])

    def profiles(self, states: Array, current_A: Array) -> list[dict[str, Array]]:
        """`INTERPOLATED`, of each electrode, ``(k, cells)``."""
        found = [self.one(*row)[1] for row in zip(states, current_A, strict=True)]
        return [{name: np.array([row[side][name] for row in found]) for name in INTERPOLATED} for side in (0, 1)]

    def one(self, state: Array, current_A: float) -> tuple[tuple[float, ...], list[dict[str, Array]]]:
        """One state."""
        twin, thermal = self.twin, self.reduced.thermal
        lithium, salt, *modes, warmth = np.split(state, twin.cuts)
        I, low = current_A / twin.area, float(twin.salt.grid[0])  # noqa: E741
        T = float(thermal.outputs[1] @ warmth + thermal.cell.reference_K)
        turn_n, solid_n, turn_p, solid_p, resist, _ = twin.warm(np.array(T))
        f2, separator = twin.thermal_voltage * T, resist * twin.through
        separator = separator / twin.salt(limit(1.0 + self.reduced.salt.separator @ salt, low, np.inf))[0]
        fillings = (lithium[0], twin.positive_at - twin.per * lithium[0])
        ends, warm = ((0.0, I), (I, -I)), ((turn_n, solid_n), (turn_p, solid_p))
        levels, profiles, sums = [], [], dict.fromkeys((*HEATS, "given"), 0.0)
        drop = (separator + twin.series) * I
        sums["electrolyte"], sums["contact"] = separator * I**2, twin.series * I**2
        for half, x, z, (before, total), (turn, solid) in zip(self.halves, fillings, modes, ends, warm, strict=True):
            c, c_rho = (limit(1.0 + shape @ salt, low, np.inf) for shape in (half.twin.salt, half.salt))
            values = resist * half.twin.pores / twin.salt(c_rho)[:, 0]
            rho = half.spread["resist"] @ values
            local = half.twin.local(z, x, c, T, turn, solid, rho[:1], f2 * twin.salt(c)[:, 2])
            j, level = half.react(local, rho, I, before, total, f2, self.rounds)
            density = half.densities(local, j, z, x, T, f2)
            within = before + half.within @ j
            sums["solid"] += half.width * local.solid * ((I - within) ** 2).sum()
            sums["electrolyte"] += half.width * (rho * within**2).sum() + half.weight["junction"] @ density["junction"]
            for name in ("reaction", "reversible", "mixing"):
                sums[name] += half.weight[name] @ density[name]
            sums["given"] += half.fine.weight @ half.released(half.fine.inside, j, z, x, T)
            drop += half.width * (local.solid * (I - within) if before else rho * within).sum()
            levels.append(level)
            profiles.append({"current": j, "resist": values, **density})
        heats = (twin.area * float(sums[name]) for name in (*HEATS, "given"))
        return (float(levels[1] - levels[0] - drop), *heats), profiles


def powers(v: Array, degree: int) -> Array:
    """All products of up to `degree` columns of ``v (k, d)``, one too."""
    columns, last = [np.ones(len(v))], [(np.ones(len(v)), 0)]
    for _ in range(degree):
        last = [(column * v[:, i], i) for column, first in last for i in range(first, v.shape[1])]
        columns += [column for column, _ in last]
    return np.column_stack(columns)


class Fit(Protocol):
    """A fitted map: how many functions it evaluates and numbers it keeps."""

    functions: int
    numbers: int

    def __call__(self, v: Array) -> Array: ...


class Polynomial:
    """Polynomials in scaled variables ``v (k, d)`` by least squares with a penalty; answers like ``y (k, m)``."""

    def __init__(self, v: Array, y: Array, degree: int, penalty: float) -> None:
        self.middle, self.size, self.degree = v.mean(axis=0), v.std(axis=0), degree
        X = self.columns(v)
        self.weights = np.linalg.solve(X.T @ X / len(X) + penalty * np.eye(X.shape[1]), X.T @ y / len(X))
        self.functions, self.numbers = len(self.weights), self.weights.size + 2 * v.shape[1]

    def columns(self, v: Array) -> Array:
        """All products."""
        return powers((v - self.middle) / self.size, self.degree)

    def __call__(self, v: Array) -> Array:
        return np.asarray(self.columns(v) @ self.weights)


class Radial:
    """Cubic radial functions about some of the states, each as far as possible from those before."""

    def __init__(self, v: Array, y: Array, centres: int, penalty: float) -> None:
        self.middle, self.size = v.mean(axis=0), v.std(axis=0)
        at = (v - self.middle) / self.size
        chosen, far = [0], np.full(len(v), np.inf)
        while len(chosen) < centres:
            far = np.minimum(far, ((at - at[chosen[-1]]) ** 2).sum(axis=1))
            chosen.append(int(np.argmax(far)))
        self.found = RBFInterpolator(at[chosen], y[chosen], kernel="cubic", degree=1, smoothing=penalty)
        self.functions = centres
        self.numbers = centres * (v.shape[1] + y.shape[1]) + (v.shape[1] + 1) * y.shape[1] + 2 * v.shape[1]

    def __call__(self, v: Array) -> Array:
        return np.asarray(self.found((v - self.middle) / self.size))


def fitted(kind: Callable[..., Fit], most: int, v: Array, y: Array, run: Array) -> Fit:
    """Fit with the penalty that does best on training runs left out, a fifth of them at a time."""
    size = y.std(axis=0) + np.finfo(float).tiny

    def missed(penalty: float) -> float:
        errors = []
        for fold in range(FOLDS):
            out = run % FOLDS == fold
            errors.append((((kind(v[~out], y[~out], most, penalty)(v[out]) - y[out]) / size) ** 2).mean())
        return float(np.mean(errors))

    return kind(v, y, most, min(PENALTIES, key=missed))

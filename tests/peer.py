"""PyBaMM's Doyle-Fuller-Newman model on the same BPX file as ours, and both side by side (needs ``pybamm``; no test).

What PyBaMM 26.10 solves for T, so that ours can be set to the same equation. ``A`` area of one electrode pair, ``n``
pairs, ``i = I / (n A)``, ``L_k`` and ``q_k`` [W/m3] of layer k, collectors ``cn`` and ``cp``, ``L`` sum of all ``L_k``.

``isothermal``
    T is the ambient temperature; the heats change nothing.
``lumped``
    ``C V dT/dt = Q + I^2 R_contact - h A_cool (T - T_amb)`` with ``V`` and ``A_cool`` the BPX "Volume" and "External
    surface area", ``Q = n A (sum_3 int q dx + i^2 (L_cn/sigma_cn + L_cp/sigma_cp))``, ``C`` the BPX "Density" times
    "Specific heat capacity"; if the file lacks one, the stack's mean ``sum_5 rho_k c_k L_k / L`` (on V, not ``n A L``).
    PyBaMM by itself takes that sum: of a BPX file, its numbers in every layer, collectors of thickness 0 and 4e7 S/m.
``x`` (PyBaMM's "x-full": one pair, per area; ``V``, ``A_cool`` and the lumped h play no part)
    layers: ``rho c dT/dt = d/dx (lambda dT/dx) + q - h_edge 2 (L_y + L_z) / (L_y L_z) (T - T_amb)``, ``T(0) = T_cn``;
    ``rho c L_cn dT_cn/dt = lambda_n dT/dx(0) - h_n (T_cn - T_amb) + L_cn i^2 / sigma_cn - edges, tabs``; ``cp`` alike.
    So a collector is one number without conductivity of its own, **contact resistance heats nothing** (it lowers the
    voltage), and both faces of *every* pair are cooled: for n pairs between two plates give ``h / n``. Edges and tabs
    are off unless given. ``mean_K`` is the mean over the thickness L.

``q = -i_s.grad(phi_s) - i_e.grad(phi_e) + a j eta + a j T dU/dT`` (+ mixing), signs as in design.md section 3.

Ours solves the same where `alike` has set the numbers: the sandwich holds exactly what the cell holds, the walls are
the whole surface, and the x-resolved cell is cooled by the same conductance, half of it on each face. Ours has heat of
mixing in enthalpies, PyBaMM in gradients of the potential: the same only where the entropic coefficient is constant.
"""

from __future__ import annotations

import copy
import functools
import json
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpx
import numpy as np
import pybamm

from bmsthermal import Cell, CoupledModel, Run, load_cell
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.dfn.particle import ParticleGrid

Array, Pieces = np.ndarray, list[tuple[float, float, float]]
#: Names in ``User-defined`` and what PyBaMM calls them; all others are alike or unknown to it.
RENAMED = {"[J.K-1.kg-1]": "[J.kg-1.K-1]", "Electrolyte thermodynamic": "Thermodynamic", "Electrolyte cation": "Cation",
           "strain-free concentration": "reference concentration for free of deformation",
           "anodic transfer": "Butler-Volmer transfer"}  # fmt: skip
ANODIC, ALPHA = "anodic transfer coefficient", "Negative electrode Butler-Volmer transfer coefficient"
SALT = "Initial concentration in electrolyte [mol.m-3]"
LAYERS = ("negative electrode", "separator", "positive electrode")
CUTS = ("Lower voltage cut-off [V]", "Upper voltage cut-off [V]")
LUMPED_H, H = "Total heat transfer coefficient [W.m-2.K-1]", "heat transfer coefficient [W.m-2.K-1]"
FACES_H = [f"{sign} current collector surface {H}" for sign in ("Negative", "Positive")]
CONTACT, CAPACITY = "Contact resistance [Ohm]", "Cell heat capacity [J.K-1.m-3]"
ZERO = [CONTACT, f"Edge {H}", "Cell thermal expansion coefficient [m.K-1]", *FACES_H]
for _sign in ("Negative", "Positive"):
    ZERO += [f"{_sign} tab {H}", f"{_sign} tab width [m]", f"{_sign} electrode volume change"]
HEATS = {"ohmic": "Ohmic heating [W]", "reaction": "Irreversible electrochemical heating [W]",
         "reversible": "Reversible heating [W]", "mixing": "Heat of mixing [W]",
         "contact": "Lumped contact resistance heating [W]"}  # fmt: skip
SERIES = ("Voltage [V]", "Current [A]", "Volume-averaged cell temperature [K]")
FINE = {"x_n": 180, "x_s": 24, "x_p": 60, "r_n": 80, "r_p": 80, "x": "chebyshev", "stretch": 2.5}
SURFACE = {"x_n": 30, "x_s": 16, "x_p": 24, "r_n": 160, "r_p": 160, "x": "chebyshev", "stretch": 2.0}
MESHES = {"default": dict.fromkeys(("x_n", "x_s", "x_p", "r_n", "r_p"), 20), "fine": FINE, "surface": SURFACE}


@dataclass(frozen=True)
class PeerRun:
    """What came out: series over ``time_s``, heats of the whole cell [W], CPU seconds, settings, more fields.

    ``cpu_s``, without imports: ``build`` (file to discretised model), ``first`` (first solve and the solver's set-up),
    ``warm`` and ``least`` (median and minimum of the repeats), ``read`` (evaluating what is returned).
    """

    time_s: Array
    voltage_V: Array
    current_A: Array
    mean_K: Array
    heat_W: dict[str, Array]
    cpu_s: dict[str, float]
    settings: dict[str, Any]
    fields: dict[str, Array] = field(default_factory=dict)


def parameters(bpx_path: str | Path, extra: Mapping[str, Any] | None = None, soc: float = 1.0) -> Any:
    """PyBaMM's parameter values from a BPX file and what BPX lacks.

    Parameters
    ----------
    bpx_path
        The file; of its ``User-defined`` the numbers and expressions count, for layers (density, specific heat, thermal
        conductivity; thickness of the collectors), transfer coefficients, the salt's thermodynamic factor and
        transference number, the activation energy of the solid's conductivity, contact resistance, mechanics.
    extra
        The same names, over those of the file; also PyBaMM's own names, with anything that PyBaMM takes.
    soc
        State of charge: both stoichiometries linear between the file's minima and maxima.
    """
    document = json.loads(Path(bpx_path).read_text(encoding="utf-8"))
    document = {k: document[k] for k in ("Header", "State", "Parameterisation", "Validation") if k in document}
    parts = document["Parameterisation"]
    file = {k: v for k, v in parts.pop("User-defined", {}).items() if isinstance(v, (float, int, str))}
    own = file | {"description": 0.0} | dict(extra or {})
    no_solid = [k for k, part in parts.items() if part.get("Porosity") == part.get("Transport efficiency") == 1]
    for name in no_solid:  # PyBaMM divides by log(porosity)
        parts[name] |= {"Porosity": 0.5, "Transport efficiency": 0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = pybamm.ParameterValues.create_from_bpx_obj(copy.deepcopy(document))
    new: dict[str, Any] = dict.fromkeys(ZERO, 0.0) | {f"{name} porosity": 1.0 for name in no_solid}
    cell, reference, salt = parts["Cell"], values["Reference temperature [K]"], values[SALT]
    if {"Density [kg.m-3]", "Specific heat capacity [J.K-1.kg-1]"} <= set(cell):
        new[CAPACITY] = cell["Density [kg.m-3]"] * cell["Specific heat capacity [J.K-1.kg-1]"]
    for sign, at in (("Negative", soc), ("Positive", 1 - soc)):
        title = f"{sign} electrode"
        part, anodic, energy = parts[title], f"{title} {ANODIC}", f"{title} conductivity activation energy [J.mol-1]"
        low, high = part["Minimum stoichiometry"], part["Maximum stoichiometry"]
        start = part["Maximum concentration [mol.m-3]"] * (low + at * (high - low))
        new[f"Initial concentration in {title.lower()} [mol.m-3]"] = start
        if anodic in own:
            new[f"{title} exchange-current density [A.m-2]"] = _exchange(part, own[anodic], salt, reference)
        if energy in own:
            new[f"{title} conductivity [S.m-1]"] = _activated(part["Conductivity [S.m-1]"], own[energy], reference)
    for name, value in own.items():
        theirs = functools.reduce(lambda text, pair: text.replace(*pair), RENAMED.items(), name)
        new[theirs] = _curve(value) if isinstance(value, str) else value
    values.update(new, check_already_exists=False)
    return values


def _activated(value: float, energy: float, reference: float) -> Any:
    return lambda _, T: value * pybamm.exp(energy / pybamm.constants.R * (1 / reference - 1 / T))


def _exchange(part: Mapping[str, Any], anodic: float, salt: float, reference: float) -> Any:
    energy = part.get("Reaction rate constant activation energy [J.mol-1]", 0.0)
    rate = _activated(part["Reaction rate constant [mol.m-2.s-1]"] * pybamm.constants.F.value, energy, reference)
    return lambda c_e, c, top, T: rate(c, T) * (c_e / salt * (1 - c / top)) ** anodic * (c / top) ** (1 - anodic)


def _curve(text: str) -> Any:
    function = bpx.Function(text).to_python_function("from pybamm import exp, tanh, cosh")
    return lambda c_e, T: function(c_e)


# fmt: off
def discharge(
    bpx_path: str | Path, extra: Mapping[str, Any] | None = None, *, c_rate: float = 1.0, thermal: str = "isothermal",
    ambient_K: float = 298.15, initial_soc: float = 1.0, profile: tuple[Any, Any] | None = None,
    mesh: str | int | Mapping[str, Any] = "default", rtol: float = 1e-6, atol: float = 1e-8,
    h_W_m2K: float | None = None, mixing: bool = False, stress: bool = False, repeats: int = 0, times: Any = None,
    limits_V: tuple[float, float] | None = None, variables: tuple[str, ...] = (),
) -> PeerRun:
    # fmt: on
    """Run PyBaMM's DFN from a BPX file, by IDAKLU, and read out what we compare.

    Parameters
    ----------
    bpx_path, extra, initial_soc
        See `parameters`.
    c_rate
        Constant current in nominal capacities per hour, to the lower cut-off; without ``profile``.
    thermal
        ``isothermal``, ``lumped`` or ``x``: the equations are at the top of this module.
    ambient_K
        Ambient and initial temperature.
    profile
        Time [s] and current [A, positive discharges], shape ``(k,)``: each entry holds until the next time, the last
        one only ends it. One `Simulation.step` a piece of constant current, so that jumps are exact.
    mesh
        ``default`` (20 uniform points in each of x_n, x_s, x_p, r_n, r_p), a key of `MESHES`, a number of uniform
        points, or a dictionary like `FINE`: points, ``x`` "uniform" or "chebyshev", ``stretch`` of the radial cells.
    rtol, atol, h_W_m2K
        Tolerances on scaled states (T by the reference temperature; by default PyBaMM has 1e-4, 1e-6); coefficient over
        the lumped one, with ``thermal="x"`` over that of both faces.
    mixing, stress
        PyBaMM's gradient form of the particles' heat of mixing, in the equation for T too; stress-induced diffusion
        ``D (1 + theta (c - c_0))`` (no shift of the OCP), by the file's mechanics.
    repeats
        Further solves, for ``cpu_s``.
    times
        Where to read, at a jump of the current just after it. Default: 601 times to the end, or in a profile both sides
        of each jump and steps of at most 10 s between.
    limits_V, variables
        Cut-offs instead of the file's; PyBaMM's names of more variables, for ``fields``, ``(points, times)``.
    """
    began = time.process_time()
    times = None if times is None else np.asarray(times, float)
    built = build(
        bpx_path, extra, c_rate=c_rate, thermal=thermal, ambient_K=ambient_K, initial_soc=initial_soc, profile=profile,
        mesh=mesh, rtol=rtol, atol=atol, h_W_m2K=h_W_m2K, mixing=mixing, stress=stress, limits_V=limits_V,
    )  # fmt: skip
    cpu, spent = {"build": time.process_time() - began}, []
    for _ in range(1 + repeats):
        began = time.process_time()
        solution = _solve(built.sim, built.pieces, times)
        spent.append(time.process_time() - began)
    repeated = {"warm": float(np.median(spent[1:])), "least": min(spent[1:])} if repeats else {}
    cpu |= {"first": spent[0]} | repeated
    began = time.process_time()
    grid = _grid(times, built.pieces, float(solution.t[-1]))
    absent = ([] if mixing else ["mixing"]) + ([] if built.contact and thermal == "lumped" else ["contact"])
    wanted = {k: v for k, v in HEATS.items() if k not in absent}
    data = {name: np.asarray(solution[name](t=grid)) for name in (*SERIES, *wanted.values(), *variables)}
    cpu["read"] = time.process_time() - began
    settings = built.settings | {"end": solution.termination, "steps": len(solution.t), "end_s": float(solution.t[-1])}
    heats, more = {k: data[v] for k, v in wanted.items()}, {k: data[k] for k in variables}
    return PeerRun(grid, *(data[k] for k in SERIES), heats, cpu, settings, more)


@dataclass(frozen=True)
class Built:
    """A simulation that is ready to be solved: ``pieces`` of constant current, whether there is contact resistance."""

    sim: Any
    pieces: Pieces
    contact: bool
    settings: dict[str, Any]


def build(
    bpx_path: str | Path, extra: Mapping[str, Any] | None, *, c_rate: float, thermal: str, ambient_K: float,
    initial_soc: float, profile: tuple[Any, Any] | None, mesh: str | int | Mapping[str, Any], rtol: float, atol: float,
    h_W_m2K: float | None, mixing: bool = False, stress: bool = False, limits_V: tuple[float, float] | None = None,
    only: tuple[str, ...] = (),
) -> Built:  # fmt: skip
    """From the file to the discretised model, as `discharge` says; ``only``: all that the solver is to keep."""
    values = parameters(bpx_path, extra, initial_soc)
    new: dict[str, Any] = {"Ambient temperature [K]": ambient_K, "Initial temperature [K]": ambient_K}
    new["Current function [A]"] = pybamm.InputParameter("I")
    new |= dict.fromkeys([] if h_W_m2K is None else FACES_H if thermal == "x" else [LUMPED_H], h_W_m2K)
    new |= {} if limits_V is None else dict(zip(CUTS, limits_V, strict=True))
    values.update(new, check_already_exists=False)
    contact = values[CONTACT] != 0
    options = {"thermal": "x-full" if thermal == "x" else thermal, "heat of mixing": str(mixing).lower()}
    options |= {"calculate heat source for isothermal models": "true", "contact resistance": str(contact).lower()}
    options |= {"use lumped thermal capacity": "true"} if CAPACITY in values and thermal == "lumped" else {}
    options |= {"intercalation kinetics": "asymmetric Butler-Volmer"} if ALPHA in values else {}
    options |= {"particle mechanics": "swelling only", "stress-induced diffusion": "true"} if stress else {}
    pieces: Pieces = [(0.0, 5400 / abs(c_rate), c_rate * values["Nominal cell capacity [A.h]"])]
    if profile is not None:
        at, held = (np.asarray(a, float) for a in profile)
        first = np.concatenate(([0], 1 + np.flatnonzero(np.diff(held[:-1]))))
        pieces = [(float(at[i]), float(at[j]), float(held[i])) for i, j in zip(first, [*first[1:], -1], strict=True)]
    points = dict.fromkeys(MESHES["default"], mesh) if isinstance(mesh, int) else dict(MESHES.get(str(mesh), mesh))
    settings = {"options": options, "mesh": dict(points), "pieces": len(pieces), "pybamm": pybamm.__version__}
    settings |= {"rtol": rtol, "atol": atol}
    model = pybamm.lithium_ion.DFN(options)
    kinds, stretch = dict(model.default_submesh_types), points.pop("stretch", 0)
    if points.pop("x", "uniform") == "chebyshev":
        kinds |= dict.fromkeys(LAYERS, pybamm.MeshGenerator(pybamm.Chebyshev1DSubMesh))
    if stretch:
        graded = pybamm.MeshGenerator(pybamm.Exponential1DSubMesh, {"side": "right", "stretch": stretch})
        kinds |= dict.fromkeys(("negative particle", "positive particle"), graded)
    limits = {"max_error_test_failures": 60, "max_convergence_failures": 200, "max_num_steps": 1_000_000}
    solver = pybamm.IDAKLUSolver(
        rtol=rtol, atol=atol, options=limits, on_extrapolation="warn", output_variables=list(only) or None
    )
    sim = pybamm.Simulation(model, parameter_values=values, var_pts=points, submesh_types=kinds, solver=solver)
    sim.build(inputs={"I": pieces[0][2]})
    settings["states"] = int(sim.built_model.len_rhs_and_alg)
    return Built(sim, pieces, contact, settings)


def _solve(sim: Any, pieces: Pieces, times: Any) -> Any:
    """Step through; of a long profile keep only what is asked for: keeping all of it takes longer than solving."""
    solution, short = pybamm.EmptySolution(), times is None or len(pieces) < 50
    for start, end, current in pieces:  # after a cut-off a step changes nothing
        inside = None if short else [0.0, *(t - start for t in times if start < t < end), end - start]
        solution = sim.step(end - start, starting_solution=solution, inputs={"I": current}, t_interp=inside)
    return solution


def _grid(times: Any, pieces: Pieces, end: float) -> Array:
    if times is not None:
        grid = times[times <= end]
        return np.where(np.isin(grid, [start for start, _, _ in pieces[1:]]), np.nextafter(grid, np.inf), grid)
    if len(pieces) == 1:
        return np.linspace(pieces[0][0], end, 601)
    parts = [np.linspace(a, min(b, end), 2 + int((min(b, end) - a) / 10)) for a, b, _ in pieces if a < end]
    return np.concatenate([*parts[:1], *([np.nextafter(part[0], np.inf), *part[1:]] for part in parts[1:])])


# ---- both side by side

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "oregan2022.bpx.json"
#: What each file lacks: one dictionary for both sides. `alike` adds what makes their equations the same.
COOLING_H = "Heat transfer coefficient [W.m-2.K-1]"
EXTRA: dict[str, dict[str, float]] = {
    "lgm50_21700": {}, "lco_marquis": {}, "oregan2022": {},
    "a123_26650": {
        "Negative current collector thickness [m]": 5e-6, "Positive current collector thickness [m]": 7.5e-6,
        "Negative current collector density [kg.m-3]": 8960.0, "Positive current collector density [kg.m-3]": 2700.0,
        "Negative current collector specific heat capacity [J.K-1.kg-1]": 385.0,
        "Positive current collector specific heat capacity [J.K-1.kg-1]": 897.0,
        "Negative current collector thermal conductivity [W.m-1.K-1]": 401.0,
        "Positive current collector thermal conductivity [W.m-1.K-1]": 237.0,
        "Negative electrode density [kg.m-3]": 1800.0, "Positive electrode density [kg.m-3]": 2200.0,
        "Negative electrode specific heat capacity [J.K-1.kg-1]": 900.0,
        "Positive electrode specific heat capacity [J.K-1.kg-1]": 1000.0,
        "Negative electrode thermal conductivity [W.m-1.K-1]": 1.7,
        "Positive electrode thermal conductivity [W.m-1.K-1]": 1.5,
        "Separator density [kg.m-3]": 1000.0, "Separator specific heat capacity [J.K-1.kg-1]": 1500.0,
        "Separator thermal conductivity [W.m-1.K-1]": 0.3,
    },
}  # fmt: skip
SETS, THERMAL, LOADS = tuple(EXTRA), ("isothermal", "lumped", "x"), ("1C", "2C", "pulses")
#: How finely either side is resolved, so that what is left between them is not the mesh.
THEIR_MESH: dict[str, Mapping[str, Any]] = {
    "lgm50_21700": FINE, "lco_marquis": FINE | {"x_n": 60, "r_n": 60, "r_p": 60},
    "a123_26650": FINE | {"x_n": 60}, "oregan2022": SURFACE | {"x_n": 60},
}  # fmt: skip
OUR_MESH = {
    "lgm50_21700": Mesh(80, 30, 60, ParticleGrid(12), ParticleGrid(12)),
    "lco_marquis": Mesh(60, 30, 60, ParticleGrid(12), ParticleGrid(12)),
    "a123_26650": Mesh(60, 30, 60, ParticleGrid(14), ParticleGrid(14)),
    "oregan2022": Mesh(40, 10, 24, *2 * [ParticleGrid(3, tuple((1 - (1 - np.arange(1, 32) / 32) ** 2).tolist()))]),
}  # fmt: skip
TOLERANCE = {"oregan2022": 1e-5}
#: With mixing one temperature meets every gradient, and PyBaMM's Jacobian costs minutes.
MIXING_MESH = FINE | {"x_n": 40, "x_s": 16, "x_p": 40, "r_n": 60, "r_p": 60}
#: Cycles of 2C discharge, rest, 1C charge and rest from half full, then 300 s: end of each piece in s, current in C.
PULSES = ([60.0, 120.0, 180.0, 300.0], [2.0, 0.0, -1.0, 0.0])
CYCLES, PULSES_SOC, ROW_S = 3, 0.5, 5.0
THEIR_FIELDS = (
    "x [m]", "Electrolyte concentration [mol.m-3]", "x_n [m]", "Negative particle surface concentration [mol.m-3]",
    "x_p [m]", "Positive particle surface concentration [mol.m-3]",
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """Ours minus PyBaMM's over one run.

    ``voltage_mV`` RMS, ``temperature_K`` largest size, ``heat_percent`` RMS of each term in the mean total heat;
    RMS over space and time of ``salt_percent`` (in the initial concentration) and ``surface_percent`` (stoichiometry);
    ``end_s`` between the ends, 0 in a profile. ``stopped`` says why ours ended before the cut-off, if it did.
    """

    voltage_mV: float
    temperature_K: float
    heat_percent: dict[str, float]
    salt_percent: float
    surface_percent: dict[str, float]
    end_s: float
    rise_K: float
    cpu_s: tuple[float, float]
    stopped: str = ""

    def misses(self, bars: Mapping[str, float]) -> list[str]:
        """What is above its bar: ``voltage_mV``, ``temperature_K``, ``heat_percent``."""
        found = {"voltage_mV": self.voltage_mV, "temperature_K": self.temperature_K}
        found["heat_percent"] = max(self.heat_percent.values())
        return [name for name, bar in bars.items() if not found[name] <= bar]  # NaN is a miss


def bars(name: str) -> dict[str, float]:
    """What the two may differ by: more where diffusivities depend on concentration."""
    wide = name == "oregan2022"
    return {"voltage_mV": 2.0 if wide else 1.0, "temperature_K": 0.1 if wide else 0.02, "heat_percent": 0.5}


def alike(cell: Cell, extra: Mapping[str, Any]) -> Cell:
    """Cell with numbers that make PyBaMM's equations and ours the same."""
    cell = cell.with_values({COOLING_H: 10.0} | dict(extra))
    p = cell.electrochemistry
    layers = [
        (p.negative_collector.thickness_m, p.negative_collector), (p.negative.thickness_m, p.negative_layer),
        (p.separator.thickness_m, p.separator_layer), (p.positive.thickness_m, p.positive_layer),
        (p.positive_collector.thickness_m, p.positive_collector),
    ]  # fmt: skip
    stack = p.area_m2 * sum(width * of.density_kg_m3 * of.specific_heat_J_kgK for width, of in layers)
    mass = float(cell.lumped["Density [kg.m-3]"]) * float(cell.lumped["Volume [m3]"])
    new = {"Specific heat capacity [J.K-1.kg-1]": stack / mass}
    if "Form factor" in cell.thermal:
        new["External surface area [m2]"] = sum(cell.areas_m2.values())
    return cell.with_values(new)


def without_entropy(cell: Cell) -> Cell:
    """Copy whose potentials do not depend on temperature."""
    document = copy.deepcopy(dict(cell.document))
    for sign in ("Negative", "Positive"):
        document["Parameterisation"][f"{sign} electrode"]["Entropic change coefficient [V.K-1]"] = 0.0
    return Cell(cell.name, document)


def compare(
    name: str, *, load: str = "1C", thermal: str = "lumped", ambient_K: float = 298.15, kind: str = "three-term",
    our_mesh: Mesh | None = None, their_mesh: Any = None, tolerance: float | None = None,
) -> Difference:  # fmt: skip
    """Run both and take the difference.

    Parameters
    ----------
    name
        One of `SETS`.
    load, thermal
        One of `LOADS`, of `THERMAL`.
    kind
        ``three-term``; ``mixing``: with heat of mixing on both sides, potentials without entropy; ``stress``: with
        stress-driven diffusion, and nothing else of stress.
    our_mesh, their_mesh, tolerance
        In place of `OUR_MESH`, `THEIR_MESH`, 1e-6.
    """
    cell = alike(load_cell(GOLDEN if name == "oregan2022" else name), EXTRA[name])
    cell = without_entropy(cell) if kind == "mixing" else cell
    p, tolerance = cell.electrochemistry, tolerance or TOLERANCE.get(name, 1e-6)
    extra, profile, soc = {}, None, 1.0
    finest = MIXING_MESH if kind == "mixing" else THEIR_MESH[name]
    began = time.process_time()
    model = CoupledModel(
        cell, heat="dfn" if kind == "mixing" else "three-term", thermal=thermal, mesh=our_mesh or OUR_MESH[name],
        couplings=("stress-flux",) if kind == "stress" else (),
    )  # fmt: skip
    if load == "pulses":
        at = np.arange(0, CYCLES * PULSES[0][-1] + 300 + ROW_S / 2, ROW_S)
        phase = np.searchsorted(PULSES[0], at % PULSES[0][-1], side="right")
        held = np.where(at < CYCLES * PULSES[0][-1], np.array(PULSES[1])[phase], 0.0) * p.nominal_Ah
        soc, profile, none = PULSES_SOC, (at, held), np.full(len(at), np.nan)
        asked: Any = Run(at, held, none, np.full(len(at), ambient_K), name="pulses")
    else:
        asked = f"discharge {load} until {p.lower_voltage_V:.6g} V"
    ours = model.simulate(
        asked, initial_soc=soc, start_K=ambient_K, ambient_K=ambient_K, step_s=20 / float(load.rstrip("C"))
        if profile is None else ROW_S, rtol=0.1 * tolerance, atol=0.1 * tolerance, fields=True,
    )  # fmt: skip
    spent = time.process_time() - began
    if kind == "stress":
        extra = {f"{s} electrode strain-free concentration [mol.m-3]": 0.0 for s in ("Negative", "Positive")}
    faces = float(model.equations.conductance_W_K.sum()) / 2 / p.area_m2
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cell.save(Path(folder) / "cell.json")
        theirs = discharge(
            Path(folder) / "cell.json", extra, thermal=thermal, ambient_K=ambient_K, initial_soc=soc, profile=profile,
            c_rate=1.0 if profile is not None else float(load.rstrip("C")), mesh=their_mesh or finest,
            rtol=tolerance, atol=0.01 * tolerance, h_W_m2K=faces if thermal == "x" else 10.0,
            mixing=kind == "mixing", stress=kind == "stress", times=ours.time_s[:-1], variables=THEIR_FIELDS,
        )  # fmt: skip
    return _difference(model, ours, theirs, (spent, time.process_time() - began), 0.0 if profile else ours.time_s[-1])


def _difference(
    model: CoupledModel, ours: Any, theirs: PeerRun, cpu_s: tuple[float, float], end_s: float
) -> Difference:  # fmt: skip
    n, sandwich, p = len(theirs.time_s), model.equations.sandwich, model.equations.parameters
    mean = ours.mean_K[:n]
    if theirs.settings["options"]["thermal"] == "x-full":  # its mean is over the thickness, ours over what holds heat
        ends = p.negative_collector.thickness_m, p.positive_collector.thickness_m
        width = np.concatenate([ends[:1], *sandwich.widths_m, ends[1:]])
        mean = ours.fields["temperature_K"][:n] @ width / width.sum()
    total = np.abs(sum(theirs.heat_W.values())).mean()
    heat = {
        term: float(100 * _rms(ours.heat_terms_W[term][:n] - series) / total)
        for term, series in theirs.heat_W.items()
    }  # fmt: skip
    theirs_at = dict(zip(THEIR_FIELDS, theirs.fields.values(), strict=True))
    x = sandwich.position_m
    salt = ours.fields["salt_mol_m3"][:n, 0] - _at(x, theirs_at[THEIR_FIELDS[0]], theirs_at[THEIR_FIELDS[1]])
    surface = {}
    for k, (name, (electrode, _, cells)) in enumerate(sandwich.electrodes.items()):
        seen = _at(x[cells], theirs_at[THEIR_FIELDS[2 + 2 * k]], theirs_at[THEIR_FIELDS[3 + 2 * k]])
        off = ours.fields[f"{name}_mol_m3"][:n, 0, :, -1] - seen
        surface[name] = float(100 * _rms(off) / electrode.maximum_concentration_mol_m3)
    ended = float(theirs.settings["end_s"])
    return Difference(
        float(1e3 * _rms(ours.voltage_V[:n] - theirs.voltage_V)), float(np.abs(mean - theirs.mean_K).max()), heat,
        float(100 * _rms(salt) / p.electrolyte.initial_concentration_mol_m3), surface,
        float(end_s - ended) if end_s else 0.0, float(np.ptp(theirs.mean_K)), cpu_s,
        ours.stopped,
    )  # fmt: skip


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _at(x: Array, place: Array, values: Array) -> Array:
    """Their values ``(points, times)`` at our places, ``(times, k)``; the ends of their regions come twice."""
    return np.array([np.interp(x, place[:, 0], column) for column in values.T])

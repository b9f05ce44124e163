"""Electrodes read from the BPX sections of a cell file, and held against physics."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsthermal import schema
from bmsthermal.curves import Array, Curve
from bmsthermal.dfn.electrodes import (
    ALUMINIUM,
    Collector,
    Electrode,
    Electrolyte,
    Parameters,
    Separator,
    ThermalLayer,
)
from bmsthermal.errors import InputError, InputWarning

if TYPE_CHECKING:
    from bmsthermal.cell import Cell

#: Conductivity of a sandwich whose file has none; differences through it are millikelvins either way.
SANDWICH_CONDUCTIVITY_W_mK = 1.0
#: How far an end of the open-circuit voltage may lie outside the cut-offs, and how far it may fall with charge.
OUTSIDE_V, FALLING_V = 0.5, 0.005
#: Largest plausible ratio between the capacity of a window and the nominal one, and between the two windows.
CAPACITY_RATIO, WINDOW_RATIO = 3.0, 1.1

#: Where curves should be numbers, as surfaces pass the ends of the window on the way: stoichiometries, and
#: concentrations over the initial one.
REACHED, REACHED_SALT = (0.001, 0.999), (0.05, 3.0)

#: What lies between a share and its bounds.
TINY = 1e-9


class _Section:
    """A section of a file, read key by key: what is missing or cannot be is named with its place."""

    def __init__(self, name: str, title: str, values: Mapping[str, Any]) -> None:
        self.title, self.values, self.file = title, values, name

    def where(self, key: str) -> str:
        return f"{self.file}, {self.title}, {key!r}"

    def get(self, key: str, default: Any = None) -> Any:
        value = self.values.get(key, default)  # BPX writes what is absent as null
        value = default if value is None else value
        if value is None:
            raise InputError(f"no {key!r}", where=f"{self.file}, {self.title}", hint="the full model needs it")
        return value

    def number(
        self, key: str, low: float, high: float, default: float | None = None, *, zero: bool = False, hint: str = ""
    ) -> float:
        value = self.get(key, default)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not (low <= value <= high or (zero and value == 0)):
            expected = f"a number from {low:g} to {high:g}" + (", or 0" if zero else "")
            raise InputError(f"found {value!r:.60}", where=self.where(key), expected=expected, hint=hint)
        return float(value)

    def energy(self, key: str) -> float:
        return self.number(key, 200.0, 2e5, 0.0, zero=True, hint="is it in kJ/mol?")

    def curve(self, key: str, default: float | None = None) -> Curve:
        value = self.get(key, default)
        if isinstance(value, Mapping) and value["x"][:1] > value["x"][-1:]:  # BPX leaves the order of a table open
            value = {axis: list(reversed(value[axis])) for axis in ("x", "y")}
        made = Curve(value, self.where(key))
        if isinstance(value, Mapping):
            _ = made.thinned  # a table that is too long is refused here, not in the middle of a run
        return made


def parameters(cell: Cell) -> Parameters:
    """Read the electrodes of a cell.

    Parameters
    ----------
    cell
        A cell whose file has the BPX sections of the full model; any BPX file of version 0 or 1 will do.

    Raises
    ------
    InputError
        If a section or key is missing, an electrode is a blend of materials, or a value cannot be.

    Warns
    -----
    InputWarning
        If hysteresis is left out, the initial concentration is not given, pores
        and particles or the two windows do not fit each other, or a curve is no
        number where a run may get to.
    """
    sections = cell.document["Parameterisation"]
    model = (cell.document.get("Header") or {}).get("Model")
    if absent := [title for title in schema.ELECTROCHEMICAL if not sections.get(title)]:
        single = f"a single-particle file (Header, 'Model': {model!r}) with " if model == schema.SINGLE else ""
        raise InputError(
            f"{single}no " + ", no ".join(map(repr, absent)), where=f"{cell.name}, Parameterisation",
            expected="a DFN file" if single else "",
            hint="the full model needs the section" + "s of electrolyte and separator" * bool(single),
        )  # fmt: skip
    own = _Section(cell.name, "User-defined", cell.thermal)
    lumped = _Section(cell.name, "Cell", cell.lumped)
    state = cell.document.get("State") or {}
    start, around = (
        _Section(cell.name, f"State, {title}", state.get(title) or {})
        for title in ("Initial conditions", "Thermal environment")
    )
    ambient_K = _temperature("Ambient temperature [K]", cell.reference_K, around, lumped)
    lower_V = lumped.number("Lower voltage cut-off [V]", 0.0, 10.0)
    pairs = int(lumped.number("Number of electrode pairs connected in parallel to make a cell", 1, 1e6))
    soc, filled = "Initial state-of-charge", None
    if start.values.get(soc) is not None:
        filled = start.number(soc, 0.0, 1.0, hint="divide per cent by 100")
    made = Parameters(
        _electrode(cell, "Negative electrode", own),
        _separator(cell),
        _electrode(cell, "Positive electrode", own),
        _electrolyte(cell, start, own),
        area_m2=pairs * lumped.number("Electrode area [m2]", 1e-8, 1e4),
        pairs=pairs,
        lower_voltage_V=lower_V,
        upper_voltage_V=lumped.number("Upper voltage cut-off [V]", np.nextafter(lower_V, np.inf), 10.0),
        nominal_Ah=cell.capacity_Ah,
        reference_K=cell.reference_K,
        contact_resistance_Ohm=_extra(own, "Contact resistance [Ohm]", 0.0),
        negative_collector=_collector(own, "Negative current collector", Collector()),
        positive_collector=_collector(own, "Positive current collector", ALUMINIUM),
        ambient_K=ambient_K,
        initial_K=_temperature("Initial temperature [K]", ambient_K, start, lumped),
        initial_soc=filled,
    )
    _check_whole(cell, made)
    return _with_layers(cell, made, own)


def _temperature(key: str, default: float, *sections: _Section) -> float:
    given = next((section for section in sections if section.values.get(key) is not None), sections[0])
    return given.number(key, 200.0, 400.0, default, hint="in kelvin")


def _extra(own: _Section, key: str, default: float) -> float:
    """Return a number beyond BPX; `schema.check` has held it against its range."""
    return float(own.get(key, default))


def _collector(own: _Section, title: str, metal: Collector) -> Collector:
    return Collector(
        _extra(own, f"{title} thickness [m]", 0.0),
        _extra(own, f"{title} thermal conductivity [W.m-1.K-1]", metal.conductivity_W_mK),
        _extra(own, f"{title} density [kg.m-3]", metal.density_kg_m3),
        _extra(own, f"{title} specific heat capacity [J.K-1.kg-1]", metal.specific_heat_J_kgK),
    )


def _separator(cell: Cell) -> Separator:
    section = _Section(cell.name, "Separator", cell.document["Parameterisation"]["Separator"])
    return Separator(
        section.number("Thickness [m]", 1e-7, 2e-3, hint="in metres"),
        section.number("Porosity", TINY, 1.0),
        section.number("Transport efficiency", TINY, 1.0),
    )


def _electrolyte(cell: Cell, start: _Section, own: _Section) -> Electrolyte:
    section = _Section(cell.name, "Electrolyte", cell.document["Parameterisation"]["Electrolyte"])
    old, new, usual = "Initial concentration [mol.m-3]", "Initial electrolyte concentration [mol.m-3]", 1000.0
    given, key = (section, old) if section.values.get(old) is not None else (start, new)
    if given.values.get(key) is None:
        warnings.warn(f"{start.where(new)}: not given, {usual:g} taken", InputWarning, stacklevel=5)
    rest = given.number(key, 10.0, 1e4, usual, hint="in mol/m3")
    factor, share = "Electrolyte thermodynamic factor", "Electrolyte cation transference number"
    own_share = own.values.get(share) is not None
    made = Electrolyte(
        rest,
        own.curve(share) if own_share else section.curve("Cation transference number"),
        section.curve("Diffusivity [m2.s-1]"),
        section.energy("Diffusivity activation energy [J.mol-1]"),
        section.curve("Conductivity [S.m-1]"),
        section.energy("Conductivity activation energy [J.mol-1]"),
        own.curve(factor, 1.0),
        _extra(own, "Soret coefficient [K-1]", 0.0),
    )
    concentrations = np.linspace(0.5, 1.5, 101) * rest
    _check_curve(made.transference, concentrations, -1.0, 1.0 - TINY, "")
    _check_curve(made.diffusivity, concentrations, 1e-16, 1e-7, "in m2/s, as a function of mol/m3")
    _check_curve(made.conductivity, concentrations, 1e-4, 5.0, "in S/m, as a function of mol/m3: divide mS/cm by 10")
    _check_curve(made.thermodynamic_factor, concentrations, 1e-3, 100.0, "as a function of mol/m3")
    reached = np.linspace(*REACHED_SALT, 201) * rest
    for curve in (made.diffusivity, made.conductivity):
        _warn_beyond(curve, reached, "at concentrations that a large current reaches", positive=True)
    for curve in (made.transference, made.thermodynamic_factor):
        _warn_beyond(curve, reached, "at concentrations that a large current reaches")
    return made


def _electrode(cell: Cell, title: str, own: _Section) -> Electrode:
    values = cell.document["Parameterisation"][title]
    materials = values.get("Particle") or {}
    if len(materials) > 1:
        raise InputError(
            f"a blend of {', '.join(map(repr, materials))}", where=f"{cell.name}, {title}, 'Particle'",
            expected="one material", hint="blended electrodes are not modelled",
        )  # fmt: skip
    section = _Section(cell.name, title, {**values, **next(iter(materials.values()), {})})
    if any(section.values.get(f"OCP ({branch}) [V]") is not None for branch in ("lithiation", "delithiation")):
        warnings.warn(f"{section.where('OCP [V]')}: taken for both branches, without hysteresis", InputWarning, 5)
    low = section.number("Minimum stoichiometry", 0.0, 1.0)
    anodic, cathodic = f"{title} anodic transfer coefficient", f"{title} cathodic transfer coefficient"
    half = 0.5
    made = Electrode(
        thickness_m=section.number("Thickness [m]", 1e-7, 2e-3, hint="in metres"),
        porosity=section.number("Porosity", TINY, 1.0 - TINY),
        transport_efficiency=section.number("Transport efficiency", TINY, 1.0),
        conductivity_S_m=section.number("Conductivity [S.m-1]", 1e-6, 1e5),
        particle_radius_m=section.number("Particle radius [m]", 1e-9, 1e-3, hint="in metres"),
        area_per_volume_m=section.number("Surface area per unit volume [m-1]", 1e2, 1e10),
        maximum_concentration_mol_m3=section.number("Maximum concentration [mol.m-3]", 1e3, 5e5, hint="in mol/m3"),
        minimum_stoichiometry=low,
        maximum_stoichiometry=section.number(
            "Maximum stoichiometry", low + TINY, 1.0, hint="above 'Minimum stoichiometry'"
        ),
        diffusivity=section.curve("Diffusivity [m2.s-1]"),
        diffusivity_activation_J_mol=section.energy("Diffusivity activation energy [J.mol-1]"),
        reaction_rate_mol_m2s=section.number("Reaction rate constant [mol.m-2.s-1]", 1e-14, 1.0),
        reaction_activation_J_mol=section.energy("Reaction rate constant activation energy [J.mol-1]"),
        potential=section.curve("OCP [V]"),
        entropic=section.curve("Entropic change coefficient [V.K-1]", 0.0),
        anodic_transfer=_extra(own, anodic, 1.0 - _extra(own, cathodic, half)),
        cathodic_transfer=_extra(own, cathodic, 1.0 - _extra(own, anodic, half)),
        film_resistance_Ohm_m2=_extra(own, f"{title} film resistance [Ohm.m2]", 0.0),
        conductivity_activation_J_mol=_extra(own, f"{title} conductivity activation energy [J.mol-1]", 0.0),
        partial_molar_volume_m3_mol=own.values.get(f"{title} partial molar volume [m3.mol-1]"),
        youngs_modulus_Pa=own.values.get(f"{title} Young's modulus [Pa]"),
        poisson_ratio=own.values.get(f"{title} Poisson's ratio"),
        strain_free_concentration_mol_m3=own.values.get(f"{title} strain-free concentration [mol.m-3]"),
        stress_activation_volume_m3_mol=_extra(own, f"{title} stress activation volume [m3.mol-1]", 0.0),
    )
    _check_particles(made, section)
    return made


def _check_curve(curve: Curve, x: Array, low: float, high: float, hint: str) -> None:
    values = curve(x)
    bad = ~((values >= low) & (values <= high))  # NaN is bad
    if bad.any():
        first = int(np.argmax(bad))
        found, expected = f"the curve is {values[first]:.4g} at {x[first]:.4g}", f"{low:g} to {high:g}"
        raise InputError(found, where=curve.where, expected=expected, hint=hint)


def _check_particles(electrode: Electrode, section: _Section) -> None:
    active = electrode.active_fraction
    area = "Surface area per unit volume [m-1]"
    if not active <= 1.0:
        raise InputError(
            f"found {electrode.area_per_volume_m:g}: with 'Particle radius [m]' {electrode.particle_radius_m:g} "
            f"particles are {active:.3g} of the volume", where=section.where(area), expected="less than 1",
            hint="it is 3 times the share of active material over the radius",
        )  # fmt: skip
    if electrode.porosity + active > 1.0 + TINY:
        share = f"pores {electrode.porosity:.3g} and particles {active:.3g} are more than the whole"
        warnings.warn(f"{section.where('Porosity')}: {share}", InputWarning, stacklevel=6)
    window = np.linspace(electrode.minimum_stoichiometry, electrode.maximum_stoichiometry, 201)
    _check_curve(electrode.diffusivity, window, 1e-24, 1e-7, "in m2/s, against stoichiometry")
    _check_curve(electrode.potential, window, -1.0, 6.0, "in V, against stoichiometry")
    steep = schema.STEEP_ENTROPY_V_K
    _check_curve(electrode.entropic, window, -steep, steep, "in V/K: divide mV/K by 1000")
    reached = np.linspace(*REACHED, 999)
    _warn_beyond(electrode.diffusivity, reached, "where surfaces pass the window", positive=True)
    for curve in (electrode.potential, electrode.entropic):
        _warn_beyond(curve, reached, "where surfaces pass the window")


def _warn_beyond(curve: Curve, x: Array, why: str, *, positive: bool = False) -> None:
    """Warn of a curve that ends soon beyond where it is checked: the solver crawls along its edge."""
    values = curve(x)
    bad = ~np.isfinite(values) | ((values <= 0) if positive else False)
    if bad.any():
        first = int(np.argmax(bad))
        said = "a positive number" if positive else "a number"
        warnings.warn(
            f"{curve.where}: the curve is {values[first]:.4g} at {x[first]:.4g}, {why}, expected {said} from "
            f"{x[0]:.4g} to {x[-1]:.4g}; a run may stop or crawl there: continue the curve, or give a table",
            InputWarning, stacklevel=6,
        )  # fmt: skip


def _check_whole(cell: Cell, made: Parameters) -> None:
    """Hold the electrodes against each other and against the nominal capacity and the cut-offs."""
    where = f"{cell.name}, Cell, "
    held = made.capacity_Ah
    if not 1 / CAPACITY_RATIO <= held / made.nominal_Ah <= CAPACITY_RATIO:
        raise InputError(
            f"found {made.nominal_Ah:g}, but the electrodes hold {held:.4g}",
            where=f"{where}'Nominal cell capacity [A.h]'", expected="about the same",
            hint="check the area, the number of pairs, thicknesses, concentrations and stoichiometries",
        )  # fmt: skip
    windows = [electrode.window_C_m2 * made.area_m2 / 3600 for electrode in (made.negative, made.positive)]
    if max(windows) > WINDOW_RATIO * min(windows):
        found = "the window of the negative electrode holds {:.4g} A.h, of the positive {:.4g} A.h".format(*windows)
        warnings.warn(f"{cell.name}, 'Maximum stoichiometry': {found}", InputWarning, stacklevel=5)
    soc = np.linspace(0.0, 1.0, 201)
    voltage = made.open_circuit_V(soc)
    lowest, highest = made.lower_voltage_V - OUTSIDE_V, made.upper_voltage_V + OUTSIDE_V
    for key, end in (("Lower voltage cut-off [V]", 0), ("Upper voltage cut-off [V]", -1)):
        if not lowest <= voltage[end] <= highest:
            raise InputError(
                f"the open-circuit voltage is {voltage[end]:.4g} V at a state of charge of {soc[end]:g}, far outside "
                f"{made.lower_voltage_V:g} to {made.upper_voltage_V:g} V", where=f"{where}{key!r}",
                hint="check 'OCP [V]' and the stoichiometry windows of both electrodes",
            )  # fmt: skip
    fall = np.maximum.accumulate(voltage) - voltage
    if fall.max() > FALLING_V:
        raise InputError(
            f"the open-circuit voltage falls by {fall.max():.3g} V up to a state of charge of {soc[fall.argmax()]:.3g}",
            where=f"{cell.name}, 'OCP [V]'", expected="a rising one", hint="check both electrodes and their windows",
        )  # fmt: skip


def _with_layers(cell: Cell, made: Parameters, own: _Section) -> Parameters:
    """Add thermal layers; those without their own values share what the cell's heat capacity leaves for them."""
    parts = {
        "Negative electrode": made.negative.thickness_m,
        "Separator": made.separator.thickness_m,
        "Positive electrode": made.positive.thickness_m,
    }
    density, specific = "{} density [kg.m-3]", "{} specific heat capacity [J.K-1.kg-1]"
    known = {
        title: (float(own.values[density.format(title)]), float(own.values[specific.format(title)]))
        for title in parts
        if {density.format(title), specific.format(title)} <= set(own.values)
    }
    if len(known) < len(parts):
        if any(key not in cell.lumped for key in schema.LUMPED[:3]):
            return made
        taken = sum(
            collector.thickness_m * collector.density_kg_m3 * collector.specific_heat_J_kgK
            for collector in (made.negative_collector, made.positive_collector)
        ) + sum(thickness * np.prod(known[title]) for title, thickness in parts.items() if title in known)
        left = cell.heat_capacity_J_K / made.area_m2 - taken
        if left <= 0:
            raise InputError(
                f"collectors and layers hold {taken * made.area_m2:.4g} J/K, the cell {cell.heat_capacity_J_K:.4g}",
                where=f"{cell.name}, 'Specific heat capacity [J.K-1.kg-1]'", expected="more",
                hint="check the thicknesses of the collectors and the electrode area",
            )  # fmt: skip
        lumped = float(cell.lumped["Specific heat capacity [J.K-1.kg-1]"])
        room = sum(thickness for title, thickness in parts.items() if title not in known)
        known |= {title: (float(left / room / lumped), lumped) for title in parts if title not in known}
    keys = [key for form in schema.NEEDED.values() for key in form if key.endswith("[W.m-1.K-1]")]
    across = next((float(own.values[key]) for key in keys if key in own.values), SANDWICH_CONDUCTIVITY_W_mK)
    layers = [
        ThermalLayer(*known[title], _extra(own, f"{title} thermal conductivity [W.m-1.K-1]", across)) for title in parts
    ]
    return replace(made, negative_layer=layers[0], separator_layer=layers[1], positive_layer=layers[2])

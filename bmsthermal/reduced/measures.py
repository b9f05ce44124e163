"""What a reduction is measured by: one that was tried, one case, the frequency response."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmsthermal.curves import Array

Response = NDArray[np.complex128]


@dataclass(frozen=True)
class Trial:
    """One reduction that was tried; errors are the worst over the judged cases.

    Parameters
    ----------
    method
        How it was made.
    states
        All of them.
    sizes
        What they are, such as ``thermal 3, salt 2, negative 4, positive 3, lithium 1``.
    core_K
        Largest error of the core temperature.
    voltage_rms_V, voltage_max_V
        Error of the voltage.
    heat
        Relative error of the mean heat.
    where
        The case in which the core is worst.
    """

    method: str
    states: int
    sizes: str
    core_K: float
    voltage_rms_V: float
    voltage_max_V: float
    heat: float
    where: str


@dataclass(frozen=True)
class CaseError:
    """Error of the chosen reduction in one case.

    Parameters
    ----------
    case
        Its name.
    ambient_degC, h
        Surroundings, and heat-transfer coefficient of every face in W/m2K.
    judged_s
        How long it was judged.
    why
        What ended that: ``cut-off``, ``salt``, ``hot`` or ``end``.
    scored
        Whether it counts; what is too short is listed only.
    rise_K
        How far the core of the full model rises.
    core_K, surface_K
        Largest errors of temperatures; of the surfaces that of the worst one.
    voltage_rms_V, voltage_max_V
        Errors of the voltage.
    heat, energy
        Relative error of the mean heat, and heat that is neither stored nor gone as a share of the heat released.
    """

    case: str
    ambient_degC: float
    h: float
    judged_s: float
    why: str
    scored: bool
    rise_K: float
    core_K: float
    surface_K: float
    voltage_rms_V: float
    voltage_max_V: float
    heat: float
    energy: float


@dataclass(frozen=True, eq=False)
class Frequency:
    """Response to a small current, full and reduced, both linear about the same state.

    Parameters
    ----------
    hertz
        Frequencies ``(k,)``, 0 may be the first.
    full_voltage, reduced_voltage
        Complex ``(k,)``, in V/A.
    full_core, reduced_core
        Complex ``(k,)``, in `core_unit`.
    core_unit
        Unit of the core's response: K/A where the current drives it, K/W where heat does.
    about
        State that it is linear about, in words.
    """

    hertz: Array
    full_voltage: Response
    reduced_voltage: Response
    full_core: Response
    reduced_core: Response
    core_unit: str = "K/A"
    about: str = ""

    def voltage_error(self) -> Array:
        """Error of the voltage ``(k,)``, relative to the full response at the same frequency."""
        return _relative(self.full_voltage, self.reduced_voltage, np.abs(self.full_voltage))

    def core_error(self) -> Array:
        """Error of the core ``(k,)``, relative to the largest full response: a core does not feel 10 Hz at all."""
        return _relative(self.full_core, self.reduced_core, np.abs(self.full_core).max(initial=0.0))


def _relative(full: Response, reduced: Response, scale: Array | float) -> Array:
    """Difference over a scale; no difference is no error, whatever the scale."""
    difference = np.abs(reduced - full)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(difference == 0, 0.0, difference / scale))

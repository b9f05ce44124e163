"""What a reduction of the coupled model is worth: its errors, what it keeps exactly, and where that holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal.errors import InputError
from bmsthermal.files import PICTURES, check_outputs
from bmsthermal.pages import Table
from bmsthermal.reduced import tabled
from bmsthermal.reduced.measures import CaseError, Frequency, Trial
from bmsthermal.reduced.range import Range

__all__ = ["CaseError", "Certificate", "Frequency", "Trial", "print_certificate"]

#: Measured times: they differ from machine to machine, so files that must be the same everywhere leave them out.
SPEED = ("full_s", "step_ns")


@dataclass(frozen=True, eq=False)
class Certificate:
    """Errors and guarantees of one reduction, and of those that were tried beside it.

    Parameters
    ----------
    cell, digest
        Name of the cell, and digest of its parameters.
    step_s
        Length of a step.
    range
        What it was made for.
    wanted_core_K, wanted_voltage_V
        Largest core error and rms voltage error that were asked for, if any.
    reached, limit
        Whether they were, and a sentence on what was reached and what limits it.
    trials
        What was tried.
    cases
        Errors of the chosen one, case by case.
    poles
        Moduli of the poles of its step about rest, cooled, largest first.
    conserved, poles_at_one
        Quantities conserved when insulated (lithium and energy), and poles that are 1 then.
    dc
        Relative error of the steady gains.
    energy
        Largest relative energy residual of a run.
    frequency
        Response from 0 to 10 Hz, if it was computed.
    full_s, step_ns
        CPU seconds of the full model per simulated second, and time of one reduced step, if measured.
    chosen
        Index of the chosen one in `trials`; by default the last.
    """

    cell: str
    digest: str
    step_s: float
    range: Range
    wanted_core_K: float | None
    wanted_voltage_V: float | None
    reached: bool
    limit: str
    trials: tuple[Trial, ...]
    cases: tuple[CaseError, ...]
    poles: tuple[float, ...]
    conserved: int
    poles_at_one: int
    dc: float
    energy: float
    frequency: Frequency | None = None
    full_s: float | None = None
    step_ns: float | None = None
    chosen: int = -1

    @property
    def trial(self) -> Trial | None:
        """The chosen one; None where nothing was tried."""
        return self.trials[self.chosen] if self.trials else None

    def worst(self, error: str) -> CaseError | None:
        """Scored case in which an error, such as ``core_K``, is largest; what is no number is larger than all."""
        scored = [case for case in self.cases if case.scored]
        return max(scored, key=lambda case: _size(getattr(case, error)), default=None)

    def verify(self) -> None:
        """Check what every reduction must keep.

        Raises
        ------
        ArithmeticError
            If a pole is outside the unit circle, the poles at 1 are not those
            of the conserved quantities, or steady gain or energy is not kept.
        """
        wrong = []
        outside = [pole for pole in self.poles if not abs(pole) <= 1 + tabled.POLE]
        if outside:
            wrong.append(f"a pole of modulus {max(outside, key=_size)!r} is outside the unit circle")
        if self.poles_at_one != self.conserved:
            wrong.append(f"insulated it has {self.poles_at_one} poles at 1, expected {self.conserved}")
        if not self.energy <= tabled.EXACT:
            wrong.append(f"a run loses {self.energy:.1e} of the energy, expected at most {tabled.EXACT:g}")
        if not self.dc <= tabled.EXACT:
            wrong.append(f"a steady gain is missed by {self.dc:.1e}, expected at most {tabled.EXACT:g}")
        if wrong:
            raise ArithmeticError(f"{self.cell}: " + "; ".join(wrong))

    def verdict(self) -> str:
        """Say in words what was reached, where it is worst, and whether that was wanted."""
        return tabled.verdict(self)

    def tables(self) -> dict[str, Table]:
        """Tables in words, with units: ``wanted``, ``kept``, ``cases``, ``trials``, ``range``, ``speed``, if known."""
        return tabled.tables(self)

    def table(self) -> list[dict[str, Any]]:
        """One plain row per case."""
        return [plain(case) for case in self.cases]

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw errors against states, errors by case, and the frequency response.

        Returns
        -------
        matplotlib.figure.Figure
            Saved to `path` if given.

        Raises
        ------
        InputError
            If there is nothing to draw, or the file has another ending or cannot be written.
        """
        from bmsthermal.reduced.drawn import draw

        if path is not None:
            check_outputs((Path(path), PICTURES))
        return draw(self, path)

    def to_dict(self, *, speed: bool = False) -> dict[str, Any]:
        """Return numbers, texts, lists and dictionaries that JSON can hold; a complex array is two lists.

        Parameters
        ----------
        speed
            Keep the measured times, too. They differ from run to run, so a
            file that must have the same bytes again goes without.
        """
        return {key: value for key, value in plain(self).items() if speed or key not in SPEED}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Certificate:
        """Read what `to_dict` returned, also after JSON.

        Raises
        ------
        InputError
            If something is missing or cannot be.
        """
        try:
            given = dict(content)
            given["range"] = Range(**{key: tuple(ends) for key, ends in given["range"].items()})
            given["trials"] = tuple(Trial(**trial) for trial in given["trials"])
            given["cases"] = tuple(CaseError(**case) for case in given["cases"])
            given["poles"] = tuple(given["poles"])
            if given.get("frequency") is not None:
                given["frequency"] = Frequency(**{key: _read(value) for key, value in given["frequency"].items()})
            return cls(**given)
        except InputError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"this is no certificate ({type(error).__name__}: {error})", expected="what to_dict returned"
            ) from error

    def __repr__(self) -> str:
        states = "" if self.trial is None else f"{self.trial.states} states, "
        return f"Certificate({self.cell}: {states}{sum(case.scored for case in self.cases)} cases scored)"

    def __str__(self) -> str:
        return "\n\n".join([self.verdict(), *(str(table) for table in self.tables().values())])


def print_certificate(certificate: Certificate) -> None:
    """Print verdict and tables on the console, without the columns that a narrow one has no room for."""
    from bmsthermal.console import console, print_table

    console.print(certificate.verdict())
    if certificate.trial is not None:
        console.print(f"{certificate.trial.method}: {certificate.trial.sizes}")
    for name, table in certificate.tables().items():
        columns = tabled.NARROW.get(name, table.columns)
        shown = table.only(*columns)
        console.print()
        print_table(shown.title, shown.columns, shown.rows)


def plain(value: Any) -> Any:
    """Turn dataclasses, arrays and NumPy's numbers into what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        if np.iscomplexobj(value):
            return {"real": value.real.tolist(), "imaginary": value.imag.tolist()}
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def _read(value: Any) -> Any:
    """Array that `plain` turned into lists; a text stays one."""
    if isinstance(value, Mapping):
        return np.asarray(value["real"], float) + 1j * np.asarray(value["imaginary"], float)
    return value if isinstance(value, str) else np.asarray(value, float)


def _size(value: float) -> float:
    """Size of an error; what is no number is worse than any."""
    return math.inf if math.isnan(value) else abs(value)

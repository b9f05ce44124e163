"""What a certificate of a reduction says, how it reads, and what must hold in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Error:
    """Largest absolute error of the output over one run, held exactly and as the step of a target.

    `hold` is the error of the continuous reduced model; what `step` has more
    is the wall flow's, which is of first order in the step.
    """

    method: str
    order: int
    run: str
    conductance: tuple[float, ...]
    hold: float
    step: float


@dataclass(frozen=True)
class Kept:
    """What holds of one reduction, over every conductance and run.

    Parameters
    ----------
    method, order
        Which one.
    dc
        Largest error of the steady gain of model and step, relative, over inputs and outputs.
    energy
        What is brought in, less what is stored and what leaves through the
        walls, over the sum of the flows: the worst run of the step.
    largest_pole
        Largest modulus of a pole of the step, from 0.01 to 10 s and from 0
        to 100 times the conductances.
    poles_at_one
        Poles that are 1 to the last bit when insulated.
    frequency
        Largest error of the response from 0 to 10 Hz, relative to the output's own steady gain.
    """

    method: str
    order: int
    dc: float
    energy: float
    largest_pole: float
    poles_at_one: int
    frequency: float


@dataclass(frozen=True)
class Certificate:
    """Errors and guarantees of several reductions of one system.

    Parameters
    ----------
    output
        The output that errors are of.
    units
        Unit of that output and of the conductances, for the table.
    step_s
        Length of a step in s.
    conserved
        Quantities that the full system conserves when insulated.
    errors, kept
        One per method, order, run and conductance; one per method and order.
    """

    output: str
    units: tuple[str, str]
    step_s: float
    conserved: int
    errors: tuple[Error, ...]
    kept: tuple[Kept, ...]

    def table(self) -> list[dict[str, Any]]:
        """One plain row per error."""
        return [asdict(error) for error in self.errors]

    def worst(self, method: str, order: int) -> dict[str, float]:
        """Largest error of each run over the conductances, of model or step, whichever is larger."""
        worst: dict[str, float] = {}
        for e in self.errors:
            if (e.method, e.order) == (method, order):
                worst[e.run] = max(worst.get(e.run, 0.0), e.hold, e.step)
        if not worst:
            raise ValueError(f"no reduction by {method!r} of order {order} in this certificate")
        return worst

    def verify(self) -> None:
        """Check what every reduction must keep.

        Raises
        ------
        ArithmeticError
            If a pole is outside the unit circle, the poles at 1 are not those
            of the conserved quantities, or steady gain or energy is not kept.
        """
        wrong = []
        for k in self.kept:
            name = f"{k.method} of order {k.order}"
            if not k.largest_pole <= 1 + 1e-12:
                wrong.append(f"{name} has a pole of {k.largest_pole!r}")
            if k.poles_at_one != self.conserved:
                wrong.append(f"{name} insulated has {k.poles_at_one} poles at 1, expected {self.conserved}")
            if not k.dc <= 1e-9:
                wrong.append(f"{name} misses the steady gain by {k.dc:.1e}")
            if not k.energy <= 1e-9:
                wrong.append(f"{name} loses {k.energy:.1e} of the energy")
        if wrong:
            raise ArithmeticError("; ".join(wrong))

    def __repr__(self) -> str:
        return f"Certificate({len(self.kept)} reductions, errors of {self.output})"

    def __str__(self) -> str:
        walls = list(dict.fromkeys(e.conductance for e in self.errors))
        unit, per = (f" [{u}]" if u else "" for u in self.units)
        rows: dict[str, str] = {}
        for e in self.errors:
            name = f"{e.method:<12}{e.order:>5}  {e.run:<12}"
            rows[name] = rows.get(name, "") + f"{f'{e.hold:.2g} / {e.step:.2g}':>20}"
        labels = (" and ".join(f"{g:.3g}" for g in wall) for wall in walls)
        names = ("steady gain", "energy", "0 to 10 Hz", "largest pole", "poles at 1")
        return "\n".join(
            [
                f"Largest error of {self.output}{unit}: model / step of {self.step_s:g} s",
                f"{f'at wall conductances{per}':<31}" + "".join(f"{label:>20}" for label in labels),
                *(name + row for name, row in rows.items()),
                "",
                f"{'relative errors':<17}" + "".join(f"{name:>14}" for name in names),
                *(
                    f"{k.method:<12}{k.order:>5}{k.dc:>14.1e}{k.energy:>14.1e}{k.frequency:>14.1e}"
                    f"{k.largest_pole:>14.9f}{k.poles_at_one:>14}"
                    for k in self.kept
                ),
            ]
        )

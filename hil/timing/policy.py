"""What becomes of a step whose predecessor was not done in time."""

from __future__ import annotations

from dataclasses import dataclass

from bmsthermal.errors import InputError

#: What each does, as `bmsthermal hil list` may print it; those that end in ":N" take a number.
POLICIES = {
    "slip": "run the late step at once; everything after it is that much later",
    "drop": "leave out the periods that are past, go on at the next multiple of the period",
    "catch-up:N": "run up to N late steps back to back, then drop the rest",
    "abort:N": "run late steps at once, give up at the N-th overrun",
}


@dataclass(frozen=True)
class Policy:
    """One of `POLICIES`.

    Parameters
    ----------
    kind
        ``slip``, ``drop``, ``catch-up`` or ``abort``.
    limit
        Late steps in a row that ``catch-up`` runs, overruns that end ``abort``; the others have none.
    """

    kind: str
    limit: int = 0

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Read ``slip``, ``drop``, ``catch-up:N`` or ``abort:N``.

        Raises
        ------
        InputError
            If it is none of them, or N is no positive whole number.
        """
        kind, colon, number = text.partition(":")
        if text in POLICIES and not colon:
            return cls(kind)
        if f"{kind}:N" in POLICIES and number.isdecimal() and int(number) > 0:
            return cls(kind, int(number))
        raise InputError(f"no overrun policy {text!r}", expected=", ".join(POLICIES) + " with N at least 1")

    def __str__(self) -> str:
        return f"{self.kind}:{self.limit}" if self.limit else self.kind

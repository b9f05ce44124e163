"""What a tool found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What one tool said of a bundle.

    Parameters
    ----------
    tool
        Its name, and what it was asked.
    version
        Of the tool; empty where it is not there.
    passed
        Whether it found nothing that counts; None where it is not there.
    found
        One sentence.
    details
        Findings, and what the sentence does and does not cover, line by line.
    """

    tool: str
    version: str
    passed: bool | None
    found: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        word = {True: "passed", False: "FAILED", None: "not run"}[self.passed]
        return f"{self.tool}{f' {self.version}' if self.version else ''}: {word}: {self.found}"


def absent(tool: str, install: str) -> Verdict:
    """Return the verdict of a tool that is not there, with how to get it."""
    return Verdict(tool, "", None, f"not here; install it with: {install}")

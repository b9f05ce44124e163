"""What tools of others say of an exported bundle: each finds nothing in it, and finds a bug that was put into a copy.

The walk: `prove` runs every tool that is there: ``misra`` and ``analysers`` read the text, ``eva`` proves one step over
a box of states and inputs, ``fuzz`` runs many of them, and ``coverage`` tells what the tests pass through.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from firmware_export.bundle import Bundle
from firmware_export.prove.verdict import Verdict

__all__ = ["Verdict", "prove"]


def prove(bundle: Bundle, place: Path, progress: Callable[[str], None] | None = None) -> list[Verdict]:
    """Run every tool on a bundle; a tool that is not there says how to install it.

    Parameters
    ----------
    bundle
        The bundle.
    place
        Folder for what the tools need and leave; it is made.
    progress
        Called with the name of each tool before it runs.

    Returns
    -------
    list of Verdict
        One a tool. All of them take some minutes, most of it a million fuzzed inputs.
    """
    from firmware_export.prove.analysers import clang_analyze, clang_tidy, gcc
    from firmware_export.prove.coverage import coverage
    from firmware_export.prove.eva import eva
    from firmware_export.prove.fuzz import fuzz
    from firmware_export.prove.misra import misra

    verdicts = []
    for tool in (misra, gcc, clang_tidy, clang_analyze, eva, coverage, fuzz):
        if progress is not None:
            progress(tool.__name__)
        verdicts.append(tool(bundle, Path(place) / tool.__name__))
    return verdicts

"""The stack that a function takes, with all that it calls, from what GCC says of each (``-fstack-usage``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from firmware_export.measure.listing import Program


@dataclass(frozen=True)
class Stack:
    """Stack of a function.

    Parameters
    ----------
    deepest_B
        Bytes along the costliest path of calls, the function's own included; None where that is not known.
    path
        The functions on it.
    reason
        Why it is not known; empty where it is.
    """

    deepest_B: int | None
    path: tuple[str, ...] = ()
    reason: str = ""


def usage(objects: Iterable[Path]) -> dict[str, int | None]:
    """Bytes of each function's own frame, from the ``.su`` files beside objects; None where it has no fixed size."""
    found: dict[str, int | None] = {}
    for path in (each.with_suffix(".su") for each in objects):
        for line in path.read_text().splitlines() if path.exists() else ():
            place, size, kind = line.split("\t")
            found[_plain(place.split(":")[-1])] = None if kind == "dynamic" else int(size)
    return found


def deepest(program: Program, frames: Mapping[str, int | None], name: str) -> Stack:
    """Add the frames along every path of calls from a function, and keep the largest sum.

    Parameters
    ----------
    program
        The linked program, which says who calls whom.
    frames
        Bytes of each function's own frame.
    name
        The function.
    """
    return _deepest(program, frames, name, ()) if frames else Stack(None, reason="not told by this compiler")


def _deepest(program: Program, frames: Mapping[str, int | None], name: str, above: tuple[str, ...]) -> Stack:
    own = frames.get(_plain(name))
    if name in above:
        return Stack(None, reason=f"{name} calls itself")
    if own is None:
        return Stack(None, reason=f"no fixed size is told for {name}")
    best = Stack(own, (name,))
    calls = {(each.way, each.target) for each in program.listing(name).instructions if each.way in ("call", "tail")}
    for way, target in sorted(calls, key=str):
        below = _deepest(program, frames, program.name_at(target), (*above, name))
        if below.deepest_B is None or best.deepest_B is None:
            return below
        total = below.deepest_B + (own if way == "call" else 0)  # a tail call gives its frame back first
        if total > best.deepest_B:
            best = Stack(total, (name, *below.path))
    return best


def _plain(name: str) -> str:
    """Name of a function that the compiler made a copy of, without the copy's number."""
    return re.sub(r"\.\d+$", "", name)

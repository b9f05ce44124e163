"""The ways through a function, and the longest of them.

Where nothing goes back and nothing is called there are finitely many ways, and the longest is a bound that no
input exceeds. Where something does, no bound is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from firmware_export.measure.cycles import cost
from firmware_export.measure.listing import Instruction, Listing

#: What an instruction counts, taken (a jump that jumps, a return that returns, anything else that is done) or not.
Weight = Callable[[Instruction, bool], int]


@dataclass(frozen=True)
class Paths:
    """What the control-flow graph of a function says.

    Parameters
    ----------
    name
        The function.
    code_B
        Its bytes, with the constants between its instructions.
    instructions
        How many stand in it.
    branches
        Conditional jumps and returns.
    back_edges
        Jumps that close a loop.
    calls
        Calls of other functions, tail calls too.
    computed
        Jumps to where a register or a table says, and ways on into what is no instruction.
    longest
        Instructions on the longest way through; None where that is not claimed.
    cycles
        Estimated cycles of the costliest way, see `firmware_export.measure.cycles`; None where there is no estimate.
    unknown
        Instructions that the table of cycles does not hold; then there is no estimate.
    """

    name: str
    code_B: int
    instructions: int
    branches: int
    back_edges: int
    calls: int
    computed: int
    longest: int | None
    cycles: int | None
    unknown: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why no longest way is claimed; empty where it is."""
        counts = (self.back_edges, "back-edge"), (self.calls, "call"), (self.computed, "computed jump")
        said = [f"{n} {what}{'s' * (n > 1)}" for n, what in counts if n]
        return f"not claimed: {', '.join(said)}" if said else ""


def paths(listing: Listing, *, cycles: bool = False) -> Paths:
    """Count what is in a function, and find the longest way through it.

    Parameters
    ----------
    listing
        The function.
    cycles
        Whether it runs on a core whose cycles are estimated.
    """
    back, lost, order = _walk(listing)
    code = listing.instructions
    calls = sum(each.way in ("call", "tail") for each in code)
    computed = sum(each.way == "computed" for each in code) + lost
    straight = not (back or calls or computed)
    unknown = sorted({each.name for each in code if cost(each) is None}) if cycles else []
    return Paths(
        listing.name, listing.size_B, len(code), sum(each.conditional and each.way != "on" for each in code),
        back, calls, computed,
        _longest(listing, order, lambda each, taken: 1) if straight else None,
        _longest(listing, order, lambda each, taken: cost(each, taken) or 0)
        if straight and cycles and not unknown else None,
        tuple(unknown),
    )  # fmt: skip


def _ways(each: Instruction) -> Iterator[tuple[int | None, bool]]:
    """Where an instruction leads, None: out of the function; and whether it is taken to get there."""
    if each.way == "jump":
        yield each.target, True
    elif each.way not in ("on", "call"):
        yield None, True
    if each.falls:
        yield each.address + each.size_B, each.way in ("on", "call")


def _walk(listing: Listing) -> tuple[int, int, list[int]]:
    """Back-edges, ways out of the code, and the addresses that can be reached, each after all that follow it."""
    code, order, back, lost = listing.by_address(), [], 0, 0
    state = {listing.address: 1}  # 1: on the way, 2: done
    stack = [(listing.address, _ways(code[listing.address]))]
    while stack:
        at, ways = stack[-1]
        for to, _ in ways:
            if to is None:
                continue
            if to not in code:
                lost += 1
            elif to not in state:
                state[to] = 1
                stack.append((to, _ways(code[to])))
                break
            else:
                back += state[to] == 1
        else:
            state[at] = 2
            order.append(at)
            stack.pop()
    return back, lost, order


def _longest(listing: Listing, order: list[int], weight: Weight) -> int:
    """Weight of the heaviest way from the first instruction out of the function."""
    code = listing.by_address()
    best: dict[int | None, int] = {None: 0}
    for at in order:
        best[at] = max(weight(code[at], taken) + best.get(to, 0) for to, taken in _ways(code[at]))
    return best[listing.address]

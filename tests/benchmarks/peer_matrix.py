"""Ours and PyBaMM's full model side by side: the whole matrix, on one BPX file and one dictionary of extra numbers.

    python tests/benchmarks/peer_matrix.py [--set lco_marquis] [--load 2C] [--thermal x] [--ambient 25] [--kind mixing]

Needs ``pybamm``. Prints a table of every figure against its bar; exit code 1 if a bar is missed. An option may be given
several times, and leaves the rows with one of its values. What both sides solve is at the top of ``tests/peer.py``.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from pathlib import Path

for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import peer  # noqa: E402

from bmsthermal.console import print_table, steps  # noqa: E402

AMBIENT_DEGC = (0, 25, 45)
KINDS = ("three-term", "mixing", "stress")
HEAD = (
    "set, load, thermal, ambient", "V rms, mV", "T max, mK", "ohmic, %", "reaction, %", "reversible, %", "mixing, %",
    "c_e, %", "x_n surf, %", "x_p surf, %", "end, s", "rise, K", "CPU s ours", "CPU s theirs", "bar",
)  # fmt: skip


def rows(chosen: argparse.Namespace) -> list[tuple[str, str, str, str, int]]:
    """Kind, set, load, thermal and ambient of every row; mixing and stress are compared lumped, at 25 degC."""
    every = [("three-term", *row) for row in itertools.product(peer.SETS, peer.LOADS, peer.THERMAL, AMBIENT_DEGC)]
    every += [(kind, name, load, "lumped", 25) for kind in KINDS[1:] for name in peer.SETS for load in ("1C", "2C")
              if kind == "mixing" or name in ("lgm50_21700", "lco_marquis")]  # fmt: skip
    wanted = (chosen.kind, chosen.set, chosen.load, chosen.thermal, chosen.ambient)
    return [row for row in every if all(not some or value in some for value, some in zip(row, wanted, strict=True))]


def main() -> int:
    """Run the rows that were asked for."""
    parser = argparse.ArgumentParser(description="Ours and PyBaMM's full model side by side.")
    for option, values in (("set", peer.SETS), ("load", peer.LOADS), ("thermal", peer.THERMAL), ("kind", KINDS)):
        parser.add_argument(f"--{option}", action="append", choices=values)
    parser.add_argument("--ambient", action="append", type=int, choices=AMBIENT_DEGC, help="degC")
    parser.add_argument("--lines", type=Path, help="write each row to this file as it is done")
    chosen = parser.parse_args()
    todo, table, missed = rows(chosen), [], 0
    with steps(len(todo)) as step:
        for kind, name, load, thermal, ambient in todo:
            title = f"{name} {load} {thermal} {ambient} degC" + ("" if kind == "three-term" else f", {kind}")
            step(title)
            line = _row(title, kind, name, load, thermal, ambient)
            missed += line[-1] != "pass"
            table.append(line)
            if chosen.lines:
                with chosen.lines.open("a", encoding="utf-8") as file:
                    file.write("| " + " | ".join(line) + " |\n")
    print_table("ours minus PyBaMM", HEAD, table)
    print(f"{len(todo) - missed} of {len(todo)} rows pass")
    return 1 if missed else 0


def _row(title: str, kind: str, name: str, load: str, thermal: str, ambient_degC: int) -> tuple[str, ...]:
    try:
        found = peer.compare(name, load=load, thermal=thermal, ambient_K=ambient_degC + 273.15, kind=kind)
    except Exception as error:  # a side that cannot run this row misses it, and the others still run
        return (title, *["-"] * (len(HEAD) - 2), f"{type(error).__name__}: {error}"[:80].replace("\n", " "))
    missed = found.misses(peer.bars(name))
    heats = [found.heat_percent.get(term) for term in ("ohmic", "reaction", "reversible", "mixing")]
    return (
        title + (f" ({found.stopped})" if found.stopped else ""), f"{found.voltage_mV:.4f}",
        f"{1e3 * found.temperature_K:.3f}",
        *("-" if heat is None else f"{heat:.4f}" for heat in heats), f"{found.salt_percent:.4f}",
        *(f"{value:.4f}" for value in found.surface_percent.values()), f"{found.end_s:+.3f}", f"{found.rise_K:.2f}",
        *(f"{spent:.1f}" for spent in found.cpu_s), f"MISSED {', '.join(missed)}" if missed else "pass",
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())

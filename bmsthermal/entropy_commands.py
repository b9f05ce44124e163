"""Sub-command: entropy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bmsthermal.console import console, mapped, print_table, steps
from bmsthermal.errors import InputError
from bmsthermal.files import PICTURES, ZERO_DEGC_K, check_outputs


def add(app: typer.Typer) -> None:
    """Register the sub-command."""
    app.command("entropy")(entropy)


def entropy(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES...", help="Recordings at rest, one state of charge each: soc_050.csv."),
    ],
    profile: Annotated[
        Path | None, typer.Option("--steps", help="CSV of time and set point in degC: what a recording ought to hold.")
    ] = None,
    cell: Annotated[str | None, typer.Option(help="Cell that -o CELL.json is made from.")] = None,
    columns: Annotated[str | None, typer.Option(help="Other column names: voltage_V=Ecell,...")] = None,
    at_degC: Annotated[float, typer.Option("--at-degC", help="Temperature that dU/dT is given at, in degC.")] = 25.0,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the points (.csv), or --cell with them (.json).")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the curve (.png, .svg or .pdf).")] = None,
) -> None:
    """Find a cell's entropic coefficient from its voltage at rest through temperature steps, with its confidence."""
    from bmsthermal.cell import load_cell
    from bmsthermal.entropy import entropic
    from bmsthermal.potentiometry import read_levels, read_steps

    check_outputs(
        (out, [".csv", ".json"]),
        (plot, PICTURES),
        inputs=[*files, *([profile] if profile else []), *([cell] if cell else [])],
    )
    into_cell = out is not None and out.suffix.lower() == ".json"
    if into_cell != (cell is not None):
        found = f"-o {out} without --cell" if into_cell else f"--cell {cell} without -o CELL.json"
        raise InputError(found, expected="both, or neither: the cell file is written with its entropic coefficient")
    loaded = None if cell is None else load_cell(cell)
    levels = () if profile is None else read_levels(profile)
    names = mapped(columns, "--columns")
    runs = [read_steps(path, names) for path in files]
    with steps(2) as step:
        step("fit")
        found_ = entropic(runs, at_K=at_degC + ZERO_DEGC_K, levels_K=levels, progress=step.within)
        step("write")
        if loaded is not None and out is not None:
            found_.cell(loaded).save(out)
        elif out is not None:
            found_.to_csv(out)
        if plot is not None:
            found_.plot(plot)
    for note in dict.fromkeys(note for run in runs for note in run.notes):
        console.print(f"note: {note}")
    title = f"entropic coefficient at {at_degC:g} degC, 95 % band"
    print_table(title, ("SOC", "dU/dT mV/K", "low", "high", "d2U/dT2 uV/K2", "note"), found_.rows())
    for path in (out, plot):
        if path is not None:
            console.print(f"wrote {path}", soft_wrap=True)

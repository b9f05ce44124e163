"""Sub-command: observability."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bmsthermal.console import console, listed, print_table
from bmsthermal.errors import InputError
from bmsthermal.files import PICTURES, check_outputs


def add(app: typer.Typer) -> None:
    """Register the sub-command."""
    app.command("observability")(observability)


def observability(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Shipped name, cell file (BPX JSON) or reduced .npz.")],
    kinds: Annotated[
        str, typer.Option("--estimate", help="What is to be estimated: h (cooling), heat, bias (of sensors).")
    ] = "h,heat",
    sensors: Annotated[
        str | None, typer.Option(help="Surface sensors, by the names of their columns: surface,surface_left.")
    ] = None,
    order: Annotated[int | None, typer.Option(help="Thermal states; by default the cell file's, else 4.")] = None,
    rest_s: Annotated[
        float | None, typer.Option("--rest-s", help="Rest after 10 minutes of drive, in s; 600 unless told.")
    ] = None,
    placement: Annotated[
        bool, typer.Option("--placement", help="In r-z: where a sensor beside these would say most about the core.")
    ] = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw a picture (.png, .svg or .pdf).")] = None,
) -> None:
    """Say what the sensors can tell of cooling, heat and their own offsets; exit code 1 where they cannot."""
    from bmsthermal.coupled import load_model
    from bmsthermal.information import REST_S
    from bmsthermal.observability import observability
    from bmsthermal.observer import Observer

    check_outputs((plot, PICTURES), inputs=[cell])
    reduced = load_model(cell, order=order)
    named = reduced.cell.settings.get("Sensors", ["surface"])
    observer = Observer(reduced, list(named) if sensors is None else listed(sensors, "--sensors"))
    if rest_s is not None and not 0 <= rest_s <= 1e5:
        raise InputError(f"--rest-s {rest_s:g}", expected="0 to 100000 s")
    rest_s = REST_S if rest_s is None else rest_s
    found = observability(observer, listed(kinds, "--estimate"), rest_s=rest_s)
    found.verify()
    if plot is not None:
        found.plot(plot)
    console.print(observer)
    print_table(
        f"10 minutes of drive, {rest_s / 60:.3g} of rest",
        ("quantity", "sigma before", "after", "variance taken", "enough after", "confused with"), found.rows(),
    )  # fmt: skip
    print_table(
        "ranks where nothing changes", ("operating point", "rank", "not told there"), [p.row() for p in found.points]
    )
    if placement:
        places = [(p.wall, f"{p.share:g}", f"{p.core_K:.3f}") for p in found.placement(beside=True)]
        head = ("face", "share of height or radius", "sigma of the core, K")
        print_table("one sensor beside these", head, places)
    if plot is not None:
        console.print(f"wrote {plot}", soft_wrap=True)
    if refused := found.refusal():
        raise SystemExit(f"error: {refused}")

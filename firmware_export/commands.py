"""Sub-command: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def add(app: typer.Typer) -> None:
    """Register the sub-commands of this package."""
    app.command("export")(export)


def export(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Shipped name, cell file (BPX JSON) or reduced .npz.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
    real: Annotated[Literal["float", "double"], typer.Option(help="Number type on the target.")] = "float",
    form: Annotated[
        Literal["ekf", "ud"] | None,
        typer.Option(help="How the covariance is kept: packed, or factored; by default ud for float, ekf for double."),
    ] = None,
    estimate: Annotated[
        str | None,
        typer.Option(
            help="Estimated too: h (cooling), heat, bias (of sensors), soc, resistance; by default the cell file's."
        ),
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Watch the sensors, see bmsthermal estimate.")] = False,
    order: Annotated[int | None, typer.Option(help="Thermal states; by default the cell file's, else 4.")] = None,
    step_s: Annotated[
        float | None, typer.Option("--step-s", help="Step in seconds; by default the cell file's, else 1.")
    ] = None,
    sensors: Annotated[
        str | None, typer.Option(help="Columns of surface sensors, without _degC: surface,surface_left.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What files and functions begin with.")] = None,
    fmu: Annotated[
        list[int] | None, typer.Option(help="FMI version, 2 or 3, of an FMU to put beside; can be given twice.")
    ] = None,
    check: Annotated[bool, typer.Option(help="Compile and run it here.")] = True,
) -> None:
    """Write an observer as C99 that computes what Python computes, to the last bit."""
    from bmsthermal.console import console, listed, print_table
    from bmsthermal.coupled import load_model
    from bmsthermal.observer import Observer
    from firmware_export.bundle import export as write
    from firmware_export.fmu import add_fmus, said
    from firmware_export.host import NO_COMPILER

    reduced = load_model(cell, order=order, step_s=step_s)
    named = reduced.cell.settings.get("Sensors", ["surface"])
    measured = list(named) if sensors is None else listed(sensors, "--sensors")
    kinds = None if estimate is None else listed(estimate, "--estimate")
    observer = Observer.of(reduced, measured, estimate=kinds, faults=faults).on_target(real, form)
    bundle = write(observer, out, real=real, form=form, name=name)
    fmus = add_fmus(bundle, observer, fmu or ())
    rows = [(path.name, f"{path.stat().st_size}") for path in (*bundle.files, *fmus)]
    console.print(observer)
    print_table(f"{bundle.name} in {out}", ("file", "bytes"), rows)
    for path in fmus:
        console.print(said(path))
    sizes = bundle.manifest["sizes"]
    console.print(f"state {sizes['state_bytes']} B a cell, constants {sizes['model_bytes']} B, no heap, no globals")
    if check:
        report = bundle.check()
        console.print(f"host: {report or NO_COMPILER}")
        if report is not None and not report.passed:
            raise typer.Exit(1)

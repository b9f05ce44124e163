"""Sub-command of hil: board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def board(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Shipped name, cell file (BPX JSON) or reduced .npz.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
    cells: Annotated[int, typer.Option(min=1, max=1000, help="Cells of the module.")] = 1,
    sensors: Annotated[str | None, typer.Option(help="Columns of surface sensors: surface,surface_left.")] = None,
    faults: Annotated[bool, typer.Option(help="Watch the sensors.")] = True,
    step_s: Annotated[
        float | None, typer.Option("--step-s", help="Step in seconds; by default the cell's, else 1.")
    ] = None,
    real: Annotated[Literal["float", "double"], typer.Option(help="Number type on the board.")] = "float",
    name: Annotated[str | None, typer.Option(help="What files and functions begin with.")] = None,
) -> None:
    """Write an observer as C with its side of a serial line, for a board on the bench: --device serial:PORT."""
    from bmsthermal.console import console, listed, print_table
    from bmsthermal.observer import Observer
    from firmware_export.bundle import export
    from hil.devices.serial import BAUD
    from hil.serial.protocol import HEAD, TAIL, message
    from hil.serial.render import add_serial, protocol_of

    observer = Observer.of(
        cell, None if sensors is None else listed(sensors, "--sensors"), step_s=step_s, faults=faults
    )
    bundle = export(observer, out, real=real, name=name)
    files, sizes = add_serial(bundle, cells), protocol_of(bundle, cells).sizes()
    print_table(
        f"{bundle.name} in {out}", ("file", "bytes"),
        [(path.name, f"{path.stat().st_size}") for path in sorted((*bundle.files, *files))],
    )  # fmt: skip
    step = sum(HEAD + TAIL + sizes[message(each).kind] for each in ("step", "answer"))
    console.print(
        f"state {cells * bundle.manifest['sizes']['state_bytes']} B; {step} B on the line in a step of "
        f"{observer.reduced.step_s:g} s: {10_000 * step / BAUD:.3g} ms at {BAUD} baud"
    )
    console.print(f"{files[-1].name} is a main loop; then bmsthermal hil run SCENARIO --device serial:PORT")

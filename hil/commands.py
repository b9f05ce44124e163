"""Sub-commands: demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Register the sub-commands of this package."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder for the pictures and the C.")] = Path("demo"),
    cell: Annotated[str, typer.Option(help="Cell to demonstrate.")] = "a123_26650",
) -> None:
    """Run the whole chain: cell, full model, reduction, drive, observer, picture, C."""
    from bmsthermal.certificate import print_certificate
    from bmsthermal.console import console, print_table, steps
    from bmsthermal.files import PICTURES, check_outputs, folder
    from firmware_export.folder import check_own
    from hil.demo import demonstrate

    pictures = folder(out) / "demo.png", out / "certificate.png"
    check_outputs(*((picture, PICTURES) for picture in pictures), inputs=[cell])
    check_own(out / "c")
    with steps(7) as step:
        made = demonstrate(out, cell, step)
    console.print(made.full)
    console.print(made.reduced)
    print_certificate(made.certificate, made.reduced)
    print_table("demo", ("quantity", "value"), made.rows())
    code = f" and the C in {out / 'c'}" if made.bundle else ""
    console.print(f"wrote {out / 'demo.png'}, {out / 'certificate.png'}{code}")

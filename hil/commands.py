"""Sub-commands: demo, and hil: list, run, replay, device, campaign, watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Register the sub-commands of this package."""
    app.command("demo")(demo)
    bench = typer.Typer(help="A cell, its sensors and faults, a device under test, and the verdict.", no_args_is_help=True)
    for command in (list_, run, replay, device, campaign, watch):
        bench.command(command.__name__.rstrip("_"))(command)
    app.add_typer(bench, name="hil")


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


Device = Annotated[
    str, typer.Option(help="model, sil, sil:FOLDER, emulated:CORE, fmu, fmu:FILE, can or serial:PORT.")
]
ReportPath = Annotated[Path | None, typer.Option("--report", help="Page with charts and the verdict (.html).")]
JUnitPath = Annotated[Path | None, typer.Option("--junit", help="Verdict for a test server (.xml).")]


def list_(
    faults: Annotated[bool, typer.Option("--faults", help="The kinds of faults instead.")] = False,
) -> None:
    """List the shipped scenarios, or the kinds of faults."""
    from bmsthermal.console import print_table
    from hil.faults import listing
    from hil.scenario import shipped

    if faults:
        print_table("faults", ("kind", "stage", "parameters", "what it is"), listing())
        return
    rows = [(name, f"{each.length_s / 60:.0f} min", each.title) for name, each in sorted(shipped().items())]
    print_table("scenarios", ("name", "length", "what happens"), rows)


def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Name of a shipped scenario, or a file (.toml).")],
    device: Device = "sil",
    bus: Annotated[str | None, typer.Option(help="CAN: virtual, udp_loopback or a python-can interface.")] = None,
    clock: Annotated[str, typer.Option(help="virtual, scaled:FACTOR or real.")] = "virtual",
    policy: Annotated[str, typer.Option(help="Of late steps: slip, drop, catch-up:N or abort:N.")] = "slip",
    duration_s: Annotated[float | None, typer.Option("--duration-s", help="End earlier.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of noise, spread and chance; by default the scenario's.")] = None,
    report: ReportPath = None,
    junit: JUnitPath = None,
    log: Annotated[Path | None, typer.Option("--log", help="All signals (.csv, .npz, .mf4).")] = None,
    frames: Annotated[Path | None, typer.Option("--frames", help="All CAN frames (.blf, .asc).")] = None,
) -> None:
    """Run a scenario on a device, and say whether it passed: exit code 0, or 1 if it did not."""

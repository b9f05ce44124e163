"""Sub-commands: demo, and hil: list, run, replay, device, campaign, watch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bmsthermal.curves import Array
    from hil.outcome import Outcome


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
    rows = [(name, f"{each.steps * each.step_s / 60:.0f} min", each.title) for name, each in sorted(shipped().items())]
    print_table("scenarios", ("name", "length", "what happens"), rows)


def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Name of a shipped scenario, or a file (.toml).")],
    device: Device = "sil",
    bus: Annotated[
        str | None, typer.Option(help="Frames in between: virtual, udp_loopback, or another python-can interface.")
    ] = None,
    clock: Annotated[str, typer.Option(help="virtual, scaled:FACTOR or real.")] = "virtual",
    policy: Annotated[str, typer.Option(help="Of late steps: slip, drop, catch-up:N or abort:N.")] = "slip",
    duration_s: Annotated[float | None, typer.Option("--duration-s", help="End earlier.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of noise, spread and chance; by default the scenario's.")] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Cores to run the same inputs on, byte for byte: cortex-m4f,host; none for no comparison."),
    ] = None,
    report: ReportPath = None,
    junit: JUnitPath = None,
    log: Annotated[Path | None, typer.Option("--log", help="All signals (.csv, .npz, .mf4).")] = None,
    frames: Annotated[Path | None, typer.Option("--frames", help="All CAN frames (.blf, .asc, .log, .mf4).")] = None,
) -> None:
    """Run a scenario on a device, and say whether it passed: exit code 0, or 1 if it did not."""
    from bmsthermal.console import timeline
    from bmsthermal.files import check_outputs
    from hil.bench import run_scenario
    from hil.logs import FRAMES, RECORDS, write, write_frames
    from hil.scenario import load_scenario
    from hil.verdict import Live, write_junit, write_report

    check_outputs(
        (report, (".html",)), (junit, (".xml",)), (log, RECORDS), (frames, FRAMES), inputs=[scenario]
    )  # fmt: skip
    loaded = load_scenario(scenario)
    live = Live(loaded.title, device)
    with timeline(loaded.name, duration_s or loaded.steps * loaded.step_s) as at:
        due = 0.0

        def seen(names: tuple[str, ...], row: Array) -> None:
            nonlocal due
            live(names, row)
            if row[0] >= due:
                due = row[0] + 0.01 * loaded.steps * loaded.step_s
                at(row[0])

        outcome = run_scenario(
            loaded, device=device, bus=bus, clock=clock, policy=policy, duration_s=duration_s, seed=seed, seen=seen,
            compare=_cores(compare, report),
        )  # fmt: skip
    live.end(outcome)
    _print(outcome)
    if log is not None:
        write(outcome.record, log)
    if frames is not None:
        write_frames(outcome.frames, frames)
    if report is not None:
        write_report(outcome, report)
    if junit is not None:
        write_junit(outcome, junit)
    _end(outcome.passed, report, junit, log, frames)


def replay(
    record: Annotated[Path, typer.Argument(metavar="FILE", help="Recorded run: .csv, .npz, .mf4, .blf, .asc.")],
    cell: Annotated[str, typer.Option(help="Shipped name, cell file or reduced .npz.")] = "a123_26650",
    device: Device = "sil",
    log: Annotated[Path | None, typer.Option("--log", help="All signals (.csv, .npz, .mf4).")] = None,
) -> None:
    """Step a device over recorded readings, and judge it where the core was recorded."""
    raise NotImplementedError


def device(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Shipped name, cell file (BPX JSON) or reduced .npz.")],
    bus: Annotated[str, typer.Option(help="udp_loopback, or another python-can interface.")] = "udp_loopback",
) -> None:
    """Be the device under test on a CAN bus: the observer of a cell in a process of its own, until Ctrl-C."""
    raise NotImplementedError


def campaign(
    file: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Campaign (.toml), or faults.toml, which is shipped.")],
    device: Device = "sil",
    seeds: Annotated[int | None, typer.Option(help="Runs of each case; by default the campaign's.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; by default one a core.")] = None,
    report: ReportPath = None,
    junit: JUnitPath = None,
) -> None:
    """Run every case of a campaign, and say what was found and what was missed: exit code 0, or 1."""
    raise NotImplementedError


def watch(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the page, on this machine only.")] = 8734,
    browser: Annotated[bool, typer.Option("--browser", help="Open it.")] = False,
) -> None:
    """Show runs as they go on, on a page of this machine, until Ctrl-C."""
    from hil.verdict import watch as serve

    serve(port, open_browser=browser)


def _cores(compare: str | None, report: Path | None) -> tuple[str, ...]:
    """Cores of a comparison: by default the usual ones, if there is a report to say it in."""
    from bmsthermal.console import listed

    if compare is None:
        return ("host", "cortex-m4f") if report else ()
    return () if compare == "none" else tuple(listed(compare, "--compare"))


def _print(outcome: Outcome) -> None:
    """Requirements, time and equality, for people."""
    from bmsthermal.console import console, print_table
    from hil.verdict.told import sentence, word

    print_table(
        f"{outcome.scenario.name} on {outcome.device}", ("requirement", "found", "asked", "verdict"),
        [(each.requirement, each.found, each.bound, word(each)) for each in outcome.results],
    )  # fmt: skip
    for name, found in outcome.equality.items():
        console.print(f"{name}: {found}")
    for at, said in outcome.record.said[:10]:
        console.print(f"{at:,.0f} s: {said}")
    console.print(sentence(outcome))


def _end(passed: bool, *written: Path | None) -> None:
    from bmsthermal.console import console

    for path in written:
        if path is not None:
            console.print(f"wrote {path}", soft_wrap=True)
    if not passed:
        raise typer.Exit(1)

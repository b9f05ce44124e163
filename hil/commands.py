"""Sub-commands: demo, and hil: list, run, device, dbc, board, campaign, replay, convert, watch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bmsthermal.errors import InputError
from hil.board_commands import board
from hil.extras import extra
from hil.replay_commands import convert, replay

if TYPE_CHECKING:
    from bmsthermal.curves import Array
    from hil.outcome import Outcome


def add(app: typer.Typer) -> None:
    """Register the sub-commands of this package."""
    app.command("demo")(demo)
    bench = typer.Typer(
        help="A cell, its sensors and faults, a device under test, and the verdict.", no_args_is_help=True
    )
    for command in (list_, run, device, dbc, board, campaign, replay, convert, watch):
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


Device = Annotated[str, typer.Option(help="model, sil, sil:FOLDER, emulated:CORE, fmu, fmu:FILE, can or serial:PORT.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Of the live page, on this machine only.")]
ReportPath = Annotated[Path | None, typer.Option("--report", help="Page with charts and the verdict (.html).")]
JUnitPath = Annotated[Path | None, typer.Option("--junit", help="Verdict for a test server (.xml).")]


def list_(
    faults: Annotated[bool, typer.Option("--faults", help="The kinds of faults instead.")] = False,
) -> None:
    """List the shipped scenarios, or the kinds of faults."""
    from bmsthermal.console import console, print_table
    from hil.faults import listing
    from hil.scenario import shipped

    if faults:
        print_table("faults", ("kind", "stage", "parameters", "what it is"), listing())
        return
    rows = [(name, f"{each.length_s / 60:.0f} min", each.title) for name, each in sorted(shipped().items())]
    print_table("scenarios", ("name", "length", "what happens"), rows)
    console.print(f"their files, to copy and change: {next(iter(shipped().values())).folder}", soft_wrap=True)


def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Name of a shipped scenario, or a file (.toml).")],
    device: Device = "sil",
    bus: Annotated[
        str | None,
        typer.Option(help="Frames in between: virtual, udp_loopback, or another python-can interface; :CHANNEL too."),
    ] = None,
    clock: Annotated[str, typer.Option(help="virtual, scaled:FACTOR (10 is ten times as fast) or real.")] = "virtual",
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
    port: Port = 8734,
) -> None:
    """Run a scenario on a device, and say whether it passed: exit code 0, or 1 if it did not."""
    from bmsthermal.console import console, timeline
    from bmsthermal.files import check_outputs
    from hil.bench import run_scenario
    from hil.logs import FRAMES, RECORDS, write
    from hil.logs.passing import logged
    from hil.scenario import load_scenario
    from hil.verdict import Live
    from hil.verdict.printed import check_verdict, print_verdict, write_verdict

    check_outputs((log, RECORDS), (frames, FRAMES), inputs=[scenario])
    check_verdict(report, junit, inputs=[scenario, *filter(None, [log, frames])])
    if any(path and path.suffix.lower() == ".mf4" for path in (log, frames)):
        extra("asammdf", "MF4")  # what is missing is said before the run
    loaded = load_scenario(scenario)
    live, length_s = Live(loaded.title, device, port), loaded.length_s
    if clock != "virtual":
        console.print("bmsthermal hil watch shows it as it goes on")  # a bar is a thread, which disturbs the loop
    outcome: Outcome | None = None
    lost: list[InputError] = []
    try:
        with (
            logged(frames, clock) as take,
            timeline(loaded.name, duration_s or length_s, shown=clock == "virtual") as at,
        ):
            due_s = 0.0

            def seen(names: tuple[str, ...], row: Array) -> None:
                nonlocal due_s
                live(names, row)
                if row[0] >= due_s:
                    due_s = row[0] + 0.01 * length_s
                    at(row[0])

            outcome = run_scenario(
                loaded, device=device, bus=bus, clock=clock, policy=policy, duration_s=duration_s, seed=seed, seen=seen,
                compare=_cores(compare, report), log=take,
            )  # fmt: skip
    except (InputError, OSError) as error:
        if outcome is None:
            raise
        if isinstance(error, OSError):
            error = InputError(f"cannot be written ({error.strerror})", where=str(frames))
        lost.append(error)  # the log of frames: a verdict is worth more than its files
    live.end(outcome)
    print_verdict(outcome)
    if frames is not None and not lost:
        console.print(f"wrote {frames}" if frames.exists() else "no frames: there is no bus; --bus virtual has one")
    try:
        if log is not None:
            write(outcome.record, log)
            console.print(f"wrote {log}", soft_wrap=True)
    except InputError as error:
        lost.append(error)
    write_verdict(outcome, report, junit)
    if lost:
        raise lost[0]
    if not outcome.passed:
        raise typer.Exit(1)


def device(
    cell: Annotated[
        str,
        typer.Argument(metavar="CELL", help="Shipped name, cell file (BPX JSON), reduced .npz; or a scenario."),
    ],
    bus: Annotated[
        str, typer.Option(help="Interface, or INTERFACE:CHANNEL, of python-can; udp_loopback is within this machine.")
    ] = "udp_loopback",
    cells: Annotated[int, typer.Option(min=1, max=1000, help="Cells in series.")] = 1,
    sensors: Annotated[str | None, typer.Option(help="Columns of surface sensors: surface,surface_left.")] = None,
    faults: Annotated[bool, typer.Option(help="Watch the sensors.")] = True,
    step_s: Annotated[
        float | None, typer.Option("--step-s", help="Step in seconds; by default the cell's, else 1.")
    ] = None,
    soc: Annotated[float, typer.Option(min=0.0, max=1.0, help="To begin with, where the bench does not say.")] = 0.5,
) -> None:
    """Be the device under test on a CAN bus: an observer in a process of its own, until Ctrl-C."""
    from bmsthermal.console import console, listed
    from bmsthermal.observer import Observer
    from hil.bus import BusSpec, serve
    from hil.devices.making import check_bus
    from hil.scenario import load_scenario, shipped_names

    check_bus()
    spec = BusSpec()
    if cell.endswith(".toml") or cell in shipped_names():
        scenario = load_scenario(cell)
        observer, spec, cells = scenario.make_observer(), scenario.bus or spec, scenario.plant.cells
    else:
        measured = None if sensors is None else listed(sensors, "--sensors")
        observer = Observer.of(cell, measured, step_s=step_s, faults=faults)
    serve(observer, spec.on(bus), cells=cells, soc=soc, report=console.print)


def dbc(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="To write (.dbc).")],
    cells: Annotated[int, typer.Option(min=1, max=1000, help="Cells in series.")] = 1,
    sensors: Annotated[str, typer.Option(help="Columns of surface sensors: surface,surface_left.")] = "surface",
    step_s: Annotated[float, typer.Option("--step-s", min=1e-3, max=3600, help="Cycle of the readings.")] = 1.0,
) -> None:
    """Write the messages of the bench as a DBC, to make a device of your own by; what each says stands in it."""
    from bmsthermal.console import console, listed
    from bmsthermal.files import check_outputs
    from hil.bus import write_dbc

    check_outputs((out, (".dbc",)))
    write_dbc(out, cells, listed(sensors, "--sensors"), step_s=step_s)
    console.print(f"wrote {out}", soft_wrap=True)


def campaign(
    file: Annotated[
        str, typer.Argument(metavar="CAMPAIGN", help="Campaign (.toml), or faults.toml, which is shipped.")
    ],
    device: Device = "sil",
    seeds: Annotated[str | None, typer.Option(help="As 1,2,3; by default the campaign's.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; by default one a core.")] = None,
    report: ReportPath = None,
    junit: JUnitPath = None,
) -> None:
    """Run every case of a campaign, and say what was found and what was missed: exit code 0, or 1."""
    from bmsthermal.console import console, print_table, steps
    from hil.campaign import load_campaign, run_campaign
    from hil.verdict.printed import check_verdict, write_verdict
    from hil.verdict.told import sentence

    check_verdict(report, junit, inputs=[file])
    loaded = load_campaign(file)
    with steps(1) as step:
        step(loaded.name)
        found = run_campaign(loaded, seeds=_seeds(seeds), device=device, workers=workers, progress=step.within)
    print_table(
        f"{loaded.name} on {device}",
        ("case", "expected", "found", "flags", "after", "false alarms", "core error"),
        [(case, *rest) for case, _, *rest in found.rows()],
    )  # fmt: skip
    print_table("what nobody can tell, and why", ("case", "reason"), found.reasons())
    missed = sum(not outcome.passed for outcome in found.outcomes)
    for outcome in found.outcomes:
        if not outcome.passed:
            console.print(f"{outcome.scenario.name}, seed {outcome.scenario.seed}: {sentence(outcome)}")
    console.print(f"{len(found.outcomes)} runs, {missed} of them failed")
    write_verdict(found.outcomes, report, junit, loaded.title or loaded.name)
    if not found.passed:
        raise typer.Exit(1)


def watch(
    port: Port = 8734,
    browser: Annotated[bool, typer.Option("--browser", help="Open it.")] = False,
) -> None:
    """Show runs as they go on, on a page of this machine, until Ctrl-C."""
    from hil.verdict import watch as serve

    serve(port, open_browser=browser)


def _seeds(text: str | None) -> tuple[int, ...] | None:
    from bmsthermal.console import listed

    if text is None:
        return None
    try:
        return tuple(int(seed) for seed in listed(text, "--seeds"))
    except ValueError:
        raise InputError(f"{text!r}", where="--seeds", expected="whole numbers with commas between, as 1,2,3") from None


def _cores(compare: str | None, report: Path | None) -> tuple[str, ...]:
    """Cores of a comparison: by default the usual ones, if there is a report to say it in."""
    from bmsthermal.console import listed

    if compare is None:
        return ("host", "cortex-m4f") if report else ()
    return () if compare == "none" else tuple(listed(compare, "--compare"))

"""Sub-commands of hil: replay and convert."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bmsthermal.errors import InputError
from hil.extras import extra

if TYPE_CHECKING:
    from hil.outcome import Result
    from hil.record import Record
    from hil.scenario import Scenario


def replay(
    record: Annotated[
        Path, typer.Argument(metavar="FILE", help="Recorded run: .csv, .csv.gz, .npz, .mf4, .blf, .asc or .log.")
    ],
    device: Annotated[
        str, typer.Option(help="model, sil, sil:FOLDER, emulated:CORE, fmu, fmu:FILE or serial:PORT.")
    ] = "sil",
    cell: Annotated[str, typer.Option(help="Shipped name or cell file (BPX JSON).")] = "a123_26650",
    scenario: Annotated[
        str | None,
        typer.Option(
            help="Scenario that was recorded: its cell, observer and bus in place of --cell; a record is judged by it."
        ),
    ] = None,
    dbc: Annotated[Path | None, typer.Option(help="Database of the frames, if they are not the bench's own.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Other names of columns or signals: current_A=I_pack,surface_degC=T_1,...")
    ] = None,
    sensors: Annotated[
        str | None, typer.Option(help="Sensors of a cell: surface,surface_left; a record of a bench knows its own.")
    ] = None,
    cells: Annotated[int, typer.Option(min=1, help="Cells of frames.")] = 1,
    step_s: Annotated[
        float | None, typer.Option("--step-s", help="Step of the device; by default the record's, else 1.")
    ] = None,
    soc: Annotated[
        float | None, typer.Option("--initial-soc", help="At the first row; by default what that tells.")
    ] = None,
    ambient_degC: Annotated[
        float | None, typer.Option("--ambient-degC", help="Ambient in place of the recorded one, in degC.")
    ] = None,
    current_sign: Annotated[
        Literal["discharge", "charge"], typer.Option(help="What a positive current does in measured data.")
    ] = "discharge",
    log: Annotated[Path | None, typer.Option("--log", help="All signals (.csv, .npz, .mf4).")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Page with charts and the verdict (.html).")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Verdict for a test server (.xml).")] = None,
) -> None:
    """Step a device over recorded readings, and judge it where the core was recorded."""
    from bmsthermal.console import console, listed, mapped
    from bmsthermal.files import check_outputs
    from hil.devices import plain_device
    from hil.logs import RECORDS, initial_soc, read, step_of, write
    from hil.logs import replay as replayed
    from hil.outcome import Outcome
    from hil.requirements import judge
    from hil.scenario import ObserverSpec, load_scenario
    from hil.verdict.printed import check_verdict, print_verdict, write_verdict

    check_outputs((log, RECORDS), inputs=[record])
    check_verdict(report, junit, inputs=[record, *filter(None, [log])])
    if log is not None and log.suffix.lower() == ".mf4":
        extra("asammdf", "MF4")
    loaded = None if scenario is None else load_scenario(scenario)
    given: dict[str, Any] = {"ambient_degC": ambient_degC, "current_sign": current_sign, "cells": cells}
    if loaded is not None:
        given |= {"cells": loaded.plant.cells, "sensors": loaded.observer.sensors, "step_s": loaded.step_s}
        given |= {"bus": None if dbc else loaded.bus}
    if sensors is not None:
        given["sensors"] = tuple(listed(sensors, "--sensors"))
    if step_s is not None:
        given["step_s"] = step_s
    found = read(record, dbc, mapped(columns, "--columns"), **given)
    if loaded is None:
        from bmsthermal.cell import load_cell

        observer = ObserverSpec(sensors=found.sensors).observer(load_cell(cell), step_of(found))
    else:
        observer = loaded.make_observer()
        if observer.measured != found.sensors or loaded.plant.cells != found.cells:
            here = f"{found.cells} x {', '.join(found.sensors)}"
            expected = f"the {loaded.plant.cells} x {', '.join(observer.measured)} of {loaded.name}"
            raise InputError(here, where=str(record), expected=expected)
    wrong_K = 0.0
    if loaded is not None:  # as its bench does
        told_soc = loaded.initial_soc + loaded.observer.start_soc_error
        soc, wrong_K = min(max(told_soc, 0.0), 1.0) if soc is None else soc, loaded.observer.start_error_K
    soc = initial_soc(found, observer) if soc is None else soc
    tested = plain_device(device, observer, found.cells)
    try:
        answered = replayed(tested, found, observer.reduced.step_s, initial_soc=soc, start_error_K=wrong_K)
    finally:
        tested.close()
    if log is not None:
        write(answered, log)
        console.print(f"wrote {log}", soft_wrap=True)
    if loaded is None or not _judged(loaded, answered):
        told = {"step_s": step_of(found), "initial_soc": soc, "sensors": found.sensors}
        about: Any = SimpleNamespace(
            name=record.stem, title=f"{record.name}, replayed", cell=observer.reduced.cell.name, **told
        )
        outcome = Outcome(about, tested.name, answered, _results(answered), digests={"record": answered.digest})
    else:
        digests = {"scenario": loaded.digest, "cell": loaded.loaded.digest, "record": answered.digest}
        results = judge(loaded, answered, {})
        outcome = Outcome(loaded, f"{tested.name}, replayed", answered, results, digests=digests)
    print_verdict(outcome)
    if answered.digest == found.digest:
        console.print("the answers are those that were recorded, to the last bit")
    write_verdict(outcome, report, junit)
    if not outcome.passed:
        raise typer.Exit(1)


def _results(record: Record) -> tuple[Result, ...]:
    """What can be asked of any device, and what is only noted."""
    import numpy as np

    from hil.logs import figures
    from hil.outcome import Result

    found = dict(figures(record))
    answered = bool(np.isfinite(record.each("core_degC")).all())
    noted = [
        Result(name, "noted, as nobody said how much it may be", None, value, "", True)
        for name, value in found.items() if name != "steps answered"
    ]  # fmt: skip
    return Result("ANSWERS", "The device answers every step.", answered, found["steps answered"], "all"), *noted


def _judged(scenario: Scenario, record: Record) -> bool:
    """Whether a record has what the requirements of a scenario look at."""
    import numpy as np

    known = record.faults == tuple(fault.name for fault in scenario.faults)
    return known and bool(np.isfinite(record.each("true_core_degC")).any())


def convert(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="Frames: .blf, .asc, .log or .mf4.")],
    target: Annotated[Path, typer.Argument(metavar="TO", help="Frames: .blf, .asc, .log or .mf4.")],
    dbc: Annotated[
        Path | None, typer.Option(help="Database: an .mf4 then holds its signals in their units, not the frames.")
    ] = None,
) -> None:
    """Write a log of CAN frames as another kind, or its signals as MF4."""
    from bmsthermal.console import console
    from bmsthermal.files import check_outputs
    from hil.logs import FRAMES, read_frames, write_frames
    from hil.logs.from_frames import DATE_S

    if source.suffix.lower() not in FRAMES:
        raise InputError(f"ends in {source.suffix!r}", where=str(source), expected=" or ".join(FRAMES))
    check_outputs((target, FRAMES), inputs=[source])
    frames = read_frames(source)
    begin = frames[0].timestamp if frames and frames[0].timestamp > DATE_S else 0.0
    for frame in frames if begin else ():
        frame.timestamp -= begin
    write_frames(frames, target, dbc)
    console.print(f"wrote {target}: {len(frames)} frames", soft_wrap=True)

"""Sub-command: export."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from bmsthermal.errors import InputError


def add(app: typer.Typer) -> None:
    """Register the sub-commands of this package."""
    app.command("export")(export)


def export(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Shipped name, cell file (BPX JSON) or reduced .npz.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
    real: Annotated[Literal["float", "double"], typer.Option(help="Number type on the target.")] = "float",
    form: Annotated[
        Literal["ekf", "ud", "fixed-gain"] | None,
        typer.Option(
            help="Covariance packed, factored, or none; by default ud for float, and ekf for double and --inputs heat."
        ),
    ] = None,
    inputs: Annotated[
        Literal["measured", "heat"],
        typer.Option(help="Heat from current and voltage, or given by the caller (then no charge and no tables)."),
    ] = "measured",
    estimate: Annotated[
        str | None,
        typer.Option(
            help="Estimated too: h (cooling), heat, bias (of sensors), soc, resistance; by default the cell file's."
        ),
    ] = None,
    heat: Annotated[
        Literal["measured", "model", "fused", "dfn"] | None,
        typer.Option(
            help="Where it comes from, see bmsthermal estimate; dfn is the observer on a reduced coupled model."
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
    foxbms: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write an algorithm for foxBMS 2 around it there.")
    ] = None,
    check: Annotated[bool, typer.Option(help="Compile and run it here.")] = True,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", help="Core to build for, run on (emulated) and measure, as cortex-m4f, or all; may be repeated."
        ),
    ] = None,
    toolchain: Annotated[str | None, typer.Option(help="zig or gcc; by default each that is here.")] = None,
    clock_MHz: Annotated[float, typer.Option("--clock-MHz", help="Clock of the cores, for their load.")] = 168.0,
    prove: Annotated[bool, typer.Option("--prove", help="Prove and analyse it with every tool that is here.")] = False,
    growth: Annotated[
        bool, typer.Option("--scaling", help="How code and state grow with states and sensors, on the first core.")
    ] = False,
    fmu: Annotated[
        list[int] | None, typer.Option("--fmu", help="An FMU for co-simulation too, of FMI 2 or 3; may be repeated.")
    ] = None,
) -> None:
    """Write an observer as C99 that computes what Python computes, to the last bit, and a report on it."""
    from bmsthermal.console import console, listed, print_table, steps
    from bmsthermal.coupled import load_model
    from bmsthermal.observer import Observer
    from firmware_export.bundle import export as write
    from firmware_export.fmu import check_version
    from firmware_export.host import NO_COMPILER
    from firmware_export.report.evidence import chosen, fmu_rows, host_row, proof_rows, scaling_rows, target_row
    from firmware_export.report.judge import verdict
    from firmware_export.report.report import PAGE, report_of, write_report
    from firmware_export.report.tables import tables

    if not (math.isfinite(clock_MHz) and clock_MHz > 0):
        raise InputError(f"{clock_MHz:g}", where="--clock-MHz", expected="a positive number")
    for version in fmu or ():
        check_version(version)
    if growth and not target:
        raise InputError("--scaling without --target", hint="name the core to measure on")
    pairs, absent = chosen(target or [], toolchain)
    reduced = load_model(cell, order=order, step_s=step_s)
    named = reduced.cell.settings.get("Sensors", ["surface"])
    measured = list(named) if sensors is None else listed(sensors, "--sensors")
    kinds = None if estimate is None else listed(estimate, "--estimate")
    source = cell if heat == "dfn" else reduced
    observer = Observer.of(source, measured, estimate=kinds, heat=heat, faults=faults).on_target(real, form)
    with steps(2 + 3 * len(pairs) + growth + prove + bool(fmu)) as step:
        step("write")
        bundle = write(observer, out, real=real, form=form, inputs=inputs, name=name)
        step("compile and run here")
        host = bundle.check() if check else None
        rows = [target_row(bundle, observer, core, tool, step) for core, tool in pairs]
        grown = []
        if growth and pairs:
            step("scaling")
            grown = scaling_rows(bundle, observer, *pairs[0], lambda what: step.within(0.5, what))
        proofs = []
        if prove:
            step("prove")
            proofs = proof_rows(bundle, lambda what: step.within(0.5, what))
        units = []
        if fmu:
            step("FMU")
            units = fmu_rows(bundle, observer, fmu)
    report = report_of(
        bundle, host=host_row(host), targets=rows, scaling=grown, proofs=proofs, fmu=units, absent=absent,
        clock_MHz=clock_MHz,
    )  # fmt: skip
    write_report(bundle, report)
    console.print(observer)
    print_table(
        f"{bundle.name} in {out}", ("file", "bytes"), [(path.name, f"{path.stat().st_size}") for path in bundle.files]
    )
    sizes = bundle.manifest["sizes"]
    console.print(f"state {sizes['state_bytes']} B a cell, constants {sizes['model_bytes']} B, no heap, no globals")
    if not bundle.manifest["unrolled"]:
        console.print("the step keeps its loops: no longest path is claimed")
    for table in (tables(report).get(each) for each in ("targets", "proofs", "fmu")):
        if table is not None:
            print_table(*table[:3])
    if foxbms is not None:
        from firmware_export.foxbms import write_foxbms

        console.print(f"foxBMS 2: {len(write_foxbms(bundle, foxbms))} files in {foxbms}")
    if check:
        console.print(f"host: {host or NO_COMPILER}")
    tone, sentence = verdict(report)
    console.print(f"{out / PAGE}: {sentence}")
    if tone == "bad":
        raise typer.Exit(1)

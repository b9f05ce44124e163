"""Sub-commands: reduce, calibrate, estimate, info."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer

from bmsthermal import entropy_commands, full_commands, observability_commands, reduced_commands
from bmsthermal.console import console, listed, mapped, print_table, steps
from bmsthermal.errors import InputError
from bmsthermal.files import PICTURES, check_outputs
from bmsthermal.reduced.range import Range

if TYPE_CHECKING:
    from bmsthermal.estimates import Estimates, Score
    from bmsthermal.run import Run

Cell = Annotated[str, typer.Argument(metavar="CELL", help="Shipped name, cell file (BPX JSON) or reduced .npz.")]
Data = Annotated[Path, typer.Option("--data", help="CSV: time_s, current_A, voltage_V, ambient_degC, surface_degC.")]
Columns = Annotated[str | None, typer.Option(help="Other column names: ambient_degC=chamber_degC,...")]
Sign = Annotated[Literal["discharge", "charge"], typer.Option(help="What a positive current does in the data.")]
Ambient = Annotated[float | None, typer.Option("--ambient-degC", help="Ambient in place of the data's, in degC.")]
Soc = Annotated[
    float | None,
    typer.Option(
        "--initial-soc",
        help="State of charge at the first row, 0 to 1; by default from the first row where the open-circuit curve "
        "identifies it.",
    ),
]
Order = Annotated[int | None, typer.Option(help="Thermal states; by default the cell file's, else 4.")]
Step = Annotated[float | None, typer.Option("--step-s", help="Step in seconds; by default the cell file's, else 1.")]
Plot = Annotated[Path | None, typer.Option("--plot", help="Draw a picture (.png, .svg or .pdf).")]


def add(app: typer.Typer) -> None:
    """Register the sub-commands of this package."""
    full_commands.add(app)
    app.command("reduce")(reduce)
    app.command("calibrate")(calibrate)
    app.command("estimate")(estimate)
    observability_commands.add(app)
    entropy_commands.add(app)
    app.command("info")(info)


def reduce(
    cell: Cell,
    core_K: Annotated[
        float | None,
        typer.Option("--core-K", help="Wanted error of the core, or 1 % of its rise if more."),
    ] = None,
    voltage_mV: Annotated[
        float | None, typer.Option("--voltage-mV", help="Wanted rms error of the voltage in mV.")
    ] = None,
    order: Annotated[
        int | None,
        typer.Option(help="States, in place of errors."),
    ] = None,
    step_s: Step = None,
    heat: Annotated[
        Literal["dfn", "measured"] | None,
        typer.Option(
            help="What is reduced: the full coupled model (dfn), or conduction alone with heat from current and "
            "voltage (measured). By default dfn where an error, a range or a page is asked for."
        ),
    ] = None,
    thermal: Annotated[
        str | None, typer.Option(help="Where temperature lives: radial, slab or r-z; as the cell's form is by default.")
    ] = None,
    ambient_degC: Annotated[
        str | None,
        typer.Option("--ambient-degC", help="Ambients, LOW:HIGH in degC; -10:45 by default."),
    ] = None,
    h: Annotated[
        str | None, typer.Option("--h", help="Cooling that it is for, LOW:HIGH in W/m2K; 10:300 unless told.")
    ] = None,
    soc: Annotated[
        str | None, typer.Option("--soc", help="States of charge that it is for, LOW:HIGH; 0.1:1 unless told.")
    ] = None,
    c_rate: Annotated[
        str | None, typer.Option("--c-rate", help="Constant rates that it is for, LOW:HIGH; 0.5:3 unless told.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes for runs of the full model.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Address of a Dask cluster for them, tcp://HOST:PORT.")] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder of finished runs; a stopped command goes on.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="With --heat measured, basis: multipoint (exact at several frequencies), pade (at frequency zero), "
            "pod (the largest shapes of a simulation) or balanced (the states that inputs reach and outputs see)."
        ),
    ] = "multipoint",
    out: Annotated[Path | None, typer.Option("-o", "--output", help="Write the reduced model (.npz).")] = None,
    plot: Plot = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write the certificate of a full model as a page (.html).")
    ] = None,
) -> None:
    """Reduce a cell's full model, or its conduction alone, and print its certificate."""
    full = {
        "--core-K": core_K, "--voltage-mV": voltage_mV, "--ambient-degC": ambient_degC, "--h": h, "--soc": soc,
        "--c-rate": c_rate, "--workers": workers, "--cluster": cluster, "--cache": cache, "--report": report,
        "--thermal": thermal,
    }  # fmt: skip
    given = [option for option, value in full.items() if value is not None]
    if heat == "dfn" or (heat is None and given):
        if method != "multipoint":
            raise InputError(f"--method {method} with the full model", expected="--heat measured")
        check_outputs((out, [".npz"]), (plot, PICTURES), (report, [".html"]), inputs=[cell])
        wanted = Range.parse(ambient_degC=ambient_degC, h=h, soc=soc, c_rate=c_rate)
        reduced_commands.reduce_full(
            cell, thermal=thermal, core_K=core_K, voltage_mV=voltage_mV, order=order, wanted=wanted, step_s=step_s,
            workers=workers, cluster=cluster, cache=cache, out=out, plot=plot, report=report,
        )  # fmt: skip
        return
    if given:
        raise InputError(f"{given[0]} with --heat measured", expected="--heat dfn")
    if heat is None:
        console.print("note: conduction alone; --core-K or --heat dfn reduces the full coupled model")
    from bmsthermal.certificate import certify_cell, draw_certificate, print_certificate
    from bmsthermal.coupled import CoupledModel, load_model

    check_outputs((out, [".npz"]), (plot, PICTURES), inputs=[cell])
    with steps(3) as step:
        step("reduce")
        reduced = load_model(cell, order=order, step_s=step_s, method=method)
        step("certify")
        resolution = "r-z" if reduced.resolution == "r-z" else None
        certificate = certify_cell(CoupledModel(reduced.cell, heat="measured", thermal=resolution), reduced)
        step("write")
        if out is not None:
            reduced.save(out)
        if plot is not None:
            draw_certificate(certificate, reduced, plot)
    console.print(reduced)
    print_certificate(certificate, reduced)
    _say_written(out, plot)


def calibrate(
    cell: Cell,
    data: Annotated[list[Path], typer.Option("--data", help="One or more runs (repeat the option).")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Cell file to write (.json).")],
    use: Annotated[str, typer.Option(help="Fitted columns, without _degC: surface, or surface,core.")] = "surface",
    initial_soc: Soc = None,
    columns: Columns = None,
    current_sign: Sign = "discharge",
    ambient_degC: Ambient = None,
    order: Order = None,
    step_s: Step = None,
    thermal: Annotated[
        Literal["r-z"] | None,
        typer.Option(help="For a cylinder that loses heat through its ends: also its axis and each end, r-z."),
    ] = None,
    contact: Annotated[bool, typer.Option("--contact", help="Fit the contact between roll and can too.")] = False,
    entropy_shape: Annotated[
        bool, typer.Option("--entropy-shape", help="Fit scale, tilt and hump of the entropic curve too.")
    ] = False,
    until_s: Annotated[float | None, typer.Option("--until-s", help="Use the data before this time only.")] = None,
    slow: Annotated[
        Path | None,
        typer.Option("--open-circuit", help="A slow run from full, C/20: measures open-circuit voltage and capacity."),
    ] = None,
    resistance: Annotated[
        bool, typer.Option("--resistance", help="Fit the DC resistance over charge and temperature too.")
    ] = False,
    tuned: Annotated[
        bool,
        typer.Option("--tune", help="Then tune how sure the observer is; a second picture shows its innovations."),
    ] = False,
    tune_data: Annotated[
        list[Path] | None,
        typer.Option(
            "--tune-data", help="With --tune, runs that the fit has not seen; a core in them counts. Else --data."
        ),
    ] = None,
    beside: Annotated[
        str | None, typer.Option("--estimate", help="With --tune, what that observer estimates beside: h,heat.")
    ] = None,
    plot: Plot = None,
) -> None:
    """Fit a cell's thermal parameters to measured runs, with the file's own spreads as priors."""
    from bmsthermal.calibration import calibrate as fit
    from bmsthermal.cell import load_cell
    from bmsthermal.measured import read_measured
    from bmsthermal.parameters import EXTRAS
    from bmsthermal.tuning_commands import print_tuning, tune_observer

    drawn = plot.with_stem(f"{plot.stem}_innovations") if plot is not None and tuned else None
    check_outputs(
        (out, [".json"]),
        (plot, PICTURES),
        (drawn, PICTURES),
        inputs=[cell, *data, *(tune_data or []), *([slow] if slow else [])],
    )
    if not tuned and (beside is not None or tune_data):
        given = "--tune-data" if tune_data else "--estimate"
        raise InputError(f"{given} without --tune", hint="add --tune, or leave it out")
    used = listed(use, "--use")
    sensors = [name for name in used if name != "core"]
    reading: dict[str, Any] = {
        "columns": mapped(columns, "--columns"), "current_sign": current_sign, "ambient_degC": ambient_degC,
    }  # fmt: skip
    runs = [read_measured(path, sensors=sensors, **reading) for path in data]
    runs = [run if until_s is None else run.before(until_s) for run in runs]
    unseen = [read_measured(path, sensors=sensors, **reading) for path in tune_data or []]
    source, notes = load_cell(cell), []
    if slow is not None:
        from bmsthermal.open_circuit import open_circuit

        curve = open_circuit(source, read_measured(slow, sensors=(), **reading))
        source, notes = curve.written(source), [*curve.notes]
        console.print(curve)
    if resistance:
        from bmsthermal.resistance import fit_resistance

        drop = fit_resistance(source, runs, initial_soc=initial_soc, sensor=sensors[0] if sensors else "surface")
        source = drop.written(source)
        print_table("DC resistance", ("quantity", "fitted", "95 %", "unit"), drop.table())
    order = source.settings.get("Order") if order is None else order
    step_s = source.settings.get("Step [s]", 1.0) if step_s is None else step_s
    with steps(2 + tuned) as step:
        step("fit")
        found = fit(
            source, runs, use=used, order=order, step_s=step_s, initial_soc=initial_soc, thermal=thermal,
            extras=[name for name, asked in zip(EXTRAS, (contact, entropy_shape), strict=True) if asked],
            progress=step.within,
        )  # fmt: skip
        described, tuning = found.cell, None
        if tuned:
            step("tune")
            tuning = tune_observer(described, unseen or runs, beside, initial_soc, step.within)
            described = tuning.cell
        step("write")
        described.save(out)
        if plot is not None:
            found.plot(plot)
        if tuning is not None and drawn is not None:
            tuning.plot(drawn)
    for run in runs:
        console.print(run)
    columns_ = ("parameter", "prior", "sd", "fitted", "95 %", "unit", "learnt")
    print_table(f"{source.name} fitted on {', '.join(used)}", columns_, found.table())
    known = found.identifiability()
    console.print(f"the best known combination is known {known.condition:.3g} times better than the least known")
    if tuning is not None:
        print_tuning(tuning)
    for note in (*notes, *known.sentences(), *found.notes, *(tuning.notes if tuning else ())):
        console.print(f"note: {note}")
    _say_written(out, plot, drawn)


def estimate(
    cell: Cell,
    data: Annotated[
        list[Path],
        typer.Option(
            "--data", help="CSV: time_s, current_A, voltage_V, ambient_degC, surface_degC; several are pooled."
        ),
    ],
    sensors: Annotated[
        str | None, typer.Option(help="Columns of surface sensors, without _degC: surface,surface_left.")
    ] = None,
    initial_soc: Soc = None,
    columns: Columns = None,
    current_sign: Sign = "discharge",
    ambient_degC: Ambient = None,
    order: Order = None,
    step_s: Step = None,
    start_degC: Annotated[float | None, typer.Option("--start-degC", help="Start temperature, in degC.")] = None,
    score_from_s: Annotated[float | None, typer.Option("--score-from-s", help="Compare from this time on.")] = None,
    engine: Annotated[Literal["kernel", "filterpy"], typer.Option(help="Which filter runs.")] = "kernel",
    real: Annotated[Literal["double", "float"], typer.Option(help="Number type, as on the target.")] = "double",
    beside: Annotated[
        str | None,
        typer.Option(
            "--estimate",
            help="Estimated too: h (cooling), heat, bias (of sensors), soc, resistance; by default the cell file's.",
        ),
    ] = None,
    heat: Annotated[
        Literal["measured", "model", "fused", "dfn"] | None,
        typer.Option(
            help="Heat from the measured voltage, the resistance of the cell file, or both (fused: the default with "
            "--estimate soc or resistance), or a reduced coupled model's own (dfn). With any of them the voltage is a "
            "measurement, which may be missing.",
        ),
    ] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="Watch the sensors: leave faulty ones out, say which and since when.")
    ] = False,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="Write the estimates (.csv).")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write how consistent the sigma is, all runs pooled (.json).")
    ] = None,
    plot: Plot = None,
) -> None:
    """Estimate the core temperature along measured runs; a measured core is compared, never used."""
    from bmsthermal.consistency import Consistency
    from bmsthermal.files import ZERO_DEGC_K
    from bmsthermal.measured import read_measured
    from bmsthermal.observer import Observer

    check_outputs((out, [".csv"]), (plot, PICTURES), (report, [".json"]), inputs=[cell, *data])
    if len(data) > 1 and (out is not None or plot is not None):
        given = "--output" if out is not None else "--plot"
        raise InputError(f"{given} with {len(data)} runs", expected="one run", hint="--report pools them")
    kinds = None if beside is None else [kind for kind in listed(beside, "--estimate") if kind != "none"]
    observer = Observer.of(
        cell, None if sensors is None else listed(sensors, "--sensors"), order=order, step_s=step_s, estimate=kinds,
        engine=engine, real=real, heat=heat, faults=faults,
    )  # fmt: skip
    ours = mapped(columns, "--columns")
    runs = [
        read_measured(
            path, columns=ours, current_sign=current_sign, ambient_degC=ambient_degC, sensors=observer.measured
        )
        for path in data
    ]
    start_s, several = -math.inf if score_from_s is None else score_from_s, []
    with steps(len(runs) + 1) as step:
        for run in runs:
            step(f"estimate {run.name}")
            start_K = None if start_degC is None else start_degC + ZERO_DEGC_K
            several.append(observer.run(run, initial_soc=initial_soc, start_K=start_K))
        step("write")
        scores = [found.score(start_s) for found in several]
        consistency = Consistency.of(several, start_s)
        if out is not None:
            several[0].to_csv(out)
        if plot is not None:
            several[0].plot(plot)
        if report is not None:
            consistency.save(report)
    console.print(observer)
    for run, found, score in zip(runs, several, scores, strict=True):
        _print_estimates(run, found, score)
    print_table(f"consistency of the sigma, {_plural(len(runs), 'run')}", ("quantity", "value"), consistency.rows())
    _say_written(out, plot, report)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _print_estimates(run: Run, found: Estimates, score: Score | None) -> None:
    """Print what was found along one run."""
    from bmsthermal.files import ZERO_DEGC_K

    console.print(run)
    for note in found.notes:
        console.print(f"note: {note}")
    if score is None and run.core_K is not None:
        console.print("note: no row has both core and surface: the measured core is not compared")
    hottest, seen = int(found.core_K.argmax()), max(int(found.sensors[1:].sum()), 1)
    beside = found.beside()
    charge = "estimated" if "state of charge" in dict(beside) else "counted"
    rows = [
        ("highest core", f"{found.core_K[hottest] - ZERO_DEGC_K:.2f} degC at {found.time_s[hottest]:.0f} s"),
        ("core above surface (both estimated), largest", f"{(found.core_K - found.surface_K).max():.2f} K"),
        (f"{charge} state of charge", f"{found.soc.min():.2f} to {found.soc.max():.2f}"),
        ("mean NIS per sensor (1: as the noise says)", f"{np.nansum(found.nis[1:]) / seen:.2f}"),
    ]
    rows += beside
    sigma = [("median sigma of the core", f"{np.median(found.core_std_K):.2f} K")]
    print_table("estimate", ("quantity", "value"), rows + (score.rows() if score else sigma))


def info() -> None:
    """Say which kernel runs, what is shipped and what was found on this machine."""
    import platform
    import shutil
    from importlib.metadata import version

    import numpy
    import scipy

    from bmsthermal import cells
    from bmsthermal.observer import compiled
    from bmsthermal.vehicle import schedules

    compiler = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "none")
    rows = [
        ("bmsthermal", version("bmsthermal")),
        ("kernel", _kernel() if compiled() else "python (slow: installed without a C compiler)"),
        ("Python", platform.python_version()),
        ("NumPy, SciPy", f"{numpy.__version__}, {scipy.__version__}"),
        ("C compiler", compiler),
        ("cells", ", ".join(cells())),
        ("drive schedules", ", ".join(schedules())),
    ]
    print_table("bmsthermal", ("what", "found"), rows)


def _kernel() -> str:
    from bmsthermal._observer import MAX_SENSORS, MAX_STATES, MAX_WALLS, lanes

    wide = f", {lanes('d')} cells at once in double and {lanes('f')} in single precision" if lanes("d") > 1 else ""
    return f"compiled (up to {MAX_STATES} states, {MAX_WALLS} walls, {MAX_SENSORS} sensors{wide})"


def _say_written(*paths: Path | None) -> None:
    for path in paths:
        if path is not None:
            console.print(f"wrote {path}", soft_wrap=True)

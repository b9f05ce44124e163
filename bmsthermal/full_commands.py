"""Sub-commands of the full model: simulate, stability."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from bmsthermal import reduced_commands
from bmsthermal.console import console, listed, mapped, print_table, ranged, steps
from bmsthermal.errors import InputError
from bmsthermal.files import PICTURES, ZERO_DEGC_K, check_outputs

Control = Literal["current", "voltage", "power"]
CellName = Annotated[
    str, typer.Argument(metavar="CELL", help="Shipped name, cell file (BPX JSON), or for simulate a reduced .npz.")
]
Heat = Annotated[
    Literal["dfn", "three-term", "measured"] | None,
    typer.Option(
        help="Where heat comes from: the five fields (dfn), the same without mixing and contact (three-term), or "
        "current and voltage (measured). By default dfn where the cell has electrodes."
    ),
]
Thermal = Annotated[
    str | None,
    typer.Option(
        help="Where temperature lives: isothermal, lumped, x, radial, slab or r-z. By default x with soret or dufour, "
        "else radial in a cylinder and slab in a slab; without a form factor lumped, or isothermal where the file has "
        "no heat capacity."
    ),
]
Layers = Annotated[int, typer.Option(help="Sandwiches at temperatures of their own, in parallel on one voltage.")]
Couplings = Annotated[
    str | None,
    typer.Option(
        help="soret, dufour, stress, with commas. stress is all three of stress-flux, stress-diffusivity and "
        "stress-potential; stress-flux and stress-potential are thermodynamically consistent only together."
    ),
]
Reactions = Annotated[str, typer.Option(help="Decomposition reactions: none, all, or names with commas.")]
Soc = Annotated[
    float | None,
    typer.Option(
        "--initial-soc",
        help="State of charge at the start, 0 to 1; by default 0 where it begins with a charge, 0.7 for a schedule, "
        "else the file's, else 1.",
    ),
]
Plot = Annotated[Path | None, typer.Option("--plot", help="Draw a picture (.png, .svg or .pdf).")]

#: What a temperature option can be; beyond it somebody means kelvin, or a fire.
AMBIENT_degC, FIRE_degC = (-100.0, 200.0), (-100.0, 1500.0)


def add(app: typer.Typer) -> None:
    """Register the sub-commands."""
    app.command("simulate")(simulate)
    app.command("stability")(stability)


def simulate(
    cell: CellName,
    c_rate: Annotated[
        float | None,
        typer.Option("--c-rate", help="Multiple of the capacity per hour, until the cut-off; negative charges."),
    ] = None,
    current_A: Annotated[
        float | None, typer.Option("--current-A", help="Current until the cut-off; negative charges.")
    ] = None,
    power_W: Annotated[
        float | None, typer.Option("--power-W", help="Power until the cut-off; negative charges.")
    ] = None,
    voltage_V: Annotated[float | None, typer.Option("--voltage-V", help="Voltage, with --duration-s.")] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="CSV of time_s, current_A and perhaps ambient_degC, or a schedule: us06, udds, hwfet, wltc_3b."
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--steps", help="'discharge 1C until 2.5V; rest 1h; charge C/2 until 4.2V; hold 4.2V until 0.25A'."
        ),
    ] = None,
    current_scale: Annotated[float, typer.Option("--current-scale", help="Multiplies the profile's current.")] = 1.0,
    columns: Annotated[str | None, typer.Option(help="Other column names: current_A=amps,...")] = None,
    current_sign: Annotated[
        Literal["discharge", "charge"], typer.Option(help="What a positive current does in the profile.")
    ] = "discharge",
    duration_s: Annotated[
        float | None, typer.Option("--duration-s", help="End after so many seconds at the latest.")
    ] = None,
    heat: Heat = None,
    thermal: Thermal = None,
    layers: Layers = 1,
    couplings: Couplings = None,
    reactions: Reactions = "none",
    initial_soc: Soc = None,
    start_degC: Annotated[
        float | None, typer.Option("--start-degC", help="Start temperature; by default ambient.")
    ] = None,
    ambient_degC: Annotated[
        float | None, typer.Option("--ambient-degC", help="Ambient, in place of the profile's; by default the file's.")
    ] = None,
    h: Annotated[float | None, typer.Option("--h", help="Heat-transfer coefficient of all faces, in W/m2K.")] = None,
    hottest_degC: Annotated[
        float | None, typer.Option("--hottest-degC", help="Stop where the hottest place reaches it.")
    ] = None,
    output_step_s: Annotated[float, typer.Option("--output-step-s", help="Time between rows, in s.")] = 1.0,
    rtol: Annotated[float, typer.Option(help="Relative tolerance of the solver.")] = 1e-5,
    atol: Annotated[
        float,
        typer.Option(
            help="Absolute tolerance of the solver, in typical sizes: stoichiometry 1, potential 1 V, temperature 10 K."
        ),
    ] = 1e-5,
    refine: Annotated[
        int,
        typer.Option(
            "--refine", help="Cells and particle nodes times N, to see what the mesh costs in accuracy.", metavar="N"
        ),
    ] = 1,
    fields: Annotated[bool, typer.Option("--fields", help="Keep all fields in all rows of the .npz.")] = False,
    margin: Annotated[
        bool, typer.Option("--margin", help="Say how near to runaway the run came, concentrations frozen.")
    ] = False,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="Write arrays and settings (.npz).")] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write the columns as data (.csv) for estimate and calibrate.")
    ] = None,
    plot: Plot = None,
    compare_full: Annotated[
        bool,
        typer.Option("--compare-full", help="Run the full model beside a reduced one; print and draw the difference."),
    ] = False,
) -> None:
    """Run the full coupled model of a cell, or a reduced one; exit code 1 if it ends before it should."""
    from bmsthermal import simulating
    from bmsthermal.cell import load_cell
    from bmsthermal.coupled import CoupledModel
    from bmsthermal.dfn.mesh import Mesh
    from bmsthermal.schema import RANGES
    from bmsthermal.semenov import margins
    from bmsthermal.simulated import rows
    from bmsthermal.vehicle import schedules

    given = {
        "--c-rate": c_rate, "--current-A": current_A, "--power-W": power_W, "--voltage-V": voltage_V,
        "--profile": profile, "--steps": protocol,
    }  # fmt: skip
    control = _one_of(given)
    inputs = [cell, *([profile] if profile is not None and profile not in schedules() else [])]
    check_outputs((out, [".npz"]), (csv, [".csv"]), (plot, PICTURES), inputs=inputs)
    for option, value, (low, high) in (
        ("--ambient-degC", ambient_degC, AMBIENT_degC), ("--start-degC", start_degC, AMBIENT_degC),
        ("--hottest-degC", hottest_degC, FIRE_degC), ("--rtol", rtol, (1e-12, 0.1)), ("--atol", atol, (1e-12, 0.1)),
        ("--output-step-s", output_step_s, RANGES["s"]), ("--duration-s", duration_s, (1e-3, 1e9)),
        ("--current-scale", current_scale, (-1e6, 1e6)), ("--h", h, (0.0, 1e5)),
        ("--refine", refine, (1, 8)),
    ):  # fmt: skip
        simulating.within(option, value, low, high)
    if fields and out is None:
        raise InputError("--fields without -o", expected="-o FILE.npz", hint="only there is room for fields")
    if profile is None and (current_scale != 1.0 or columns or current_sign != "discharge"):
        raise InputError(f"{control} with --current-scale, --columns or --current-sign", expected="them with --profile")
    reduced = reduced_commands.opened(cell, h) if cell.endswith(".npz") else None
    if reduced is None and compare_full:
        raise InputError("--compare-full", where=cell, expected="a reduced model", hint="bmsthermal reduce makes one")
    if reduced is not None:
        fixed = {
            "--heat": heat, "--thermal": thermal, "--layers": layers != 1, "--couplings": couplings,
            "--reactions": reactions != "none", "--refine": refine != 1, "--fields": fields, "--margin": margin,
            "--power-W": power_W, "--voltage-V": voltage_V, "--output-step-s": output_step_s != 1.0,
        }  # fmt: skip
        if unused := [name for name, value in fixed.items() if value]:
            raise InputError(f"{unused[0]} with a reduced model", where=cell, expected="it with a cell")
    loaded = load_cell(cell) if reduced is None else reduced.cell
    if refine > 1 and (heat == "measured" or (heat is None and not loaded.has_electrodes)):
        raise InputError("--refine with --heat measured", where=loaded.name, expected="the full model")
    if h is not None and reduced is None:
        loaded = loaded.with_values({"Heat transfer coefficient [W.m-2.K-1]": h})
    if profile is not None:
        drive = simulating.profile(
            loaded, profile, current_scale, mapped(columns, "--columns"), current_sign, duration_s
        )
    elif protocol is not None:
        drive = simulating.protocol(loaded, protocol, duration_s)
    else:
        drive = simulating.constant(loaded, control, float(given[control]), duration_s)  # type: ignore[arg-type]
    if initial_soc is None and drive.initial_soc is not None:
        initial_soc = drive.initial_soc
        drive = replace(drive, notes=(*drive.notes, f"initial SOC {initial_soc:g}, for want of --initial-soc"))
    ambient_K, start_K = (None if t is None else t + ZERO_DEGC_K for t in (ambient_degC, start_degC))
    hottest_K = math.inf if hottest_degC is None else hottest_degC + ZERO_DEGC_K
    if reduced is not None:
        reduced_commands.run(reduced, drive, initial_soc, start_K, ambient_K, hottest_K, compare_full, (out, csv, plot))
        return
    model = CoupledModel(
        loaded, heat=heat, thermal=thermal, layers=layers,
        couplings=listed(couplings, "--couplings") if couplings is not None else (), reactions=reactions,
        mesh=Mesh().refined(refine) if refine > 1 else None,
    )  # fmt: skip
    if margin and (model.heat == "measured" or model.equations.resolution in ("isothermal", "x")):
        raise InputError("--margin", expected="the full model with --thermal lumped, radial, slab or r-z")
    said = simulating.notes(model, default_heat=heat is None, default_thermal=thermal is None, data=csv is not None)
    for note in (*drive.notes, *said):
        console.print(f"note: {note}")
    if model.heat == "measured":
        if fields or hottest_degC is not None:
            raise InputError("--fields or --hottest-degC with --heat measured", expected="the full model")
        run = simulating.measured(model, drive, initial_soc, start_K, ambient_K, output_step_s)
    else:
        driven = drive.steps if drive.run is None else simulating.profile_step(drive.run, ambient_K)
        run = model.simulate(
            driven, initial_soc=initial_soc, start_K=start_K, ambient_K=ambient_K, step_s=output_step_s, rtol=rtol,
            atol=atol, fields=fields, progress=True, hottest_K=hottest_K,
        )  # fmt: skip
    if len(run.time_s) < 2:
        reason = run.stopped or simulating.end(run, drive)[1]
        begun = f"at the start {run.current_A[0]:.4g} A make {run.voltage_V[0]:.4g} V at SOC {run.soc[0]:.3g}"
        raise InputError(f"nothing ran: {reason}; {begun}", where=loaded.name)
    run = replace(run, settings=simulating.settings(run, model, drive, output_step_s, rtol, atol, refine))
    console.print(model)
    results = [*rows(run, model.cell), simulating.end(run, drive)]
    if margin:
        time_s, along = margins(model, run)
        least = int(along.argmin())
        results.append(("least margin to runaway, 1 - Q'/hA", f"{along[least]:.3f} at {time_s[least]:.0f} s"))
    print_table(run.settings["steps"], ("quantity", "value"), results)
    failed = simulating.write(((run.save, out), (run.to_csv, csv), (run.plot, plot)))
    if failed:
        raise failed[0]
    if run.stopped:
        raise SystemExit(f"error: {loaded.name}: ended early, {run.stopped}{simulating.hint(run, drive)}")


def stability(
    cell: CellName,
    control: Annotated[
        Control | None,
        typer.Option(help="What is held; by default the current, or what is given a value."),
    ] = None,
    c_rate: Annotated[
        float, typer.Option("--c-rate", help="Current over capacity that the held value belongs to.")
    ] = 1.0,
    current_A: Annotated[float | None, typer.Option("--current-A", help="Current held, in place of --c-rate.")] = None,
    voltage_V: Annotated[float | None, typer.Option("--voltage-V", help="Voltage held, in place of --c-rate.")] = None,
    power_W: Annotated[float | None, typer.Option("--power-W", help="Power held, in place of --c-rate.")] = None,
    soc: Annotated[float, typer.Option("--soc", help="State of charge, 0 to 1.")] = 0.5,
    reactions: Reactions = "none",
    h: Annotated[str, typer.Option("--h", help="Heat-transfer coefficients, LOW:HIGH in W/m2K.")] = "1:100",
    ambient_degC: Annotated[str, typer.Option("--ambient-degC", help="Ambients, LOW:HIGH in degC.")] = "20:80",
    out: Annotated[Path | None, typer.Option("-o", "--output", help="Write the map as arrays (.npz).")] = None,
    plot: Plot = None,
) -> None:
    """Map over cooling and ambient where a cell's temperature settles, and where it runs away."""
    from bmsthermal.cell import load_cell
    from bmsthermal.stability import stability as settle

    check_outputs((out, [".npz"]), (plot, PICTURES), inputs=[cell])
    values: dict[Control, float | None] = {"current": current_A, "voltage": voltage_V, "power": power_W}
    given: dict[Control, float] = {kind: value for kind, value in values.items() if value is not None}
    if len(given) > 1 or (given and control not in (None, *given)):
        found = f"a {' and a '.join(given)} with --control {control or 'of one'}"
        raise InputError(found, expected="the value of what is held, and no other")
    held: Control = next(iter(given), "current") if control is None else control
    low, high = ranged(ambient_degC, "--ambient-degC")
    loaded, coefficients = load_cell(cell), ranged(h, "--h")
    with steps(2) as step:
        step("heat against temperature")
        found_ = settle(
            loaded, control=held, set_point=given.get(held), c_rate=c_rate, soc=soc, reactions=reactions,
            h_W_m2K=coefficients, ambient_K=(low + ZERO_DEGC_K, high + ZERO_DEGC_K),
        )  # fmt: skip
        step("write")
        if out is not None:
            found_.save(out)
        if plot is not None and found_.has_limit:
            found_.plot(plot)
    console.print(found_.verdict())
    if out is not None:
        console.print(f"wrote {out}", soft_wrap=True)
    if plot is not None:
        console.print(f"wrote {plot}" if found_.has_limit else f"{plot} not drawn: the map is empty", soft_wrap=True)


def _one_of(given: dict[str, float | str | None]) -> str:
    """Name the one option that was given."""
    chosen = [option for option, value in given.items() if value is not None]
    if len(chosen) != 1:
        found = " and ".join(chosen) if chosen else "nothing drives the cell"
        raise InputError(found, expected="exactly one of " + ", ".join(given))
    return chosen[0]

"""How soon and how surely faults of sensors and unknown heat are found, and how often something is found that is not.

    python tests/benchmarks/fault_detection.py [HOURS] [FOLDER_OF_THE_DATA]

HOURS without faults (100 unless told) count false alarms; their cells, offsets, drives and ambients are those of
`fault_runs`, one cell for four hours. Then every kind of fault is put on every sensor of other cells, at a time in the
middle of a run. With the data, the measured runs with three sensors and with one are beside: false alarms on them, and
1 K on each sensor at several times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fault_runs import H_W_M2K, SENSORS, Array, Hours, hours, profiles

from bmsthermal import CoupledModel, Observer, Run, calibrate, load_cell, read_measured
from bmsthermal.faults import ABSENT, NAMES
from bmsthermal.files import ZERO_DEGC_K

#: Estimated beside; bias is a state of its own accord in r-z.
KINDS: tuple[tuple[str, ...], ...] = ((),)  # in r-z three sensors have offsets and slow heat beside, unasked
LIVED_H, INJECTED_S, WATCHED_S, CELLS = 4.0, 3600, 1800, 6
UNEVEN_W_M2K = 400.0
Fault = Callable[[Array, int], Array]


def stepped(by_K: float, per_s: float = 0.0) -> Fault:
    """A bias at once, or one that grows."""
    return lambda z, k: z + np.outer(by_K + per_s * np.arange(len(z)), np.eye(3)[k])


def ramped(z: Array, k: int) -> Array:
    """1 K within a minute: no jump."""
    return z + np.outer(np.minimum(np.arange(len(z)) / 60.0, 1.0), np.eye(3)[k])


def held(z: Array, k: int) -> Array:
    """A reading that stays what it was."""
    z = z.copy()
    z[:, k] = z[0, k]
    return z


def fixed(value_K: float) -> Fault:
    """A lead that is open or shorted, or a reading that is not there."""

    def changed(z: Array, k: int) -> Array:
        z = z.copy()
        z[:, k] = value_K
        return z

    return changed


def exchanged(z: Array, k: int) -> Array:
    """The plug of a sensor in that of the next."""
    order = list(range(3))
    order[k], order[(k + 1) % 3] = order[(k + 1) % 3], order[k]
    return z[:, order]


#: Name, what happens, the right name of it, and how long it is watched, in s.
FAULTS: tuple[tuple[str, Fault, tuple[str, ...], int], ...] = (
    ("bias of +1 K", stepped(1.0), ("bias",), WATCHED_S),
    ("bias of +1 K within a minute", ramped, ("bias",), WATCHED_S),
    ("bias of -1 K", stepped(-1.0), ("bias",), WATCHED_S),
    ("bias of +3 K", stepped(3.0), ("bias",), WATCHED_S),
    ("drift of 2 K/h", stepped(0.0, 2.0 / 3600), ("drift",), 2 * WATCHED_S),
    ("drift of 6 K/h", stepped(0.0, 6.0 / 3600), ("drift",), WATCHED_S),
    ("stuck", held, ("stuck",), 2 * WATCHED_S),
    ("open", fixed(ZERO_DEGC_K - 273.0), ("open",), 300),
    ("short", fixed(ZERO_DEGC_K + 500.0), ("short",), 300),
    ("absent", fixed(float("nan")), ("absent",), 300),
    ("swap with the next", exchanged, ("swap",), WATCHED_S),
)


def observer(kinds: Sequence[str] = (), bottom_W_m2K: float = H_W_M2K) -> Observer:
    """The observer that is judged: nominal parameters."""
    reduced = CoupledModel(load_cell("lfp_32113"), heat="measured", thermal="r-z").reduce(8)
    reduced = reduced.with_h({"side": H_W_M2K, "bottom": bottom_W_m2K, "top": H_W_M2K})
    return Observer(reduced, SENSORS, estimate=kinds, faults=True)


def march(watched: Any, start: Any, inputs: Array, readings_K: Array) -> Any:
    """Estimates along rows."""
    engine, k = watched.kernel(), len(inputs)
    past, out = np.empty((k, 1, engine.state_size)), np.zeros((k, 1, engine.output_size))
    engine.write(start.row[None].copy())
    engine.run(np.ascontiguousarray(inputs[:, None]), np.ascontiguousarray(readings_K[:, None]), out, past)
    return watched._found(np.arange(float(k)), past[:, 0], out[:, 0])


def onsets(log: Any) -> int:
    """How many times something was flagged, of sensors and of heat."""
    on = np.column_stack([log.masked, log.heat]).astype(int)
    return int((np.diff(on, axis=0, prepend=0) > 0).sum())


def false_alarms(watched: Any, lived: Sequence[Hours]) -> tuple[int, float]:
    """Onsets of anything without a fault, and hours."""
    logs = [march(watched, watched.start(each.start_K, 0.5), each.inputs, each.readings_K).faults for each in lived]
    return sum(map(onsets, logs)), sum(len(each.inputs) for each in lived) / 3600.0


def judged(log: Any, k: int, right: Sequence[str]) -> tuple[float, bool, bool]:
    """Delay in s (infinite: never), whether no other sensor and no heat was flagged, whether the name is right."""
    bad = log.code[:, k] >= (ABSENT if right == ("absent",) else ABSENT + 1)
    delay = float(np.argmax(bad)) + 1.0 if bad.any() else np.inf
    with_ = {k, (k + 1) % 3} if right == ("swap",) else {k}
    others = [j for j in range(log.code.shape[1]) if j not in with_]
    alone = not log.masked[:, others].any() and not log.heat.any()
    return delay, bool(bad.any() and alone), bool(bad.any() and NAMES[log.code[int(np.argmax(bad)), k]] in right)


def injected(watched: Any, lived: Sequence[Hours], faults: Sequence[Any] = FAULTS) -> list[tuple[str, ...]]:
    """Rows of the table of faults."""
    rows, begun = [], []
    for each in lived:
        start = watched.start(each.start_K, 0.5)
        begun.append((each, start, march(watched, start, each.inputs[:INJECTED_S], each.readings_K[:INJECTED_S])))
    for name, fault, right, seconds in faults:
        for when in ("start", "running")[name != "bias of +1 K" :]:
            found = []
            for each, start, before in begun:
                rows_ = slice(0, seconds) if when == "start" else slice(INJECTED_S, INJECTED_S + seconds)
                for k in range(3):
                    z = fault(each.readings_K[rows_], k)
                    belief = start if when == "start" else before.belief()
                    found.append(judged(march(watched, belief, each.inputs[rows_], z).faults, k, right))
            rows.append(formatted(f"{name}, {'from the start' if when == 'start' else 'mid-run'}", found))
    return rows


def formatted(name: str, found: list[tuple[float, bool, bool]]) -> tuple[str, ...]:
    """One row: share found and within 300 s, delays of those found, isolated, named."""
    delays = np.array([delay for delay, _, _ in found])
    seen = delays[np.isfinite(delays)]
    said = f"{np.median(seen):.0f} / {seen.max():.0f} s" if len(seen) else "-"
    share = [100 * np.mean(np.isfinite(delays)), 100 * np.mean(delays <= 300)]
    share += [100 * np.mean([alone for _, alone, _ in found]), 100 * np.mean([named for _, _, named in found])]
    return name, str(len(found)), *(f"{value:.0f} %" for value in share[:2]), said, *(f"{v:.0f} %" for v in share[2:])


def heat_events(watched: Any, currents: list[Array]) -> list[tuple[str, ...]]:
    """Rows for heat that no current tells."""
    rows = []
    for extra_W in (2.0, 5.0, 10.0, 20.0):
        found, said = [], []
        for seed in range(700, 700 + CELLS):
            each = hours(seed, (INJECTED_S + WATCHED_S) / 3600, currents, extra_W=(INJECTED_S, extra_W))
            log = march(watched, watched.start(each.start_K, 0.5), each.inputs, each.readings_K).faults
            on = log.heat[INJECTED_S:]
            delay = float(np.argmax(on)) + 1 if on.any() else np.inf
            found.append((delay, bool(on.any() and not log.masked.any()), bool(on.any())))
            said.append(log.heat_W[-1])
        name, *cells = formatted(f"heat of {extra_W:g} W", found)
        rows.append((f"{name}: {np.mean(said):.1f} +- {np.std(said):.1f} W after {WATCHED_S} s", *cells))
    return rows


def measured(data: Path) -> list[tuple[str, ...]]:
    """Rows for the measured runs: false alarms, and 1 K on each sensor at several times."""
    rows = []
    for name, shipped, sensors in (
        ("lfp_32113/forced_air_1.csv", "lfp_32113", SENSORS), ("lfp_32113/lagged_1.csv", "lfp_32113", SENSORS),
        ("a123_26650/hev_1.csv", "a123_26650", SENSORS[:1]),
    ):  # fmt: skip
        run, thermal = read_measured(data / name), "r-z" if len(sensors) > 1 else None
        fitted = calibrate(load_cell(shipped), run.part(0.0, 0.55), use=sensors, initial_soc=0.5, thermal=thermal).cell
        cells = (("as shipped", load_cell(shipped)), ("calibrated on 55 %", fitted))
        for what, cell, kinds in ((*each, kinds) for each in cells for kinds in KINDS):
            reduced = CoupledModel(cell, heat="measured", thermal=thermal).reduce(8 if thermal else 4)
            watched = Observer(reduced, sensors, estimate=kinds, faults=True)
            log = watched.run(run, initial_soc=0.5).faults  # type: ignore[attr-defined]
            said = f"{name}, {what}{', heat estimated' if kinds else ''}"
            print(said, *log.sentences(), sep="\n  ", file=sys.stderr)
            found = []
            for at in (0.0, 600.0, 1200.0, 2000.0):
                for k, sensor in enumerate(sensors):
                    off = {n: T + (n == sensor) * (run.time_s >= at) for n, T in run.surfaces_K.items()}
                    changed = Run(run.time_s, run.current_A, run.voltage_V, run.ambient_K, off, run.core_K, run.name)
                    told = watched.run(changed, initial_soc=0.5).faults  # type: ignore[attr-defined]
                    late = type(told)(told.sensors, told.time_s, told.states[told.time_s >= at])
                    found.append(judged(late, k, ("bias",)))
            span_h = (run.time_s[-1] - run.time_s[0]) / 3600
            head, *shares = formatted(f"{said}: {onsets(log)} alarms in {span_h:.2f} h; +1 K", found)
            rows.append((head, *shares))
    return rows


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table of faults."""
    head = ("fault", "times", "found", "within 300 s", "delay, median / longest", "that sensor alone", "right name")
    print("| " + " | ".join(head) + " |\n" + "| " + " | ".join(["---"] * len(head)) + " |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def main() -> None:
    """Print all."""
    given = sys.argv[1:]
    data = Path(given[1]) if len(given) > 1 else None
    if (given and not given[0].isdigit()) or (data is not None and not data.is_dir()):
        raise SystemExit("usage: python tests/benchmarks/fault_detection.py [HOURS] [FOLDER_OF_THE_DATA]")
    currents, count = profiles(data), int(given[0]) if given else 100
    for kinds in KINDS:
        watched = observer(kinds)
        lived = [hours(seed, LIVED_H, currents) for seed in range(round(count / LIVED_H))]
        alarms, spent = false_alarms(watched, lived)
        print(f"\n{watched}\nfalse alarms: {alarms} in {spent:.0f} h, {10 * alarms / max(spent, 1e-9):.2f} in 10 h\n")
        cells = [hours(seed, (INJECTED_S + 2 * WATCHED_S) / 3600, currents) for seed in range(500, 500 + CELLS)]
        rows = injected(watched, cells) + heat_events(watched, currents)
        uneven = [hours(500 + i, 2.0, currents, bottom_W_m2K=UNEVEN_W_M2K) for i in range(CELLS)]
        swaps = injected(observer(kinds, UNEVEN_W_M2K), uneven, FAULTS[-1:])
        table(rows + [(f"{name}, bottom cooled by {UNEVEN_W_M2K:g} W/m2K", *rest) for name, *rest in swaps])
    if data is not None:
        print()
        table(measured(data))


if __name__ == "__main__":
    main()

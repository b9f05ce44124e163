"""The report in tables: the same on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bmsthermal.pages import Table
from firmware_export.report.judge import CELLS, Report, checks, load, percent

#: What stands where nothing was found out.
NOTHING = "–"


def tables(report: Report) -> dict[str, Table]:
    """Every table that there is something to put into, by name."""
    found = {
        "checks": _checks(report),
        "exported": _exported(report["bundle"]),
        "targets": targets(report),
        "sizes": _sizes(report),
        "paths": _paths(report),
        "load": _load(report),
        "scaling": rows_table("By states and sensors", report["scaling"]),
        "proofs": _proofs(report["proofs"]),
        "fmu": Table(
            "Units for co-simulation", ("file", "FMI", "bytes", "found"),
            tuple((each["file"], each["fmi"], number(each["bytes"]), each["found"]) for each in report["fmu"]),
        ),
        "absent": Table("", ("tool", "how to install"), tuple((a["tool"], a["hint"]) for a in report["absent"])),
        **_traced(report["traceability"]),
    }  # fmt: skip
    return {name: table for name, table in found.items() if table.rows}


def number(value: float | None) -> str:
    """Whole number with its thousands apart."""
    return NOTHING if value is None else f"{value:,}"


def _marked(rows: Any) -> tuple[int, ...]:
    return tuple(i for i, failed in enumerate(rows) if failed)


def _checks(report: Report) -> Table:
    looked = checks(report)
    words = {True: "passed", False: "failed", None: "open"}
    rows = tuple((check.name, check.found, check.asked, words[check.passed]) for check in looked)
    return Table("", ("check", "found", "asked", ""), rows, _marked(check.passed is False for check in looked))


def _exported(bundle: Mapping[str, Any]) -> Table:
    sizes, beside = bundle["sizes"], ", ".join(bundle["estimate"])
    rows = (
        ("cell", bundle["cell"]["name"]),
        ("form, number type", f"{bundle['form']}, {bundle['real']}"),
        ("thermal states", str(sizes["states"]) + (f", and beside them {beside}" if beside else "")),
        ("sensors", ", ".join(sizes["sensors"])),
        ("inputs", ", ".join(bundle["inputs"])),
        ("walls", ", ".join(sizes["walls"])),
        ("step", f"{bundle['step_s']:g} s"),
        ("state of a cell", f"{sizes['state_bytes']} B"),
        ("constants", f"{sizes['model_bytes']} B"),
        ("bmsthermal", bundle["bmsthermal"]),
        ("digest of the cell", bundle["cell"]["digest"]),
        ("digest of the constants", bundle["model"]),
    )
    return Table("", ("", ""), rows)


def targets(report: Report) -> Table:
    """Return a row for each core and toolchain: what the terminal shows too."""
    rows = report["targets"]
    return Table(
        "One step on each core, against Python in the same precision",
        ("core", "compiler", "instructions", "cycles", "stack B", "flash B", "equal"),
        tuple(
            (
                row["core"], row["toolchain"],
                number(row["instructions"]) if row["instructions"] or not row["seen"] else f"{row['seen']:,} seen",
                number(row["cycles"]), number(row["stack_B"]), number(row["flash_B"]), _equal(row),
            )
            for row in rows
        ),
        _marked(row["failed"] or row["equal"] is False for row in rows),
    )  # fmt: skip


def _equal(row: Mapping[str, Any]) -> str:
    if row["failed"]:
        return "failed"
    if row["equal"] is None:
        return NOTHING
    return "yes" if row["equal"] else f"no: {row['first_difference']}"


def _sizes(report: Report) -> Table:
    return Table(
        "Bytes of the module, linked without what is not called",
        ("core", "compiler", "text", "rodata", "data", "bss", "state", "undefined", "compiler's own calls"),
        tuple(
            (
                row["core"], f"{row['toolchain']} {row['version']} {row['level']}",
                *(number(row[key]) for key in ("text_B", "rodata_B", "data_B", "bss_B")),
                number(report["bundle"]["sizes"]["state_bytes"]), ", ".join(row["undefined"]) or "none",
                ", ".join(row["helpers"]) or "none",
            )
            for row in report["targets"] if row["undefined"] is not None
        ),
    )  # fmt: skip


def _load(report: Report) -> Table:
    step_s, clock = report["bundle"]["step_s"], report["clock_MHz"]
    rows = []
    for row in report["targets"]:
        shares = [load(row, cells, step_s, clock) for cells in CELLS]
        if None not in shares:
            rows.append((row["core"], row["toolchain"], *(percent(s) for s in shares if s is not None)))
    title = f"Share of the core's time at {clock:g} MHz and a step every {step_s:g} s, by estimated cycles"
    return Table(title, ("core", "compiler", *(f"{n} cell{'s' * (n > 1)}" for n in CELLS)), tuple(rows))


def _paths(report: Report) -> Table:
    return Table(
        "Instructions of one step",
        ("core", "compiler", "longest path", "most seen, corner inputs", "ways back", "calls", "run on"),
        tuple(
            (row["core"], row["toolchain"],
             row["bound"] or number(row["instructions"]),
             *(number(row[key]) for key in ("seen", "back_edges", "calls")), row["emulator"] or NOTHING)
            for row in report["targets"] if row["back_edges"] is not None
        ),
    )  # fmt: skip


def rows_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows that have the same keys, which are the columns."""
    columns = tuple(str(key) for key in rows[0]) if rows else ()
    return Table(
        title, columns, tuple(tuple(v if isinstance(v, str) else number(v) for v in row.values()) for row in rows)
    )


def _proofs(rows: Any) -> Table:
    words = {True: "passed", False: "failed", None: "not there"}
    return Table(
        "", ("tool", "version", "verdict", "found"),
        tuple((row["tool"], row["version"], words[row["passed"]], row["found"]) for row in rows),
        _marked(row["passed"] is False for row in rows),
    )  # fmt: skip


def _traced(traced: Mapping[str, Any]) -> dict[str, Table]:
    return {
        "files": Table(
            "Texts of the kernel, byte for byte as Python runs them",
            ("file", "what it is", "rests on", "twin in Python", "tests", "SHA-256"),
            tuple(
                (row["file"], row["about"], " ".join(row["rests_on"]), row["twin"], row["test"], row["digest"][:12])
                for row in traced["files"] if row["package"]
            ),
        ),
        "functions": Table(
            "", ("function", "where", "what it computes", "twin in Python"),
            tuple((r["function"], f"{r['file']}:{r['line']}", r["says"], r["twin"]) for r in traced["functions"]),
            _marked(not row["says"] for row in traced["functions"]),
        ),
        "constants": Table(
            "", ("constant", "where", "unit", "meaning"),
            tuple((r["constant"], f"{r['file']}:{r['line']}", r["unit"], r["meaning"]) for r in traced["constants"]),
        ),
    }  # fmt: skip

"""The report of an export, as one page that needs no network and as JSON: written beside it, and added to later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bmsthermal.pages import STYLE, table_html
from firmware_export.bundle import Bundle
from firmware_export.folder import add_files
from firmware_export.report.judge import Report, verdict
from firmware_export.report.tables import rows_table, tables
from firmware_export.report.traceability import traceability

PAGE, DATA = "report.html", "report.json"


def report_of(
    bundle: Bundle,
    *,
    host: Mapping[str, Any] | None = None,
    targets: Sequence[Mapping[str, Any]] = (),
    scaling: Sequence[Mapping[str, Any]] = (),
    proofs: Sequence[Mapping[str, Any]] = (),
    fmu: Sequence[Mapping[str, Any]] = (),
    absent: Sequence[Mapping[str, str]] = (),
    clock_MHz: float = 168.0,
) -> dict[str, Any]:
    """Put together what is known of an export: what is given here, and of the same bytes what was found out before.

    Parameters
    ----------
    bundle
        The export.
    host
        What this machine's compiler made of it, see `firmware_export.report.evidence`.
    targets, scaling, proofs, fmu
        Rows, see there.
    absent
        Tools that are not there, each with how to install it.
    clock_MHz
        Clock that loads are given for.

    Returns
    -------
    dict
        Plain data, as they are written to ``report.json``.
    """
    known = {key: value for key, value in bundle.manifest.items() if key != "files"}
    before = _before(bundle, known)
    kept = {(row["core"], row["toolchain"]): row for row in before.get("targets", [])}
    kept |= {(row["core"], row["toolchain"]): dict(row) for row in targets}
    made: dict[str, Any] = {
        "bundle": known,
        "clock_MHz": clock_MHz,
        "host": before.get("host") if host is None else dict(host),
        "targets": [kept[key] for key in sorted(kept)],
        "traceability": traceability(bundle),
        "absent": [dict(row) for row in absent],
    }
    for key, rows in (("scaling", scaling), ("proofs", proofs), ("fmu", fmu)):
        made[key] = [dict(row) for row in rows] or before.get(key, [])
    return made


def write_report(bundle: Bundle, report: Report) -> None:
    """Write ``report.html`` and ``report.json`` into a bundle's folder; same report, same bytes.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    tone, sentence = verdict(report)
    data = {**report, "verdict": {"tone": tone, "sentence": sentence}}
    files = {PAGE: page_text(report).encode(), DATA: (json.dumps(data, indent=2, sort_keys=True) + "\n").encode()}
    add_files(bundle.folder, files)


def page_text(report: Report) -> str:
    """Text of the page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def marked_up(table: Any, words: bool = False) -> Markup:
        return Markup(table_html(table, words=words))

    bundle, (tone, sentence) = report["bundle"], verdict(report)
    env = Environment(
        loader=PackageLoader("firmware_export", "templates"), undefined=StrictUndefined, autoescape=True,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    rows = report["targets"]
    return env.get_template("report.html.jinja").render(
        assumptions=list(dict.fromkeys(line for row in rows for line in row["assumptions"])),
        by_function=lambda row: rows_table("", row["functions"]),
        bundle=bundle, fmu=report["fmu"], host=report["host"], proofs=report["proofs"], sentence=sentence,
        style=Markup(STYLE), table=marked_up, tables=tables(report), targets=rows, tone=tone,
        unsourced=report["traceability"]["unsourced"],
    )  # fmt: skip


def _before(bundle: Bundle, known: Mapping[str, Any]) -> dict[str, Any]:
    """Report that is there already, if it is about the same bytes."""
    try:
        report = json.loads((bundle.folder / DATA).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) and report.get("bundle") == json.loads(json.dumps(known)) else {}

"""The report: one page with its charts and tables in it, that needs no network and no JavaScript to be read."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmsthermal.files import check_outputs, write_whole
from bmsthermal.pages import STYLE, table_html
from hil.outcome import Outcome
from hil.verdict import tables, times, told
from hil.verdict.strips import Strips, steps, thinned, whole_numbers

if TYPE_CHECKING:
    from markupsafe import Markup

#: What a page may weigh, and what is left of it for words when charts are thinned.
MOST_B, POINTS = 1_000_000, 6000
#: Runs of a campaign that are drawn: as many again and again thinner charts help nobody.
DRAWN = 8


def write_report(outcomes: Outcome | Sequence[Outcome], path: str | Path, title: str = "") -> None:
    """Write one self-contained HTML file; same outcomes, same bytes.

    Parameters
    ----------
    outcomes
        A run, or those of a campaign: a matrix of cases and seeds comes first then, and charts of a few.
    path
        A file that ends in ``.html``.
    title
        Headline; scenario and device by default.

    Raises
    ------
    InputError
        If the file has another ending or cannot be written.
    """
    check_outputs((Path(path), (".html",)))
    write_whole(path, page_text(outcomes, title))


def page_text(outcomes: Outcome | Sequence[Outcome], title: str = "", most_B: int = MOST_B) -> str:
    """Text of the page that `write_report` writes: charts as fine as its weight allows."""
    every = [outcomes] if isinstance(outcomes, Outcome) else list(outcomes)
    drawn = chosen(every)
    points = POINTS
    while True:
        made = _rendered(every, title, {at: charted(every[at], points) for at in drawn})
        if len(made.encode()) < most_B or not drawn:
            return made
        if points > 400:
            points //= 2
        else:
            drawn.pop()


def chosen(outcomes: Sequence[Outcome]) -> list[int]:
    """Which runs are drawn: one of each case, those that failed first."""
    drawable = [at for at, each in enumerate(outcomes) if len(each.record.rows)]
    firsts: dict[str, int] = {}
    for at in sorted(drawable, key=lambda at: outcomes[at].passed):
        firsts.setdefault(outcomes[at].scenario.name, at)
    return list(firsts.values())[:DRAWN]


def charted(outcome: Outcome, points: int) -> dict[str, Any]:
    """Charts of a run as plain data for the page's script."""
    strips = Strips(outcome.record.names)
    digits = strips.keys()
    columns = thinned(strips.signals(outcome.record.rows), points)
    return {
        "charts": strips.charts(), "keys": list(digits), "digits": list(digits.values()), "steps": True,
        "columns": steps(whole_numbers(columns, digits)),
    }  # fmt: skip


def _rendered(outcomes: Sequence[Outcome], title: str, charts: dict[int, dict[str, Any]]) -> str:
    one = outcomes[0] if len(outcomes) == 1 else None
    if not title:
        title = f"{told.headline(one)}, on {one.device}" if one else "Campaign"
    verdict = told.sentence(one) if one else told.campaign_sentence(outcomes) if outcomes else "There was no run."
    good = bool(outcomes) and all(each.passed for each in outcomes)
    return rendered(
        title=title, sentence=verdict, tone="good" if good else "bad", outcomes=outcomes, one=one,
        matrix=_matrix(outcomes, charts), charts=charts, runs=embedded(charts), live=False,
    )  # fmt: skip


def rendered(**context: Any) -> str:
    """The template, filled: charts of what is embedded, or live."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    folder = files("hil.verdict")
    scripts = ("uPlot.iife.min.js", "charts.js", "sources.js")
    texts = {
        name: (folder / name).read_text("utf-8")
        for name in (*scripts, "uPlot.min.css", "uPlot.LICENSE.txt", "page.css")
    }
    script = "\n".join(texts[name] for name in scripts)
    env = Environment(
        loader=PackageLoader("hil.verdict", ""), undefined=StrictUndefined, autoescape=True, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return env.get_template("page.html.jinja").render(
        style=Markup(STYLE + texts["uPlot.min.css"] + "\n" + texts["page.css"]), script=Markup(script),
        hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(), notice=texts["uPlot.LICENSE.txt"],
        told=told, tables=tables, times=times, table=_table, **context,
    )  # fmt: skip


def _table(table: Any, words: bool = False) -> Markup:
    from markupsafe import Markup

    return Markup(table_html(table, words=words))


def embedded(charts: dict[int, dict[str, Any]]) -> Markup:
    """Charts as JSON that no browser mistakes for markup."""
    from markupsafe import Markup

    text = json.dumps(charts, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _matrix(outcomes: Sequence[Outcome], charts: dict[int, Any]) -> dict[str, Any]:
    """Cases and seeds: what was found of each, and where it is drawn."""
    seeds = sorted({told.seed_of(each) for each in outcomes})
    devices = [each.device for each in outcomes]
    usual = max(dict.fromkeys(devices), key=devices.count, default="")
    cases: dict[tuple[str, str], dict[int, Any]] = {}
    for at, outcome in enumerate(outcomes):
        word, why = told.found(outcome)
        cell = {"word": word, "why": why, "at": at if at in charts else None, "name": outcome.scenario.name}
        key = (outcome.scenario.name, "" if outcome.device == usual else outcome.device)
        cases.setdefault(key, {}).setdefault(told.seed_of(outcome), cell)
    rows = [
        {
            "name": name,
            "device": device,
            "cells": [row.get(seed) for seed in seeds],
            "why": next((each["why"] for each in row.values() if each["word"] not in ("found", "passed")), ""),
        }
        for (name, device), row in cases.items()
    ]
    return {"seeds": seeds, "rows": rows}

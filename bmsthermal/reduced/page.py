"""A certificate as one page for the browser: words, tables and pictures in a single file that needs no network."""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmsthermal.files import check_outputs, write_whole
from bmsthermal.pages import STYLE, table_html
from bmsthermal.plot import AMBIENT, CORE, ESTIMATE, SURFACE, figure
from bmsthermal.reduced.drawn import WIDTH, pictures
from bmsthermal.reduced.tabled import ENDS

if TYPE_CHECKING:
    from bmsthermal.reduced.certificate import Certificate

#: Colours of the pictures that follow the page, light or dark.
COLOURS = {"#000000": "ink", ESTIMATE: "ink", AMBIENT: "quiet", CORE: "core", SURFACE: "surface"}
#: What a picture shows, for those who do not see it.
SHOWN = {
    "trials": "Core and voltage error against the number of states, by method, with the chosen one marked.",
    "cases": "Core and voltage error of every case, with the worst in red.",
    "frequency": "Frequency response of voltage and core, full and reduced, and the error.",
}


def page(certificate: Certificate, path: str | Path) -> None:
    """Write a certificate as one HTML file without scripts and outside links; same certificate, same bytes.

    Parameters
    ----------
    certificate
        What to show.
    path
        A file that ends in ``.html``.

    Raises
    ------
    InputError
        If the file has another ending or cannot be written.
    """
    check_outputs((Path(path), (".html",)))
    write_whole(path, page_text(certificate))


def page_text(certificate: Certificate) -> str:
    """Text of the page that `page` writes."""
    c, tables, drawn = certificate, certificate.tables(), _pictures(certificate)
    name, trial = escape(c.cell), certificate.trial
    states = "a few" if trial is None else f"{trial.states}"
    how = "" if trial is None else f" It was made by {escape(trial.method)}; its states: {escape(trial.sizes)}."
    reason = _wrong(c)
    tone = "bad" if reason else "" if c.wanted_core_K is None and c.wanted_voltage_V is None else _tone(c.reached)
    endings = "; ".join(f"{escape(why)}: {escape(words)}" for why, words in _endings(c).items())
    parts = [
        f"<h1>Certificate of a reduced model: {name}</h1>",
        f"<p>A model of {states} states stands in for the full electrochemical and thermal model of this cell, in "
        f"steps of {c.step_s:g} s. This page says how far the two are apart, where that holds, and what holds "
        f"exactly.{how}</p>",
        f'<p class="verdict {tone}">{escape(c.verdict())}</p>',
        f'<p class="verdict bad">Must not be used: {escape(reason)}.</p>' if reason else "",
        _section("Wanted and reached", table_html(tables.get("wanted"))),
        _section("What is kept exactly", table_html(tables.get("kept"))),
        _section("Where it holds", table_html(tables.get("range"))),
        _section("What limits it", f"<p>{escape(_limits(c))}</p>"),
        _section("Reductions that were tried", drawn.get("trials", ""), table_html(tables.get("trials"))),
        _section(
            "Case by case", drawn.get("cases", ""), table_html(tables.get("cases")),
            f'<p class="quiet">What ended a case. {endings}. The worst cases are marked.</p>' if endings else "",
        ),
        _section("Response from 0 to 10 Hz", drawn.get("frequency", "")),
        _section("Speed", table_html(tables.get("speed"))),
        f'<p class="quiet">Digest of the cell\'s parameters: {escape(c.digest)}</p>' if c.digest else "",
    ]  # fmt: skip
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}: certificate of a reduced model</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _wrong(certificate: Certificate) -> str:
    """What does not hold though it must; nothing if all does."""
    try:
        certificate.verify()
    except ArithmeticError as error:
        return str(error)
    return ""


def _tone(reached: bool) -> str:
    return "good" if reached else "bad"


def _endings(certificate: Certificate) -> dict[str, str]:
    """What ended the cases that there are, in words."""
    seen = {case.why for case in certificate.cases}
    return {why: words for why, words in ENDS.items() if why in seen}


def _limits(certificate: Certificate) -> str:
    """What a user must know before trusting it."""
    c, words = certificate, [certificate.limit]
    cut = [case for case in c.cases if case.why in ("salt", "hot")]
    if cut:
        words.append(
            f"{len(cut)} of {len(c.cases)} cases are judged only until the full model ran short of salt or got hotter "
            f"than the range: {', '.join(case.case for case in cut)}."
        )
    short = [case.case for case in c.cases if not case.scored]
    if short:
        words.append(f"Too short to be scored, and listed only: {', '.join(short)}.")
    words.append("Outside the range above nothing was measured. The full model itself is not judged here.")
    return " ".join(word for word in words if word)


def _section(title: str, *content: str) -> str:
    inside = "\n".join(part for part in content if part)
    return f"<h2>{escape(title)}</h2>\n{inside}" if inside else ""


def _pictures(certificate: Certificate) -> dict[str, str]:
    """Draw every picture into the page, by name."""
    found = {}
    for name, (height, draw_one) in pictures(certificate).items():
        drawn = figure(WIDTH, height)
        draw_one(drawn, certificate)
        found[name] = f'<figure role="img" aria-label="{escape(SHOWN[name])}">{_inline(drawn, name)}</figure>'
    return found


def _inline(drawn: Any, name: str) -> str:
    """Figure as an SVG element that can stand beside others and takes the colours of the page."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    # ids are made from random numbers unless there is a salt; letters are drawn, so that no font is needed
    with rc_context({"svg.hashsalt": "bmsthermal", "svg.fonttype": "path"}):
        drawn.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)  # the words that were drawn: a browser needs none
    text = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", text)  # HTML knows them
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for colour, variable in COLOURS.items():
        text = text.replace(colour, f"var(--{variable})")
    return text

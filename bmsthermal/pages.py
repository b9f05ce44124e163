"""What pages for the browser have in common: their style, light, dark and on paper, and their tables."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1a1a1a; --quiet: #6e6e6e; --line: #dddddd;
  --core: #b2182b; --surface: #2166ac; --good: #1b7837; --mark: #fdf1d8; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --ink: #e6e6e6; --quiet: #9a9a9a; --line: #3a3d44;
  --core: #ff7b85; --surface: #79b4f2; --good: #7ccf8e; --mark: #3a3320; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 62rem; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
.verdict { border-left: .4rem solid var(--surface); padding: .5rem 0 .5rem 1rem; font-size: 1.05rem; }
.verdict.good { border-color: var(--good); }
.verdict.bad { border-color: var(--core); }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: .3rem; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .7rem .25rem 0; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
th { font-weight: 600; }
tr.marked td { background: var(--mark); font-weight: 600; }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; height: auto; fill: var(--ink); }
.quiet { color: var(--quiet); font-size: .9rem; }
table.words td, table.words th { text-align: left; }
a { color: inherit; }
details { margin: .6rem 0; }
summary { cursor: pointer; }
@media print { body { max-width: none; padding: 0; font-size: 11px; } .wide { overflow: visible; }
  tr, figure { break-inside: avoid; } h2 { break-after: avoid; }
  details::details-content { content-visibility: visible; display: block; } }
"""


class Table(NamedTuple):
    """A table in words: columns carry their units.

    Parameters
    ----------
    title, columns, rows
        Texts.
    marked
        Indices of the rows to look at: the chosen one, the worst, what does not hold.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: tuple[int, ...] = ()

    def only(self, *columns: str) -> Table:
        """Return the same with fewer columns."""
        places = [self.columns.index(column) for column in columns]
        return self._replace(columns=columns, rows=tuple(tuple(row[i] for i in places) for row in self.rows))

    def __str__(self) -> str:
        width = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        texts = [
            "  ".join(f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zipped))
            for zipped in (zip(line, width, strict=True) for line in (self.columns, *self.rows))
        ]
        return "\n".join([self.title, *(text.rstrip() for text in texts)])


def table_html(table: Table | None, *, words: bool = False) -> str:
    """Table as HTML, every word escaped, numbers to the right unless it is one of `words`; nothing for none."""
    if table is None:
        return ""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = []
    for i, row in enumerate(table.rows):
        start = '<tr class="marked">' if i in table.marked else "<tr>"
        rows.append(start + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
    lines = "\n".join(rows)
    kind = ' class="words"' if words else ""
    return (
        f'<div class="wide"><table{kind}>\n<caption>{escape(table.title)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>"
    )

"""Where each key of a TOML text stands, which `tomllib` does not say: line numbers for messages."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

#: Keys and numbers of a place in a document.
Place = tuple[str | int, ...]

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\#[^\n]*)|(?P<text>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
    |(?P<mark>[\[\]{}=,.\n])|(?P<bare>[A-Za-z0-9_+:-]+)|(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def lines_of(text: str) -> dict[Place, int]:
    """Line, from 1, of each key of a TOML text that `tomllib` can read.

    Parameters
    ----------
    text
        The text.

    Returns
    -------
    dict
        Keys, and numbers of an array's elements, to the line on which they stand.
    """
    found: dict[Place, int] = {}
    for place, line in _Scanner(text).places():
        found.setdefault(place, line)
    return found


class _Scanner:
    """Tokens of a text that is known to be good TOML, one after the other."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []
        line = 1
        for match in _TOKEN.finditer(text):
            if match.lastgroup != "space":
                self.tokens.append((str(match.lastgroup), match[0], line))
            line += match[0].count("\n")
        self.tokens.append(("end", "", line))
        self.at = 0

    def next(self, skip: str = "") -> tuple[str, str, int]:
        """Next token, without those that are to be skipped before it."""
        while self.tokens[self.at][1] and self.tokens[self.at][1] in skip:
            self.at += 1
        self.at += 1
        return self.tokens[self.at - 1]

    def back(self) -> None:
        self.at -= 1

    def places(self) -> Iterator[tuple[Place, int]]:
        """Places of everything, in the order of the text."""
        table: Place = ()
        counts: dict[Place, int] = {}
        while True:
            kind, token, line = self.next("\n")
            if kind == "end":
                return
            if token == "[":
                many = self.tokens[self.at][1] == "["
                self.at += many
                keys = self.keys()
                self.at += many  # the first ] has ended the keys
                table = ()
                for key in keys[:-1]:
                    table = (*table, key)
                    yield table, line
                    table = (*table, counts[table]) if table in counts else table
                table = (*table, keys[-1])
                if many:
                    counts[table] = counts.get(table, -1) + 1
                    yield table, line
                    table = (*table, counts[table])
                yield table, line
            else:
                self.back()
                yield from self.pair(table)

    def keys(self) -> list[str]:
        """Dotted key, up to and with what ends it."""
        found: list[str] = []
        while True:
            kind, token, _ = self.next()
            if token in ("=", "]", "") or kind == "end":
                return found
            if token != ".":
                found.append(tomllib.loads(f"key = {token}")["key"] if kind == "text" else token)

    def pair(self, table: Place) -> Iterator[tuple[Place, int]]:
        """Key and value."""
        line = self.tokens[self.at][2]
        for key in self.keys():
            table = (*table, key)
            yield table, line
        yield from self.value(table)

    def value(self, place: Place) -> Iterator[tuple[Place, int]]:
        """Value, with the places inside it."""
        _, token, _ = self.next("\n")
        if token == "[":
            index = 0
            while True:
                _, token, line = self.next("\n,")
                if token in ("]", ""):
                    return
                self.back()
                yield (*place, index), line
                yield from self.value((*place, index))
                index += 1
        elif token == "{":
            while True:
                _, token, _ = self.next("\n,")
                if token in ("}", ""):
                    return
                self.back()
                yield from self.pair(place)
        else:  # a date with a blank in it, or a number with a point: several tokens
            while self.tokens[self.at][1] not in ("\n", ",", "]", "}", ""):
                self.at += 1

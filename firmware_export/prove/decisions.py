"""Decisions of the kernel's text: which of their conditions are constants at a bundle's size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from firmware_export.bundle import Bundle


class Constants:
    """The macros of a bundle that are numbers, and what conditions made of them are.

    Parameters
    ----------
    bundle
        The bundle.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._lines: dict[str, list[str]] = {}
        self._macros: dict[str, str] = {}
        for path in bundle.files:
            if path.suffix == ".h":
                text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
                for name, value in re.findall(r"^#define (\w+) +(.+?) *$", text, re.MULTILINE):
                    self._macros.setdefault(name, value)

    def text(self, file: str, at: Sequence[int]) -> str:
        """Text from line and column to line and column, both from 1, on one line."""
        lines = self._lines.setdefault(file, Path(file).read_text().splitlines())
        first, start, last, end = at
        if first == last:
            return lines[first - 1][start - 1 : end - 1]
        middle = [lines[first - 1][start - 1 :], *lines[first : last - 1], lines[last - 1][: end - 1]]
        return " ".join(line.strip() for line in middle)

    def call(self, file: str, at: Sequence[int]) -> str:
        """Call of the macro that is named at this place, with what it is called with on that line."""
        rest = self._lines.setdefault(file, Path(file).read_text().splitlines())[at[2] - 1][at[3] - 1 :]
        end = _closes(rest)
        return self.text(file, at) + (rest[: end + 1] if end >= 0 else rest)

    def value(self, text: str) -> bool | None:
        """Whether a condition is always true, or always false; None where it depends on the run."""
        parts, joint = _split(text)
        if joint:
            values = [self.value(part) for part in parts]
            decides = joint == "||"
            if decides in values:
                return decides
            return None if None in values else not decides
        text = re.sub(r"/\*.*?\*/", "", parts[0])
        for _ in range(8):
            text = re.sub(r"[A-Za-z_]\w*", lambda word: f"({self._macros.get(word[0], word[0])})", text)
        if re.search(r"[A-Za-z_]", text) or not re.fullmatch(r"[-+*<>=!() 0-9]+", text):
            return None
        try:
            return bool(eval(re.sub(r"!(?!=)", " not ", text), {"__builtins__": {}}))
        except SyntaxError:
            return None

    def leaves(self, text: str) -> list[str]:
        """Conditions that a decision joins, in their order."""
        parts, joint = _split(text)
        return [leaf for part in parts for leaf in self.leaves(part)] if joint else parts


def _split(text: str) -> tuple[list[str], str]:
    """Parts of a decision at its outermost ``&&`` or ``||``; one part where it has none."""
    text = text.strip()
    while text.startswith("(") and _closes(text) == len(text) - 1:
        text = text[1:-1].strip()
    depth, found, start = 0, "", 0
    parts = []
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and text[i : i + 2] in ("&&", "||"):
            found = text[i : i + 2]
            parts.append(text[start:i].strip())
            start = i + 2
    return [*parts, text[start:].strip()], found


def _closes(text: str) -> int:
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return i
    return -1

"""Mistakes in a TOML file, said with file, line, key, what was found and what was expected."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from bmsthermal.errors import InputError
from hil.lines import Place, lines_of

#: Most mistakes of a file that are said at once.
MOST_SAID = 10
#: Beyond it a temperature is taken for kelvin.
HOT_DEGC = 150.0
Model = TypeVar("Model", bound=BaseModel)


class MisfitError(ValueError):
    """A mistake in how two places of a file fit, and where the wrong one is; for validators of a whole file.

    Parameters
    ----------
    place
        Keys and numbers that lead to the wrong one.
    sentence
        What is wrong, and what was expected.
    """

    def __init__(self, place: Place, sentence: str) -> None:
        super().__init__(sentence)
        self.place = place


def read_toml(
    path: Path, model: type[Model], usual: Mapping[str, Any] | None = None, given: Mapping[str, Any] | None = None
) -> Model:
    """Read a TOML file as a table of pydantic.

    Parameters
    ----------
    path
        The file.
    model
        What it is.
    usual, given
        Keys that count where the file has none, and keys that are no matter of the file.

    Raises
    ------
    InputError
        A sentence for each mistake, with line, key, what was found and what was expected.
    """
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        line = place.split()[1].strip(",") if place.startswith("line") else text.rstrip().count("\n") + 1
        raise InputError(message, where=f"{path}, line {line}", expected="TOML") from None
    except RecursionError:
        raise InputError("too many brackets in one another", where=str(path), expected="TOML") from None
    if not document:
        raise InputError("the file is empty", where=str(path), expected="keys and tables in TOML")
    for key in given or {}:
        if key in document:
            _, where = _where(lines_of(text), (key,))
            raise InputError(f"unknown key {key!r}", where=f"{path}, {where}")
    try:
        return model.model_validate(dict(usual or {}) | document | dict(given or {}))
    except ValidationError as error:
        raise _told(error, model, document, path, text) from None


def where_in(path: Path, place: Place) -> str:
    """File, line and dotted key of a place in a file."""
    return f"{path}, {_where(lines_of(_text(path)), place)[1]}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError("not a text in UTF-8", where=str(path), hint=f"byte {error.start} is none") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from None


def _told(
    error: ValidationError, model: type[BaseModel], document: Mapping[str, Any], path: Path, text: str
) -> InputError:
    """Say all mistakes of a file, in its order; a mistake counts once, however many kinds of a thing it rules out."""
    lines = lines_of(text)
    said: dict[Place, tuple[int, str]] = {}
    for each in error.errors():
        place = getattr(each.get("ctx", {}).get("error"), "place", None) or _place(each["loc"], document)
        place = _named(each["msg"], place, document)
        line, where = _where(lines, place)
        if place not in said or each["type"] == "value_error":  # that says more than that it is of no other kind
            said[place] = line, str(_mistake(each, place, model, document, f"{path}, {where}"))
    inner = {place[:i] for place in said for i in range(len(place))}  # what is wrong inside makes the outside wrong
    kept = [one for place, one in said.items() if place not in inner]
    sentences = [sentence for _, sentence in sorted(kept, key=lambda one: one[0])]
    more = [f"and {len(sentences) - MOST_SAID} more"] if len(sentences) > MOST_SAID else []
    return InputError("\n".join([*sentences[:MOST_SAID], *more]))


def _place(loc: Place, document: Any) -> Place:
    """Keys of the file that a place of pydantic stands for: between them it names kinds."""
    place: list[str | int] = []
    value = document
    for i, part in enumerate(loc):
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            if i + 1 < len(loc) or not isinstance(value, Mapping):
                continue
            place.append(part)  # the key that lacks
            break
        place.append(part)
    return tuple(place)


def _named(sentence: str, place: Place, document: Any) -> Place:
    """Place of the key of a table that a sentence about the table names."""
    for part in place:
        document = document.get(part) if isinstance(document, Mapping) else document[part]
    keys = list(document) if isinstance(document, Mapping) else []
    return next(((*place, key) for key in keys if repr(key) in sentence), place)


def _mistake(error: Any, place: Place, model: type[BaseModel], document: Mapping[str, Any], where: str) -> InputError:
    kind, found, key = error["type"], f"found {error['input']!r:.60}", str(place[-1]) if place else ""
    if kind == "missing":
        return InputError(f"no {key!r}", where=where)
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key, _keys(place[:-1], model, document), 1, cutoff=0.5)
        return InputError(f"unknown key {key!r}", where=where, hint=f"is {near[0]!r} meant?" if near else "")
    if kind == "value_error":
        return InputError(str(error["ctx"]["error"]), where=where)
    expected, hint = error["msg"].removeprefix("Input should be "), ""
    if kind == "union_tag_not_found":
        found, expected = "no 'kind'", "one, which says what it is"
    elif kind == "union_tag_invalid":
        found, expected = f"found kind {error['ctx']['tag']!r}", f"one of {error['ctx']['expected_tags']}"
    elif kind == "tuple_type" and isinstance(error["input"], Mapping):
        found, expected = "a table", f"an array of tables, [[{key}]]"
    elif any("_degC" in str(part) for part in place) and isinstance(error["input"], float | int):
        hint = "subtract 273.15 if it is in kelvin" if error["input"] > HOT_DEGC else ""
    return InputError(found, where=where, expected=expected, hint=hint)


def _keys(place: Place, model: type[BaseModel], document: Any) -> list[str]:
    """Keys that may stand at a place: of the tables of pydantic that are of the kind that the file says."""
    models = [model]
    for part in place:
        document = document[part]
        if isinstance(part, str):
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [inner for field in fields for inner in _models(field.annotation)]
    kind = document.get("kind")
    tagged = [
        model for model in models if kind in get_args(getattr(model.model_fields.get("kind"), "annotation", None))
    ]
    return sorted({name for model in tagged or models for name in model.model_fields})


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Tables of pydantic in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _where(lines: Mapping[Place, int], place: Place) -> tuple[int, str]:
    """Line, and line and dotted key in words; the line of its table where a key is not there."""
    known = place
    while known and known not in lines:
        known = known[:-1]
    line = lines.get(known, 1)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return line, f"line {line}, {key}" if key else f"line {line}"

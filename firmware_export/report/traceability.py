"""Where every function and every constant of a bundle comes from: read out of its own text, so that it cannot go stale.

A function's source is the comment above it, or above its declaration. What a file rests on as a whole stands in the
comment at its head: papers, and its twin in Python, where a function is looked for by its name. Tests are named by this
project's rule, ``tests/test_<package>_<module>.py``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from firmware_export.bundle import Bundle

_COMMENT = r"/\*(?:(?!\*/).)*\*/"
_HEAD = (
    rf"(?P<comment>^{_COMMENT}\n)?(?:^[A-Z]\w*_CODE\n)?"
    r"^(?P<type>[A-Za-z_][\w ]*?[ *])(?P<name>(?:ROM|UD)_\(\w+\)|[A-Za-z_]\w*)"
)
_TAKES = r"\((?:[^;{}()#]|\([^;{}()#]*\))*\)"
_FUNCTION = re.compile(rf"{_HEAD}{_TAKES}\n\{{", re.MULTILINE | re.DOTALL)
_DECLARED = re.compile(rf"{_HEAD}{_TAKES};", re.MULTILINE | re.DOTALL)
_CONSTANT = re.compile(r"/\* \[(?P<unit>[^\]]*)\] (?P<meaning>[^\n]*?) \*/\s*\.(?P<name>\w+) =")
_TWIN = re.compile(r"([\w./]+?)(?:\.py)?,? is (?:the|its) readable twin")

#: Functions whose twin has another name, or is a part of one, in the twin of their file.
_CALLED = {
    **dict.fromkeys(("observe", "correct", "shed", "around", "at_wall", "times", "surface", "face", "learn"), "step"),
    **dict.fromkeys(("covary", "fade", "warm"), "step"),
    "lookup": "_table", "charge": "soc_after", "heat": "heat_W", "filter": "step",
    **dict.fromkeys(("dot", "sum", "at", "open", "drive", "exchange"), "advance"),
    **dict.fromkeys(("joint_observe", "joint_update"), "step"),
    "joint_trust": "_trusted", "joint_expect": "_expected_K", "joint_unknown": "_predict", "shut": "_predict",
    "column": "_predict", "watch_start": "__init__", "apart": "_variance", "point": "at", "volts_predict": "move",
    "volts_update": "correct", "seen": "measure", "add": "plain_increment",
}  # fmt: skip
#: Functions whose twin is not in the twin of their file.
_ELSEWHERE = {"read": "firmware_export.form.read_out", "joint_read": "firmware_export.form.read_out"}
#: Tests that are not named after the file.
_TESTED = {
    **dict.fromkeys(("cell.h", "cell_model.h", "electrode.h"), "tests/test_bmsthermal_reduced_kernel.py"),
    "cell_filter.h": "tests/test_bmsthermal_reduced_filter.py", "real.h": "",
}  # fmt: skip


def traceability(bundle: Bundle) -> dict[str, Any]:
    """Trace a bundle: every file, every function, every constant, and the functions whose source is not written down.

    Parameters
    ----------
    bundle
        An export; its files are read.

    Returns
    -------
    dict
        ``files``, ``functions`` and ``constants``, lists of rows, and ``unsourced``, names of functions.
    """
    files, functions = [], []
    declared = _declared(bundle)
    for path in bundle.files:
        if path.suffix not in (".c", ".h"):
            continue
        text, package = path.read_text(encoding="utf-8"), _package(path.name, bundle)
        head = _words(match[0]) if (match := re.match(_COMMENT, text, re.DOTALL)) else ""
        twin = found[1].replace("/", ".") if (found := _TWIN.search(head)) else ""
        files.append({
            "file": path.name, "digest": str(bundle.manifest["files"].get(path.name, "")), "about": _about(head),
            "package": package, "rests_on": [part for part in _sentences(head) if re.search(r"\(\d{4}\)", part)],
            "twin": twin, "test": _TESTED.get(path.name, f"tests/test_{package}_{path.stem}.py") if package else "",
        })  # fmt: skip
        for match in _FUNCTION.finditer(text):
            functions.append({
                "function": _linked(match["name"], bundle.name), "file": path.name,
                "line": text.count("\n", 0, match.start("type")) + 1,
                "says": _words(match["comment"] or "") or declared.get(match["name"], ""),
                "twin": _twin_of(match["name"], twin),
            })  # fmt: skip
    return {
        "files": files,
        "functions": functions,
        "constants": _constants(bundle),
        "unsourced": [f"{row['function']} ({row['file']}:{row['line']})" for row in functions if not row["says"]],
    }


def _words(comment: str) -> str:
    """Text of a comment without its stars, on one line."""
    lines = [re.sub(r"^\s*\*(?!\w)", "", line) for line in comment.removeprefix("/*").removesuffix("\n").splitlines()]
    return " ".join(" ".join(lines).removesuffix("*/").removesuffix("/").split())


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.:;]) (?=[A-Z])", text)


def _about(head: str) -> str:
    """First sentence of a file's head, without its name."""
    return re.sub(r"^[\w.]+ - ", "", head.split(". ")[0]).removesuffix(".")


def _linked(name: str, prefix: str) -> str:
    """Name that a debugger shows: what the macros make of it."""
    return re.sub(r"UD_\((\w+)\)", rf"{prefix}_ud_\1", re.sub(r"ROM_\((\w+)\)", rf"{prefix}_kernel_\1", name))


def _package(file: str, bundle: Bundle) -> str:
    """Package that a text of the kernel was copied from; nothing for what was generated."""
    if file not in bundle.manifest["kernel"]:
        return ""
    return next((p for p in ("rom", "bmsthermal") if (resources.files(f"{p}.kernel") / file).is_file()), "")


def _declared(bundle: Bundle) -> dict[str, str]:
    """Comments above the declarations of the bundle's own header, by function."""
    text = (bundle.folder / f"{bundle.name}.h").read_text(encoding="utf-8")
    return {match["name"]: _words(match["comment"] or "") for match in _DECLARED.finditer(text)}


def _constants(bundle: Bundle) -> list[dict[str, Any]]:
    path = bundle.folder / f"{bundle.name}_model.c"
    text = path.read_text(encoding="utf-8")
    return [
        {
            "constant": match["name"], "unit": match["unit"], "meaning": match["meaning"], "file": path.name,
            "line": text.count("\n", 0, match.end()) + 1,
        }
        for match in _CONSTANT.finditer(text)
    ]  # fmt: skip


def _twin_of(name: str, twin: str) -> str:
    """Where a function's twin stands, ``module.name:line``; the twin of its whole file where none has its name."""
    bare = re.sub(r"\w+_\((\w+)\)", r"\1", name)
    if bare in _ELSEWHERE:
        module, _, function = _ELSEWHERE[bare].rpartition(".")
        return _definitions(module)[function]
    known, short = _definitions(twin), bare.partition("_")[2]
    for wanted in (_CALLED.get(bare, bare), bare, f"_{bare}", short, f"_{short}"):
        if wanted in known:
            return known[wanted]
    return twin


@cache
def _definitions(twin: str) -> dict[str, str]:
    """Functions and methods of a module, or of the module that a class is in: name to place."""
    for module in (twin, twin.rpartition(".")[0]):  # of a class: the module that it is in
        try:
            spec = find_spec(module) if module else None
        except ModuleNotFoundError:
            continue
        if spec and spec.origin and Path(spec.origin).suffix == ".py":
            tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
            return {node.name: f"{module}.{place}{node.name}:{node.lineno}" for place, node in _within(tree.body)}
    return {}


def _within(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions, and methods with the class that they are of."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.", each) for each in node.body if isinstance(each, ast.FunctionDef))

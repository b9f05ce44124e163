"""Text of C: numbers that read back to the last bit, names that a compiler takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bmsthermal.errors import InputError

if TYPE_CHECKING:
    from jinja2 import Environment

Real = Literal["float", "double"]

#: Number types of C as NumPy knows them.
DTYPES: dict[str, type[np.float32] | type[np.float64]] = {"float": np.float32, "double": np.float64}
#: C99 tells external names apart by 31 characters; the longest suffix is ``_selftest``.
LONGEST_NAME = 31 - len("_selftest")
#: Beginnings of the kernel's own names.
KERNEL = ("flt", "jnt", "obs", "rom", "ud", "vlt")
#: Files of a bundle and targets of make and CMake that are not named after it.
TAKEN = (
    "main", "vectors", "all", "check", "clean", "edit_cache", "help", "install", "package", "rebuild_cache", "test",
)  # fmt: skip
#: C's own headers, which a header of the bundle would hide.
HEADERS = (
    "assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits", "locale", "math", "setjmp",
    "signal", "stdalign", "stdarg", "stdatomic", "stdbool", "stddef", "stdint", "stdio", "stdlib", "stdnoreturn",
    "string", "tgmath", "threads", "time", "uchar", "wchar", "wctype",
)  # fmt: skip

_WORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "asm bool catch class delete explicit export false friend mutable namespace new operator private protected "
    "public template this throw true try typename using virtual"
)
_KEYWORDS = frozenset(_WORDS.split())
_STANDARD = re.compile(
    "NULL|EOF|FILE|NAN|INFINITY|BUFSIZ|RAND_MAX|std(in|out|err)|u?int(_least|_fast)?(8|16|32|64)_t|u?int(max|ptr)_t|"
    "(size|ssize|ptrdiff|wchar|max_align|time|clock)_t"
)
_LINE = 110


def literal(value: float, real: Real) -> str:
    """Shortest literal that a C compiler reads back to the same bits; absent values become ``ABSENT``.

    Parameters
    ----------
    value
        The number; for ``float`` it is rounded to single precision first.
    real
        Number type.

    Raises
    ------
    InputError
        If the number is infinite, or too large for the type.

    Examples
    --------
    >>> literal(298.15, "float"), literal(1e-12, "double"), literal(3, "float")
    ('298.15f', '1e-12', '3.0f')
    """
    with np.errstate(over="ignore"):
        rounded = DTYPES[real](value)
    if np.isnan(rounded):
        return "ABSENT"
    if np.isinf(rounded):
        raise InputError(f"the constant {value!r}", expected=f"a number that a {real} holds")
    return str(rounded) + ("f" if real == "float" else "")


def braces(values: ArrayLike, real: Real, indent: int) -> str:
    """Initialiser of a number, or of an array of any depth; long rows are wrapped at `indent` blanks."""
    array = np.asarray(values)
    if array.ndim == 0:
        return literal(float(array), real)
    if array.ndim == 1:
        return listing([literal(float(v), real) for v in array], indent)
    rows = [braces(row, real, indent + 4) for row in array]
    inner = f",\n{' ' * (indent + 4)}".join(rows)
    return f"{{\n{' ' * (indent + 4)}{inner}\n{' ' * indent}}}"


def listing(words: Iterable[str], indent: int) -> str:
    """Words between braces, wrapped where they would leave the page."""
    words = list(words)
    if indent + len(", ".join(words)) + 24 <= _LINE:
        return "{" + ", ".join(words) + "}"
    lines, line = [], ""
    for word in words:
        if indent + 4 + len(line) + len(word) + 2 > _LINE:
            lines.append(line.rstrip())
            line = ""
        line += word + ", "
    lines.append(line.rstrip(", "))
    inner = f"\n{' ' * (indent + 4)}".join(lines)
    return f"{{\n{' ' * (indent + 4)}{inner}\n{' ' * indent}}}"


def bits(values: ArrayLike, real: Real) -> list[str]:
    """Bit patterns of numbers as hexadecimal literals of unsigned integers of the same width."""
    dtype = DTYPES[real]
    width = 4 if real == "float" else 8
    whole = np.asarray(values, dtype).view(np.uint32 if width == 4 else np.uint64)
    return [f"0x{int(v):0{2 * width}x}" + ("u" if width == 4 else "ull") for v in whole]


def identifier(name: str, what: str = "name", option: str = "--name") -> str:
    """Return `name` if C takes it as the start of its own names; what is wrong names the `option` to mend it.

    Raises
    ------
    InputError
        If it is not an identifier, is reserved, or would make C's names collide.
    """
    hint = f"choose another with {option}"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        expected = "a C identifier: letters, digits and _, not a digit first"
        raise InputError(f"{what} {name!r}", expected=expected, hint=hint)
    if name in _KEYWORDS:
        raise InputError(f"{what} {name!r} is a keyword of C or C++", hint=hint)
    if name.startswith("_"):
        raise InputError(f"{what} {name!r} begins with _", expected="a name that C does not reserve", hint=hint)
    return name


def prefix(name: str, kernel: Iterable[str] = ()) -> str:
    """Return `name` if it can start the names of a bundle's files and functions; `kernel` are its other files.

    Raises
    ------
    InputError
        If it is not an identifier, is too long, or one of the kernel's files, of C's own headers, or of the names that
        kernel, make and CMake use; also where only case tells them apart.
    """
    identifier(name)
    if name.lower() in (*TAKEN, *KERNEL, *(file.removesuffix(".h") for file in kernel)):
        raise InputError(f"name {name!r} is one of the bundle's own", hint="choose another with --name")
    if name.lower() in HEADERS or _STANDARD.fullmatch(name):
        raise InputError(f"name {name!r} belongs to C's standard headers", hint="choose another with --name")
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"name {name!r} has {len(name)} characters",
            expected=f"at most {LONGEST_NAME}, since C99 tells names apart by 31",
            hint="choose a shorter one with --name",
        )
    return name


def as_identifier(text: str) -> str:
    """Turn a cell's name into an identifier: what C does not take becomes ``_``."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")
    return f"cell_{name}" if not name or name[0].isdigit() or name in _KEYWORDS else name


def aligned(text: str) -> str:
    """Move the comments of consecutive declarations into one column."""
    rows = [line.split(" /* ", 1) for line in text.splitlines()]
    width = max((len(row[0]) for row in rows if len(row) == 2), default=0)
    return "\n".join(f"{row[0]:<{width}} /* {row[1]}" if len(row) == 2 else row[0] for row in rows) + "\n"


def comment(text: str) -> str:
    """Text that is safe inside a comment of C."""
    return re.sub(r"\?{2,}", "?", re.sub(r"[^ -~]", "_", text)).replace("*/", "* /")


def environment(real: Real) -> Environment:
    """Templates of this package; an undefined name in one of them is an error.

    Filters: ``num`` (literal), ``init`` (initialiser), ``bits``, ``aligned`` and ``comment``.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    env = Environment(
        loader=PackageLoader("firmware_export", "templates"), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    env.filters["num"] = lambda value: literal(value, real)
    env.filters["init"] = lambda values, indent: braces(values, real, indent)
    env.filters["bits"] = lambda values, indent: listing(bits(values, real), indent)
    env.filters["aligned"] = aligned
    env.filters["comment"] = comment
    return env


def filled(templates: Mapping[str, str], context: Mapping[str, Any], real: Real, name: str) -> dict[str, bytes]:
    """Each file of a bundle, named by what `templates` call it with the bundle's name, from its template."""
    env = environment(real)
    return {
        file.format(name=name): env.get_template(f"{template}.jinja").render(context).encode()
        for file, template in templates.items()
    }

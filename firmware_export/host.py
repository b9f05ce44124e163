"""The host's compiler: whether a bundle compiles cleanly, passes its self-test, and how large it is."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bmsthermal.errors import InputError
from firmware_export.folder import MANIFEST

#: What every file of a bundle compiles under, without a warning.
STRICT = (
    "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wdouble-promotion", "-Werror",
    "-ffp-contract=off",
)  # fmt: skip
#: Longest that a compiler, or what it made, may run.
PATIENCE_S = 600
#: What to say where there is none.
NO_COMPILER = "no C compiler found (CC, cc, gcc or clang): the bundle was not compiled here"
UNCHECKED = "the folder is complete but unchecked, name another C compiler with CC"


@dataclass(frozen=True)
class HostReport:
    """What the host's compiler made of a bundle.

    Parameters
    ----------
    compiler
        First line of its version.
    failed_look
        0 if the self-test passed, else the number of the first look that differs.
    text_B, data_B, bss_B
        Size of the kernel and its constants without self-test and main, -O2;
        None where ``size`` is not there.
    """

    compiler: str
    failed_look: int
    text_B: int | None = None
    data_B: int | None = None
    bss_B: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the self-test found every bit in its place."""
        return self.failed_look == 0

    def __str__(self) -> str:
        verdict = "self-test passed" if self.passed else f"self-test: look {self.failed_look} differs"
        size = "" if self.text_B is None else f", {self.text_B} B text, {self.data_B} B data, {self.bss_B} B bss"
        return f"{verdict}{size} ({self.compiler})"


def find_compiler() -> list[str] | None:
    """Command of a C compiler: ``CC`` if set, else cc, gcc or clang; None where there is none.

    Raises
    ------
    InputError
        If ``CC`` names a program that is not there, or cannot be split into words.
    """
    try:
        given = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        found = f"{os.environ['CC']!r} is no command ({error})"
        raise InputError(found, where="CC", hint="unset it or name a C compiler") from None
    if given:
        if shutil.which(given[0]) is None:
            raise InputError(f"no program {given[0]!r}", where="CC", hint="unset it or name a C compiler")
        return given
    return next(([name] for name in ("cc", "gcc", "clang") if shutil.which(name)), None)


def compile_bundle(
    folder: Path,
    sources: Sequence[str],
    output: Path,
    *flags: str,
    compiler: Sequence[str] | None = None,
    hint: str = UNCHECKED,
) -> Path:
    """Compile files of a bundle with the strict flags.

    Parameters
    ----------
    folder
        The bundle.
    sources
        Its files to compile.
    output
        What to write: a program, or what `flags` say.
    flags
        Further flags, after the strict ones and -O2.
    compiler
        Command; by default what `find_compiler` finds.
    hint
        What to do about one that fails.

    Raises
    ------
    InputError
        If there is no compiler, or it refuses the text; with the first error that it names.
    """
    compiler = compiler or find_compiler()
    if compiler is None:
        raise InputError(NO_COMPILER)
    files = [str(Path(folder) / source) for source in sources]
    command = [*compiler, *STRICT, "-O2", *flags, *files, "-o", str(output)]
    done = _run(command, folder)
    if done.returncode or not output.exists():
        raise _unchecked(folder, shlex.join(compiler), _first_words(done), hint)
    return output


def _run(command: Sequence[str | Path], folder: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, input=text, capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired as error:
        raise _unchecked(folder, str(command[0]), f"no end after {PATIENCE_S} s") from error
    except OSError as error:
        raise _unchecked(folder, str(command[0]), str(error.strerror)) from error


def _first_words(done: subprocess.CompletedProcess[str]) -> str:
    """First line that a program complained with, without those that only say where it is."""
    lines = done.stderr.strip().splitlines() or [f"no output, exit code {done.returncode}"]
    return next((line for line in lines if not line.startswith(("In file", " ")) and line[-1:] not in ":,"), lines[0])


def _unchecked(folder: Path, command: str, said: str, hint: str = UNCHECKED) -> InputError:
    return InputError(f"{command!r} failed ({said})", where=str(folder), hint=hint)


def check_host(folder: Path, name: str) -> HostReport | None:
    """Compile a bundle, run its self-test and a drive of one step; None where there is no compiler.

    Raises
    ------
    InputError
        If the compiler fails, or what it makes does not run here.
    """
    compiler = find_compiler()
    if compiler is None:
        return None
    version = _run([*compiler, "--version"], folder).stdout
    first = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["inputs"][0]
    sources = [f"{name}.c", f"{name}_model.c", f"{name}_selftest.c", "main.c"]
    with tempfile.TemporaryDirectory() as place:
        program = compile_bundle(folder, sources, Path(place) / "host", compiler=compiler)
        done = _run([program, "298.15", "0.5"], folder, f"{first}\n1\n")
        failed = 0
        if done.returncode:
            words = done.stderr.split()
            if "look" not in words:
                raise _unchecked(folder, program.name, _first_words(done))
            failed = int(words[words.index("look") + 1])
        objects = [
            compile_bundle(folder, [source], Path(place) / f"{source}.o", "-c", compiler=compiler)
            for source in sources[:2]
        ]
        return HostReport((version.splitlines() or [compiler[0]])[0], failed, *_sizes(objects))


def _sizes(objects: Sequence[Path]) -> tuple[int, int, int] | tuple[()]:
    if shutil.which("size") is None:
        return ()
    done = subprocess.run(["size", *map(str, objects)], capture_output=True, text=True, errors="replace", check=False)
    try:
        rows = [[int(word) for word in line.split()[:3]] for line in done.stdout.splitlines()[1:]]
        text, data, bss = (sum(column) for column in zip(*rows, strict=True))
    except ValueError:
        return ()
    return text, data, bss

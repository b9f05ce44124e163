"""The one command: sub-commands come from the packages that do the work."""

from __future__ import annotations

import io
import os
import sys
import warnings
from importlib.metadata import entry_points, version
from typing import Annotated, NoReturn

import typer

from bmsthermal.errors import InputError

#: Exit code of a program that was interrupted, by the custom of shells.
INTERRUPTED = 130


def application() -> typer.Typer:
    """Gather the sub-commands that the installed packages offer (entry points ``bmsthermal.commands``)."""
    app = typer.Typer(
        name="bmsthermal",
        help="From a cell's parameters to the small observer that knows its core temperature.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for entry in sorted(entry_points(group="bmsthermal.commands"), key=lambda entry: entry.name):
        entry.load()(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bmsthermal {version('bmsthermal')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    warnings.showwarning = _say
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that has no letter for it
        application()()
    except InputError as error:
        _stop(2, f"error: {error}")
    except KeyboardInterrupt:
        _stop(INTERRUPTED)
    except SystemExit as stop:
        _stop(stop.code)
    except OSError as error:
        # files have sentences of their own: what is left is standard output, and it would fail again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _stop(1, f"error: {error.filename or 'standard output'}: cannot be written ({error.strerror})")


def _stop(code: str | int | None, sentence: str = "") -> NoReturn:
    if code == INTERRUPTED:
        sentence = "interrupted: nothing was half-written"
    if sentence:
        print(sentence, file=sys.stderr)
    sys.exit(code)


def _say(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)

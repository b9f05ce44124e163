"""The one command: sub-commands come from the packages that do the work."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import entry_points

import typer

from bmsthermal.errors import InputError


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
    for entry in sorted(entry_points(group="bmsthermal.commands"), key=lambda entry: entry.name):
        entry.load()(app)
    return app


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    warnings.showwarning = _say
    try:
        application()()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _say(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)

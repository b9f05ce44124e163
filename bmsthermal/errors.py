"""What went wrong, said so that a person can mend it."""

from __future__ import annotations


class InputError(ValueError):
    """A mistake in what the user gave: a file, a column, an option, an argument.

    The message is one sentence that says what was wrong, where, what was
    expected and what to do. The command line prints it without a traceback
    and exits with code 2.

    Parameters
    ----------
    what
        What is wrong, with the value found.
    where
        The file, key, column or row, if there is one.
    expected
        What would have been right.
    hint
        What to do about it.

    Examples
    --------
    >>> print(InputError("no column 'voltage_V'", where="drive.csv", hint="map it with --columns"))
    drive.csv: no column 'voltage_V'; map it with --columns
    """

    def __init__(self, what: str, *, where: str = "", expected: str = "", hint: str = "") -> None:
        sentence = f"{where}: {what}" if where else what
        if expected:
            sentence += f", expected {expected}"
        if hint:
            sentence += f"; {hint}"
        super().__init__(sentence)


class InputWarning(UserWarning):
    """Something in the input is legal but implausible, such as a current in mA."""

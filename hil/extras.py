"""Packages that come as extras: imported where they are used, and a sentence where they are not there."""

from __future__ import annotations

import importlib
from typing import Any

from bmsthermal.errors import InputError

#: What brings each, and what is called by another name than its package.
_EXTRAS = {
    "can": "can", "cantools": "can", "crccheck": "can", "serial": "serial", "junitparser": "hil", "asammdf": "mdf",
    "fmpy": "fmi",
}  # fmt: skip
_NAMES = {"can": "python-can", "serial": "pyserial"}


def extra(module: str, what: str) -> Any:
    """Import a module that an extra brings.

    Parameters
    ----------
    module
        Its name.
    what
        What needs it, as the begin of a sentence.

    Raises
    ------
    InputError
        If it is not there, with what to install.
    """
    package = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{what} needs {_NAMES.get(package, package)}, which is missing",
            hint=f'pip install "bmsthermal[{_EXTRAS[package]}]"',
        ) from error

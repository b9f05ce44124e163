"""How a module of these packages is started in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def command_of(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment that run a module, with these very packages, whatever folder it is started in.

    Parameters
    ----------
    module
        Its name.
    arguments
        For it.
    """
    around = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    # -P: nothing is imported from the folder that it happens to run in
    command = [sys.executable, "-P", "-m", module, *arguments]
    return command, {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, around))}

"""What tools of others say of an exported bundle: each finds nothing in it, and finds a bug that was put into a copy.

The walk: `prove` runs every tool that is there, in the order of this package's files: ``misra`` and ``analysers`` read
the text, ``eva`` proves one step over a box of states and inputs, ``fuzz`` runs many of them, and ``coverage`` tells
what the tests pass through.
"""

from firmware_export.prove.verdict import Verdict

__all__ = ["Verdict"]

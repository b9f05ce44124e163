"""Model order reduction of passive linear systems, and the compiled step that runs the result.

Full operators go in, a small, stable state-space model comes out. Nothing in
this package knows what a battery is.
"""

from rom.passive import PassiveSystem
from rom.statespace import StateSpace

__all__ = ["PassiveSystem", "StateSpace"]

r"""Small-signal model about a state.

With :math:`M\dot y = f(y, u)`, algebraic unknowns *a* and differential ones *d*:

.. math:: M_d \delta\dot y_d = (f_{dd} - f_{da} f_{aa}^{-1} f_{ad})\,\delta y_d
    + (f_{du} - f_{da} f_{aa}^{-1} f_{au})\,\delta u
"""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import splu

from bmsthermal.dfn.equations import INTEGRALS, Equations
from bmsthermal.dfn.inputs import CONTROL, COOLANT
from bmsthermal.dfn.integrate import State
from bmsthermal.errors import InputError
from rom import StateSpace


def check_state(equations: Equations, at: State) -> None:
    """Hold a state against the model that it is said to be of.

    Raises
    ------
    InputError
        If it is no state, or another model's.
    """
    n = len(equations.system.mass)
    if not isinstance(at, State):
        raise InputError(f"a {type(at).__name__}", expected="a state of this model: run.at(time_s) or run.end")
    if at.y.shape != (n,):
        raise InputError(f"a state of {at.y.size} unknowns", expected=f"one of this model, with {n}")


def linearise(equations: Equations, at: State) -> StateSpace:
    """Continuous state space about a state; see `bmsthermal.coupled.CoupledModel.linearise`."""
    check_state(equations, at)
    system, places, n = equations.system, equations.places, len(equations.system.mass)
    totals = np.concatenate([places[name] for name in INTEGRALS])
    algebraic = system.assembly.algebraic
    differential = np.setdiff1d(np.flatnonzero(system.mass), totals)
    J = system.jacobian(at.y, at.u)
    walls = equations.heat.walls
    driven = [CONTROL.index("control_target"), *range(COOLANT, COOLANT + len(walls))]
    base = np.asarray(system.right(at.y, at.u)).ravel()
    unit = np.eye(len(at.u))
    gain = np.array(
        [np.asarray(system.right(at.y, at.u + unit[k])).ravel() - base for k in driven]
    ).T  # f is affine in u
    block = splu(J[algebraic][:, algebraic].tocsc())
    to_state = -block.solve(J[algebraic][:, differential].toarray())
    to_input = -block.solve(gain[algebraic])
    coupling = J[differential][:, algebraic]
    mass = system.mass[differential][:, None]
    A = (J[differential][:, differential].toarray() + coupling @ to_state) / mass
    B = (gain[differential] + coupling @ to_input) / mass
    rows = np.zeros((2 + len(equations.heat.outputs), n))
    rows[0, places["V"]] = 1.0
    rows[1, places["Q"]] = 1.0
    rows[2:, places["T"]] = equations.heat.outputs
    C = rows[:, differential] + rows[:, algebraic] @ to_state
    D = rows[:, algebraic] @ to_input
    control = {0: "current_A", 1: "voltage_V", 2: "power_W"}[int(np.argmax(at.u[:3] != 0))]
    inputs = (control, *(f"coolant_{w}_K" for w in walls))
    outputs = ("voltage_V", "heat_W", "core_K", "mean_K", *(f"surface_{w}_K" for w in walls))
    return StateSpace(A, B, C, D, 0.0, inputs, outputs)

r"""Small-signal model about a state.

With :math:`M\dot y = f(y, u)`, algebraic unknowns *a* and differential ones *d*:

.. math:: M_d \delta\dot y_d = (f_{dd} - f_{da} f_{aa}^{-1} f_{ad})\,\delta y_d
    + (f_{du} - f_{da} f_{aa}^{-1} f_{au})\,\delta u
"""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import splu

from bmsthermal.dfn.equations import INTEGRALS, Equations
from bmsthermal.dfn.inputs import CONTROL, COOLANT, names
from bmsthermal.dfn.integrate import State
from bmsthermal.errors import InputError
from rom import StateSpace

#: What unknowns of a state can be, by block: another model of the same size has others in their places.
#: A solved stoichiometry may lie beyond its bounds by the error of the solver.
PLAUSIBLE = {
    "x_negative": ("stoichiometry of the negative electrode", -0.01, 1.01),
    "x_positive": ("stoichiometry of the positive electrode", -0.01, 1.01),
    "T": ("temperature", 150.0, 1500.0),
    "T_sandwich": ("temperature through the sandwich", 150.0, 1500.0),
}


def check_state(equations: Equations, at: State) -> None:
    """Hold a state against the model that it is said to be of.

    Raises
    ------
    InputError
        If it is no state, holds what is not a number, or is another model's.
    """
    size, inputs = len(equations.system.mass), len(names(equations.heat.walls))
    hint = "take run.at(time_s) or run.end of a run of this model"
    if not isinstance(at, State):
        raise InputError(f"a {type(at).__name__}", expected="a state of this model: run.at(time_s) or run.end")
    for name, values, count in (("unknowns", at.y, size), ("inputs", at.u, inputs)):
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
            raise InputError(f"a state whose {name} are no array of numbers", expected=f"{count} numbers", hint=hint)
        if values.shape != (count,):
            raise InputError(f"a state of {values.size} {name}", expected=f"one of this model, with {count}")
        if not np.isfinite(values).all():
            first = int(np.argmin(np.isfinite(values)))
            raise InputError(
                f"a state whose {name} are not all numbers: {values[first]:g} in place {first}",
                expected="finite numbers", hint=hint,
            )  # fmt: skip
    for block, (what, low, high) in PLAUSIBLE.items():
        values = at.y[equations.places[block]] if block in equations.places else np.empty(0)
        wrong = values[(values < low) | (values > high)]
        if wrong.size:
            raise InputError(
                f"a state with a {what} of {wrong[0]:.4g}", expected=f"{round(low):g} to {round(high):g}", hint=hint
            )


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

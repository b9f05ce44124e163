"""The two forms of an exported filter: what its state and its output are, number by number.

``ekf`` keeps the covariance packed; ``ud`` keeps it as factors that rounding cannot make negative, carries what
rounding takes from its states, and estimates what the observer does beside the temperatures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bmsthermal.errors import InputError
from bmsthermal.faults import CELL, CODE, HEAT, HOT, SENSOR, VARIANCE
from bmsthermal.fixed import FixedObserver, PackedFixed
from bmsthermal.joint import MOST_LOG_H, Layout
from bmsthermal.joint_packing import PackedJoint
from bmsthermal.packing import Packed
from bmsthermal.voltage import ROW as VOLTS
from firmware_export.render import DTYPES, Real

if TYPE_CHECKING:
    from bmsthermal._observer import Kernel
    from bmsthermal.observer import Observer

Row = NDArray[np.floating]


@dataclass(frozen=True)
class Number:
    """A member of a struct: one number, or `count` of them."""

    name: str
    count: int | None
    meaning: str

    @property
    def size(self) -> int:
        """How many numbers it is."""
        return 1 if self.count is None else self.count


#: What an input of Python has, in its order.
INPUTS = ("current_A", "voltage_V", "heat_W", "coolant_K", "conductance_W_K")
#: What the voltage tells.
TOLD = (
    Number("soc_variance", None, "of the state of charge"),
    Number("log_growth", None, "logarithm of the resistance's fast part over the model's"),
    Number("log_growth_variance", None, "of it"),
    Number("voltage_innovation_V", None, "reading minus expectation; 0 where absent"),
    Number("voltage_variance_V2", None, "0 where absent"),
)  # fmt: skip


@dataclass(frozen=True)
class Form:
    """How an observer is kept on a target.

    Parameters
    ----------
    name
        ``ekf``, ``ud`` or ``fixed-gain``.
    kernel
        Its texts, by package.
    inputs, state, output
        Members of the structs, in their order.
    packed
        The constants.
    cell
        Those of the thermal observer.
    given
        Whether the caller knows the heat: current, voltage, charge and another cooling are then left out.
    """

    name: str
    kernel: dict[str, str]
    inputs: tuple[Number, ...]
    state: tuple[Number, ...]
    output: tuple[Number, ...]
    packed: Packed | PackedJoint | PackedFixed
    cell: Packed
    given: bool = False

    @property
    def numbers(self) -> int:
        """Numbers of a state."""
        return sum(each.size for each in self.state)

    @property
    def soc_at(self) -> int:
        """Place of the state of charge in a row of Python: where the voltage is a measurement, its first number."""
        if self.name != "ud":
            n = len(self.cell.decay)
            return n + n * (n + 1) // 2
        names = [each.name for each in self.state]
        return sum(each.size for each in self.state[: names.index("volts" if "volts" in names else "soc")])

    def taken(self, walls: int) -> NDArray[np.bool_]:
        """Which numbers of an input of Python the target takes ``(3 + 2 walls,)``."""
        names = [each.name for each in self.inputs]
        return np.repeat([name in names for name in INPUTS], [1, 1, 1, walls, walls])

    def kept(self, rows: Row) -> Row:
        """What the target keeps of states of the Python build ``(..., numbers)``."""
        if self.name == "ud":
            return rows
        n = len(self.cell.decay) if self.name == "fixed-gain" else self.soc_at
        return np.concatenate([rows[..., :n], *([] if self.given else [rows[..., self.soc_at :]])], axis=-1)

    def engine(self, dtype: DTypeLike, sensors: int, cells: int = 1) -> Kernel:
        """Return the Python build of this form, with a state of its own."""
        from bmsthermal._observer import Kernel

        n, w, gains = len(self.cell.decay), len(self.cell.wall), "fixed" if self.name == "fixed-gain" else "own"
        return Kernel(self.packed.row(dtype), n, w, sensors, cells, joint=self.name == "ud", gains=gains)

    def row(self, dtype: DTypeLike, sensors: int) -> Row:
        """Constants as the target has them."""
        if isinstance(self.packed, PackedJoint):
            return self.packed.row(dtype, sensors)
        return self.packed.row(dtype, sensors, self.given)


def form_of(observer: Observer, given: bool = False) -> Form:
    """Form of an observer: ``ud`` where its covariance is factored; see `Form` for `given`.

    Raises
    ------
    InputError
        If the heat is given to an observer that estimates more than temperatures or keeps factors.
    """
    from bmsthermal.jointly import JointObserver

    n, m, fixed = observer.reduced.order, len(observer.measured), isinstance(observer, FixedObserver)
    shown = (
        Number("core_K", None, "by _get, from here"), Number("core_variance_K2", None, "of the core"),
        Number("mean_K", None, "over the heat capacity"),
        Number("surface_K", None, f"at the wall {observer.reduced.walls[0]}"),
        Number("surface_variance_K2", None, "of the surface"),
    )  # fmt: skip
    stepped = (
        Number("heat_W", None, "by _step, from here: released in the step"),
        Number("innovation_K", m, "reading minus expectation; 0 where absent"),
        Number("innovation_variance_K2", m, "0 where absent"),
    )
    soc = Number("soc", None, "state of charge, 0 to 1")
    thermal = "K at the first wall, above the reference temperature, mode by mode"
    kernel = {"real.h": "rom.kernel", "step.h": "rom.kernel"}
    kernel |= {"heat.h": "bmsthermal.kernel", "fixed.h" if fixed else "observer.h": "bmsthermal.kernel"}
    walls = len(observer.reduced.walls)
    heat = Number("heat_W", None, "released over the step; absent: unknown")
    coolant = Number("coolant_K", walls, "an absent one insulates its wall")
    if not given:
        heat = Number("heat_W", None, "normally absent; replaces what current and voltage say")
    inputs: tuple[Number, ...] = (
        Number("current_A", None, "positive discharges"), Number("voltage_V", None, "of the terminals"),
        heat, coolant, Number("conductance_W_K", walls, "h times area; normally absent: the model's own"),
    )  # fmt: skip
    inputs = (heat, coolant) if given else inputs[:4] if fixed else inputs
    if not isinstance(observer, JointObserver):
        P = Number("P", n * (n + 1) // 2, "K2, covariance of x, lower triangle by rows")
        state = (Number("x", n, thermal), *(() if fixed else (P,)), *(() if given else (soc,)))
        packed = observer.packed_fixed if isinstance(observer, FixedObserver) else observer.packed
        name = "fixed-gain" if fixed else "ekf"
        kernel |= {} if fixed or given else {"shared.h": "bmsthermal.kernel"}
        return Form(name, kernel, inputs, state, shown + stepped, packed, observer.packed, given)
    if given:
        raise InputError(
            "heat that is given, to an observer that keeps factors",
            expected="form='ekf' or 'fixed-gain' (--form)",
            hint="its heat_W may be given at any step: see the bundle's README",
        )  # fmt: skip
    layout = observer.layout
    at, N = layout.places, layout.states
    beside = (
        ("h_factor", "h", "heat-transfer coefficient over the model's own"),
        ("log_h_variance", "h", "of its logarithm"), ("slow_heat_W", "heat", "heat not accounted for"),
        ("slow_heat_variance_W2", "heat", "of it"), ("bias_K", "bias", "of each sensor"),
        ("bias_variance_K2", "bias", "of it"),
    )  # fmt: skip
    watched, texts = observer.packed_joint.rules is not None, {"elementary.h": "rom.kernel", "ud.h": "rom.kernel"}
    texts |= {"faults.h": "bmsthermal.kernel"} if watched else {}
    faults = (
        Number("fault", m, "of each sensor: 0 none, 1 absent, 2 open, 3 short, 4 bias, 5 stuck, 6 drift, 7 swap"),
        Number("unaccounted_heat_W", None, "heat that nobody accounts for"),
        Number("unaccounted_heat_variance_W2", None, "of it"),
        Number("heat_fault", None, "1 where it is more than errors of heat and cooling explain"),
    )
    watch = Number("watch", CELL + SENSOR * m, "what the watch over the sensors remembers: see faults.h")
    counted = [(name, at[kind].stop - at[kind].start, meaning) for name, kind, meaning in beside]
    volts: tuple[Number, ...] = ()
    if observer.packed_joint.voltage is not None:
        texts |= {"voltage.h": "bmsthermal.kernel"}
        volts = (Number("volts", VOLTS, "charge, and what else the voltage tells: see voltage.h"),)
    return Form(
        "ud",
        kernel | texts | {"joint.h": "bmsthermal.kernel"},
        inputs,
        (
            Number("x", N, f"{thermal}; then what is estimated beside"),
            Number("carry", N, "what rounding took from x"),
            Number("ud", N * (N + 1) // 2, "U and, on its diagonal, D of the covariance, by rows"), *volts,
            *((watch,) if watched else ()), soc, Number("soc_carry", None, "what rounding took from it"),
            Number("mean_heat_W", None, "running mean of the heat"),
        ),
        shown + tuple(Number(*each) for each in counted if each[1]) + (TOLD if volts else ())
        + (faults if watched else ()) + stepped,
        observer.packed_joint, observer.packed,
    )  # fmt: skip


def start_row(observer: Observer, form: Form, surface_K: float, soc: float, real: Real) -> Row:
    """State as ``<name>_init`` makes it: one temperature everywhere, subtracted in the target's precision."""
    dtype, cell = DTYPES[real], form.cell
    row: Row = observer.start(surface_K, soc).row.astype(dtype)
    row[0] = dtype(surface_K) - dtype(cell.reference_K)
    if isinstance(form.packed, PackedJoint) and form.packed.lag_states:
        layout: Layout = observer.layout  # type: ignore[attr-defined]
        around = dtype(surface_K) - dtype(cell.coolant_reference_K)
        for k, (sense, mixed) in enumerate(zip(cell.sense.astype(dtype), cell.mixed.astype(dtype), strict=True)):
            reading = sense[0] * row[0]
            for share in mixed:
                reading = reading + share * around
            row[layout.of("reading", k)] = reading
    if isinstance(form.packed, PackedJoint) and form.packed.voltage is not None:
        usual = observer.start(cell.reference_K, 0.5).row.astype(dtype)
        row[form.soc_at + 1 : form.soc_at + VOLTS] = usual[form.soc_at + 1 : form.soc_at + VOLTS]
    return row


def read_out(form: Form, layout: Layout | None, state: Row, out: Row, sensors: int) -> Row:
    """Output row as ``<name>_get`` makes it, operation by operation in the state's precision."""
    dtype, cell, n = state.dtype.type, form.cell, len(form.cell.decay)
    x, at = state[:n], layout.places if layout else {}
    wall, reference = cell.wall[0].astype(dtype), dtype(cell.reference_K)
    room = (len(out) - 1) // 2

    def read(row: Row) -> tuple[np.floating, np.floating]:
        above = _dot(row, x)
        gradient = above - _dot(wall, x)
        if isinstance(form.packed, PackedFixed):
            ends_at = dtype(form.packed.core_variance_K2)
            return reference + above, ends_at + dtype(cell.gradient_variance) * (gradient * gradient)
        spread = _spread_ud(row, state, layout) if layout else _spread(row, state, n)
        return reference + above, spread + dtype(cell.gradient_variance) * (gradient * gradient) + dtype(
            cell.offset_variance
        )

    beside: list[np.floating] = []
    for kind in ("h", "heat", "bias"):
        places = range(at[kind].start, at[kind].stop) if layout else range(0)
        beside += [_factor(state[i]) if kind == "h" else state[i] for i in places]
        beside += [_variance_ud(i, state, layout) for i in places] if layout else []
    if isinstance(form.packed, PackedJoint) and form.packed.voltage is not None:
        volts = state[form.soc_at : form.soc_at + VOLTS]
        both = _square(volts[10:-2], 5)
        beside += [_variance_of(0, both), volts[1], _variance_of(1, both), *volts[-2:]]
    if isinstance(form.packed, PackedJoint) and form.packed.rules is not None:
        watch = state[-3 - CELL - SENSOR * sensors : -3]
        beside += [*watch[CELL + CODE :: SENSOR], watch[HEAT], watch[VARIANCE], watch[HOT]]

    def read_wall() -> tuple[np.floating, np.floating]:
        if layout:
            return read(wall)
        if isinstance(form.packed, PackedFixed):
            return reference + _dot(wall, x), dtype(form.packed.wall_variance_K2)
        spread = _level(state, n) if len(cell.wall) < 3 else _spread(wall, state, n)
        return reference + _dot(wall, x), spread + dtype(cell.offset_variance)

    mean = reference + dtype(cell.mean) * x[0]
    return np.array(
        [*read(cell.core.astype(dtype)), mean, *read_wall(), *beside, out[0], *out[1 : 1 + sensors],
         *out[1 + room : 1 + room + sensors]], dtype,
    )  # fmt: skip


def _dot(a: Row, b: Row) -> np.floating:
    total: np.floating = a[0] * b[0]
    for k in range(1, len(a)):
        total = total + a[k] * b[k]
    return total


def _spread(row: Row, state: Row, n: int) -> np.floating:
    """``row P row'`` of a packed covariance, as ``spread`` of observer.h."""
    P, dtype = _packed(state, n), state.dtype.type
    total: np.floating = dtype(0.0)
    for i in range(n):
        half = dtype(0.5) * row[i] * P[i, i]
        for j in range(i):
            half = half + row[j] * P[i, j]
        total = total + row[i] * half
    return total + total


def _level(state: Row, n: int) -> np.floating:
    """The same of a row of ones, as ``read_wall`` of observer.h."""
    P, dtype = _packed(state, n), state.dtype.type
    once, twice = P[0, 0], dtype(0.0)
    for i in range(1, n):
        once = once + P[i, i]
        for j in range(i):
            twice = twice + P[i, j]
    total: np.floating = once + (twice + twice)
    return total


def _packed(state: Row, n: int) -> Row:
    """Symmetric covariance of a state of observer.h."""
    P = np.empty((n, n), state.dtype)
    i, j = np.tril_indices(n)
    P[i, j] = P[j, i] = state[n:-1]
    return P


def _factors(state: Row, layout: Layout) -> Row:
    """``U`` with ``D`` on its diagonal."""
    N = layout.states
    return _square(state[2 * N : N * (N + 5) // 2], N)


def _square(factors: Row, n: int) -> Row:
    both = np.zeros((n, n), factors.dtype)
    both[np.triu_indices(n)] = factors
    return both


def _spread_ud(row: Row, state: Row, layout: Layout) -> np.floating:
    """``row P row'`` of factors, as ``spread`` of ud.h, with zeros after the thermal states."""
    both, dtype = _factors(state, layout), state.dtype.type
    whole = np.concatenate([row, np.zeros(layout.states - len(row), dtype)])
    total: np.floating = dtype(0.0)
    for j in range(layout.states):
        f = whole[j]
        for i in range(j):
            f = f + whole[i] * both[i, j]
        total = total + both[j, j] * f * f
    return total


def _variance_ud(i: int, state: Row, layout: Layout) -> np.floating:
    """Variance of a state, as ``variance`` of ud.h."""
    return _variance_of(i, _factors(state, layout))


def _variance_of(i: int, both: Row) -> np.floating:
    total: np.floating = both[i, i]
    for j in range(i + 1, len(both)):
        total = total + both[j, j] * both[i, j] * both[i, j]
    return total


def _factor(log_h: np.floating) -> np.floating:
    """``rom_exp`` of elementary.h, of what ``held`` of joint.h leaves."""
    dtype = type(log_h)
    x = dtype(np.clip(log_h, -MOST_LOG_H, MOST_LOG_H))
    wide = dtype is np.float64
    turns = x * dtype(1.4426950408889634)
    k = int(turns + dtype(-0.5 if turns < 0 else 0.5))
    high, low = (6.93147180369123816490e-01, 1.90821492927058770002e-10) if wide else (0.693359375, -2.12194440e-4)
    r = (x - dtype(k) * dtype(high)) - dtype(k) * dtype(low)
    terms = [dtype(1.0)]
    for i in range(1, 14 if wide else 8):
        terms.append(dtype(1.0) / dtype(np.prod(np.arange(1.0, i + 1))))
    total = terms[-1]
    for term in terms[-2::-1]:
        total = total * r + term
    return dtype(np.ldexp(total, k))

"""What reduced models are held against: runs of the full model at twice its default mesh, kept in a folder.

One file a run, ``CELL_KIND_DEGC_H.npz`` with columns in SI units. A run is judged until the full model stops, somewhere
has less than 50 mol/m3 of salt, or its core is at 80 degC.
"""

from __future__ import annotations

import copy
import io
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bmsthermal import Cell, CoupledModel, Run, load_cell
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.files import ZERO_DEGC_K, write_whole
from bmsthermal.profiles import profile_of

Array = np.ndarray
CELLS, CONSTANT, DRIVES = ("lgm50_21700", "lco_marquis"), ("0.5", "1", "2", "3"), ("us06", "udds", "wltc_3b")
#: Reported and not scored: diffusivities that change up to 270-fold with the filling.
EXTRA, GOLDEN = "oregan2022", Path(__file__).parent.parent / "golden" / "oregan2022.bpx.json"
AMBIENT_DEGC, H = (25, 45, -10), (60, 10, 300)
#: A drive's peak in nominal capacities per hour, and the charge that it starts from and is repeated down to.
PEAK_C, FROM, DOWN_TO = 2.5, 0.7, 0.08
SALT_MOL_M3, HOT_K, SCORED_SOC = 50.0, ZERO_DEGC_K + 80, (0.1, 0.95)
#: Why a full run ended, by a word of its sentence.
ENDS = {"cut-off": "cut-off", "degC": "hot", "particles": "particles", "electrolyte": "salt"}


@dataclass(frozen=True)
class Case:
    """One run: ``kind`` is a constant rate in C, or a schedule."""

    cell: str
    kind: str
    degC: int
    h: int

    @property
    def drive(self) -> bool:
        return self.kind in DRIVES

    @property
    def tight(self) -> bool:
        return self.drive and self.degC > 0

    @property
    def order(self) -> int:
        """Most states that the reduced model may have."""
        return 14 if self.tight else 18

    @property
    def orders(self) -> tuple[int, ...]:
        """Numbers of states that the row is run with."""
        return (self.order,) if self.cell in CELLS else (14, 18)

    @property
    def bars(self) -> tuple[float, float, float]:
        """Voltage in mV, RMS and largest; mean heat in percent."""
        return (5.0, 20.0, 1.0) if self.tight else (10.0, 40.0, 2.0)

    def core_bar_K(self, rise_K: float) -> float:
        """How far off the core may be when it rises so much."""
        return max(0.1, (0.01 if self.tight else 0.02) * rise_K)

    @property
    def ambient_K(self) -> float:
        return self.degC + ZERO_DEGC_K

    @property
    def name(self) -> str:
        return f"{self.cell} {self.kind}{'' if self.drive else 'C'} {self.degC} {self.h}"

    @property
    def file(self) -> str:
        return f"{self.cell}_{self.kind}_{self.degC}_{self.h}.npz"


def cell_of(name: str) -> Cell:
    """Shipped cell; or `EXTRA`, the electrochemistry of O'Regan et al. 2022 in the body of the shipped LG M50.

    Its transfer coefficients are 1/2 here: others are refused by the reduced model.
    """
    if name != EXTRA:
        return load_cell(name)
    document = copy.deepcopy(dict(load_cell("lgm50_21700").document))
    given, made = json.loads(GOLDEN.read_text(encoding="utf-8"))["Parameterisation"], document["Parameterisation"]
    own = {key: value for key, value in given["User-defined"].items() if "transfer coefficient" not in key}
    made |= {part: given[part] for part in given if part not in ("Cell", "User-defined")}
    made["User-defined"] |= own
    return Cell(name, document)


def cooled(name: str, h: float) -> Cell:
    """Cell with every face cooled alike."""
    cell = cell_of(name)
    return cell.with_values({"Heat transfer coefficient [W.m-2.K-1]": dict.fromkeys(cell.walls, float(h))})


def cycle(cell: Cell, name: str) -> Run:
    """A schedule at the peak wanted, repeated until the charge is low."""
    run, _ = profile_of(name, cell.capacity_Ah)
    current = run.current_A[:-1] * (PEAK_C * cell.capacity_Ah / np.abs(run.current_A).max())
    current = np.tile(current, int(np.ceil((FROM - DOWN_TO) * 3600 * cell.capacity_Ah / current.sum())))
    return held(np.append(current, 0.0), name)


def held(current_A: Array, name: str) -> Run:
    """Run of a current each second, each held until the next."""
    unknown = np.full(current_A.shape, np.nan)
    return Run(np.arange(float(len(current_A))), current_A, unknown, unknown, name=name)


def solve(model: CoupledModel, case: Case, *, fields: bool) -> Any:
    """Run the full model, a row each second, until a limit."""
    if case.drive:
        return model.simulate(cycle(model.cell, case.kind), initial_soc=FROM, ambient_K=case.ambient_K, fields=fields)
    text = f"discharge at {case.kind} C until {model.cell.electrochemistry.lower_voltage_V} V"
    return model.simulate(text, initial_soc=1.0, ambient_K=case.ambient_K, hottest_K=HOT_K, fields=fields)


def make(case: Case, place: Path) -> None:
    """Run the full model at twice its default mesh and keep what is judged by."""
    model = CoupledModel(cooled(case.cell, case.h), mesh=Mesh().refined(2))
    began = time.process_time()
    run = solve(model, case, fields=True)  # salt in every row
    spent, at = time.process_time() - began, model.equations.places["salt"]
    initial = model.equations.parameters.electrolyte.initial_concentration_mol_m3
    buffer = io.BytesIO()
    np.savez(
        buffer, time_s=run.time_s, current_A=run.current_A, voltage_V=run.voltage_V, soc=run.soc, core_K=run.core_K,
        mean_K=run.mean_K, surface_K=np.array(list(run.surfaces_K.values())), heat_W=run.heat_W,
        salt_time_s=np.array([state.time_s for state in run.snapshots]),
        salt=initial * np.array([state.y[at].min() for state in run.snapshots]), stopped=run.stopped, cpu=spent,
        digest=model.cell.digest, **{f"heat_{name}": values for name, values in run.heat_terms_W.items()},
    )  # fmt: skip
    write_whole(place / case.file, buffer.getvalue())


@dataclass(frozen=True)
class Truth:
    """A full run at whole seconds, up to where it is judged, and what ended that."""

    current_A: Array
    voltage_V: Array
    soc: Array
    core_K: Array
    mean_K: Array
    heat_W: float
    why: str

    @property
    def seconds(self) -> int:
        return len(self.current_A) - 1

    @property
    def scored(self) -> Array:
        """Rows whose voltage counts."""
        return (self.soc > SCORED_SOC[0]) & (self.soc < SCORED_SOC[1])


def read(case: Case, place: Path) -> Truth | None:
    """Full run from its file; none if there is none, or it is of another version of the cell."""
    if not (place / case.file).is_file():
        return None
    with np.load(place / case.file) as kept:
        data = dict(kept)
    if "digest" in data and str(data["digest"]) != cooled(case.cell, case.h).digest:
        return None
    time_s, stopped = data["time_s"], str(data["stopped"])
    first = next((end for word, end in ENDS.items() if word in stopped), "end" if case.drive else "cut-off")
    ends = {first: np.inf}
    for why, at, beyond in (
        ("salt", data["salt_time_s"], data["salt"] < SALT_MOL_M3), ("hot", time_s, data["core_K"] >= HOT_K),
    ):  # fmt: skip
        ends |= {why: float(at[np.argmax(beyond)])} if beyond.any() else {}
    why = min(ends, key=lambda name: ends[name])
    last = float(time_s[time_s < ends[why]][-1])
    rows = np.searchsorted(time_s, np.arange(int(last) + 1) - 1e-9)
    kept = {name: data[name][rows] for name in ("current_A", "voltage_V", "soc", "core_K", "mean_K")}
    heat = data["heat_W"][rows]  # at an instant: just after a jump of the current, or along a smooth line
    mean = heat[:-1].mean() if case.drive else ((heat[1:] + heat[:-1]) / 2).mean()
    return Truth(**kept, heat_W=float(mean), why=why)


def drive(model: Any, case: Case, truth: Truth) -> Any:
    """Run a model, full or reduced, with the current of a full run."""
    return model.simulate(held(truth.current_A, case.kind), initial_soc=float(truth.soc[0]), ambient_K=case.ambient_K)


def prepare(cases: list[Case], place: Path, workers: int, say: Callable[[str], None]) -> dict[Case, str]:
    """Make the full runs that are not there; what went wrong, by case."""
    failed = {}
    with ProcessPoolExecutor(workers) as pool:
        for done in as_completed(jobs := {pool.submit(make, case, place): case for case in cases}):
            say(f"full run of {jobs[done].name}")
            if error := done.exception():
                failed[jobs[done]] = f"no full run: {error}"
    return failed

"""A filter of one's own on the reduced model: filterpy's unscented filter beside the observer, on measured runs.

    python tests/benchmarks/own_filter.py path/to/data

All that a filter needs is public: the step as matrices (``reduced.step.matrices(g)``), the heat of a step and its
slope (``reduced.heat``), the rows of core and sensors (``reduced.outputs``, `bmsthermal.sensors.sensor_rows`), a start
(``Observer.start``). The process is the same for both filters, and so is the noise; the model is nearly linear, so they
must agree to a few hundredths of a kelvin. Prints a Markdown table.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from filterpy.kalman import MerweScaledSigmaPoints, UnscentedKalmanFilter

from bmsthermal import CoupledModel, Observer, Run, load_cell, read_measured
from bmsthermal.reduction import ReducedModel
from bmsthermal.sensors import sensor_rows

RUNS = {
    "A123, HEV 1": ("a123_26650", "a123_26650/hev_1.csv"),
    "32113, forced air": ("lfp_32113", "lfp_32113/forced_air_1.csv"),
    "32113, lagged": ("lfp_32113", "lfp_32113/lagged_1.csv"),
}
INITIAL_SOC = 0.5


def unscented(reduced: ReducedModel, run: Run) -> np.ndarray:
    """Core in K along a run, row by row."""
    observer, heat = Observer(reduced), reduced.heat
    A, B = reduced.step.matrices(reduced.conductance_W_K)
    share, zero_K = reduced.cell.ambient_share, reduced.cell.reference_K
    row = (1 - share) * sensor_rows(reduced, ("surface",))[0]
    belief = observer.start(surface_K=float(run.surfaces_K["surface"][0]), soc=INITIAL_SOC)
    soc, noise, n = INITIAL_SOC, observer.noise, reduced.order

    def moved(x: np.ndarray, _: float, current: float, voltage: float, coolant: float) -> np.ndarray:
        T = zero_K + reduced.outputs[1] @ x
        return A @ x + B @ np.array([float(heat.heat_W(current, voltage, soc, T)), coolant])

    def seen(x: np.ndarray, coolant: float) -> np.ndarray:
        return np.array([row @ x + share * coolant])

    points = MerweScaledSigmaPoints(n, alpha=1.0, beta=0.0, kappa=3.0 - n)
    ukf = UnscentedKalmanFilter(n, 1, reduced.step_s, seen, moved, points)
    ukf.x, ukf.P = np.array(belief.x, float), belief.P
    ukf.Q = noise.heat_W_rts**2 / reduced.step_s * np.outer(B[:, 0], B[:, 0]) + 1e-8 * np.eye(n)
    ukf.R = np.array([[noise.sensor_K**2]])
    core = [reduced.outputs[0] @ ukf.x]
    for k in range(len(run.time_s) - 1):
        current, coolant = float(run.current_A[k]), float(run.ambient_K[k]) - zero_K + observer.ambient_offset_K
        ukf.predict(current=current, voltage=float(run.voltage_V[k]), coolant=coolant)
        soc = heat.soc_after(soc, current, reduced.step_s)
        ukf.update(np.array([run.surfaces_K["surface"][k + 1] - zero_K]), coolant=coolant)
        core.append(reduced.outputs[0] @ ukf.x)
    return zero_K + np.array(core)


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        raise SystemExit("usage: python tests/benchmarks/own_filter.py FOLDER_OF_THE_DATA")
    print("| run | core RMSE, unscented, K | core RMSE, ours, K | largest difference, K | times as long |")
    print("| --- | --- | --- | --- | --- |")
    for name, (cell, file) in RUNS.items():
        reduced = CoupledModel(load_cell(cell), heat="measured").reduce(order=4)
        run = read_measured(Path(sys.argv[1]) / file).resample(reduced.step_s)
        begun = time.perf_counter()
        theirs = unscented(reduced, run)
        middle = time.perf_counter()
        ours = Observer(reduced).run(run, initial_soc=INITIAL_SOC)
        ended = time.perf_counter()
        score = ours.score()
        assert score is not None and run.core_K is not None
        rmse = np.sqrt(np.nanmean((theirs - run.core_K + score.mismatch_K) ** 2))
        apart = np.abs(theirs - ours.core_K).max()
        times = (middle - begun) / (ended - middle)
        print(f"| {name} | {rmse:.3f} | {score.rmse_K:.3f} | {apart:.5f} | {times:.0f} |")


if __name__ == "__main__":
    main()

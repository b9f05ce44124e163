"""The unseen face of a pouch: a heater on its back, watched from a few points of its front.

    python tests/benchmarks/pouch_unseen_face.py path/to/data [--plot pouch.png]

A sheet of 190 x 150 x 7.2 mm, insulated behind, is heated by a disc of 24 mm whose power nobody logged; a camera sees
the front (Lin, Chu, Howey, Monroe 2022, doi 10.1002/batt.202100401). The observer has the ambient and five pixels, and
estimates the heat of the disc and the cooling beside the temperatures. What it says of the back under the disc is held
against the heater's own thermocouple, and what it says of the front against the 116 other pixels. *Published* takes
both conductivities from that paper (found on this rig, heater temperatures included); *calibrated* fits both, the
cooling and the contact of the heater to the first 55 % of the run, heater temperature known; the observer never has it.
The heater is 0.46 K colder than the front before it is on; that is subtracted. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from bmsthermal import Cell, CoupledModel, Observer, Run
from bmsthermal.conduction_pouch import PouchModel
from bmsthermal.files import ZERO_DEGC_K
from bmsthermal.joint import JointNoise
from bmsthermal.jointly import JointObserver
from rom.ud import unpacked

WIDTH_M, HEIGHT_M, THICKNESS_M, RADIUS_M = 0.190, 0.150, 0.0072, 0.012
DENSITY, SPECIFIC_HEAT = 2183.0, 1083.0
#: Through the sheet and along it in W/mK, from the abstract of the paper; and a guess of the front's cooling in W/m2K.
PUBLISHED, GUESS_H, GUESS_CONTACT_K_W = (0.52, 26.6), 10.0, 2.0
#: Row and column of the pixels that the observer has: the middle, and three pixels from it on either side.
FIVE = ((5, 5), (5, 2), (5, 8), (2, 5), (8, 5))
TRAINED, ORDER, BLOCK_S, SETTLED_S = 0.55, 8, 60, 120
WATTS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
#: Spread of a published conductivity through the sheet, as `calibrate` has it where a file has none.
SPREAD = 0.35
#: What is not the default: a camera without lag; pixels known to some 2 mm where the front has 0.05 K/mm; a cell at
#: rest before. Of the heat that nobody logged, in W, the size is the one under which the first part is most probable.
NOISE = JointNoise(lag_s=0.1, discrepancy_K=0.1, start_K=0.5, start_gradient_K=0.1)


@dataclass(frozen=True)
class Parameters:
    """Conductivities in W/mK, cooling in W/m2K, the heater's contact, and the spread of heater over front."""

    name: str
    through: float
    along: float
    h: float
    contact_K_W: float
    spread: float


@dataclass(frozen=True, eq=False)
class Thermography:
    """Front ``(rows, columns, k)``, heater and ambient ``(k,)`` in K; places of the pixels as shares of the sides."""

    front_K: np.ndarray
    heater_K: np.ndarray
    ambient_K: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def read(cls, data: Path) -> Thermography:
        """Read the set; the middle pixel is taken as the middle of the sheet."""
        found = np.load(data / "pouch_thermography" / "front_face.npz")
        x, y = found["x_mm"] / 1000 / WIDTH_M, found["y_mm"] / 1000 / HEIGHT_M
        front, heater = found["temperature_degC"].astype(float), found["heater_degC"]
        heater = heater - heater[0] + front[..., 0].mean()
        return cls(
            front + ZERO_DEGC_K, heater + ZERO_DEGC_K, found["ambient_degC"] + ZERO_DEGC_K,
            np.clip(0.5 + x - x[5], 0.0, 1.0), np.clip(0.5 + y - y[5], 0.0, 1.0),
        )  # fmt: skip

    def run(self, pixels: tuple[tuple[int, int], ...]) -> Run:
        """What the observer has: some pixels, the ambient, and no current."""
        time_s = np.arange(len(self.heater_K), dtype=float)
        seen = {name(pixel): self.front_K[pixel] for pixel in pixels}
        return Run(time_s, 0 * time_s, 0 * time_s + 3.3, self.ambient_K, seen, name="thermography")


def name(pixel: tuple[int, int]) -> str:
    """Name of the sensor at a pixel."""
    return f"surface_{pixel[0]}_{pixel[1]}"


def disc(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Heat in the middle of the back."""
    return (np.hypot(x - WIDTH_M / 2, y - HEIGHT_M / 2) < RADIUS_M) & (z == 0)


def pouch(through: float, along: float, h: float, there: Thermography) -> Cell:
    """The cell, with its sensors."""
    sensors = {name(p): {"wall": "front", "x": float(there.x[p[1]]), "y": float(there.y[p[0]])} for p in FIVE}
    volume = WIDTH_M * HEIGHT_M * THICKNESS_M
    return Cell("pouch", {
        "Header": {"BPX": "1.1", "Model": "Partial"},
        "Parameterisation": {
            "Cell": {
                "Electrode area [m2]": 1.0, "External surface area [m2]": 2 * WIDTH_M * HEIGHT_M,
                "Volume [m3]": volume, "Number of electrode pairs connected in parallel to make a cell": 1,
                "Lower voltage cut-off [V]": 2.0, "Upper voltage cut-off [V]": 3.65,
                "Nominal cell capacity [A.h]": 20.0,
                "Density [kg.m-3]": DENSITY, "Specific heat capacity [J.K-1.kg-1]": SPECIFIC_HEAT,
            },
            "User-defined": {
                "Form factor": {"description": "slab"}, "Cell thickness [m]": THICKNESS_M,
                "Cell area [m2]": WIDTH_M * HEIGHT_M, "Cell width [m]": WIDTH_M,
                "Through-plane thermal conductivity [W.m-1.K-1]": through,
                "In-plane thermal conductivity [W.m-1.K-1]": along,
                "Heat transfer coefficient [W.m-2.K-1]": {"back": 0.0, "front": h}, "Open-circuit voltage [V]": 3.3,
            },
        },
        "Observer": {"Sensors": sensors},
    })  # fmt: skip


@lru_cache(maxsize=4)
def model(there: Thermography, through: float, along: float, h: float) -> PouchModel:
    """Its conduction in a few states: a basis from responses, since Padé's would go to the walls first."""
    cell = pouch(through, along, h, there)
    made = CoupledModel(cell, heat="measured", thermal="pouch", heat_shape=disc).reduce(ORDER, method="pod")
    assert isinstance(made, PouchModel)
    return made


def under_disc(reduced: PouchModel) -> np.ndarray:
    """Row of the mean temperature of the back under the disc, of the states."""
    radii = RADIUS_M * (np.arange(20) + 0.5) / 20
    rows = [reduced.place(0.5 + r / WIDTH_M, 0.5, 0.0) for r in radii]
    return np.average(rows, axis=0, weights=radii)


def pixels_of(reduced: PouchModel, there: Thermography) -> np.ndarray:
    """Rows ``(121, n)`` of all pixels."""
    return np.array([reduced.place(x, y, 1.0) for y in there.y for x in there.x])


def driven(reduced: PouchModel, there: Thermography, contact_K_W: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Front ``(121, k)`` in K and power ``(k,)`` in W where the heater has the temperature that was measured."""
    A, B = reduced.step.matrices(reduced.conductance_W_K)
    row, watt, first_K = under_disc(reduced), B[:, 0], there.front_K[..., 0].mean()
    x, states, power = np.zeros(len(A)), [np.zeros(len(A))], [0.0]
    for heater_K, ambient_K in zip(there.heater_K[1:], there.ambient_K, strict=False):
        x = A @ x + B[:, 1:].sum(axis=1) * (ambient_K - first_K)
        power.append(float(heater_K - first_K - row @ x) / float(row @ watt + contact_K_W))
        x = x + watt * power[-1]
        states.append(x)
    return first_K + pixels_of(reduced, there) @ np.array(states).T, np.array(power)


def across_K_W(through: float, along: float, h: float, contact_K_W: float, there: Thermography) -> float:
    """Heater over the middle of the front at rest, per watt."""
    reduced = model(there, through, along, h)
    A, B = reduced.step.matrices(reduced.conductance_W_K)
    x = np.linalg.solve(np.eye(len(A)) - A, B[:, 0])
    return float((under_disc(reduced) - reduced.place(0.5, 0.5, 1.0)) @ x) + contact_K_W


def calibrated(there: Thermography, called: str, contact: bool) -> Parameters:
    """Conductivities, cooling and perhaps the heater's contact from the first part of the run."""
    train = slice(0, round(TRAINED * len(there.heater_K)), 10)
    front = there.front_K.reshape(121, -1)[:, train]

    def numbers(logs: np.ndarray) -> tuple[float, ...]:
        return tuple(np.exp(logs)) if contact else (*np.exp(logs), 0.0)

    def error(logs: np.ndarray) -> np.ndarray:
        through, along, h, contact_K_W = numbers(logs)
        found = driven(model(there, through, along, h), there, contact_K_W)[0]
        return np.asarray((found[:, train] - front).ravel())

    start = np.log([*PUBLISHED, GUESS_H, GUESS_CONTACT_K_W][: 3 + contact])
    fit = least_squares(error, start, diff_step=1e-2, xtol=1e-3, ftol=1e-3)
    # neighbours in time err alike: a block counts once
    covariance = 2 * fit.cost / len(fit.fun) * BLOCK_S / train.step * np.linalg.inv(fit.jac.T @ fit.jac)
    whole = across_K_W(*numbers(fit.x), there)
    aside = [across_K_W(*numbers(fit.x + 0.01 * one), there) for one in np.eye(len(fit.x))]
    slope = np.log(np.array(aside) / whole) / 0.01
    return Parameters(called, *numbers(fit.x), spread=float(np.sqrt(slope @ covariance @ slope)))


@dataclass(frozen=True)
class Found:
    """Heater with its deviation, heat, ``(k,)``, and front ``(121, k)``, in K and W; log density of the readings."""

    heater_K: np.ndarray
    std_K: np.ndarray
    heat_W: np.ndarray
    front_K: np.ndarray
    log_density: np.ndarray


def observe(there: Thermography, p: Parameters, pixels: tuple[tuple[int, int], ...], noise: JointNoise) -> Found:
    """Estimate the heater from pixels of the front."""
    reduced, run = model(there, p.through, p.along, p.h), there.run(pixels)
    names = list(run.surfaces_K)
    observer = Observer(reduced, names, estimate=("h", "heat"), noise=replace(noise, gradient=p.spread))
    found = observer.run(run, initial_soc=0.5)
    layout, n = observer.filter().layout, reduced.order
    row = np.zeros(layout.states)
    row[:n], row[layout.places["heat"]] = under_disc(reduced), p.contact_K_W
    x, factors = found.rows[:, : layout.states], found.rows[:, 2 * layout.states : -3]
    variance = np.array([((row @ U) ** 2 * D).sum() for U, D in map(unpacked, factors)])
    heater, zero_K = x @ row, reduced.cell.reference_K
    front = x[:, :n] @ pixels_of(reduced, there).T
    across = heater - x[:, :n] @ reduced.place(0.5, 0.5, 1.0)
    std = np.sqrt(variance + (p.spread * across) ** 2 + observer.noise.offset_K**2)
    return Found(heater + zero_K, std, found.heat_W, front.T + zero_K, density(observer, run))


def density(observer: JointObserver, run: Run) -> np.ndarray:
    """Log density ``(k - 1,)`` of the readings of each step, given those before."""
    filter_ = observer.filter()
    names, around = list(run.surfaces_K), np.full(2, run.ambient_K[0])
    z = np.column_stack([run.surfaces_K[name] for name in names])
    begun = Observer(observer.reduced, names, noise=observer.noise).start(float(z[0].mean()), 0.5)
    filter_.start(np.asarray(begun.x, float), begun.P, 0.5, around)
    total = []
    for ambient_K, reading in zip(run.ambient_K, z[1:], strict=False):
        said = filter_.step(np.array([0.0, 3.3, 0.0, ambient_K, ambient_K, np.nan, np.nan]), reading)
        total.append(-0.5 * float(np.sum(np.log(said.variance_K2) + said.innovation_K**2 / said.variance_K2)))
    return np.array(total)


def scored(there: Thermography, what: str, found: Found, first: int, used: tuple[tuple[int, int], ...]) -> str:
    """One row of the table."""
    error, late = found.heater_K - there.heater_K, slice(first, None)
    others = np.ones((11, 11), bool)
    others[tuple(np.array(used).T)] = False
    front = (found.front_K - there.front_K.reshape(121, -1))[others.ravel(), late]
    inside = np.mean(np.abs(error[late]) <= 2 * found.std_K[late])
    return (
        f"| {what} | {first} to {len(error) - 1} | {np.sqrt(np.mean(error[late] ** 2)):.2f} | "
        f"{np.abs(error[late]).max():.2f} | {100 * inside:.0f} | {np.median(found.std_K[late]):.2f} | "
        f"{np.sqrt(np.mean(front**2)):.2f} | {found.heat_W[-1]:.1f} |"
    )


def as_slab(there: Thermography, p: Parameters, noise: JointNoise) -> str:
    """One row of the table: the same cell without its sheet, its heat all over the thickness and the middle pixel."""
    reduced = CoupledModel(pouch(p.through, p.along, p.h, there), heat="measured").reduce(4)
    middle = name(FIVE[0])
    observer = Observer(reduced, [middle], estimate=("h", "heat"), noise=replace(noise, gradient=p.spread))
    found = observer.run(there.run(FIVE[:1]), initial_soc=0.5)
    back = found.states[:, : reduced.order] @ reduced.outputs[2] + reduced.cell.reference_K
    error = (back - there.heater_K)[SETTLED_S:]
    return (
        f"| {p.name}, no sheet, the middle pixel | {SETTLED_S} to {len(back) - 1} | {np.sqrt(np.mean(error**2)):.2f} | "
        f"{np.abs(error).max():.2f} | | | | {found.heat_W[-1]:.1f} |"
    )


def draw(there: Thermography, found: Found, path: Path) -> None:
    """Draw heater and front, measured and estimated, and the unknown heat."""
    from bmsthermal.plot import AMBIENT, CORE, CURRENT, SURFACE, draw_band, figure, finish, frame, save

    drawn = figure(9.0, 6.0)
    top, bottom = drawn.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    minutes = np.arange(len(there.heater_K)) / 60
    top.plot(minutes, there.heater_K - ZERO_DEGC_K, color=CORE, lw=1.2, label="heater behind, measured, never used")
    draw_band(top, minutes, found.heater_K, found.std_K)
    top.get_lines()[-1].set_label("heater behind, estimated")
    for row, column, words in ((5, 5, "front, middle, used"), (2, 2, "front, not used"), (5, 10, None)):
        top.plot(minutes, there.front_K[row, column] - ZERO_DEGC_K, color=SURFACE, lw=1.0, label=words)
        top.plot(minutes, found.front_K[11 * row + column] - ZERO_DEGC_K, color=AMBIENT, lw=0.9, ls="--")
    frame(top, found.heater_K - ZERO_DEGC_K, found.std_K)
    bottom.plot(minutes, found.heat_W, color=CURRENT, lw=1.0)
    finish(top, bottom, "The unseen face of a pouch, from five pixels of its front")
    bottom.set_ylabel("heat\nestimated, W")
    save(drawn, path)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The unseen face of a pouch")
    parser.add_argument("data", type=Path)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    there = Thermography.read(given.data)
    train = round(TRAINED * len(there.heater_K))
    published = Parameters("published", *PUBLISHED, GUESS_H, 0.0, SPREAD)
    fitted = [calibrated(there, "calibrated, no contact", False), calibrated(there, "calibrated", True)]
    print("| parameters | through | along | h | contact, K/W | spread | front, first 55 % | front, rest | heat, W |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for p in (published, *fitted):
        front, power = driven(model(there, p.through, p.along, p.h), there, p.contact_K_W)
        off = front - there.front_K.reshape(121, -1)
        rms = [np.sqrt(np.mean(off[:, part] ** 2)) for part in (slice(train), slice(train, None))]
        print(
            f"| {p.name} | {p.through:.3f} | {p.along:.1f} | {p.h:.1f} | {p.contact_K_W:.2f} | {p.spread:.3f} | "
            f"{rms[0]:.2f} | {rms[1]:.2f} | {power[-1]:.1f} |"
        )
    tried = {
        watt: float(observe(there, fitted[1], FIVE, replace(NOISE, slow_heat_W=watt)).log_density[:train].sum())
        for watt in WATTS
    }
    print("\nlog density of the first 55 % by slow_heat_W: " + ", ".join(f"{w:g} {v:.0f}" for w, v in tried.items()))
    noise = replace(NOISE, slow_heat_W=max(tried, key=lambda watt: tried[watt]))
    print("\n| parameters | judged, s | back, K | max, K | in 2 sigma, % | sigma, K | other pixels, K | heat, W |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for p in (published, *fitted):
        for what, used in (("five pixels", FIVE), ("the middle pixel", FIVE[:1])):
            found = observe(there, p, used, noise)
            for first in (0, SETTLED_S, train):
                print(scored(there, f"{p.name}, {what}", found, first, used))
    print(as_slab(there, fitted[1], noise))
    if given.plot is not None:
        draw(there, observe(there, fitted[1], FIVE, noise), given.plot)


if __name__ == "__main__":
    main()

"""A pouch along its sheet: closed forms, the slab it holds, and an observer of the face that nobody sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Observer, Run
from bmsthermal.conduction import Layer, conduct
from bmsthermal.conduction_pouch import conduct_pouch
from bmsthermal.joint import JointNoise
from bmsthermal.sensors import sensor_rows

W, H, D, K, ALONG, C = 0.19, 0.15, 0.0072, 0.52, 26.6, 2.364e6
SHEET = [Layer("roll", 0.0, D, K, C)]
FIVE = {"surface_m": (0.5, 0.5), "surface_l": (0.25, 0.5), "surface_r": (0.75, 0.5), "surface_b": (0.5, 0.25)}


def disc(x, y, z):
    return (np.hypot(x - W / 2, y - H / 2) < 0.012) & (z == 0)


def made(**given):
    return conduct_pouch(SHEET, W, H, in_plane_W_mK=[ALONG], **given)


@pytest.fixture(scope="module")
def cell(a123):
    sensors = {name: {"wall": "front", "x": x, "y": y} for name, (x, y) in FIVE.items()}
    return a123.with_values({
        "Form factor": {"description": "slab"}, "Cell thickness [m]": D, "Cell area [m2]": W * H, "Cell width [m]": W,
        "Through-plane thermal conductivity [W.m-1.K-1]": K, "In-plane thermal conductivity [W.m-1.K-1]": ALONG,
        "Heat transfer coefficient [W.m-2.K-1]": {"back": 0.0, "front": 20.0},
        "Volume [m3]": W * H * D, "Density [kg.m-3]": 2183, "Specific heat capacity [J.K-1.kg-1]": C / 2183,
        "Observer": {"Sensors": sensors},
    }, "pouch")  # fmt: skip


@pytest.fixture(scope="module")
def model(cell):
    return CoupledModel(cell, heat="measured", thermal="pouch", heat_shape=disc)


@pytest.fixture(scope="module")
def reduced(model):
    return model.reduce(8, method="pod")


def test_uniform_heat_makes_it_the_slab():
    slab, z = conduct(SHEET, "slab", W * H, nodes=12)
    system, sheet = made(h_W_m2K=(3.0, 20.0))
    for name in "MKBEC":
        np.testing.assert_array_equal(getattr(system, name), getattr(slab, name))
    assert sheet.waves.tolist() == [[0, 0]] and sheet.z_m.tobytes() == z.tobytes()


def wave(x, y, z):
    return 1 + 0.5 * np.cos(2 * np.pi * x / W) * np.cos(np.pi * y / H) + 0 * z


def test_one_wave_has_the_closed_form_and_converges_with_second_order():
    # k th'' - a (k_along kappa^2) th + q = 0, th'(0) = 0, -k th'(D) = h th(D)
    h, kappa2 = 50.0, (2 * np.pi / W) ** 2 + (np.pi / H) ** 2
    q, sink = 0.5 / (W * H * D), ALONG * kappa2
    m = np.sqrt(sink / K)
    flat = q / sink
    falls = -h * flat / (K * m * np.sinh(m * D) + h * np.cosh(m * D))
    error = []
    for nodes in (16, 32, 64):
        system, sheet = made(nodes=nodes, waves=2, h_W_m2K=(0.0, h), heat_shape=wave)
        T = system.steady([0.0, h * W * H], [1.0], [0.0, 0.0])
        mean = (sheet.weights(0.0, 0.0, 0.0) + sheet.weights(0.5, 0.0, 0.0)) / 2 @ T
        error.append(abs(sheet.weights(0.0, 0.0, 0.0) @ T - mean - (flat + falls)))
    np.testing.assert_allclose(np.log2(np.array(error[:-1]) / error[1:]), 2.0, atol=0.1)


def test_rates_along_an_insulated_sheet_are_those_of_its_waves():
    system, sheet = made(waves=2, heat_shape=wave)
    rate = ALONG / C * ((2 * np.pi / W) ** 2 + (np.pi / H) ** 2)
    assert sheet.waves.tolist() == [[0, 0], [2, 1]]
    assert np.abs(system.modes[0] / rate - 1).min() < 1e-9  # no gradient through the sheet: exact on any grid


def test_a_disc_spreads_as_the_closed_form_says():
    # half-space under uniform flux: mean over the disc is 8 / (3 pi^2 a k), less by 1 - 1.41 e in a tube that is 1 / e
    # times as wide (Yovanovich); 2 % of it is in waves that are finer than those kept
    radius, side, deep = 0.012, 0.19, 0.1

    def heat(x, y, z):
        return (np.hypot(x - side / 2, y - side / 2) < radius) & (z == 0)

    layers = [Layer("roll", 0.0, deep, 1.0, C)]
    radii = radius * (np.arange(20) + 0.5) / 20
    system, sheet = conduct_pouch(layers, side, side, in_plane_W_mK=[1.0], nodes=40, waves=120, heat_shape=heat)
    T = system.steady([0.0, 1e6], [1.0], [0.0, 0.0])
    under = np.average([sheet.weights(0.5 + r / side, 0.5, 0.0) @ T for r in radii], weights=radii)
    around = deep / side**2  # what is uniform
    spreading = 8 / (3 * np.pi**2 * radius)
    e = radius * np.sqrt(np.pi) / side
    assert under - around == pytest.approx(spreading * (1 - 1.41 * e), rel=0.03)


def test_energy_closes_and_a_kelvin_everywhere_is_one():
    system, sheet = made(waves=30, h_W_m2K=(0.0, 20.0), heat_shape=disc)
    g = np.array([0.0, 20.0 * W * H])
    T = system.steady(g, [3.0], [290.0, 290.0])
    assert g @ (system.E.T @ T - 290.0) == pytest.approx(3.0, rel=1e-9)
    one = np.zeros(system.order)
    one[: len(sheet.z_m)] = 1.0
    assert system.C @ one == pytest.approx(np.ones(4)) and system.E.T @ one == pytest.approx(np.ones(2))


def test_films_are_exact_along_the_sheet_at_the_given_coefficient():
    """Cosines stay apart under a film that is the same all over, so that each is its own slab."""
    h = 80.0
    system, _ = made(waves=2, h_W_m2K=(0.0, h), heat_shape=wave)
    slab, _ = conduct(SHEET, "slab", W * H, nodes=12)
    sink = np.diag(slab.M) / C * ALONG * ((2 * np.pi / W) ** 2 + (np.pi / H) ** 2)
    own = replace(slab, K=slab.K + np.diag(sink)).closed([0.0, h * W * H])
    both = system.closed([0.0, h * W * H])
    found = np.sort(-both.poles().real)
    wanted = np.sort(np.concatenate([-own.poles().real, -slab.closed([0.0, h * W * H]).poles().real]))
    np.testing.assert_allclose(found, wanted, rtol=1e-8)


def test_the_door_reduces_it(model, reduced):
    assert reduced.resolution == "pouch" and "pouch -> 8 states" in repr(reduced)
    g = model.conductance_W_K
    full, few = model.system.steady(g, [5.0], [290.0, 290.0]), reduced.modal.steady(g, [5.0], [290.0, 290.0])
    sheet = reduced.sheet
    for at in ((0.5, 0.5, 0.0), (0.5, 0.5, 1.0), (0.9, 0.2, 1.0)):
        # a reduction keeps steady states exactly
        assert reduced.place(*at) * reduced.scale @ few == pytest.approx(sheet.weights(*at) @ full, abs=1e-6)
    rows = sensor_rows(reduced, list(FIVE))
    np.testing.assert_array_equal(rows[1], reduced.place(0.25, 0.5, 1.0))


def test_the_unseen_face_is_found_within_its_sigma(model, reduced, tmp_path):
    """Truth: the full model, a disc that is switched on; the observer has the front and neither heat nor back."""
    steps, ambient = 900, 291.0
    step = model.system.hold(model.conductance_W_K, 1.0)
    outputs = np.array([reduced.sheet.weights(x, y, 1.0) for x, y in FIVE.values()])
    back = reduced.sheet.weights(0.5, 0.5, 0.0)
    rates, shapes = replace(
        model.system, K=model.system.K + (model.system.E * model.conductance_W_K) @ model.system.E.T
    ).modes
    z, seen = np.zeros(len(rates)), []
    for _ in range(steps + 1):
        seen.append(z)
        z = np.diag(step.A) * z + step.B[:, 0] * 4.0
    truth = np.array(seen) @ shapes.T
    noise = np.random.default_rng(0).normal(0.0, 0.02, (steps + 1, len(FIVE)))
    front = ambient + truth @ outputs.T + noise
    t = np.arange(steps + 1.0)
    run = Run(t, 0 * t, 0 * t + 3.3, 0 * t + ambient, dict(zip(FIVE, front.T, strict=True)), name="disc")
    own = JointNoise(slow_heat_W=2.0, lag_s=0.1, gradient=0.0, start_K=0.5, start_gradient_K=0.1)
    found = Observer(reduced, list(FIVE), estimate=("h", "heat"), noise=own).run(run, initial_soc=0.5)
    n, row = reduced.order, reduced.place(0.5, 0.5, 0.0)
    error = found.states[:, :n] @ row + reduced.cell.reference_K - ambient - truth @ back
    late = slice(200, None)
    assert np.sqrt(np.mean(error[late] ** 2)) < 0.1 * (truth @ back).max()
    assert found.slow_heat_W[late].mean() == pytest.approx(4.0, rel=0.1)
    assert found.joint_states == n + 2 + 1 + 2 * len(FIVE)
    with pytest.raises(InputError, match="cannot be saved"):
        reduced.save(tmp_path / "pouch.npz")


def test_a_mistake_gets_its_sentence(cell, a123, reduced):
    with pytest.raises(InputError, match="expected a slab"):
        CoupledModel(a123, heat="measured", thermal="pouch")
    with pytest.raises(InputError, match="0 to 1"):
        reduced.place(0.5, 1.5, 0.0)
    with pytest.raises(InputError, match="'x' and 'y'"):
        cell.with_values({"Observer": {"Sensors": {"surface": {"wall": "front", "x": 2.0}}}})
    lost = cell.with_values({})
    del lost.document["Parameterisation"]["User-defined"]["Cell width [m]"]
    with pytest.raises(InputError, match="no 'Cell width"):
        _ = CoupledModel(lost, heat="measured", thermal="pouch").system
    with pytest.raises(InputError, match="heat is not positive"):
        _ = CoupledModel(cell, heat="measured", thermal="pouch", heat_shape=lambda x, y, z: 0 * x * y * z).system
    with pytest.raises(ValueError, match="one for each layer"):
        conduct_pouch(SHEET, W, H, in_plane_W_mK=[])

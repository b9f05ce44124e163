"""Entropic coefficient from temperature steps: known ones are found within their band, and nonsense is refused."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from bmsthermal import InputError, entropic, load_cell, read_steps
from bmsthermal.cli import main
from bmsthermal.entropy import combine
from bmsthermal.potentiometry import Recording

DATA = Path(__file__).parents[2] / "shared" / "data" / "entropy_potentiometric"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the public measurements are not beside the project")
ENTROPIC = "Entropic change coefficient [V.K-1]"
GAS_J_MOL_K = 8.314462618


def follow(values, tau_s, step_s):
    keep = np.exp(-step_s / tau_s)
    return lfilter([1 - keep], [1, -keep], values, zi=[keep * values[0]])[0]


def recording(rng, slope_V_K, *, activation_J_mol=5e4, curvature=0.0, levels=(50, 40, 30, 20, 10), soc=0.5):
    """Steps with 10 mV of relaxation, 1 mV/h of drift, correlated noise of 20 uV and a voltmeter of 10 uV."""
    step_s, hold_s = 60.0, np.array([7200.0] + [3600.0] * (len(levels) - 1))
    time_s = np.arange(0.0, hold_s.sum(), step_s)
    set_point = np.repeat(np.array(levels, float), (hold_s / step_s).astype(int))
    surface = follow(set_point, 60.0, step_s) + 273.15
    inside = follow(surface, 40.0, step_s)
    clock = np.cumsum(np.exp(-activation_J_mol / GAS_J_MOL_K * (1 / inside - 1 / 298.15))) * step_s
    away = inside - 298.15
    tau_s = 15_000.0 if activation_J_mol else 5000.0
    voltage = 3.7 + slope_V_K * away + curvature * away**2 / 2 - 10e-3 * np.exp(-clock / tau_s) + 1e-3 * clock / 3600
    keep, count = np.exp(-step_s / 1000.0), len(time_s)
    slow = lfilter([np.sqrt(1 - keep**2)], [1, -keep], rng.standard_normal(count + 200))[200:]
    voltage = np.round(voltage + 20e-6 * slow + 5e-6 * rng.standard_normal(count), 5)
    return Recording(soc, time_s, voltage, surface + 0.02 * rng.standard_normal(count), f"soc_{100 * soc:03.0f}")


def write(path, run, **other):
    columns = {"time_s": run.time_s, "voltage_V": run.voltage_V, "surface_degC": run.surface_K - 273.15} | other
    rows = np.column_stack(list(columns.values()))
    path.write_text(",".join(columns) + "\n" + "\n".join(",".join(map(repr, row)) for row in rows.tolist()) + "\n")
    return path


def test_the_band_covers_a_known_coefficient_as_often_as_it_says():
    rng = np.random.default_rng(7)
    inside = []
    for i in range(80):
        slope = rng.uniform(-5e-4, 2e-4)
        run = recording(rng, slope, activation_J_mol=5e4 if i % 2 else 0.0)
        (point,) = entropic([run]).points
        inside.append(abs(point.value_V_K - slope) <= point.half_V_K)
        # relaxation and drift are 10 mV and more, and a step of 10 K makes 5 mV at most: the band is of use
        assert point.half_V_K < 1e-4
    assert 0.90 <= np.mean(inside) <= 0.99


def test_a_dependence_on_temperature_is_found_and_its_value_is_at_the_asked_one():
    run = recording(np.random.default_rng(3), -2e-4, curvature=2e-6)
    (point,), (cold,) = entropic([run]).points, entropic([run], at_K=288.15).points
    assert point.curvature_V_K2 == pytest.approx(2e-6, rel=0.3)
    assert abs(point.value_V_K + 2e-4) < 2 * point.half_V_K
    assert cold.value_V_K == pytest.approx(point.value_V_K - 10 * point.curvature_V_K2, abs=1e-6)


def test_steps_that_agree_are_averaged_and_those_that_do_not_widen_the_band():
    covariance, away = np.eye(4) * 1e-12, np.array([15.0, 5.0, -5.0, -15.0])
    value, half, curvature, order = combine(np.full(4, -1e-4), covariance, away)
    # a normal error of 1e-6 / sqrt(4)
    assert (value, half) == pytest.approx((-1e-4, 1.96 * 0.5e-6), rel=1e-3)
    assert (curvature, order) == (0.0, 1)
    _, wide, _, order = combine(np.array([-1e-4, -2e-4, -1e-4, -2e-4]), covariance, away)
    # the spread alone: standard deviation 5.77e-5 of four, three degrees of freedom
    assert order == 1 and wide == pytest.approx(3.182 * 5.774e-5 / 2, rel=0.01)


def test_the_curve_passes_the_points_and_is_less_sure_between_them():
    rng = np.random.default_rng(5)
    curve = entropic([recording(rng, -2e-4 * np.cos(3 * soc), soc=soc) for soc in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)])
    at, value, _ = curve._arrays
    mean, half = curve(at)
    assert (np.abs(mean * 1e3 - value) <= 2e3 * half).all()
    assert (curve(at[:-1] + 0.1)[1] > half.min()).all()
    assert curve(np.array([0.5]))[0][0] == pytest.approx(-2e-4 * np.cos(1.5), abs=4e-5)  # its band there


def test_gaps_and_blanks_leave_the_answer_and_rounded_times_are_mended(tmp_path):
    run = recording(np.random.default_rng(4), -3e-4)
    voltage = run.voltage_V.copy()
    voltage[200:206] = np.nan
    path = write(tmp_path / "soc_050.csv", Recording(0.5, run.time_s, voltage, run.surface_K))
    text = path.read_text().replace("nan", "")
    lines = text.splitlines()
    path.write_text("\n".join(lines[:150] + lines[153:]) + "\n")
    (point,) = entropic([read_steps(path)]).points
    assert abs(point.value_V_K + 3e-4) < 1.5 * point.half_V_K and not point.flags
    rounded = read_steps(write(tmp_path / "soc_50.csv", run, time_s=np.floor(run.time_s / 1200) * 1200))
    np.testing.assert_allclose(rounded.time_s, run.time_s)
    assert "60 s apart" in rounded.notes[0]


def test_short_and_creeping_recordings_are_flagged_and_kept_out_of_the_curve():
    rng = np.random.default_rng(6)
    good, short, ramp = (recording(rng, -1e-4, levels=levels, soc=soc) for levels, soc in (
        ((50, 40, 30, 20, 10), 0.5), ((50, 40), 0.2), ((50, 40, 30, 20, 10), 0.7)
    ))  # fmt: skip
    # 0.7 K in 10 minutes, less half of the 2 minutes that its end is a mean over
    creeping = Recording(0.7, ramp.time_s, ramp.voltage_V, ramp.surface_K - 1.2e-3 * ramp.time_s, "creeping")
    curve = entropic([good, short, creeping])
    few, fine, moving = curve.points
    assert few.flags[0].startswith("1 temperature step from") and np.isnan(few.value_V_K)
    assert "moved by -0.6 K in the last 10 minutes" in moving.flags[0]
    assert curve.good == (fine,)
    with pytest.raises(InputError, match="no plateau at 0 degC"):
        entropic([good], levels_K=[273.15])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.replace("voltage_V", "volts"), "no column 'voltage_V' or 'U'"),
        (lambda t: t.replace("surface_degC", "skin"), "no column that begins with 'surface'"),
        (lambda t: t.replace("voltage_V,surface_degC", "surface_degC,voltage_V"), "is it the temperature?"),
        (lambda t: "", "the file is empty"),
        (lambda t: t.splitlines()[0] + "\n", "a header and no rows"),
        (lambda t: t.replace("\n60.0,", "\nsixty,"), "'sixty' is not a number"),
        (lambda t: t.replace("\n60.0,", "\n-60.0,"), "runs backwards"),
    ],
)
def test_a_wrong_file_is_refused_with_a_sentence(tmp_path, change, said):
    path = write(tmp_path / "soc_050.csv", recording(np.random.default_rng(0), -1e-4))
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        read_steps(path)


def test_wrong_units_names_and_temperatures_are_refused(tmp_path):
    run = recording(np.random.default_rng(0), -1e-4)
    for other, said in (
        ({"voltage_V": run.voltage_V * 1e3}, "divide by 1000"),
        ({"surface_degC": run.surface_K}, "subtract 273.15"),
        ({"soc": np.full(len(run.time_s), 50.0)}, "divide per cent by 100"),
        ({"soc": np.linspace(0, 1, len(run.time_s))}, "one state of charge"),
        ({"voltage_V": np.full(len(run.time_s), np.nan)}, "blank"),
    ):
        path = write(tmp_path / "soc_050.csv", run, **other)
        path.write_text(path.read_text().replace("nan", ""))
        with pytest.raises(InputError, match=said):
            read_steps(path)
    with pytest.raises(InputError, match="no state of charge"):
        read_steps(write(tmp_path / "cell.csv", run))
    still = Recording(0.5, run.time_s, run.voltage_V, np.full(len(run.time_s), 298.15), "still")
    with pytest.raises(InputError, match=r"still: 0 temperature steps from 25.0 to 25.0 degC"):
        entropic([still])
    with pytest.raises(InputError, match=r"both have SOC 0.5"):
        entropic([run, run])


def test_the_command_writes_points_a_cell_and_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    for soc, slope in ((0.2, -3e-4), (0.8, 1e-4)):
        write(tmp_path / f"soc_{100 * soc:03.0f}.csv", recording(rng, slope, soc=soc))
    (tmp_path / "profile.csv").write_text("0,50\n7200,40\n")

    def typed(*words):
        monkeypatch.setattr(sys, "argv", ["bmsthermal", "entropy", "soc_020.csv", "soc_080.csv", *words])
        try:
            main()
        except SystemExit as stop:
            assert not stop.code, capsys.readouterr().err

    typed("--steps", "profile.csv", "-o", "curve.csv", "--plot", "entropy.png")
    typed("--cell", "a123_26650", "-o", "mine.json")
    table = np.genfromtxt("curve.csv", delimiter=",", names=True)
    assert table.dtype.names[:4] == ("soc", "dU_dT_mV_K", "low", "high")
    assert table["dU_dT_mV_K"] == pytest.approx([-0.3, 0.1], abs=0.02)
    assert (table["low"] < table["dU_dT_mV_K"]).all() and (table["dU_dT_mV_K"] < table["high"]).all()
    assert (tmp_path / "entropy.png").read_bytes().startswith(b"\x89PNG")
    cell = load_cell("mine.json")
    assert cell.curve(ENTROPIC)([0.2, 0.8]) == pytest.approx(table["dU_dT_mV_K"] / 1e3, rel=1e-4)
    assert "soc_020, soc_080" in cell.thermal["Sources"][ENTROPIC]["description"]
    monkeypatch.setattr(sys, "argv", ["bmsthermal", "entropy", "soc_020.csv", "-o", "mine.json"])
    with pytest.raises(SystemExit):
        main()
    assert "without --cell" in capsys.readouterr().err


@needs_data
def test_the_measured_cell_is_near_what_the_ends_of_its_plateaus_say():
    files = [DATA / f"soc_{soc:03d}.csv.gz" for soc in (0, 35, 70, 100)]
    assert gzip.decompress(files[0].read_bytes())[:4] == b"time"
    runs = [read_steps(file) for file in files]
    curve = entropic(runs)
    for run, point in zip(runs, curve.points, strict=True):
        ends = [a - 2 for a, _ in run.moves()[1:]] + [len(run.time_s) - 1]
        plain = np.polyfit(run.surface_K[ends], run.voltage_V[ends], 1)[0]
        # the plain line has drift and relaxation in it: up to 1 mV over 40 K
        assert point.value_V_K == pytest.approx(plain, abs=3e-5)
        assert not point.flags and point.half_V_K < 1e-5
    assert np.all(np.diff([p.value_V_K for p in curve.points]) * [-1, 1, -1] > 0)

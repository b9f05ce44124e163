"""The command line as a person types it: what it writes, and what it says when it is given nonsense."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from bmsthermal import CoupledModel, ReducedModel, load_cell, read_measured
from bmsthermal.cli import main
from hil.demo import drive_current
from hil.plant.driven import DrivenModel
from hil.sensors import SensorSet


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A recorded drive with a core column, ten minutes of it."""
    path = tmp_path_factory.mktemp("drive") / "drive.csv"
    time_s, current_A = drive_current(1)
    plant = DrivenModel(CoupledModel(load_cell("a123_26650"), heat="measured"), SensorSet())
    plant.drive(time_s, current_A, ambient_K=283.15, initial_soc=0.9)[1].to_csv(path)
    return path


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Type a command; returns exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def typed(*words):
        monkeypatch.setattr(sys, "argv", ["bmsthermal", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        out = capsys.readouterr()
        return code, out.out, out.err

    return typed


def refuses(run, *words):
    code, out, err = run(*words)
    assert code != 0
    assert "Traceback" not in err + out
    return " ".join((err + out).split())


def test_estimate_writes_what_it_promises(run, drive, tmp_path):
    code, out, err = run("estimate", "a123_26650", "--data", drive, "-o", "estimate.csv", "--plot", "estimate.png",
                         "--initial-soc", 0.9)  # fmt: skip
    assert code == 0, err
    header = (tmp_path / "estimate.csv").read_text().splitlines()[0]
    assert header == "time_s,core_degC,core_std_K,surface_degC,surface_std_K,mean_degC,heat_W,innovation_K,nis"
    table = np.genfromtxt(tmp_path / "estimate.csv", delimiter=",", names=True)
    recorded = read_measured(drive)
    assert len(table) == len(recorded.time_s)
    # filter and truth share the cell here: what is left is sensor noise
    assert np.sqrt(np.mean((table["core_degC"] + 273.15 - recorded.core_K)[60:] ** 2)) < 0.15
    assert (tmp_path / "estimate.png").read_bytes().startswith(b"\x89PNG")
    for word in ("core RMSE", "inside 2 sigma", "thermocouple mismatch", "state of charge", "mean NIS per sensor"):
        assert word in out
    assert out.count("median sigma of the core") == 1


def test_the_core_column_is_compared_and_never_used(run, drive, tmp_path):
    lines = drive.read_text().splitlines()
    core = lines[0].split(",").index("core_degC")
    blind = [",".join(cell for i, cell in enumerate(line.split(",")) if i != core) for line in lines]
    (tmp_path / "blind.csv").write_text("\n".join(blind) + "\n")
    run("estimate", "a123_26650", "--data", drive, "-o", "a.csv", "--initial-soc", 0.9)
    run("estimate", "a123_26650", "--data", "blind.csv", "-o", "b.csv", "--initial-soc", 0.9)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_an_unknown_soc_is_said(run, drive):
    assert "initial SOC unknown" in run("estimate", "a123_26650", "--data", drive)[1]


def test_estimate_watches_its_sensors(run, drive, tmp_path):
    broken = drive.read_text().splitlines()
    place = broken[0].split(",").index("surface_degC")
    for i in range(len(broken) // 2, len(broken)):
        row = broken[i].split(",")
        row[place] = "-80"
        broken[i] = ",".join(row)
    (tmp_path / "broken.csv").write_text("\n".join(broken) + "\n")
    typed = ("estimate", "a123_26650", "--data", "broken.csv", "--initial-soc", 0.9, "-o", "a.csv", "--faults")
    code, out, _ = run(*typed)
    assert code == 0 and "surface: open from" in out and "not told" in " ".join(out.split())
    found = np.genfromtxt(tmp_path / "a.csv", delimiter=",", names=True)
    assert found["fault_surface"][-1] == 2 and not found["fault_surface"][0]
    assert found["core_std_K"][-1] > found["core_std_K"][len(found) // 2 - 5]


def test_reduce_and_estimate_from_the_reduced_model(run, drive, tmp_path):
    code, out, err = run("reduce", "a123_26650", "--order", 4, "-o", "reduced.npz", "--plot", "certificate.png")
    assert code == 0, err
    assert "largest core error" in out
    assert ReducedModel.load(tmp_path / "reduced.npz").order == 4
    first = (tmp_path / "reduced.npz").read_bytes()
    run("reduce", "a123_26650", "--order", 4, "-o", "reduced.npz")
    assert (tmp_path / "reduced.npz").read_bytes() == first
    assert run("estimate", "reduced.npz", "--data", drive, "--initial-soc", 0.9)[0] == 0


def test_info_names_the_kernel(run):
    code, out, _ = run("info")
    assert code == 0
    assert "kernel" in out
    assert "a123_26650" in out


def test_what_is_wrong_is_said_in_a_sentence(run, drive, tmp_path):
    text = drive.read_text()
    lines = text.splitlines()
    bad = {
        "empty": ("", "empty"),
        "backwards": ("\n".join([lines[0], lines[3], lines[2]]), "runs backwards"),
        "duplicate": ("\n".join([lines[0], lines[2], lines[2]]), "is the same as"),
        "text": (text.replace(lines[5], lines[5].replace(",", ",x", 1), 1), "is not a number"),
        "kelvin": ("\n".join([lines[0], *(f"{i},1,3.3,298,299,299" for i in range(9))]), "expected degC"),
        "no ambient": ("time_s,current_A,voltage_V,surface_degC\n0,1,3.3,20\n1,1,3.3,20\n", "--ambient-degC"),
        "ambient of 0": ("\n".join([lines[0], *(f"{i},1,3.3,0,20,20" for i in range(9))]), "--ambient-degC"),
        "no voltage": (text.replace("voltage_V", "volts", 1), "voltage_V"),
    }
    for name, (content, words) in bad.items():
        path = tmp_path / f"{name}.csv"
        path.write_text(content)
        said = refuses(run, "estimate", "a123_26650", "--data", path, "-o", "never.csv")
        assert words in said, (name, said)
        assert name in said
    assert not (tmp_path / "never.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reduce", "a123"], "a123_26650"),
        (["reduce", "a123_26650", "--order", "500"], "500"),
        (["reduce", "a123_26650", "--order", "0"], "order 0"),
        (["reduce", "a123_26650", "--method", "magic"], "multipoint"),
        (["reduce", "a123_26650", "--step-s", "-1"], "step"),
        (["reduce", "lgm50_21700", "--thermal", "lumped"], "expected radial, slab or r-z"),
        (["reduce", "lgm50_21700", "--thermal", "r-z", "--heat", "measured"], "expected --heat dfn"),
        (["reduce", "a123_26650", "-o", "absent/reduced.npz"], "cannot be written"),
        (["reduce", "a123_26650", "--plot", "picture.xyz"], "xyz"),
        (["estimate", "a123_26650", "--data", "absent.csv"], "no such file"),
        (["estimate", "a123_26650", "--data", "DRIVE", "--sensors", "surface_left"], "surface_left"),
        (["estimate", "a123_26650", "--data", "DRIVE", "--initial-soc", "50"], "0 to 1"),
        (["estimate", "a123_26650", "--data", "DRIVE", "--columns", "nonsense"], "OURS=THEIRS"),
        (["estimate", "a123_26650", "--data", "DRIVE", "-o", "absent/estimate.csv"], "cannot be written"),
        (["estimate", "a123_26650", "--data", "DRIVE", "--current-sign", "up"], "discharge"),
        (["calibrate", "a123_26650", "--data", "DRIVE", "--use", "everything", "-o", "x.json"], "everything"),
        (["export", "a123_26650", "-o", "build", "--name", "4cell"], "4cell"),
        (["nonsense"], "nonsense"),
        (["reduce", "a123_26650", "-o", "reduced.json"], "expected .npz"),
        (["reduce", "a123_26650", "-o", "reduced.npz", "--plot", "absent/picture.png"], "cannot be written"),
        (["estimate", "a123_26650", "--data", "DRIVE", "-o", "estimate.csv.gz"], "expected .csv"),
        (["estimate", "a123_26650", "--data", "DRIVE", "-o", "a" * 300 + ".csv"], "cannot be written"),
        (["estimate", "a123_26650", "--data", "DRIVE", "--plot", "picture.eps", "-o", "a.csv"], ".png or .svg or .pdf"),
        (["estimate", "a123_26650", "--data", "DRIVE", "-o", "a.csv", "--score-from-s", "1e9"], "at most 599 s"),
        (["estimate", "a123_26650", "--data", "DRIVE", "-o", "a.csv", "--score-from-s", "nan"], "at most 599 s"),
        (["estimate", "a123_26650", "--data", "DRIVE", "--ambient-degC", "-300"], "--ambient-degC"),
        (["calibrate", "a123_26650", "--data", "DRIVE", "-o", "x.npz"], "expected .json"),
        (["calibrate", "a123_26650", "--data", "DRIVE", "-o", "x.json", "--order", "0"], "order 0"),
        (["calibrate", "a123_26650", "--data", "DRIVE", "-o", "x.json", "--contact"], "without a can"),
        (["calibrate", "a123_26650", "--data", "DRIVE", "-o", "x.json", "--step-s", "0"], "step_s = 0"),
        (["export", "a123_26650", "-o", "build", "--name", "stdint"], "standard headers"),
        (["export", "a123_26650", "-o", "build", "--sensors", "surface-left"], "--sensors"),
    ],
)
def test_nonsense_is_refused(run, drive, words, said, tmp_path):
    assert said in refuses(run, *[str(drive) if word == "DRIVE" else word for word in words])
    assert [path.name for path in tmp_path.iterdir() if path.name != "reduced.npz"] == []


def test_an_input_is_never_an_output(run, drive, tmp_path):
    (tmp_path / "in.csv").write_bytes(drive.read_bytes())
    assert "is read or written too" in refuses(run, "estimate", "a123_26650", "--data", "in.csv", "-o", "./in.csv")
    assert (tmp_path / "in.csv").read_bytes() == drive.read_bytes()
    load_cell("a123_26650").save(tmp_path / "cell.json")
    before = (tmp_path / "cell.json").read_bytes()
    said = refuses(run, "calibrate", "cell.json", "--data", "in.csv", "-o", tmp_path / "cell.json")
    assert "'cell.json', which is read" in said
    assert (tmp_path / "cell.json").read_bytes() == before


def test_a_core_that_no_surface_goes_with_is_not_scored(run, tmp_path):
    rows = [f"{i},1,3.3,25,{25 if i % 2 else ''},{'' if i % 2 else 26}" for i in range(20)]
    header = "time_s,current_A,voltage_V,ambient_degC,surface_degC,core_degC"
    (tmp_path / "apart.csv").write_text("\n".join([header, *rows]) + "\n")
    code, out, err = run("estimate", "a123_26650", "--data", "apart.csv", "--initial-soc", 0.9, "--plot", "apart.png")
    assert code == 0, err
    assert "no row has both core and surface" in out
    assert "nan" not in out
    assert "median sigma of the core" in out


def test_names_are_no_markup(run, drive, tmp_path):
    for name in ("d[x]", "ex[/b]"):
        (tmp_path / name).mkdir(parents=True)
        path = f"{name}/:smile:.csv"
        code, out, err = run("estimate", "a123_26650", "--data", drive, "-o", path, "--initial-soc", 0.9)
        assert code == 0, err
        assert f"wrote {path}" in out


def test_the_version(run):
    code, out, _ = run("--version")
    assert (code, out.split()[0]) == (0, "bmsthermal")


def command(*words, **options):
    code = "from bmsthermal.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_an_output_that_is_full_is_a_sentence():
    with open("/dev/full", "w") as full:
        done = command("info", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "error: standard output: cannot be written (No space left on device)\n"


def test_a_pipe_that_is_closed_is_silent():
    reader, writer = os.pipe()
    os.close(reader)
    done = command("info", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_terminal_without_the_letter(tmp_path, drive):
    path = tmp_path / "ü.csv"
    words = ["estimate", "a123_26650", "--data", str(drive), "--initial-soc", "0.9", "-o", str(path)]
    done = command(*words, stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "\\xfc.csv" in done.stdout
    assert path.exists()


def test_current_in_milliampere_warns_and_names_the_column(run, drive, tmp_path):
    recorded = read_measured(drive)
    rows = ["time_s,current_A,voltage_V,ambient_degC,surface_degC"]
    rows += [f"{t:g},{1000 * i:g},3.3,10,11" for t, i in zip(recorded.time_s, recorded.current_A, strict=True)]
    (tmp_path / "milli.csv").write_text("\n".join(rows) + "\n")
    _, _, err = run("estimate", "a123_26650", "--data", "milli.csv", "--initial-soc", 0.9)
    assert "warning" in err
    assert "'current_A'" in err


def test_other_names_the_other_sign_and_a_constant_ambient(run, drive, tmp_path):
    recorded = read_measured(drive)
    rows = ["t,i,u,side"]
    rows += [
        f"{t:g},{-i:.6g},{v:.6g},{s - 273.15:.6g}"
        for t, i, v, s in zip(
            recorded.time_s, recorded.current_A, recorded.voltage_V, recorded.surfaces_K["surface"], strict=True
        )
    ]
    (tmp_path / "other.csv").write_text("\n".join(rows) + "\n")
    names = "time_s=t,current_A=i,voltage_V=u,surface_degC=side"
    code, _, err = run("estimate", "a123_26650", "--data", "other.csv", "--columns", names, "--current-sign", "charge",
                       "--ambient-degC", 10, "--initial-soc", 0.9, "-o", "other_estimate.csv")  # fmt: skip
    assert code == 0, err
    run("estimate", "a123_26650", "--data", drive, "--ambient-degC", 10, "--initial-soc", 0.9, "-o", "estimate.csv")
    names = "other_estimate.csv", "estimate.csv"
    one, two = (np.genfromtxt(tmp_path / name, delimiter=",", skip_header=1) for name in names)
    # six digits of the rewritten file are what is lost
    assert np.nanmax(np.abs(one[:, 1] - two[:, 1])) < 1e-2


def test_calibrate_writes_a_cell_that_the_others_read(run, drive, tmp_path):
    code, out, err = run("calibrate", "a123_26650", "--data", drive, "--use", "surface", "--initial-soc", 0.9,
                         "-o", "my_cell.json", "--plot", "fit.png")  # fmt: skip
    assert code == 0, err
    assert "Radial" in out or "conductivity" in out
    assert "times better than the least known" in out
    assert "Observer" in json.loads((tmp_path / "my_cell.json").read_text())
    assert run("estimate", "my_cell.json", "--data", drive, "--initial-soc", 0.9)[0] == 0


def test_calibrate_measures_the_open_circuit_and_the_resistance_too(run, drive, tmp_path):
    rows = [f"{60 * i},{0.115 if i <= 1200 else 0},{3.6 - i / 1200},25" for i in range(1210)]
    (tmp_path / "slow.csv").write_text("\n".join(["time_s,current_A,voltage_V,ambient_degC", *rows]) + "\n")
    code, out, err = run("calibrate", "a123_26650", "--data", drive, "--initial-soc", 0.9, "-o", "mine.json",
                         "--open-circuit", "slow.csv", "--resistance")  # fmt: skip
    assert code == 0, err
    assert "OpenCircuit(slow: 2.3" in out and "activation energy" in out
    sources = json.loads((tmp_path / "mine.json").read_text())["Parameterisation"]["User-defined"]["Sources"]
    assert sources["Open-circuit voltage [V]"]["description"].startswith("Measured: slow")
    assert sources["DC resistance [Ohm]"]["description"].startswith("Fitted to")
    fast = refuses(run, "calibrate", "a123_26650", "--data", drive, "-o", "x.json", "--open-circuit", drive)
    assert "no slow whole discharge" in fast


@pytest.mark.skipif(sys.platform == "win32", reason="signals are not sent this way on Windows")
def test_an_interrupt_leaves_nothing_half_written(drive, tmp_path):
    # the signal comes from inside the fit: a clock would miss it on a machine that is fast or slow
    code = """
import signal
import bmsthermal.calibration as calibration
from bmsthermal.cli import main

fit = calibration.minimum
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background hands on that it is ignored

def struck(cost, count, say):
    signal.raise_signal(signal.SIGINT)
    return fit(cost, count, say)

calibration.minimum = struck
main()
"""
    command = [sys.executable, "-c", code, "calibrate", "a123_26650", "--data", str(drive)]
    command += ["-o", str(tmp_path / "cell.json"), "--plot", str(tmp_path / "fit.png")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 130
    assert "interrupted: nothing was half-written" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_tuning_writes_the_one_file_that_the_other_commands_read(run, drive, tmp_path):
    code, out, err = run("calibrate", "a123_26650", "--data", drive, "--initial-soc", 0.9, "--tune", "-o", "tuned.json",
                         "--plot", "fit.png")  # fmt: skip
    assert code == 0, err
    assert "noise of the observer, by predictions 60 s ahead" in out and "count as" in out
    section = json.loads((tmp_path / "tuned.json").read_text())["Observer"]
    assert section["Tuned on"] == section["Calibrated on"] and section["Covariance"] == "symmetric"
    assert (tmp_path / "fit_innovations.png").stat().st_size > 5000
    code, out, err = run("estimate", "tuned.json", "--data", drive, "--data", drive, "--report", "consistency.json")
    assert code == 0, err
    assert "consistency of the sigma, 2 runs" in out and "NIS of sensor 1" in out and "core inside 1 and 2 sigma" in out
    assert json.loads((tmp_path / "consistency.json").read_text())["runs"] == ["drive", "drive"]


def test_what_the_file_says_is_estimated_beside_unless_told_otherwise(run, drive, tmp_path):
    cell = load_cell("a123_26650").with_values({"Observer": {"Estimate": ["h"]}})
    cell.save(tmp_path / "cell.json")
    short = tmp_path / "short.csv"
    read_measured(drive).before(60.0).to_csv(short)
    words = ("estimate", "cell.json", "--data", short, "--initial-soc", 0.9)
    assert "heat-transfer coefficient, side" in run(*words)[1]
    assert "heat-transfer coefficient" not in run(*words, "--estimate", "none")[1]


def test_tuning_and_pooling_refuse_what_makes_no_sense(run, drive):
    known = ("calibrate", "a123_26650", "--data", drive, "-o", "x.json")
    assert "--estimate without --tune" in refuses(run, *known, "--estimate", "h")
    assert "--tune-data without --tune" in refuses(run, *known, "--tune-data", drive)
    assert "one run" in refuses(run, "estimate", "a123_26650", "--data", drive, "--data", drive, "-o", "x.csv")

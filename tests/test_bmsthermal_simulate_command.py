"""``bmsthermal simulate`` and ``stability`` as a person types them."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest

from bmsthermal import Cell, InputError, load_cell, read_measured
from bmsthermal.cli import main
from bmsthermal.console import ranged

COLUMNS = [
    "time_s", "current_A", "voltage_V", "ambient_degC", "surface_degC", "core_degC", "mean_degC", "soc", "heat_W",
    "heat_ohmic_W", "heat_reaction_W", "heat_reversible_W", "heat_mixing_W", "heat_contact_W", "cooling_W",
]  # fmt: skip
SHORT = ("--duration-s", 120, "--output-step-s", 60)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Type a command; returns exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def typed(*words):
        monkeypatch.setattr(sys, "argv", ["bmsthermal", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        out = capsys.readouterr()
        if isinstance(code, str):  # a sentence: the interpreter prints it and exits with 1
            return 1, out.out, out.err + code
        return code, out.out, out.err

    return typed


def drive(tmp_path, rows, header="time_s,current_A"):
    (tmp_path / "drive.csv").write_text("\n".join([header, *rows]) + "\n")
    return "drive.csv"


def test_a_constant_current_writes_what_it_promises(run, tmp_path):
    code, out, err = run("simulate", "lgm50_21700", "--c-rate", 1, "--ambient-degC", 10, *SHORT, "-o", "run.npz",
                         "--csv", "run.csv", "--plot", "run.png")  # fmt: skip
    assert code == 0, err
    assert (tmp_path / "run.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    table = np.genfromtxt(tmp_path / "run.csv", delimiter=",", names=True)
    with np.load(tmp_path / "run.npz", allow_pickle=False) as kept:
        assert {*kept.files} == {*COLUMNS, "settings"}
        for name in COLUMNS:
            np.testing.assert_allclose(table[name], kept[name], rtol=1e-9, atol=1e-12)
        settings = json.loads(str(kept["settings"]))
    assert table["time_s"].tolist() == [0, 60, 120]
    assert table["current_A"].tolist() == [5, 5, 5]
    assert table["core_degC"][0] == table["ambient_degC"][0] == 10.0
    assert table["core_degC"][-1] > table["surface_degC"][-1] > 10.0
    assert settings["cell"] == "lgm50_21700"
    assert settings["heat"] == "dfn"
    assert settings["steps"] == "discharge 5 A for 120 s until 2.5 V"
    assert settings["output_step_s"] == "60"
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    for words in ("time simulated", "120.0 s", "A.h", "W.h", "highest core", "degC at 120 s", "mixing", "kJ",
                  "still to relax", "neither stored nor gone", "at the end of the time", "wrote run.npz",
                  "wrote run.csv"):  # fmt: skip
        assert words in out


def test_same_command_same_bytes(run, tmp_path):
    for name in ("a", "b"):
        words = ("-o", f"{name}.npz", "--csv", f"{name}.csv", "--plot", f"{name}.png", "--fields")
        assert run("simulate", "lgm50_21700", "--current-A", 5, *SHORT, *words)[0] == 0
    for ending in ("npz", "csv", "png"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as kept:
        assert {"salt_mol_m3", "negative_mol_m3", "temperature_K"} <= {*kept.files}


def test_the_cut_off_is_the_normal_end(run):
    code, out, _ = run("simulate", "lgm50_21700", "--c-rate", 2, "--initial-soc", 0.1, "--output-step-s", 60)
    assert code == 0
    assert "the voltage reached 2.5 V" in out


def test_a_charge_begins_empty(run):
    code, out, _ = run("simulate", "lgm50_21700", "--power-W", -20, *SHORT)
    assert code == 0
    assert "note: initial SOC 0" in out
    assert "charge 20 W" in out


@pytest.mark.parametrize(
    "words",
    [
        ("--voltage-V", 3.7, "--initial-soc", 0.6, *SHORT),
        ("--c-rate", 1, "--heat", "three-term", *SHORT),
        ("--c-rate", 1, "--heat", "measured", *SHORT),
        ("--c-rate", 1, "--thermal", "radial", "--layers", 2, *SHORT),
        ("--c-rate", 1, "--thermal", "lumped", "--h", 50, "--start-degC", 40, "--hottest-degC", 80, *SHORT),
        ("--profile", "us06", "--duration-s", 20, "--output-step-s", 60, "--current-scale", 0.5),
        ("--profile", "udds", "--duration-s", 20, "--heat", "measured"),
        ("--steps", "discharge 1C for 60s; rest 1 min; charge C/2 for 60s", "--initial-soc", 0.5),
    ],
)
def test_every_control_runs(run, words):
    code, out, err = run("simulate", "lgm50_21700", *words)
    assert code == 0, err
    assert "nan" not in out
    assert ("current density of layers" in out) == ("--layers" in words)


def test_the_csv_is_data_for_estimate(run, tmp_path):
    """A drive of the full model, watched by the reduced one: what is left is the difference of their heat."""
    code, out, err = run("simulate", "a123_26650", "--profile", "us06", "--duration-s", 120, "--ambient-degC", 25,
                         "--initial-soc", 0.8, "--csv", "run.csv")  # fmt: skip
    assert code == 0, err
    assert "note: us06 in the default vehicle" in out
    data = read_measured(tmp_path / "run.csv")
    assert data.core_K is not None
    code, out, err = run("estimate", "a123_26650", "--data", "run.csv", "--initial-soc", 0.8, "-o", "estimate.csv")
    assert code == 0, err
    assert "core RMSE" in out
    estimate = np.genfromtxt(tmp_path / "estimate.csv", delimiter=",", names=True)
    truth = data.core_K[: len(estimate)] - 273.15
    assert np.sqrt(np.mean((estimate["core_degC"] - truth) ** 2)) < 0.2


def test_a_profile_of_a_file(run, tmp_path):
    name = drive(tmp_path, ["0,-5,30", "10,-10,30", "20,0,31"], "t,amps,ambient_degC")
    words = ("--columns", "time_s=t,current_A=amps", "--current-sign", "charge", "--current-scale", 2)
    code, _, err = run("simulate", "lgm50_21700", "--profile", name, *words, "--csv", "run.csv")
    assert code == 0, err
    table = np.genfromtxt(tmp_path / "run.csv", delimiter=",", names=True)
    at = np.searchsorted(table["time_s"], [0, 10, 20])
    np.testing.assert_allclose(table["current_A"][at], [10, 20, 0], atol=1e-9)
    assert table["ambient_degC"][at].tolist() == [30, 30, 31]
    run("simulate", "lgm50_21700", "--profile", name, *words, "--csv", "run.csv", "--ambient-degC", 20)
    assert {*np.genfromtxt(tmp_path / "run.csv", delimiter=",", names=True)["ambient_degC"]} == {20.0}


def test_a_profile_beyond_the_capacity_is_written_as_far_as_it_goes(run, tmp_path):
    name = drive(tmp_path, [f"{60 * i},10" for i in range(30)])
    code, out, err = run("simulate", "lgm50_21700", "--profile", name, "--initial-soc", 0.1, "--csv", "run.csv",
                         "-o", "run.npz", "--plot", "run.png")  # fmt: skip
    assert code == 1
    assert "error: lgm50_21700: ended early, " in err
    assert "the voltage fell to its lower cut-off of 2.5 V in row" in err
    assert "lower cut-off" in out
    table = np.genfromtxt(tmp_path / "run.csv", delimiter=",", names=True)
    assert 60 < table["time_s"][-1] < 1740
    assert table["voltage_V"][-1] == pytest.approx(2.5, abs=0.01)
    assert (tmp_path / "run.npz").exists()
    assert (tmp_path / "run.png").exists()


def test_a_sign_that_is_wrong_gets_a_hint(run, tmp_path):
    name = drive(tmp_path, ["0,0", "10,-20", "1000,0"])
    code, _, err = run("simulate", "lgm50_21700", "--profile", name, "--initial-soc", 0.7, "--output-step-s", 60)
    assert code == 1
    assert "upper cut-off of 4.2 V in row 2 of drive" in err
    assert "--current-sign charge" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing drives the cell, expected exactly one of --c-rate"),
        (("--c-rate", 1, "--power-W", 3), "--c-rate and --power-W, expected exactly one"),
        (("--c-rate", 0), "would never end"),
        (("--voltage-V", 3.7), "would never end"),
        (("--voltage-V", 9, "--duration-s", 10), "--voltage-V: 9, expected 2.5 to 4.2"),
        (("--c-rate", "nan"), "--c-rate: nan"),
        (("--c-rate", 1000), "--c-rate: 1000, expected -100 to 100"),
        (("--current-A", 1e300), "--current-A"),
        (("--c-rate", 1e-9), "rows of 1 s"),
        (("--c-rate", 1, "--ambient-degC", 298.15), "degC and not kelvin"),
        (("--c-rate", 1, "--start-degC", "nan"), "--start-degC"),
        (("--c-rate", 1, "--output-step-s", 0), "--output-step-s"),
        (("--c-rate", 1, "--rtol", 0), "--rtol"),
        (("--c-rate", 1, "--duration-s", -1), "--duration-s"),
        (("--c-rate", 1, "--h", -1), "--h"),
        (("--c-rate", 1, "--initial-soc", 50), "0 to 1"),
        (("--c-rate", 1, "--thermal", "magic"), "expected one of isothermal"),
        (("--c-rate", 1, "--layers", 0), "layers=0"),
        (("--c-rate", 1, "--layers", 3, "--thermal", "lumped"), "radial, slab or r-z"),
        (("--c-rate", 1, "--couplings", "magic"), "unknown coupling 'magic'"),
        (("--c-rate", 1, "--couplings", ""), "--couplings"),
        (("--c-rate", 1, "--reactions", "magic"), "magic"),
        (("--c-rate", 1, "--heat", "magic"), "three-term"),
        (("--c-rate", 1, "--refine", 0), "--refine: 0, expected 1 to 8"),
        (("--c-rate", 1, "--refine", 9), "--refine: 9, expected 1 to 8"),
        (("--c-rate", 1, "--refine", 2, "--heat", "measured"), "--refine with --heat measured, expected the full"),
        (("--c-rate", 1, "--fields"), "--fields without -o"),
        (("--c-rate", 1, "--current-scale", 2), "them with --profile"),
        (("--power-W", 5, "--heat", "measured"), "a profile or a constant current"),
        (("--c-rate", 1, "--heat", "measured", "--fields", "-o", "run.npz"), "the full model"),
        (("--steps", "rest"), "step 1, 'rest': cannot read it"),
        (("--steps", "rest 1h", "--duration-s", 5), "--duration-s with --steps"),
        (("--steps", "charge 1C until 4.5V"), "the cut-offs of lgm50_21700"),
        (("--steps", "hold 1V for 1h"), "the cut-offs of lgm50_21700"),
        (("--profile", "absent.csv"), "absent.csv: no such file, and no schedule of that name"),
        (("--profile", "."), "is a folder"),
        (("--profile", "bad.csv"), "bad.csv, row 3, column 'current_A': the current is blank"),
        (("--profile", "us06", "--columns", "a=b"), "with a file"),
        (("--profile", "us06", "--duration-s", 1e6), "at most 600"),
        (("--c-rate", 1, "-o", "run.csv"), "expected .npz"),
        (("--c-rate", 1, "--csv", "absent/run.csv"), "cannot be written"),
        (("--c-rate", 1, "--csv", "run.csv", "--plot", "run.xyz"), ".png or .svg or .pdf"),
        (("--profile", "bad.csv", "--csv", "bad.csv"), "is read or written too"),
    ],
)
def test_nonsense_is_a_sentence_and_nothing_is_written(run, tmp_path, words, said):
    (tmp_path / "bad.csv").write_text("time_s,current_A\n0,1\n1,\n2,1\n")
    code, out, err = run("simulate", "lgm50_21700", *words)
    assert code == 2
    assert said in " ".join((out + err).replace("│", " ").split())
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_a_run_that_ends_where_it_begins_is_a_sentence(tmp_path):
    code = "from bmsthermal.cli import main; main()"
    words = ["simulate", "lgm50_21700", "--c-rate", "-1", "--initial-soc", "1", "--csv", str(tmp_path / "run.csv")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 2, done
    assert "nothing ran" in done.stderr or "cannot start" in done.stderr
    assert list(tmp_path.iterdir()) == []


def changed(tmp_path, name, thermal=(), around=()):
    """A copy of a cell file without, or with other, ``User-defined`` and ``Thermal environment`` keys."""
    document = copy.deepcopy(dict(load_cell(name).document))
    for place, changes in (
        (document["Parameterisation"]["User-defined"], thermal),
        (document["State"]["Thermal environment"], around),
    ):
        for key, value in dict(changes).items():
            if value is None:
                place.pop(key, None)
            else:
                place[key] = value
    Cell("mine", document).save(tmp_path / "mine.json")
    return "mine.json"


COOLING = "Heat transfer coefficient [W.m-2.K-1]"
NO_H = "note: no heat-transfer coefficient in the file: 10 W/m2K; --h sets another"
NO_ELECTRODES = "note: no electrodes: heat from current and voltage"
X_FOR_SORET = "note: thermal x, which soret and dufour need"
TWO_CURVES = "note: the electrodes and the open-circuit table of this file are two measurements: up to 0."
ENDS = "note: bottom and top are cooled as the side is"


@pytest.mark.parametrize(
    ("cell", "words", "notes"),
    [
        ("lgm50_21700", (), ()),
        ({COOLING: None}, (), (NO_H,)),
        ({COOLING: None}, ("--h", 5), ()),
        ({COOLING: None}, ("--thermal", "isothermal"), ()),
        ({COOLING: 12.0}, ("--thermal", "r-z"), ()),
        ("lgm50_21700", ("--thermal", "r-z"), (ENDS,)),
        ("lgm50_21700", ("--thermal", "r-z", "--h", 5), ()),
        ("lgm50_21700", ("--couplings", "soret"), (X_FOR_SORET,)),
        ("lgm50_21700", ("--couplings", "soret", "--thermal", "x"), ()),
        ("lgm50_21700", ("--couplings", "stress"), ()),
        ("lfp_32113", (), (NO_ELECTRODES,)),
        ("lfp_32113", ("--heat", "measured"), ()),
        ("a123_26650", ("--csv", "run.csv"), (TWO_CURVES,)),
        ("a123_26650", (), ()),
        ("a123_26650", ("--csv", "run.csv", "--heat", "measured"), ()),
        ("lgm50_21700", ("--csv", "run.csv"), ()),
    ],
)
def test_notes_say_what_was_taken_for_granted_and_nothing_else(run, tmp_path, cell, words, notes):
    name = cell if isinstance(cell, str) else changed(tmp_path, "lgm50_21700", cell)
    code, out, err = run("simulate", name, "--c-rate", 1, "--initial-soc", 0.5, "--duration-s", 10, *words)
    assert code == 0, err
    out = " ".join(out.split())
    for note in (NO_H, NO_ELECTRODES, X_FOR_SORET, TWO_CURVES, ENDS):
        assert (note in out) == (note in notes), note
    assert out.count("note: ") == len(notes)


def test_a_heat_transfer_coefficient_of_the_state_counts(run, tmp_path):
    name = changed(tmp_path, "lgm50_21700", {COOLING: None}, {COOLING: 7.0})
    code, out, err = run("simulate", name, "--c-rate", 1, "--duration-s", 10)
    assert code == 0, err
    assert "note: " not in out


def test_refined_meshes_agree(run, tmp_path):
    volts = []
    for n in (1, 2):
        words = ("--thermal", "lumped", "--refine", n, "-o", f"{n}.npz")
        code, out, err = run("simulate", "lgm50_21700", "--c-rate", 1, *SHORT, *words)
        assert code == 0, err
        with np.load(tmp_path / f"{n}.npz", allow_pickle=False) as kept:
            volts.append(kept["voltage_V"][-1])
            assert json.loads(str(kept["settings"]))["refine"] == str(n)
        volts.append(int(out.split(" unknowns")[0].split()[-1]))
    assert volts[3] > 3 * volts[1]
    assert 1e-9 < abs(volts[2] - volts[0]) < 2e-3


def test_the_help_says_what_a_person_has_to_know(run):
    words = " ".join(run("simulate", "--help")[1].replace("│", " ").split()).replace("- ", "-")
    for said in ("consistent only together", "stress-diffusivity", "radial in a cylinder", "potential 1 V", "10 K",
                 "times N, to see what the mesh costs"):  # fmt: skip
        assert said in words


def test_stability_writes_its_map(run, tmp_path):
    for name in ("a", "b"):
        code, out, err = run("stability", "lgm50_21700", "-o", f"{name}.npz")
        assert code == 0, err
        assert f"wrote {name}.npz" in out
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as kept:
        assert kept["steady_degC"].shape == (len(kept["h_W_m2K"]), len(kept["ambient_degC"]))
        assert kept["h_W_m2K"][[0, -1]] == pytest.approx([1.0, 100.0])
        assert kept["ambient_degC"][[0, -1]] == pytest.approx([20.0, 80.0])


def test_stability_says_where_the_limit_is(run, tmp_path):
    code, out, err = run("stability", "lgm50_21700", "--control", "voltage", "--h", "1:100", "--ambient-degC", "20:80",
                         "--plot", "map.png")  # fmt: skip
    assert code == 0, err
    assert "stability" in out
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_stability_without_a_limit_says_why_and_draws_nothing(run, tmp_path):
    code, out, _ = run("stability", "lgm50_21700")
    assert code == 0
    assert "no limit on this map" in " ".join(out.split())
    code, out, _ = run("stability", "lgm50_21700", "--plot", "map.png")
    assert code == 0
    assert "map.png not drawn: the map is empty" in " ".join(out.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--h", "100:1"), "--h: '100:1', expected LOW:HIGH"),
        (("--ambient-degC", "20"), "--ambient-degC: '20'"),
        (("--voltage-V", 3.5, "--control", "power"), "--control power"),
        (("--voltage-V", 3.5, "--current-A", 5), "the value of what is held"),
        (("--soc", 2), "0 to 1"),
        (("--reactions", "magic"), "magic"),
        (("--plot", "map.xyz"), ".png or .svg or .pdf"),
        (("-o", "map.csv"), "expected .npz"),
    ],
)
def test_nonsense_about_stability(run, words, said):
    code, out, err = run("stability", "lgm50_21700", *words)
    assert code == 2
    assert said in " ".join((out + err).split())


def test_a_range():
    assert ranged("1:100", "--h") == (1.0, 100.0)
    assert ranged("-20:1e1", "--ambient-degC") == (-20.0, 10.0)
    for text in ("", "1", "1:", ":2", "2:1", "1:1", "1:2:3", "nan:2", "1:inf", "a:b"):
        with pytest.raises(InputError, match="--h"):
            ranged(text, "--h")

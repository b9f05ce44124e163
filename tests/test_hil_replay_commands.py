"""The sub-commands replay and convert, as a person calls them."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bmsthermal import InputError, Run
from bmsthermal.observer import compiled
from hil.bench import open_bench
from hil.logs import read, write, write_frames
from hil.replay_commands import convert, replay
from hil.scenario import load_scenario

pytestmark = pytest.mark.skipif(not compiled(), reason="the device 'model' is the compiled kernel")
RUNNER = CliRunner()


def call(command, *words):
    app = typer.Typer()
    app.command()(command)
    done = RUNNER.invoke(app, [str(word) for word in words], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def drive(tmp_path):
    time_s = np.arange(50.0)
    surface = 298 + 0.02 * time_s
    Run(
        time_s, np.full(50, 5.0), np.full(50, 3.3), np.full(50, 297.0), {"surface": surface}, surface + 0.5
    ).to_csv(tmp_path / "drive.csv")  # fmt: skip
    return tmp_path / "drive.csv"


def test_a_measured_drive_is_scored_and_logged(drive, tmp_path):
    words = ("--log", tmp_path / "out.npz", "--report", tmp_path / "page.html", "--junit", tmp_path / "verdict.xml")
    done = call(replay, drive, "--device", "model", "--initial-soc", 0.5, *words)
    assert done.exit_code == 0, done.output
    assert "core RMSE" in done.output and "49 of 49" in done.output
    assert b"drive.csv, replayed" in (tmp_path / "page.html").read_bytes()
    assert b"ANSWERS" in (tmp_path / "verdict.xml").read_bytes()
    logged = read(tmp_path / "out.npz")
    assert np.isfinite(logged["core_degC"]).all() and len(logged.rows) == 49
    again = call(replay, tmp_path / "out.npz", "--device", "model", "--initial-soc", 0.5)
    table = [line for line in done.output.splitlines() if "│" in line]
    assert table and table == [line for line in again.output.splitlines() if "│" in line]


def test_a_recorded_scenario_is_judged_again(tmp_path):
    scenario = load_scenario("wrong_start")
    with open_bench(scenario, device="model") as bench:
        bench.step(90)
    write(bench.record, tmp_path / "run.npz")
    words = (tmp_path / "run.npz", "--device", "model", "--scenario", "wrong_start", "--report", tmp_path / "page.html")
    done = call(replay, *words, "--junit", tmp_path / "verdict.xml")
    assert done.exit_code in (0, 1) and "CORE-1" in done.output
    assert scenario.observer.start_error_K and "to the last bit" in done.output  # its wrong start is told it again
    assert (tmp_path / "page.html").stat().st_size > 10_000 and b"CORE-1" in (tmp_path / "verdict.xml").read_bytes()
    with pytest.raises(InputError, match=r"1 x surface, expected the 1 x surface, surface_left"):
        call(replay, tmp_path / "run.npz", "--device", "model", "--scenario", "us06_sensor_drift")


def test_frames_of_a_scenario_are_read_by_its_bus_and_not_judged(tmp_path):
    pytest.importorskip("cantools")
    scenario = load_scenario("can_loss")
    with open_bench(scenario, device="model") as bench:
        bench.step(30)
        frames = bench.device.frames
    write_frames(frames, tmp_path / "run.blf")
    words = (tmp_path / "run.blf", "--device", "model", "--scenario", "can_loss", "--initial-soc", 0.6)
    done = call(replay, *words, "--log", tmp_path / "out.csv")
    assert done.exit_code == 0 and "30 of 30" in done.output and "CORE-1" not in done.output
    assert "no core was recorded" in done.output


def test_what_cannot_be_is_refused(drive, tmp_path):
    with pytest.raises(InputError, match=r"ends in '\.pdf', expected \.html"):
        call(replay, drive, "--report", tmp_path / "page.pdf")
    with pytest.raises(InputError, match="device 'can', expected one that is stepped"):
        call(replay, drive, "--device", "can", "--initial-soc", 0.5)
    with pytest.raises(InputError, match="give it with --initial-soc"):
        call(replay, drive, "--device", "model")
    with pytest.raises(InputError, match=r"ends in '\.csv', expected \.blf"):
        call(convert, drive, tmp_path / "x.blf")


def test_logs_of_frames_are_converted(tmp_path):
    can = pytest.importorskip("can")
    frames = [can.Message(timestamp=0.5 * k, arbitration_id=k, data=[k], is_extended_id=False) for k in range(9)]
    write_frames(frames, tmp_path / "a.blf")
    write_frames(frames, tmp_path / "b.asc")
    assert call(convert, tmp_path / "a.blf", tmp_path / "c.asc").exit_code == 0
    assert (tmp_path / "c.asc").read_bytes() == (tmp_path / "b.asc").read_bytes()
    dated = "\n".join(
        f"({1.7e9 + frame.timestamp:.6f}) can0 {frame.arbitration_id:03X}#{frame.data.hex()} R" for frame in frames
    )
    (tmp_path / "d.log").write_text(dated + "\n")
    assert call(convert, tmp_path / "d.log", tmp_path / "e.blf").exit_code == 0
    with can.LogReader(tmp_path / "e.blf") as found:
        assert [frame.timestamp for frame in found] == pytest.approx([frame.timestamp for frame in frames])

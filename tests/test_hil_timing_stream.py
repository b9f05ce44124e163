"""The logger in another process: whole when it lives, no harm when it does not."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from bmsthermal.errors import InputError
from hil.timing.stream import DEEPEST, CsvSink, Stream

NAMES = ("time_s", "core_degC", "surface_degC")


def eventually(happened, within_s=30.0):
    """Wait for another process; how long is not what is tested."""
    end = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_rows_arrive_whole_and_in_order(tmp_path):
    rows = np.random.default_rng(1).standard_normal((500, 3))
    rows[7, 1] = np.nan
    with Stream(3, partial(CsvSink, tmp_path / "live.csv", NAMES)) as stream:
        assert stream.put(rows[:100])
        assert sum(stream.put(row) for row in rows[100:]) == 400
    stream.close()  # twice is once
    assert stream.report() == {"put": 500, "written": 500, "lost": 0}
    header, *lines = (tmp_path / "live.csv").read_text().splitlines()
    assert header == ",".join(NAMES)
    assert lines[7].split(",")[1] == ""
    found = np.array([[float(x or "nan") for x in line.split(",")] for line in lines])
    assert np.array_equal(found, rows, equal_nan=True)


def test_the_ring_goes_round(tmp_path):
    rows = np.arange(300.0).reshape(100, 3)
    with Stream(3, partial(CsvSink, tmp_path / "live.csv", NAMES), depth=16) as stream:
        for some in np.split(rows, range(10, 100, 10)):
            assert stream.put(some)
            eventually(lambda: stream.written == stream.report()["put"])
    assert np.array_equal(np.loadtxt(tmp_path / "live.csv", delimiter=",", skiprows=1), rows)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on Windows")
def test_what_does_not_fit_is_counted_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "stuck")  # nobody reads it: the logger hangs in its sink
    stream = Stream(3, partial(CsvSink, tmp_path / "stuck", NAMES), depth=DEEPEST)
    assert stream.put(np.zeros((DEEPEST - 2, 3)))
    assert [stream.put((k, 0.0, 0.0)) for k in range(7)] == [True] * 2 + [False] * 5
    assert not stream.put(np.zeros((5, 3)))
    stream.close(timeout_s=0.05)
    assert stream.report() == {"put": DEEPEST, "written": 0, "lost": 10}
    assert not stream.alive


def test_a_dead_logger_hurts_nobody(tmp_path):
    with Stream(3, partial(CsvSink, tmp_path / "live.csv", NAMES)) as stream:
        stream.put((0.0, 1.0, 2.0))
        eventually(lambda: stream.written == 1)
        os.kill(stream.pid, signal.SIGTERM)
        eventually(lambda: not stream.alive)
        assert not stream.put((1.0, 1.0, 2.0))
        assert not stream.put((2.0, 1.0, 2.0))
    assert stream.report() == {"put": 1, "written": 1, "lost": 2}


def test_a_sink_that_cannot_be_made_ends_the_logger_only(tmp_path, capfd):
    with Stream(3, partial(CsvSink, tmp_path / "missing" / "live.csv", NAMES)) as stream:
        eventually(lambda: not stream.alive)
        assert not stream.put((0.0, 1.0, 2.0))
    assert stream.lost == 1
    assert "No such file" in capfd.readouterr().err


KILLED = """
import os, signal, sys
from functools import partial
from hil.timing.stream import CsvSink, Stream
if __name__ == "__main__":
    stream = Stream(1, partial(CsvSink, sys.argv[1], ("x",)))
    for k in range(100):
        stream.put((k,))
    print(stream.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_the_logger_writes_what_it_has_when_the_loop_is_killed_and_ends(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path / "live.csv")]
    loop = subprocess.run(command, capture_output=True, text=True, check=False)
    assert loop.returncode == -signal.SIGKILL, loop.stderr
    logger = int(loop.stdout)
    eventually(lambda: not running(logger))
    assert (tmp_path / "live.csv").read_text().split() == ["x", *(repr(float(k)) for k in range(100))]


def running(pid):
    """Whether a process is there; one that waits for its parent to notice is not."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return os.path.isdir("/proc/self")


@pytest.mark.parametrize(("width", "depth"), [(0, 1), (1, 0), (1, DEEPEST + 1)])
def test_no_stream(width, depth):
    with pytest.raises(InputError, match="at least one of each"):
        Stream(width, partial(CsvSink, "never", ("x",)), depth=depth)


def test_frames_streamed_are_the_frames_written_at_once(tmp_path):
    can = pytest.importorskip("can", reason="python-can is not installed")
    from hil.logs import write_frames
    from hil.timing.frame_stream import FrameStream

    drawn = np.random.default_rng(2)
    frames = [
        can.Message(
            timestamp=0.001 * k, arbitration_id=int(drawn.integers(0x7FF)), is_extended_id=bool(k % 3 == 0),
            is_fd=bool(k % 2), is_rx=bool(k % 5), data=drawn.bytes(12 if k % 2 else k % 9),
        )
        for k in range(300)
    ]  # fmt: skip
    with FrameStream(tmp_path / "streamed.blf") as stream:
        for frame in frames:
            stream(frame)
    stream.close()
    assert stream.report() == {"put": 300, "written": 300, "lost": 0}
    write_frames(frames, tmp_path / "whole.blf")
    assert (tmp_path / "streamed.blf").read_bytes() == (tmp_path / "whole.blf").read_bytes()

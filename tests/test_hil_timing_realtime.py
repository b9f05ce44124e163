"""Real time is asked for, never required, and put back."""

import ctypes
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil.timing import Pacer, ScaledClock, granted, promote, realtime


@pytest.fixture
def collector():
    """Leave the collector as it was, whatever a test finds."""
    was = gc.isenabled()
    gc.unfreeze()  # hypothesis freezes too
    yield
    gc.unfreeze()
    (gc.enable if was else gc.disable)()


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_rests_and_goes_on_as_it_was(enabled):
    (gc.enable if enabled else gc.disable)()
    with pytest.raises(KeyError), realtime(lock=False) as found:
        assert found["collector_frozen"]
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
        raise KeyError
    assert gc.isenabled() == enabled
    assert gc.get_freeze_count() == 0


@pytest.mark.usefixtures("collector")
def test_what_another_froze_stays_frozen():
    gc.freeze()
    with realtime(lock=False):
        pass
    assert gc.get_freeze_count() > 0


WITHIN = """
import gc, json, os
from hil.timing import granted, realtime
child = lambda: os.waitstatus_to_exitcode(os.waitpid(os.fork() or os._exit(os.sched_getscheduler(0)), 0)[1])
before = granted(), gc.isenabled()
try:
    with realtime() as within:
        now, forked = granted(), child()
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
print(json.dumps([before, [granted(), gc.isenabled()], within, now, forked]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="not on Windows")
def test_scheduler_and_memory_are_as_before_and_children_are_ordinary():
    # in a process of its own: to lock the memory of a whole test run is no use
    done = subprocess.run([sys.executable, "-c", WITHIN], check=True, capture_output=True, text=True)
    before, after, within, now, forked = json.loads(done.stdout)
    assert before == after
    assert within == now
    assert within["collector_frozen"]
    assert within["scheduler"] in ("SCHED_FIFO 50", before[0]["scheduler"])  # granted, or refused
    assert forked == os.SCHED_OTHER


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("absent", [True, False])
def test_a_system_without_real_time_runs_without(absent, monkeypatch):
    def refuse(*_):
        raise PermissionError

    def no_library(_):
        raise OSError

    def no_file(*_, **__):
        raise FileNotFoundError

    before = granted()["scheduler"]
    monkeypatch.setattr(ctypes, "CDLL", no_library)
    if absent:
        for name in ("sched_setscheduler", "sched_getscheduler"):
            monkeypatch.delattr(os, name, raising=False)
        monkeypatch.setattr(Path, "read_text", no_file)  # there is no /proc either
    else:
        monkeypatch.setattr(os, "sched_setscheduler", refuse, raising=False)
    with realtime() as found:
        assert found["scheduler"] == (None if absent else before)
        assert found["memory_locked"] is (None if absent else False)
        assert found["collector_frozen"]
    assert not promote(os.getpid())


def test_a_run_on_a_clock_that_goes_says_what_it_took():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        pacer = Pacer(ScaledClock(100.0), 0.1)
        pacer.usage.watch("device", child.pid)
        pacer.usage.watch("gone", 2**22 + 1)  # no process has it: one more than the kernel's largest
        for _ in pacer.ticks(20):
            pacer.burn(0.01)
    finally:
        child.communicate(b"\n")
    report = json.loads(json.dumps(pacer.report(), allow_nan=False))
    assert report["clock"] == "scaled:100"
    assert report["cpu_share"]["gone"] is None
    assert report["wall_s"] > 0.0
    assert report["cpu_share"]["bench"] > 0.0
    assert {"scheduler", "memory_locked", "collector_frozen"} <= report.keys()
    assert len(report["load"]) == 2
    if sys.platform == "linux":
        assert report["cpu_share"]["device"] >= 0.0


def test_a_run_that_is_interrupted_is_reported_as_far_as_it_went():
    pacer = Pacer(ScaledClock(1000.0), 1.0)
    with pytest.raises(KeyboardInterrupt):
        for tick in pacer.ticks(10):
            if tick.index == 3:
                raise KeyboardInterrupt
    report = json.loads(json.dumps(pacer.report(), allow_nan=False))
    assert report["steps"] == report["lateness"]["count"] == 4
    assert report["cpu_share"]["bench"] > 0.0

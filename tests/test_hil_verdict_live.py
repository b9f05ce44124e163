"""The live page's server: it believes no datagram, forgets what is old, answers this machine only, and ends."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hil_outcomes import outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from bmsthermal.errors import InputError
from hil.verdict import Live, board
from hil.verdict.board import Board
from hil.verdict.watching import Watcher

PATIENCE_S = 20.0  # of a loaded machine; nothing waits so long that works


def message(kind, run="r", **content):
    return json.dumps({"run": run, "kind": kind, **content}).encode()


def begin(run="r", **changed):
    about = {"title": "t", "device": "d", "cells": 1, "sensors": ["surface"], "faults": ["drift"], **changed}
    return message("begin", run, **about)


def columns(known, rows):
    return [[int(i)] * rows if i else list(range(rows)) for i in range(len(known._columns))]


def started():
    known = Board()
    assert known.take(begin())
    return known


def told(known):
    """All events that someone who comes now gets."""
    found = []
    for event in known.events(wait_s=0.05):
        if event is None:
            return dict(found)
        found.append(event)
    return dict(found)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200))
def test_garbage_is_dropped(datagram):
    known = started()
    assert not known.take(datagram)
    assert "run" in told_now(known)


def told_now(known):
    return dict([next(known.events(wait_s=0.0))])


KEYS = ("title", "device", "cells", "sensors", "faults", "columns", "results", "sentence", "tone")


@settings(max_examples=50)
@given(
    st.sampled_from(["begin", "rows", "again", "end", "other"]),
    st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, json_values)),
)
def test_well_formed_nonsense_does_no_harm(kind, content):
    known = started()
    known.take(message(kind, **content))
    assert told_now(known)["run"]["title"] == "t"


@pytest.mark.parametrize(
    "changed",
    [
        {"cells": 0}, {"cells": True}, {"cells": 10**9}, {"sensors": []}, {"sensors": ["a"] * 1000},
        {"title": "x" * 10**4}, {"faults": "drift"}, {"device": None},
    ],
)  # fmt: skip
def test_descriptions_have_bounds(changed):
    known = Board()
    assert not known.take(begin(**changed))


def test_deep_nesting_is_garbage():
    assert not Board().take(b"[" * 60_000)
    assert not Board().take(b'{"run":' + b"[" * 60_000)


def test_rows_of_another_shape_are_dropped():
    known = started()
    good = columns(known, 3)
    assert not known.take(message("rows", columns=good[:-1]))
    assert not known.take(message("rows", columns=[*good[:-1], [1, 2]]))
    assert not known.take(message("rows", columns=[*good[:-1], [1, 2, 0.5]]))
    assert not known.take(message("rows", columns=[[None] * 3, *good[1:]]))
    assert not known.take(message("rows", run="another", columns=good))
    assert known.take(message("rows", columns=good))
    assert told(known)["run"]["columns"] == good


def test_memory_is_bounded_and_extremes_stay():
    known = started()
    for k in range(40):
        rows = columns(known, 1000)
        rows[0] = list(range(1000 * k, 1000 * k + 1000))
        rows[1] = [0] * 1000
        rows[1][500] = 7 if k == 11 else None
        assert known.take(message("rows", columns=rows))
    found = told(known)["run"]["columns"]
    assert all(len(each) < 2 * board.ROWS for each in found)
    assert found[0][0] == 0
    assert max(each for each in found[1] if each is not None) == 7


def test_a_run_that_goes_on_is_not_pushed_aside_and_those_that_ended_are_remembered():
    known = started()
    assert not known.take(begin("second"))
    assert known.take(message("end", sentence="Passed.", tone="good", results=[["a", "b", "c", "d", "passed"]]))
    assert not known.take(message("rows", columns=columns(known, 1)))
    assert known.take(begin("second", title="second"))
    found = told(known)
    assert found["run"]["title"] == "second"
    assert found["earlier"]["runs"] == [["t", "d", "Passed."]]
    for k in range(3 * board.EARLIER):
        known.take(message("end", f"run{k - 1}" if k else "second", sentence="Passed.", tone="", results=[]))
        assert known.take(begin(f"run{k}"))
    assert len(told(known)["earlier"]["runs"]) == board.EARLIER


def test_a_silent_run_makes_room(monkeypatch):
    known = started()
    monkeypatch.setattr(board, "SILENT_S", -1.0)
    assert known.take(begin("second"))
    assert told(known)["earlier"]["runs"] == [["t", "d", "Its end was not heard."]]


def test_who_comes_late_gets_the_whole_run_and_its_end():
    with Watcher(0) as watcher:
        made = outcome(steps=3000)
        publish(made, watcher.port)
        found = told(until_end(watcher.board))
    assert found["end"]["sentence"].startswith("Failed. 1 of 4")
    assert [row[0] for row in found["end"]["results"]] == [each.requirement for each in made.results]
    run = found["run"]
    time_s = np.array(run["columns"][0]) / 1000
    assert time_s[0] == 1
    assert time_s[-1] > 2950
    core = np.array(run["columns"][run["keys"].index("true_core")]) / 100
    assert abs(core.max() - made.record["true_core_degC"].max()) < 0.006


def publish(made, port):
    live = Live(made.scenario.title, made.device, port)
    for row in made.record.rows:
        live(made.record.names, row)
    live.end(made)
    live.end(made)


def until_end(known):
    deadline = time.monotonic() + PATIENCE_S
    while known._end is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return known


def test_nobody_listens_and_nothing_happens():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    publish(outcome(steps=200), port)


def test_what_goes_wrong_stays_with_the_publisher():
    live = Live("t", "d", 9)
    live(("nonsense",), np.zeros(3))
    live(("nonsense",), np.zeros(3))
    live.end(outcome(steps=5))


@pytest.mark.parametrize("cells", [1, 96])
def test_datagrams_are_small_whatever_the_module(cells, monkeypatch):
    sent = []
    made = outcome(cells=cells, sensors=("surface", "surface_left", "surface_right"), steps=500,
                   faults=tuple(f"fault{i}" for i in range(19)))  # fmt: skip
    live = Live("t", "d", 9)
    live._socket.close()

    class Wire:
        def sendto(self, data, to):
            assert to[0] == "127.0.0.1"
            sent.append(len(data))

        def close(self):
            pass

    live._socket = Wire()
    for row in made.record.rows:
        live(made.record.names, row)
    live.end(made)
    assert max(sent) <= 8000


def ask(watcher, path="/", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", watcher.port, timeout=PATIENCE_S)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{watcher.port}")
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read() if path != "/events" else b""


def test_the_server_answers_this_machine_only():
    with Watcher(0) as watcher:
        status, headers, content = ask(watcher)
        assert status == 200
        assert b"<h1" in content
        assert "Access-Control-Allow-Origin" not in headers
        assert ask(watcher, host=f"localhost:{watcher.port}")[0] == 200
        for host in ("evil.example", f"evil.example:{watcher.port}", "127.0.0.1", "127.0.0.1:1"):
            assert ask(watcher, host=host)[0] == 403
        assert ask(watcher, "/favicon.ico")[0] == 204
        for path in ("/../etc/passwd", "/?x", "/events/"):
            assert ask(watcher, path)[0] == 404
        status, headers, _ = ask(watcher, "/events")
        assert (status, headers["Content-Type"]) == (200, "text/event-stream")


def test_a_port_that_is_taken_is_a_sentence():
    with Watcher(0) as watcher, pytest.raises(InputError, match=f"port {watcher.port}.*another watch"):
        Watcher(watcher.port)
    with pytest.raises(InputError, match="port 70000"):
        Watcher(70_000)


def test_a_watcher_ends_while_pages_are_open():
    with Watcher(0) as watcher:
        open_pages = [socket.create_connection(("127.0.0.1", watcher.port)) for _ in range(3)]
        for page in open_pages[:2]:
            page.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{watcher.port}\r\n\r\n".encode())
    for page in open_pages:
        page.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_interrupt_ends_it_cleanly():
    # a job in the background may have been told to leave interrupts alone
    code = "import signal; signal.signal(2, signal.default_int_handler); from hil.verdict import watch; watch(0)"
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-P", "-u", "-c", code], stdout=pipe, stderr=pipe, text=True)
    try:
        assert "127.0.0.1" in child.stdout.readline()
        child.send_signal(2)
        _, error = child.communicate(timeout=PATIENCE_S)
    finally:
        child.kill()
    assert (child.returncode, error) == (0, "")

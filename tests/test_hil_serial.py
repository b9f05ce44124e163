"""The serial line: the C of the table says what the observer says, and nothing that a board does hangs the bench."""

import json
import select
import subprocess
import sys
import textwrap
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmsthermal import CoupledModel, InputError, Observer, load_cell
from firmware_export.bundle import export
from firmware_export.host import compile_bundle, find_compiler
from hil.devices.device import DeviceError
from hil.devices.in_process import InProcess
from hil.devices.serial import PATIENCE, SerialDevice, serial_device
from hil.serial.desk import Desk, compile_board
from hil.serial.protocol import BOARD, ERRORS, HEAD, MESSAGES, START_BYTE, TAIL, Protocol, Receiver, enclose
from hil.serial.render import add_serial, model_number, protocol_of, serial_texts
from hil.signals import Readings, Status

pytest.importorskip("serial")
CELLS = 3
PROTOCOL = Protocol(CELLS, 1)
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler")


@pytest.fixture(scope="module")
def observer():
    reduced = CoupledModel(load_cell("a123_26650"), heat="measured").reduce_conduction(order=3)
    return Observer(reduced, faults=True, real="float")


@pytest.fixture(scope="module")
def bundle(observer, tmp_path_factory):
    return export(observer, tmp_path_factory.mktemp("bundle") / "c", name="cell")


@pytest.fixture(scope="module")
def board(bundle, tmp_path_factory):
    if find_compiler() is None:
        pytest.skip("no C compiler")
    return compile_board(bundle, tmp_path_factory.mktemp("board") / "board", CELLS)


def readings(steps, cells=CELLS, sensors=1):
    random = np.random.default_rng(4)
    for k in range(steps):
        surfaces = 298.0 + 0.05 * k + random.normal(0, 0.1, (cells, sensors))
        surfaces[random.random((cells, sensors)) < 0.1] = np.nan
        yield Readings(k + 1.0, 20 * np.sin(k / 9), 3.3 - 0.01 * random.random(cells), 297.0, surfaces)


def device(desk, **changes):
    return SerialDevice(desk.port, **({"cells": CELLS, "step_s": 1.0, "timeout_s": 20.0} | changes))


def same(one, other):
    assert one.status == other.status == Status.OK
    for name in ("core_K", "core_std_K", "fault", "heat_fault"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=name != "fault")


def test_a_board_says_what_the_observer_says_to_the_last_bit(board, bundle, observer):
    with Desk(board) as desk:
        ours, theirs = InProcess(observer, CELLS), device(desk)
        for soc in (0.5, 0.8):  # and it can begin anew
            for k, each in enumerate(readings(80)):
                if k == 0:
                    ours.reset(each, soc)
                    theirs.reset(each, soc)
                same(ours.step(each), theirs.step(each))
        assert theirs.model == model_number(bundle)
        assert theirs.counts == {"sent": 162, "answered": 162, "late": 0, "garbage": 0, "refused": 0, "strays": 0}
        theirs.close()
        theirs.close()


@needs_compiler
def test_a_board_that_is_a_program_here_is_one_word(observer):
    ours, theirs = InProcess(observer, 2), serial_device("desk", observer, 2)
    try:
        for k, each in enumerate(readings(3, 2)):
            if k == 0:
                ours.reset(each, 0.5)
                theirs.reset(each, 0.5)
            same(ours.step(each), theirs.step(each))
    finally:
        theirs.close()
    assert theirs.desk.process.poll() is not None


@needs_compiler
@pytest.mark.parametrize("form", ["ekf", "ud", "fixed-gain"])
@pytest.mark.parametrize("real", ["float", "double"])
def test_every_form_compiles_and_answers(form, real, observer, tmp_path):
    plain = Observer(observer.reduced).on_target(real, form)
    bundle = export(plain, tmp_path / "c", real=real, form=form, name="cell")
    program = compile_board(bundle, tmp_path / "board")
    with Desk(program) as desk:
        ours, theirs = InProcess(plain), device(desk, cells=1, real=real)
        for k, each in enumerate(readings(5, 1)):
            if k == 0:
                ours.reset(each, 0.5)
                theirs.reset(each, 0.5)
            same(ours.step(each), theirs.step(each))
        theirs.close()


@needs_compiler
def test_the_c_takes_anything_and_answers_the_next_frame(board, observer):
    """Half frames, wrong CRC and noise: the board is in step again with the frame after."""
    first = next(readings(1))
    start = PROTOCOL.frame(
        "start", 1, version=1, cells=CELLS, sensors=1, step_us=1_000_000, soc=0.5, surface_K=[298.0] * CELLS
    )
    step = PROTOCOL.frame(
        "step", 2, current_A=1.0, ambient_K=297.0, voltage_V=first.voltage_V, surface_K=first.surfaces_K
    )
    noise = np.random.default_rng(0).bytes(5000).replace(bytes([START_BYTE, 2]), b"")
    damaged = step[:-1] + bytes([step[-1] ^ 1])
    sizes = {kind: size for kind, size in PROTOCOL.sizes().items() if kind >= BOARD}

    def ask(data):
        done = subprocess.run([board], input=data, capture_output=True, timeout=60, check=True)
        receiver = Receiver(sizes)
        found = receiver.feed(done.stdout)
        assert receiver.skipped == 0
        return found

    (_, _, clean) = ask(start + step)[-1]
    for before in (noise, step[: len(step) // 2], damaged, bytes([START_BYTE]) * 50, start[:HEAD]):
        # a frame that was cut short takes the bytes of the next one for its own: the one after that is heard
        found = ask(start + before + step + step)
        assert found[-1] == (0x82, 2, found[-1][2])
        assert len(found[-1][2]) == len(clean)
    assert ask(step)[0][2] == (5).to_bytes(2, "little")
    assert [payload for kind, _, payload in ask(start + damaged) if kind == 0x83] == [(6).to_bytes(2, "little")]


@needs_compiler
def test_the_c_stays_inside_its_buffers_whatever_comes(bundle, tmp_path):
    """Sanitizers of addresses and undefined behaviour find nothing in thousands of whole, cut and flipped frames."""
    try:
        sanitize = "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O0"
        program = compile_board(bundle, tmp_path / "board", CELLS, *sanitize)
    except InputError:
        pytest.skip("the compiler has no sanitizers here")
    random = np.random.default_rng(0)
    start = PROTOCOL.frame(
        "start", 1, version=1, cells=CELLS, sensors=1, step_us=1_000_000, soc=0.5, surface_K=[298.0] * CELLS
    )
    sent = [start]
    for i in range(2000):
        step = PROTOCOL.frame(
            "step", i, current_A=random.normal() * 10.0 ** random.integers(-3, 38), ambient_K=297.0,
            voltage_V=random.normal(3, 1, CELLS), surface_K=random.normal(298, 100, (CELLS, 1)),
        )  # fmt: skip
        flipped = bytearray(step)
        flipped[random.integers(len(step))] ^= 1 << int(random.integers(8))
        sent.append([
            step, step, step[: random.integers(1, len(step))], bytes(flipped), start,
            bytes([START_BYTE, 2]) + random.bytes(3), random.bytes(random.integers(1, 80)),
        ][random.integers(7)])  # fmt: skip
    sent += [step] * 3
    done = subprocess.run([program], input=b"".join(sent), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    receiver = Receiver({kind: size for kind, size in PROTOCOL.sizes().items() if kind >= BOARD})
    answered = receiver.feed(done.stdout)
    assert receiver.skipped == 0 and len(answered) > 500 and answered[-1][0] == 0x82


@pytest.mark.parametrize(("changes", "code"), [({"cells": 2}, None), ({"step_s": 0.1}, 4), ({"real": "double"}, None)])
def test_a_board_for_something_else_is_refused(board, changes, code):
    with Desk(board) as desk:
        made = device(desk, timeout_s=20.0 if code else 0.1, **changes)
        expected = ERRORS[code] if code else "no board starts"
        with pytest.raises(DeviceError, match=expected):
            made.reset(next(readings(1, changes.get("cells", CELLS))), 0.5)
        made.close()


MISBEHAVES = {
    "silent": "while True: os.read(0, 4096)",
    "deaf": "time.sleep(100)",
    "flooding": "while True: os.write(1, bytes(range(256)) * 16)",
    "garbled": "while True: os.write(1, os.read(0, 4096)[::-1])",
    "echoing": "while True: os.write(1, os.read(0, 4096))",
    "dying": "os.read(0, 10); sys.exit(3)",
    "rude": """
        answer = bytearray.fromhex('ANSWER')
        while True:
            os.read(0, 4096); os.write(1, answer[:7]); time.sleep(0.01); os.write(1, answer)
        """,
}


@pytest.fixture
def misbehaving():
    def start(code):
        text = f"import os, sys, time\nos.write(1, b'!')\n{textwrap.dedent(code)}"
        desk = Desk(sys.executable, "-c", text)
        assert select.select([desk.end], [], [], 60)[0]  # it runs, however busy this machine is
        return desk

    return start


@pytest.mark.parametrize("how", list(MISBEHAVES))
def test_nothing_that_a_board_does_hangs_or_kills_the_bench(how, misbehaving):
    answer = PROTOCOL.frame("answer", 77, core_K=[300.0] * CELLS, core_variance_K2=[1.0] * CELLS)
    with misbehaving(MISBEHAVES[how].replace("ANSWER", answer.hex())) as desk:
        made = device(desk, timeout_s=0.03)
        each = next(readings(1))
        with pytest.raises(DeviceError):
            made.reset(each, 0.5)
        found = []
        with pytest.raises(DeviceError, match=r"no answer in 10 steps|is gone"):
            for _ in range(PATIENCE + 1):
                found.append(made.step(each).status)
        assert len(found) < PATIENCE and set(found) <= {Status.LATE, Status.GARBAGE}
        if how == "silent":
            assert made.counts["late"] == 3 + PATIENCE and set(found) == {Status.LATE}
        if how == "flooding":
            assert made.counts["garbage"] > 0
        if how == "rude":
            assert made.counts["strays"] > 0
        made.close()


def test_a_board_that_dies_midway_is_gone_and_one_that_was_reset_says_so(board):
    with Desk(board) as desk:
        made = device(desk)
        stream = readings(100)
        each = next(stream)
        made.reset(each, 0.5)
        assert made.step(each).status == Status.OK
        desk.process.kill()
        desk.process.wait()
        with pytest.raises(DeviceError):
            for each in stream:
                assert made.step(each).status != Status.OK
        made.close()
    with Desk(board) as desk:
        made = device(desk)
        with pytest.raises(DeviceError, match="switched on or reset"):
            made.step(each)
        made.close()


@pytest.mark.parametrize("core", [np.nan, np.inf])
def test_an_answer_that_no_observer_gives_is_garbage(core, misbehaving):
    code = """
        import zlib, struct
        sent = 0
        while True:
            data = os.read(0, 4096)
            kind, n = (0x81, STARTED) if data[1] == 1 else (0x82, ANSWER)
            payload = bytes(n) if kind == 0x81 else struct.pack('<3f', CORE, 300.0, 300.0) + bytes(n - 12)
            body = bytes([kind, data[2]]) + struct.pack('<H', len(payload)) + payload
            os.write(1, bytes([0xA5]) + body + struct.pack('<I', zlib.crc32(body)))
        """
    sizes = PROTOCOL.sizes()
    code = code.replace("STARTED", str(sizes[0x81])).replace("ANSWER", str(sizes[0x82]))
    with misbehaving(code.replace("CORE", f"float('{core}')")) as desk:
        made = device(desk)
        each = next(readings(1))
        made.reset(each, 0.5)
        answer = made.step(each)
        assert answer.status == Status.GARBAGE and "cell 0 says" in answer.said
        made.close()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.integers(0, 255), st.just(bytes([START_BYTE]) * 3)), max_size=8))
def test_any_bytes_never_raise_and_every_whole_frame_after_them_is_found(parts):
    """Bytes that look like the head of a frame may swallow what follows: no further than such a frame is long."""
    receiver, sizes = Receiver(PROTOCOL.sizes()), PROTOCOL.sizes()
    for part in parts:
        receiver.feed(part if isinstance(part, bytes) else enclose(0x83, part, b"\x01\x00"))
    receiver.feed(b"\0" * (HEAD + TAIL + max(sizes.values())))
    before = receiver.skipped
    frame = enclose(0x83, 9, b"\x05\x00")
    assert receiver.feed(frame[:4]) == []
    assert receiver.feed(frame[4:] + frame[:3]) == [(0x83, 9, b"\x05\x00")]
    assert receiver.feed(frame[3:]) == [(0x83, 9, b"\x05\x00")]
    assert receiver.skipped - before <= HEAD


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_frames_do_not_depend_on_how_bytes_arrive(data, cuts):
    stream = data[:200] + enclose(0x83, 1, b"\x01\x00") + data[200:] + enclose(0x83, 2, b"\x02\x00")
    whole, pieces = Receiver({0x83: 2}), Receiver({0x83: 2})
    expected = whole.feed(stream)
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    found = [each for a, b in pairwise(edges) for each in pieces.feed(stream[a:b])]
    assert found == expected and (pieces.skipped, pieces.damaged) == (whole.skipped, whole.damaged)


def test_the_table_is_packed_without_gaps_and_frames_read_back():
    sizes = PROTOCOL.sizes()
    assert sizes == {1: 14 + 4 * CELLS, 2: 8 + 8 * CELLS, 0x81: 16, 0x82: 10 * CELLS, 0x83: 2}
    frame = PROTOCOL.frame("step", 300, current_A=1.5, ambient_K=np.nan, voltage_V=[3.0, 3.1, 1e300], surface_K=298.0)
    ((kind, counter, payload),) = Receiver(sizes).feed(frame)
    found = PROTOCOL.fields("step", payload)
    assert (kind, counter, found["current_A"]) == (2, 300 % 256, np.float32(1.5))
    assert np.isnan(found["ambient_K"]) and np.isinf(found["voltage_V"][2])
    assert len({each.kind for each in MESSAGES}) == len(MESSAGES)


def test_files_join_a_bundle_and_are_the_same_every_time(bundle, tmp_path):
    made = export_again = serial_texts(bundle, 2)
    assert made == serial_texts(bundle, 2) and export_again.keys() == {"cell_serial.h", "cell_serial.c", "cell_board.c"}
    assert not any("{{" in text.decode() or "{%" in text.decode() for text in made.values())
    for path in add_serial(bundle, 2):
        assert path.read_bytes() == made[path.name]
    known = json.loads((bundle.folder / "evidence.json").read_text())["files"]
    assert set(made) <= set(known)
    if find_compiler():
        for source in ("cell_serial.c", "cell_board.c"):
            compile_bundle(bundle.folder, [source], tmp_path / "x.o", "-c", "-Wshadow", "-Wsign-conversion")


def test_bundles_and_ports_that_do_not_do_are_refused(bundle, observer, tmp_path):
    given_heat = export(Observer(observer.reduced), tmp_path / "heat", real="double", inputs="heat", name="cell")
    with pytest.raises(InputError, match="given its heat"):
        protocol_of(given_heat, 1)
    with pytest.raises(InputError, match="0 cells, expected 1 to 1000"):
        protocol_of(bundle, 0)
    long = export(observer, tmp_path / "long", name="a" * 20)
    with pytest.raises(InputError, match="has 20 characters, expected at most 19"):
        serial_texts(long)
    with pytest.raises(InputError, match="baud rate 'fast', expected a whole number"):
        serial_device("COM3@fast", observer)
    with pytest.raises(InputError, match="cannot be opened"):
        serial_device(f"{tmp_path / 'none'}@9600", observer)
    with pytest.raises(InputError, match="cannot be opened"):
        SerialDevice(str(tmp_path / "none"))
    with pytest.raises(InputError, match="does not start"):
        Desk(tmp_path / "none")


@needs_compiler
def test_a_scenario_on_a_board_is_that_on_its_c_and_one_whose_board_dies_ends_whole():
    from hil.bench import run_scenario
    from hil.scenario import load_scenario

    found = [run_scenario("us06", device=each, duration_s=30) for each in ("sil", "serial:desk")]
    assert found[0].record.digest == found[1].record.digest
    assert len(found[1].digests["board"]) == 8
    dying = serial_device("desk", load_scenario("us06").make_observer(), timeout_s=20.0)

    def seen(names, row):
        if row[0] == 10:
            dying.desk.process.kill()
            dying.desk.process.wait()

    dead = run_scenario("us06", device=dying, duration_s=30, seen=seen)
    assert not dead.passed and len(dead.record.time_s) == 30
    assert dead.record["status"].tolist() == [Status.OK] * 10 + [Status.DEAD] * 20
    ((at_s, said),) = dead.record.said
    assert at_s == 11 and said.startswith("desk is gone")


def test_a_person_writes_a_board(tmp_path, capsys):
    from hil.board_commands import board as write_board

    write_board("a123_26650", tmp_path / "c", cells=2, name="cell")
    assert {"cell_serial.c", "cell_serial.h", "cell_board.c"} <= {path.name for path in (tmp_path / "c").iterdir()}
    assert "62 B on the line in a step of 1 s: 5.38 ms at 115200 baud" in capsys.readouterr().out
    write_board("a123_26650", tmp_path / "c", cells=3, name="cell")  # its own files are known to it
    assert b"CELL_SERIAL_CELLS 3" in (tmp_path / "c" / "cell_serial.h").read_bytes()


def test_a_time_out_is_kept(misbehaving):
    """Nobody gives up before it; how long after is the machine's business."""
    with misbehaving(MISBEHAVES["silent"]) as desk:
        made = device(desk, timeout_s=0.1)
        begun = time.monotonic()
        made.step(next(readings(1)))
        assert time.monotonic() - begun >= 0.1
        made.close()

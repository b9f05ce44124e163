"""Somebody else's C: what crashes, hangs, prints without end or says nonsense ends as such, and in bounded time."""

import re
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hil_devices import Status, drive, observer, said, same

from bmsthermal import InputError
from bmsthermal.observer import compiled
from firmware_export import export
from firmware_export.host import find_compiler
from hil.devices import DeviceError, plain_device

if not compiled() or find_compiler() is None:
    pytest.skip("no C compiler, or the compiled kernel is missing", allow_module_level=True)

#: Longest answer that is waited for here, and what else a call may take on a machine that is busy.
ANSWER_S, BUSY_S = 2.0, 30.0
#: What a step begins with; current of 77 A is what brings it out.
BROKEN = {
    "segfault": "static volatile unsigned long no; if (input->current_A > 70.0f) { *(volatile int *)no = 1; }",
    "exit": "if (input->current_A > 70.0f) { exit(3); }",
    "loop": "for (volatile int i = 0; (input->current_A > 70.0f) && (i < 1);) { }",
    "flood": 'for (int i = 0; i < 2000; i++) { (void)puts("all is well, all is well, all is well, all is well"); }',
    "reader": "while (getchar() != EOF) { }",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return export(observer("watched"), tmp_path_factory.mktemp("bundle") / "c", name="theirs")


@pytest.fixture
def changed(bundle, tmp_path):
    def make(kind):
        folder = tmp_path / kind
        shutil.copytree(bundle.folder, folder)
        file = folder / "theirs.c"
        text = "#include <stdio.h>\n#include <stdlib.h>\n" + file.read_text()
        place, broken = r"(void theirs_step\([^)]*\)\n{\n)", "@" + BROKEN.get(kind, "") + "\n"
        if kind == "garbage":
            place, broken = r"(    output->mean_K =)", "output->core_K = 0.0f / (state->soc - state->soc);\n@"
        text, count = re.subn(place, lambda found: broken.replace("@", found[1], 1), text)
        assert count == 1
        file.write_text(text)
        return f"sil:{folder}"

    return make


def wrong(readings):
    return replace(readings, current_A=77.0)


def test_it_says_what_it_says_in_this_process(bundle):
    watched = observer("watched")
    readings = drive(watched, 60, 2)
    device = plain_device(f"sil:{bundle.folder}", watched, 2)
    found = said(device, readings)
    assert same(found, said(plain_device("sil", watched, 2), readings))
    assert same(found, said(device, readings))
    device.close()
    device.close()
    assert same(found, said(device, readings))  # begun anew, in a process of its own again
    device.close()


@pytest.mark.parametrize(
    ("kind", "words"),
    [("segfault", "SIGSEGV"), ("exit", "exit code 3"), ("loop", f"no answer within {ANSWER_S:g} s")],
)
def test_what_crashes_or_hangs_is_gone(kind, words, changed):
    watched = observer("watched")
    readings = drive(watched, 12)
    device = plain_device(changed(kind), watched, answer_s=ANSWER_S)
    device.reset(readings[0], 0.5)
    assert all(device.step(each).status == Status.OK for each in readings)
    process, place, begun = device._process, Path(device._place), time.monotonic()
    assert place.is_dir()
    with pytest.raises(DeviceError, match=words):
        device.step(wrong(readings[0]))
    assert time.monotonic() - begun < ANSWER_S + BUSY_S
    assert process.poll() is not None and not place.exists()  # nothing is left behind
    with pytest.raises(DeviceError, match="gone"):
        device.step(readings[0])
    device.reset(readings[0], 0.5)
    assert device.step(readings[1]).status == Status.OK
    device.close()


@pytest.mark.parametrize("kind", ["flood", "reader"])
def test_what_it_prints_and_reads_is_nobodys(kind, changed, bundle, capfd):
    watched = observer("watched")
    readings = drive(watched, 12)
    device = plain_device(changed(kind), watched)
    assert same(said(device, readings), said(plain_device("sil", watched), readings))
    device.close()
    assert capfd.readouterr().out == ""


def test_what_is_no_number_is_garbage(changed):
    watched = observer("watched")
    readings = drive(watched, 5)
    device = plain_device(changed("garbage"), watched)
    device.reset(readings[0], 0.5)
    for each in readings:
        answer = device.step(each)
        assert answer.status == Status.GARBAGE and "nan" in answer.said and np.isnan(answer.core_K).all()
    device.close()


def test_what_cannot_be_made_is_refused(bundle, tmp_path):
    with pytest.raises(
        InputError, match=r"was exported for surface, surface_left, surface_right.*expected for surface_front"
    ):
        plain_device(f"sil:{bundle.folder}", observer("slab"))
    broken = tmp_path / "broken"
    shutil.copytree(bundle.folder, broken)
    (broken / "theirs.c").write_text("int nothing;\n")
    with pytest.raises(InputError, match="cannot be loaded"):
        plain_device(f"sil:{broken}", observer("watched"))
    (broken / "theirs.c").write_text("this is no C\n")
    with pytest.raises(InputError, match="failed"):
        plain_device(f"sil:{broken}", observer("watched"))
    (broken / "theirs.h").write_text("/* nothing */\n")
    with pytest.raises(InputError, match="do not fit"):
        plain_device(f"sil:{broken}", observer("watched"))

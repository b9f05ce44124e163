"""Whatever a device does, the bench goes on to the end of the run: the log is whole and there is a verdict."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from bmsthermal.observer import compiled
from hil.bench import run_scenario
from hil.devices import DeviceError
from hil.devices.in_process import InProcess
from hil.scenario import load_scenario
from hil.signals import Answer, Status

if not compiled():
    pytest.skip("the compiled kernel is missing", allow_module_level=True)

STEPS, FROM = 90, 30


@functools.cache
def scenario():
    return load_scenario("us06")


class Misbehaving(InProcess):
    """An observer that goes wrong from a step on."""

    def __init__(self, how):
        super().__init__(scenario().make_observer(), 1)
        self.how, self.asked, self.closed = how, 0, 0

    def step(self, readings):
        self.asked += 1
        answer = super().step(readings)
        return answer if self.asked <= FROM else self.how(answer)

    def close(self):
        self.closed += 1


def dies(answer):
    raise DeviceError("it went up in smoke")


def says(status, sentence):
    return lambda answer: Answer.none(answer.time_s, 1, 1, status, sentence)


def raves(answer):
    return replace(answer, core_K=np.array([1e30]), core_std_K=np.array([np.inf]), fault=np.array([[7]]))


def raises(answer):
    raise ZeroDivisionError("by its own fault")


def miscounts(answer):
    return replace(answer, core_K=np.array([300.0, 300.0]))


def floods(answer):
    return replace(answer, said="all is well, " * 100_000)


#: How, its status at the end, how often it is still asked, and what was heard of it.
WAYS = {
    "dies": (dies, Status.DEAD, FROM + 1, "it went up in smoke"),
    "is dead": (says(Status.DEAD, "gone"), Status.DEAD, FROM + 1, "gone"),
    "raises": (raises, Status.DEAD, FROM + 1, "ZeroDivisionError: by its own fault"),
    "miscounts": (miscounts, Status.DEAD, FROM + 1, "not about 1 cells"),
    "hangs": (says(Status.LATE, "no answer"), Status.LATE, None, "no answer"),
    "says garbage": (says(Status.GARBAGE, "41 bytes of nothing"), Status.GARBAGE, None, "41 bytes of nothing"),
    "raves": (raves, Status.OK, STEPS, None),
    "floods": (floods, Status.OK, STEPS, None),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_run_goes_on(way):
    how, status, asked, sentence = WAYS[way]
    device = Misbehaving(how)
    outcome = run_scenario(scenario(), device=device, duration_s=STEPS)
    record = outcome.record
    assert len(record.rows) == STEPS and np.isfinite(record["true_core_degC"]).all()
    assert (record["status"][:FROM] == Status.OK).all() and record["status"][FROM] == status
    assert device.closed >= 1 and (asked is None or device.asked == asked)
    assert np.isfinite(record["core_degC"][:FROM]).all()
    assert sentence is None or any(sentence in said for _, said in record.said)
    assert len(record.said) < 5
    assert len(outcome.results) == len(scenario().requirements) and outcome.passed == (way == "floods")
    again = run_scenario(scenario(), device=Misbehaving(how), duration_s=STEPS)
    assert again.record.digest == record.digest

"""What the tests of the bus share: a device whose answer is plain to see, readings, and free ports of this machine."""

import os
import socket

import numpy as np

from hil.faults import Fault, Injector
from hil.signals import Answer, Readings, Truth

SENSORS = ("surface", "surface_left")


class Warmer:
    """Says that the core is 5 K above the first sensor, sure to 0.5 K, and flags what is not there."""

    name = "warmer"

    def __init__(self):
        self.soc, self.readings, self.closed = None, [], False

    def reset(self, first, soc):
        self.soc, self.readings = soc, [first]

    def step(self, readings):
        self.readings.append(readings)
        surfaces = readings.surfaces_K
        sure = np.full(len(surfaces), 0.5)
        return Answer(readings.time_s, surfaces[:, 0] + 5, sure, np.isnan(surfaces).astype(int), sure > 1)

    def close(self):
        self.closed = True


def readings(time_s, cells=2, sensors=2, seed=None):
    """Readings of a step, of their own in every step."""
    random = np.random.default_rng([round(time_s * 1000), seed or 0])
    surfaces = 300 + 10 * random.random((cells, sensors))
    return Readings(time_s, 20 * random.random(), 3 + random.random(cells), 295 + random.random(), surfaces)


def truth(time_s, cells=2, sensors=2):
    many = np.full(cells, 300.0)
    return Truth(time_s, many, many, many, many, many, np.full((cells, sensors), 300.0), many, many)


def injector(*faults, cells=2, seed=1):
    """Injector of faults, each given as a scenario does."""
    return Injector([Fault.model_validate(fault) for fault in faults], cells, SENSORS, 1.0, seed)


def drive(device, steps, faults=None, cells=2, soc=0.6):
    """Answers of a device to a drive of so many steps of 1 s, and the readings that it was asked with."""
    device.reset(readings(0.0, cells), soc)
    answers, asked = [], []
    for k in range(1, steps + 1):
        if faults is not None:
            faults.advance(truth(k - 1.0, cells))
        asked.append(readings(float(k), cells))
        answers.append(device.step(asked[-1]))
    return answers, asked


def free_channel(nodes=2):
    """First of so many ports in a row that are free, below those that systems give out."""
    for first in range(20000 + os.getpid() % 500 * 16, 32000, nodes):
        taken = []
        try:
            for port in range(first, first + nodes):
                taken.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                taken[-1].bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for one in taken:
                one.close()
        return first
    raise RuntimeError("no free ports")

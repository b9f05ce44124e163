"""Frames for foxBMS 2 against byte layouts worked out by hand from its sources (v1.11)."""

import sys
from pathlib import Path

import numpy as np
import pytest

from bmsthermal import InputError
from hil.bus import BusSpec, Framed
from hil.bus.link import Link
from hil.bus.sender import Sender
from hil.signals import Readings

sys.path.insert(0, str(Path(__file__).parent))
from hil_frames import Warmer, drive

pytest.importorskip("cantools")
pytest.importorskip("can")


def frames_of(seen, cells, sensors):
    link = Link(BusSpec(profile="foxbms"), cells, [f"surface_{k}" for k in range(sensors)])
    sender = Sender(link.readings, link.cycles)
    from hil.bus.names import row_of_readings

    sender.put(row_of_readings(seen, 0), 0, 0.0, 0.5)
    return [(message.arbitration_id, bytes(message.data)) for message in sender.take(0.5)]


def test_voltages_of_a_page():
    voltage_V = np.array([3.3, 3.31, np.nan, 4.2, 2.5])
    found = frames_of(Readings(0.0, 0.0, voltage_V, 300.0, np.full((5, 1), 300.0)), 5, 1)
    # page in byte 0; the flags of four cells in the upper half of byte 1, cell 0 lowest, 1 says valid; then 13 bits of
    # mV each, most significant first, from bit 11: 3300, 3310, 0, 4200
    bits = f"{0:08b}" + "1011" + f"{3300:013b}{3310:013b}{0:013b}{4200:013b}"
    assert found[0] == (0x270, int(bits, 2).to_bytes(8, "big"))
    # the second page has one cell; the others are not valid, and 0
    bits = f"{1:08b}" + "0001" + f"{2500:013b}" + 39 * "0"
    assert found[1] == (0x270, int(bits, 2).to_bytes(8, "big"))


def test_temperatures_of_a_page():
    degC = np.array([[25.4, -40.0], [np.nan, 60.5001], [127.9, -200.0], [10.0, 0.0]])
    found = frames_of(Readings(0.0, 0.0, np.full(4, 3.3), 300.0, degC + 273.15), 4, 2)
    # sensors run on through the cells; whole degrees in one signed byte, held at its ends; flags from bit 0 of byte 1
    assert found[1] == (0x280, bytes([0, 0b111011, 25, 256 - 40, 0, 61, 127, 256 - 128]))
    assert found[2] == (0x280, bytes([1, 0b000011, 10, 0, 0, 0, 0, 0]))


@pytest.mark.parametrize(("current_A", "data"), [(1.5, "000005dc"), (-0.25, "ffffff06"), (np.nan, "00000000")])
def test_current_is_that_of_the_current_sensor(current_A, data):
    seen = Readings(0.0, current_A, np.full(1, 3.3), 300.0, np.full((1, 1), 300.0))
    identifier, payload = frames_of(seen, 1, 1)[-1]
    error = 0x40 if np.isnan(current_A) else 0
    assert identifier == 0x521 and payload == bytes([0, error]) + bytes.fromhex(data)


def test_a_device_behind_it_sees_whole_kelvin_and_a_coolant_of_its_own():
    device = Warmer()
    framed = Framed(device, BusSpec(profile="foxbms", coolant_degC=21.5), None, 9, ["surface", "surface_left"])
    answers, asked = drive(framed, 3, cells=9)
    for seen, told in zip(device.readings[1:], asked, strict=True):
        assert np.abs(seen.surfaces_K - told.surfaces_K).max() <= 0.5 + 1e-9
        assert np.abs(seen.voltage_V - told.voltage_V).max() <= 0.0005 + 1e-9
        assert seen.ambient_K == pytest.approx(21.5 + 273.15)
    assert all(answer.status == 0 for answer in answers)
    framed.close()


def test_more_than_foxbms_has_pages_for():
    with pytest.raises(InputError, match="at most 200"):
        Link(BusSpec(profile="foxbms"), 201, ["surface"])
    with pytest.raises(InputError, match="at most 180"):
        Link(BusSpec(profile="foxbms"), 91, ["a", "b"])

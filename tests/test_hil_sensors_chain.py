"""The chain from temperature to reading: each link against its formula, and the figures that the notes hold."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bmsthermal.errors import InputError
from hil.sensors import Adc, CurrentSensor, Divider, Driver, Ntc, SensorChain, SensorsSpec, Table, VoltageSensor

sys.path.insert(0, str(Path(__file__).parent))
from hil_truth import truth

ZERO = 273.15
#: A common 10 k thermistor in the three constants of Steinhart and Hart.
HART = (1.129148e-3, 2.34125e-4, 8.76741e-8)
#: No limits, so that the formula shows.
BARE = Driver(table=None, coldest_degC=-273.0, hottest_degC=5000.0)
DECODED_degC = BARE.temperatures_K(Ntc(), Divider(), Adc()) - ZERO


def seen(temperature_degC, spec, cells=1, **chain):
    """One reading of a sensor that has settled, in degC."""
    made = SensorChain(spec, cells, ["surface"], 1.0, **{"seed": 0} | chain)
    return made.reset(truth(cells=cells, surface_K=temperature_degC + ZERO)).surfaces_K[:, 0] - ZERO


@pytest.mark.parametrize(("code", "degC"), [(4094, -100.0), (1, 799.0)])
def test_the_ends_of_the_scale_decode_to_what_no_cell_is(code, degC):
    assert DECODED_degC[code] == pytest.approx(degC, abs=0.05)


@pytest.mark.parametrize(("degC", "lsb_K"), [(25, 0.025), (-40, 0.104), (80, 0.073), (120, 0.20)])
def test_steps_of_twelve_bits(degC, lsb_K):
    code = np.searchsorted(-DECODED_degC, -degC)
    assert DECODED_degC[code] - DECODED_degC[code + 1] == pytest.approx(lsb_K, rel=0.03)  # of two digits


def test_step_of_ten_bits():
    coarse = BARE.temperatures_K(Ntc(), Divider(), Adc(bits=10))
    assert coarse[511] - coarse[512] == pytest.approx(0.10, rel=0.03)


@pytest.mark.parametrize(("degC", "off_K"), [(25, -0.26), (60, -1.06), (80, -2.1)])
def test_a_corroded_contact_of_100_ohm(degC, off_K):
    ntc = Ntc()
    found = ntc.temperature_K(ntc.resistance_Ohm(degC + ZERO) + 100) - ZERO - degC
    assert found == pytest.approx(off_K, abs=0.05 if degC == 80 else 0.005)


@pytest.mark.parametrize(("degC", "off_K"), [(-40, 3.6), (25, 0.26), (80, 0.06)])
def test_moisture_of_1_megohm(degC, off_K):
    ntc = Ntc()
    found = ntc.temperature_K(1 / (1 / ntc.resistance_Ohm(degC + ZERO) + 1e-6)) - ZERO - degC
    assert found == pytest.approx(off_K, abs=0.05 if degC == -40 else 0.005)


@given(st.floats(180.0, 500.0), st.sampled_from([Ntc(), Ntc(r25_Ohm=1e5, beta_K=4250), Ntc(steinhart_hart=HART)]))
def test_resistance_and_temperature_are_inverse(temperature_K, ntc):
    # a relative error of 1e-16 in ln R, over some ten units, is 1e-13 of T
    assert ntc.temperature_K(ntc.resistance_Ohm(temperature_K)) == pytest.approx(temperature_K, rel=1e-12)


@pytest.mark.parametrize("ntc", [Ntc(), Ntc(steinhart_hart=HART)])
def test_resistance_falls_and_the_ends_are_the_ends(ntc):
    assert (np.diff(ntc.resistance_Ohm(np.linspace(200, 450, 200))) < 0).all()
    assert ntc.temperature_K(np.inf) == 0
    assert ntc.temperature_K(0.0) == np.inf


def test_steinhart_and_hart_of_a_data_sheet():
    # 10 kOhm at 25 degC, as the three constants promise to their digits
    assert Ntc(steinhart_hart=HART).resistance_Ohm(298.15) == pytest.approx(1e4, rel=1e-3)


@pytest.mark.parametrize("points", [33, 65, 129, 257])
@pytest.mark.parametrize("integer", [True, False])
def test_a_table_errs_by_no_more_than_its_straight_lines_and_its_rounding(points, integer):
    table = Driver(table=Table(points=points, integer=integer), coldest_degC=-273.0, hottest_degC=5000.0)
    codes = np.arange(64, 4032)
    error = (table.temperatures_K(Ntc(), Divider(), Adc()) - ZERO - DECODED_degC)[codes]
    width = 4096 // (points - 1)
    curvature = np.abs(np.gradient(np.gradient(DECODED_degC)))
    segment = codes // width * width
    worst = np.array([curvature[max(a, 2) : min(a + width + 1, 4093)].max() for a in segment])
    # h^2 / 8 times the second derivative; two per cent for taking that by differences of one code, and 0.01 K / 2 each
    # for the points, the weighing of them and the shift
    inner = (segment > 0) & (segment + width < 4096)
    assert (np.abs(error) <= 1.02 * width**2 / 8 * worst + (0.01 if integer else 1e-9))[inner].all()


def test_the_ordinary_table_is_good_where_cells_live():
    error = np.abs(Driver().temperatures_K(Ntc(), Divider(), Adc()) - ZERO - DECODED_degC)
    assert error[(DECODED_degC > 0) & (DECODED_degC < 60)].max() < 0.015
    assert error[(DECODED_degC > -40) & (DECODED_degC < 125)].max() < 0.15


def test_points_of_a_table_are_exact_to_its_resolution():
    codes = np.arange(1, 128) * 32
    error = (Driver().temperatures_K(Ntc(), Divider(), Adc()) - ZERO - DECODED_degC)[codes]
    assert np.abs(error[1:-1]).max() <= 0.005 + 1e-9


def test_open_reads_cold_and_short_reads_hot_within_the_limits():
    table = Driver().temperatures_K(Ntc(), Divider(), Adc()) - ZERO
    assert -100 <= table[4095] < -95
    assert table[0] == pytest.approx(300)


@given(st.floats(0, 1), st.integers(6, 16))
def test_a_code_is_never_off_by_more_than_half_a_step(share, bits):
    adc = Adc(bits=bits)
    code = adc.code(share)
    assert abs(code - share * adc.full) <= 0.5 + 1e-9
    assert 0 <= code <= adc.full
    assert code == int(code)


def test_the_error_of_rounding_is_uniform():
    share = np.random.default_rng(0).uniform(0.2, 0.8, 40_000)
    error = Adc().code(share) - share * 4095
    # counts in 20 classes of 2000 each: chi-square of 19 degrees of freedom is above 43.8 once in a thousand
    counts = np.histogram(error, 20, (-0.5, 0.5))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 43.8
    assert error.var() == pytest.approx(1 / 12, rel=0.02)  # five standard errors are 2.2 %


def test_codes_are_clipped():
    assert (Adc().code([-0.1, 1.7]) == [0, 4095]).all()


@pytest.mark.parametrize("noise_lsb", [0.7, 2.0])
def test_noise_has_the_variance_of_noise_and_rounding(noise_lsb):
    spec = SensorsSpec(tolerance=0, adc=Adc(noise_lsb=noise_lsb), driver=Driver(table=None))
    chain = SensorChain(spec, 20, ["surface"], 1.0, 1)
    same = truth(cells=20)
    chain.reset(same)
    found = np.array([chain.read(same).surfaces_K for _ in range(500)])
    lsb_K = DECODED_degC[2047] - DECODED_degC[2048]
    # standard error of a variance from 10 000: 1.4 %, five of them
    assert found.var() / lsb_K**2 == pytest.approx(noise_lsb**2 + 1 / 12, rel=0.07)
    each = found.reshape(500, 20)
    # 190 correlations of independent noise: standard error 0.045, five of them
    assert np.abs(np.corrcoef(each.T) - np.eye(20)).max() < 0.23


def test_tolerance_is_a_share_of_the_resistance_and_stays():
    spec = SensorsSpec.ideal().model_copy(update={"tolerance": 0.01})
    found = seen(25.0, spec, cells=400)
    # dT = -T^2 / B dR/R = 0.259 K; standard error 3.5 %, four of them
    assert found.std() == pytest.approx(298.15**2 / 3435 * 0.01, rel=0.14)
    assert (found == seen(25.0, spec, cells=400)).all()


def test_a_step_is_followed_with_the_time_constant():
    spec = SensorsSpec.ideal().model_copy(update={"lag_s": 8.0})
    chain = SensorChain(spec, 1, ["surface"], 1.0, 0)
    chain.reset(truth(surface_K=300.0))
    found = np.array([chain.read(truth(surface_K=310.0)).surfaces_K[0, 0] for _ in range(40)])
    exact = 310 - 10 * np.exp(-np.arange(1, 41) / 8)
    assert np.abs(found - exact).max() < 0.002  # half a step of 16 bits


def test_ratiometric_forgives_the_supply_and_the_other_does_not():
    off = {"ratiometric": False, "supply_error": 0.01, "supply_V": 4.0}
    ideal = SensorsSpec.ideal()
    ratio = ideal.model_copy(update={"divider": Divider(**off | {"ratiometric": True})})
    fixed = ideal.model_copy(update={"divider": Divider(**off)})
    assert seen(25.0, ratio) == pytest.approx(25.0, abs=0.002)
    # r = 1/2 read as 0.505: R = 10 k * 0.505 / 0.495
    wrong = Ntc().temperature_K(1e4 * 0.505 / 0.495) - ZERO
    assert seen(25.0, fixed) == pytest.approx(wrong, abs=0.002)


def test_a_driver_that_takes_it_for_another_thermistor():
    spec = SensorsSpec.ideal().model_copy(update={"driver": Driver(table=None, ntc=Ntc(beta_K=3950))})
    exact = Ntc(beta_K=3950).temperature_K(Ntc().resistance_Ohm(333.15)) - ZERO
    assert seen(60.0, spec) == pytest.approx(exact, abs=0.01)
    assert seen(25.0, spec) == pytest.approx(25.0, abs=0.002)


@pytest.mark.parametrize(("degC", "valid"), [(20, True), (-60, False), (130, False)])
def test_what_is_out_of_range_is_marked(degC, valid):
    spec = SensorsSpec(driver=Driver(valid_degC=(-50.0, 125.0)))
    assert np.isfinite(seen(degC, spec)).all() == valid
    assert np.isfinite(seen(degC, SensorsSpec())).all()


@given(st.floats(-400, 400), st.floats(0.9, 1.1), st.floats(-2, 2), st.floats(0.001, 0.5))
def test_current_and_voltage(current_A, gain, offset, resolution):
    spec = SensorsSpec(
        current=CurrentSensor(gain=gain, offset_A=offset, noise_A=0, resolution_A=resolution),
        voltage=VoltageSensor(gain=gain, offset_V=offset, noise_V=0, resolution_V=resolution),
    )
    read = SensorChain(spec, 2, ["surface"], 1.0, 0).reset(truth(cells=2, current_A=current_A, voltage_V=[3.1, 3.4]))
    exact = np.clip(gain * current_A + offset, -500, 500)
    assert abs(read.current_A - exact) <= resolution / 2 * (1 + 1e-9) + 1e-9
    assert np.abs(read.voltage_V - (gain * np.array([3.1, 3.4]) + offset)).max() <= resolution / 2 * (1 + 1e-9) + 1e-9


def test_a_current_sensor_saturates():
    spec = SensorsSpec(current=CurrentSensor(range_A=100))
    chain = SensorChain(spec, 1, ["surface"], 1.0, 0)
    assert chain.reset(truth(current_A=180)).current_A == 100
    assert chain.read(truth(current_A=-180)).current_A == -100


def readings(cells, sensors, seed=3, steps=200):
    """Rows of everything a chain says of a truth that stands still."""
    chain = SensorChain(SensorsSpec(), cells, sensors, 1.0, seed)
    still = truth(cells=cells, sensors=len(sensors))
    chain.reset(still)
    return [chain.read(still) for _ in range(steps)]


def test_another_sensor_or_cell_does_not_move_the_noise_of_the_others():
    few, many = readings(1, ["surface"]), readings(3, ["tab", "surface"])
    for a, b in zip(few, many, strict=True):
        assert a.surfaces_K[0, 0] == b.surfaces_K[0, 1]
        assert (a.ambient_K, a.current_A, a.voltage_V[0]) == (b.ambient_K, b.current_A, b.voltage_V[0])


def test_the_same_seed_gives_the_same_bytes_and_another_one_others():
    def raw(seed):
        return b"".join(each.surfaces_K.tobytes() + each.voltage_V.tobytes() for each in readings(2, ["tab"], seed))

    assert raw(3) == raw(3) != raw(4)


def test_reset_begins_anew():
    chain, still = SensorChain(SensorsSpec(), 2, ["surface"], 1.0, 5), truth(cells=2)
    first = [chain.reset(still), chain.read(still)]
    again = [chain.reset(still), chain.read(still)]
    for a, b in zip(first, again, strict=True):
        assert (a.surfaces_K == b.surfaces_K).all()
        assert a.current_A == b.current_A


@given(st.lists(st.floats(233.15, 393.15), min_size=1, max_size=4))
@settings(max_examples=15)
def test_cells_are_read_each_for_itself(surfaces_K):
    spec, cells = SensorsSpec.ideal(), len(surfaces_K)
    together = SensorChain(spec, cells, ["surface"], 1.0, 0).reset(truth(cells=cells, surface_K=np.c_[surfaces_K]))
    for cell, surface_K in enumerate(surfaces_K):
        alone = SensorChain(spec, 1, ["surface"], 1.0, 0).reset(truth(surface_K=surface_K))
        assert alone.surfaces_K[0, 0] == together.surfaces_K[cell, 0]
        assert alone.surfaces_K[0, 0] == pytest.approx(surface_K, abs=0.01)


def test_the_coolant_is_read_by_one_thermometer():
    found = SensorChain(SensorsSpec.ideal(), 2, ["surface"], 1.0, 0).reset(truth(cells=2, ambient_K=[280.0, 282.0]))
    assert found.ambient_K == pytest.approx(281.0, abs=0.002)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"driver": {"table": {"points": 100}}}, "a power of two, and one"),
        ({"driver": {"valid_degC": [50, -50]}}, "low before high"),
        ({"driver": {"coldest_degC": 400}}, "low before high"),
        ({"ntc": {"steinhart_hart": [1e-3, -2e-4, 1e-7]}}, "does not fall"),
        ({"ntc": {"beta": 3435}}, "Extra inputs"),
        ({"adc": {"bits": 40}}, "less than or equal to 16"),
        ({"lag_s": float("nan")}, "finite"),
    ],
)
def test_a_bad_sensor_is_refused_with_a_sentence(given, says):
    with pytest.raises(ValidationError, match=says):
        SensorsSpec.model_validate(given)


def test_a_table_finer_than_the_converter_is_refused():
    with pytest.raises(InputError, match="at most 257"):
        SensorChain(SensorsSpec(adc=Adc(bits=8), driver=Driver(table=Table(points=513))), 1, ["surface"], 1.0, 0)

"""The catalogue: 19 kinds of faults, with the stage at which each enters."""

from __future__ import annotations

from hil.faults.kind import Kind, Parameter

_P = Parameter
_VALUES = ("sensor", "voltage")


def _share(name: str, text: str, default: float | None = None) -> Parameter:
    """Return a parameter between 0 and 1."""
    return Parameter(name, text, default=default, low=0.0, high=1.0)


_ALL = (
    Kind("open", "resistance", "The wire is broken: resistance goes to infinity, and the reading to the cold end."),
    Kind("short", "resistance", "The wires touch: resistance goes to zero, and the reading to the hot end."),
    Kind(
        "stuck", "value", "The reading holds its last value, or a constant.",
        (_P("value_degC", "constant of a thermistor; without it the last reading is held", "degC", low=-273.15),),
        on=_VALUES,
    ),
    Kind(
        "bias", "value", "The reading is off by a constant and by a share of itself (of degC for temperatures).",
        (
            _P("offset_K", "added to a temperature", "K"), _P("offset_V", "added to a voltage", "V"),
            _P("gain", "factor", low=0.0),
        ),
        on=_VALUES, one_of=("offset_K", "offset_V", "gain"), ramps=True,
    ),
    Kind(
        "drift", "value", "The reading walks away at a constant rate.",
        (_P("rate_K_h", "rate", "K/h", needed=True), _P("limit_K", "where it ends", "K", low=0.0)),
    ),
    Kind(
        "series_resistance", "resistance", "A corroded contact adds a resistance: hot readings turn colder.",
        (_P("series_Ohm", "added resistance", "Ohm", low=0.0, above=True, needed=True),), ramps=True,
    ),
    Kind(
        "leakage", "resistance", "Moisture bridges the thermistor: cold readings turn warmer.",
        (_P("leakage_Ohm", "resistance of the bridge", "Ohm", low=0.0, above=True, needed=True),), ramps=True,
    ),
    Kind(
        "reference", "divider", "The converter's reference, or the pull-up, is not what the driver believes.",
        (
            _P("reference_percent", "what the reference is too high by", "percent", low=-50.0, high=100.0),
            _P("pull_up_percent", "what the pull-up is too large by", "percent", low=-99.0, high=1e4),
        ),
        one_of=("reference_percent", "pull_up_percent"), ramps=True,
    ),
    Kind(
        "noise", "value", "Noise, ripple that grows with the current, spikes, a contact that opens now and then.",
        (
            _P("sigma_K", "standard deviation of white noise", "K", low=0.0),
            _P("ripple_K_A", "amplitude per ampere, at a phase that is random", "K/A", low=0.0),
            _P("spike_K", "height of a spike, up or down", "K", low=0.0),
            _share("spike_p", "probability of a spike, of each reading", 0.01),
            _share("contact_p", "probability that the contact opens, of each reading; it reads as open"),
            _P("burst_s", "mean length of such an opening", "s", default=0.0, low=0.0),
        ),
        one_of=("sigma_K", "ripple_K_A", "spike_K", "contact_p"), ramps=True,
    ),
    Kind(
        "quantisation", "adc", "The converter has fewer bits, or the reading is rounded to whole steps.",
        (
            _P("bits", "that the converter has left", low=1.0, high=16.0, whole=True),
            _P("lsb_K", "step of a reading in degC, as a bus rounds it", "K", low=0.0, above=True),
        ),
        one_of=("bits", "lsb_K"),
    ),
    Kind(
        "delay", "value", "The reading is old.",
        (_P("delay_s", "its age, to whole steps", "s", low=0.0, above=True, needed=True),), on=_VALUES,
    ),
    Kind(
        "detached", "thermal", "The glue has let go: the sensor feels the coolant too, and follows slowly.",
        (
            _share("coupling", "share of the surface in what it feels", 0.5),
            _P("lag_s", "its time constant, before its own lag", "s", default=30.0, low=0.0),
        ),
        ramps=True,
    ),
    Kind(
        "dropout", "bus", "Frames are lost.",
        (
            _share("loss", "probability that a frame is lost", 1.0),
            _P("gap_s", "mean length of a gap; 0: each frame for itself", "s", default=0.0, low=0.0),
        ),
        on=("bus",), ramps=True,
    ),
    Kind(
        "frame", "bus", "Frames are wrong.",
        (
            _P("error", "what is wrong", choices=("alive", "crc", "length", "duplicate", "reorder"), needed=True),
            _share("p", "probability, of each frame", 1.0),
        ),
        on=("bus",), ramps=True,
    ),
    Kind("swap", "map", "Two channels are exchanged.", on=_VALUES),
    Kind(
        "current", "value", "The current sensor has an offset, a gain, the wrong sign, or holds a value.",
        (
            _P("offset_A", "added", "A"), _P("gain", "factor", low=0.0),
            _P("reversed", "whether the sign is wrong", flag=True),
            _P("hold", "whether the last reading is held", flag=True), _P("hold_A", "constant reading", "A"),
        ),
        on=("current",), one_of=("offset_A", "gain", "reversed", "hold", "hold_A"), ramps=True,
    ),
    Kind(
        "cooling", "plant", "Pump off, fan stuck, branch blocked, or the coolant comes in too warm.",
        (
            _P("part", "what fails; a branch has cells", choices=("pump", "fan", "branch", "inlet"), needed=True),
            _P("left", "factor on the heat transfer of pump, fan or branch", default=0.1, low=0.0, high=10.0),
            _P("inlet_K", "what the coolant is too warm by", "K", default=0.0, low=-100.0, high=100.0),
        ),
        on=("cooling", "cell"), ramps=True,
    ),
    Kind(
        "cell", "plant", "Resistance grows, an internal short heats, cells spread, a contact becomes resistive.",
        (
            _P("resistance", "factor on the resistance", low=0.0, above=True, high=100.0),
            _P("short_W", "heat of an internal short", "W", low=0.0),
            _P("spread", "standard deviation of the logarithm of the cells' resistances", low=0.0, high=2.0),
            _P("contact_Ohm", "resistance of a contact", "Ohm", low=0.0),
        ),
        on=("cell",), one_of=("resistance", "short_W", "spread", "contact_Ohm"), ramps=True,
    ),
    Kind(
        "timing", "time", "Readings come late, early or jittered, or the loop overruns.",
        (
            _P("late_s", "what they are late by", "s", low=0.0), _P("early_s", "what they are early by", "s", low=0.0),
            _P("jitter_s", "standard deviation of their time", "s", low=0.0),
            _P("overrun_s", "what a step takes too long", "s", low=0.0),
        ),
        on=("time",), one_of=("late_s", "early_s", "jitter_s", "overrun_s"), ramps=True,
    ),
)  # fmt: skip
#: Every kind, by name.
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}


def listing() -> list[tuple[str, str, str, str]]:
    """Rows of kind, stage, parameters with units, and a sentence, for ``bmsthermal hil list --faults``."""
    return [(kind.name, kind.stage, ", ".join(map(_said, kind.parameters)) or "-", kind.text) for kind in _ALL]


def _said(parameter: Parameter) -> str:
    """Name, unit or choices, and default."""
    unit = "|".join(parameter.choices) or parameter.unit
    default = "" if parameter.default is None else f" = {parameter.default:g}"
    return parameter.name + (f" [{unit}]" if unit else "") + default

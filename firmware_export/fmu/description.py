"""modelDescription.xml and buildDescription.xml, with fmpy's classes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from firmware_export.fmu.numbers import Variable

#: Units by the exponents of their base units.
BASE: dict[str, dict[str, int]] = {
    "s": {"s": 1}, "A": {"A": 1}, "K": {"K": 1}, "K2": {"K": 2},
    "V": {"kg": 1, "m": 2, "s": -3, "A": -1}, "V2": {"kg": 2, "m": 4, "s": -6, "A": -2},
    "W": {"kg": 1, "m": 2, "s": -3}, "W2": {"kg": 2, "m": 4, "s": -6},
    "Ohm": {"kg": 1, "m": 2, "s": -3, "A": -2}, "Ohm2": {"kg": 2, "m": 4, "s": -6, "A": -4},
    "W/K": {"kg": 1, "m": 2, "s": -3, "K": -1},
}  # fmt: skip
ABOUT = (
    "Temperatures inside a cell ({cell}) from what its surface shows. NaN is absent, and 0 is a value: feed NaN where "
    "nothing is known. Steps are {step} s long: a communication step is rounded to whole ones and the rest is carried "
    "to the next. Inputs are held over it; readings of sensors are those of its end and count once. Arrays follow the "
    "order of sensors and walls in the inputs."
)


def model_description(
    variables: Sequence[Variable], manifest: Mapping[str, Any], token: str, version: int, sources: list[str]
) -> bytes:
    """Text of modelDescription.xml.

    Parameters
    ----------
    variables
        In the order of their value references, from 1; 0 is the time.
    manifest
        Of the bundle.
    token
        What binds the description to the C.
    version
        Of FMI.
    sources
        Files to compile, which FMI 2.0 lists here.
    """
    from fmpy import model_description as fmi
    from lxml import etree

    real, name, step = ("Real" if version == 2 else "Float64"), manifest["name"], repr(manifest["step_s"])
    celsius = fmi.DisplayUnit("degC", offset=-273.15)
    types = {
        False: fmi.SimpleType("Temperature", type=real, unit="K", displayUnit="degC"),
        True: fmi.SimpleType("TemperatureDifference", type=real, unit="K", relativeQuantity=True),
    }
    time = fmi.ModelVariable(
        "time", 0, real, causality="independent", variability="continuous", unit="s", description="time",
        canHandleMultipleSetPerTimeInstant=False,
    )  # fmt: skip
    made = [
        fmi.ModelVariable(
            each.name, place, real, description=each.meaning or None, causality=each.causality,
            variability="fixed" if each.causality == "parameter" else "discrete",
            initial={"parameter": "exact", "input": None}.get(each.causality, "calculated"),
            start=None if each.start is None else str(each.start).replace("nan", "NaN"),
            unit=each.unit, declaredType=types[each.difference] if each.unit == "K" else None,
            canHandleMultipleSetPerTimeInstant=False,  # fmpy writes it out otherwise; it is the default
        )
        for place, each in enumerate(variables, 1)
    ]  # fmt: skip
    outputs = [fmi.Unknown(variable=each) for each in made if each.causality == "output"]
    description = fmi.ModelDescription(
        fmiVersion=f"{version}.0", modelName=name, instantiationToken=token,
        description=ABOUT.format(cell=manifest["cell"]["name"], step=step),
        generationTool=f"bmsthermal {manifest['bmsthermal']}", variableNamingConvention="structured",
        logCategories=[
            fmi.Category("logStatusError", "what was refused"),
            fmi.Category("logStatusWarning", "what is unusual about this build"),
        ],
        defaultExperiment=fmi.DefaultExperiment(startTime="0", stopTime="3600", stepSize=step),
        coSimulation=fmi.CoSimulation(
            modelIdentifier=name, canGetAndSetFMUstate=True, canSerializeFMUstate=True,
            canNotUseMemoryManagementFunctions=True, canHandleVariableCommunicationStepSize=True,
            fixedInternalStepSize=manifest["step_s"],
        ),
        unitDefinitions=[
            fmi.Unit(unit, fmi.BaseUnit(**base), [celsius] if unit == "K" else [])
            for unit, base in BASE.items() if unit in {"s", "K", *(each.unit for each in variables)}
        ],
        typeDefinitions=[*types.values()], modelVariables=[time, *made], outputs=outputs, initialUnknowns=outputs,
    )  # fmt: skip
    text = io.BytesIO()
    fmi.write_model_description(description, text)
    if version == 3:
        return text.getvalue()
    root = etree.fromstring(text.getvalue())
    listed = etree.SubElement(root.find("CoSimulation"), "SourceFiles")  # which fmpy reads and does not write
    for source in sources:
        etree.SubElement(listed, "File", name=source)
    return _written(root)


def build_description(name: str, sources: list[str]) -> bytes:
    """Text of buildDescription.xml, where FMI 3.0 lists the files to compile."""
    from lxml import etree

    root = etree.Element("fmiBuildDescription", fmiVersion="3.0")
    built = etree.SubElement(root, "BuildConfiguration", modelIdentifier=name)
    files = etree.SubElement(built, "SourceFileSet", language="C99")
    for source in sources:
        etree.SubElement(files, "SourceFile", name=source)
    return _written(root)


def _written(root: Any) -> bytes:
    from lxml import etree

    etree.indent(root)
    text: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)
    return text

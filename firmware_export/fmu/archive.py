"""An FMU as one file: description, sources and, where a compiler is there, the binary; same input, same bytes."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bmsthermal.errors import InputError
from bmsthermal.files import write_whole
from bmsthermal.reduced.observing import CoupledObserver
from firmware_export.bundle import Bundle, export
from firmware_export.fmu.numbers import START_K, START_SOC, Variable, variables
from firmware_export.folder import add_files, sha256
from firmware_export.form import Form, form_of
from firmware_export.form_coupled import CoupledForm
from firmware_export.host import compile_bundle, find_compiler
from firmware_export.render import Real, environment

if TYPE_CHECKING:
    from bmsthermal.observer import Observer

#: FMI's own headers, which fmpy brings; their 2-clause BSD licence stands in each and allows them inside an FMU.
HEADERS: dict[int, tuple[str, ...]] = {
    2: ("fmi2Functions.h", "fmi2FunctionTypes.h", "fmi2TypesPlatform.h"),
    3: ("fmi3Functions.h", "fmi3FunctionTypes.h", "fmi3PlatformTypes.h"),
}
#: A shared object that shows FMI's functions alone and says nothing of where it was built.
FLAGS = ("-shared", "-fPIC", "-fvisibility=hidden", "-g0", "-s")


def export_fmu(
    observer: Observer,
    path: str | Path,
    version: int = 3,
    *,
    real: Real = "float",
    form: Literal["ekf", "ud"] | None = None,
    name: str | None = None,
) -> Path:
    """Write an observer as an FMU for co-simulation, with sources and, where there is a C compiler, a binary.

    The FMU computes what the exported C computes, to the last bit. Its inputs are those of the C and
    ``<sensor>_K``, absent (NaN) until set; what comes out is ``estimate.core_K`` and so on, ``state.`` is there to be
    looked at, and ``start_K`` and ``start_soc`` are parameters. A communication step is rounded to whole steps of the
    observer and what is left over is carried on; current, voltage, heat and cooling are held over it, while the
    readings of sensors are those of its end and count once.

    Parameters
    ----------
    observer
        The observer.
    path
        File to write, normally ending in ``.fmu``.
    version
        Of FMI: 2 for 2.0, 3 for 3.0.
    real, form, name
        As of `firmware_export.export`.

    Raises
    ------
    InputError
        If the version is unknown, fmpy is not installed, the compiler refuses the text, `path` cannot be written, or
        for what `firmware_export.export` refuses.
    """
    check_version(version)
    with tempfile.TemporaryDirectory() as place:
        bundle = export(observer, Path(place) / "bundle", real=real, form=form, name=name)
        write_whole(path, _archive(bundle, observer, version))
    return Path(path)


def add_fmus(bundle: Bundle, observer: Observer, versions: Iterable[int]) -> list[Path]:
    """Put FMUs into a bundle's folder, known to it for its own: ``<name>_fmi2.fmu``, ``<name>_fmi3.fmu``.

    Their binaries are this machine's, so that they are no part of the bundle and of `Bundle.files`.

    Parameters
    ----------
    bundle
        What `firmware_export.export` wrote.
    observer
        The observer that it was written from.
    versions
        Of FMI, 2 or 3.

    Raises
    ------
    InputError
        As of `export_fmu`.
    """
    versions = sorted(set(versions))
    if not versions:
        return []
    for version in versions:
        check_version(version)
    made = {f"{bundle.name}_fmi{version}.fmu": _archive(bundle, observer, version) for version in versions}
    add_files(bundle.folder, made)
    return [bundle.folder / file for file in made]


def said(path: Path) -> str:
    """A sentence on what an FMU holds."""
    with zipfile.ZipFile(path) as fmu:
        built = [name.split("/")[1] for name in fmu.namelist() if name.startswith("binaries/")]
    whole = f"sources and a binary for {built[0]}" if built else "sources only: no C compiler found here to build it"
    return f"{path.name}: {whole}"


def check_version(version: int) -> None:
    """Refuse a version that there is none of, or that cannot be written here.

    Raises
    ------
    InputError
        If the version is unknown, or fmpy is not installed.
    """
    if version not in HEADERS:
        raise InputError(f"FMI version {version!r}", expected="2 or 3")
    try:
        import fmpy  # noqa: F401
    except ImportError as error:
        raise InputError("an FMU needs fmpy, which is missing", hint='pip install "bmsthermal[fmi]"') from error


def _archive(bundle: Bundle, observer: Observer, version: int) -> bytes:
    """Bytes of the FMU."""
    from firmware_export.fmu.description import build_description, model_description

    form = _form(bundle, observer)
    listed = variables(form.output, form.state, bundle.manifest)
    token = _token(_sources(bundle, listed, "", version), listed, version)
    sources = _sources(bundle, listed, token, version)
    compiled = sorted(file for file in sources if file.endswith(".c"))
    files = {"modelDescription.xml": model_description(listed, bundle.manifest, token, version, compiled)}
    files |= {f"sources/{file}": text for file, text in sources.items()}
    if version == 3:
        files["sources/buildDescription.xml"] = build_description(bundle.name, compiled)
    files |= _binary(bundle.name, sources, version)
    whole = io.BytesIO()
    # stored, not deflated: compressors differ from machine to machine
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for file, data in sorted(files.items()):
            entry = zipfile.ZipInfo(file, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, data)
    return whole.getvalue()


def _form(bundle: Bundle, observer: Observer) -> Form | CoupledForm:
    """Which numbers the bundle's state and output are."""
    if isinstance(observer, CoupledObserver):
        return CoupledForm(observer, bundle.real)
    return form_of(observer.on_target(bundle.real, bundle.manifest["form"]), bundle.given)


def _token(sources: Mapping[str, bytes], listed: Sequence[Variable], version: int) -> str:
    """Digest of everything that the FMU computes with."""
    said = [version, {file: sha256(text) for file, text in sources.items()}, [repr(each) for each in listed]]
    return sha256(json.dumps(said, sort_keys=True).encode())


def _sources(bundle: Bundle, listed: Sequence[Variable], token: str, version: int) -> dict[str, bytes]:
    """Everything that a build of the FMU needs: the bundle's C, the C of FMI, and FMI's headers."""
    import fmpy

    name, templates = bundle.name, environment(bundle.real)
    own = (f"{name}.c", f"{name}_model.c", f"{name}_selftest.c")
    texts = {file: (bundle.folder / file).read_bytes() for file in bundle.manifest["files"] if file.endswith(".h")}
    texts |= {file: (bundle.folder / file).read_bytes() for file in own}
    context = {
        "name": name, "NAME": name.upper(), "real": bundle.real, "token": token, "count": len(listed),
        "step_s": repr(float(bundle.manifest["step_s"])), "start_K": START_K, "start_soc": START_SOC,
        "settable": sum(each.start is not None for each in listed),
    }  # fmt: skip
    for file in ("fmu.h", f"fmi{version}.c"):
        texts[f"{name}_{file}"] = templates.get_template(f"{file}.jinja").render(context).encode()
    shipped = Path(fmpy.__file__).parent / "c-code"
    return texts | {file: (shipped / file).read_bytes() for file in HEADERS[version]}


def _binary(name: str, sources: Mapping[str, bytes], version: int) -> dict[str, bytes]:
    """The shared object under its name in the FMU; nothing where there is no compiler."""
    if find_compiler() is None:
        return {}
    import fmpy

    platform: Any = fmpy.platform if version == 2 else fmpy.platform_tuple
    with tempfile.TemporaryDirectory() as place:
        for file, text in sources.items():
            (Path(place) / file).write_bytes(text)
        ending = fmpy.sharedLibraryExtension
        compiled = sorted(file for file in sources if file.endswith(".c"))
        try:
            library = compile_bundle(Path(place), compiled, Path(place) / f"{name}{ending}", *FLAGS)
        except InputError as error:
            found = str(error).removeprefix(f"{place}: ").partition("; ")[0]
            hint = "name another C compiler with CC"
            raise InputError(f"the FMU's binary was not built: {found}", where=name, hint=hint) from error
        return {f"binaries/{platform}/{name}{ending}": library.read_bytes()}

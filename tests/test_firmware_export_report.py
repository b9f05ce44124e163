"""The report of an export: complete, on its own, the same every time, safe from what names hold; and its command."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from bmsthermal import CoupledModel, Observer, load_cell
from bmsthermal.errors import InputError
from firmware_export import Bundle, export
from firmware_export.folder import EVIDENCE, MANIFEST, add_files, check_own
from firmware_export.report import evidence
from firmware_export.report.evidence import EMPTY
from firmware_export.report.judge import checks, load, percent, verdict
from firmware_export.report.report import DATA, PAGE, page_text, report_of, write_report
from firmware_export.report.tables import tables
from firmware_export.report.traceability import traceability

ROOT = Path(__file__).parents[1]
VOID = {"meta", "br"}
M4 = dict(
    EMPTY, core="cortex-m4f", toolchain="gcc", version="12.2.1", level="-O2", equal=True, steps=10_000,
    emulator="unicorn 2.1.4", instructions=441, seen=430, calls=0, back_edges=0, cycles=612, stack_B=96, flash_B=2400,
    text_B=1900, rodata_B=500, data_B=0, bss_B=0, undefined=[], assumptions=["zero wait states"],
    functions=[{"function": "cell_step", "text_B": 1500, "instructions": 441, "stack_B": 96}],
)  # fmt: skip
PROOF = {"tool": "Frama-C Eva", "version": "25.0", "passed": True, "found": "0 alarms", "details": []}


@pytest.fixture(scope="module")
def observer():
    return Observer(CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=5))


@pytest.fixture
def bundle(observer, tmp_path):
    return export(observer, tmp_path / "build", form="ekf", name="cell")


class Reader(HTMLParser):
    """Tags, targets and words of a page; every element that is opened must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.targets: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._open += [] if tag in VOID else [tag]
        self.targets += [value for name, value in attrs if name in ("href", "src", "srcset", "action", "data")]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words += data


def whole(bundle, **changes):
    given = {
        "host": {"compiler": "cc 12", "passed": True, "failed_look": 0, "words": "self-test passed (cc 12)"},
        "targets": [M4, dict(M4, core="cortex-m7", toolchain="zig", cycles=None)],
        "proofs": [PROOF, dict(PROOF, tool="cppcheck", details=["rule 8.9: advisory, one user of a constant"])],
        "scaling": [{"states": 2, "instructions": 129}, {"states": 8, "instructions": 968}],
        "fmu": [{"file": "cell_2.fmu", "fmi": "2.0", "bytes": 40_000, "found": "valid", "passed": True}],
    }
    return report_of(bundle, **(given | changes))


def test_the_page_tells_all_that_is_known(bundle):
    write_report(bundle, whole(bundle))
    text = (bundle.folder / PAGE).read_text()
    words = " ".join(Reader(text).words.split())
    for part in (
        "Firmware report: cell", "a123_26650", "checks passed.", "self-test, this machine", "cortex-m4f, gcc", "441",
        "612", "2,400", "10,000 steps", "unicorn 2.1.4", "0.035 %", "Frama-C Eva", "0 alarms", "rule 8.9: advisory",
        "cell_2.fmu", "cell_kernel_observe", "bmsthermal.reference.Reference.step", "tests/test_bmsthermal_observer.py",
        "Simon, Optimal State Estimation (2006)", "zero wait states", "of a temperature difference inside the cell",
        bundle.manifest["cell"]["digest"],
    ):  # fmt: skip
        assert part in words, part
    assert 'class="verdict good"' in text
    assert len(text.encode()) < 1_000_000
    data = json.loads((bundle.folder / DATA).read_text())
    assert data["targets"][0]["instructions"] == 441 and data["verdict"]["tone"] == "good"


def test_the_page_stands_alone(bundle):
    text = page_text(whole(bundle))
    read = Reader(text)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(read.tags)
    assert all(target.startswith("#") for target in read.targets)
    assert not re.search(r"https?:|//|@import|url\(", text)
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    assert set(re.findall(r"var\(--(\w+)\)", text)) <= set(re.findall(r"--(\w+):", text))


def test_same_report_same_bytes(bundle, observer, tmp_path):
    write_report(bundle, whole(bundle))
    other = export(observer, tmp_path / "elsewhere", form="ekf", name="cell")
    write_report(other, whole(other))
    for name in (PAGE, DATA, EVIDENCE):
        assert (bundle.folder / name).read_bytes() == (other.folder / name).read_bytes()
        assert str(tmp_path).encode() not in (bundle.folder / name).read_bytes()


def test_names_cannot_break_out(bundle):
    bad = '</title><script>alert("1")</script>&'
    report = whole(
        bundle,
        host={"compiler": bad, "passed": False, "failed_look": 3, "words": bad},
        targets=[dict(M4, core=bad, failed=bad, assumptions=[bad]), dict(M4, undefined=[bad], functions=[{bad: bad}])],
        proofs=[dict(PROOF, tool=bad, found=bad, details=[bad])], scaling=[{bad: bad}],
        fmu=[{"file": bad, "fmi": bad, "bytes": 1, "found": bad, "passed": False}], absent=[{"tool": bad, "hint": bad}],
    )  # fmt: skip
    report["bundle"] = report["bundle"] | {"name": bad, "cell": {"name": bad, "digest": bad}}
    report["traceability"]["unsourced"].append(bad)
    text = page_text(report)
    assert "<script" not in text and "script" not in Reader(text).tags
    assert text.count("&lt;script&gt;") > 10


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"targets": [dict(M4, equal=False, first_difference="step 7: P[3]")]}, "step 7: P[3]"),
        ({"targets": [dict(M4, failed="ld: no room")]}, "ld: no room"),
        ({"targets": [dict(M4, undefined=["expf"])]}, "undefined symbols: expf (cortex-m4f, gcc)"),
        ({"targets": [dict(M4, bss_B=4)]}, ".data and .bss: 4 B"),
        ({"targets": [dict(M4, seen=442)]}, "442 seen, 441 at most"),
        ({"targets": [M4], "clock_MHz": 1e-2}, "load of 96 cells: 588 % (cortex-m4f, gcc)"),
        ({"proofs": [dict(PROOF, passed=False, found="2 alarms")]}, "Frama-C Eva 25.0: 2 alarms"),
    ],
)
def test_what_fails_is_said_first(changes, said, bundle):
    report = whole(bundle, **changes)
    tone, sentence = verdict(report)
    assert tone == "bad" and sentence.startswith("Failed: ") and said in sentence
    assert 'class="verdict bad"' in page_text(report) and '<tr class="marked">' in page_text(report)


def test_what_was_not_looked_at_is_no_success(bundle):
    assert verdict(whole(bundle, proofs=[]))[0] == ""
    assert "no proof (--prove)" in verdict(whole(bundle, proofs=[]))[1]
    tone, sentence = verdict(whole(bundle, proofs=[dict(PROOF, passed=None, found="not installed")]))
    assert tone == "" and "Open: Frama-C Eva 25.0 (not installed)." in sentence
    nothing = report_of(bundle)
    assert verdict(nothing)[0] == "" and "targets" not in tables(nothing)
    assert Reader(page_text(nothing)).words


def test_loops_that_stay_are_no_bound(bundle):
    rolled = dict(M4, instructions=None, bound="not claimed: 4 back-edges", back_edges=4, cycles=None, seen=9000)
    report = whole(bundle, targets=[rolled])
    assert "9,000 seen" in page_text(report)
    assert not any("instructions" in check.name for check in checks(report))
    assert "Longest path not claimed: cortex-m4f, gcc." in verdict(report)[1]


def test_what_a_compiler_calls_by_itself_is_told_and_no_fault():
    size = SimpleNamespace(flash_B=1, text_B=1, rodata_B=0, data_B=0, bss_B=0)
    step = SimpleNamespace(longest=None, reason="not claimed: 9 calls", calls=9, back_edges=0, cycles=None)
    found = SimpleNamespace(
        paths=(), stacks=(), functions_B={}, added=size, step=step, corners=None, stack_B=None, assumptions=(),
        undefined=("__aeabi_dadd", "expf", "memset"),
    )  # fmt: skip
    assert evidence.measured(found, helped=True)["undefined"] == ["expf"]
    row = evidence.measured(found, helped=False)
    assert row["undefined"] == ["__aeabi_dadd", "expf"] and row["helpers"] == ["memset"]


def test_load_is_cycles_over_the_time_that_there_is():
    assert load({"cycles": 840}, 96, 0.5, 168.0) == pytest.approx(96 * 840 / 84e6)
    assert load({"cycles": None}, 1, 1.0, 168.0) is None
    assert percent(3.4429e-5) == "0.00344 %" and percent(0.7) == "70 %"


def test_every_function_of_the_kernel_is_traced(observer, tmp_path):
    watched = Observer(
        CoupledModel(load_cell("a123_26650"), heat="measured").reduce(order=4),
        ["surface", "surface_left"], estimate=("h", "heat", "bias", "soc"), faults=True,
    )  # fmt: skip
    bundle = export(watched, tmp_path / "joint", name="cell")
    traced = traceability(bundle)
    inlined = re.compile(r"^ROM_INLINE .*?\b((?:ROM|UD)_\(\w+\)|rom_\w+)\(", re.MULTILINE)
    for row in traced["files"]:
        here = [each for each in traced["functions"] if each["file"] == row["file"]]
        text = (bundle.folder / row["file"]).read_text().splitlines()
        if row["package"]:
            assert len(here) == len(inlined.findall("\n".join(text)))
            assert not row["test"] or (ROOT / row["test"]).is_file(), row["test"]
            assert not here or row["test"]
        for each in here:
            last = re.sub(r".*_(kernel|ud)_", "", each["function"])
            assert re.search(rf"\b{last}\b", text[each["line"] - 1]), each
            module, _, line = each["twin"].partition(":")
            if line:
                source = (ROOT / module.rsplit(".", 1)[0].replace(".", "/")).with_suffix(".py")
                source = source if source.is_file() else source.parent.with_suffix(".py")
                assert f"def {module.rsplit('.', 1)[1]}(" in source.read_text().splitlines()[int(line) - 1]
    constants = {row["constant"] for row in traced["constants"]}
    assert {"decay", "open_circuit_V", "h_states", "activation_K"} <= constants
    assert traced["unsourced"] == []
    (bundle.folder / "step.h").write_text("ROM_INLINE int ROM_(twice)(int x)\n{\n    return 2 * x;\n}\n")
    assert traceability(bundle)["unsourced"] == ["cell_kernel_twice (step.h:1)"]


def test_a_further_export_knows_the_report_for_its_own(bundle, observer):
    write_report(bundle, whole(bundle))
    check_own(bundle.folder)
    again = export(observer, bundle.folder, form="ekf", name="cell")
    assert (again.folder / PAGE).is_file()  # the same bytes: what was found out holds
    added = report_of(again, fmu=[{"file": "cell_3.fmu", "fmi": "3.0", "bytes": 1, "found": "valid", "passed": True}])
    assert len(added["targets"]) == 2 and len(added["fmu"]) == 1 and added["host"]["passed"]
    other = export(observer, bundle.folder, real="double", name="cell")
    assert not (other.folder / PAGE).exists() and not (other.folder / EVIDENCE).exists()
    assert report_of(other)["targets"] == []


def test_evidence_that_was_changed_is_refused(bundle, observer):
    add_files(bundle.folder, {"cell.fmu": b"unit"})
    add_files(bundle.folder, {"cell.fmu": b"another", PAGE: b"page"})
    check_own(bundle.folder)
    (bundle.folder / PAGE).write_text("my notes")
    with pytest.raises(InputError, match=r"report\.html.*changed"):
        export(observer, bundle.folder)
    assert json.loads((bundle.folder / MANIFEST).read_text())["files"].keys().isdisjoint({PAGE, "cell.fmu"})


@pytest.fixture
def run(tmp_path):
    """Run the command; what it wrote is in ``build``."""
    typer = pytest.importorskip("typer")
    from typer.testing import CliRunner

    from firmware_export.commands import add

    app = typer.Typer()
    app.callback()(lambda: None)
    add(app)
    return lambda *options: CliRunner().invoke(
        app, ["export", "a123_26650", "--form", "ekf", "-o", str(tmp_path / "build"), "--no-check", *options]
    )


def test_the_command_tells_what_the_cores_said(run, tmp_path, monkeypatch):
    core, tool = SimpleNamespace(name="cortex-m4f"), SimpleNamespace(name="gcc")
    monkeypatch.setattr(evidence, "chosen", lambda *_: ([(core, tool)], [{"tool": "zig", "hint": "pip"}]))
    monkeypatch.setattr(evidence, "target_row", lambda *_: M4)
    monkeypatch.setattr(evidence, "proof_rows", lambda *_: [PROOF])
    done = run("--target", "cortex-m4f", "--prove", "--clock-MHz", "16")
    assert done.exit_code == 0, done.output
    for part in ("cortex-m4f", "441", "612", "yes", "Frama-C Eva", "0 alarms", "6 checks passed."):
        assert part in done.output
    data = json.loads((tmp_path / "build" / DATA).read_text())
    assert data["clock_MHz"] == 16 and data["absent"] and data["host"] is None
    assert run().exit_code == 0  # a further export, and of the same bytes: what was found out stays
    assert json.loads((tmp_path / "build" / DATA).read_text())["targets"][0]["instructions"] == 441


@pytest.mark.parametrize("failed", ["target", "proof"])
def test_the_command_fails_where_something_does_not_hold(failed, run, tmp_path, monkeypatch):
    core, tool = SimpleNamespace(name="cortex-m4f"), SimpleNamespace(name="gcc")
    monkeypatch.setattr(evidence, "chosen", lambda *_: ([(core, tool)], []))
    monkeypatch.setattr(
        evidence, "target_row", lambda *_: dict(M4, equal=failed != "target", first_difference="step 7")
    )
    monkeypatch.setattr(evidence, "proof_rows", lambda *_: [dict(PROOF, passed=failed != "proof")])
    done = run("--target", "cortex-m4f", "--prove")
    assert done.exit_code == 1 and "Failed: " in done.output
    assert 'class="verdict bad"' in (tmp_path / "build" / PAGE).read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target", "z80"], r"--target: no core 'z80', expected cortex-m4f, cortex-m7, .*, or all"),
        (["--target", "cortex-m4f", "--toolchain", "tcc"], "--toolchain: no toolchain 'tcc', expected zig or gcc"),
        (["--toolchain", "zig"], "--toolchain zig without --target"),
        (["--scaling"], "--scaling without --target"),
        (["--clock-MHz", "0"], "--clock-MHz: 0, expected a positive number"),
        (["--fmu", "1"], "FMI version 1"),
    ],
)
def test_the_command_says_what_it_does_not_know(options, said, run, tmp_path):
    done = run(*options)
    assert isinstance(done.exception, InputError) and re.search(said, str(done.exception))
    assert not (tmp_path / "build").exists()


def test_without_a_compiler_for_a_core_it_says_how_to_install_one(run, tmp_path, monkeypatch):
    monkeypatch.setattr("firmware_export.targets.toolchains.toolchains", lambda core: [])
    done = run("--target", "cortex-m4f")
    assert re.search(r"no compiler for cortex-m4f is here; pip install .* or apt-get install", str(done.exception))
    assert not (tmp_path / "build").exists()


def test_a_core_that_nothing_emulates_is_measured_and_not_failed(bundle, observer, monkeypatch):
    monkeypatch.setattr("firmware_export.targets.equality.emulators", lambda core: [])
    try:
        ((core, tool), *_), absent = evidence.chosen(["cortex-m55"], None)
    except InputError as error:
        pytest.skip(str(error))
    assert {"tool": "emulator of cortex-m55", "hint": "apt-get install qemu-system-arm"} in absent
    row = evidence.target_row(bundle, observer, core, tool, lambda what: None)
    assert row["failed"] == "" and row["equal"] is None and row["instructions"] > 0
    assert verdict(whole(bundle, targets=[row]))[0] == ""


def test_a_core_is_built_for_run_and_measured(bundle, observer, monkeypatch, tmp_path):
    try:
        pairs, _ = evidence.chosen(["cortex-m4f"], None)
    except InputError as error:
        pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evidence, "STEPS", 200)
    core, tool = pairs[-1]  # gcc where it is: it needs no run-up
    here = Bundle(Path("build"), bundle.name, bundle.real, bundle.manifest)  # beside where the command is run
    row = evidence.target_row(here, observer, core, tool, lambda what: None)
    assert row["failed"] == "" and row["equal"] and row["steps"] == 200
    assert row["data_B"] == row["bss_B"] == row["calls"] == row["back_edges"] == 0 and row["undefined"] == []
    assert row["seen"] <= row["instructions"] < row["cycles"]
    write_report(here, report_of(here, targets=[row]))
    check_own(here.folder)

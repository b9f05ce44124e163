"""The arrows between the packages, what a wheel holds, what an import costs."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHAIN = ("rom", "bmsthermal", "firmware_export", "hil")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names & set(CHAIN)


@pytest.mark.parametrize("package", CHAIN)
def test_a_package_imports_only_what_stands_left_of_it(package):
    allowed = set(CHAIN[: CHAIN.index(package) + 1])
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert imported(path) <= allowed, f"{path} imports {imported(path) - allowed}"


def test_the_wheel_holds_exactly_the_four_packages(tmp_path):
    # without a compiler it is quick, and the pure part is what this is about
    env = os.environ | {"CC": "/bin/false"}
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, env=env, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == set(CHAIN)
    for needed in (
        "rom/kernel/real.h", "rom/kernel/step.h", "bmsthermal/kernel/observer.h", "bmsthermal/cells/a123_26650.json",
        "bmsthermal/schedules/us06.csv", "rom/py.typed", "bmsthermal/py.typed",
    ):  # fmt: skip
        assert needed in names
    data = {str(path.relative_to(ROOT)) for path in (ROOT / "hil").rglob("*") if path.is_file()}
    assert {name for name in data if "__pycache__" not in name} <= {*names}
    assert not [name for name in names if name.startswith("tests")]


def test_import_loads_nothing_heavy():
    # what keeps an import under half a second, without a clock
    heavy = {"numpy", "scipy", "matplotlib", "control", "bpx", "filterpy"}
    code = f"import sys, bmsthermal; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "set()"


@pytest.mark.skipif(not os.environ.get("BMSTHERMAL_NEEDS_KERNEL"), reason="an install without a compiler is allowed")
def test_the_compiled_kernel_is_there():
    from bmsthermal.observer import compiled

    assert compiled()


SKIPS = """
import pytest

@pytest.mark.skip(reason="no such compiler here")
def test_tool(): ...

@pytest.mark.skip(reason="the whole matrix: set BMSTHERMAL_FULL=1")
def test_matrix(): ...

@pytest.mark.xfail
def test_known(): assert False

def test_extra(): pytest.importorskip("no_such_module")
"""


@pytest.mark.parametrize("needed", ["", "1"])
def test_a_skip_for_want_of_a_tool_fails_where_the_tools_are_needed(needed, tmp_path):
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_some.py").write_text(SKIPS)
    (tmp_path / "test_whole.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    env = os.environ | {"BMSTHERMAL_NEEDS_TOOLS": needed, "PYTEST_ADDOPTS": "--continue-on-collection-errors"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    expected = "1 failed, 1 skipped, 1 xfailed, 2 errors" if needed else "4 skipped, 1 xfailed"
    assert expected in done.stdout, done.stdout

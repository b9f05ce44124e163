"""Every example that people read is run: docstrings and the Python blocks of the README."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from bmsthermal import CoupledModel, Observer, load_cell

ROOT = Path(__file__).parents[1]
PACKAGES = ("rom", "bmsthermal", "firmware_export", "hil")


def modules():
    for package in PACKAGES:
        found = importlib.import_module(package)
        yield package
        for info in pkgutil.walk_packages(found.__path__, package + "."):
            yield info.name


@pytest.mark.parametrize("name", [name for name in modules() if not name.endswith(("._step", "._observer", "._cell"))])
def test_docstring_examples(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] in PACKAGES:
            raise
        pytest.skip(f"needs {error.name}, which an extra brings")
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def blocks():
    text = (ROOT / "README.md").read_text()
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_cell_of_the_readme_is_one(tmp_path):
    (block,) = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "mine.json").write_text(block)
    cell = load_cell(tmp_path / "mine.json")
    assert Observer(CoupledModel(cell, heat="measured").reduce(4)).start(298.15, 0.5).soc == 0.5


def test_the_scenario_of_the_readme_is_one(tmp_path):
    from hil.bench import run_scenario
    from hil.scenario import load_scenario

    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "mine.toml").write_text(block)
    outcome = run_scenario(load_scenario(tmp_path / "mine.toml"), device="model")
    assert outcome.passed and outcome.record.cells == 4


def test_readme_blocks(tmp_path, monkeypatch):
    """The blocks run in order in one namespace, in a folder with a recorded drive called drive.csv."""
    from hil.demo import drive_current
    from hil.plant.driven import DrivenModel
    from hil.sensors import SensorSet

    monkeypatch.chdir(tmp_path)
    time_s, current_A = drive_current(1)
    plant = DrivenModel(CoupledModel(load_cell("a123_26650"), heat="measured"), SensorSet())
    plant.drive(time_s, current_A, ambient_K=283.15, initial_soc=0.9)[1].to_csv("drive.csv")
    namespace: dict = {}
    assert blocks()
    for block in blocks():
        exec(compile(block, "README.md", "exec"), namespace)

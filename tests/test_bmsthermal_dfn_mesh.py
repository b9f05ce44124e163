"""The default mesh of the full model against a refined one, for each cell that is shipped."""

import itertools

import numpy as np
import pytest

from bmsthermal import CoupledModel, InputError, Simulation, load_cell
from bmsthermal.dfn.mesh import Mesh
from bmsthermal.dfn.particle import ParticleGrid

LOWER_V = {"lgm50_21700": 2.5, "lco_marquis": 3.105, "a123_26650": 2.0}
#: Ten times nearer to the answer than the default.
FINE = Mesh(48, 20, 40, ParticleGrid(12), ParticleGrid(12))


def discharge(name: str, load: int, mesh: Mesh, tolerance: float) -> Simulation:
    model = CoupledModel(load_cell(name), thermal="lumped", mesh=mesh)
    steps = f"discharge {load}C until {LOWER_V[name]} V"
    return model.simulate(steps, step_s=20 / load, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("load", [1, 2])
@pytest.mark.parametrize("name", LOWER_V)
def test_the_default_mesh_and_tolerance_are_converged(name, load):
    default, fine = discharge(name, load, Mesh(), 1e-5), discharge(name, load, FINE, 1e-7)
    n = min(len(default.time_s), len(fine.time_s)) - 1  # both end in an event, at their own time
    assert np.array_equal(default.time_s[:n], fine.time_s[:n])
    assert default.time_s[-1] == pytest.approx(fine.time_s[-1], abs=1.0)
    assert np.sqrt(np.mean((default.voltage_V[:n] - fine.voltage_V[:n]) ** 2)) < 2e-3
    assert np.abs(default.voltage_V[:n] - fine.voltage_V[:n]).max() < 2e-3
    for name_ in ("core_K", "mean_K"):
        assert np.abs(getattr(default, name_)[:n] - getattr(fine, name_)[:n]).max() < 0.05
    assert np.ptp(fine.mean_K) > 0.2


@pytest.mark.parametrize("name", LOWER_V)
def test_halving_the_cells_quarters_the_error(name):
    # from the second to the third of three meshes: what convergence of the second order means
    ends = [discharge(name, 2, Mesh(n, n // 2, n), 1e-7) for n in (8, 16, 32)]
    k = min(len(run.time_s) for run in ends) - 1
    first, second = (np.abs(a.mean_K[:k] - b.mean_K[:k]).max() for a, b in itertools.pairwise(ends))
    assert second < first / 3 or second < 1e-3


@pytest.mark.parametrize("name", ["negative", "separator", "positive"])
@pytest.mark.parametrize("value", [2.5, 4.0, float("nan"), "4", None, True, 1, 0, -3, 501, 10**9, [4]])
def test_cells_are_a_whole_number_of_a_sane_size(name, value):
    with pytest.raises(InputError, match=rf"^{name}=.*, expected a whole number from 2 to 500$"):
        Mesh(**{name: value})


def test_what_is_a_mesh():
    assert Mesh(np.int64(2), 2, 500).positive == 500
    for name in ("particle_negative", "particle_positive"):
        for value in (7, None, "ParticleGrid(7)"):
            with pytest.raises(InputError, match=rf"^{name}=.*, expected a ParticleGrid"):
                Mesh(**{name: value})


def test_a_mesh_is_refined_a_whole_number_of_times():
    fine = Mesh().refined(3)
    assert (fine.negative, fine.separator, fine.positive, fine.particle_negative.degree) == (48, 12, 24, 21)
    assert Mesh().refined(1) == Mesh()
    for factor in (1.5, 0, -1, "2", None, float("nan"), 501):
        with pytest.raises(InputError, match=r"^factor=.*, expected a whole number from 1 to 500"):
            Mesh().refined(factor)
    with pytest.raises(InputError, match="degree=63, expected a whole number from 1 to 60"):
        Mesh().refined(9)
    with pytest.raises(InputError, match="negative=1000, expected a whole number from 2 to 500"):
        Mesh(250, particle_negative=ParticleGrid(2), particle_positive=ParticleGrid(2)).refined(4)

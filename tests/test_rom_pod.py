"""Proper orthogonal decomposition: what it promises of its snapshots, and what snapshots it is given."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import cholesky

from bmsthermal.conduction import Layer, conduct
from rom.basis import port_basis
from rom.pod import pod, port_snapshots

CYLINDER, _ = conduct([Layer("roll", 0.0, 0.0129, 0.67, 2.47e6)], "cylinder", 0.065, nodes=60)
SLAB, _ = conduct([Layer("roll", 0.0, 0.012, 0.8, 2.4e6)], "slab", 0.02, nodes=20)
BOTH = pytest.mark.parametrize("system", [CYLINDER, SLAB], ids=["cylinder", "slab"])


@BOTH
@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_basis_is_orthonormal_in_the_energy_and_begins_with_the_ports(system, order):
    V = pod(system, port_snapshots(system, [0.1, 2.0]), order)
    np.testing.assert_allclose(V.T @ system.M @ V, np.eye(order), atol=1e-12)
    ports = port_basis(system)[:, :order]
    np.testing.assert_array_equal(V[:, : ports.shape[1]], ports)


@BOTH
@pytest.mark.parametrize("extra", [1, 2, 3])
def test_what_is_missed_is_the_tail_of_the_singular_values(system, extra):
    X = port_snapshots(system, [0.1, 2.0])
    ports = port_basis(system)
    left = X - ports @ (ports.T @ system.M @ X)
    root = cholesky(system.M)
    tail = np.linalg.svd(root @ left, compute_uv=False)[extra:]
    V = pod(system, X, ports.shape[1] + extra)
    missed = np.linalg.norm(root @ (X - V @ (V.T @ system.M @ X)))
    # rounding of a sum of squares of size one; the tail is 1e-2 to 1e-4
    assert missed == pytest.approx(np.linalg.norm(tail), rel=1e-8)


@BOTH
def test_no_other_basis_of_that_size_misses_less(system):
    X = port_snapshots(system, [0.1, 2.0])
    ports = port_basis(system)
    V = pod(system, X, ports.shape[1] + 2)
    root, rng = cholesky(system.M), np.random.default_rng(0)

    def missed(basis):
        Q = np.linalg.qr(root @ basis)[0]
        return np.linalg.norm(root @ X - Q @ (Q.T @ root @ X))

    for size in (1e-3, 0.1):
        turned = V + size * np.abs(V).max() * rng.normal(size=V.shape) * (np.arange(V.shape[1]) >= ports.shape[1])
        assert missed(turned) > missed(V)


def test_full_order_is_the_full_model():
    X = np.random.default_rng(0).normal(size=(21, 40))
    V = pod(SLAB, X, 21)
    assert V.shape == (21, 21)
    for s in (1e-3, 0.1j):
        same = SLAB.project(V).closed([0.1, 3.0]).at(s)
        exact = SLAB.closed([0.1, 3.0]).at(s)
        np.testing.assert_allclose(same, exact, atol=1e-10 * np.abs(exact).max())  # rounding


def test_steady_gain_is_exact_however_bad_the_snapshots():
    V = pod(CYLINDER, np.random.default_rng(1).normal(size=(61, 3)), 4)
    reduced = CYLINDER.project(V)
    for g in (1e-2, 10.0):
        for u, c in (([1.0], [0.0]), ([0.0], [1.0])):
            exact = CYLINDER.C @ CYLINDER.steady(g, u, c)
            np.testing.assert_allclose(reduced.C @ reduced.steady(g, u, c), exact, rtol=1e-10)


@BOTH
def test_snapshots_weigh_every_response_alike(system):
    count, g = 30, [0.1, 0.5, 2.0]
    X = port_snapshots(system, g, count)
    responses = len(g) * (len(system.inputs) + len(system.walls))
    assert X.shape == (system.order, count * responses)
    size = np.einsum("ij,ij->j", X, system.M @ X).reshape(responses, count).sum(axis=1)
    np.testing.assert_allclose(size, 1.0, rtol=1e-12)


def test_snapshots_are_step_responses():
    g, count = 0.3, 5
    X = port_snapshots(CYLINDER, [g], count)[:, :count]
    times = np.geomspace(1e-3, 1.0, count) / CYLINDER.modes[0][1]
    exact = []
    for t in times:
        held = CYLINDER.hold(g, t)
        exact.append(held.C @ held.B[:, 0] * np.sqrt(t))
    ratio = (CYLINDER.C @ X) / np.array(exact).T
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-6)


def test_more_samples_of_the_same_time_change_little():
    # the columns are an integral over time, so that the number of samples is not a weight
    few, many = (pod(CYLINDER, port_snapshots(CYLINDER, [0.1, 2.0], n), 4) for n in (20, 200))
    cosines = np.linalg.svd(few.T @ CYLINDER.M @ many, compute_uv=False)
    assert cosines.min() > 0.999

"""Counter-based randomness: the same on every layout, uniform, and distinct where paths differ."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sslplug.randomness import Rng, _mix, _mix_tensor, _signed

KEYS = st.integers(0, 2**64 - 1)


def test_splitmix64_gives_the_published_sequence() -> None:
    """The first outputs of SplitMix64 from state 1234567, as the generator's reference prints them."""
    golden, state, mask = 0x9E3779B97F4A7C15, 1234567, 2**64 - 1
    found = []
    for _ in range(3):
        state = (state + golden) & mask
        found.append(_mix(state))
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.lists(KEYS, min_size=1, max_size=20))
def test_the_tensor_mixer_is_the_integer_mixer(values: list[int]) -> None:
    mixed = _mix_tensor(torch.tensor([_signed(value) for value in values], dtype=torch.int64))
    assert mixed.tolist() == [_signed(_mix(value)) for value in values]


@given(KEYS, st.integers(1, 50), st.integers(1, 6), st.randoms(use_true_random=False))
def test_a_row_keeps_its_numbers_wherever_it_stands(key: int, n: int, width: int, shuffle: random.Random) -> None:
    rng, rows = Rng(key), torch.arange(n) * 7
    whole = rng.uniform(rows, width)
    order = list(range(n))
    shuffle.shuffle(order)
    assert torch.equal(rng.uniform(rows[order], width), whole[order])
    parts = [rng.uniform(part, width) for part in rows.tensor_split(3)]
    assert torch.equal(torch.cat(parts), whole)


def test_more_columns_leave_the_first_ones_as_they_are() -> None:
    rows = torch.arange(10)
    assert torch.equal(Rng(5).uniform(rows, 8)[:, :3], Rng(5).uniform(rows, 3))


@pytest.mark.parametrize("seed", [0, 1, 2**40, -3])
def test_uniform_numbers_are_uniform_and_independent(seed: int) -> None:
    values = Rng.root(seed).fork("test").uniform(torch.arange(20_000), 4).numpy()
    assert values.min() >= 0.0
    assert values.max() < 1.0
    for column in values.T:
        counts = np.bincount((column * 64).astype(int), minlength=64)
        assert stats.chisquare(counts).pvalue > 1e-4
    pairs = np.bincount((values[:, 0] * 8).astype(int) * 8 + (values[:, 1] * 8).astype(int), minlength=64)
    assert stats.chisquare(pairs).pvalue > 1e-4
    neighbours = np.bincount((values[:-1, 0] * 8).astype(int) * 8 + (values[1:, 0] * 8).astype(int), minlength=64)
    assert stats.chisquare(neighbours).pvalue > 1e-4


def test_sibling_streams_are_not_correlated() -> None:
    rows = torch.arange(50_000)
    a, b = (Rng.root(0).fork("view", view).uniform(rows)[:, 0] for view in range(2))
    assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 0.02


def test_paths_name_distinct_streams() -> None:
    root = Rng.root(7)
    streams = [root.fork(epoch, step, "view", view) for epoch in range(20) for step in range(20) for view in range(4)]
    streams += [root.fork("view", view) for view in range(4)] + [root.fork(word) for word in ("a", "b", "edge", "node")]
    assert len(set(streams)) == len(streams)


def test_order_of_a_path_matters_and_forks_chain() -> None:
    root = Rng.root(7)
    assert root.fork(1, 2) != root.fork(2, 1)
    assert root.fork(1).fork(2) == root.fork(1, 2)
    assert root.fork("1") != root.fork(1)
    assert Rng.root(7) != Rng.root(8)


def test_generators_start_afresh_each_time() -> None:
    rng = Rng.root(3).fork("x")
    assert torch.equal(torch.rand(5, generator=rng.torch()), torch.rand(5, generator=rng.torch()))
    assert np.array_equal(rng.numpy().random(5), rng.numpy().random(5))
    assert not np.array_equal(rng.numpy().random(5), rng.fork(0).numpy().random(5))


def test_global_state_is_left_alone() -> None:
    before = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())
    Rng.root(0).fork(1).uniform(torch.arange(5))
    Rng.root(0).torch()
    Rng.root(0).numpy().random()
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), repr(np.random.get_state()))

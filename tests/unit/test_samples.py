"""Products are exact for any number of rows and take no other thread; one channel is heard on both sides."""

from __future__ import annotations

import time

import numpy as np
import pytest

from egress.media.samples import on_both_sides, product


@pytest.mark.parametrize("rows", [0, 1, 255, 256, 257, 1000])
def test_a_product_has_every_row(rows: int) -> None:
    chance = np.random.default_rng(rows)
    left, right = (chance.standard_normal(shape).astype(np.float32) for shape in ((rows, 35), (35, 36)))
    made = product(left, right)
    assert made.shape == (rows, 36) and made.dtype == np.float32
    assert np.allclose(made, np.einsum("ij,jk->ik", left.astype(float), right), atol=1e-4)


def test_a_product_is_made_on_its_own_thread() -> None:
    left, right = np.ones((20_000, 35), np.float32), np.ones((35, 36), np.float32)
    product(left, right)
    others = time.process_time() - time.thread_time()
    for _ in range(20):
        product(left, right)
    assert time.process_time() - time.thread_time() - others < 0.005


def test_one_channel_is_heard_on_both_sides_without_a_copy_and_cannot_be_written_to() -> None:
    one = np.arange(5, dtype=np.float32)[None]
    both = on_both_sides(one)
    assert both.tolist() == [one[0].tolist()] * 2
    assert np.shares_memory(one, both)
    with pytest.raises(ValueError, match="read-only"):
        both[0, 0] = 1
    two = np.zeros((2, 5), np.float32)
    assert on_both_sides(two) is two

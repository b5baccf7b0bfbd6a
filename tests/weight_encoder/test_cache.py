"""Results are kept by content."""

from __future__ import annotations

import numpy as np

from tests.npu.files import gaussian
from tinyse.weight_encoder import cache, encoded_bytes


def test_equal_content_is_encoded_once(monkeypatch):
    monkeypatch.setattr(cache, "_results", {})
    calls = []

    def count(array, key):
        calls.append(key)
        return array.sum()

    weights = gaussian(8, 8)
    assert cache.remembered(count, weights, "a") == cache.remembered(count, weights.copy(), "a")
    cache.remembered(count, weights, "b")
    cache.remembered(count, weights + 1, "a")
    cache.remembered(count, weights.reshape(4, 16), "a")
    assert calls == ["a", "b", "a", "a"]


def test_the_cache_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(cache, "_results", {})
    monkeypatch.setattr(cache, "MOST_RESULTS", 3)
    for value in range(10):
        cache.remembered(lambda array, key: 0, np.array([value]), "a")
    assert len(cache._results) <= 3


def test_views_without_order_are_taken_too():
    weights = gaussian(16, 32)
    assert encoded_bytes(weights.T, "ethos-u55-128") == encoded_bytes(
        np.ascontiguousarray(weights.T), "ethos-u55-128"
    )

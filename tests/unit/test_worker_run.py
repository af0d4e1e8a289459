from __future__ import annotations

import pytest

from egress.control import worker_run


def test_a_worker_gets_none_of_our_settings_and_few_arenas_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGRESS_JANUS_PIN", "4711")
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    given = worker_run._environment()
    assert (
        given["MALLOC_ARENA_MAX"] == "2" and given["OPENBLAS_NUM_THREADS"] == "1" and given["HOME"] == "/home/someone"
    )
    assert not [name for name in given if name.startswith("EGRESS_")]
    monkeypatch.setenv("MALLOC_ARENA_MAX", "8")
    assert worker_run._environment()["MALLOC_ARENA_MAX"] == "8", "who has set it knows better"

"""Ctrl-C while a network trains: it ends the run, wherever it comes up."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from tinyse.training.interrupts import ctrl_c_between_steps


@pytest.fixture(autouse=True)
def pythons_own():
    """Whoever started pytest in the background of a shell has Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def swallowed(*_):
    """Ctrl-C in what the garbage collector calls: Python prints the exception and goes on."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_waits_for_the_end_of_a_step():
    done = []
    with pytest.raises(KeyboardInterrupt), ctrl_c_between_steps() as check:
        check()
        signal.raise_signal(signal.SIGINT)
        done.append("step")
        check()
        done.append("another")
    assert done == ["step"]


def test_a_second_one_acts_at_once():
    with pytest.raises(KeyboardInterrupt), ctrl_c_between_steps():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")


def test_one_after_the_last_step_is_not_lost():
    with pytest.raises(KeyboardInterrupt), ctrl_c_between_steps():
        swallowed()


def test_what_another_decided_of_ctrl_c_stays():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with ctrl_c_between_steps() as check:
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.raise_signal(signal.SIGINT)
        check()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_another_thread_sets_no_handler():
    found = []

    def train():
        with ctrl_c_between_steps() as check:
            check()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


@pytest.mark.slow
@pytest.mark.parametrize("compressed", [False, True], ids=["train", "compress"])
def test_training_ends_though_a_library_swallows_it(tiny_corpus, tmp_path, monkeypatch, compressed):
    pytest.importorskip("tensorflow")
    import numpy as np

    from tests.network_maker import float_weights
    from tinyse.recipe import Compress, Network, Recipe, Train
    from tinyse.training.compress import train_compressed
    from tinyse.training.logbook import Told
    from tinyse.training.loop import train

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = Train(batch=2, frames=20, steps_per_epoch=3, epochs=1)
    asked = Compress(structure="weight", levels=(0.5,), share_by="table", steps=8)
    made = Recipe(name="tiny", network=Network(lstm=(8,), dense=()), train=settings)
    steps = []

    def tell(told):
        if isinstance(told, Told):
            steps.append(told.step)
            swallowed()

    with pytest.raises(KeyboardInterrupt):
        if compressed:
            np.savez(tmp_path / "weights.npz", **float_weights((8,), ()))
            recipe = Recipe(name="tiny", network=made.network, train=settings, compress=asked)
            place = tmp_path / "weights.npz", tiny_corpus, tmp_path / "run"
            train_compressed(recipe, *place, tell=tell)
        else:
            train(made, tiny_corpus, tmp_path / "run", tell=tell)
    assert steps == [1]

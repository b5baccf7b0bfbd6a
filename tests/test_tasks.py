"""`map_tasks`: order, errors, progress, and that nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.clusters import SAFE, wait_for
from tinyse.errors import InputError, MissingExtra, TinySEError
from tinyse.tasks import cores_each, map_tasks

ROOT = Path(__file__).resolve().parent.parent


def square(x: int) -> int:
    return x * x


def slow_first(x: int) -> int:
    time.sleep(0.2 if x == 0 else 0)
    return x


def refuse_seven(x: int) -> int:
    if x == 7:
        raise InputError("is seven", f"item {x}", "leave it out")
    return x


def miss(_: int) -> None:
    raise MissingExtra("pystoi", "eval")


def die(_: int) -> None:
    os._exit(3)


def process(_: int) -> tuple[int, str | None]:
    time.sleep(0.05)
    return os.getpid(), os.environ.get("OMP_NUM_THREADS")


@pytest.mark.parametrize("workers", [1, 2, None])
def test_results_come_in_the_order_of_the_items(workers) -> None:
    assert map_tasks(square, range(9), workers=workers) == [x * x for x in range(9)]


def test_a_slow_item_does_not_change_the_order() -> None:
    assert map_tasks(slow_first, range(12), workers=2) == list(range(12))


def test_nothing_to_do() -> None:
    assert map_tasks(square, []) == []


def test_one_worker_is_this_process() -> None:
    assert {pid for pid, _ in map_tasks(process, range(3), workers=1)} == {os.getpid()}


def test_workers_are_other_processes_with_one_numeric_thread(monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = map_tasks(process, range(8), workers=2)
    assert os.getpid() not in {pid for pid, _ in found}
    assert {threads for _, threads in found} == {"1"}
    assert "OMP_NUM_THREADS" not in os.environ


def test_workers_may_have_more_threads(monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (found,) = map_tasks(process, range(1), workers=4, apart=True, threads=3)
    assert found[0] != os.getpid() and found[1] == "3"


@pytest.mark.parametrize(("workers", "each"), [(1, 8), (3, 2), (8, 1), (9, 1)])
def test_cores_are_shared_out(monkeypatch, workers, each) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert cores_each(workers) == each


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_home_as_itself(workers) -> None:
    with pytest.raises(InputError) as caught:
        map_tasks(refuse_seven, range(400), workers=workers)
    assert str(caught.value) == "item 7: is seven; leave it out"
    with pytest.raises(MissingExtra) as missing:
        map_tasks(miss, range(2), workers=workers)
    assert missing.value.extra == "eval"


def test_a_worker_that_dies_is_one_line() -> None:
    with pytest.raises(TinySEError, match="a worker process died"):
        map_tasks(die, range(2), workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_counts_to_the_end(workers) -> None:
    told = []
    map_tasks(square, range(5), workers=workers, progress=lambda *t: told.append(t))
    assert told == [(n, 5) for n in range(1, 6)]


def test_partial_travels() -> None:
    assert map_tasks(partial(pow, 2), range(6), workers=2) == [1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize("wrong", [{"where": "cloud"}, {"workers": 0}])
def test_what_cannot_be_done_is_refused(wrong) -> None:
    with pytest.raises(InputError):
        map_tasks(square, range(3), **wrong)


def start_two_workers(folder: Path) -> subprocess.Popen[str]:
    """A script of its own, in its own group, whose workers have written X.pid and sleep."""
    script = folder / "script.py"
    script.write_text(
        "import os, time\n"
        "from tinyse.tasks import map_tasks\n"
        "def work(x):\n"
        "    open(f'{x}.pid', 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        map_tasks(work, range(4), workers=2)\n"
        "    except KeyboardInterrupt:\n"
        "        print('stopped')\n"
    )
    running = subprocess.Popen(
        [sys.executable, script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What is started in the background of a shell ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: running.poll() is not None or len(list(folder.glob("*.pid"))) == 2)
    time.sleep(0.2)  # let the second file be written whole
    return running


def gone(pid: int) -> bool:
    """Whether a process has ended, though its new parent may not have asked for it yet."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def test_ctrl_c_stops_the_workers_and_nothing_is_printed_by_them(tmp_path) -> None:
    running = start_two_workers(tmp_path)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    out, err = running.communicate(timeout=20)
    assert (out, err) == ("stopped\n", "")
    assert all(gone(int(file.read_text())) for file in tmp_path.glob("*.pid"))


def test_workers_end_with_a_parent_that_is_killed(tmp_path) -> None:
    running = start_two_workers(tmp_path)
    workers = [int(file.read_text()) for file in tmp_path.glob("*.pid")]
    assert len(workers) == 2
    running.kill()
    wait_for(lambda: all(map(gone, workers)))
    running.communicate(timeout=20)


def test_without_ray_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"tinyse\[ray\]"):
        map_tasks(square, range(3), where="ray://127.0.0.1:1")


ON_RAY = """
import os, sys, time
from functools import partial
from tinyse.errors import InputError
from tinyse.tasks import map_tasks

def count(folder, x):
    # A run in small: every step is kept, and one that was begun goes on.
    path = f"{folder}/{x}.steps"
    done = len(open(path).readlines()) if os.path.exists(path) else 0
    for step in range(done, 8):
        time.sleep(0.25)
        with open(path, "a") as file:
            file.write(f"{step} {os.getpid()}\\n")
    return x, open(path).read().split()[::2]

def refuse(x):
    raise InputError("is no good", f"item {x}", "leave it out")

if __name__ == "__main__":
    where = sys.argv[2]
    told = []
    results = map_tasks(
        partial(count, sys.argv[1]), range(4), where, progress=lambda *t: told.append(t)
    )
    assert results == [(x, [str(s) for s in range(8)]) for x in range(4)], results
    assert told == [(n, 4) for n in range(1, 5)]
    try:
        map_tasks(refuse, range(2), where)
    except InputError as error:
        print(error)
"""


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_loses_no_work(cluster, tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(ON_RAY)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    running = subprocess.Popen(
        [sys.executable, script, tmp_path, cluster],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    steps = tmp_path / "1.steps"
    try:
        wait_for(lambda: running.poll() is not None or _lines(steps) >= 3)
        assert running.poll() is None, running.communicate()
        killed = int(steps.read_text().split()[1])
        os.kill(killed, signal.SIGKILL)
        out, err = running.communicate(timeout=600)
    finally:
        running.kill()
    assert running.returncode == 0, err
    assert out == "item 0: is no good; leave it out\n"
    workers = [line.split()[1] for line in steps.read_text().splitlines()]
    assert workers[0] == str(killed) and workers[-1] != str(killed)
    assert len(workers) == 8  # no step was done twice


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "{model}", "--list", "{corpus}/mixtures_test.csv", "--runtime", "oracle"),
        ("data", "check", "{corpus}/manifest.csv"),
    ],
    ids=["evaluate", "data check"],
)
def test_a_cluster_says_what_this_machine_says(command, cluster, small_model, tiny_corpus) -> None:
    words = [word.format(model=small_model, corpus=tiny_corpus) for word in command]
    said = [
        subprocess.run(
            [sys.executable, "-m", "tinyse", *words, "--json", "--where", where],
            cwd=tiny_corpus, env=os.environ | SAFE, capture_output=True, text=True, check=True,
        ).stdout
        for where in ("local", cluster)
    ]  # fmt: skip
    assert said[0] == said[1] and "{" in said[0]

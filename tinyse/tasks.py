"""Many independent calls of one function, in parallel: the one seam between one core and many.

    results = map_tasks(function, items)          # results in the order of items

What travels is a whole file or a whole run, so nothing finer is scheduled here.  A worker is a
fresh interpreter (spawn): nothing is inherited that an interpreter of TensorFlow or a thread pool
of BLAS could trip over.  What is dear to make, such as a runtime, a function opens once per
process with `functools.cache` on what names it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from tinyse.errors import InputError, TinySEError

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # done, all

_AHEAD = 4  # items a worker has waiting: enough never to idle, few to undo after an error
# One thread of BLAS and TensorFlow a worker: processes are the parallelism here.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def map_tasks(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    where: str = "local",
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """`[function(item) for item in items]`, in `workers` processes (default: one a core).

    `function` must be picklable: a module's function, or a `functools.partial` of one.  With one
    worker or one item it runs in this process.  The first error ends everything and is raised
    here as itself; Ctrl-C ends the workers too.  `progress(done, all)` is called after each item,
    in this process.
    """
    if where != "local":
        raise InputError(f"expected 'local', got {where!r}", "where", "leave it out")
    if workers is not None and workers < 1:
        raise InputError(
            f"expected 1 or more, got {workers}", "workers", "leave it out for all cores"
        )
    items = list(items)
    workers = min(workers or os.cpu_count() or 1, len(items))
    results = _here(function, items) if workers <= 1 else _in_pool(function, items, workers)
    done = []
    for result in results:
        done.append(result)
        if progress is not None:
            progress(len(done), len(items))
    return done


def _here(function: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
    return map(function, items)


def _in_pool(
    function: Callable[[Item], Result], items: list[Item], workers: int
) -> Iterator[Result]:
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_leave_ctrl_c_to_parent
    )
    waiting: deque[Future[Result]] = deque()
    rest = iter(items)
    try:
        with _one_thread_each():
            waiting.extend(pool.submit(function, item) for item in islice(rest, workers * _AHEAD))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(rest, 1))
            yield result
    except BrokenProcessPool as error:
        raise TinySEError(
            "a worker process died",
            "workers",
            "give it more memory or --workers 1; a script of your own calls this only under"
            " if __name__ == '__main__':",
        ) from error
    finally:
        _stop(pool)


def _stop(pool: ProcessPoolExecutor) -> None:
    """Drop what waits; end what still runs only when the work was broken off."""
    processes = list((pool._processes or {}).values())
    unfinished = bool(pool._pending_work_items)
    pool.shutdown(wait=not unfinished, cancel_futures=True)
    if unfinished:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _leave_ctrl_c_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Worker processes start with one thread in their numeric libraries; ours stays as it was."""
    added = {name: "1" for name in _THREADS if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)

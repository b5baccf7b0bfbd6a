"""Many independent calls of one function, in parallel: the one seam between one core and many.

    results = map_tasks(function, items)          # results in the order of items

What travels is a whole file or a whole run, so nothing finer is scheduled here.  A worker is a
fresh interpreter (spawn): nothing is inherited that an interpreter of TensorFlow or a thread pool
of BLAS could trip over.  What is dear to make, such as a runtime, a function opens once per
process with `functools.cache` on what names it.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from tinyse.errors import InputError, MachineFault, MissingExtra

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # done, all

_RAY = "ray://"
_RETRIES = 3  # of an item whose worker or machine died
_AHEAD = 4  # items a worker has waiting: enough never to idle, few to undo after an error
# One thread of BLAS, TensorFlow and XLA a worker, unless it is to have more: processes are the
# parallelism here.
_THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "NPROC"),
)


def map_tasks(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    where: str = "local",
    workers: int | None = None,
    progress: Progress | None = None,
    apart: bool = False,
    threads: int = 1,
) -> list[Result]:
    """`[function(item) for item in items]`, in `workers` processes (default: one a core).

    `function` must be picklable: a module's function, or a `functools.partial` of one.  With one
    worker or one item it runs in this process, unless it is to run `apart`: a worker has `threads`
    threads in its numeric libraries, which this process may not have (nor the tasks of a cluster).
    The first error ends everything and is raised here as itself; Ctrl-C ends the workers too.
    `progress(done, all)` is called after each item, in this process.
    """
    refuse_place(where, workers)
    items = list(items)
    if where != "local":
        return _told(_on_ray(function, items, where, workers), len(items), progress)
    workers = min(workers or len(os.sched_getaffinity(0)), len(items))
    alone = workers <= 1 and not (apart and items)
    results = _here(function, items) if alone else _in_pool(function, items, workers, threads)
    return _told(results, len(items), progress)


def cores_each(workers: int) -> int:
    """Cores of this machine for each of so many workers, at least one."""
    return max(len(os.sched_getaffinity(0)) // workers, 1)


def refuse_place(where: str, workers: int | None = None) -> None:
    """Raises what `map_tasks` would of a place that cannot be: for who writes before calling it."""
    if where != "local" and not where.startswith(_RAY):
        what = f"expected 'local' or '{_RAY}HOST:PORT', got {where!r}"
        raise InputError(what, "where", "leave it out for this machine")
    if workers is not None and workers < 1:
        raise InputError(
            f"expected 1 or more, got {workers}", "workers", "leave it out for all cores"
        )
    if where != "local":
        _library()


def _told(results: Iterable[Result], count: int, progress: Progress | None) -> list[Result]:
    done = []
    for result in results:
        done.append(result)
        if progress is not None:
            progress(len(done), count)
    return done


def _here(function: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
    return map(function, items)


def _in_pool(
    function: Callable[[Item], Result], items: list[Item], workers: int, threads: int
) -> Iterator[Result]:
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_begin_worker
    )
    waiting: deque[Future[Result]] = deque()
    rest = iter(items)
    try:
        with _threads_each(threads):
            waiting.extend(pool.submit(function, item) for item in islice(rest, workers * _AHEAD))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(rest, 1))
            yield result
    except BrokenProcessPool as error:
        raise MachineFault(
            "a worker process died",
            "workers",
            "give it more memory or --workers 1; a script of your own calls this only under"
            " if __name__ == '__main__':",
        ) from error
    finally:
        _stop(pool)


def _library() -> Any:
    """Ray, with its notices off; MissingExtra without it."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtra("ray", "ray") from error
    logging.getLogger("ray").setLevel(logging.WARNING)
    return ray


def _on_ray(
    function: Callable[[Item], Result], items: list[Item], address: str, workers: int | None
) -> Iterator[Result]:
    """On a Ray cluster: an item takes one of its cores and is run again if its worker dies."""
    ray = _library()
    try:
        cluster = ray.init(address, log_to_driver=False, allow_multiple=True)
    except (ConnectionError, ImportError, RuntimeError, ValueError) as error:
        reason = str(error).strip().rpartition("\n")[2].strip()  # of a traceback from the cluster
        remedy = "start it as docs/sweep.md says, and see its logs"
        raise InputError(f"no cluster answers ({reason})", address, remedy) from error
    with cluster:
        remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(_call)
        count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        here = os.getcwd()
        try:
            yield from _in_flight(
                ray, lambda item: remote.remote(function, item, here), items, count
            )
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error  # the function's own error
        except ray.exceptions.RayError as error:
            what = f"a worker died {_RETRIES + 1} times ({type(error).__name__})"
            raise MachineFault(what, address, "give it more memory, or begin again") from error


def _in_flight(
    ray: Any, call: Callable[[Item], Any], items: list[Item], count: int
) -> Iterator[Any]:
    """Results in the order of `items`, `count` of them running as long as there are more."""
    rest = iter(items)
    started: deque[Any] = deque()  # in the order of items
    running: list[Any] = []

    def start() -> None:
        for item in islice(rest, count - len(running)):
            running.append(call(item))
            started.append(running[-1])

    try:
        start()
        while started:
            if started[0] in running:  # whichever ends first makes room for another
                (done, *_), _ = ray.wait(running)
                running.remove(done)
                start()
            else:
                yield ray.get(started.popleft())
    finally:
        for left in started:
            ray.cancel(left, force=True)


def _call(function: Callable[[Item], Result], item: Item, folder: str) -> Result:
    """What Ray is given: it takes functions and no partials; paths start in the caller's folder."""
    with contextlib.suppress(OSError):  # then the function names the first file that is not there
        os.chdir(folder)
    return function(item)


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


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Without this a worker whose parent was killed would write on beside the one that resumes."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def _threads_each(count: int) -> Iterator[None]:
    """Worker processes start with so many in their numeric libraries; ours stays as it was."""
    added = {name: str(count) for name in _THREADS if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)

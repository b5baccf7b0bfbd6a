"""A Ray cluster of two workers on this machine, for tests of what runs on one."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# With fork support, gRPC crashes in what the cluster's client server forks (docs/sweep.md).
SAFE = {
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "300",
    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
}


@contextlib.contextmanager
def local_cluster() -> Iterator[str]:
    """The address of a cluster, `ray://HOST:PORT`; skips the test where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed; pip install 'tinyse[ray]'")
    head, client = _free_ports(2)
    own = Path(tempfile.mkdtemp(prefix="ray"))  # names of sockets must be short
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block",
        "--num-cpus=2", f"--port={head}", f"--ray-client-server-port={client}",
        "--include-dashboard=false", "--disable-usage-stats", "--object-store-memory=100000000",
        "--min-worker-port=0", "--max-worker-port=0", f"--temp-dir={own}",
    ]  # fmt: skip
    with (own / "start.log").open("w") as log:
        running = subprocess.Popen(
            command, env=os.environ | SAFE, stdout=log, stderr=log, start_new_session=True
        )
        try:
            said = (own / "start.log").read_text
            wait_for(lambda: "To terminate" in said() or running.poll() is not None)
            assert running.poll() is None, said()
            yield f"ray://127.0.0.1:{client}"
        finally:
            running.terminate()  # it ends the processes that it started
            try:
                running.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
            shutil.rmtree(own, ignore_errors=True)


def wait_for(holds: Callable[[], object], seconds: float = 600) -> None:
    """Returns once `holds()`; fails the test when it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def workers_at_work() -> list[int]:
    """Process ids of Ray's workers that run an item of `map_tasks` now."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ray::_call"):
                found.append(int(path.parent.name))
    return found


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports

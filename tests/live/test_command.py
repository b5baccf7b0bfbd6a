"""`tinyse live` as a program."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from tinyse.cli import main

pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tinyse.live.server import LEAVING


def test_the_address_is_printed_and_ctrl_c_ends_it_and_its_page(small_model) -> None:
    command = [sys.executable, "-m", "tinyse", "live", str(small_model), "--no-browser", "--json",
               "--runtime", "oracle"]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # What is started in the background of a shell ignores Ctrl-C, and so would its children.
    pipes["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, **pipes) as program:
        address = json.loads(program.stdout.readline())["address"]
        with urllib.request.urlopen(address, timeout=10) as page:
            assert b"<title>tinyse live</title>" in page.read()
        parts = urlsplit(address)
        url, origin = f"ws://{parts.netloc}{parts.path}socket", f"http://{parts.netloc}"
        with connect(url, origin=origin, compression=None) as page:
            assert '"hello"' in page.recv(10)
            program.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed) as closed:
                page.recv(10)
            assert closed.value.rcvd.code == LEAVING
        assert program.stderr.read() == "stopped\n"
    assert program.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("nowhere",), "there is no such model"), (("--runtime", "tpu"), "unknown runtime 'tpu'; use"),
     (("--port", "70000"), "--port")],
)  # fmt: skip
def test_bad_input_is_one_line(small_model, arguments, says) -> None:
    given = [*arguments] if "nowhere" in arguments else [str(small_model), *arguments]
    done = CliRunner().invoke(main, ["live", *given, "--no-browser"])
    assert done.exit_code == 2 and says in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ""

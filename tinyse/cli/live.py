"""`tinyse live`: a local page that sends the microphone or a file through a model."""

from __future__ import annotations

import asyncio
import json
import webbrowser

import click


@click.command(name="live")
@click.argument("models", metavar="[MODEL]..", nargs=-1)
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    metavar="NAME",
    help="Offer this runtime, once for each.  [default: native, litert, oracle, tflm]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    show_default="any free one",
    help="Port on the loopback interface.",
)
@click.option("--browser/--no-browser", default=True, help="Open the page.  [default: yes]")
@click.option("--json", "as_json", is_flag=True, help="Print the address as a JSON document.")
def command(models, runtimes, port, browser, as_json) -> None:
    """Hear a model live, on a page of this machine.

    The page takes the microphone or a dropped file, sends it frame by frame to the chosen runtime,
    plays the result, shows both spectrograms and the time per frame, and switches between the
    noisy sound and each MODEL (runs, published models, .tflite files; all published ones if none
    is named).  Only this machine can reach it, and only by the address that is printed.
    Ctrl-C ends it.
    """
    from tinyse.live.offers import RUNTIMES, find_offers

    offers = find_offers(models, runtimes or RUNTIMES)
    for name, reason in offers.missing.items():
        _notice(f"without {name}: {reason}")
    try:
        asyncio.run(_serve(offers, port, browser, as_json))
    except KeyboardInterrupt:
        click.echo("stopped", err=True)


async def _serve(offers, port: int, browser: bool, as_json: bool) -> None:
    from tinyse.live.server import LiveServer

    async with LiveServer(offers, port, _notice) as live:
        click.echo(json.dumps({"schema": 1, "address": live.address}) if as_json else live.address)
        if browser:
            await asyncio.to_thread(webbrowser.open, live.address)
        await asyncio.Event().wait()


def _notice(line: str) -> None:
    click.echo(f"note: {line}", err=True)

"""`tinyse card NAME..`: a published model's README.md from its metrics.json."""

from __future__ import annotations

import json

import click


@click.command(name="card")
@click.argument("names", metavar="NAME..", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a card is out of date.")
@click.option("--force", is_flag=True, help="Replace a card that says something else.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(names: tuple[str, ...], check: bool, force: bool, as_json: bool) -> None:
    """Write the README.md of published models, by name or folder.

    Every figure comes from metrics.json, manifest.json and recipe.toml in the model's folder.
    """
    from tinyse.files import find_published
    from tinyse.report.card import CARD, card_text, check_card, refuse_other, write_card

    folders = [find_published(name) for name in names]
    for folder in folders:  # what cannot be ends the command before one is written
        card_text(folder) if check or force else refuse_other(folder)
    for folder in folders:
        if check:
            check_card(folder)
        else:
            write_card(folder, force)
    cards = [str(folder / CARD) for folder in folders]
    click.echo(json.dumps({"schema": 1, "cards": cards}) if as_json else "\n".join(cards))

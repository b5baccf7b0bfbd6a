"""The rules of the house as tests: who imports whom, and what no file may hold."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "tinyse"
SOURCES = sorted(PACKAGE.rglob("*.py"))
OURS = sorted(
    path
    for folder in ("tinyse", "tests", "docs", "examples")
    for suffix in ("py", "md", "j2")
    for path in (ROOT / folder).rglob(f"*.{suffix}")
)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def table() -> dict[str, tuple[set[str], set[str]]]:
    """room -> (rooms, packages) that it imports, in the order of docs/design.md."""
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    return {room: (set(re.findall(r"\w+", a)), set(b.split())) for room, a, b in rows}


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, lazily or not."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "tinyse":
                yield from (f"tinyse.{alias.name}" for alias in node.names)
            else:
                yield node.module


def found() -> dict[str, tuple[set[str], set[str]]]:
    """The same as `table`, from the code."""
    rooms: dict[str, tuple[set[str], set[str]]] = {}
    for path in SOURCES:
        room = room_of(path)
        if room == "__init__":
            continue
        ours, others = rooms.setdefault(room, (set(), set()))
        for name in imported(path):
            top, *rest = name.split(".")
            if top == "tinyse":
                ours.update(set(rest[:1]) - {room, "__version__"})
            elif top not in sys.stdlib_module_names:
                others.add(top)
    return rooms


def test_imports_are_those_of_the_design():
    assert found() == table()


def test_a_room_imports_only_rooms_above_it():
    above: set[str] = set()
    for room, (imports, _) in table().items():
        assert imports <= above, f"{room} imports {imports - above}, which stand below it"
        above.add(room)


def test_every_room_is_a_file_or_folder():
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__", "__pycache__"} == set(table())


def test_keras_is_imported_where_the_design_says():
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in SOURCES
        if {name.split(".")[0] for name in imported(path)} & {"keras", "tensorflow", "jax"}
    }
    assert {name for name in users if not name.startswith(("network/", "training/"))} == {
        "runtimes/keras_model.py"
    }


def test_no_room_for_odds_and_ends():
    odd = re.compile(r"(utils?|helpers?|common|misc)(\.py)?")
    for path in [*SOURCES, *OURS]:
        assert not any(odd.fullmatch(part) for part in path.relative_to(ROOT).parts), path


def test_no_file_is_longer_than_500_lines():
    long = {str(path): len(path.read_text("utf-8").splitlines()) for path in OURS}
    del long[str(ROOT / "docs" / "commands.md")]  # as long as the help is
    assert not {path: lines for path, lines in long.items() if lines > 500}


def test_no_function_is_longer_than_65_lines():
    """Without its docstring; the longest are commands that list their options."""
    long = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                said = node.body[0] if ast.get_docstring(node) else None
                lines = node.end_lineno - node.lineno + 1
                lines -= said.end_lineno - said.lineno + 1 if said else 0
                long |= {f"{path}:{node.name}": lines} if lines > 65 else {}
    assert not long


# Words that name a quantity, and what says its unit: the key's own ending, the key itself, or a
# table above it whose one unit docs/design.md gives.
QUANTITY = re.compile(
    r"(^|_)(time|latency|duration|delay|wait|energy|power|frequency|clock|memory|size|bandwidth"
    r"|level|arena|stack|flash|rate|period|traffic)(_|$)"
)
UNIT = re.compile(r"_(bytes|s|ms|us|db|dbfs|hz|mhz|uj|pj|mj|mw|share|cycles|per_[a-z0-9_]+)$")
UNIT_OF_A_TABLE = {"bytes", "memory", "check"}
WITHOUT_UNIT = {"real_time"}  # how many times as fast as sound comes


def quantities(value, tables=()) -> Iterator[tuple[str, ...]]:
    """The way to every number of a JSON document."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from quantities(each, (*tables, key))
    elif isinstance(value, list):
        for each in value:
            yield from quantities(each, tables)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield tables


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("models/*/*.json"), *ROOT.glob("docs/*.json")]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_quantity_in_json_says_its_unit(path):
    for *tables, key in quantities(json.loads(path.read_text("utf-8"))):
        if QUANTITY.search(key) and key not in WITHOUT_UNIT:
            assert UNIT.search(key) or UNIT_OF_A_TABLE & set(tables), "/".join((*tables, key))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_wide_except(path):
    """Whoever catches everything hides bugs; to add a word and raise again is fine."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            kinds = getattr(node.type, "elts", [node.type])
            wide = {ast.unparse(kind) for kind in kinds if kind} & {"Exception", "BaseException"}
            again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            assert again or not (wide or node.type is None), f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_public_functions_say_what_they_are(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert not tree.body or ast.get_docstring(tree), path
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path}:{node.lineno} {node.name}"


def test_nothing_names_a_place_of_one_machine():
    place = re.compile(r"/(home|work|root|Users)/\w")
    for path in [*OURS, *ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]:
        assert not place.search(path.read_text("utf-8")), path


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras", "tf_keras", "jax")))
from tinyse.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("bench", "--help"),
        ("check", "--help"),
        ("train", "--help"),
        ("compress", "--help"),
        ("report", "--help"),
        ("sweep", "--help"),
        ("profile", "--help"),
        ("inspect", "{file}"),
        ("profile", "{file}"),
        ("show", "ethos-u55-128"),
        ("bench", "{file}", "--runtime", "oracle"),
        ("doctor",),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_commands_that_need_no_tensorflow(tmp_path, arguments):
    from tests.network_maker import integer_network
    from tinyse.tflite.write import serialise

    file = tmp_path / "model.tflite"
    file.write_bytes(serialise(integer_network((8,), ())))
    words = [word.format(file=file) for word in arguments]
    command = [sys.executable, "-c", WITHOUT, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_imports_next_to_nothing():
    script = (
        "import sys\n"
        "from tinyse.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.partition("LOADED")[2].split())
    heavy = {"numpy", "scipy", "rich", "msgspec", "soundfile", "flatbuffers", "keras", "tensorflow"}
    assert not loaded & heavy

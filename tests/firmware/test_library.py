"""The C sources: no warnings, kernels equal to the reference, loaders that survive damage."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.firmware.seeds import write_seeds
from tests.network_maker import integer_network
from tinyse import __version__
from tinyse.cli import main
from tinyse.files import packaged
from tinyse.firmware import copy_firmware
from tinyse.runtimes import emulated
from tinyse.runtimes.compiled import build, harness, library_sources
from tinyse.runtimes.emulated import M4, M7, M55
from tinyse.runtimes.native import library
from tinyse.tflite.write import serialise

BOARDS = [M4, M7, M55]
MAKEFILE = packaged("firmware_harness", "Makefile").read_text()
WARNINGS = (
    *re.search(r"WARNINGS := (.*?)\n(?! )", MAKEFILE, re.DOTALL)[1].replace("\\\n", "").split(),
    "-Werror",  # here; a newer compiler's warnings must not break a user's build
)
needs_board = pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
    reason="make firmware-deps installs the compiler and QEMU",
)


def portable() -> list[Path]:
    return [path for path in library_sources() if path.suffix == ".c"]


def run(*command: object, **options) -> str:
    words = list(map(str, command))
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(words, check=False, **told, **options)
    assert done.returncode == 0, f"{words}\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_warning_on_a_host(compiler, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    include = f"-I{harness() / 'include'}"
    sources = [*portable(), harness() / "targets" / "host" / "run.c"]
    run(compiler, *WARNINGS, "-O2", include, "-c", *sources, cwd=tmp_path)


@needs_board
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.core)
def test_no_warning_on_a_board(board, tmp_path):
    include = f"-I{harness() / 'include'}"
    extra = [
        harness() / "targets" / "cortex_m" / name for name in ("start.c", "measure.c", "sound.c")
    ]
    sources = [*library_sources(), *extra]
    flags = (*WARNINGS, *board.flags, *emulated.FLAGS, include)
    run("arm-none-eabi-gcc", *flags, "-c", *sources, cwd=tmp_path)


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> list[Path]:
    """The library's object files for this host."""
    folder = tmp_path_factory.mktemp("objects")
    flags = ("-std=c99", "-O2", "-fno-stack-protector", f"-I{harness() / 'include'}")
    run("cc", *flags, "-c", *portable(), cwd=folder)
    return sorted(folder.glob("*.o"))


def test_the_library_asks_for_memcpy_and_memset_alone(objects, tmp_path):
    run("cc", "-r", "-nostdlib", *objects, "-o", tmp_path / "library.o")
    undefined = set(run("nm", "-u", tmp_path / "library.o").split()) - {"U"}
    # The others belong to the compiler: the processor's features and the table of addresses.
    compilers = {"__cpu_model", "__cpu_features2", "_GLOBAL_OFFSET_TABLE_"}
    assert undefined <= {"memcpy", "memset"} | compilers


def test_no_data_outside_the_arena(objects):
    assert len(objects) == len(portable())
    for made in objects:
        changing = [row for row in run("nm", made).splitlines() if re.search(r" [bBdDC] ", row)]
        assert not [row for row in changing if "table" not in row and "loops" not in row], made


def sanitized(program: str, tmp_path: Path) -> Path:
    """A C program of the harness, built with address and undefined-behaviour sanitizers."""
    flags = re.search(r"SANITIZERS := (.*)", MAKEFILE)[1].split()
    source = harness() / program
    command = ("cc", *WARNINGS, *flags, f"-I{harness() / 'include'}")
    return build(command, [source, *portable()], source.stem)


def test_kernels_equal_the_reference_on_this_host(tmp_path):
    told = run(sanitized("test/kernels_test.c", tmp_path))
    print(told)
    assert "differs" not in told


@needs_board
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.core)
def test_kernels_equal_the_reference_on_a_board(board):
    target = harness() / "targets" / "cortex_m"
    symbols = f"--defsym=RAM_ORIGIN={board.ram:#x},--defsym=CODE_BYTES={board.code_bytes:#x}"
    flags = (*board.flags, *emulated.FLAGS, f"-I{harness() / 'include'}", "-nostartfiles")
    link = ("-T", str(target / "board.ld"), f"-Wl,--gc-sections,--no-warn-rwx-segments,{symbols}")
    sources = [harness() / "test" / "kernels_test.c", target / "start.c", *library_sources()]
    program = build(("arm-none-eabi-gcc", *flags, *link), sources, ".elf")
    options = ("-nographic", "-monitor", "none", "-kernel", program)
    hosting = ("-semihosting-config", "enable=on,target=native")
    command = ("qemu-system-arm", "-M", board.machine, *options, *hosting, "-serial", "null")
    done = subprocess.run(
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0


def test_damaged_blobs_and_sound_hurt_nobody(tmp_path):
    """Ten seconds; `make fuzz` takes ten minutes."""
    write_seeds(tmp_path / "seeds")
    fuzzer = sanitized("fuzz/fuzz.c", tmp_path)
    told = run(fuzzer, 6, *sorted((tmp_path / "seeds").iterdir()))
    print(told)
    tried, made, unpacked = (int(word) for word in re.findall(r"\d+", told))
    assert tried > 500 and made > tried / 20 and unpacked > tried / 20


def test_without_blobs_the_fuzzer_says_what_it_wants(tmp_path):
    done = subprocess.run(
        [sanitized("fuzz/fuzz.c", tmp_path), "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stderr.startswith("usage: fuzz SECONDS BLOB")
    assert done.stderr.count("\n") == 1 and not done.stdout


def test_every_source_names_its_licence():
    files = [path for path in harness().rglob("*") if "build" not in path.parts]
    sources = [path for path in files if path.suffix in (".c", ".h", ".S", ".inc", ".ld")]
    for path in [*sources, harness() / "Makefile"]:
        first = path.read_text().partition("\n")[0].strip("/*# ")
        assert first == "SPDX-License-Identifier: Apache-2.0", path


def test_every_status_has_its_words():
    header = (harness() / "include" / "tinyse.h").read_text()
    statuses = [int(number) for number in re.findall(r"TINYSE_\w+ = (-?\d+)", header)]
    assert statuses == list(range(0, -len(statuses), -1))
    texts = [library().tinyse_error(status) for status in statuses]
    assert texts[0] == b"no error" and texts[-1].startswith(b"is entropy-coded")
    assert len({*texts, b"unknown", b""}) == len(texts) + 2
    for status in (1, 99, -len(statuses), -(2**31)):
        assert library().tinyse_error(status) == b"unknown"


DECLARED = """\
static uint8_t arena[MODEL_ARENA_BYTES] __attribute__((aligned(16)));
static int8_t features[MODEL_INPUTS], mask[MODEL_OUTPUTS];
"""
CREATED = "if (tinyse_create(&model, model_tsb, MODEL_BYTES, arena, sizeof arena) != TINYSE_OK)"
TEN_LINES = f"""
#include "model.h"
#include "tinyse.h"

{DECLARED}
int main(void)
{{
    tinyse_model *model;
    {CREATED} return 1;
    tinyse_step(model, features, mask);
    return 0;
}}
"""
WITH_SOUND = f"""
#include "model.h"
#include "tinyse.h"
#include <string.h>

{DECLARED}
static uint8_t memory[TINYSE_AUDIO_BYTES] __attribute__((aligned(16)));
static float sound[TINYSE_HOP];

int main(void)
{{
    const float scales[2] = {{MODEL_INPUT_SCALE, MODEL_OUTPUT_SCALE}};
    const int16_t zeros[2] = {{MODEL_INPUT_ZERO, MODEL_OUTPUT_ZERO}};
    tinyse_model *model;
    tinyse_audio *audio;
    {CREATED} return 1;
    if (tinyse_audio_create(&audio, model, memory, sizeof memory) != TINYSE_OK) return 2;
    if (tinyse_audio_bytes() > sizeof memory) return 3;
    tinyse_process(audio, sound, sound);
    tinyse_step(model, features, mask);
    /* The header of the blob, as docs/formats.md has it. */
    if (memcmp(scales, model_tsb + 24, 8) != 0) return 4;
    if (memcmp(zeros, model_tsb + 32, 4) != 0) return 5;
    return 0;
}}
"""


@pytest.mark.parametrize("page", ["docs/firmware.md", "firmware_harness/include/tinyse.h"])
def test_the_lines_that_are_shown_are_those_that_are_compiled(page):
    shown = (ROOT / page).read_text("utf-8")
    assert all(line in shown for line in [*DECLARED.splitlines(), CREATED])


@pytest.fixture
def copied(tmp_path) -> Path:
    """What `tinyse firmware copy` writes for a small network."""
    from click.testing import CliRunner

    file = tmp_path / "small.tflite"
    file.write_bytes(serialise(integer_network((8,), ())))
    arguments = ["firmware", "copy", str(tmp_path / "tree"), "--model", str(file)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2 and again.output.count("\n") == 1
    return tmp_path / "tree"


def test_the_copied_tree_builds_for_this_host(copied):
    run("make", "-C", copied)
    archive = copied / "build" / "host" / "libtinyse.a"
    places = (f"-I{copied / 'include'}", f"-I{copied / 'model'}")
    for name, text in {"ten_lines": TEN_LINES, "with_sound": WITH_SOUND}.items():
        source = copied / f"{name}.c"
        source.write_text(text)
        sources = (source, copied / "model" / "model.c", archive)
        run("cc", *WARNINGS, *places, *sources, "-o", copied / name)
        run(copied / name)


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++ here")
def test_the_headers_are_cpp_of_1998_too(copied):
    (copied / "main.cpp").write_text(WITH_SOUND)
    places = (f"-I{copied / 'include'}", f"-I{copied / 'model'}")
    flags = ("-std=c++98", "-Wall", "-Wextra", "-pedantic", "-Werror")
    run("g++", *flags, *places, "-c", copied / "main.cpp", "-o", copied / "main.o")


def test_the_copied_tree_says_whose_it_is_and_of_when(copied):
    assert (copied / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (copied / "VERSION.txt").read_text() == f"tinyse {__version__}\n"


def test_the_coded_blob_is_copied_where_there_is_one(copied):
    coded = copied / "model" / "model_coded.tsb"
    size = coded.stat().st_size
    assert f"MODEL_CODED_BYTES {size}u" in (copied / "model" / "model.h").read_text()
    copy_firmware(copied, copied.parent / "small.tflite", "host", force=True)
    assert not coded.exists()


def test_a_copied_tree_can_be_fuzzed(copied):
    told = run("make", "-C", copied, "fuzz", "SECONDS=1")
    assert re.search(r"\d+ blobs, [1-9]\d* made a model, [1-9]\d* unpacked", told), told


@needs_board
@pytest.mark.parametrize(("core", "kernels"), [("m4", "smlad"), ("m55", "reference")])
def test_the_copied_example_runs_on_a_board(copied, core, kernels):
    """Packed for the M4, the model runs on the M55 too, and there on the reference."""
    told = run("make", "-C", copied, f"CORE={core}", "example")
    assert f"kernels: {kernels}\n" in told, told
    assert len(re.findall(r"mean gain, of 255: \d+", told)) == 50, told

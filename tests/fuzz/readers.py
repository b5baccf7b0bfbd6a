"""Fuzzing of everything that reads a file from outside: damage, read, refuse in one line or accept.

    python -m tests.fuzz.readers SECONDS [READER ..]      (make fuzz-readers: ten minutes each)

A reader may answer with its value or with an InputError of one line.  Anything else is a find: a
traceback, more than a second of processor time (a hang), more than a gigabyte (MemoryError, by a
limit of the process), or a word on stderr, as decoders in C leave them.  The input of a find goes
to out/fuzz_found/READER/ and belongs, once the reader is repaired, into tests/fuzz/found/READER/,
where a test reads it for ever.

Inputs are made from whole ones: bytes changed, cut, doubled; words of 16 and 32 bits replaced by
the numbers that break arithmetic; tokens of a text by values of another kind.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from tests.conftest import ROOT
from tinyse.errors import InputError

FOUND = ROOT / "tests" / "fuzz" / "found"
SECONDS_EACH = 1.0  # of one input: the slowest valid one takes a hundredth of it
MEMORY_BYTES = 1 << 30  # beyond what the process has when it begins
WORDS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
TOKENS = (
    "", "0", "-1", "1", "2", "nan", "inf", "-inf", "1e400", "1e-400", "0x10", "1_0", "٣", "true",
    "9007199254740993", "9223372036854775808", "9" * 30, "9" * 5000, '""', '"\\u0000"', '"x"',
    "'" * 3, "[]", "[0]", "[[[]]]", "[" * 3000, "{}", "{a={}}", "1979-05-27", "\x00", "\ufeff",
    "../..", "/", ".", "clean", "x" * 300, "a" * 5000, "é\u0301", "\r", "\n", ",", '"', "=", "#",
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """What is read: whole inputs, the name that the file has, and the call."""

    suffix: str
    whole: tuple[bytes, ...]
    read: Callable[[Path], object]
    text: bool = False


class Hang(BaseException):
    """An input took too long; no handler of the readers catches it."""


def damaged(random: np.random.Generator, data: bytes, text: bool) -> bytes:
    """One to five changes of `data`."""
    out = bytearray(data)
    for _ in range(int(random.integers(1, 6))):
        if not out:
            break
        out = _of_text(random, out) if text and random.random() < 0.7 else _of_bytes(random, out)
    return bytes(out)


def _of_bytes(random: np.random.Generator, out: bytearray) -> bytearray:
    near = min(len(out), 200) if random.random() < 0.6 else len(out)  # headers come first
    at = int(random.integers(near))
    match int(random.integers(7)):
        case 0:
            out[at] = int(random.integers(256))
        case 1:
            out[at] ^= 1 << int(random.integers(8))
        case 2 | 3:
            width = int(random.choice((2, 4)))
            at -= at % width if random.random() < 0.7 else 0
            value = int(random.choice(WORDS)) if random.random() < 0.8 else len(out)
            out[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
        case 4:
            del out[at : at + int(random.integers(1, 40))]
        case 5:
            piece = out[at : at + int(random.integers(1, 40))]
            to = int(random.integers(len(out)))
            out[to:to] = piece
        case 6:
            del out[int(random.integers(len(out))) :]
    return out


def _of_text(random: np.random.Generator, out: bytearray) -> bytearray:
    lines = out.decode("utf-8", "surrogateescape").split("\n")
    at = int(random.integers(len(lines)))
    token = TOKENS[int(random.integers(len(TOKENS)))]
    match int(random.integers(5)):
        case 0:
            lines[at : at + 1] = []
        case 1:
            lines.insert(int(random.integers(len(lines) + 1)), lines[at])
        case 2:
            other = int(random.integers(len(lines)))
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] += token
        case 4:
            places = [m.span() for m in re.finditer(r"[^\s,=\[\]]+", lines[at])] or [(0, 0)]
            start, end = places[int(random.integers(len(places)))]
            lines[at] = lines[at][:start] + token + lines[at][end:]
    return bytearray("\n".join(lines).encode("utf-8", "surrogateescape"))


def readers(folder: Path) -> dict[str, Callable[[], Reader]]:
    """Name -> what makes that reader; files that inputs refer to lie in `folder`."""
    return {
        "wav": lambda: _wav(folder),
        "manifest": lambda: _manifest(folder),
        "list": lambda: _list(folder),
        "recipe": _recipe,
        "hardware": _hardware,
        "tflite": _tflite,
        "sweep": _sweep,
        "weights": _weights,
    }


def _wav(folder: Path) -> Reader:
    import soundfile

    from tinyse.audio.io import read_audio

    sound = 0.1 * np.random.default_rng(1).standard_normal((400, 2))
    whole = []
    for subtype, rate, channels in (
        ("PCM_16", 16_000, 1), ("PCM_24", 44_100, 2), ("FLOAT", 8_000, 1), ("PCM_U8", 16_000, 1),
        ("ULAW", 8_000, 1), ("IMA_ADPCM", 16_000, 1),
    ):  # fmt: skip
        path = folder / "whole.wav"
        soundfile.write(path, sound[:, :channels], rate, subtype)
        whole.append(path.read_bytes())
    return Reader(".wav", tuple(whole), read_audio)


def _sound(folder: Path) -> None:
    from tinyse.audio.io import write_audio

    write_audio(folder / "a.wav", 0.1 * np.random.default_rng(2).standard_normal(2000))


def _manifest(folder: Path) -> Reader:
    from tinyse.audio.corpora import read_manifest

    _sound(folder)
    plain = "path,kind,split,group,start,end,sample_rate\na.wav,noise,test,g,0,900,16000\n"
    full = (
        "path,kind,split,group,start,end,sample_rate,speaker,language,noise_class\n"
        "a.wav,speech,train,s1,0,900,16000,s1,de,\na.wav,noise,test,g,900,2000,16000,,,hum\n"
    )
    return Reader(".csv", (plain.encode(), full.encode()), read_manifest, text=True)


def _list(folder: Path) -> Reader:
    from tinyse.audio.lists import MIXTURE_COLUMNS, read_list, render

    _sound(folder)
    columns = ",".join(MIXTURE_COLUMNS)
    row = "x,5,-20,900,anna,a.wav,7,hum,g,a.wav,1,500,3,1.0,2.0"
    clean = "y,clean,-20,900,anna,a.wav,7,,,,,,,1.0,0.0"
    pairs = "id,noisy,clean\nx,a.wav,a.wav\n"

    def read(path: Path) -> None:
        found = read_list(path)
        for mixture in found.rows:
            render(found, mixture)

    whole = (f"{columns}\n{row}\n{clean}\n".encode(), pairs.encode())
    return Reader(".csv", whole, read, text=True)


def _recipe() -> Reader:
    from tinyse.recipe import Compress, Recipe, read_recipe, to_toml

    full = to_toml(Recipe(name="small", compress=Compress()))
    short = 'schema = 1\nname = "a"\ninherits = "lstm_256"\n[network]\nlstm = [8]\n'
    return Reader(".toml", (full.encode(), short.encode()), read_recipe, text=True)


def _hardware() -> Reader:
    from tinyse.npu.hardware import find_target, hardware_folder, load_hardware, load_system

    folder = hardware_folder()
    names = ("ethos-u55-128.toml", "ethos-u85-256.toml", "hypothetical-u55-128-tile-4x4.toml",
             "systems/ethos-u55-high-end.toml", "systems/ethos-u85-flash-high.toml")  # fmt: skip

    def read(path: Path) -> None:
        if b"[external" in path.read_bytes():
            (path.parent / "systems").mkdir(exist_ok=True)
            (path.parent / "systems" / "it.toml").write_bytes(path.read_bytes())
            load_system("it", path.parent)
        else:
            load_hardware(str(path))
            find_target(str(path), "sram")

    whole = tuple((folder / name).read_bytes() for name in names)
    return Reader(".toml", whole, read, text=True)


def _tflite() -> Reader:
    from tests.tflite.edited import valid_file, valid_step_file
    from tinyse.tflite.check import load

    whole = (valid_file(), valid_step_file("step16x8"), valid_step_file("step8"))
    return Reader(".tflite", whole, load)


def _sweep() -> Reader:
    from tinyse.sweep.plan import read_plan

    whole = (
        'schema = 1\nname = "b"\ncommand = "compress"\nsource = "lstm_256"\nevaluate = "l.csv"\n'
        'rows = 12\n\n[set]\n"compress.method" = "magnitude"\n\n[keys]\n'
        '"compress.structure" = ["weight", "block:4x4"]\n"train.seed" = [1, 2]\n'
    )
    halving = (
        'schema = 1\nname = "h"\ncommand = "train"\nsource = "lstm_256"\nstrategy = "halving"\n'
        "trials = 3\n[keys]\n"
        '"train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }\n'
        "[halving]\nleast_steps = 10\nfactor = 2\n"
    )
    return Reader(".toml", (whole.encode(), halving.encode()), read_plan, text=True)


def _weights() -> Reader:
    from tests.network_maker import float_weights
    from tinyse.evaluate.lines import stored_floor
    from tinyse.quant import read_weights
    from tinyse.report.matrices import read_layers

    arrays = float_weights((3,), (4,), 6, 2) | {"floor/gains": np.ones(257, np.float32)}
    whole = []
    for save in (np.savez_compressed, np.savez):
        file = io.BytesIO()
        save(file, **arrays)
        whole.append(file.getvalue())

    def read(path: Path) -> None:
        read_layers(path)
        stored_floor(path)
        read_weights(path)

    return Reader(".npz", tuple(whole), read)


def problem(reader: Reader, path: Path, data: bytes) -> str | None:
    """What is wrong with the way `data` is read from `path`; None where all is well."""
    path.write_bytes(data)
    before = os.fstat(2).st_size
    said = _answer(reader, path)
    return "words on stderr" if said is None and os.fstat(2).st_size > before else said


def _answer(reader: Reader, path: Path) -> str | None:
    signal.setitimer(signal.ITIMER_PROF, SECONDS_EACH)
    try:
        reader.read(path)
    except InputError as error:
        said = str(error)
        return f"more than one line: {said!r}" if len(said.splitlines()) > 1 else None
    except (Exception, Hang):  # noqa: BLE001 - any other end is what is looked for
        return traceback.format_exc(limit=-8)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Hangs and hunger of this process end in an exception, and stderr is a file.

    `problem` is called inside.
    """

    def ring(_: int, __: FrameType | None) -> None:
        raise Hang(f"more than {SECONDS_EACH} s of processor time")

    before = signal.signal(signal.SIGPROF, ring)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    old = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, old[1]))
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            resource.setrlimit(resource.RLIMIT_AS, old)
            signal.signal(signal.SIGPROF, before)


def fuzz(name: str, seconds: float, inputs: int | None = None, seed: int = 0) -> list[str]:
    """What was found in `seconds`, or in so many inputs; each kind of find once."""
    kinds: dict[str, str] = {}
    tried = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        reader = readers(folder)[name]()
        path = folder / f"input{reader.suffix}"
        for data in reader.whole:
            path.write_bytes(data)
            reader.read(path)  # an InputError here is a bug of the fuzzer
        end = time.process_time() + seconds  # of this process: a busy machine tries no less
        with limits():
            while time.process_time() < end and (inputs is None or tried < inputs):
                random = np.random.default_rng((seed, tried))
                data = damaged(random, reader.whole[tried % len(reader.whole)], reader.text)
                tried += 1
                said = problem(reader, path, data)
                if said is not None:
                    kind = said.strip().splitlines()[-1][:25] + _place(said)
                    if kind not in kinds:
                        kinds[kind] = said + f"\nkept as {_keep(name, reader.suffix, data)}"
    print(f"{name}: {tried} inputs, {len(kinds)} kinds of finds")
    return list(kinds.values())


def _place(said: str) -> str:
    return str(re.findall(r'File ".*tinyse/(.*?)", line (\d+)', said)[-1:])


def _keep(name: str, suffix: str, data: bytes) -> Path:
    place = ROOT / "out" / "fuzz_found" / name
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
    path.write_bytes(data)
    return path


def main(seconds: float, names: list[str]) -> int:
    """Fuzzes each reader for so long; 1 when anything was found."""
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    found = [
        said
        for name in names or readers(Path())
        for said in fuzz(name, seconds, seed=seed)
    ]  # fmt: skip
    print("\n\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))

"""The numbers of an entry, each with its unit and how it was measured.

A key is `group/name`: `quality/sdr_loss`, `bytes/native`, `macs/live`, `instructions/cortex_m4`,
`cycles/ethos-u55-128, flash`, `time/tflm`.  A figure that no document holds is not there: none is
guessed.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from tinyse.errors import InputError
from tinyse.report.runs import Entry, Measure
from tinyse.run_folder import LEVELS

ACCOUNTS = {
    "native": "the blob of the C runtime, flash-exact",
    "native_coded": "the entropy-coded blob of the C runtime",
    "npu_weights": "weights in the weight stream of a microNPU",
    "decode": "the file in TensorFlow Lite Micro's DECODE form",
    "zip": "deflate, level 9, of the .tflite",
    "bound": "entropy of mask and values of each matrix: what no order-0 coder can beat",
    "tflite": "the .tflite file as it lies there",
    "dense": "int8 weights and int32 biases, zeros included",
    "fp32": "4 bytes a parameter",
}
MACS = {
    "live": "multiply-accumulates a frame in blocks that hold a weight",
    "nonzero": "multiply-accumulates a frame with a weight that is not zero",
    "dense": "multiply-accumulates a frame, zeros included",
}
QUALITY = {
    "sdr_loss": ("against", "SDR of {reference} minus SDR of the file, same rows, averaged"),
    "sdr_gain": ("quality", "SDR of the output minus SDR of the noisy input, averaged"),
    "si_sdr_gain": ("quality", "SI-SDR of the output minus that of the noisy input, averaged"),
    "estoi_gain": ("quality", "ESTOI of the output minus that of the noisy input, averaged"),
    "pesq_gain": ("quality", "PESQ of the output minus that of the noisy input, averaged"),
}
UNITS = {"estoi_gain": "", "pesq_gain": "MOS"}


def measures(entry: Entry) -> dict[str, Measure]:
    """All numbers of an entry by key; InputError where a document holds something else there."""
    found: dict[str, Measure] = {}
    for reader in (_quality, _validation, _bytes, _macs, _instructions, _cycles, _time):
        found |= reader(entry)
    return found


def evaluation(entry: Entry) -> tuple[str, dict[str, Any]] | None:
    """The document that tells quality and its name: `evaluate --json`'s, else metrics.json."""
    for name in ("evaluate.json", "metrics.json"):
        if isinstance(entry.documents.get(name, {}).get("quality"), dict):
            return name, entry.documents[name]
    return None


def _quality(entry: Entry) -> dict[str, Measure]:
    known = evaluation(entry)
    if known is None:
        return {}
    name, document = known
    found = {}
    for key, (table, meaning) in QUALITY.items():
        value = number(entry, name, table, key)
        if value is not None:
            where = (table, f"{key}_ci95") if table == "against" else (table, "ci95", key)
            meaning = meaning.format(reference=reference(document) if table == "against" else "")
            how = f"{meaning}. {provenance(document)}, in {name}."
            unit = UNITS.get(key, "dB")
            found[f"quality/{key}"] = Measure(value, unit, how, interval(document, *where))
    return found


def reference(document: dict[str, Any]) -> str:
    """What the losses of an evaluation compare with, in words."""
    against = document.get("against") or {}
    model, runtime = against.get("model"), against.get("runtime", "keras_model")
    same = model in (None, document.get("model"))
    if runtime == "keras_model":
        return "the float network" if same else f"the float network of {model}"
    return f"the same file on {runtime}" if same else f"{model} on {runtime}"


def provenance(document: dict[str, Any]) -> str:
    """Rows, list and runtime of an evaluation, in words."""
    listed, quality = document.get("list") or {}, document.get("quality") or {}
    groups = (quality.get("bootstrap") or {}).get("groups")
    said = f"{quality.get('rows', '?')} rows of {listed.get('name', 'a list')}"
    said += f" on {document.get('runtime_version') or document.get('runtime', '?')}"
    return said + (f"; 95 % interval by bootstrap over {groups} speakers" if groups else "")


def _validation(entry: Entry) -> dict[str, Measure]:
    value = number(entry, "run.json", "valid_si_sdr_gain")
    if value is None:
        return {}
    integer = "int8 forward pass" if entry.recipe.get("compress") else "float network"
    how = f"SI-SDR gain of the {integer} on the validation list, the best of training, in run.json."
    return {"quality/valid_si_sdr_gain": Measure(value, "dB", how)}


def _bytes(entry: Entry) -> dict[str, Measure]:
    found = {}
    for account, meaning in ACCOUNTS.items():
        for name in ("inspect.json", "metrics.json", "manifest.json"):
            value = number(entry, name, "bytes", account)
            if value is not None:
                how = f"{meaning[0].upper()}{meaning[1:]}: counted, in {name}."
                found[f"bytes/{account}"] = Measure(value, "bytes", how)
                break
    return found


def _macs(entry: Entry) -> dict[str, Measure]:
    found = {}
    for kind, meaning in MACS.items():
        for name in ("inspect.json", "metrics.json"):
            value = number(entry, name, "macs", kind)
            if value is not None:
                how = f"{meaning[0].upper()}{meaning[1:]}: counted from the file, in {name}."
                found[f"macs/{kind}"] = Measure(value, "MACs", how)
                break
    return found


def _instructions(entry: Entry) -> dict[str, Measure]:
    found = {}
    for core, value in (entry.documents.get("metrics.json", {}).get("instructions") or {}).items():
        if isinstance(value, dict):
            value = value.get("instructions_per_frame")
        if is_number(value):
            how = f"Instructions a frame of the C runtime on {core}, median, in metrics.json."
            found[f"instructions/{core}"] = Measure(value, "instructions", how)
    for row in _bench_rows(entry, "firmware"):
        value = row.get("instructions_per_frame")
        if is_number(value):
            how = "Instructions a frame of the C runtime, counted by the emulator, in bench.json."
            found[f"instructions/{row.get('runtime')}"] = Measure(value, "instructions", how)
    return found


def _cycles(entry: Entry) -> dict[str, Measure]:
    found = {}
    for name, document in entry.profiles():
        value = number(entry, name, "total", "cycles")
        if value is not None:
            npu, mode = document.get("npu", name), document.get("mode", "?")
            memory = document.get("memory", "?")
            how = (
                f"Cycles a frame on {npu} with weights in {memory}, by the"
                f" cost model in mode {mode}, not measured on silicon, in {name}."
            )
            per_frame = value / (number(entry, name, "frames") or 1)
            found[f"cycles/{npu}, {memory}"] = Measure(per_frame, "cycles", how)
    return found


def _time(entry: Entry) -> dict[str, Measure]:
    machine = entry.documents.get("bench.json", {}).get("machine") or {}
    found = {}
    for row in _bench_rows(entry, "runtimes"):
        if is_number(row.get("real_time")):
            how = (
                f"Time of a frame over its 16 ms with {row.get('version', row.get('runtime'))},"
                f" median, one core of {machine.get('processor', 'this machine')}, in bench.json."
            )
            found[f"time/{row.get('runtime')}"] = Measure(row["real_time"], "of real time", how)
    return found


def _bench_rows(entry: Entry, key: str) -> list[dict[str, Any]]:
    """Those of its own model, under the name of its folder or run; of the only one there is."""
    models = entry.documents.get("bench.json", {}).get("models") or []
    named = [model for model in models if isinstance(model, dict)]
    own = [model for model in named if model.get("model") in _folder_names(entry)]
    if len(named) == 1:
        own = named
    return [row for model in own[:1] for row in model.get(key) or [] if isinstance(row, dict)]


def _folder_names(entry: Entry) -> set[str]:
    folder = entry.folder.resolve()
    run = folder.parent.parent if folder.parent.name == LEVELS else folder
    return {folder.name, run.name}


def number(entry: Entry, document: str, *keys: str) -> float | None:
    """The number at a path of a document; None where the path ends early."""
    value: Any = entry.documents.get(document, {})
    for key in keys:
        if not isinstance(value, dict):
            raise InputError(f"{'.'.join(keys)} is no table", entry.folder / document, "remake it")
        value = value.get(key)
        if value is None:
            return None
    if not is_number(value):
        where = entry.folder / document
        raise InputError(f"{'.'.join(keys)}: expected a number, got {value!r}", where, "remake it")
    return value


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def interval(document: dict[str, Any], *keys: str) -> tuple[float, float] | None:
    """The pair of numbers at a path of a document, None where there is none."""
    value: Any = document
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, list) and len(value) == 2 and all(map(is_number, value)):
        return value[0], value[1]
    return None

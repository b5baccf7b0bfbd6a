"""Every bad input through the command line: exit 2, one line, no traceback, nothing written."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.bad_input import damage as d

AUDIO = {
    "missing": (d.removed, "cannot be read (No such file"),
    "empty": (d.emptied, "is empty"),
    "truncated": (d.halved, "copy it again"),
    "text": (d.of_text, "is not audio"),
    "bytes": (d.of_noise, "is not audio"),
    "nan": (d.with_value(math.nan), "NaN"),
    "infinite": (d.with_value(math.inf), "NaN or infinite"),
}
TFLITE = {
    "missing": (d.removed, "no such file"),
    "empty": (d.emptied, ""),
    "truncated": (d.halved, "lies outside"),
    "text": (d.of_text, "not a usable .tflite"),
    "bytes": (d.of_noise, "not a usable .tflite"),
    "folder": (d.a_folder, ""),
    "loop": (d.with_while, "unsupported operator WHILE"),
    "float": (d.of_float, "int8"),
    "two frames": (d.of_two_frames, "[1, 1, 11]"),
}
LIST = {
    "missing": (d.removed, "cannot be read"),
    "empty": (d.emptied, "is empty"),
    "bytes": (d.of_noise, ""),
    "folder": (d.a_folder, ""),
    "cut": (d.halved, "row"),
    "column": (d.without_column("gain_noise"), "column 'gain_noise' is missing"),
    "file": (d.with_cell(1, "speech_path", "gone.flac"), "row 2: speech_path: there is no file"),
    "number": (d.with_cell(2, "gain_noise", "loud"), "row 3: gain_noise: expected a number"),
    "twice": (d.with_cell(2, "id", "valid-0000"), "id 'valid-0000' is also in row 2"),
    "beyond": (d.with_cell(1, "n_samples", "9000000"), "samples"),
}
MANIFEST = {
    "missing": (d.removed, "cannot be read"),
    "empty": (d.emptied, "is empty"),
    "bytes": (d.of_noise, ""),
    "column": (d.without_column("group"), "column 'group' is missing"),
    "kind": (d.with_cell(1, "kind", "music"), "row 2: kind: expected one of speech, noise"),
    "interval": (d.with_cell(1, "end", "0"), "row 2: end: expected more than start"),
}
CORPUS = {
    **MANIFEST,
    "file": (d.with_cell(2, "path", "gone.flac"), "row 3: path: there is no file 'gone.flac'"),
    "group": (d.with_cell(5, "group", "train-a"), "group 'train-a' is in train and in valid"),
}
RECIPE = {
    "missing": (d.removed, "cannot be read"),
    "empty": (d.emptied, "name"),
    "text": (d.of_text, "is not TOML"),
    "bytes": (d.of_noise, "is not TOML"),
    "key": (d.replaced("epochs", "epoch"), "train.epoch: unknown key, did you mean epochs?"),
    "table": (d.replaced("[train]", "[trian]"), "trian: unknown key, did you mean train?"),
    "type": (d.replaced("epochs = 1", 'epochs = "1"'), "train.epochs: Expected `int`, got `str`"),
    "value": (d.replaced("epochs = 1", "epochs = 0"), "train.epochs: Expected `int` >= 1"),
    "units": (d.replaced("[8]", "[8, 0]"), "network.lstm[1]: Expected `int` >= 1"),
    "layers": (d.replaced("[8]", "[]"), "network.lstm: Expected"),
    "schema": (d.replaced("schema = 1", "schema = 2"), "schema: Invalid enum value 2"),
    "no table": (d.replaced("[network]", "loss = 3\n[network]"), "loss: Expected `object`"),
    "nan": (d.replaced("epochs", "learning_rate = nan\nepochs"), "train.learning_rate"),
    "infinite": (d.replaced("[train]", "[mixing]\nsnr_db = [0, inf]\n[train]"), "mixing.snr_db"),
    "range": (d.replaced("[train]", "[mixing]\nsnr_db = [5, -5]\n[train]"), "mixing.snr_db"),
    "voices": (d.replaced("[train]", "[mixing]\nbabble_voices = [0, 2]\n[train]"), "babble_voices"),
    "name": (d.replaced('"small"', '"../small"'), "name"),
    "circle": (d.replaced("schema", 'inherits = "recipe.toml"\nschema'), "inherit from each other"),
    "parent": (d.replaced("schema", 'inherits = "nobody"\nschema'), "nobody"),
}
WEIGHTS = {
    "missing": (d.removed, "cannot be read"),
    "empty": (d.emptied, "is not a weights.npz"),
    "truncated": (d.halved, "is not a weights.npz"),
    "text": (d.of_text, "is not a weights.npz"),
}


LONG = "a" * 300  # the system refuses the name before it looks


def cases(table):
    return pytest.mark.parametrize(("damage", "says"), table.values(), ids=table)


@cases(AUDIO)
def test_enhance_audio(place, refused, damage, says):
    damage(place / "noisy.wav")
    refused("enhance", "noisy.wav", "-o", "out.wav", "--model", "run", says=says)


@cases({name: case for name, case in AUDIO.items() if name != "missing"})
def test_enhance_folder_with_one_bad_file(place, refused, damage, says):
    (place / "many").mkdir()
    for name in ("a.wav", "b.wav"):
        (place / "many" / name).write_bytes((place / "noisy.wav").read_bytes())
    damage(place / "many" / "b.wav")
    refused("enhance", "many", "-o", "out", "--model", "run", says=says)


@cases(AUDIO)
def test_evaluate_a_list_of_bad_audio(place, refused, damage, says):
    damage(place / "corpus" / "test" / "speech" / "test-a.flac")
    says = "there is no file" if damage is d.removed else says
    refused("evaluate", "run", "--list", "corpus/mixtures_test.csv", "--workers", 1, says=says)


def test_evaluate_in_processes_ends_in_one_line_too(place, refused):
    d.with_value(math.nan)(place / "corpus" / "test" / "speech" / "test-a.flac")
    refused("evaluate", "run", "--list", "corpus/mixtures_test.csv", "--workers", 2, says="NaN")


@cases(AUDIO)
def test_evaluate_ready_pairs_of_bad_audio(place, refused, damage, says):
    (place / "clean.wav").write_bytes((place / "noisy.wav").read_bytes())
    (place / "pairs.csv").write_text("id,noisy,clean\n1,noisy.wav,clean.wav\n")
    damage(place / "noisy.wav")
    says = "there is no file" if damage is d.removed else says
    refused("evaluate", "run", "--list", "pairs.csv", says=says)


@cases({name: case for name, case in AUDIO.items() if name not in ("truncated", "nan", "infinite")})
def test_prepare_a_folder_of_bad_audio(place, refused, damage, says):
    (place / "speech").mkdir()
    (place / "noisy.wav").rename(place / "speech" / "one.wav")
    damage(place / "speech" / "one.wav")
    before = d.removed is damage
    says = "holds no audio" if before else "left out"
    arguments = ("data", "prepare", "-o", "new.csv", "--speech", "speech")
    if before:
        refused(*arguments, says=says)
    else:
        with pytest.raises(AssertionError, match="left out"):
            refused(*arguments)  # a notice about the file stands before the error
    assert not (place / "new.csv").exists()


@cases(AUDIO)
def test_train_on_bad_audio(place, refused, damage, says):
    damage(place / "corpus" / "train" / "speech" / "train-a.flac")
    says = "there is no file" if damage is d.removed else says
    refused("train", "recipe.toml", "--data", "corpus", "--run", "new", says=says)


@cases(TFLITE)
@pytest.mark.parametrize(
    "command",
    [
        ("inspect", "run/model.tflite"),
        ("evaluate", "run/model.tflite", "--list", "corpus/mixtures_test.csv"),
        ("enhance", "noisy.wav", "-o", "out.wav", "--model", "run/model.tflite"),
        ("bench", "run/model.tflite", "-o", "bench.json"),
    ],
    ids=lambda command: command[0],
)
def test_a_file_that_is_no_network_of_ours(place, refused, command, damage, says):
    damage(place / "run" / "model.tflite")
    if damage is d.removed and command[0] == "inspect":
        says = "cannot be read"
    refused(*command, says=says)


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "run/model.tflite", "--list", "corpus/mixtures_test.csv"),
        ("enhance", "noisy.wav", "-o", "out.wav", "--model", "run/model.tflite"),
        ("bench", "run/model.tflite"),
    ],
    ids=lambda command: command[0],
)
def test_a_network_of_other_shapes(place, refused, command):
    d.of_eleven_bands(place / "run" / "model.tflite")
    refused(*command, says="128")


@cases(LIST)
def test_evaluate_a_bad_list(place, refused, damage, says):
    damage(place / "corpus" / "mixtures_valid.csv")
    refused("evaluate", "run", "--list", "corpus/mixtures_valid.csv", says=says)


@cases({name: case for name, case in LIST.items() if name != "beyond"})
def test_train_with_a_bad_list(place, refused, damage, says):
    damage(place / "corpus" / "mixtures_valid.csv")
    refused("train", "recipe.toml", "--data", "corpus", "--run", "new", says=says)


@pytest.mark.slow
def test_train_with_a_list_beyond_its_audio(place, refused):
    damage, says = LIST["beyond"]
    damage(place / "corpus" / "mixtures_valid.csv")
    refused("train", "recipe.toml", "--data", "corpus", "--run", "new", says=says)


def test_evaluate_beside_a_manifest_of_another_kind(place, refused, monkeypatch):
    """Said before the first row is scored."""
    monkeypatch.setattr("tinyse.evaluate.map_tasks", lambda *_: pytest.fail("a row was scored"))
    (place / "corpus" / "manifest.csv").write_text("name,size\na,1\n")
    refused("evaluate", "run", "--list", "corpus/mixtures_test.csv", says="manifest.csv")


@cases(CORPUS)
def test_train_with_a_bad_manifest(place, refused, damage, says):
    damage(place / "corpus" / "manifest.csv")
    refused("train", "recipe.toml", "--data", "corpus", "--run", "new", says=says)


@cases(MANIFEST)
def test_check_a_bad_manifest(place, refused, damage, says):
    damage(place / "corpus" / "manifest.csv")
    refused("data", "check", "corpus/manifest.csv", says=says)


@cases(RECIPE)
def test_train_a_bad_recipe(place, refused, damage, says):
    damage(place / "recipe.toml")
    refused("train", "recipe.toml", "--data", "corpus", "--run", "new", says=says)


def test_train_in_a_precision_that_the_backend_lacks(place, refused):
    pytest.importorskip("tensorflow")
    says = "train.precision: bfloat16 runs on JAX, not on tensorflow; set KERAS_BACKEND=jax"
    words = ("--data", "corpus", "--run", "new", "--set", "train.precision=bfloat16")
    refused("train", "recipe.toml", *words, says=says)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("train.epochs", "expected KEY=VALUE"),
        ("train.epochz=3", "train.epochz: unknown key"),
        ("train.epochs=many", "train.epochs: Expected `int`"),
        ("train.epochs.deep=3", "epochs is not a table"),
    ],
)
def test_train_a_bad_override(place, refused, override, says):
    refused("train", "recipe.toml", "--data", "corpus", "--set", override, says=says)


@cases(WEIGHTS)
def test_export_bad_weights(place, refused, damage, says):
    damage(place / "run" / "weights.npz")
    refused("export", "run", "-o", "out", says=says)


@cases(WEIGHTS)
def test_pack_bad_weights(place, refused, damage, says):
    damage(place / "run" / "weights.npz")
    refused("export", "run", "-o", "out", "--pack", "native", says=says)


@cases({name: WEIGHTS[name] for name in ("empty", "truncated", "text")} | {
    "list": (d.an_array, ""),
    "folder": (d.a_folder, "Is a directory"),
    "key": (lambda path: np.savez(path, other=np.zeros(3)), "features_q"),
})  # fmt: skip
def test_firmware_beside_bad_golden_vectors(place, refused, damage, says):
    golden = place / "run" / "golden.npz"
    np.savez(golden, features_q=np.zeros((50, 128), np.int8))
    damage(golden)
    says = "golden.npz" if "weights" in says else says
    refused("firmware", "copy", "tree", "--model", "run", says=says)


@cases({name: RECIPE[name] for name in ("empty", "text", "bytes")})
def test_export_beside_a_bad_recipe(place, refused, damage, says):
    damage(place / "run" / "recipe.toml")
    refused("export", "run", "-o", "out", says=says)


@cases(WEIGHTS)
def test_the_float_runtime_on_bad_weights(place, refused, damage, says):
    damage(place / "run" / "weights.npz")
    says = "has no weights.npz" if damage is d.removed else says
    arguments = ("enhance", "noisy.wav", "-o", "out.wav", "--runtime", "keras_model")
    refused(*arguments, "--model", "run", says=says)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("export", "run"), "give --force"),
        (("enhance", "noisy.wav", "-o", "noisy.wav", "--model", "run"), "is input and output"),
        (("enhance", "noisy.wav", "-o", "corpus", "--model", "nobody"), "no such model"),
        (("data", "prepare", "--speech", "corpus", "-o", "corpus/manifest.csv"), "give --force"),
        (("data", "prepare", "-o", "new.csv"), "no folder was named"),
        (("data", "prepare", "nowhere", "-o", "new.csv"), "is not a folder"),
        (("data", "prepare", "corpus", "-o", "new.csv"), "none of the known shapes"),
        (("data", "prepare", "--valid", "2", "--speech", "corpus", "-o", "new.csv"), "under 1"),
        (("data", "synth", "corpus"), "give"),
        (("data", "synth", "new", "--minutes", "0"), "minutes"),
        (("data", "check", "nowhere.csv"), "cannot be read"),
        (("bench", "nobody"), "no such model"),
        (("bench", "run", "-o", "recipe.toml"), "give --force"),
        (("bench", "run", "--runtime", "abacus"), "unknown runtime 'abacus'"),
        (("bench", "--profiles"), "one MODEL"),
        (("bench", "run", "--profiles", "--runtime", "tflm"), "one MODEL"),
        (("bench", "run/model.tflite", "--profiles", "--list", "nowhere.csv"), "nowhere.csv"),
        (("bench", "run", "--list", "corpus/mixtures_test.csv"), "goes with --profiles"),
        (("bench", "run", "--limit", "3"), "rows of --list"),
        (("inspect", "run/model.tflite", "--block", "4by4"), "expected ROWSxCOLUMNS"),
        (("evaluate", "run", "--list", "corpus/mixtures_test.csv", "--part", "1:4"), "K/N"),
        (("evaluate", "run", "--list", "corpus/mixtures_test.csv", "--part", "²/4"), "K/N"),
        (("evaluate", "run", "--list", "corpus/mixtures_test.csv", "--metrics", "x"), "metric 'x'"),
        (("evaluate", "run", "--list", "corpus/mixtures_test.csv", "--limit", "0"), "1 or more"),
        (("evaluate", "run", "--list", "corpus/mixtures_test.csv", "--workers", "0"), "workers"),
        (("evaluate", "run"), "--list"),
        (("evaluate", "run", "--list", "corpus/test"), "folder without ready pairs"),
        (("check", "nobody"), "no such published model"),
        (("check", "run"), "holds no metrics.json"),
        (("card", "run"), "metrics.json"),
        (("publish", "corpus", "--list", "corpus/mixtures_test.csv"), "recipe.toml"),
        (("publish", "run", "--list", "corpus/mixtures_test.csv", "-o", "new"), "run.json"),
        (("demo", "--model", "nobody"), "no such published model"),
        (("train", "recipe.toml", "--data", "nowhere"), "manifest.csv: cannot be read"),
        (("train", "recipe.toml", "--data", "corpus", "--seed", "-1"), "train.seed"),
        (("export", "run", "-o", "out", "--profile", "step16"), "unknown profile 'step16'"),
        (("export", "nowhere", "-o", "out"), "cannot be read"),
        (("export", "run", "-o", "out", "--pack", "zip"), "'zip'"),
        (("export", "run", "-o", "out", "--pack", "native", "--target", "z80"), "'z80'"),
        (("export", "run", "-o", "out", "--profile", "step8", "--pack", "native"), "profile fused"),
        (("firmware", "copy", "corpus", "--model", "nobody"), "no such model"),
        (("firmware", "copy", "tree", "--model", "run", "--target", "z80"), "'z80'"),
        (("firmware", "copy", "recipe.toml", "--model", "run"), "recipe.toml"),
        (("firmware", "copy"), "DIR"),
        (("publish", "run"), "--list"),
        (("publish", "run", "--refresh"), "metrics.json"),
        (("publish", "run", "--refresh", "--force"), "no other option"),
        (("publish", "run", "--refresh", "--seed-of", "lstm_256"), "no other option"),
        (("publish", "run", "--refresh", "--data", "corpus"), "no other option"),
        (
            ("profile", "run/model.tflite", "--html", "run/model.tflite", "--force"),
            "is input and output",
        ),
        (("bench", "run", "-o", "run/model.tflite", "--force"), "is input and output"),
        (
            ("data", "draw", "corpus/manifest.csv", "-o", "corpus/manifest.csv", "--force"),
            "is input and output",
        ),
        (("data", "prepare", "--speech", "corpus", "-o", "noisy.wav", "--force"), "no name of a"),
        (
            ("data", "prepare", "--speech", "corpus", "--noise", "corpus", "-o", "new.csv"),
            "is named twice",
        ),
        (("train", "recipe.toml", "--data", "corpus", "-o", "."), "holds a run already"),
        (
            ("evaluate", "run", "--list", "corpus/mixtures_test.csv", "--against", ""),
            "--against: is empty",
        ),
        (("enhance", ""), "an argument: is empty"),
        (("firmware", "copy", "", "--model", "run"), "an argument: is empty"),
        (("export", "run", "-o", ""), "-o: is empty"),
        (("train", "recipe.toml", "--data="), "--data: is empty"),
        (
            ("train", "recipe.toml", "--data", "corpus", "--set", "inherits=lstm_256"),
            "--set inherits: stands in",
        ),
        (("inspect", LONG), "cannot be used (File name too long); check the path"),
        (("enhance", "noisy.wav", "-o", f"{LONG}.wav", "--model", "run"), "File name too long"),
        (("evaluate", "run", "--list", LONG), "File name too long"),
        (("card", LONG), "File name too long"),
        (("firmware", "copy", LONG, "--model", "run"), "File name too long"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_arguments(refused, command, says):
    refused(*command, says=says)

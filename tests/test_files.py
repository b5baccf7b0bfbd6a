"""Files are written whole or not at all."""

import errno
import os

import pytest

from tinyse.errors import CheckFailed, InputError, MissingExtra, TinySEError
from tinyse.files import atomic_file, packaged, read_json, sha256, write_json, write_text


def test_a_text_comes_back_and_leaves_nothing_beside_it(tmp_path):
    write_text(tmp_path / "deep" / "a.txt", "grüezi")
    assert (tmp_path / "deep" / "a.txt").read_text("utf-8") == "grüezi"
    assert os.listdir(tmp_path / "deep") == ["a.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, call):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(InputError, match="No space left on device"):
        write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1} and os.listdir(tmp_path) == ["a.json"]


def test_a_failing_body_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]


def test_an_unwritable_place_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as error:
        write_text(tmp_path / "file" / "below", "")
    assert "cannot be written" in str(error.value) and "\n" not in str(error.value)


def test_damaged_or_missing_json_is_refused(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    for name in ("bad.json", "none.json"):
        with pytest.raises(InputError):
            read_json(tmp_path / name)


def test_hash_and_packaged_data(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x").startswith("ba7816bf")
    assert packaged("models").is_dir()


def test_errors_know_their_exit_code_and_travel_between_processes():
    import pickle

    for error, code in [
        (TinySEError("what", "where", "do"), 1),
        (CheckFailed("what"), 1),
        (InputError("what", "where"), 2),
        (MissingExtra("soxr", "train"), 3),
    ]:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and str(again) == str(error)
        assert error.exit_code == code
    assert str(TinySEError("what", "where", "do")) == "where: what; do"

"""Files are written whole or not at all."""

import errno
import io
import os

import numpy as np
import pytest

from tinyse.errors import CheckFailed, InputError, MissingExtra, TinySEError
from tinyse.files import (
    atomic_file,
    cache_folder,
    clear,
    find_published,
    packaged,
    read_json,
    read_npz,
    refuse_same,
    sha256,
    write_json,
    write_text,
    write_together,
)


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


def test_files_together_are_refused_before_the_first(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="is a folder where a file is to be"):
        write_together({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_name_that_is_no_text_is_one_line(tmp_path):
    with pytest.raises(InputError, match="not UTF-8"):
        write_json(tmp_path / "x.json", {"name": "\udcff"})
    assert not list(tmp_path.iterdir())


def test_a_link_is_cleared_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "kept").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state").symlink_to(tmp_path / "far")
    clear(tmp_path / "run", "state")
    assert not list((tmp_path / "run").iterdir()) and (tmp_path / "far" / "kept").exists()


def test_a_file_is_the_same_by_any_way_to_it(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="is input and output"):
        refuse_same(tmp_path / "link", tmp_path / "loop", tmp_path / "file")
    refuse_same(tmp_path / "loop", tmp_path / "file")


def test_a_relative_cache_folder_does_not_count(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "tinyse"


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


def at_the_data(data: bytes) -> bytes:
    """Its first block of deflate has a type that is not there."""
    name, extra = (int.from_bytes(data[at : at + 2], "little") for at in (26, 28))
    start = 30 + name + extra
    return data[:start] + b"\xff" + data[start + 1 :]


def in_both_headers(at: int, value: int):
    """A byte of the member's own header, and that of the directory at the end."""

    def damage(data: bytes) -> bytes:
        out, directory = bytearray(data), data.index(b"PK\x01\x02")
        out[at] = out[directory + at + 2] = value
        return bytes(out)

    return damage


DAMAGE = {
    "deflate": (at_the_data, "invalid block type"),
    "method": (in_both_headers(8, 98), "compression method is not supported"),
    "encrypted": (in_both_headers(6, 1), "encrypted"),
    "half": (lambda data: data[: len(data) // 2], ""),
}


@pytest.mark.parametrize("which", DAMAGE)
def test_a_damaged_compressed_npz_is_one_line(tmp_path, which):
    damage, says = DAMAGE[which]
    file, path = io.BytesIO(), tmp_path / "a.npz"
    np.savez_compressed(file, a=np.arange(300))
    path.write_bytes(file.getvalue())
    assert read_npz(path, "is no a.npz", "write it again")["a"].sum() == 44_850
    assert read_npz(path, "is no a.npz", "write it again", ("b",)) == {}
    path.write_bytes(damage(file.getvalue()))
    with pytest.raises(InputError, match=rf"a\.npz: is no a\.npz \(.*{says}"):
        read_npz(path, "is no a.npz", "write it again")


def test_one_array_is_no_npz(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"is no a\.npz"):
        read_npz(tmp_path / "a.npz", "is no a.npz", "write it again")


def test_a_published_model_is_found_by_name_or_folder(tmp_path):
    assert find_published("lstm_256") == find_published(packaged("models", "lstm_256"))
    with pytest.raises(InputError, match=r"nobody: there is no such published model; use lstm_256"):
        find_published("nobody")
    with pytest.raises(InputError, match=r"holds no metrics\.json"):
        find_published(tmp_path)

"""Files that are whole or not there, also when every operation in turn is the last one."""

import os
import shutil
from pathlib import Path

import pytest

from seqmtl.files import ASIDE, aside_of, remove_folder, sync, tidy, write_text, written_aside


class Killed(BaseException):
    """What nothing catches."""


@pytest.fixture
def killed(monkeypatch):
    """Do something over and over, ended before its first, second, ... operation on files, until it gets through."""

    def run(do, check):
        for number in range(1, 100):
            left = number
            with monkeypatch.context() as patched:

                def ending(function):
                    def counted(*args, **how):
                        nonlocal left
                        left -= 1
                        if not left:
                            raise Killed
                        return function(*args, **how)

                    return counted

                for name in ("open", "fsync", "replace", "rename", "unlink", "rmdir", "mkdir"):
                    patched.setattr(os, name, ending(getattr(os, name)))
                try:
                    do()
                except Killed:
                    pass
                else:
                    return number
            check()
        raise AssertionError("it never gets through")

    return run


def test_a_text_is_the_old_or_the_new_one(tmp_path, killed):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def check():
        assert path.read_text() in ("old", "new")

    assert killed(lambda: write_text(path, "new"), check) > 4
    assert path.read_text() == "new"
    tidy(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_a_text_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"file.txt": "old"}


def fill(folder, text):
    with written_aside(folder, last="*.bin") as aside:
        (aside / "weights.bin").write_text(text)
        (aside / "config.json").write_text(text)
        (aside / "templates").mkdir()
        (aside / "templates" / "one").write_text(text)


def test_what_is_written_last_is_never_new_before_the_rest(tmp_path, killed):
    fill(tmp_path, "old")
    (tmp_path / "other").write_text("other")

    def check():
        texts = {name: (tmp_path / name).read_text() for name in ("weights.bin", "config.json")}
        assert set(texts.values()) <= {"old", "new"}
        assert texts["weights.bin"] == "old" or texts["config.json"] == "new"

    assert killed(lambda: fill(tmp_path, "new"), check) > 8
    assert {path.name for path in tmp_path.iterdir()} == {"weights.bin", "config.json", "templates", "other"}
    assert (tmp_path / "templates" / "one").read_text() == (tmp_path / "weights.bin").read_text() == "new"


def test_an_error_on_the_way_changes_nothing(tmp_path):
    fill(tmp_path, "old")

    def fail():
        with written_aside(tmp_path, last="*.bin") as aside:
            (aside / "config.json").write_text("new")
            raise ValueError("full")

    with pytest.raises(ValueError, match="full"):
        fail()
    assert (tmp_path / "config.json").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"weights.bin", "config.json", "templates"}


def test_a_folder_that_is_removed_is_whole_or_has_no_name(tmp_path, killed):
    def make():
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
        for name in ("a", "b", "c"):
            (tmp_path / "state" / name).mkdir(parents=True)

    def check():
        assert not (tmp_path / "state").exists() or len(list((tmp_path / "state").iterdir())) == 3
        make()

    make()
    assert killed(lambda: remove_folder(tmp_path / "state"), check) > 3
    remove_folder(tmp_path / "state")  # there is none: nothing to do
    tidy(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_aside_is_known_by_its_name(tmp_path):
    assert aside_of(tmp_path / "state") == tmp_path / f"{ASIDE}-state"
    (tmp_path / ".hidden").touch()
    aside_of(tmp_path / "a").mkdir()
    aside_of(tmp_path / "b").touch()
    (tmp_path / ASIDE).mkdir()
    tidy(tmp_path)
    tidy(tmp_path / "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == [".hidden"]


def test_both_files_and_folders_are_brought_to_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    fill(tmp_path, "new")
    aside = str(tmp_path / ASIDE)
    names = ("weights.bin", "config.json", "templates", "templates/one")
    assert set(synced[:-1]) == {f"{aside}/{name}" for name in names}
    assert synced[-1] == str(tmp_path)  # its names, when they are there
    sync(tmp_path / "config.json")
    assert synced[-1] == str(tmp_path / "config.json")

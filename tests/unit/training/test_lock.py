import errno
import fcntl
import os
import signal
import time

import pytest
from accelerate import Accelerator
from launching import end_with_parent
from rich.console import Console

from seqmtl.errors import ConfigError
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import run, train_recipe
from seqmtl.training.lock import alone_in

HERE = r"another run is writing to it; wait until it ends, or choose another --out$"


@pytest.fixture
def accelerator():
    return Accelerator(cpu=True)


def test_a_folder_has_room_for_one(tmp_path, accelerator):
    with alone_in(tmp_path, accelerator):
        with pytest.raises(ConfigError, match=f"^{tmp_path}: {HERE}"), alone_in(tmp_path, accelerator):
            pass
        (tmp_path / "other").mkdir()
        with alone_in(tmp_path / "other", accelerator):
            pass
    with alone_in(tmp_path, accelerator):  # free again
        assert list(tmp_path.iterdir()) == [tmp_path / "other"]  # and nothing is left behind


def test_a_second_run_is_turned_away_and_touches_nothing(tiny, tmp_path, accelerator, monkeypatch):
    recipe = RecipeSpec.parse(tiny, source="test")
    monkeypatch.setattr(run, "prepare", lambda *_, **__: pytest.fail("the corpora were read"))
    (tmp_path / "history.jsonl").write_text("of the run that is there\n")
    with alone_in(tmp_path, accelerator), pytest.raises(ConfigError, match=HERE):
        train_recipe(recipe, tmp_path, console=Console(quiet=True))
    assert (tmp_path / "history.jsonl").read_text() == "of the run that is there\n"


def test_what_is_killed_leaves_its_place(tmp_path, accelerator):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            end_with_parent()
            with alone_in(tmp_path, accelerator):
                os.write(writing, b"!")
                time.sleep(60)
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"!"
    with pytest.raises(ConfigError, match=HERE), alone_in(tmp_path, accelerator):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with alone_in(tmp_path, accelerator):
        pass


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path, accelerator, monkeypatch):
    def flock(*_):
        raise OSError(errno.EBADF, "no locks of folders")

    monkeypatch.setattr(fcntl, "flock", flock)
    with alone_in(tmp_path, accelerator), alone_in(tmp_path, accelerator):
        pass

"""Signals stop a run where it can be saved."""

import os
import signal
import sys
import threading
from contextlib import contextmanager

import pytest
from accelerate import Accelerator

from seqmtl.cli import main
from seqmtl.errors import STOPPED, StoppedError
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import train_recipe
from seqmtl.training.interruption import SIGNALS, Interruption
from seqmtl.training.loop import Run

pytestmark = pytest.mark.usefixtures("unplotted")


@pytest.fixture
def fit(tmp_path, quiet):
    def run(recipe, *, resume=False):
        train_recipe(RecipeSpec.parse(recipe, source="test"), tmp_path / "run", console=quiet, resume=resume)
        return tmp_path / "run"

    return run


@pytest.fixture
def signalled(monkeypatch):
    """While it is entered, this process is sent a signal at the end of the n-th call of a function."""

    @contextmanager
    def enter(owner, name, *, call, number=signal.SIGTERM):
        function, calls = getattr(owner, name), 0

        def sending(*args, **how):
            nonlocal calls
            result = function(*args, **how)
            calls += 1
            if calls == call:
                os.kill(os.getpid(), number)
            return result

        with monkeypatch.context() as patched:
            patched.setattr(owner, name, sending)
            yield

    return enter


@pytest.mark.parametrize("step", [1, 3, 4, 12])  # the fourth ends an epoch, the twelfth the run
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_saves_at_the_end_of_the_step(under, fit, whole, ending, signalled, tmp_path, number, step):
    recipe = under("hard")
    recipe["training"]["save_every"] = None
    expected = whole(recipe)
    before = signal.getsignal(number)
    told = rf"^stopped by {number.name}; .*/run holds .*--resume auto$"
    with signalled(Run, "learn", call=step, number=number), pytest.raises(StoppedError, match=told):
        fit(recipe)
    assert signal.getsignal(number) is before
    assert [path.name for path in (tmp_path / "run" / "state").iterdir()] == [f"step-{step:08d}"]
    assert ending(fit(recipe, resume=True)) == expected


@pytest.mark.parametrize(("name", "call"), [("_report_mixture", 2), ("_score", 1), ("_score", 4), ("finish_epoch", 3)])
def test_between_epochs_a_signal_stops_at_once_since_all_is_saved(under, fit, whole, ending, signalled, name, call):
    recipe = under("hard")
    expected = whole(recipe)
    with signalled(Run, name, call=call), pytest.raises(StoppedError, match=r"^stopped by SIGTERM"):
        fit(recipe)
    assert ending(fit(recipe, resume=True)) == expected


def test_the_command_line_exits_with_a_code_of_its_own(under, signalled, write_recipe, tmp_path, monkeypatch, capsys):
    path = write_recipe(under("hard"))
    monkeypatch.setattr("sys.argv", ["seqmtl", "train", str(path), "--out", str(tmp_path / "run")])
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    with signalled(Run, "learn", call=5), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == STOPPED == os.EX_TEMPFAIL
    assert capsys.readouterr().err.startswith("error: stopped by SIGTERM; ")
    monkeypatch.setattr("sys.argv", [*sys.argv, "--resume", "auto"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "training goes on after step 5 of 12" in capsys.readouterr().out


def test_in_another_thread_training_works_and_signals_are_not_its_own(under, fit, signalled):
    recipe = under("hard")
    found = []
    thread = threading.Thread(target=lambda: found.append(fit(recipe)))
    before = [signal.getsignal(number) for number in SIGNALS]
    thread.start()
    thread.join()
    assert (found[0] / "metrics.json").is_file()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_nothing_is_asked_before_a_signal_comes(tmp_path):
    with Interruption(Accelerator(cpu=True), out=tmp_path) as interruption:
        assert not interruption.asked()
        with interruption.at_once():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.asked()
        assert interruption.asked()  # it stays so
        with pytest.raises(StoppedError), interruption.at_once():
            raise AssertionError("not entered")

"""Runs in processes that are killed with SIGKILL, which no process can do anything about."""

import itertools
import json
import os
import random
import shutil
import signal
import time
import traceback
from contextlib import contextmanager

import pytest
from accelerate import Accelerator
from launching import PATIENCE, end_with_parent
from rich.console import Console

from seqmtl.checkpoints import load_checkpoint
from seqmtl.errors import ConfigError
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import record, train_recipe
from seqmtl.training.loop import Run
from seqmtl.training.states import States

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unplotted")]
KILLS = 10


def fit(recipe, run, *, resume=True):
    train_recipe(RecipeSpec.parse(recipe, source="test"), run, console=Console(quiet=True), resume=resume)


def in_a_child(function):
    """Start a process that does something; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        end_with_parent()
        function()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def was_killed(child):
    """Wait for a process: whether it was killed; if not, it must have been done."""
    began = time.monotonic()
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() - began > PATIENCE:
            os.kill(child, signal.SIGKILL)
            pytest.fail(f"not finished after {PATIENCE} s")
        time.sleep(0.005)
    status = ended[1]
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def files_of(run):
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())


def newest_step(run):
    """The step of the newest state, which must be whole; 0 when there is none."""
    states = States(run, keep=1, accelerator=Accelerator(cpu=True))
    state = states.newest()
    if state is None:
        return 0
    shared, _ = states.read_shared(state), states.read_own(state)
    assert state.name == f"step-{shared['course']['step']:08d}"
    return shared["course"]["step"]


@pytest.fixture
def longer(under):
    """A recipe of a few dozen steps, each of which is saved."""

    def make(scheme):
        recipe = under(scheme)
        recipe["mixture"]["tokens_per_batch"] = 60
        recipe["training"] |= {"save_every": 1, "save_best_per_task": True}
        return recipe

    return make


def fit_killed(recipe, run, *, number, delay):
    """Go on, and be killed so many seconds after the step of this number begins, wherever that is.

    The timer's signal, which nobody handles, ends the process as SIGKILL does.
    """
    learn, calls = Run.learn, itertools.count(1)

    def learning(self, lesson):
        if next(calls) == number:
            signal.setitimer(signal.ITIMER_REAL, delay)
        learn(self, lesson)

    Run.learn = learning
    fit(recipe, run)


def test_a_run_that_is_killed_ten_times_at_random_ends_as_if_it_had_not_been(longer, scheme, whole, ending, tmp_path):
    recipe, run = longer(scheme), tmp_path / "run"
    expected = whole(recipe)
    began = time.monotonic()
    fit(recipe, tmp_path / "timed")
    history = [json.loads(line) for line in (tmp_path / "timed" / "history.jsonl").read_text().splitlines()]
    step_seconds = (time.monotonic() - began) / max(event["step"] for event in history)
    seeded, steps, kills = random.Random(scheme), [], 0
    while kills < KILLS:
        number, delay = seeded.randint(1, 2), seeded.uniform(1e-6, step_seconds)
        child = in_a_child(lambda number=number, delay=delay: fit_killed(recipe, run, number=number, delay=delay))
        if not was_killed(child):
            break
        kills += 1
        steps.append(newest_step(run))
    assert kills == KILLS
    assert steps == sorted(steps)
    assert max(steps) > 0
    fit(recipe, run)
    assert ending(run) == expected


# Whatever changes something on the disk by way of Python.
OPERATIONS = ("fsync", "open", "replace", "rename", "unlink", "remove", "rmdir", "mkdir")


@contextmanager
def killed_at(number):
    """This process kills itself before its operation of this number, counted from 0."""
    left = itertools.count(number, -1)

    def counted(function):
        def kill_or_do(*args, **how):
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **how)

        return kill_or_do

    originals = {name: getattr(os, name) for name in OPERATIONS}
    for name, function in originals.items():
        setattr(os, name, counted(function))
    yield
    for name, function in originals.items():
        setattr(os, name, function)


PSEUDO_TASKS = {"decoders": 3, "every": 3, "control": 0.2, "keep_decoders": True}  # whose best is in config.json
MOMENTS = [
    ("begin", 1, {}),
    ("save", 1, {}),
    ("save", 3, {}),
    ("finish_epoch", 1, {}),
    ("finish_epoch", 2, {}),
    ("finish_epoch", 1, PSEUDO_TASKS),
    ("finish_epoch", 2, PSEUDO_TASKS),  # when there is a checkpoint already
    ("finish", 1, {}),
]


@pytest.mark.parametrize(("method", "call", "more"), MOMENTS)
def test_kills_in_the_very_act_of_saving_leave_everything_loadable(under, whole, ending, tmp_path, method, call, more):
    recipe = under("hard") | ({"pseudo_tasks": more} if more else {})
    # With this seed the second epoch of several decoders is the better one, and another decoder the best.
    recipe["training"] |= {"epochs": 2, "save_every": 1, "seed": 3 if more else 1}
    expected = whole(recipe)
    function = getattr(Run, method)
    for number in itertools.count():
        run = tmp_path / str(number)

        def train(run=run, number=number):
            calls = itertools.count(1)

            def act(self, **how):
                if next(calls) < call:
                    return function(self, **how)
                with killed_at(number):
                    return function(self, **how)

            setattr(Run, method, act)
            fit(recipe, run)

        if not was_killed(in_a_child(train)):
            break
        newest_step(run)
        if (run / "model.safetensors").exists():
            load_checkpoint(run)
        fit(recipe, run)
        assert ending(run) == expected
    assert number > 3  # operations, each of which was the last one


@pytest.mark.parametrize("pruned", [False, True])
def test_kills_while_a_former_run_is_removed_leave_none_that_is_taken_for_whole(under, whole, ending, tmp_path, pruned):
    recipe = under("hard")
    recipe["training"] |= {"epochs": 2, "save_best_per_task": True}
    expected = whole(recipe)
    fit(recipe, tmp_path / "former")
    if pruned:  # which leaves no history
        (tmp_path / "former" / "history.jsonl").unlink()
    for number in itertools.count():
        run = tmp_path / str(number)
        shutil.copytree(tmp_path / "former", run)

        def train(run=run, number=number):
            begin = Run.begin

            def act(self, **how):
                with killed_at(number):
                    begin(self, **how)

            Run.begin = act
            fit(recipe, run, resume=False)

        if not was_killed(in_a_child(train)):
            break
        if (run / "metrics.json").exists():  # then nothing has been removed yet
            assert files_of(run) == files_of(tmp_path / "former")
            continue
        try:
            fit(recipe, run)
        except ConfigError:  # not by itself: without the state there is still a checkpoint to be lost
            fit(recipe, run, resume=False)
        assert ending(run) == expected
    assert number > 8


def test_a_file_that_is_half_written_is_never_taken_for_whole(longer, whole, ending, tmp_path, monkeypatch):
    recipe = longer("hard")
    expected = whole(recipe)
    written, calls = record.save_file, itertools.count(1)

    def half(tensors, path):
        written(tensors, path)
        if next(calls) == 8:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(record, "save_file", half)
        assert was_killed(in_a_child(lambda: fit(recipe, tmp_path / "run")))
    assert newest_step(tmp_path / "run") == 3
    fit(recipe, tmp_path / "run")
    assert ending(tmp_path / "run") == expected

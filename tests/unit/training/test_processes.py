"""Two processes, on one machine or two: they stop, fail and go on together, and learn what one process learns."""

import json
import os
import signal
import socket
import sys
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path

import launching
import pytest
from launching import PATIENCE, nothing_left, torchrun

from seqmtl.errors import STOPPED, WRONG

pytestmark = pytest.mark.slow

ON_ONE_MACHINE = tuple(torchrun(2))
TRAIN = Path(__file__).parents[3] / "scripts" / "train.py"


@pytest.fixture
def launch(write_recipe, tmp_path):
    """Start a recipe on two processes; ``sabotage`` is run in each before it trains."""

    def start(recipe, out="run", *more, sabotage="", by=ON_ONE_MACHINE):
        script = tmp_path / "sabotaged.py"
        run = "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
        script.write_text("import sys; sys.argv = sys.argv[1:]\n" + textwrap.dedent(sabotage) + "\n" + run)
        command = [*by, script, TRAIN, write_recipe(recipe), "--out", tmp_path / out, *more]
        process = launching.start(list(map(str, command)))
        left.enter_context(nothing_left(process))
        return process

    with ExitStack() as left:
        yield start


def ended(process):
    """The exit code of the launcher, and what was printed."""
    done = launching.ended(process)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def long(under, tmp_path):
    """A recipe of so many steps that there is time to do something to it."""
    recipe = under("hard")
    recipe["mixture"]["max_sentences"] = 1
    recipe["training"] |= {"epochs": 16, "evaluate_every": 4, "save_every": 5}
    return recipe


@pytest.fixture(scope="module")
def in_one_go():
    """What the recipe comes to on two processes that nobody disturbs, once it is known."""
    return {}


@pytest.fixture
def expected(long, launch, ending, tmp_path, in_one_go):
    """What the recipe comes to on two processes that nobody disturbs."""
    if not in_one_go:
        code, _, errors = ended(launch(long, "whole"))
        assert code == 0, errors
        in_one_go.update(ending(tmp_path / "whole"))
    return in_one_go


def wait_for_a_state(run, *launchers):
    began = time.monotonic()
    while not list((run / "state").glob("step-*")):
        assert all(launcher.poll() is None for launcher in launchers)
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.01)


def workers_of(launcher):
    """The processes that a launcher has started, by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", maxsplit=1)[1].split()[1])
            environment = (folder / "environ").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if parent == launcher.pid:
            found |= {int(line[5:]): int(folder.name) for line in environment if line.startswith(b"RANK=")}
    return [found[rank] for rank in sorted(found)]


def state_of(run):
    [state] = (run / "state").iterdir()  # the newest, and nothing half written
    return state, json.loads((state / "shared.json").read_text())["course"]["step"]


@pytest.mark.parametrize("told", ["the launcher", "both", "rank 0", "rank 1"])
def test_a_signal_stops_both_at_the_same_step_and_they_go_on(long, launch, expected, ending, tmp_path, told):
    launcher = launch(long)
    wait_for_a_state(tmp_path / "run", launcher)
    workers = workers_of(launcher)
    chosen = {"the launcher": [launcher.pid], "both": workers, "rank 0": workers[:1], "rank 1": workers[1:]}[told]
    for process in chosen:
        os.kill(process, signal.SIGTERM)
    code, _, errors = ended(launcher)
    assert code != 0  # torchrun's own
    assert errors.count("error: stopped by ") == 2
    if told != "the launcher":
        assert f"exitcode  : {STOPPED} " in errors
    state, step = state_of(tmp_path / "run")
    assert {path.name.split(".")[0] for path in state.iterdir()} == {"shared", "process-0", "process-1"}
    code, shown, errors = ended(launch(long, "run", "--resume", "auto"))
    assert code == 0, errors
    assert f"training goes on after step {step:,} of" in shown
    assert ending(tmp_path / "run") == expected


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_dies_ends_the_other_with_the_cause(long, launch, expected, ending, tmp_path, rank):
    launcher = launch(long)
    wait_for_a_state(tmp_path / "run", launcher)
    workers = workers_of(launcher)
    os.kill(workers[rank], signal.SIGKILL)
    code, _, errors = ended(launcher)
    assert code == 1
    assert f"Signal 9 (SIGKILL) received by PID {workers[rank]}" in errors
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    code, _, errors = ended(launch(long, "run", "--resume", "auto"))
    assert code == 0, errors
    assert ending(tmp_path / "run") == expected


def test_a_state_of_two_processes_is_not_for_one(long, launch, write_recipe, tmp_path):
    launcher = launch(long)
    wait_for_a_state(tmp_path / "run", launcher)
    launcher.terminate()
    ended(launcher)
    command = [sys.executable, TRAIN, write_recipe(long), "--out", tmp_path / "run", "--resume", "auto"]
    done = launching.run(list(map(str, command)))
    assert done.returncode == WRONG
    assert done.stderr.startswith("error: processes: got 1, was 2: the run in ")


POISON = """
    import os
    from seqmtl.training.learner import Learner
    learn, steps = Learner.learn, []
    def poisoned(self, lesson, **how):
        taken = learn(self, lesson, **how)
        steps.append(lesson)
        if len(steps) == 7 and os.environ["RANK"] == "1":
            taken.costs[0].losses.tasks["ner"].total.mul_(float("nan"))
        return taken
    Learner.learn = poisoned
"""


def test_a_loss_that_is_not_finite_is_named_by_the_process_that_had_it(long, launch, tmp_path):
    code, _, errors = ended(launch(long, sabotage=POISON))
    assert code == 1
    assert "error: a loss of another process is not finite in step 7" in errors
    file = tmp_path / "run" / "not_finite-1.json"
    assert "error: the loss of task 'ner' is nan in step 7, rows toy/" in errors
    assert json.loads(file.read_text())["step"] == 7
    assert not (tmp_path / "run" / "not_finite-0.json").exists()
    assert state_of(tmp_path / "run")[1] == 5


FULL = """
    import errno, os
    from seqmtl.training import record
    save_file, calls = record.save_file, []
    def full(tensors, path):
        calls.append(path)
        if len(calls) == 2 and os.environ["RANK"] == "1":
            raise OSError(errno.ENOSPC, "No space left on device")
        save_file(tensors, path)
    record.save_file = full
"""


def test_a_disk_that_is_full_for_one_is_an_error_for_both(long, launch, tmp_path):
    code, _, errors = ended(launch(long, sabotage=FULL))
    assert code == 1
    assert errors.count(f"error: {tmp_path}/run/state: ") == 2
    assert "cannot be written (No space left on device)" in errors
    assert "another process cannot write its part" in errors
    assert state_of(tmp_path / "run")[1] == 5


MEMORY = """
    import os, torch
    from seqmtl.modeling import SeqMTLModel
    forward, calls = SeqMTLModel.forward, []
    def limited(self, inputs, targets):
        calls.append(1)
        if len(calls) == 7 and os.environ["RANK"] == "1":
            torch.empty(2**60)
        return forward(self, inputs, targets)
    SeqMTLModel.forward = limited
"""


def test_a_process_without_memory_ends_both(long, launch, tmp_path):
    code, _, errors = ended(launch(long, sabotage=MEMORY))
    assert code == 1
    assert "error: out of memory: mixture.tokens_per_batch is 150; lower it, and raise training.accumulation" in errors
    assert state_of(tmp_path / "run")[1] == 5


ADDRESSES = ["127.0.0.1", "127.0.0.2"]  # two machines, as far as their launchers know


@pytest.fixture
def launch_on_two(launch):
    """Start a recipe on two machines of one process each, with a launcher on each, as docs/training.md says."""

    def start(recipe, out="run", *more):
        with socket.socket() as free:
            free.bind((ADDRESSES[0], 0))
            endpoint = f"{ADDRESSES[0]}:{free.getsockname()[1]}"
        meet = ["--rdzv_backend", "c10d", "--rdzv_endpoint", endpoint, "--rdzv_id", "run"]
        each = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1", *meet]
        return [launch(recipe, out, *more, by=[*each, "--local_addr", address]) for address in ADDRESSES]

    return start


def test_two_machines_learn_what_one_with_two_processes_does(long, launch_on_two, expected, ending, tmp_path):
    for launcher in launch_on_two(long):
        code, _, errors = ended(launcher)
        assert code == 0, errors
    assert ending(tmp_path / "run") == expected


@pytest.mark.parametrize("lost", [0, 1])
def test_a_machine_that_is_lost_ends_the_other_and_they_go_on(long, launch_on_two, expected, ending, tmp_path, lost):
    launchers = launch_on_two(long)
    wait_for_a_state(tmp_path / "run", *launchers)
    [worker] = workers_of(launchers[lost])
    launchers[lost].kill()
    os.kill(worker, signal.SIGKILL)
    ended(launchers[lost])
    code, _, _ = ended(launchers[1 - lost])
    assert code != 0
    for launcher in launch_on_two(long, "run", "--resume", "auto"):
        code, _, errors = ended(launcher)
        assert code == 0, errors
    assert ending(tmp_path / "run") == expected

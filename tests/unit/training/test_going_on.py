"""A run that was ended anywhere, and goes on, ends as if nothing had happened."""

import errno
import io
import json
import random
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from safetensors import SafetensorError

from seqmtl.checkpoints import load_checkpoint
from seqmtl.errors import CheckpointError, ConfigError, TrainingError
from seqmtl.evaluation import scores_to_json
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import loop, record, states, train_recipe
from seqmtl.training.history import History
from seqmtl.training.loop import Run
from seqmtl.training.pseudo_tasks import PseudoTasks
from seqmtl.training.states import States

pytestmark = pytest.mark.usefixtures("unplotted")


class Killed(BaseException):
    """What nothing in the library catches, like SIGKILL."""


@pytest.fixture
def fit(tmp_path):
    """Train a recipe into a folder; return the folder, and what was shown."""

    def run(recipe, name="run", *, resume=False):
        shown = io.StringIO()
        console = Console(file=shown, width=200)
        train_recipe(RecipeSpec.parse(recipe, source="test"), tmp_path / name, console=console, resume=resume)
        return tmp_path / name, shown.getvalue()

    return run


@pytest.fixture
def raising(monkeypatch):
    """While it is entered, the n-th call of a function, counted from 1, raises an error: instead, or afterwards."""

    @contextmanager
    def enter(owner, name, *, call, error, after=False):
        function, calls = getattr(owner, name), 0

        def counted(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == call and not after:
                raise error
            result = function(*args, **kwargs)
            if calls == call:
                raise error
            return result

        with monkeypatch.context() as patched:
            patched.setattr(owner, name, counted)
            yield

    return enter


@pytest.fixture
def kill(raising, fit):
    """Train, and be ended before or after the n-th call of a function."""

    def run(owner, name, *, call, recipe, after=False, resume=False):
        with raising(owner, name, call=call, error=Killed, after=after), pytest.raises(Killed):
            fit(recipe, resume=resume)

    return run


def states_of(run):
    return sorted(path.name for path in (run / "state").iterdir())


def test_a_run_that_is_ended_and_goes_on_is_the_same_under_every_scheme(under, scheme, fit, kill, whole, ending):
    recipe = under(scheme)
    expected = whole(recipe)
    steps = max(event["step"] for event in expected["history"])
    seeded = random.Random(scheme)
    first, second = seeded.randint(1, steps // 2), seeded.randint(2, steps // 2)
    kill(Run, "learn", call=first, after=True, recipe=recipe)
    kill(Run, "learn", call=second, recipe=recipe, resume=True)
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected


# Meta-iterations of three steps, states after every second one.
PSEUDO_TASKS = {
    "i": {},
    "fp": {"init": ["freeze"], "update": ["perturb"]},
    "gp": {"update": ["greedy", "perturb"]},
    "hgd": {"init": ["dropout"], "update": ["greedy", "hyperperturb"]},
    "hgd kept": {"init": ["dropout"], "update": ["greedy", "hyperperturb"], "keep_decoders": True},
}


@pytest.mark.parametrize("kind", PSEUDO_TASKS)
def test_a_run_that_is_ended_within_a_meta_iteration_goes_on_as_if_it_had_not_been(
    under, fit, kill, whole, ending, kind, tiny
):
    tasks = {name: {**task, "unseen_labels": "allow"} for name, task in tiny["tasks"].items()}
    tasks["ner"]["head"] = {"kind": "crf"}
    recipe = under("hard")
    recipe["tasks"] = tasks  # with predicates and roles
    recipe["pseudo_tasks"] = {"decoders": 3, "every": 3, "control": 0.2, **PSEUDO_TASKS[kind]}
    expected = whole(recipe)
    kill(Run, "learn", call=5, recipe=recipe)  # between two updates, behind a state
    kill(PseudoTasks, "costs", call=1, after=True, recipe=recipe, resume=True)  # within an update
    kill(PseudoTasks, "choose", call=1, recipe=recipe, resume=True)  # before a checkpoint
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected


# Of a run of three epochs of four steps each: whatever it does, before and after.
MOMENTS = [
    (Run, "learn", 1),
    (Run, "learn", 4),
    (Run, "log", 3),
    (States, "save", 1),
    (States, "save", 2),
    (record, "save_file", 1),
    (record, "save_file", 4),
    (Run, "finish_epoch", 1),
    (Run, "finish_epoch", 3),
    (Run, "_score", 2),
    (Run, "_score", 4),
    (loop, "save_checkpoint", 1),
    (loop, "save_checkpoint", 3),
    (SeqMTLModel, "save_pretrained", 2),
    (loop, "save_recipe", 1),
    (History, "add", 2),
    (History, "add", 5),
    (History, "plot", 1),
    (loop, "save_metrics", 1),
]


@pytest.mark.parametrize("after", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name", "call"), MOMENTS, ids=[f"{name} {call}" for _, name, call in MOMENTS])
def test_a_run_may_be_ended_at_any_moment(under, fit, kill, whole, ending, owner, name, call, after):
    recipe = under("hard")
    recipe["training"] |= {"save_best_per_task": True, "save_every": 3}
    expected = whole(recipe)
    kill(owner, name, call=call, after=after, recipe=recipe)
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected


def test_it_goes_on_after_the_newest_state_and_says_so(under, fit, kill, tmp_path):
    recipe = under("hard")
    kill(Run, "learn", call=4, recipe=recipe)
    assert states_of(tmp_path / "run") == ["step-00000002"]  # saved every two steps; the third was taken in vain
    run, shown = fit(recipe, resume=True)
    assert f"{run}: training goes on after step 2 of 12" in shown
    assert shown.count(" drew") == shown.count("toy dev") == 3


def test_where_there_is_no_state_it_starts_at_the_beginning_and_says_so(under, fit, whole, ending):
    recipe = under("hard")
    expected = whole(recipe)
    run, shown = fit(recipe, resume=True)
    assert f"{run}: holds no state to go on from: training starts at the beginning" in shown
    assert ending(run) == expected


def test_without_resume_it_starts_again_and_no_state_of_the_former_run_is_left(under, fit, kill, tmp_path):
    recipe = under("hard")
    kill(Run, "learn", call=8, recipe=recipe)
    kill(Run, "learn", call=4, recipe=recipe)
    assert states_of(tmp_path / "run") == ["step-00000002"]


@pytest.mark.parametrize("pruned", [False, True])
def test_a_checkpoint_without_a_state_is_not_removed_by_going_on(under, fit, kill, tmp_path, pruned):
    recipe, run = under("hard"), tmp_path / "run"
    kill(Run, "learn", call=8, recipe=recipe)  # in the second epoch: there is a checkpoint of the first
    shutil.rmtree(run / "state")
    if pruned:
        (run / "history.jsonl").unlink()
        (run / "metrics.json").write_text(json.dumps({"pruned": {}}))
    before = {path: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(ConfigError, match=r"/run: holds a checkpoint, but neither a state .*without --resume"):
        fit(recipe, resume=True)
    assert {path: path.read_bytes() for path in run.iterdir()} == before
    fit(recipe)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["state/notes.txt", "model.safetensors"])
def test_a_folder_with_things_of_others_is_refused_before_anything_is_touched(under, fit, tmp_path, name, resume):
    file = tmp_path / "run" / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    for _ in range(2):  # the first start does not make it a run for the second
        with pytest.raises(ConfigError, match=r"/run: is no run, and has (state|model\.safetensors), which"):
            fit(under("hard"), resume=resume)
        assert [path for path in (tmp_path / "run").rglob("*") if path.is_file()] == [file]
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("training", "found"),
    [
        ({"save_every": None}, [4]),
        ({"save_every": None, "keep_states": 2}, [4]),
        ({"save_every": 3, "keep_states": 3}, [3, 4, 6]),
        ({"save_every": 1, "keep_states": 2}, [6, 7]),
        ({"save_every": 100}, [4]),
    ],
)
def test_states_are_saved_as_often_as_asked_and_at_the_end_of_epochs_and_the_newest_kept(
    under, fit, kill, tmp_path, training, found
):
    recipe = under("hard")
    recipe["training"] |= training
    kill(Run, "learn", call=8, recipe=recipe)
    assert states_of(tmp_path / "run") == [f"step-{step:08d}" for step in found]


def test_a_finished_run_keeps_no_state_and_is_left_as_it_is(under, fit, ending, tmp_path):
    recipe = under("hard")
    run, _ = fit(recipe)
    assert not (run / "state").exists()
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    spec = RecipeSpec.parse(recipe, source="test")
    shown = io.StringIO()
    found = train_recipe(spec, run, console=Console(file=shown, width=200), resume=True)
    assert f"{run}: is finished; there is nothing left to train" in shown.getvalue()
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before
    trained = json.loads((run / "metrics.json").read_text())["test"]
    assert {corpus: scores_to_json(scores) for corpus, scores in found.items()} == trained


@pytest.mark.parametrize(
    ("section", "change", "key"),
    [
        ("training", {"epochs": 5}, "training.epochs: got 5, but the run in .* is finished, with 3"),
        ("training", {"seed": 5}, "training.seed"),
        ("corpora", {"toy": {"kind": "toy", "sizes": {"train": 31}}}, r"corpora\.toy\.sizes\."),
    ],
)
def test_a_finished_run_is_not_taken_for_another_one(under, fit, section, change, key):
    recipe = under("hard")
    run, _ = fit(recipe)
    before = {path: path.read_bytes() for path in run.iterdir()}
    recipe[section] |= change
    with pytest.raises(ConfigError, match=f"^{key}.*training.start_from={run}"):
        fit(recipe, resume=True)
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_a_finished_run_without_dev_and_test_goes_on_as_well(under, fit, kill, whole, ending):
    recipe = under("hard")
    recipe["corpora"]["toy"]["sizes"] = {"train": 30}
    expected = whole(recipe)
    kill(Run, "finish", call=1, recipe=recipe)
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected


def test_early_stopping_counts_on(under, fit, kill, whole, ending):
    recipe = under("hard")
    rates = {"encoder": 0.0, "heads": 0.0, "sharing": 0.0}  # never better than after the first epoch
    recipe["training"] |= {"epochs": 9, "patience": 2, "learning_rates": rates}
    expected = whole(recipe)
    assert [event["epoch"] for event in expected["history"] if event["kind"] == "dev"] == [1, 2, 3]
    kill(Run, "learn", call=10, recipe=recipe)
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected


def test_accumulation_windows_and_gradient_checkpointing_go_on(under, fit, kill, whole, ending):
    recipe = under("meta_lora")
    recipe["mixture"] = {"tokens_per_batch": 60}
    recipe["encoder"] |= {"scalar_mix": False, "characters": {"kind": "cnn"}, "case": True}
    recipe["training"] |= {"accumulation": 2, "schedule": "cosine", "warmup": 0.3, "layer_decay": 0.9}
    expected = whole(recipe)
    kill(Run, "learn", call=4, recipe=recipe)
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected


def test_a_streamed_corpus_goes_on_where_it_was(under, fit, kill, whole, ending, toy_rows, stream_of):
    recipe = under("hard")
    hub = stream_of(toy_rows(20), "upos", "ner_tags")
    recipe["corpora"] = {"s": hub}
    recipe["mixture"] |= {"rates": {"kind": "uniform"}, "rows_per_epoch": 15}
    recipe["training"] |= {"max_steps": 7}
    expected = whole(recipe)
    kill(Run, "learn", call=6, recipe=recipe)
    hub["revision"] = "v2"  # nobody has all rows of a stream to compare: its description must stay
    with pytest.raises(ConfigError, match=r"^corpora\.s\.revision: got 'v2', was None"):
        fit(recipe, resume=True)
    del hub["revision"]
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected


CHANGES = [
    ("training.seed", 2),
    ("training.accumulation", 2),
    ("training.learning_rates.heads", 0.5),
    ("training.evaluate_every", 2),
    ("training.save_best_per_task", True),
    ("training.epochs", 4),
    ("training.max_steps", 11),
    ("sharing.tower.layers", 1),
    ("mixture.tokens_per_batch", 151),
    ("mixture.rows_per_epoch", 29),
    ("tasks.ner.weight", 0.5),
    ("encoder.dropout", 0.2),
    ("encoder.width", 48),
    ("evaluate_on", ["toy"]),
]


@pytest.fixture
def interrupted(under, fit, kill):
    """A run that was ended after some of its steps, and its recipe."""
    recipe = under("cross_stitch")
    recipe["training"] |= {"log_coupling_every": 100}
    kill(Run, "learn", call=6, recipe=recipe)
    return recipe


def set_key(recipe, key, value):
    *parents, last = key.split(".")
    for parent in parents:
        recipe = recipe.setdefault(parent, {})
    recipe[last] = value


def test_what_would_have_made_another_run_is_refused_by_its_key(interrupted, fit, tmp_path):
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*")}
    for key, value in CHANGES:
        changed = yaml.safe_load(yaml.safe_dump(interrupted))
        set_key(changed, key, value)
        with pytest.raises(ConfigError, match=f"^{re.escape(key)}: "):
            fit(changed, resume=True)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*")} == before


def test_many_changes_are_named_in_part(interrupted, fit):
    interrupted["training"] |= {"seed": 2, "weight_decay": 0.5, "clip_norm": 2.0, "betas": [0.8, 0.9]}
    with pytest.raises(ConfigError, match=r"^training.*: got .*, was .*; training.*; training.*; and 1 more: the run"):
        fit(interrupted, resume=True)


def test_a_recipe_that_a_former_release_wrote_is_compared_with_the_defaults_of_this_one(interrupted, fit, tmp_path):
    [file] = (tmp_path / "run" / "state").glob("*/shared.json")
    saved = json.loads(file.read_text())
    del saved["facts"]["recipe"]["training"]["save_every"], saved["facts"]["recipe"]["mixture"]["max_sentences"]
    file.write_text(json.dumps(saved))
    fit(interrupted, resume=True)


FREE = [
    ("name", "other"),
    ("description", "other"),
    ("training.save_every", 5),
    ("training.keep_states", 3),
    ("training.log_coupling_every", 99),
    ("training.patience", 3),
]


def test_how_a_run_is_watched_may_change(interrupted, fit, whole, ending):
    expected = whole(interrupted)
    for key, value in FREE:
        set_key(interrupted, key, value)
    run, _ = fit(interrupted, resume=True)
    assert yaml.safe_load((run / "recipe.yaml").read_text())["name"] == "other"
    ours, theirs = ending(run), expected
    assert {name for name in ours if ours[name] != theirs[name]} == {"recipe.yaml"}


def test_a_corpus_may_move_but_not_change(under, fit, kill, whole, ending, write_corpus, toy_rows, tmp_path):
    recipe, rows = under("hard"), toy_rows(30)
    recipe["corpora"] = {"c": write_corpus("c", train=rows, dev=rows[:5], test=rows[5:9])}
    expected = whole(recipe)
    kill(Run, "learn", call=6, recipe=recipe)
    shutil.move(tmp_path / "c", tmp_path / "moved")
    recipe["corpora"]["c"]["path"] = str(tmp_path / "moved")
    for split, wrong in (("train", rows[:29]), ("dev", rows[:6]), ("test", [*rows[5:8], rows[20]])):
        file = tmp_path / "moved" / f"{split}.jsonl"
        right = file.read_text()
        file.write_text("".join(json.dumps(row) + "\n" for row in wrong))
        counts = f"{len(wrong)} now, {len(right.splitlines())} then"
        with pytest.raises(ConfigError, match=rf"^corpora\.c, {split}: has other sentences .*\({counts}\)"):
            fit(recipe, resume=True)
        file.write_text(right)
    run, _ = fit(recipe, resume=True)
    ours, theirs = ending(run), expected
    assert {name for name in ours if ours[name] != theirs[name]} == {"recipe.yaml"}


def test_an_encoder_may_move_but_not_read_otherwise(under, fit, kill, whole, ending, tiny_encoder, tmp_path):
    recipe = under("meta_lora")
    expected = whole(recipe)
    kill(Run, "learn", call=6, recipe=recipe)
    shutil.copytree(tiny_encoder, tmp_path / "moved")
    recipe["encoder"]["pretrained"] = str(tmp_path / "moved")
    tokenizer = tmp_path / "moved" / "tokenizer.json"
    right = tokenizer.read_text()
    tokenizer.write_text(right.replace('"lowercase": true', '"lowercase": false'))
    assert tokenizer.read_text() != right
    with pytest.raises(ConfigError, match=r"^encoder: reads with another vocabulary"):
        fit(recipe, resume=True)
    tokenizer.write_text(right)
    run, _ = fit(recipe, resume=True)
    ours, theirs = ending(run), expected
    assert {name for name in ours if ours[name] != theirs[name]} == {"recipe.yaml", "config.json"}


@pytest.mark.parametrize("length", [{"epochs": 4}, {"epochs": 5, "max_steps": 14}])
def test_a_run_may_become_longer_where_its_past_does_not_depend_on_it(under, fit, kill, whole, ending, length):
    recipe = under("hard")
    recipe["training"] |= {"schedule": "constant", "warmup": 0.0}
    recipe["training"] |= length
    expected = whole(recipe)
    recipe["training"] |= {"epochs": 3, "max_steps": None}
    kill(Run, "learn", call=10, recipe=recipe)
    recipe["training"] |= length
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected


def test_a_run_cannot_end_before_where_it_is(under, fit, kill):
    recipe = under("hard")
    recipe["training"] |= {"schedule": "constant", "warmup": 0.0}
    kill(Run, "learn", call=10, recipe=recipe)
    recipe["training"]["max_steps"] = 7
    with pytest.raises(ConfigError, match=r"^training\.max_steps: makes 7 steps, but the run has taken 8"):
        fit(recipe, resume=True)
    recipe["training"]["max_steps"] = 8
    run, _ = fit(recipe, resume=True)
    assert json.loads((run / "metrics.json").read_text())["best_epoch"] in (1, 2)


def test_an_annealed_mixture_has_a_length(under, fit, kill):
    recipe = under("hard")
    recipe["training"] |= {"schedule": "constant", "warmup": 0.0}
    recipe["mixture"]["rates"] = {"kind": "annealed"}
    kill(Run, "learn", call=6, recipe=recipe)
    recipe["training"]["epochs"] = 4
    with pytest.raises(ConfigError, match=r"^training\.epochs: cannot be changed on the way: mixture\.rates of kind"):
        fit(recipe, resume=True)


def test_a_state_of_another_number_of_processes_or_device_is_refused(interrupted, fit, tmp_path):
    [file] = (tmp_path / "run" / "state").glob("*/shared.json")
    saved = json.loads(file.read_text())
    for key, value in (("processes", 2), ("device", "cuda"), ("precision", "bf16")):
        file.write_text(json.dumps(saved | {"facts": saved["facts"] | {key: value}}))
        with pytest.raises(ConfigError, match=f"^{key}: got .*, was {value!r}"):
            fit(interrupted, resume=True)
    file.write_text(json.dumps(saved | {"facts": saved["facts"] | {"format": 99}}))
    with pytest.raises(CheckpointError, match=r"/run: format 99 of its state is newer than 1"):
        fit(interrupted, resume=True)


@pytest.mark.parametrize("name", ["shared.json", "shared.safetensors", "process-0.json", "process-0.safetensors"])
def test_a_broken_state_is_an_error_and_the_one_before_it_goes_on(under, fit, kill, whole, ending, tmp_path, name):
    recipe = under("hard")
    recipe["training"]["keep_states"] = 2
    expected = whole(recipe)
    kill(Run, "learn", call=6, recipe=recipe)
    newest = tmp_path / "run" / "state" / "step-00000004"
    file = newest / name
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=f"^{newest}: is broken: {name.split('.')[0]}: .*remove it"):
        fit(recipe, resume=True)
    shutil.rmtree(newest)
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected


FULL = OSError(errno.ENOSPC, "No space left on device")
RUST = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize("error", [FULL, RUST], ids=["python", "rust"])
@pytest.mark.parametrize(
    ("owner", "name", "call", "raised"),
    [
        (record, "save_file", 3, TrainingError),
        (record, "save_file", 4, TrainingError),
        (states, "sync", 7, TrainingError),
        (SeqMTLModel, "save_pretrained", 2, CheckpointError),
    ],
)
def test_a_full_disk_is_an_error_and_what_was_there_is_kept(
    under, fit, whole, ending, raising, tmp_path, owner, name, call, raised, error
):
    recipe = under("hard")
    recipe["training"]["save_every"] = None
    expected = whole(recipe)
    full = r"/run.*: cannot be written \(.*No space left on device.*\); what was there before is kept: make room"
    with raising(owner, name, call=call, error=error, after=True), pytest.raises(raised, match=full):
        fit(recipe)
    assert [path for path in (tmp_path / "run").rglob("*") if path.name.startswith(".")] == []
    assert states_of(tmp_path / "run") == [f"step-{4 if raised is TrainingError else 8:08d}"]
    load_checkpoint(tmp_path / "run")  # of the first epoch
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected


def test_a_full_disk_may_show_at_the_history_first(under, fit, whole, ending, monkeypatch):
    recipe = under("hard")
    expected = whole(recipe)
    original = Path.open

    def full(self, mode="r", **how):
        if self.name == "history.jsonl" and mode == "a":
            raise FULL
        return original(self, mode, **how)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(TrainingError, match=r"history\.jsonl: cannot be written \(No space left on device\)"):
            fit(recipe)
    run, _ = fit(recipe, resume=True)
    assert ending(run) == expected

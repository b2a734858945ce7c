"""A step that does not fit into memory is taken in halves."""

import io
import threading
from contextlib import contextmanager

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from safetensors.torch import load_file

from seqmtl.data.collation import Collator
from seqmtl.errors import DataError, TrainingError
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import train_recipe
from seqmtl.training.learner import halves
from seqmtl.training.loop import Run
from seqmtl.training.setup import prepare

pytestmark = pytest.mark.usefixtures("unplotted")


@pytest.fixture
def fit(tmp_path):
    def run(recipe, name, *, resume=False):
        shown = io.StringIO()
        console = Console(file=shown, width=200)
        train_recipe(RecipeSpec.parse(recipe, source="test"), tmp_path / name, console=console, resume=resume)
        return load_file(tmp_path / name / "model.safetensors"), shown.getvalue()

    return run


@pytest.fixture
def memory(monkeypatch):
    """While it is entered, no forward pass in training but the first few can read more than so many sentences."""

    @contextmanager
    def limit(sentences, *, but=0):
        forward, calls = SeqMTLModel.forward, 0

        def limited(self, inputs, targets):
            nonlocal calls
            calls += 1
            if calls > but and len(inputs.word_mask) > sentences:
                torch.empty(2**60)  # what torch says of its own accord
            return forward(self, inputs, targets)

        with monkeypatch.context() as patched:
            patched.setattr(SeqMTLModel, "forward", limited)
            yield

    return limit


@pytest.fixture
def recipe(under):
    """Steps of eight sentences, without dropout, so that only the sums are in another order."""
    recipe = under("hard")
    recipe["encoder"] |= {"dropout": 0.0, "word_dropout": 0.0, "characters": None}
    for task in recipe["tasks"].values():
        task["head"]["dropout"] = 0.0
    recipe["mixture"] = {"tokens_per_batch": 10_000, "max_sentences": 8}
    recipe["training"]["learning_rates"] = {"encoder": 1e-3, "heads": 1e-3}
    return recipe


def test_steps_stay_and_their_batches_are_halved(recipe, fit, memory):
    whole, shown = fit(recipe, "whole")
    assert "memory" not in shown
    recipe["mixture"] = {"tokens_per_batch": 5_000, "max_sentences": 4}
    recipe["training"]["accumulation"] = 2
    accumulated, _ = fit(recipe, "accumulated")
    recipe["mixture"] = {"tokens_per_batch": 10_000, "max_sentences": 8}
    recipe["training"]["accumulation"] = 1
    with memory(4):
        halved, shown = fit(recipe, "halved")
    told = "out of memory: mixture.tokens_per_batch is 10000; from here on batches are cut in two, in the same steps"
    assert shown.count("out of memory") == shown.count(told) == 1
    assert all(torch.equal(value, accumulated[name]) for name, value in halved.items())
    for name, value in whole.items():
        torch.testing.assert_close(halved[name], value, rtol=0, atol=1e-5, msg=name)


def test_a_run_that_goes_on_stays_with_halves(recipe, fit, memory, monkeypatch):
    with memory(4, but=3):
        expected, _ = fit(recipe, "whole")

    def end(self, lesson):
        if self.course.step == 8:
            raise KeyboardInterrupt
        learn(self, lesson)

    learn = Run.learn
    with monkeypatch.context() as patched, memory(4, but=3):
        patched.setattr(Run, "learn", end)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, "run")
    with memory(4):
        found, shown = fit(recipe, "run", resume=True)
    assert "memory" not in shown  # it was told already
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_what_does_not_fit_in_halves_is_an_error(recipe, fit, memory):
    message = r"^out of memory: mixture\.tokens_per_batch is 10000, and batches are cut in two already; lower it"
    with memory(3), pytest.raises(TrainingError, match=message):
        fit(recipe, "run")


def test_of_several_processes_each_would_have_to_know(recipe, fit, memory, monkeypatch):
    monkeypatch.setattr(Accelerator, "num_processes", property(lambda _: 2))
    monkeypatch.setattr("seqmtl.training.interruption.distributed.new_group", lambda backend: None)  # noqa: ARG005
    message = r"^out of memory: mixture\.tokens_per_batch is 10000; lower it, and raise training\.accumulation"
    with memory(4), pytest.raises(TrainingError, match=message):
        fit(recipe, "run")


def test_another_error_is_not_taken_for_a_lack_of_memory(recipe, fit, monkeypatch):
    def fail(self, inputs, targets):
        raise RuntimeError("some bug")

    monkeypatch.setattr(SeqMTLModel, "forward", fail)
    with pytest.raises(RuntimeError, match="some bug"):
        fit(recipe, "run")


@given(st.lists(st.lists(st.just("a"), max_size=9), max_size=12))
def test_halves_have_every_row_once_and_are_alike(sentences):
    rows = [("toy", {"id": str(n), "tokens": tokens}) for n, tokens in enumerate(sentences)]
    first, second = halves(rows)
    assert sorted(row["id"] for _, row in first + second) == sorted(row["id"] for _, row in rows)
    assert abs(len(first) - len(second)) <= 1


def test_batches_are_made_by_a_thread_of_their_own(recipe, fit, monkeypatch):
    collate, threads = Collator.__call__, set()

    def noting(self, *rows, **how):
        threads.add(threading.current_thread().name.rpartition("_")[0])
        return collate(self, *rows, **how)

    monkeypatch.setattr(Collator, "__call__", noting)
    fit(recipe, "run")
    assert threads == {"seqmtl-ahead"}


def test_what_is_wrong_with_a_row_is_said_as_it_would_be_without_a_thread(recipe, fit, monkeypatch):
    def fail(self, *rows, **how):
        raise DataError("row toy-train-00001 is bad")

    monkeypatch.setattr(Collator, "__call__", fail)
    with pytest.raises(DataError, match=r"^row toy-train-00001 is bad$"):
        fit(recipe, "run")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_batches_for_cuda_lie_where_it_fetches_them(recipe, tmp_path, monkeypatch, device):
    prepared = prepare(RecipeSpec.parse(recipe, source="test"), folder=tmp_path)
    run = Run(prepared, tmp_path, console=Console(quiet=True), accelerator=Accelerator(cpu=True))
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor.to("meta"))  # without CUDA torch cannot
    run.learner._pinned = device == "cuda"
    (_, batch), *_ = next(run.lessons()).micro_batches
    assert batch.inputs.word_mask.is_meta == (device == "cuda")

"""Models whose parameters are sharded over two processes (FSDP2): they learn, are scored and saved as whole ones.

Accelerate shards on GPUs only, so these tests tell it that it has some.
"""

import copy
import json
import os
from itertools import islice
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from rich.console import Console
from safetensors.torch import load_file
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from transformers.models.bert.modeling_bert import BertLayer
from two_processes import together

from seqmtl.errors import ConfigError
from seqmtl.evaluation import scores_to_json
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import evaluate_checkpoint, train_recipe
from seqmtl.training.learner import labelled_words
from seqmtl.training.loop import Run
from seqmtl.training.setup import prepare
from seqmtl.training.sharded import check_shards

STEPS = 5
# Penalties that read parameters outside the forward pass of the module that has them, where these are in shards.
WHOLE_ONLY = {"jmt", "sluice_blocks"}


def learn(recipe, folder, plugin=None):
    """Take a few steps on the processes that there are, and export the model."""
    prepared = prepare(RecipeSpec.parse(recipe, source="test"), folder=Path())
    accelerator = Accelerator(cpu=True, fsdp_plugin=plugin)
    run = Run(prepared, folder, console=Console(quiet=True), accelerator=accelerator)
    sharded = sum(isinstance(p, DTensor) for p in run.learner.wrapped.parameters())
    assert sharded == (0 if plugin is None else len(list(run.learner.wrapped.parameters())))
    run.learner.wrapped.train()
    while run.course.step < STEPS:
        for lesson in islice(run.lessons(), STEPS - run.course.step):
            run.learner.learn(lesson, words=labelled_words(run.tasks, lesson.step), epoch=1)
            run.course.step += 1
    state = accelerator.get_state_dict(run.learner.wrapped)
    if accelerator.is_main_process:
        run.learner.model.save_pretrained(folder, state_dict=state)
    accelerator.wait_for_everyone()


def pretend():
    """Let Accelerate believe that this process has a GPU."""
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


def learn_sharded(recipe, folder):
    pretend()
    wrap = {"auto_wrap_policy": "transformer_based_wrap", "transformer_cls_names_to_wrap": ["BertLayer"]}
    if recipe["encoder"]["kind"] == "bilstm":
        wrap = {"auto_wrap_policy": "no_wrap"}
    learn(recipe, folder, FullyShardedDataParallelPlugin(fsdp_version=2, **wrap))


@pytest.mark.slow
def test_a_sharded_model_learns_and_is_exported_as_a_whole_one(under, scheme, tmp_path):
    if scheme in WHOLE_ONLY:
        pytest.skip("has a penalty on parameters, which sees shards of them")
    recipe = under(scheme)
    recipe["training"]["learning_rates"] = dict.fromkeys(("encoder", "sharing", "mixing", "heads"), 1e-4)
    together(lambda: learn(recipe, tmp_path / "whole"))
    together(lambda: learn_sharded(recipe, tmp_path / "sharded"))
    whole, sharded = (SeqMTLModel.from_pretrained(tmp_path / name).state_dict() for name in ("whole", "sharded"))
    assert whole.keys() == sharded.keys()
    for name, value in whole.items():
        torch.testing.assert_close(sharded[name], value, rtol=0, atol=1e-6, msg=name)


LAUNCH = {  # what `accelerate launch` says with docs/accelerate/fsdp2.yaml
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}


class Killed(BaseException):
    """What nothing in the library catches, like SIGKILL."""


def train(recipe, out, *, sharded=True, resume=False, until=None):
    """Train a recipe on the processes that there are; return the test scores, None: it was killed at step ``until``."""
    if sharded:
        os.environ |= LAUNCH
        pretend()
    learn_step = Run.learn

    def learn(run, lesson):
        stack = [module for module in run.learner.wrapped.modules() if isinstance(module, BertLayer)]
        assert len(stack) > 1
        assert all(isinstance(block, FSDPModule) == sharded for block in stack)
        assert sharded == all(isinstance(p, DTensor) for p in run.learner.wrapped.parameters())
        if run.course.step == until:
            raise Killed
        learn_step(run, lesson)

    Run.learn = learn  # this process is a fork
    try:
        spec = RecipeSpec.parse(recipe, source="test")
        scores = train_recipe(spec, out, console=Console(quiet=True), resume=resume)
    except Killed:
        return None
    return {corpus: scores_to_json(by_task) for corpus, by_task in scores.items()}


@pytest.fixture(params=["layers mixed", "cross-stitch of blocks", "adapters"])
def large(request, under):
    """Recipes with an encoder, of which each block is in shards of its own."""
    recipe = under("sluice_blocks")
    recipe["sharing"] = {"kind": "hard"}
    match request.param:
        case "layers mixed":
            recipe["encoder"] |= {"scalar_mix": True, "case": True, "gradient_checkpointing": True}
            recipe["training"] |= {"accumulation": 2}
        case "cross-stitch of blocks":
            recipe["sharing"] = {"kind": "cross_stitch", "tower": {"kind": "transformer", "layers": 1}}
        case "adapters":
            recipe["encoder"] |= {"lora": {"rank": 2}}
    recipe["training"]["learning_rates"] = dict.fromkeys(("encoder", "sharing", "mixing", "heads"), 1e-3)
    return recipe


@pytest.mark.slow
@pytest.mark.usefixtures("unplotted")
def test_a_sharded_run_is_scored_and_saved_as_a_whole_one(large, tmp_path):
    ours, theirs = together(lambda: train(large, tmp_path / "sharded"))
    assert ours == theirs
    loaded = {corpus: e.scores for corpus, e in evaluate_checkpoint(tmp_path / "sharded").items()}
    assert ours == {corpus: scores_to_json(by_task) for corpus, by_task in loaded.items()}
    together(lambda: train(large, tmp_path / "whole", sharded=False))
    found, expected = (load_file(tmp_path / name / "model.safetensors") for name in ("sharded", "whole"))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5, msg=name)
    histories = [(tmp_path / name / "history.jsonl").read_text().splitlines() for name in ("sharded", "whole")]
    kinds = [[(event["kind"], event["step"]) for event in map(json.loads, lines)] for lines in histories]
    assert kinds[0] == kinds[1]


@pytest.mark.slow
@pytest.mark.usefixtures("unplotted")
def test_a_sharded_run_that_is_ended_and_goes_on_is_the_same(large, tmp_path, ending):
    expected = together(lambda: train(large, tmp_path / "whole"))
    assert together(lambda: train(large, tmp_path / "run", until=5)) == [None, None]
    (state,) = (tmp_path / "run" / "state").iterdir()
    saved = load_file(state / "shared.safetensors")
    shapes = {name.removeprefix("/learner/model/"): value.shape for name, value in saved.items() if "/model/" in name}
    model = prepare(RecipeSpec.parse(large, source="test"), folder=Path()).model
    assert shapes == {name: value.shape for name, value in model.state_dict().items()}
    assert together(lambda: train(large, tmp_path / "run", resume=True)) == expected
    assert ending(tmp_path / "run") == ending(tmp_path / "whole")


BLOCKS = {"kind": "transformer", "layers": 1}


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("pseudo_tasks", {"pseudo_tasks": {"decoders": 2}}),
        ("mixture.schedule", {"mixture": {"schedule": "sequential"}}),
        ("sharing.weight", {"sharing": {"kind": "soft", "tower": BLOCKS}}),
        ("sharing.orthogonality", {"sharing": {"kind": "sluice", "tower": BLOCKS}}),
    ],
)
def test_what_reads_parameters_in_shards_is_refused(key, changes, tiny):
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2)
    check_shards(RecipeSpec.parse(tiny, source="test"), plugin)
    tiny["tasks"] = {name: tiny["tasks"][name] for name in ("upos", "ner")}
    with pytest.raises(ConfigError, match=rf"{key}: reads parameters .* MULTI_GPU"):
        check_shards(RecipeSpec.parse(copy.deepcopy(tiny) | changes, source="test"), plugin)


@pytest.mark.parametrize(
    ("key", "options"),
    [("fsdp_version", {"fsdp_version": 1}), ("fsdp_cpu_ram_efficient_loading", {"cpu_ram_efficient_loading": True})],
)
def test_other_shards_are_refused(key, options, tiny, monkeypatch):
    monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "false")  # which the plugin sets
    plugin = FullyShardedDataParallelPlugin(**{"fsdp_version": 2, **options})
    with pytest.raises(ConfigError, match=f"{key}: got"):
        check_shards(RecipeSpec.parse(tiny, source="test"), plugin)

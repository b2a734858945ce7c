"""Models whose parameters are sharded over two processes (FSDP2): they learn, and are exported, as whole ones.

Accelerate shards on GPUs only, so these tests tell it that it has some. Whole runs are not launched so: scores and
states need all of a model on each process, see ``check_launch``.
"""

from itertools import islice
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from rich.console import Console
from torch.distributed.tensor import DTensor
from two_processes import together

from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.learner import labelled_words
from seqmtl.training.loop import Run
from seqmtl.training.setup import prepare

pytestmark = pytest.mark.slow

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
        for step in islice(run.stream, STEPS - run.course.step):
            run.learner.learn(step, words=labelled_words(run.tasks, step), epoch=1)
            run.course.step += 1
    state = accelerator.get_state_dict(run.learner.wrapped)
    if accelerator.is_main_process:
        run.learner.model.save_pretrained(folder, state_dict=state)
    accelerator.wait_for_everyone()


def learn_sharded(recipe, folder):
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    wrap = {"auto_wrap_policy": "transformer_based_wrap", "transformer_cls_names_to_wrap": ["BertLayer"]}
    if recipe["encoder"]["kind"] == "bilstm":
        wrap = {"auto_wrap_policy": "no_wrap"}
    learn(recipe, folder, FullyShardedDataParallelPlugin(fsdp_version=2, **wrap))


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

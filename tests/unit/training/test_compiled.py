"""What is compiled learns the same, and its checkpoint knows nothing of it."""

import pytest
import torch
from safetensors.torch import load_file
from transformers.models.bert.modeling_bert import BertLayer

from seqmtl.checkpoints import load_checkpoint
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import train_recipe
from seqmtl.training.loop import Run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("unplotted"),
    # What torch does while it compiles.
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf Tensor:UserWarning"),
]


@pytest.mark.parametrize("scheme", ["hard", "sluice_blocks"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_compiled_blocks_learn_the_same(under, still_encoder, scheme, checkpointing, tmp_path, quiet, monkeypatch):
    recipe = under(scheme)
    recipe["encoder"] = {
        "kind": "transformer",
        "pretrained": str(still_encoder),
        "overlap": 8,
        "dropout": 0.0,
        "gradient_checkpointing": checkpointing,
    }
    recipe["training"] |= {"epochs": 2, "schedule": "constant"}
    for task in recipe["tasks"].values():
        task["head"]["dropout"] = 0.0
    learn, compiled = Run.learn, set()
    torch._dynamo.utils.counters.clear()

    def learning(self, lesson):
        learn(self, lesson)
        compiled.update(type(m) for m in self.learner.model.modules() if m._compiled_call_impl is not None)

    monkeypatch.setattr(Run, "learn", learning)
    found = {}
    for asked in (False, True):
        recipe["training"]["compiled"] = asked
        train_recipe(RecipeSpec.parse(recipe, source="test"), tmp_path / str(asked), console=quiet)
        assert bool(compiled) == asked
        assert bool(torch._dynamo.utils.counters["aot_autograd"]["ok"]) == asked
        found[asked] = load_file(tmp_path / str(asked) / "model.safetensors")
    assert (BertLayer in compiled) == (scheme == "sluice_blocks")  # copies in towers
    for name, value in found[False].items():
        if name.endswith("key.bias"):  # changes nothing: its gradient is rounding, and AdamW makes steps of it
            continue
        torch.testing.assert_close(found[True][name], value, rtol=0, atol=1e-5, msg=name)
    model, _ = load_checkpoint(tmp_path / "True")
    assert all(module._compiled_call_impl is None for module in model.modules())

"""The model as one thing: sharing among tasks, prediction, and the traps of transformers (DESIGN.md section 5)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BertModel

from seqmtl import SeqMTLConfig, SeqMTLModel
from seqmtl.data.collation import Collator
from seqmtl.data.tasks import build_task
from seqmtl.encoders.build import InventorySizes
from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.errors import CheckpointError, ConfigError, EncoderError
from seqmtl.evaluation.predictions import Annotator
from seqmtl.heads.crf import CRFHead
from seqmtl.heads.softmax import SoftmaxHead
from seqmtl.heads.srl import SRLHead
from seqmtl.labels import Scheme, violations
from seqmtl.objectives.weighting import joint_loss
from seqmtl.specs.encoders import BiLSTMEncoderSpec
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.sharing import SharingSpec
from seqmtl.specs.tasks import TaskSpec
from seqmtl.training.learner import rest_absent_tasks

Build = Callable[..., Any]
Json = dict[str, Any]
TASKS = ("upos", "chunk", "ner", "predicate", "srl")


def shaken(model: SeqMTLModel) -> SeqMTLModel:
    """The model with every parameter and class weight moved away from where it is initialised."""
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    for head in model.heads.values():
        if isinstance(head, SoftmaxHead):
            head.class_weights.uniform_(0.5, 2.0)
    return model.eval()


def losses_of(tiny) -> dict[str, Tensor]:
    return {task: loss.total for task, loss in tiny.model(tiny.batch.inputs, tiny.batch.targets).tasks.items()}


@torch.no_grad()
def same_outputs(ours: SeqMTLModel, theirs: SeqMTLModel, tiny) -> bool:
    """Whether two models give the same bits."""
    theirs = theirs.eval()
    for tensor in (*theirs.parameters(), *theirs.buffers()):
        tensor.data = tensor.data.clone()  # out of the mapped file: products round by where their factors lie
    first, second = (model(tiny.batch.inputs, tiny.batch.targets).tasks for model in (ours, theirs))
    return all(torch.equal(first[task].total, second[task].total) for task in TASKS)


# --- tasks and what they share


def test_from_encoder_starts_from_the_pretrained_weights(tiny_model: Build, tiny_encoder: Path):
    pretrained = BertModel.from_pretrained(tiny_encoder).state_dict()
    found = tiny_model().model.encoder.model.state_dict()
    assert found
    assert all(torch.equal(value, pretrained[name]) for name, value in found.items())


def test_dropout_inside_the_encoder_is_as_it_was_pretrained_or_as_asked(tiny_model: Build):
    def rates(**encoder):
        backbone = tiny_model(**encoder).model.encoder.model
        return {module.p for module in backbone.modules() if isinstance(module, torch.nn.Dropout)}

    assert rates() == {0.1}
    assert rates(inner_dropout=0.0) == {0.0}


def test_the_encoder_is_as_large_for_one_task_as_for_five(tiny_model: Build):
    sizes = [sum(p.numel() for p in tiny_model(*names).model.encoder.parameters()) for names in (("upos",), TASKS)]
    assert sizes[0] == sizes[1]


def test_m_1_is_the_joint_model_without_its_other_tasks_bit_for_bit(tiny_model: Build):
    joint, single = tiny_model(), tiny_model("upos")
    single.model.load_state_dict({n: v for n, v in joint.model.state_dict().items() if n in single.model.state_dict()})
    joint.model.eval(), single.model.eval()
    one, many = losses_of(single)["upos"], losses_of(joint)["upos"]
    assert torch.equal(one, many)
    ours = torch.autograd.grad(many.sum(), list(joint.model.encoder.parameters()), allow_unused=True)
    theirs = torch.autograd.grad(one.sum(), list(single.model.encoder.parameters()), allow_unused=True)
    assert all(torch.equal(a, b) if a is not None else b is None for a, b in zip(ours, theirs, strict=True))


def test_hs1_the_encoders_gradient_is_the_sum_of_the_tasks_gradients(tiny_model: Build):
    tiny = tiny_model()
    tiny.model.eval()
    parameters = [p for name, p in tiny.model.encoder.named_parameters() if not name.startswith("characters")]
    joint = torch.autograd.grad(torch.stack(list(losses_of(tiny).values())).sum(), parameters)
    each = [torch.autograd.grad(losses_of(tiny)[task].sum(), parameters) for task in TASKS]
    for together, apart in zip(joint, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(together, torch.stack(apart).sum(dim=0), atol=1e-4, rtol=1e-4)


def test_hs2_a_batch_of_one_task_gives_the_others_zero_gradients_which_then_rest(tiny_model: Build):
    tiny = tiny_model()
    row = {key: tiny.rows[0][key] for key in ("tokens", "upos")}
    batch = collated(tiny, [row])
    losses = tiny.model(batch.inputs, batch.targets)
    words = {task: int(loss.count) for task, loss in losses.tasks.items()}
    assert words == {"upos": 9, "chunk": 0, "ner": 0, "predicate": 0, "srl": 0}
    joint_loss(losses, weights=dict.fromkeys(TASKS, 1.0), words=words, processes=1, micro_batches=1).backward()
    for task, head in tiny.model.heads.items():
        for parameter in head.parameters():
            assert parameter.grad is not None
            assert bool(parameter.grad.any()) == (task == "upos")
    rest_absent_tasks(tiny.model, words)
    for task, head in tiny.model.heads.items():
        assert all((p.grad is None) == (task != "upos") for p in head.parameters())
    assert all(p.grad is not None for p in tiny.model.encoder.parameters())


def test_a_batch_of_empty_sentences_costs_zero_with_every_parameter_in_the_graph(tiny_model: Build):
    tiny = tiny_model()
    batch = collated(tiny, [tiny.rows[-1]] * 2)
    assert batch.inputs.word_mask.shape == (2, 0)
    losses = tiny.model(batch.inputs, batch.targets).tasks
    torch.stack([loss.total.sum() for loss in losses.values()]).sum().backward()
    assert all(not loss.total.any() for loss in losses.values())
    assert all(p.grad is not None and not p.grad.any() for p in tiny.model.parameters())
    model, mask = tiny.model.eval(), batch.inputs.word_mask
    features = model.features(batch.inputs, TASKS)
    for task in TASKS[:-1]:
        assert model.decode_words(task, features[task], mask).shape == (2, 0)
    assert model.decode_roles("srl", features["srl"], mask, predicates=mask.nonzero()).labels.shape == (0, 0)


def test_tasks_that_are_not_asked_for_are_not_run_but_stay_in_the_graph(tiny_model: Build):
    tiny = tiny_model()
    tiny.model.eval()
    every = tiny.model(tiny.batch.inputs, tiny.batch.targets).tasks
    one = {"upos": tiny.batch.targets["upos"]}
    assert torch.equal(tiny.model(tiny.batch.inputs, one).tasks["upos"].total, every["upos"].total)
    ran = []
    for task, head in tiny.model.heads.items():
        head.register_forward_hook(lambda *_, task=task: ran.append(task))
    losses = tiny.model.train()(tiny.batch.inputs, one).tasks
    assert ran == list(losses) == ["upos"]
    losses["upos"].total.sum().backward()
    for task, head in tiny.model.heads.items():
        assert all(p.grad is not None and bool(p.grad.any()) == (task == "upos") for p in head.parameters())


def collated(tiny, rows: list[dict[str, Any]]):
    return Collator(tiny.indexer, list(tiny.model.tasks.values()))([("tiny", row) for row in rows])


def test_one_encoder_pass_serves_every_task(tiny_model: Build):
    tiny, passes = tiny_model(), []
    tiny.model.encoder.register_forward_hook(lambda *_: passes.append(1))
    losses_of(tiny)
    Annotator(tiny.model, tiny.indexer)(tiny.rows)
    assert len(passes) == 2


# --- prediction


def test_an_srl_task_without_a_finder_says_what_to_set(tiny_model: Build):
    tiny = tiny_model("upos", "srl")
    task = tiny.model.tasks["srl"]
    spec = task.spec.model_copy(update={"predicates": None})
    tiny.model.tasks["srl"] = type(task)(task.name, spec, task.labels)
    with pytest.raises(CheckpointError, match=r"task 'srl' .* tasks\.srl\.predicates"):
        tiny.model.finder("srl")


@torch.no_grad()
@pytest.mark.parametrize("budget", [1, 200, 500, 2**24])
def test_roles_decoded_in_runs_equal_roles_decoded_at_once(tiny_model: Build, budget: int):
    tiny = tiny_model()
    shaken(tiny.model)
    features, mask = tiny.model.features(tiny.batch.inputs, ["srl"])["srl"], tiny.batch.inputs.word_mask
    head, predicates = tiny.model.heads["srl"], mask.nonzero()  # every word is asked
    whole = head.decode(head.scores(features, mask, predicates)[0], mask, predicates)
    head.scores_at_once = budget
    for ways in (
        head.labels(features, mask, predicates, decoder=0),
        head.labels_of_each(features, mask, predicates)[0],
    ):
        assert torch.equal(ways, whole)
    assert head.labels(features, mask, predicates[:0], decoder=0).shape == (0, mask.shape[1])


@torch.no_grad()
def test_each_task_is_decoded_by_its_own_head(tiny_model: Build):
    model, batch = shaken((tiny := tiny_model()).model), tiny.batch
    features, mask = model.features(batch.inputs, TASKS), batch.inputs.word_mask
    for task in TASKS[:-1]:
        head = model.heads[task]
        whole = head.decode(head.scores(features[task], mask)[0], mask)
        assert torch.equal(model.decode_words(task, features[task], mask), whole)
    predicates = batch.targets["srl"].predicates
    roles = model.decode_roles("srl", features["srl"], mask, predicates=predicates)
    assert torch.equal(roles.predicates, predicates)
    assert torch.equal(roles.labels, model.heads["srl"].labels(features["srl"], mask, predicates, decoder=0))


def test_runs_are_as_long_as_the_budget_allows(tiny_model: Build, monkeypatch: pytest.MonkeyPatch):
    tiny, sizes = tiny_model(), []
    features, mask = tiny.model.features(tiny.batch.inputs, ["srl"])["srl"], tiny.batch.inputs.word_mask
    states = SRLHead.states
    monkeypatch.setattr(
        SRLHead, "states", lambda self, f, m, part: (sizes.append(len(part)), states(self, f, m, part))[1]
    )
    per_predicate = mask.shape[1] * len(tiny.model.tasks["srl"].labels)
    head = tiny.model.heads["srl"]
    head.scores_at_once = 3 * per_predicate
    head.labels(features, mask, mask.nonzero()[:8], decoder=0)
    assert sizes == [3, 3, 2]


@pytest.mark.parametrize("training", [True, False])
def test_other_tasks_read_the_best_decoder_and_teach_it_alone(tiny_model: Build, training: bool):
    tiny = tiny_model("upos", "ner", decoders=DecodersSpec(count=3))
    model, features = tiny.model.train(training), torch.randn(2, 4, tiny.model.sharing.out_features)
    mask = torch.ones(2, 4, dtype=torch.bool)
    model.choose_decoder("upos", 2)
    head = model.token_head("upos")
    torch.manual_seed(5)
    found = model.label_probabilities("upos", features, mask)
    torch.manual_seed(5)
    torch.testing.assert_close(found, head.scores(features, mask)[2].softmax(dim=-1))
    found[..., 0].sum().backward()
    gradient = head.scorer.outer.weight.grad
    assert gradient is not None
    assert [bool(part.any()) for part in gradient] == [False, False, True]


def test_a_task_more_leaves_the_decoders_of_the_others(tiny_model: Build):
    tiny = tiny_model("upos", decoders=DecodersSpec(count=3, own_dropout=True))
    tiny.model.choose_decoder("upos", 1)
    spec = TaskSpec.parse({"layer": "ner_tags", "head": {"kind": "softmax"}}, source="test")
    grown = tiny.model.add_task(build_task("ner", spec, tiny.rows))
    assert (grown.best_decoder("upos"), grown.best_decoder("ner")) == (1, 0)
    assert (grown.head("upos").decoders, grown.head("ner").decoders) == (3, 1)
    ours, theirs = grown.head("upos").state_dict(), tiny.model.head("upos").state_dict()
    assert all(torch.equal(ours[name], values) for name, values in theirs.items())
    grown.choose_decoder("upos", 2)
    assert tiny.model.best_decoder("upos") == 1


# --- what is trained


def test_lower_blocks_are_frozen_and_what_is_ours_is_not(tiny_model: Build):
    model = tiny_model(trainable_layers=1).model
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen
    assert frozen == {
        name
        for name, _ in model.named_parameters()
        if name.startswith(("encoder.model.embeddings", "encoder.model.encoder.layer.0"))
    }


SLUICE: Json = {"kind": "sluice", "tower": {"kind": "transformer", "layers": 1}}
STITCH: Json = {"kind": "cross_stitch", "tower": {"kind": "bilstm", "layers": 2, "width": 8, "dropout": 0.0}}
FEW = ("upos", "chunk", "ner")


def sharing_spec(values: Json) -> SharingSpec:
    return TypeAdapter[SharingSpec](SharingSpec).validate_python(values)


def of_blocks(layers: int) -> SharingSpec:
    return sharing_spec(SLUICE | {"tower": {"kind": "transformer", "layers": layers}})


@pytest.mark.parametrize(
    ("trainable", "layers", "frozen"),
    [
        (2, 1, ()),  # of two blocks; the embeddings are frozen, as ever
        (1, 1, ("encoder.model.encoder.layer.0",)),
        (2, 2, ()),
    ],
)
def test_the_blocks_of_towers_count_among_the_trainable_layers(tiny_model: Build, trainable, layers, frozen):
    model = tiny_model(*FEW, sharing=of_blocks(layers), scalar_mix=False, trainable_layers=trainable).model
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == {
        name for name, _ in model.named_parameters() if name.startswith(("encoder.model.embeddings", *frozen))
    }


@pytest.mark.parametrize(("trainable", "layers"), [(0, 1), (0, 2), (1, 2)])
def test_towers_that_would_have_to_be_frozen_are_an_error(tiny_model: Build, trainable: int, layers: int):
    expected = rf"trainable_layers: got {trainable}, but the top {layers} blocks belong to the towers, which train"
    with pytest.raises(EncoderError, match=expected):
        tiny_model(*FEW, sharing=of_blocks(layers), scalar_mix=False, trainable_layers=trainable)


def test_towers_of_blocks_on_a_bilstm_are_an_error(tiny_model: Build):
    tasks = list(tiny_model(*FEW).model.tasks.values())
    encoder = BiLSTMEncoderSpec(kind="bilstm", width=8, word_dim=4, characters=None)
    with pytest.raises(ConfigError, match=r"^sharing\.tower\.kind: .* this encoder is none; use kind 'bilstm'"):
        SeqMTLModel.from_encoder(encoder, tasks=tasks, sharing=of_blocks(1), sizes=InventorySizes(words=9))


def test_towers_of_blocks_that_begin_at_two_places_are_an_error(tiny_model: Build):
    towers = {name: {"kind": "transformer", "layers": layers} for name, layers in (("shared", 1), ("private", 2))}
    with pytest.raises(
        ConfigError, match=r"^sharing\.private\.layers: got \d, but sharing\.shared\.layers is \d, .* both"
    ):
        tiny_model(*FEW, sharing=sharing_spec({"kind": "shared_private", **towers}), scalar_mix=False)


def test_gradient_checkpointing_gives_the_same_gradients(tiny_model: Build):
    gradients = []
    for checkpointing in (False, True):
        tiny = tiny_model(gradient_checkpointing=checkpointing)
        assert tiny.model.encoder.model.is_activation_checkpointing == checkpointing
        for module in tiny.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        torch.stack(list(losses_of(tiny).values())).sum().backward()
        gradients.append([p.grad for p in tiny.model.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


# --- pruning


def diagonal(sharing: nn.Module) -> None:
    """An alpha by which every task reads its own tower, and a little of others."""
    for mixer in sharing.lockstep.mixers:
        torch.nn.init.uniform_(mixer.weight, 0.01, 0.1)
        mixer.weight.data.diagonal().fill_(0.9)


@pytest.mark.parametrize("scheme", [SLUICE, STITCH], ids=["blocks", "bilstm"])
def test_a_pruned_model_saves_and_loads_as_it_is(tiny_model: Build, tmp_path: Path, scheme: Json):
    tiny = tiny_model(*FEW, sharing=sharing_spec(scheme), scalar_mix=False)
    model = shaken(tiny.model)
    diagonal(model.sharing)
    if scheme is STITCH:
        last = model.sharing.lockstep.mixers[-1]
        last.weight.data[:, 2], last.weight.data[2, 0] = 0.0, 0.9  # nobody reads the tower of ner
    pruning = model.prune_sharing(0.5)
    assert pruning.layers == (2 if scheme is STITCH else 0)
    assert model.config.sharing_spec.connections == pruning.connections
    before = model.features(tiny.batch.inputs, FEW)
    model.save_pretrained(tmp_path)
    loaded = SeqMTLModel.from_pretrained(tmp_path).eval()
    for tensor in (*loaded.parameters(), *loaded.buffers()):
        tensor.data = tensor.data.clone()
    assert list(loaded.state_dict()) == list(model.state_dict())
    assert loaded.sharing.lockstep.reads == model.sharing.lockstep.reads
    after = loaded.features(tiny.batch.inputs, FEW)
    assert all(torch.equal(before[task], after[task]) for task in FEW)
    again = loaded.prune_sharing(0.0)
    assert again.connections == pruning.connections


@pytest.mark.parametrize("kind", ["hard", "independent"])
def test_a_scheme_without_alphas_cannot_be_pruned(tiny_model: Build, kind: str):
    values = {"kind": kind} if kind == "hard" else {"kind": kind, "tower": STITCH["tower"]}
    model = tiny_model("upos", sharing=sharing_spec(values)).model
    with pytest.raises(ConfigError, match=rf"sharing of kind '{kind}' has no alphas; name a run"):
        model.prune_sharing(0.1)


def test_pruning_that_starves_a_task_leaves_the_model_as_it_was(tiny_model: Build):
    tiny = tiny_model(*FEW, sharing=sharing_spec(STITCH))
    before = dict(tiny.model.config.sharing)
    with pytest.raises(ConfigError, match="nothing to read"):
        tiny.model.prune_sharing(2.0)
    assert tiny.model.config.sharing == before
    assert tiny.model.config.sharing_spec.connections is None


@pytest.mark.parametrize("scheme", [SLUICE, STITCH], ids=["blocks", "bilstm"])
def test_in_a_step_without_a_task_what_only_it_uses_rests(tiny_model: Build, scheme: Json):
    tiny = tiny_model(*FEW, sharing=sharing_spec(scheme), scalar_mix=False)
    model = tiny.model
    diagonal(model.sharing)
    model.prune_sharing(0.5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    batch = collated(tiny, [{key: tiny.rows[0][key] for key in ("tokens", "chunk_tags")}])

    def step(batch) -> dict[str, Tensor]:
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        optimizer.zero_grad()
        losses = model(batch.inputs, batch.targets)
        words = {task: int(loss.count) for task, loss in losses.tasks.items()}
        joint_loss(losses, weights=dict.fromkeys(FEW, 1.0), words=words, processes=1, micro_batches=1).backward()
        rest_absent_tasks(model, words)
        optimizer.step()
        return before

    step(tiny.batch)  # all tasks: every parameter has moments now
    before = step(batch)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved
    resting = tuple(f"{part}.{task}." for task in ("upos", "ner") for part in ("towers", "betas", "heads"))
    assert not [name for name in moved if any(part in name for part in resting)]
    assert {part for part in ("towers.chunk.", "heads.chunk.", "encoder.model.") for name in moved if part in name} == {
        "towers.chunk.",
        "heads.chunk.",
        "encoder.model.",
    }


# --- transformers: the six traps of DESIGN.md section 5


@pytest.fixture
def saved(tiny_model: Build, tmp_path: Path):
    """A shaken model and the folder that it was saved to."""
    tiny = tiny_model()
    shaken(tiny.model).save_pretrained(tmp_path)
    return tiny, tmp_path


@pytest.mark.parametrize("loader", [SeqMTLModel, AutoModel])
def test_trap_1_every_loaded_value_survives_bit_for_bit(saved, loader):
    tiny, folder = saved
    loaded = loader.from_pretrained(folder)
    assert type(loaded) is SeqMTLModel
    state = loaded.state_dict()
    for name, value in tiny.model.state_dict().items():
        assert torch.equal(state[name], value), name
    for name in ("heads.chunk.transitions", "heads.chunk.start", "heads.chunk.end", "heads.upos.class_weights"):
        assert name in state
    assert {"encoder.scalar_mix.weights", "encoder.scalar_mix.gamma", "encoder.spelling.weight"} <= set(state)
    assert same_outputs(tiny.model, loaded, tiny)


def test_trap_2_no_buffer_of_ours_is_left_out_of_the_checkpoint(saved):
    tiny, folder = saved
    loaded = SeqMTLModel.from_pretrained(folder)
    ours = {name for name, _ in loaded.named_buffers() if not name.startswith("encoder.model.")}
    assert ours == {f"heads.{task}.class_weights" for task in ("upos", "ner", "predicate")}
    assert ours <= set(load_file(folder / "model.safetensors"))
    theirs = dict(tiny.model.named_buffers())  # position ids of the backbone are not saved, and must come back right
    assert all(torch.equal(value, theirs[name]) for name, value in loaded.named_buffers())


def test_trap_2_derived_constraints_hold_after_loading(saved):
    _, folder = saved
    loaded = SeqMTLModel.from_pretrained(folder).eval()
    head, labels = loaded.heads["chunk"], loaded.tasks["chunk"].labels
    assert isinstance(head, CRFHead)
    mask = torch.ones(20, 8, dtype=torch.bool)
    for ids in head.decode(5 * torch.randn(20, 8, len(labels)), mask).tolist():
        assert violations(labels.tags(ids), scheme=Scheme.BIO) == []


def test_trap_3_construction_leaves_every_module_as_it_initialised_itself(tiny_model: Build):
    model = tiny_model().model
    crf, mix = model.heads["chunk"], model.encoder.scalar_mix
    assert crf.transitions.abs().max() <= 0.1
    assert crf.transitions.std() > 0.03
    assert torch.equal(mix.gamma, torch.ones(1))
    assert not mix.weights.any()
    assert not model.encoder.spelling.weight.any()
    lstm = model.heads["srl"].contextualiser.stack.layers[0].forward_lstm
    assert torch.equal(lstm.bias_ih_l0.chunk(4)[1], torch.ones(lstm.hidden_size))


def anew(folder: Path) -> dict[str, Tensor]:
    """The values of a model whose file lacks some, loaded so that these start anew."""
    return SeqMTLModel.from_pretrained(folder, ignore_mismatched_sizes=True).state_dict()


def test_trap_3_what_a_checkpoint_lacks_is_initialised_and_what_it_has_is_kept(saved):
    tiny, folder = saved
    weights = load_file(folder / "model.safetensors")
    lost = {
        "heads.chunk.transitions",
        "encoder.scalar_mix.gamma",
        "encoder.spelling.weight",
        "heads.upos.class_weights",
    }
    lost |= {name for name in weights if name.startswith("heads.srl.contextualiser")}
    kept = {name: value for name, value in weights.items() if name not in lost}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    state = anew(folder)
    assert all(torch.equal(state[name], value) for name, value in kept.items())
    assert 0.03 < state["heads.chunk.transitions"].std() < 0.1
    assert state["encoder.scalar_mix.gamma"] == 1
    assert not state["encoder.spelling.weight"].any()
    assert torch.equal(state["heads.upos.class_weights"], torch.ones(len(tiny.model.tasks["upos"].labels)))
    recurrent = state["heads.srl.contextualiser.stack.layers.0.forward_lstm.weight_hh_l0"]
    assert 0.2 < recurrent.abs().max() <= recurrent.shape[1] ** -0.5  # torch's own initialisation of an LSTM


@pytest.mark.parametrize(
    "scheme",
    [
        SLUICE | {"normalisation": "softmax", "beta": "uniform"},
        SLUICE | {"connections": [[[1, 1, 0, 0, 0, 0]] * 2 + [[0, 1, 1, 1, 0, 0]] * 2 + [[1, 0, 0, 0, 0, 1]] * 2]},
        STITCH | {"same_task": 0.6},
        STITCH | {"granularity": "channel", "connections": [[[1, 0, 1], [1, 1, 0], [0, 0, 1]]] * 2},
    ],
    ids=["softmax", "pruned", "scalar", "channel"],
)
def test_trap_3_alpha_and_beta_that_a_checkpoint_lacks_start_as_the_scheme_says(
    tiny_model: Build, tmp_path: Path, scheme: Json
):
    new = tiny_model(*FEW, sharing=sharing_spec(scheme), scalar_mix=False).model
    begins = {name: value.clone() for name, value in new.state_dict().items()}
    shaken(new).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    mixing = [name for name in weights if "mixers" in name or "betas" in name]
    last = mixing[-1]
    for lost in (set(mixing), {last}, {name for name in mixing if name.endswith("kept")}):
        kept = {name: value for name, value in weights.items() if name not in lost}
        save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
        state = anew(tmp_path)
        assert set(state) == set(weights)
        assert all(torch.equal(state[name], value) for name, value in kept.items())
        assert all(torch.equal(state[name], begins[name]) for name in lost)


@pytest.mark.parametrize(
    ("sharing", "name", "deviation"),
    [
        ({"kind": "conditioning", "task_size": 4096}, "sharing.vectors.ner", 4096**-0.5),
        ({"kind": "jmt", "tower": STITCH["tower"], "label_dim": 4096}, "sharing.labels.upos.weight", (2 / 4109) ** 0.5),
    ],
    ids=["conditioning", "jmt"],
)
def test_trap_3_vectors_of_tasks_and_labels_that_a_checkpoint_lacks_are_drawn_as_in_a_new_model(
    tiny_model: Build, tmp_path: Path, sharing: Json, name: str, deviation: float
):
    shaken(tiny_model(*FEW, sharing=sharing_spec(sharing), scalar_mix=False).model).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    kept = {key: value for key, value in weights.items() if key != name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    state = anew(tmp_path)
    assert all(torch.equal(state[key], value) for key, value in kept.items())
    assert state[name].std().item() == pytest.approx(deviation, rel=0.05)


@pytest.mark.parametrize(
    "scheme",
    [
        {"kind": "meta_lstm", "width": 8, "meta_size": 3, "vector_size": 2, "z_offset": True},
        {"kind": "meta_lora", "rank": 2, "meta_size": 3},
    ],
    ids=lambda scheme: scheme["kind"],
)
def test_trap_3_a_generator_that_lacks_a_part_keeps_the_others(tiny_model: Build, tmp_path: Path, scheme: Json):
    shaken(tiny_model(*FEW, sharing=sharing_spec(scheme), scalar_mix=False).model).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    for lost in [name for name in weights if name.startswith("sharing.") and "tower" not in name]:
        kept = {name: value for name, value in weights.items() if name != lost}
        save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
        state = anew(tmp_path)
        assert [name for name, value in kept.items() if not torch.equal(state[name], value)] == [], lost
        assert state[lost].isfinite().all()


def test_trap_4_each_tensor_is_saved_under_one_name(saved):
    tiny, folder = saved
    assert set(load_file(folder / "model.safetensors")) == set(tiny.model.state_dict())
    assert not (folder / "pytorch_model.bin").exists()


@pytest.mark.parametrize("name", ["type", "train", "keys", "state_dict", "a.b", "Upper", "with space", "", "1st"])
def test_trap_5_names_that_torch_cannot_have_are_refused_by_the_recipe(name: str):
    recipe = {
        "name": "test",
        "corpora": {"toy": {"kind": "toy"}},
        "tasks": {name: {"layer": "upos", "head": {"kind": "softmax"}}},
        "encoder": {"kind": "bilstm"},
    }
    with pytest.raises(ConfigError, match=r"cannot name a task|is reserved"):
        RecipeSpec.parse(recipe, source="test")


def test_trap_6_the_backbone_has_an_attention_implementation(saved):
    tiny, folder = saved
    for model in (tiny.model, SeqMTLModel.from_pretrained(folder)):
        assert isinstance(model.encoder, TransformerEncoder)
        assert model.config._attn_implementation == "sdpa"
        assert model.encoder.model.config._attn_implementation == "sdpa"


def test_auto_classes_know_the_model(saved):
    tiny, folder = saved
    config = AutoConfig.from_pretrained(folder)
    assert type(config) is SeqMTLConfig
    assert config.task_list == list(tiny.model.tasks.values())
    assert same_outputs(tiny.model, AutoModel.from_pretrained(folder), tiny)
    assert type(AutoModel.from_config(config)) is SeqMTLModel


def test_a_model_that_was_loaded_can_be_saved_and_loaded_again(saved, tmp_path: Path):
    tiny, folder = saved
    SeqMTLModel.from_pretrained(folder).save_pretrained(tmp_path / "again")
    assert same_outputs(tiny.model, SeqMTLModel.from_pretrained(tmp_path / "again"), tiny)


def test_input_embeddings_are_those_of_pieces(tiny_model: Build):
    model = tiny_model().model
    vectors = model.get_input_embeddings().weight
    assert vectors is model.get_parameter("encoder.model.embeddings.word_embeddings.weight")

"""What every sharing scheme keeps to, under every head and every encoder.

A new scheme, head or encoder is one line in ``SHARING``, ``HEADS`` or ``ENCODERS``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor
from transformers import AutoConfig, AutoModel, pipeline

from seqmtl.batch import Batch
from seqmtl.checkpoints import load_checkpoint, save_checkpoint
from seqmtl.configuration import SeqMTLConfig, inventory_sizes
from seqmtl.data.collation import Collator
from seqmtl.data.indexers import new_indexer
from seqmtl.data.indexing import Indexer
from seqmtl.data.tasks import build_task
from seqmtl.documents import to_json
from seqmtl.encoders.backbone import load_backbone_config
from seqmtl.errors import ConfigError
from seqmtl.evaluation.predictions import Annotator
from seqmtl.heads.srl import SRLHead
from seqmtl.labels import violations
from seqmtl.modeling import SeqMTLModel
from seqmtl.objectives.weighting import joint_loss
from seqmtl.specs.encoders import EncoderSpec, TransformerEncoderSpec
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.sharing import HardSharingSpec, SharingSpec, transformer_towers
from seqmtl.specs.tasks import TaskSpec
from seqmtl.tagger import Tagger

Rows = list[dict[str, Any]]
Json = dict[str, Any]

TOWER: Json = {"kind": "bilstm", "layers": 1, "width": 16, "dropout": 0.0}

TOWERS: Json = {**TOWER, "layers": 2}
BLOCKS: Json = {"kind": "transformer", "layers": 1}

SPLIT = [["upos", "finder"], ["tested"]]

SHARING: dict[str, Json] = {
    "hard": {"kind": "hard"},
    "hard layer attention": {"kind": "hard", "layer_attention": True},
    "hard tower": {"kind": "hard", "tower": TOWER},
    "independent": {"kind": "independent", "tower": TOWER},
    "independent blocks": {"kind": "independent", "tower": BLOCKS},
    "cross-stitch": {"kind": "cross_stitch", "tower": TOWERS, "granularity": "channel"},
    "cross-stitch blocks": {"kind": "cross_stitch", "tower": BLOCKS},
    "sluice": {"kind": "sluice", "tower": TOWERS},
    "sluice blocks": {"kind": "sluice", "tower": {**BLOCKS, "layers": 2}, "normalisation": "l1"},
    "soft": {"kind": "soft", "tower": TOWERS},
    "soft blocks": {"kind": "soft", "tower": BLOCKS, "form": "mean"},
    "low supervision": {"kind": "hierarchical", "tower": TOWERS, "depths": {"upos": 1, "finder": 1, "tested": 2}},
    "low supervision blocks": {
        "kind": "hierarchical",
        "tower": {**BLOCKS, "layers": 2},
        "depths": {"upos": 1, "finder": 2, "tested": 2},
    },
    "branching": {"kind": "branching", "tower": TOWERS, "tree": [[["upos", "finder", "tested"]], SPLIT]},
    "branching blocks": {"kind": "branching", "tower": {**BLOCKS, "layers": 2}, "tree": [SPLIT, SPLIT]},
    "conditioning concat": {"kind": "conditioning", "form": "concat", "tower": TOWER},
    "conditioning gates": {"kind": "conditioning", "form": "multiplicative"},
    "conditioning film": {"kind": "conditioning", "form": "film", "tower": TOWER},
    "meta-lstm": {"kind": "meta_lstm", "layers": 2, "width": 16, "meta_size": 6, "vector_size": 5, "dropout": 0.0},
    "meta-lstm as published": {"kind": "meta_lstm", "width": 16, "meta_size": 6, "project_z": False, "z_offset": True},
    "meta-lora blocks": {"kind": "meta_lora", "tower": {**BLOCKS, "layers": 2}, "rank": 3, "meta_size": 4},
    "jmt": {"kind": "jmt", "tower": TOWER, "order": ["tested", "upos", "finder"], "label_dim": 4},
    "adversarial": {
        "kind": "shared_private",
        "shared": TOWER,
        "private": TOWER,
        "reconstruction": 0.1,
        "adversary": {"weight": 0.05},
        "orthogonality": {"weight": 0.01},
    },
    "adversarial blocks": {
        "kind": "shared_private",
        "shared": BLOCKS,
        "private": BLOCKS,
        "adversary": {"weight": 0.05},
        "orthogonality": {"weight": 0.01, "normalise": False},
    },
    "stacked private": {"kind": "shared_private", "structure": "stacked", "shared": TOWER, "private": TOWER},
    "stacked private on blocks": {
        "kind": "shared_private",
        "structure": "stacked",
        "private_input": "shared_only",
        "shared": BLOCKS,
        "private": TOWER,
    },
}

# Each head is trained beside a softmax head for upos, so that there is something to share.
HEADS: dict[str, Json] = {
    "softmax": {"layer": "chunk_tags", "head": {"kind": "softmax", "constrained": False}},
    "softmax bio": {"layer": "ner_tags", "scheme": "bio", "head": {"kind": "softmax", "class_weights": {"O": 0.5}}},
    "softmax bioes": {"layer": "ner_tags", "scheme": "bioes", "head": {"kind": "softmax", "bilstm": 8, "hidden": 12}},
    "crf": {"layer": "chunk_tags", "scheme": "bio", "head": {"kind": "crf"}},
    "crf bioes": {"layer": "chunk_tags", "scheme": "bioes", "head": {"kind": "crf", "bilstm": 8}},
    "predicate": {"layer": "srl_frames", "head": {"kind": "predicate"}},
    "srl bilstm": {"layer": "srl_frames", "predicates": "finder", "head": {"kind": "srl", "width": 32}},
    "srl attention": {
        "layer": "srl_frames",
        "predicates": "finder",
        "head": {"kind": "srl", "width": 32, "contextualiser": "attention"},
    },
}

# Heads with several decoders: every head above may have them.
DECODERS: dict[str, DecodersSpec] = {
    "softmax bioes": DecodersSpec(count=3, best=2),
    "crf": DecodersSpec(count=2, own_dropout=True, best=1),
    "srl bilstm": DecodersSpec(count=3, own_dropout=True, best=1),
}
SEVERAL = ", several decoders"

CHARACTERS: Json = {"kind": "cnn", "dim": 4, "width": 8}
ENCODERS: dict[str, Json] = {
    "bilstm": {"kind": "bilstm", "word_dim": 8, "width": 16, "min_count": 1, "characters": CHARACTERS},
    "transformer": {"kind": "transformer", "max_pieces": 9, "overlap": 3, "scalar_mix": True, "characters": CHARACTERS},
}

STEPS, RATE = 15, 1e-2
UPOS: Json = {"layer": "upos", "head": {"kind": "softmax"}}
FINDER: Json = {"layer": "srl_frames", "head": {"kind": "predicate"}}
TESTED = "tested"  # name of the task whose head is under test


@dataclass(frozen=True)
class Case:
    """A model after a few steps of training, in evaluation mode, and what was seen on the way."""

    model: SeqMTLModel
    indexer: Indexer
    rows: Rows
    batch: Batch
    losses: list[dict[str, float]]
    touched: frozenset[str]


SCHEMES = {name: TypeAdapter[SharingSpec](SharingSpec).validate_python(spec) for name, spec in SHARING.items()}


def goes_with(sharing: SharingSpec, encoder: str) -> bool:
    """Whether a scheme can stand on an encoder of ``ENCODERS``."""
    return encoder == "transformer" or not takes_layers(sharing)


def takes_layers(sharing: SharingSpec) -> bool:
    """Whether a scheme does with the layers of a transformer what it likes."""
    return any(transformer_towers(sharing)) or (isinstance(sharing, HardSharingSpec) and sharing.layer_attention)


# Every head on the two plainest schemes; on the others one of each kind.
PAIRS = [
    (scheme, head)
    for scheme in SHARING
    for head in (HEADS if scheme in ("hard", "independent") else ("softmax bio", "crf", "srl bilstm"))
] + [(scheme, head + SEVERAL) for scheme in ("hard", "jmt") for head in DECODERS]
Names = tuple[str, str, str]
CASES: list[Names] = [
    (scheme, head, encoder) for scheme, head in PAIRS for encoder in ENCODERS if goes_with(SCHEMES[scheme], encoder)
]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def names(request: pytest.FixtureRequest) -> Names:
    """Of scheme, head and encoder."""
    return request.param


@pytest.fixture(scope="module")
def sharing(names: Names, head: Json) -> SharingSpec:
    spec = SHARING[names[0]] if head["head"]["kind"] == "srl" else without_task(SHARING[names[0]], "finder")
    return TypeAdapter[SharingSpec](SharingSpec).validate_python(spec)


@pytest.fixture(scope="module")
def encoder(names: Names, bert: str, sharing: SharingSpec) -> EncoderSpec:
    return encoder_for(sharing, names[2], bert=bert)


@pytest.fixture(scope="module")
def head(names: Names) -> Json:
    return HEADS[names[1].removesuffix(SEVERAL)]


@pytest.fixture(scope="module")
def decoders(names: Names) -> dict[str, DecodersSpec]:
    tested = DECODERS[names[1].removesuffix(SEVERAL)] if names[1].endswith(SEVERAL) else None
    return {} if tested is None else {TESTED: tested, "upos": DecodersSpec(count=2, best=1)}


@pytest.fixture(scope="module")
def case(encoder: EncoderSpec, sharing: SharingSpec, head: Json, decoders: dict[str, DecodersSpec], rows: Rows) -> Case:
    torch.manual_seed(1)
    specs = {"upos": UPOS, TESTED: head} | ({"finder": FINDER} if head["head"]["kind"] == "srl" else {})
    model, indexer, batch = build(encoder, sharing, specs, rows, decoders=decoders)
    assert batch.inputs.pieces is None or len(batch.inputs.pieces.ids) > sum(bool(row["tokens"]) for row in rows)
    losses, touched = train(model, batch)
    return Case(model.eval(), indexer, rows, batch, losses, touched)


def build(
    encoder: EncoderSpec,
    sharing: SharingSpec,
    specs: Mapping[str, Json],
    rows: Rows,
    *,
    decoders: Mapping[str, DecodersSpec] | None = None,
) -> tuple[SeqMTLModel, Indexer, Batch]:
    """A new model for tasks, what it reads with, and all rows as a batch."""
    tasks = [
        build_task(name, TaskSpec.parse({**spec, "head": without_dropout(spec["head"])}, source=name), rows)
        for name, spec in specs.items()
    ]
    backbone = load_backbone_config(encoder.pretrained) if isinstance(encoder, TransformerEncoderSpec) else None
    indexer = new_indexer(encoder, backbone=backbone, sentences=[row["tokens"] for row in rows])
    model = SeqMTLModel.from_encoder(
        encoder, tasks=tasks, sharing=sharing, decoders=decoders or {}, sizes=inventory_sizes(indexer)
    )
    return model, indexer, Collator(indexer, tasks)([("tiny", row) for row in rows])


def encoder_for(sharing: SharingSpec, name: str, *, bert: str) -> EncoderSpec:
    """An encoder of ``ENCODERS`` below a scheme."""
    spec = without_dropout(ENCODERS[name])
    if spec["kind"] == "transformer":
        spec |= {"pretrained": bert, "scalar_mix": not takes_layers(sharing)}
    return TypeAdapter[EncoderSpec](EncoderSpec).validate_python(spec)


def without_task(spec: Any, name: str) -> Any:
    """A spec that speaks of the task nowhere, for cases that do not have it."""
    if isinstance(spec, dict):
        return {key: without_task(value, name) for key, value in spec.items() if key != name}
    return [without_task(value, name) for value in spec if value != name] if isinstance(spec, list) else spec


def without_dropout(spec: Json) -> Json:
    """A spec under which training and evaluation compute the same."""
    quiet = {**spec, "dropout": 0.0}
    if spec["kind"] == "bilstm":
        quiet["word_dropout"] = 0.0
    if "characters" in spec:
        quiet["characters"] = {**spec["characters"], "dropout": 0.0}
    return quiet


def train(model: SeqMTLModel, batch: Batch) -> tuple[list[dict[str, float]], frozenset[str]]:
    """A few steps on one batch: each step's mean losses, and the parameters that ever had a gradient."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    weights = dict.fromkeys(batch.targets, 1.0)
    history, touched = [], set()
    model.train()
    for _ in range(STEPS):
        optimizer.zero_grad()
        losses = model(batch.inputs, batch.targets)
        words = {task: int(loss.count) for task, loss in losses.tasks.items()}
        joint_loss(losses, weights=weights, words=words, processes=1, micro_batches=1).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all(), name
            if parameter.grad is not None and parameter.grad.any():
                touched.add(name)
        optimizer.step()
        history.append({task: loss.mean().mean().item() for task, loss in losses.tasks.items()})
    return history, frozenset(touched)


@torch.no_grad()
def scores(case: Case, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, Tensor]]:
    """(sentence id, what, values at its real words) of every sentence: features, and scores per word or predicate."""
    model, inputs = case.model, case.indexer([row["tokens"] for row in rows])
    features = model.features(inputs, list(model.tasks))
    for task, head in model.heads.items():
        for b, row in enumerate(rows):
            length = len(row["tokens"])
            yield row["id"], f"{task} features", features[task][b, :length]
            if isinstance(head, SRLHead):
                pairs = torch.tensor([(b, frame["predicate"]) for frame in row["srl_frames"]], dtype=torch.long)
                found = head.scores(features[task], inputs.word_mask, pairs.reshape(-1, 2))
                yield row["id"], task, found[:, :, :length]
            else:
                yield row["id"], task, head.scores(features[task], inputs.word_mask)[:, b, :length]


def test_a_few_steps_lower_the_loss_of_every_task(case: Case):
    first, last = case.losses[0], case.losses[-1]
    assert all(last[task] < 0.9 * first[task] for task in first), (first, last)


def test_every_trainable_parameter_gets_a_gradient(case: Case):
    # Attention does not see a shift of all keys, so their bias has a gradient of 0 but for rounding.
    trainable = {name for name, p in case.model.named_parameters() if p.requires_grad and not name.endswith("key.bias")}
    assert trainable - case.touched == set()


def test_a_saved_model_gives_the_same_bits(case: Case, tmp_path: Path):
    save_checkpoint(tmp_path, case.model, case.indexer)
    model, indexer = load_checkpoint(tmp_path)
    assert not model.training
    state = case.model.state_dict()
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    loaded = Case(model, indexer, case.rows, case.batch, [], frozenset())
    pairs = list(zip(scores(case, case.rows), scores(loaded, case.rows), strict=True))
    assert all(torch.equal(ours[2], theirs[2]) for ours, theirs in pairs)
    assert len(pairs) > len(case.rows)


@torch.no_grad()
def test_decoded_labels_are_valid_sequences(case: Case):
    mask = case.batch.inputs.word_mask
    features = case.model.features(case.batch.inputs, list(case.model.tasks))
    for name, task in case.model.tasks.items():
        if isinstance(case.model.heads[name], SRLHead):
            roles = case.model.decode_roles(name, features[name], mask, predicates=mask.nonzero())  # every word
            labels, inside = roles.labels, mask[roles.predicates[:, 0]]
        else:
            labels, inside = case.model.decode_words(name, features[name], mask), mask
        assert labels.shape == inside.shape
        assert not labels[~inside].any()
        for ids, real in zip(labels, inside, strict=True):
            tags = task.labels.tags(ids[real].tolist())
            assert task.scheme is None or violations(tags, scheme=task.scheme) == []


def test_an_srl_task_labels_the_predicates_that_its_finder_finds(case: Case):
    every = Annotator(case.model, case.indexer)(case.rows)
    alone = Annotator(case.model, case.indexer, tasks=[TESTED])(case.rows)
    for whole, part in zip(every, alone, strict=True):
        shown = {**part.tags, **part.predicates, **part.found_frames}
        assert list(shown) == [TESTED]
        assert shown[TESTED] == {**whole.tags, **whole.predicates, **whole.found_frames}[TESTED]
        for frames in whole.found_frames.values():
            assert [frame.predicate for frame in frames] == whole.predicates["finder"]
            for frame in frames:
                assert [word for word, tag in enumerate(frame.tags) if tag == "B-V"] == [frame.predicate]


def test_a_sentence_has_the_same_scores_alone_and_in_any_batch(case: Case):
    together = {(name, kind): value for name, kind, value in scores(case, case.rows)}
    for row in case.rows:
        for name, kind, value in scores(case, [row]):
            torch.testing.assert_close(value, together[name, kind], atol=1e-5, rtol=1e-5)
    for name, kind, value in scores(case, case.rows[2::-1] + case.rows[-2:]):
        torch.testing.assert_close(value, together[name, kind], atol=1e-5, rtol=1e-5)


# --- parts of a model: every scheme on every encoder, with three tasks of which one needs another

STACKS = [(scheme, encoder) for scheme, spec in SCHEMES.items() for encoder in ENCODERS if goes_with(spec, encoder)]


@pytest.fixture(scope="module", params=STACKS, ids="-".join)
def whole(request: pytest.FixtureRequest, bert: str, rows: Rows) -> Case:
    """A model of which no two parameters are alike, untrained."""
    scheme, name = request.param
    torch.manual_seed(1)
    encoder = encoder_for(SCHEMES[scheme], name, bert=bert)
    specs = {"upos": UPOS, TESTED: HEADS["srl bilstm"], "finder": FINDER}
    model, indexer, batch = build(encoder, SCHEMES[scheme], specs, rows)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return Case(model.eval(), indexer, rows, batch, [], frozenset())


@torch.no_grad()
def test_auto_classes_give_the_same_bits_from_shards(whole: Case, tmp_path: Path):
    whole.model.save_pretrained(tmp_path, max_shard_size="8KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    model = AutoModel.from_pretrained(tmp_path)
    assert (type(AutoConfig.from_pretrained(tmp_path)), type(model)) == (SeqMTLConfig, SeqMTLModel)
    loaded = Case(model, whole.indexer, whole.rows, whole.batch, [], frozenset())
    pairs = zip(scores(whole, whole.rows), scores(loaded, whole.rows), strict=True)
    assert all(torch.equal(ours[2], theirs[2]) for ours, theirs in pairs)


@torch.no_grad()
def test_a_task_alone_gives_the_same_bits_from_its_own_weights(whole: Case, tmp_path: Path):
    save_checkpoint(tmp_path, whole.model, whole.indexer)
    model, inputs = whole.model, whole.batch.inputs
    for task in model.tasks:
        part, _ = load_checkpoint(tmp_path, tasks=[task])
        needed = model.needed([task])
        assert list(part.tasks) == list(part.heads) == needed
        assert torch.equal(part.features(inputs, [task])[task], model.features(inputs, [task])[task])
        serving = [*model.encoder.parameters(), *model.sharing.serving(needed)]
        wanted = {id(p) for p in (*serving, *(p for name in needed for p in model.heads[name].parameters()))}
        assert [n for n, _ in part.named_parameters()] == [n for n, p in model.named_parameters() if id(p) in wanted]


@torch.no_grad()
def test_a_pipeline_from_a_saved_folder_says_what_the_model_says(whole: Case, tmp_path: Path):
    save_checkpoint(tmp_path, whole.model, whole.indexer)
    texts = [" ".join(row["tokens"]) for row in whole.rows]
    found = pipeline("seqmtl-tagging", model=str(tmp_path), device="cpu")(texts)
    assert found == [to_json(document) for document in Tagger(whole.model, whole.indexer).tag(texts)]
    sentences = [sentence for document in found for sentence in document["sentences"]]
    assert sentences
    assert all((set(s["tags"]), set(s["frames"])) == ({"upos"}, {TESTED}) for s in sentences)


@torch.no_grad()
def test_removing_a_task_changes_no_bit_of_the_others(whole: Case, tmp_path: Path):
    inputs = whole.batch.inputs
    for task in whole.model.tasks:
        rest = [name for name in whole.model.tasks if name != task]
        if task in whole.model.needed(rest):
            with pytest.raises(ConfigError, match=f"cannot do without '{task}'"):
                whole.model.remove_task(task)
            continue
        before = whole.model.features(inputs, rest)
        smaller = whole.model.remove_task(task)
        smaller.save_pretrained(tmp_path)
        for model in (smaller, SeqMTLModel.from_pretrained(tmp_path)):
            assert list(model.tasks) == list(model.heads) == rest
            assert all(torch.equal(features, before[name]) for name, features in model.features(inputs, rest).items())
        assert smaller.num_parameters() < whole.model.num_parameters()
        assert all(table.values.isfinite().all() for table in smaller.sharing.coupling().tables.values())
        losses = smaller.train()(inputs, {name: whole.batch.targets[name] for name in rest})
        assert all(penalty.isfinite() for penalty in losses.penalties.values())


@torch.no_grad()
def test_a_model_in_bfloat16_annotates(whole: Case, tmp_path: Path):
    whole.model.save_pretrained(tmp_path)
    model = SeqMTLModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert len(Annotator(model, whole.indexer)(whole.rows)) == len(whole.rows)

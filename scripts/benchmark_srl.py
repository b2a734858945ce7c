"""Time semantic roles from one encoding per sentence against one encoding per predicate, on EWT dev.

    python scripts/benchmark_srl.py
    python scripts/benchmark_srl.py --quick --check

Both sides label the same gold predicates of the same sentences, those that have one, with MiniLM, in length-sorted
batches of one token budget, Viterbi included; weights are random above the encoder, which does not change the time.
"same head": the other side encodes a copy of the sentence for every predicate and labels it with our head. "linear
head": it labels the copies with a single linear layer, as AllenNLP's ``srl_bert`` does, so that only the encoder's
passes stand against us.
"""

import sys
from typing import Any

import torch
from _benchmark import Figure, alternate, options, report, set_up
from torch import Tensor, nn

from seqmtl.batch import IGNORED, Batch, FrameTargets
from seqmtl.data.batching import cut_batches
from seqmtl.data.collation import Collator
from seqmtl.heads.srl import SRLHead
from seqmtl.kernels.structured_viterbi import structured_viterbi
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.recipe import load_recipe
from seqmtl.training.setup import prepare

TASK, BUDGET, BAR = "srl", 2048, 2.5


def batches(rows: list[dict[str, Any]], collate: Collator) -> list[Batch]:
    """Length-sorted batches under one token budget."""
    lengths = [collate.indexer.length(row["tokens"]) for row in rows]
    plan = cut_batches(lengths, budget=BUDGET, max_sentences=512, rng=None)
    return [collate([("ewt", rows[position]) for position in batch]) for batch in plan]


def copies(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each sentence once per predicate, with that predicate's frame."""
    return [{**row, "srl_frames": [frame]} for row in rows for frame in row["srl_frames"]]


class Sides:
    """The two ways over the same predicates."""

    def __init__(self, model: SeqMTLModel, head: SRLHead, linear: nn.Linear) -> None:
        self.model = model
        self.head = head
        self.linear = linear

    @torch.inference_mode()
    def with_head(self, batch: Batch) -> Tensor:
        """Encode the batch's sentences, label all its predicates."""
        features = self.model.features(batch.inputs, [TASK])[TASK]
        mask = batch.inputs.word_mask
        return self.model.decode_roles(TASK, features, mask, predicates=_predicates(batch)).labels

    @torch.inference_mode()
    def with_linear(self, batch: Batch) -> Tensor:
        """Encode the batch's copies, score them by one linear layer."""
        features = self.model.features(batch.inputs, [TASK])[TASK]
        scores = self.linear(features).log_softmax(dim=-1)
        return structured_viterbi(scores, batch.inputs.word_mask, self.head.structure)


def _predicates(batch: Batch) -> Tensor:
    targets = batch.targets[TASK]
    assert isinstance(targets, FrameTargets)
    return targets.predicates


def main() -> int:
    """Run both comparisons."""
    arguments = options(__doc__).parse_args()
    set_up(arguments)
    recipe, folder = load_recipe("ewt_hard", overrides=["corpora.ewt.limit={train: 4000}"])
    prepared = prepare(recipe, folder=folder)
    model = prepared.model.eval()
    head = model.heads[TASK]
    assert isinstance(head, SRLHead)
    (task,) = (task for task in prepared.tasks if task.name == TASK)
    collate = Collator(prepared.indexer, [task])
    rows = [
        {**row, "srl_frames": [f for f in row["srl_frames"] if set(f["tags"]) <= set(task.labels.labels)]}
        for row in prepared.dev["ewt"]
    ]
    rows = [row for row in rows if row["srl_frames"]]  # neither side needs to read the others
    rows = rows[:: 3 if arguments.quick else 1]
    once, again = batches(rows, collate), batches(copies(rows), collate)
    sides = Sides(model, head, nn.Linear(model.sharing.out_features, len(task.labels)))
    labelled = [sum((b.targets[TASK].labels[:, :1] != IGNORED).sum().item() for b in side) for side in (once, again)]
    assert labelled[0] == labelled[1], "the two sides label different predicates"
    print(f"{len(rows)} sentences, {labelled[0]} predicates")
    rounds = 3 if arguments.quick else 5

    def ours() -> None:
        for batch in once:
            sides.with_head(batch)

    def same_head() -> None:
        for batch in again:
            sides.with_head(batch)

    def linear_head() -> None:
        for batch in again:
            sides.with_linear(batch)

    figures: dict[str, Figure] = {
        "same head": alternate(ours, same_head, bar=BAR, rounds=rounds, warmup=1),
        "linear head": alternate(ours, linear_head, bar=BAR, rounds=rounds, warmup=1),
    }
    return report("srl", figures, arguments)


if __name__ == "__main__":
    sys.exit(main())

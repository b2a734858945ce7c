"""What a sharing scheme does at each word of a text."""

import torch

from seqmtl.data.indexing import Indexer
from seqmtl.documents import segment
from seqmtl.errors import ConfigError
from seqmtl.modeling import SeqMTLModel
from seqmtl.sharing.base import Coupling, Table


@torch.inference_mode()
def word_coupling(model: SeqMTLModel, indexer: Indexer, text: str) -> Coupling:
    """A table per sentence of ``text`` and layer of the scheme, with a row per word and a column per task.

    Raises:
        ConfigError: when there is no word in the text, or the scheme does the same at all words.
    """
    model.eval()
    sentences = [[text[start:end] for start, end in sentence] for sentence in segment(text)]
    if not sentences:
        raise ConfigError("--text: there is no word in it; give a sentence")
    tasks, tables = tuple(model.tasks), dict[str, Table]()
    for number, words in enumerate(sentences, start=1):
        inputs = indexer([words]).to(model.device)
        found = model.sharing.at_words(model.encoder(inputs), tasks)
        names = [f"{place} {word}" for place, word in enumerate(words, start=1)]  # a word may be there twice
        within = f"sentence {number}, " if len(sentences) > 1 else ""
        tables |= {f"{within}{name}": Table(names, tasks, values) for name, values in found.items()}
    if not tables:
        raise ConfigError(
            f"--text: sharing of kind {model.config.sharing_spec.kind!r} does the same at all words; "
            "leave --text out, or name a run with sharing of kind 'meta_lstm' or 'meta_lora'"
        )
    return Coupling(tables)

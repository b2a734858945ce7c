"""Multi-task sequence labelling on the HuggingFace stack: one model reads a sentence once and writes several layers.

A recipe names corpora, tasks, an encoder and a sharing scheme; one command trains it:

    seqmtl train quickstart --out runs/quickstart

One folder is then all there is, and tags raw text with every layer:

    from seqmtl import Tagger
    tagger = Tagger.from_pretrained("runs/quickstart")
    document = tagger("Anna Weber gave the report to Acme Inc. in Berlin.")
    document.sentences[0].spans["ner"]     # typed spans with character offsets
    document.sentences[0].frames["srl"]    # a frame per predicate, its arguments with offsets

It tags texts without end, in order and in the same memory, and datasets; transformers knows it as a pipeline:

    for document in tagger.stream(open("texts.txt")): ...
    tagged = tagger.tag_dataset(dataset, column="text")    # a column for each layer
    pipeline("seqmtl-tagging", model="runs/quickstart")("Anna Weber moved to Berlin.")  # dictionaries and lists

A model lives as well on the hub, under a name instead of a folder:

    from seqmtl import push_to_hub
    push_to_hub("runs/quickstart", "my-name/my-tagger")  # or: seqmtl push runs/quickstart my-name/my-tagger
    tagger = Tagger.from_pretrained("my-name/my-tagger", revision="main")

Training in Python is two steps, a recipe and a run of it:

    from seqmtl import load_recipe, train_recipe
    recipe, folder = load_recipe("quickstart", overrides=["training.epochs=2"])
    train_recipe(recipe, "runs/quickstart", folder=folder)  # relative paths of the recipe count from its folder

A live ``datasets.Dataset`` is a corpus, too, without an entry in the recipe:

    from seqmtl import Corpus, rows_from_dataset
    from seqmtl.training.setup import prepare
    rows = rows_from_dataset(live, columns={"tokens": "words", "ner_tags": "ner"}, schemes={"ner_tags": "auto"})
    mine = Corpus("mine", {"train": rows}, layers=("ner_tags",))
    prepared = prepare(recipe, folder=folder, datasets={"mine": mine})  # for seqmtl.training.loop.train
"""

from transformers import AutoConfig, AutoModel

from seqmtl.checkpoints import load_checkpoint, merge_checkpoints
from seqmtl.configuration import SeqMTLConfig
from seqmtl.data.corpus import Corpus, rows_from_dataset
from seqmtl.documents import Document
from seqmtl.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    EncoderError,
    HubError,
    LabelError,
    SeqMTLError,
    StoppedError,
    TrainingError,
)
from seqmtl.evaluation import TaskScore
from seqmtl.modeling import SeqMTLModel
from seqmtl.publishing import push_to_hub
from seqmtl.specs.recipe import RecipeSpec, load_recipe
from seqmtl.tagger import Tagger, pipeline
from seqmtl.training import evaluate_checkpoint, train_recipe

AutoConfig.register(SeqMTLConfig.model_type, SeqMTLConfig, exist_ok=True)
AutoModel.register(SeqMTLConfig, SeqMTLModel, exist_ok=True)
pipeline.register()

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "ConfigError",
    "Corpus",
    "DataError",
    "Document",
    "EncoderError",
    "HubError",
    "LabelError",
    "RecipeSpec",
    "SeqMTLConfig",
    "SeqMTLError",
    "SeqMTLModel",
    "StoppedError",
    "Tagger",
    "TaskScore",
    "TrainingError",
    "evaluate_checkpoint",
    "load_checkpoint",
    "load_recipe",
    "merge_checkpoints",
    "push_to_hub",
    "rows_from_dataset",
    "train_recipe",
]

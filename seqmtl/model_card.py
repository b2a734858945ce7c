"""The page that a model has on the hub: what it does, what it learned from, how well, and how to use it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from inspect import getdoc
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from seqmtl.errors import DataError
from seqmtl.evaluation.report import scores_from_json
from seqmtl.evaluation.scores import TaskScore
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.corpora import SPLITS, CorpusEntry, CorpusRef, FileCorpus, HubCorpus
from seqmtl.specs.encoders import BiLSTMEncoderSpec, EncoderSpec, TransformerEncoderSpec
from seqmtl.specs.packages import PREFIX
from seqmtl.specs.recipe import RecipeSpec

EXAMPLES = (
    "Anna Weber gave the report to Acme Inc. in Berlin.",
    "The committee that met in Lisbon on Monday sent her a letter, which she never read.",
)
TASK_TYPE = "token-classification"  # what the hub calls labelling words


@dataclass(frozen=True)
class Published:
    """What a card tells of.

    Attributes:
        repo: NAME/MODEL.
        model: the model.
        recipe: with which it was trained, without places of this machine; None: nobody knows.
        scores: per split, corpus and task.
        pictures: names of the files that show what the tasks share.
        curves: name of the file that shows the course of training; None: there is none.
        licence: of the model, as the hub calls it; None: for its author to say.
    """

    repo: str
    model: SeqMTLModel
    recipe: RecipeSpec | None = None
    scores: Mapping[str, Mapping[str, Mapping[str, TaskScore]]] = field(default_factory=dict)
    pictures: Sequence[str] = ()
    curves: str | None = None
    licence: str | None = None

    @property
    def name(self) -> str:
        """The model's own name."""
        return self.repo.rpartition("/")[2]

    @property
    def corpora(self) -> Mapping[str, CorpusEntry]:
        """By name, as far as they are known."""
        return {} if self.recipe is None else self.recipe.corpora

    @property
    def hub_corpora(self) -> Mapping[str, HubCorpus]:
        """Those that are datasets of the hub."""
        found = {name: spec for name, spec in self.corpora.items() if isinstance(spec, HubCorpus)}
        return {name: spec for name, spec in found.items() if not spec.is_local()}

    @property
    def base_model(self) -> str | None:
        """The encoder from which training started, where that is a model of the hub."""
        encoder = self.model.config.encoder_spec
        if not isinstance(encoder, TransformerEncoderSpec) or encoder.pretrained.startswith(PREFIX):
            return None
        return encoder.pretrained if "/" in encoder.pretrained else None


def model_card(published: Published) -> ModelCard:
    """The card of a model, with metadata that the hub understands."""
    sections = [_head(published), _use(published), _tasks(published), _parts(published)]
    sections += [section for section in (_corpora(published), _scores(published)) if section]
    metadata = card_data(published).to_yaml()
    return ModelCard(f"---\n{metadata}\n---\n\n" + "\n\n".join(sections) + "\n")


def card_data(published: Published) -> ModelCardData:
    """What the hub reads: of which kind the model is, what it stands on, and its scores as a ``model-index``."""
    hub = published.hub_corpora
    results = [
        _eval_result(task, score, corpus=name, split=split, hub=hub.get(name))
        for split, by_corpus in published.scores.items()
        for name, by_task in by_corpus.items()
        for task, score in by_task.items()
    ]
    return ModelCardData(
        base_model=published.base_model,
        datasets=[spec.dataset for spec in hub.values()] or None,
        eval_results=results or None,
        library_name="seqmtl",
        license=published.licence,
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=published.name if results else None,
        pipeline_tag=TASK_TYPE,
        tags=["seqmtl", "multi-task-learning", "sequence-tagging"],
        widget=[{"text": text} for text in EXAMPLES],
    )


def scores_of(metrics: Mapping[str, Any]) -> dict[str, dict[str, dict[str, TaskScore]]]:
    """The scores in ``metrics.json``, per split, corpus and task.

    Raises:
        DataError: when it holds something else.
    """
    splits = {split: metrics[split] for split in SPLITS if split in metrics}
    try:
        return {
            split: {corpus: scores_from_json(by_task) for corpus, by_task in found.items()}
            for split, found in splits.items()
        }
    except AttributeError:
        raise DataError("metrics.json: has no scores by corpus and task; evaluate the run again") from None


def _eval_result(task: str, score: TaskScore, *, corpus: str, split: str, hub: HubCorpus | None) -> EvalResult:
    return EvalResult(
        task_type=TASK_TYPE,
        task_name="Sequence tagging",
        dataset_type=hub.dataset if hub else corpus,
        dataset_name=corpus,
        dataset_config=hub.config if hub else None,
        dataset_revision=hub.revision if hub else None,
        dataset_split=split,
        metric_type="accuracy" if score.main == "accuracy" else "f1",
        metric_name=f"{task}: {score.main}",
        metric_value=round(score.main_value, 6),
    )


def _head(published: Published) -> str:
    model, recipe = published.model, published.recipe
    about = f"{_plain(recipe.description).rstrip('.')}.\n\n" if recipe is not None and recipe.description else ""
    tasks = ", ".join(model.tasks)
    return (
        f"# {published.name}\n\n{about}"
        f"A model of the Python package `seqmtl`: it reads a sentence once and annotates it with {tasks}."
    )


def _use(published: Published) -> str:
    return "\n".join(
        (
            "## Use",
            "",
            "```python",
            "from seqmtl import Tagger",
            "",
            f'tagger = Tagger.from_pretrained("{published.repo}")',
            f'document = tagger("{EXAMPLES[0]}")',
            "for sentence in document.sentences:",
            "    print(sentence.tags, sentence.spans, sentence.frames)",
            "```",
            "",
            f'or `echo "{EXAMPLES[0]}" | seqmtl predict {published.repo}`. Weights are safetensors; no code comes with',
            "the model.",
        )
    )


def _tasks(published: Published) -> str:
    tasks = published.model.tasks.values()
    table = _table(
        ("task", "annotation", "head", "spans", "labels"),
        (
            (
                task.name,
                task.spec.layer,
                task.spec.head.kind,
                task.scheme.value if task.scheme else "",
                len(task.labels),
            )
            for task in tasks
        ),
    )
    lists = [f"- **{task.name}**: {' '.join(map(_code, task.labels.labels))}" for task in tasks]
    return "\n".join(
        ("## Tasks", "", *table, "", "<details><summary>All labels</summary>", "", *lists, "", "</details>")
    )


def _parts(published: Published) -> str:
    config, pictures = published.model.config, published.pictures
    encoder, sharing = config.encoder_spec, config.sharing_spec
    lines = [
        "## Model",
        "",
        f"- Encoder: {_encoder(encoder)}.",
        f"- Sharing: `{sharing.kind}`. {_first_sentence(type(sharing))}",
        f"- Parameters: {published.model.num_parameters():,}.",
    ]
    if pictures:
        lines += ["", "What the tasks have learned to share:", "", *(f"![{name}]({name})" for name in pictures)]
    return "\n".join(lines)


def _encoder(spec: EncoderSpec) -> str:
    match spec:
        case TransformerEncoderSpec():
            return f"`{spec.pretrained}`"
        case BiLSTMEncoderSpec():
            read = "words and characters" if spec.characters else "words"
            return f"{read}, {spec.layers} BiLSTM layer{'' if spec.layers == 1 else 's'}"


def _corpora(published: Published) -> str:
    if not published.corpora:
        return ""
    rows = (
        (name, _source(spec), spec.description, spec.licence or "not given")
        for name, spec in published.corpora.items()
        if not isinstance(spec, CorpusRef)
    )
    lines = ["## Training data", "", *_table(("corpus", "from", "what it is", "licence"), rows), ""]
    return "\n".join([*lines, "The complete recipe is `recipe.yaml`, beside this card."])


def _scores(published: Published) -> str:
    if not published.scores:
        return ""
    rows = [
        (name, split, task, score.main, f"{100 * score.main_value:.2f}", f"{score.support:,}")
        for split, by_corpus in published.scores.items()
        for name, by_task in by_corpus.items()
        for task, score in by_task.items()
    ]
    where = {name: _elsewhere(name, spec) for name, spec in published.corpora.items()}
    commands = [
        f"seqmtl evaluate {published.repo} --corpus {name} --split {split}{where.get(name, '')}"
        for split, by_corpus in published.scores.items()
        for name in by_corpus
    ]
    table = _table(("corpus", "split", "task", "metric", "score", "gold items"), rows)
    curves = ["", "Training:", "", f"![{published.curves}]({published.curves})"] if published.curves else []
    return "\n".join(("## Scores", "", *table, "", "Measured by", "", "```", *commands, "```", *curves))


def _source(spec: CorpusEntry) -> str:
    match spec:
        case HubCorpus() if not spec.is_local():
            return _code(spec.dataset)
        case HubCorpus() | FileCorpus():
            return "local files"
        case _:
            return "seqmtl itself"


def _elsewhere(name: str, spec: CorpusEntry) -> str:
    """The option that says where a corpus lies on the machine of whoever repeats a measurement."""
    match spec:
        case FileCorpus():
            return f" --set corpora.{name}.path=FOLDER"
        case HubCorpus() if spec.is_local():
            return f" --set corpora.{name}.dataset=FOLDER"
        case _:
            return ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    cells = [columns, ["---"] * len(columns), *([_plain(str(cell)) for cell in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in cells]


def _plain(text: str) -> str:
    """Text of a person, in which nothing is markup."""
    return escape(" ".join(text.split()), quote=False).replace("|", r"\|")


def _code(text: str) -> str:
    """Text as it is; a label may be a backtick or two."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"`{text}`" if fence == "`" else f"{fence} {text} {fence}"


def _first_sentence(kind: type) -> str:
    return (getdoc(kind) or "").partition("\n")[0]

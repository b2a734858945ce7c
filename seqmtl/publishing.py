"""From a run to a model on the hub."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from seqmtl.checkpoints import METRICS, RECIPE, load_checkpoint, load_config, load_recipe_of, recipe_text
from seqmtl.errors import CheckpointError, DataError
from seqmtl.hub import READ, send
from seqmtl.model_card import Published, model_card, scores_of
from seqmtl.modeling import SeqMTLModel
from seqmtl.sharing.plots import plot_coupling
from seqmtl.specs.public import placeless, public_recipe

CARD, CONFIG, CURVES = "README.md", "config.json", "training.png"
DRAWN = (CURVES, "coupling-*.png")  # by training, and by ``seqmtl inspect --plot``


def push_to_hub(
    run: str | Path,
    repo: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    licence: str | None = None,
    message: str = "Model, recipe, scores and card by seqmtl",
) -> str:
    """Publish a run: weights, configuration, tokenizer or vocabularies, recipe, scores, pictures and a model card.

    Nothing that is published says where a file lies on this machine. The card is written anew each time, unless the run
    has a ``README.md`` of its own.

    Args:
        run: folder of a run.
        repo: NAME/MODEL, made if it is not there.
        private: show it to nobody else; None: as is usual for NAME.
        token: that may write there; None: the one with which this machine is logged in.
        revision: branch; None: the main one.
        licence: of the model, as the hub calls it, such as ``cc-by-sa-4.0``; the card names those of the corpora.
        message: of the commit.

    Returns:
        Where the commit can be seen.

    Raises:
        CheckpointError: when the run is not whole.
        HubError: when the hub does not let this person write there, or cannot be reached.
    """
    run = Path(run)
    if not run.is_dir():
        raise CheckpointError(f"{run}: not a run: there is no such folder")
    model, _ = load_checkpoint(run)
    with TemporaryDirectory() as scratch:
        files = published_files(run, repo, model=model, licence=licence, scratch=Path(scratch))
        return send(files, repo, private=private, token=token, revision=revision, message=message)


def published_files(
    run: Path, repo: str, *, model: SeqMTLModel, licence: str | None, scratch: Path
) -> dict[str, Path | bytes]:
    """What of a run goes to the hub, by name; pictures are drawn into ``scratch``."""
    files: dict[str, Path | bytes] = {file.name: file for pattern in READ for file in sorted(run.glob(pattern))}
    files[CONFIG] = load_config(run).to_json_string().encode()
    recipe, metrics = None, None
    if RECIPE in files:
        recipe = public_recipe(load_recipe_of(run)[0])
        files[RECIPE] = recipe_text(recipe).encode()
    if METRICS in files:
        metrics = _metrics(run / METRICS)
        files[METRICS] = (json.dumps(metrics, indent=2, ensure_ascii=False) + "\n").encode()
    files |= {file.name: file for pattern in DRAWN for file in sorted(run.glob(pattern))}
    couplings = plot_coupling(model.sharing.coupling(), (), scratch)
    files |= {picture.name: picture for picture in couplings}
    published = Published(
        repo,
        model,
        recipe=recipe,
        scores={} if metrics is None else scores_of(metrics),
        pictures=[picture.name for picture in couplings],
        curves=CURVES if CURVES in files else None,
        licence=licence,
    )
    files[CARD] = run / CARD if (run / CARD).exists() else str(model_card(published)).encode()
    return files


def _metrics(path: Path) -> dict[str, Any]:
    """The scores of a run, without the place of the run from which it was pruned.

    Raises:
        DataError: when the file holds none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        pruned = content.get("pruned")
        return content | ({"pruned": pruned | {"run": placeless(pruned["run"])}} if pruned else {})
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise DataError(f"{path}: does not hold the scores of a run: {error}") from None

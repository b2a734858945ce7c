import os

import pytest

from seqmtl.errors import ConfigError
from seqmtl.training.folder import check_folder, clear_folder, make_folder, make_run_folder, tidy_folder

STALE = [
    ".aside-state/step-00000001/shared.json",
    ".aside/config.json",
    "best/ner/config.json",
    "config.json",
    "coupling-alpha.png",
    "history.jsonl",
    "metrics.json",
    "model-00001-of-00002.safetensors",
    "model.safetensors",
    "not_finite-0.json",
    "recipe.yaml",
    "scores-dev.json",
    "state/step-00000001/shared.json",
    "tokenizer.json",
    "vocabulary.json",
]
KEPT = ["notes.txt", "other/config.json", "tiny/events.out.tfevents.1"]


def fill(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def files(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_a_former_run_goes_and_nothing_else(tmp_path):
    fill(tmp_path, STALE + KEPT)
    clear_folder(tmp_path)
    assert files(tmp_path) == KEPT
    assert not (tmp_path / "best").exists()
    assert not (tmp_path / "state").exists()


def test_a_former_pruned_run_which_has_no_history_goes(tmp_path):
    fill(tmp_path, {*STALE, *KEPT} - {"history.jsonl"})
    clear_folder(tmp_path)
    assert files(tmp_path) == KEPT


@pytest.mark.parametrize("missing", ["config.json", "recipe.yaml"])
def test_a_folder_that_was_no_run_stays_as_it_is(tmp_path, missing):
    names = sorted({*STALE, *KEPT} - {"history.jsonl", missing})
    fill(tmp_path, names)
    for function in (check_folder, make_run_folder, clear_folder):
        with pytest.raises(ConfigError, match=f"^{tmp_path}: is no run, and has best, .* more, .*another --out"):
            function(tmp_path)
    assert files(tmp_path) == names


ENCODER = ["config.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["state/mine.txt"], "state"),
        (["best"], "best"),
        (["recipe.yaml"], "recipe.yaml"),
        (["metrics.json"], "metrics.json"),
        (ENCODER, "config.json, model.safetensors, tokenizer.json"),
    ],
)
def test_what_no_run_has_written_is_never_overwritten_or_removed(tmp_path, names, shown):
    fill(tmp_path, names)
    with pytest.raises(ConfigError, match=f"is no run, and has {shown}, which a run would"):
        make_run_folder(tmp_path)
    assert files(tmp_path) == sorted(names)


def test_a_folder_that_is_new_or_has_other_things_is_taken(tmp_path):
    fill(tmp_path, KEPT)
    make_run_folder(tmp_path)
    make_run_folder(tmp_path / "new" / "run")
    clear_folder(tmp_path)
    assert files(tmp_path) == KEPT


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ConfigError, match=f"{path}: cannot be made a folder: .*; choose another one"):
            make_folder(path)


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    make_folder(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode == os.W_OK))  # root may write
    with pytest.raises(ConfigError, match="cannot be written to"):
        make_folder(tmp_path)


def test_what_is_not_whole_goes_where_a_run_writes_and_nowhere_else(tmp_path):
    aside = [".aside-metrics.json", ".aside/config.json", "best/ner/.aside/x", "state/.aside-step-00000001/shared.json"]
    others = ["other/.aside/config.json"]  # another run, perhaps at work
    fill(tmp_path, [*STALE[2:], *KEPT, *aside, *others])
    tidy_folder(tmp_path)
    assert files(tmp_path) == sorted([*STALE[2:], *KEPT, *others])

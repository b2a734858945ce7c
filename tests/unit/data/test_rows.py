"""Canonical rows: what is legal, and what an error shows."""

from typing import Any

import pytest
from datasets import Dataset

from seqmtl.data.rows import check_row, features_of, layers_of
from seqmtl.errors import DataError

ROW: dict[str, Any] = {
    "id": "s1",
    "tokens": ["She", "left", "early"],
    "upos": ["PRON", "VERB", "ADV"],
    "srl_frames": [{"predicate": 1, "sense": "leave.01", "tags": ["B-ARG0", "B-V", "B-ARGM-TMP"]}],
}


def frame(**changes: Any) -> dict[str, Any]:
    return {"srl_frames": [ROW["srl_frames"][0] | changes]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"upos": None},
        {"srl_frames": []},
        {"srl_frames": ROW["srl_frames"] * 2},  # two frames on one predicate
        {"tokens": ["\u200b", "😀", "שלום"]},
        {"tokens": ["", " ", "\u00a0"]},
        {"tokens": [], "upos": [], "srl_frames": []},
    ],
)
def test_a_legal_row_passes(changes: dict[str, Any]) -> None:
    check_row(ROW | changes, corpus="c", split="train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"upos": ["PRON", "VERB"]}, "3 tokens but 2 tags in 'upos'"),
        ({"upos": ["PRON", "VERB", 3]}, "'upos' must be a list of strings"),
        ({"upos": "PRON"}, "'upos' must be a list of strings"),
        ({"tokens": None}, "'tokens' must be a list of strings, but is None"),
        ({"id": 7}, "'id' must be a string, but is 7"),
        ({"srl_frames": {}}, "'srl_frames' must be a list of frames"),
        ({"srl_frames": [{"predicate": 1}]}, "must have the keys predicate, sense and tags"),
        (frame(predicate=3), "'srl_frames[0].predicate' is 3, but the sentence has 3 tokens (0 to 2)"),
        (frame(predicate=-1), "is -1, but the sentence has 3 tokens"),
        (frame(predicate="1"), "must be the index of a word, but is '1'"),
        (frame(predicate=True), "must be the index of a word, but is True"),
        (frame(predicate=0), "must have B-V at the predicate, word 0, but has 'B-ARG0'"),
        (frame(sense=None), "'srl_frames[0].sense' must be a string"),
        (frame(tags=["B-ARG0", "B-V"]), "3 tokens but 2 tags in 'srl_frames[0].tags'"),
    ],
)
def test_a_contradiction_is_named_with_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_row(ROW | changes, corpus="mine", split="dev", place="dev.jsonl:4")
    assert message in str(caught.value)
    row_id = (ROW | changes)["id"]
    assert str(caught.value).startswith(f"corpus 'mine', split 'dev', row {row_id!r} (dev.jsonl:4): ")


def test_absent_layers_are_none_in_the_dataset() -> None:
    bare = {"id": "s2", "tokens": ["x"], "upos": None, "srl_frames": None}
    dataset = Dataset.from_list([ROW, bare], features=features_of(["upos", "srl_frames"]))
    assert dataset[0] == ROW
    assert dataset[1] == bare


def test_layers_are_the_keys_with_a_value() -> None:
    assert layers_of(ROW | {"xpos": None}) == ["upos", "srl_frames"]

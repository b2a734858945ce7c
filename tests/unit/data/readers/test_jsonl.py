"""JSON lines."""

from pathlib import Path

import pytest

from seqmtl.data.readers.jsonl import read_jsonl
from seqmtl.errors import DataError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_come_with_their_line_and_an_id(tmp_path: Path) -> None:
    path = write(tmp_path, '{"id": "x", "tokens": ["😀"]}\n\n{"tokens": []}\n')
    records = list(read_jsonl(path))
    assert [record.row for record in records] == [{"id": "x", "tokens": ["😀"]}, {"id": "2", "tokens": []}]
    assert [record.place() for record in records] == [f"{path}:1", f"{path}:3"]
    assert records[0].place(0) == f"{path}:1"


def test_layers_drop_other_keys(tmp_path: Path) -> None:
    path = write(tmp_path, '{"id": "x", "tokens": ["a"], "upos": ["X"], "author": "me"}')
    assert next(read_jsonl(path, layers=("upos",))).row == {"id": "x", "tokens": ["a"], "upos": ["X"]}


@pytest.mark.parametrize(("line", "message"), [('{"id": ', "is not JSON"), ("[1]", "must be an object"), ("3", "int")])
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path, '{"tokens": []}\n' + line + "\n")
    with pytest.raises(DataError) as caught:
        list(read_jsonl(path))
    assert str(caught.value).startswith(f"{path}:2: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("row", [r'{"tokens": ["a\ud83d"]}', r'{"tokens": ["a"], "upos": ["\uDE00"]}'])
def test_half_a_character_is_named_and_a_whole_one_is_read(tmp_path: Path, row: str) -> None:
    path = write(tmp_path, r'{"tokens": ["\ud83d\ude00"]}' + "\n" + row + "\n")
    records = read_jsonl(path)
    assert next(records).row["tokens"] == ["😀"]
    with pytest.raises(DataError, match=rf"{path}:2: \\ud(83d|e00) is one half of a character"):
        next(records)

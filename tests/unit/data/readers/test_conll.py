"""Column files."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqmtl.data.readers.conll import Separator, read_conll
from seqmtl.errors import DataError

COLUMNS = {"tokens": 0, "ner_tags": -1}


def rows(path: Path, text: str, columns: Mapping[str, int] = COLUMNS, separator: Separator = "whitespace") -> list:
    path.write_text(text, encoding="utf-8")
    return [record.row for record in read_conll(path, columns=columns, separator=separator)]


def test_documents_and_runs_of_empty_lines_make_no_sentences(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- O\n\n\nAda NNP B-PER\nleft VBD O\n\n\n-DOCSTART- -X- O\n\nshe PRP O"
    assert rows(tmp_path / "a", text) == [
        {"id": "1", "tokens": ["Ada", "left"], "ner_tags": ["B-PER", "O"]},
        {"id": "2", "tokens": ["she"], "ner_tags": ["O"]},
    ]


def test_columns_come_in_any_order(tmp_path: Path) -> None:
    columns = {"ner_tags": 1, "xpos": -2, "tokens": 0}
    row = rows(tmp_path / "a", "Ada B-PER NNP x\n", columns)[0]
    assert row == {"id": "1", "tokens": ["Ada"], "ner_tags": ["B-PER"], "xpos": ["NNP"]}


@pytest.mark.parametrize("blank", [" ", "\t", " \t  "])
@pytest.mark.parametrize("separator", ["whitespace", "tab", "space"])
def test_a_line_of_spaces_ends_a_sentence(tmp_path: Path, blank: str, separator: Separator) -> None:
    cut = "\t" if separator == "tab" else " "
    text = f"{blank}\na{cut}O\n{blank}\n{blank}\nb{cut}O\n{blank}"
    assert [row["tokens"] for row in rows(tmp_path / "a", text, separator=separator)] == [["a"], ["b"]]


def test_only_the_empty_line_ends_a_sentence(tmp_path: Path) -> None:
    text = "a\tO\n \tO\n\u00a0\tO\n\u200b\tO\nא\tO\n\nb\tO\n"
    assert [row["tokens"] for row in rows(tmp_path / "a", text, separator="tab")] == [
        ["a", " ", "\u00a0", "\u200b", "א"],
        ["b"],
    ]
    assert rows(tmp_path / "a", "New\u00a0York  B-LOC\n")[0]["tokens"] == ["New\u00a0York"]


def test_a_line_without_the_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for text in ("a O\nb\n", "a O\n b \n"):
        path.write_text(text)
        with pytest.raises(DataError) as caught:
            list(read_conll(path, columns={"tokens": 0, "ner_tags": 1}))
        assert str(caught.value).startswith(f"{path}:2: ")
        assert "is column" in str(caught.value)


def test_comments_are_words_unless_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("# id = 1\n#\tO\n")
    record = next(read_conll(path, columns=COLUMNS, separator="tab", comments="# "))
    assert record.row["tokens"] == ["#"]
    assert record.place() == record.place(0) == f"{path}:2"
    assert next(read_conll(path, columns=COLUMNS)).row["tokens"] == ["#", "#"]


words = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r "), min_size=1).filter(
    lambda word: not word.startswith(("-DOCSTART-", "\ufeff"))
)
sentences = st.lists(st.lists(st.tuples(words, words), min_size=1), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sentences, st.sampled_from([("tab", "\t"), ("space", " "), ("whitespace", " \t ")]))
def test_what_is_written_is_read_back(
    tmp_path: Path, drawn: list[list[tuple[str, str]]], separator: tuple[Separator, str]
) -> None:
    name, text = separator
    written = "\n\n".join("\n".join(text.join(pair) for pair in sentence) for sentence in drawn)
    read = rows(tmp_path / "a", written, {"tokens": 0, "ner_tags": 1}, name)
    assert [list(zip(row["tokens"], row["ner_tags"], strict=True)) for row in read] == drawn

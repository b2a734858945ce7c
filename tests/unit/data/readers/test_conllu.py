"""CoNLL-U."""

from pathlib import Path

import pytest

from seqmtl.data.readers.conllu import read_conllu
from seqmtl.errors import DataError

SENTENCE = """\
# sent_id = s-1
# text = I don't _
1\tI\tI\tPRON\tPRP\t_\t3\tnsubj\t_\tNER=B-PER|SpaceAfter=No
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
3\tn't\tnot\tPART\t_\t_\t0\troot\t_\t_
3.1\telided\t_\t_\t_\t_\t_\t_\t_\t_
4\t_\t_\tPUNCT\t.\t_\t3\tpunct\t_\tNER=B-MISC
"""


def read(path: Path, text: str, misc: dict[str, str]) -> list:
    path.write_text(text, encoding="utf-8")
    return list(read_conllu(path, layers=("upos", "xpos"), misc=misc))


def test_only_words_are_words(tmp_path: Path) -> None:
    (record,) = read(tmp_path / "a", SENTENCE, {"ner_tags": "NER"})
    assert record.row == {
        "id": "s-1",
        "tokens": ["I", "do", "n't", "_"],
        "upos": ["PRON", "AUX", "PART", "PUNCT"],
        "xpos": ["PRP", "VB", "_", "."],
        "ner_tags": ["B-PER", "O", "O", "B-MISC"],
    }
    assert [record.place(word) for word in (None, 0, 1, 3)] == [f"{tmp_path / 'a'}:{line}" for line in (1, 3, 5, 8)]


def test_a_column_of_blanks_is_no_layer(tmp_path: Path) -> None:
    first, second = read(tmp_path / "a", "1\tx" + "\t_" * 8 + "\n\n# only a comment\n\n" + SENTENCE, {})
    assert first.row == {"id": "1", "tokens": ["x"], "upos": None, "xpos": None}
    assert second.row["id"] == "s-1"


@pytest.mark.parametrize("line", ["2\tdo\tdo\tAUX", "x\tdo" + "\t_" * 8])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a"
    with pytest.raises(DataError) as caught:
        read(path, SENTENCE + "\n" + line + "\n", {})
    assert str(caught.value).startswith(f"{path}:10: ")

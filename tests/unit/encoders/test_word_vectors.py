"""GloVe and word2vec text files: what they hold, and what is wrong with them."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from seqmtl.encoders.word_vectors import first_words, read_vectors
from seqmtl.errors import DataError, EncoderError

WANTED = {"the": 2, "dog": 3, "new york": 4, ". . .": 5, "naïve": 6, "cat": 7}


def write(folder: Path, *lines: str, name: str = "vectors.txt") -> str:
    content = "".join(f"{line}\n" for line in lines).encode("utf-8")
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


def read(path: str, dim: int = 3) -> dict[int, list[float]]:
    return {number: vector.tolist() for number, vector in read_vectors(path, dim=dim, wanted=WANTED)}


@pytest.mark.parametrize("name", ["glove.txt", "glove.txt.gz"])
def test_the_words_that_are_wanted_are_read(tmp_path: Path, name: str):
    path = write(tmp_path, "the 1 2 3", "house 0 0 0", "naïve -1.5 2e-1 .5", "dog 4 5 6", name=name)
    assert read(path) == {2: [1, 2, 3], 6: pytest.approx([-1.5, 0.2, 0.5]), 3: [4, 5, 6]}


def test_vectors_are_single_precision(tmp_path: Path):
    ((_, vector),) = read_vectors(write(tmp_path, "the 1 2 3"), dim=3, wanted=WANTED)
    assert vector.dtype == np.float32


def test_a_word2vec_header_is_no_word(tmp_path: Path):
    assert read(write(tmp_path, "2 3", "the 1 2 3", "dog 4 5 6")) == {2: [1, 2, 3], 3: [4, 5, 6]}


def test_lines_of_word2vec_may_end_in_a_space_and_those_of_windows_in_a_carriage_return(tmp_path: Path):
    assert read(write(tmp_path, "2 3\r", "the 1 2 3 ", "dog 4 5 6\r")) == {2: [1, 2, 3], 3: [4, 5, 6]}


def test_the_first_line_of_one_dimensional_vectors_is_no_header(tmp_path: Path):
    assert read(write(tmp_path, "the 0.5", "dog 1"), dim=1) == {2: [0.5], 3: [1]}


def test_words_may_hold_spaces(tmp_path: Path):
    path = write(tmp_path, "the 1 2 3", "new york 4 5 6", ". . . 7 8 9")
    assert read(path) == {2: [1, 2, 3], 4: [4, 5, 6], 5: [7, 8, 9]}


def test_other_line_ends_of_unicode_are_part_of_a_word(tmp_path: Path):
    # GloVe 840B holds U+0085 and U+2028, at which Python's splitlines would cut.
    assert read(write(tmp_path, "the 1 2 3", "\u0085 0 0 0", "\u2028 0 0 0", "dog 4 5 6")) == {
        2: [1, 2, 3],
        3: [4, 5, 6],
    }


@pytest.mark.parametrize(
    ("lines", "place", "reason"),
    [
        (["the 1 2 3", "dog 4 5"], 2, "2 values, expected encoder.word_dim = 3"),
        (["the 1 2 3", "house 4 5"], 2, "2 values, expected encoder.word_dim = 3"),
        (["the 1 2 3", "", "dog 4 5 6"], 2, "0 values, expected encoder.word_dim = 3"),
        (["the 1 2 3", "house 0 0 0", "dog 4 five 6"], 3, "a value is not a number.*five"),
        # Files of another size, which would otherwise pass for words with spaces.
        (["the 1 2 3 4", "dog 5 6 7 8"], 1, "4 values, expected encoder.word_dim = 3"),
        (["2 4", "the 1 2 3 4", "dog 5 6 7 8"], 2, "4 values, expected encoder.word_dim = 3"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, lines: list[str], place: int, reason: str):
    path = write(tmp_path, *lines)
    with pytest.raises(DataError, match=rf"{path}:{place}: {reason}"):
        read(path)


def test_what_was_read_before_the_broken_line_is_given(tmp_path: Path):
    reading = read_vectors(write(tmp_path, "the 1 2 3", "dog 4"), dim=3, wanted=WANTED)
    assert next(reading)[0] == 2
    with pytest.raises(DataError):
        next(reading)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=rf"{tmp_path}/no.txt: cannot read word vectors.*encoder.vectors"):
        read(str(tmp_path / "no.txt"))


def test_a_missing_package_is_named():
    with pytest.raises(EncoderError, match="no package 'no_such_vectors'"):
        read("package:no_such_vectors/glove.txt")


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:15] + b"\xff\xff\xff" + b[18:], lambda b: b[20:]])
def test_a_broken_archive_is_named(tmp_path: Path, damage):
    path = Path(write(tmp_path, *[f"word{number} 1 2 3" for number in range(500)], name="glove.txt.gz"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"glove\.txt\.gz: cannot read word vectors"):
        read(str(path))


def test_a_file_that_is_no_text_is_named(tmp_path: Path):
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"2 3\nthe \xff\xfe\x00\x80")
    with pytest.raises(DataError, match=r"vectors\.bin: not a UTF-8 text file"):
        read(str(path))


def test_the_first_words_of_a_file_are_without_its_header(tmp_path: Path):
    path = write(tmp_path, "3 3", "the 1 2 3", "new york 1 2 3", "dog 1 2 x")
    assert first_words(path, dim=3, count=2) == ["the", "new york"]
    assert first_words(path, dim=3, count=9) == ["the", "new york", "dog"]
    assert first_words(path, dim=3, count=0) == []
    with pytest.raises(DataError, match=r"expected encoder\.word_dim = 2"):
        first_words(path, dim=2, count=1)

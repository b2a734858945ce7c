"""Numbered lines: what ends a line, and broken files."""

import gzip
from pathlib import Path

import pytest

from seqmtl.data.readers.lines import numbered_lines
from seqmtl.errors import DataError


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\ntwo\u2028\u0085\x0b\n\nfour".encode())
    assert list(numbered_lines(path)) == [(1, "one"), (2, "two\u2028\u0085\x0b"), (3, ""), (4, "four")]


def test_gzip_and_plain_read_alike(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_text("a\nb\n")
    packed.write_bytes(gzip.compress(b"a\nb\n"))
    assert list(numbered_lines(plain)) == list(numbered_lines(packed)) == [(1, "a"), (2, "b")]


def test_a_truncated_gzip_names_the_line_after_the_last_good_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"a\nb\n")[:-6])
    with pytest.raises(DataError, match=r"a\.txt\.gz:\d+: the gzip file is broken .* fetch it again"):
        list(numbered_lines(path))
    path.write_bytes(b"not gzip at all")
    with pytest.raises(DataError, match=r"a\.txt\.gz:1: the gzip file is broken"):
        list(numbered_lines(path))


def test_bytes_that_are_not_utf8_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(DataError, match=r"a\.txt:2: byte 0xe9 at position 3 .*iconv"):
        list(numbered_lines(path))


def test_a_missing_file_gets_the_nearest_and_a_missing_folder_the_key(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").touch()
    with pytest.raises(DataError, match=r"trian\.jsonl: .*did you mean 'train\.jsonl'\?"):
        next(numbered_lines(tmp_path / "trian.jsonl"))
    with pytest.raises(DataError, match=r"there is no folder .*set the corpus's 'path'"):
        next(numbered_lines(tmp_path / "absent" / "train.jsonl"))
    with pytest.raises(DataError, match="cannot be read"):
        next(numbered_lines(tmp_path))

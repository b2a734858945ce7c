"""Sources: a list is drawn evenly, a stream is read on epoch after epoch and can be read again."""

from collections import Counter

import numpy as np
import pytest
from datasets import Dataset, IterableDataset

from seqmtl.data.rows import Row
from seqmtl.data.source import ListSource, StreamSource


def rows(count: int) -> list[Row]:
    return [{"id": str(number), "tokens": ["a"] * (number + 1)} for number in range(count)]


def stream(count: int) -> IterableDataset:
    return Dataset.from_list([dict(row) for row in rows(count)]).to_iterable_dataset()


def ids(drawn: list[Row]) -> list[int]:
    return [int(row["id"]) for row in drawn]


def draw(source: ListSource | StreamSource, count: int, epoch: int = 0, seed: int = 0) -> list[int]:
    return ids(source.draw(count, rng=np.random.default_rng(seed), epoch=epoch))


def test_drawing_the_size_of_a_list_gives_each_row_once():
    source = ListSource(rows(7))
    assert source.size == 7
    assert sorted(draw(source, 7)) == list(range(7))


@pytest.mark.parametrize("count", [0, 3, 7, 10, 21, 25])
def test_no_row_of_a_list_is_drawn_twice_more_often_than_another(count: int):
    drawn = Counter(draw(ListSource(rows(7)), count))
    assert drawn.total() == count
    assert {drawn[number] for number in range(7)} <= {count // 7, -(-count // 7)}


def test_the_remainder_of_a_list_depends_on_the_generator():
    source = ListSource(rows(50))
    assert draw(source, 20, seed=1) == draw(source, 20, seed=1)
    assert draw(source, 20, seed=1) != draw(source, 20, seed=2)


def test_nobody_knows_the_size_of_a_stream():
    assert StreamSource(stream(7)).size is None


def endless(size: int, count: int, epoch: int) -> list[int]:
    return [number % size for number in range(epoch * count, (epoch + 1) * count)]


@pytest.mark.parametrize("count", [3, 5, 10, 20, 23])
def test_epochs_of_a_stream_follow_one_another_and_start_again_at_the_end(count: int):
    source = StreamSource(stream(10))
    for epoch in range(5):
        assert draw(source, count, epoch) == endless(10, count, epoch)


@pytest.mark.parametrize("epochs", [[0, 1, 2, 0, 1, 2], [2, 1, 0], [0, 0, 1, 1], [3], [1, 0, 3, 2]])
def test_the_rows_of_an_epoch_do_not_depend_on_what_was_drawn_before(epochs: list[int]):
    source = StreamSource(stream(10))
    for epoch in epochs:
        assert draw(source, 4, epoch) == endless(10, 4, epoch)


def test_looking_at_the_head_of_a_stream_draws_nothing():
    source = StreamSource(stream(10))
    assert ids(source.head(4)) == [0, 1, 2, 3]
    assert ids(source.head(99)) == list(range(10))
    assert draw(source, 7, 0) == list(range(7))
    assert draw(source, 7, 1) == [7, 8, 9, 0, 1, 2, 3]


def test_an_empty_stream_ends():
    empty = stream(3).filter(lambda row: row["id"] == "none")
    assert StreamSource(empty).draw(5, rng=np.random.default_rng(0), epoch=2) == []

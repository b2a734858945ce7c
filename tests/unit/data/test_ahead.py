import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.data.ahead import ahead


@given(st.lists(st.integers(), max_size=6))
def test_it_is_map(items):
    assert list(ahead(str, items)) == [str(item) for item in items]


def test_the_next_one_is_made_while_the_present_one_is_used():
    made = [threading.Event() for _ in range(4)]
    threads = set()

    def make(number):
        threads.add(threading.current_thread())
        made[number].set()
        return number

    taken = ahead(make, range(4))
    for number in range(3):
        assert next(taken) == number
        assert made[number + 1].wait(10)
        assert not any(event.is_set() for event in made[number + 2 :])  # and no more than that
    assert len(threads) == 1
    assert threading.current_thread() not in threads


def test_an_error_comes_in_its_turn():
    def make(number):
        return 1 / number

    taken = ahead(make, [2, 0, 1])
    assert next(taken) == 0.5
    with pytest.raises(ZeroDivisionError):
        next(taken)


def test_whoever_stops_early_leaves_no_thread_behind():
    before = threading.active_count()
    taken = ahead(str, range(9))
    next(taken)
    taken.close()
    assert threading.active_count() == before

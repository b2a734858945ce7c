"""Steps, epochs and seconds, also over a pause."""

from seqmtl.training import course
from seqmtl.training.course import Course


def test_the_clock_counts_the_epoch_in_all_processes_that_worked_on_it(monkeypatch):
    now = 100.0
    monkeypatch.setattr(course.time, "perf_counter", lambda: now)
    first = Course()
    now = 110.0
    first.start_clock()
    first.step = 3
    now = 112.0
    first.read_clock()
    now = 113.0
    first.read_clock()
    saved = first.state_dict()
    assert saved == {"step": 3, "epoch": 0, "seconds": 3.0}
    now = 7.0
    second = Course()
    second.load_state_dict(saved)
    now = 20.0  # loading takes time, which is not the epoch's
    second.start_clock()
    now = 24.0
    second.read_clock()
    assert second.seconds == 7.0
    second.finish_epoch()
    assert second.state_dict() == {"step": 3, "epoch": 1, "seconds": 0.0}

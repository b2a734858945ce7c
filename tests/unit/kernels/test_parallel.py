"""Parts of the work side by side."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from seqmtl.kernels import parallel
from seqmtl.kernels.parallel import each

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 4])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_in_order_without_gradient_and_threads_shared(threads):
    weight = torch.ones(3, requires_grad=True)

    def work(part):
        return part, (weight * part).requires_grad, torch.get_num_threads(), threading.get_ident()

    for _ in range(3):
        found = each(work, [3, 1], device=CPU)
        assert [one[0] for one in found] == [3, 1]
        assert not any(one[1] for one in found)
        assert [one[2] for one in found] == [max(1, threads // 2)] * 2
        assert (threading.get_ident() in {one[3] for one in found}) == (threads == 1)
    assert torch.get_num_threads() == threads


def test_threads_to_come_have_the_number_of_all(threads):
    each(lambda part: part, [0, 1], device=CPU)
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert found == [threads]


def test_what_was_made_in_inference_mode_can_be_written_to(threads):
    with torch.inference_mode():
        values = torch.zeros(2, 3)
        each(lambda row: row.add_(1.0), list(values), device=CPU)
    assert values.eq(1.0).all()


def test_an_error_comes_through(threads):
    def work(part):
        raise KeyError(part)

    with pytest.raises(KeyError):
        each(work, [0, 1], device=CPU)


def test_parts_on_a_gpu_stay_in_the_thread_whose_stream_they_wait_for(threads):
    found = each(lambda _: threading.get_ident(), [0, 1], device=torch.device("cuda"))
    assert found == [threading.get_ident()] * 2


THREADS = """
from pathlib import Path
import torch
from seqmtl.kernels.parallel import each
def threads():
    return len(list(Path("/proc/self/task").iterdir()))
torch.set_num_threads(2)
each(lambda part: part, [0, 1], device=torch.device("cpu"))  # starts the threads of the parts
torch.ones(2**20).add_(1.0)  # starts OpenMP's
before = threads()
beside = each(lambda _: threads(), [0, 1], device=torch.device("cpu"))
torch.ones(2**20).add_(1.0)
print(before, *beside, threads())
"""


def test_threads_of_openmp_do_not_keep_turning_beside_the_parts():
    if parallel._pause() is None or not Path("/proc/self/task").exists():
        pytest.skip("another OpenMP, or a system that does not say which threads there are")
    # In a process of its own: here, other tests may have threads that end.
    found = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True).stdout
    before, *beside, after = map(int, found.split())
    assert beside == [before - 1] * 2
    assert after == before

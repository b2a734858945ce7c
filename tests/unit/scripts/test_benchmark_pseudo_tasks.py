"""The benchmark of several decoders: what it times, and which of it has a bar."""

import argparse
import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield runpy.run_path(str(SCRIPTS / "benchmark_pseudo_tasks.py"))
    for name in ("_benchmark", "_learner"):
        sys.modules.pop(name, None)


def test_ten_decoders_under_one_mask_have_a_bar(script):
    softmax, crf = script["PARTS"]
    barred = {name: script["bar_of"](softmax, name) for name in script["SIDES"]}
    assert {name for name, bar in barred.items() if bar} == {"10 decoders"}
    assert 1 / barred["10 decoders"] == pytest.approx(1.15)
    assert 1 / script["bar_of"](crf, "10 decoders") == pytest.approx(1.5)


@pytest.mark.slow
def test_every_side_is_timed_and_weighed(script, shared_data, minilm_path):
    figures = script["measured"](script["PARTS"][0], argparse.Namespace(quick=True))
    several = [name for name in script["SIDES"] if name != script["ONE"]]
    assert list(figures) == [f"softmax heads: {name}{what}" for what in ("", ", memory, MiB") for name in several]
    assert all(figure.ours_ms > 0 and figure.theirs_ms > 0 for figure in figures.values())

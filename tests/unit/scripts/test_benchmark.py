"""What the benchmark scripts share: fair turns, the closing JSON line, exit codes, the section in the results page."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "_benchmark.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["_benchmark"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["_benchmark"]


def arguments(*, check=False, markdown=False):
    return argparse.Namespace(check=check, markdown=markdown)


def test_both_sides_run_equally_often_and_take_turns_to_go_first(benchmark):
    calls = []
    benchmark.alternate(lambda: calls.append("a"), lambda: calls.append("b"), bar=1, rounds=3, warmup=1)
    assert "".join(calls) == "abba" * 2


def test_all_sides_run_on_every_item_in_each_round_but_the_first_does_not_count(benchmark):
    calls = []
    sides = {name: lambda item, name=name: calls.append((item, name)) for name in "abc"}
    times = benchmark.take_turns(sides, [1, 2], rounds=3)
    assert {name: len(values) for name, values in times.items()} == {"a": 6, "b": 6, "c": 6}
    turns = [calls[start : start + 3] for start in range(0, len(calls), 3)]
    assert [{item for item, _ in turn} for turn in turns] == [{1}, {2}] * 4
    assert all(sorted(name for _, name in turn) == ["a", "b", "c"] for turn in turns)
    assert len({turn[0][1] for turn in turns}) > 1


def test_ratio_of_turns_is_that_of_neighbours_however_slow_the_machine_was(benchmark):
    figure = benchmark.Figure.of_turns([1.0, 10.0, 200.0], [2.0, 20.0, 2.0], bar=2)
    assert (figure.ours_ms, figure.theirs_ms, figure.ratio, figure.met) == (10.0, 2.0, 2.0, True)


@pytest.mark.parametrize(("theirs", "check", "code"), [(10, True, 0), (9, True, 1), (9, False, 0)])
def test_exit_code_is_1_only_for_a_missed_bar_that_is_checked(benchmark, theirs, check, code):
    figures = {"x": benchmark.Figure(ours_ms=2, theirs_ms=theirs, bar=5)}
    assert benchmark.report("crf", figures, arguments(check=check)) == code


def test_last_line_is_the_json_line(benchmark, capsys):
    benchmark.report("crf", {"x": benchmark.Figure(ours_ms=2, theirs_ms=11, bar=5)}, arguments())
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["benchmark"] == "crf"
    assert record["figures"] == {"x": {"ratio": 5.5, "ours_ms": 2, "theirs_ms": 11, "bar": 5}}
    assert {"cpu", "cores", "threads", "torch"} <= set(record["machine"])


@pytest.mark.parametrize(
    ("theirs", "shown"), [(1.04, "0.520"), (3, "1.500"), (4.936, "2.47"), (19.98, "9.99"), (46, "23.0")]
)
def test_a_table_shows_on_which_side_of_its_bar_a_ratio_is(benchmark, capsys, theirs, shown):
    benchmark.report("crf", {"x": benchmark.Figure(ours_ms=2, theirs_ms=theirs, bar=2.5)}, arguments())
    assert f"| x | 2.00 | {theirs:.2f} | {shown} | 2.5 |" in capsys.readouterr().out


def test_markdown_replaces_the_section_of_this_benchmark_only(benchmark, tmp_path):
    page = tmp_path / "docs" / "results.md"
    for name, theirs in (("crf", 20), ("srl", 30), ("crf", 46)):
        figures = {f"{name} step": benchmark.Figure(ours_ms=2, theirs_ms=theirs, bar=5)}
        benchmark.report(name, figures, arguments(markdown=True), results=page)
    text = page.read_text()
    assert text.count("<!-- benchmark: crf -->") == 1
    assert "| crf step | 2.00 | 46.00 | 23.0 | 5 |" in text
    assert "| srl step | 2.00 | 30.00 | 15.0 | 5 |" in text
    assert "20.00" not in text

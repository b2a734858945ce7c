import io

import torch
from rich.console import Console

from seqmtl.data.mixture import Share
from seqmtl.sharing.base import Coupling, Table
from seqmtl.training.history import MetaIteration
from seqmtl.training.report import coupling_tables, decoders_table, mixture_table


def printed(*tables, width=100):
    stream = io.StringIO()
    for table in tables:
        Console(file=stream, width=width).print(table)
    return stream.getvalue()


def shown(shares):
    return printed(mixture_table(shares, words={"upos": 1234, "[x]": 0}, title="epoch 1 draws"))


def test_what_was_drawn_stands_beside_what_was_asked_for():
    text = shown([Share("a", 300, 1200, 0.5), Share("[b]", 100, 0, 0.5)])
    assert "300 │  1,200 │ 75.0% │" in text
    assert "[b]" in text  # a name is no markup
    assert "stream" in text
    assert text.count("50.0%") == 2
    assert "labelled words: upos 1,234, [x] 0" in text


def test_nothing_drawn_is_no_division_by_zero():
    assert "0.0%" in shown([Share("a", 0, 10, 1.0)])


def test_a_coupling_is_a_table_with_names_on_both_sides():
    values = torch.tensor([[0.899, 0.0], [-0.001, -0.25]])
    text = printed(*coupling_tables(Coupling({"alpha 1": Table(("upos", "ner"), ("upos", "ner"), values)}), width=100))
    lines = [line.split() for line in text.splitlines() if line.startswith("│")]
    assert lines == [
        ["│", "upos", "│", "0.90", "│", "·", "│"],
        ["│", "ner", "│", "0.00", "│", "-0.25", "│"],
    ]
    assert "alpha 1" in text


def test_a_wide_coupling_is_several_tables_and_a_very_wide_one_its_ranges():
    names = [f"t{number}" for number in range(20)]
    wide = Coupling({"alpha 1": Table(names, names, torch.arange(400.0).view(20, 20))})
    tables = list(coupling_tables(wide, width=80))
    assert [len(table.columns) - 1 for table in tables] == [8, 8, 4]
    text = printed(*tables, width=80)
    assert "…" not in text
    assert all(f"{number}.00" in text for number in range(1, 400))
    film = Coupling({"gamma": Table(("upos",), [str(n) for n in range(200)], torch.linspace(-1.5, 2.5, 200)[None])})
    (table,) = coupling_tables(film, width=80)
    text = printed(table, width=80)
    assert "gamma, 200 columns" in text
    assert "-1.50 │ 2.50" in text


def test_decoders_have_their_costs_how_often_they_led_and_their_rates():
    course = [
        MetaIteration(50, {"upos": [0.5, 0.4]}, {"upos": 1}, {"upos": [0.1, 0.1]}),
        MetaIteration(100, {"upos": [0.25, 0.3]}, {"upos": 0}, {"upos": [0.1, 0.2]}),
        MetaIteration(150, {"upos": [0.2, 0.125]}, {"upos": 1}, {"upos": [0.3, 0.2]}),
    ]
    text = printed(decoders_table(course))
    assert "decoders over 3 meta-iterations" in text
    lines = [line.split() for line in text.splitlines() if line.startswith("│")]
    assert lines == [
        "│ upos │ 1 │ 0.5000 │ 0.2000 │ 1 │ 0.30 │".split(),
        "│ │ 2 │ 0.4000 │ 0.1250 │ 2 │ 0.20 │".split(),
    ]
    bare = [MetaIteration(50, {"upos": [0.5]}, {"upos": 0}, {})]
    text = printed(decoders_table(bare))
    assert "over 1 meta-iteration " in text + " "
    assert text.splitlines()[-2].split() == "│ upos │ 1 │ 0.5000 │ 0.5000 │ 1 │ │".split()

import io

from rich.console import Console

from seqmtl.data.mixture import Share
from seqmtl.training.report import mixture_table


def shown(shares):
    stream = io.StringIO()
    Console(file=stream, width=100).print(mixture_table(shares, words={"upos": 1234, "[x]": 0}, title="epoch 1 draws"))
    return stream.getvalue()


def test_what_was_drawn_stands_beside_what_was_asked_for():
    text = shown([Share("a", 300, 1200, 0.5), Share("[b]", 100, 0, 0.5)])
    assert "300 │  1,200 │ 75.0% │" in text
    assert "[b]" in text  # a name is no markup
    assert "stream" in text
    assert text.count("50.0%") == 2
    assert "labelled words: upos 1,234, [x] 0" in text


def test_nothing_drawn_is_no_division_by_zero():
    assert "0.0%" in shown([Share("a", 0, 10, 1.0)])

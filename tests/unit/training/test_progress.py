import io

from rich.console import Console

from seqmtl.training.progress import watch


def test_nothing_is_written_where_there_is_no_terminal():
    stream = io.StringIO()
    with watch(Console(file=stream), "epoch 1", total=3) as bar:
        bar.advance()
        bar.show({"upos": 1.25})
    assert stream.getvalue() == ""


def test_a_terminal_shows_how_far_it_is_and_the_loss_of_each_task():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    with watch(console, "epoch 1", total=3) as bar:
        bar.advance(2)
        bar.show({"upos": 1.25, "ner": 0.5})
    shown = stream.getvalue()
    assert "epoch 1" in shown
    assert "2/3" in shown
    assert "upos 1.250  ner 0.500" in shown

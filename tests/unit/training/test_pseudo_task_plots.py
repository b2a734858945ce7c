import pytest
from matplotlib.colors import to_rgba

from seqmtl.training.history import MetaIteration
from seqmtl.training.pseudo_task_plots import decoder_course, plot_meta_iterations

LEADERS = [{"upos": 0, "ner": 1}, {"upos": 1, "ner": 1}, {"upos": 1, "ner": 0}]


def course(*, rates):
    return [
        MetaIteration(
            50 * (n + 1),
            {"upos": [0.5 - 0.1 * n, 0.4], "ner": [0.9, 0.8 - 0.1 * n]},
            leaders,
            {"upos": [0.1, 0.2 + 0.1 * n], "ner": [0.3, 0.3]} if rates else {},
        )
        for n, leaders in enumerate(LEADERS)
    ]


@pytest.mark.parametrize("rates", [True, False])
def test_a_row_of_panels_per_task_with_a_line_per_decoder(rates):
    figure = decoder_course(course(rates=rates))
    parts = ["cost", "above the leader", *(["dropout rate"] if rates else [])]
    assert [axes.get_title() for axes in figure.axes] == [f"{t}: {part}" for t in ("upos", "ner") for part in parts]
    costs = [axes for axes in figure.axes if axes.get_title().endswith("cost")]
    first, second = costs[0].get_lines()
    assert list(first.get_xdata()) == [50, 100, 150]
    assert list(first.get_ydata()) == pytest.approx([0.5, 0.4, 0.3])
    assert list(second.get_ydata()) == [0.4] * 3
    assert list(figure.axes[1].get_lines()[0].get_ydata()) == pytest.approx([0.1, 0.0, 0.0])
    if rates:
        assert list(figure.axes[2].get_lines()[1].get_ydata()) == pytest.approx([0.2, 0.3, 0.4])


def test_a_dot_in_the_colour_of_the_leader_stands_at_its_cost():
    upos, _, ner, _ = decoder_course(course(rates=False)).axes
    points = upos.collections[0].get_offsets()
    assert [x for x, _ in points] == [50, 100, 150]
    assert [y for _, y in points] == pytest.approx([0.5, 0.4, 0.4])
    colours = [tuple(colour) for colour in ner.collections[0].get_facecolors()]
    assert colours == [to_rgba(f"C{leaders['ner']}") for leaders in LEADERS]


def test_the_picture_is_written_also_of_one_meta_iteration(tmp_path):
    path = plot_meta_iterations(course(rates=True)[:1], tmp_path)
    assert path == tmp_path / "pseudo-tasks.png"
    assert path.read_bytes().startswith(b"\x89PNG")

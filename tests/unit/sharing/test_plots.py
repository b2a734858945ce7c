import pytest
import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from seqmtl.sharing.base import Coupling, Table
from seqmtl.sharing.plots import alpha_course, bars, block_magnitudes, heat_maps, plot_coupling


def square(names, values=None):
    return Table(names, names, torch.randn(len(names), len(names)) if values is None else values)


def sluice():
    slices = ["upos.1", "upos.2", "ner.1", "ner.2"]
    beta = Table(["upos", "ner"], ["layer 1", "layer 2"], torch.randn(2, 2))
    return Coupling({"alpha 1": square(slices), "alpha 2": square(slices), "beta": beta})


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_every_kind_of_table_is_a_picture_and_alpha_and_beta_have_a_course(tmp_path):
    paths = plot_coupling(sluice(), [(0, sluice()), (100, sluice())], tmp_path)
    names = ["alpha", "alpha-course", "beta", "beta-course"]
    assert paths == [tmp_path / f"coupling-{name}.png" for name in names]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}


@pytest.mark.parametrize("steps", [0, 1])
def test_one_step_is_no_course(tmp_path, steps):
    paths = plot_coupling(sluice(), [(0, sluice())] * steps, tmp_path)
    assert [path.name for path in paths] == ["coupling-alpha.png", "coupling-beta.png"]


def test_the_tables_of_other_schemes_are_heat_maps(tmp_path):
    film = Table(["upos", "ner"], [str(number) for number in range(200)], torch.randn(2, 200))
    coupling = Coupling({"gamma": film, "beta": film, "distance 1": square(["upos", "ner"])})
    paths = plot_coupling(coupling, [(0, coupling), (9, coupling)], tmp_path)
    assert [path.name for path in paths] == ["coupling-gamma.png", "coupling-beta.png", "coupling-distance.png"]


def test_panels_have_names_values_lines_between_tasks_and_one_scale_around_0():
    coupling = sluice()
    alphas = {name: table for name, table in coupling.tables.items() if name != "beta"}
    alphas["alpha 1"].values[0, 0], alphas["alpha 2"].values[1, 3] = 0.0, -9.0
    figure = heat_maps(alphas)
    first, second = (axes for axes in figure.axes if axes.images)
    assert (first.get_title(), second.get_title()) == ("alpha 1", "alpha 2")
    for axes in (first, second):
        scale = axes.images[0].norm
        assert isinstance(scale, Normalize)
        assert (scale.vmin, scale.vmax) == (-9.0, 9.0)
        assert [label.get_text() for label in axes.get_yticklabels()] == ["upos.1", "upos.2", "ner.1", "ner.2"]
        assert [label.get_text() for label in axes.get_xticklabels()] == ["upos.1", "upos.2", "ner.1", "ner.2"]
        horizontal, vertical = axes.get_lines()
        assert list(horizontal.get_ydata()) == list(vertical.get_xdata()) == [1.5, 1.5]
    shown = texts(figure)
    assert (shown[0], shown[16 + 7]) == ("·", "-9.00")
    assert len(shown) == 32


def test_large_tables_have_no_values_and_few_names():
    figure = heat_maps({"alpha 1": square([f"t{number}" for number in range(50)])})
    assert not texts(figure)
    assert len(figure.axes[0].get_xticks()) == 25
    assert not figure.axes[0].get_lines()  # no subspaces, so nothing to part


def test_a_table_of_zeros_has_a_scale_all_the_same():
    figure = heat_maps({"shared 1": square(["a", "b"], torch.zeros(2, 2))})
    assert figure.axes[0].images[0].norm.vmax == 1.0


def test_bars_are_the_betas_of_each_task():
    beta = Table(["upos", "ner"], ["layer 1", "layer 2"], torch.tensor([[0.5, 0.25], [-1.0, 0.0]]))
    figure = bars(beta)
    assert [axes.get_title() for axes in figure.axes] == ["upos", "ner"]
    assert [[bar.get_height() for bar in axes.patches] for axes in figure.axes] == [[0.5, 0.25], [-1.0, 0.0]]
    assert texts(figure) == ["0.50", "0.25", "-1.00", "·"]
    assert all(axes.get_ylim()[0] < -1.0 for axes in figure.axes)


def test_a_block_is_the_mean_magnitude_over_its_subspaces():
    table = sluice().tables["alpha 1"]
    blocks = block_magnitudes(table)
    for target in range(2):
        for source in range(2):
            entries = [abs(float(table.values[2 * target + s, 2 * source + t])) for s in range(2) for t in range(2)]
            assert blocks[target, source] == pytest.approx(sum(entries) / 4)


def test_the_course_has_a_row_of_panels_per_layer_and_a_line_per_source():
    course = [(step, sluice()) for step in (0, 100, 130)]
    figure = alpha_course(course)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 4  # layers x targets
    upper_right = figure.axes[1]
    assert upper_right.get_title() == "ner reads"
    first, second = upper_right.get_lines()
    assert (first.get_label(), second.get_label()) == ("upos", "ner")
    assert list(first.get_xdata()) == [0, 100, 130]
    expected = [block_magnitudes(coupling.tables["alpha 1"])[1, 0] for _, coupling in course]
    assert list(first.get_ydata()) == pytest.approx(expected)
    assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--")

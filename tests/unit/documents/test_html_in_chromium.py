"""The page as a person has it before them: measured, clicked and photographed in headless Chromium."""

from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image

from seqmtl.documents import Annotation, Document, Frame, build_document, document_page

pytestmark = pytest.mark.slow

# Of each cell that is to be seen: its class, text and place; the sentence, word and row that it belongs to.
CELLS = """[...document.querySelectorAll(".sentence")].flatMap((sentence, s) =>
  [...sentence.querySelectorAll(".word")].flatMap((word, w) =>
    [...word.children].map((cell, row) => {
      const {left, top, right, bottom} = cell.getBoundingClientRect();
      return {kind: cell.classList[0], text: cell.innerText, cut: cell.scrollWidth > cell.clientWidth + 1,
              left, top, right, bottom, s, w, row, shown: cell.checkVisibility()};
    }).filter((cell) => cell.shown)))"""
FRAMES = """[...document.querySelectorAll(".names [data-predicate]")].filter((e) => e.checkVisibility())
  .map((e) => e.innerText)"""


@pytest.fixture
def opened(browser, document: Document, tmp_path: Path):
    """The page of the document, with all its layers, in a window."""
    file = tmp_path / "page.html"
    file.write_text(document_page(document, word_layers=["upos"]), encoding="utf-8")
    browser.look(width=1000)
    browser.open(file.as_uri())
    yield browser
    assert (browser.errors, browser.asked) == ([], [file.as_uri()])


def overlap(one, other) -> bool:
    across = min(one["right"], other["right"]) - max(one["left"], other["left"])
    down = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
    return across > 0.5 and down > 0.5


@pytest.mark.parametrize(("width", "scheme"), [(1000, "light"), (360, "dark")])
def test_all_layers_are_to_be_seen_and_none_lies_over_another(opened, document, width, scheme):
    opened.look(width=width, scheme=scheme)
    opened.click("#all")
    cells = opened.run(CELLS)
    words = [cell["text"] for cell in cells if cell["kind"] == "text" and cell["w"] > 0]
    assert words == [token.text for sentence in document.sentences for token in sentence.tokens]
    labels = {cell["text"] for cell in cells if cell["kind"] == "bar"}
    assert {"PER", "ARG0", "ARG1", "ARG2", "R-ARG0", "ARGM-NEG", "V"} <= labels
    for cell in cells:
        assert cell["bottom"] - cell["top"] > 10
        assert cell["right"] - cell["left"] > 3 or cell["kind"] == "none"
        assert 0 <= cell["left"] <= cell["right"] <= width
        assert not cell["cut"]
    assert not [(one, other) for one, other in combinations(cells, 2) if overlap(one, other)]
    assert opened.run("document.documentElement.scrollWidth") <= width


def test_the_layers_of_a_sentence_are_stacked_under_its_words(opened):
    opened.click("#all")
    cells = [cell for cell in opened.run(CELLS) if cell["s"] == 0]
    assert len({cell["top"] for cell in cells if cell["kind"] == "text"}) == 1  # all in one line
    tops = [{cell["top"] for cell in cells if cell["row"] == row} for row in range(5)]  # words, upos, ner, two frames
    assert [len(top) for top in tops] == [1] * 5
    assert sorted(tops, key=min) == tops


def test_a_frame_is_chosen_by_mouse_and_by_key(opened, tmp_path):
    assert opened.run(FRAMES) == ["srl give"]
    first = opened.photograph(tmp_path / "first.png").read_bytes()
    opened.click(".text button", index=1)
    assert opened.run(FRAMES) == ["srl sleep.01"]
    second = opened.photograph(tmp_path / "second.png").read_bytes()
    assert second != first
    opened.press("ArrowLeft")
    assert opened.run(FRAMES) == ["srl give"]
    opened.press("Enter")  # on the one that is chosen: none
    assert opened.run(FRAMES) == []
    opened.click("#all")
    assert opened.run(FRAMES) == ["srl give", "srl sleep.01"]
    opened.click("#all")
    assert opened.run(FRAMES) == ["srl give"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_is_not_blank(opened, tmp_path, scheme):
    opened.look(width=1000, scheme=scheme)
    with Image.open(opened.photograph(tmp_path / "page.png")) as picture:
        colours = picture.convert("RGB").getcolors(maxcolors=1 << 24)
    (count, ground), *others = sorted(colours, reverse=True)
    assert min(ground) > 240 if scheme == "light" else max(ground) < 32
    assert sum(other for other, _ in others) > count / 100
    hues = [colour for other, colour in others if other > 1000 and max(colour) - min(colour) > 20]
    assert len(hues) >= 3  # fills of bars


def test_right_to_left_goes_from_right_to_left(browser, tmp_path):
    text = "דנה נתנה ספר"
    frames = {"srl": [Frame(0, "", ("B-V", "O", "O")), Frame(1, "", ("B-ARG0", "B-V", "B-ARG1"))]}
    tags = Annotation(tags={"upos": ["PROPN", "VERB", "NOUN"]}, frames=frames)
    document = build_document(text, sentences=[[(0, 3), (4, 8), (9, 12)]], annotations=[tags])
    file = tmp_path / "page.html"
    file.write_text(document_page(document, word_layers=["upos"]), encoding="utf-8")
    browser.look(width=600)
    browser.open(file.as_uri())
    places = [cell["left"] for cell in browser.run(CELLS) if cell["kind"] == "text"]
    assert places == sorted(places, reverse=True)
    browser.click(".text button")
    browser.press("ArrowLeft")  # onwards
    assert browser.run(FRAMES) == [f"srl {text[4:8]}"]

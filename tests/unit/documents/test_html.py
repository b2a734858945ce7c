import colorsys
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmtl import documents as documents_room
from seqmtl.documents import (
    Annotation,
    Document,
    Frame,
    Sentence,
    build_document,
    document_page,
    documents_page,
    form_page,
    segment,
)
from seqmtl.documents.brackets import colour, shown

VOID = {"meta"}
STYLE = (Path(documents_room.__file__).parent / "page.css").read_text(encoding="utf-8")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    content: list["Element | str"] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        return (self.attributes.get("class") or "").split()

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.content)

    @property
    def children(self) -> list["Element"]:
        return [part for part in self.content if isinstance(part, Element)]

    def find(self, name: str) -> Iterator["Element"]:
        """The elements inside this one with a tag or a class."""
        for child in self.children:
            if name == child.tag or name in child.classes:
                yield child
            yield from child.find(name)


class Tree(HTMLParser):
    """Reads a page; every element must be closed, in order."""

    def __init__(self, page: str):
        super().__init__()
        self.root = Element("")
        self.open = [self.root]
        self.declarations: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [self.root]

    def handle_decl(self, decl):
        self.declarations.append(decl)

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        element = Element(tag, dict(attrs))
        self.open[-1].content.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag

    def handle_data(self, data):
        self.open[-1].content.append(data)


def parsed(page: str) -> Element:
    return Tree(page).root


def columns(sentence: Element) -> list[list[Element]]:
    """The cells of the names and of each word, from top to bottom."""
    return [word.children for word in sentence.find("word")]


def bars(cells: list[Element]) -> list[tuple[int, int, str, bool]]:
    """What a row of cells shows: first word, last word (exclusive), label, whether it is a further piece."""
    found, open_at, label, further = [], None, "", False
    for position, cell in enumerate(cells):
        if "bar" not in cell.classes or "data-colour" not in cell.attributes:
            assert open_at is None
            assert "bar" not in cell.classes or "predicate" in cell.classes
            continue
        if "start" in cell.classes:
            assert open_at is None
            open_at, label, further = position, cell.text, "further" in cell.classes
        else:
            assert open_at is not None
            assert cell.text == ""
        assert cell.attributes["title"].endswith(f": {label}")
        assert cell.attributes["data-colour"] == colour(label)
        if "end" in cell.classes:
            found.append((open_at, position + 1, label, further))
            open_at = None
    assert open_at is None
    return found


def check_sentence(document: Document, sentence: Sentence, found: Element, *, number: int, layers: tuple[str, ...]):
    (texts, *rows) = list(zip(*columns(found), strict=True))
    name, *words = texts
    assert name.text == str(number)
    assert [word.text for word in words] == [shown(document.text_of(token)) for token in sentence.tokens]
    predicates = {frame.predicate for frames in sentence.frames.values() for frame in frames}
    buttons = {place: word.children[0] for place, word in enumerate(words) if word.children}
    assert {place: button.attributes["value"] for place, button in buttons.items()} == {p: str(p) for p in predicates}
    assert all(button.tag == "button" and button.attributes["aria-pressed"] for button in buttons.values())

    rest = iter(rows)
    for layer in layers:
        name, *cells = next(rest)
        assert name.text == layer
        assert [cell.text for cell in cells] == [shown(token.layers.get(layer, "")) for token in sentence.tokens]
    for task, spans in sentence.spans.items():
        if spans:
            name, *cells = next(rest)
            assert name.text == task
            assert bars(cells) == [(span.start_token, span.end_token, shown(span.label), False) for span in spans]
    for task, frames in sentence.frames.items():
        for frame in frames:
            row = name, *cells = next(rest)
            assert name.text == shown(f"{task} {frame.sense or sentence.tokens[frame.predicate].text}")
            assert {cell.attributes["data-predicate"] for cell in row} == {str(frame.predicate)}
            assert [place for place, cell in enumerate(cells) if "predicate" in cell.classes] == [frame.predicate]
            assert bars(cells) == sorted(
                (piece.start_token, piece.end_token, shown(argument.label), index > 0)
                for argument in frame.arguments
                for index, piece in enumerate(argument.pieces)
            )
    assert not list(rest)


@settings(max_examples=40)  # a page is long
@given(data=st.data(), layers=st.sampled_from([(), ("upos",), ("lemma", "none")]))
def test_every_layer_of_every_word_is_on_the_page(
    documents: st.SearchStrategy[Document], data: st.DataObject, layers: tuple[str, ...]
):
    several = data.draw(st.lists(documents, max_size=2))
    page = parsed(documents_page(several, word_layers=layers))
    articles = list(page.find("article"))
    assert len(articles) == len(several)
    for document, article in zip(several, articles, strict=True):
        found = list(article.find("sentence"))
        assert len(found) == len(document.sentences)
        for number, (ours, theirs) in enumerate(zip(document.sentences, found, strict=True), start=1):
            check_sentence(document, ours, theirs, number=number, layers=layers)


def test_the_legend_has_every_label_of_every_layer_once(document: Document):
    legend = next(parsed(documents_page([document, document])).find("legend"))
    entries = [[part.text for part in entry.children] for entry in legend.children]
    assert entries == [["ner"], ["PER"], ["srl"], ["ARG0", "ARG1", "ARG2", "ARGM-NEG", "R-ARG0"]]


def test_text_labels_senses_and_titles_are_data():
    evil = "<script>alert(1)</script>\"'&amp;"
    annotation = Annotation(
        tags={evil: [evil]}, span_tags={evil: [f"B-{evil}"]}, frames={evil: [Frame(0, evil, (f"B-{evil}",))]}
    )
    document = build_document(evil, sentences=[[(0, len(evil))]], annotations=[annotation])
    page = parsed(document_page(document, word_layers=[evil], title=evil))
    assert len(list(page.find("script"))) == 1
    assert next(page.find("title")).text == next(page.find("h1")).text == evil
    check_sentence(document, document.sentences[0], next(page.find("sentence")), number=1, layers=(evil,))
    assert (
        next(page.find("main")).text.count(evil) == 8
    )  # word, predicate's row, two tasks, a tag and its row, two bars


def test_the_page_loads_nothing_and_runs_only_its_own_script(document: Document):
    page = parsed(document_page(document))
    policy = next(meta for meta in page.find("meta") if "http-equiv" in meta.attributes).attributes["content"]
    hashes = dict(re.findall(r"(style|script)-src 'sha256-([^']+)'", policy))
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        assert b64decode(hashes[tag]) == sha256(next(page.find(tag)).text.encode()).digest()
    elements = [element for tag in ("meta", "span", "button", "script", "link", "img") for element in page.find(tag)]
    assert not [element for element in elements if {"src", "href", "style", "onclick"} & set(element.attributes)]


def test_it_is_html_5(document: Document):
    assert Tree(document_page(document)).declarations == ["DOCTYPE html"]
    assert [element.tag for element in parsed(document_page(document)).children] == ["html"]


def test_words_without_white_space_between_them_stay_together():
    text = "Anna didn't."
    groups = parsed(document_page(build_document(text, sentences=segment(text)))).find("group")
    assert [[next(word.find("text")).text for word in group.children] for group in groups] == [
        ["Anna"],
        ["did", "n't", "."],
    ]


def test_the_direction_follows_from_the_words_alone(document: Document):
    for words in parsed(document_page(document, word_layers=["upos"])).find("words"):
        assert words.attributes["dir"] == "auto"
        for cell in (cell for column in columns(words) for cell in column[1:]):
            assert all(child.tag == "bdi" for child in cell.children)
            assert not [part for part in cell.content if isinstance(part, str)]


@pytest.mark.parametrize("text", ["\nAnna\n slept. ", "</textarea><script>alert(1)</script>&amp;", ""])
def test_a_form_has_the_text_over_its_layers(text: str):
    document = build_document(text, sentences=segment(text))
    page = parsed(form_page(document, title="a model", longest=9))
    field = next(page.find("textarea"))
    assert field.text == f"\n{text}"  # a browser drops the first line's end
    assert field.attributes["maxlength"] == "9"
    alone = parsed(document_page(document, title="a model"))
    assert [element.tag for element in page.find("form")] == ["form"]
    for part in ("main", "style", "script", "h1"):
        assert list(page.find(part)) == list(alone.find(part))


def test_a_form_before_any_text():
    page = parsed(form_page(None, longest=9))
    assert next(page.find("textarea")).text.strip() == next(page.find("main")).text.strip() == ""
    assert not list(page.find("article"))


@pytest.mark.parametrize("text", ["", " \n"])
def test_text_without_words(text: str):
    page = parsed(document_page(build_document(text, sentences=segment(text))))
    assert next(page.find("main")).text.strip() == "(no words)"
    assert not list(page.find("legend"))


def test_control_characters_are_shown_as_pictures():
    text = "a\x00b\x1b[31m"
    page = document_page(build_document(text, sentences=segment(text)))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", page)
    assert "␀" in page


def test_a_page_can_be_written_as_utf_8():
    text = "\ud800 a"
    assert document_page(build_document(text, sentences=segment(text))).encode()


def luminance(hue: int, saturation: int, lightness: int) -> float:
    """The relative luminance of WCAG 2."""
    channels = colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_is_readable_by_light_and_by_dark():
    hues = {name: int(hue) for name, hue in re.findall(r'\[data-colour="(\w+)"\] \{ --hue: (\d+); \}', STYLE)}
    assert {colour(f"label {number}") for number in range(200)} | {colour("PER"), colour("ARGM-MOD")} <= set(hues)
    fills, inks = (
        [tuple(map(int, pair)) for pair in re.findall(rf"--{name}: (\d+)% (\d+)%", STYLE)] for name in ("fill", "ink")
    )
    assert len(fills) == len(inks) == 2
    for hue, (fill, ink) in product(hues.values(), zip(fills, inks, strict=True)):
        darker, lighter = sorted([luminance(hue, *fill), luminance(hue, *ink)])
        assert (lighter + 0.05) / (darker + 0.05) >= 7, hue  # level AAA

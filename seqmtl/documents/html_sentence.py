"""A sentence as HTML: a flow of columns, each a word over one cell per layer, which ``page.css`` draws.

    Anna  gave  the book
    PROPN VERB  DET NOUN     a tag under each word
    [PER]                    bars over the words of a span, one row for a layer
    [A0]        [A1      ]   and one for a frame

A bar is made of one cell per word, so that it goes on where the line breaks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from seqmtl.documents.brackets import colour, shown
from seqmtl.documents.document import Document, Sentence, TaggedFrame
from seqmtl.labels.frames import PREDICATE_LABEL

Row = list[str]
"""The HTML of one row: its name, then a cell for each word."""


@dataclass(frozen=True)
class _Bar:
    """Words, the end exclusive, under one label; a ``further`` piece of an argument follows another one."""

    start: int
    end: int
    label: str
    further: bool = False


def sentence_html(document: Document, sentence: Sentence, *, number: int, word_layers: Sequence[str]) -> str:
    """One sentence with its number, the tags of ``word_layers``, and every span layer and frame that has something."""
    rows = [_texts(document, sentence, number), *(_tags(sentence, layer) for layer in word_layers)]
    for task, spans in sentence.spans.items():
        if spans:
            bars = [_Bar(span.start_token, span.end_token, span.label) for span in spans]
            rows.append([_tag(task), *_bars(bars, sentence, name=task)])
    rows += [_frame(sentence, task, frame) for task, frames in sentence.frames.items() for frame in frames]
    names, *columns = (f"{''.join(cells)}</span>" for cells in zip(*rows, strict=True))
    groups = "".join(f'<span class="group">{"".join(group)}</span>\n' for group in _groups(sentence, columns))
    first = f'<span class="word names">{names}\n'
    return f'<section class="sentence">\n<div class="words" dir="auto">\n{first}{groups}</div>\n</section>\n'


def label_html(label: str, *, title: str) -> str:
    """A bar of its own with a label, as in the legend."""
    return _cell(_Bar(0, 1, label), 0, name=title, more="")


def text_html(text: str) -> str:
    """Text of which nothing is read as HTML; control characters, which HTML may not hold, as their pictures."""
    return escape(shown(text))


def _groups(sentence: Sentence, columns: Sequence[str]) -> Iterator[list[str]]:
    """The columns of words with no white space between them, which a line break should not part."""
    group: list[str] = []
    end = sentence.start
    for token, column in zip(sentence.tokens, columns, strict=True):
        if group and token.start > end:
            yield group
            group = []
        group.append(f'<span class="word">{column}')
        end = token.end
    yield group


def _texts(document: Document, sentence: Sentence, number: int) -> Row:
    """The words; those with a frame are buttons. The row is called by the number of the sentence."""
    senses: dict[int, list[str]] = {}
    for frames in sentence.frames.values():
        for frame in frames:
            senses.setdefault(frame.predicate, []).append(frame.sense)
    texts = [text_html(document.text_of(token)) for token in sentence.tokens]
    for position, found in senses.items():
        title = text_html(", ".join(filter(None, found)))
        attributes = f'type="button" value="{position}" aria-pressed="true" title="{title}"'
        texts[position] = f"<button {attributes}>{texts[position]}</button>"
    return [f'<span class="text">{text}</span>' for text in (str(number), *texts)]


def _tags(sentence: Sentence, layer: str) -> Row:
    return [_tag(layer), *(_tag(token.layers.get(layer, "")) for token in sentence.tokens)]


def _frame(sentence: Sentence, task: str, frame: TaggedFrame) -> Row:
    name = f"{task} {frame.sense or sentence.tokens[frame.predicate].text}"
    bars = [
        _Bar(piece.start_token, piece.end_token, argument.label, further=index > 0)
        for argument in frame.arguments
        for index, piece in enumerate(argument.pieces)
    ]
    more = f' data-predicate="{frame.predicate}"'
    return [_tag(name, more), *_bars(bars, sentence, name=name, more=more, predicate=frame.predicate)]


def _bars(
    bars: Sequence[_Bar], sentence: Sentence, *, name: str, more: str = "", predicate: int | None = None
) -> list[str]:
    """A cell for each word: a part of a bar, the predicate, or nothing; all of them have the attributes ``more``."""
    cells = [f'<span class="none"{more}></span>'] * len(sentence.tokens)
    if predicate is not None:
        kind = f'<span class="bar predicate start end" title="{text_html(name)}"{more}>'
        cells[predicate] = f"{kind}<bdi>{PREDICATE_LABEL}</bdi></span>"
    for bar in bars:
        for position in range(bar.start, bar.end):
            cells[position] = _cell(bar, position, name=name, more=more, is_predicate=position == predicate)
    return cells


def _cell(bar: _Bar, position: int, *, name: str, more: str, is_predicate: bool = False) -> str:
    starts = position == bar.start
    classes = {
        "bar": True,
        "start": starts,
        "end": position == bar.end - 1,
        "further": starts and bar.further,
        "predicate": is_predicate,
    }
    kind = " ".join(key for key, holds in classes.items() if holds)
    label = text_html(bar.label)
    attributes = f'class="{kind}" data-colour="{colour(bar.label)}" title="{text_html(name)}: {label}"{more}'
    return f"<span {attributes}>{f'<bdi>{label}</bdi>' if starts else ''}</span>"


def _tag(text: str, more: str = "") -> str:
    # <bdi>: the direction of a sentence follows from its words, not from its tags.
    return f'<span class="tag"{more}><bdi>{text_html(text)}</bdi></span>'

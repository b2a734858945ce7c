"""Documents as one looks at them in a terminal. Colour helps, but nothing depends on it.

1  Anna gave Ben the book in Paris.

   ner    [PER Anna] gave [PER Ben] the book in [LOC Paris].
   srl    gave  [ARG0 Anna] gave [ARG2 Ben] [ARG1 the book] [ARGM-LOC in Paris].
"""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from seqmtl.documents.brackets import Line, bracketed, excerpt, shown
from seqmtl.documents.document import Document, Sentence, TaggedFrame
from seqmtl.documents.word_rows import WordRows


def document_view(document: Document, *, word_layers: Sequence[str] = ()) -> RenderableType:
    """All sentences of a document, numbered, for ``rich.console.Console.print``.

    Args:
        document: what to show; every span layer and every frame of it is shown.
        word_layers: plain layers to write under the words, for example ``("upos",)``.
    """
    if not document.sentences:
        return Text("(no words)", style="dim")
    views = [sentence_view(document, sentence, word_layers=word_layers) for sentence in document.sentences]
    grid = grid_of(Column(justify="right", style="dim", no_wrap=True))
    for number, view in enumerate(views, start=1):
        grid.add_row(str(number), Padding(view, (0, 0, 1, 0)))
    return grid


def sentence_view(document: Document, sentence: Sentence, *, word_layers: Sequence[str] = ()) -> RenderableType:
    """One sentence of a document; see ``document_view``."""
    layers = _layers(document, sentence)
    if not layers.row_count:
        return _words(document, sentence, word_layers)
    return Group(_words(document, sentence, word_layers), Text(), layers)


def frame_line(document: Document, sentence: Sentence, frame: TaggedFrame) -> Line:
    """A frame on one line: its arguments and its predicate where they stand."""
    predicate = sentence.tokens[frame.predicate]
    spans = [piece for argument in frame.arguments for piece in argument.pieces]
    return excerpt(document.text, predicate=(predicate.start, predicate.end), spans=spans)


def grid_of(*columns: Column) -> Table:
    """A table without lines: the given columns, and a last one that takes the rest of the width."""
    return Table(
        *columns,
        Column(ratio=1, overflow="fold"),
        box=None,
        show_header=False,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        collapse_padding=False,
    )


def _words(document: Document, sentence: Sentence, word_layers: Sequence[str]) -> RenderableType:
    if not word_layers:
        return Text(shown(document.text_of(sentence)), overflow="fold")
    columns = [
        (shown(token.text), *(shown(token.layers.get(layer, "")) for layer in word_layers)) for token in sentence.tokens
    ]
    return WordRows(columns)


def _layers(document: Document, sentence: Sentence) -> Table:
    """A row for each layer: its name, and the sentence with its spans in brackets or its frames one below the other."""
    grid = grid_of(Column(style="dim", no_wrap=True))
    for task, spans in sentence.spans.items():
        line = bracketed(document.text, extent=(sentence.start, sentence.end), spans=spans)
        grid.add_row(task, line if spans else _nothing())
    for task, frames in sentence.frames.items():
        grid.add_row(task, _frames(document, sentence, frames) if frames else _nothing())
    return grid


def _frames(document: Document, sentence: Sentence, frames: Sequence[TaggedFrame]) -> Table:
    grid = grid_of(Column(style="bold", no_wrap=True))
    for frame in frames:
        name = frame.sense or sentence.tokens[frame.predicate].text
        grid.add_row(shown(name), frame_line(document, sentence, frame))
    return grid


def _nothing() -> Text:
    return Text("none", style="dim")

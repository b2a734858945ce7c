"""Documents as one web page that needs nothing else: no network, no file beside it, no library.

Tags stand under the words, spans and the arguments of frames are coloured bars below them (``html_sentence.py``). The
words that have frames are buttons: a click, or an arrow key on one, shows what they take; without the script
(``page.js``) all frames are shown. The colours are those of the terminal. Whatever the text and the labels hold, the
page runs no script but its own: they are escaped, and its policy names what may run by its hash.

``form_page`` is the same page under a field to type another text into, for a server (``seqmtl demo``) to answer.
"""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files

from seqmtl.documents.document import Document
from seqmtl.documents.html_sentence import label_html, sentence_html, text_html

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1 dir="auto">{title}</h1>
{form}{legend}<button type="button" id="all" aria-pressed="true" hidden>Show all frames</button>
</header>
<main lang="">
{articles}</main>
<script>{script}</script>
</body>
</html>
"""

_FORM = """<form method="post" action="/">
<label for="text">Text</label>
<textarea id="text" name="text" rows="4" maxlength="{longest}" dir="auto" lang="" required>
{text}</textarea>
<button type="submit">Tag</button>
</form>
"""


def document_page(document: Document, *, word_layers: Sequence[str] = (), title: str = "Annotated text") -> str:
    """All sentences of a document as a complete web page, to be written as UTF-8.

    Args:
        document: what to show; every span layer and every frame of it is shown.
        word_layers: plain layers to write under the words, for example ``("upos",)``.
        title: the heading.
    """
    return documents_page([document], word_layers=word_layers, title=title)


def documents_page(
    documents: Sequence[Document], *, word_layers: Sequence[str] = (), title: str = "Annotated text"
) -> str:
    """Several documents, one below the other, on one page; see ``document_page``."""
    return _page(documents, word_layers=word_layers, title=title)


def form_page(
    document: Document | None, *, word_layers: Sequence[str] = (), title: str = "Annotated text", longest: int
) -> str:
    """A field for a text of so many characters at the most, which is sent to ``/``, over the document that it became.

    Args:
        document: what to show, its text in the field; None: nothing yet.
        word_layers: as in ``document_page``.
        title: the heading.
        longest: how many characters the field takes.
    """
    # The line's end before the text is no part of it: the first one in a field is dropped.
    form = _FORM.format(text=escape("" if document is None else document.text), longest=longest)
    return _page([] if document is None else [document], word_layers=word_layers, title=title, form=form)


def _page(documents: Sequence[Document], *, word_layers: Sequence[str], title: str, form: str = "") -> str:
    style, script = _asset("page.css"), _asset("page.js")
    return _PAGE.format(
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'",
        title=text_html(title),
        style=style,
        form=form,
        legend=_legend(documents),
        articles="".join(_article(document, word_layers) for document in documents),
        script=script,
    )


def _article(document: Document, word_layers: Sequence[str]) -> str:
    sentences = [
        sentence_html(document, sentence, number=number, word_layers=word_layers)
        for number, sentence in enumerate(document.sentences, start=1)
    ]
    return "".join(["<article>\n", *(sentences or ["<p>(no words)</p>\n"]), "</article>\n"])


def _legend(documents: Sequence[Document]) -> str:
    """For each layer, the labels that occur."""
    found: dict[str, set[str]] = {}
    for sentence in (sentence for document in documents for sentence in document.sentences):
        for task, spans in sentence.spans.items():
            found.setdefault(task, set()).update(span.label for span in spans)
        for task, frames in sentence.frames.items():
            labels = (argument.label for frame in frames for argument in frame.arguments)
            found.setdefault(task, set()).update(labels)
    entries = [
        f"<dt><bdi>{text_html(task)}</bdi></dt>"
        f"<dd>{''.join(label_html(label, title=task) for label in sorted(labels))}</dd>\n"
        for task, labels in found.items()
        if labels
    ]
    return f'<dl class="legend">\n{"".join(entries)}</dl>\n' if entries else ""


def _asset(name: str) -> str:
    return files("seqmtl.documents").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The name of a style or a script in a content security policy."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"

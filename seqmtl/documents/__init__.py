"""Raw text in, annotated documents out - all of it that needs no model.

``segment`` finds sentences and words, as places in the raw text, which stays as it is:

>>> text = "Anna didn't see Ben.  He'd left Paris."
>>> places = segment(text)
>>> [[text[start:end] for start, end in sentence] for sentence in places]
[['Anna', 'did', "n't", 'see', 'Ben', '.'], ['He', "'d", 'left', 'Paris', '.']]

A model tags those words. Its answer - one ``Annotation`` per sentence - makes a document, in which every word, span and
argument knows its characters in the raw text:

>>> first = Annotation(
...     tags={"upos": ["PROPN", "AUX", "PART", "VERB", "PROPN", "PUNCT"]},
...     span_tags={"ner": ["B-PER", "O", "O", "O", "B-PER", "O"]},
...     frames={"srl": [Frame(3, "", ("B-ARG0", "O", "B-ARGM-NEG", "B-V", "B-ARG1", "O"))]},
... )
>>> second = Annotation(
...     tags={"upos": ["PRON", "AUX", "VERB", "PROPN", "PUNCT"]},
...     span_tags={"ner": ["O", "O", "O", "B-LOC", "O"]},
...     frames={"srl": [Frame(2, "", ("B-ARG0", "O", "B-V", "B-ARG1", "O"))]},
... )
>>> document = build_document(text, sentences=places, annotations=[first, second])
>>> paris = document.sentences[1].spans["ner"][0]
>>> paris.label, paris.text, text[paris.start : paris.end]
('LOC', 'Paris', 'Paris')

It can be looked at, in colour where the terminal has it:

>>> from rich.console import Console
>>> view = document_view(document, word_layers=["upos"])
>>> Console(width=68, color_system=None).print(view)  # doctest: +NORMALIZE_WHITESPACE
1  Anna   did  n't   see   Ben    .
   PROPN  AUX  PART  VERB  PROPN  PUNCT
<BLANKLINE>
   ner  [PER Anna] didn't see [PER Ben].
   srl  see  [ARG0 Anna] … [ARGM-NEG n't] see [ARG1 Ben]
<BLANKLINE>
2  He    'd   left  Paris  .
   PRON  AUX  VERB  PROPN  PUNCT
<BLANKLINE>
   ner  He'd left [LOC Paris].
   srl  left  [ARG0 He] … left [ARG1 Paris]
<BLANKLINE>

It can be written as a line of JSON or as columns in the manner of CoNLL-U, and read back whole:

>>> from_json_line(to_json_line(document)) == document
True
>>> from_columns(to_columns(document)) == [document]
True
>>> print(to_columns(document).splitlines()[6].expandtabs(1))
1 Anna _ PROPN _ _ _ _ _ TokenRange=0:4|ner=B-PER|srl.1=B-ARG0

For other programs it becomes a web page that stands on its own, standoff annotation of BRAT, and a ``Doc`` of spaCy
(``to_spacy``, where spaCy is installed):

>>> page = document_page(document, word_layers=["upos"], title="Anna and Ben")
>>> page.splitlines()[0], "<title>Anna and Ben</title>" in page
('<!DOCTYPE html>', True)
>>> for line in to_brat(document).splitlines()[:5]:
...     print(line.expandtabs(1))
T1 PER 0 4 Anna
T2 PER 16 19 Ben
T3 srl-predicate 12 15 see
T4 srl-argument 0 4 Anna
R1 ARG0 Arg1:T3 Arg2:T4

``sentence_diff`` sets a prediction against the gold standard. Offsets count Unicode code points, as Python does.
"""

from seqmtl.documents.brat import to_brat
from seqmtl.documents.column_reader import from_columns
from seqmtl.documents.columns import to_columns
from seqmtl.documents.diff import sentence_diff
from seqmtl.documents.document import (
    Annotation,
    Document,
    FrameArgument,
    Sentence,
    TaggedFrame,
    Token,
    TypedSpan,
    build_document,
)
from seqmtl.documents.html import document_page, documents_page, form_page
from seqmtl.documents.json_lines import from_json, from_json_line, to_json, to_json_line
from seqmtl.documents.segment import segment
from seqmtl.documents.spacy_doc import to_spacy
from seqmtl.documents.terminal import document_view, sentence_view
from seqmtl.documents.words import Offsets, words
from seqmtl.labels.frames import Frame

__all__ = [
    "Annotation",
    "Document",
    "Frame",
    "FrameArgument",
    "Offsets",
    "Sentence",
    "TaggedFrame",
    "Token",
    "TypedSpan",
    "build_document",
    "document_page",
    "document_view",
    "documents_page",
    "form_page",
    "from_columns",
    "from_json",
    "from_json_line",
    "segment",
    "sentence_diff",
    "sentence_view",
    "to_brat",
    "to_columns",
    "to_json",
    "to_json_line",
    "to_spacy",
    "words",
]

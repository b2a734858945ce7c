"""Tags, spans, label inventories and predicate frames, in plain Python.

A layer of a corpus is one tag per word. Where the tags stand for spans, they follow a scheme, and a scheme can be
recognised and changed:

>>> from seqmtl.labels import *
>>> wikigold = [["I-PER", "I-PER", "O", "I-LOC"], ["O", "I-LOC"]]
>>> recognise(wikigold)
<Scheme.IOB1: 'iob1'>
>>> convert(wikigold[0], source=Scheme.IOB1, target=Scheme.BIO)
['B-PER', 'I-PER', 'O', 'B-LOC']
>>> spans_of(["B-PER", "I-PER", "O", "B-LOC"], scheme=Scheme.BIO)
[Span(start=0, end=2, label='PER'), Span(start=3, end=4, label='LOC')]
>>> tags_of([Span(0, 2, "PER"), Span(3, 4, "LOC")], length=4, scheme=Scheme.BIOES)
['B-PER', 'E-PER', 'O', 'S-LOC']

Reading is strict. Tags that break their scheme are an error, or are repaired to the spans that conlleval reads in them:

>>> spans_of(["I-PER", "O"], scheme=Scheme.BIO)
Traceback (most recent call last):
...
seqmtl.errors.LabelError: word 0: 'I-PER' may not stand at the start of the sentence in the scheme 'bio'; mend the \
corpus, name its scheme, or choose the policy 'repair'
>>> violations(["I-PER", "O"], scheme=Scheme.BIO), repaired(["I-PER", "O"], scheme=Scheme.BIO)
([0], ['B-PER', 'O'])

An inventory numbers the labels; a structure says which of them may follow which, for decoding:

>>> inventory = LabelInventory.of([["O", "B-PER", "I-PER"]])
>>> inventory.ids(["B-PER", "I-PER", "O"])
[1, 2, 0]
>>> tag_structure(inventory.labels, scheme=Scheme.BIO).continues
((), (), (1, 2))

A frame is a predicate with the tags of its arguments; ``C-X`` is a further piece of X, and the verb is no argument:

>>> arguments(["B-ARG1", "B-V", "B-ARG0", "B-C-ARG1"])
[Argument(label='ARG1', pieces=((0, 1), (3, 4))), Argument(label='ARG0', pieces=((2, 3),))]
"""

from seqmtl.labels.frames import Argument, Frame, arguments
from seqmtl.labels.inventory import LabelInventory
from seqmtl.labels.repair import Policy, repaired, violations
from seqmtl.labels.schemes import Scheme, Span, convert, lenient_spans, recognise, spans_of, tags_of
from seqmtl.labels.structure import TagStructure, allowed_transitions, tag_structure

__all__ = [
    "Argument",
    "Frame",
    "LabelInventory",
    "Policy",
    "Scheme",
    "Span",
    "TagStructure",
    "allowed_transitions",
    "arguments",
    "convert",
    "lenient_spans",
    "recognise",
    "repaired",
    "spans_of",
    "tag_structure",
    "tags_of",
    "violations",
]

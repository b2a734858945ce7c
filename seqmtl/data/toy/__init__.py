"""The embedded corpus: English-like sentences with part of speech, chunks, entities and semantic roles.

There is nothing to download and nothing is annotated by guesswork. A hand-written grammar builds each sentence as a
tree, and the four layers are read off that tree, so they are right by construction and agree with each other. The
quickstart and the tests train on it: a small BiLSTM learns it in a minute or two, but not to the last point, because
words are ambiguous (``plans``, ``her``, ``that``, ``Jordan``), phrases attach by meaning (``with care``, ``with a
roof``), and about a fifth of the open-class words of the dev and test splits never occur in the training split.

>>> from seqmtl.data.toy import generate
>>> rows = generate("train", n=100)
>>> row = rows[0]
>>> row["id"]
'toy-train-00000'
>>> print(" ".join(row["tokens"]))
Peter wanted to talk about poverty .

Each token-level layer has one tag per word: ``upos`` and ``xpos`` (Universal and Penn), ``chunk_tags`` (as CoNLL-2000
cuts them, in BIO) and ``ner_tags`` (PER, LOC, ORG, MISC in BIO).

>>> print(*[f"{word}/{tag}" for word, tag in zip(row["tokens"], row["xpos"])])
Peter/NNP wanted/VBD to/TO talk/VB about/IN poverty/NN ./.
>>> print(*row["chunk_tags"])
B-NP B-VP I-VP I-VP B-PP B-NP O
>>> print(*row["ner_tags"])
B-PER O O O O O O

There is one frame per predicate, verb or noun; auxiliaries and *be* have none, and a sentence may have no frame at all.

>>> for frame in row["srl_frames"]:
...     print(frame["sense"], *frame["tags"])
want.01 B-ARG0 B-V B-ARG1 I-ARG1 I-ARG1 I-ARG1 O
talk.01 B-ARG0 O O B-V B-ARG1 I-ARG1 O

A row depends on the seed, the split and its number only, so a smaller corpus is the beginning of a larger one.

>>> generate("train", n=2) == rows[:2]
True

Where to look: ``lexicon.py`` and ``verbs.py`` are tables of words, ``wordlist.py`` decides which of them training may
see, ``noun_phrases.py``, ``verb_groups.py`` and ``adjuncts.py`` build phrases, ``grammar.py`` builds everything that
holds a clause, ``sentences.py`` the kinds of sentences, and ``tree.py`` turns a finished tree into a row.

Conventions that corpora differ in: a prepositional *to* is IN and an infinitival one TO; a possessive opens a new noun
chunk; an auxiliary moved before the subject and an interjection are in no chunk; an infinitive right after its verb
continues the verb chunk; titles are no part of a person's name; a particle is part of no argument; *never* is
ARGM-NEG; the antecedent of a relative clause is the argument itself and the relative pronoun its ``R-``; the ARG1 that
a raising verb or an inserted *she said* splits goes on as ``C-ARG1``.
"""

from seqmtl.data.toy.generate import generate

__all__ = ["generate"]

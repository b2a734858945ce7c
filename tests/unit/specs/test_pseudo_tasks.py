import pytest

from seqmtl.errors import ConfigError
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.recipe import RecipeSpec


@pytest.fixture
def parsed(tiny):
    """The spec of a recipe with these keys under ``pseudo_tasks``."""

    def parse(**keys):
        return RecipeSpec.parse(tiny | {"pseudo_tasks": keys}, source="recipe").pseudo_tasks

    return parse


def test_it_is_off_by_default(tiny):
    assert RecipeSpec.parse(tiny, source="recipe").pseudo_tasks is None
    assert RecipeSpec.parse(tiny | {"pseudo_tasks": None}, source="recipe").pseudo_tasks is None


def test_the_line_of_the_readme(parsed):
    init, update = ["independent", "freeze", "dropout"], ["greedy", "perturb", "hyperperturb"]
    spec = parsed(decoders=4, init=init, update=update, every=250)
    assert (spec.decoders, spec.init, spec.update, spec.every) == (4, tuple(init), tuple(update), 250)
    assert (spec.control, spec.keep_decoders) == (0.1, False)


def test_all_tasks_have_several_decoders_or_those_that_are_named(parsed, tiny):
    names = tuple(tiny["tasks"])
    assert set(parsed(decoders=3).decoder_specs(names)) == set(names)
    some = parsed(decoders=3, init=["dropout"], tasks=["ner", "srl"])
    assert some.decoder_specs(names) == dict.fromkeys(["ner", "srl"], DecodersSpec(count=3, own_dropout=True))
    assert parsed(decoders=1).decoder_specs(names) == {}


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({}, r"pseudo_tasks\.decoders: this key is required"),
        ({"decoders": 0}, r"pseudo_tasks\.decoders: got 0"),
        ({"decoders": 2, "evry": 3}, r"pseudo_tasks\.evry: unknown key; did you mean 'every'"),
        ({"decoders": 2, "every": 0}, r"pseudo_tasks\.every: got 0"),
        ({"decoders": 2, "init": ["frozen"]}, r"pseudo_tasks\.init\.0: got 'frozen'; .*'freeze'"),
        ({"decoders": 2, "update": ["gredy"]}, r"pseudo_tasks\.update\.0: got 'gredy'; .*'greedy'"),
        ({"decoders": 2, "epsilon_p": 0}, r"pseudo_tasks\.epsilon_p: got 0"),
        ({"decoders": 2, "epsilon_h": -1}, r"pseudo_tasks\.epsilon_h: got -1"),
        ({"decoders": 2, "control": "test"}, r"pseudo_tasks\.control: got 'test'"),
        ({"decoders": 2, "control": 0.6}, r"pseudo_tasks\.control: got 0\.6"),
        ({"decoders": 2, "tasks": []}, r"pseudo_tasks\.tasks: got \[\]"),
        ({"decoders": 2, "tasks": ["nerr"]}, r"pseudo_tasks\.tasks: no task 'nerr'; did you mean 'ner'"),
        ({"decoders": 1, "update": ["perturb"]}, r"one decoder has no others for perturb; give 'decoders' at least 2"),
        ({"decoders": 1, "init": ["independent", "freeze"]}, r"one decoder has no others for freeze"),
        ({"decoders": 2, "update": ["hyperperturb"]}, r"own dropout rate; add 'dropout' to 'init'"),
        ({"decoders": 2, "update": ["greedy"]}, r"'greedy' makes all decoders equal.*'perturb'.*'dropout'"),
        ({"decoders": 2, "init": ["freeze"], "update": ["greedy"]}, r"'greedy' makes all decoders equal"),
    ],
)
def test_what_makes_no_sense_is_refused(parsed, keys, complaint):
    with pytest.raises(ConfigError, match=complaint):
        parsed(**keys)


@pytest.mark.parametrize(
    ("init", "update"),
    [
        (["freeze"], ["perturb"]),
        (["freeze"], ["perturb", "greedy"]),
        (["dropout"], ["greedy"]),
        (["freeze", "dropout"], ["hyperperturb"]),
    ],
)
def test_what_leaves_decoders_different_is_not(parsed, init, update):
    assert parsed(decoders=2, init=init, update=update).init == tuple(init)


def test_dropout_of_their_own_needs_a_rate_to_start_from_unless_it_gets_noise(parsed, tiny):
    tiny["tasks"]["ner"]["head"]["dropout"] = 0.0
    with pytest.raises(ConfigError, match=r"tasks\.ner\.head\.dropout: is 0, .*pseudo_tasks\.init"):
        parsed(decoders=2, init=["dropout"])
    parsed(decoders=2, init=["dropout"], tasks=["upos"])
    parsed(decoders=2, init=["dropout"], update=["hyperperturb"])
    parsed(decoders=2)

"""The same training on one process and on two: 1 x 32, 2 x 16 and 2 x 8 x accumulation 2 sentences.

After 20 steps in fp32 without dropout all parameters are the same within 1e-6. Each case has all kinds of heads at
once, and three corpora of which none has all layers; the last step of an epoch has three sentences, fewer than there
are micro-batches.
"""

import copy
from pathlib import Path

import pytest
from accelerate import Accelerator
from rich.console import Console
from safetensors.torch import load_file, save_file
from two_processes import together

from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.loop import Run
from seqmtl.training.setup import prepare

STEPS = 20
TOLERANCE = 1e-6
RATE = 1e-4  # Adam takes such a step even where a gradient is nothing but rounding
WHOLE, DEALT, ACCUMULATED = "1 x 32", "2 x 16", "2 x 8 x accumulation 2"
SENTENCES = {WHOLE: (32, 1), DEALT: (16, 1), ACCUMULATED: (8, 2)}  # of a micro-batch, and accumulation
LAYERS = {"a": ("upos", "chunk_tags"), "b": ("ner_tags", "srl_frames"), "c": ("chunk_tags", "srl_frames")}
SIZES = {"a": 40, "b": 20, "c": 7}

TOWER = {"kind": "bilstm", "width": 8, "dropout": 0.0}
TOWERS = {**TOWER, "layers": 2}
BLOCKS = {"kind": "transformer", "layers": 1}
NAMES = ("upos", "chunk", "ner", "predicate", "srl")
DEPTHS = {"upos": 1, "chunk": 1, "ner": 2, "predicate": 2, "srl": 2}
SPLIT = [["upos", "chunk"], ["ner", "predicate", "srl"]]
SHARING = {
    "hard": {"kind": "hard", "tower": TOWER},
    "independent": {"kind": "independent", "tower": TOWER},
    "soft": {"kind": "soft", "tower": TOWERS, "weight": 0.5},
    "hierarchical": {"kind": "hierarchical", "tower": TOWERS, "depths": DEPTHS},
    "jmt": {"kind": "jmt", "tower": TOWER, "label_dim": 4},
    "jmt in turn": {"kind": "jmt", "tower": TOWER, "label_dim": 4, "successive_regularisation": {}},
    "cross-stitch": {"kind": "cross_stitch", "tower": TOWERS},
    "cross-stitch of channels": {"kind": "cross_stitch", "tower": TOWERS, "granularity": "channel"},
    "sluice": {"kind": "sluice", "tower": TOWERS},
    "sluice of blocks": {"kind": "sluice", "tower": BLOCKS},
    "shared-private": {"kind": "shared_private", "shared": TOWER, "private": TOWER},
    "stacked private": {"kind": "shared_private", "structure": "stacked", "shared": TOWER, "private": TOWER},
    "branching": {"kind": "branching", "tower": TOWERS, "tree": [[NAMES], SPLIT]},
    "concat": {"kind": "conditioning", "form": "concat", "tower": TOWER},
    "gates": {"kind": "conditioning", "form": "multiplicative", "tower": TOWER},
    "film": {"kind": "conditioning", "form": "film", "tower": TOWER},
    "meta-lstm": {"kind": "meta_lstm", "width": 8, "meta_size": 4, "vector_size": 4, "dropout": 0.0},
    "meta-lora": {"kind": "meta_lora", "tower": BLOCKS, "rank": 2, "meta_size": 4},
}
PSEUDO_TASKS = {"decoders": 2, "update": ["greedy", "perturb"], "every": 8, "control": 0.1}
# Penalties over the words or sentences of a micro-batch, each of which weighs the same: not the mean over the step.
OVER_DATA = {
    "adversary": {"adversary": {"weight": 0.1}},
    "orthogonality of features": {"orthogonality": {"weight": 0.1}},
    "reconstruction": {"reconstruction": 0.1},
}


@pytest.fixture
def case(tiny, still_encoder, write_corpus, toy_rows):
    """The recipe of a scheme: five tasks, three corpora, no dropout."""
    rows, corpora = toy_rows(60) + toy_rows(7), {}
    for name, layers in LAYERS.items():
        part, rows = rows[: SIZES[name]], rows[SIZES[name] :]
        corpora[name] = write_corpus(name, train=[{k: row[k] for k in ("id", "tokens", *layers)} for row in part])

    def make(sharing):
        recipe = copy.deepcopy(tiny)
        recipe |= {"corpora": corpora, "sharing": sharing}
        recipe["encoder"] |= {"dropout": 0.0, "word_dropout": 0.0}
        recipe["encoder"]["characters"]["dropout"] = 0.0
        if BLOCKS in sharing.values():
            recipe["encoder"] = {"kind": "transformer", "pretrained": str(still_encoder), "overlap": 8, "dropout": 0.0}
        for task in recipe["tasks"].values():
            task["head"] |= {"dropout": 0.0}
        rates = dict.fromkeys(("encoder", "sharing", "mixing", "heads"), RATE)
        recipe["training"] |= {"epochs": 99, "max_steps": STEPS, "warmup": 0.0, "learning_rates": rates}
        if "successive_regularisation" in sharing:
            recipe["mixture"]["schedule"] = "sequential"
        return recipe

    return make


def dealt(recipe, setting):
    """The recipe with the sentences of a step in so many micro-batches."""
    sentences, accumulation = SENTENCES[setting]
    mixture = {"tokens_per_batch": 100 * sentences, "max_sentences": sentences}
    training = {"accumulation": accumulation}
    return recipe | {"mixture": recipe["mixture"] | mixture, "training": recipe["training"] | training}


def learn(recipe, out):
    """Take the steps of a recipe, and write the parameters and their moments."""
    out.mkdir(exist_ok=True)
    prepared = prepare(RecipeSpec.parse(recipe, source="test"), folder=Path())
    run = Run(prepared, out, console=Console(quiet=True), accelerator=Accelerator(cpu=True))
    run.begin(resume=False)
    while run.course.step < STEPS:
        run.learner.wrapped.train()
        for lesson in run.lessons():
            run.learn(lesson)
    model, moments = run.learner.model, run.learner.plain_optimizer.state
    found = {name: p.detach() for name, p in model.named_parameters()}
    found |= {f"moment of {name}": moments[p]["exp_avg"] for name, p in model.named_parameters() if p in moments}
    save_file({name: value.contiguous() for name, value in found.items()}, f"{out}-{run.accelerator.process_index}")


def learned(recipe, folder):
    """What a recipe comes to in each setting: on one process here, then on two."""
    learn(dealt(recipe, WHOLE), folder / WHOLE)
    together(lambda: [learn(dealt(recipe, setting), folder / setting) for setting in (DEALT, ACCUMULATED)])
    for setting in (DEALT, ACCUMULATED):
        assert (folder / f"{setting}-0").read_bytes() == (folder / f"{setting}-1").read_bytes()
    return {setting: load_file(folder / f"{setting}-0") for setting in SENTENCES}


def differences(found):
    """The largest difference of each parameter and moment from those of the first setting, by setting."""
    first, *others = found.values()
    assert all(other.keys() == first.keys() for other in others)
    return [{name: (other[name] - first[name]).abs().max().item() for name in first} for other in others]


def check(recipe, folder):
    found = learned(recipe, folder)
    for task in NAMES:  # each head learns, and by more than what is compared
        moments = [v for name, v in found[WHOLE].items() if name.startswith(f"moment of heads.{task}.")]
        assert max(moment.abs().max() for moment in moments) > 1e-3
    for by_name in differences(found):
        assert {name: value for name, value in by_name.items() if not value <= TOLERANCE} == {}


def test_one_process_and_two_learn_the_same(case, tmp_path):
    check(case(SHARING["soft"]), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SHARING)
def test_one_process_and_two_learn_the_same_under_each_scheme(case, tmp_path, scheme):
    check(case(SHARING[scheme]), tmp_path)


@pytest.mark.slow
def test_one_process_and_two_learn_the_same_through_several_decoders(case, tmp_path):
    check(case(SHARING["hard"]) | {"pseudo_tasks": PSEUDO_TASKS}, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointed", [False, True])
def test_one_process_and_two_learn_the_same_on_an_encoder_that_is_run_twice(case, tmp_path, checkpointed):
    recipe = case(SHARING["sluice of blocks"])
    recipe["sharing"] = {"kind": "hard"}
    recipe["encoder"] |= {"scalar_mix": True, "gradient_checkpointing": checkpointed}
    check(recipe, tmp_path)


@pytest.mark.slow
def test_one_process_and_two_learn_the_same_through_adapters(case, tmp_path):
    recipe = case(SHARING["sluice of blocks"])
    recipe["encoder"] |= {"lora": {"rank": 2, "dropout": 0.0}}
    check(recipe, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", OVER_DATA)
def test_only_penalties_over_data_depend_on_how_a_step_is_dealt(case, tmp_path, penalty):
    found = learned(case(SHARING["shared-private"] | OVER_DATA[penalty]), tmp_path)
    for by_name in differences(found):
        assert max(by_name.values()) > 1e-5  # docs/training.md says so

"""Mixtures: how much of each corpus, in which steps, on which process - all of it from the seed."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, IterableDataset

from seqmtl.data.mixture import BatchStream, Drawn, Mixture, Step
from seqmtl.data.rows import Row
from seqmtl.data.source import ListSource, Source, StreamSource
from seqmtl.data.tasks import Task, build_task
from seqmtl.errors import ConfigError
from seqmtl.specs.mixture import MixtureSpec
from seqmtl.specs.tasks import TaskSpec

SIZES = {"big": 400, "middle": 100, "small": 25}


def rows(name: str, count: int) -> list[Row]:
    lengths = np.random.default_rng(len(name)).integers(1, 40, count).tolist()
    return [{"id": f"{name}-{number}", "tokens": ["a"] * length} for number, length in enumerate(lengths)]


def listed(sizes: Mapping[str, int] = SIZES) -> dict[str, Source]:
    return {name: ListSource(rows(name, size)) for name, size in sizes.items()}


def streamed(sizes: Mapping[str, int] = SIZES) -> dict[str, Source]:
    return {
        name: StreamSource(Dataset.from_list([dict(row) for row in rows(name, size)]).to_iterable_dataset())
        for name, size in sizes.items()
    }


def mixture(
    rates: dict[str, Any] | None = None,
    *,
    sources: Mapping[str, Source] | None = None,
    seed: int = 1,
    epochs: int = 4,
    **more: Any,
) -> Mixture:
    spec = MixtureSpec.parse({"rates": rates or {"kind": "proportional"}, **more}, source="test")
    return Mixture(listed() if sources is None else sources, spec, seed=seed, epochs=epochs)


def stream(mix: Mixture, *, rank: int = 0, processes: int = 1, accumulation: int = 1) -> BatchStream:
    return BatchStream(mix, length=len, rank=rank, processes=processes, accumulation=accumulation)


def ids(drawn: Sequence[Drawn]) -> list[str]:
    return [row["id"] for _, row in drawn]


# How much.


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"kind": "proportional"}, {"big": 400, "middle": 100, "small": 25}),
        ({"kind": "uniform"}, {"big": 400, "middle": 400, "small": 400}),
        # sqrt: 20 : 10 : 5, with the largest once
        ({"kind": "sqrt"}, {"big": 400, "middle": 200, "small": 100}),
        ({"kind": "temperature", "temperature": 2.0}, {"big": 400, "middle": 200, "small": 100}),
        ({"kind": "temperature", "temperature": 1.0}, {"big": 400, "middle": 100, "small": 25}),
        (
            {"kind": "weights", "weights": {"big": 1, "middle": 3, "small": 0.5}},
            {"big": 400, "middle": 1200, "small": 200},
        ),
        # A corpus without a weight is not drawn; "once" is then said of the largest that is.
        ({"kind": "weights", "weights": {"middle": 1, "small": 1}}, {"big": 0, "middle": 100, "small": 100}),
    ],
)
def test_counts_follow_the_formula_with_the_largest_corpus_once(rates: dict[str, Any], expected: dict[str, int]):
    assert mixture(rates).counts(0) == expected


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 5.0, 100.0])
def test_rates_of_a_temperature_are_powers_of_sizes(temperature: float):
    powers = {name: size ** (1 / temperature) for name, size in SIZES.items()}
    rates = mixture({"kind": "temperature", "temperature": temperature}).rates(0)
    assert rates == pytest.approx({name: power / sum(powers.values()) for name, power in powers.items()})


def test_annealing_goes_from_proportional_to_nearly_uniform_over_the_epochs():
    mix = mixture({"kind": "annealed", "start": 1.0, "end": 0.25}, epochs=4)
    for epoch, alpha in enumerate([1.0, 0.75, 0.5, 0.25]):
        powers = {name: size**alpha for name, size in SIZES.items()}
        assert mix.rates(epoch) == pytest.approx({name: p / sum(powers.values()) for name, p in powers.items()})
        assert mix.counts(epoch) == {name: round(400 * p / powers["big"]) for name, p in powers.items()}


def test_a_single_epoch_of_annealing_is_its_start():
    assert mixture({"kind": "annealed", "start": 1.0, "end": 0.0}, epochs=1).counts(0) == SIZES


@pytest.mark.parametrize("kind", ["proportional", "uniform", "sqrt", "temperature", "annealed"])
@pytest.mark.parametrize("total", [7, 90, 1001])
def test_rows_per_epoch_is_the_total_up_to_rounding(kind: str, total: int):
    mix = mixture({"kind": kind}, rows_per_epoch=total)
    rates = mix.rates(2)
    assert sum(rates.values()) == pytest.approx(1.0)
    for name, count in mix.counts(2).items():
        assert abs(count - rates[name] * total) <= 0.5
        assert Counter(name for name, _ in mix.draw(2))[name] == count


def test_proportional_draws_every_row_exactly_once():
    expected = sorted(row["id"] for name, size in SIZES.items() for row in rows(name, size))
    for epoch in range(3):
        assert sorted(ids(mixture().draw(epoch))) == expected


def test_uniform_cycles_the_smaller_corpora():
    drawn = Counter(ids(mixture({"kind": "uniform"}).draw(0)))
    assert {drawn[f"big-{number}"] for number in range(400)} == {1}
    assert {drawn[f"middle-{number}"] for number in range(100)} == {4}
    assert {drawn[f"small-{number}"] for number in range(25)} == {16}


def test_rows_know_their_corpus():
    assert all(row["id"].startswith(name) for name, row in mixture({"kind": "sqrt"}).draw(1))


def test_a_report_says_what_was_drawn_and_what_was_asked_for():
    mix = mixture({"kind": "weights", "weights": {"big": 1, "small": 3}}, rows_per_epoch=50)
    drawn = Counter(name for name, _ in mix.draw(0))
    shares = {share.corpus: share for share in mix.report(0, drawn=drawn)}
    for name, asked in {"big": 0.25, "middle": 0.0, "small": 0.75}.items():
        assert shares[name].asked == pytest.approx(asked)
        assert shares[name].size == SIZES[name]
        assert shares[name].drawn == drawn[name]
    assert {name: share.drawn for name, share in shares.items()} == {"big": 12, "middle": 0, "small": 38}


# What cannot be.


def test_a_weight_for_an_unknown_corpus_is_an_error_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"no corpus 'midle'; did you mean 'middle'"):
        mixture({"kind": "weights", "weights": {"midle": 1}})


def test_weights_that_are_all_zero_are_an_error():
    with pytest.raises(ConfigError, match="every corpus has weight 0"):
        mixture({"kind": "weights", "weights": {"big": 0}})


def test_fewer_rows_than_round_to_one_of_any_corpus_are_an_error():
    with pytest.raises(ConfigError, match=r"rows_per_epoch: 1 among 3 corpora leaves none a whole row"):
        mixture({"kind": "uniform"}, rows_per_epoch=1)


@pytest.mark.parametrize(
    ("rates", "rows_per_epoch"),
    [
        ({"kind": "proportional"}, 10),
        ({"kind": "temperature"}, 10),
        ({"kind": "uniform"}, None),
        ({"kind": "weights", "weights": {"big": 1}}, None),
    ],
)
def test_a_stream_whose_size_would_be_needed_is_an_error_with_the_remedy(rates: dict, rows_per_epoch: int | None):
    with pytest.raises(
        ConfigError, match=r"corpus 'big' is streamed(.|\n)*rows_per_epoch(.|\n)*'weights' or 'uniform'"
    ):
        mixture(rates, sources=streamed(), rows_per_epoch=rows_per_epoch)


# Streams.


def test_streamed_corpora_are_read_on_over_the_epochs():
    mix = mixture({"kind": "uniform"}, sources=streamed(), rows_per_epoch=30)
    for epoch in range(4):
        expected = [f"{name}-{n % size}" for name, size in SIZES.items() for n in range(10 * epoch, 10 * (epoch + 1))]
        assert ids(mix.draw(epoch)) == expected


def test_streamed_and_listed_corpora_mix():
    sources = {"big": streamed()["big"], "small": listed()["small"]}
    mix = mixture({"kind": "weights", "weights": {"big": 2, "small": 1}}, sources=sources, rows_per_epoch=75)
    assert Counter(name for name, _ in mix.draw(0)) == {"big": 50, "small": 25}
    assert [share.size for share in mix.report(0, drawn={})] == [0, 25]
    assert mix.streamed == ["big"]


def test_counting_the_steps_of_all_epochs_first_changes_no_epoch_of_a_stream():
    def take(*, counted: bool) -> list[list[str]]:
        batches = stream(mixture({"kind": "uniform"}, sources=streamed(), rows_per_epoch=90, tokens_per_batch=200))
        if counted:
            assert all(batches.steps(epoch) > 0 for epoch in range(3))
        return [ids(step.rows) for _ in range(3) for step in batches]

    assert take(counted=True) == take(counted=False)


def test_counting_and_taking_the_steps_of_a_run_reads_a_stream_once():
    read: list[str] = []

    def generate():
        for row in rows("big", 400):
            read.append(row["id"])
            yield row

    source = StreamSource(IterableDataset.from_generator(generate))
    assert len(source.head(50)) == 50
    mix = mixture({"kind": "uniform"}, sources={"big": source}, rows_per_epoch=90, tokens_per_batch=200)
    batches = stream(mix)
    for epoch in range(3):
        assert batches.steps(epoch) == len(list(batches))
    assert read[:270] == [f"big-{number}" for number in range(270)]
    assert len(read) == 270


# Steps.


def take(batches: BatchStream, epochs: int = 1) -> list[Step]:
    return [step for _ in range(epochs) for step in batches]


def test_an_epoch_of_steps_holds_what_was_drawn_and_steps_says_how_many():
    mix = mixture({"kind": "sqrt"}, tokens_per_batch=200)
    batches = stream(mix)
    for epoch in range(3):
        steps = list(batches)
        assert len(steps) == batches.steps(epoch)
        assert Counter(i for step in steps for i in ids(step.rows)) == Counter(ids(mix.draw(epoch)))


def test_batches_mix_corpora():
    steps = take(stream(mixture({"kind": "uniform"}, tokens_per_batch=400)))
    assert np.mean([len({name for name, _ in step.rows}) for step in steps]) > 2.5


@pytest.mark.parametrize(
    ("processes", "accumulation"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4)], ids=lambda value: str(value)
)
def test_the_same_steps_on_any_number_of_processes_and_micro_batches(processes: int, accumulation: int):
    whole = take(stream(mixture(tokens_per_batch=800, max_sentences=64)), epochs=2)
    shards = processes * accumulation
    shared = mixture(tokens_per_batch=800 // shards, max_sentences=64 // shards)
    ranks = [
        take(stream(shared, rank=rank, processes=processes, accumulation=accumulation), epochs=2)
        for rank in range(processes)
    ]
    for step, *parts in zip(whole, *ranks, strict=True):
        assert all(ids(part.rows) == ids(step.rows) for part in parts)
        assert all(len(part.micro_batches) == accumulation for part in parts)
        dealt = [i for part in parts for micro_batch in part.micro_batches for i in ids(micro_batch)]
        assert sorted(dealt) == sorted(ids(step.rows))


def test_a_step_of_fewer_sentences_than_shards_leaves_some_without():
    steps = take(stream(mixture(sources=listed({"small": 3})), processes=4, accumulation=2, rank=3))
    assert [len(step.rows) for step in steps] == [3]
    assert [len(micro_batch) for micro_batch in steps[0].micro_batches] == [0, 0]


@pytest.mark.parametrize("taken", [0, 1, 5, 13])
@pytest.mark.parametrize("take_from", [iter, lambda stream: stream.ahead(lambda step: step)])
def test_a_restored_stream_goes_on_with_the_very_next_step(
    taken: int, take_from: Callable[[BatchStream], Iterator[Step]]
):
    def fresh() -> BatchStream:
        return stream(mixture({"kind": "sqrt"}, tokens_per_batch=1200))

    expected = [ids(step.rows) for step in take(fresh(), epochs=3)]
    assert fresh().steps(0) == 13  # the last case stands at the very end of an epoch
    first = fresh()
    before = [ids(step.rows) for step in islice(take_from(first), taken)]
    state = first.state_dict()
    assert state == {"epoch": 0, "step": taken}  # what is made ahead does not count
    second = fresh()
    second.load_state_dict(state)
    after = [ids(step.rows) for step in take(second, epochs=3)]
    assert before + after == expected


def test_a_stream_restored_in_a_later_epoch_goes_on_there():
    expected = [ids(step.rows) for step in take(stream(mixture()), epochs=3)]
    first = stream(mixture())
    n_before = len(take(first, epochs=2))
    next(iter(first))
    state = first.state_dict()
    assert state == {"epoch": 2, "step": 1}
    second = stream(mixture())
    second.load_state_dict(state)
    assert [ids(step.rows) for step in second] == expected[n_before + 1 :]
    assert second.state_dict() == {"epoch": 3, "step": 0}


def test_the_seed_decides_rows_and_steps():
    def plan(seed: int) -> list[list[str]]:
        return [ids(step.rows) for step in take(stream(mixture({"kind": "uniform"}, seed=seed, rows_per_epoch=99)))]

    assert plan(1) == plan(1)
    assert plan(1) != plan(2)


def test_epochs_differ_in_their_steps_and_in_the_rows_of_what_is_drawn_in_part():
    batches = stream(mixture({"kind": "uniform"}, rows_per_epoch=60))
    first, second = take(batches), take(batches)
    assert [ids(step.rows) for step in first] != [ids(step.rows) for step in second]
    assert {i for step in first for i in ids(step.rows)} != {i for step in second for i in ids(step.rows)}


def test_budgets_are_counted_in_what_the_encoder_reads():
    mix = mixture(tokens_per_batch=100)
    batches = BatchStream(mix, length=lambda tokens: 2 * len(tokens), rank=0, processes=1, accumulation=1)
    for step in batches:
        longest = max(len(row["tokens"]) for _, row in step.rows)
        assert 2 * longest * len(step.rows) <= 100


# Tasks in turn.

CARRIED = {"both": ("upos", "ner_tags"), "tagged": ("upos",), "named": ("ner_tags",), "bare": ()}
TURNS = {"ner": "ner_tags", "upos": "upos"}


def layered(names: Sequence[str]) -> dict[str, list[Row]]:
    """Corpora with different layers, some of whose sentences are empty."""
    lengths = np.random.default_rng(1).integers(0, 9, 50).tolist()
    return {
        name: [
            {"id": f"{name}-{number}", "tokens": ["a"] * length} | {layer: ["X"] * length for layer in CARRIED[name]}
            for number, length in enumerate(lengths)
        ]
        for name in names
    }


def in_turn(
    names: Sequence[str] = tuple(CARRIED), *, rank: int = 0, processes: int = 1, accumulation: int = 1, **more: Any
) -> BatchStream:
    corpora = layered(names)
    every = [row for part in corpora.values() for row in part]
    specs = {task: {"layer": layer, "head": {"kind": "softmax"}} for task, layer in TURNS.items()}
    return BatchStream(
        mixture(sources={name: ListSource(part) for name, part in corpora.items()}, **more),
        length=len,
        rank=rank,
        processes=processes,
        accumulation=accumulation,
        in_turn=[build_task(task, TaskSpec.parse(spec, source="test"), every) for task, spec in specs.items()],
    )


def test_tasks_take_turns_each_with_all_the_rows_that_teach_it():
    batches = in_turn(tokens_per_batch=60)
    for epoch in range(2):
        steps = list(batches)
        assert len(steps) == batches.steps(epoch) > 4
        turns = [step.task for step in steps]
        assert turns == sorted(turns)  # "ner" before "upos"
        assert set(turns) == set(TURNS)
        for task, layer in TURNS.items():
            seen = Counter(i for step in steps if step.task == task for i in ids(step.rows))
            drawn = batches.mixture.draw(epoch)
            assert seen == Counter(row["id"] for _, row in drawn if row.get(layer))  # neither absent nor empty


def test_a_task_that_learns_from_some_corpora_has_only_their_rows_in_its_turn():
    batches = in_turn()
    ner = batches.in_turn[0]
    batches.in_turn = (Task("ner", ner.spec.model_copy(update={"corpora": ("named",)}), ner.labels),)
    assert {name for step in batches for name, _ in step.rows} == {"named"}


@pytest.mark.parametrize(("processes", "accumulation"), [(2, 1), (1, 2), (2, 2)])
def test_turns_are_the_same_on_any_number_of_processes_and_micro_batches(processes: int, accumulation: int):
    shards = processes * accumulation
    ranks = [
        take(
            in_turn(rank=rank, processes=processes, accumulation=accumulation, tokens_per_batch=240 // shards), epochs=2
        )
        for rank in range(processes)
    ]
    for step, *parts in zip(take(in_turn(tokens_per_batch=240), epochs=2), *ranks, strict=True):
        assert all((part.task, ids(part.rows)) == (step.task, ids(step.rows)) for part in parts)
        dealt = [i for part in parts for micro_batch in part.micro_batches for i in ids(micro_batch)]
        assert sorted(dealt) == sorted(ids(step.rows))


def test_a_stream_restored_inside_a_turn_goes_on_there():
    expected = [(step.task, ids(step.rows)) for step in take(in_turn(tokens_per_batch=60), epochs=2)]
    first = in_turn(tokens_per_batch=60)
    before = [(step.task, ids(step.rows)) for step in islice(first, 3)]
    assert first.state_dict() == {"epoch": 0, "step": 3}
    second = in_turn(tokens_per_batch=60)
    second.load_state_dict(first.state_dict())
    assert before + [(step.task, ids(step.rows)) for step in take(second, epochs=2)] == expected


def test_turns_shuffle_their_rows_apart():
    steps = take(in_turn(["both"], tokens_per_batch=60))
    plans = {task: [ids(step.rows) for step in steps if step.task == task] for task in TURNS}
    assert plans["ner"] != plans["upos"]
    assert sorted(i for step in plans["ner"] for i in step) == sorted(i for step in plans["upos"] for i in step)


def test_without_turns_every_task_learns_from_a_step():
    assert {step.task for step in take(stream(mixture()))} == {None}

"""The comparison of sharing schemes: what it plans, what it does again, and what it works out from its runs."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from seqmtl.checkpoints import load_recipe_of, recipe_text, save_recipe
from seqmtl.errors import ConfigError, TrainingError
from seqmtl.evaluation import paired_bootstrap
from seqmtl.specs.sharing import AdversarySpec
from seqmtl.training.setup import prepare

SCRIPTS = Path(__file__).parents[3] / "scripts"
TASKS = ["upos", "chunk", "ner", "predicate", "srl"]
TOWER = {"kind": "bilstm", "layers": 2, "width": 16}
SLUICE = {"kind": "sluice", "tower": TOWER}


@pytest.fixture
def compare(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield SimpleNamespace(**runpy.run_path(str(SCRIPTS / "compare_sharing.py")))
    sys.modules.pop("_benchmark", None)


@pytest.fixture
def recipes(tiny, tmp_path):
    """Two recipes on the toy corpus, all labels allowed."""
    tiny["tasks"]["upos"]["unseen_labels"] = "allow"
    for name, sharing in (("tiny", {"kind": "hard"}), ("sluice", SLUICE)):
        (tmp_path / f"{name}.yaml").write_text(
            yaml.safe_dump(tiny | {"name": name, "sharing": sharing}, sort_keys=False)
        )
    return [str(tmp_path / f"{name}.yaml") for name in ("tiny", "sluice")]


@pytest.fixture
def plan(compare, recipes, tmp_path):
    def plan(*overrides, seeds=2, rows=20, corpus="toy", of=recipes):
        return compare.plan(of, seeds=seeds, rows=rows, corpus=corpus, out=tmp_path / "out", overrides=overrides)

    return plan


@pytest.fixture
def pretend(compare, monkeypatch):
    """Runs end at once, with scores that depend on the folder; gives the folders that were executed."""
    done = []

    def execute(run, *, corpus, split, threads):
        run.folder.mkdir(parents=True, exist_ok=True)
        save_recipe(run.folder, run.recipe)
        (run.folder / "metrics.json").write_text("{}")
        right = 3 if run.scheme == "single" else 4
        counts = [[right, 5, 5]] * 50 + [[0, 1, 1]] * run.seed
        of_task = dict.fromkeys(run.recipe.tasks, 20.0 * right + run.seed)
        found = {
            "scores": of_task,
            "counts": dict.fromkeys(of_task, counts[:50]),
            "parameters": 10,
            "train_words_per_second": 100.0,
        }
        (run.folder / f"scores-{split}.json").write_text(json.dumps(found))
        done.append((str(run.folder).split("out/")[1], split))
        return 1.0

    monkeypatch.setattr(compare.Run, "execute", execute)
    return done


def test_all_runs_of_a_seed_come_before_the_next_and_each_task_is_trained_alone(plan):
    runs = plan()
    places = [*(f"single/{task}" for task in TASKS), "tiny", "sluice"]
    assert [run.folder.parts[-len(place.split("/")) - 1 :] for run, place in zip(runs, places * 2, strict=True)] == [
        (*place.split("/"), f"seed_{seed}") for seed in (1, 2) for place in places
    ]
    assert [run.recipe.training.seed for run in runs] == [1] * 7 + [2] * 7
    assert [list(run.recipe.tasks) for run in runs[:7]] == [
        ["upos"],
        ["chunk"],
        ["ner"],
        ["predicate"],
        ["predicate", "srl"],  # roles need their finder
        TASKS,
        TASKS,
    ]
    assert [run.tasks for run in runs[3:6]] == [("predicate",), ("srl",), tuple(TASKS)]
    assert {run.recipe.sharing.kind for run in runs[:6]} == {"hard"}
    assert runs[6].recipe.sharing.kind == "sluice"


@pytest.mark.parametrize(
    ("sharing", "alone", "with_finder"),
    [
        (
            {"kind": "hierarchical", "depths": {"upos": 1, "chunk": 2, "ner": 2, "predicate": 1, "srl": 2}},
            {"depths": {"ner": 2}},
            {"depths": {"predicate": 1, "srl": 2}},
        ),
        (
            {"kind": "branching", "tree": [[["upos", "chunk", "ner", "srl"], ["predicate"]], [[t] for t in TASKS]]},
            {"tree": ((("ner",),), (("ner",),))},
            {"tree": ((("srl",), ("predicate",)), (("predicate",), ("srl",)))},
        ),
        ({"kind": "jmt", "order": TASKS[::-1]}, {"order": ("ner",)}, {"order": ("srl", "predicate")}),
        ({"kind": "jmt", "label_dim": 8}, {"order": None, "label_dim": 8}, {"order": None}),
        (
            {"kind": "shared_private", "shared": TOWER, "private": TOWER, "adversary": {"weight": 0.5}},
            {"adversary": None},
            {"adversary": AdversarySpec(weight=0.5)},
        ),
        ({"kind": "soft", "weight": 0.5}, {"weight": 0.5}, {"weight": 0.5}),
        ({"kind": "cross_stitch", "alpha_from": "of_five.json"}, {"alpha_from": None}, {"alpha_from": None}),
        (
            {"kind": "sluice", "subspaces": 1, "connections": [np.eye(5, dtype=int).tolist()] * 2},
            {"connections": None, "subspaces": 1},
            {"connections": None},
        ),
    ],
    ids=lambda value: value.get("kind", ""),
)
def test_a_single_task_keeps_of_the_sharing_what_concerns_it(plan, recipes, tmp_path, sharing, alone, with_finder):
    base = yaml.safe_load(Path(recipes[0]).read_text())
    towers = {} if "private" in sharing else {"tower": TOWER}
    Path(recipes[0]).write_text(yaml.safe_dump(base | {"sharing": sharing | towers}))
    runs = {run.tasks[0]: run for run in plan(seeds=1, of=recipes[:1])[:5]}
    for task, kept in (("ner", alone), ("srl", with_finder)):
        found = runs[task].recipe.sharing
        assert found.kind == sharing["kind"]
        assert {key: getattr(found, key) for key in kept} == kept
        save_recipe(tmp_path, runs[task].recipe)
        prepare(load_recipe_of(tmp_path)[0], folder=tmp_path)  # as a run does before it trains


def test_training_never_sees_the_test_split_and_scoring_gets_it_back(plan, tmp_path):
    run = plan("training.epochs=5", "corpora.toy.limit={test: 7}")[0]
    corpus = run.recipe.corpora["toy"]
    assert corpus.split_names() == ("train", "dev")
    assert corpus.limit == {}
    save_recipe(tmp_path, run.recipe)
    assert load_recipe_of(tmp_path)[0] == run.recipe
    assert run.recipe.training.epochs == 5
    full = load_recipe_of(tmp_path, overrides=[run.full])[0].corpora["toy"]
    assert full.split_names() == ("train", "dev", "test")
    assert full.limit == {"test": 7}


@pytest.mark.parametrize(("rows", "limit"), [(20, {"train": 20, "dev": 9}), (0, {"dev": 9})])
def test_rows_cut_the_training_split_only(plan, recipes, rows, limit):
    for path in map(Path, recipes):
        recipe = yaml.safe_load(path.read_text())
        recipe["corpora"]["toy"]["limit"] = {"dev": 9}
        path.write_text(yaml.safe_dump(recipe))
    assert all(run.recipe.corpora["toy"].limit == limit for run in plan(rows=rows))


def test_recipes_that_cannot_be_compared_are_refused(plan, recipes, tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"tiny\.yaml: has no corpus 'ewt' but toy; name one with --corpus"):
        plan(corpus="ewt")
    with pytest.raises(ConfigError, match=r"a name of its own.*got tiny, tiny"):
        plan(of=recipes[:1] * 2)
    with pytest.raises(ConfigError, match="'single' is taken"):
        plan("name=single", of=recipes[:1])
    del tiny["tasks"]["upos"]
    (tmp_path / "less.yaml").write_text(yaml.safe_dump(tiny | {"name": "less"}))
    with pytest.raises(ConfigError, match=r"less has the tasks chunk.*but tiny has upos"):
        plan(of=[recipes[0], str(tmp_path / "less.yaml")])


def test_what_is_finished_is_not_done_again(compare, plan, pretend):
    compare.execute(plan(seeds=1), corpus="toy", split="dev", jobs=2)
    assert len(pretend) == 7
    compare.execute(plan(seeds=1), corpus="toy", split="dev", jobs=2)
    assert len(pretend) == 7
    compare.execute(plan(seeds=2), corpus="toy", split="dev", jobs=2)
    assert {folder.split("/")[-1] for folder, _ in pretend[7:]} == {"seed_2"}
    compare.execute(plan(seeds=1), corpus="toy", split="test", jobs=1)  # trained, but not scored on this split
    assert [split for _, split in pretend[14:]] == ["test"] * 7


def test_a_half_finished_run_is_done_again_and_one_of_another_recipe_is_refused(compare, plan, pretend):
    runs = plan(seeds=1)
    compare.execute(runs, corpus="toy", split="dev", jobs=1)
    (runs[2].folder / "metrics.json").unlink()
    compare.execute(runs, corpus="toy", split="dev", jobs=1)
    assert [folder for folder, _ in pretend[7:]] == ["single/ner/seed_1"]
    with pytest.raises(ConfigError, match=r"single/upos/seed_1: is a run of another recipe.*--out"):
        compare.execute(plan("training.epochs=9", seeds=1), corpus="toy", split="dev", jobs=1)
    assert len(pretend) == 8


def test_the_first_failure_stops_what_has_not_begun(compare, plan, monkeypatch):
    begun = []

    def execute(run, *, corpus, split, threads):
        begun.append(run)
        raise TrainingError("broken")

    monkeypatch.setattr(compare.Run, "execute", execute)
    with pytest.raises(TrainingError, match="broken"):
        compare.execute(plan(), corpus="toy", split="dev", jobs=1)
    assert len(begun) < 14


def test_a_failed_run_says_where_to_look(plan, monkeypatch):
    run = plan(seeds=1)[0]
    monkeypatch.setattr(
        "subprocess.run",
        lambda _, *, stdout, **__: (stdout.write("much\nerror: at last\n"), SimpleNamespace(returncode=2))[1],
    )
    with pytest.raises(
        TrainingError, match=r"single/upos/seed_1: the run ended with status 2: error: at last; see log"
    ):
        run.execute(corpus="toy", split="dev", threads=1)


def test_counts_are_added_over_seeds_and_single_models_over_tasks(compare, plan, pretend):
    runs = plan(seeds=2)
    compare.execute(runs, corpus="toy", split="dev", jobs=1)
    schemes = compare.collected(runs, split="dev")
    assert list(schemes) == ["single", "tiny", "sluice"]
    assert schemes["single"].scores["ner"] == [61.0, 62.0]
    assert schemes["tiny"].means == pytest.approx([81.0, 82.0])
    assert (schemes["single"].counts["ner"] == [6, 10, 10]).all()
    assert (schemes["single"].parameters, schemes["tiny"].parameters) == (50, 10)
    assert (schemes["single"].speed, schemes["tiny"].speed) == (pytest.approx(20.0), pytest.approx(100.0))
    compared = compare.against_first(schemes)
    assert list(compared) == ["tiny", "sluice"]
    expected = paired_bootstrap(np.array([[8, 10, 10]] * 50), np.array([[6, 10, 10]] * 50))
    assert compared["tiny"]["srl"] == expected
    assert expected.delta == pytest.approx(0.2)
    lines = compare.table(schemes, compared)
    assert lines[0] == "| scheme | upos | chunk | ner | predicate | srl | mean | parameters, M | train words/s |"
    assert lines[1].count("|") == lines[0].count("|") == lines[3].count("|")
    assert lines[2].startswith("| single | 61.50 ± 0.71 | ")
    assert lines[3].startswith("| tiny | 81.50 ± 0.71 ↑ | ")
    assert lines[3].endswith(" | 81.50 ± 0.71 | 0.00 | 100 |")


def test_against_the_base_no_task_is_trained_alone_and_tasks_may_be_chosen(compare, recipes, tiny, tmp_path, pretend):
    pta = {"decoders": 2, "tasks": ["ner", "upos"]}
    (tmp_path / "pta.yaml").write_text(yaml.safe_dump(tiny | {"name": "pta", "pseudo_tasks": pta}, sort_keys=False))
    more = {"seeds": 1, "rows": 20, "corpus": "toy", "out": tmp_path / "out", "overrides": [], "alone": False}
    runs = compare.plan([recipes[0], str(tmp_path / "pta.yaml")], tasks=["ner"], **more)
    assert [(run.scheme, run.tasks, list(run.recipe.tasks)) for run in runs] == [
        ("tiny", ("ner",), ["ner"]),
        ("pta", ("ner",), ["ner"]),
    ]
    assert runs[0].recipe.pseudo_tasks is None
    assert runs[1].recipe.pseudo_tasks.tasks == ("ner",)
    save_recipe(tmp_path, runs[1].recipe)
    prepare(load_recipe_of(tmp_path)[0], folder=tmp_path)
    compare.execute(runs, corpus="toy", split="dev", jobs=1)
    schemes = compare.collected(runs, split="dev")
    compared = compare.against_first(schemes)
    assert list(compared) == ["pta"]
    assert compare.table(schemes, compared)[0] == "| scheme | ner | mean | parameters, M | train words/s |"
    described = {"split": "dev", "rows": 20, "seeds": 1, "alone": False}
    text = compare.note(runs[0].recipe, **described, compared=True)
    assert "better or worse than `tiny`" in text
    assert "single" not in text
    assert compare.note(runs[0].recipe, **described, compared=False).endswith("the first 20 training rows.")
    roles = compare.plan([str(tmp_path / "pta.yaml")], tasks=["srl"], **more)
    assert list(roles[0].recipe.tasks) == ["predicate", "srl"]  # roles need their finder
    assert roles[0].recipe.pseudo_tasks is None  # none of its tasks is left
    with pytest.raises(ConfigError, match=r"tiny: has no task 'nerr'; did you mean 'ner'"):
        compare.plan(recipes, tasks=["nerr"], **more)


@pytest.mark.parametrize(
    ("delta", "p_value", "expected"), [(0.1, 0.01, " ↑"), (-0.1, 0.01, " ↓"), (0.1, 0.05, ""), (-0.1, 0.5, "")]
)
def test_only_differences_beyond_luck_are_marked(compare, delta, p_value, expected):
    assert compare.mark(SimpleNamespace(delta=delta, p_value=p_value)) == expected


def test_a_run_trains_scores_and_counts(plan, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    worker = runpy.run_path(str(SCRIPTS / "_compared_run.py"))
    run = plan("training.max_steps=2", seeds=1)[-1]
    run.folder.mkdir(parents=True)
    (run.folder / "asked.yaml").write_text(recipe_text(run.recipe))
    monkeypatch.setattr(sys, "argv", ["", str(run.folder), "toy", "test", run.full])
    worker["main"]()
    first = (run.folder / "history.jsonl").read_text()
    found = run.found("test")
    assert run.found("dev") is None
    assert json.loads((run.folder / "metrics.json").read_text())["test"] == {}
    assert set(found["scores"]) == set(run.tasks)
    for task in run.tasks:
        correct, predicted, gold = np.sum(found["counts"][task], axis=0)
        assert len(found["counts"][task]) == 16
        assert found["scores"][task] == pytest.approx(200 * correct / max(predicted + gold, 1))
    monkeypatch.setattr(sys, "argv", ["", str(run.folder), "toy", "dev", run.full])
    worker["main"]()
    assert run.found("dev") is not None
    assert (run.folder / "history.jsonl").read_text() == first  # scored, not trained again


@pytest.mark.slow
def test_the_script_writes_table_section_and_json(recipes, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    page = tmp_path / "docs" / "results.md"
    page.parent.mkdir()
    page.write_text("# Results\n\nmine\n")
    more = ["--seeds", "1", "--train-rows", "10", "--corpus", "toy", "--out", str(tmp_path / "out"), "--jobs", "2"]
    path = SCRIPTS / "compare_sharing.py"
    monkeypatch.setattr(sys, "argv", [str(path), *recipes, *more, "--markdown", "--set", "training.max_steps=1"])
    script = runpy.run_path(str(path))
    monkeypatch.setattr(sys.modules["_experiment"], "RESULTS", page)
    script["main"]()
    shown = capsys.readouterr()
    record = json.loads(shown.out.splitlines()[-1])
    assert record == json.loads((tmp_path / "out" / "compare_tiny-10.json").read_text())
    assert set(record["schemes"]) == {"single", "tiny", "sluice"}
    assert "7 of 7 runs to do" in shown.err
    text = page.read_text()
    assert text.startswith(
        "# Results\n\nmine\n\n<!-- benchmark: compare_tiny-10 -->\n`python scripts/compare_sharing.py "
    )
    assert "| scheme | upos | chunk | ner | predicate | srl | mean |" in text
    assert "srl with predicate" in text
    sys.modules.pop("_benchmark", None)

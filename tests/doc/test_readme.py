"""What README.md shows is true: its recipes load, its commands parse, its Python runs, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from rich.console import Console

from seqmtl import cli
from seqmtl.data.corpus import resolve_corpus
from seqmtl.specs.recipe import RecipeSpec, load_recipe
from seqmtl.training import train_recipe

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def blocks(language):
    found = [body for name, body in BLOCKS if name == language]
    assert found, f"README.md has no block in {language!r}"
    return found


def commands(program):
    """Every use of a program in a block without a language, without comments, pipes and redirections."""
    lines = [line for body in blocks("") for line in body.splitlines()]
    calls = [re.split(r" [|>] ", line.split(" #")[0]) for line in lines]
    parts = [part.strip() for call in calls for part in call]
    return [part for part in parts if part.split(" ")[0] == program]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder in which ``runs/mine`` is a run of the quickstart, cut short."""
    folder = tmp_path_factory.mktemp("readme")
    tasks, _ = load_recipe("quickstart")
    allow = [f"tasks.{name}.unseen_labels=allow" for name in tasks.tasks]
    short = ["corpora.toy.sizes={train: 40, dev: 4, test: 4}", "training.max_steps=2", *allow]
    recipe, home = load_recipe("quickstart", overrides=short)
    train_recipe(recipe, folder / "runs" / "mine", folder=home, console=Console(quiet=True))
    return folder


@pytest.mark.parametrize("recipe", blocks("yaml"))
def test_recipes_load_and_their_corpora_are_shipped(recipe):
    spec = RecipeSpec.parse(yaml.safe_load(recipe), source="README.md")
    for entry in spec.corpora.values():
        resolve_corpus(entry, folder=ROOT)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code, run, hub, monkeypatch):
    monkeypatch.chdir(run)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("line", commands("seqmtl"))
def test_commands_parse(line):
    _, name, *arguments = shlex.split(line)
    command = typer.main.get_command(cli.app).commands[name]
    command.make_context(name, arguments)  # raises when an option or a value is unknown


@pytest.mark.parametrize("line", [*commands("accelerate"), *commands("python")])
def test_programs_are_there(line):
    [script] = re.findall(r"\S+\.py", line)
    assert (ROOT / script).is_file()


@pytest.mark.parametrize("line", commands("make"))
def test_make_targets_are_there(line):
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT))))
def test_links_lead_somewhere(link):
    assert "://" in link or (ROOT / link).exists()


def test_no_gap_is_left_to_fill():
    assert not re.findall(r"@@\w*@@", TEXT)

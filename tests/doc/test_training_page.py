"""What docs/training.md shows is there: its commands, its launch configurations, the keys of recipes."""

import argparse
import re
import shlex
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from accelerate.utils import DistributedType
from torch.distributed.run import get_args_parser

from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.launch import check_launch

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [
    line for body in re.findall(r"^```\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL) for line in body.splitlines()
]
CONFIGS = sorted((ROOT / "docs" / "accelerate").glob("*.yaml"))


def parsed(command: str) -> argparse.Namespace:
    """The options of a launcher."""
    match shlex.split(command):
        case ["torchrun", *rest]:
            return get_args_parser().parse_args(rest)
        case ["accelerate", "launch", *rest]:
            return launch_command_parser().parse_args(rest)
    raise AssertionError(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_those_of_the_launchers_and_start_the_script(command):
    options = parsed(command)
    assert options.training_script == "scripts/train.py"
    assert options.training_script_args[:2] == ["my_recipe.yaml", "--out"]
    config = getattr(options, "config_file", None)
    assert config is None or ROOT / config in CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configurations_load_and_can_be_launched(path):
    config = load_config_from_file(str(path))
    check_launch(DistributedType(config.distributed_type))
    assert config.num_processes % config.num_machines == 0
    assert path.read_text().count(f"--config_file docs/accelerate/{path.name}") == 1


def test_keys_of_recipes_are_there():
    keys = set(re.findall(r"`((?:training|mixture)\.\w+)", TEXT))
    assert keys
    for key in keys:
        room, name = key.split(".")
        assert name in RecipeSpec.model_fields[room].annotation.model_fields

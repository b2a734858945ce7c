"""What every script that trains and compares shares: how it ends, its options, and how its results are written down."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from _benchmark import RESULTS, machine, write_section

from seqmtl import SeqMTLError

ASKED = "asked.yaml"  # in the folder of a run that is trained in a process of its own: the recipe for it


def run_script(main: Callable[[], None]) -> None:
    """Run ``main``; a person's mistake ends in a line and status 2."""
    try:
        main()
    except SeqMTLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def comparison_options(description: str | None, *, out: Path) -> argparse.ArgumentParser:
    """Return a parser with the options of scripts that train many runs; ``out`` is where they go by default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many: 1, 2, ... (default: 3)")
    parser.add_argument("--train-rows", type=int, default=4000, help="first n training rows; 0: all (default: 4000)")
    parser.add_argument("--corpus", default="ewt", help="the recipes' corpus that is cut and scored (default: ewt)")
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (default: 1)")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="for all")
    parser.add_argument("--dev-only", action="store_true", help="score dev; test is not read")
    parser.add_argument("--markdown", action="store_true", help=f"write the table into {RESULTS.name} as well")
    return parser


def check_comparison(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a usage error when the numbers among ``comparison_options`` make no sense."""
    if arguments.seeds < 1 or arguments.jobs < 1 or arguments.train_rows < 0:
        parser.error("--seeds and --jobs must be at least 1, --train-rows at least 0")


def machine_of(jobs: int) -> dict[str, str | int]:
    """The machine, with the threads that each of ``jobs`` runs side by side has."""
    return machine() | {"threads": threads_of(jobs), "jobs": jobs}


def threads_of(jobs: int) -> int:
    """How many threads each of ``jobs`` runs side by side has."""
    return max(1, (os.cpu_count() or 1) // jobs)


def write_results(name: str, lines: Sequence[str], *, described: dict[str, str | int]) -> None:
    """Put ``lines`` into the page of results, under the command that this is, above the machine."""
    command = f"`python {shlex.join([f'scripts/{Path(sys.argv[0]).name}', *sys.argv[1:]])}`"
    about = ", ".join(f"{key}: {value}" for key, value in described.items())
    write_section(RESULTS, name, [command, "", *lines, "", about])

"""Files and folders that are there whole or not at all, whatever ends the program while it writes or removes them.

What is new is written aside, in the same folder, and brought to the disk (fsync); only then it gets its name, which
happens at once or not at all. What goes loses its name first.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ASIDE = ".aside"  # how the name of everything begins that is not whole


def aside_of(path: Path) -> Path:
    """Where ``path`` is before it has its name, and after."""
    return path.with_name(f"{ASIDE}-{path.name}")


def sync(path: Path) -> None:
    """Bring a file to the disk; of a folder, the names in it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a file, or put it in the place of a former one."""
    aside = aside_of(path)
    try:
        aside.write_text(text, encoding="utf-8")
        sync(aside)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def written_aside(folder: Path, *, last: str) -> Iterator[Path]:
    """A folder to write to; what it then holds takes the places of the same names in ``folder``, one by one.

    An error leaves ``folder`` as it was. When the program is killed in the course of it, some names are new and some
    are not; those that match the pattern ``last`` are never new before the others.
    """
    aside = folder / ASIDE
    shutil.rmtree(aside, ignore_errors=True)  # of a program that was killed
    aside.mkdir(parents=True)
    try:
        yield aside
        for path in aside.rglob("*"):
            sync(path)
        for path in sorted(aside.iterdir(), key=lambda path: path.match(last)):
            if (folder / path.name).is_dir():  # of a tokenizer with several chat templates
                shutil.rmtree(folder / path.name)
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sync(folder)


def remove_folder(path: Path) -> None:
    """Remove a folder, if it is there."""
    if path.is_dir():
        aside = aside_of(path)
        shutil.rmtree(aside, ignore_errors=True)  # of a program that was killed
        path.replace(aside)
        shutil.rmtree(aside)


def tidy(folder: Path) -> None:
    """Remove what programs that were killed have left aside in ``folder``."""
    for path in folder.glob(f"{ASIDE}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

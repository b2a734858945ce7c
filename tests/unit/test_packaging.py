"""The wheel and the sdist carry what an installed seqmtl needs, and nothing else."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True)
    [path] = folder.glob("seqmtl-*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a freshly built sdist, relative to its top folder."""
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
    subprocess.run(build, check=True, cwd=ROOT)
    [path] = folder.glob("seqmtl-*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def sources(folder: str) -> set[str]:
    """The files of ``folder``, relative to the root of the checkout, without what Python left there."""
    paths = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in paths}


@pytest.mark.slow
def test_the_wheel_carries_the_package_and_its_tasks_only(wheel: set[str]):
    tasks = {f"seqmtl/{name}" for name in sources("tasks")}
    assert tasks
    assert {name for name in wheel if ".dist-info/" not in name} == sources("seqmtl") | tasks


@pytest.mark.slow
def test_the_wheel_carries_the_licence_and_the_command(wheel: set[str]):
    metadata = {name.partition(".dist-info/")[2] for name in wheel if ".dist-info/" in name}
    assert {"licenses/LICENSE", "entry_points.txt", "METADATA"} <= metadata


@pytest.mark.slow
def test_the_sdist_is_complete(sdist: set[str]):
    wanted = sources("seqmtl") | sources("tasks") | sources("tests") | sources("scripts") | sources("docs")
    loose = {"pyproject.toml", "constraints.txt", "Makefile", "LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"}
    assert wanted | loose <= sdist

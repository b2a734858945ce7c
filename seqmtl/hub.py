"""Checkpoints on the hub: from it into the cache, and from a folder to it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from glob import escape
from pathlib import Path, PurePosixPath

from httpx2 import ConnectError, HTTPError, TimeoutException
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_cached_repo_tree,
    snapshot_download,
)
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import validate_repo_id

from seqmtl.errors import CheckpointError, HubError
from seqmtl.files import write_text
from seqmtl.weights import INDEX, without_weights

WEIGHTS = ("model*.safetensors", INDEX)
READ = (  # by whoever loads a checkpoint
    *WEIGHTS,
    "added_tokens.json",
    "chat_template.jinja",
    "config.json",
    "metrics.json",
    "recipe.yaml",
    "special_tokens_map.json",
    "tokenizer*.json",
    "vocabulary.json",
)
VERIFIED = "seqmtl_verified"  # folder beside the snapshots of a model
SHOWN = ("README.md", "coupling-*.png", "training.png")  # on the hub's page of a model


def fetch(
    name: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    subfolder: str = "",
) -> Path:
    """The folder of a checkpoint: ``name`` itself where there is one, else that of the cache, filled from the hub.

    Args:
        name: a folder, or the name of a model on the hub.
        revision: branch, tag or commit on the hub; None: the main branch.
        token: for a model that not everybody may see; None: the one with which this machine is logged in, if any.
        cache_dir: of the hub's client; None: its own.
        local_files_only: look into the cache and ask nobody.
        force_download: whatever the cache has.
        subfolder: in which the checkpoint lies.

    Raises:
        CheckpointError: when there is no such folder, and this is no name that a model could have.
        HubError: when the hub has no such model or revision for this person, or does not answer and the cache lacks it,
            or what came is not what the hub announced; the cache keeps nothing broken.
    """
    inside = PurePosixPath(subfolder)
    if inside.is_absolute() or ".." in inside.parts:
        raise CheckpointError(f"subfolder: {subfolder!r} leads out of {name}; give a folder inside")
    if Path(name).is_dir():
        return Path(name) / inside
    repo = name if isinstance(name, str) else name.as_posix()
    try:
        validate_repo_id(repo)
    except HFValidationError:
        raise CheckpointError(
            f"{name}: not a checkpoint: there is no such folder, and no model on the hub can be called so; "
            "give the folder of a run, or NAME/MODEL"
        ) from None
    cache = Path(cache_dir or constants.HF_HUB_CACHE).expanduser()
    with _explained(repo, revision):
        before = _files(cache, repo)
        snapshot = Path(
            snapshot_download(
                repo,
                revision=revision,
                token=token,
                cache_dir=cache,
                local_files_only=local_files_only,
                force_download=force_download,
                allow_patterns=[str(PurePosixPath(escape(subfolder)) / pattern) for pattern in READ],
                ignore_patterns=str(PurePosixPath(escape(subfolder)) / "*/*"),  # the client's * goes into folders
            )
        )
        if not local_files_only and not _is_verified(snapshot):
            try:
                _verify(repo, snapshot, cache=cache, token=token)
            except (ConnectError, TimeoutException, OfflineModeIsEnabled):  # the next call tries again
                if force_download or _files(cache, repo) != before:
                    raise
    folder = snapshot / inside
    if not any(file for pattern in WEIGHTS for file in folder.glob(pattern)):
        raise CheckpointError(f"{repo}: {without_weights(_listed(repo, snapshot, cache))}")
    return folder


def send(
    files: Mapping[str, Path | bytes],
    repo: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    message: str,
) -> str:
    """Put a checkpoint on the hub, in one commit; what a former one left there and this one lacks is removed.

    Args:
        files: a file or its content, by name.
        repo: NAME/MODEL, made if it is not there.
        private: shown to nobody else, or not sent at all; None: as is usual for NAME.
        token: as in ``fetch``.
        revision: branch, made if it is not there; None: the main one.
        message: of the commit.

    Returns:
        Where the commit can be seen.

    Raises:
        HubError: when the hub does not let this person write there, does not take the files, or shows to everybody
            what is to be private.
    """
    api = HfApi(token=token)
    with _explained(repo, revision):
        repo = api.create_repo(repo, private=private, exist_ok=True).repo_id
        if private and not api.model_info(repo).private:  # of a model that is there already, the wish is not heard
            raise HubError(
                f"{repo}: is there already, and everybody may see it, so nothing was sent; make it private on its page "
                "on the hub, or give another name"
            )
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        there = api.list_repo_files(repo, revision=revision)
        stale = [path for path in there if path not in files and _is_ours(path)]
        operations = [
            *(CommitOperationAdd(path, content) for path, content in files.items()),
            *(CommitOperationDelete(path) for path in stale),
        ]
        return api.create_commit(repo, operations, commit_message=message, revision=revision).commit_url


def _is_ours(path: str) -> bool:
    """Whether a file on the hub has the name of one of a checkpoint at the top; folders there are somebody else's."""
    return "/" not in path and any(fnmatch(path, pattern) for pattern in (*READ, *SHOWN))


def _files(cache: Path, repo: str) -> set[Path]:
    """What the cache has of a model."""
    return set((cache / repo_folder_name(repo_id=repo, repo_type="model")).glob("snapshots/*/**/*"))


def _verify(repo: str, snapshot: Path, *, cache: Path, token: str | bool | None) -> None:
    """Compare what came with the hashes that the hub has, for its client compares sizes only.

    Raises:
        HubError: when they differ; what is wrong has been removed from the cache.
    """
    report = HfApi(token=token).verify_repo_checksums(repo, revision=snapshot.name, cache_dir=cache)
    wrong = [mismatch["path"] for mismatch in report.mismatches]
    for path in wrong:
        (snapshot / path).resolve().unlink(missing_ok=True)  # of a link, what it leads to
        (snapshot / path).unlink(missing_ok=True)
    if wrong:
        raise HubError(
            f"{repo}: {', '.join(wrong)} came with another content than the hub announced (its hash differs) and was "
            "thrown away; try again, or another network"
        )
    marker = _marker(snapshot)
    with suppress(OSError):  # a cache that is not ours to write is verified each time
        marker.parent.mkdir(exist_ok=True)
        write_text(marker, _stamps(snapshot))


def _is_verified(snapshot: Path) -> bool:
    """Whether the files of a snapshot are those that were compared with the hub's hashes."""
    try:
        return _marker(snapshot).read_text(encoding="utf-8") == _stamps(snapshot)
    except (OSError, UnicodeDecodeError):
        return False


def _marker(snapshot: Path) -> Path:
    """Where it is written down which files of a snapshot were verified; the hub's client leaves such folders alone."""
    return snapshot.parent.parent / VERIFIED / f"{snapshot.name}.json"


def _stamps(snapshot: Path) -> str:
    """Size and time of every file of a snapshot, by which one that came later, or again, is known."""
    found = {path.relative_to(snapshot).as_posix(): path.stat() for path in snapshot.rglob("*") if path.is_file()}
    return json.dumps({name: [stat.st_size, stat.st_mtime_ns] for name, stat in sorted(found.items())}, indent=1)


def _listed(repo: str, snapshot: Path, cache: Path) -> list[str]:
    """The names of all files of a model, those that were not downloaded, too, as far as the cache knows them."""
    try:
        return [file.path for file in get_cached_repo_tree(repo, revision=snapshot.name, cache_dir=cache)]
    except CachedRepoTreeNotFoundError:
        return []


@contextmanager
def _explained(repo: str, revision: str | None) -> Iterator[None]:
    """Turn what the hub's client raises into a message for a person."""
    try:
        yield
    except GatedRepoError:
        problem = "has to be asked for on its page on the hub, and this token was not given it; ask, or give another"
    except RepositoryNotFoundError:
        problem = (
            "is no folder here, and the hub has no such model or does not show it to this token; mend the name, "
            "pass token=, or log in with `hf auth login`"
        )
    except RevisionNotFoundError:
        problem = f"has no revision {revision!r}; name a branch, a tag or a commit"
    except LocalEntryNotFoundError as error:
        problem = (
            f"is no folder here, the cache does not have it whole, and the hub was not asked or did not answer "
            f"({_first_line(error)}); load it once while online"
        )
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = "pass a token= that is valid for this, or log in anew" if status in (401, 403) else "try again later"
        problem = f"the hub refused with status {status}: {_first_line(error)}; {remedy}"
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        problem = f"the hub's client failed: {_first_line(error)}; nothing broken was kept, try again"
    else:
        return
    raise HubError(f"{repo}: {problem}")


def _first_line(error: Exception) -> str:
    """What an error says first; of one that wraps another, what that says."""
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)

"""A model on the hub, through the real client, on a hub of this machine."""

import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
from loopback_hub import TOKEN
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel

from seqmtl import Tagger
from seqmtl.checkpoints import load_checkpoint
from seqmtl.configuration import SeqMTLConfig
from seqmtl.errors import CheckpointError, HubError
from seqmtl.hub import VERIFIED, fetch, send
from seqmtl.modeling import SeqMTLModel

TEXT = "Anna gave Bob the book. She slept in Paris."
NAME = "me/tagger"
FILES = ("config.json", "model.safetensors", "vocabulary.json", "recipe.yaml", "metrics.json")


@pytest.fixture
def online(hub, tiny_run: Path):
    """The hub, with a model on it."""
    hub.put(NAME, {name: (tiny_run / name).read_bytes() for name in FILES})
    return hub


@pytest.fixture
def expected(tiny_run: Path):
    return Tagger.from_pretrained(tiny_run)(TEXT)


def cached(name: str = NAME) -> list[Path]:
    """The files that the cache has of a model, whole or not, without what it knows about them."""
    folder = Path(huggingface_hub.constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    return [file for part in ("blobs", "snapshots") for file in (folder / part).rglob("*") if not file.is_dir()]


def downloads(hub) -> list[str]:
    return [path for method, path in hub.asked if method == "GET" and ("/resolve/" in path or "/large/" in path)]


def test_a_model_is_loaded_by_its_name_and_once(online, expected):
    assert Tagger.from_pretrained(NAME)(TEXT) == expected
    assert len(downloads(online)) == len(FILES)
    online.asked.clear()
    assert Tagger.from_pretrained(NAME)(TEXT) == expected
    assert downloads(online) == []
    assert len(online.asked) == 1  # where is main now?


def test_only_what_a_tagger_reads_comes(online):
    online.put(NAME, {"training.png": b"a picture", "README.md": b"a card", "pytorch_model.bin": b"a pickle"})
    folder = fetch(NAME)
    assert {file.name for file in folder.iterdir()} == set(FILES)


def test_a_revision_is_a_branch_or_a_commit(online, tiny_run):
    first = online.repositories[NAME].branches["main"]
    weights = load_file(tiny_run / "model.safetensors")
    other = {name: value + 1 for name, value in weights.items()}
    from safetensors.torch import save

    online.put(NAME, {"model.safetensors": save(other, metadata={"format": "pt"})})
    online.put(NAME, {name: (tiny_run / name).read_bytes() for name in FILES}, branch="stable")
    name, value = next(iter(weights.items()))
    for revision, wanted in ((None, value + 1), ("main", value + 1), ("stable", value), (first, value)):
        model, _ = load_checkpoint(NAME, revision=revision)
        assert torch.equal(model.state_dict()[name], wanted)
    with pytest.raises(HubError, match="me/tagger: has no revision 'nowhere'; name a branch"):
        Tagger.from_pretrained(NAME, revision="nowhere")


def test_a_subfolder_of_a_model(online, tiny_run, expected):
    online.put("me/two", {f"second/{name}": (tiny_run / name).read_bytes() for name in FILES})
    assert Tagger.from_pretrained("me/two", subfolder="second")(TEXT) == expected
    assert torch.is_tensor(AutoModel.from_pretrained("me/two", subfolder="second").heads["upos"].scorer.outer.weight)
    with pytest.raises(CheckpointError, match="leads out of me/two"):
        Tagger.from_pretrained("me/two", subfolder="../other")
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        Tagger.from_pretrained("me/two")


def test_of_the_folders_beside_a_checkpoint_nothing_comes(online, tiny_run, expected):
    weights = (tiny_run / "model.safetensors").read_bytes()
    online.put(NAME, {"model-small/model.safetensors": b"other", "tokenizer/old.json": b"{}"})
    online.put("me/two", {f"second/{name}": (tiny_run / name).read_bytes() for name in FILES})
    online.put("me/two", {"second/model-small/model.safetensors": b"other", "model.safetensors": weights})
    assert {file.name for file in fetch(NAME).iterdir()} == set(FILES)
    assert {file.name for file in fetch("me/two", subfolder="second").iterdir()} == set(FILES)
    assert not [path for path in downloads(online) if "small" in path or "old" in path]
    assert Tagger.from_pretrained("me/two", subfolder="second", local_files_only=True)(TEXT) == expected


def test_auto_classes_know_a_model_by_its_name(online, tiny_run):
    ours, _ = load_checkpoint(tiny_run)
    assert type(AutoConfig.from_pretrained(NAME)) is SeqMTLConfig
    for loader in (AutoModel, SeqMTLModel):
        model = loader.from_pretrained(NAME)
        assert model.name_or_path == NAME
        assert all(torch.equal(value, ours.state_dict()[name]) for name, value in model.state_dict().items())


def test_one_task_of_a_model(online, expected):
    document = Tagger.from_pretrained(NAME, tasks=["ner"])(TEXT)
    assert [s.spans["ner"] for s in document.sentences] == [s.spans["ner"] for s in expected.sentences]
    assert set(document.sentences[0].spans) == {"ner"}


def test_a_cache_of_ones_own(online, tmp_path, expected):
    assert Tagger.from_pretrained(NAME, cache_dir=tmp_path / "mine")(TEXT) == expected
    assert (tmp_path / "mine" / "models--me--tagger").is_dir()
    assert not cached()
    assert Tagger.from_pretrained(NAME, cache_dir=tmp_path / "mine", local_files_only=True)(TEXT) == expected


# --- without the hub


@pytest.mark.parametrize("how", ["local_files_only", "offline", "gone"])
def test_the_cache_is_enough(online, monkeypatch, expected, how):
    Tagger.from_pretrained(NAME)
    online.asked.clear()
    if how == "offline":
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    if how == "gone":
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert Tagger.from_pretrained(NAME, local_files_only=how == "local_files_only")(TEXT) == expected
    assert online.asked == []
    assert AutoModel.from_pretrained(NAME, local_files_only=how != "gone").name_or_path == NAME


@pytest.mark.parametrize("how", ["local_files_only", "offline", "gone"])
def test_what_the_cache_lacks_is_an_error_that_says_so(online, monkeypatch, how):
    if how == "offline":
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    if how == "gone":
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="me/tagger: is no folder here, the cache does not have it whole"):
        Tagger.from_pretrained(NAME, local_files_only=how == "local_files_only")


def test_a_cache_from_which_a_file_was_lost_is_filled_or_an_error(online, expected):
    folder = fetch(NAME)
    (folder / "vocabulary.json").unlink()
    with pytest.raises(HubError, match=r"does not have it whole.*incomplete"):
        Tagger.from_pretrained(NAME, local_files_only=True)
    assert Tagger.from_pretrained(NAME)(TEXT) == expected


# --- what the hub refuses


def test_a_model_that_is_not_there(online):
    with pytest.raises(HubError, match=r"me/taggre: is no folder here, and the hub has no such model.*pass token="):
        Tagger.from_pretrained("me/taggre")
    with pytest.raises(HubError, match="has no such model"):
        SeqMTLModel.from_pretrained("me/taggre", config=SeqMTLConfig())
    with pytest.raises((HubError, OSError), match="me/taggre"):  # with peft it is AutoModel that asks first
        AutoModel.from_pretrained("me/taggre", config=SeqMTLConfig())
    assert not cached("me/taggre")


def test_an_adapter_that_auto_model_finds_is_not_put_over_a_model(tiny_run):
    with pytest.raises(CheckpointError, match="an adapter would be put over the weights"):
        SeqMTLModel.from_pretrained(tiny_run, adapter_kwargs={"_adapter_model_path": NAME})


def test_a_private_model_wants_a_token(online, monkeypatch, expected):
    online.repositories[NAME].private = True
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="does not show it to this token"):
        Tagger.from_pretrained(NAME)
    assert not cached()
    assert Tagger.from_pretrained(NAME, token=TOKEN)(TEXT) == expected
    large = [path for path in downloads(online) if "/large/" in path]
    assert len(large) == 1


def test_a_token_that_the_hub_does_not_know(online):
    with pytest.raises(HubError, match=r"refused with status 401.*pass a token= that is valid"):
        Tagger.from_pretrained(NAME, token="hf_wrong")
    assert not cached()


def test_a_gated_model_has_to_be_asked_for(online):
    online.repositories[NAME].gated = True
    with pytest.raises(HubError, match="me/tagger: has to be asked for on its page"):
        Tagger.from_pretrained(NAME)
    assert not cached()


def test_a_model_that_is_only_a_pickle_is_refused_before_it_comes(online):
    online.put("evil/pickle", {"config.json": online.files(NAME)["config.json"], "pytorch_model.bin": b"a pickle"})
    for load in (Tagger.from_pretrained, AutoModel.from_pretrained):
        with pytest.raises(
            CheckpointError, match=r"has no model\.safetensors, only pytorch_model\.bin: .* runs whatever"
        ):
            load("evil/pickle")
    assert not any(b"a pickle" in file.read_bytes() for file in cached("evil/pickle"))


@pytest.mark.parametrize("name", ["/not/here", "./here", "a/b/c", "a--b", "what?", "../..b", "me/tagger.git"])
def test_a_name_that_nothing_can_have(hub, name):
    with pytest.raises(CheckpointError, match="there is no such folder, and no model on the hub can be called so"):
        Tagger.from_pretrained(name)
    assert hub.asked == []


# --- downloads that go wrong


@pytest.mark.parametrize("fault", ["short", "altered"])
@pytest.mark.parametrize("file", ["model.safetensors", "vocabulary.json", "config.json"])
def test_of_a_download_that_goes_wrong_nothing_is_kept(online, expected, fault, file):
    online.faults[file] = fault
    message = {"short": "failed: Consistency check failed", "altered": f"{file} came with another content"}[fault]
    with pytest.raises(HubError, match=f"me/tagger: .*{message}"):
        Tagger.from_pretrained(NAME)
    assert not [path for path in cached() if path.name in (file, f"{file}.incomplete") or "incomplete" in path.name]
    stored = online.repositories[NAME].trees[online.repositories[NAME].branches["main"]]
    hashes = {entry.etag: entry.content for entry in stored.values()}
    assert all(path.read_bytes() == hashes[path.resolve().name] for path in cached())
    with pytest.raises(HubError, match="does not have it whole"):
        Tagger.from_pretrained(NAME, local_files_only=True)
    del online.faults[file]
    assert Tagger.from_pretrained(NAME)(TEXT) == expected


def test_a_download_is_resumed_where_the_connection_broke(online, monkeypatch, expected):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    online.faults["model.safetensors"] = "cut once"
    assert Tagger.from_pretrained(NAME)(TEXT) == expected
    assert len([path for path in downloads(online) if "/large/" in path]) == 2


def test_a_forced_download_is_verified_too(online):
    fetch(NAME)
    online.faults["model.safetensors"] = "altered"
    with pytest.raises(HubError, match="another content"):
        fetch(NAME, force_download=True)


@pytest.fixture
def interrupt(monkeypatch):
    """Let the first comparison of hashes be interrupted; what is called is counted."""
    calls, real = [], huggingface_hub.HfApi.verify_repo_checksums

    def verify(self, *args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    monkeypatch.setattr(huggingface_hub.HfApi, "verify_repo_checksums", verify)
    return calls


def test_what_was_not_verified_is_verified_by_the_next_call(online, interrupt, expected):
    with pytest.raises(KeyboardInterrupt):
        fetch(NAME)
    assert cached()
    assert Tagger.from_pretrained(NAME)(TEXT) == expected
    assert len(interrupt) == 2
    fetch(NAME)
    assert len(interrupt) == 2


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_what_came_altered_and_was_not_verified_is_thrown_away_by_the_next_call(online, interrupt, expected, file):
    online.faults[file] = "altered"
    with pytest.raises(KeyboardInterrupt):
        fetch(NAME)
    online.faults.clear()
    with pytest.raises(HubError, match=f"{file} came with another content"):
        fetch(NAME)
    assert Tagger.from_pretrained(NAME)(TEXT) == expected
    assert len(interrupt) == 3


def test_what_the_client_alone_downloaded_is_verified_too(online, expected):
    online.faults["model.safetensors"] = "altered"
    huggingface_hub.snapshot_download(NAME)
    online.faults.clear()
    with pytest.raises(HubError, match=r"model\.safetensors came with another content"):
        fetch(NAME)
    assert Tagger.from_pretrained(NAME)(TEXT) == expected


@pytest.mark.parametrize("how", ["local_files_only", "offline", "gone"])
def test_without_the_hub_nothing_is_verified(online, monkeypatch, how):
    huggingface_hub.snapshot_download(NAME)
    with monkeypatch.context() as patched:
        if how == "offline":
            patched.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        if how == "gone":
            patched.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
        folder = fetch(NAME, local_files_only=how == "local_files_only")
    assert not (folder.parent.parent / VERIFIED).exists()
    fetch(NAME)
    assert (folder.parent.parent / VERIFIED / f"{folder.name}.json").exists()


def test_a_file_that_changed_in_the_cache_is_verified_anew(online, expected):
    folder = fetch(NAME)
    weights = (folder / "model.safetensors").resolve()
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(HubError, match=r"model\.safetensors came with another content"):
        fetch(NAME)
    assert Tagger.from_pretrained(NAME)(TEXT) == expected


def test_what_is_written_down_lies_beside_what_loads_and_the_client_does_not_mind(online):
    folder = fetch(NAME)
    assert {file.name for file in folder.iterdir()} == set(FILES)
    assert {file.name for file in folder.parent.iterdir()} == {folder.name}
    scanned = huggingface_hub.scan_cache_dir()
    assert scanned.warnings == []
    (model,) = scanned.repos
    assert [revision.commit_hash for revision in model.revisions] == [folder.name]
    assert Path(huggingface_hub.snapshot_download(NAME, local_files_only=True, allow_patterns="*.json")) == folder
    scanned.delete_revisions(folder.name).execute()
    assert not folder.parent.parent.exists()


# --- sending


def test_what_is_sent_is_what_comes(hub, tiny_run, expected):
    files = {name: tiny_run / name for name in FILES}
    url = send(files, NAME, message="a first one")
    assert url == f"{hub.url}/{NAME}/commit/{hub.repositories[NAME].branches['main']}"
    assert hub.files(NAME) == {".gitattributes": b""} | {name: path.read_bytes() for name, path in files.items()}
    assert hub.repositories[NAME].messages == ["initial commit", "a first one"]
    assert not hub.repositories[NAME].private
    assert Tagger.from_pretrained(NAME)(TEXT) == expected


def test_what_a_former_checkpoint_left_is_removed_and_nothing_else(hub, tiny_run):
    old = ("model-00001-of-00002.safetensors", "model.safetensors.index.json", "coupling-alpha.png", "tokenizer.json")
    others = ("notes.md", "best/model.safetensors", "model-small/model.safetensors", "coupling-old/alpha.png")
    hub.put(NAME, dict.fromkeys((*old, *others), b"old"))
    send({name: tiny_run / name for name in FILES}, NAME, message="new")
    assert set(hub.files(NAME)) == {*FILES, *others}
    assert hub.repositories[NAME].messages == ["put", "new"]  # in one commit


def test_a_private_model_and_a_branch(hub, tiny_run):
    files = {name: tiny_run / name for name in FILES}
    send(files, NAME, private=True, message="first")
    assert hub.repositories[NAME].private
    send({**files, "config.json": b"{}"}, NAME, revision="next", message="second")
    assert hub.files(NAME, "next")["config.json"] == b"{}"
    assert hub.files(NAME)["config.json"] == (tiny_run / "config.json").read_bytes()


def test_what_is_to_be_private_is_not_sent_where_everybody_sees_it(hub, tiny_run):
    files = {name: tiny_run / name for name in FILES}
    hub.put(NAME, {"notes.md": b"public"})
    hub.asked.clear()
    with pytest.raises(HubError, match=r"me/tagger: is there already, and everybody may see it, so nothing was sent"):
        send(files, NAME, private=True, revision="next", message="secret")
    assert not [path for method, path in hub.asked if method in ("POST", "PUT") and not path.endswith("/create")]
    assert hub.files(NAME) == {"notes.md": b"public"}
    hub.repositories[NAME].private = True
    send(files, NAME, private=True, message="secret")
    assert set(hub.files(NAME)) == {*FILES, "notes.md"}


def test_sending_what_is_there_makes_no_commit(hub, tiny_run):
    files = {name: tiny_run / name for name in FILES}
    first = send(files, NAME, message="first")
    assert send(files, NAME, message="second") == first
    assert hub.repositories[NAME].messages == ["initial commit", "first"]


@pytest.mark.parametrize("token", ["hf_wrong", False])
def test_who_may_not_write_is_told_so(hub, tiny_run, token):
    with pytest.raises(HubError, match=r"me/tagger: the hub refused with status 401: .*pass a token="):
        send({"config.json": tiny_run / "config.json"}, NAME, token=token, message="mine")
    assert hub.repositories == {}


def test_a_card_that_the_hub_does_not_take_is_an_error_and_nothing_is_committed(hub, tiny_run):
    card = b"---\nmodel-index:\n- name: x\n  results:\n  - task: {type: ''}\n    dataset: {type: a, name: b}\n"
    card += b"    metrics: [{type: f1, value: 1}]\n---\n"
    with pytest.raises(HubError, match=r"Invalid metadata in README\.md"):
        send({"config.json": tiny_run / "config.json", "README.md": card}, NAME, message="bad")
    assert set(hub.files(NAME)) == {".gitattributes"}


def test_an_upload_that_fails_is_an_error_and_nothing_is_committed(hub, tiny_run):
    hub.full = True
    with pytest.raises(HubError, match=r"me/tagger: the hub's client failed: .*507"):
        send({name: tiny_run / name for name in FILES}, NAME, message="bad")
    assert set(hub.files(NAME)) == {".gitattributes"}


def test_a_folder_goes_before_the_hub(hub, tiny_run, tmp_path, monkeypatch):
    shutil.copytree(tiny_run, tmp_path / "me" / "tagger")
    monkeypatch.chdir(tmp_path)
    assert fetch(NAME) == Path(NAME)
    assert fetch(Path("me"), subfolder="tagger") == Path(NAME)
    assert hub.asked == []

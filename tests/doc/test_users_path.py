"""The section of README.md that leads from nothing to a page with all layers, done as it is written there.

Its commands are run as they stand, each in a process of its own, against a hub on this machine; only the training is
cut short, and the demo listens where nobody else does. What comes after the push is done in another folder, with an
empty cache and without a token.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from launching import PATIENCE
from loopback_hub import TOKEN, LoopbackHub, serve

from seqmtl import Tagger
from seqmtl.documents import documents_page

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SHORT = ["corpora.toy.sizes={train: 800, dev: 20, test: 20}", "training.epochs=8", "training.evaluate_every=8"]


def written() -> list[list[str]]:
    """The commands of the section, block by block, without their comments."""
    section = README.partition("## Train, publish, load, look\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    return [[re.sub(r" +#.*", "", line) for line in block.splitlines()] for block in blocks]


class Person:
    """Someone at a machine of their own: a folder, and a cache of the hub's client that is empty at first."""

    def __init__(self, folder: Path, hub: LoopbackHub, *, token: str = "") -> None:
        """Nothing of what this process knows about hubs is handed on."""
        self.folder = folder / "work"
        self.folder.mkdir(parents=True)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "hub"),
            "HF_HUB_DISABLE_XET": "1",  # its storage has a protocol of its own
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **({"HF_TOKEN": token} if token else {}),
        }

    def types(self, line: str) -> str:
        """Run a command; return what it shows."""
        done = subprocess.run(
            line,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def serves(self, line: str) -> Iterator[str]:
        """Leave a command running that serves a page; its address."""
        process = subprocess.Popen(
            shlex.split(line), cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, encoding="utf-8"
        )
        with process:
            assert process.stdout is not None
            try:
                yield re.findall(r"http://[\d.:]+", process.stdout.readline())[0]
            finally:
                process.terminate()


@pytest.mark.slow
def test_train_publish_load_look(tmp_path: Path):
    [[train, push], [tag, draw, demo]] = written()
    sentences = re.findall(r'"(.+?)"', tag)
    assert len(sentences) == 3
    with serve() as hub:
        author, reader = Person(tmp_path / "author", hub, token=TOKEN), Person(tmp_path / "reader", hub)

        author.types(train + "".join(f" --set '{key}'" for key in SHORT))
        assert "my-name/quickstart" in author.types(push)
        assert {"config.json", "model.safetensors", "recipe.yaml", "README.md"} <= set(hub.files("my-name/quickstart"))

        shown = reader.types(tag)
        assert all(word in shown for sentence in sentences for word in sentence.rstrip(".").split())
        assert all(layer in shown for layer in ("NOUN", "chunk", "srl"))

        hub.asked.clear()
        reader.types(draw)
        with reader.serves(f"{demo} --port 0") as address:
            answered = httpx2.post(address, data={"text": sentences[0]}, timeout=PATIENCE).text
        assert not [path for _, path in hub.asked if "/resolve/" in path or "/large/" in path]  # all was in the cache

    local = Tagger.from_pretrained(author.folder / "runs" / "quickstart")
    expected = documents_page(local.tag(re.findall(r'"(.+?)"', draw)), word_layers=local.word_layers)
    page = (reader.folder / "page.html").read_text(encoding="utf-8")
    assert page == expected
    article = page[page.index("<article>") : page.index("</article>")]
    assert article in answered  # the demo shows the first sentence as the page does
    assert all(part in page for part in ("sold", ">upos<", ">chunk<", '<button type="button" value="1"'))  # a frame

"""The demo: its pages through the library's own client, then as a process, then in a browser."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from launching import PATIENCE
from starlette.testclient import TestClient

from seqmtl import Tagger
from seqmtl.cli import app
from seqmtl.demo import LONGEST, demo_app, serve_demo
from seqmtl.documents import build_document, form_page, segment, to_json_line
from seqmtl.errors import ConfigError

TEXT = "Anna gave 👍🏽 Bob\r\nthe book.  שלום\tShe was “tired”!"
HERE = "http://localhost"


class Segmenter:
    """A tagger without a model: words alone. It knows what it was asked, and whether that was one after the other."""

    word_layers = ()

    def __init__(self):
        self.texts = []
        self.busy = threading.Lock()

    def __call__(self, text):
        assert self.busy.acquire(blocking=False)
        time.sleep(0.01)
        self.texts.append(text)
        self.busy.release()
        return build_document(text, sentences=segment(text))


@pytest.fixture
def tagger():
    return Segmenter()


@pytest.fixture
def client(tagger):
    return TestClient(demo_app(tagger, title="a model"), base_url=HERE)


def test_the_page_at_first_is_a_field(client, tagger):
    answer = client.get("/")
    assert answer.text == form_page(None, title="a model", longest=LONGEST)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"
    assert tagger.texts == []


def test_a_text_gives_the_page_of_its_document(client, tagger):
    text = "Anna slept.\n\nBob, 100 % & + <b> 👍🏽 שלום"
    answer = client.post("/", data={"text": text.replace("\n", "\r\n")})  # as browsers do
    assert tagger.texts == [text]
    expected = build_document(text, sentences=segment(text))
    assert answer.text == form_page(expected, title="a model", longest=LONGEST)


def test_the_layers_of_a_model_are_on_the_page_and_those_of_predict_in_the_json(tiny_run):
    tagger = Tagger.from_pretrained(tiny_run)
    client = TestClient(demo_app(tagger, title="tiny"), base_url=HERE)
    document = tagger(TEXT)
    answer = client.post("/api/tag", json={"text": TEXT})
    assert answer.headers["content-type"] == "application/json"
    assert answer.content.decode() == to_json_line(document) + "\n"
    assert answer.json()["text"] == TEXT
    page = client.post("/", data={"text": document.text.replace("\r\n", "\n")}).text
    assert ">upos<" in page
    assert page == form_page(
        tagger(document.text.replace("\r\n", "\n")), word_layers=tagger.word_layers, title="tiny", longest=LONGEST
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Invalid JSON"),
        (b"text=Anna", "Invalid JSON"),
        (b"\xff", "Invalid JSON"),
        (b"[" * 1000, "Invalid JSON"),
        (rb'{"text": "\ud800"}', "Invalid JSON"),
        (b"{}", "text: Field required"),
        (b'{"text": 3}', "text: Input should be a valid string"),
        (b'{"text": "a", "texts": []}', "texts: Extra inputs are not permitted"),
        (b'["a"]', "Input should be an object"),
    ],
)
def test_json_that_asks_for_nothing_is_refused(client, tagger, body, message):
    answer = client.post("/api/tag", content=body)
    assert answer.status_code == 400
    assert message in answer.text
    assert answer.text.endswith('send a JSON object such as {"text": "Anna slept."}')
    assert tagger.texts == []


def test_a_form_without_a_text_is_refused(client, tagger):
    answer = client.post("/", data={"txt": "Anna"})
    assert (answer.status_code, answer.text) == (400, "the form has no field 'text'")
    assert tagger.texts == []


@pytest.mark.parametrize("character", ["a", "\n", "👍"])
def test_the_longest_text_fits_and_no_longer_one(client, tagger, character):
    text = character * LONGEST
    for sent in ({"data": {"text": text}}, {"json": {"text": text}}, {"content": json.dumps({"text": text})}):
        path = "/" if "data" in sent else "/api/tag"
        assert client.post(path, **sent).status_code == 200
    assert tagger.texts == [text] * 3
    for path, sent in (("/", {"data": {"text": text + "."}}), ("/api/tag", {"json": {"text": text + "."}})):
        answer = client.post(path, **sent)
        assert answer.status_code == 413
        assert "the text is too long: at most 20,000 characters; `seqmtl predict` takes any length" in answer.text
    assert len(tagger.texts) == 3


@pytest.mark.parametrize("path", ["/", "/api/tag"])
@pytest.mark.parametrize("sent", [b"a" * 1_000_000, [b"a" * 10_000] * 100], ids=["said at first", "in parts"])
def test_a_large_request_is_refused(client, tagger, path, sent):
    assert client.post(path, content=sent if isinstance(sent, bytes) else iter(sent)).status_code == 413
    assert tagger.texts == []


def test_other_names_than_those_of_this_machine_are_refused(tagger):
    for name in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example"):
        client = TestClient(demo_app(tagger, title="a model"), base_url=f"http://{name}:8000")
        assert client.get("/").status_code == 400
        client = TestClient(demo_app(tagger, title="a model", for_all=True), base_url=f"http://{name}:8000")
        assert client.get("/").status_code == 200
    for name in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
        client = TestClient(demo_app(tagger, title="a model"), base_url=f"http://{name}")
        assert client.get("/").status_code == 200


def test_one_text_is_tagged_at_a_time(tagger):
    async def ask():
        transport = httpx2.ASGITransport(app=demo_app(tagger, title="a model"))
        async with httpx2.AsyncClient(transport=transport, base_url=HERE) as client:
            answers = [client.post("/api/tag", json={"text": f"{number}"}) for number in range(5)]
            return [answer.json()["text"] for answer in await asyncio.gather(*answers)]

    assert asyncio.run(ask()) == ["0", "1", "2", "3", "4"]
    assert len(tagger.texts) == 5


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_without_its_library_it_says_how_to_get_it(library, tiny_run, monkeypatch):
    monkeypatch.delitem(sys.modules, "seqmtl.demo")
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"seqmtl demo: {library} is not installed; pip install 'seqmtl\[demo\]'"):
        app(["demo", str(tiny_run)], standalone_mode=False)


def test_where_nobody_can_listen_is_said_before_the_model_is_read(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"--port {port}: cannot be listened at: Address already in use.*0: any"):
            serve_demo(str(tmp_path / "none"), host="127.0.0.1", port=port, device="cpu", announce=print)
    with pytest.raises(ConfigError, match=r"--host 203\.0\.113\.1 --port 0: cannot be listened at: "):
        serve_demo(str(tmp_path / "none"), host="203.0.113.1", port=0, device="cpu", announce=print)


@contextmanager
def served(run: Path):
    """A demo of a run as a process; where it answers."""
    command = [sys.executable, "-m", "seqmtl.cli", "demo", str(run), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        yield re.findall(r"http://127\.0\.0\.1:\d+", line)[0]
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.slow
def test_it_is_served_until_somebody_ends_it(tiny_run):
    with served(tiny_run) as address:
        page = httpx2.post(address, data={"text": "Anna slept."}, timeout=PATIENCE).text
        tagger = Tagger.from_pretrained(tiny_run)
        expected = form_page(
            tagger("Anna slept."), word_layers=tagger.word_layers, title=str(tiny_run), longest=LONGEST
        )
        assert page == expected
        with httpx2.Client(base_url=address) as client:
            assert client.post("/api/tag", content=b"a" * 1_000_000).status_code == 413
            assert client.post("/api/tag", content=urlencode({"text": "a"})).status_code == 400
            assert client.get("/elsewhere").status_code == 404
            assert client.get("/api/tag").status_code == 405
            assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
            # The client still holds its connection when the server is told to end.
            assert client.post("/api/tag", json={"text": TEXT}).json()["text"] == TEXT


@pytest.mark.slow
def test_in_a_browser_a_text_is_typed_and_its_layers_appear(browser, tiny_run, tmp_path):
    text = (
        "<script>document.title = 'hit'</script> Anna gave Bob the book.\nMaria sold the house to a teacher yesterday."
    )
    with served(tiny_run) as address:
        browser.look(width=1000)
        browser.open(address)
        empty = browser.photograph(tmp_path / "empty.png").read_bytes()
        browser.click("textarea")
        browser.write(text)
        before = browser.loads
        browser.press("Enter", control=True)
        browser.loaded(after=before)
        assert browser.photograph(tmp_path / "tagged.png").read_bytes() != empty
        assert browser.run("document.querySelector('textarea').value") == text
        assert browser.run("document.title") == str(tiny_run)
        names = browser.run("[...document.querySelectorAll('.names .tag')].map(e => e.innerText)")
        assert {"upos", "chunk"} <= set(names)
        assert browser.run("document.querySelectorAll('.sentence').length") >= 2

        before = browser.loads
        browser.run("document.querySelector('textarea').value = 'She slept.'")
        browser.click("form button")
        browser.loaded(after=before)
        assert browser.run("document.querySelectorAll('.sentence').length") == 1
        assert (browser.errors, set(browser.asked)) == ([], {f"{address}/"})

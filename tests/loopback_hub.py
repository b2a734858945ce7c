"""A hub on this machine: the routes that huggingface_hub uses, in memory, and what can go wrong with them.

The client is the real one. Files that end in .safetensors or .png are kept in large-file storage, and fetched from
another origin than the hub, as they are from the hub itself.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Literal
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_loopback"  # the only one that this hub knows
LARGE = (".safetensors", ".png")

# What can befall the content of a file: it comes short, as if it were whole; the connection breaks once; another
# content of the same size comes.
Fault = Literal["short", "cut once", "altered"]


@dataclass(frozen=True)
class Stored:
    """A file of a commit."""

    content: bytes
    large: bool

    @property
    def git_hash(self) -> str:
        """The name that git gives to what it has of the file."""
        blob = self.pointer if self.large else self.content
        return hashlib.sha1(b"blob %d\0" % len(blob) + blob).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.git_hash

    @property
    def pointer(self) -> bytes:
        return f"oid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()

    def listed(self, path: str) -> dict:
        """The file as a tree lists it."""
        entry = {"type": "file", "path": path, "oid": self.git_hash, "size": len(self.content)}
        lfs = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return entry | ({"lfs": lfs} if self.large else {})


@dataclass
class Repository:
    """The commits of a model, and the branches that point at them."""

    private: bool = False
    gated: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    trees: dict[str, dict[str, Stored]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, tree: Mapping[str, Stored], *, branch: str, message: str) -> str:
        self.messages.append(message)
        names = "".join(f"{path}{stored.etag}" for path, stored in sorted(tree.items()))
        sha = hashlib.sha1(f"{len(self.messages)}{names}".encode()).hexdigest()
        self.trees[sha] = dict(tree)
        self.branches[branch] = sha
        return sha

    def find(self, revision: str) -> str | None:
        """The commit of a branch, or a commit."""
        return self.branches.get(revision) or (revision if revision in self.trees else None)


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str = "", message: str = "", body: Mapping | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.body = status, code, message, body or {"error": message}


class LoopbackHub:
    """The state of the hub.

    Attributes:
        url: where it answers.
        repositories: by name.
        faults: by file.
        full: whether no large file fits into it any more.
        asked: (method, path) of every request so far.
    """

    def __init__(self) -> None:
        self.url = self.storage = ""
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.full = False
        self.asked: list[tuple[str, str]] = []

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """What a model has."""
        repository = self.repositories[name]
        return {path: stored.content for path, stored in repository.trees[repository.find(revision)].items()}

    def put(self, name: str, files: Mapping[str, bytes], *, branch: str = "main") -> str:
        """Commit files past the client, beside what is there."""
        repository = self.repositories.setdefault(name, Repository())
        before = repository.trees.get(repository.branches.get(branch, ""), {})
        new = {path: Stored(content, path.endswith(LARGE)) for path, content in files.items()}
        self.large |= {stored.sha256: stored.content for stored in new.values() if stored.large}
        return repository.commit(before | new, branch=branch, message="put")

    # --- routes: (method, pattern) to what is answered, as JSON

    def whoami(self, request: "Request") -> dict:
        request.must_be_logged_in()
        return {"name": "me", "type": "user", "auth": {"accessToken": {"role": "write"}}}

    def create(self, request: "Request") -> dict:
        request.must_be_logged_in()
        name = "/".join(part for part in (request.json["organization"], request.json["name"]) if part)
        if name in self.repositories:
            raise RefusedError(409, message="You already created this model repo", body={"url": f"{self.url}/{name}"})
        repository = self.repositories[name] = Repository(private=request.json.get("visibility") == "private")
        repository.commit({".gitattributes": Stored(b"", False)}, branch="main", message="initial commit")
        return {"url": f"{self.url}/{name}"}

    def branch(self, request: "Request", name: str, branch: str) -> dict:
        repository = self.seen(request, name)
        if branch in repository.branches:
            raise RefusedError(409, message="Reference already exists")
        repository.branches[branch] = repository.branches["main"]
        return {}

    def info(self, request: "Request", name: str, revision: str = "main") -> dict:
        repository = self.seen(request, name)
        sha = self.commit_of(repository, revision)
        siblings = [{"rfilename": path} for path in repository.trees[sha]]
        return {"id": name, "modelId": name, "sha": sha, "private": repository.private, "siblings": siblings}

    def tree(self, request: "Request", name: str, revision: str, folder: str | None) -> list:
        repository = self.seen(request, name)
        tree = repository.trees[self.commit_of(repository, revision)]
        inside = {path: stored for path, stored in tree.items() if folder is None or path.startswith(f"{folder}/")}
        if not inside:
            raise RefusedError(404, "EntryNotFound", f"there is no {folder}")
        return [stored.listed(path) for path, stored in sorted(inside.items())]

    def preupload(self, request: "Request", name: str, revision: str) -> dict:
        request.must_be_logged_in()
        repository = self.seen(request, name)
        tree = repository.trees[self.commit_of(repository, revision)]
        paths = [file["path"] for file in request.json["files"]]
        return {
            "files": [
                {
                    "path": path,
                    "uploadMode": "lfs" if path.endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                    "oid": tree[path].etag if path in tree else None,
                }
                for path in paths
            ]
        }

    def batch(self, request: "Request", name: str) -> dict:
        request.must_be_logged_in()
        self.seen(request, name)
        objects = []
        for asked in request.json["objects"]:
            upload = {"upload": {"href": f"{self.storage}/large/{asked['oid']}"}}
            objects.append(asked | ({} if asked["oid"] in self.large else {"actions": upload}))
        return {"transfer": "basic", "objects": objects}

    def store(self, request: "Request", oid: str) -> dict:
        if self.full:
            raise RefusedError(507, message="there is no space left")
        if hashlib.sha256(request.body).hexdigest() != oid:
            raise RefusedError(400, message="content does not have this hash")
        self.large[oid] = request.body
        return {}

    def commit(self, request: "Request", name: str, revision: str) -> dict:
        request.must_be_logged_in()
        repository = self.seen(request, name)
        tree = dict(repository.trees[self.commit_of(repository, revision)])
        message = ""
        for line in request.body.splitlines():
            key, value = (json.loads(line)[part] for part in ("key", "value"))
            match key:
                case "header":
                    message = value["summary"]
                case "file":
                    tree[value["path"]] = Stored(base64.b64decode(value["content"]), False)
                case "lfsFile":
                    tree[value["path"]] = Stored(self.large[value["oid"]], True)
                case "deletedFile":
                    del tree[value["path"]]
        sha = repository.commit(tree, branch=revision, message=message)
        return {"success": True, "commitOid": sha, "commitUrl": f"{self.url}/{name}/commit/{sha}"}

    def validate(self, request: "Request") -> dict:
        """Of the real hub's rules those that say what ``model-index`` and the names of a model are."""
        found = re.match(r"---\n(.*?)\n---\n", request.json["content"], flags=re.DOTALL)
        data = yaml.safe_load(found[1]) if found else {}
        errors = [] if found else [{"message": "there is no metadata"}]
        for index in data.get("model-index", []):
            for result in index["results"]:
                task, dataset = result["task"]["type"], result["dataset"]
                whole = task and dataset["type"] and dataset["name"] and index["name"]
                for metric in result["metrics"]:
                    if not (whole and metric["type"] and isinstance(metric["value"], int | float)):
                        errors.append({"message": f"model-index: {result}"})
        if not isinstance(data.get("tags", []), list) or not isinstance(data.get("widget", []), list):
            errors.append({"message": "tags and widget are lists"})
        if errors:
            raise RefusedError(400, message="invalid metadata", body={"errors": errors, "warnings": []})
        return {"errors": [], "warnings": []}

    def seen(self, request: "Request", name: str) -> Repository:
        """The model of that name, if whoever asks may see it."""
        if request.token not in (None, TOKEN):
            raise RefusedError(401, message="Invalid credentials in Authorization header")
        repository = self.repositories.get(name)
        if repository is None or (repository.private and request.token is None):
            raise RefusedError(401, "RepoNotFound", "Repository not found")  # the hub does not say which
        if repository.gated:
            raise RefusedError(403, "GatedRepo", "Access to this model is restricted")
        return repository

    def commit_of(self, repository: Repository, revision: str) -> str:
        sha = repository.find(revision)
        if sha is None:
            raise RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha


NAME, REVISION = r"([^/]+/[^/]+)", r"([^/]+)"  # slashes of a revision come quoted
ROUTES = [
    ("GET", r"/api/whoami-v2", LoopbackHub.whoami),
    ("POST", r"/api/repos/create", LoopbackHub.create),
    ("POST", r"/api/validate-yaml", LoopbackHub.validate),
    ("POST", rf"/api/models/{NAME}/branch/{REVISION}", LoopbackHub.branch),
    ("POST", rf"/api/models/{NAME}/preupload/{REVISION}", LoopbackHub.preupload),
    ("POST", rf"/api/models/{NAME}/commit/{REVISION}", LoopbackHub.commit),
    ("GET", rf"/api/models/{NAME}/tree/{REVISION}(?:/(.+))?", LoopbackHub.tree),
    ("GET", rf"/api/models/{NAME}/revision/{REVISION}", LoopbackHub.info),
    ("GET", rf"/api/models/{NAME}", LoopbackHub.info),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", LoopbackHub.batch),
    ("PUT", r"/large/([0-9a-f]{64})", LoopbackHub.store),
]


class Request(BaseHTTPRequestHandler):
    """One request to the hub."""

    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    @property
    def token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    def must_be_logged_in(self) -> None:
        if self.token != TOKEN:
            raise RefusedError(401, message="Invalid credentials in Authorization header")

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def answer(self) -> None:
        """Read the whole request, then send what its route gives."""
        self.body = self.read_body()
        path = urlsplit(self.path).path
        self.hub.asked.append((self.command, unquote(path)))
        try:
            if self.command in ("GET", "HEAD"):
                if found := re.fullmatch(rf"/{NAME}/resolve/{REVISION}/(.+)", path):
                    return self.resolve(*map(unquote, found.groups()))
                if found := re.fullmatch(r"/large/([0-9a-f]{64})/(.+)", path):
                    return self.content(self.hub.large[found[1]], name=unquote(found[2]))
            for method, pattern, route in ROUTES:
                if method == self.command and (found := re.fullmatch(pattern, path)):
                    parts = [part if part is None else unquote(part) for part in found.groups()]
                    return self.send_json(200, route(self.hub, self, *parts))
            raise RefusedError(404, message=f"there is no {self.command} {path}")
        except RefusedError as refused:
            self.send_json(
                refused.status, refused.body, {"X-Error-Code": refused.code, "X-Error-Message": refused.message}
            )

    def resolve(self, name: str, revision: str, path: str) -> None:
        """A file of a commit; one in large-file storage by redirection."""
        repository = self.hub.seen(self, name)
        sha = self.hub.commit_of(repository, revision)
        stored = repository.trees[sha].get(path)
        if stored is None:
            self.send_json(404, {}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
            return
        headers = {"X-Repo-Commit": sha, "ETag": f'"{stored.etag}"'}
        if not stored.large:
            self.content(stored.content, name=path, headers=headers)
            return
        linked = {"X-Linked-Etag": f'"{stored.etag}"', "X-Linked-Size": str(len(stored.content))}
        location = {"Location": f"{self.hub.storage}/large/{stored.sha256}/{path}", "Content-Length": "0"}
        self.send(302, headers | linked | location)

    def content(self, content: bytes, *, name: str, headers: Mapping[str, str] | None = None) -> None:
        """The bytes of a file, or those of a range of it, unless a fault befalls them."""
        fault = self.hub.faults.get(name) if self.command == "GET" else None
        if fault == "short":
            content = content[: len(content) // 2]
        if fault == "altered":
            content = content[:-1] + bytes([content[-1] ^ 1])
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        part = content[int(asked[1]) :] if asked else content
        ranged = (
            {"Content-Range": f"bytes {len(content) - len(part)}-{len(content) - 1}/{len(content)}"} if asked else {}
        )
        self.send(206 if asked else 200, {**(headers or {}), **ranged, "Content-Length": str(len(part))})
        if self.command == "HEAD":
            return
        if fault == "cut once":
            del self.hub.faults[name]
            self.wfile.write(part[: len(part) // 2])
            self.close_connection = True
            return
        self.wfile.write(part)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def send_json(self, status: int, content: object, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def send(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve() -> Iterator[LoopbackHub]:
    """A hub that answers until the context ends."""
    hub = LoopbackHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Request,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    hub.storage = f"http://localhost:{server.server_port}"  # to a client another origin: it does not get the token
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

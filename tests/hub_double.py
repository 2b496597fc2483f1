"""A double of the Hub on loopback: the endpoints that huggingface_hub 2.4, transformers and datasets call, without Xet storage.

with HubDouble() as hub:
    hub.add("ana/tiny", folder)            # a repository with the files of a folder
    os.environ["HF_ENDPOINT"] = hub.url    # read once, when huggingface_hub is imported

As on the Hub, large files and those of binary formats go to a storage of their own (Git LFS, by their SHA-256) before the commit names
them, and are fetched from there through a redirect to another host name. Who may do what hangs on `TOKENS`. `hub.requests` has each request.
"""

import base64
import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote

import yaml

TOKENS = {
    "hf_write": ("ana", "write"),
    "hf_read": ("ana", "read"),
    "hf_fine": ("ana", "fineGrained"),
    "hf_luis": ("luis", "write"),
}
"""{token: (user, role)}. `hf_fine` is a fine-grained token without a right to write."""

LARGE = (".safetensors", ".parquet", ".bin", ".gz")
PLURAL = {"model": "models", "dataset": "datasets"}


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _blob(data: bytes) -> str:
    """Return the id that git gives to a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Repository:
    """The last commit of a repository: its files, and which of them lie in the large storage."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)

    @property
    def head(self) -> str:
        return hashlib.sha1("".join(self.commits).encode()).hexdigest()

    def entry(self, path: str) -> dict:
        data = self.files[path]
        entry = {"type": "file", "oid": _blob(data), "size": len(data), "path": path}
        if path.endswith(LARGE):
            entry["lfs"] = {"oid": _sha(data), "size": len(data), "pointerSize": 134}
        return entry

    def entries(self, below: str, recursive: bool) -> Iterator[dict]:
        """Yield what lies in a folder."""
        folders = set()
        for path in sorted(self.files):
            if below and not path.startswith(f"{below}/"):
                continue
            parts = path.removeprefix(f"{below}/" if below else "").split("/")
            folders |= {
                "/".join(parts[: depth + 1]) for depth in range(len(parts) - 1 if recursive else len(parts) > 1)
            }
            if recursive or len(parts) == 1:
                yield self.entry(path)
        for name in sorted(folders):
            yield {"type": "directory", "oid": _blob(name.encode()), "size": 0, "path": f"{below}/{name}".strip("/")}


class HubDouble:
    """The server. `repositories` is {(kind, "owner/name"): Repository}, `storage` {SHA-256: bytes}."""

    def __init__(self):
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.storage: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.times = 0
        self.breaks: list[str] = []
        """Beginnings of requests, such as "PUT /storage": where one fits, the connection breaks after half of what is sent or asked for."""

    def __enter__(self) -> "HubDouble":
        self.server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.far = f"http://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def add(self, name: str, folder: Path, kind: str = "model", private: bool = False) -> Repository:
        """Make a repository with the files of a folder."""
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.repositories[kind, name] = Repository(private, files, ["first"])
        return self.repositories[kind, name]

    def asked(self, beginning: str) -> list[str]:
        """Return the requests that begin so."""
        return [request for request in self.requests if request.startswith(beginning)]

    @contextmanager
    def breaking(self, *beginnings: str, times: int = 100) -> Iterator[None]:
        """Break the first of such requests inside of the block."""
        self.breaks, self.times = list(beginnings), times
        try:
            yield
        finally:
            self.breaks = []


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # a class asks at once

    def handle_error(self, request, client_address):
        """Say nothing of a client that went away, and everything of a fault of the double."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Refused(Exception):
    """An answer that is an error: status, the Hub's code for it, its sentence."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubDouble

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.path, _, query = self.path.partition("?")
        request = f"{self.command} {self.path} {self.headers.get('Range') or ''}".strip()
        self.hub.requests.append(request)
        length = int(self.headers.get("Content-Length") or 0)
        self.breaks = self.hub.times > 0 and any(request.startswith(beginning) for beginning in self.hub.breaks)
        self.hub.times -= self.breaks
        if self.breaks and self.command != "GET":
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        chunks = []
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        self.body = b"".join(chunks) or self.rfile.read(length)
        try:
            self._route(unquote(self.path), parse_qs(query))
        except _Refused as refused:
            status, code, sentence = refused.args
            headers = {"X-Error-Code": code, "X-Error-Message": sentence}
            self._answer({"error": sentence}, status, {name: value for name, value in headers.items() if value})

    do_HEAD = do_POST = do_PUT = do_GET

    def _route(self, path: str, query: dict) -> None:
        user, role = self._who()
        if path == "/api/whoami-v2":
            if not user:
                raise _Refused(401, "", "Invalid credentials in Authorization header")
            return self._answer(
                {
                    "type": "user",
                    "name": user,
                    "orgs": [],
                    "auth": {"accessToken": {"displayName": "test", "role": role}},
                }
            )
        if path == "/api/validate-yaml":
            return self._validate(json.loads(self.body)["content"])
        if path == "/api/repos/create":
            return self._create(json.loads(self.body), user, role)
        if found := re.fullmatch(r"/storage/(\w{64})", path):
            return (
                self._store(found[1])
                if self.command == "PUT"
                else self._send_file(self.hub.storage[found[1]], found[1])
            )
        if found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            self._repository("dataset" if found[1] else "model", found[2], user, role, writes=True)
            return self._answer({"objects": [self._place(one) for one in json.loads(self.body)["objects"]]})
        if found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repository = self._repository("dataset" if found[1] else "model", found[2], user, role)
            return self._resolve(repository, found[3], found[4])
        if found := re.fullmatch(
            r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/(revision|tree|preupload|commit|paths-info)/([^/]+)/?(.*))?", path
        ):
            kind, name, action, revision, rest = found.groups()
            writes = action in ("preupload", "commit")
            repository = self._repository(kind, name, user, role, writes)
            self._known(repository, revision or "main")
            return getattr(self, f"_{(action or 'revision').replace('-', '_')}")(
                repository, f"{kind}:{name}", rest or "", query
            )
        raise _Refused(404, "", f"The double has no answer to {self.command} {path}")

    def _who(self) -> tuple[str | None, str | None]:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in TOKENS:
            raise _Refused(401, "", "Invalid credentials in Authorization header")
        return TOKENS.get(token, (None, None))

    def _repository(self, kind: str, name: str, user: str | None, role: str | None, writes: bool = False) -> Repository:
        repository = self.hub.repositories.get((kind, name))
        mine = user == name.split("/")[0]
        if repository is None or (repository.private and not mine):
            # So that nobody learns which private repositories there are.
            raise _Refused(404 if user else 401, "RepoNotFound", "Repository not found")
        if writes and not (mine and role == "write"):
            raise _Refused(403, "", "You don't have the rights to write here")
        return repository

    def _known(self, repository: Repository, revision: str) -> None:
        if revision not in ("main", repository.head):
            raise _Refused(404, "RevisionNotFound", "Invalid rev id")

    def _create(self, asked: dict, user: str | None, role: str | None) -> None:
        if not user:
            raise _Refused(401, "", "Invalid username or password.")
        owner = asked.get("organization") or user
        kind = asked.get("type") or "model"
        if role != "write" or owner != user:
            raise _Refused(403, "", f"You don't have the rights to create a {kind} under the namespace {owner}")
        key = kind, f"{owner}/{asked['name']}"
        prefix = "datasets/" if kind == "dataset" else ""
        answer = {"url": f"{self.hub.url}/{prefix}{key[1]}", "name": key[1]}
        if key in self.hub.repositories:
            return self._answer({**answer, "error": "You already created this repo"}, 409)
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.repositories[key] = Repository(bool(private))
        return self._answer(answer)

    def _validate(self, content: str) -> None:
        head = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        try:
            data = yaml.safe_load(head[1]) if head else {}
        except yaml.YAMLError:
            data = None
        if not isinstance(data, dict):
            return self._answer({"errors": [{"message": "bad indentation of a mapping entry"}], "warnings": []}, 400)
        return self._answer({"errors": [], "warnings": []})

    def _place(self, wanted: dict) -> dict:
        """Say where a large file is to be put; nothing where it is there already."""
        if wanted["oid"] in self.hub.storage:
            return wanted
        return {**wanted, "actions": {"upload": {"href": f"{self.hub.far}/storage/{wanted['oid']}"}}}

    def _store(self, name: str) -> None:
        if _sha(self.body) != name:
            raise _Refused(400, "", "The file is not the one that was announced")
        self.hub.storage[name] = self.body
        return self._answer({})

    def _preupload(self, repository: Repository, *_) -> None:
        files = []
        for asked in json.loads(self.body)["files"]:
            large, known = asked["path"].endswith(LARGE), repository.files.get(asked["path"])
            oid = None if known is None else (_sha if large else _blob)(known)
            mode = "lfs" if large else "regular"
            files.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return self._answer({"files": files})

    def _commit(self, repository: Repository, name: str, *_) -> None:
        files = dict(repository.files)
        for line in self.body.splitlines():
            key, value = (entry := json.loads(line))["key"], entry["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                if value["oid"] not in self.hub.storage:
                    raise _Refused(400, "", f"{value['path']} was never uploaded")
                files[value["path"]] = self.hub.storage[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        repository.files = files
        repository.commits.append(_sha(self.body))
        kind, _, name = name.partition(":")
        prefix = "datasets/" if kind == "dataset" else ""
        url = f"{self.hub.url}/{prefix}{name}/commit/{repository.head}"
        return self._answer({"success": True, "commitOid": repository.head, "commitUrl": url, "pullRequestUrl": None})

    def _revision(self, repository: Repository, name: str, *_) -> None:
        name = name.partition(":")[2]
        siblings = [{"rfilename": path} for path in sorted(repository.files)]
        told = {
            "_id": "0",
            "id": name,
            "sha": repository.head,
            "private": repository.private,
            "siblings": siblings,
            "tags": [],
            "downloads": 0,
            "likes": 0,
        }
        return self._answer(
            {
                **told,
                "author": name.split("/")[0],
                "gated": False,
                "disabled": False,
                "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z",
            }
        )

    def _tree(self, repository: Repository, _, below: str, query: dict) -> None:
        recursive = query.get("recursive", ["false"])[0].casefold() in ("true", "1")
        found = list(repository.entries(below.strip("/"), recursive))
        if below and not found:
            raise _Refused(404, "EntryNotFound", "Entry not found")
        return self._answer(found)

    def _paths_info(self, repository: Repository, *_) -> None:
        kind = self.headers.get("Content-Type", "")
        paths = json.loads(self.body)["paths"] if "json" in kind else parse_qs(self.body.decode())["paths"]
        return self._answer([repository.entry(path) for path in paths if path in repository.files])

    def _resolve(self, repository: Repository, revision: str, path: str) -> None:
        self._known(repository, revision)
        commit = {"X-Repo-Commit": repository.head}
        if path not in repository.files:
            raise _Refused(404, "EntryNotFound", "Entry not found")
        data = repository.files[path]
        if not path.endswith(LARGE):
            return self._send_file(data, _blob(data), commit)
        self.hub.storage[_sha(data)] = data
        linked = {"X-Linked-Etag": f'"{_sha(data)}"', "X-Linked-Size": str(len(data))}
        return self._answer(None, 302, {**commit, **linked, "Location": f"{self.hub.far}/storage/{_sha(data)}"})

    def _send_file(self, data: bytes, etag: str, headers: dict | None = None) -> None:
        headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes", **(headers or {})}
        if etag in (self.headers.get("If-None-Match") or ""):
            return self._send(304, b"", headers)
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last = int(found[1]), min(int(found[2] or len(data) - 1), len(data) - 1)
            if first > last:
                return self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            return self._send(206, data[first : last + 1], headers)
        return self._send(200, data, headers)

    def _answer(self, value, status: int = 200, headers: dict | None = None) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, data: bytes, headers: dict) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if self.breaks else data)
            self.close_connection = self.breaks

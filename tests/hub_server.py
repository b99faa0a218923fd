"""A stand-in for the Hugging Face hub on this machine's own address: what its HTTP interface says of models, with commits.

Written after huggingface_hub's own requests. What is not asked for by push and pull is answered with 404.
"""

import base64
import hashlib
import http.server
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """Commits by their names, each a mapping of file names to contents; `heads` are branches and tags."""

    private: bool = True
    commits: dict = field(default_factory=dict)
    heads: dict = field(default_factory=dict)
    stated: dict = field(default_factory=dict)  # SHA-256 that is stated in place of a file's own

    def commit(self, files, head="main"):
        known = self.commits.get(self.heads.get(head), {})
        name = hashlib.sha1(repr((sorted((known | files).items()), len(self.commits))).encode()).hexdigest()
        self.commits[name] = known | files
        self.heads[head] = name
        return name

    def find(self, revision):
        return revision if revision in self.commits else self.heads.get(revision)


class Hub(http.server.ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.blobs, self.asked = {}, {}, []
        self.token = None  # if set, who asks without it is refused
        self.address = f"http://127.0.0.1:{self.server_port}"

    def add(self, name, files, head="main"):
        return self.repositories.setdefault(name, Repository()).commit(files, head)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _start(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, self.headers.get("User-Agent", "")))
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._give(b"{}", 401, {"X-Error-Message": "Invalid credentials"})
            return None
        return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]

    def _give(self, content, status=200, headers=()):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        sent = {"Content-Type": "application/json", "Content-Length": str(len(content))} | dict(headers)
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _miss(self, code="RepoNotFound"):
        self._give(b"{}", 404, {"X-Error-Code": code})

    def do_GET(self):
        parts = self._start()
        if parts is None:
            return
        if parts[:2] == ["api", "models"]:
            repository = self.server.repositories.get("/".join(parts[2:4]))
            self._describe(parts, repository) if repository else self._miss()
        elif parts[2:3] == ["resolve"]:
            self._send_file(parts)
        else:
            self._miss()

    do_HEAD = do_GET  # noqa: N815

    def _describe(self, parts, repository):
        commit = repository.find(parts[5] if len(parts) > 5 else "main")
        if commit is None:
            return self._miss("RevisionNotFound")
        files = repository.commits[commit]
        siblings = [
            {"rfilename": name, "size": len(content), **self._lfs(repository, name, content)} for name, content in files.items()
        ]
        return self._give({"id": "/".join(parts[2:4]), "sha": commit, "siblings": siblings, "tags": [], "private": True})

    def _lfs(self, repository, name, content):
        if not name.endswith(".safetensors"):
            return {}
        sha256 = repository.stated.get(name, hashlib.sha256(content).hexdigest())
        return {"lfs": {"sha256": sha256, "size": len(content), "pointerSize": 134}}

    def _send_file(self, parts):
        repository = self.server.repositories.get("/".join(parts[:2]))
        commit = repository and repository.find(parts[3])
        content = commit and repository.commits[commit].get("/".join(parts[4:]))
        if content is None:
            return self._miss("EntryNotFound" if commit else "RepoNotFound")
        etag = hashlib.sha256(content).hexdigest()
        return self._give(
            content, 200, {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Content-Type": "application/octet-stream"}
        )

    def do_PUT(self):
        parts = self._start()
        if parts is not None:
            self.server.blobs[parts[-1]] = self.body
            self._give(b"")

    def do_POST(self):
        parts = self._start()
        if parts is None:
            return None
        if parts == ["api", "repos", "create"]:
            asked = json.loads(self.body)
            name = f"{asked['organization']}/{asked['name']}"
            if name in self.server.repositories:
                return self._give({"error": "exists", "url": f"{self.server.address}/{name}"}, 409)
            self.server.repositories[name] = Repository(private=asked.get("visibility") == "private")
            self.server.add(name, {".gitattributes": b"*.safetensors filter=lfs\n"})
            return self._give({"url": f"{self.server.address}/{name}", "name": name})
        if parts == ["api", "validate-yaml"]:
            return self._give({"errors": [], "warnings": []})
        if parts[-3:] == ["lfs", "objects", "batch"]:
            objects = [
                {"oid": one["oid"], "actions": {"upload": {"href": f"{self.server.address}/blobs/{one['oid']}"}}}
                for one in json.loads(self.body)["objects"]
            ]
            return self._give({"transfer": "basic", "objects": [one | {"size": 1} for one in objects]})
        if parts[4:5] == ["preupload"]:
            files = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(self.body)["files"]
            ]
            return self._give({"files": files})
        if parts[4:5] == ["commit"]:
            return self._commit("/".join(parts[2:4]))
        return self._miss()

    def _commit(self, name):
        files = {}
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.blobs[value["oid"]]
        commit = self.server.add(name, files)
        url = f"{self.server.address}/{name}/commit/{commit}"
        self._give({"commitUrl": url, "commitOid": commit, "pullRequestUrl": None, "success": True})


@contextmanager
def serve_hub():
    """Run a hub until the block ends."""
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join(30)

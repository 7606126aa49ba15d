"""A hub of this machine: what `huggingface_hub` asks of one, and failures."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["Hub", "handler"]


@dataclass
class Hub:
    """Repositories by name, each a list of (commit, path → bytes), the newest last."""

    repositories: dict[str, list[tuple[str, dict[str, bytes]]]] = field(default_factory=dict)
    status: int = 0  # of every answer, where it is not 0
    sizes: dict[str, int] = field(default_factory=dict)  # that are told instead of the true ones
    log: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    url: str = ""

    def commit(self, name: str, files: dict[str, bytes]) -> str:
        history = self.repositories.setdefault(name, [])
        oid = hashlib.sha1(f"{name}{len(history)}".encode(), usedforsecurity=False).hexdigest()
        history.append((oid, files))
        return oid

    def at(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        history = self.repositories.get(name, [])
        if revision == "main":
            return history[-1] if history else None
        return next((one for one in history if one[0] == revision), None)


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    """Handler of requests for a hub."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: object) -> None:
            pass

        def do_GET(self) -> None:
            self.answer()

        def do_HEAD(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def tell(self, value: Any, status: int = 200) -> None:
            self.send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def missing(self, code: str) -> None:
            self.send(404, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = unquote(urlsplit(self.path).path)
            hub.log.append(f"{self.command} {path}")
            if hub.status:
                self.send(hub.status, b"{}")
                return
            words = path.strip("/").split("/")
            if words == ["api", "repos", "create"]:
                asked = json.loads(body)
                name = f"{asked['organization']}/{asked['name']}"
                if name in hub.repositories:
                    self.tell({"error": "exists", "url": f"{hub.url}/{name}"}, 409)
                    return
                hub.repositories[name] = []
                hub.commit(name, {".gitattributes": b""})
                self.tell({"url": f"{hub.url}/{name}", "name": name})
            elif words == ["api", "agent-harnesses"]:
                self.tell({})
            elif words == ["api", "validate-yaml"]:
                self.tell({"errors": [], "warnings": []})
            elif words[:2] == ["api", "models"]:
                self.models("/".join(words[2:4]), words[4:], body)
            elif "resolve" in words:
                cut = words.index("resolve")
                self.resolve("/".join(words[:cut]), words[cut + 1], "/".join(words[cut + 2 :]))
            else:
                hub.unknown.append(f"{self.command} {path}")
                self.send(404, b"{}")

        def models(self, name: str, words: list[str], body: bytes) -> None:
            if name not in hub.repositories:
                self.missing("RepoNotFound")
                return
            found = hub.at(name, words[1] if len(words) > 1 else "main")
            if found is None:
                self.missing("RevisionNotFound")
                return
            oid, files = found
            what = words[0] if words else "revision"
            if what == "revision":
                siblings = [
                    {"rfilename": path, "size": hub.sizes.get(path, len(content))}
                    for path, content in files.items()
                ]
                self.tell({"id": name, "sha": oid, "siblings": siblings, "private": False})
            elif what == "tree":
                self.tell(
                    [
                        {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
                        for path, content in files.items()
                    ]
                )
            elif what == "preupload":
                asked = json.loads(body)["files"]
                self.tell(
                    {
                        "files": [
                            {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                            for each in asked
                        ],
                        "commitOid": oid,
                    }
                )
            elif what == "commit":
                after = dict(files)
                for line in body.splitlines():
                    entry = json.loads(line)
                    value = entry["value"]
                    if entry["key"] == "file":
                        after[value["path"]] = base64.b64decode(value["content"])
                    elif entry["key"] == "deletedFile":
                        after.pop(value["path"])
                made = hub.commit(name, after)
                self.tell({"commitUrl": f"{hub.url}/{name}/commit/{made}", "commitOid": made})
            else:
                hub.unknown.append(f"{self.command} {self.path}")
                self.send(404, b"{}")

        def resolve(self, name: str, revision: str, path: str) -> None:
            found = hub.at(name, revision)
            if found is None:
                missing = "RevisionNotFound" if name in hub.repositories else "RepoNotFound"
                self.missing(missing)
                return
            oid, files = found
            if path not in files:
                self.missing("EntryNotFound")
                return
            tag = hashlib.sha1(files[path], usedforsecurity=False).hexdigest()
            self.send(200, files[path], {"ETag": f'"{tag}"', "X-Repo-Commit": oid})

    return Handler

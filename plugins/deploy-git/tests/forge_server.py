"""A forge for tests: the REST calls that are used, held against what the forges publish; and git over HTTP."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema

TOKEN = "tok-5up3r-s3cr3t"

_CONTRACTS = Path(__file__).with_name("forge_contracts")


class Contract:
    """What a forge says that it takes and answers; see `forge_contracts/README.md`."""

    def __init__(self, forge):
        text = (_CONTRACTS / f"{forge}.json").read_text(encoding="utf-8")
        self.operations = json.loads(text)["operations"]

    def operation(self, method, path):
        """The operation that a path, still quoted, leads to."""
        parts = path.strip("/").split("/")
        for name, found in self.operations.items():
            verb, _, template = name.partition(" ")
            wanted = template.strip("/").split("/")
            if (verb, len(wanted)) == (method, len(parts)) and all(
                one == other or one.startswith("{") for one, other in zip(wanted, parts)
            ):
                return found
        raise Problem(404, f"{method} {path} is not described")

    def check_request(self, operation, query, body):
        """Whatever is sent must be described, with its type."""
        types = {name: schema.get("type") for name, schema in operation["query"]["properties"].items()}
        values = {name: int(value) if types.get(name) == "integer" else value for name, value in query.items()}
        self._check(operation["query"], values, "query")
        if "body" in operation:
            self._check(operation["body"], body, "body")
        elif body is not None:
            raise Problem(400, "a body is not described")

    def check_answer(self, operation, status, value):
        """The answers of this server are no better than those of the real one."""
        self._check(operation["answers"][str(status)], value, "answer")

    @staticmethod
    def _check(schema, value, where):
        for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
            raise Problem(422, f"{where}: {error.message}")


contract_of = lru_cache(maxsize=None)(Contract)


class ForgeServer(ThreadingHTTPServer):
    """Serves one repository as GitHub (`/repos/...`), GitLab (`/projects/...`) and git (`/git/...`)."""

    daemon_threads = True

    def __init__(self, bare, git_env):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bare, self.git_env = bare, git_env
        self.requests, self.failures, self.pulls, self.violations = [], [], [], []
        self.collaborators = {"ann": 7}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self.shutdown()
        self._thread.join()
        self.server_close()
        assert self.violations == []


class Problem(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        split = urlsplit(self.path)
        self.server.requests.append((self.command, split.path, dict(self.headers), body))
        if split.path.startswith("/git/"):
            self._git(split, body)
            return
        try:
            if self.server.failures:
                status, headers = self.server.failures.pop(0)
                self._answer(status, {"message": f"as ordered; your token is {TOKEN}"}, headers)
                return
            query = {key: values[0] for key, values in parse_qs(split.query).items()}
            parts = split.path.strip("/").split("/")
            self._answer(*self._checked(parts, query, json.loads(body) if body else None, split.path))
        except Problem as problem:
            self._answer(problem.status, {"message": str(problem)})

    do_GET = do_POST = do_PATCH = do_PUT = _serve

    def _answer(self, status, value, headers=()):
        text = json.dumps(value).encode()
        self.send_response(status)
        for name, content in (("Content-Type", "application/json"), ("Content-Length", str(len(text))), *headers):
            self.send_header(name, content)
        self.end_headers()
        self.wfile.write(text)

    def _checked(self, parts, query, body, path):
        """Serve a request that the forge's description allows, with an answer that it allows."""
        forge, route = ("github", self._github) if parts[0] == "repos" else ("gitlab", self._gitlab)
        contract = contract_of(forge)
        try:
            operation = contract.operation(self.command, path)
            contract.check_request(operation, query, body)
        except Problem as problem:
            self.server.violations.append(str(problem))
            raise
        status, value = route(parts, query, body)
        try:
            contract.check_answer(operation, status, value)
        except Problem as problem:
            self.server.violations.append(str(problem))
        return status, value

    def _open(self, head, **fields):
        pull = {
            "number": len(self.server.pulls) + 1,
            "head": head,
            "state": "open",
            "labels": [],
            "reviewers": [],
            **fields,
        }
        self.server.pulls.append(pull)
        return pull

    def _branch_exists(self, name):
        listed = subprocess.run(
            ["git", "--git-dir", str(self.server.bare), "rev-parse", "--verify", "-q", f"refs/heads/{name}"],
            capture_output=True, check=False, env=self.server.git_env,
        )  # fmt: skip
        return listed.returncode == 0

    # --- GitHub

    def _github(self, parts, query, body):
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Problem(401, "Bad credentials")
        if parts[1:3] != ["team", "shop"]:
            raise Problem(404, "Not Found")
        tail = parts[3:]
        if self.command == "GET" and not tail:
            return 200, {"default_branch": "main", "html_url": "https://forge.test/team/shop"}
        if self.command == "GET" and tail == ["pulls"]:
            owner, _, head = query["head"].partition(":")
            assert (owner, query["state"]) == ("team", "all")
            return 200, [self._github_pull(pull) for pull in reversed(self.server.pulls) if pull["head"] == head][:1]
        if tail == ["pulls"]:
            if not self._branch_exists(body["head"]) or not self._branch_exists(body["base"]):
                raise Problem(422, "Validation Failed")
            return 201, self._github_pull(self._open(**body))
        pull = self.server.pulls[int(tail[1]) - 1]
        if tail[-1] == "labels":
            pull["labels"] += body["labels"]
            return 200, [{"name": name} for name in pull["labels"]]
        if tail[-1] == "requested_reviewers":
            strangers = [name for name in body["reviewers"] if name not in self.server.collaborators]
            if strangers:
                raise Problem(422, "Reviews may only be requested from collaborators.")
            pull["reviewers"] += body["reviewers"]
            return 201, self._github_pull(pull)
        pull.update(body)
        return 200, self._github_pull(pull)

    def _github_pull(self, pull):
        merged = pull["state"] == "merged"
        return {
            "number": pull["number"], "html_url": f"https://forge.test/team/shop/pull/{pull['number']}",
            "state": "closed" if merged else pull["state"], "merged_at": "2026-01-01T00:00:00Z" if merged else None,
        }  # fmt: skip

    # --- GitLab

    def _gitlab(self, parts, query, body):
        if self.headers.get("PRIVATE-TOKEN") != TOKEN:
            raise Problem(401, "401 Unauthorized")
        if parts == ["users"]:
            known = self.server.collaborators.get(query["username"])
            return 200, [{"id": known, "username": query["username"]}] if known else []
        if unquote(parts[1]) != "team/shop":
            raise Problem(404, "404 Project Not Found")
        tail = parts[2:]
        if self.command == "GET" and not tail:
            return 200, {"default_branch": "main"}
        if self.command == "GET" and tail == ["merge_requests"]:
            head = query["source_branch"]
            return 200, [self._gitlab_pull(pull) for pull in reversed(self.server.pulls) if pull["head"] == head][:1]
        if tail == ["merge_requests"]:
            if not self._branch_exists(body["source_branch"]):
                raise Problem(400, "source_branch does not exist")
            draft = body["title"].startswith("Draft: ")
            pull = self._open(
                body["source_branch"],
                base=body["target_branch"],
                title=body["title"],
                body=body["description"],
                draft=draft,
            )
            return 201, self._gitlab_pull(pull)
        pull = self.server.pulls[int(tail[1]) - 1]
        if "state_event" in body:
            pull["state"] = {"close": "closed", "reopen": "open"}[body["state_event"]]
        pull["labels"] += body.get("add_labels", [])
        pull["reviewers"] += [
            name for name, number in self.server.collaborators.items() if number in body.get("reviewer_ids", ())
        ]
        pull["title"] = body.get("title", pull["title"])
        pull["body"] = body.get("description", pull["body"])
        return 200, self._gitlab_pull(pull)

    def _gitlab_pull(self, pull):
        state = {"open": "opened"}.get(pull["state"], pull["state"])
        number = pull["number"]
        return {"iid": number, "web_url": f"https://forge.test/team/shop/-/merge_requests/{number}", "state": state}

    # --- git, by its own program

    def _git(self, split, body):
        kind, _, pair = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(pair or "").decode().partition(":")
        if kind != "Basic" or password != TOKEN or user not in ("x-access-token", "oauth2"):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        env = {
            **self.server.git_env, "GIT_PROJECT_ROOT": str(self.server.bare.parent), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": split.path[len("/git"):], "QUERY_STRING": split.query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": user, "REMOTE_ADDR": "127.0.0.1", "PATH": os.environ["PATH"],
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

"""Run probes, each in a process of its own, and print their outcomes as JSON. Runs in the environment of the case.

Reads `{"app", "setup", "probes", "timeout", "capture"}` from standard input and writes a list of outcomes as the last
line of standard output. An outcome is `{"value"}`, `{"raises"}`, `{"status", "body"}` or `{"timeout": true}`. With
`capture`, all probes are run in this process, one after the other: its monitoring shall see them.
"""

import ast
import json
import os
import re
import signal
import sys
import traceback
from pathlib import Path

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
LONGEST = 20_000
FORM, TEXT = "form:", "text:"


def run_all(question):
    """The outcomes of all probes."""
    sys.path.insert(0, str(Path.cwd()))
    probes = question["probes"]
    if question.get("capture"):
        return [guarded(answer_all, question, probes)]
    failed = guarded(prepare, question)
    if failed is not None:
        return [failed] * len(probes)
    return [in_child(question, probe) for probe in probes]


def prepare(question):
    """Import what all probes need, once: the children inherit it. Each runs the setup again, for files of its own."""
    if question.get("app"):
        __import__(question["app"].partition(":")[0])
    exec(question.get("setup") or "", {"__name__": "probes"})


def in_child(question, probe):
    """The outcome of one probe, found in a forked process so that no probe sees what another one left behind."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        signal.alarm(int(question.get("timeout") or 10))
        found = guarded(answer_one, question, probe)
        with os.fdopen(writer, "w") as stream:
            json.dump(found, stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    if text:
        return json.loads(text)
    return {"timeout": True} if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM else {"died": status}


def guarded(function, *arguments):
    """What the function returns, or the exception that escaped from it as an outcome."""
    try:
        return function(*arguments)
    except Exception as error:
        if os.environ.get("REPAIRBENCH_TRACE"):
            traceback.print_exc()
        return raised(error)
    except SystemExit as error:
        return raised(error)


def raised(error):
    """The outcome of an exception: its type."""
    kind = type(error)
    return {"raises": kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"}


def answer_one(question, probe):
    """The outcome of a probe in this process."""
    if not question.get("app"):
        return {"value": ADDRESS.sub("", repr(evaluate(question.get("setup") or "", probe)))[:LONGEST]}
    return send(question["app"], requests_of(probe), question.get("propagate"))


def answer_all(question, probes):
    """All probes against one app."""
    return send(question["app"], [request for probe in probes for request in requests_of(probe)])


def evaluate(setup, probe):
    """The value of the last expression."""
    namespace = {"__name__": "probes"}
    exec(setup, namespace)
    *before, last = ast.parse(probe).body
    exec(compile(ast.Module(before, []), "<probe>", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "<probe>", "eval"), namespace)


def requests_of(probe):
    """The requests of the lines of a probe, in the recorded form."""
    return [request_of(line) for line in probe.strip().splitlines()]


def request_of(line):
    """`METHOD /path?query BODY` with a body that is JSON, `form:a=b`, or `text:` and anything."""
    import base64

    method, _, rest = line.partition(" ")
    target, _, body = rest.partition(" ")
    path, _, query = target.partition("?")
    headers = [["host", "localhost"], ["user-agent", "probe"]]
    if body.startswith(FORM):
        body = body[len(FORM) :]
        headers.append(["content-type", "application/x-www-form-urlencoded"])
    elif body.startswith(TEXT):
        body = body[len(TEXT) :]
        headers.append(["content-type", "text/plain"])
    elif body:
        headers.append(["content-type", "application/json"])
    encoded = base64.b64encode(body.encode()).decode()
    return {"method": method, "path": path, "query": query, "headers": headers, "body": encoded, "scheme": "http"}


def send(expression, requests, propagate=False):
    """The outcome of the last request; with `propagate`, an exception that the app would answer with 500 is seen."""
    from homeostasis.monitoring.inprocess import is_asgi, send_wsgi
    from homeostasis.monitoring.replay import resolve

    app = resolve(expression)
    if propagate and hasattr(app, "testing"):
        app.testing = True  # Flask then lets exceptions escape, so that their type is seen
    answers = []
    if is_asgi(app):
        from homeostasis.monitoring.inprocess_asgi import send_asgi

        send_asgi(app, requests, answers.append)
    else:
        send_wsgi(app, requests, answers.append)
    if propagate and answers[-1]["error"] is not None:
        return raised(answers[-1]["error"])
    return outcome_of(answers[-1])


def outcome_of(answer):
    """Status and body; JSON is compared as such."""
    if answer["status"] is None:
        return raised(answer["error"])
    try:
        body = json.loads(answer["body"])
    except ValueError:
        body = answer["body"].decode("utf-8", "replace")[:LONGEST]
    return {"status": answer["status"], "body": body}


if __name__ == "__main__":
    print("\n" + json.dumps(run_all(json.load(sys.stdin))))

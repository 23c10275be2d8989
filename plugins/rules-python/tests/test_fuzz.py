"""Events that hypothesis makes hostile: nothing of them becomes code, and nothing makes the healer fail.

Each case takes an example of a shipped rule, so that every extractor, template and refactor is reached, and writes
hostile text into the message, paths, names, values, request and notes of its event, or into a traceback of it.
`HOMEOSTASIS_FUZZ_CASES` sets the number of cases; `nox -s nightly` takes 100,000, by other random numbers every time.
"""

from __future__ import annotations

import ast
import os
import random
import re
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterator, List, NamedTuple, Set

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import homeostasis_rules_python
from homeostasis.config import Config
from homeostasis.errors import HomeostasisError
from homeostasis.models import Event, Frame, Request, Value
from homeostasis.project import Project
from homeostasis.source import SourceTree
from homeostasis.testing import incident_of
from homeostasis.tracebacks import event_from_traceback
from homeostasis_rules_python.analyze import diagnose
from homeostasis_rules_python.catalog import TEMPLATES, shipped_rules, shipped_templates
from homeostasis_rules_python.example_event import example_event
from homeostasis_rules_python.matching import RuleIndex
from homeostasis_rules_python.patching import patches

CASES = int(os.environ.get("HOMEOSTASIS_FUZZ_CASES", "120"))
PARTS = 4
NIGHTLY = "HOMEOSTASIS_FUZZ_CASES" in os.environ
MARK = "pwned_marker"
PIECES = [
    MARK,
    f"'); {MARK}(); ('",
    f"x'\nimport {MARK}\n#",
    f'"""; {MARK} = 1 #',
    "{{extraction.key}}",
    f"{{{MARK}!r}}",
    "\\N{NULL}\\",
    "\\",
    "'",
    '"',
    "\u202e\x00",
    "\ud800",
    "../../etc/passwd",
    f"{MARK}.py",
    "<<<x>>>",
    "__class__",
    "lambda: 0",
    "\r\n",
    "a" * 3000,
]
TEXT = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), min_size=1, max_size=4).map("".join)
FORBIDDEN = {"eval", "exec", "compile", "__import__", "system", "popen", "subprocess", MARK}


class Samples(List["Sample"]):
    """Examples; not shown in full when a case fails."""

    def __repr__(self) -> str:
        return f"<{len(self)} samples>"


class Sample(NamedTuple):
    """An example with its files, and the words of those files and of their names."""

    project: Project
    event: Event
    own: FrozenSet[str]

    def explains(self, word: str) -> bool:
        """Whether a word comes from the healer or from the app's own code, whole or put together of its parts."""
        if word in WORDS or word in self.own:
            return True
        return all(part.lower() in self.own for part in re.findall(r"[A-Za-z]+", word) if part not in WORDS)


def vocabulary() -> FrozenSet[str]:
    """Words that the healer may bring: those of its own source."""
    package = Path(homeostasis_rules_python.__file__).parent
    files = [*package.rglob("*.py"), *TEMPLATES.glob("*.template")]
    return frozenset(word for file in files for word in re.findall(r"\w+", file.read_text("utf-8"))) - FORBIDDEN


WORDS = vocabulary()
INDEX = RuleIndex(shipped_rules())
KNOWN_TEMPLATES = shipped_templates()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """One example of each rule that matches, in a nightly session all of them, each with a project of its own."""
    made = Samples()
    for rule in shipped_rules():
        matching = [example for example in rule.examples if example.expected_match]
        for example in matching if NIGHTLY else matching[:1]:
            root = tmp_path_factory.mktemp("sample").resolve()
            event = example_event(example.input, root)
            texts = [f"{file.relative_to(root)} {file.read_text('utf-8')}" for file in root.rglob("*.py")]
            found = re.findall(r"[A-Za-z]+", " ".join(texts))
            own = {word.lower() for word in found} | {word.lower().rstrip("s") for word in found} | set(found)
            made.append(Sample(Project(root=root, config=Config()), event, frozenset(own)))
    return made


class Spoiler:
    """Writes hostile texts into places that a number chooses."""

    def __init__(self, texts: List[str], seed: int) -> None:
        self._texts = texts
        self._random = random.Random(seed)

    def text(self) -> str:
        """One of the hostile texts."""
        return self._random.choice(self._texts)

    def one_of(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def spoiled(self, text: str) -> str:
        """Hostile text instead of a text, behind it, or instead of what stands in its first quotes."""
        hostile = self.text()
        quoted = re.sub(r"'[^']*'", lambda _found: f"'{hostile}'", text, count=1)
        return str(self.one_of(text, hostile, text + hostile, quoted, quoted))

    def values(self, values: Dict[str, Value]) -> Dict[str, Value]:
        made: Dict[str, Value] = {}
        for name, value in values.items():
            hostile = self.text()
            changed = Value(
                type=self.one_of(value.type, hostile),
                repr=self.one_of(repr(hostile), hostile),
                literal=True,
                keys=self.one_of((repr(hostile), hostile), value.keys),
            )
            made[name] = self.one_of(value, changed)
        return {**made, self.text(): Value(type="str", repr=repr(self.text()), literal=True)}

    def frame(self, frame: Frame) -> Frame:
        update: Dict[str, Any] = {"locals": self.values(frame.locals)}
        for name in ("qualname", "module", "function"):
            update[name] = self.one_of(getattr(frame, name), self.text())
        update["path"] = self.one_of(*[frame.path] * 9, self.spoiled(frame.path))
        return frame.model_copy(update=update)

    def event(self, event: Event) -> Event:
        raised = event.raised
        update = {
            "message": self.spoiled(raised.message),
            "notes": (self.text(),),
            "type": self.one_of(*[raised.type] * 9, self.text()),
            "frames": tuple(self.frame(frame) for frame in raised.frames),
            "attributes": {"name": Value(type="str", repr=repr(self.text()), literal=True)},
        }
        request = Request(
            method="POST",
            path=f"/{self.text()}",
            query=self.text(),
            headers=((self.text(), self.text()),),
            body=self.text().encode("utf-8", "replace"),
            framework=event.request.framework if event.request is not None else None,
        )
        changed = raised.model_copy(update=update)
        return event.model_copy(update={"exceptions": (changed,), "request": request, "id": self.text()})

    def log(self, event: Event) -> str:
        """A traceback as it stands in a log."""
        lines = ["Traceback (most recent call last):"]
        for frame in event.raised.frames:
            path, function = self.one_of(frame.path, self.spoiled(frame.path)), self.spoiled(frame.function)
            lines += [f'  File "{path}", line {frame.span.line}, in {function}']
            lines += [f"    {self.one_of(frame.source_line, self.spoiled(frame.source_line or ''))}"]
        return "\n".join([*lines, f"{event.raised.dotted}: {self.spoiled(event.raised.message)}"])


def words_of(source: bytes) -> Set[str]:
    """Every name, attribute, keyword, parameter, import and definition of a module."""
    return {word for node in ast.walk(ast.parse(source)) for word in _words(node)}


def _words(node: ast.AST) -> Iterator[str]:
    for _field, value in ast.iter_fields(node):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and not isinstance(node, ast.Constant):
                yield from each.split(".")


def check(sample: Sample, event: Event) -> int:
    """Heal the event; how many changed files were checked."""
    project = sample.project
    source, incident, checked = SourceTree(project), incident_of(event), 0
    for diagnosis in diagnose(incident, source, INDEX):
        for patch in patches(diagnosis, incident, source, KNOWN_TEMPLATES):
            for edit in patch.edits:
                assert (project.root / edit.path).read_bytes() == edit.before
                new = words_of(edit.after) - words_of(edit.before or b"")
                strange = {word for word in new if word in FORBIDDEN or not sample.explains(word)}
                assert not strange, (patch.rule_id, strange, patch.diff)
                checked += 1
    return checked


@given(texts=st.lists(TEXT, min_size=3, max_size=3), seed=st.integers(0, 2**32))
@settings(
    max_examples=max(CASES // PARTS, 1),
    deadline=None,
    derandomize=not NIGHTLY,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@pytest.mark.parametrize("part", range(PARTS))
def test_hostile_events_are_data(samples: Samples, part: int, texts: List[str], seed: int) -> None:
    """Messages, keys, paths, names, values, requests and log lines of an attacker, whatever rule they reach."""
    number = seed + part
    sample = samples[number % len(samples)]
    spoiler = Spoiler(texts, number)
    event = spoiler.event(sample.event)
    if number // len(samples) % 4 == 0:
        try:
            event = event_from_traceback(spoiler.log(sample.event), sample.project)
        except HomeostasisError:
            return
    check(sample, event)


def test_untouched_examples_reach_patches(samples: Samples) -> None:
    """The fuzzer has something to spoil: most examples lead to a patch, and the check accepts all of those."""
    some = samples[::3]
    made = [check(sample, sample.event) for sample in some]
    assert sum(number > 0 for number in made) >= 0.9 * len(some)


@pytest.mark.parametrize("word", sorted(FORBIDDEN))
def test_the_check_would_notice(word: str) -> None:
    """A new call or import of a forbidden word is seen."""
    assert word in words_of(f"import {word}".encode()) & words_of(f"x = {word}()".encode())
    assert word not in WORDS

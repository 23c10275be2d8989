"""Cuts GitHub's description of its REST API down to the operations and fields that the deployer uses.

npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
python cut_github.py package/generated/api.github.com.json > github.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

OPERATIONS = (
    ("GET", "/repos/{owner}/{repo}"),
    ("GET", "/repos/{owner}/{repo}/pulls"),
    ("POST", "/repos/{owner}/{repo}/pulls"),
    ("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}"),
    ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels"),
    ("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers"),
)
READ = ("default_branch", "number", "html_url", "state", "merged_at")
"""Fields of answers that the deployer reads; the other ones are left out."""
KEPT = ("type", "enum", "minItems", "maxItems", "maxLength", "minimum", "maximum")


class Description:
    """The whole description."""

    def __init__(self, text):
        self.whole = json.loads(text)

    def resolved(self, node):
        """What a reference leads to."""
        while "$ref" in node:
            target = self.whole
            for key in node["$ref"][2:].split("/"):
                target = target[key]
            node = target
        return node

    def operation(self, method, path):
        """Query, body and good answers, as JSON Schemas. What is sent may have no field that is not described."""
        found = self.whole["paths"][path][method.lower()]
        parameters = [self.resolved(parameter) for parameter in found.get("parameters", ())]
        query = {each["name"]: self.schema(each["schema"]) for each in parameters if each["in"] == "query"}
        entry = {"query": {"type": "object", "properties": query, "additionalProperties": False}}
        if "requestBody" in found:
            entry["body"] = self.schema(found["requestBody"]["content"]["application/json"]["schema"])
        entry["answers"] = {
            status: self.schema(answer["content"]["application/json"]["schema"], READ)
            for status, answer in found["responses"].items()
            if status.startswith("2")
        }
        return entry

    def schema(self, node, only=None):
        """A schema of OpenAPI 3.0 as a JSON Schema, without texts, and with the properties `only`."""
        node = self.resolved(node)
        kept = {word: node[word] for word in KEPT if word in node}
        if node.get("nullable"):
            kept["type"] = [kept["type"], "null"]
        if "properties" in node:
            names = [name for name in node["properties"] if only is None or name in only]
            kept["properties"] = {name: self.schema(node["properties"][name]) for name in names}
            kept["required"] = [name for name in node.get("required", ()) if name in names]
            kept["additionalProperties"] = only is not None
        if "items" in node:
            kept["items"] = self.schema(node["items"], only)
        if "oneOf" in node:
            kept["oneOf"] = [self.schema(each, only) for each in node["oneOf"]]
        return kept


def main():
    """Print the cut."""
    description = Description(Path(sys.argv[1]).read_text(encoding="utf-8"))
    cut = {
        "source": f"@octokit/openapi {description.whole['info']['version']}, generated/api.github.com.json",
        "license": "MIT, see README.md",
        "operations": {f"{method} {path}": description.operation(method, path) for method, path in OPERATIONS},
    }
    sys.stdout.write(json.dumps(cut, indent=1) + "\n")


if __name__ == "__main__":
    main()

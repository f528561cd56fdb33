"""A new lesson to begin with: a notebook and its TOML that work already."""

from __future__ import annotations

import json
import re
from pathlib import Path

from labkit import errors
from labkit.lessons.results import Done

_NAME = re.compile(r"(\d\d)-[a-z0-9]+(-[a-z0-9]+)*")

_TOML = '''\
title = "{title}"
minutes = 15
goals = ["say what a learner can say or do afterwards"]
checkpoint = "example"

[[question]]
id = "who-answers"
text = "What is asked before a request is sent, so that the learner commits to something?"
answers = [["all", "each request is answered"], ["none", "no request is answered"]]
truth = "answered"
why = "What really happened, and the rule that explains it."

[[check]]
id = "service"
kind = "object"
object = "service/app1"
holds = {{ "spec.ports.0.nodePort" = 30080 }}
nudge = "The first hint is a question."
near = "The third hint is nearly the solution."

[solution]
objects = """
apiVersion: v1
kind: Service
metadata: {{name: app1, namespace: default, labels: {{name: app1}}}}
spec:
  type: NodePort
  selector: {{name: app1}}
  ports: [{{port: 8080, targetPort: 8080, nodePort: 30080}}]
"""
'''
#: Predict, do, see, explain, check: as the other lessons do.
_CELLS = (
    ("markdown", "# {number} · {title}\n\nOne idea, in a few sentences."),
    (
        "code",
        (
            "import labkit\nfrom labkit import widgets\n\n"
            'lesson = labkit.lesson("{number}")\nlab = lesson.lab\nlesson'
        ),
    ),
    ("markdown", "**Predict.** Say what is about to be asked."),
    ("code", 'widgets.Question(lesson, "who-answers")'),
    ("code", 'seen = lab.probe(labkit.Request("app1", sender="client", via="node-port"))\nseen'),
    ("code", 'lesson.grade("who-answers", seen)'),
    ("markdown", "**Your turn.** Say what is to be done; the checks look at the live lab."),
    ("code", "lesson.check()"),
    ("code", "# lesson.hint()"),
)


def create(name: str, folder: Path) -> Done:
    """Write `NN-name.toml` and `NN-name.ipynb`. Raises UsageError; overwrites nothing."""
    match = _NAME.fullmatch(name)
    if not match:
        raise errors.UsageError(
            f"{name!r} is no name for a lesson",
            hint="two digits, then words in small letters: 12-my-lesson",
        )
    number, title = match[1], name[3:].replace("-", " ").capitalize()
    if taken := sorted(folder.glob(f"{number}-*.toml")):
        raise errors.UsageError(
            f"there is a lesson {number} already: {taken[0].stem}", hint="choose another number"
        )
    notebook = json.dumps(_notebook(number, title), indent=1, ensure_ascii=False) + "\n"
    texts = {f"{name}.toml": _TOML.format(title=title), f"{name}.ipynb": notebook}
    try:
        for file, text in texts.items():
            with (folder / file).open("x", encoding="utf-8") as new:
                new.write(text)
    except OSError as error:
        raise errors.UsageError(
            f"{folder} cannot hold a new lesson: {error.strerror}",
            hint="choose another folder with --folder",
        ) from error
    return Done(f"Lesson {name} in {folder}", tuple(f"wrote {file}" for file in texts))


def _notebook(number: str, title: str) -> dict[str, object]:
    cells = []
    for place, (kind, text) in enumerate(_CELLS):
        source = text.format(number=number, title=title).splitlines(keepends=True)
        cell = {"cell_type": kind, "id": f"lesson-{number}-{place:02}", "metadata": {}}
        empty: dict[str, object] = (
            {"execution_count": None, "outputs": []} if kind == "code" else {}
        )
        cells.append({**cell, **empty, "source": source})
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}

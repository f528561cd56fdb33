"""Ask a stock server everything again: `python -m tests.stock.record [CASE...]`.

Writes its answers into the files of tests/cases/stock. A new case is a file without answers.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.contracts import apiserver
from tests.stock import build, facts, server


def ask_over_http(target: apiserver.Server) -> facts.Ask:
    """Requests over a connection each, as the admin."""

    def ask(question: facts.Question) -> tuple[int, Any]:
        headers = {
            "Authorization": "Bearer admin",
            "User-Agent": facts.AGENT,
            "Content-Type": question.content_type,
            "Accept": question.accept,
        }
        body = question.body
        data = body if body is None or isinstance(body, str) else json.dumps(body)
        with contextlib.closing(target.connect()) as connection:
            connection.request(question.method, question.path, data, headers)
            with connection.getresponse() as response:
                if question.events and response.status == 200:
                    lines = [response.readline() for _ in range(question.events)]
                    return 200, [json.loads(line) for line in lines]
                return response.status, parse(response.read())

    return ask


def parse(body: bytes) -> Any:
    """JSON, or the plain text in which Go's own server says some errors."""
    try:
        return json.loads(body or b"null")
    except ValueError:
        return body.decode()


def record(name: str) -> None:
    case = facts.load(name)
    with tempfile.TemporaryDirectory() as folder, server.running(Path(folder)) as stock:
        answers = facts.replay(case, ask_over_http(stock))
    for step, answer in zip(case["steps"], answers, strict=True):
        step["answer"] = answer
    facts.save(name, case)


def main(argv: Sequence[str]) -> int:
    try:
        build.ensure()
    except build.CannotBuildError as error:
        sys.stderr.write(f"tests.stock.record: {error}\n")
        return 1
    for name in argv or facts.names():
        sys.stdout.write(f"{name}\n")
        record(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

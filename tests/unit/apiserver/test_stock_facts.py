"""Our server against what a stock one was heard to answer: see tests/stock."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import Any

import pytest

from tests.stock import facts, record
from tests.unit.apiserver import cluster


class Client(cluster.Client):
    """Asks as the recorder did."""

    def ask(self, question: facts.Question) -> tuple[int, Any]:
        self.accept = question.accept
        if question.events:
            return 200, asyncio.run(self._watch(question))
        body = question.body
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        data = text.encode() if text is not None else None
        reply = self(question.method, question.path, data, content_type=question.content_type)
        return reply.code, record.parse(reply.body)

    async def _watch(self, question: facts.Question) -> list[Any]:
        async with asyncio.timeout(5), self.watch(question.path) as events:
            return [await events.get() for _ in range(question.events)]

    def scope(self, method: str, path: str, content_type: str = "") -> dict[str, Any]:
        scope = super().scope(method, path, content_type)
        scope["headers"].append((b"user-agent", facts.AGENT.encode()))
        return scope


@functools.cache
def answers(name: str) -> list[facts.Answer]:
    with cluster.running() as objects:
        return facts.replay(facts.load(name), Client(objects).ask)


def steps() -> list[Any]:
    return [
        pytest.param(name, number, step, id=f"{name}-{number}")
        for name in facts.names()
        for number, step in enumerate(facts.load(name)["steps"])
    ]


@pytest.mark.parametrize(("name", "number", "step"), steps())
def test_what_a_stock_server_answers(name: str, number: int, step: dict[str, Any]) -> None:
    ours = answers(name)[number]
    theirs = facts.expected(step)
    if "gap" in step:
        assert ours != theirs, "closed: `python -m tests.stock.gaps` takes the note away"
        return
    assert ours == theirs, json.dumps(step["ask"])

"""How the text of an object begins, also where an older server has written it."""

from __future__ import annotations

import json

from labkit.apiserver import watching

OBJ = {"metadata": {"name": "a"}, "kind": "ConfigMap", "apiVersion": "v1", "data": {"k": "v"}}
ITEM = {"metadata": {"name": "a"}, "data": {"k": "v"}}


def test_what_an_object_is_comes_first() -> None:
    assert watching.render(OBJ).startswith(b'{"kind":"ConfigMap","apiVersion":"v1","metadata":')


def test_an_item_is_cut_out_of_the_text() -> None:
    assert json.loads(watching.Stored(OBJ, watching.render(OBJ), 1).item) == ITEM


def test_a_text_in_another_order_is_put_right() -> None:
    assert json.loads(watching.Stored(OBJ, json.dumps(OBJ).encode(), 1).item) == ITEM

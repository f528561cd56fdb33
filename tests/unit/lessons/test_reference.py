"""The page leaves nothing out, in none of its forms."""

from __future__ import annotations

import html
import json

import pytest

import labkit
from labkit.cli import app, failures
from labkit.faults import catalogue as faults
from labkit.inspection import ways
from labkit.inspection.explain import chains
from labkit.lessons import catalogue
from labkit.model import flags, portals

PAGE = labkit.reference()
FORMS = {
    "text": " ".join(repr(PAGE).split()),
    "html": html.unescape(PAGE._repr_html_()),
    "json": json.dumps(PAGE.to_json()),
}
FACTS = [
    *(chain.name for chain in portals.CHAINS),
    *chains.BUILT_IN,
    *chains.OTHERS,
    *chains.BEGINNINGS,
    *(flag.name for flag in flags.FLAGS),
    *app.SUMMARIES,
    *(name for name, _ in failures.ids()),
    *(way.chain for way in ways.WAYS),
    *faults.FAULTS,
    "6443", "10250", "10256", "10249", "30000-32767", "30062",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_everything_is_on_the_page(form: str) -> None:
    assert [fact for fact in FACTS if fact not in FORMS[form]] == []


def test_a_chain_is_shown_with_its_jump_and_the_rules_of_each_field() -> None:
    text = repr(PAGE)
    own = text.partition("KUBE-PORTALS-HOST, in the table nat")[2].partition("KUBE-NODEPORT")[0]
    assert '-A OUTPUT -m comment --comment "handle ClusterIPs' in own
    assert "The jump stands first in OUTPUT" in own
    for service_field in ("spec.clusterIP", "spec.externalIPs", "status.loadBalancer.ingress"):
        assert service_field in own
    assert "DNAT" in own
    assert "REDIRECT" not in own


def test_a_commands_own_options_are_told_apart_from_those_of_all() -> None:
    [probe] = [verb for verb in PAGE.verbs if verb.usage.startswith("probe ")]
    assert probe.usage == "probe SERVICE"
    assert {"--from", "--via", "--count"} <= set(probe.options)
    assert not {"--name", "--debug", "--output"} & set(probe.options)
    assert "box {build|list|add|rm}" in [verb.usage for verb in PAGE.verbs]


def test_it_says_as_data_what_it_is() -> None:
    data = PAGE.to_json()
    assert (data["schema"], data["version"]) == ("labkit.dev/reference", 1)
    assert {one["status"]: one["meaning"] for one in data["exits"]} == failures.STATUSES


def test_it_is_a_notebook_but_no_lesson() -> None:
    assert (catalogue.folder() / "reference.ipynb").exists()
    assert "reference" not in [entry.name for entry in catalogue.entries()]

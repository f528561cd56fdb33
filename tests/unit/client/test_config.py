"""Kubeconfigs: what we write we read, what kubectl writes we read, the rest says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors
from labkit.client import config

PEM = st.text(alphabet="ABCabc+/=\n- ", max_size=60)


@given(ca=PEM, token=st.text(max_size=20), cert=PEM, key=PEM)
def test_what_is_rendered_parses_to_the_same(ca: str, token: str, cert: str, key: str) -> None:
    wanted = config.ClientConfig("https://192.168.56.10:6443", ca, token, cert, key)
    assert config.parse_kubeconfig(config.render_kubeconfig(wanted)) == wanted


def test_secrets_stay_out_of_the_repr() -> None:
    shown = repr(config.ClientConfig("https://h", token="s3cret", key_pem="PRIVATE"))
    assert "s3cret" not in shown
    assert "PRIVATE" not in shown


def kubeconfig(cluster: dict[str, Any], user: dict[str, Any]) -> str:
    return json.dumps(
        {
            "current-context": "b",
            "clusters": [{"name": "k", "cluster": {"server": "https://h:1/"} | cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [
                {"name": "a", "context": {"cluster": "gone", "user": "gone"}},
                {"name": "b", "context": {"cluster": "k", "user": "u"}},
            ],
        }
    )


def test_the_current_context_chooses_and_file_names_are_relative(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    (tmp_path / "token").write_text("secret\n")
    text = kubeconfig({"certificate-authority": "ca.crt"}, {"tokenFile": "token"})
    (tmp_path / "config").write_text(text)
    read = config.read_kubeconfig(str(tmp_path / "config"))
    assert read == config.ClientConfig("https://h:1", "CA", "secret")


@pytest.mark.parametrize(
    ("text", "says", "cure"),
    [
        (
            "apiVersion: v1\nkind: Config\n",
            "not JSON",
            "kubectl config view --raw --flatten -o json",
        ),
        ("[]", "not an object", ""),
        ("{}", "no context named ''", "get-contexts"),
        (kubeconfig({}, {}).replace('"name": "u"', '"name": "x"'), "no user named 'u'", ""),
        (kubeconfig({"server": ""}, {}), "no server address", ""),
        (kubeconfig({"insecure-skip-tls-verify": True}, {}), "not to verify", "authority-data"),
        (kubeconfig({}, {"exec": {"command": "aws"}}), "plug-in (exec)", "create token"),
        (kubeconfig({"proxy-url": "socks5://h"}, {}), "through a proxy (socks5://h)", "address"),
        (kubeconfig({}, {"username": "u", "password": "p"}), "logs in by `username`", "token"),
        (kubeconfig({"certificate-authority-data": "%"}, {}), "not base64", ""),
        (kubeconfig({"certificate-authority": "none.crt"}, {}), "none.crt", ""),
    ],
)
def test_what_cannot_be_used_says_so(text: str, says: str, cure: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        config.parse_kubeconfig(text)
    assert says in caught.value.message
    assert cure in caught.value.hint


def test_a_context_can_be_named() -> None:
    text = kubeconfig({}, {"token": "t"}).replace(
        '"current-context": "b"', '"current-context": "a"'
    )
    assert config.parse_kubeconfig(text, context="b").token == "t"
    with pytest.raises(errors.ConfigError, match="no context named 'c'"):
        config.parse_kubeconfig(text, context="c")


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="No such file"):
        config.read_kubeconfig(str(tmp_path / "none"))

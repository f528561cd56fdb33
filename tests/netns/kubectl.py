"""The real kubectl as the administrator of a node that a test has made."""

from __future__ import annotations

import shutil
import subprocess

from labkit.client import config
from tests.netns import podlet_node
from tests.netns.isolation import run
from tests.netns.podlet_node import FOLDER


def argv(node: podlet_node.Node, *words: str) -> list[str]:
    path = FOLDER / "admin.kubeconfig"
    path.write_text(config.render_kubeconfig(node.config, user="kubernetes-admin"))
    program = shutil.which("kubectl") or "kubectl"
    return [program, f"--kubeconfig={path}", f"--cache-dir={FOLDER}/cache", *words]


def kubectl(node: podlet_node.Node, *words: str, stdin: str = "") -> str:
    """What it printed; it must end well."""
    return run(*argv(node, *words), stdin=stdin)


def ended(node: podlet_node.Node, *words: str, stdin: str = "") -> tuple[int, str, str]:
    """How it ended: its status, what it printed, what it complained."""
    done = subprocess.run(
        argv(node, *words), input=stdin, capture_output=True, text=True, check=False, timeout=30
    )
    return done.returncode, done.stdout, done.stderr.strip()


def refused(node: podlet_node.Node, *words: str) -> str:
    """What it complained; it must end badly."""
    status, printed, complaint = ended(node, *words)
    assert status, printed
    return complaint

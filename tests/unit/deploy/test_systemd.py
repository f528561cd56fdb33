"""What labkit says to systemd, by node.sh: few words, for an emulated machine is slow to answer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from labkit.agent import flags
from labkit.deploy import plan, services

SYSTEMCTL = """\
#!/bin/sh
echo "$*" >>"${0%/*}/asked"
[ "$1" != show ] || cat "${0%/*}/said"
"""
SAID = f"""\
MainPID={os.getpid()}
NRestarts=2
Id=labkit-kube-proxy.service
ActiveState=active

MainPID=0
NRestarts=0
Id=labkit-podlet.service
ActiveState=failed
"""


class Systemd:
    """A folder with a `systemctl` that answers with the file `said` and notes what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "systemctl").write_text(SYSTEMCTL)
        (folder / "systemctl").chmod(0o755)
        (folder / "said").write_text(SAID)

    def run(self, text: str, **variables: str) -> str:
        node = resources.files("labkit.deploy").joinpath("node.sh").read_text()
        return subprocess.run(
            ["sh", "-c", f"{node}\nservices={self.folder} init=systemd\n{text}"],
            env={**variables, "PATH": f"{self.folder}:/usr/sbin:/usr/bin:/sbin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def asked(self) -> list[str]:
        file = self.folder / "asked"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def systemd(tmp_path: Path) -> Systemd:
    return Systemd(tmp_path)


def test_all_units_are_one_question(systemd: Systemd) -> None:
    for name in ("kube-proxy", "podlet"):
        (systemd.folder / f"labkit-{name}.service").touch()
    found = plan.parse_found(systemd.run("look"))
    assert found.init == "systemd"
    assert (found.units["kube-proxy"].state, found.units["kube-proxy"].restarts) == ("running", 2)
    assert found.units["kube-proxy"].pid == os.getpid()
    assert found.units["podlet"].state == "stopped"
    (asked,) = systemd.asked()
    assert asked.startswith("show labkit-kube-proxy.service labkit-podlet.service ")


def test_a_machine_without_units_is_not_asked(systemd: Systemd) -> None:
    assert plan.parse_found(systemd.run("look")).units == {}
    assert systemd.asked() == []


def test_all_units_start_together(systemd: Systemd) -> None:
    systemd.run("start kube-proxy 12 /bin/one\nstart podlet 34 /bin/two\nsettle")
    assert systemd.asked() == [
        "enable --quiet --no-reload labkit-kube-proxy labkit-podlet",
        "restart labkit-kube-proxy labkit-podlet",
    ]


@pytest.mark.parametrize("is_there", [False, True])
def test_services_are_read_anew_where_one_that_was_read_has_changed(
    systemd: Systemd, is_there: bool
) -> None:
    service = systemd.folder / "labkit-podlet.service"
    if is_there:
        service.touch()
    Path(f"{service}.labkit-new").touch()
    systemd.run(f"tar() {{ :; }}\nplace {service}\nstart podlet 34 /bin/two\nsettle")
    assert ("daemon-reload" in systemd.asked()) is is_there
    assert systemd.asked()[-1] == "restart labkit-podlet"


def test_what_is_removed_is_forgotten_too(systemd: Systemd) -> None:
    service = systemd.folder / "labkit-podlet.service"
    service.touch()
    systemd.run("remove podlet\nsettle")
    assert systemd.asked() == [
        "disable --quiet --no-reload --now labkit-podlet",
        "daemon-reload",
    ]
    assert not service.exists()


def test_a_process_tells_the_revision_that_it_was_started_with(systemd: Systemd) -> None:
    assert systemd.run("revision $$", LABKIT_REVISION="0a1b") == "0a1b"


UNIT = services.Unit(
    "kube-proxy",
    (*services.PYTHON, "/var/lib/labkit/bin/kube-proxy.pyz", '--a=say "hi"', "--b=50%", "--c=$d"),
    {},
)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="apt-get install systemd")
def test_systemd_finds_no_fault_in_a_service(tmp_path: Path) -> None:
    service = tmp_path / "labkit-kube-proxy.service"
    service.write_text(plan.render_service(UNIT))
    argv = ["systemd-analyze", "verify", "--man=no", str(service)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_who_stops_kube_proxy_waits_longer_than_it_may_drain() -> None:
    """SIGTERM, to the program alone, begins the drain; systemd sends SIGKILL when this is over."""
    text = plan.render_service(UNIT)
    found = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert found
    assert int(found[1]) > flags.LONGEST_DRAIN_S
    assert "KillMode=process\n" in text
    assert not re.search("^(KillSignal|ExecStop|SendSIGKILL)=", text, re.MULTILINE)
    node = resources.files("labkit.deploy").joinpath("node.sh").read_text()
    assert re.findall(r"^patience=(\d+)$", node, re.MULTILINE) == [found[1]], "without systemd too"
    waits = re.findall(r"(?:flock -w|timeout) (\S+) (?:.*lock. true \|\| {|tail)", node)
    assert waits == ['"$patience"', '"$patience"']

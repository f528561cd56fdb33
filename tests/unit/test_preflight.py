"""What a machine needs for a lab: packages, findings, and the commands that mend it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from labkit import errors, local, paths
from labkit.model import commands
from labkit.preflight import findings, machine, packages

EVERYTHING = frozenset(name for package in packages.PACKAGES for name in package.programs)
WORKS = dict.fromkeys(("namespaces", *machine.TRIALS), "")

ROOT = machine.Machine(
    system="Linux",
    root=True,
    user="root",
    programs=EVERYTHING,
    may_install=True,
    settings={},
    subordinate_ids=False,
    trials=WORKS,
    state_folder="/root/.local/state/labkit",
    free_bytes=2**40,
    runtime_trouble="",
    container="",
)
LEARNER = dataclasses.replace(
    ROOT, root=False, user="ann", subordinate_ids=True, trials={"user-namespace": "", **WORKS}
)
NO_USERNS = {"user-namespace": "unshare failed: Operation not permitted"}


def bad(facts: machine.Machine) -> dict[str, findings.Finding]:
    return {finding.id: finding for finding in findings.judge(facts) if not finding.ok}


# --- packages -----------------------------------------------------------------------------------


def test_nothing_is_missing_where_every_program_is() -> None:
    assert packages.plan_packages(EVERYTHING, rootless=True) == ()


@pytest.mark.parametrize("package", packages.PACKAGES, ids=lambda package: package.name)
def test_each_program_brings_its_package(package: packages.Package) -> None:
    for program in package.programs:
        missing = packages.plan_packages(EVERYTHING - {program}, rootless=True)
        assert missing == (package,)


def test_root_needs_no_uidmap() -> None:
    names = {package.name for package in packages.plan_packages((), rootless=False)}
    assert names == {package.name for package in packages.PACKAGES} - {"uidmap"}


def chosen(*names: str) -> tuple[packages.Package, ...]:
    return tuple(package for package in packages.PACKAGES if package.name in names)


def test_sshd_is_held_back_only_where_systemd_would_start_it() -> None:
    ssh = chosen("openssh-server")
    install = ("apt-get", "install", "-y", "--no-install-recommends", "openssh-server")
    assert packages.plan_install(ssh, become_root=(), systemd=False) == (
        ("apt-get", "update"),
        install,
    )
    assert packages.plan_install(ssh, become_root=["sudo"], systemd=True) == (
        ("sudo", "systemctl", "mask", "ssh.service", "ssh.socket"),
        ("sudo", "apt-get", "update"),
        ("sudo", *install),
    )
    others = packages.plan_install(chosen("tcpdump"), become_root=(), systemd=True)
    assert all("mask" not in argv for argv in others)


class FakeMachine:
    """Records what would run on the learner's machine; knows which programs it has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, uid: int, systemd: bool = False) -> None:
        self.ran: list[str] = []
        self.programs = {"apt-get", "sudo"}
        self.sudo_status = 0
        monkeypatch.setattr(local, "run", self.run)
        monkeypatch.setattr(local, "has", self.programs.__contains__)
        monkeypatch.setattr("os.geteuid", lambda: uid)
        monkeypatch.setattr(packages, "_systemd", lambda: systemd)

    def run(self, argv: list[str], **_: object) -> commands.Command:
        command = commands.Command(tuple(argv), self.sudo_status if "true" in argv else 0)
        self.ran.append(command.line)
        return command


def test_install_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMachine(monkeypatch, uid=0, systemd=True)
    asked: list[str] = []

    def agree(question: str) -> bool:
        asked.append(question)
        return True

    packages.install(chosen("openssh-server", "curl"), agree)
    assert fake.ran == [
        "systemctl mask ssh.service ssh.socket",
        "apt-get update",
        "apt-get install -y --no-install-recommends openssh-server curl",
    ]
    assert "curl            asking a Service from a node" in asked[0]
    assert "ssh.service and ssh.socket will be masked" in asked[0]


def test_install_through_sudo_that_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMachine(monkeypatch, uid=1000)
    packages.install(chosen("curl"), lambda _: True)
    assert fake.ran[0] == "sudo -n true"
    assert fake.ran[1:] == [
        "sudo -n apt-get update",
        "sudo -n apt-get install -y --no-install-recommends curl",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_sudo_that_wants_a_password_needs_a_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    fake = FakeMachine(monkeypatch, uid=1000)
    fake.sudo_status = 1
    monkeypatch.setattr("sys.stdin", type("", (), {"isatty": lambda self: terminal})())
    assert packages.may_install() == terminal


def test_where_we_may_not_the_exact_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMachine(monkeypatch, uid=1000, systemd=True)
    fake.programs.remove("sudo")
    with pytest.raises(errors.NotSupported, match="packages are missing: openssh-server") as caught:
        packages.install(chosen("openssh-server"), lambda _: True)
    assert caught.value.hint == (
        "sudo systemctl mask ssh.service ssh.socket && sudo apt-get update && "
        "sudo apt-get install -y --no-install-recommends openssh-server"
    )
    assert fake.ran == []


def test_a_no_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMachine(monkeypatch, uid=0)
    with pytest.raises(errors.NotSupported) as caught:
        packages.install(chosen("curl"), lambda _: False)
    assert caught.value.hint.startswith("apt-get update && apt-get install")
    assert fake.ran == []


def test_elsewhere_than_on_debian_the_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMachine(monkeypatch, uid=0)
    fake.programs.remove("apt-get")
    with pytest.raises(errors.NotSupported, match="not a Debian machine: unshare, nsenter, mount"):
        packages.install(chosen("util-linux"), lambda _: True)


# --- findings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("facts", "way"), [(ROOT, "root"), (LEARNER, "rootless")])
def test_a_machine_that_can(facts: machine.Machine, way: str) -> None:
    assert bad(facts) == {}
    assert findings.worst(findings.judge(facts)) == "fine"
    assert findings.way(facts) == way


def test_on_another_system_nothing_is_said_of_namespaces_but_that_there_are_none() -> None:
    (finding,) = findings.judge(dataclasses.replace(ROOT, system="macOS"))
    assert finding.ok
    assert "this is macOS: Vagrant makes the machines" in finding.what
    assert "not offered" in finding.what


@pytest.mark.parametrize(("may", "verdict"), [(True, "warning"), (False, "blocked")])
def test_missing_packages_are_bad_only_where_they_cannot_be_had(may: bool, verdict: str) -> None:
    facts = dataclasses.replace(LEARNER, programs=EVERYTHING - {"newuidmap"}, may_install=may)
    finding = bad(facts)["packages"]
    assert finding.verdict == verdict
    assert finding.what.endswith("missing: uidmap")
    assert ("--fix" in finding.fix) == may
    assert ("apt-get install" in finding.fix) != may


@pytest.mark.parametrize(
    ("settings", "container", "fix"),
    [
        (
            {"kernel.unprivileged_userns_clone": "0"},
            "",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            {"kernel.apparmor_restrict_unprivileged_userns": "1"},
            "",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            {"user.max_user_namespaces": "0"},
            "",
            "sudo sysctl -w user.max_user_namespaces=15000",
        ),
        ({}, "docker", "start the container with `docker run --privileged`"),
        ({}, "", "run labkit as root, or ask who runs this machine to allow it"),
    ],
)
def test_no_user_namespaces_and_why(settings: dict[str, str], container: str, fix: str) -> None:
    facts = dataclasses.replace(LEARNER, trials=NO_USERNS, settings=settings, container=container)
    assert bad(facts)["user-namespace"].fix == fix
    assert findings.worst(findings.judge(facts)) == "blocked"


def test_no_range_of_ids() -> None:
    trials = {"user-namespace": "", "namespaces": "unshare: failed to find subuid"}
    found = bad(dataclasses.replace(LEARNER, subordinate_ids=False, trials=trials))
    assert list(found) == ["subordinate-ids"]  # the cause, not what follows from it
    assert found["subordinate-ids"].fix == (
        "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann"
    )


def test_root_in_a_container_that_may_not() -> None:
    trials = {"namespaces": "unshare failed: Operation not permitted"}
    facts = dataclasses.replace(ROOT, trials=trials, container="podman")
    assert bad(facts)["namespaces"].fix == "start the container with `podman run --privileged`"
    assert "CAP_SYS_ADMIN" in bad(dataclasses.replace(ROOT, trials=trials))["namespaces"].fix


@pytest.mark.parametrize("trial", machine.TRIALS)
def test_each_trial_that_fails_names_the_module(trial: str) -> None:
    finding = bad(dataclasses.replace(ROOT, trials=WORKS | {trial: "Operation not supported"}))
    assert list(finding) == [trial]
    assert finding[trial].what.endswith(": Operation not supported")
    assert finding[trial].fix.startswith("sudo modprobe")


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(findings.DISK_WANTED, "fine"), (100 * 2**20, "warning"), (2**20, "blocked")],
)
def test_disk(free: int, verdict: str) -> None:
    found = findings.judge(dataclasses.replace(ROOT, free_bytes=free))
    assert next(each for each in found if each.id == "disk").verdict == verdict


def test_a_runtime_folder_of_somebody_else() -> None:
    facts = dataclasses.replace(LEARNER, runtime_trouble="/run/user/0 is not yours to write to")
    assert "XDG_RUNTIME_DIR" in bad(facts)["runtime-folder"].fix


# --- the machine itself -------------------------------------------------------------------------


def test_this_machine_is_read_without_a_change(home: Path) -> None:
    before = sorted(home.rglob("*"))
    facts = machine.read()
    assert facts.system == "Linux"
    assert facts.free_bytes > 0
    assert facts.runtime_trouble == ""
    assert sorted(home.rglob("*")) == before
    assert findings.judge(facts)


def test_a_runtime_folder_that_cannot_be_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Path:
        raise errors.NotSupported("/tmp/labkit-1 belongs to somebody else")

    monkeypatch.setattr(paths, "runtime_root", refuse)
    assert machine.read().runtime_trouble == "/tmp/labkit-1 belongs to somebody else"


def test_trials_of_what_comes_after_namespaces_need_namespaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(argv: tuple[str, ...], **_: object) -> commands.Command:
        return commands.Command(tuple(argv), 1, "", "no\n" if "--net" in argv else "")

    monkeypatch.setattr(local, "run", fail)
    assert machine.try_all(root=True) == {"namespaces": "no"}
    assert machine.try_all(root=False) == {"user-namespace": "status 1", "namespaces": "no"}


@pytest.mark.parametrize(
    ("line", "enough"),
    [
        ("{user}:100000:65536", True),
        ("{uid}:100000:65536", True),
        ("{user}:100000:1000", False),
        ("somebody-else:100000:65536", False),
        ("nonsense", False),
    ],
)
def test_a_range_of_ids_is_found_by_name_or_number(tmp_path: Path, line: str, enough: bool) -> None:
    import getpass
    import os

    file = tmp_path / "subuid"
    file.write_text("\n" + line.format(user=getpass.getuser(), uid=os.getuid()) + "\n")
    assert machine._has_range(str(file)) == enough
    assert not machine._has_range(str(tmp_path / "gone"))

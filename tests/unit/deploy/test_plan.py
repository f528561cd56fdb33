"""What is wanted, what is found, and the difference: no machine is needed to test it."""

from __future__ import annotations

import io
import shlex
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from labkit.deploy import archive, install, pki, plan, services
from labkit.model import spec

LAB = spec.plan(proxy=spec.ProxySpec(flags={"udp-timeout": "1s"}))

UNIT = services.Unit("one", ("/bin/one", "a b"), {"/etc/one": services.File(b"x", 0o600)})


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> pki.Pki:
    return pki.ensure_pki(tmp_path_factory.mktemp("pki"), LAB)


@pytest.fixture(autouse=True)
def no_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "load_archive", lambda role: role.encode())


def found(**changes: object) -> plan.Found:
    """A machine on which UNIT is as it should be, but for `changes` of its state."""
    files = {path: (file.mode, file.digest) for path, file in plan.plan_files(UNIT, "none").items()}
    state = plan.UnitState(UNIT.name, "running", 7, 0.0, 0, UNIT.revision)
    units = {UNIT.name: replace(state, **changes)}  # type: ignore[arg-type]
    return plan.Found("none", units, files)


class TestServices:
    def test_who_runs_what(self, secrets: pki.Pki) -> None:
        planned = services.plan_services(LAB, secrets)
        names = {node: [unit.name for unit in units] for node, units in planned.items()}
        assert names == {
            "control": ["kube-apiserver", "kube-proxy", "podlet"],
            "node1": ["kube-proxy", "podlet"],
            "node2": ["kube-proxy", "podlet"],
        }

    def test_how_they_are_called(self, secrets: pki.Pki) -> None:
        planned = services.plan_services(LAB, secrets)
        server, proxy, podlet = planned["control"]
        start = "/usr/bin/python3 -I -S -u /var/lib/labkit/bin"
        assert shlex.join(server.argv) == (
            f"{start}/kube-apiserver.pyz --bind-address=0.0.0.0 --secure-port=6443"
            " --tls-cert-file=/etc/labkit/pki/server.crt"
            " --tls-private-key-file=/etc/labkit/pki/server.key"
            " --client-ca-file=/etc/labkit/pki/ca.crt"
            " --token-auth-file=/etc/labkit/pki/tokens.json"
            " --kubelet-certificate-authority=/etc/labkit/pki/ca.crt"
            " --kubelet-client-certificate=/etc/labkit/pki/kubelet-client.crt"
            " --kubelet-client-key=/etc/labkit/pki/kubelet-client.key"
            " --service-cluster-ip-range=10.96.0.0/16 --service-node-port-range=30000-32767"
            " --advertise-address=192.168.56.10"
            " --root-ca-file=/etc/labkit/pki/ca.crt"
            " --load-balancer-ip-range=192.168.56.200-192.168.56.239"
            " --data-dir=/var/lib/labkit/apiserver"
        )
        assert shlex.join(proxy.argv) == (
            f"{start}/kube-proxy.pyz --kubeconfig=/etc/labkit/kube-proxy.kubeconfig"
            " --hostname-override=control --node-ip=192.168.56.10"
            " --cluster-cidr=10.244.0.0/16 --proxy-mode=userspace"
            " --udp-timeout=1s"
        )
        assert shlex.join(podlet.argv) == (
            f"{start}/podlet.pyz --kubeconfig=/etc/labkit/podlet.kubeconfig"
            " --hostname-override=control --node-ip=192.168.56.10 --pod-cidr=10.244.0.0/24"
            " --client-ca-file=/etc/labkit/pki/ca.crt --tls-cert-file=/etc/labkit/pki/kubelet.crt"
            " --tls-private-key-file=/etc/labkit/pki/kubelet.key"
            " --register-node-labels=node-role.kubernetes.io/control-plane=,"
            "node.kubernetes.io/exclude-from-external-load-balancers="
            " --register-with-taints=node-role.kubernetes.io/control-plane=:NoSchedule"
        )
        assert not any("taint" in word for word in planned["node1"][1].argv)

    def test_secrets_are_readable_by_root_alone(self, secrets: pki.Pki) -> None:
        for units in services.plan_services(LAB, secrets).values():
            for unit in units:
                for path, file in unit.files.items():
                    secret = any(word in path for word in ("key", "tokens", "kubeconfig"))
                    assert file.mode == (0o600 if secret else 0o644), path

    def test_a_node_holds_its_own_token_alone(self, secrets: pki.Pki) -> None:
        planned = services.plan_services(LAB, secrets)
        texts = b"".join(file.content for unit in planned["node1"] for file in unit.files.values())
        there = {who["user"] for token, who in secrets.tokens.items() if token.encode() in texts}
        assert there == {"system:kube-proxy:node1", "system:node:node1"}
        keys = {name for name, (_, key) in secrets.pairs.items() if key.encode() in texts}
        assert keys == {"kubelet-node1"}, "who is no API server cannot ask other nodes for logs"

    @pytest.mark.parametrize(
        "other",
        [
            replace(UNIT, argv=("/bin/one",)),
            replace(UNIT, name="two"),
            replace(UNIT, files={"/etc/one": services.File(b"y", 0o600)}),
            replace(UNIT, files={"/etc/one": services.File(b"x", 0o644)}),
            replace(UNIT, files={"/etc/two": services.File(b"x", 0o600)}),
        ],
    )
    def test_whatever_differs_is_another_revision(self, other: services.Unit) -> None:
        assert other.revision != UNIT.revision
        assert replace(UNIT).revision == UNIT.revision


class TestParse:
    TEXT = (
        "init none\nboot 0a1b 100.5\n"
        "unit one running 12 5000 3 abc\n"
        "unit two stopped 0 0 0 \n"
        "unit three restarting 13 6000 1 abc\n"
        "mode 600 /etc/a b\nmode 644 /etc/gone\n"
        "00ff  /etc/a b\n"
    )

    def test_what_look_writes(self) -> None:
        assert plan.parse_found(self.TEXT, now=1000.5) == plan.Found(
            "none",
            {
                "one": plan.UnitState("one", "running", 12, 950.0, 3, "abc", "0a1b/5000"),
                "two": plan.UnitState("two", "stopped", began="0a1b/10050"),
                "three": plan.UnitState(
                    "three", "restarting", 13, 960.0, 1, "abc", began="0a1b/10050"
                ),
            },
            {"/etc/a b": (0o600, "00ff")},
        )

    def test_systemd(self) -> None:
        assert plan.parse_found("init systemd\nboot 0a1b 1\n").init == "systemd"

    def test_a_state_says_itself(self) -> None:
        assert str(plan.UnitState("one", "restarting")) == "restarting"


class TestChanges:
    def test_an_empty_machine_gets_everything(self) -> None:
        changes = plan.plan_changes([UNIT], plan.Found("none"))
        assert set(changes.place) == {"/etc/one", plan.SUPERVISE}
        assert changes.start == (UNIT,)
        assert changes
        assert plan.explain_changes(changes, plan.Found("none")) == (
            "copied /etc/one",
            f"copied {plan.SUPERVISE}",
            "started one",
        )

    def test_a_right_machine_gets_nothing(self) -> None:
        assert not plan.plan_changes([UNIT], found())

    @pytest.mark.parametrize(
        "state", [{"state": "stopped"}, {"state": "restarting"}, {"revision": "older"}]
    )
    def test_a_unit_that_is_not_right_is_started(self, state: dict[str, str]) -> None:
        changes = plan.plan_changes([UNIT], found(**state))
        assert (changes.place, changes.remove, changes.start) == ({}, (), (UNIT,))

    def test_a_wrong_mode_is_a_wrong_file(self) -> None:
        there = found()
        files = {**there.files, "/etc/one": (0o644, UNIT.files["/etc/one"].digest)}
        changes = plan.plan_changes([UNIT], replace(there, files=files))
        assert list(changes.place) == ["/etc/one"]
        assert plan.explain_changes(changes, there) == ("copied /etc/one", "restarted one")

    def test_what_is_not_wanted_is_removed(self) -> None:
        changes = plan.plan_changes([], found())
        assert changes.remove == ("one",)
        assert plan.explain_changes(changes, found()) == ("removed one",)

    def test_every_path_is_looked_at(self) -> None:
        assert plan.paths_of([UNIT]) == [
            "/etc/one",
            "/etc/systemd/system/labkit-one.service",
            plan.SUPERVISE,
        ]

    def test_the_shell_that_makes_them(self) -> None:
        changes = plan.Changes(UNIT.files, ("old",), (UNIT,))
        assert plan.render_changes(changes) == (
            f"alone\nplace /etc/one\nremove old\nstart one {UNIT.revision} /bin/one 'a b'\nsettle\n"
        )
        assert plan.render_changes(plan.Changes({}, ("old",), ())) == "alone\nremove old\nsettle\n"

    def test_files_wait_beside_their_place(self) -> None:
        with tarfile.open(fileobj=io.BytesIO(install.pack(UNIT.files))) as packed:
            (member,) = packed.getmembers()
            assert (member.name, member.mode, member.uid) == ("etc/one.labkit-new", 0o600, 0)


class TestSystemd:
    def test_files(self) -> None:
        files = plan.plan_files(UNIT, "systemd")
        assert set(files) == {"/etc/one", "/etc/systemd/system/labkit-one.service"}

    def test_the_service(self) -> None:
        text = plan.render_service(UNIT)
        assert "Description=labkit: one\n" in text
        assert 'ExecStart=/bin/one "a b"\n' in text
        assert f"Environment=LABKIT_REVISION={UNIT.revision}\n" in text
        assert "Restart=always\n" in text
        assert "KillMode=process\n" in text
        assert "StandardOutput=append:/var/log/labkit/one.log\n" in text
        assert "WantedBy=multi-user.target\n" in text
        assert "$name" not in text

    @pytest.mark.parametrize(
        ("word", "written"),
        [
            ("plain=1", "plain=1"),
            ("50%", "50%%"),
            ("$HOME", "$$HOME"),
            ('say "hi"', '"say \\"hi\\""'),
            ("a\\b", '"a\\\\b"'),
            ("", '""'),
        ],
    )
    def test_words_mean_themselves(self, word: str, written: str) -> None:
        assert f"ExecStart={written}\n" in plan.render_service(replace(UNIT, argv=(word,)))


def test_shell_texts_are_posix() -> None:
    folder = Path(plan.__file__).parent
    for name in ("node.sh", "supervise.sh"):
        subprocess.run(["sh", "-n", folder / name], check=True)

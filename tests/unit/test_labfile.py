"""The lab file: found from below, read into a checked LabSpec, every mistake named in place."""

from __future__ import annotations

import re
import tomllib
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors, labfile, paths
from labkit.agent import flags
from labkit.labfile import grammar
from labkit.model import flags as model_flags
from labkit.model import spec


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with no lab file at or above it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / paths.LAB_FILE
    path.write_text(text)
    return path


def test_no_file_is_needed(here: Path) -> None:
    assert labfile.load() == spec.plan()


def test_the_file_shown_in_the_documentation_is_all_defaults_but_its_flag(here: Path) -> None:
    shown = "".join(re.findall(r"^    (.*\n)", labfile.__doc__ or "", re.MULTILINE))
    wanted = spec.plan(proxy=spec.ProxySpec(flags={"udp-timeout": "250ms"}))
    assert labfile.load(write(here, shown)) == wanted
    defaults = tomllib.loads(shown)
    assert set(defaults) == set(labfile.LabFile.__struct_fields__)


def test_the_nearest_file_upwards_counts(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = here / "a" / "b"
    below.mkdir(parents=True)
    assert paths.find_lab_file(below) is None
    top = write(here, 'name = "top"')
    assert paths.find_lab_file(below) == top
    near = write(below.parent, 'name = "near"')
    assert paths.find_lab_file(below) == near
    monkeypatch.chdir(below)
    assert labfile.load().name == "near"


def test_everything_that_can_be_said(here: Path) -> None:
    lab = labfile.load(
        write(
            here,
            """
            name = "big"
            provider = "netns"
            [nodes]
            workers = 3
            clients = 0
            [network]
            machines = "10.1.0.0/24"
            pods = "10.2.0.0/16"
            services = "10.3.0.0/16"
            node_ports = "31000-31999"
            load_balancers = "10.1.0.240/29"
            [proxy]
            mode = "userspace"
            [proxy.flags]
            "--udp-timeout" = "1s"
            v = 2
            config-sync-period = true
            """,
        )
    )
    assert [node.name for node in lab.nodes] == ["control", "node1", "node2", "node3"]
    assert lab.machine_network == IPv4Network("10.1.0.0/24")
    assert lab.node_ports == (31000, 31999)
    assert str(lab.load_balancers) == "10.1.0.240-10.1.0.247"
    assert spec.from_json(lab.to_json()) == lab
    assert lab.proxy.flags == {
        "udp-timeout": "1s",
        "v": "2",
        "config-sync-period": "true",
    }


def test_the_flags_that_can_be_set_are_those_of_the_agent() -> None:
    defaults = {flag.name: flag.default for flag in model_flags.FLAGS}
    assert {*grammar.PROXY_FLAGS, *grammar.OWN_FLAGS} == set(defaults)
    words = [f"--{name}={defaults[name]}" for name in grammar.PROXY_FLAGS]
    assert flags.parse_flags(["--kubeconfig=x", *words]) == flags.parse_flags(["--kubeconfig=x"])


def test_flags_go_over_the_file(here: Path) -> None:
    path = write(here, 'name = "a"\n[nodes]\nworkers = 3')
    lab = labfile.load(path, {"name": "b", "nodes.clients": 0, "nodes.workers": None})
    assert (lab.name, len(lab.workers), len(lab.nodes)) == ("b", 3, 4)


@pytest.mark.parametrize(
    ("text", "key", "found", "hint"),
    [
        ('name = "a/b"', "name", "'a/b' cannot be", "lower-case letters"),
        ("name = 3", "name", "3 is not allowed", "lower-case letters"),
        ('provider = "vagrent"', "provider", "there is no 'vagrent'", "did you mean 'vagrant'?"),
        ('providr = "netns"', "providr", "there is no such key", "did you mean 'provider'?"),
        ("nodes = 3", "nodes", "3 is not allowed", "a table with workers, clients"),
        ("[nodes]\nworkrs = 3", "nodes.workrs", "no such key", "did you mean 'workers'?"),
        ('[nodes]\nworkers = "3"', "nodes.workers", '"3" is not', "number from 1 to 80"),
        ("[nodes]\nworkers = 0", "nodes.workers", "0 is not allowed", "from 1 to 80"),
        ("[nodes]\nclients = true", "nodes.clients", "true is not", "from 0 to 50"),
        ('[network]\npods = "10.1.0.0/33"', "network.pods", "not an IPv4 network", "10.244.0.0/16"),
        ('[network]\npods = "10.1.2.3/16"', "network.pods", "host bits set", "10.244.0.0/16"),
        ('[network]\nnode_ports = "2-1"', "network.node_ports", '"2-1" is not', "30000-32767"),
        ('[network]\nnode_ports = "1-70000"', "network.node_ports", "not allowed", "to 65535"),
        ('[network]\nload_balancers = "a"', "network.load_balancers", "'a' is no", "56.208/28"),
        ("[network]\nload_balancers = 3", "network.load_balancers", "3 is not", "such as"),
        ('[control_plane]\ncontext = "a"', "control_plane.context", "of no kubeconfig", "too"),
        ("[control_plane]\nkubeconfig = 3", "control_plane.kubeconfig", "3 is not", "the path of"),
        (
            '[control_plane]\nkubeconfig = "~nobody-here/x"',
            "control_plane.kubeconfig",
            "home directory",
            "in full",
        ),
        ('[proxy]\nmode = "ipvs"', "proxy.mode", "there is no 'ipvs'", "known are userspace"),
        ("[proxy.flags]\nx = [1]", "proxy.flags", '{"x": [1]} is not', "a string, a number"),
        ('[proxy.flags]\nkubeconfig = "x"', "proxy.flags.kubeconfig", "labkit's", "every node"),
        (
            "[proxy.flags]\nudp-timout = 1",
            "proxy.flags.udp-timout",
            "no such flag",
            "'udp-timeout'?",
        ),
        ("[proxy.flags]\nx = 1979-05-27", "proxy.flags", "1979-05-27", "a string, a number"),
    ],
)
def test_a_mistake_names_the_file_the_key_what_was_found_and_what_is_allowed(
    here: Path, text: str, key: str, found: str, hint: str
) -> None:
    path = write(here, text)
    with pytest.raises(errors.ConfigError) as caught:
        labfile.load(path)
    assert str(caught.value).startswith(f"{path}: {key}: ")
    assert found in str(caught.value)
    assert hint in caught.value.hint


def test_a_kubeconfig_begins_at_the_file_that_names_it_or_where_the_flag_was_typed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "below").mkdir()
    path = write(here, '[control_plane]\nkubeconfig = "a.yaml"\ncontext = "c"')
    monkeypatch.chdir(here / "below")
    assert not labfile.load(path, {"control_plane.kubeconfig": None}).proxy.flags
    in_file = spec.ControlPlaneSpec(str(here / "a.yaml"), "c")
    assert labfile.load(path).control_plane == in_file
    typed = labfile.load(path, {"control_plane.kubeconfig": "b.yaml"}).control_plane
    assert typed == spec.ControlPlaneSpec(str(here / "below" / "b.yaml"), "c")
    assert spec.from_json(labfile.load(path).to_json()).control_plane == in_file
    assert spec.plan().control_plane.is_external is False


def test_load_balancers_follow_the_network_of_machines(here: Path) -> None:
    path = write(here, '[network]\nmachines = "10.1.0.0/24"')
    assert str(labfile.load(path).load_balancers) == "10.1.0.200-10.1.0.239"
    path = write(here, '[network]\nload_balancers = "192.168.56.90-192.168.56.110"')
    with pytest.raises(errors.ConfigError, match=r"load_balancers is .* is client's") as caught:
        labfile.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_lab_of_an_earlier_release_has_an_api_server_of_its_own() -> None:
    data = spec.plan().to_json()
    del data["control_plane"], data["network"]["load_balancers"]
    assert spec.from_json(data) == spec.plan()


def test_networks_that_overlap_name_each_other(here: Path) -> None:
    path = write(here, '[network]\npods = "10.96.0.0/16"')
    with pytest.raises(errors.ConfigError, match=r"pods .* overlaps that of services") as caught:
        labfile.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_what_is_not_toml_is_named_with_its_line(here: Path) -> None:
    with pytest.raises(errors.ConfigError, match=r"labkit\.toml is not TOML: .*line 2"):
        labfile.load(write(here, 'name = "a"\nnodes = lots'))


def test_a_file_that_cannot_be_read(here: Path) -> None:
    path = here / paths.LAB_FILE
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(errors.ConfigError, match="cannot be read"):
        labfile.load(path)


@pytest.mark.parametrize("folder", [True, False])
def test_a_mistake_in_a_flag_is_not_blamed_on_the_file(here: Path, folder: bool) -> None:
    if folder:
        write(here, "[nodes]\nworkers = 2")
    with pytest.raises(errors.ConfigError, match=r"given as a flag: nodes\.workers: 900"):
        labfile.load(None, {"nodes.workers": 900})


def test_a_flag_over_a_table_that_is_none_blames_the_file(here: Path) -> None:
    path = write(here, "nodes = 3")
    with pytest.raises(errors.ConfigError, match="3 is not allowed") as caught:
        labfile.load(path, {"nodes.workers": 1})
    assert str(caught.value).startswith(f"{path}: nodes: ")


TOML = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = st.sampled_from(["name", "nodes", "nodes.workers", "network.pods", "proxy.flags", "x"])


@given(said=st.dictionaries(KEYS, TOML, max_size=3))
def test_whatever_is_said_ends_as_a_lab_or_as_a_config_error(said: dict[str, Any]) -> None:
    try:
        lab = labfile.load(None, said)
    except errors.ConfigError:
        return
    assert lab.nodes


def test_hosts_take_their_names_and_roles_from_their_order(here: Path) -> None:
    lab = labfile.load(
        write(
            here,
            """
            provider = "ssh"
            hosts = [{address = "192.0.2.1"}, {address = "192.0.2.2", user = "u", key = "k"}]
            """,
        )
    )
    assert lab.hosts == (
        spec.HostSpec("control", "192.0.2.1", "control-plane"),
        spec.HostSpec("node1", "192.0.2.2", "worker", 22, "u", str(here / "k")),
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('provider = "ssh"', "the provider ssh needs hosts"),
        ('hosts = [{address = "192.0.2.1"}]', "only the provider ssh has hosts"),
        (
            'provider = "ssh"\nhosts = [{address = "192.0.2.1", role = "worker"}]',
            "no host is the control-plane",
        ),
        (
            'provider = "ssh"\nhosts = [{address = "192.0.2.1", host_key = "abc"}]',
            "this is no public key",
        ),
        ('provider = "vagrant"\nvagrant.provider = "xen"', "there is no 'xen'"),
        ('provider = "vagrant"\nvagrant.memory = 64', "64 is not allowed"),
    ],
)
def test_machines_that_cannot_be(here: Path, text: str, found: str) -> None:
    with pytest.raises(errors.ConfigError, match=found):
        labfile.load(write(here, text))


def test_what_vagrant_makes(here: Path) -> None:
    text = 'provider = "vagrant"\n[vagrant]\nbox = "b"\noptions = {nested = true}'
    lab = labfile.load(write(here, text))
    assert lab.vagrant == spec.VagrantSpec(box="b", options={"nested": True})

"""An API server that is not the lab's: the same program, with another lab's certificates.

It runs on the machine `client`, which the nodes reach and which is not part of the cluster. Bare,
it has no controllers and no scheduler, as kube-apiserver has none: its unit is started by a text
that takes them out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from labkit import errors, lab
from labkit.client import config, http
from labkit.deploy import health, install, pki, services
from labkit.model import spec

#: Runs the archive with its controllers taken out.
BARE = """
import contextlib, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0])
from labkit.apiserver.controllers import loops
@contextlib.asynccontextmanager
async def nothing(*_, **__):
    yield
loops.running = nothing
from labkit.apiserver.main import main
sys.exit(main(sys.argv[1:]))
"""


class Server:
    """One server on the lab's `client` machine. `kubeconfig` is an administrator's, as a file."""

    def __init__(self, opened: lab.Lab, folder: Path, *, bare: bool) -> None:
        self._lab = opened
        self._bare = bare
        self._address = opened.spec.node("client").address
        self._folder = folder
        folder.mkdir()
        other = spec.plan("foreign", service_network=spec.parse_network("10.97.0.0/16"))
        control = dataclasses.replace(other.control, address=self._address)
        self._spec = dataclasses.replace(other, nodes=(control, *other.nodes[1:]))
        self._pki = pki.ensure_pki(folder / "pki", self._spec)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(self._pki.admin_kubeconfig)

    def start(self) -> None:
        """On machines that are up; return when it answers."""
        install.ensure_services(self._lab.pool, {"client": self.units()})
        node = self._lab.pool.connection("client")
        health.wait_for_unit(node, services.API_SERVER, port=spec.API_PORT, timeout_s=60)

    def units(self) -> tuple[services.Unit, ...]:
        unit = services.plan_api_server(self._spec, self._pki)
        if not self._bare:
            return (unit,)
        at = unit.argv.index(next(word for word in unit.argv if word.endswith(".pyz")))
        argv = (*unit.argv[:at], "-c", BARE, *unit.argv[at:])
        return (dataclasses.replace(unit, argv=argv),)

    def start_machines(self) -> None:
        """A lab comes up as far as it can while the server is not there yet."""
        try:
            self._lab.up()
        except errors.LabkitError as error:
            assert "cannot be reached" in str(error)  # noqa: PT017 - said by each node

    def stop(self) -> None:
        install.stop_units(self._lab.pool, ["client"])

    @property
    def tokens(self) -> dict[str, str]:
        """The token of each user."""
        return {str(who["user"]): token for token, who in self._pki.tokens.items()}

    @contextlib.contextmanager
    def client(self) -> Iterator[http.Client]:
        """An administrator's."""
        read = config.read_kubeconfig(str(self.kubeconfig))
        with http.Client(read, dial=self._lab.provider.dial) as client:
            yield client

    def kubeconfig_with(self, name: str, **changes: dict[str, object]) -> Path:
        """Another kubeconfig: `cluster` and `user` say what differs."""
        document = json.loads(self.kubeconfig.read_text())
        for part, values in changes.items():
            document[f"{part}s"][0][part] |= values
        path = self._folder / name
        path.write_text(json.dumps(document))
        return path

"""The server process: a TLS socket, uvicorn, the controllers, and a prompt end.

uvicorn brings HTTP; this module brings what an API server needs besides: the socket is bound before
anything else, so that a taken port is told at once and early clients wait instead of being refused;
client certificates reach the application; TERM ends the open watches instead of waiting for them.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextlib
import errno
import logging
import resource
import signal
import socket
import ssl
from collections.abc import Generator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from uvicorn import config as uvicorn_config
from uvicorn import server as uvicorn_server

from labkit import errors
from labkit.apiserver import allocation, app, authn, bootstrap, connections, registry, store
from labkit.apiserver.controllers import loops

logger = logging.getLogger(__name__)

#: Connections that wait to be accepted. A class that starts at once is some hundred.
BACKLOG = 512
#: What asyncio reads at once from a connection. A TLS record is no larger; asyncio's own choice of
#: 256 KiB makes up nine tenths of what an idle connection costs (measured: 270 KB, and 30 so).
READ_BYTES = 16 * 1024
#: For `connections.MOST` and for files, where the machine allows so many.
DESCRIPTORS = 8192
#: TLS is agreed on in two round trips; who has not done so by then does not mean to.
HANDSHAKE_S = 10
#: A client that is not there any more is noticed after so long when there is something to send to
#: it, and after so long and a minute when there is not.
DEAD_AFTER_S = 60


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, checked."""

    bind_address: str
    port: int
    certificate: Path
    key: Path
    client_ca: Path | None
    token_file: Path | None
    kubelet_ca: Path | None
    kubelet_client: tuple[Path, Path] | None
    ranges: allocation.Ranges
    advertise_address: IPv4Address
    data_dir: Path
    watch_history: int
    controllers: loops.Settings


def listen(address: str, port: int) -> socket.socket:
    """Raises LabkitError for a port that is taken or an address that is not this machine's."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Inherited by accepted connections: a client that vanished is noticed in the end, and no
    # answer's second half waits 40 ms for the client's acknowledgement of the first.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_S * 1000)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_AFTER_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, DEAD_AFTER_S // 4)
    try:
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise errors.Busy(
                f"port {port} of {address} is taken",
                hint=f"`ss -ltnp 'sport = :{port}'` tells by whom; or choose another --secure-port",
            ) from error
        raise errors.ConfigError(f"cannot listen on {address}:{port}: {error.strerror}") from error
    sock.listen(BACKLOG)
    return sock


def make_tls(options: Options) -> ssl.SSLContext:
    """Raises ConfigError that names the file at fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.certificate, options.key)
    except (OSError, ssl.SSLError) as error:
        raise errors.ConfigError(
            f"cannot use the certificate {options.certificate} with the key {options.key}: {error}",
            hint="both are PEM files, and belong together",
        ) from error
    if options.client_ca:
        try:
            context.load_verify_locations(options.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise errors.ConfigError(f"--client-ca-file {options.client_ca}: {error}") from error
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def make_kubelet_tls(options: Options) -> ssl.SSLContext | None:
    """How kubelets are asked; None where there is nothing to show them. Raises ConfigError."""
    if options.kubelet_client is None:
        return None
    context = ssl.create_default_context(cafile=options.kubelet_ca)
    certificate, key = options.kubelet_client
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise errors.ConfigError(
            f"cannot use --kubelet-client-certificate {certificate} with {key}: {error}"
        ) from error
    return context


class Server(uvicorn_server.Server):
    """The server of uvicorn, which ends its watches when it is told to end, and then ends well."""

    def __init__(self, config: uvicorn_config.Config, objects: store.Store) -> None:
        super().__init__(config)
        self._objects = objects

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's own, but a handshake has an end."""
        assert sockets
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                self._make_protocol,
                sock=sock,
                ssl=self.config.ssl,
                backlog=BACKLOG,
                ssl_handshake_timeout=HANDSHAKE_S,
            )
            for sock in sockets
        ]
        self.started = True

    def _make_protocol(self) -> connections.Protocol:
        return connections.Protocol(self.config, self.server_state, self.lifespan.state)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            connections.sweep(self.server_state.connections, now)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Uvicorn would raise the signal again at the end; here a TERM is an orderly end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        yield

    def _end(self, number: int) -> None:
        logger.info("ending: %s", signal.Signals(number).name)
        self.should_exit = True
        self._objects.close_watches()


def prepare_process() -> None:
    """Room for many connections, each of them small."""
    asyncio.sslproto.SSLProtocol.max_size = READ_BYTES
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if most == resource.RLIM_INFINITY else min(DESCRIPTORS, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def run(options: Options) -> None:
    """Serve until TERM or INT. Raises LabkitError for what prevents the start."""
    prepare_process()
    tokens = authn.read_tokens(options.token_file)
    tls, kubelet_tls = make_tls(options), make_kubelet_tls(options)
    _make_private(options.data_dir)
    with (
        contextlib.closing(listen(options.bind_address, options.port)) as sock,
        store.Store(options.data_dir, watch_history=options.watch_history) as objects,
    ):
        asyncio.run(_serve(options, sock, tls, kubelet_tls, tokens, objects))


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise errors.ConfigError(f"--data-dir {folder}: {error.strerror}") from error


async def _serve(
    options: Options,
    sock: socket.socket,
    tls: ssl.SSLContext,
    kubelet_tls: ssl.SSLContext | None,
    tokens: authn.Tokens,
    objects: store.Store,
) -> None:
    port = sock.getsockname()[1]
    writes = registry.Registry(objects, options.ranges)
    writes.load()
    api = bootstrap.ApiAddress(options.ranges.addresses[1], options.advertise_address, port)
    bootstrap.ensure_initial(writes, api)
    address = f"{options.advertise_address}:{port}"
    application = app.make_app(writes, tokens, address, kubelet_tls)
    server = Server(_configure(application, tls), objects)
    async with loops.running(writes, api, options.controllers):
        logger.info("serving on %s:%d", options.bind_address, port)
        await server.serve(sockets=[sock])


def _configure(application: Any, tls: ssl.SSLContext) -> uvicorn_config.Config:
    return uvicorn_config.Config(
        application,
        http=connections.Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=connections.IDLE_S,
        h11_max_incomplete_event_size=connections.HEADER_BYTES,
        timeout_graceful_shutdown=1,
        ssl_context_factory=lambda _, __: tls,
    )

"""An SSH connection's first 20 ms: agree on algorithms, know the server, say who we are.

    key exchange   a secret that both ends know and nobody else, signed by the server's host key
    host key       must be the one that the lab gave the machine: nothing is learned on the way
    user key       the lab's own; no agent, no other keys, no passwords are tried

Each side would agree on many algorithms. What is offered here is strong and, measured with
paramiko 5 and OpenSSH 9.2, the cheapest. Milliseconds of both CPUs together, per connection:

    ecdh-sha2-nistp256             21   (OpenSSL's assembly)
    curve25519-sha256              23   (sshd's portable C)
    diffie-hellman-group14-sha256  42   (2048-bit numbers, mostly on our side)

Ciphers and MACs make no difference to a handshake; aes-gcm needs no MAC and so is first.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from labkit import errors, version
from labkit.ssh import keys, lean
from labkit.ssh.endpoint import Endpoint

with lean.without("invoke"), lean.without_versions():
    import paramiko

#: What paramiko may raise when a connection fails or breaks.
TROUBLE = (paramiko.SSHException, EOFError, OSError)

_KEX = ("ecdh-sha2-nistp256", "curve25519-sha256", "curve25519-sha256@libssh.org")
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr")
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256")
#: An RSA key signs in one of two ways; other types have one way, called as the key itself is.
_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}

#: Who we say that we are: a server's log shows it.
_CALLER = f"SSH-2.0-labkit_{version.__version__}"

# A machine that vanishes without a word is noticed by the kernel, not by a timer of ours.
_SILENCE_S = 20

# paramiko logs every failure with a traceback; they reach our callers as exceptions instead.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class NoKeyAccepted(errors.ConnectionFailed):
    """The machine answers, and no key that we have opens it."""


def connect(where: Endpoint, *, timeout_s: float = 15.0) -> paramiko.Transport:
    """Connect and log in. Raises ConnectionFailed, which names the node and what to do."""
    if not where.host_key:
        raise errors.ConnectionFailed(
            "the machine's host key is not known yet: an `up` was cut short",
            hint="`labkit up` goes on",
            node=where.name,
        )

    def log_in(transport: paramiko.Transport) -> None:
        _check_host_key(where, transport)
        transport.auth_publickey(where.user, paramiko.PKey.from_path(where.private_key))

    return _open(where, where.host_key.split()[0], log_in, timeout_s)


def meet(
    where: Endpoint, private_keys: Iterable[Path], *, timeout_s: float = 15.0
) -> tuple[paramiko.Transport, str]:
    """Log in to a machine that nobody knows yet, and return the host key that it shows, too.

    Only for one that was made just now: whoever answers first is believed. The keys are tried in
    turn on one connection, for an emulated machine works a second on each. Raises NoKeyAccepted,
    ConnectionFailed.
    """

    def log_in(transport: paramiko.Transport) -> None:
        for path in private_keys:
            with contextlib.suppress(paramiko.AuthenticationException, FileNotFoundError):
                transport.auth_publickey(where.user, paramiko.PKey.from_path(path))
                return
        raise NoKeyAccepted(f"sshd at {where.host}:{where.port} accepts no key", node=where.name)

    transport = _open(where, "ssh-ed25519", log_in, timeout_s)
    return transport, _host_key(transport)


def _open(
    where: Endpoint,
    key_type: str,
    log_in: Callable[[paramiko.Transport], None],
    timeout_s: float,
) -> paramiko.Transport:
    transport = None
    try:
        transport = paramiko.Transport(_prompt(where.dial(where.host, where.port)))
        transport.local_version = _CALLER
        _offer(transport, key_type)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = timeout_s
        transport.start_client(timeout=timeout_s)
        log_in(transport)
    except BaseException as error:
        if transport is not None:
            transport.close()
        if isinstance(error, TROUBLE):
            raise _explain(where, error) from error
        raise
    return transport


def _host_key(transport: paramiko.Transport) -> str:
    key = transport.get_remote_server_key()
    return f"{key.get_name()} {key.get_base64()}"


def _offer(transport: paramiko.Transport, key_type: str) -> None:
    options = transport.get_security_options()
    options.kex = tuple(name for name in _KEX if name in options.kex)
    options.ciphers = _CIPHERS
    options.digests = _MACS
    options.key_types = _SIGNATURES.get(key_type, (key_type,))


class _PromptSocket(socket.socket):
    """Acknowledges at once what it received.

    sshd sends its first words on a new session in two small pieces, and the kernel on its side
    holds the second back until the first is acknowledged (Nagle's algorithm), which ours would do
    after 40 ms, hoping for something to send along. sshd switches that off only with the first
    command. So ours says at once that it has received.
    """

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        data = super().recv(size, flags)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


def _prompt(sock: socket.socket) -> socket.socket:
    """`sock`, with all that the kernel can do for short answers, and against long silence."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return sock
    sock = _PromptSocket(fileno=sock.detach())
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENCE_S // 2)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _SILENCE_S // 4)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_S * 1000)
    return sock


def _check_host_key(where: Endpoint, transport: paramiko.Transport) -> None:
    shown = _host_key(transport)
    if not keys.same(shown, where.host_key):
        raise errors.ConnectionFailed(
            f"the machine at {where.host}:{where.port} shows the host key "
            f"{keys.fingerprint(shown)}, not {keys.fingerprint(where.host_key)}",
            hint="another machine has this address, or this one was made anew by somebody else; "
            "`labkit down --purge` and `labkit up` make the lab's machines and keys again",
            node=where.name,
        )


def _explain(where: Endpoint, error: BaseException) -> errors.ConnectionFailed:
    place = f"{where.host}:{where.port}"
    if isinstance(error, paramiko.AuthenticationException):
        message = f"sshd at {place} does not accept {where.private_key} for {where.user}"
        hint = "put its public key into authorized_keys there; `labkit up` does so on its own nodes"
    elif isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        message = f"sshd at {place} and labkit have no algorithm in common: {error}"
        hint = "labkit needs an OpenSSH that is not older than 6.5, with its usual algorithms"
    elif isinstance(error, FileNotFoundError):
        message = f"the private key {where.private_key} is missing"
        hint = "`labkit up` makes the lab's key"
    else:
        message = f"no SSH connection to {place}: {_words(error)}"
        hint = "`labkit up` starts what is not running"
    return errors.ConnectionFailed(message, hint=hint, node=where.name)


def _words(error: BaseException) -> str:
    text = str(error)
    if "protocol banner" in text:
        return "what listens there does not speak SSH, or is just ending"
    return text or "the machine closed the connection"

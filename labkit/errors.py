"""The error tree: what failed, on which node, what to try.

    LabkitError
    ├── UsageError             the command line asks for something that cannot be
    ├── ConfigError            the lab file, or a value that came from a person
    ├── NothingMatched         no such lab, node, object
    ├── NotSupported           this machine cannot, or may not
    ├── TimedOut               it did not happen in time; the message says what was awaited
    ├── Busy                   somebody else is working on the same thing
    ├── ProviderError          a machine could not be made, reached or removed
    │   └── DiskFull           there is no room for what it needs
    ├── ConnectionFailed       a node or the API server does not answer
    ├── CommandFailed          a program on a machine ended badly
    ├── RuleSyntaxError        text that is not what iptables-save writes
    └── ApiError               the API server said no
        ├── NotFound  ├── Conflict  ├── Gone  └── Invalid

Every class has a stable id, printed and put into JSON, and an exit code. Foreign errors are
translated once, at the adapter that meets them, and chained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class LabkitError(Exception):
    """What failed (`message`), where (`node`, empty for this machine), what to try (`hint`)."""

    id: ClassVar[str] = "LK-ERROR"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", node: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.node = node

    def __str__(self) -> str:
        return f"{self.node}: {self.message}" if self.node else self.message


class UsageError(LabkitError):
    id = "LK-USAGE"
    exit_code = 2


class ConfigError(LabkitError):
    id = "LK-CONFIG"
    exit_code = 2


class NothingMatched(LabkitError):
    id = "LK-NOTHING-MATCHED"
    exit_code = 4


class NotSupported(LabkitError):
    id = "LK-NOT-SUPPORTED"
    exit_code = 5


class TimedOut(LabkitError):
    id = "LK-TIMED-OUT"
    exit_code = 6


class Busy(LabkitError):
    id = "LK-BUSY"
    exit_code = 7


class ProviderError(LabkitError):
    id = "LK-PROVIDER"


class DiskFull(ProviderError):
    id = "LK-DISK-FULL"


class ConnectionFailed(LabkitError):
    id = "LK-CONNECTION"


class CommandFailed(LabkitError):
    """A program ended with a status other than 0. Keeps the last lines that it wrote to stderr."""

    id = "LK-COMMAND"

    def __init__(
        self, argv: Sequence[str], exit_status: int, stderr: str, *, hint: str = "", node: str = ""
    ) -> None:
        last = "\n".join(stderr.strip().splitlines()[-5:])
        super().__init__(
            f"`{' '.join(argv)}` ended with status {exit_status}" + (f": {last}" if last else ""),
            hint=hint,
            node=node,
        )
        self.argv = tuple(argv)
        self.exit_status = exit_status


class RuleSyntaxError(LabkitError):
    """`line` is 1-based, within the text that was parsed."""

    id = "LK-RULE-SYNTAX"
    exit_code = 2

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


class ApiError(LabkitError):
    """The API server's refusal: `status` is the HTTP code, `body` the Kubernetes Status object."""

    id = "LK-API"

    def __init__(
        self, message: str, *, status: int, body: Mapping[str, Any] | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.body = dict(body or {})


class NotFound(ApiError):
    id = "LK-API-NOT-FOUND"
    exit_code = 4


class Conflict(ApiError):
    id = "LK-API-CONFLICT"
    exit_code = 7


class Gone(ApiError):
    id = "LK-API-GONE"


class Invalid(ApiError):
    id = "LK-API-INVALID"
    exit_code = 2


def api_error(status: int, body: Mapping[str, Any]) -> ApiError:
    """Choose the class for an HTTP status; the message is the Status object's own."""
    kinds: dict[int, type[ApiError]] = {
        400: Invalid,  # what was sent cannot even be read: a text where a number belongs
        404: NotFound,
        409: Conflict,
        410: Gone,
        422: Invalid,
    }
    message = str(body.get("message") or f"the API server answered {status}")
    return kinds.get(status, ApiError)(message, status=status, body=body)

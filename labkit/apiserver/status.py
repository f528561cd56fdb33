"""Every refusal of the server: an HTTP status and a Kubernetes `Status` object with its reason.

The words are kube-apiserver's own, because people search the web for them. They travel up the call
stack as `errors.ApiError`, whose `body` is the Status; only the app turns them into a response.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from labkit import errors
from labkit.model import resources

FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing wrong with one field. `field` is its path; `message` does not repeat it."""

    reason: str
    message: str
    field: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def success(details: resources.Object | None = None, code: int = 200) -> resources.Object:
    """Says its code only where it is not what one expects, as Kubernetes' own does."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    told = {"details": details} if details else {}
    return {**status, **told, **({"code": code} if code != 200 else {})}


def failure(
    code: int, reason: str, message: str, details: resources.Object | None = None
) -> errors.ApiError:
    """Make the error; the caller raises it."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        **({"reason": reason} if reason else {}),
    }
    if details is not None:
        body["details"] = details
    return errors.api_error(code, {**body, "code": code})


def details_of(resource: resources.Resource, name: str, **more: Any) -> resources.Object:
    """Who it was about. Kubernetes puts the plural into `kind` here, except for Invalid."""
    group = {"group": resource.group} if resource.group else {}
    return {**({"name": name} if name else {}), **group, "kind": resource.plural, **more}


def qualified(resource: resources.Resource) -> str:
    """`services`, `deployments.apps`: the resource as messages name it."""
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def bad_request(message: str) -> errors.ApiError:
    return failure(400, "BadRequest", message)


def unauthorized() -> errors.ApiError:
    return failure(401, "Unauthorized", "Unauthorized")


def forbidden(resource: resources.Resource, name: str, why: str) -> errors.ApiError:
    what = f'{qualified(resource)} "{name}"' if name else qualified(resource)
    details = details_of(resource, name)
    return failure(FORBIDDEN, "Forbidden", f"{what} is forbidden: {why}", details)


def not_found(resource: resources.Resource, name: str) -> errors.ApiError:
    message = f'{qualified(resource)} "{name}" not found'
    return failure(404, "NotFound", message, details_of(resource, name))


def no_such_path() -> errors.ApiError:
    message = "the server could not find the requested resource"
    return failure(404, "NotFound", message, {})


def method_not_allowed() -> errors.ApiError:
    message = "the server does not allow this method on the requested resource"
    return failure(405, "MethodNotAllowed", message, {})


def not_acceptable(accepted: str) -> errors.ApiError:
    message = f"only the following media types are accepted: {accepted}"
    return failure(406, "NotAcceptable", message)


def already_exists(resource: resources.Resource, name: str) -> errors.ApiError:
    message = f'{qualified(resource)} "{name}" already exists'
    return failure(409, "AlreadyExists", message, details_of(resource, name))


def conflict(resource: resources.Resource, name: str, why: str) -> errors.ApiError:
    message = f'Operation cannot be fulfilled on {qualified(resource)} "{name}": {why}'
    return failure(409, "Conflict", message, details_of(resource, name))


def modified(resource: resources.Resource, name: str) -> errors.ApiError:
    why = (
        "the object has been modified; "
        "please apply your changes to the latest version and try again"
    )
    return conflict(resource, name, why)


def expired(message: str, metadata: resources.Object | None = None) -> errors.ApiError:
    """`metadata` is the list's: where to go on."""
    refusal = failure(410, "Expired", message)
    return errors.api_error(410, {**refusal.body, "metadata": metadata or {}})


def too_large(limit: int) -> errors.ApiError:
    message = f"Request entity too large: limit is {limit}"
    return failure(413, "RequestEntityTooLarge", message)


def unsupported_media_type(accepted: Iterable[str]) -> errors.ApiError:
    message = (
        "the body of the request was in an unknown format - "
        f"accepted media types include: {', '.join(accepted)}"
    )
    return failure(415, "UnsupportedMediaType", message)


def invalid(resource: resources.Resource, name: str, causes: Sequence[Cause]) -> errors.ApiError:
    """The object is understood, and cannot be: one cause for each field."""
    texts = [str(cause) for cause in causes]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = {
        **details_of(resource, name),
        "kind": resource.kind,
        "causes": [
            {"reason": cause.reason, "message": cause.message, "field": cause.field}
            for cause in causes
        ],
    }
    return failure(422, "Invalid", f'{kind} "{name}" is invalid: {listed}', details)


def too_large_resource_version(asked: int, current: int) -> errors.ApiError:
    message = "Too large resource version"
    cause = {"reason": "ResourceVersionTooLarge", "message": message}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    return failure(504, "Timeout", f"Timeout: {message}: {asked}, current: {current}", details)


def internal(message: str) -> errors.ApiError:
    details = {"causes": [{"message": message}]}
    return failure(500, "InternalError", f"Internal error occurred: {message}", details)

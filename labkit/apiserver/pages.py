"""Which state of the objects a list shows, and which part of it.

    resourceVersion  resourceVersionMatch  limit  the list shows
    none, or 0       none                  any    the present
    41               none, NotOlderThan    none   the present; 504 if that is older than 41
    41               none                  10     the first 10 of what was there at 41
    41               Exact                 any    what was there at 41; 410 if that is forgotten
    none             none                  10     with continue=TOKEN: what follows a page, as it
                                                  was when the first page was shown

So the pages of one list are one picture, however long somebody takes to turn them. A token holds
the last name shown and the revision of the picture. When that is forgotten, the answer is a 410
that carries another token: with it the rest can be had, as it is by then.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from labkit import errors
from labkit.apiserver import request_info, status, validation
from labkit.model import resources

#: (namespace, name)
Key = tuple[str, str]

EXACT = "Exact"
NOT_OLDER = "NotOlderThan"
#: Stands in a token for the present, whatever it is when the token is used.
_ANY = -1
_OPTIONS = resources.Resource("ListOptions", "listoptions", "meta.k8s.io")
_NUMBER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Page:
    """The objects after `start` as they were at `revision`; at most `limit`, if that is not 0."""

    revision: int
    start: Key = ("", "")
    limit: int = 0

    @property
    def is_first(self) -> bool:
        return self.start == ("", "")


def parse_page(query: Mapping[str, str], present: int) -> Page:
    """Read the parameters of a list. Raises ApiError 400, 422 or 504."""
    check_list(query)
    limit = max(0, parse_integer(query, "limit"))
    revision = parse_revision(query)
    if token := query.get("continue"):
        if revision:
            raise status.bad_request(
                "specifying resource version is not allowed when using continue"
            )
        start, seen = _parse_token(token)
        return Page(present if seen == _ANY else seen, start, limit)
    require(revision, present)
    match = query.get("resourceVersionMatch", "")
    exact = match == EXACT or (not match and limit)
    return Page(revision if revision and exact else present, limit=limit)


def require(revision: int, present: int) -> None:
    """Raises ApiError 504 for a revision that is not reached yet."""
    if revision > present:
        raise status.too_large_resource_version(revision, present)


def parse_revision(query: Mapping[str, str]) -> int:
    """`resourceVersion`; 0 where any will do. Raises ApiError 400."""
    text = query.get("resourceVersion") or "0"
    if not _NUMBER.fullmatch(text) or text.startswith("-"):
        raise status.bad_request(f'Invalid value: "{text}": resourceVersion is no number')
    return int(text)


def parse_integer(query: Mapping[str, str], parameter: str) -> int:
    """A parameter that is a number; 0 without it. Raises ApiError 400."""
    text = query.get(parameter) or "0"
    if not _NUMBER.fullmatch(text):
        raise status.bad_request(
            f'strconv.ParseInt: parsing "{text}": invalid syntax in {parameter}'
        )
    return int(text)


# --- tokens --------------------------------------------------------------------------------------


def render_token(page: Page, last: Key) -> str:
    """What `continue` has to say for the page after the one that ends with `last`."""
    token = json.dumps([*last, page.revision], separators=(",", ":"))
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def forgotten(page: Page) -> errors.ApiError:
    """410: the state that the page should show is too long ago."""
    if page.is_first:
        return status.expired("The resourceVersion for the provided list is too old.")
    token = render_token(Page(_ANY), page.start)
    why = (
        "The provided continue parameter is too old to display a consistent list result. "
        "Start a new list without it, or take the continue token of this answer to get the rest "
        "as it is now: what has changed since the first page is then not in one picture with it."
    )
    return status.expired(why, {"continue": token})


def _parse_token(token: str) -> tuple[Key, int]:
    """Raises ApiError 400."""
    try:
        padded = token + "=" * (-len(token) % 4)
        namespace, name, revision = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise _bad_token() from error
    if not isinstance(revision, int) or revision < _ANY or not name:
        raise _bad_token()
    return (str(namespace), str(name)), revision


def _bad_token() -> errors.ApiError:
    return status.bad_request("invalid continue token: continue key is not valid")


# --- what does not go together -------------------------------------------------------------------


def check_list(query: Mapping[str, str]) -> None:
    """Raises ApiError 422."""
    report, match = validation.Report(), query.get("resourceVersionMatch", "")
    version = query.get("resourceVersion", "")
    if match and not version:
        _forbid(report, "resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match and query.get("continue"):
        _forbid(report, "resourceVersionMatch is forbidden when continue is provided")
    if match not in ("", EXACT, NOT_OLDER):
        report.unsupported("resourceVersionMatch", match, (EXACT, NOT_OLDER, ""))
    if match == EXACT and version == "0":
        _forbid(report, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if "sendInitialEvents" in query:
        report.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    _raise(report)


def check_watch(query: Mapping[str, str]) -> None:
    """Raises ApiError 422."""
    report, match = validation.Report(), query.get("resourceVersionMatch", "")
    initial = "sendInitialEvents" in query
    if initial and match != NOT_OLDER:
        _forbid(report, f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER}")
    if match and not initial:
        _forbid(
            report,
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )
    if match not in ("", NOT_OLDER):
        report.unsupported("resourceVersionMatch", match, (NOT_OLDER,))
    _raise(report)


def wants_initial_events(query: Mapping[str, str]) -> bool | None:
    """None: the client did not say."""
    if "sendInitialEvents" not in query:
        return None
    return request_info.is_true(query["sendInitialEvents"])


def _forbid(report: validation.Report, why: str) -> None:
    report.forbidden("resourceVersionMatch", why)


def _raise(report: validation.Report) -> None:
    if report.causes:
        raise status.invalid(_OPTIONS, "", report.causes)

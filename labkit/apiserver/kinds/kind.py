"""What the server has to know about a kind. One value of `Kind` is all that a kind needs.

Discovery, decoding, validation, storage, tables, selectors and OpenAPI are written once, against
this class. What a kind does in its own way, it says here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.apiserver import authn, authz, tables, validation, watching
from labkit.model import resources

#: Fills in what the client left out. Changes the object it is given.
Default = Callable[[resources.Object], None]
#: Settles what a client may not decide, given the stored object. Changes the first of the two.
Prepare = Callable[[resources.Object, resources.Object], None]
Validate = Callable[[resources.Object, validation.Report], None]
ValidateUpdate = Callable[[resources.Object, resources.Object, validation.Report], None]

#: Completes a question with its answer.
Review = Callable[[resources.Object, authn.User, authz.FindPod], resources.Object]

#: What can be done with most kinds.
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


def leave(_: resources.Object) -> None:
    """The kind has nothing to fill in."""


def leave_both(_: resources.Object, __: resources.Object) -> None:
    """The kind has nothing to settle."""


def accept(_: resources.Object, __: validation.Report) -> None:
    """The kind has no rules beyond those for metadata."""


def accept_update(_: resources.Object, __: resources.Object, ___: validation.Report) -> None:
    """Every field may change."""


def at_once(_: resources.Object, __: int | None) -> int:
    """The kind needs no time to end."""
    return 0


def permit(_: resources.Object) -> str:
    """Every object of the kind may be deleted."""
    return ""


def has_finalizers(obj: resources.Object) -> bool:
    """Somebody named in the object's finalizers still has to act before it can go."""
    return bool(obj["metadata"].get("finalizers"))


def no_fields(_: resources.Object) -> Mapping[str, str]:
    """The kind can be selected by its metadata only."""
    return {}


@dataclass(frozen=True, slots=True)
class Form:
    """Another form of an object, which can be read and written in its place."""

    show: Callable[[resources.Object], resources.Object]
    #: Puts what was written into the stored object; the second argument.
    take: Callable[[resources.Object, resources.Object], resources.Object]


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object with a path of its own: `pods/NAME/binding`.

    It takes and gives an object of another kind, which may belong to another group.
    """

    name: str
    struct: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""
    form: Form | None = None

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class View:
    """A kind that shows the objects of another: the same events in two groups."""

    of: Kind
    show: Callable[[resources.Object], resources.Object]
    take: Callable[[resources.Object], resources.Object]


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table of kinds."""

    resource: resources.Resource
    columns: Sequence[tables.Column] = tables.NAME_AND_AGE
    #: The cells of one object's row; the second argument is the present, for ages.
    row: tables.Row = tables.name_and_age
    default: Default = leave
    #: Settles a new object's status and the like.
    prepare_create: Default = leave
    prepare_update: Prepare = leave_both
    validate: Validate = accept
    validate_update: ValidateUpdate = accept_update
    check_name: Callable[[str], list[str]] = validation.dns_subdomain
    #: Values for field selectors, besides metadata.name and metadata.namespace.
    fields: Callable[[resources.Object], Mapping[str, str]] = no_fields
    #: The seconds that an object gets to end, given what the client asked for.
    grace_s: Callable[[resources.Object, int | None], int] = at_once
    #: True while a deleted object must stay.
    holds: Callable[[resources.Object], bool] = has_finalizers
    #: Why an object must not be deleted; empty when it may.
    refuse_delete: Callable[[resources.Object], str] = permit
    #: Marks an object whose deletion has begun, besides its deletionTimestamp.
    terminate: Default = leave
    has_status: bool = True
    #: Further subresources, besides `status`.
    further: tuple[Subresource, ...] = ()
    categories: tuple[str, ...] = ()
    #: A PUT to a name that does not exist creates the object.
    create_on_update: bool = False
    #: A deletion answers with the object instead of a Status.
    returns_deleted: bool = False
    #: Objects of this kind expire so long after their last change.
    expires_s: float | None = None
    verbs: tuple[str, ...] = VERBS
    #: The family of structs to look in, where the core group has a struct of the same name.
    family: str = ""
    #: `metadata.generation` counts the changes of the spec, so that a status can say which one it
    #: is about.
    counts_generations: bool = False
    view: View | None = None
    #: Nothing is stored: a create is a question, and this answers it. (The question, who asks, and
    #: a way to look at pods.)
    review: Review | None = None

    @property
    def struct(self) -> str:
        """The name of the struct in `labkit.apiserver.schema`."""
        return f"{self.family}.{self.resource.kind}" if self.family else self.resource.kind

    @property
    def subresources(self) -> tuple[Subresource, ...]:
        if not self.has_status:
            return self.further
        group, version = self.resource.group, self.resource.version
        status = Subresource("status", self.struct, ("get", "patch", "update"), group, version)
        return (status, *self.further)

    @property
    def stored(self) -> Kind:
        """The kind as which the objects are kept."""
        return self.view.of if self.view else self

    def show(self, stored: watching.Stored) -> watching.Stored:
        """An object of the store as one of this kind."""
        if not self.view:
            return stored
        obj = self.view.show(stored.object)
        obj["apiVersion"], obj["kind"] = self.resource.api_version, self.resource.kind
        return watching.Stored(obj, watching.render(obj), stored.revision)

    def take(self, obj: resources.Object) -> resources.Object:
        """An object of this kind as the store keeps it."""
        if not self.view:
            return obj
        taken = self.view.take(obj)
        taken["apiVersion"] = self.view.of.resource.api_version
        return taken

    def subresource(self, name: str) -> Subresource | None:
        return next((found for found in self.subresources if found.name == name), None)

    def field_values(self, obj: resources.Object) -> dict[str, str]:
        meta: Mapping[str, Any] = obj["metadata"]
        common = {
            "metadata.name": meta.get("name", ""),
            "metadata.namespace": meta.get("namespace", ""),
        }
        return {**common, **self.fields(obj)}

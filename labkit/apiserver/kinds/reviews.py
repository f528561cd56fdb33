"""Questions about oneself: `kubectl auth can-i` and `kubectl auth whoami`.

They are asked by creating an object, which comes back with the answer in its status. Nothing is
stored.
"""

from __future__ import annotations

from labkit.apiserver import authn, authz, request_info, status, validation
from labkit.apiserver.kinds import kind
from labkit.model import resources

_AUTHORIZATION, _AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
#: A stock server leaves the kind out where it refuses a question.
_UNNAMED = resources.Resource("", "", _AUTHORIZATION)


def review_access(
    review: resources.Object, user: authn.User, find_pod: authz.FindPod
) -> resources.Object:
    """Say whether the one who asks may do this."""
    spec = review.get("spec") or {}
    _check(spec)
    verdict = authz.authorize(user, _request_of(spec), find_pod)
    told = {"allowed": verdict.allowed, **({"reason": verdict.why} if verdict.why else {})}
    return _answered("SelfSubjectAccessReview", _AUTHORIZATION, review, told)


def _check(spec: resources.Object) -> None:
    """One thing at a time may be asked about: a resource or a path."""
    report = validation.Report()
    plain, asked = spec.get("nonResourceAttributes"), spec.get("resourceAttributes")
    if plain is None and asked is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        report.invalid("spec.resourceAttributes", "null", detail)
    elif plain is not None and asked is not None:
        path, verb = plain.get("path", ""), plain.get("verb", "")
        shown = f'authorization.NonResourceAttributes{{Path:"{path}", Verb:"{verb}"}}'
        detail = "cannot be specified in combination with resourceAttributes"
        report.invalid("spec.nonResourceAttributes", validation.GoText(shown), detail)
    if report.causes:
        raise status.invalid(_UNNAMED, "", report.causes)


def _request_of(spec: resources.Object) -> request_info.RequestInfo:
    asked = spec.get("resourceAttributes")
    if asked is None:
        plain = spec.get("nonResourceAttributes") or {}
        return request_info.RequestInfo(plain.get("verb", ""), plain.get("path", ""))
    return request_info.RequestInfo(
        asked.get("verb", ""),
        "",
        asked.get("group", ""),
        asked.get("version", ""),
        asked.get("namespace", ""),
        asked.get("resource", ""),
        asked.get("name", ""),
        asked.get("subresource", ""),
    )


def review_rules(review: resources.Object, user: authn.User, _: authz.FindPod) -> resources.Object:
    """List what the one who asks may do."""
    rules = authz.rules_of(user)
    told = {
        "resourceRules": [_render_rule(rule) for rule in rules if rule.resources],
        "nonResourceRules": [
            {"verbs": rule.verbs, "nonResourceURLs": rule.paths} for rule in rules if rule.paths
        ],
        "incomplete": False,
    }
    return _answered("SelfSubjectRulesReview", _AUTHORIZATION, review, told)


def _render_rule(rule: authz.Rule) -> resources.Object:
    names = {"resourceNames": rule.names} if rule.names else {}
    return {"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources, **names}


def review_self(review: resources.Object, user: authn.User, _: authz.FindPod) -> resources.Object:
    """Say as whom the one who asks is known."""
    told = {"userInfo": {"username": user.name, "groups": user.groups}}
    return _answered("SelfSubjectReview", _AUTHENTICATION, review, told)


def _answered(
    name: str, group: str, review: resources.Object, told: resources.Object
) -> resources.Object:
    return {
        "metadata": {},
        **review,
        "kind": name,
        "apiVersion": f"{group}/v1",
        "status": told,
    }


def _question(name: str, group: str, review: kind.Review) -> kind.Kind:
    resource = resources.Resource(name, f"{name.lower()}s", group, namespaced=False)
    return kind.Kind(resource, verbs=("create",), has_status=False, review=review)


KINDS = (
    _question("SelfSubjectAccessReview", _AUTHORIZATION, review_access),
    _question("SelfSubjectRulesReview", _AUTHORIZATION, review_rules),
    _question("SelfSubjectReview", _AUTHENTICATION, review_self),
)

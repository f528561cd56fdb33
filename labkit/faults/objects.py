"""Faults in what the API is told: the Service and its pods. Every node follows, none is at fault.

Between a Service and its pods stand the *endpoints*: addresses of pods that the selector finds and
that are ready, each with the targetPort. A fault of this layer shows there, or in the Service.
"""

from __future__ import annotations

import copy

from labkit.faults import facts
from labkit.faults.fault import Ask, Change, Fault, create, delete, patch
from labkit.model import example, resources

NOBODY = 9
_THIEF = "legacy"


def _asks(f: facts.Facts) -> tuple[Ask, ...]:
    return Ask(f.outside, f.node_url), Ask(f.node.name, f.cluster_url)


def _service(f: facts.Facts, spec: resources.Object, back: resources.Object) -> Change:
    return Change(
        do=(patch(resources.SERVICES, example.NAME, {"spec": spec}),),
        undo=(patch(resources.SERVICES, example.NAME, {"spec": back}),),
        asks=_asks(f),
    )


def _wrong_target_port(f: facts.Facts) -> Change:
    ports = f.service["spec"]["ports"]
    wrong = [{**port, "targetPort": port["targetPort"] + 1} for port in ports]
    return _service(f, {"ports": wrong}, {"ports": ports})


def _selector_typo(f: facts.Facts) -> Change:
    selector = f.service["spec"]["selector"]
    wrong = {key: value.replace("pp", "p") for key, value in selector.items()}
    return _service(f, {"selector": wrong}, {"selector": selector})


def _lost_label(f: facts.Facts) -> Change:
    selector = f.service["spec"]["selector"]
    return Change(
        do=tuple(
            patch(resources.PODS, pod.name, {"metadata": {"labels": dict.fromkeys(selector)}})
            for pod in f.all_pods
        ),
        undo=tuple(
            patch(resources.PODS, pod.name, {"metadata": {"labels": pod.obj["metadata"]["labels"]}})
            for pod in f.all_pods
        ),
        asks=_asks(f),
    )


def _pod_not_ready(f: facts.Facts) -> Change:
    as_they_were = [as_written(pod.obj) for pod in f.all_pods]
    unready = [copy.deepcopy(obj) for obj in as_they_were]
    for obj in unready:
        for container in obj["spec"]["containers"]:
            container["readinessProbe"] = {"tcpSocket": {"port": NOBODY}, "periodSeconds": 1}
    away = tuple(delete(resources.PODS, pod.name) for pod in f.all_pods)
    return Change(
        do=(*away, *map(create, unready)), undo=(*away, *map(create, as_they_were)), asks=_asks(f)
    )


def _node_port_taken(f: facts.Facts) -> Change:
    ports = f.service["spec"]["ports"]
    first, last = f.lab.node_ports
    taken = f.node_port
    other = [{**ports[0], "nodePort": taken + 1 if taken < last else first}, *ports[1:]]
    thief = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": _THIEF, "namespace": facts.NAMESPACE},
        "spec": {
            "type": "NodePort",
            "ports": [{"port": 80, "nodePort": taken}],
            "selector": {"name": _THIEF},
        },
    }
    return Change(
        do=(
            patch(resources.SERVICES, example.NAME, {"spec": {"ports": other}}),
            create(thief),
        ),
        undo=(
            delete(resources.SERVICES, _THIEF),
            patch(resources.SERVICES, example.NAME, {"spec": {"ports": ports}}),
        ),
        asks=(Ask(f.outside, f.node_url),),
    )


def as_written(obj: resources.Object) -> resources.Object:
    """The object as one would create it again, on the same node."""
    meta = obj["metadata"]
    kept = {
        key: meta[key] for key in ("name", "namespace", "labels", "annotations") if meta.get(key)
    }
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": kept,
        "spec": copy.deepcopy(obj["spec"]),
    }


FAULTS = (
    Fault(
        id="wrong-target-port",
        layer="objects",
        title="The Service's targetPort is a port on which no pod listens",
        symptom="Every request is refused or cut off at once, by every way and on every node.",
        cause="The image listens elsewhere than the manifest says. The endpoints are there and "
        "ready, but their port is not the one that `ss -lnt` shows in the pod.",
        plan=_wrong_target_port,
        bound="cluster",
    ),
    Fault(
        id="selector-typo",
        layer="objects",
        title="The Service's selector has a typing error: it finds no pod",
        symptom="Every request is cut off at once, by every way and on every node.",
        cause="Nobody refuses a selector that matches nothing. The Service has no endpoints, "
        "although its pods run and are ready.",
        plan=_selector_typo,
        bound="cluster",
    ),
    Fault(
        id="lost-label",
        layer="objects",
        title="The pods have lost the label by which the Service finds them",
        symptom="Every request is cut off at once, by every way and on every node.",
        cause="A label was renamed in the pods and not in the Service. It looks like a wrong "
        "selector: compare the two, and see which one is not as the manifest says.",
        plan=_lost_label,
        bound="cluster",
    ),
    Fault(
        id="pod-not-ready",
        layer="objects",
        title="No pod is ready: their readiness probe asks a port where nobody listens",
        symptom="Every request is cut off at once; the pods run, and answer when asked directly.",
        cause="The probe was written for another port. A pod that is not ready is no endpoint; "
        "`kubectl describe pod` tells what the probe found.",
        plan=_pod_not_ready,
        bound="cluster",
        redraws=("pods",),
    ),
    Fault(
        id="node-port-taken",
        layer="objects",
        title="Another Service has the nodePort that everybody outside dials",
        symptom="Outside, the known port answers no more; inside, all is well.",
        cause="A nodePort belongs to one Service of the whole cluster. Who was first has it, and "
        "the other has got a different one.",
        plan=_node_port_taken,
        bound="cluster",
        redraws=("ports",),
    ),
)

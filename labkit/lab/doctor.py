"""What `labkit doctor` says of the lab that would be made: its file, kubeconfig, and provider.

Only files are read, and Vagrant is asked what it has. Whether hosts will do, and whether nodes
reach the server, is seen by `up`, which asks there.
"""

from __future__ import annotations

from labkit import errors, labfile, paths, system
from labkit.lab.external import kubeconfig
from labkit.model import spec
from labkit.preflight import findings, machine
from labkit.preflight.findings import Finding
from labkit.providers import registry


def judge(provider: str = "", name: str | None = None) -> tuple[Finding, ...]:
    """Of this machine for that provider and lab; where none is named, those of the lab file."""
    lab = planned(provider, name)
    return (*_judge_machine(lab), *judge_lab_file())


def planned(provider: str = "", name: str | None = None) -> spec.LabSpec:
    """The lab of the lab file. One that cannot be read is a finding of its own."""
    try:
        return labfile.load(overrides={"provider": provider or None, "name": name})
    except errors.ConfigError:
        return spec.plan(provider=provider or system.default_provider())


def _judge_machine(lab: spec.LabSpec) -> tuple[Finding, ...]:
    facts = machine.read()
    if lab.provider == "ssh":
        return findings.judge_state(facts)
    if lab.provider != "vagrant":
        return findings.judge(facts)
    from labkit.providers.vagrant import judging, survey

    where = () if system.is_linux() else findings.judge(facts)
    there = registry.open_provider(lab, paths.of(lab.name)).machines()
    states = {each.name: each.state for each in there}
    return (*where, *judging.judge(survey.read(), lab, states))


def judge_lab_file() -> tuple[Finding, ...]:
    """Of the lab file above the current folder. Nothing to say of one without a control plane."""
    try:
        wanted = labfile.load().control_plane
    except errors.ConfigError as error:
        return (Finding("lab-file", "blocked", error.message, error.hint),)
    return (explain_control_plane(wanted),) if wanted.is_external else ()


def explain_control_plane(wanted: spec.ControlPlaneSpec) -> Finding:
    try:
        server = kubeconfig.read(wanted).server
    except errors.ConfigError as error:
        return Finding("control-plane", "blocked", error.message, error.hint)
    return Finding("control-plane", "fine", f"{wanted.kubeconfig} names the API server {server}")

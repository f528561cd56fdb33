"""Which provider has which name. Each is imported when it is asked for.

So a machine without Linux's namespaces imports none of what needs them, and a namespace lab pays
nothing for Vagrant.
"""

from __future__ import annotations

from labkit import errors, paths, system
from labkit.model import spec
from labkit.providers import base


def open_provider(lab: spec.LabSpec, where: paths.LabPaths) -> base.Provider:
    """The provider that the lab names. Nothing is made or started."""
    if lab.provider == "netns":
        if not system.is_linux():
            raise errors.NotSupported(
                f"network namespaces are Linux's, and this is {system.name()}",
                hint="`labkit up --provider vagrant` makes virtual machines instead",
            )
        from labkit.providers.netns.provider import NetnsProvider

        return NetnsProvider(lab, where)
    if lab.provider == "vagrant":
        from labkit.providers.vagrant.provider import VagrantProvider

        return VagrantProvider(lab, where)
    if lab.provider == "ssh":
        from labkit.providers.ssh.provider import SshProvider

        return SshProvider(lab, where)
    raise errors.NotSupported(
        f"there is no provider {lab.provider} in this release",
        hint="`netns` makes machines on this Linux, `vagrant` virtual ones, `ssh` takes yours",
    )

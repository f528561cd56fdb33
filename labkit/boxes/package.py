"""What Vagrant wants around a disk: a few small files, different for each provider.

    libvirt      metadata.json, Vagrantfile, box.img (qcow2)
    virtualbox   metadata.json, Vagrantfile, box.ovf, box-disk001.vmdk
    lxc          metadata.json, Vagrantfile, lxc-config, rootfs.tar.gz

Pure: each is text, by its name in the box.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from labkit.boxes import disk, recipe

#: The big file of each kind of box.
PAYLOADS: Mapping[recipe.Provider, str] = {
    "libvirt": "box.img",
    "virtualbox": "box-disk001.vmdk",
    "lxc": "rootfs.tar.gz",
}

_METADATA: Mapping[recipe.Provider, Mapping[str, Any]] = {
    "libvirt": {"provider": "libvirt", "format": "qcow2", "virtual_size": disk.SIZE_GB},
    "virtualbox": {"provider": "virtualbox"},
    "lxc": {"provider": "lxc", "version": "1.0.0"},
}

#: VirtualBox keeps the address of the first card in the box; Vagrant refuses a box without it.
_MAC = "080027000001"

_VAGRANTFILE = """\
Vagrant.configure("2") do |config|
  config.vm.guest = :debian
  config.vm.synced_folder ".", "/vagrant", disabled: true
@BASE@end
"""

_LXC = """\
lxc.arch = @ARCH@
lxc.tty.max = 4
lxc.pty.max = 1024
lxc.cap.drop = mac_admin mac_override sys_time
lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed
"""


def render(what: recipe.Recipe) -> dict[str, str]:
    """The text files of a box."""
    base = f'  config.vm.base_mac = "{_MAC}"\n' if what.provider == "virtualbox" else ""
    files = {
        "metadata.json": json.dumps(_METADATA[what.provider]) + "\n",
        "Vagrantfile": _VAGRANTFILE.replace("@BASE@", base),
    }
    if what.provider == "virtualbox":
        files["box.ovf"] = render_ovf()
    if what.provider == "lxc":
        arch = {"amd64": "x86_64", "arm64": "aarch64"}[what.architecture]
        files["lxc-config"] = _LXC.replace("@ARCH@", arch)
    return files


def render_ovf() -> str:
    """A machine with one disk and one card, in the Open Virtualization Format."""
    capacity = disk.SIZE_GB * 2**30
    items = (
        ("1", "1 virtual CPU", "3", {"VirtualQuantity": "1"}),
        ("2", "512 MB", "4", {"AllocationUnits": "MegaBytes", "VirtualQuantity": "512"}),
        ("3", "SATA", "20", {"Address": "0", "ResourceSubType": "AHCI"}),
        (
            *("4", "disk", "17"),
            {"AddressOnParent": "0", "HostResource": "/disk/disk1", "Parent": "3"},
        ),
        (
            *("5", "network", "10"),
            {"AutomaticAllocation": "true", "Connection": "NAT", "ResourceSubType": "E1000"},
        ),
    )
    return _OVF.replace("@CAPACITY@", str(capacity)).replace(
        "@ITEMS@", "".join(_render_item(*each) for each in items)
    )


def _render_item(number: str, caption: str, kind: str, more: Mapping[str, str]) -> str:
    """The schema wants an item's elements sorted by name."""
    said = {"ElementName": caption, "InstanceID": number, "ResourceType": kind, **more}
    inner = "".join(f"        <rasd:{key}>{said[key]}</rasd:{key}>\n" for key in sorted(said))
    return f"      <Item>\n{inner}      </Item>\n"


_OVF = """\
<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>
    <File ovf:href="box-disk001.vmdk" ovf:id="file1"/>
  </References>
  <DiskSection>
    <Info>The only disk</Info>
    <Disk ovf:capacity="@CAPACITY@" ovf:diskId="disk1" ovf:fileRef="file1"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>The network that Vagrant uses</Info>
    <Network ovf:name="NAT"><Description>NAT</Description></Network>
  </NetworkSection>
  <VirtualSystem ovf:id="labkit-node">
    <Info>A machine of a lab</Info>
    <OperatingSystemSection ovf:id="96">
      <Info>Debian, 64 bits</Info>
      <Description>Debian_64</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>One disk, one card</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemType>virtualbox-2.2</vssd:VirtualSystemType>
      </System>
@ITEMS@    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""

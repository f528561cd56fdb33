"""Boxes for Vagrant, made here from Debian's packages alone.

A box is the disk of a machine that has never run, packed with two lines that say for which provider
it is. Whoever reads these modules knows every byte that is not a Debian package's:

    recipe     what is in a box: packages, files, commands; pure, and its digest names the content
    disk       where on the disk: the partition table, and the boot loader before the partition
    package    what Vagrant wants around it, for each provider
    tools      the programs that make it, and the Debian packages that bring them
    build      does it: debootstrap, mke2fs, grub-mkimage, qemu-img, tar; no loop device, no mount
    catalogue  which boxes there are, in the words that `vagrant box add` reads
    store      keeps them in ~/.cache/labkit/boxes, and hands them to Vagrant
"""

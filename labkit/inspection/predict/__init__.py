"""Where a packet would go, from the rules alone: nothing is sent.

    packets   what a packet is like, and the machine that it meets
    judging   does a rule take it? Where not, which condition says no
    walking   one table's chains, from the hook on; by lot a walk goes several ways
    hooks     the hooks of one machine in the kernel's order, with its routing between them
    journey   from machine to machine, and through a proxy in userspace

All of it is pure: the rules are a value, so are the answers.
"""

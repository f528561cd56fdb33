"""One layer of a node at a time: all chains, all rules, all sockets, and so on.

rows        what a line of each layer is made of
conntrack   the kernel's memory of connections, and how each was rewritten
connections what is connected right now
look        reads a node, or saved text, for a layer
report      many nodes' rows as one value that shows itself
"""

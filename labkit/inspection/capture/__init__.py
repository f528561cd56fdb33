"""Packets of several nodes at once, merged by time into one file that Wireshark opens.

    pcap     what tcpdump writes, read
    pcapng   what Wireshark reads, written: each packet with its node in a comment
    lines    a packet in one line
    taking   tcpdump on the nodes, side by side

Each node stamps packets by its own clock: between machines whose clocks differ, so does the order.
"""

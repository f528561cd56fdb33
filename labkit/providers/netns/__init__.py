"""The embedded provider: machines are Linux namespaces on the learner's own kernel.

    learner's machine ── holder.sock ──▶ holder        PID 1 of the lab: owns all that follows
                                          │
              lab's net namespace      lab0 bridge, 192.168.56.1
                                          ├── control   each: own net, mount, pid, uts namespaces,
                                          ├── node1     own /etc /var /root /run /tmp /dev/pts,
                                          ├── node2     own sshd (node.sh is its PID 1)
                                          └── client

* `launch`    starts the holder, as root or through a user namespace
* `holder`    makes, watches and ends the machines; opens connections into the lab
* `record`    finds the holder again when its socket is gone
* `wire`      the messages between the two, and OpenSSH's way in
* `view`      what a machine sees of the learner's file system: read-only
* `disk`      what a machine has of its own, kept from one `up` to the next
* `node.sh`   a machine from inside, in 60 lines of shell
* `provider`  the provider protocol on top

When the holder ends, however it ends, the kernel ends everything that it owned.
"""

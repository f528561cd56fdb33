"""kube-proxy in userspace mode: it catches packets by rules and carries them by hand.

`labkit/agent/README.md` says where to begin reading. Only the standard library, `labkit.model` and
`labkit.client` are imported here: this package travels to a bare node as one archive.
"""

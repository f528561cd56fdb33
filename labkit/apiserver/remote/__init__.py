"""The controllers and the scheduler beside an API server that has none of its own.

In the lab's own API server they run within it. Here they are programs as elsewhere, clients like
any other: `election` lets one of each kind act, `mirror` is the picture that they look at,
`cluster` carries their writes over HTTP, and `main` puts it together.
"""

"""The lab's Kubernetes API server.

It speaks the part of the Kubernetes API that the lab uses, so that a kubectl, a client library or a
kube-proxy that knows nothing of the lab works with it. How a request goes through it:

    serve        TLS, HTTP, signals
    app          who asks, may they, which kind and verb   (authn, authz, request_info, media)
    reading      get, list, watch                          (selectors, tables)
    writing      create, update, patch, delete             (decode, patch)
    registry     what a write means, for every kind        (metadata, validation, allocation)
    store        SQLite, memory, and the history that watches read (watching)

What a kind does in its own way stands in `kinds`, one module each; its fields stand in `schemas`.
The `controllers` follow the store and act through the registry, as everybody else does.
"""

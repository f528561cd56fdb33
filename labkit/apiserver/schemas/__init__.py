"""The fields of every struct in the API, as Kubernetes 1.32 publishes them, one module per family.

They are Python modules rather than data files so that they also load from a zip archive. The
notation is explained in `labkit.apiserver.schema`, which reads them.
"""

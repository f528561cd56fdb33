"""What the API server and a node's kubelet agree on: where it listens, and who may ask it."""

from __future__ import annotations

PORT = 10250
#: The common name in the certificate that the API server shows. A kubelet answers nobody else.
CLIENT = "kube-apiserver-kubelet-client"

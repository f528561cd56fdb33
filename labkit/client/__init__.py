"""Speaking the Kubernetes API: what kubectl, kube-proxy and a kubelet do first.

    config   a kubeconfig: where the API server is, whom to trust, who we are
    wire     HTTP/1.1 over TLS, as much of it as the API needs
    http     get, list, create, replace, patch, delete
    watch    list once, then be told of every change

The standard library only, and little of it: this package travels to the nodes.
"""

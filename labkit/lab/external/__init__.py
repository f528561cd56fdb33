"""Somebody else's API server: what the lab looks at there, makes there, and takes away again.

* `kubeconfig`  which server, and as whom
* `survey`      what is found there: version, nodes, who runs the controllers
* `checks`      what cannot be, said before anything is changed
* `record`      what the lab remembers of it, so that `down` works after any crash
* `access`      what the nodes are given to log in with
* `claims`      nodes and the example: marked when they are made, taken away by the mark
* `steps`       all of that in order, for `up` and `down`
"""

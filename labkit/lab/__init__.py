"""The lab as one object: what notebooks and commands talk to.

* `lab`       the `Lab` itself: every verb, each a few lines
* `bring_up`  how a lab comes up: the steps in order, each mending only what differs
* `objects`   manifests and tables: apply, get, delete
* `reports`   what the verbs return
* `doctor`    what can be said of the lab file before anything is made
* `lock`      one `up` or `down` at a time
"""

from labkit.lab.lab import Lab, list_labs, open_lab

__all__ = ["Lab", "list_labs", "open_lab"]

"""From a machine that answers SSH to a node of the cluster: files, units, readiness.

    archive    one file per role, with all that its program imports
    pki        the lab's certificate authority, certificates and tokens
    services   what must run where, as data
    plan       what differs between that and what is there
    install    look, then mend: two commands per node
    health     wait until the API server answers

Nothing here knows what kind of machine it is: a namespace, a VM and a rented host are the same.
"""

"""A real request, and the fingerprint that it leaves in the counters of all nodes.

    shot        who sends, what is dialled: the command, to be typed again by hand
    sending     read all counters, send, read them again
    report      which rules moved and by how much, who answered, whom the pods saw

Where `predict` says what should happen, `probe` says what did.
"""

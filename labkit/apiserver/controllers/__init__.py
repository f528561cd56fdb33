"""What happens by itself: pods are placed, Endpoints follow pods, dead nodes are noticed.

Each controller is a pure `plan_...`, which decides from objects alone, and a thin loop that feeds
it and acts on what it says. The loops run in the server's own event loop, against the same
registry.
"""

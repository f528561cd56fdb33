"""A client of the Kubernetes API in the standard library: it travels with agent and podlet."""

"""SSH to the nodes: the only part that knows paramiko."""

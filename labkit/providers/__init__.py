"""Providers make machines that answer SSH, and nothing else."""

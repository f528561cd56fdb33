"""The version of labkit; apart from the package's front, which must not travel to the nodes."""

__version__ = "0.1.0"

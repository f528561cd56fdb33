"""Notebooks and widgets in a real browser. A package, so that its lab ends with it."""

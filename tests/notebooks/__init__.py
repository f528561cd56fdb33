"""The notebooks, run on a real lab. A package, so that its lab ends with it."""

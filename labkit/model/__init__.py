"""What the lab is about, as values: pure, and the standard library's only, because it travels."""

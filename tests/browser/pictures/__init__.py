"""The README's pictures, and `python -m tests.browser.pictures`, which takes them again."""

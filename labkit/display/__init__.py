"""Values as people see them: aligned text, and HTML that follows the notebook's theme."""

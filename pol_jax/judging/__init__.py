"""From what was replayed and compared to a verdict. Rules without input or output."""

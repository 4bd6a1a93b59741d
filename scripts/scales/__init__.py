"""What `scripts/scaling.py` measures: one module for each size that may grow."""

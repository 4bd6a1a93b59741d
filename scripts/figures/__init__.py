"""The parts of ``scripts/paper_figures.py``."""

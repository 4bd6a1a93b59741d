"""The parts of ``scripts/benchmark.py``: each module measures one part of what a proof costs."""

"""The modules that make the kit for implementers, `tests/conformance`; see `scripts/make_conformance.py`."""

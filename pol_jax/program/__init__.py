"""Exported programs: loaded, audited and compiled; and what the machine is that runs them."""

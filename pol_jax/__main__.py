"""This module lets ``python -m pol_jax`` do what ``pol`` does."""

from pol_jax.cli.main import main

main()

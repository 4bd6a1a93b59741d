"""``python -m pol_jax.cli`` is ``pol``."""

from pol_jax.cli.main import main

main()

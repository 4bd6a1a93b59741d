"""This package is the command line, ``pol``. It imports the core, and the core does not import it."""

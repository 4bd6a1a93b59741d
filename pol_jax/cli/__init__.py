"""The command line, ``pol``. Imports the core; the core doesn't know of it."""

"""The command line, ``pol``, imports the core, and the core does not import it."""

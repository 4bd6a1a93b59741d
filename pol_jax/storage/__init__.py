"""A proof on disk: checkpoints, ledger, journal, documents, openings; written whole, read within bounds."""

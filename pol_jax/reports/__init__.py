"""What a verification found, as values, as sentences and as a page. Imports the protocol alone."""

"""A report says what a verification found: as values, as sentences and as a page."""

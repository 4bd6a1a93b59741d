"""Each module makes a family of test vectors: its function `vectors` returns what a file of tests/vectors holds."""

"""The test vectors: one module a family, each with a function `vectors` that makes its file under tests/vectors."""

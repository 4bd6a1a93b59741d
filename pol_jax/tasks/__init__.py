"""This package holds the built-in tasks; each is a small file to read and to copy from."""

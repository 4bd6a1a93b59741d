"""Built-in tasks: each a small file to read and copy from."""

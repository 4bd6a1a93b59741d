"""This package holds the formats and rules of docs/protocol.md: values, their bytes and digests, keys and order.

Each module implements one section of the document. None of them reads a file, starts a process or runs a program.
"""

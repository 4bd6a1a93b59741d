"""The formats and rules of docs/protocol.md: values, their bytes and digests, and what follows from a commitment.

One module for each section of the document. Nothing here reads a file, starts a process or executes a program.
"""

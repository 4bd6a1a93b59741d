"""The updates of untrusted workers: what a coordinator asks for, and which answers it takes."""

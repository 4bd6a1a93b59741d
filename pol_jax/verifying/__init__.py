"""The stages of a verification: checks, replay, comparison on other backends, and the proofs that a proof builds on."""

"""This package says who trained a model: it holds the prover's keys."""

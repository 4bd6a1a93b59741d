"""Who trained a model: the prover's keys."""

"""Training as pure steps: tasks, records, batches and keys, states and digests, and the one loop that runs steps."""

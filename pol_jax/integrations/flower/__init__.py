"""Federated learning with Flower, where only proven updates are aggregated (extra ``flower``)."""

"""These modules run federated learning with Flower, where only proven updates are aggregated (extra ``flower``)."""

"""These modules measure the reproduction error of a training run across XLA backends, and give no verdict.

    opening -> workload -> (description, worker in a process of its own: runner) -> measurement -> results
    results -> merged with those of other machines -> table (Parquet, CSV), summary (terminal), plots

Up to the results file nothing is needed but jax, numpy and what reads an opening, so that the same code runs on a bare
machine with another accelerator; `worker` needs jax and numpy alone, so that it runs under another interpreter too.
"""

"""The prover's side: commit, record a run, resume it, claim it, open it, and start from an earlier one."""

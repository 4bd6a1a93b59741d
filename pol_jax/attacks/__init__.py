"""These attacks on proofs of learning, published ones and our own, measure what verifiers are worth.

Each module has one attack or one family of them: a forger who knows everything but the verifier's nonce writes a proof
of a training that was not done. Only the command line imports this package.
`pol_jax.attacks.paper_rule` is the rule of the 2021 paper. An attack that was published as a success must succeed
against that rule here too; ``docs/attacks.md`` has the result of each.
"""

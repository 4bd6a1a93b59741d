"""These attacks on proofs of learning, published ones and our own, measure what verifiers are worth.

Each module has one attack or one family of them: a forger who knows everything but the verifier's nonce writes a proof
that they have not trained for. Only the command line imports this package.
`pol_jax.attacks.paper_rule` is the rule of the 2021 paper, against which an attack must succeed where it was
published so; ``docs/attacks.md`` shows what each comes to.
"""

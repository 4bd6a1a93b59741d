"""Attestations say who trained a model and when, keep a proof confidential, and tie a proof to a model at hand.

Nothing here replays a step, reads a checkpoint or imports jax. Documents, digests and arrays come in as bytes and plain
values, so that these rules can be checked in seconds and without the machine that trained.

    from pol_jax.attesting.attestation import attest_claim, read_attestation
    from pol_jax.attesting.digests import digest_arrays
    from pol_jax.attesting.subjects import name_final
    from pol_jax.attesting.timestamp import make_request, verify_token

    subjects = name_final(parameters=digest_arrays(parameters), state=digest_arrays(state))
    envelope = attest_claim(claim_bytes, subjects, private_key)         # who: a DSSE envelope, signed
    request = make_request(envelope)                                    # when: ask an authority with this file
    stamp = verify_token(token, envelope, roots, where="claim.tsr")     # the authority's time, checked offline
    read = read_attestation(envelope, "claim", where="claim.dsse.json", pinned=public_key)

The modules: `key_files` (the prover's keys), `public_key` (Ed25519 keys as text), `anchors` (what a verifier believes),
`strict_json`, `envelope` (DSSE), `attestation` (in-toto), `folder` (where attestations lie), `subjects` and `digests`
(of arrays and files), `timestamp`, `certificate_order` and `timestamp_client` (RFC 3161), `beacon` and `chains`
(drand), `public_challenge` (a draw that nobody chose), `time_window` (the rules of time), `tar_header`, `archive`,
`age_keys` and `encryption` (age), `weights`, `safetensors_file`, `npz_file`, `leaf_match` and `matching` (the model at
hand). The formats are specified in ``docs/attestation.md``.
"""

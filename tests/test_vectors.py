"""The formats, held from three sides: stored vectors, an implementation from the document alone, and laws."""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import second_implementation as second
from hypothesis import given, settings
from hypothesis import strategies as st

from pol_jax import errors
from pol_jax.errors import ProofError, UsageError
from pol_jax.program.artifact import INIT_FILE, STEP_FILE
from pol_jax.program.operations import ALLOWED_CALLS
from pol_jax.protocol import encoding, merkle
from pol_jax.protocol.challenge import METRICS, JointSegments, RandomSegments, Stretch, TopSegments, draw
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.distances import distance
from pol_jax.protocol.documents import decode, encode
from pol_jax.protocol.initial import UnprovenWeights, problem_of
from pol_jax.protocol.inventory import FILE
from pol_jax.protocol.keys import KEY_WORDS, root_key
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.order import ROUNDS, batch_indices, permute
from pol_jax.protocol.rows import Row
from pol_jax.protocol.sampling import detection_probability, false_segments, segments_needed
from pol_jax.protocol.spans import Segments
from pol_jax.protocol.stages import Stage
from pol_jax.protocol.trees import DTYPES, LeafSpec, pointer, split_pointer
from pol_jax.storage.inventory import check_inventory, read_bounded, scan, take_inventory
from pol_jax.storage.journal import Journal, read_journal
from pol_jax.storage.ledger import SCHEMA, read_row, read_segment, seal, segment_file
from pol_jax.training.keys import step_keys
from pol_jax.training.states import Layout

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import make_vectors  # noqa: E402


def law(examples: int) -> Callable[[Any], Any]:
    """Settings of a property test: the same examples in every run."""
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None)


@cache
def vectors(name: str) -> Any:
    return json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text())


def unhex(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def content_of(vector: dict[str, str]) -> bytes:
    return vector["text"].encode() if "text" in vector else bytes.fromhex(vector["hex"])


# --- stored vectors, document, code: one truth -------------------------------------------------------------------


def test_generator_gives_the_stored_vectors_and_blocks_of_the_document():
    for path, content in make_vectors.contents().items():
        assert path.read_text() == content, f"{path}: differs; for a change on purpose, see docs/protocol.md, 0"


def test_generator_notices_a_difference(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(make_vectors, "contents", lambda: {make_vectors.ROOT / "README.md": "other"})
    assert make_vectors.main(["--check"]) == 1
    assert "README.md: differs" in capsys.readouterr().out


def test_document_names_what_the_code_has():
    document = make_vectors.DOCUMENT.read_text()
    for stage in Stage:
        assert f"| {stage.value} | {stage.title} |" in document
    for name in (*DTYPES, *ALLOWED_CALLS):
        assert f"`{name}`" in document
    for field in SCHEMA:
        assert f"| `{field.name}` |" in document
    assert all(name in document for name in (INIT_FILE, STEP_FILE, FILE))
    assert Limits() == Limits(2**24, 2**28, 2**32, 2**30, 2**42, 10_000_000, 2**36, 2**26)
    limits = "2^24 bytes, a program 2^28, `records` 2^32, a segment of the ledger 2^30, all\nfiles 2^42, and 10,000,000"
    assert limits in document
    codes = (errors.ACCEPTED, errors.REJECTED, errors.WRONG_INPUT, errors.INCONCLUSIVE)
    assert codes == (0, 1, 2, 3)


def test_every_context_in_the_code_is_in_the_document():
    document = make_vectors.DOCUMENT.read_text()
    listed = document.split("<!-- vectors: contexts -->")[1].split("<!-- end -->")[0].splitlines()
    used = {f"{encoding.FORMAT} {vector['context']}" for vector in vectors("digests")}
    assert {line for line in listed if line.startswith("pol-jax")} == used


# --- vectors against the second implementation -------------------------------------------------------------------


def test_digests():
    for vector in vectors("digests"):
        expected = bytes.fromhex(vector["digest"])
        assert second.digest(vector["context"], bytes.fromhex(vector["payload"]), len(expected)) == expected


@pytest.mark.parametrize("vector", vectors("states"), ids=lambda vector: vector["name"])
def test_states(vector):
    spec, leaves = json.loads(vector["spec"]), [bytes.fromhex(leaf) for leaf in vector["leaves"]]
    assert second.digest("state spec", vector["spec"].encode()).hex() == vector["spec_digest"]
    assert second.state_digest(spec, leaves).hex() == vector["digest"]


@pytest.mark.parametrize("vector", vectors("starts"), ids=lambda vector: vector["name"])
def test_starts(vector):
    state, leaves = json.loads(vector["state"]), [bytes.fromhex(leaf) for leaf in vector["leaves"]]
    assert second.taken_digest(state, leaves, vector["taken"]).hex() == vector["digest"]


@pytest.mark.parametrize("taken", [[], ["/d"], ["/b", "/b"], ["/b", "/a"]])
def test_leaves_that_cannot_be_taken_over(taken):
    vector = vectors("starts")[0]
    state, leaves = json.loads(vector["state"]), [bytes.fromhex(leaf) for leaf in vector["leaves"]]
    with pytest.raises(second.Refused):
        second.taken_digest(state, leaves, taken)
    spec = msgspec.convert(state, tuple[LeafSpec, ...])
    assert problem_of(UnprovenWeights(tuple(taken), "00" * 32), spec)


def test_no_two_states_share_a_digest():
    digests = [vector["digest"] for vector in vectors("states")]
    assert len(set(digests)) == len(digests)


def test_rows():
    for vector in vectors("rows"):
        optional = unhex(vector["state_digest"]), unhex(vector["loss"])
        key, batch = bytes.fromhex(vector["key"]), bytes.fromhex(vector["batch_digest"])
        content = second.row_bytes(vector["step"], key, vector["indices"], batch, *optional)
        assert content.hex() == vector["bytes"]
        assert second.digest("ledger row", content).hex() == vector["digest"]


def test_trees():
    leaves = [bytes.fromhex(leaf) for leaf in vectors("trees")["leaves"]]
    for tree in vectors("trees")["trees"]:
        mine = leaves[: tree["size"]]
        assert second.merkle_root(mine).hex() == merkle.root(mine).hex() == tree["root"]
        for index, path in enumerate(tree["paths"]):
            steps = [bytes.fromhex(step) for step in path]
            assert second.merkle_path(mine, index) == merkle.proof(mine, index) == steps
            assert second.merkle_check(mine[index], index, tree["size"], steps).hex() == tree["root"]
            assert merkle.root_from_proof(mine[index], index, tree["size"], steps).hex() == tree["root"]


@pytest.mark.parametrize("vector", vectors("trees")["refusals"], ids=lambda vector: vector["name"])
def test_tree_refusals(vector):
    path = [bytes.fromhex(step) for step in vector["path"]]
    for check in (merkle.root_from_proof, second.merkle_check):
        try:
            found = check(bytes.fromhex(vector["leaf"]), vector["index"], vector["size"], path)
        except ValueError:
            continue
        assert vector["name"] == "path of another place"  # as long as the true one: only the root tells
        assert found.hex() != vectors("trees")["trees"][6]["root"]


def test_keys():
    for vector in vectors("keys"):
        commitment = bytes.fromhex(vector["commitment"])
        root = jax.random.wrap_key_data(root_key(commitment, vector["prng"]), impl=vector["prng"])
        for step, words in vector["steps"].items():
            folded = jax.random.key_data(jax.random.fold_in(root, np.uint32(step)))
            assert second.step_key(commitment, vector["prng"], int(step)) == folded.tolist() == words


def test_order():
    stored = vectors("order")
    key = bytes.fromhex(stored["commitment"])
    for vector in stored["places"]:
        found = [second.place(key, vector["epoch"], vector["size"], at) for at in vector["places"]]
        assert found == vector["records"]
    for vector in stored["epochs"]:
        assert second.batch(key, vector["size"], vector["size"], vector["epoch"] + 1) == vector["records"]
        assert sorted(vector["records"]) == list(range(vector["size"]))
    for vector in stored["batches"]:
        steps = range(vector["start"], vector["stop"])
        assert [second.batch(key, vector["records"], vector["batch_size"], step) for step in steps] == vector["batches"]


def test_challenge():
    for vector in vectors("challenge")["needed"]:
        confidence, fraction = second.number(vector["confidence"]), second.number(vector["fraction"])
        assert second.sample_size(vector["segments"], confidence, fraction) == vector["drawn"]
    for vector in vectors("challenge")["draws"]:
        claim, nonce = bytes.fromhex(vector["claim"]), bytes.fromhex(vector["nonce"])
        assert second.draw(claim, nonce, json.loads(vector["policy"]), vector["segments"]) == vector["drawn"]
    for vector in vectors("challenge")["ranked"]:
        claim, nonce, policy = bytes.fromhex(vector["claim"]), bytes.fromhex(vector["nonce"]), vector["policy"]
        drawn = second.draw(claim, nonce, json.loads(policy), vector["segments"], vector["stretches"])
        assert drawn == vector["drawn"], policy
    for vector in vectors("challenge")["steps"]:
        claim, nonce, policy = bytes.fromhex(vector["claim"]), bytes.fromhex(vector["nonce"]), vector["policy"]
        assert second.draw_steps(claim, nonce, json.loads(policy), vector["steps"]) == vector["drawn"], policy


@pytest.mark.parametrize("vector", vectors("magnitudes"), ids=lambda vector: vector["name"])
def test_magnitudes(vector):
    kinds = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}
    before, after = (
        [
            np.frombuffer(bytes.fromhex(leaf), kinds[dtype]).astype(np.float64).tolist()
            for leaf, dtype in zip(state, vector["dtypes"], strict=True)
            if dtype in kinds
        ]
        for state in vector["states"]
    )
    for metric in METRICS:
        assert repr(second.magnitude(metric, before, after)) == repr(float(vector[metric]))


@pytest.mark.parametrize("vector", vectors("documents")["accepted"], ids=lambda vector: vector["kind"])
def test_accepted_documents(vector):
    content = vector["text"].encode()
    assert encode(make_vectors.PARSERS[vector["kind"]](content)) == content
    assert second.canonical(second.parse(content)).encode() == content
    if vector["digest"]:
        assert second.digest(vector["kind"], content).hex() == vector["digest"]
        assert make_vectors.PARSERS[vector["kind"]](content).digest().hex() == vector["digest"]


@pytest.mark.parametrize("vector", vectors("documents")["refused"], ids=lambda vector: vector["name"])
def test_refused_documents(vector):
    content = content_of(vector)
    with pytest.raises(ProofError) as refusal:
        make_vectors.PARSERS[vector["kind"]](content)
    assert refusal.value.where == f"{vector['kind']}.json"
    assert vector["names"] in str(refusal.value)
    assert str(refusal.value).isprintable()
    if vector["layer"] == "json":
        with pytest.raises(second.Refused):
            second.parse(content)
    else:
        assert second.canonical(second.parse(content)).encode() == content


def test_every_byte_of_a_commitment_matters():
    """No other bytes parse to the same commitment, and none crash the parser."""
    content = vectors("documents")["accepted"][0]["text"].encode()
    for at in range(len(content)):
        for wounded in (content[:at] + content[at + 1 :], content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]):
            try:
                parsed = Commitment.parse(wounded)
            except ProofError:
                continue
            assert encode(parsed) == wounded
            assert parsed.digest() == encoding.document_digest("commitment", wounded)


# --- laws: documents, paths --------------------------------------------------------------------------------------

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@law(300)
@given(_json)
def test_documents_round_trip_and_are_canonical_for_both(value):
    content = encode(value)
    assert second.canonical(value).encode() == content
    try:
        read = decode(content, Any, "x")
    except ProofError:  # a float whose canonical form is an integer beyond 2^53
        with pytest.raises(second.Refused):
            second.parse(content)
        return
    assert encode(read) == content
    assert second.canonical(second.parse(content)).encode() == content


@law(300)
@given(st.text(alphabet='{}[]",:\\ 01eE.-+tnu\n\ud800', max_size=40))
def test_what_one_parser_refuses_the_other_refuses(text):
    content = text.encode("utf-8", "surrogatepass")
    try:
        read = decode(content, Any, "x")
    except ProofError:
        with pytest.raises(second.Refused):
            second.parse(content)
        return
    assert encode(read) == content
    assert second.canonical(second.parse(content)).encode() == content


def test_long_hostile_text_is_read_in_linear_time():
    names = b"{" + b",".join(b'"%d":0' % at for at in range(10**5)) + b',"99999":0}'
    for content in (names, b'"\\' * 2**19, b'\\"' * 2**19, b'"' * 2**20, b'"' + b"\\" * 2**20, b'["' + b"]" * 2**20):
        with pytest.raises(ProofError):
            decode(content, Any, "x")


@law(200)
@given(st.lists(st.text(max_size=5), max_size=6))
def test_pointers_split_into_what_they_were_made_of(parts):
    path = pointer([jax.tree_util.DictKey(part) for part in parts])
    assert split_pointer(path) == parts
    assert pointer([jax.tree_util.DictKey(part) for part in split_pointer(path)]) == path


# --- laws: order, Merkle trees -----------------------------------------------------------------------------------


@law(60)
@given(st.integers(1, 3000), st.binary(min_size=32, max_size=32), st.integers(0, 2**40))
def test_permute_is_a_bijection(size, commitment, epoch):
    keys = encoding.order_keys(commitment, epoch, ROUNDS)[:, None]
    images = permute(keys, size, np.arange(size, dtype=np.uint64))
    assert np.array_equal(np.sort(images), np.arange(size))


@law(60)
@given(st.integers(1, 2**48), st.binary(min_size=32, max_size=32), st.integers(1, 2**32 - 2), st.integers(1, 40))
def test_batches_are_those_of_the_second_implementation(records, commitment, start, batch_size):
    found = batch_indices(commitment, records, batch_size, start, start + 2).tolist()
    assert found == [second.batch(commitment, records, batch_size, step) for step in (start, start + 1)]


@law(20)
@given(st.integers(1, 9), st.integers(1, 400), st.integers(0, 50))
def test_epochs_follow_each_other_without_a_gap(records, batch_size, start):
    run = batch_indices(bytes(32), records, batch_size, 1, start + 3).ravel()
    whole = run[: len(run) // records * records].reshape(-1, records)
    assert (np.sort(whole, axis=1) == np.arange(records)).all()


def test_an_epoch_for_each_place_takes_no_time():
    assert not batch_indices(bytes(32), 1, 2**14, 1, 3).any()


@law(60)
@given(st.integers(1, 70), st.data())
def test_inclusion_proofs_give_the_root_and_no_changed_one_does(size, data):
    leaves = [encoding.row_digest(struct.pack("<I", at)) for at in range(size)]
    root = merkle.root(leaves)
    assert root == second.merkle_root(leaves)
    for index in range(size):
        path = merkle.proof(leaves, index)
        assert merkle.root_from_proof(leaves[index], index, size, path) == root
    index = data.draw(st.integers(0, size - 1))
    proof = [leaves[index], *merkle.proof(leaves, index)]
    at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    changed = bytearray(proof[at])
    changed[bit // 8] ^= 1 << bit % 8
    proof[at] = bytes(changed)
    assert merkle.root_from_proof(proof[0], index, size, proof[1:]) != root


# --- laws: ledger and journal ------------------------------------------------------------------------------------

_digest = st.binary(min_size=32, max_size=32)
_word = st.sampled_from([0x7F800001, 0x7FC00000, 0xFFC12345, 0xFF800000, 0x80000000, 1]) | st.integers(0, 2**32 - 1)
_loss = _word.map(lambda word: struct.pack("<I", word))


@st.composite
def row_lists(draw: st.DrawFn, start: int = 0, most: int = 6) -> list[Row]:
    words, batch = draw(st.sampled_from([2, 4])), draw(st.integers(0, 5))
    indices = st.lists(st.integers(0, 2**64 - 1), min_size=batch, max_size=batch)

    def row(step: int) -> Row:
        return Row(
            step=step,
            key=draw(st.binary(min_size=4 * words, max_size=4 * words)),
            indices=np.array([] if step == 0 else draw(indices), np.uint64),
            batch=draw(_digest),
            state=draw(st.none() | _digest),
            loss=None if step == 0 else draw(st.none() | _loss),
        )

    return [row(step) for step in range(start, start + draw(st.integers(1, most)))]


@law(60)
@given(row_lists())
def test_sealed_rows_come_back_byte_for_byte(tmp_path_factory, rows):
    root = tmp_path_factory.mktemp("ledger")
    seal(root, 0, rows)
    expected = range(len(rows))
    assert read_segment(root, 0, expected) == rows
    for row in rows:
        indices = row.indices.tolist()
        assert row.encode() == second.row_bytes(row.step, row.key, indices, row.batch, row.state, row.loss)
    for wrong in (range(1, len(rows) + 1), range(len(rows) + 1)):
        with pytest.raises(ProofError, match=segment_file(0)):
            read_segment(root, 0, wrong)


@law(15)
@given(st.integers(1, 40), st.integers(1, 9))
def test_segments_hold_every_row_once(steps, interval):
    segments = Segments(steps, interval)
    rows = [step for segment in range(len(segments)) for step in segments.rows(segment)]
    assert rows == list(range(steps + 1))
    assert all(step in segments.rows(segments.of_step(step)) for step in rows)
    assert all(segments.rows(at)[-1] == segments.bounds(at)[1] for at in range(len(segments)))


def _row(step: int, batch: int = 3) -> Row:
    indices = np.arange(batch if step else 0, dtype=np.uint64)
    return Row(step, bytes(8), indices, bytes(32), bytes(32), bytes(4) if step else None)


def test_one_row_is_read_from_its_file(tmp_path):
    segments = Segments(5, 2)
    for segment in range(len(segments)):
        seal(tmp_path, segment, [_row(step) for step in segments.rows(segment)])
    assert [read_row(tmp_path, segments, step).step for step in range(6)] == list(range(6))


def test_a_segment_in_a_dictionary_encoding_is_refused(tmp_path):
    """Two kilobytes of it can stand for more than any memory."""
    rows = [Row(step, bytes(8), np.zeros(2**18, np.uint64), bytes(32), None, None) for step in range(3)]
    seal(tmp_path, 0, rows)
    path = tmp_path / segment_file(0)
    pq.write_table(pq.read_table(path), path, compression="zstd", use_dictionary=True)
    assert path.stat().st_size < 5000
    with pytest.raises(ProofError, match="encoding"):
        read_segment(tmp_path, 0, range(3))


def test_any_flipped_byte_of_a_segment_is_refused_or_harmless(tmp_path):
    rows = [_row(step) for step in range(3)]
    seal(tmp_path, 0, rows)
    path = tmp_path / segment_file(0)
    content = path.read_bytes()
    refused = 0
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :])
        try:
            assert read_segment(tmp_path, 0, range(3)) == rows
        except ProofError:
            refused += 1
    assert refused > len(content) // 7 // 2


@law(8)
@given(row_lists(most=3))
def test_a_torn_journal_keeps_every_whole_row(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("journal") / "journal"
    journal = Journal(path, rows[:1])
    ends = [path.stat().st_size]
    for row in rows[1:]:
        journal.append(row)
        ends.append(path.stat().st_size)
    journal.close()
    content = path.read_bytes()
    assert read_journal(path) == rows
    for size in range(len(content)):
        whole = rows[: sum(end <= size for end in ends)]
        path.write_bytes(content[:size])
        assert read_journal(path) == whole
        path.write_bytes(content[:size] + bytes(64))  # what a file system may leave after a power loss
        found = read_journal(path)
        assert len(found) >= len(whole)  # zeros may complete a row that ends with zeros
        assert found == rows[: len(found)]


@law(100)
@given(st.binary(max_size=120), st.booleans())
def test_a_journal_of_anything_is_read(tmp_path_factory, content, framed):
    path = tmp_path_factory.mktemp("journal") / "journal"
    frame = struct.pack("<II", len(content), zlib.crc32(content))
    path.write_bytes(frame + content if framed else content)
    for row in read_journal(path):
        assert row.encode() == content


@pytest.mark.parametrize("tail", [b"", b"\1", b"\1" + bytes(3), b"\1" + bytes(5), b"\0\0", b"\2" + bytes(4)])
def test_a_journal_ends_where_no_row_is(tmp_path, tail):
    content = _row(1).encode()[:-5] + tail
    whole = Journal(tmp_path / "journal", [_row(1)])
    whole.close()
    frame = struct.pack("<II", len(content), zlib.crc32(content)) + content
    with (tmp_path / "journal").open("ab") as file:
        file.write(frame)
    assert read_journal(tmp_path / "journal") == [_row(1)]


def test_a_journal_that_is_not_there_has_no_rows(tmp_path):
    assert read_journal(tmp_path / "journal") == []


def test_a_cleared_journal_goes_on(tmp_path):
    journal = Journal(tmp_path / "journal", [_row(1)])
    journal.clear()
    journal.append(_row(2))
    journal.close()
    assert read_journal(tmp_path / "journal") == [_row(2)]


# --- laws: states ------------------------------------------------------------------------------------------------

_X64 = {"int64", "uint64", "float64", "complex128"}


@st.composite
def leaf_specs(draw: st.DrawFn, path: str) -> LeafSpec:
    dtype = draw(st.sampled_from(sorted(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 6), max_size=3)))
    divisors = [[part for part in range(1, 7) if size % part == 0] for size in shape]
    pieces = tuple(draw(st.sampled_from(each)) for each in divisors)
    return LeafSpec(path, dtype, shape, pieces, None)


@st.composite
def states(draw: st.DrawFn) -> tuple[tuple[LeafSpec, ...], list[np.ndarray]]:
    spec = tuple(draw(leaf_specs(f"/{at}")) for at in range(draw(st.integers(1, 5))))
    source = np.random.default_rng(draw(st.integers(0, 2**32)))

    def array(leaf: LeafSpec) -> np.ndarray:
        content = source.bytes(leaf.nbytes)
        if leaf.dtype == "bool":
            content = bytes(byte % 2 for byte in content)
        return np.frombuffer(content, DTYPES[leaf.dtype]).reshape(leaf.shape)

    return spec, [array(leaf) for leaf in spec]


@law(150)
@given(states())
def test_state_digests_are_those_of_the_second_implementation(state):
    spec, arrays = state
    naive = second.state_digest(json.loads(encode(list(spec))), [array.tobytes() for array in arrays])
    layout = Layout(spec)
    assert layout.gather(arrays).digest() == naive
    strided = [np.asfortranarray(array) if array.ndim else array for array in arrays]
    assert layout.gather(strided).digest() == naive


@law(12)
@given(states())
def test_packing_on_the_device_changes_no_bit(state):
    pairs = [(leaf, array) for leaf, array in zip(*state, strict=True) if leaf.dtype not in _X64]
    if not pairs:
        return
    spec, arrays = tuple(leaf for leaf, _ in pairs), [array for _, array in pairs]
    layout = Layout(spec)
    host = layout.fetch(layout.pack([jnp.asarray(array) for array in arrays]))
    assert [leaf.tobytes() for leaf in host.leaves] == [array.tobytes() for array in arrays]
    assert [leaf.shape for leaf in host.leaves] == [leaf.shape for leaf in spec]
    assert host.digest() == layout.gather(arrays).digest()


@law(100)
@given(states(), st.data())
def test_any_flipped_bit_changes_the_state_digest(state, data):
    spec, arrays = state
    filled = [at for at, array in enumerate(arrays) if array.size and spec[at].dtype != "bool"]
    if not filled:
        return
    at = data.draw(st.sampled_from(filled))
    content = bytearray(arrays[at].tobytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    changed = [*arrays]
    changed[at] = np.frombuffer(bytes(content), arrays[at].dtype).reshape(arrays[at].shape)
    layout = Layout(spec)
    assert layout.gather(changed).digest() != layout.gather(arrays).digest()


# --- laws: keys, challenge ---------------------------------------------------------------------------------------


@law(40)
@given(_digest, st.sampled_from(sorted(KEY_WORDS)), st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_step_keys_are_fold_in(commitment, prng, start, count):
    stop = min(start + count, 2**32)
    found = step_keys(commitment, prng, start, stop)
    assert found.shape == (stop - start, KEY_WORDS[prng])
    root = jax.random.wrap_key_data(root_key(commitment, prng), impl=prng)
    for at in sorted({0, (stop - start) // 2, stop - start - 1} & set(range(stop - start))):
        assert found[at].tolist() == second.step_key(commitment, prng, start + at)
        folded = jax.random.key_data(jax.random.fold_in(root, np.uint32(start + at)))
        assert found[at].tolist() == folded.tolist()


@law(200)
@given(st.integers(1, 300), st.data())
def test_detection_probability_is_hypergeometric(segments, data):
    false, drawn = data.draw(st.integers(1, segments)), data.draw(st.integers(0, segments))
    exact = 1 - Fraction(math.comb(segments - false, drawn), math.comb(segments, drawn))
    assert math.isclose(detection_probability(segments, false, drawn), exact, rel_tol=1e-12, abs_tol=1e-15)


@law(200)
@given(st.integers(1, 300), st.integers(1, 999), st.integers(1, 999))
def test_the_sample_is_the_least_that_is_enough(segments, confidence, fraction):
    """In thousandths, so that the needed probability is often met exactly."""
    needed = segments_needed(segments, confidence / 1000, fraction / 1000)
    false = max(1, -(-fraction * segments // 1000))
    assert false_segments(segments, fraction / 1000) == false

    def enough(drawn: int) -> bool:
        missed = Fraction(math.comb(segments - false, drawn), math.comb(segments, drawn))
        return 1 - missed >= Fraction(confidence, 1000)

    assert enough(needed)
    assert not enough(needed - 1)


def test_samples_of_many_segments_take_no_time():
    assert segments_needed(10**9, 0.99, 0.05) == 90
    assert segments_needed(10**7, 1 - 1e-12, 1e-4) > 200_000


@law(40)
@given(st.integers(1, 500), _digest, st.binary(max_size=40))
def test_draws_are_distinct_segments_and_those_of_the_second_implementation(segments, claim, nonce):
    policy = RandomSegments(confidence=0.9, fraction=0.1)
    drawn = draw(policy, segments, claim, nonce)
    assert drawn == second.draw(claim, nonce, json.loads(encode(policy)), segments)
    assert drawn == sorted(set(drawn))
    assert set(drawn) <= set(range(segments))


@law(100)
@given(st.integers(1, 60), st.integers(1, 5), st.sampled_from(METRICS), _digest, st.binary(max_size=8), st.data())
def test_ranked_draws_are_those_of_the_second_implementation(segments, q, metric, claim, nonce, data):
    sizes = st.sampled_from([0.0, 0.5, 1.0, math.inf, math.nan])
    stretches, epoch, start = [], 0, 0
    while start < segments:
        stop = min(segments, start + data.draw(st.integers(1, 3)))
        stretches.append(Stretch(range(start, stop), epoch, data.draw(sizes)))
        start, epoch = stop, epoch + data.draw(st.integers(0, 1))
    plain = [(each.segments.start, each.segments.stop, each.epoch, each.magnitude) for each in stretches]
    top, joint = TopSegments(q, metric), JointSegments(q, metric, confidence=0.5, fraction=0.2)
    for policy in (top, joint):
        drawn = draw(policy, segments, claim, nonce, stretches)
        assert drawn == second.draw(claim, nonce, json.loads(encode(policy)), segments, plain)
    assert set(drawn) >= set(draw(top, segments, claim, nonce, stretches))
    assert set(drawn) >= second.random_segments(claim, nonce, json.loads(encode(joint)), segments)


@law(20)
@given(st.sampled_from(METRICS), st.integers(0, 2**32), st.lists(st.integers(0, 2**16 + 99), min_size=1, max_size=3))
def test_magnitudes_are_those_of_the_second_implementation(metric, seed, sizes):
    """To the bit, also where lanes hold more than one element."""
    source = np.random.default_rng(seed)
    spec = tuple(LeafSpec(f"/{at}", "float32", (size,), (1,), None) for at, size in enumerate(sizes))
    before, after = ([source.normal(size=size).astype(np.float32) for size in sizes] for _ in range(2))
    plain = [[leaf.astype(np.float64).tolist() for leaf in state] for state in (before, after)]
    assert distance(spec, before, after, metric) == second.magnitude(metric, *plain)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, math.nan, math.inf])
def test_policies_that_would_check_nothing_are_refused(share):
    kinds = (RandomSegments(confidence=share), RandomSegments(fraction=share), JointSegments(1, confidence=share))
    for policy in kinds:
        with pytest.raises(UsageError, match="confidence"):
            draw(policy, 10, bytes(32), b"")


# --- the directory -----------------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    root = tmp_path / "proof"
    folders = "ledger/0000000000.parquet", "checkpoints/0000000000/state/d/a"
    for name in ("commitment.json", "records", INIT_FILE, *folders):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_an_inventory_is_that_of_its_files(directory):
    (directory / FILE).write_bytes(take_inventory(directory, Limits()))
    content = read_bounded(directory, FILE, Limits())
    check_inventory(directory, content, scan(directory, Limits()))
    entries = json.loads(content)["files"]
    for name, entry in entries.items():
        expected = second.digest("file", (directory / name).read_bytes()).hex()
        assert entry == {"digest": expected, "size": len(name)}
    (directory / "records").write_bytes(b"recordz")
    with pytest.raises(ProofError, match=r"^records: "):
        check_inventory(directory, content, scan(directory, Limits()))
    (directory / "records").unlink()
    with pytest.raises(ProofError, match=r"^records: is missing"):
        check_inventory(directory, content, scan(directory, Limits()))


@pytest.mark.parametrize(
    "name",
    [
        "extra",
        "claim.json.tmp",
        "Claim.json",
        "claim.json\n",
        "journal",
        "program/other.jax_export",
        "ledger/000000000.parquet",
        "ledger/00000000000.parquet",
        "ledger/\uff10000000000.parquet",
        "ledger/0000000000.parquet/x",
        "checkpoints/0000000001",
        "checkpoints/0000000000/a b",
        "checkpoints/0000000000/é",
        "checkpoints/0000000000/" + "x" * 129,
        "checkpoints/0000000000/" + "/".join("abcdefghi"),
        "\x1b[2J",
    ],
)
def test_names_outside_the_grammar_are_refused(directory, name):
    path = directory / name
    if "parquet/" in name:
        (directory / "ledger/0000000000.parquet").unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(ProofError) as refusal:
        scan(directory, Limits())
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    "name", ["empty", "ledger/x", "checkpoints/0000000000/é", "checkpoints/" + "\u0660" * 10, "a/b/c"]
)
def test_directories_outside_the_grammar_are_refused(directory, name):
    (directory / name).mkdir(parents=True)
    with pytest.raises(ProofError, match="directory"):
        scan(directory, Limits())


def test_links_and_pipes_are_refused(directory):
    target = directory / "claim.json"
    target.symlink_to(directory / "records")
    with pytest.raises(ProofError, match="no plain file"):
        scan(directory, Limits())
    with pytest.raises(ProofError, match="can't be read"):
        read_bounded(directory, "claim.json", Limits())
    target.unlink()
    os.mkfifo(target)
    with pytest.raises(ProofError, match="no plain file"):
        scan(directory, Limits())
    with pytest.raises(ProofError, match="no plain file"):  # and doesn't wait for a writer
        read_bounded(directory, "claim.json", Limits())
    target.unlink()
    target.mkdir()
    with pytest.raises(ProofError, match="can't be read"):
        read_bounded(directory, "claim.json", Limits())


def test_limits_are_the_verifiers(directory):
    tight = [Limits(document_bytes=3), Limits(files=4), Limits(total_bytes=20), Limits(records_bytes=3)]
    for limits in tight:
        with pytest.raises(ProofError, match="limit"):
            scan(directory, limits)
    with pytest.raises(ProofError, match="more than 3 bytes"):
        read_bounded(directory, "records", Limits(records_bytes=3))
    assert read_bounded(directory, "records", Limits(records_bytes=7)) == b"records"

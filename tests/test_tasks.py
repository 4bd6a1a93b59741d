"""The built-in tasks: what they read, what they compute, and that they keep the contract of a `Task`."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tensorflow_datasets as tfds
from flax import nnx
from PIL import Image
from sklearn.datasets import load_digits

from pol_jax.errors import StorageError, UsageError
from pol_jax.files import user_cache
from pol_jax.tasks import cifar, cifar10, digits, digits_data, shakespeare
from pol_jax.tasks.resnet import BasicBlock, resnet20, resnet50
from pol_jax.tasks.tfds import LabelledImages, data_source
from pol_jax.tasks.transformer import Transformer
from pol_jax.training.pytrees import flatten_with_paths
from pol_jax.training.records import Cached, record_spec
from pol_jax.training.task import BUILT_IN, Task, load_task

REAL = Path(os.environ.get("POL_TFDS") or Path(__file__).parents[2] / "shared" / "tfds")
TEXT = b"To be, or not to be, that is the question:\n" * 40
KEY = jax.random.key(0)


def pictures(count: int) -> np.ndarray:
    """Noise around one grey level for each of two classes in turn: easy to learn."""
    noise = np.random.default_rng(count).integers(0, 60, (count, 32, 32, 3))
    return (noise + 150 * (np.arange(count) % 2)[:, None, None, None]).astype(np.uint8)


class Standin(tfds.core.GeneratorBasedBuilder):
    """What TFDS would prepare for ``cifar10``, ``cifar100`` and ``tiny_shakespeare``, but tiny."""

    VERSION = tfds.core.Version("3.0.2")

    def _info(self) -> tfds.core.DatasetInfo:
        features: dict[str, Any] = {"text": tfds.features.Text()}
        if self.name != "tiny_shakespeare":
            image = tfds.features.Image(shape=(32, 32, 3), encoding_format="png")
            features = {"id": tfds.features.Text(), "image": image, "label": tfds.features.ClassLabel(num_classes=10)}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, _: Any) -> dict[str, Any]:
        sizes = {"train": 16, "test": 8, "validation": 2}
        return {split: self._generate_examples(size) for split, size in sizes.items()}

    def _generate_examples(self, size: int) -> Iterator[tuple[int, Any]]:
        if self.name == "tiny_shakespeare":
            yield 0, {"text": TEXT}
            return
        for i, picture in enumerate(pictures(size)):
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "png")
            file.seek(0)
            yield i, {"id": str(i), "image": file, "label": i % 2}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TFDS data directory with stand-ins, and the digits."""
    directory = tmp_path_factory.mktemp("tfds")
    for name in ("cifar10", "cifar100", "tiny_shakespeare"):
        builder = type(name, (Standin,), {"name": name, "__module__": __name__})
        builder(data_dir=directory, file_format="array_record").download_and_prepare()
    return directory


@pytest.fixture(scope="module")
def real() -> Path:
    """The directory with the real data sets."""
    if not (REAL / "cifar10").is_dir():
        pytest.skip(f"no TFDS data directory at {REAL}; say where one is with POL_TFDS")
    return REAL


def train(task: Task, steps: int, batch_size: int | None = None, key: jax.Array = KEY) -> tuple[Any, list[float]]:
    """The state after some steps over shuffled epochs, and every loss."""
    size = batch_size or task.batch_size
    rng = np.random.default_rng(0)
    epochs = -(-steps * size // len(task.source))
    order = np.concatenate([rng.permutation(len(task.source)) for _ in range(epochs)])
    # Not jitted: compiling the initialisation of ResNet-20 takes longer than the rest of its test.
    state, step, losses = task.init(key), jax.jit(task.step, donate_argnums=0), []
    for i in range(steps):
        batch = task.source.take(order[i * size : (i + 1) * size])
        state, metrics = step(state, batch, jax.random.fold_in(key, i))
        losses.append(metrics["loss"])
    return state, [float(loss) for loss in losses]


# The contract, for every task.


@pytest.mark.parametrize("name", BUILT_IN)
def test_contract(name: str, tiny: Path) -> None:
    task = load_task(name, data_dir=tiny, steps=20)
    assert (task.name, task.steps) == (name, 20)
    assert load_task(name, data_dir=tiny).steps >= 500
    assert all(type(value) in (str, int, float, bool) for value in task.hyperparameters.values())

    batch = task.source.take(np.arange(4))
    record = task.source[0]
    assert jax.tree.all(jax.tree.map(lambda b, r: b.shape == (4, *r.shape) and b.dtype == r.dtype, batch, record))
    assert all(leaf.dtype in ("uint8", "int32") for leaf in record_spec(task.source))

    with jax.numpy_rank_promotion("raise"):
        state = jax.eval_shape(task.init, KEY)
        jaxpr, (after, metrics) = jax.make_jaxpr(task.step, return_shape=True)(state, batch, KEY)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert [(x.shape, x.dtype) for x in jax.tree.leaves(after)] == [(x.shape, x.dtype) for x in jax.tree.leaves(state)]
    for path, leaf in flatten_with_paths(state):
        assert leaf.size, path
        assert leaf.dtype in (jnp.float32, jnp.int32), path
        assert "value" not in path
    assert set(metrics) == {"loss", "accuracy"}
    assert all(value.shape == () and value.dtype == jnp.float32 for value in metrics.values())
    assert sum(np.size(const) for const in jaxpr.consts) < 1000


# Digits.


def test_digits_learn(tiny: Path) -> None:
    task = load_task("digits", data_dir=tiny)
    state, losses = train(task, task.steps)
    assert losses[0] == pytest.approx(np.log(10), rel=0.2)
    assert task.evaluate is not None
    assert task.evaluate(state)["test accuracy"] >= 0.97


def test_digits_step_is_pure(tiny: Path) -> None:
    task = load_task("digits", data_dir=tiny)
    state, batch, step = jax.jit(task.init)(KEY), task.source.take(np.arange(task.batch_size)), jax.jit(task.step)
    first, second = step(state, batch, KEY), step(state, batch, KEY)
    assert jax.tree.all(jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), first, second))
    assert float(step(state, batch, jax.random.key(1))[1]["loss"]) != float(first[1]["loss"])


def test_digits_shift() -> None:
    image = jnp.zeros((100, 8, 8, 1)).at[:, 3, 4].set(1.0)
    moved = np.asarray(digits.shifted(image, KEY))[..., 0]
    assert moved.shape == (100, 8, 8)
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved.sum((1, 2)), 1, rtol=1e-6)
    rows, columns = (moved * np.arange(8)[:, None]).sum((1, 2)) - 3, (moved * np.arange(8)).sum((1, 2)) - 4
    for offset in (rows, columns):
        assert -1 <= offset.min() < -0.9
        assert 0.9 < offset.max() <= 1
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.3
    np.testing.assert_array_equal(moved, digits.shifted(image, KEY)[..., 0])
    assert not np.array_equal(moved, digits.shifted(image, jax.random.key(1))[..., 0])


def test_digits_dropout_needs_a_key() -> None:
    model, image = digits.CNN(rngs=nnx.Rngs(0)), jnp.ones((2, 8, 8, 1))
    assert np.array_equal(model(image), model(image))
    assert not np.array_equal(model(image, KEY), model(image))


def test_digits_data(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sources = {split: digits_data.load(split, tmp_path) for split in ("train", "test")}
    sets = {split: source.take(np.arange(len(source))) for split, source in sources.items()}
    assert capfd.readouterr() == ("", "")
    assert {split: len(tree["label"]) for split, tree in sets.items()} == {"train": 1442, "test": 355}
    images, labels = load_digits(return_X_y=True)
    held = digits_data.held_out(labels)
    for split, mask in (("train", ~held), ("test", held)):
        np.testing.assert_array_equal(sets[split]["image"].reshape(-1, 64), images[mask])
        np.testing.assert_array_equal(sets[split]["label"], labels[mask])
    assert [round(np.mean(held[labels == label]), 1) for label in range(10)] == [0.2] * 10


def test_digits_prepared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits_data.load("train", tmp_path)

    def again(*_: Any, **__: Any) -> None:
        raise AssertionError("prepared a second time")

    monkeypatch.setattr(digits_data.Digits, "download_and_prepare", again)
    assert len(digits_data.load("test", tmp_path)) == 355


def test_digits_prepared_by_two_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = digits_data.Digits._split_generators
    (tmp_path / "digits" / "incomplete.KILLED_1.0.0").mkdir(parents=True)  # a third one was killed
    calls = []

    def race(self: Any, manager: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            digits_data.prepared(tmp_path)  # the other process finishes while this one is at work
        return other(self, manager)

    monkeypatch.setattr(digits_data.Digits, "_split_generators", race)
    assert len(digits_data.load("train", tmp_path)) == 1442
    assert len(calls) == 2


def test_digits_without_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="--data-dir"):
        digits_data.load("train", tmp_path / "file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert user_cache() == tmp_path / "cache" / "pol_jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache" / "pol_jax"


# CIFAR.


def test_parameter_counts() -> None:
    def shapes(build: Any, classes: int) -> list[tuple[int, ...]]:
        model = nnx.eval_shape(lambda: build(classes, rngs=nnx.Rngs(0)))
        return [leaf.shape for leaf in jax.tree.leaves(nnx.to_pure_dict(nnx.state(model, nnx.Param)))]

    def layers(found: list[tuple[int, ...]]) -> int:
        return sum(len(shape) > 1 for shape in found)

    small, large = shapes(resnet20, 10), shapes(resnet50, 100)
    assert sum(map(np.prod, small)) == 269_722  # 0.27M, table 6 of the paper
    assert layers(small) == 20
    # torchvision's 25,557,032 less its 1,000 classes and 7x7 stem, plus 100 classes and a 3x3 stem
    assert sum(map(np.prod, large)) == 25_557_032 - 2048 * 1000 - 1000 - 9408 + 1728 + 2048 * 100 + 100
    assert layers(large) == 50 + 4  # and four projections


def test_images_are_halved_between_stages() -> None:
    for build, depths in ((resnet20, (3, 3, 3)), (resnet50, (3, 4, 6, 3))):
        model = nnx.eval_shape(lambda build=build: build(10, rngs=nnx.Rngs(0)))
        x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
        sizes = []
        for block in model.blocks:
            x = jax.ShapeDtypeStruct((1, *x.shape[1:3], block.conv1.in_features), jnp.float32)
            x = nnx.eval_shape(lambda block, x: block(x, train=True), block, x)
            sizes.append(x.shape[1:3])
        assert sizes == [(32 >> stage, 32 >> stage) for stage, depth in enumerate(depths) for _ in range(depth)]


def test_shortcut_of_option_a() -> None:
    block = BasicBlock(2, 4, 2, rngs=nnx.Rngs(0))
    block.conv2.kernel[...] = jnp.zeros_like(block.conv2.kernel[...])
    x = jnp.arange(1 * 4 * 4 * 2, dtype=jnp.float32).reshape(1, 4, 4, 2) - 10
    y = np.asarray(block(x, train=False))
    np.testing.assert_array_equal(y[..., :2], np.maximum(x[:, ::2, ::2], 0))
    assert y.shape == (1, 2, 2, 4)
    assert not y[..., 2:].any()


def test_batch_norm_momentum() -> None:
    block = BasicBlock(3, 4, 1, rngs=nnx.Rngs(0))
    x = jax.random.normal(KEY, (4, 8, 8, 3))
    block(x, train=False)
    assert not block.norm1.mean[...].any()
    block(x, train=True)
    np.testing.assert_allclose(block.norm1.mean[...], 0.1 * block.conv1(x).mean((0, 1, 2)), atol=1e-6)


def test_cifar_schedule() -> None:
    rate = cifar.schedule(64_000)
    found = [float(rate(step)) for step in (0, 31_999, 32_001, 47_999, 48_001, 63_999)]
    assert found == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_cifar_sgd() -> None:
    optimizer = cifar.sgd(optax.constant_schedule(0.1))
    w, v = np.array([1.0, -2.0], np.float32), np.zeros(2, np.float32)
    params, state = jnp.asarray(w), optimizer.init(jnp.asarray(w))
    for g in (np.array([0.5, 0.0], np.float32), np.array([-1.0, 2.0], np.float32)):
        updates, state = optimizer.update(jnp.asarray(g), state, params)
        params = optax.apply_updates(params, updates)
        v = 0.9 * v + (g + 1e-4 * w)
        w = w - 0.1 * v
        np.testing.assert_allclose(params, w, rtol=1e-6)


def test_cifar_augmentation() -> None:
    image = np.random.default_rng(0).integers(1, 256, (64, 32, 32, 3), np.uint8)
    found = np.asarray(cifar.augmented(jnp.asarray(image), KEY))
    assert found.shape == image.shape
    assert found.dtype == np.uint8
    padded = np.pad(image, ((0, 0), (4, 4), (4, 4), (0, 0)))
    places = set()
    for i in range(64):
        corners = itertools.product(range(9), range(9), (1, -1))
        crops = {(y, x, f): padded[i, y : y + 32, x : x + 32][:, ::f] for y, x, f in corners}
        (place,) = [place for place, crop in crops.items() if np.array_equal(crop, found[i])]
        places.add(place)
    rows, columns, flips = (set(values) for values in zip(*places, strict=True))
    assert rows == columns == set(range(9))
    assert flips == {1, -1}
    np.testing.assert_array_equal(found, cifar.augmented(jnp.asarray(image), KEY))
    assert not np.array_equal(found, cifar.augmented(jnp.asarray(image), jax.random.key(1)))
    other = np.asarray(cifar.augmented(jnp.asarray(255 - image), KEY))  # where depends on the key, not on the pixels
    np.testing.assert_array_equal(other[found != 0], 255 - found[found != 0])


def test_cifar_records(tiny: Path) -> None:
    source = Cached(LabelledImages("cifar10", "train", tiny))
    for _ in range(2):
        batch = source.take(np.array([3, 0, 3]))
        np.testing.assert_array_equal(batch["image"], pictures(16)[[3, 0, 3]])
        np.testing.assert_array_equal(batch["label"], np.array([1, 0, 1], np.int32), strict=True)
    assert len(source) == 16


def test_cifar10_learns(tiny: Path) -> None:
    task = load_task("cifar10", data_dir=tiny, steps=40)
    state, losses = train(task, 10, batch_size=16)
    assert 1.5 < losses[0] < 5
    assert losses[-1] < 0.5
    assert task.evaluate is not None
    assert set(task.evaluate(state)) == {"test accuracy"}


def test_cifar10_real_records(real: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = Cached(LabelledImages("cifar10", "train", real))
    batch = source.take(np.arange(512))
    assert len(source) == 50_000
    assert set(batch["label"].tolist()) == set(range(10))
    image = cifar.normalized(jnp.asarray(batch["image"]), cifar10.NORMALIZATION)
    np.testing.assert_allclose(image.mean((0, 1, 2)), 0, atol=0.1)
    np.testing.assert_allclose(image.std((0, 1, 2)), 1, atol=0.1)
    assert capfd.readouterr() == ("", "")


# Shakespeare.


def test_shakespeare_windows() -> None:
    text = np.random.default_rng(0).integers(0, 256, 64 * 5 + 40, np.uint8)
    source = shakespeare.windows(text)
    windows = source.take(np.arange(len(source)))["text"]
    assert windows.shape == (5, 65)
    np.testing.assert_array_equal(windows[:, 1:].ravel(), text[1 : 64 * 5 + 1])
    np.testing.assert_array_equal(windows[1:, 0], windows[:-1, -1])


def test_transformer_is_causal() -> None:
    model = shakespeare.build(nnx.Rngs(0))
    graph, state = nnx.split(model)
    noise = iter(jax.random.split(KEY, 100))
    x = jax.random.normal(KEY, (1, 8, shakespeare.WIDTH))
    np.testing.assert_array_equal(model.blocks[0](x, None), x)
    # Untrained blocks are the identity, which is causal for no merit of theirs.
    state = jax.tree.map(lambda x: x + 0.05 * jax.random.normal(next(noise), x.shape), state)
    model = nnx.merge(graph, state)
    text = jnp.arange(64)[None]
    logits, changed = model(text), model(text.at[0, 40].set(200))
    np.testing.assert_allclose(logits[0, :40], changed[0, :40], atol=1e-5)
    assert all(float(jnp.abs(logits[0, i] - changed[0, i]).max()) > 1e-3 for i in (40, 41, 63))
    assert not np.array_equal(model(text, nnx.Rngs(1)), logits)
    np.testing.assert_array_equal(model(text, nnx.Rngs(1)), model(text, nnx.Rngs(1)))


def test_transformer_knows_the_order() -> None:
    # In one layer, attention without positions would see the past as a set.
    model = Transformer(256, 1, 32, 4, 0.0, rngs=nnx.Rngs(0))
    model.blocks[0].out.kernel[...] = jax.random.normal(KEY, (32, 32))
    text = jnp.arange(16)[None]
    last, swapped = model(text)[0, -1], model(text.at[0, :2].set(jnp.array([1, 0])))[0, -1]
    assert float(jnp.abs(last - swapped).max()) > 1e-4


def test_shakespeare_schedule() -> None:
    rates = np.array([float(shakespeare.schedule(1000)(step)) for step in range(1000)])
    assert rates.argmax() == shakespeare.WARM_UP
    assert rates.max() == pytest.approx(3e-3)
    assert rates.min() >= 1e-4
    assert np.all(np.diff(rates[: shakespeare.WARM_UP + 1]) > 0)
    assert np.all(np.diff(rates[shakespeare.WARM_UP :]) < 0)
    assert rates[-1] == pytest.approx(3e-4, rel=0.01)
    assert all(0 < float(shakespeare.schedule(steps)(0)) <= 3e-3 for steps in (0, 1, 2, 15))


def test_shakespeare_learns(real: Path) -> None:
    task = load_task("shakespeare", data_dir=real, steps=40)
    state, losses = train(task, 40)
    assert losses[0] == pytest.approx(np.log(256), rel=0.05)
    assert task.evaluate is not None
    found = task.evaluate(state)
    assert found["validation loss"] < 2.6
    assert found["validation accuracy"] > 0.25


# Data directories that won't do.


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "shakespeare"])
def test_needs_a_data_directory(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data-dir"):
        load_task(name)
    with pytest.raises(UsageError, match="download_and_prepare"):
        load_task(name, data_dir=tmp_path)


def test_data_source_refuses(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one of train, test, validation"):
        data_source("cifar10", "nonsense", tiny)
    shutil.copytree(tiny / "cifar10", tmp_path / "cifar10")
    info = next(tmp_path.glob("cifar10/*/dataset_info.json"))
    info.write_text(json.dumps(json.loads(info.read_text()) | {"fileFormat": "tfrecord"}))
    with pytest.raises(UsageError, match="expected array_record files, got tfrecord"):
        data_source("cifar10", "train", tmp_path)


def test_newest_version_is_taken(tiny: Path, tmp_path: Path) -> None:
    for version in ("3.0.9", "3.0.10"):
        shutil.copytree(tiny / "cifar10" / "3.0.2", tmp_path / "cifar10" / version)
    shutil.rmtree(tmp_path / "cifar10" / "3.0.9")
    (tmp_path / "cifar10" / "3.0.9").mkdir()
    (tmp_path / "cifar10" / "3.0.9" / "dataset_info.json").write_text("damaged")
    assert len(data_source("cifar10", "train", tmp_path)) == 16

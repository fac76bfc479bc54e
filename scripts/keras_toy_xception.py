#!/usr/bin/env python3
"""Writes a tiny Xception in every layout Keras gives its files, and what Keras computes with it.

    pip install -r scripts/requirements-golden.txt
    python scripts/keras_toy_xception.py [folder]

crates/xception-model/tests/keras.rs loads them. Weights and input follow golden.py's formula. The layouts that Keras 3.15
still writes are written by it; the others are made with h5py as `keras_fixtures.py` describes, Keras 1 numbered as its
Xception was (a block's shortcut is created before its separable convolutions). The shortcuts carry the automatic names
they have in the wild. An HDF5 file of so many small groups is mostly air: `.keras` archives are deflated, the others
gzipped. Two runs differ only in what Keras writes itself: object ids in configs, the random weights of cnn.keras.

    expected.json           records as golden.py's: the logits of each network, samples of notop's feature map

    toy.keras               as from a fresh process: conv2d, conv2d_1, batch_normalization, ...
    offset.keras            as after other models were built: conv2d_8 to 11, batch_normalization_98 to 101
    no_names.weights.h5     Keras 3.0 to 3.5: no attribute `name`, so nothing but classes and numbers
    toy.weights.h5          Keras 3.15
    legacy_weights.h5       weights alone, offset names
    legacy_model.h5         a whole model
    keras2_weights.h5       Keras 2: `:0` behind the names
    keras1_weights.h5       Keras 1: convolution2d_1_W, batchnormalization_3_running_std
    notop.keras, notop_legacy_weights.h5    without pooling and classifier
    max.keras               global max pooling
    hidden.keras            two hidden layers with automatic names, dropout 0.25
    nested_sequential.keras, nested_functional.keras
                            the frozen backbone as one layer, then pooling, dropout 0.5, classifier
    nested_frozen.h5, nested_unfrozen.h5    the same as whole legacy models: their variables' order differs
    cnn.keras               no Xception
"""

import dataclasses
import gzip
import json
import sys
import zipfile
from pathlib import Path

import golden
import h5py
import keras
from golden import Builder, Spec
from keras import layers
from keras.src.legacy.saving import legacy_h5_format
from keras_fixtures import copy_without_names, repack, variables, write_keras2

DEFAULT = Path(__file__).resolve().parent.parent / "crates/xception-model/tests/fixtures/keras"
# Not square, so that exchanged sides are noticed.
HEIGHT, WIDTH = 331, 200
# Narrow: there is one file of it a layout. Norms of one width tell whether order is kept.
TOY = Spec(stem=(2, 3), entry=(3, 4, 5), exit=(6, 7, 8), middle_blocks=1, classes=5)
MAX = dataclasses.replace(TOY, pooling="max")
HIDDEN = dataclasses.replace(TOY, hidden=(6, 4))
# The blocks of the toy whose shortcut is a convolution, in creation order.
SHORTCUTS = ("block2", "block3", "block4", "block6")
KERAS_1 = {
    "Conv2D": ("convolution2d", {"kernel": "W", "bias": "b"}),
    "SeparableConv2D": ("separableconvolution2d", {}),
    "BatchNormalization": ("batchnormalization", {"moving_mean": "running_mean", "moving_variance": "running_std"}),
    "Dense": ("dense", {"kernel": "W", "bias": "b"}),
}


def renamed(model: keras.Model, names: dict[str, str], name: str = "xception") -> keras.Model:
    """The same network and weights under other layer names."""
    text = json.dumps(model.get_config() | {"name": name})
    for old, new in names.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    copy = keras.Model.from_config(json.loads(text))
    copy.set_weights(model.get_weights())
    return copy


def automatic(convolution: int, norm: int) -> dict[str, str]:
    """The shortcuts' automatic names when their classes' counters stood at these numbers."""
    name = lambda stem, number: f"{stem}_{number}" if number else stem
    return {f"{block}_residual": name("conv2d", convolution + k) for k, block in enumerate(SHORTCUTS)} | {
        f"{block}_residual_bn": name("batch_normalization", norm + k) for k, block in enumerate(SHORTCUTS)
    }


def xception(output: str, spec: Spec = TOY, offset: tuple[int, int] = (0, 0), **names: str) -> keras.Model:
    builder = Builder(spec, HEIGHT, WIDTH)
    builder.model()  # sets the weights
    return renamed(keras.Model(builder.input, builder.stages[output]), automatic(*offset) | names)


def with_dropout(model: keras.Model, rate: float, before: str) -> keras.Model:
    """The same model with a dropout in front of its layer `before`, the last one."""
    last = model.get_layer(before)
    dropped = layers.Dropout(rate, seed=0, name="dropout")(last.input)
    copy = layers.Dense(last.units, name=last.name)
    network = keras.Model(model.inputs[0], copy(dropped), name=model.name)
    copy.set_weights(last.get_weights())
    return network


def nested(frozen: bool, sequential: bool) -> keras.Model:
    """Transfer learning as it is taught: the backbone is one layer of the new model."""
    backbone = xception("block7", offset=(8, 98))
    backbone.trainable = not frozen
    head = [layers.GlobalAveragePooling2D(), layers.Dropout(0.5, seed=0), layers.Dense(TOY.classes)]
    if sequential:
        model = keras.Sequential([keras.Input((HEIGHT, WIDTH, 3)), backbone, *head])
    else:
        inputs = x = keras.Input((HEIGHT, WIDTH, 3))
        for layer in (backbone, *head):
            x = layer(x)
        model = keras.Model(inputs, x)
    head[-1].set_weights([golden.weight(f"predictions/{v.name}", tuple(v.shape)) for v in head[-1].weights])
    return model


def cnn() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((HEIGHT, WIDTH, 3)),
            layers.Conv2D(4, 3, kernel_initializer="ones"),
            layers.BatchNormalization(),
            layers.Conv2D(4, 3, kernel_initializer="ones"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(TOY.classes),
        ]
    )


def save_keras(model: keras.Model, target: Path) -> None:
    temporary = target.with_name("temporary.keras")
    model.save(temporary)
    repack(temporary, target, zipfile.ZIP_DEFLATED)
    temporary.unlink()


def save_legacy_weights(model: keras.Model, target: Path) -> None:
    with h5py.File(target, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def save_keras1(model: keras.Model, target: Path) -> None:
    """`Container.save_weights_to_hdf5_group` of Keras 1.2; `model` has golden.py's names."""
    # A block's shortcut was created first; `model.layers` is the topological order, where it comes last.
    weighted = [layer for layer in model.layers if type(layer).__name__ in KERAS_1]
    created = sorted(weighted, key=lambda layer: (layer.name.split("_")[0], "residual" not in layer.name, layer.name))
    numbers: dict[str, int] = {}
    names = {}
    for layer in created:
        stem = KERAS_1[type(layer).__name__][0]
        numbers[stem] = numbers.get(stem, 0) + 1
        names[layer.name] = f"{stem}_{numbers[stem]}"
    with h5py.File(target, "w") as file:
        file.attrs["layer_names"] = [names.get(layer.name, layer.name).encode() for layer in model.layers]
        for layer in model.layers:
            name = names.get(layer.name, layer.name)
            group = file.create_group(name)
            short = KERAS_1.get(type(layer).__name__, ("", {}))[1]
            weights = [f"{name}_{short.get(v.name, v.name)}:0".encode() for v in variables(layer)]
            for weight, variable in zip(weights, variables(layer), strict=True):
                group[weight.decode()] = variable.numpy()
            group.attrs["weight_names"] = weights


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("!*.h5.gz\n!*.keras\n")

    toy = xception("predictions")
    offset = xception("predictions", offset=(8, 98))
    save_keras(toy, folder / "toy.keras")
    save_keras(offset, folder / "offset.keras")
    offset.save_weights(folder / "toy.weights.h5")
    copy_without_names(folder / "toy.weights.h5", folder / "no_names.weights.h5")
    save_legacy_weights(offset, folder / "legacy_weights.h5")
    toy.save(folder / "legacy_model.h5")
    write_keras2(offset, folder / "keras2_weights.h5", whole=False)
    builder = Builder(TOY, HEIGHT, WIDTH)
    builder.model()
    save_keras1(keras.Model(builder.input, builder.stages["predictions"]), folder / "keras1_weights.h5")

    notop = xception("block7")
    save_keras(notop, folder / "notop.keras")
    save_legacy_weights(notop, folder / "notop_legacy_weights.h5")
    maximum = xception("predictions", MAX, max_pool="global_max_pooling2d")
    save_keras(maximum, folder / "max.keras")
    hidden = xception("predictions", HIDDEN, hidden_0="dense", hidden_1="dense_1", predictions="dense_2")
    hidden = with_dropout(hidden, 0.25, "dense_2")
    save_keras(hidden, folder / "hidden.keras")

    save_keras(nested(frozen=True, sequential=True), folder / "nested_sequential.keras")
    save_keras(nested(frozen=True, sequential=False), folder / "nested_functional.keras")
    nested(frozen=True, sequential=False).save(folder / "nested_frozen.h5")
    nested(frozen=False, sequential=True).save(folder / "nested_unfrozen.h5")
    save_keras(cnn(), folder / "cnn.keras")

    picture = golden.picture((1, HEIGHT, WIDTH, 3))
    expected = {"toy": toy, "max": maximum, "hidden": hidden, "notop": notop}
    records = [
        golden.record(name, model(picture, training=False).numpy(), 64 if name == "notop" else None)
        for name, model in expected.items()
    ]
    (folder / "expected.json").write_text(golden.render({"records": records}))

    for file in folder.glob("*.h5"):
        (folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
        file.unlink()
    files = sorted(folder.iterdir())
    print(f"{len(files)} files, {sum(file.stat().st_size for file in files) / 1024:.0f} KB in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)

#!/usr/bin/env python3
"""Writes networks that no table here knows, as Keras and tf2onnx write them, and what Keras computes with them.

    pip install -r scripts/requirements-golden.txt tf2onnx==1.17.0 onnx==1.23.2 onnxruntime==1.32.0
    python scripts/keras_unnamed_model.py small
    python scripts/keras_unnamed_model.py real FOLDER

`small` writes the fixtures: the Keras files and expected.json into crates/xception-model/tests/fixtures/keras/unnamed, the ONNX
files and an expected.json of ONNX Runtime's numbers into crates/converter/tests/fixtures/onnx/unnamed. `.h5` and `.onnx` files
are gzipped, `.keras` archives deflated. `.h5` there is of two models, and no `.onnx` of `adapted`: that one is `constant` again,
with other numbers. One network of 40 x 36 x 3 with a head and a scaling of the input in front:

    sigmoid1  Dense(1, sigmoid)   Rescaling(1/255)
    linear1   Dense(1)            Rescaling(1/255)
    softmax3  Dense(3, softmax)   Rescaling(1/255)
    sigmoid3  Dense(3, sigmoid)   Rescaling(1/255)
    logits3   Dense(3)            Rescaling(1/255)
    raw       Dense(3, softmax)   none: the network takes -1 to 1
    signed    Dense(3, softmax)   Rescaling(1/127.5, offset=-1)
    adapted   Dense(3, softmax)   Normalization, mean and variance among the weights
    constant  Dense(3, softmax)   Normalization, mean and variance in the configuration

The network: Conv2D stride 2 same, ReLU6, ZeroPadding2D ((0, 1), (0, 1)), DepthwiseConv2D stride 2 valid, ReLU6, squeeze and
excitation (pool, Reshape, two 1 x 1 convolutions with swish and sigmoid inside, Multiply), an average pool 3 x 3 stride 2 same of a
10 x 9 map beside a Conv2D with LeakyReLU, Concatenate, Flatten, Dense with swish, BatchNormalization, Dropout, Dense with gelu,
the head. All names are Keras's automatic ones. Weights are multiples of 1/64, so that the files are small.

`real` writes MobileNetV2 (alpha 0.35, 96 x 96, no top) behind Rescaling(1/255), with a head of global average pool, Dense(128,
swish), BatchNormalization and Dense(1, sigmoid), as .keras, .h5 (a legacy whole model), .onnx (opset 17) and .json:

    mobilenet_flat.*    every layer is one of the model's own
    mobilenet_nested.*  the backbone is one layer of the model

The expected numbers: {"models": [{"model", "input": shape, "low", "high", "outputs": "probabilities" | "logits",
"layers": {stage: the layer whose output it is}, "records": records as golden.py's}]}. The stages: `pooled`, what the
dense layers get (16 samples); `embedding`, what the last layer gets, and `output` (all values). For `real` the document
has one model. The input is made by golden.py's formula: key `input/{batch}x{height}x{width}x{channels}`, f32(low +
(high - low) u). It is what the MODEL takes: 0 to 255 where the model scales pictures itself, -1 to 1 for `raw`.

tf2onnx 1.17 does not know `Erfc`, which TensorFlow 2.21 makes of gelu. The ONNX files have gelu as TensorFlow 2.15 made it,
0.5 x (1 + erf(x / sqrt 2)).

Two runs differ only in what Keras and tf2onnx write themselves: object ids, the order of initialisers.
"""

from __future__ import annotations

import argparse
import gzip
import math
import sys
from pathlib import Path
from unittest import mock

import golden
import keras
import numpy as np
from keras import layers
from keras_toy_xception import save_keras

FIXTURES = Path(__file__).resolve().parent.parent / "crates"
KERAS = FIXTURES / "xception-model/tests/fixtures/keras/unnamed"
ONNX = FIXTURES / "converter/tests/fixtures/onnx/unnamed"
OPSET = 17

SMALL = (2, 40, 36, 3)
REAL = (2, 96, 96, 3)
PIXELS = (0.0, 255.0)
SIGNED = (-1.0, 1.0)
# ImageNet's, in units of a pixel's byte.
MEAN = (123.675, 116.28, 103.53)
VARIANCE = (3409.976, 3262.694, 3291.891)

# Name: units and activation of the head, scaling.
VARIANTS = {
    "sigmoid1": (1, "sigmoid", "unit"),
    "linear1": (1, None, "unit"),
    "softmax3": (3, "softmax", "unit"),
    "sigmoid3": (3, "sigmoid", "unit"),
    "logits3": (3, None, "unit"),
    "raw": (3, "softmax", "none"),
    "signed": (3, "softmax", "signed"),
    "adapted": (3, "softmax", "adapted"),
    "constant": (3, "softmax", "constant"),
}
LEGACY = ("sigmoid1", "adapted")
NOT_EXPORTED = ("adapted",)


def picture(shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    u = golden.uniform(f"input/{golden.dimensions(shape)}", shape)
    return (low + (high - low) * u).astype(np.float32)


# ---------------------------------------------------------------------------------------------------- the networks


def scaling(kind: str, x):
    match kind:
        case "none":
            return x
        case "unit":
            return layers.Rescaling(1 / 255)(x)
        case "signed":
            return layers.Rescaling(1 / 127.5, offset=-1)(x)
        case "constant":
            return layers.Normalization(mean=list(MEAN), variance=list(VARIANCE))(x)
        case "adapted":
            layer = layers.Normalization()
            # Channels that differ, so that their order is noticed.
            layer.adapt(picture(SMALL, 20, 255) * np.float32([1.0, 0.75, 0.5]))
            return layer(x)
    raise ValueError(kind)


def small(units: int, activation: str | None, scale: str) -> keras.Model:
    keras.backend.clear_session()
    inputs = keras.Input(SMALL[1:])
    x = scaling(scale, inputs)
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.999)(x))

    gate = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(2, 1, activation="swish")(gate)
    gate = layers.Conv2D(6, 1, activation="sigmoid")(gate)
    x = layers.Multiply()([x, gate])

    pooled = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    branch = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    branch = layers.LeakyReLU(negative_slope=0.125)(branch)
    x = layers.Concatenate()([pooled, branch])

    x = layers.Dense(8, activation="swish")(layers.Flatten()(x))
    x = layers.Dropout(0.25, seed=0)(layers.BatchNormalization()(x))
    x = layers.Dense(6, activation="gelu")(x)
    model = keras.Model(inputs, layers.Dense(units, activation=activation)(x))
    fill(model, seed=1, step=1 / 64)
    return model


def mobilenet(nested: bool) -> keras.Model:
    keras.backend.clear_session()
    options = {"alpha": 0.35, "include_top": False, "weights": None}
    inputs = keras.Input(REAL[1:])
    x = layers.Rescaling(1 / 255)(inputs)
    if nested:
        x = keras.applications.MobileNetV2(input_shape=REAL[1:], **options)(x)
    else:
        x = keras.applications.MobileNetV2(input_tensor=x, **options).output
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(128, activation="swish")(x)
    x = layers.BatchNormalization()(x)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    fill(model, seed=2, step=None)
    calibrate(model, seed=3)
    return model


def fill(model: keras.Model, seed: int, step: float | None) -> None:
    """Random weights: He's bound for kernels, moving statistics that are not those of a new network."""
    random = np.random.default_rng(seed)
    for layer in flat(model):
        if isinstance(layer, layers.Normalization):
            continue
        for variable in layer.weights:
            if "seed_generator" in variable.path:
                continue
            u = random.uniform(-1, 1, variable.shape)
            match variable.name:
                case "kernel":
                    # A depthwise kernel's fan-in is its window alone.
                    depthwise = isinstance(layer, layers.DepthwiseConv2D)
                    value = u * math.sqrt(6 / math.prod(variable.shape[: 2 if depthwise else -1]))
                case "gamma" | "moving_variance":
                    value = 1 + u / 2
                case "bias" | "beta" | "moving_mean":
                    value = u / 4
            variable.assign(value if step is None else np.round(value / step) * step)


def calibrate(model: keras.Model, seed: int) -> None:
    """Moving statistics of the backbone near those of its own activations, as in a trained network.

    With statistics that have nothing to do with the activations, 52 convolutions made of ONNX Runtime's last digits a difference
    of 4e-5 in the output: no engine could have been within 1e-5 of Keras.
    """
    random = np.random.default_rng(seed)
    norms = [layer for layer in flat(model) if isinstance(layer, layers.BatchNormalization)]
    # The head's keeps what `fill` gave it.
    norms = norms[:-1]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(picture((8, *model.input_shape[1:]), *PIXELS), training=True)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
        # The mean square for a variance: pictures of noise are alike, and so deep in the network their variance is next to nothing.
        mean = norm.moving_mean.numpy()
        square = norm.moving_variance.numpy() + mean**2
        norm.moving_mean.assign(mean * random.uniform(0.25, 1.25, mean.shape))
        norm.moving_variance.assign(square * random.uniform(0.75, 1.25, mean.shape))


def flat(model: keras.Model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from flat(layer)
        else:
            yield layer


# ---------------------------------------------------------------------------------------------------- the numbers


def expectation(name: str, model: keras.Model, shape: tuple[int, ...], low: float, high: float) -> dict:
    """What Keras computes for two pictures."""
    head = model.layers[-1]
    before = next(layer for layer in model.layers if layer.output is head.input)
    # The squeeze has a pool of its own, which comes earlier.
    pooling = [layer for layer in model.layers if isinstance(layer, (layers.Flatten, layers.GlobalAveragePooling2D))][-1]
    probe = keras.Model(model.input, [pooling.output, head.input, head.output])
    pooled, embedding, output = (value.numpy() for value in probe(picture(shape, low, high), training=False))
    spread = float(np.abs(output[0] - output[1]).max())
    print(f"{name}: {model.count_params()} parameters, output {output.tolist()}")
    if spread < 1e-3:
        raise SystemExit(f"{name}: the two pictures' outputs differ by {spread:.1e}: the numbers would prove little")
    return {
        "model": name,
        "input": list(shape),
        "low": low,
        "high": high,
        "outputs": "probabilities" if head.activation.__name__ in ("sigmoid", "softmax") else "logits",
        "layers": {"pooled": pooling.name, "embedding": before.name},
        "records": [
            golden.record("pooled", pooled, golden.TOY_SAMPLES),
            golden.record("embedding", embedding, None),
            golden.record("output", output, None),
        ],
    }


def export(model: keras.Model, path: Path) -> None:
    import tensorflow as tf
    import tf2onnx

    def gelu(features, approximate=False):
        return 0.5 * features * (1.0 + tf.math.erf(features / 1.4142135623730951))

    spec = (tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="input"),)
    with mock.patch.object(tf.nn, "gelu", gelu):
        tf2onnx.convert.from_keras(model, input_signature=spec, opset=OPSET, output_path=str(path))


def run_onnx(path: Path, expected: dict) -> np.ndarray:
    """ONNX Runtime's output, which must be Keras's."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fed = picture(tuple(expected["input"]), expected["low"], expected["high"])
    output = session.run(None, {session.get_inputs()[0].name: fed})[0]
    theirs = np.array(expected["records"][-1]["values"]).reshape(output.shape)
    distance = float(np.linalg.norm(output - theirs) / np.linalg.norm(theirs))
    print(f"{path.name}: ONNX Runtime differs from Keras by {distance:.1e} in norm")
    if not distance < 1e-5:
        raise SystemExit(f"{path}: ONNX Runtime and Keras differ")
    return output


def document(models: list[dict]) -> str:
    versions = {"keras": keras.__version__, "numpy": np.__version__, "formula": golden.FORMULA}
    return golden.render({"meta": versions, "models": models})


def write_small() -> None:
    for folder, kept in ((KERAS, "!*.keras\n!*.h5.gz\n"), (ONNX, "*.onnx\n")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text(kept)
    by_keras, by_onnx = [], []
    for name, (units, activation, scale) in VARIANTS.items():
        model = small(units, activation, scale)
        expected = expectation(name, model, SMALL, *(SIGNED if scale == "none" else PIXELS))
        by_keras.append(expected)
        save_keras(model, KERAS / f"{name}.keras")
        if name in LEGACY:
            legacy = KERAS / f"{name}.h5"
            model.save(legacy)
            pack(legacy)
        if name not in NOT_EXPORTED:
            exported = ONNX / f"{name}.onnx"
            export(model, exported)
            output = run_onnx(exported, expected)
            by_onnx.append(expected | {"layers": {}, "records": [golden.record("output", output, None)]})
            pack(exported)
    (KERAS / "expected.json").write_text(document(by_keras))
    (ONNX / "expected.json").write_text(document(by_onnx))


def pack(path: Path) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    path.unlink()


def write_real(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, nested in (("mobilenet_flat", False), ("mobilenet_nested", True)):
        model = mobilenet(nested)
        expected = expectation(name, model, REAL, *PIXELS)
        model.save(folder / f"{name}.keras")
        model.save(folder / f"{name}.h5")
        export(model, folder / f"{name}.onnx")
        run_onnx(folder / f"{name}.onnx", expected)
        (folder / f"{name}.json").write_text(document([expected]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("small", help="the committed fixtures")
    kinds.add_parser("real", help="MobileNetV2 of real size").add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.kind == "small":
        write_small()
    else:
        write_real(arguments.folder)


if __name__ == "__main__":
    sys.exit(main())

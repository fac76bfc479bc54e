#!/usr/bin/env python3
r"""Writes goldens of the zoo's networks, computed by `keras.applications` on TensorFlow.

    python scripts/golden/golden_zoo.py --out crates/xception-model/tests/golden

Keras's own code builds the networks, with all widths divided by a number so that no golden takes megabytes. Formula,
records and `--accept` are those of `golden.py`, except for these:

    network  the table of options of our `Architecture`
    names    "keras": layers have the names of a fresh Keras process, which are also the keys of the formula
    stages   every layer with a fixed or automatic name but the input, in the order of `model.layers`
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf
from formula import Goldens, case_file, picture, record, weight

CLASSES = 10
# The blocks of ResNet-50 by their names of Keras 2.
LETTERS = ("abc", "abcd", "abcdef", "abc")


class Narrow:
    """`keras.layers` with fewer filters in every convolution and fewer units in every hidden layer."""

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor

    def __getattr__(self, name: str):
        return getattr(keras.layers, name)

    def Conv2D(self, filters: int, *arguments, **options):
        return keras.layers.Conv2D(filters // self.divisor, *arguments, **options)

    def Dense(self, units: int, *arguments, **options):
        units = units if options["name"] == "predictions" else units // self.divisor
        return keras.layers.Dense(units, *arguments, **options)


def resnet50_of_keras2(library, divisor: int, pads_pool: bool, shape: tuple[int, int, int], letters=LETTERS):
    """The ResNet-50 of Keras 2.0 to 2.2 without a head, by the code of its time: `resnet50.py` of
    fchollet/deep-learning-models, with `pads_pool` of `keras_applications` 1.0.7. Returns picture and map."""
    layers = library.layers

    def norm(name: str):
        return layers.BatchNormalization(axis=3, name=name)

    def block(x, filters: int, stage: int, letter: str, strides: int, projects: bool):
        conv, bn = f"res{stage}{letter}_branch", f"bn{stage}{letter}_branch"
        shortcut = x
        x = layers.Conv2D(filters, 1, strides=strides, name=conv + "2a")(x)
        x = layers.Activation("relu")(norm(bn + "2a")(x))
        x = layers.Conv2D(filters, 3, padding="same", name=conv + "2b")(x)
        x = layers.Activation("relu")(norm(bn + "2b")(x))
        x = norm(bn + "2c")(layers.Conv2D(4 * filters, 1, name=conv + "2c")(x))
        if projects:
            shortcut = layers.Conv2D(4 * filters, 1, strides=strides, name=conv + "1")(shortcut)
            shortcut = norm(bn + "1")(shortcut)
        return layers.Activation("relu")(layers.add([x, shortcut]))

    picture = layers.Input(shape=shape)
    x = layers.ZeroPadding2D((3, 3), name="conv1_pad")(picture)
    x = layers.Conv2D(64 // divisor, 7, strides=2, name="conv1")(x)
    x = layers.Activation("relu")(norm("bn_conv1")(x))
    if pads_pool:
        x = layers.ZeroPadding2D((1, 1), name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    for stage, (filters, blocks) in enumerate(zip((64, 128, 256, 512), letters), start=2):
        for letter in blocks:
            is_first = letter == "a"
            x = block(x, filters // divisor, stage, letter, 2 if is_first and stage > 2 else 1, is_first)
    return picture, x


def resnet(blocks: list[int], divisor: int) -> dict:
    return {
        "architecture": "resnet",
        "blocks": blocks,
        "stem": 64 // divisor,
        "widths": [width // divisor for width in (64, 128, 256, 512)],
    }


def vgg(convolutions: list[int], divisor: int, height: int, width: int) -> dict:
    return {
        "architecture": "vgg",
        "convolutions": convolutions,
        "widths": [width // divisor for width in (64, 128, 256, 512, 512)],
        "hidden_layers": [4096 // divisor] * 2,
        "map": [height // 32, width // 32],
    }


# Function, its module, divisor, samples of each stage, our options by size, and batch, height and width: the
# default size and an odd one.
CASES = {
    "resnet101": ("ResNet101", "resnet", 16, 4, lambda *_: resnet([3, 4, 23, 3], 16), [(1, 224, 224), (2, 75, 53)]),
    "resnet152": ("ResNet152", "resnet", 16, 4, lambda *_: resnet([3, 8, 36, 3], 16), [(1, 224, 224), (1, 75, 53)]),
    "vgg16": ("VGG16", "vgg16", 8, 32, lambda h, w: vgg([2, 2, 3, 3, 3], 8, h, w), [(1, 224, 224), (2, 75, 101)]),
    "vgg19": ("VGG19", "vgg19", 8, 32, lambda h, w: vgg([2, 2, 4, 4, 4], 8, h, w), [(1, 224, 224), (2, 75, 101)]),
    "inception_v3": (
        "InceptionV3",
        "inception_v3",
        8,
        8,
        lambda *_: {"architecture": "inception-v3", "width_divisor": 8},
        [(1, 299, 299), (2, 107, 139)],
    ),
}


# Networks that `keras.applications` no longer has.
OLD = {
    f"resnet50-keras2{'' if pads else '-valid'}": (pads, [(1, 224, 224), (2, 75, 53)]) for pads in (True, False)
}


def golden(goldens: Goldens, name: str) -> None:
    if name in OLD:
        divisor, samples = 16, 4
        pads, cases = OLD[name]
        options = lambda *_: {**resnet([3, 4, 6, 3], 16), "variant": "keras2", "pads_pool": pads}
    else:
        function, module, divisor, samples, options, cases = CASES[name]
        module = importlib.import_module(f"keras.src.applications.{module}")
        module.layers = Narrow(divisor)
    for batch, height, width in cases:
        keras.utils.clear_session()
        shape = (batch, height, width, 3)
        if name in OLD:
            inputs, x = resnet50_of_keras2(keras, divisor, pads, shape[1:])
            x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
            original = keras.Model(inputs, keras.layers.Dense(CLASSES, name="predictions")(x))
        else:
            build = getattr(module, function)
            original = build(weights=None, input_shape=shape[1:], classes=CLASSES, classifier_activation=None)
        for layer in original.layers:
            for variable in layer.weights:
                variable.assign(weight(f"{layer.name}/{variable.name}", tuple(variable.shape)))
        own = [layer for layer in original.layers if not isinstance(layer, keras.layers.InputLayer)]
        outputs = keras.Model(original.input, [layer.output for layer in own])(picture(shape), training=False)
        stages = [
            record(layer.name, output.numpy(), None if layer.name == "predictions" else samples)
            for layer, output in zip(own, outputs)
        ]
        content = {
            "network": {**options(height, width), "num_classes": CLASSES},
            "names": "keras",
            "input": list(shape),
            "stages": stages,
        }
        goldens.settle(case_file(f"zoo-{name}", batch, height, width), name, content)


def main() -> int:
    parser = argparse.ArgumentParser(description="Golden numbers of keras.applications for the Rust tests.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the goldens")
    parser.add_argument("--only", choices=[*CASES, *OLD], help="make these alone")
    parser.add_argument("--accept", action="store_true", help="overwrite goldens that differ")
    arguments = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()

    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    goldens = Goldens(arguments.out, arguments.accept, "golden_zoo.py", versions)
    for name in [*CASES, *OLD] if arguments.only is None else (arguments.only,):
        golden(goldens, name)
    if goldens.refused:
        print(f"{goldens.refused} goldens differ; --accept overwrites them", file=sys.stderr)
    return 1 if goldens.refused else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Writes the config of a model that has every layer which a graph here can express, in as many of its forms as Keras 3 writes.

    pip install -r scripts/requirements-golden.txt
    python scripts/keras_every_layer.py

Writes crates/xception-model/tests/fixtures/keras/every_layer.json.gz.
"""

import gzip
from pathlib import Path

import keras
from keras import layers

TARGET = Path(__file__).resolve().parent.parent / "crates/xception-model/tests/fixtures/keras/every_layer.json.gz"
ACTIVATIONS = (
    "gelu silu hard_silu sigmoid hard_sigmoid tanh softplus softsign mish exponential leaky_relu softmax relu relu6".split()
)


def model() -> keras.Model:
    picture = keras.Input((33, 31, 3))
    x = 1.0 - picture / 127.5
    x = layers.Rescaling([1.0, 2.0, 3.0], offset=[0.1, 0.2, 0.3])(x)
    x = layers.Conv2D(8, (3, 2), strides=2, padding="same", activation="hard_sigmoid")(x)
    grouped = layers.Conv2D(8, 3, padding="same", groups=2, activation=layers.LeakyReLU(0.1))(x)
    separable = layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=2, activation="elu")(x)
    depthwise = layers.DepthwiseConv2D(3, padding="same", activation="selu", dilation_rate=2)(x)
    x = layers.Add()([x, grouped, separable, depthwise])
    x = layers.Multiply()([x, grouped, separable])
    for name in ACTIVATIONS:
        x = layers.Activation(name)(x)
    x = layers.BatchNormalization(scale=False, momentum=0.9, epsilon=1.001e-5)(x)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.ReLU(6.0)(layers.ReLU()(x))
    x = layers.LeakyReLU(0.1)(layers.ReLU(negative_slope=0.3)(x))
    x = layers.Softmax()(layers.ELU(0.5)(x))
    x = layers.Identity()(layers.GaussianNoise(0.1)(layers.SpatialDropout2D(0.2)(x)))
    x = layers.ZeroPadding2D(((1, 2), (3, 4)))(x)
    largest = layers.MaxPooling2D((3, 2), strides=(2, 1), padding="same")(x)
    mean = layers.AveragePooling2D((3, 2), strides=(2, 1), padding="same")(x)
    x = layers.Concatenate()([largest, mean])
    gate = layers.GlobalMaxPooling2D(keepdims=True)(x)
    gate = layers.Dense(16, activation="sigmoid")(layers.Dense(4, activation="relu")(gate))
    x = layers.Multiply()([x, gate])
    gate = layers.Reshape((1, 1, 16))(layers.GlobalAveragePooling2D()(x))
    x = x * layers.Conv2D(16, 1, activation="swish")(gate)
    x = layers.Multiply()([layers.GlobalAveragePooling2D()(x), x])
    x = layers.BatchNormalization()(layers.GlobalAveragePooling2D()(x))
    x = layers.Concatenate()([x, x * 2.0])
    x = layers.Dropout(0.3)(layers.Dense(5, use_bias=False)(x))
    return keras.Model(picture, layers.Dense(5, activation=layers.LeakyReLU(0.3))(x), name="every_layer")


if __name__ == "__main__":
    network = model()
    TARGET.write_bytes(gzip.compress(network.to_json().encode(), 9, mtime=0))
    print(f"{TARGET}: {network.count_params()} parameters")

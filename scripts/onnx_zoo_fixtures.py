#!/usr/bin/env python3
"""Writes tiny networks that are no Xception as ONNX files, and what ONNX Runtime computes with them.

    pip install onnx==1.23.2 onnxruntime==1.32.0 tf2onnx==1.17.0 -r scripts/requirements-golden.txt
    python scripts/onnx_zoo_fixtures.py

crates/converter/src/onnx/tests.rs reads them.

    keras_mobile.onnx     a scaling, ReLU6, swish, squeeze and excite, a norm in the head, one sigmoid
    keras_flat.onnx       a flatten of channels-last values, softmax
    keras_branches.onnx   an open size: rectangular kernels, pools of both kinds, concatenations, norms before convolutions
    keras_gray.onnx       one channel, which tf2onnx turns by a Reshape
    keras_activations.onnx the activations of Keras that tf2onnx 1.17 can write: Keras 3.15 computes GELU by Erfc, which is no ONNX operation
    torch_flat.onnx       as PyTorch's TorchScript exporter flattens: Shape, Gather, Unsqueeze, Concat, Reshape
    steps.onnx            activations and a softmax in steps, a border of -inf, a mean over one side and then the other
    expected.json         outputs of the picture sin(i / 100), i counting its NHWC values
"""

import json
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).resolve().parent.parent / "crates/converter/tests/fixtures/onnx/zoo"
SIZE = (17, 22)
EXPECTED = {}
random = np.random.default_rng(3)


def remember(name, model):
    onnx.checker.check_model(model)
    onnx.save(model, FOLDER / name)
    session = onnxruntime.InferenceSession(str(FOLDER / name), providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    last = entry.shape[-1] in (1, 3)
    channels = entry.shape[-1 if last else 1]
    x = np.sin(np.arange(np.prod(SIZE) * channels) / 100).astype(np.float32).reshape(1, *SIZE, channels)
    out = session.run(None, {entry.name: x if last else x.transpose(0, 3, 1, 2).copy()})[0]
    EXPECTED[name] = [float(f"{value:.9g}") for value in out.ravel().tolist()]
    print(name, out.shape, (FOLDER / name).stat().st_size)


def keras_model(name, inputs, outputs):
    import keras
    import tensorflow as tf
    import tf2onnx

    model = keras.Model(inputs, outputs)
    for weight in model.weights:
        values = random.normal(0, 0.5, weight.shape).astype(np.float32)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values + (1 if "gamma" in weight.path else 0))
    shape = (None, *model.inputs[0].shape[1:])
    call = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec(shape, tf.float32, "input")])
    proto, _ = tf2onnx.convert.from_function(call, input_signature=call.input_signature, opset=15)
    remember(name, proto)


def keras_models():
    import keras
    from keras import layers

    x = inputs = keras.Input((*SIZE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6)(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(5, padding="same", use_bias=False)(x)
    y = layers.Activation("swish")(layers.BatchNormalization()(y))
    z = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(y))
    z = layers.Conv2D(6, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="relu")(z))
    x = layers.Add()([layers.Multiply()([y, z]), x])
    x = layers.DepthwiseConv2D(3, strides=2, padding="valid")(layers.ZeroPadding2D(((0, 1), (1, 2)))(x))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    x = layers.BatchNormalization()(layers.Dense(8, activation="swish")(x))
    keras_model("keras_mobile.onnx", inputs, layers.Dense(1, activation="sigmoid")(x))

    x = inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(4)(layers.Conv2D(5, 3, padding="same", activation="relu")(x))
    x = layers.Dense(7, activation="relu")(layers.Flatten()(x))
    keras_model("keras_flat.onnx", inputs, layers.Dense(4, activation="softmax")(x))

    def conv(x, filters, kernel, strides=1, padding="same"):
        x = layers.Conv2D(filters, kernel, strides=strides, padding=padding, use_bias=False)(x)
        return layers.Activation("relu")(layers.BatchNormalization(scale=False)(x))

    x = inputs = keras.Input((None, None, 3))
    x = conv(x, 4, 3, 1, "valid")
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.Concatenate()([
        conv(x, 3, 1), conv(conv(x, 2, (1, 5)), 3, (5, 1)), conv(layers.AveragePooling2D(3, 1, padding="same")(x), 2, 1)
    ])
    y = layers.Conv2D(3, 3, padding="same", use_bias=False)(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.Concatenate()([x, y])
    x = layers.AveragePooling2D(2)(conv(x, 6, 3, 2))
    x = layers.GlobalMaxPooling2D()(x)
    keras_model("keras_branches.onnx", inputs, layers.Dense(3)(x))

    x = inputs = keras.Input((*SIZE, 1))
    x = layers.Conv2D(3, 3, strides=2, activation="elu")(x)
    x = layers.Conv2D(5, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    keras_model("keras_gray.onnx", inputs, layers.Activation("softmax")(layers.Reshape((5,))(x)))

    x = inputs = keras.Input((*SIZE, 3))
    names = ["relu", "relu6", "leaky_relu", "elu", "selu", "swish", "hard_swish", "sigmoid", "hard_sigmoid", "tanh",
             "softplus", "softsign", "mish", "exponential"]
    for name in names:
        x = layers.Activation(name)(layers.Conv2D(3, 1)(x))
    gelu = layers.Lambda(lambda x: keras.activations.gelu(x, approximate=True))
    x = gelu(layers.Conv2D(3, 1)(layers.Activation("tanh")(x)))
    keras_model("keras_activations.onnx", inputs, layers.GlobalAveragePooling2D()(x))


class Builder:
    """A graph by hand."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, values, kind=np.float32):
        self.count += 1
        name = f"c{self.count}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def random(self, *shape):
        return self.constant(random.normal(0, 0.5, shape))

    def ints(self, *values):
        return self.constant(values, np.int64)

    def __call__(self, op, *inputs, **attributes):
        self.count += 1
        name = f"v{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"/part{self.count % 3}/{op}_{self.count}", **attributes))
        return name

    def save(self, name, shape, output, classes, opset=17):
        graph = helper.make_graph(
            self.nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["b", classes])], self.constants,
        )
        remember(name, helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))


def hand_made():
    n = Builder()
    x = n("Conv", "x", n.random(4, 3, 3, 3), n.random(4), strides=[2, 2], pads=[1, 1, 1, 1])
    x = n("Clip", x, n.constant(0.0), n.constant(6.0))
    x = n("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = n("HardSwish", n("Conv", x, n.random(4, 1, 3, 3), group=4, pads=[1, 1, 1, 1]))
    gate = n("GlobalAveragePool", y)
    gate = n("HardSigmoid", n("Conv", gate, n.random(4, 4, 1, 1)), alpha=1 / 6, beta=0.5)
    x = n("Add", x, n("Mul", gate, y))
    x = n("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    batch = n("Unsqueeze", n("Gather", n("Shape", x), n.constant(0, np.int64), axis=0), n.ints(0))
    x = n("Reshape", x, n("Concat", batch, n.ints(-1), axis=0))
    x = n("Gemm", x, n.random(6, 4 * 5 * 6), n.random(6), transB=1, alpha=0.5, beta=2.0)
    x = n("Add", n("MatMul", n("Relu", x), n.random(6, 3)), n.random(3))
    n.save("torch_flat.onnx", ["b", 3, *SIZE], x, 3)

    n = Builder()
    x = n("Mul", "x", n.constant(1 / 255))
    x = n("Div", n("Sub", x, n.constant(np.reshape([0.485, 0.456, 0.406], (1, 3, 1, 1)))), n.constant(np.reshape([0.229, 0.224, 0.225], (3, 1, 1))))
    x = n("Conv", x, n.random(5, 3, 3, 3))
    # What is left of a norm.
    x = n("Add", n("Mul", x, n.random(1, 5, 1, 1)), n.random(5, 1, 1))
    erf = n("Add", n("Erf", n("Div", x, n.constant(2**0.5))), n.constant(1.0))
    x = n("Mul", n("Mul", x, erf), n.constant(0.5))
    x = n("Conv", x, n.random(5, 5, 1, 1))
    cube = n("Mul", n("Pow", x, n.constant(3.0)), n.constant(0.044715))
    tanh = n("Tanh", n("Mul", n("Add", x, cube), n.constant((2 / np.pi) ** 0.5)))
    x = n("Mul", n("Mul", x, n.constant(0.5)), n("Add", tanh, n.constant(1.0)))
    x = n("Conv", x, n.random(5, 5, 1, 1))
    x = n("Mul", x, n("Tanh", n("Log", n("Add", n("Exp", x), n.constant(1.0)))))
    # Shared by a sum and a convolution.
    x = n("Relu", x)
    x = n("Add", n("Conv", x, n.random(5, 5, 1, 1)), n("Mul", x, n.constant(0.17)))
    x = n("Div", n("Mul", x, n("Clip", n("Add", x, n.constant(3.0)), n.constant(0.0), n.constant(6.0))), n.constant(6.0))
    x = n("Pad", x, n.ints(0, 0, 1, 0, 0, 0, 1, 1), n.constant(-np.inf))
    x = n("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    x = n("Transpose", x, perm=[0, 2, 3, 1])
    x = n("ReduceMean", n("ReduceMean", x, axes=[1], keepdims=1), axes=[2], keepdims=1)
    x = n("Squeeze", x, n.ints(1, 2))
    x = n("MatMul", x, n.random(5, 4))
    x = n("Mul", x, n("Sigmoid", n("Mul", x, n.constant(1.702))))
    e = n("Exp", n("Sub", x, n("ReduceMax", x, axes=[-1], keepdims=1)))
    x = n("Div", e, n("ReduceSum", e, n.ints(-1), keepdims=1))
    n.save("steps.onnx", ["b", 3, *SIZE], x, 4)


FOLDER.mkdir(parents=True, exist_ok=True)
hand_made()
keras_models()
(FOLDER / "expected.json").write_text(json.dumps(dict(sorted(EXPECTED.items())), indent=1) + "\n")

#!/usr/bin/env python3
"""Runs a weight file in the engine it was made for, and writes what every stage gives.

`converter verify INPUT RECORD --with-keras PYTHON` (or `--with-onnxruntime PYTHON`) calls this in the environment of
that Python, which needs `keras` with a backend (1.2, 2 or 3), or `onnxruntime` (and `onnx`, for more stages than the last):

    parity.py keras|onnxruntime --model FILE --input input.f32 --shape 1,299,299,3 --network network.json --out DIR

input.f32 holds the picture, NHWC, scaled to -1..1. In DIR appear stages.f32, all values as little-endian f32 in the
order [batch, channels, height, width], and stages.json:

    {"engine": "Keras 3.15.1 on tensorflow", "final": "logits" | "probabilities" | "features",
     "stages": [{"name": "block1_conv1", "shape": [1, 32, 149, 149], "offset": 0}, ...]}

Stages have Keras's names; shortcuts and block outputs, which Keras numbers, are block2_residual, block2_residual_bn
and block2. The last stage is what the file itself gives.
"""

import argparse
import json
import os
import pathlib
import re

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Without this TensorFlow rounds in an order of its own on some processors.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np


class Stages:
    """Outputs by name, written one after the other."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.file = open(self.folder / "stages.f32", "wb")
        self.entries = []
        self.offset = 0

    def add(self, name, values, channels_last):
        values = np.asarray(values, dtype=np.float32)
        if values.ndim == 4 and channels_last:
            values = values.transpose(0, 3, 1, 2)
        elif values.ndim == 2:
            values = values[:, :, None, None]
        if values.ndim != 4:
            return
        self.file.write(np.ascontiguousarray(values, dtype="<f4").tobytes())
        self.entries.append({"name": name, "shape": list(values.shape), "offset": self.offset})
        self.offset += values.size

    def finish(self, engine, final):
        self.file.close()
        text = json.dumps({"engine": engine, "final": final, "stages": self.entries})
        (self.folder / "stages.json").write_text(text)


# Keras


def load_keras(path, network, size):
    import keras

    # Keras 1 and 2.0 know no `compile`, and these files were never compiled.
    options = {} if keras.__version__.startswith(("1.", "2.0.")) else {"compile": False}
    name = str(path)
    if name.endswith(".keras"):
        return keras.models.load_model(name, **options)
    if name.endswith((".h5", ".hdf5")) and not name.endswith(".weights.h5"):
        import h5py

        with h5py.File(name, "r") as file:
            if "model_config" in file.attrs:
                return keras.models.load_model(name, **options)
    # Weights alone: Keras needs the model they belong to.
    model = build_keras(network, size)
    model.load_weights(name)
    return model


def build_keras(network, size):
    import keras
    from keras.applications.xception import Xception

    standard = {"stem": [32, 64], "entry": [128, 256, 728], "exit": [1024, 1536, 2048]}
    if network["widths"] != standard or network["middle_blocks"] != 8 or not network["residual"]:
        raise SystemExit("a weights-only file of another network than keras.applications.Xception: save the whole model")
    shape = (*size, network["in_channels"])
    top = network["include_top"]
    pooling = {"average": "avg", "max": "max", "none": None}[network["pooling"]]
    if top and not network["hidden_layers"] and pooling == "avg":
        options = {} if network["num_classes"] == 1000 else {"classes": network["num_classes"]}
        if not is_graph():
            options["classifier_activation"] = None
        return Xception(weights=None, include_top=True, input_shape=shape, **options)
    pooling = {} if pooling is None else {"pooling": pooling}
    model = Xception(weights=None, include_top=False, input_shape=shape, **pooling)
    if not top:
        return model
    x = model.output
    for index, width in enumerate(network["hidden_layers"]):
        x = keras.layers.Dense(width, activation="relu", name=f"hidden_{index}")(x)
    return keras.Model(model.input, keras.layers.Dense(network["num_classes"], name="predictions")(x))


def backbone_of(model):
    """The model, this or one nested in it, whose own layers are Xception's."""
    if any(layer.name == "block1_conv1" for layer in model.layers):
        return model
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found = backbone_of(layer)
            if found is not None:
                return found
    return None


def stage_names(layers):
    """Pairs a stage's name with its layer; what Keras numbers is told by its order."""
    import keras

    def side(layer):
        # Keras 1 has no `kernel_size`.
        return getattr(layer, "kernel_size", None) or (getattr(layer, "nb_row", 0), getattr(layer, "nb_col", 0))

    shortcuts, adds = [], []
    for layer in layers:
        kind = type(layer).__name__
        if kind in ("Conv2D", "Convolution2D") and tuple(side(layer)) == (1, 1):
            shortcuts.append(layer)
        elif kind in ("Add", "Merge"):
            adds.append(layer)
    named = {}
    # A shortcut's block is that of the addition it goes into; there is one less before each middle block.
    blocks = [2, 3, 4, len(adds) + 1]
    for block, conv in zip(blocks, shortcuts):
        named[conv.name] = f"block{block}_residual"
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            source = layer.input._keras_history[0]
            if source.name in named:
                named[layer.name] = named[source.name] + "_bn"
    for index, add in enumerate(adds):
        named[add.name] = f"block{index + 2}"
    pairs = []
    for layer in layers:
        name = named.get(layer.name)
        if name is None and re.fullmatch(r"block\d+_\w+", layer.name):
            name = layer.name
        if name is None and isinstance(layer, keras.layers.GlobalAveragePooling2D):
            name = "avg_pool"
        if name is None and isinstance(layer, keras.layers.GlobalMaxPooling2D):
            name = "max_pool"
        if name is not None:
            pairs.append((name, layer))
    return pairs


def is_graph():
    """Before 2.4 a model is a graph, and cannot be called with numbers."""
    import keras

    return re.match(r"1\.|2\.[0-3]\.", keras.__version__) is not None


def run(model, picture):
    return model.predict(picture) if is_graph() else model(picture, training=False)


def run_keras(args, picture, network):
    import keras

    model = load_keras(args.model, network, picture.shape[1:3])
    stages = Stages(args.out)
    backbone = backbone_of(model)
    fed = picture
    if backbone is not None:
        names = stage_names(backbone.layers)
        probe = keras.models.Model(backbone.inputs, [layer.output for _, layer in names])
        for (name, _), values in zip(names, run(probe, picture)):
            stages.add(name, values, True)
        fed = what_to_feed(keras, model, backbone, picture)
    final_layer = model.layers[-1]
    outputs = np.asarray(run(model, fed))
    activation = getattr(final_layer, "activation", None)
    ends = getattr(activation, "__name__", "linear")
    is_probability = ends in ("softmax", "sigmoid") or type(final_layer).__name__ == "Softmax"
    final = "features" if not network["include_top"] else "probabilities" if is_probability else "logits"
    stages.add("output", outputs, True)
    stages.finish(f"Keras {keras.__version__} on {keras.backend.backend()}", final)


def what_to_feed(keras, model, backbone, picture):
    """The input of the whole model for which the backbone sees `picture`: a model may scale pictures itself."""
    if backbone is model:
        return picture
    try:
        entry = next(layer for layer in model.layers if layer is backbone)
        nodes = getattr(entry, "_inbound_nodes", None) or entry.inbound_nodes
        fed = nodes[-1].input_tensors
        if fed[0] is model.inputs[0]:
            return picture
        before = keras.models.Model(model.inputs, fed)
    except (StopIteration, AttributeError, ValueError):
        return picture
    for candidate in (picture, (picture + 1.0) * 127.5):
        seen = run(before, candidate)
        seen = seen[0] if isinstance(seen, (list, tuple)) else seen
        if np.abs(np.asarray(seen) - picture).max() < 1e-4:
            return candidate
    return picture


# ONNX Runtime


def run_onnxruntime(args, picture, network):
    import onnxruntime

    model = str(args.model)
    wanted = []
    if args.tensors:
        try:
            model, wanted = with_stages(args.model, json.loads(pathlib.Path(args.tensors).read_text()))
        except ImportError:
            print("the package onnx is not installed: only the output is compared")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    channels_last = entry.shape[-1] == network["in_channels"]
    fed = picture if channels_last else np.ascontiguousarray(picture.transpose(0, 3, 1, 2))
    outputs = session.run([session.get_outputs()[0].name] + [output for _, output in wanted], {entry.name: fed})
    stages = Stages(args.out)
    for (name, _), values in zip(wanted, outputs[1:]):
        # Inside a graph convolutions are channels first, whatever the input's order.
        stages.add(name, values, False)
    final = "logits" if network["include_top"] else "features"
    if final == "logits" and np.allclose(outputs[0].sum(axis=-1), 1.0, atol=1e-3) and outputs[0].min() >= 0:
        final = "probabilities"
    stages.add("output", outputs[0], channels_last)
    stages.finish(f"ONNX Runtime {onnxruntime.__version__}", final)


def with_stages(path, tensors):
    """The model with the output of every convolution in `tensors` (initialiser to stage) as a further output."""
    import onnx

    model = onnx.load(str(path))
    found = []
    for node in model.graph.node:
        if node.op_type == "Conv" and len(node.input) > 1 and node.input[1] in tensors:
            found.append((tensors[node.input[1]], node.output[0]))
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.output[0]))
    return model.SerializeToString(), found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["keras", "onnxruntime"])
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--input", required=True)
    parser.add_argument("--shape", required=True, help="batch,height,width,channels")
    parser.add_argument("--network", required=True, help="JSON file of the network's options")
    parser.add_argument("--tensors", help="JSON file of initialisers and the stages they make")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    shape = [int(side) for side in args.shape.split(",")]
    picture = np.fromfile(args.input, dtype="<f4").reshape(shape)
    network = json.loads(pathlib.Path(args.network).read_text())
    {"keras": run_keras, "onnxruntime": run_onnxruntime}[args.engine](args, picture, network)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Runs a weight file in the engine it was made for, and writes what its layers give.

`converter verify INPUT RECORD --with-keras PYTHON` (or `--with-onnxruntime PYTHON`) calls this in the environment of
that Python, which needs `keras` with a backend (1.2, 2 or 3), or `onnxruntime` (and `onnx`, for more stages than the
output):

    parity.py keras --model FILE --input input.f32 --shape 1,299,299,3 --stages wanted.json --out DIR
              [--architecture architecture.json]
    parity.py onnxruntime --model FILE --input input.f32 --shape 1,299,299,3 --stages wanted.json --out DIR

The caller passes:

input.f32     what the MODEL takes, little-endian f32, NHWC, in the numbers of its own input: 0 to 255 if it scales
              pictures itself, -1 to 1 if it expects that. This script scales nothing. For an ONNX file too it is NHWC;
              it is transposed here if the graph takes channels first.
--shape       batch,height,width,channels of input.f32.
wanted.json   the stages in the order in which they are wanted: a list of [our name, place]. Our names are free, but not
              "output".

    Keras     The place is a layer's path in the model: names joined by "/" where models are nested,
              `xception/block1_conv1`. The stage is the layer's output, its own activation included. A segment
              `#conv2d_2` is no name but the layer that `.weights.h5` has as `layers/conv2d_2`: the third (from 0, and
              `#conv2d` is the first) of its class in `model.layers`. This is for layers with automatic names in a model
              that is built here; `#add` finds Keras 1's `Merge` too.
    ONNX      The place is a tensor's name, the output of some node. A third member "nhwc" says that a tensor of four
              dimensions has its channels last; without it they are second, as convolutions have them.

architecture.json
              only for files of weights alone (`.weights.h5`, `.h5` without `model_config`), to build the model they
              belong to: {"application": "Xception", "include_top": true, "classes": 1000 | null,
              "pooling": "avg" | "max" | "flatten" | null, "hidden": [128]}. `application` is a function of
              `keras.applications`; `hidden` are Dense layers with ReLU between the pooling and the last layer. Sizes
              come from --shape.

In DIR appear stages.f32, all values as little-endian f32 in the order [batch, channels, height, width], and
stages.json:

    {"engine": "Keras 3.15.1 on tensorflow", "final": "logits" | "probabilities" | "features",
     "stages": [{"name": "block1_conv1", "shape": [1, 32, 149, 149], "offset": 0}, ..., {"name": "output", ...}]}

A vector has the shape [batch, channels, 1, 1]; tensors of other ranks are left out. The stages come in the order of
wanted.json; the last is `output`, what the file itself gives (its first output). `final` says what that is:
probabilities when it ends in a softmax or sigmoid (of a log-softmax, its exponentials), logits when in a dense layer
or a convolution whose output is a vector, otherwise features. A place that is not in the model ends the script with
exit status 1 and a line that names it.
"""

import argparse
import importlib
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
        self.file = open(str(self.folder / "stages.f32"), "wb")
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


def as_list(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


# Keras


def load_keras(path, architecture, shape):
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
    if architecture is None:
        raise SystemExit("a file of weights alone, of a network that Keras does not know by name: save the whole model")
    model = build_keras(architecture, shape)
    model.load_weights(name)
    return model


def in_32_bits(model):
    """The model whose layers compute in 32 bits, whatever policy it was saved with: what is compared does so."""
    for layer in model._flatten_layers() if hasattr(model, "_flatten_layers") else []:
        policy = getattr(layer, "dtype_policy", None)
        if "float16" in str(getattr(policy, "name", "")):
            # In Keras 3 only; Keras 2 has no such setter.
            layer.dtype_policy = "float32"
    return model


def build_keras(architecture, shape):
    """The model that a file of weights alone belongs to."""
    import keras

    application = getattr(importlib.import_module("keras.applications"), architecture["application"])
    top, pooling = architecture["include_top"], architecture["pooling"]
    hidden, classes = architecture.get("hidden", []), architecture.get("classes")
    # The networks that flatten their last map have two layers of their own before the last.
    is_whole = hidden == [4096, 4096] if pooling == "flatten" else not hidden and pooling == "avg"
    if top and is_whole:
        options = {} if classes == 1000 else {"classes": classes}
        if not is_graph():
            options["classifier_activation"] = None
        return application(weights=None, include_top=True, input_shape=shape, **options)
    options = {} if pooling in (None, "flatten") else {"pooling": pooling}
    model = application(weights=None, include_top=False, input_shape=shape, **options)
    if not top:
        return model
    x = keras.layers.Flatten()(model.output) if pooling == "flatten" else model.output
    for index, width in enumerate(hidden):
        x = keras.layers.Dense(width, activation="relu", name="hidden_{}".format(index))(x)
    return keras.models.Model(model.input, keras.layers.Dense(classes, name="predictions")(x))


def is_graph():
    """Before 2.4 a model is a graph, and cannot be called with numbers."""
    import keras

    return re.match(r"1\.|2\.[0-3]\.", keras.__version__) is not None


def run(model, fed):
    return as_list(model.predict(fed) if is_graph() else model(fed, training=False))


def values_at(model, places, fed):
    """Outputs of the layers of `model` at these places (lists of segments) for this input, in the places' order."""
    from keras.models import Model

    values = [None] * len(places)
    own, nested = [], {}
    for index, place in enumerate(places):
        layer = find(model, place[0])
        if len(place) == 1:
            own.append((index, output_of(layer)))
        else:
            nested.setdefault(layer.name, (layer, []))[1].append(index)
    if own:
        outputs = run(Model(model.inputs, [output for _, output in own]), fed)
        for (index, _), output in zip(own, outputs):
            values[index] = np.asarray(output)
    for layer, indices in nested.values():
        inner = values_at(layer, [places[index][1:] for index in indices], what_enters(model, layer, fed))
        for index, value in zip(indices, inner):
            values[index] = value
    return values


def find(model, segment):
    layers = model.layers
    if segment.startswith("#"):
        kind, number = re.match(r"#(.+?)(?:_(\d+))?$", segment).groups()
        found = [layer for layer in layers if stem(layer) == kind][int(number or 0) :]
    else:
        found = [layer for layer in layers if layer.name == segment]
    if not found:
        raise SystemExit("no layer {} in the model {}".format(segment, model.name))
    return found[0]


def stem(layer):
    """The class as `.weights.h5` has it."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
    name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
    # Keras 1.
    old = {"convolution2d": "conv2d", "separable_convolution2d": "separable_conv2d", "merge": "add"}
    return old.get(name, name)


def nodes(layer):
    return getattr(layer, "_inbound_nodes", None) or layer.inbound_nodes


def is_model(layer):
    # Keras 1's `Merge` has `layers` too, which are None.
    return bool(getattr(layer, "layers", None))


def output_of(layer):
    if is_model(layer):
        # A model's own `output` belongs to its own input; the last node is its place in the outer model.
        return as_list(nodes(layer)[-1].output_tensors)[0]
    return as_list(layer.output)[0]


def what_enters(model, layer, fed):
    """What a nested model is given when the outer one is fed this."""
    from keras.models import Model

    entering = as_list(nodes(layer)[-1].input_tensors)
    if len(entering) == 1 and entering[0] is model.inputs[0]:
        return fed
    entered = [np.asarray(value) for value in run(Model(model.inputs, entering), fed)]
    return entered[0] if len(entered) == 1 else entered


def ends_in(model):
    """The activation at the end, or the class of the layer that decides what the output is."""
    for layer in reversed(model.layers):
        if is_model(layer):
            return ends_in(layer)
        kind = type(layer).__name__
        activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
        if kind == "Softmax" or activation in ("softmax", "sigmoid"):
            return "probabilities"
        if kind == "LogSoftmax" or activation == "log_softmax":
            return "log-probabilities"
        # These leave it what it was.
        if kind in ("Activation", "Dropout", "Reshape", "Flatten") and activation == "linear":
            continue
        return "logits" if stem(layer) in ("dense", "conv2d") else "features"
    return "features"


def run_keras(args, picture, wanted):
    import keras

    architecture = json.loads(pathlib.Path(args.architecture).read_text()) if args.architecture else None
    model = in_32_bits(load_keras(args.model, architecture, picture.shape[1:]))
    stages = Stages(args.out)
    places = [entry[1].split("/") for entry in wanted]
    for entry, values in zip(wanted, values_at(model, places, picture)):
        stages.add(entry[0], values, True)
    output = np.asarray(run(model, picture)[0])
    final = ends_in(model) if output.ndim == 2 else "features"
    if final == "log-probabilities":
        output, final = np.exp(output), "probabilities"
    stages.add("output", output, True)
    stages.finish("Keras {} on {}".format(keras.__version__, keras.backend.backend()), final)


# ONNX Runtime


def run_onnxruntime(args, picture, wanted):
    import onnxruntime

    model, final = str(args.model), None
    try:
        model, final = with_outputs(args.model, [entry[1] for entry in wanted])
    except ImportError:
        print("the package onnx is not installed: only the output is compared")
        wanted = []
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    channels_last = entry.shape[-1] == picture.shape[-1]
    fed = picture if channels_last else np.ascontiguousarray(picture.transpose(0, 3, 1, 2))
    outputs = session.run([session.get_outputs()[0].name] + [entry[1] for entry in wanted], {entry.name: fed})
    stages = Stages(args.out)
    for entry, values in zip(wanted, outputs[1:]):
        stages.add(entry[0], values, entry[2:] == ["nhwc"])
    if final == "log-probabilities":
        outputs[0], final = np.exp(outputs[0]), "probabilities"
    stages.add("output", outputs[0], channels_last)
    if outputs[0].ndim != 2:
        final = "features"
    elif final is None:
        sums_to_one = np.allclose(outputs[0].sum(axis=-1), 1.0, atol=1e-3) and outputs[0].min() >= 0
        final = "probabilities" if sums_to_one else "logits"
    stages.finish("ONNX Runtime {}".format(onnxruntime.__version__), final)


def with_outputs(path, tensors):
    """The model with these tensors as further outputs, and what its first output is."""
    import onnx

    model = onnx.load(str(path))
    made = {output: node for node in model.graph.node for output in node.output}
    outputs = {output.name for output in model.graph.output}
    for tensor in tensors:
        if tensor not in made:
            raise SystemExit("no tensor {} in the graph".format(tensor))
        if tensor not in outputs:
            outputs.add(tensor)
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    return model.SerializeToString(), graph_ends_in(made, model.graph.output[0].name)


def graph_ends_in(made, tensor):
    while tensor in made:
        node = made[tensor]
        if node.op_type in ("Softmax", "Sigmoid"):
            return "probabilities"
        if node.op_type == "LogSoftmax":
            return "log-probabilities"
        if node.op_type in ("Gemm", "MatMul", "Conv"):
            return "logits"
        if node.op_type == "Add":
            # A bias: what it is added to decides.
            tensor = next((name for name in node.input if name in made), "")
            if tensor and made[tensor].op_type not in ("MatMul", "Reshape"):
                return "features"
        elif node.op_type in ("Identity", "Reshape", "Flatten", "Squeeze", "Cast", "Transpose"):
            tensor = node.input[0]
        else:
            return "features"
    return "features"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["keras", "onnxruntime"])
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--input", required=True)
    parser.add_argument("--shape", required=True, help="batch,height,width,channels")
    parser.add_argument("--stages", required=True, help="JSON file of pairs: our name, and the layer or tensor")
    parser.add_argument("--architecture", help="JSON file of the model that a file of weights alone belongs to")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    shape = [int(side) for side in args.shape.split(",")]
    picture = np.fromfile(args.input, dtype="<f4").reshape(shape)
    wanted = json.loads(pathlib.Path(args.stages).read_text())
    {"keras": run_keras, "onnxruntime": run_onnxruntime}[args.engine](args, picture, wanted)


if __name__ == "__main__":
    main()

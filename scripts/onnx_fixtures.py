#!/usr/bin/env python3
"""Writes tiny Xceptions as exporters to ONNX write them, and what ONNX Runtime computes with them.

    pip install onnx==1.23.2 onnxruntime==1.32.0 onnxscript torch timm==1.0.31 safetensors
    python scripts/onnx_fixtures.py torch
    pip install tf2onnx==1.17.0 onnxruntime -r scripts/requirements-golden.txt       # another environment
    python scripts/onnx_fixtures.py keras

crates/converter/tests/onnx.rs reads them. The networks are those of torch_toy_xception.py and keras_toy_xception.py.

    torch_folded.onnx      the TorchScript exporter: norms folded, names like onnx::Conv_208
    torch_norms.onnx       the same in training mode: norms kept
    torch_dynamo.onnx      the exporter of today, a batch of any size
    torch_unoptimized.onnx the same without its optimiser: norms kept, biases of zeros made in the graph
    torch_open.onnx        open sizes: only the exporter's name tells the variant
    torch_external.onnx    values in torch_external.onnx.data
    tf2onnx.onnx           a Keras model of 75 x 90, channels last, through tf2onnx
    keras_hidden.onnx      two hidden layers and dropout
    keras_max.onnx         global max pooling
    keras_dilated.onnx     no Xception: a dilated convolution where none belongs
    expected.json          logits of the picture sin(i / 100), i counting its NHWC values
"""

import json
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "crates/converter/tests/fixtures/onnx"
SHAPE = (1, 75, 90, 3)


def picture():
    return np.sin(np.arange(np.prod(SHAPE)) / 100).astype(np.float32).reshape(SHAPE)


def remember(name):
    """Adds a file's logits to expected.json."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(FOLDER / name), providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    fed = picture() if entry.shape[-1] == 3 else picture().transpose(0, 3, 1, 2).copy()
    logits = session.run(None, {entry.name: fed})[0][0]
    path = FOLDER / "expected.json"
    expected = json.loads(path.read_text()) if path.exists() else {}
    expected[name] = [float(f"{value:.9g}") for value in logits.ravel().tolist()]
    path.write_text(json.dumps(dict(sorted(expected.items())), indent=1) + "\n")


def write_torch():
    import onnx
    import torch
    from torch_toy_xception import toy

    model, _ = toy()
    x = torch.from_numpy(picture().transpose(0, 3, 1, 2).copy())
    old = {"dynamo": False, "opset_version": 17}
    torch.onnx.export(model, x, FOLDER / "torch_folded.onnx", **old)
    torch.onnx.export(
        model, x, FOLDER / "torch_norms.onnx", dynamo=False, do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE,
    )
    torch.onnx.export(
        model, x, FOLDER / "torch_open.onnx", input_names=["x"], dynamic_axes={"x": {0: "b", 2: "h", 3: "w"}}, **old
    )
    torch.onnx.export(
        model, (x,), FOLDER / "torch_dynamo.onnx", dynamo=True, external_data=False,
        dynamic_shapes={"x": {0: torch.export.Dim("batch")}},
    )
    torch.onnx.export(
        model, (x,), FOLDER / "torch_unoptimized.onnx", dynamo=True, external_data=False, optimize=False
    )
    whole = onnx.load(FOLDER / "torch_folded.onnx")
    onnx.save(
        whole, FOLDER / "torch_external.onnx", save_as_external_data=True, location="torch_external.onnx.data",
        size_threshold=0,
    )
    for name in ["folded", "norms", "open", "dynamo", "unoptimized", "external"]:
        strip(FOLDER / f"torch_{name}.onnx")
        remember(f"torch_{name}.onnx")


def strip(path):
    """Leaves out what exporters note about their own source code."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del model.graph.value_info[:]
    path.write_bytes(model.SerializeToString())


def write_keras():
    import keras
    import tensorflow as tf
    import tf2onnx

    def export(model, name):
        spec = (tf.TensorSpec((None, *SHAPE[1:]), tf.float32, name="input"),)
        tf2onnx.convert.from_keras(model, input_signature=spec, opset=15, output_path=str(FOLDER / name))
        remember(name)

    fixtures = FOLDER.parents[3] / "xception-model/tests/fixtures/keras"
    for source, name in [("toy", "tf2onnx"), ("hidden", "keras_hidden"), ("max", "keras_max")]:
        export(resized(keras, keras.models.load_model(fixtures / f"{source}.keras")), f"{name}.onnx")
    toy = keras.models.load_model(fixtures / "toy.keras")
    export(resized(keras, toy, dilated="block3_sepconv1"), "keras_dilated.onnx")


def resized(keras, model, dilated=None):
    """The same model for pictures of SHAPE."""
    config = json.loads(json.dumps(model.get_config()).replace("[null, 331, 200, 3]", json.dumps([None, *SHAPE[1:]])))
    for layer in config["layers"]:
        if layer["name"] == dilated:
            layer["config"]["dilation_rate"] = [2, 2]
    copy = keras.Model.from_config(config)
    copy.set_weights(model.get_weights())
    return copy


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    {"torch": write_torch, "keras": write_keras}[sys.argv[1]]()

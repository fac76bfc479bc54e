"""Turns a TensorFlow.js layers model (a folder with model.json and its shards) into a Keras 2 file (.h5).

    python tfjs_to_keras.py FOLDER OUTPUT.h5     # needs h5py and numpy alone

8-bit and 16-bit weights become float32 as TensorFlow.js computes them: number * scale + min
(`tfjs-core/src/io/io_utils.ts`, `decodeWeights`). The file is a whole Keras model in the layout of
`keras/engine/saving.py` of Keras 2.2: its configuration, and its weights by layer.
"""

import json
import pathlib
import sys

import h5py
import numpy as np


def tensors(folder, manifest):
    """Names and values, in the order of the manifest."""
    for group in manifest:
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        place = 0
        for entry in group["weights"]:
            stored = entry.get("quantization", {})
            kind = np.dtype(stored.get("dtype", entry["dtype"])).newbyteorder("<")
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, kind, count, place).reshape(entry["shape"])
            place += count * kind.itemsize
            if "scale" in stored:
                values = values.astype(np.float64) * stored["scale"] + stored["min"]
            yield entry["name"], values.astype(np.float32)
        if place != len(data):
            sys.exit(f"error: the shards hold {len(data)} bytes, their list describes {place}")


def write(folder, output):
    model = json.loads((folder / "model.json").read_text())
    topology = model["modelTopology"]
    config = topology["model_config"]
    # The training's settings are left out: they are of no use for predictions.
    facts = {"keras_version": topology["keras_version"], "backend": topology["backend"]}
    layers = {layer["config"]["name"]: [] for layer in config["config"]["layers"]}
    for name, values in tensors(folder, model["weightsManifest"]):
        layers[name.split("/")[0]].append((name + ":0", values))
    with h5py.File(output, "w") as file:
        weights = file.create_group("model_weights")
        for place in [file, weights]:
            for fact, text in facts.items():
                place.attrs[fact] = text.encode()
        file.attrs["model_config"] = json.dumps(config).encode()
        weights.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, found in layers.items():
            group = weights.create_group(layer)
            group.attrs["weight_names"] = np.array([name.encode() for name, _ in found], dtype="S")
            for name, values in found:
                group.create_dataset(name, data=values)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write(pathlib.Path(sys.argv[1]), sys.argv[2])

#!/usr/bin/env python3
"""Write the small Keras files which crates/keras-store reads in its tests.

Versions: Python 3.11, keras 3.15.1, tensorflow 2.21, h5py 3, numpy 2, ml_dtypes 0.5.
Run:      python scripts/keras_fixtures.py [folder]

Layouts that Keras 3.15 still writes are written by it. Those that only older versions wrote are
made with h5py from the same weights, after the sources of those versions:
  no_names      Keras 3.0 to 3.5: no attribute `name` on `vars`
  tf212, tf214  TF 2.12 / 2.13 and 2.14: `_layer_checkpoint_dependencies`, numbers skipping or not
  keras2        Keras 2 and tf.keras: `weight_names` with `:0`, fixed-length strings
  keras1        Keras 1: class-numbered names, `W`, `b`, `running_std`
Each network comes with a JSON of its layers, one input and Keras's output for it.
"""

import json
import os
import pathlib
import sys
import zipfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import keras
import numpy as np
from keras import layers

HERE = pathlib.Path(__file__).resolve().parent
DEFAULT = HERE.parent / "crates" / "keras-store" / "tests" / "fixtures"
# Archives carry no other time stamps than these.
EPOCH = (1980, 1, 1, 0, 0, 0)
METADATA = b'{"keras_version": "%s", "date_saved": "2024-05-15@12:16:32"}'


def fill(model, seed=7):
    """Give every variable its own values: variances positive, all exact in bfloat16."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if "seed" in variable.path:
            continue
        values = random.integers(-32, 33, variable.shape) / 64
        if variable.path.endswith("moving_variance"):
            values = np.abs(values) + 0.5
        variable.assign(values)


def backbone():
    """Two of the kinds that matter, with a depth multiplier and a rectangular kernel."""
    inputs = keras.Input((9, 7, 3), name="picture")
    x = layers.Conv2D(4, 3, name="stem", use_bias=False)(inputs)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.Activation("relu", name="stem_act")(x)
    x = layers.SeparableConv2D(5, (3, 2), depth_multiplier=2, name="sep")(x)
    x = layers.SeparableConv2D(6, 3, use_bias=False, padding="same", name="sep_one")(x)
    # Without a name: its number depends on what the process built before it.
    residual = layers.Conv2D(6, 1, use_bias=False)(x)
    residual = layers.BatchNormalization()(residual)
    x = layers.add([x, residual], name="add")
    return keras.Model(inputs, x, name="backbone")


def network():
    """A nested backbone, two dense layers and an operation which is not a layer."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    # Take the first automatic names away, as an earlier model in the same process does.
    layers.Conv2D(1, 1)
    layers.BatchNormalization()
    inputs = keras.Input((9, 7, 3), name="input")
    x = backbone()(inputs)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(0.5, seed=3, name="dropout")(x)
    x = layers.Dense(5, activation="relu")(x)
    x = keras.ops.add(x, 0.0)
    x = layers.Dense(3, name="scores")(x)
    model = keras.Model(inputs, x, name="toy")
    model.compile("adam", "mse")
    # One step, so that the optimiser has a state to be skipped.
    model.fit(np.zeros((1, 9, 7, 3)), np.zeros((1, 3)), verbose=0)
    fill(model)
    return model


def zoo():
    """Every other layout of a kernel, one layer each, on one input per rank."""
    keras.utils.clear_session()
    picture = keras.Input((6, 5, 3), name="picture")
    line = keras.Input((8, 3), name="line")
    outputs = [
        layers.DepthwiseConv2D((2, 3), depth_multiplier=2, name="depthwise")(picture),
        layers.Conv2DTranspose(4, (2, 3), strides=2, name="transposed")(picture),
        layers.Conv2D(6, 3, groups=3, name="grouped")(picture),
        layers.BatchNormalization(scale=False, name="unscaled")(picture),
        layers.Conv1D(4, 3, name="line_conv")(line),
        layers.LayerNormalization(epsilon=1e-5, name="norm")(line),
    ]
    model = keras.Model([picture, line], outputs, name="zoo")
    fill(model, seed=11)
    return model


class Subclassed(keras.Model):
    """A model of attributes and a list."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.first = layers.Dense(4, name="first_dense")
        self.blocks = [layers.Dense(3, name=f"block_{i}") for i in range(2)]

    def call(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x


@keras.saving.register_keras_serializable("toy")
class Dense(keras.Operation):
    """An operation with a layer's class name, which Keras does not count among the layers."""

    def call(self, x):
        return x

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def with_operation():
    keras.utils.clear_session()
    inputs = keras.Input((2,), name="input")
    x = layers.Dense(3, name="before")(inputs)
    x = Dense(name="between")(x)
    x = layers.Dense(4, name="after")(x)
    model = keras.Model(inputs, x)
    fill(model)
    return model


def flat_layers(model, prefix=""):
    """(path, layer) of every layer that is not a model, in `model.layers` order."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from flat_layers(layer, f"{prefix}{layer.name}/")
        else:
            yield f"{prefix}{layer.name}", layer


def variables(layer):
    return [v for v in layer.variables if "seed" not in v.path]


def describe(model, inputs):
    outputs = model.predict(inputs, verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    inputs = inputs if isinstance(inputs, list) else [inputs]
    array = lambda a: {"shape": list(a.shape), "values": [float(v) for v in a.ravel()]}
    return {
        "layers": [
            {
                "path": path,
                "class": type(layer).__name__,
                "variables": [
                    {"name": v.name, **array(np.asarray(v.numpy()))}
                    for v in variables(layer)
                ],
            }
            for path, layer in flat_layers(model)
        ],
        "inputs": [array(i) for i in inputs],
        "outputs": [array(o) for o in outputs],
    }


def write_json(path, value):
    # One line a layer and a tensor keeps diffs readable and the file small.
    path.write_text(json.dumps(value, separators=(",", ":")).replace('},{"path"', '},\n{"path"') + "\n")


def repack(source, target, compression, version=keras.__version__, **replaced):
    """The archive again, stored or deflated, at a fixed time."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = compression
            member = replaced.get(name, old.read(name))
            if name == "metadata.json":
                member = METADATA % version.encode()
            new.writestr(info, member)


def copy_without_names(source, target):
    """The layout of Keras 3.0 to 3.5: as today, without the attribute `name`."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        def visit(path, item):
            if path.startswith("optimizer"):
                return
            if isinstance(item, h5py.Group):
                new.require_group(path)
            else:
                new[path] = item[()]
        old.visititems(visit)


def snake(layer):
    from keras.src.utils.naming import to_snake_case

    return to_snake_case(type(layer).__name__)


def write_tf(model, target, twice):
    """TF 2.12's `_save_container_state` over `_layer_checkpoint_dependencies`."""

    def container(group, model):
        used = {}
        for layer in model.layers:
            names = []
            for _ in range(2 if twice and variables(layer) else 1):
                stem = snake(layer)
                used[stem] = used.get(stem, -1) + 1
                names.append(f"{stem}_{used[stem]}" if used[stem] else stem)
            inner = group.create_group(names[0])
            values = inner.create_group("vars")
            if isinstance(layer, keras.Model):
                container(inner.create_group("_layer_checkpoint_dependencies"), layer)
                continue
            for i, variable in enumerate(variables(layer)):
                values[str(i)] = variable.numpy()

    with h5py.File(target, "w") as file:
        container(file.create_group("_layer_checkpoint_dependencies"), model)
        file.create_group("vars")
        file["optimizer/vars/0"] = np.int64(1)


def write_keras2(model, target, whole):
    """`save_weights_to_hdf5_group` of Keras 2.15."""
    with h5py.File(target, "w") as file:
        group = file.create_group("model_weights") if whole else file
        group.attrs["layer_names"] = np.array([l.name.encode() for l in model.layers])
        group.attrs["backend"] = b"tensorflow"
        group.attrs["keras_version"] = b"2.15.0"
        if whole:
            file.attrs["keras_version"] = b"2.15.0"
            file.attrs["model_config"] = model.to_json().encode()
            file["optimizer_weights/iteration:0"] = np.int64(1)
        for layer in sorted(model.layers, key=lambda l: l.name):
            inner = group.create_group(layer.name)
            if isinstance(layer, keras.Model):
                pairs = [(l, v) for _, l in flat_layers(layer) for v in variables(l)]
                # `_legacy_weights`: all trainable ones first.
                pairs.sort(key=lambda p: not p[1].trainable)
            else:
                pairs = [(layer, v) for v in variables(layer)]
            names = []
            for owner, variable in pairs:
                scope = owner.name
                if scope == "stem":
                    scope = "stem_1"  # made unique, as TF 1 did for a second model
                names.append(f"{scope}/{variable.name}:0".encode())
                inner[names[-1].decode()] = variable.numpy()
            # np.array([]) is float64, which is what an empty list became.
            inner.attrs["weight_names"] = np.array(names)


def write_split_attributes(model, target):
    """Attributes over 64,512 bytes are split; here after the second name, to keep the file small."""
    write_keras2(model, target, whole=False)
    with h5py.File(target, "a") as file:
        for group, name in [(file, "layer_names"), (file["backbone"], "weight_names")]:
            whole = group.attrs[name]
            del group.attrs[name]
            for i, part in enumerate(np.array_split(whole, 3)):
                group.attrs[f"{name}{i}"] = part


def write_keras1(model, target):
    """`Container.save_weights_to_hdf5_group` of Keras 1.2 for a flat model."""
    classes = {
        "Conv2D": "convolution2d",
        "SeparableConv2D": "separableconvolution2d",
        "BatchNormalization": "batchnormalization",
        "Dense": "dense",
        "InputLayer": "input",
    }
    renamed = {
        "Conv2D": {"kernel": "W", "bias": "b"},
        "Dense": {"kernel": "W", "bias": "b"},
        "BatchNormalization": {"moving_mean": "running_mean", "moving_variance": "running_std"},
    }
    count = {}
    with h5py.File(target, "w") as file:
        names, mapping = [], {}
        for path, layer in flat_layers(model):
            kind = type(layer).__name__
            stem = classes.get(kind, kind.lower())
            count[stem] = count.get(stem, 0) + 1
            name = f"{stem}_{count[stem]}"
            names.append(name.encode())
            mapping[path] = name
            group = file.create_group(name)
            weights = []
            for variable in variables(layer):
                short = renamed.get(kind, {}).get(variable.name, variable.name)
                weights.append(f"{name}_{short}:0".encode())
                group[weights[-1].decode()] = variable.numpy()
            group.attrs["weight_names"] = weights
        file.attrs["layer_names"] = names
    return mapping


def write_types(target):
    """One dense kernel in every type and storage Keras or h5py can give it."""
    import ml_dtypes

    values = (np.arange(6).reshape(2, 3) - 2) / 4
    stored = {
        "f16": values.astype("<f2"),
        "f32_big": values.astype(">f4"),
        "f64": values.astype("<f8"),
        "f64_big": values.astype(">f8"),
        "bf16": values.astype(ml_dtypes.bfloat16),
        "i64": (values * 4).astype("<i8"),
        "u8": np.arange(6, dtype="u1").reshape(2, 3),
        "bool": values > 0,
    }
    with h5py.File(target, "w", libver="latest", userblock_size=512) as file:
        for name, value in stored.items():
            group = file.create_group(f"{name}/vars")
            if name == "bf16":
                file.create_dataset(f"{name}/vars/0", data=value).attrs["dtype"] = "bfloat16"
            else:
                group["0"] = value
        f32 = values.astype("<f4")
        chunked = {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": (1, 2)}
        file.create_dataset("gzip/vars/0", data=f32, **chunked)
        file.create_dataset("lzf/vars/0", data=f32, compression="lzf", chunks=(2, 2))
        file.create_dataset("scalar/vars/0", data=np.float32(0.5))
        file.create_dataset("empty/vars/0", data=np.zeros((0, 3), "<f4"))


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("!*.h5\n!*.keras\n")
    temporary = folder / "temporary.keras"

    model = network()
    picture = (np.arange(2 * 9 * 7 * 3).reshape(2, 9, 7, 3) % 17 / 16 - 0.5).astype("f4")
    expected = describe(model, picture)
    model.save(temporary)
    repack(temporary, folder / "network.keras", zipfile.ZIP_STORED)
    repack(temporary, folder / "network_deflated.keras", zipfile.ZIP_DEFLATED)
    model.save_weights(folder / "network.weights.h5")
    copy_without_names(folder / "network.weights.h5", folder / "network_no_names.weights.h5")
    repack(
        temporary,
        folder / "network_no_names.keras",
        zipfile.ZIP_STORED,
        version="3.3.3",
        **{"model.weights.h5": (folder / "network_no_names.weights.h5").read_bytes()},
    )
    for tf, twice in [("tf212", True), ("tf214", False)]:
        target = folder / f"network_{tf}.weights.h5"
        write_tf(model, target, twice)
        repack(
            temporary,
            folder / f"network_{tf}.keras",
            zipfile.ZIP_STORED,
            version="2.12.0" if twice else "2.14.0",
            **{"model.weights.h5": target.read_bytes()},
        )
        if tf == "tf214":
            target.unlink()
    model.save(folder / "network_whole.h5")
    write_keras2(model, folder / "network_keras2.h5", whole=False)
    write_keras2(model, folder / "network_keras2_whole.h5", whole=True)
    write_split_attributes(model, folder / "network_split.h5")
    expected["keras1_names"] = write_keras1(model, folder / "network_keras1.h5")
    model.save_weights(folder / "network.weights.json", max_shard_size=2000 / 1024**3)
    temporary.unlink()
    write_json(folder / "network.json", expected)

    model = zoo()
    inputs = [
        (np.arange(6 * 5 * 3).reshape(1, 6, 5, 3) % 13 / 8 - 0.75).astype("f4"),
        (np.arange(8 * 3).reshape(1, 8, 3) % 7 / 4 - 0.5).astype("f4"),
    ]
    write_json(folder / "zoo.json", describe(model, inputs))
    model.save(temporary)
    repack(temporary, folder / "zoo.keras", zipfile.ZIP_DEFLATED)
    temporary.unlink()

    with_operation().save(temporary)
    repack(temporary, folder / "operation.keras", zipfile.ZIP_STORED)
    temporary.unlink()

    model = Subclassed()
    model(np.zeros((1, 2), "f4"))
    fill(model)
    model.save_weights(folder / "subclassed.weights.h5")

    write_types(folder / "types.weights.h5")

    with h5py.File(folder / "cycle.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = np.zeros((2, 2), "f4")
        file["layers/dense/again"] = file["layers"]

    # In chunks by the index of HDF5 1.8, which has no checksum: the tests lay them over each other.
    with h5py.File(folder / "chunked.weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.arange(1, 5, dtype="<f4"), chunks=(1,))

    # A type as deep as an attribute can hold; parsed by recursion.
    deep = h5py.h5t.NATIVE_INT8
    for _ in range(3900):
        deep = h5py.h5t.vlen_create(deep)
    with h5py.File(folder / "deep.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = np.zeros((2, 2), "f4")
        scalar = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(file["layers/dense/vars"].id, b"deep", deep, scalar)

    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{len(list(folder.iterdir()))} files, {size / 1024:.0f} kB in {folder}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)

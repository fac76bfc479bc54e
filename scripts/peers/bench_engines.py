#!/usr/bin/env python3
"""One engine in a process of its own: makes its file of the network, or runs it. `bench_peers.py` calls this.

    bench_engines.py inputs NETWORK --pictures 8             the network's weights and the pictures, from a seed
    bench_engines.py prepare ENGINE NETWORK                  ENGINE's own files of the network
    bench_engines.py predict ENGINE NETWORK --output FILE    one picture, from a cold start
    bench_engines.py time ENGINE NETWORK --output FILE       many times; prints one line of JSON

NETWORK is a folder with a folder `inputs` and one for each engine, which `bench_peers.py` makes.

Without a folder `exported`, the network is Keras's Xception at 299 x 299 with 1,000 classes. Its weights are random, of
a size that keeps feature maps near 1: the time of a convolution does not depend on them. Every engine gets the files
that it likes best, made beforehand: ONNX Runtime, OpenVINO and ncnn a graph with batch norms folded in f64, PyTorch the
same weights channels last, TensorFlow and LiteRT Keras's own network.

The folder `exported` holds another network as ONNX, which ONNX Runtime and OpenVINO read.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

SIZE = 299
CLASSES = 1000
SEED = 20161007  # The day of arXiv 1610.02357.
EPSILON = 1e-3  # keras/applications/xception.py builds its norms with Keras's default.
WARM_UP = 2

# In the network's folder.
WEIGHTS = pathlib.Path("inputs", "weights.safetensors")
PICTURES = pathlib.Path("inputs", "pictures.npy")
EXPORTED = pathlib.Path("exported", "network.onnx")

# Block, flow and the widths of its separable convolutions: arXiv 1610.02357, figure 5.
BLOCKS = [
    (2, "entry", (128, 128)),
    (3, "entry", (256, 256)),
    (4, "entry", (728, 728)),
    *((number, "middle", (728, 728, 728)) for number in range(5, 13)),
    (13, "exit", (728, 1024)),
    (14, "exit", (1536, 2048)),
]
SHORTCUTS = (2, 3, 4, 13)


# ---------------------------------------------------------------------------------------------------- the network


def shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor by its name in a Burn record, in Burn's layout."""
    found = {}

    def norm(path, channels):
        for name in ("gamma", "beta", "running_mean", "running_var"):
            found[f"{path}.bn.{name}"] = (channels,)

    channels = 3
    for name, width in (("conv1", 32), ("conv2", 64)):
        found[f"block1.{name}.conv.weight"] = (width, channels, 3, 3)
        norm(f"block1.{name}", width)
        channels = width
    for number, flow, widths in BLOCKS:
        block = f"{flow}.block{number}"
        if number in SHORTCUTS:
            found[f"{block}.residual.conv.weight"] = (widths[-1], channels, 1, 1)
            norm(f"{block}.residual", widths[-1])
        for index, width in enumerate(widths, 1):
            layer = f"{block}.sepconv{index}"
            found[f"{layer}.depthwise.weight"] = (channels, 1, 3, 3)
            found[f"{layer}.pointwise.weight"] = (width, channels, 1, 1)
            norm(layer, width)
            channels = width
    found["head.predictions.weight"] = (channels, CLASSES)
    found["head.predictions.bias"] = (CLASSES,)
    return found


def random_weights() -> dict[str, np.ndarray]:
    """Uniform kernels of He's variance before a ReLU and of half of it elsewhere; norms that are near the identity."""
    weights = {}
    for index, (name, shape) in enumerate(shapes().items()):
        u = np.random.default_rng([SEED, index]).random(shape)
        kind = name.rpartition(".")[2]
        if kind == "weight" and len(shape) == 4:
            gain = 3 if "depthwise" in name or "pointwise" in name else 6
            value = (2 * u - 1) * np.sqrt(gain / np.prod(shape[1:]))
        elif kind == "weight":
            value = (2 * u - 1) * np.sqrt(6 / shape[0])
        elif kind in ("gamma", "running_var"):
            value = 0.5 + u
        else:
            value = (2 * u - 1) * 0.1
        weights[name] = value.astype(np.float32)
    return weights


def folded(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Kernels and biases with the batch norms in them, folded in f64."""
    result = {}
    for name, kernel in weights.items():
        layer, _, kind = name.removesuffix(".weight").rpartition(".")
        if not name.endswith(".weight") or kind == "predictions":
            continue
        if kind == "depthwise":
            result[name] = kernel
            continue
        gamma, beta, mean, variance = (
            weights[f"{layer}.bn.{value}"].astype(np.float64)
            for value in ("gamma", "beta", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        result[name] = (kernel * scale[:, None, None, None]).astype(np.float32)
        result[name.replace(".weight", ".bias")] = (beta - mean * scale).astype(np.float32)
    for name in ("weight", "bias"):
        result[f"head.predictions.{name}"] = weights[f"head.predictions.{name}"]
    return result


def xception(ops, x):
    """The folded network, in the operations of `ops`: a builder of a file, or an engine."""
    x = ops.relu(ops.conv(x, "block1.conv1.conv", stride=2))
    x = ops.relu(ops.conv(x, "block1.conv2.conv"))
    for number, flow, widths in BLOCKS:
        block = f"{flow}.block{number}"
        before = x
        for index in range(1, len(widths) + 1):
            # Block 2 gets what block 1 has activated; block 14 activates after its layers.
            if number != 14 and (number, index) != (2, 1):
                x = ops.relu(x)
            x = ops.conv(x, f"{block}.sepconv{index}.depthwise", depthwise=True)
            x = ops.conv(x, f"{block}.sepconv{index}.pointwise")
            if number == 14:
                x = ops.relu(x)
        if number in SHORTCUTS:
            x = ops.add(ops.pool(x), ops.conv(before, f"{block}.residual.conv", stride=2))
        elif number != 14:
            x = ops.add(x, before)
    return ops.dense(ops.mean(x), "head.predictions")


def pool_padding(size: int) -> tuple[int, int]:
    """Keras's `same` for a window of 3 and a stride of 2: what is odd goes to the end."""
    total = max((-(-size // 2) - 1) * 2 + 3 - size, 0)
    return total // 2, total - total // 2


# ---------------------------------------------------------------------------------------------------- its files


def make_inputs(network: pathlib.Path, pictures: int, size: list[int] | None) -> None:
    """Pictures; without a `size`, also Xception's weights."""
    if size is None:
        from safetensors.numpy import save_file

        save_file(random_weights(), network / WEIGHTS)
    values = np.random.default_rng(SEED).uniform(-1, 1, (pictures, *(size or [SIZE, SIZE]), 3))
    np.save(network / PICTURES, values.astype(np.float32))


def read_weights(network: pathlib.Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(network / WEIGHTS)


class OnnxGraph:
    """Operations that write themselves down as an ONNX graph."""

    def __init__(self, weights):
        from onnx import helper, numpy_helper

        self.helper = helper
        self.nodes = []
        self.tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
        self.names = set(weights)
        # Height and width of every value: a pooling's padding depends on them.
        self.sizes = {"images": SIZE}

    def node(self, kind, inputs, size, **attributes):
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, inputs, [output], output, **attributes))
        self.sizes[output] = size
        return output

    def conv(self, x, name, stride=1, depthwise=False):
        kernel = 1 if name.endswith(("pointwise", "residual.conv")) else 3
        pad = int(depthwise)
        size = (self.sizes[x] + 2 * pad - kernel) // stride + 1
        inputs = [x, f"{name}.weight", *([f"{name}.bias"] if f"{name}.bias" in self.names else [])]
        tensor = next(tensor for tensor in self.tensors if tensor.name == f"{name}.weight")
        return self.node(
            "Conv",
            inputs,
            size,
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[pad] * 4,
            group=tensor.dims[0] if depthwise else 1,
        )

    def relu(self, x):
        return self.node("Relu", [x], self.sizes[x])

    def add(self, x, y):
        return self.node("Add", [x, y], self.sizes[x])

    def pool(self, x):
        size = self.sizes[x]
        before, after = pool_padding(size)
        pads = [before, before, after, after]
        return self.node("MaxPool", [x], -(-size // 2), kernel_shape=[3, 3], strides=[2, 2], pads=pads)

    def mean(self, x):
        return self.node("Flatten", [self.node("GlobalAveragePool", [x], 1)], 1)

    def dense(self, x, name):
        return self.node("Gemm", [x, f"{name}.weight", f"{name}.bias"], 1)


def onnx_file(network: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The graph that three engines read: the exported network, else Xception, which is made in `folder`."""
    if (network / EXPORTED).exists():
        return network / EXPORTED
    path = folder / "xception.onnx"
    if not path.exists():
        make_onnx(read_weights(network), path)
    return path


def make_onnx(weights: dict[str, np.ndarray], path: pathlib.Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = OnnxGraph(folded(weights))
    output = xception(graph, "images")
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("images", ["batch", 3, SIZE, SIZE]), (output, ["batch", CLASSES]))
    ]
    body = helper.make_graph(graph.nodes, "xception", values[:1], values[1:], graph.tensors)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def keras_model(weights: dict[str, np.ndarray], size: int = SIZE):
    """Keras's Xception with the weights in it, for pictures of `size` x `size`."""
    import keras

    shape = (size, size, 3)
    model = keras.applications.Xception(
        weights=None, input_shape=shape, classifier_activation=None, classes=CLASSES
    )

    def norm(path):
        return [weights[f"{path}.bn.{name}"] for name in ("gamma", "beta", "running_mean", "running_var")]

    def kernel(name):
        return weights[f"{name}.weight"].transpose(2, 3, 1, 0)

    def automatic(name):
        """Layers without a name of their own, in the order in which Keras made them."""
        found = [layer for layer in model.layers if layer.name.startswith(name)]
        return iter(sorted(found, key=lambda layer: int((layer.name[len(name) :] or "_0")[1:])))

    convolutions, norms = automatic("conv2d"), automatic("batch_normalization")
    for name in ("conv1", "conv2"):
        model.get_layer(f"block1_{name}").set_weights([kernel(f"block1.{name}.conv")])
        model.get_layer(f"block1_{name}_bn").set_weights(norm(f"block1.{name}"))
    for number, flow, widths in BLOCKS:
        block = f"{flow}.block{number}"
        if number in SHORTCUTS:
            next(convolutions).set_weights([kernel(f"{block}.residual.conv")])
            next(norms).set_weights(norm(f"{block}.residual"))
        for index in range(1, len(widths) + 1):
            path, name = f"{block}.sepconv{index}", f"block{number}_sepconv{index}"
            depthwise = weights[f"{path}.depthwise.weight"].transpose(2, 3, 0, 1)
            model.get_layer(name).set_weights([depthwise, kernel(f"{path}.pointwise")])
            model.get_layer(f"{name}_bn").set_weights(norm(path))
    model.get_layer("predictions").set_weights([weights[f"head.predictions.{name}"] for name in ("weight", "bias")])
    return model


# ---------------------------------------------------------------------------------------------------- the engines


class Engine:
    """An engine: `prepare` fills its folder once; an instance holds the network for one number of threads and batch."""

    # The packages that its files depend on; the version of the first stands in the report.
    packages: tuple[str, ...] = ()
    channels_last = False

    @staticmethod
    def prepare(network: pathlib.Path, folder: pathlib.Path) -> None:
        raise NotImplementedError

    def __init__(self, folder: pathlib.Path, threads: int, batch: int):
        raise NotImplementedError

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Logits of a batch in the engine's layout."""
        raise NotImplementedError


class OnnxRuntime(Engine):
    packages = ("onnxruntime", "onnx")

    @staticmethod
    def prepare(network, folder):
        onnx_file(network, folder)

    def __init__(self, folder, threads, batch):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_free_dimension_override_by_name("batch", batch)
        path = str(onnx_file(folder.parent, folder))
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def predict(self, images):
        return self.session.run(None, {"images": images})[0]


class OpenVino(Engine):
    packages = ("openvino", "onnx")

    @staticmethod
    def prepare(network, folder):
        import openvino

        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            graph = onnx_file(network, pathlib.Path(scratch))
            openvino.save_model(openvino.convert_model(graph), folder / "network.xml", compress_to_fp16=False)

    def __init__(self, folder, threads, batch):
        import openvino

        core = openvino.Core()
        model = core.read_model(folder / "network.xml")
        _, height, width, channels = np.load(folder.parent / PICTURES, mmap_mode="r").shape
        model.reshape([batch, channels, height, width])
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self.request = core.compile_model(model, "CPU", options).create_infer_request()

    def predict(self, images):
        return self.request.infer([images])[0]


class LiteRt(Engine):
    packages = ("ai-edge-litert", "tensorflow-cpu", "keras")
    channels_last = True

    @staticmethod
    def prepare(network, folder):
        import tensorflow as tf

        model = tf.lite.TFLiteConverter.from_keras_model(keras_model(read_weights(network))).convert()
        (folder / "xception.tflite").write_bytes(model)

    def __init__(self, folder, threads, batch):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(str(folder / "xception.tflite"), num_threads=threads)
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.output = self.interpreter.get_output_details()[0]["index"]
        self.interpreter.resize_tensor_input(self.input, [batch, SIZE, SIZE, 3])
        self.interpreter.allocate_tensors()

    def predict(self, images):
        self.interpreter.set_tensor(self.input, images)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output)


class TensorFlow(Engine):
    packages = ("tensorflow-cpu", "keras")
    channels_last = True

    @staticmethod
    def prepare(network, folder):
        keras_model(read_weights(network)).export(folder / "model", verbose=False)

    def __init__(self, folder, threads, batch):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self.constant = tf.constant
        self.model = tf.saved_model.load(str(folder / "model"))

    def predict(self, images):
        return self.model.serve(self.constant(images)).numpy()


class Ncnn(Engine):
    """Takes one picture at a time; a batch is a loop."""

    packages = ("ncnn", "pnnx", "onnx")

    @staticmethod
    def prepare(network, folder):
        program = importlib.metadata.distribution("pnnx").locate_file("pnnx/pnnx")
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            onnx_file(network, pathlib.Path(scratch))
            command = [program, "xception.onnx", f"inputshape=[1,3,{SIZE},{SIZE}]", "fp16=0"]
            subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
            for ending in ("param", "bin"):
                shutil.move(pathlib.Path(scratch, f"xception.ncnn.{ending}"), folder / f"xception.{ending}")

    def __init__(self, folder, threads, batch):
        import ncnn

        self.ncnn = ncnn
        self.net = ncnn.Net()
        options = self.net.opt
        options.num_threads = threads
        for half in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(options, half, False)
        self.net.load_param(str(folder / "xception.param"))
        self.net.load_model(str(folder / "xception.bin"))

    def predict(self, images):
        logits = np.empty((len(images), CLASSES), np.float32)
        for picture, row in zip(images, logits):
            extractor = self.net.create_extractor()
            extractor.input("in0", self.ncnn.Mat(picture))
            row[:] = np.array(extractor.extract("out0")[1]).reshape(-1)
        return logits


class Torch(Engine):
    """`torch.compile` with frozen weights."""

    packages = ("torch",)
    channels_last = True

    @staticmethod
    def prepare(network, folder):
        import torch

        tensors = {name: torch.from_numpy(value) for name, value in folded(read_weights(network)).items()}
        torch.save(tensors, folder / "xception.pt")

    def __init__(self, folder, threads, batch):
        # Beside the weights: warm from one comparison to the next, and deleted with them.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "compiled")
        import torch
        import torch._inductor.config
        from torch.nn import functional

        torch.set_num_threads(threads)
        torch._inductor.config.freezing = True
        tensors = torch.load(folder / "xception.pt", mmap=True, weights_only=True)

        class Network(torch.nn.Module):
            def __init__(self):
                super().__init__()
                for name, value in tensors.items():
                    if value.ndim == 4:
                        value = value.contiguous(memory_format=torch.channels_last)
                    self.register_buffer(name.replace(".", "_"), value)

            def tensor(self, name):
                return getattr(self, name.replace(".", "_"), None)

            def conv(self, x, name, stride=1, depthwise=False):
                weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
                groups = weight.shape[0] if depthwise else 1
                return functional.conv2d(x, weight, bias, stride, int(depthwise), 1, groups)

            def relu(self, x):
                return functional.relu(x)

            def add(self, x, y):
                return x + y

            def pool(self, x):
                before, after = pool_padding(x.shape[-1])
                if before != after:
                    x = functional.pad(x, (before, after, before, after), value=float("-inf"))
                    before = 0
                return functional.max_pool2d(x, 3, 2, before)

            def mean(self, x):
                return x.mean((2, 3))

            def dense(self, x, name):
                return torch.addmm(self.tensor(f"{name}.bias"), x, self.tensor(f"{name}.weight"))

            def forward(self, images):
                return xception(self, images)

        self.torch = torch
        self.model = torch.compile(Network().eval())

    def predict(self, images):
        torch = self.torch
        with torch.inference_mode():
            # A view: this is how PyTorch sees what is channels last.
            return self.model(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()


ENGINES: dict[str, type[Engine]] = {
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "litert": LiteRt,
    "ncnn": Ncnn,
    "tensorflow": TensorFlow,
    "torch": Torch,
}


# ---------------------------------------------------------------------------------------------------- a process


def peak_memory() -> int | None:
    """The peak memory of this process in bytes, if the system reports it."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def pictures(network: pathlib.Path, batch: int, engine: type[Engine]) -> np.ndarray:
    images = np.load(network / PICTURES, mmap_mode="r")[:batch]
    return np.ascontiguousarray(images if engine.channels_last else images.transpose(0, 3, 1, 2))


def inputs(args) -> None:
    make_inputs(args.network, args.pictures, args.size)


def prepare(args) -> None:
    ENGINES[args.engine].prepare(args.network, args.network / args.engine)


def predict(args) -> None:
    kind = ENGINES[args.engine]
    engine = kind(args.network / args.engine, args.threads, 1)
    np.save(args.output, engine.predict(pictures(args.network, 1, kind)))


def measure(args) -> None:
    kind = ENGINES[args.engine]
    engine = kind(args.network / args.engine, args.threads, args.batch)
    images = pictures(args.network, args.batch, kind)
    for _ in range(WARM_UP):
        logits = engine.predict(images)
    times = []
    for _ in range(args.runs):
        start = time.perf_counter()
        logits = engine.predict(images)
        times.append((time.perf_counter() - start) * 1e3)
    peak = peak_memory()
    np.save(args.output, logits)
    print(json.dumps({"times_ms": times, "peak_memory_bytes": peak}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, task in (("inputs", inputs), ("prepare", prepare), ("predict", predict), ("time", measure)):
        command = commands.add_parser(name)
        command.set_defaults(task=task)
        if name == "inputs":
            command.add_argument("--pictures", type=int, default=8)
            command.add_argument("--size", type=int, nargs=2, help="pictures alone, of this height and width")
        else:
            command.add_argument("engine", choices=ENGINES)
        command.add_argument("network", type=pathlib.Path)
        if name in ("predict", "time"):
            command.add_argument("--threads", type=int, default=1)
            command.add_argument("--output", type=pathlib.Path, required=True)
        if name == "time":
            command.add_argument("--batch", type=int, default=1)
            command.add_argument("--runs", type=int, default=10)
    args = parser.parse_args()
    args.task(args)
    # The end of the process is no part of a prediction, and one engine sometimes fails there.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

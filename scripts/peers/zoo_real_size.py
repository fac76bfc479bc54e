#!/usr/bin/env python3
"""Every network of the zoo at its real size: written by Keras, torchvision and timm with random weights, read here, and
compared with what they compute; then timed against ONNX Runtime on the same weights.

    cargo build --release --bin xception
    scripts/peers/zoo_real_size.py target/release/xception FOLDER [--only NAME ...] [--threads N]

Needs `keras` on TensorFlow, `torch`, `torchvision`, `timm`, `tf2onnx` and `onnxruntime`; each network is built in a
process of its own. Files of up to 600 MB are written to FOLDER and deleted. A line for each network:

    the relative difference of the logits in norm, and milliseconds for one picture and for each of eight: ONNX Runtime,
    ours, and their ratio (the best of several rounds, in turn)

Exits with 1 if a file is refused or logits differ by more than 1e-4.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np

BOUND = 1e-4
KERAS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "resnet152": "ResNet152",
    "inception_v3": "InceptionV3",
}
TORCH = ("vgg16", "vgg19", "resnet50", "resnet101", "resnet152", "inception_v3")
TIMM = ("xception41", "xception65", "xception71", "xception41p", "xception65p")
CASES = [f"keras-{name}" for name in KERAS] + [f"torch-{name}" for name in (*TORCH, *TIMM)]
ROUNDS = 5


def size_of(case: str) -> int:
    return 299 if "ception" in case else 224


def make(case: str, folder: pathlib.Path) -> None:
    """The library's file of weights, its logits for one picture, and the same network as ONNX."""
    origin, _, name = case.partition("-")
    size = size_of(case)
    rng = np.random.default_rng(0)
    picture = rng.uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
    np.save(folder / "picture.npy", picture)
    if origin == "keras":
        import h5py
        import keras
        import tensorflow as tf
        import tf2onnx
        from keras.src.legacy.saving import legacy_h5_format

        keras.utils.set_random_seed(0)
        model = getattr(keras.applications, KERAS[name])(weights=None, classifier_activation=None)
        for layer in model.layers:
            for variable in layer.weights:
                if variable.name in ("beta", "moving_mean", "bias"):
                    variable.assign(rng.uniform(-0.1, 0.1, variable.shape))
                elif variable.name in ("gamma", "moving_variance"):
                    variable.assign(rng.uniform(0.7, 1.3, variable.shape))
        # The layout of the files that Keras publishes.
        with h5py.File(folder / "alone.h5", "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
        model.save_weights(folder / "alone.weights.h5")
        model.save(folder / "weights.h5")
        np.save(folder / "logits.npy", model(picture, training=False).numpy())
        if name.startswith("vgg"):
            # tf2onnx takes 15 GB for these; they are timed as torchvision's.
            return
        signature = [tf.TensorSpec((None, size, size, 3), tf.float32, name="picture")]
        function = tf.function(lambda x: model(x, training=False), input_signature=signature)
        tf2onnx.convert.from_function(function, signature, opset=17, output_path=str(folder / "network.onnx"))
    else:
        import torch

        torch.manual_seed(0)
        if name in TORCH:
            import torchvision

            options = {"init_weights": False} if name == "inception_v3" else {}
            model = getattr(torchvision.models, name)(weights=None, **options)
        else:
            import timm

            model = timm.create_model(name)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    torch.nn.init.uniform_(tensor, 0.7, 1.3)
                for tensor in (module.bias, module.running_mean):
                    torch.nn.init.uniform_(tensor, -0.1, 0.1)
        model.eval()
        torch.save(model.state_dict(), folder / "weights.pth")
        images = torch.from_numpy(picture).permute(0, 3, 1, 2).contiguous()
        with torch.no_grad():
            np.save(folder / "logits.npy", model(images).numpy())
            torch.onnx.export(
                model,
                (images,),
                folder / "network.onnx",
                dynamo=False,
                input_names=["picture"],
                dynamic_axes={"picture": {0: "batch"}},
            )


def onnxruntime(folder: pathlib.Path, batch: int, threads: int) -> float:
    """Milliseconds for a picture: the best of the rounds."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(folder / "network.onnx", options, providers=["CPUExecutionProvider"])
    picture = np.load(folder / "picture.npy")
    if session.get_inputs()[0].shape[1] == 3:
        picture = picture.transpose(0, 3, 1, 2)
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(np.repeat(picture, batch, axis=0))}
    best = float("inf")
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        session.run(None, feed)
        best = min(best, time.perf_counter() - start)
    return 1000 * best / batch


def ours(program: pathlib.Path, folder: pathlib.Path, batch: int, threads: int) -> float:
    words = [program, "bench", "--weights", "ours.bpk", "--batch-size", str(batch), "--threads", str(threads)]
    words += ["--runs", str(ROUNDS), "--format", "json"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return min(row["min_ms"] for row in json.loads(done.stdout)["rows"]) / batch


def check(program: pathlib.Path, case: str, folder: pathlib.Path, threads: int | None) -> bool:
    subprocess.run([sys.executable, __file__, program, folder, "--make", case], check=True, capture_output=True)
    origin, _, name = case.partition("-")
    size = size_of(case)
    known = ["--size", f"{size}x{size}", "--scaling", "none", "--head", "softmax"]
    if origin == "torch" and not name.startswith("vgg"):
        known += ["--pooling", "average"]
    run = lambda *words: subprocess.run(words, cwd=folder, capture_output=True, text=True)
    files = ["weights.pth"] if origin == "torch" else ["weights.h5", "alone.h5", "alone.weights.h5"]
    if case == "keras-inception_v3":
        # `.weights.h5` does not say which three of a batch norm's four tensors it has.
        files.remove("alone.weights.h5")
    worst = 0.0
    for file in files:
        # A flattened map shows in the shapes.
        pooling = ["--pooling", "average"] if file.startswith("alone") and not name.startswith("vgg") else []
        done = run(program, "convert", file, "ours.bpk", "--force", *known, *pooling)
        if done.returncode != 0:
            print(f"{case:<20} {file}: {done.stderr.strip()}", flush=True)
            return False
        done = run(program, "run", "picture.npy", "--output", "ours.npy", "--force", "--weights", "ours.bpk")
        if done.returncode != 0:
            print(f"{case:<20} {done.stderr.strip()}", flush=True)
            return False
        theirs = np.load(folder / "logits.npy")
        difference = np.linalg.norm(np.load(folder / "ours.npy") - theirs) / np.linalg.norm(theirs)
        worst = max(worst, float(difference))
    line = f"{case:<20} logits {worst:.1e}"
    for batch in (1, 8) if threads and (folder / "network.onnx").exists() else ():
        pairs = [(onnxruntime(folder, batch, threads), ours(program, folder, batch, threads)) for _ in range(2)]
        one, two = (min(times) for times in zip(*pairs))
        line += f"   batch {batch}: {one:7.1f} {two:7.1f} ms, {two / one:.2f}"
    print(line, flush=True)
    return worst <= BOUND


def main() -> int:
    parser = argparse.ArgumentParser(description="The zoo at its real size against Keras, torchvision and timm.")
    parser.add_argument("program", type=pathlib.Path, help="the program xception")
    parser.add_argument("folder", type=pathlib.Path, help="a folder for files of up to 2 GB")
    parser.add_argument("--only", nargs="*", choices=CASES, help="these networks alone")
    parser.add_argument("--threads", type=int, help="also time both with this many threads")
    parser.add_argument("--make", choices=CASES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make(args.make, args.folder)
        return 0
    args.folder.mkdir(parents=True, exist_ok=True)
    well = True
    for case in args.only or CASES:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            well &= check(args.program.resolve(), case, pathlib.Path(folder), args.threads)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())

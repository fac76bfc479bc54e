#!/usr/bin/env python3
"""timm's Xception of real size through the converter, compared with what timm and ONNX Runtime compute.

    pip install torch timm onnx onnxscript          # in the environment that runs this
    cargo build --release --bin converter
    python scripts/peers/timm_real_size.py target/release/converter FOLDER PYTHON

PYTHON is that of an environment with `onnxruntime` and `onnx`; it may be the same. The network is `legacy_xception`
with PyTorch's initial weights from a fixed seed and norms that are not the identity. Printed are:

    timm.pth         converted and written again as ONNX, in ONNX Runtime: its logits against timm's, relative in norm
    timm_*.onnx      timm's exports by both of PyTorch's exporters: `converter verify --with-onnxruntime`

Exits with 1 if a difference is larger than 1e-5, or a file is refused. The files (0.5 GB) are deleted afterwards.
"""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import timm
import torch

BOUND = 1e-5
# What a file does not say; of ONNX the outputs are taken for this anyway.
SAID = ["--head", "softmax", "--scaling", "tf"]
RUN = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
picture = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], session.run(None, {session.get_inputs()[0].name: picture})[0])
"""


def network():
    torch.manual_seed(7)
    model = timm.create_model("legacy_xception", pretrained=False).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    tensor.add_(torch.empty_like(tensor).uniform_(-0.2, 0.2))
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("converter", type=pathlib.Path, help="the program")
    parser.add_argument("folder", type=pathlib.Path, help="where files are made for a while")
    parser.add_argument("python", type=pathlib.Path, help="the Python of an environment with onnxruntime")
    args = parser.parse_args()
    # Not resolved: an environment's Python is a link.
    converter, python = (pathlib.Path(os.path.abspath(path)) for path in (args.converter, args.python))
    args.folder.mkdir(parents=True, exist_ok=True)
    all_well = True
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        run = lambda *words: subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout
        at = lambda name: os.path.join(folder, name)
        model = network()
        picture = torch.empty(1, 3, 299, 299).uniform_(-1, 1)
        torch.save(model.state_dict(), at("timm.pth"))
        with torch.no_grad():
            expected = model(picture).numpy()
        np.save(at("picture.npy"), picture.numpy())
        run(converter, "timm.pth", "timm.bpk", "--size", "299x299", *SAID, "--pooling", "average")
        run(converter, "timm.bpk", "ours.onnx")
        run(python, "-c", RUN, "ours.onnx", "picture.npy", "logits.npy")
        difference = np.linalg.norm(np.load(at("logits.npy")) - expected) / np.linalg.norm(expected)
        all_well &= bool(difference <= BOUND)
        print(f"timm.pth              logits {difference:.1e} from those of timm {timm.__version__}", flush=True)
        for name, options in [
            ("timm_torchscript", {"dynamo": False}),
            ("timm_dynamo", {"dynamo": True, "external_data": False}),
        ]:
            with contextlib.redirect_stdout(sys.stderr):
                torch.onnx.export(model, (picture,), at(f"{name}.onnx"), **options)
            run(converter, f"{name}.onnx", f"{name}.bpk", *SAID)
            verify = [converter, "verify", f"{name}.onnx", f"{name}.bpk", "--with-onnxruntime", python]
            done = subprocess.run(verify, cwd=folder, capture_output=True, text=True)
            all_well &= done.returncode == 0
            lines = done.stdout.strip().splitlines() or [done.stderr.strip()]
            logits = [line.split()[-1] for line in lines if line.startswith("output")]
            print(f"{name + '.onnx':<21} logits {', '.join(logits)}; {lines[-1]}", flush=True)
    sys.exit(not all_well)


if __name__ == "__main__":
    main()

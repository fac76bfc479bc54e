#!/usr/bin/env python3
"""Writes networks with PyTorch's names, and lets torchvision and timm load them.

    cargo build --release --bin converter
    python scripts/peers/torch_roundtrip.py target/release/converter FOLDER

For each network: random weights of torchvision or timm, saved by `torch.save`, converted to a record and from there
to a `.safetensors` with `--names pytorch`, which `load_state_dict` takes strictly into a new network. Its outputs
must equal the first one's, bit for bit. Then Keras's VGG16 with random weights, whose outputs torchvision's VGG16
must give within 1e-5. Needs torch, torchvision, timm, safetensors, keras and TensorFlow; FOLDER takes 2 GB.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

NETWORKS = {
    "resnet50": (224, "average"),
    "vgg16": (224, None),
    "vgg19": (224, None),
    "inception_v3": (299, "average"),
    "legacy_xception": (299, "average"),
    "xception65": (299, "average"),
    "xception41p": (299, "average"),
}


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def build(name):
    import timm
    import torch
    import torchvision

    if name == "inception_v3":
        return torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)
    library = timm.create_model if "xception" in name else getattr(torchvision.models, name)
    torch.manual_seed(1)
    return library(name) if "xception" in name else library(weights=None)


def shake(model):
    """Norms that are not the identity."""
    import torch

    generator = torch.Generator().manual_seed(2)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
        elif name.endswith("running_var"):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return model.eval()


def loaded(name, path):
    from safetensors.torch import load_file

    model = build(name)
    print("   ", model.load_state_dict(load_file(path), strict=True))
    return model.eval()


def torch_part(converter, folder):
    import torch

    for name, (side, pooling) in NETWORKS.items():
        model = shake(build(name))
        checkpoint, record, written = (folder / f"{name}.{ending}" for ending in ("pth", "bpk", "safetensors"))
        torch.save(model.state_dict(), checkpoint)
        options = ["--size", f"{side}x{side}", "--head", "softmax", "--scaling", "torch", "--force"]
        options += ["--pooling", pooling] if pooling else ["--hidden-activation", "relu"]
        run(converter, checkpoint, record, *options)
        run(converter, record, written, "--names", "pytorch", "--force")
        picture = torch.sin(torch.arange(3 * side * side) / 100).reshape(1, 3, side, side)
        with torch.no_grad():
            difference = (model(picture) - loaded(name, written)(picture)).abs().max().item()
        print(f"{name}: largest difference {difference:.1e}")
        assert difference == 0.0
        for path in (checkpoint, record, written):
            path.unlink()


def keras_part(folder):
    import keras
    import numpy as np

    keras.utils.set_random_seed(3)
    model = keras.applications.VGG16(weights=None)
    model.save(folder / "vgg16.keras")
    picture = np.sin(np.arange(224 * 224 * 3) / 100).reshape(1, 224, 224, 3).astype("float32") * 50
    (folder / "vgg16.json").write_text(json.dumps(model.predict(picture, verbose=0)[0].astype(float).tolist()))


def keras_to_torch(converter, folder):
    import numpy as np
    import torch

    subprocess.run([sys.executable, __file__, "--keras", folder], check=True)
    written = folder / "vgg16.safetensors"
    run(converter, folder / "vgg16.keras", written, "--scaling", "caffe", "--names", "pytorch", "--force")
    picture = np.sin(np.arange(224 * 224 * 3) / 100).reshape(1, 224, 224, 3).astype("float32") * 50
    with torch.no_grad():
        found = loaded("vgg16", written)(torch.from_numpy(picture).permute(0, 3, 1, 2)).softmax(1)[0].numpy()
    expected = np.array(json.loads((folder / "vgg16.json").read_text()))
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    print(f"Keras's VGG16 in torchvision: {error:.1e} relative in norm")
    assert error < 1e-5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("converter", type=Path, nargs="?")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keras", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.keras:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        return keras_part(arguments.folder)
    torch_part(arguments.converter, arguments.folder)
    return keras_to_torch(arguments.converter, arguments.folder)


if __name__ == "__main__":
    main()

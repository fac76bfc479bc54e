#!/usr/bin/env python3
"""Proves the built-in PyTorch cards against torchvision and timm on a photograph.

    python scripts/peers/torch_cards.py target/release/xception PHOTO [CARD ...]

For each card the library's own network gets random weights, is saved under the file's name of the card, and lies
beside a copy of the card with this file's hash. `xception classify` on the photograph must then give the probabilities
of the library's network on the library's own transform, within 1e-5.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import timm
import torch
import torchvision
from PIL import Image

MODELS = Path(__file__).resolve().parents[2] / "models"
BOUND = 1e-5


def library(card):
    """The network and the transform that a card names, from torchvision or timm."""
    name = re.search(r"`(.*)`$", card["description"]).group(1)
    if "Weights." in name:
        enum, entry = name.split(".")
        weights = getattr(getattr(torchvision.models, enum), entry)
        build = getattr(torchvision.models, card["name"].split("-torchvision")[0].replace("-", "_"))
        # What the builders set when they load these weights.
        options = {"transform_input": True, "init_weights": True} if "Inception" in enum else {}
        return build(weights=None, **options), weights.transforms()
    model = timm.create_model(name, pretrained=False)
    return model, timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)


def randomise(model, batch):
    """Statistics of norms as training leaves them, and probabilities that differ."""
    norms = [entry for entry in model.named_modules() if isinstance(entry[1], torch.nn.BatchNorm2d)]
    for name, norm in norms:
        norm.momentum = None
        # A block adds less than it gets: in a deep network the sums would otherwise grow, and roundings with them.
        low, high = (0.1, 0.5) if name.endswith("bn3") else (0.5, 1.5)
        torch.nn.init.uniform_(norm.weight, low, high)
        torch.nn.init.uniform_(norm.bias, -0.2, 0.2)
    if norms:
        model.train()
        model(batch + 0.3 * torch.randn(4, *batch.shape[1:]))
    model.eval()
    last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    torch.nn.init.normal_(last.bias, std=0.5)
    logits = model(batch)
    last.weight.data *= 1.5 / (logits - last.bias).std()


def check(xception, photograph, name):
    card = tomllib.loads((MODELS / name / "card.toml").read_text())
    torch.manual_seed(1)
    model, transform = library(card)
    with torch.no_grad():
        batch = transform(Image.open(photograph).convert("RGB"))[None]
        randomise(model, batch)
        expected = model(batch).softmax(1)[0].double()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        weights = folder / card["weights"][0]["file"]
        torch.save(model.state_dict(), weights)
        prefix = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
        text = (MODELS / name / "card.toml").read_text()
        text = re.sub(r'sha256_prefix = ".*"', f'sha256_prefix = "{prefix}"', text)
        (folder / "card.toml").write_text(text)
        (folder / "labels.txt").write_text((MODELS / name / "labels.txt").read_text())
        command = [xception, "classify", photograph, "--weights", folder, "--cache", folder / "cache"]
        command += ["--offline", "--top-k", "1000", "--format", "json"]
        printed = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout
    found = {entry["id"]: entry["probability"] for entry in json.loads(printed)[0]["predictions"]}
    ids = [line.split("\t")[0] for line in (MODELS / name / "labels.txt").read_text().splitlines()]
    difference = max(abs(found[id] - float(value)) for id, value in zip(ids, expected, strict=True))
    print(f"{name:25} largest probability {expected.max():.4f}, largest difference {difference:.1e}", flush=True)
    return difference <= BOUND


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xception", type=Path)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("card", nargs="*", help="names of cards [default: all of torchvision and timm]")
    args = parser.parse_args()
    cards = args.card or sorted(p.name for p in MODELS.iterdir() if re.search("-(torchvision|timm)", p.name))
    wrong = [name for name in cards if not check(args.xception.resolve(), args.photograph.resolve(), name)]
    if wrong:
        sys.exit(f"more than {BOUND} apart: {', '.join(wrong)}")


if __name__ == "__main__":
    main()

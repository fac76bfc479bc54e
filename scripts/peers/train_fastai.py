"""Fine-tunes timm's Xception as fastai's `fine_tune` does, to compare `xception train` with.

`Learner.fine_tune` (fastai/callback/schedule.py): the new head for one epoch with the backbone frozen, then everything
for `--epochs`, one-cycle with rates from a hundredth at the bottom to the full one at the head; fastai's own head
(average and maximum pooling, two linear layers with batch norm and dropout) and its default augmentation.

    python scripts/peers/train_fastai.py RUN --weights network.safetensors

RUN is a run's folder of `xception train`: its data.csv holds the pictures and the split, its run.toml the size and the
seed. The weights are those that `xception convert` writes as .safetensors; they are put into timm's network, with
Keras's epsilon and pool padding. Pictures are resized with Pillow's bilinear filter, as the preset `pil-bilinear`;
transparency is laid on white. Needs fastai, timm, safetensors. Prints one line of JSON.
"""

import argparse
import csv
import json
import time
import tomllib
from pathlib import Path

import timm
import torch
import torch.nn.functional as functional
from fastai.vision.all import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    IndexSplitter,
    Learner,
    Normalize,
    accuracy,
    aug_transforms,
    create_head,
    set_seed,
)
from safetensors.torch import load_file
from white_picture import read


class SamePool(torch.nn.Module):
    """A max pooling of 3 x 3 and stride 2 with Keras's padding `same`."""

    def forward(self, x):
        height, width = (1 + side % 2 for side in x.shape[2:])
        x = functional.pad(x, (width - 1, 1, height - 1, 1), value=float("-inf"))
        return functional.max_pool2d(x, 3, 2)


def backbone_of(path):
    """timm's Xception without its head, with these weights."""
    weights = load_file(path)
    network = timm.create_model("legacy_xception", num_classes=0, global_pool="")

    def norm(theirs, ours):
        theirs.eps = 1e-3
        for own, name in [("weight", "gamma"), ("bias", "beta"), ("running_mean",) * 2, ("running_var",) * 2]:
            getattr(theirs, own).data.copy_(weights.pop(f"{ours}.{name}"))

    def conv(theirs, ours):
        theirs.weight.data.copy_(weights.pop(f"{ours}.weight"))

    def separable(theirs, bn, ours):
        conv(theirs.conv1, f"{ours}.depthwise")
        conv(theirs.pointwise, f"{ours}.pointwise")
        norm(bn, f"{ours}.bn")

    for number in (1, 2):
        conv(getattr(network, f"conv{number}"), f"block1.conv{number}.conv")
        norm(getattr(network, f"bn{number}"), f"block1.conv{number}.bn")
    for number in range(1, 13):
        block = getattr(network, f"block{number}")
        part = "entry" if number < 4 else "middle" if number < 12 else "exit"
        ours = f"{part}.block{number + 1}"
        layers = list(block.rep)
        separables = [layer for layer in layers if hasattr(layer, "pointwise")]
        norms = [layer for layer in layers if isinstance(layer, torch.nn.BatchNorm2d)]
        for index, (layer, bn) in enumerate(zip(separables, norms, strict=True), 1):
            separable(layer, bn, f"{ours}.sepconv{index}")
        if block.skip is not None:
            conv(block.skip, f"{ours}.residual.conv")
            norm(block.skipbn, f"{ours}.residual.bn")
        for index, layer in enumerate(layers):
            if isinstance(layer, torch.nn.MaxPool2d):
                block.rep[index] = SamePool()
    for number, index in ((3, 1), (4, 2)):
        separable(getattr(network, f"conv{number}"), getattr(network, f"bn{number}"), f"exit.block14.sepconv{index}")
    left = [name for name in weights if not name.startswith("head.")]
    assert not left, left
    return network


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()

    run = tomllib.loads((arguments.run / "run.toml").read_text())
    size, seed = run["model"]["input"]["height"], run["seed"]
    set_seed(seed, reproducible=True)

    rows = list(csv.DictReader((arguments.run / "data.csv").open()))
    training = [row for row in rows if row["split"] in ("train", "val")]
    validation = [index for index, row in enumerate(training) if row["split"] == "val"]
    labels = sorted({row["label"] for row in rows})

    start, used = time.time(), time.process_time()
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=labels)),
        get_x=lambda row: read(row["path"], size),
        get_y=lambda row: row["label"],
        splitter=IndexSplitter(validation),
        batch_tfms=[*aug_transforms(size=size), Normalize.from_stats([0.5] * 3, [0.5] * 3, cuda=False)],
    )
    loaders = block.dataloaders(training, bs=arguments.batch_size, num_workers=0, device="cpu")
    model = torch.nn.Sequential(backbone_of(arguments.weights), create_head(2048, len(labels)))
    groups = lambda model: [list(part.parameters()) for part in model]
    learner = Learner(loaders, model, splitter=groups, metrics=accuracy)
    with learner.no_bar():
        learner.fine_tune(arguments.epochs)
    seconds, processor = time.time() - start, time.process_time() - used

    chosen = [row for row in rows if row["split"] == "test"]
    with learner.no_bar():
        probabilities, _ = learner.get_preds(dl=loaders.test_dl(chosen))
    truths = torch.tensor([labels.index(row["label"]) for row in chosen])
    right = float((probabilities.argmax(1) == truths).float().mean())
    result = {"seed": seed, "test_accuracy": right, "pictures": len(chosen), "seconds": round(seconds)}
    print(json.dumps({**result, "processor_seconds": round(processor)}))


if __name__ == "__main__":
    main()

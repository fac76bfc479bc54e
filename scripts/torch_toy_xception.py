#!/usr/bin/env python3
"""Writes a tiny Xception as PyTorch's world saves it, and what PyTorch computes with it.

    pip install torch==2.9.1 timm==1.0.31 safetensors numpy
    python scripts/torch_toy_xception.py [folder]

crates/converter/tests/torch.rs reads them. The modules are timm's own (`timm.models.xception`), put together as its
`Xception.__init__` and `forward_features` do, with the widths of keras_toy_xception.py's network and one middle block.

    toy.pth             a state dict, as `torch.save(model.state_dict())` writes it
    legacy.pth          the format of PyTorch before 1.6, Cadene's names, kernels without axes of size 1, `module.` before
                        every name: how the first published weights looked
    checkpoint.pth      {"epoch", "args", "state_dict"}, as timm's train.py writes it
    two.pth             {"state_dict", "state_dict_ema"}: which one must be said
    half.pth            float16
    toy.safetensors     timm's names
    evil.pth            a pickle that would start a program
    unsafe_global.pth   the same inside a checkpoint that holds the weights as well
    expected.json       logits of the picture sin(i / 100), i counting its NHWC values
"""

import argparse
import json
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from timm.models.xception import Block, SeparableConv2d
from torch import nn

STEM, ENTRY, EXIT, CLASSES = [2, 3], [3, 4, 5], [6, 7, 8], 5
INPUT = (1, 75, 90, 3)


class ToyXception(nn.Module):
    """timm's Xception with other widths and one middle block."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM[0], 3, 2, 0, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM[0])
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(STEM[0], STEM[1], 3, bias=False)
        self.bn2 = nn.BatchNorm2d(STEM[1])
        self.act2 = nn.ReLU(inplace=True)
        self.block1 = Block(STEM[1], ENTRY[0], 2, 2, start_with_relu=False)
        self.block2 = Block(ENTRY[0], ENTRY[1], 2, 2)
        self.block3 = Block(ENTRY[1], ENTRY[2], 2, 2)
        self.block4 = Block(ENTRY[2], ENTRY[2], 3, 1)
        self.block5 = Block(ENTRY[2], EXIT[0], 2, 2, grow_first=False)
        self.conv3 = SeparableConv2d(EXIT[0], EXIT[1], 3, 1, 1)
        self.bn3 = nn.BatchNorm2d(EXIT[1])
        self.act3 = nn.ReLU(inplace=True)
        self.conv4 = SeparableConv2d(EXIT[1], EXIT[2], 3, 1, 1)
        self.bn4 = nn.BatchNorm2d(EXIT[2])
        self.act4 = nn.ReLU(inplace=True)
        self.fc = nn.Linear(EXIT[2], CLASSES)

    def forward(self, x):
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.act2(self.bn2(self.conv2(x)))
        for block in [self.block1, self.block2, self.block3, self.block4, self.block5]:
            x = block(x)
        x = self.act3(self.bn3(self.conv3(x)))
        x = self.act4(self.bn4(self.conv4(x)))
        return self.fc(x.mean(dim=(2, 3)))


def toy():
    model = ToyXception().eval()
    state = model.state_dict()
    random = np.random.default_rng(1)
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        u = random.random(tuple(tensor.shape))
        if name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1):
            values = 0.5 + u
        elif tensor.dim() == 1:
            values = (2 * u - 1) * 0.1
        else:
            values = (2 * u - 1) * np.sqrt(6 / np.prod(tensor.shape[1:]))
        tensor.copy_(torch.from_numpy(values.astype(np.float32)))
    return model, state


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/this-must-not-exist",)


def old_names(state):
    """As the first published files were: Cadene's last layer, no axes of size 1, wrapped in DataParallel."""
    old = {}
    for name, tensor in state.items():
        if tensor.dim() == 4 and tensor.shape[1] == 1 and tensor.shape[2] == 3:
            tensor = tensor[:, 0]
        elif tensor.dim() == 4 and tuple(tensor.shape[2:]) == (1, 1) and "pointwise" in name:
            tensor = tensor[:, :, 0, 0]
        old["module." + name.replace("fc.", "last_linear.")] = tensor.clone()
    return old


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "crates/converter/tests/fixtures/torch")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model, state = toy()
    picture = np.sin(np.arange(np.prod(INPUT)) / 100).astype(np.float32).reshape(INPUT)
    with torch.no_grad():
        logits = model(torch.from_numpy(picture.transpose(0, 3, 1, 2).copy()))
    torch.save(state, folder / "toy.pth")
    torch.save(old_names(state), folder / "legacy.pth", _use_new_zipfile_serialization=False)
    arguments = argparse.Namespace(lr=0.1, model="legacy_xception")
    torch.save({"epoch": 3, "args": arguments, "state_dict": state}, folder / "checkpoint.pth")
    shifted = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    torch.save({"state_dict": shifted, "state_dict_ema": state}, folder / "two.pth")
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    torch.save(half, folder / "half.pth")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "toy.safetensors")
    old = {"_use_new_zipfile_serialization": False}
    # As a model that was trained channels last holds them.
    torch.save(
        {name: t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for name, t in state.items()},
        folder / "strided.pth",
        **old,
    )
    torch.save(state | {"conv1.weight": torch.zeros(1).expand(1 << 40, 3, 3, 3)}, folder / "giant.pth", **old)
    (folder / "evil.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    torch.save({"state_dict": state, "callback": Evil()}, folder / "unsafe_global.pth")
    expected = {
        "torch": torch.__version__,
        "input": INPUT,
        "logits": [float(f"{value:.9g}") for value in logits[0].tolist()],
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
r"""Writes goldens of the zoo's networks, computed by torchvision and timm.

    python scripts/golden/golden_torch.py --out crates/xception-model/tests/golden

The libraries' own code builds the networks, with all widths divided by a number so that no golden takes megabytes.
Records and `--accept` are those of `golden.py`, except for these:

    network  the table of options of our `Architecture`
    names    "torch": stages and the keys of the formula are the names of PyTorch's modules
    stages   the output of every convolution, norm and fully-connected layer, channels last; in VGG, whose layers
             have their ReLU inside, after the ReLU
    formula  key `{module}.{tensor}`, in PyTorch's layout; u as in `golden.py`:
             weight of 4 or 2 axes       (2u - 1) * sqrt(6 / fan_in), depthwise (2u - 1) * sqrt(3 / 9)
             weight of a norm            0.5 + u, and half of it in a module `bn3`
             running_var                 0.5 + u
             bias, running_mean          (2u - 1) * 0.1
"""

from __future__ import annotations

import argparse
import functools
import math
import sys
from pathlib import Path

import numpy as np
import timm
import timm.models.xception_aligned as aligned
import torch
import torchvision
from formula import Goldens, case_file, picture, record, uniform
from timm.layers import ConvNormAct
from torchvision.models import inception, resnet, vgg

CLASSES = 10


class Narrow:
    """`torch.nn` with fewer channels in every layer; pictures and classes keep theirs."""

    def __init__(self, divisor: int) -> None:
        def divided(count: int) -> int:
            return count if count in (3, CLASSES) else count // divisor

        class Conv2d(torch.nn.Conv2d):
            def __init__(self, inputs: int, outputs: int, *arguments, **options) -> None:
                super().__init__(divided(inputs), divided(outputs), *arguments, **options)

        class BatchNorm2d(torch.nn.BatchNorm2d):
            def __init__(self, channels: int, *arguments, **options) -> None:
                super().__init__(divided(channels), *arguments, **options)

        class Linear(torch.nn.Linear):
            def __init__(self, inputs: int, outputs: int, *arguments, **options) -> None:
                super().__init__(divided(inputs), divided(outputs), *arguments, **options)

        self.Conv2d, self.BatchNorm2d, self.Linear = Conv2d, BatchNorm2d, Linear

    def __getattr__(self, name: str):
        return getattr(torch.nn, name)


def torchvision_network(module, name: str, divisor: int, **options) -> torch.nn.Module:
    module.nn = Narrow(divisor)
    return getattr(module, name)(weights=None, num_classes=CLASSES, **options)


def aligned_network(middle: int, long_entry: bool, preact: bool, epsilon: float, divisor: int) -> torch.nn.Module:
    """As `xception41` and the others in timm's file build them, with narrower blocks and a narrower stem."""
    entry = [(128, 2), (256, 1), (256, 2), (728, 1), (728, 2)] if long_entry else [(128, 2), (256, 2), (728, 2)]
    widths = [((width,) * 3, stride) for width, stride in entry + [(728, 1)] * middle]
    widths += [((728, 1024, 1024), 2), ((1536, 1536, 2048), 1)]
    blocks, inputs = [], 64 // divisor
    for index, (outputs, stride) in enumerate(widths):
        outputs = tuple(width // divisor for width in outputs)
        last = {"no_skip": True} if index + 1 == len(widths) else {}
        if last and not preact:
            last["start_with_relu"] = False
        blocks.append({"in_chs": inputs, "out_chs": outputs, "stride": stride, **last})
        inputs = outputs[-1]
    norm = functools.partial(torch.nn.BatchNorm2d, eps=epsilon, momentum=0.1)
    model = aligned.XceptionAligned(blocks, num_classes=CLASSES, preact=preact, norm_layer=norm)
    first = ConvNormAct(3, 32 // divisor, kernel_size=3, stride=2, norm_layer=norm)
    second = (
        torch.nn.Conv2d(32 // divisor, 64 // divisor, 3, padding=1, bias=False)
        if preact
        else ConvNormAct(32 // divisor, 64 // divisor, kernel_size=3, stride=1, norm_layer=norm)
    )
    model.stem = torch.nn.Sequential(first, second)
    return model


def timm_check(name: str, middle: int, long_entry: bool, preact: bool, epsilon: float) -> None:
    """The network that is built here at its full width must be timm's own: modules and their settings."""
    ours, theirs = aligned_network(middle, long_entry, preact, epsilon, 1), timm.create_model(name, num_classes=CLASSES)
    if str(ours) != str(theirs):
        raise SystemExit(f"{name}: the network built here is not timm's")


def resnet_case(name: str, blocks: list[int]) -> tuple:
    options = {
        "architecture": "resnet",
        "variant": "torch",
        "blocks": blocks,
        "stem": 4,
        "widths": [4, 8, 16, 32],
    }
    return lambda: torchvision_network(resnet, name, 16), options, 4, [(1, 224, 224), (2, 75, 53)]


def vgg_case(name: str, convolutions: list[int]) -> tuple:
    options = {
        "architecture": "vgg",
        "variant": "torch",
        "convolutions": convolutions,
        "widths": [8, 16, 32, 64, 64],
        "hidden_layers": [512, 512],
    }
    return lambda: torchvision_network(vgg, name, 8), options, 32, [(1, 224, 224), (1, 231, 251)]


def aligned_case(name: str, middle: int, long_entry: bool, preact: bool, epsilon: float) -> tuple:
    options = {
        "architecture": "xception-aligned",
        "middle_blocks": middle,
        "long_entry": long_entry,
        "pre_activation": preact,
        "epsilon": epsilon,
        "width_divisor": 8,
    }

    def build() -> torch.nn.Module:
        timm_check(name, middle, long_entry, preact, epsilon)
        return aligned_network(middle, long_entry, preact, epsilon, 8)

    return build, options, 4, [(1, 299, 299), (2, 75, 53)]


CASES = {
    "vgg16": vgg_case("vgg16", [2, 2, 3, 3, 3]),
    "vgg19": vgg_case("vgg19", [2, 2, 4, 4, 4]),
    "resnet50": resnet_case("resnet50", [3, 4, 6, 3]),
    "resnet101": resnet_case("resnet101", [3, 4, 23, 3]),
    "resnet152": resnet_case("resnet152", [3, 8, 36, 3]),
    "inception_v3": (
        lambda: torchvision_network(inception, "inception_v3", 8, aux_logits=False, init_weights=False),
        {"architecture": "inception-v3", "variant": "torch", "width_divisor": 8},
        8,
        [(1, 299, 299), (2, 107, 139)],
    ),
    "xception41": aligned_case("xception41", 8, False, False, 1e-3),
    "xception65": aligned_case("xception65", 16, False, False, 1e-3),
    "xception71": aligned_case("xception71", 16, True, False, 1e-3),
    "xception41p": aligned_case("xception41p", 8, False, True, 1e-5),
    "xception65p": aligned_case("xception65p", 16, False, True, 1e-3),
}


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of a tensor in PyTorch's layout."""
    u = uniform(key, shape)
    match key.rpartition(".")[2]:
        case "weight" if len(shape) == 4 and shape[1] == 1:
            value = (2 * u - 1) * math.sqrt(3 / math.prod(shape[2:]))
        case "weight" if len(shape) > 1:
            value = (2 * u - 1) * math.sqrt(6 / math.prod(shape[1:]))
        case "weight" if key.endswith(".bn3.weight"):
            value = (0.5 + u) / 2
        case "weight" | "running_var":
            value = 0.5 + u
        case "bias" | "running_mean":
            value = (2 * u - 1) * 0.1
        case tensor:
            raise ValueError(f"{key}: no formula for a tensor named {tensor}")
    return value.astype(np.float32)


def golden(goldens: Goldens, name: str) -> None:
    build, options, samples, cases = CASES[name]
    model = build().eval()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                tensor.copy_(torch.from_numpy(weight(key, tuple(tensor.shape))))
    outputs = {}

    def keep(key: str):
        def hook(_module, _inputs, output) -> None:
            output = output.detach().numpy().copy()
            outputs[key] = output.transpose(0, 2, 3, 1) if output.ndim == 4 else output

        return hook

    modules = dict(model.named_modules())
    for key, module in modules.items():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            # VGG's layers have their ReLU inside.
            parent, _, number = key.rpartition(".")
            relu = modules.get(f"{parent}.{int(number) + 1}") if number.isdigit() and "vgg" in name else None
            (module if relu is None else relu).register_forward_hook(keep(key))
        elif isinstance(module, torch.nn.BatchNorm2d) and type(module).__name__ != "BatchNormAct2d":
            module.register_forward_hook(keep(key))
    last = list(modules)[-1]
    for batch, height, width in cases:
        outputs.clear()
        shape = (batch, height, width, 3)
        with torch.no_grad():
            logits = model(torch.from_numpy(picture(shape)).permute(0, 3, 1, 2).contiguous()).numpy()
        stages = [
            record(key, values, None if np.array_equal(values, logits) else samples)
            for key, values in outputs.items()
        ]
        if not any(np.array_equal(values, logits) for values in outputs.values()):
            raise SystemExit(f"{name}: no stage gives the logits, the last module is {last}")
        content = {
            "network": {**options, "num_classes": CLASSES},
            "names": "torch",
            "input": list(shape),
            "stages": stages,
        }
        goldens.settle(case_file(f"zoo-torch-{name}", batch, height, width), name, content)


def main() -> int:
    parser = argparse.ArgumentParser(description="Golden numbers of torchvision and timm for the Rust tests.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the goldens")
    parser.add_argument("--only", choices=CASES, help="make these alone")
    parser.add_argument("--accept", action="store_true", help="overwrite goldens that differ")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "timm": timm.__version__}
    goldens = Goldens(arguments.out, arguments.accept, "golden_torch.py", versions)
    for name in CASES if arguments.only is None else (arguments.only,):
        golden(goldens, name)
    if goldens.refused:
        print(f"{goldens.refused} goldens differ; --accept overwrites them", file=sys.stderr)
    return 1 if goldens.refused else 0


if __name__ == "__main__":
    sys.exit(main())

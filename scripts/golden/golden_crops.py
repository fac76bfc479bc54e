#!/usr/bin/env python3
"""Writes crates/xception-model/tests/golden/crops.json: what torchvision's and timm's own evaluation transforms make of
pictures, for the presets `torchvision-FILTER-SIDE` and `timm-FILTER-SHARE`.

    python scripts/golden/golden_crops.py "$(scripts/kitchenware.sh)"

The transforms get Pillow's pictures, and no mean and deviation, so that their results are whole numbers of 0 to 255.
Stored is a FNV-1a hash of each result. The pictures are `level` of golden_pictures.py, which tests/picture repeats, and
the photographs of the kitchenware package, which tests/kitchenware.rs reads.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import PIL
import timm
import torch
import torchvision
from PIL import Image
from timm.data import create_transform
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

OUT = Path(__file__).resolve().parents[2] / "crates/xception-model/tests/golden/crops.json"

# preset, height, width: those of the cards, and others.
CROPS = [
    ("torchvision-bilinear-256", 224, 224),
    ("torchvision-bilinear-232", 224, 224),
    ("torchvision-bilinear-342", 299, 299),
    ("torchvision-bicubic-256", 224, 224),
    ("torchvision-bilinear-224", 224, 224),
    ("torchvision-bilinear-256", 160, 201),
    ("timm-bicubic-0.903", 299, 299),
    ("timm-bicubic-0.94", 299, 299),
    ("timm-bicubic-0.95", 224, 224),
    ("timm-bicubic-0.9", 176, 176),
    ("timm-bicubic-0.875", 299, 299),
    ("timm-bicubic-1", 288, 288),
    ("timm-bilinear-0.875", 224, 224),
    ("timm-bicubic-0.95", 150, 224),
]
# width, height
SOURCES = [(61, 47), (500, 375), (375, 500), (449, 1000), (256, 256), (1300, 40), (224, 231)]
PHOTOGRAPHS = 6


def level(width, height):
    """`level` of golden_pictures.py."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    h = (x * 374761393 + y * 668265263 + c * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((x * (c + 1) + y * (3 - c) + ((h >> 16) & 63)) & 255).astype(np.uint8)


def crop(preset, picture, height, width):
    """[height, width, 3] u8, by the library's own transform."""
    library, interpolation, number = preset.split("-")
    if library == "torchvision":
        transform = ImageClassification(
            crop_size=(height, width) if height != width else height,
            resize_size=int(number),
            mean=(0.0,) * 3,
            std=(1.0,) * 3,
            interpolation=InterpolationMode(interpolation),
        )
        if height != width:
            transform.crop_size = [height, width]
        values = transform(picture) * 255
        whole = values.round()
        assert (values - whole).abs().max() < 1e-4
    else:
        whole = create_transform(
            (3, height, width), interpolation=interpolation, crop_pct=float(number), normalize=False
        )(picture)
    return whole.to(torch.uint8).permute(1, 2, 0).numpy()


def fnv(data):
    hash = 0xCBF29CE484222325
    for byte in data:
        hash = ((hash ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{hash:016x}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the folder that scripts/kitchenware.sh prints")
    images = parser.parse_args().package / "datasets/kitchenware-data/images"

    photographs = sorted(images.glob("*.jpg"))[:PHOTOGRAPHS]
    pictures = [({"source": [w, h]}, Image.fromarray(level(w, h))) for w, h in SOURCES]
    pictures += [({"file": path.name}, Image.open(path).convert("RGB")) for path in photographs]
    crops = []
    for number, (name, picture) in enumerate(pictures):
        # Of the photographs each preset takes two.
        for index, (preset, height, width) in enumerate(CROPS):
            if "file" in name and (number - len(SOURCES)) % 3 != index % 3:
                continue
            array = crop(preset, picture, height, width)
            assert array.shape == (height, width, 3), (preset, array.shape)
            crops.append({**name, "preset": preset, "height": height, "width": width, "fnv1a": fnv(array.tobytes())})

    versions = {"pillow": PIL.__version__, "torchvision": torchvision.__version__.split("+")[0]}
    versions["timm"] = timm.__version__
    head = {"made_by": "scripts/golden/golden_crops.py", **versions}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    lines.append(' "crops": [\n  ' + ",\n  ".join(map(json.dumps, crops)) + "\n ]")
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(crops)} crops, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""What Pillow makes of two small pictures: prints augment.json.

python augment.py > augment.json    (Pillow 13.0.0, NumPy)
"""

import hashlib
import json

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

WIDTH, HEIGHT = 32, 20


def picture(name):
    x, y, c = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT), np.arange(3), indexing="xy")
    levels = (x * 37 + y * 91 + c * 53 + x * y * 7) % 256
    if name == "dull":
        levels = levels // 4 + 60 + 10 * c
    return Image.fromarray(levels.astype(np.uint8))


def hue(image, share):
    """torchvision's `adjust_hue` (`_functional_pil.py`)."""
    h, s, v = image.convert("HSV").split()
    turned = np.array(h) + np.int32(share * 255).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned, "L"), s, v)).convert("RGB")


def affine(image, numbers):
    grey = (128, 128, 128)
    return image.transform(image.size, Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR, fillcolor=grey)


OPERATIONS = {
    "brightness": lambda image, value: ImageEnhance.Brightness(image).enhance(value),
    "contrast": lambda image, value: ImageEnhance.Contrast(image).enhance(value),
    "color": lambda image, value: ImageEnhance.Color(image).enhance(value),
    "sharpness": lambda image, value: ImageEnhance.Sharpness(image).enhance(value),
    "posterize": lambda image, value: ImageOps.posterize(image, int(value)),
    "solarize": lambda image, value: ImageOps.solarize(image, value),
    "autocontrast": lambda image, value: ImageOps.autocontrast(image),
    "equalize": lambda image, value: ImageOps.equalize(image),
    "hue": hue,
    "rotation": lambda image, value: image.rotate(value, Image.Resampling.BILINEAR, fillcolor=(128, 128, 128)),
    "shear_x": lambda image, value: affine(image, (1, value, 0, 0, 1, 0)),
    "shear_y": lambda image, value: affine(image, (1, 0, 0, value, 1, 0)),
    "translation": lambda image, value: affine(image, (1, 0, value, 0, 1, -value)),
}

VALUES = {
    **dict.fromkeys(["brightness", "contrast", "color", "sharpness"], [0.0, 0.37, 1.0, 1.9]),
    "posterize": [1, 4, 7, 8],
    "solarize": [0.0, 99.5, 128.0, 256.0],
    "hue": [-0.5, -0.13, 0.02, 0.5],
    "rotation": [12.5, -30.0],
    "shear_x": [0.3, -0.11],
    "shear_y": [0.3, -0.11],
    "translation": [3.0, -2.5],
}

goldens = []
for name, operation in OPERATIONS.items():
    for value in VALUES.get(name, [0.0]):
        for source in ["bright", "dull"]:
            levels = operation(picture(source), value).tobytes()
            goldens.append(
                {
                    "operation": name,
                    "value": float(value),
                    "picture": source,
                    "first": list(levels[99:111]),
                    "sha256": hashlib.sha256(levels).hexdigest(),
                }
            )
print("[" + ",\n".join(json.dumps(golden) for golden in goldens) + "]")

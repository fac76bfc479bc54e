"""Makes the golden files of crates/xception-model/tests/golden/picture, with which tests/picture compares our code.

    python scripts/golden/golden_pictures.py

Needs Pillow, TensorFlow, Keras and numpy; the versions used last stand in the manifest. torchvision and timm are not
needed: their size arithmetic is repeated here, with the place in their source, on top of Pillow's resize.

Source pictures for the presets are made by the formula `level`, which tests/picture repeats, so only results are
stored: small ones as PPM (whole numbers) or little-endian f32, large ones as an FNV-1a hash.
"""

import io
import json
import math
import os
import struct
import zlib
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import PIL
import tensorflow as tf
from PIL import Image, ImageOps

FOLDER = Path(__file__).resolve().parents[2] / "crates/xception-model/tests/golden/picture"

# source width, source height, target height, target width
SMALL = [
    (61, 47, 17, 23),  # down, not square
    (61, 47, 19, 19),  # down, square
    (40, 83, 19, 19),  # an upright source
    (8, 6, 17, 23),  # up; sensitive to how nearest adds up its step
    (23, 17, 17, 23),  # the size it has
    (400, 3, 13, 13),  # extreme ratio
    (3, 400, 11, 7),
    (1, 1, 5, 4),
]
LARGE = [
    (1000, 750, 299, 299),
    (750, 1000, 299, 299),
    (449, 1000, 299, 299),  # tall enough for Pillow 13 to combine rows before columns
    (641, 480, 150, 224),
    (200, 130, 331, 299),
]


def level(width, height):
    """[height, width, 3] u8: three gradients under noise, wrapping at 256 so that there are hard edges."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    h = (x * 374761393 + y * 668265263 + c * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((x * (c + 1) + y * (3 - c) + ((h >> 16) & 63)) & 255).astype(np.uint8)


def smooth(width, height):
    """As `level` with less noise: what JPEG and lossy WebP are made for."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    wave = 60 * np.sin(x / (3.0 + c)) + 50 * np.cos(y / (4.0 - c))
    return np.clip(128 + wave + (level(width, height) & 15), 0, 255).astype(np.uint8)


def timm(picture, height, width):
    """timm/data/transforms_factory.py, transforms_imagenet_eval, with legacy_xception's crop_pct and bicubic."""
    scale = tuple(math.floor(x / 0.8975) for x in (height, width))
    from_width, from_height = picture.size
    if scale[0] == scale[1]:
        # torchvision/transforms/functional.py, _compute_resized_output_size
        short, long = (from_width, from_height) if from_width <= from_height else (from_height, from_width)
        new_short, new_long = scale[0], int(scale[0] * long / short)
        size = (new_short, new_long) if from_width <= from_height else (new_long, new_short)
    else:
        # timm/data/transforms.py, ResizeKeepRatio with longest=0
        ratio = min(from_height / scale[0], from_width / scale[1])
        size = (round(from_width / ratio), round(from_height / ratio))
    picture = picture.resize(size, Image.BICUBIC)
    # torchvision/transforms/functional.py, center_crop
    top = int(round((picture.height - height) / 2.0))
    left = int(round((picture.width - width) / 2.0))
    return picture.crop((left, top, left + width, top + height))


def load_img(picture, height, width, interpolation):
    """keras.utils.load_img(keep_aspect_ratio=True)"""
    file = io.BytesIO()
    picture.save(file, "PNG")
    file.seek(0)
    return np.asarray(
        keras.utils.load_img(
            file, target_size=(height, width), interpolation=interpolation, keep_aspect_ratio=True
        )
    )


def smart_resize(picture, height, width):
    """keras.utils.image_dataset_from_directory(crop_to_aspect_ratio=True), whose sizes are tensors."""
    from keras.src.backend import tensorflow as tf_backend

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)], reduce_retracing=True)
    def resize(array):
        return keras.preprocessing.image.smart_resize(
            array, (height, width), interpolation="bilinear", data_format="channels_last", backend_module=tf_backend
        )

    return resize(np.asarray(picture)).numpy()


PRESETS = {
    "keras-nearest": lambda p, h, w: np.asarray(p.resize((w, h), Image.NEAREST)),
    "keras-bilinear": lambda p, h, w: tf.image.resize(
        np.asarray(p), (h, w), method="bilinear", antialias=False
    ).numpy(),
    "pil-bilinear": lambda p, h, w: np.asarray(p.resize((w, h), Image.BILINEAR)),
    "pil-bicubic": lambda p, h, w: np.asarray(p.resize((w, h))),
    "pil-lanczos": lambda p, h, w: np.asarray(p.resize((w, h), Image.LANCZOS)),
    "pil-box": lambda p, h, w: np.asarray(p.resize((w, h), Image.BOX)),
    "pil-hamming": lambda p, h, w: np.asarray(p.resize((w, h), Image.HAMMING)),
    "keras-nearest-crop": lambda p, h, w: load_img(p, h, w, "nearest"),
    "keras-bilinear-crop": smart_resize,
    "pil-bilinear-crop": lambda p, h, w: load_img(p, h, w, "bilinear"),
    "pil-bicubic-crop": lambda p, h, w: load_img(p, h, w, "bicubic"),
    "pil-lanczos-crop": lambda p, h, w: load_img(p, h, w, "lanczos"),
    "timm-bicubic": lambda p, h, w: np.asarray(timm(p, h, w)),
}


def nearest_sensitive(source, target):
    """Whether adding the step up takes other samples than multiplying it out."""
    step = source / target
    position, taken = step * 0.5, []
    for _ in range(target):
        taken.append(int(position))
        position += step
    return taken != [int((i + 0.5) * step) for i in range(target)]


def write_ppm(path, array):
    height, width, _ = array.shape
    path.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + array.astype(np.uint8).tobytes())


def fnv(data):
    hash = 0xCBF29CE484222325
    for byte in data:
        hash = ((hash ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{hash:016x}"


def lines(manifest):
    """JSON, an entry of a list on a line."""
    lines = lambda values: "[\n  " + ",\n  ".join(map(json.dumps, values)) + "\n ]"
    item = lambda value: lines(value) if isinstance(value, list) else json.dumps(value)
    return "{\n " + ",\n ".join(f"{json.dumps(key)}: {item(value)}" for key, value in manifest.items()) + "\n}\n"


def encode(picture, format, **options):
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png16(array, color_type):
    """A 16-bit PNG; Pillow cannot write those with more than one channel. [height, width, channels] u16."""
    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(array, bits, sample_format, photometric):
    """An uncompressed little-endian TIFF of one strip; for the kinds that Pillow cannot write."""
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    data = array.tobytes()
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, None),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, None),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
        (339, 3, channels, None),
    ]
    after = 8 + 2 + 12 * len(entries) + 4
    shorts = lambda value: struct.pack(f"<{channels}H", *[value] * channels)
    places = {258: after, 339: after + 2 * channels, 273: after + 4 * channels}
    body = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for tag, kind, count, value in entries:
        if tag in (258, 339) and channels <= 2:
            inline = shorts(bits if tag == 258 else sample_format).ljust(4, b"\0")
            body += struct.pack("<HHI", tag, kind, count) + inline
        else:
            body += struct.pack("<HHII", tag, kind, count, places[tag] if value is None else value)
    return body + struct.pack("<I", 0) + shorts(bits) + shorts(sample_format) + data


def packed_palette(picture, bits):
    """A palette TIFF with less than eight bits for a pixel, which Pillow reads but does not write."""
    width, height = picture.size
    rows = np.asarray(picture)
    binary = ((rows[:, :, None] >> np.arange(bits)[::-1]) & 1).reshape(height, width * bits)
    data = np.packbits(binary.astype(np.uint8), axis=1).tobytes()
    colours = np.zeros((1 << bits, 3), np.uint16)
    palette = np.asarray(picture.getpalette(), np.uint16).reshape(-1, 3)[: 1 << bits]
    colours[: len(palette)] = palette * 257
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, bits),
        (259, 3, 1, 1),
        (262, 3, 1, 3),
        (273, 4, 1, None),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
        (320, 3, 3 << bits, None),
    ]
    after = 8 + 2 + 12 * len(entries) + 4
    places = {320: after, 273: after + 6 * (1 << bits)}
    body = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack("<HHII", tag, kind, count, places[tag] if value is None else value)
    return body + struct.pack("<I", 0) + colours.T.astype("<u2").tobytes() + data


def png_interlaced(array):
    """An interlaced RGB PNG, which Pillow reads but does not write."""
    height, width, _ = array.shape
    rows = b""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    for column, row, across, down in passes:
        part = array[row::down, column::across]
        if part.size:
            rows += b"".join(b"\0" + line.tobytes() for line in part)
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wrong_checksum(data):
    """A PNG whose pixels carry a wrong checksum, which Pillow does not look at."""
    at = data.index(b"IDAT")
    end = at + 4 + int.from_bytes(data[at - 4 : at], "big")
    return data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]


def on_white(picture):
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, (255, 255, 255, 255)), picture).convert("RGB")


def fixtures():
    """name -> bytes. What Pillow reads from them is the golden picture."""
    width, height = 21, 13
    rgb = Image.fromarray(level(width, height))
    photo = Image.fromarray(smooth(29, 19))
    alpha = Image.fromarray(level(width, height)[:, :, 2].copy())
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    grey = rgb.convert("L")
    grey_alpha = Image.merge("LA", (grey, alpha))
    palette = rgb.quantize(16)
    deep = (level(width, height).astype(np.uint16) << 8) | (255 - level(width, height))
    deep_alpha = np.concatenate([deep, deep[:, :, :1]], axis=2)
    second = Image.fromarray(255 - level(width, height))
    cmyk = Image.fromarray(np.concatenate([smooth(29, 19), smooth(29, 19)[::-1, :, :1]], axis=2), "CMYK")

    files = {
        "jpeg-444.jpg": encode(photo, "JPEG", quality=90, subsampling="4:4:4"),
        "jpeg-422.jpg": encode(photo, "JPEG", quality=80, subsampling="4:2:2"),
        "jpeg-420.jpg": encode(photo, "JPEG", quality=75, subsampling="4:2:0"),
        "jpeg-420-coarse.jpg": encode(photo, "JPEG", quality=12, subsampling="4:2:0"),
        "jpeg-420-restart.jpg": encode(photo, "JPEG", quality=75, subsampling="4:2:0", restart_marker_blocks=2),
        "jpeg-420-progressive.jpg": encode(photo, "JPEG", quality=75, subsampling="4:2:0", progressive=True),
        "jpeg-rgb.jpg": encode(photo, "JPEG", quality=85, keep_rgb=True),
        "jpeg-grey.jpg": encode(photo.convert("L"), "JPEG", quality=80),
        "jpeg-cmyk.jpg": encode(cmyk, "JPEG", quality=85),
        "png-rgb.png": encode(rgb, "PNG"),
        "png-rgba.png": encode(rgba, "PNG"),
        "png-grey.png": encode(grey, "PNG"),
        "png-grey-1bit.png": encode(grey.convert("1"), "PNG"),
        "png-grey-alpha.png": encode(grey_alpha, "PNG"),
        "png-palette.png": encode(palette, "PNG"),
        "png-palette-transparent.png": encode(palette, "PNG", transparency=3),
        "png-grey-16bit.png": png16(deep[:, :, :1], 0),
        "png-rgb-16bit.png": png16(deep, 2),
        "png-rgba-16bit.png": png16(deep_alpha, 6),
        "png-orientation-6.png": encode(rgb, "PNG", exif=exif(6)),
        "webp-lossless.webp": encode(rgb, "WEBP", lossless=True),
        "webp-lossless-alpha.webp": encode(rgba, "WEBP", lossless=True, exact=True),
        "webp-lossy.webp": encode(photo, "WEBP", quality=80),
        "webp-animated.webp": encode(rgb, "WEBP", lossless=True, save_all=True, append_images=[second]),
        "webp-orientation-6.webp": encode(rgb, "WEBP", lossless=True, exif=exif(6)),
        "gif-still.gif": encode(palette, "GIF"),
        "gif-animated.gif": encode(palette, "GIF", save_all=True, append_images=[second.quantize(16)]),
        "gif-transparent.gif": encode(palette, "GIF", transparency=3),
        "bmp-rgb.bmp": encode(rgb, "BMP"),
        "bmp-palette.bmp": encode(palette, "BMP"),
        "tiff-rgb.tif": encode(rgb, "TIFF"),
        "tiff-rgb-lzw.tif": encode(rgb, "TIFF", compression="tiff_lzw"),
        "tiff-grey-16bit.tif": tiff(deep[:, :, 0].astype("<u2"), 16, 1, 1),
        "tiff-cmyk.tif": encode(Image.fromarray(np.asarray(rgba), "CMYK"), "TIFF"),
        "tiff-pages.tif": encode(rgb, "TIFF", save_all=True, append_images=[second]),
        "tiff-orientation-6.tif": encode(rgb, "TIFF", exif=exif(6)),
        "tiff-palette.tif": encode(palette, "TIFF"),
        "tiff-palette-4bit.tif": packed_palette(rgb.quantize(16), 4),
        "tiff-palette-1bit.tif": packed_palette(rgb.quantize(2), 1),
        "tiff-big.tif": encode(rgb, "TIFF", big_tiff=True),
        "tiff-jpeg.tif": encode(photo, "TIFF", compression="jpeg", quality=85),
        "tiff-jpeg-grey.tif": encode(photo.convert("L"), "TIFF", compression="jpeg", quality=85),
        "tiff-jpeg-strips.tif": encode(photo, "TIFF", compression="jpeg", quality=85, strip_size=29 * 3 * 8),
        "tiff-jpeg-ycbcr.tif": encode(photo.convert("YCbCr"), "TIFF", compression="jpeg", quality=85),
        "png-no-end.png": encode(rgb, "PNG")[:-12],
        "png-interlaced-no-end.png": png_interlaced(level(width, height))[:-12],
        "png-wrong-checksum.png": wrong_checksum(encode(rgb, "PNG")),
        "png-12bit-grey.png": png16(np.minimum(deep >> 2, 4095)[:, :, :1], 0),
        "tiff-12bit-grey.tif": tiff(np.minimum(deep >> 2, 4095)[:, :, 0].astype("<u2"), 16, 1, 1),
    }
    small = Image.fromarray(smooth(11, 7))
    for orientation in range(1, 9):
        files[f"jpeg-orientation-{orientation}.jpg"] = encode(small, "JPEG", quality=90, exif=exif(orientation))
    return files


# Files that are also read as Pillow and Keras read them, without turning, alpha dropped and 16-bit grey clipped.
CONVERTED = [
    "jpeg-orientation-6.jpg",
    "png-orientation-6.png",
    "png-rgba.png",
    "png-grey-alpha.png",
    "png-palette-transparent.png",
    "png-rgba-16bit.png",
    "png-rgb-16bit.png",
    "png-grey-16bit.png",
    "png-12bit-grey.png",
    "tiff-grey-16bit.tif",
    "webp-lossless-alpha.webp",
    "gif-transparent.gif",
]


def reference(data):
    """Pillow's pixels, upright and on white."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        # `convert("RGB")` clips 16-bit grey at 255 instead of scaling it; its colour pictures lose the lower byte.
        grey = (np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        return np.asarray(on_white(picture))
    return np.asarray(picture.convert("RGB"))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.iterdir():
        # The damaged files are scripts/fixtures/damaged_pictures.py's, the folder tiff golden_tiff.py's.
        if path.is_file():
            path.unlink()
    assert any(nearest_sensitive(w, tw) or nearest_sensitive(h, th) for w, h, th, tw in SMALL)

    presets, digests, pictures = [], [], []
    for width, height, to_height, to_width in SMALL + LARGE:
        source = Image.fromarray(level(width, height))
        for preset, resize in PRESETS.items():
            array = resize(source, to_height, to_width)
            assert array.shape == (to_height, to_width, 3), (preset, array.shape)
            entry = {"preset": preset, "source": [width, height], "height": to_height, "width": to_width}
            if (width, height, to_height, to_width) in LARGE:
                digests.append(entry | {"fnv1a": fnv(array.astype("<f4").tobytes())})
                continue
            stem = f"{preset}-from-{width}x{height}-to-{to_width}x{to_height}"
            if preset.startswith("keras-bilinear"):
                entry["file"] = stem + ".f32"
                (FOLDER / entry["file"]).write_bytes(array.astype("<f4").tobytes())
            else:
                entry["file"] = stem + ".ppm"
                write_ppm(FOLDER / entry["file"], array)
            presets.append(entry)

    for name, data in fixtures().items():
        (FOLDER / name).write_bytes(data)
        expected = name.rsplit(".", 1)[0] + ".pillow.ppm"
        write_ppm(FOLDER / expected, reference(data))
        pictures.append({"file": name, "preset": "keras-nearest", "expected": expected})
        if name.startswith("jpeg-4") or name == "jpeg-grey.jpg":
            expected = name.rsplit(".", 1)[0] + ".tensorflow.ppm"
            write_ppm(FOLDER / expected, tf.io.decode_image(data, channels=3).numpy())
            pictures.append({"file": name, "preset": "keras-bilinear", "expected": expected})
    black = bytearray((FOLDER / "jpeg-cmyk.jpg").read_bytes())
    black[black.index(b"\xff\xc0") + 10 + 3 * 3 + 1] = 0x13  # black with three rows of blocks in a unit
    write_ppm(FOLDER / "jpeg-cmyk-black-thrice.pillow.ppm", reference(bytes(black)))
    converted = []
    for name in CONVERTED:
        expected = name.rsplit(".", 1)[0] + ".converted.ppm"
        picture = Image.open(FOLDER / name)
        picture.load()
        write_ppm(FOLDER / expected, np.asarray(picture.convert("RGB")))
        converted.append({"file": name, "expected": expected})

    manifest = {
        "made_by": "scripts/golden/golden_pictures.py",
        "pillow": PIL.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "presets": presets,
        "digests": digests,
        "pictures": pictures,
        "converted": converted,
    }
    (FOLDER / "manifest.json").write_text(lines(manifest))
    total = sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file())
    print(f"{len(list(FOLDER.iterdir()))} files, {total} bytes")


if __name__ == "__main__":
    main()

"""Makes tiny JPEG 2000 files, undamaged and damaged, and what Pillow reads from them, in
tests/golden/picture/jpeg2000 of xception-model.

    python scripts/golden/golden_jpeg2000.py

Needs Pillow and numpy (the versions used last stand in requirements.txt), and `opj_compress` of OpenJPEG (Debian's
libopenjp2-tools) for the kinds of files that Pillow does not write.
"""

import io
import random
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from golden_folder import empty, write_manifest, write_ppm
from PIL import Image, ImageFilter

FOLDER = Path(__file__).resolve().parents[2] / "crates/xception-model/tests/golden/picture/jpeg2000"
WIDTH, HEIGHT = 33, 21


def photo(channels, seed=7):
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, channels), dtype=np.uint8)
    blurred = [Image.fromarray(noise[..., index]).filter(ImageFilter.GaussianBlur(1.2)) for index in range(channels)]
    return np.stack([np.clip(np.asarray(plane) * 2.0 - 128, 0, 255).astype(np.uint8) for plane in blurred], axis=-1)


def picture(mode):
    channels = photo(len(Image.new(mode, (1, 1)).getbands()))
    return Image.fromarray(channels[..., 0] if channels.shape[-1] == 1 else channels, mode)


def saved(source, **options):
    out = io.BytesIO()
    source.save(out, "JPEG2000", **options)
    return out.getvalue()


def compressed(channels, layout, *options):
    """A file by OpenJPEG's own program, from planes of samples."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.raw"
        raw.write_bytes(b"".join(plane.tobytes() for plane in channels))
        out = Path(folder) / "out.jp2"
        command = ["opj_compress", "-i", raw, "-o", out, "-F", layout, "-n", "3", *options]
        subprocess.run(command, check=True, capture_output=True)
        return out.read_bytes()


def box(name, content):
    return struct.pack(">I", 8 + len(content)) + name + content


def with_palette(channels):
    """A JP2 file of places in a palette, made of one of grey levels."""
    grey = saved(Image.fromarray(photo(1)[..., 0]))
    colours = np.random.default_rng(3).permutation(256 * 40)[:256]
    entries = b"".join(struct.pack(">I", int(colour) * 1583)[4 - channels :] for colour in colours)
    palette = struct.pack(">HB", 256, channels) + b"\x07" * channels + entries
    mapping = b"".join(struct.pack(">HBB", 0, 1, index) for index in range(channels))
    start = grey.index(b"jp2h") - 4
    length = struct.unpack(">I", grey[start : start + 4])[0]
    header = grey[start + 8 : start + length].replace(struct.pack(">I", 17), struct.pack(">I", 16))
    header = box(b"jp2h", header + box(b"pclr", palette) + box(b"cmap", mapping))
    return grey[:start] + header + grey[start + length :]


def half(plane):
    return plane[::2, ::2]


def files():
    """name -> bytes of undamaged files."""
    rgb, grey = picture("RGB"), picture("L")
    deep = Image.fromarray(photo(1)[..., 0].astype(np.uint16) * 257)
    planes = photo(3).transpose(2, 0, 1)
    even = planes[:, :20, :32]
    wide = (planes.astype(np.uint16) * 16)[:, :10].astype(">u2")
    lossy = {"irreversible": True}
    return {
        "rgb": saved(rgb),
        "rgb-codestream": saved(rgb, no_jp2=True, mct=1),
        "rgb-lossy": saved(rgb, **lossy, mct=1),
        "rgb-lossy-plain": saved(rgb, **lossy, no_jp2=True),
        "rgb-coarse": saved(rgb, **lossy, mct=1, quality_layers=[40]),
        "rgb-layers": saved(rgb, **lossy, mct=1, quality_layers=[60, 20, 5], progression="RPCL"),
        "rgb-cut-layers": saved(rgb, mct=1, quality_layers=[12, 6]),
        "rgb-tiles": saved(rgb, **lossy, mct=1, tile_size=(16, 13), num_resolutions=3, progression="PCRL"),
        "rgb-offset": saved(rgb, **lossy, mct=1, offset=(5, 3), tile_offset=(2, 1), tile_size=(19, 17)),
        "rgb-single": saved(rgb, **lossy, num_resolutions=1),
        "rgb-blocks": saved(rgb, **lossy, codeblock_size=(4, 8), precinct_size=(32, 32), progression="CPRL"),
        "rgba": saved(picture("RGBA"), mct=1),
        "rgba-lossy": saved(picture("RGBA"), **lossy, mct=1),
        "grey": saved(grey),
        "grey-lossy": saved(grey, **lossy),
        "grey-signed": saved(grey, **lossy, signed=True),
        "grey-alpha": saved(picture("LA"), **lossy),
        "grey-16": saved(deep),
        "grey-16-lossy": saved(deep, **lossy, num_resolutions=3),
        "inks": saved(picture("CMYK"), **lossy),
        "ycbcr": saved(picture("YCbCr"), **lossy),
        "palette": with_palette(3),
        "palette-alpha": with_palette(4),
        "ycbcr-420": compressed([even[0], half(even[1]), half(even[2])], "32,20,3,8,u@1x1:2x2:2x2", "-I", "-r", "4"),
        "rgb-12": compressed(wide, "33,10,3,12,u", "-I", "-mct", "1"),
        "rgb-bypass": compressed(planes, "33,21,3,8,u", "-M", "63", "-SOP", "-EPH", "-I"),
        "rgb-parts": compressed(planes, "33,21,3,8,u", "-TP", "L", "-r", "8,2", "-I", "-t", "20,20"),
    }


def misread():
    """name -> bytes of files that Pillow reads to other pixels than are in them, and the pixels."""
    planes = photo(3).transpose(2, 0, 1)
    levels = np.minimum(planes.astype(np.uint32) * 300, 65_535)[:, :10].astype(">u2")
    bytes_ = np.minimum((levels.astype(np.uint32) + 128) >> 8, 255).astype(np.uint8)
    luma, *chroma = planes[:, :20, :32]
    chroma = [half(plane) for plane in chroma]
    spread = [np.repeat(np.repeat(plane, 2, 0), 2, 1) for plane in chroma]
    ycbcr = Image.fromarray(np.stack([luma, *spread], axis=-1), "YCbCr")
    tiles = compressed([luma, *chroma], "32,20,3,8,u@1x1:2x2:2x2", "-t", "15,13")
    return {
        "rgb-16": (compressed(levels, "33,10,3,16,u"), bytes_.transpose(1, 2, 0)),
        "ycbcr-420-tiles": (tiles, np.asarray(ycbcr.convert("RGB"))),
    }


def damaged():
    """name -> bytes of files with another bit, which Pillow reads to other pixels."""
    dice = random.Random(11)
    found = {}
    for name, data in list(files().items())[::3]:
        first = data.index(b"\xff\x93") + 2
        for _ in range(60):
            bytes_ = bytearray(data)
            bytes_[dice.randrange(first, len(data) - 2)] ^= 1 << dice.randrange(8)
            try:
                pixels = read(bytes(bytes_))
            except (OSError, SyntaxError):
                continue
            if not np.array_equal(pixels, read(data)):
                found[name + "-damaged"] = bytes(bytes_)
                break
    return found


def read(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def main():
    empty(FOLDER)
    pixels = {name: (data, read(data)) for name, data in (files() | damaged()).items()}
    for name, (data, array) in (pixels | misread()).items():
        (FOLDER / f"{name}.jp2").write_bytes(data)
        write_ppm(FOLDER / f"{name}.ppm", array)
    for name, (data, array) in misread().items():
        assert not np.array_equal(read(data), array), name
    write_manifest(FOLDER, "golden_jpeg2000", read=files(), misread=misread(), damaged=damaged())


if __name__ == "__main__":
    main()

"""Makes tiny textures (DDS, BLP, FTEX) and what Pillow's `convert("RGB")` reads from them, in
tests/golden/picture/textures of xception-model.

    python scripts/golden/golden_textures.py

Needs Pillow and numpy; the versions used last stand in requirements.txt.
"""

import json
import random
import struct
from pathlib import Path

import numpy as np
from golden_folder import empty, write_manifest, write_ppm
from golden_formats import HEIGHT, WIDTH, level
from golden_rare_formats import on_white, opened, readable_cuts, saved
from PIL import BlpImagePlugin, Image

FOLDER = Path(__file__).resolve().parents[2] / "crates/xception-model/tests/golden/picture/textures"

# Bytes of a block.
SMALL, LARGE = 8, 16


def blocks(length, width=WIDTH, height=HEIGHT, seed=0, first=None):
    """Blocks of any bytes. `first`: the first byte of each block in turn, or nothing."""
    count = ((width + 3) // 4) * ((height + 3) // 4)
    made = bytearray(random.Random(seed).randbytes(length * count))
    for index in range(count if first else 0):
        made[index * length] = first[index % len(first)]
    return bytes(made)


def dds(flags, data, name=bytes(4), bits=0, masks=(0, 0, 0, 0), number=None, size=(WIDTH, HEIGHT), header=124):
    head = b"DDS " + struct.pack("<7I", header, 0x1007, size[1], size[0], 0, 0, 1) + bytes(44)
    head += struct.pack("<II4sI4I", 32, flags, name, bits, *masks) + struct.pack("<5I", 0x1000, 0, 0, 0, 0)
    return head + (b"" if number is None else struct.pack("<5I", number, 3, 0, 1, 0)) + data


def masked(bits, masks, has_alpha=False):
    data = random.Random(bits).randbytes(WIDTH * HEIGHT * (bits // 8))
    return dds(0x40 | has_alpha, data, bits=bits, masks=masks)


def named(name, length):
    return dds(4, blocks(length), name)


def numbered(number, length, **options):
    size = options.pop("size", (WIDTH, HEIGHT))
    return dds(4, blocks(length, *size, **{"seed": number} | options), b"DX10", number=number, size=size)


def dds_files():
    # The first bits of a block tell its mode.
    modes_of_bc6 = [0, 1, *(2 | i << 2 for i in range(8)), *(3 | i << 2 for i in range(5))]
    modes_of_bc6 = [mode | (i * 5 & 7) << 5 for i, mode in enumerate(modes_of_bc6)]
    modes_of_bc7 = [(0x155 << i | 1 << i) & 0xFF for i in range(8)] + [0]
    many = {"size": (20, 12)}
    return {
        "rgb": masked(24, (0xFF, 0xFF00, 0xFF0000, 0)),
        "bgr": masked(32, (0xFF0000, 0xFF00, 0xFF, 0)),
        "bgra": masked(32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), True),
        "332": masked(8, (0xE0, 0x1C, 3, 0)),
        "565": masked(16, (0xF800, 0x7E0, 0x1F, 0)),
        "1555": masked(16, (0x7C00, 0x3E0, 0x1F, 0x8000), True),
        "4444": masked(16, (0xF00, 0xF0, 0xF, 0xF000), True),
        "10-bits": masked(32, (0x3FF, 0xFFC00, 0x3FF00000, 0xC0000000), True),
        "red-and-green": masked(16, (0xFF, 0xFF00, 0, 0)),
        "five-bytes": masked(40, (0xFF00, 0xFF0000, 0xFF000000, 0)),
        "mask-with-gaps": masked(32, (0xF0F0, 0xFFFFFFFF, 0x80000001, 0)),
        "grey": dds(0x20000, level(1).tobytes(), bits=8, masks=(255, 0, 0, 0)),
        "grey-transparent": dds(0x20001, level(2).tobytes(), bits=16, masks=(255, 0, 0, 0xFF00)),
        "palette": dds(0x20, random.Random(7).randbytes(1024) + level(1).tobytes(), bits=8),
        "dxt1": named(b"DXT1", SMALL),
        "dxt3": named(b"DXT3", LARGE),
        "dxt5": named(b"DXT5", LARGE),
        "ati1": named(b"ATI1", SMALL),
        "bc4u": named(b"BC4U", SMALL),
        "ati2": named(b"ATI2", LARGE),
        "bc5s": named(b"BC5S", LARGE),
        "dx10-rgba": dds(4, level(4).tobytes(), b"DX10", number=28),
        "bc1": numbered(71, SMALL, size=(8, 12)),
        "bc2": numbered(74, LARGE),
        "bc3": numbered(77, LARGE, size=(8, 4)),
        "bc4": numbered(80, SMALL, size=(4, 4)),
        "bc5": numbered(83, LARGE, size=(1, 1)),
        "bc5-signed": numbered(84, LARGE, size=(5, 2)),
        "bc6": numbered(95, LARGE, first=modes_of_bc6, **many),
        "bc6-signed": numbered(96, LARGE, first=modes_of_bc6, **many),
        "bc7": numbered(98, LARGE, first=modes_of_bc7, **many),
        "bc7-srgb": numbered(99, LARGE, seed=5),
    }


def blp1(compression, encoding, data, alpha=0, at=0, length=0, size=(WIDTH, HEIGHT)):
    head = b"BLP1" + struct.pack("<iIIIii", compression, alpha, *size, encoding, 0)
    return head + struct.pack("<I60xI60x", at, length) + data


def blp2(encoding, data, alpha=0, kind=0, length=0, size=(WIDTH, HEIGHT), compression=1, at=148 + 1024):
    head = b"BLP2" + struct.pack("<ibbbbII", compression, encoding, alpha, kind, 0, *size)
    return head + struct.pack("<I60xI60x", at, length) + random.Random(3).randbytes(1024) + data


def blp1_jpeg(picture, common=300, gap=5, **options):
    file = saved(picture, "JPEG", **options)
    data = struct.pack("<I", common) + file[:common] + bytes(gap) + file[common:]
    return blp1(0, 5, data, 0, 156 + 4 + common + gap, len(file) - common, picture.size)


def blp_files():
    places = level(1).tobytes()
    palette = random.Random(2).randbytes(1024)
    indexed = lambda encoding, **options: blp1(1, encoding, palette + places, length=len(places), **options)
    colours = Image.fromarray(level(3))
    inks = Image.fromarray(level(4), "CMYK")
    size = (12, 7)
    textures = {
        "1-palette": indexed(5),
        "1-palette-transparent": indexed(4, alpha=8),
        "1-jpeg": blp1_jpeg(colours),
        "1-jpeg-full-colours": blp1_jpeg(colours, quality=95, subsampling=0),
        "1-jpeg-grey": blp1_jpeg(Image.fromarray(level(1)[:, :, 0])),
        "1-jpeg-inks": blp1_jpeg(inks, common=0, gap=0),
        "2-palette": blp2(1, places, length=len(places)),
        "2-palette-transparent": blp2(1, places, alpha=8, length=len(places)),
        "2-dxt1": blp2(2, blocks(SMALL, *size), size=size),
        "2-dxt1-transparent": blp2(2, blocks(SMALL, *size), alpha=1, size=size),
        "2-dxt3": blp2(2, blocks(LARGE, *size), alpha=8, kind=1, size=size),
        "2-dxt5": blp2(2, blocks(LARGE, *size), alpha=8, kind=7, size=size),
    }
    return textures


def ftex(kind, data, length=None, count=1):
    head = b"FTEX" + struct.pack("<6i", 0, WIDTH, HEIGHT, 1, count, kind)
    return head + struct.pack("<i4xi", 36, len(data) if length is None else length) + data


def ftc_files():
    return {"dxt1": ftex(0, blocks(SMALL)), "dxt1-rest": ftex(0, blocks(SMALL), -1), "rgb": ftex(1, level(3).tobytes())}


def files():
    """name -> bytes of files that Pillow reads."""
    formats = {"dds": dds_files(), "blp": blp_files(), "ftc": ftc_files()}
    return {f"{format_}-{name}": data for format_, named in formats.items() for name, data in named.items()}


def refused():
    """name -> bytes of files that Pillow refuses."""
    places = level(1).tobytes()
    return {
        "dds-long-header": dds(0x20000, places, bits=8, header=128),
        "dds-no-kind": dds(0, places, bits=8),
        "dds-no-bits": dds(0x40, places, masks=(0xFF, 0xFF, 0xFF, 0)),
        "dds-grey-of-16-bits": dds(0x20000, places * 2, bits=16),
        "dds-bc4s": named(b"BC4S", SMALL),
        "dds-dxt2": named(b"DXT2", LARGE),
        "dds-bc1-srgb": numbered(72, SMALL),
        "dds-half-floats": numbered(10, LARGE),
        "blp-1-plain": blp1(1, 3, bytes(1024) + places, length=len(places)),
        "blp-2-jpeg": blp2(0, blp1_jpeg(Image.fromarray(level(3))), compression=0),
        "blp-2-bgra": blp2(3, level(4).tobytes(), length=4 * len(places)),
        "blp-2-blocks-of-kind-2": blp2(2, blocks(LARGE), kind=2),
        "ftc-two-formats": ftex(0, blocks(SMALL), count=2),
        "ftc-unknown-format": ftex(2, blocks(SMALL)),
        "ftc-short": ftex(0, blocks(SMALL), 40),
    }


def misread():
    """name -> bytes and rows of files that Pillow reads to noise."""

    def rows(decode, length, channels, data, width):
        """Rows of three blocks, cut to the width."""
        rows = [row for at in range(0, len(data), 3 * length) for row in decode(data[at : at + 3 * length])]
        return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 12, channels)[:HEIGHT, :width, :3]

    small, large = blocks(SMALL), blocks(LARGE, 12)
    return {
        "blp-2-dxt1-beyond-the-edge": (blp2(2, small), rows(BlpImagePlugin.decode_dxt1, SMALL, 3, small, WIDTH)),
        "blp-2-dxt5-denied-opacity": (
            blp2(2, large, kind=7, size=(12, HEIGHT)),
            rows(BlpImagePlugin.decode_dxt5, LARGE, 4, large, 12),
        ),
    }


def main():
    empty(FOLDER)
    transparent, cuts = [], {}
    inputs = files() | refused() | {name: data for name, (data, _) in misread().items()}
    for name, data in inputs.items():
        (FOLDER / f"{name}.{name.split('-')[0]}").write_bytes(data)
    for name, data in files().items():
        picture = opened(data)
        assert picture is not None, f"Pillow refuses {name}"
        write_ppm(FOLDER / f"{name}.ppm", picture.convert("RGB"))
        white = on_white(picture)
        if white is not None:
            transparent.append(name)
            write_ppm(FOLDER / f"{name}-on-white.ppm", white)
        cuts[name] = readable_cuts(data)
    for name, data in refused().items():
        assert opened(data) is None, f"Pillow reads {name} by now"
    for name, (data, rows) in misread().items():
        write_ppm(FOLDER / f"{name}.ppm", rows)
        assert (np.asarray(opened(data).convert("RGB")) != rows).any(), f"Pillow reads {name} by now"
    (FOLDER / "cuts.json").write_text(json.dumps(cuts, sort_keys=True, separators=(",", ":")) + "\n")
    kinds = {"read": files(), "transparent": transparent, "refused": refused(), "misread": misread()}
    write_manifest(FOLDER, "golden_textures", **kinds)


if __name__ == "__main__":
    main()

"""Makes tiny BMP, GIF, PNG and WebP files of rare kinds and what Pillow's `convert("RGB")` reads from them, in
tests/golden/picture/formats of xception-model.

    python scripts/golden/golden_formats.py

Needs Pillow and numpy; the versions used last stand in requirements.txt.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from golden_folder import empty, write_manifest, write_ppm
from PIL import Image, ImageFile, ImageOps

FOLDER = Path(__file__).resolve().parents[2] / "crates/xception-model/tests/golden/picture/formats"
WIDTH, HEIGHT = 11, 7


def level(channels, bits=8):
    """[height, width, channels] u8: gradients under noise."""
    y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(channels), indexing="ij")
    h = (x * 374761393 + y * 668265263 + c * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return (((x * 19 * (c + 1) + y * 29 * (3 - c) + ((h >> 16) & 63)) & 255) >> (8 - bits)).astype(np.uint8)


def colours(count, size):
    """A palette of `count` colours of `size` bytes."""
    return b"".join(bytes([i * 79 % 256, (i * 37 + 9) % 256, (i * 51 + 60) % 256, 0][:size]) for i in range(count))


def packed(samples, bits):
    """The bytes of each row."""
    flat = samples.reshape(len(samples), -1)
    binary = (flat[:, :, None] >> np.arange(bits)[::-1]) & 1
    return [np.packbits(row.astype(np.uint8)).tobytes() for row in binary]


def bmp_rows(rows):
    """From the lowest to the highest, each of whole 32-bit words."""
    return b"".join(row + b"\0" * (-len(row) % 4) for row in rows[::-1])


def bmp(bits, data, compression=0, palette=b"", header=40, masks=(), used=0, downward=False):
    if header == 12:
        second = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)
    else:
        height = -HEIGHT if downward else HEIGHT
        second = struct.pack(
            "<IiiHHIIiiII", header, WIDTH, height, 1, bits, compression, len(data), 2835, 2835, used, 0
        )
        masks = struct.pack(f"<{len(masks)}I", *masks)
        second += masks if header == 40 else masks.ljust(header - 40, b"\0")
    pixels_at = 14 + len(second) + len(palette)
    return b"BM" + struct.pack("<IHHI", pixels_at + len(data), 0, 0, pixels_at) + second + palette + data


def run_lengths(samples, end=WIDTH):
    """Runs of eight bits; row 3 begins with three skipped pixels and row 1 ends at `end`."""
    data = b""
    for y in range(HEIGHT - 1, -1, -1):
        row = samples[y, :, 0].tolist()[: end if y == 1 else WIDTH]
        if y == 3:
            data += b"\0\2\3\0"
            row = row[3:]
        data += bytes([0, 4, *row[:4]]) + b"".join(bytes([1, value]) for value in row[4:]) + b"\0\0"
    return data + b"\0\1"


def run_lengths_4(samples):
    """Runs of four bits."""
    data = b""
    for row in samples[::-1, :, 0].tolist():
        data += bytes([0, 5, row[0] << 4 | row[1], row[2] << 4 | row[3], row[4] << 4, 0])
        data += b"".join(bytes([1, value << 4]) for value in row[5:]) + b"\0\0"
    return data + b"\0\1"


def gif(samples, palette=b"", local=b"", left=0, top=0, transparent=None, before=b""):
    """A frame at a place of the screen, as LZW without compression, behind the bytes `before`."""
    size = lambda colours: len(colours).bit_length() - 3
    flags = 0x80 | size(palette) if palette else 0
    data = b"GIF89a" + struct.pack("<HHBBB", WIDTH, HEIGHT, flags, 0, 0) + palette
    if transparent is not None:
        data += b"\x21\xf9\4\1\0\0" + bytes([transparent, 0])
    data += before
    height, width = samples.shape[:2]
    data += b"\x2c" + struct.pack("<HHHHB", left, top, width, height, 0x80 | size(local) if local else 0) + local
    codes = [code for value in samples.ravel().tolist() for code in (256, value)] + [257]
    number = sum(code << 9 * index for index, code in enumerate(codes))
    packed = number.to_bytes(-(-9 * len(codes) // 8), "little")
    blocks = [packed[at : at + 255] for at in range(0, len(packed), 255)]
    return data + b"\x08" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0;"


def png(rows, bits, colour_type, width=WIDTH, chunks=(), behind=(), missing=0, keep=None):
    """`missing`: how many of the rows have no data. `keep`: how many bytes of the compressed data are kept."""
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows[missing:]))
    chunks = [(b"IHDR", header), *chunks, (b"IDAT", data[:keep])]
    chunks += [*behind, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def webp_animation(frame, alpha, **options):
    """An animation of two frames, of which the first covers a part of the canvas."""
    number = lambda value: struct.pack("<I", value)[:3]
    chunk = lambda name, data: name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    out = io.BytesIO()
    frame.save(out, "WEBP", exact=True, **options)
    data, at, parts = out.getvalue(), 12, b""
    while at < len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (b"VP8 ", b"VP8L", b"ALPH"):
            parts += chunk(name, data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    flags = 2 | (16 if alpha else 0)
    body = b"WEBP" + chunk(b"VP8X", bytes([flags, 0, 0, 0]) + number(WIDTH + 3) + number(HEIGHT + 3))
    body += chunk(b"ANIM", b"\x10\x20\x30\x80\0\0")
    size = number(frame.width - 1) + number(frame.height - 1)
    for left, top in ((1, 2), (0, 0)):
        body += chunk(b"ANMF", number(left) + number(top) + size + number(100) + b"\0" + parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp(picture, promised, **options):
    """A picture behind a header that promises chunks which are not there."""
    out = io.BytesIO()
    picture.save(out, "WEBP", **({"lossless": True} | options))
    size = struct.pack("<I", picture.width - 1)[:3] + struct.pack("<I", picture.height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes([promised, 0, 0, 0]) + size + out.getvalue()[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def damaged():
    """name -> bytes of PNG files with chunks of which Pillow makes what it can."""
    few = packed(level(1, 4), 4)
    rgb = [row.tobytes() for row in level(3)]
    return {
        "png-no-palette": png(few, 4, 3, chunks=[(b"tRNS", b"\0\x80")]),
        "png-palette-of-half-a-colour": png(few, 4, 3, chunks=[(b"PLTE", colours(9, 3) + b"\7\7")]),
        "png-two-palettes": png(few, 4, 3, chunks=[(b"PLTE", colours(3, 3)), (b"PLTE", colours(16, 3))]),
        "png-background-before-palette": png(few, 4, 3, chunks=[(b"bKGD", b"\1"), (b"PLTE", colours(16, 3))]),
        "png-colours-with-long-palette": png(rgb, 8, 2, chunks=[(b"PLTE", colours(300, 3))]),
        "png-unknown-chunk": png(rgb, 8, 2, chunks=[(b"CRIT", b"abc")]),
        "png-rows-missing": png(rgb, 8, 2, missing=3),
        "png-rows-missing-transparent": png(few, 4, 3, chunks=[(b"PLTE", colours(16, 3)), (b"tRNS", b"\0")], missing=2),
        "png-two-headers": png(rgb, 8, 2, chunks=[(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0))]),
    }


def filled():
    """name -> bytes of files that Pillow reads with LOAD_TRUNCATED_IMAGES alone, and that end early or are broken."""
    rgb = [row.tobytes() for row in level(3)]
    few = packed(level(1, 4), 4)
    places = level(1)
    picture = Image.fromarray(level(3))
    out = io.BytesIO()
    picture.save(out, "PNG")
    interlaced = bytearray(png([b"".join(rgb)[at : at + 16] for at in range(0, 112, 16)], 8, 2))
    interlaced[28] = 1
    interlaced[29:33] = struct.pack(">I", zlib.crc32(interlaced[12:29]))
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 60, (24, 40), dtype=np.uint8), "P")
    noise.putpalette(colours(60, 3))

    def cut_gif(missing, behind=b"", **options):
        out = io.BytesIO()
        noise.save(out, "GIF", **options)
        return out.getvalue()[:-missing] + behind

    return refused() | {
        "gif-cut": cut_gif(300, interlace=0),
        "gif-cut-interlaced": cut_gif(300, interlace=1),
        "gif-cut-interlaced-late": cut_gif(20, interlace=1),
        "gif-impossible-code": cut_gif(300, b"\xff" * 300, interlace=0),
        "gif-cut-transparent": cut_gif(300, interlace=0, transparency=7),
        "png-cut": out.getvalue()[:150],
        "png-cut-data-with-an-end": png(rgb, 8, 2, keep=120),
        "png-cut-palette": png(few, 4, 3, chunks=[(b"PLTE", colours(16, 3))], keep=30),
        "png-cut-interlaced": bytes(interlaced),
        "bmp-cut-24bit": bmp(24, bmp_rows([row.tobytes() for row in level(3)]))[:-100],
        "bmp-cut-8bit-downward": bmp(8, bmp_rows(packed(places, 8)), palette=colours(256, 4), downward=True)[:-30],
        "bmp-cut-1bit": bmp(1, bmp_rows(packed(level(1, 1), 1)), palette=colours(2, 4))[:-9],
    }


def usual():
    """name -> bytes of files whose metadata turn the picture, or whose palettes have transparency, in rare ways."""
    picture = Image.fromarray(level(3))
    rows = [row.tobytes() for row in level(3)]
    few = packed(level(1, 4), 4)
    exif = b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
    wide = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\4\0\0\0\1\0\0\0\x08\0\0\0\0"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="5"/></x:xmpmeta>'
    profile = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode() + b"\n"
    alpha = (b"tRNS", bytes(range(0, 160, 20)))

    def saved(kind, **options):
        out = io.BytesIO()
        picture.save(out, kind, **options)
        return out.getvalue()

    more = {"save_all": True, "append_images": [picture.rotate(180)], "lossless": True}
    return {
        "jpg-orientation-of-32-bits": saved("JPEG", exif=wide),
        "jpg-xmp": saved("JPEG", xmp=xmp),
        "png-exif-behind-the-pixels": png(rows, 8, 2, behind=[(b"eXIf", exif)]),
        "png-exif-of-imagemagick": png(
            rows, 8, 2, chunks=[(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))]
        ),
        "png-exif-as-text": png(rows, 8, 2, behind=[(b"tEXt", b"Raw profile type exif\0" + profile)]),
        "png-xmp": png(rows, 8, 2, chunks=[(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)]),
        "png-xmp-compressed": png(
            rows, 8, 2, chunks=[(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp))]
        ),
        "png-transparency-before-palette": png(few, 4, 3, chunks=[alpha, (b"PLTE", colours(16, 3))]),
        "png-transparency-longer-than-palette": png(few, 4, 3, chunks=[(b"PLTE", colours(5, 3)), alpha]),
        "tif-xmp": saved("TIFF", tiffinfo={700: xmp}),
        "webp-animated-exif": saved("WEBP", exif=exif, **more),
        "webp-xmp": saved("WEBP", lossless=True, xmp=xmp),
    }


def as_usual(picture):
    """Turned upright, and on white."""
    picture.load()
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("LA", "RGBA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def refused():
    """name -> bytes of files that Pillow refuses, though only a sum of their data is wrong."""
    data = bytearray(png([row.tobytes() for row in level(3)], 8, 2))
    length = struct.unpack(">I", data[33:37])[0]
    data[40 + length] ^= 1
    data[41 + length : 45 + length] = struct.pack(">I", zlib.crc32(data[37 : 41 + length]))
    return {"png-wrong-sum-of-the-data": bytes(data)}


def files():
    """name -> bytes of files that Pillow reads."""
    rgb, four = level(3), level(4)
    bgr = bmp_rows([row.tobytes() for row in rgb[:, :, ::-1]])
    bgra = bmp_rows([row.tobytes() for row in four])
    fifths = bmp_rows([(row[:, 0] * 256 + row[:, 1]).astype("<u2").tobytes() for row in rgb.astype(np.uint16)])
    places = level(1)
    few = level(1, 4)
    deep = level(1).astype(np.uint16) * 300 % 700
    alpha = Image.fromarray(four, "RGBA")
    return {
        "bmp-1bit-os2": bmp(1, bmp_rows(packed(level(1, 1), 1)), palette=colours(2, 3), header=12),
        "bmp-4bit-os2-2": bmp(4, bmp_rows(packed(few, 4)), palette=colours(16, 4), header=64),
        "bmp-8bit-few-colours": bmp(8, bmp_rows(packed(places, 8)), palette=colours(100, 4), used=100),
        "bmp-15bit": bmp(16, fifths),
        "bmp-15bit-alpha": bmp(16, fifths, 3, header=56, masks=(0x7C00, 0x3E0, 0x1F, 0x8000)),
        "bmp-16bit": bmp(16, fifths, 3, masks=(0xF800, 0x7E0, 0x1F)),
        "bmp-24bit-downward": bmp(24, bgr, downward=True),
        "bmp-24bit-masks": bmp(24, bgr, 3, header=56, masks=(0xFF0000, 0xFF00, 0xFF)),
        "bmp-24bit-no-padding-at-the-end": bmp(24, bgr)[:-3],
        "bmp-32bit": bmp(32, bgra),
        "bmp-32bit-masks": bmp(32, bgra, 3, header=124, masks=(0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
        "bmp-32bit-no-masks": bmp(32, bgra, 3, header=108, masks=(0, 0, 0, 0)),
        "bmp-run-lengths": bmp(8, run_lengths(places), 1, palette=colours(256, 4)),
        "bmp-run-lengths-short-row": bmp(8, run_lengths(places, 6), 1, palette=colours(256, 4)),
        "bmp-run-lengths-4bit": bmp(4, run_lengths_4(few), 2, palette=colours(16, 4)),
        "gif-no-palette": gif(places),
        "gif-part-local-transparent": gif(few[:4, :6], colours(16, 3), colours(8, 3), 3, 2, transparent=3),
        "gif-beyond-the-screen": gif(few, colours(16, 3), left=5, top=4),
        "gif-bytes-between-blocks": gif(few, colours(16, 3), before=b"\0\0xyz"),
        "gif-long-control": gif(few, colours(16, 3), before=b"\x21\xf9\6\1\0\0\2\0\0\0"),
        "gif-two-controls": gif(few, colours(16, 3), transparent=5, before=b"\x21\xf9\4\0\0\0\2\0"),
        "png-16bit-grey-key": png(
            [row.astype(">u2").tobytes() for row in deep], 16, 0, chunks=[(b"tRNS", struct.pack(">H", 300))]
        ),
        "png-2bit-grey-key": png(packed(level(1, 2), 2), 2, 0, chunks=[(b"tRNS", b"\0\2")]),
        "png-4bit-palette-alpha": png(
            packed(few, 4), 4, 3, chunks=[(b"PLTE", colours(16, 3)), (b"tRNS", bytes(range(0, 160, 20)))]
        ),
        "png-no-sum-of-the-data": png([row.tobytes() for row in rgb], 8, 2, keep=-4),
        "png-gamma": png([row.tobytes() for row in rgb], 8, 2, chunks=[(b"gAMA", struct.pack(">I", 100000))]),
        "webp-without-promised-chunks": webp(Image.fromarray(rgb), 4 | 8 | 32),
        "webp-without-promised-alpha": webp(Image.fromarray(rgb), 16, lossless=False),
        "webp-animated-alpha": webp_animation(alpha, True, lossless=True),
        "webp-animated-alpha-lossy": webp_animation(alpha, True, quality=60),
        "webp-animated-opaque": webp_animation(Image.fromarray(rgb), False, lossless=True),
    }


def main():
    empty(FOLDER)
    for name, data in refused().items():
        (FOLDER / f"{name}.{name.split('-')[0]}").write_bytes(data)
        try:
            Image.open(io.BytesIO(data)).load()
        except OSError:
            continue
        raise AssertionError(f"Pillow reads {name} by now")
    for name, data in filled().items():
        (FOLDER / f"{name}.{name.split('-')[0]}").write_bytes(data)
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        write_ppm(FOLDER / f"{name}.ppm", Image.open(io.BytesIO(data)).convert("RGB"))
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            Image.open(io.BytesIO(data)).load()
        except OSError:
            continue
        raise AssertionError(f"Pillow reads {name} by now")
    for name, data in (files() | damaged() | usual()).items():
        (FOLDER / f"{name}.{name.split('-')[0]}").write_bytes(data)
        picture = Image.open(io.BytesIO(data))
        write_ppm(FOLDER / f"{name}.ppm", as_usual(picture) if name in usual() else picture.convert("RGB"))
    kinds = {"read": files(), "damaged": damaged(), "refused": refused(), "filled": filled(), "usual": usual()}
    write_manifest(FOLDER, "golden_formats", **kinds)


if __name__ == "__main__":
    main()

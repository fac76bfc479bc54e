"""Makes tiny TIFF files of every kind and what Pillow reads from them, in tests/golden/picture/tiff of xception-model.

    python scripts/golden/golden_tiff.py

Needs Pillow and numpy; the versions used last stand in requirements.txt. Files that Pillow cannot write are written
here, tag by tag. `expected` is what Pillow's `convert("RGB")` gives; `right` is what the file means where Pillow
misreads it.
"""

import io
import json
import lzma
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "crates/xception-model/tests/golden/picture/tiff"
WIDTH, HEIGHT = 11, 7

WHITE_IS_ZERO, GREY, RGB, PALETTE, INKS, YCBCR, LAB, ICC_LAB = 0, 1, 2, 3, 5, 6, 8, 9
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
NONE, LZW, OLD_JPEG, JPEG, DEFLATE, PACK_BITS, LZMA, THUNDER_SCAN = 1, 5, 6, 7, 8, 32773, 34925, 32809


def level(channels, width=WIDTH, height=HEIGHT):
    """[height, width, channels] i64: gradients under noise."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    h = (x * 374761393 + y * 668265263 + c * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return (x * 19 * (c + 1) + y * 29 * (3 - c) + ((h >> 16) & 63)) & 255


def file(order, tags, chunks, tiled, big):
    """A TIFF file. `tags`: number -> (type, values)."""
    byte_order = "<" if order == "II" else ">"
    word, head = ("Q", 16) if big else ("I", 8)
    places = [head + sum(map(len, chunks[:index])) for index in range(len(chunks))]
    offsets, counts = (324, 325) if tiled else (273, 279)
    tags = dict(tags) | {offsets: (4, places), counts: (4, [len(chunk) for chunk in chunks])}
    data = b"".join(chunks)
    data += b"\0" * (len(data) % 2)
    start = head + len(data)
    size = struct.calcsize(byte_order + word)
    values_at = start + (8 if big else 2) + len(tags) * (4 + 2 * size) + size
    entries, values = b"", b""
    for tag, (kind, numbers) in sorted(tags.items()):
        if kind == 5:
            raw = b"".join(struct.pack(byte_order + "II", *ratio) for ratio in numbers)
        else:
            raw = struct.pack(byte_order + {3: "H", 4: "I"}[kind] * len(numbers), *numbers)
        entries += struct.pack(byte_order + "HH" + word, tag, kind, len(numbers))
        if len(raw) <= size:
            entries += raw.ljust(size, b"\0")
        else:
            entries += struct.pack(byte_order + word, values_at + len(values))
            values += raw + b"\0" * (len(raw) % 2)
    numbers = (43, 8, 0, start) if big else (42, start)
    header = order.encode() + struct.pack(byte_order + ("HHHQ" if big else "HI"), *numbers)
    count = struct.pack(byte_order + ("Q" if big else "H"), len(tags))
    return header + data + count + entries + struct.pack(byte_order + word, 0) + values


def packed(rows, bits, order, sample_format):
    """The bytes of each row of [height, width, channels] numbers."""
    if bits >= 8 and bits != 12:
        kind = {UNSIGNED: "u", SIGNED: "i", FLOAT: "f"}[sample_format]
        numbers = rows.astype(("<" if order == "II" else ">") + kind + str(bits // 8))
        return [row.tobytes() for row in numbers]
    flat = rows.reshape(len(rows), -1)
    binary = (flat[:, :, None] >> np.arange(bits)[::-1]) & 1
    return [np.packbits(row.astype(np.uint8)).tobytes() for row in binary]


def differences(rows, bits, order, sample_format, predictor):
    """The bytes of each row behind a predictor."""
    if predictor == 2:
        unsigned = rows.astype(f"u{bits // 8}")
        rest = unsigned.copy()
        rest[:, 1:] = unsigned[:, 1:] - unsigned[:, :-1]
        return packed(rest, bits, order, UNSIGNED)
    if predictor == 3:
        height, width, channels = rows.shape
        numbers = rows.astype(f">f{bits // 8}").view("u1").reshape(height, width * channels, bits // 8)
        planes = numbers.transpose(0, 2, 1).reshape(height, -1)
        rest = planes.copy()
        rest[:, channels:] = planes[:, channels:] - planes[:, :-channels]
        return [row.tobytes() for row in rest]
    return packed(rows, bits, order, sample_format)


def lzw(data):
    """LZW without any compression: a clear code before the codes would grow."""
    codes = []
    for index, byte in enumerate(data):
        codes += [256] * (index % 200 == 0) + [byte]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    return int(bits.ljust(-len(bits) % 8 + len(bits), "0"), 2).to_bytes(-(-len(bits) // 8))


def compressed(rows, compression):
    if compression == PACK_BITS:
        return b"".join(bytes([len(row) - 1]) + row for row in rows)
    data = b"".join(rows)
    if compression == JPEG:
        out = io.BytesIO()
        Image.frombytes("L", (len(rows[0]), len(rows)), data).save(out, "JPEG", quality=90)
        return out.getvalue()
    return {NONE: bytes, LZW: lzw, DEFLATE: zlib.compress, LZMA: xz}[compression](data)


def xz(data):
    """As libtiff writes it (`LZMAPreEncode`): differences of bytes before the compression, and no checksum."""
    filters = [{"id": lzma.FILTER_DELTA, "dist": 3}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
    return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=filters)


def tiff(
    samples,
    photometric,
    bits=8,
    sample_format=UNSIGNED,
    extra=(),
    order="II",
    compression=NONE,
    predictor=1,
    planar=False,
    tile=None,
    rows=None,
    reverse=False,
    big=False,
    tags={},
):
    height, width, channels = samples.shape
    all_tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * channels), 259: (3, [compression])}
    all_tags |= {262: (3, [photometric]), 277: (3, [channels])}
    all_tags |= {284: (3, [2])} if planar else {}
    all_tags |= {338: (3, list(extra))} if extra else {}
    all_tags |= {339: (3, [sample_format] * channels)} if sample_format != UNSIGNED else {}
    all_tags |= {317: (3, [predictor])} if predictor != 1 else {}
    all_tags |= {266: (3, [2])} if reverse else {}
    all_tags |= {322: (4, [tile]), 323: (4, [tile])} if tile else {278: (4, [rows or height])}
    parts = []
    for plane in np.split(samples, channels, axis=2) if planar else [samples]:
        if tile:
            down, across = -height % tile, -width % tile
            plane = np.pad(plane, ((0, down), (0, across), (0, 0)))
            across, down = range(0, plane.shape[1], tile), range(0, plane.shape[0], tile)
            parts += [plane[y : y + tile, x : x + tile] for y in down for x in across]
        else:
            parts += [plane[y : y + (rows or height)] for y in range(0, height, rows or height)]
    chunks = [compressed(differences(part, bits, order, sample_format, predictor), compression) for part in parts]
    if reverse:
        flipped = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
        chunks = [chunk.translate(flipped) for chunk in chunks]
    return file(order, all_tags | tags, chunks, bool(tile), big)


def subsampled(across, down, compression, tags={}):
    """YCbCr with one pair of colour differences for `across` times `down` pixels."""
    columns, rows = -(-WIDTH // across), -(-HEIGHT // down)
    lightness = np.pad(level(1)[:, :, 0], ((0, rows * down - HEIGHT), (0, columns * across - WIDTH)))
    colours = level(3, columns, rows)
    data = b""
    for row in range(rows):
        for column in range(columns):
            block = lightness[row * down : (row + 1) * down, column * across : (column + 1) * across]
            data += block.astype(np.uint8).tobytes() + bytes(colours[row, column, 1:].tolist())
    all_tags = {256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [8, 8, 8]), 259: (3, [compression])}
    all_tags |= {262: (3, [YCBCR]), 277: (3, [3]), 278: (4, [HEIGHT]), 530: (3, [across, down])}
    return file("II", all_tags | tags, [compressed([data], compression)], False, False)


def written_by_hand(tags, data, length=None):
    """A little-endian file whose data begin at byte 8. `length` of the entries is promised instead of the true one."""
    start = 8 + len(data) + len(data) % 2
    values_at = start + 6 + 12 * len(tags)
    entries, values = b"", b""
    for tag, (kind, numbers) in sorted(tags.items()):
        raw = struct.pack("<" + {3: "H", 4: "I", 8: "h", 9: "i"}[kind] * len(numbers), *numbers)
        entries += struct.pack("<HHI", tag, kind, len(numbers))
        if len(raw) <= 4:
            entries += raw.ljust(4, b"\0")
        else:
            entries += struct.pack("<I", values_at + len(values))
            values += raw
    head = b"II*\0" + struct.pack("<I", start) + data + b"\0" * (len(data) % 2)
    return head + struct.pack("<H", length or len(tags)) + entries + bytes(4 if length is None else 0) + values


def old_jpeg(subsampling, tables=False, strips=False):
    """JPEG of TIFF 6.0: a whole stream, or tables at places of their own, perhaps with strips between restarts."""
    out = io.BytesIO()
    photo = Image.fromarray(np.clip(level(3, 40, 37) // 4 + 90, 0, 255).astype(np.uint8))
    photo.save(out, "JPEG", subsampling=subsampling, quality=80, restart_marker_rows=int(strips))
    jpeg = out.getvalue()
    tags = {256: (4, [40]), 257: (4, [37]), 258: (3, [8, 8, 8]), 259: (3, [OLD_JPEG])}
    if not tables:
        return written_by_hand(tags | {262: (3, [RGB]), 513: (4, [8]), 514: (4, [len(jpeg)])}, jpeg)
    divisors, codes, at = {}, {}, 2
    while jpeg[at + 1] != 0xDA:
        length = struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        content = jpeg[at + 4 : at + 2 + length]
        while jpeg[at + 1] == 0xDB and content:
            divisors[content[0]], content = content[1:65], content[65:]
        while jpeg[at + 1] == 0xC4 and content:
            size = 17 + sum(content[1:17])
            codes[content[0]], content = content[1:size], content[size:]
        at += 2 + length
    data = jpeg[at + 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0] :]
    parts = re.split(rb"\xff[\xd0-\xd7]", data)
    all_tables = [divisors[0], divisors[1], codes[0], codes[1], codes[16], codes[17]]
    chunks = all_tables + parts
    places = [8 + sum(map(len, chunks[:index])) for index in range(len(chunks))]
    across, down = {0: (1, 1), 1: (2, 1), 2: (2, 2)}[subsampling]
    tags |= {262: (3, [YCBCR]), 277: (3, [3]), 278: (4, [8 * down if strips else 37]), 530: (3, [across, down])}
    tags |= {519 + index: (4, [places[2 * index], *[places[2 * index + 1]] * 2]) for index in range(3)}
    tags |= {273: (4, places[6:]), 279: (4, [len(part) for part in parts])}
    return written_by_hand(tags, b"".join(chunks))


def thunder_scan():
    """Raw levels, differences of two and three bits, and repeated levels."""
    codes = [0xC5, 0x40 | 0b010011, 0x80 | 0o15, 3, 0x80 | 0o64, 0x40 | 0b100111]
    row = bytes([*codes, 0xC0 | 9, 62])
    assert len(row) == 8
    tags = {256: (4, [75]), 257: (4, [2]), 258: (3, [4]), 259: (3, [THUNDER_SCAN]), 262: (3, [GREY]), 277: (3, [1])}
    return written_by_hand(tags | {273: (4, [8]), 278: (4, [2]), 279: (4, [2 * len(row)])}, row * 2)


def odd():
    """name -> bytes of damaged files that Pillow reads, with a warning or without."""
    rgb, grey = level(3), level(1)
    data = rgb.astype(np.uint8).tobytes()
    tags = {256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [8, 8, 8]), 262: (3, [RGB]), 277: (3, [3])}
    plain = tags | {273: (4, [8])}
    levels = {256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [8]), 262: (3, [GREY]), 273: (4, [8])}
    some = tiff(rgb, RGB, compression=DEFLATE)
    outside = bytearray(written_by_hand(levels | {34000: (4, [1, 2])}, grey.astype(np.uint8).tobytes()))
    outside[-16:-12] = struct.pack("<I", 60000)
    return {
        "signed-types": written_by_hand(plain | {256: (8, [WIDTH]), 277: (9, [3])}, data),
        "no-strip-lengths-or-rows": written_by_hand(plain, data),
        "strip-length-too-small": written_by_hand(plain | {279: (4, [5])}, data),
        "fewer-strips": written_by_hand(plain | {278: (4, [3]), 273: (4, [8, 8 + 99])}, data),
        "samples-twice": written_by_hand(plain | {277: (3, [3, 3])}, data),
        "values-outside": bytes(outside),
        "next-directory-is-the-first": some[:-4] + some[4:8] if some[-4:] == bytes(4) else some,
    }


def written(picture, **options):
    """By Pillow."""
    out = io.BytesIO()
    picture.save(out, "TIFF", **options)
    return out.getvalue()


def files():
    """name -> bytes of files that Pillow reads."""
    grey, rgb, four, six = level(1), level(3), level(4), level(6)
    deep = rgb * 256 + 255 - rgb
    deep_four = four * 256 + 255 - four
    numbers = grey * 1.5 - 40.25
    signed = grey * 3 - 200
    colours = lambda count: {320: (3, [(i * 7919 + plane * 1237) % 65536 for plane in range(3) for i in range(count)])}
    all_colours = {530: (3, [1, 1])}
    video = {532: (5, [(15, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)])}
    hdtv = {529: (5, [(2126, 10000), (7152, 10000), (722, 10000)])}
    big = Image.fromarray(level(3, 61, 23).astype(np.uint8))
    spots = big.convert("1")
    photo = Image.fromarray(np.clip(level(3, 24, 17) // 4 + 90, 0, 255).astype(np.uint8))
    alpha = photo.convert("RGBA")
    alpha.putalpha(photo.split()[1])
    inks = Image.merge("CMYK", [*photo.split(), photo.split()[0]])
    return {
        "grey-1bit-reversed": tiff(grey >> 7, GREY, 1, reverse=True),
        "grey-1bit-white-is-zero": tiff(grey >> 7, WHITE_IS_ZERO, 1),
        "grey-2bit-deflate": tiff(grey >> 6, GREY, 2, compression=DEFLATE, rows=3),
        "grey-4bit": tiff(grey >> 4, GREY, 4, order="MM"),
        "grey-4bit-white-is-zero-lzw": tiff(grey >> 4, WHITE_IS_ZERO, 4, compression=LZW),
        "grey-8bit-white-is-zero": tiff(grey, WHITE_IS_ZERO),
        "grey-signed-8bit": tiff(grey - 128, GREY, 8, SIGNED),
        "grey-12bit": tiff(grey * 16 + 5, GREY, 12),
        "grey-16bit-white-is-zero": tiff(deep[:, :, :1], WHITE_IS_ZERO, 16),
        "grey-16bit-predictor": tiff(deep[:, :, :1], GREY, 16, compression=DEFLATE, predictor=2, order="MM"),
        "grey-alpha": tiff(level(2), GREY, extra=[2]),
        "grey-unspecified": tiff(level(2), GREY, extra=[0], compression=DEFLATE),
        "signed-16bit": tiff(signed, GREY, 16, SIGNED, order="MM"),
        "signed-32bit-tiles": tiff(signed, GREY, 32, SIGNED, tile=16, compression=DEFLATE, predictor=2),
        "unsigned-32bit": tiff(grey * 3, GREY, 32),
        "float": tiff(numbers, GREY, 32, FLOAT),
        "float-big-endian": tiff(numbers, GREY, 32, FLOAT, order="MM"),
        "float-predictor": tiff(numbers, GREY, 32, FLOAT, compression=DEFLATE, predictor=3),
        "float-predictor-tiles": tiff(numbers, GREY, 32, FLOAT, compression=LZW, predictor=3, tile=16),
        "float-of-0-to-1": tiff(grey / 255, GREY, 32, FLOAT, compression=PACK_BITS),
        "float-white-is-zero": tiff(grey / 2, WHITE_IS_ZERO, 32, FLOAT),
        "rgb-predictor-tiles": tiff(rgb, RGB, compression=LZW, predictor=2, tile=16),
        "rgb-planes": tiff(rgb, RGB, planar=True, rows=3),
        "rgb-planes-tiles": tiff(rgb, RGB, planar=True, tile=16, compression=DEFLATE, predictor=2),
        "rgb-reversed": tiff(rgb, RGB, reverse=True, compression=DEFLATE),
        "rgb-pack-bits": tiff(rgb, RGB, compression=PACK_BITS, order="MM"),
        "rgb-16bit-planes": tiff(deep, RGB, 16, planar=True, compression=DEFLATE, predictor=2, order="MM"),
        "rgba": tiff(four, RGB, extra=[2]),
        "rgba-premultiplied": tiff(four, RGB, extra=[1]),
        "rgba-premultiplied-16bit": tiff(deep_four, RGB, 16, extra=[1], order="MM"),
        "rgb-and-one-unspecified": tiff(four, RGB, extra=[0], compression=LZW),
        "rgb-and-three-more": tiff(six, RGB, extra=[2, 0, 0]),
        "rgb-big-tiff": tiff(rgb, RGB, big=True, tile=16),
        "palette-alpha": tiff(level(2), PALETTE, extra=[2], tags=colours(256)),
        "palette-2bit-reversed": tiff(grey >> 6, PALETTE, 2, reverse=True, compression=DEFLATE, tags=colours(4)),
        "palette-too-short": tiff(grey, PALETTE, tags=colours(16)),
        "inks-16bit": tiff(deep_four, INKS, 16),
        "inks-planes-tiles": tiff(four, INKS, planar=True, tile=16, compression=PACK_BITS),
        "inks-and-one-unspecified": tiff(level(5), INKS, extra=[0]),
        "ycbcr": tiff(rgb, YCBCR, tags=all_colours),
        "ycbcr-deflate": tiff(rgb, YCBCR, compression=DEFLATE, predictor=2, tags=all_colours),
        "ycbcr-planes": tiff(rgb, YCBCR, compression=DEFLATE, planar=True, tags=all_colours),
        "ycbcr-2x2": subsampled(2, 2, DEFLATE),
        "ycbcr-4x2-video": subsampled(4, 2, LZW, video),
        "ycbcr-2x1-hdtv": subsampled(2, 1, PACK_BITS, hdtv),
        "fax-plain": written(spots, compression="tiff_ccitt"),
        "fax-group3": written(spots, compression="group3"),
        "fax-group3-2d": written(spots, compression="group3", tiffinfo={292: 1, 278: 10}),
        "fax-group4": written(spots, compression="group4", tiffinfo={278: 10}),
        "fax-group4-reversed": written(spots, compression="group4", tiffinfo={266: 2}),
        "fax-group4-white-is-one": written(spots, compression="group4", tiffinfo={262: 1}),
        "rgb-lzma": tiff(rgb, RGB, compression=LZMA, rows=3),
        "rgb-lzma-of-pillow": written(big.crop((0, 0, 20, 9)), compression="tiff_lzma"),
        "grey-16bit-lzma-predictor": tiff(deep[:, :, :1], GREY, 16, compression=LZMA, predictor=2, order="MM"),
        "lab": tiff(level(3, 61, 23), LAB),
        "lab-tiles": tiff(rgb, LAB, compression=LZW, tile=16, predictor=2),
        "lab-corners": tiff(corners(), LAB, compression=DEFLATE),
        "ycbcr-no-resolution": tiff(rgb, YCBCR),
        "ycbcr-no-resolution-deflate": tiff(rgb, YCBCR, compression=DEFLATE),
        "rgb-zstandard": written(big.crop((0, 0, 20, 9)), compression="zstd"),
        "inks-jpeg": written(inks, compression="jpeg"),
        "rgba-jpeg": written(alpha, compression="jpeg"),
        "grey-alpha-jpeg": written(alpha.convert("LA"), compression="jpeg"),
        "grey-unspecified-jpeg": written(alpha.convert("LA"), compression="jpeg", tiffinfo={338: 0}),
        "grey-alpha-jpeg-planes": tiff(level(2, 24, 17), GREY, extra=[2], compression=JPEG, planar=True),
        "rgb-jpeg-planes": tiff(level(3, 24, 17), RGB, compression=JPEG, planar=True, rows=8),
        "rgba-jpeg-planes-tiles": tiff(level(4, 24, 17), RGB, extra=[2], compression=JPEG, planar=True, tile=16),
        "rgba-premultiplied-jpeg-planes": tiff(level(4, 24, 17), RGB, extra=[1], compression=JPEG, planar=True),
        "inks-jpeg-planes": tiff(level(4, 24, 17), INKS, compression=JPEG, planar=True, rows=16),
        "old-jpeg": old_jpeg(2),
        "old-jpeg-tables": old_jpeg(1, tables=True),
        "old-jpeg-tables-strips": old_jpeg(2, tables=True, strips=True),
        "old-jpeg-tables-4-4-4": old_jpeg(0, tables=True),
        "thunder-scan": thunder_scan(),
        "ycbcr-jpeg-planes": tiff(level(3, 24, 17), YCBCR, compression=JPEG, planar=True, rows=8, tags=all_colours),
        "unsigned-32bit-beyond-signed": tiff(grey * 2**24, GREY, 32),
        "orientation-6-float": tiff(numbers, GREY, 32, FLOAT, tags={274: (3, [6])}),
    }


def misread():
    """name -> bytes, and the right pixels, of files that Pillow reads to noise."""
    deep = level(3) * 256 + 255 - level(3)
    return {
        "float-deflate-big-endian": (
            tiff(level(1) / 2, GREY, 32, FLOAT, order="MM", compression=DEFLATE),
            np.repeat(level(1) // 2, 3, axis=2),
        ),
        "rgb-16bit-planes-uncompressed": (tiff(deep, RGB, 16, planar=True), deep >> 8),
        "lab-planes": (tiff(level(3), LAB, planar=True), read(tiff(level(3), LAB))),
        "rgb-planes-reversed": (tiff(level(3), RGB, planar=True, reverse=True), level(3)),
        "rgba-planes-tiles-unnamed": (tiff(level(4), RGB, planar=True, tile=16), level(4)[:, :, :3]),
        "grey-1bit-single-plane": (
            tiff(level(1) >> 7, WHITE_IS_ZERO, 1, tags={284: (3, [2])}),
            np.repeat(255 - 255 * (level(1) >> 7), 3, axis=2),
        ),
    }


def damaged():
    """name -> bytes of files that Pillow reads without some tags, or behind a code that libtiff reads over."""
    fax = bytearray(files()["fax-group4-reversed"])
    fax[37] = 128
    levels = {256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [8]), 262: (3, [GREY]), 273: (4, [8])}
    cut = written_by_hand(levels, level(1).astype(np.uint8).tobytes(), length=7)
    return {
        "fax-group4-broken-code": bytes(fax),
        "fax-group4-short-strip": fax_with_a_short_strip(),
        "directory-cut": cut,
    }


def fax_with_a_short_strip():
    """Of three strips the second holds four rows alone. Pillow has rows of the first strip behind them."""
    spots = Image.fromarray((level(1)[:, :, 0] % 97 > 40).repeat(3, axis=0)[:30])
    whole = bytearray(written(spots, compression="group4", tiffinfo={278: 10}))
    short = written(spots.crop((0, 0, spots.width, 4)), compression="group4")
    strip = lambda data, index: [Image.open(io.BytesIO(data)).tag_v2[tag][index] for tag in (273, 279)]
    (start, length), (from_start, from_length) = strip(whole, 1), strip(short, 0)
    assert from_length <= length
    whole[start : start + length] = short[from_start : from_start + from_length].ljust(length, b"\0")
    return bytes(whole)


def corners():
    """Every colour of 0, 1, 127, 128, 129, 254 and 255."""
    some = np.array([0, 1, 127, 128, 129, 254, 255])
    return np.stack(np.meshgrid(some, some, some, indexing="ij"), axis=-1).reshape(7, 49, 3)


def read(data):
    # From memory: of a file on disk Pillow 13 turns some kinds wrongly.
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def refused():
    """name -> bytes of valid files that Pillow refuses."""
    rgb = level(3)
    return {
        "float-16bit": tiff(level(1) / 255, GREY, 16, FLOAT),
        "float-rgb": tiff(rgb / 255, RGB, 32, FLOAT),
        "float-64bit": tiff(level(1) / 255, GREY, 64, FLOAT),
        "rgb-32bit": tiff(rgb, RGB, 32),
        "lab-16bit": tiff(rgb, LAB, 16),
        "lab-of-icc": tiff(rgb, ICC_LAB),
        "grey-premultiplied": tiff(level(2), GREY, extra=[1]),
        "sensor-mosaic": tiff(level(1) * 16, 32803, 16),
        "webp": tiff(rgb, RGB, tags={259: (3, [50001])}),
    }


def write_ppm(path, array):
    height, width, _ = array.shape
    path.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + array.astype(np.uint8).tobytes())


def main():
    warnings.simplefilter("ignore")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    for name, data in (files() | odd()).items():
        (FOLDER / f"{name}.tif").write_bytes(data)
        write_ppm(FOLDER / f"{name}.ppm", read(data))
    for name, (data, right) in misread().items():
        (FOLDER / f"{name}.tif").write_bytes(data)
        write_ppm(FOLDER / f"{name}.ppm", right)
        assert not np.array_equal(read(data), right), f"Pillow reads {name} by now"
    for name, data in (refused() | damaged()).items():
        (FOLDER / f"{name}.tif").write_bytes(data)
    manifest = {
        "made_by": "scripts/golden/golden_tiff.py",
        "pillow": PIL.__version__,
        "read": sorted(files()),
        "misread": sorted(misread()),
        "refused": sorted(refused()),
        "damaged": sorted(damaged()),
        "odd": sorted(odd()),
    }
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(list(FOLDER.iterdir()))} files, {sum(path.stat().st_size for path in FOLDER.iterdir())} bytes")


if __name__ == "__main__":
    main()

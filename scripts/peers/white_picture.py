"""A picture as the preset `pil-bilinear` of `xception train` reads it, for scripts that train with other libraries."""

from PIL import Image, ImageOps


def read(path: str, size: int) -> Image.Image:
    """The picture turned upright, with transparency laid on white, resized with Pillow's bilinear filter."""
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image).convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
        return image.resize((size, size), Image.Resampling.BILINEAR)

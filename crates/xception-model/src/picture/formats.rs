//! Formats told apart by a file's first bytes, and how to get a readable file from the others.

use std::{ffi::OsStr, path::Path};

use super::{
    im_header::is_im,
    imt_header::is_imt,
    marks::{PCD, PCD_AT, XPM, is_cur, is_dib, is_fits, is_fli, is_gbr, is_iptc, is_mcidas, is_pnm, is_tga, is_xbm},
    spider_header::is_spider,
};

/// The endings of picture files. A search for pictures takes files with these endings; the decoder looks at the content
/// alone.
///
/// Icons, textures of games and Photoshop files are left out, though they are read: in a folder of pictures the former
/// are no examples, and the latter lie beside the picture that was exported from them. So are the formats of programs
/// of the last century, most of whose endings other programs use for something else by now.
pub const ENDINGS: [&str; 31] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm", "pnm", "pfm",
    "tga", "qoi", "pcx", "sgi", "ras", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx", "avif", "avifs", "fits", "fit",
];

/// Whether a file's name has one of the [`ENDINGS`], in upper or lower case.
pub fn is_named_as_picture(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Whether a file or folder of this name is hidden, or is one that macOS, Synology and Windows write beside other
/// files. A search for pictures passes over it.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
        || ["__MACOSX", "@eaDir", "$RECYCLE.BIN"]
            .iter()
            .any(|other| name == *other)
}

/// Bytes of a file that [`FileKind::of`] looks at, at most: up to the mark of a Photo CD.
pub const HEAD_BYTES: usize = PCD_AT + PCD.len();
/// Bytes of a file that tell all formats but Photo CD.
const START_BYTES: usize = 512;

/// What the first bytes of a file say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A picture in a format that is read.
    Picture(PictureFormat),
    /// A picture, or something like one, that is not read.
    Other(OtherFormat),
    /// Nothing known.
    Unknown,
}

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PictureFormat {
    /// JPEG, JFIF and Exif.
    Jpeg,
    /// PNG, of animated ones the still picture.
    Png,
    /// WebP, of animated ones the first frame.
    WebP,
    /// GIF, of animated ones the first frame.
    Gif,
    /// Windows bitmaps.
    Bmp,
    /// Windows bitmaps without their first header.
    Dib,
    /// TIFF and `BigTIFF`, the first page.
    Tiff,
    /// JPEG 2000, in a file of boxes or as a codestream.
    Jpeg2000,
    /// AVIF, of animations the first frame.
    Avif,
    /// PBM, PGM, PPM and grey PFM.
    Pnm,
    /// Targa.
    Tga,
    /// QOI.
    Qoi,
    /// Paintbrush.
    Pcx,
    /// Silicon Graphics.
    Sgi,
    /// Sun raster.
    Sun,
    /// Photoshop, the picture of all layers.
    Psd,
    /// Windows icons, the largest.
    Ico,
    /// Windows cursors, the largest.
    Cur,
    /// macOS icons, the largest.
    Icns,
    /// X11 bitmaps.
    Xbm,
    /// X11 pixel maps.
    Xpm,
    /// `DirectDraw` surfaces, the largest level of the first face.
    Dds,
    /// Textures of Blizzard's games, the largest level.
    Blp,
    /// Textures of Independence War 2, the largest level.
    Ftex,
    /// FITS, of the first part with a picture its first plane.
    Fits,
    /// FLI and FLC animations, the first frame.
    Fli,
    /// Pages of Paintbrush, the first.
    Dcx,
    /// IFUNC and `LabEye`, the first picture.
    Im,
    /// The Paint of early Windows.
    Msp,
    /// Photo CD, the picture of 768 x 512 pixels.
    Pcd,
    /// SPIDER, the first picture.
    Spider,
    /// PIXAR raster images.
    Pixar,
    /// Thumbnails of XV.
    XvThumb,
    /// Brushes of GIMP.
    Gbr,
    /// IM Tools.
    Imt,
    /// Areas of `McIDAS`.
    McIdas,
}

impl PictureFormat {
    /// The name people use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Dib => "DIB",
            Self::Tiff => "TIFF",
            Self::Jpeg2000 => "JPEG 2000",
            Self::Avif => "AVIF",
            Self::Pnm => "PNM",
            Self::Tga => "TGA",
            Self::Qoi => "QOI",
            Self::Pcx => "PCX",
            Self::Sgi => "SGI",
            Self::Sun => "Sun raster",
            Self::Psd => "PSD",
            Self::Ico => "ICO",
            Self::Cur => "CUR",
            Self::Icns => "ICNS",
            Self::Xbm => "XBM",
            Self::Xpm => "XPM",
            Self::Dds => "DDS",
            Self::Blp => "BLP",
            Self::Ftex => "FTEX",
            Self::Fits => "FITS",
            Self::Fli => "FLI",
            Self::Dcx => "DCX",
            Self::Im => "IM",
            Self::Msp => "MSP",
            Self::Pcd => "PCD",
            Self::Spider => "SPIDER",
            Self::Pixar => "PIXAR",
            Self::XvThumb => "XV thumbnail",
            Self::Gbr => "GIMP brush",
            Self::Imt => "IMT",
            Self::McIdas => "McIDAS",
        }
    }

    /// Whether a search for pictures takes files of this format, by their [endings](ENDINGS).
    pub fn is_searched(self) -> bool {
        !matches!(
            self,
            Self::Psd
                | Self::Ico
                | Self::Cur
                | Self::Icns
                | Self::Xbm
                | Self::Xpm
                | Self::Fli
                | Self::Dcx
                | Self::Im
                | Self::Msp
                | Self::Pcd
                | Self::Spider
                | Self::Pixar
                | Self::XvThumb
                | Self::Gbr
                | Self::Imt
                | Self::McIdas
                | Self::Dds
                | Self::Blp
                | Self::Ftex
        )
    }
}

/// A format that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OtherFormat {
    /// The name people use ("HEIC").
    pub name: &'static str,
    /// The name with its article ("a HEIC picture").
    pub phrase: &'static str,
    /// How to make a readable file of it, usually lines of Python.
    pub advice: &'static str,
    /// Whether it holds pixels, and not a page, a film or an archive.
    pub is_picture: bool,
}

/// Pillow reads it by itself.
const PILLOW: &str = "python -c \"from PIL import Image; Image.open('FILE').convert('RGB').save('FILE.png')\", after \
                      pip install pillow";

/// `rawpy`, which wraps `LibRaw`.
const RAW: &str = "python -c \"import rawpy; from PIL import Image; \
                   Image.fromarray(rawpy.imread('FILE').postprocess()).save('FILE.png')\", after \
                   pip install rawpy pillow";

const HEIF: &str = "python -c \"import pillow_heif; from PIL import Image; pillow_heif.register_heif_opener(); \
                    Image.open('FILE').convert('RGB').save('FILE.png')\", after pip install pillow-heif";

const JXL: &str = "python -c \"import pillow_jxl; from PIL import Image; \
                   Image.open('FILE').convert('RGB').save('FILE.png')\", after pip install pillow-jxl-plugin";

const JPEG_LS: &str = "python -c \"import pillow_jpls; from PIL import Image; \
                       Image.open('FILE').convert('RGB').save('FILE.png')\", after pip install pillow-jpls";

const JPEG_XR: &str = "python -c \"import imagecodecs; from PIL import Image; \
                       Image.fromarray(imagecodecs.imread('FILE')).save('FILE.png')\", after \
                       pip install imagecodecs pillow";

const VIDEO: &str = "ffmpeg -i FILE frame-%04d.png takes its pictures out";

const HDR: &str = "python -c \"import cv2; x = cv2.imread('FILE', -1); \
                   cv2.imwrite('FILE.png', (x / x.max() * 255).astype('uint8'))\", after \
                   pip install opencv-python (OpenEXR also needs OPENCV_IO_ENABLE_OPENEXR=1)";

const DICOM: &str = "python -c \"import pydicom; from PIL import Image; \
                     x = pydicom.dcmread('FILE').pixel_array.astype(float); \
                     Image.fromarray(((x - x.min()) / (x.max() - x.min()) * 255).astype('uint8')).save('FILE.png')\", \
                     after pip install pydicom pillow";

const FITS: &str = "python -c \"import numpy; from astropy.io import fits; from PIL import Image; \
                    x = numpy.nan_to_num(fits.getdata('FILE').astype(float)); \
                    Image.fromarray(((x - x.min()) / (x.max() - x.min()) * 255).astype('uint8')).save('FILE.png')\", \
                    after pip install astropy pillow";

/// A FITS file of a kind that is not read.
pub(super) fn fits_of(phrase: &'static str) -> OtherFormat {
    OtherFormat {
        name: "FITS",
        phrase,
        advice: FITS,
        is_picture: true,
    }
}

const NUMPY: &str = "python -c \"import numpy; from PIL import Image; \
                     Image.fromarray(numpy.load('FILE')).save('FILE.png')\" writes it if it holds 8-bit pixels";

const SVG: &str = "python -c \"import cairosvg; cairosvg.svg2png(url='FILE', write_to='FILE.png')\", after \
                   pip install cairosvg";

const POSTSCRIPT: &str = "gs -sDEVICE=png16m -r150 -o FILE.png FILE writes its pages";

const PDF: &str = "pdftoppm -png FILE page writes its pages";

const LFS: &str = "git lfs pull fetches the picture that it stands for";

const WEB: &str = "download the picture itself";

const UNPACK: &str = "unpack it first";

const EXPORT: &str = "open it in the program that wrote it and export a PNG";

macro_rules! other {
    ($name:literal, $article:literal, $advice:expr) => {
        OtherFormat {
            name: $name,
            phrase: concat!($article, " ", $name, " picture"),
            advice: $advice,
            is_picture: true,
        }
    };
    ($name:literal, $article:literal, $noun:literal, $advice:expr) => {
        OtherFormat {
            name: $name,
            phrase: concat!($article, " ", $name, $noun),
            advice: $advice,
            is_picture: false,
        }
    };
}

/// The beginnings of files in the order in which they are tried.
const BEGINNINGS: &[(&[u8], OtherFormat)] = &[
    (b"\xff\x0a", other!("JPEG XL", "a", JXL)),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", other!("JPEG XL", "a", JXL)),
    (b"\xff\xd8\xff\xf7", other!("JPEG-LS", "a", JPEG_LS)),
    (b"II\xbc", other!("JPEG XR", "a", JPEG_XR)),
    (b"gimp xcf", other!("GIMP (XCF)", "a", EXPORT)),
    (b"farbfeld", other!("farbfeld", "a", EXPORT)),
    (b"#?RADIANCE", other!("Radiance HDR", "a", HDR)),
    (b"#?RGBE", other!("Radiance HDR", "a", HDR)),
    (b"v/1\x01", other!("OpenEXR", "an", HDR)),
    (b"PF\n", other!("colour PFM", "a", HDR)),
    (b"P7\n", other!("PAM", "a", EXPORT)),
    (b"BPG\xfb", other!("BPG", "a", EXPORT)),
    (b"FLIF", other!("FLIF", "a", EXPORT)),
    (b"\xd7\xcd\xc6\x9a", other!("Windows metafile (WMF)", "a", EXPORT)),
    (
        b"AT&TFORM",
        other!("DjVu", "a", "ddjvu -format=tiff FILE FILE.tif writes its pages"),
    ),
    (b"%PDF", other!("PDF", "a", " document", PDF)),
    (b"%!PS", other!("PostScript", "a", " document", POSTSCRIPT)),
    (b"\xc5\xd0\xd3\xc6", other!("PostScript", "a", " document", POSTSCRIPT)),
    (b"SIMPLE  =", other!("FITS", "a", FITS)),
    (b"\x93NUMPY", other!("NumPy", "a", " array", NUMPY)),
    (b"\x89HDF\r\n", other!("HDF5", "an", " file", "h5py opens it")),
    (b"GRIB", other!("GRIB", "a", " file of weather data", "cfgrib opens it")),
    (
        b"BUFR",
        other!("BUFR", "a", " file of weather data", "bufr_dump shows it"),
    ),
    (
        b"MATLAB 5.0",
        other!("MATLAB", "a", " file", "scipy.io.loadmat opens it"),
    ),
    // Photographs as the sensor saw them.
    (b"FUJIFILMCCD-RAW", other!("Fujifilm RAW (RAF)", "a", RAW)),
    (b"IIRO", other!("Olympus RAW (ORF)", "an", RAW)),
    (b"IIRS", other!("Olympus RAW (ORF)", "an", RAW)),
    (b"MMOR", other!("Olympus RAW (ORF)", "an", RAW)),
    (b"IIU\x00", other!("Panasonic RAW (RW2)", "a", RAW)),
    (b"FOVb", other!("Sigma RAW (X3F)", "a", RAW)),
    (b"\x00MRM", other!("Minolta RAW (MRW)", "a", RAW)),
    // Films.
    (b"\x1aE\xdf\xa3", other!("Matroska or WebM", "a", " video", VIDEO)),
    (b"\x00\x00\x01\xba", other!("MPEG", "an", " video", VIDEO)),
    (b"\x00\x00\x01\xb3", other!("MPEG", "an", " video", VIDEO)),
    // What arrives instead of a picture.
    (b"version https://git-lfs", other!("Git LFS", "a", " pointer", LFS)),
    (b"PK\x03\x04", other!("ZIP", "a", " archive", UNPACK)),
    (b"\x1f\x8b", other!("gzip", "a", " archive", UNPACK)),
    (b"7z\xbc\xaf", other!("7z", "a", " archive", UNPACK)),
    (b"Rar!", other!("RAR", "a", " archive", UNPACK)),
    (b"{\"", other!("JSON", "a", " text", WEB)),
];

/// The brands of files made of boxes (ISO 14496-12), which stand behind `ftyp`.
const BRANDS: &[(&[u8], FileKind)] = &[
    (b"avif", FileKind::Picture(PictureFormat::Avif)),
    (b"avis", FileKind::Picture(PictureFormat::Avif)),
    (b"crx ", FileKind::Other(other!("Canon RAW (CR3)", "a", RAW))),
    (b"heic", FileKind::Other(other!("HEIC", "a", HEIF))),
    (b"heix", FileKind::Other(other!("HEIC", "a", HEIF))),
    (b"heim", FileKind::Other(other!("HEIC", "a", HEIF))),
    (b"heis", FileKind::Other(other!("HEIC", "a", HEIF))),
    (b"hevc", FileKind::Other(other!("HEIC", "a", HEIF))),
    (b"hevx", FileKind::Other(other!("HEIC", "a", HEIF))),
    (b"mif1", FileKind::Other(other!("HEIF", "a", HEIF))),
    (b"msf1", FileKind::Other(other!("HEIF", "a", HEIF))),
    (b"", FileKind::Other(other!("MP4 or QuickTime", "an", " video", VIDEO))),
];

/// A rare format, by the mark at the beginning of its files.
fn rare(head: &[u8]) -> Option<PictureFormat> {
    Some(match head {
        [b'8', b'B', b'P', b'S', ..] => PictureFormat::Psd,
        [b'q', b'o', b'i', b'f', ..] => PictureFormat::Qoi,
        [b'i', b'c', b'n', b's', ..] => PictureFormat::Icns,
        [b'D', b'D', b'S', b' ', ..] => PictureFormat::Dds,
        [b'B', b'L', b'P', b'1' | b'2', ..] => PictureFormat::Blp,
        [b'F', b'T', b'E', b'X', ..] => PictureFormat::Ftex,
        [0, 0, 1, 0, ..] => PictureFormat::Ico,
        head if is_cur(head) => PictureFormat::Cur,
        [0x01, 0xda, 0 | 1, ..] => PictureFormat::Sgi,
        [0x59, 0xa6, 0x6a, 0x95, ..] => PictureFormat::Sun,
        [0xb1, 0x68, 0xde, 0x3a, ..] => PictureFormat::Dcx,
        [b'D', b'a', b'n', b'M', ..] | [b'L', b'i', b'n', b'S', ..] => PictureFormat::Msp,
        [0x80, 0xe8, 0, 0, ..] => PictureFormat::Pixar,
        [b'P', b'7', b' ', b'3', b'3', b'2', ..] => PictureFormat::XvThumb,
        head if is_fits(head) => PictureFormat::Fits,
        head if is_fli(head) => PictureFormat::Fli,
        head if is_mcidas(head) => PictureFormat::McIdas,
        head if head.starts_with(XPM) => PictureFormat::Xpm,
        head if is_xbm(head) => PictureFormat::Xbm,
        head if is_pnm(head) => PictureFormat::Pnm,
        _ => return None,
    })
}

/// A format whose files have no mark, by the numbers of their header.
fn unmarked(head: &[u8]) -> Option<PictureFormat> {
    if is_dib(head) {
        Some(PictureFormat::Dib)
    } else if is_gbr(head) {
        Some(PictureFormat::Gbr)
    } else if is_im(head) {
        Some(PictureFormat::Im)
    } else if is_imt(head) {
        Some(PictureFormat::Imt)
    } else if is_spider(head) {
        Some(PictureFormat::Spider)
    } else if is_tga(head) {
        Some(PictureFormat::Tga)
    } else if let [0x0a, 0 | 2 | 3 | 5, 0 | 1, 1 | 2 | 4 | 8, ..] = head {
        Some(PictureFormat::Pcx)
    } else {
        None
    }
}

impl FileKind {
    /// Tells by the first [`HEAD_BYTES`] bytes of a file, or fewer, what it is.
    pub fn of(head: &[u8]) -> Self {
        match Self::of_start(&head[..head.len().min(START_BYTES)]) {
            Self::Unknown if head.get(PCD_AT..).is_some_and(|head| head.starts_with(PCD)) => {
                Self::Picture(PictureFormat::Pcd)
            }
            kind => kind,
        }
    }

    fn of_start(head: &[u8]) -> Self {
        let picture = |format| Self::Picture(format);
        match head {
            [0xff, 0xd8, 0xff, 0xf7, ..] => {}
            [0xff, 0xd8, 0xff, ..] => return picture(PictureFormat::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => return picture(PictureFormat::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => return picture(PictureFormat::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => return picture(PictureFormat::Gif),
            [b'B', b'M', ..] => return picture(PictureFormat::Bmp),
            [b'I', b'I', b'*', 0, _, _, _, _, b'C', b'R', ..] => {
                return Self::Other(other!("Canon RAW (CR2)", "a", RAW));
            }
            [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => {
                return picture(PictureFormat::Tiff);
            }
            [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', ..] => {
                return Self::Other(other!("AVI", "an", " video", VIDEO));
            }
            [0, 0, 0, 12, b'j', b'P', b' ', b' ', b'\r', b'\n', 0x87, b'\n', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => {
                return picture(PictureFormat::Jpeg2000);
            }
            [_, _, _, _, b'f', b't', b'y', b'p', brands @ ..] => return Self::of_brands(head, brands),
            _ => {}
        }
        if head.get(128..132) == Some(b"DICM") {
            return Self::Other(other!("DICOM", "a", DICOM));
        }
        if head.starts_with(b"\x01\0\0\0") && head.get(40..44) == Some(b" EMF") {
            return Self::Other(other!("Windows metafile (EMF)", "a", EXPORT));
        }
        if let Some(format) = rare(head) {
            return picture(format);
        }
        let begun = BEGINNINGS.iter().find(|(beginning, _)| head.starts_with(beginning));
        if let Some(&(_, format)) = begun {
            return Self::Other(format);
        }
        if is_iptc(head) {
            return Self::Other(other!("IPTC", "an", PILLOW));
        }
        match (Self::of_text(head), unmarked(head)) {
            (Self::Unknown, Some(format)) => picture(format),
            (kind, _) => kind,
        }
    }

    /// Box files name a brand of their own and others they keep to; the specific names come first in the list.
    fn of_brands(head: &[u8], brands: &[u8]) -> Self {
        let length = head[..4]
            .iter()
            .fold(0, |length, &byte| (length << 8) | usize::from(byte));
        let brands = &brands[..brands.len().min(length.saturating_sub(8))];
        let named = |brand: &[u8]| brands.chunks_exact(4).any(|other| other == brand);
        // The major brand decides between HEIC and AVIF, which may both be listed.
        let major = BRANDS
            .iter()
            .find(|(brand, _)| !brand.is_empty() && brands.starts_with(brand));
        let major = major.filter(|(brand, _)| ![&b"mif1"[..], b"msf1"].contains(brand));
        let listed = || BRANDS.iter().find(|(brand, _)| brand.is_empty() || named(brand));
        match major.or_else(listed) {
            Some(&(_, kind)) => kind,
            None => Self::Unknown,
        }
    }

    /// Pages and drawings, in upper or lower case and after blanks.
    fn of_text(head: &[u8]) -> Self {
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let start = head.trim_ascii_start();
        let begins = |word: &[u8]| {
            let begin = start.get(..word.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(word))
        };
        let holds = |word: &[u8]| {
            let mut windows = start.windows(word.len());
            windows.any(|window| window.eq_ignore_ascii_case(word))
        };
        if begins(b"<!doctype html") || begins(b"<html") {
            Self::Other(OtherFormat {
                name: "HTML",
                phrase: "an HTML page, perhaps a server's error message",
                advice: WEB,
                is_picture: false,
            })
        } else if begins(b"<svg") || (begins(b"<?xml") && holds(b"<svg")) || begins(b"<!doctype svg") {
            Self::Other(other!("SVG", "an", " drawing", SVG))
        } else if begins(b"<?xml") {
            Self::Other(other!("XML", "an", " text", WEB))
        } else {
            Self::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(head: &[u8]) -> &'static str {
        match FileKind::of(head) {
            FileKind::Picture(format) => format.name(),
            FileKind::Other(format) => format.name,
            FileKind::Unknown => "unknown",
        }
    }

    #[test]
    fn files_are_named_by_their_first_bytes() {
        let files: [(&[u8], &str); 45] = [
            (b"\xff\xd8\xff\xe0", "JPEG"),
            (b"\xff\xd8\xff\xf7", "JPEG-LS"),
            (b"II*\0\x08\0\0\0", "TIFF"),
            (b"II*\0\x10\0\0\0CR\x02\0", "Canon RAW (CR2)"),
            (b"MM\0+\0\x08\0\0", "TIFF"),
            (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf", "AVIF"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1avif", "HEIC"),
            (b"\0\0\0\x14ftypmif1\0\0\0\0mif1", "HEIF"),
            (b"\0\0\0\x14ftypisom\0\0\0\0mp41", "MP4 or QuickTime"),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "Canon RAW (CR3)"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
            (b"\xff\x0a\xfa\x1f", "JPEG XL"),
            (b"P6\n3 4\n255\n", "PNM"),
            (b"P7\nWIDTH 3\n", "PAM"),
            (b"PF\n3 4\n-1.0\n", "colour PFM"),
            (b"8BPS\0\x01", "PSD"),
            (b"\0\0\x01\0\x01\0  \0\0\x01\0\x20\0\x30\0\0\0", "ICO"),
            (b"\x28\0\0\0\x03\0\0\0\x04\0\0\0\x01\0\x18\0", "DIB"),
            (b"\x28\0\0\0\x03\0\0\0\x04\0\0\0\x02\0\x18\0", "unknown"),
            (b"\x0a\x05\x01\x08\0\0\0\0", "PCX"),
            (b"\n\n\x01\x08", "unknown"),
            (b"#define im_width 8\n", "XBM"),
            (b"#define FOO 8\n", "unknown"),
            (b"\0\0\x02\0\0\0\0\0\0\0\0\0\xa0\0x\0\x18\x20", "TGA"),
            (b"\x07\0\x0b\0\0\0\0\0\0\0\0\0\xa0\0x\0\x08\0", "TGA"),
            (b"\0\x01\x01\0\0\0\x01\x18\0\0\0\0\xa0\0x\0\x08\0", "TGA"),
            (b"\0\0\x02\0\x01\0  \0\0\x01\0\x01\0\x30\0\0\0", "CUR"),
            (b"\n <!DOCTYPE HTML><html>", "HTML"),
            (b"<?xml version=\"1.0\"?><svg/>", "SVG"),
            (b"<?xml version=\"1.0\"?><a/>", "XML"),
            (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
            (b"SIMPLE  =                    T / yes", "FITS"),
            (b"SIMPLE TRUTHS", "unknown"),
            (b"\xb1\x68\xde\x3a\x0c\0\0\0", "DCX"),
            (b"Image type: RGB image\r\n\0\x1a", "IM"),
            (b"Name: somebody\n", "unknown"),
            (b"width 3\nheight 4\npixel n8\n\x0c", "IMT"),
            (b"width 3\nheight 4\n\x0c", "unknown"),
            (b"P7 332\n3 4 255\n", "XV thumbnail"),
            (b"\0\0\0\x14\0\0\0\x01\0\0\0\x03\0\0\0\x04\0\0\0\x01", "GIMP brush"),
            (b"\x1c\x03\x3c\0\x02\x01\0\x1c\x08\x0a\0\x01", "IPTC"),
            (b"", "unknown"),
            (b"\x01\x02\x03", "unknown"),
        ];
        for (head, expected) in files {
            assert_eq!(name(head), expected, "{head:?}");
        }
        let mut dicom = [0; 132];
        dicom[128..].copy_from_slice(b"DICM");
        assert_eq!(name(&dicom), "DICOM");
    }

    #[test]
    fn any_bytes_are_looked_at_safely() {
        for length in 0..HEAD_BYTES {
            name(&vec![0; length]);
            name(&[&b"\0\0\0\x01ftyp"[..], &vec![b'a'; length]].concat());
        }
    }
}

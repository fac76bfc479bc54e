//! Pictures against Pillow, Keras and TensorFlow, bit for bit. The golden files come from
//! `scripts/golden/golden_pictures.py`.

#![cfg(feature = "picture")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use image::{Rgb, RgbImage};
use serde::Deserialize;
use xception_model::picture::{
    AlphaMode, DecodeLimits, OrientationMode, PictureError, PictureWarning, Preset, Reading, SixteenBitMode, decode,
    decode_with_warnings, open,
};

mod arithmetic;
mod avif;
mod crops;
mod damaged;
mod formats;
mod jpeg2000;
mod rare;
mod textures;
mod tiff;

/// The manifest of the files that `golden_pictures.py` made.
#[derive(Deserialize)]
struct Manifest {
    presets: Vec<Resized>,
    digests: Vec<Digest>,
    pictures: Vec<Decoded>,
    converted: Vec<Converted>,
}

#[derive(Deserialize)]
struct Resized {
    preset: Preset,
    /// Width, height.
    source: (u32, u32),
    height: usize,
    width: usize,
    file: String,
}

#[derive(Deserialize)]
struct Digest {
    preset: Preset,
    source: (u32, u32),
    height: usize,
    width: usize,
    fnv1a: String,
}

#[derive(Deserialize)]
struct Decoded {
    file: String,
    /// The preset whose decoder made `expected`.
    preset: Preset,
    expected: String,
}

/// A file as Pillow's `convert("RGB")` and nothing else reads it.
#[derive(Deserialize)]
struct Converted {
    file: String,
    expected: String,
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/picture")
        .join(name)
}

fn bytes_of(name: &str) -> Vec<u8> {
    fs::read(golden(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn manifest() -> Manifest {
    serde_json::from_slice(&bytes_of("manifest.json")).expect("the manifest fits")
}

/// `level` of the script: three gradients under noise, wrapping at 256.
fn level(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([0_u32, 1, 2].map(|c| {
            let mixed = x
                .wrapping_mul(374_761_393)
                .wrapping_add(y.wrapping_mul(668_265_263))
                .wrapping_add(c.wrapping_mul(2_246_822_519));
            let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(1_274_126_177);
            (x * (c + 1) + y * (3 - c) + ((mixed >> 16) & 63)) as u8
        }))
    })
}

fn ppm(name: &str) -> RgbImage {
    let bytes = bytes_of(name);
    let mut parts = bytes.splitn(4, |&byte| byte == b'\n');
    assert_eq!(parts.next(), Some(&b"P6"[..]), "{name}");
    let size = std::str::from_utf8(parts.next().unwrap()).unwrap();
    let (width, height) = size.split_once(' ').unwrap();
    assert_eq!(parts.next(), Some(&b"255"[..]), "{name}");
    let pixels = parts.next().unwrap().to_vec();
    RgbImage::from_raw(width.parse().unwrap(), height.parse().unwrap(), pixels).unwrap()
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// How two pictures of one size differ.
fn difference(found: &[f32], expected: &[f32], width: usize) -> Option<String> {
    assert_eq!(found.len(), expected.len());
    let differs: Vec<usize> = (0..found.len())
        .filter(|&i| (found[i] - expected[i]).abs() > 0.0)
        .collect();
    let first = *differs.first()?;
    let largest = differs
        .iter()
        .map(|&i| (found[i] - expected[i]).abs())
        .fold(0.0, f32::max);
    let (pixel, channel) = (first / 3, first % 3);
    Some(format!(
        "{} of {} values differ, by up to {largest}; first at row {}, column {}, channel {channel}: {} instead of {}",
        differs.len(),
        found.len(),
        pixel / width,
        pixel % width,
        found[first],
        expected[first],
    ))
}

fn floats(picture: &RgbImage) -> Vec<f32> {
    picture.as_raw().iter().map(|&value| f32::from(value)).collect()
}

#[test]
fn presets_equal_the_libraries_they_are_named_after() {
    let cases = manifest().presets;
    for preset in Preset::ALL {
        assert!(
            cases.iter().filter(|case| case.preset == preset).count() >= 8,
            "{preset} has too few golden files"
        );
    }
    let mut differences = Vec::new();
    for case in cases {
        let expected = if case.preset.keeps_fractions() {
            bytes_of(&case.file)
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
                .collect()
        } else {
            floats(&ppm(&case.file))
        };
        let source = level(case.source.0, case.source.1);
        let pixels = case.preset.apply(&source, case.height, case.width).unwrap();
        assert_eq!((pixels.height(), pixels.width()), (case.height, case.width));
        if let Some(difference) = difference(pixels.data(), &expected, case.width) {
            differences.push(format!("{}: {difference}", case.file));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn presets_equal_the_libraries_at_network_sizes() {
    for case in manifest().digests {
        let source = level(case.source.0, case.source.1);
        let pixels = case.preset.apply(&source, case.height, case.width).unwrap();
        let digest = little_endian(pixels.data())
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        assert_eq!(
            format!("{digest:016x}"),
            case.fnv1a,
            "{} from {:?} to {} x {}",
            case.preset,
            case.source,
            case.width,
            case.height
        );
    }
}

#[test]
fn every_format_decodes_to_the_library_s_pixels() {
    let cases = manifest().pictures;
    let mut differences = Vec::new();
    for case in &cases {
        let expected = ppm(&case.expected);
        let found = case
            .preset
            .decode(&bytes_of(&case.file), DecodeLimits::default())
            .unwrap_or_else(|error| panic!("{}: {error}", case.file));
        assert_eq!(found.dimensions(), expected.dimensions(), "{}", case.file);
        if let Some(difference) = difference(&floats(&found), &floats(&expected), found.width() as usize) {
            differences.push(format!("{} against {}: {difference}", case.file, case.expected));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    for format in ["jpeg", "png", "webp", "gif", "bmp", "tiff"] {
        assert!(
            cases.iter().any(|case| case.file.starts_with(format)),
            "no {format} among the golden files"
        );
    }
}

#[test]
fn a_cut_file_is_an_error_or_loses_nothing() {
    let limits = DecodeLimits::default();
    for case in manifest().pictures {
        let bytes = bytes_of(&case.file);
        let whole = decode(&bytes, limits).unwrap();
        for length in 0..bytes.len() {
            if let Ok(picture) = decode(&bytes[..length], limits) {
                assert!(
                    picture == whole,
                    "{} cut to {length} of {} bytes",
                    case.file,
                    bytes.len()
                );
            }
        }
    }
}

/// A generator that gives the same numbers everywhere (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

#[test]
fn damaged_files_neither_panic_nor_take_long() {
    let limits = DecodeLimits {
        max_pixels: 1 << 20,
        max_bytes: 16 << 20,
        ..DecodeLimits::default()
    };
    let mut dice = Dice(0x5eed);
    for case in manifest().pictures {
        let bytes = bytes_of(&case.file);
        for _ in 0..200 {
            let mut damaged = bytes.clone();
            for _ in 0..=dice.roll(8) {
                let place = dice.roll(damaged.len());
                damaged[place] = dice.roll(256) as u8;
            }
            damaged.truncate(damaged.len() - dice.roll(2) * dice.roll(bytes.len()));
            let start = Instant::now();
            if let Ok(picture) = decode(&damaged, limits) {
                assert!(u64::from(picture.width()) * u64::from(picture.height()) <= limits.max_pixels);
            }
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{} took {:?}",
                case.file,
                start.elapsed()
            );
        }
    }
}

/// The sentence for bytes that must not decode.
fn refusal(bytes: &[u8]) -> String {
    decode(bytes, DecodeLimits::default())
        .expect_err("these bytes decode")
        .to_string()
}

const READS: &str =
    "JPEG, PNG, WebP, GIF, BMP, TIFF, JPEG 2000, AVIF, PNM, TGA, PSD, ICO and a few rarer formats are read";

/// The sentence's beginning and what it advises.
fn assert_refusal(bytes: &[u8], beginning: &str, advice: &str) {
    let sentence = refusal(bytes);
    assert!(sentence.starts_with(beginning), "{sentence}");
    assert!(sentence.contains(READS), "{sentence}");
    assert!(sentence.contains(advice), "{sentence}");
}

#[test]
fn what_is_no_picture_is_named() {
    assert_eq!(
        refusal(b""),
        "the file is empty; a download that failed leaves such files"
    );
    assert_eq!(
        refusal(b"\n<!DOCTYPE html><html><title>404 Not Found</title></html>"),
        format!(
            "this is not a picture but an HTML page, perhaps a server's error message; {READS}; download the picture \
             itself"
        )
    );
    assert_refusal(b"<svg/>", "this is not a picture but an SVG drawing; ", "cairosvg");
    assert_refusal(b"%PDF-1.7", "this is not a picture but a PDF document; ", "pdftoppm");
    assert_refusal(
        b"version https://git-lfs.github.com/spec/v1",
        "this is not a picture but a Git LFS pointer; ",
        "git lfs pull",
    );
    assert_eq!(refusal(b"\x01\x02\x03"), format!("this is not a picture; {READS}"));
    let mut dice = Dice(7);
    for _ in 0..2_000 {
        let noise: Vec<u8> = (0..dice.roll(64)).map(|_| dice.roll(256) as u8).collect();
        refusal(&noise);
    }
}

#[test]
fn formats_that_are_not_read_come_with_the_lines_that_convert_them() {
    let files: [(&[u8], &str, &str); 5] = [
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            "this is a HEIC picture, which is not read; ",
            "register_heif_opener",
        ),
        (
            b"\xff\x0a\0\0",
            "this is a JPEG XL picture, which is not read; ",
            "pillow_jxl",
        ),
        (
            b"PF\n1 1\n-1.0\n",
            "this is a colour PFM picture, which is not read; ",
            "cv2.imread",
        ),
        (
            b"II*\0\x10\0\0\0CR\x02\0",
            "this is a Canon RAW (CR2) picture, which is not read; ",
            "rawpy",
        ),
        (
            b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom",
            "this is a Canon RAW (CR3) picture, which is not read; ",
            "rawpy",
        ),
    ];
    for (bytes, beginning, advice) in files {
        assert_refusal(bytes, beginning, advice);
    }
}

/// Such a file made an earlier decoder read beyond the plane of black.
#[test]
fn inks_of_different_resolutions_are_read_as_pillow_reads_them() {
    let mut bytes = bytes_of("jpeg-cmyk.jpg");
    let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    // Length, precision, height, width and the number of inks; then three bytes for each ink: number, sampling, table.
    assert_eq!(bytes[frame + 9], 4);
    let sampling = frame + 10 + 3 * 3 + 1;
    assert_eq!(bytes[sampling], 0x11);
    bytes[sampling] = 0x13;
    let decoded = decode_with_warnings(&bytes, DecodeLimits::default()).unwrap();
    assert_eq!(decoded.picture, ppm("jpeg-cmyk-black-thrice.pillow.ppm"));
    assert!(
        matches!(decoded.warnings[..], [PictureWarning::Damaged { format: "JPEG", .. }]),
        "{:?}",
        decoded.warnings
    );
}

/// The switches of orientation, transparency and 16-bit data together give Pillow's and Keras's plain conversion.
#[test]
fn switched_off_the_exceptions_are_none() {
    let reading = Reading {
        orientation: OrientationMode::Stored,
        alpha: AlphaMode::Drop,
        sixteen_bit: SixteenBitMode::Clip,
        ..Reading::default()
    };
    let cases = manifest().converted;
    assert!(cases.len() >= 12);
    for case in cases {
        let found = decode(&bytes_of(&case.file), reading).unwrap();
        assert_eq!(found, ppm(&case.expected), "{}", case.file);
    }
}

#[test]
fn twelve_bit_data_in_sixteen_bits_bring_a_warning() {
    let dark = PictureWarning::Dark {
        largest: 4_095,
        bits: 12,
    };
    let stretch = Reading {
        sixteen_bit: SixteenBitMode::Stretch,
        ..Reading::default()
    };
    for file in ["png-12bit-grey.png", "tiff-12bit-grey.tif"] {
        let bytes = bytes_of(file);
        let decoded = decode_with_warnings(&bytes, DecodeLimits::default()).unwrap();
        assert_eq!(decoded.warnings, core::slice::from_ref(&dark), "{file}");
        assert!(decoded.warnings[0].to_string().contains("--sixteen-bit stretch"));
        let stretched = decode_with_warnings(&bytes, stretch).unwrap();
        assert_eq!(stretched.warnings, [], "{file}");
        assert_eq!(stretched.picture.iter().max(), Some(&255), "{file}");
        assert_eq!(stretched.picture.iter().min(), Some(&0), "{file}");
    }
    let sixteen = bytes_of("png-grey-16bit.png");
    assert_eq!(
        decode_with_warnings(&sixteen, DecodeLimits::default())
            .unwrap()
            .warnings,
        []
    );
}

#[test]
fn a_jpeg_without_a_height_is_refused() {
    let mut bytes = bytes_of("jpeg-cmyk.jpg");
    let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 7].fill(0);
    assert_eq!(
        refusal(&bytes),
        "this kind of JPEG is not read: its header says 29 x 0 pixels; save it as an 8-bit RGB PNG or JPEG"
    );
}

#[test]
fn errors_of_files_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let limits = DecodeLimits {
        max_file_bytes: 1_000,
        ..DecodeLimits::default()
    };
    let sentence = |name: &str| {
        let error = open(folder.path().join(name), limits).expect_err(name).to_string();
        let file = folder.path().join(name).display().to_string();
        error
            .strip_prefix(&file)
            .unwrap_or_else(|| panic!("{error} does not begin with {file}"))
            .to_owned()
    };
    fs::create_dir(folder.path().join("cats")).unwrap();
    fs::write(folder.path().join("large.jpg"), [0xff; 1_001]).unwrap();
    fs::write(folder.path().join("page.jpg"), "<html>").unwrap();

    assert!(
        sentence("missing.jpg").starts_with(": cannot be read: "),
        "{}",
        sentence("missing.jpg")
    );
    assert_eq!(sentence("cats"), ": this is a folder; name a picture inside it");
    assert_eq!(
        sentence("large.jpg"),
        ": the file has more than 1000 bytes, the limit set by max_file_bytes"
    );
    assert!(
        sentence("page.jpg").starts_with(": this is not a picture but an HTML page"),
        "{}",
        sentence("page.jpg")
    );
}

#[test]
fn the_content_decides_and_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really-a-png.jpg");
    fs::copy(golden("png-rgb.png"), &path).unwrap();
    assert_eq!(open(&path, DecodeLimits::default()).unwrap(), ppm("png-rgb.pillow.ppm"));
    assert_eq!(
        Preset::TimmBicubic.open(&path, DecodeLimits::default()).unwrap(),
        ppm("png-rgb.pillow.ppm")
    );
}

#[test]
fn a_device_without_end_is_cut_off() {
    if cfg!(target_os = "linux") {
        let limits = DecodeLimits {
            max_file_bytes: 10_000,
            ..DecodeLimits::default()
        };
        let error = open("/dev/zero", limits).unwrap_err().to_string();
        assert_eq!(
            error,
            "/dev/zero: the file has more than 10000 bytes, the limit set by max_file_bytes"
        );
    }
}

/// Writes a size into a golden file's header.
fn resized_header(file: &str, place: usize, size: &[u8]) -> Vec<u8> {
    let mut bytes = bytes_of(file);
    bytes[place..place + size.len()].copy_from_slice(size);
    bytes
}

#[test]
fn bombs_are_refused_by_their_header() {
    let frame = bytes_of("jpeg-420.jpg")
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .unwrap();
    let mut png = resized_header("png-rgb.png", 16, &[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let sum = png_checksum(&png[12..29]);
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    let bombs = [
        (
            "JPEG",
            resized_header("jpeg-420.jpg", frame + 5, &[0xea, 0x60, 0xea, 0x60]),
        ),
        ("PNG", png),
        ("GIF", resized_header("gif-still.gif", 6, &[0x60, 0xea, 0x60, 0xea])),
        (
            "BMP",
            resized_header("bmp-rgb.bmp", 18, &[0x60, 0xea, 0, 0, 0x60, 0xea, 0, 0]),
        ),
    ];
    for (format, bytes) in bombs {
        let start = Instant::now();
        let error = decode(&bytes, DecodeLimits::default()).expect_err(format);
        assert!(
            matches!(
                error,
                PictureError::TooManyPixels {
                    width: 60_000,
                    height: 60_000,
                    limit: 178_956_970
                }
            ),
            "{format}: {error}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{format} took {:?}",
            start.elapsed()
        );
    }
}

/// A progressive file may have any number of scans; this one has its last scan 200 times.
#[test]
fn a_jpeg_of_endless_scans_is_refused() {
    let bytes = bytes_of("jpeg-420-progressive.jpg");
    let starts_scan = |two: &[u8]| two == [0xff, 0xda];
    let last = bytes.windows(2).rposition(starts_scan).unwrap();
    let (scan, end) = bytes[last..].split_at(bytes.len() - last - 2);
    let endless = [&bytes[..last], &scan.repeat(200), end].concat();
    let error = refusal(&endless);
    assert!(error.contains("scan") && error.contains("exceeds limit 100"), "{error}");
}

/// Pillow: "Truncated File Read" (`PngImagePlugin.py`, `load_end`).
#[test]
fn a_png_file_that_ends_within_a_chunk_behind_its_pixels_is_refused() {
    let whole = bytes_of("png-rgb.png");
    let (pixels, end) = whole.split_at(whole.len() - 12);
    let within = |name: &[u8]| [pixels, &9_u32.to_be_bytes(), name, b"a\0b"].concat();
    let reading = Reading::default();
    for name in [b"tEXt", b"prVt", b"gAMA"] {
        let error = decode(&within(name), reading).expect_err("it is refused").to_string();
        assert!(
            error.contains("the file ends within a chunk behind the pixels"),
            "{error}"
        );
    }
    // Pillow stops at the end chunk, and at a name that is none.
    for name in [b"IEND", b"te-t"] {
        let found = decode(&within(name), reading).expect("it is read");
        assert_eq!(found, ppm("png-rgb.pillow.ppm"));
    }
    assert_eq!(
        decode(&[pixels, end].concat(), reading).unwrap(),
        ppm("png-rgb.pillow.ppm")
    );
}

/// CRC-32 as in the PNG specification, annex D.
fn png_checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            if sum & 1 == 1 {
                0xedb8_8320 ^ (sum >> 1)
            } else {
                sum >> 1
            }
        })
    })
}

#[test]
fn every_limit_is_kept_for_every_file() {
    for case in manifest().pictures {
        let bytes = bytes_of(&case.file);
        let pixels = ppm(&case.expected).pixels().len() as u64;
        let few_pixels = DecodeLimits {
            max_pixels: pixels - 1,
            ..DecodeLimits::default()
        };
        let error = decode(&bytes, few_pixels).expect_err(&case.file);
        assert!(
            matches!(error, PictureError::TooManyPixels { .. }),
            "{}: {error}",
            case.file
        );
        let little_memory = DecodeLimits {
            max_bytes: pixels * 4 - 1,
            ..DecodeLimits::default()
        };
        let error = decode(&bytes, little_memory).expect_err(&case.file);
        assert!(
            matches!(error, PictureError::TooMuchMemory { .. }),
            "{}: {error}",
            case.file
        );
    }
}

#[test]
fn presets_are_read_and_written_by_name() {
    let names = [
        "keras-nearest",
        "keras-bilinear",
        "pil-bilinear",
        "pil-bicubic",
        "pil-lanczos",
        "pil-box",
        "pil-hamming",
        "keras-nearest-crop",
        "keras-bilinear-crop",
        "pil-bilinear-crop",
        "pil-bicubic-crop",
        "pil-lanczos-crop",
        "timm-bicubic",
    ];
    for (preset, name) in Preset::ALL.into_iter().zip(names) {
        assert_eq!(preset.to_string(), name);
        assert_eq!(name.parse(), Ok(preset));
        assert_eq!(serde_json::to_string(&preset).unwrap(), format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<Preset>(&format!("\"{name}\"")).unwrap(), preset);
        assert_eq!(preset.cuts(), name.ends_with("-crop") || name == "timm-bicubic");
    }
    assert_eq!(
        "lanczos".parse::<Preset>().unwrap_err().to_string(),
        format!(
            "there is no preset \"lanczos\"; the presets are {}, timm-bicubic-SHARE, timm-bilinear-SHARE, \
             torchvision-bilinear-SIDE, torchvision-bicubic-SIDE, with a share of the shorter side such as 0.875 \
             (timm's crop_pct) or a length of the shorter side such as 256 (torchvision's resize_size)",
            names.join(", ")
        )
    );
}

#[test]
fn sizes_without_a_pixel_are_refused() {
    let picture = level(3, 2);
    for preset in Preset::ALL {
        for (height, width) in [(0, 5), (5, 0), (16_385, 5), (usize::MAX, usize::MAX)] {
            let error = preset.apply(&picture, height, width).unwrap_err();
            assert!(matches!(error, PictureError::Size { .. }), "{preset}: {error}");
        }
        let error = preset.apply(&RgbImage::new(0, 4), 5, 6).unwrap_err().to_string();
        assert_eq!(
            error,
            "a picture of 0 x 4 pixels (width x height) cannot become 6 x 5: each side needs at least one pixel and \
             at most 16384"
        );
    }
}

/// timm scales the shorter side: for these two pictures that would be 6.6 billion pixels before the crop.
#[test]
fn a_thread_of_a_picture_costs_no_more_than_another() {
    for (width, height) in [(60_000, 1), (1, 60_000)] {
        let picture = level(width, height);
        for preset in Preset::ALL {
            let start = Instant::now();
            let pixels = preset.apply(&picture, 299, 299).unwrap();
            assert_eq!(pixels.data().len(), 299 * 299 * 3);
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{preset} took {:?}",
                start.elapsed()
            );
        }
    }
}

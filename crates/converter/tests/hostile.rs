//! Broken and hostile files: each gives a message that names the file, exit code 1, within 256 MB and 5 seconds, and
//! leaves no file behind. HDF5 alone is tested in keras-store's `tests/hostile.rs`.

mod common;

use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Bench, Random, all_known, keras, tf, torch};
use converter::{Known, Options, open, verify};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The error message for a file of these bytes.
#[cfg(unix)]
fn refused(name: &str, bytes: &[u8]) -> String {
    let bench = Bench::new();
    bench.write(name, bytes);
    let error = bench
        .bounded(&[
            name,
            "out.bpk",
            "--size",
            "75x90",
            "--pooling",
            "average",
            "--head",
            "softmax",
            "--scaling",
            "tf",
        ])
        .failed(1);
    assert!(error.starts_with("error: ") && error.contains(name), "{error}");
    assert_eq!(bench.listing(), [name], "{error}");
    error
}

/// A sample of each input format.
fn samples(bench: &Bench) -> Vec<PathBuf> {
    let convert = |name: &str| {
        let path = bench.path(name);
        let source = open(&keras("toy.keras"), &tf()).unwrap();
        source.convert(&path, &Options::default()).unwrap();
        path
    };
    vec![
        convert("sample.bpk"),
        convert("sample.safetensors"),
        convert("sample.keras"),
        convert("sample.weights.h5"),
        convert("sample.h5"),
        torch("toy.pth"),
        torch("legacy.pth"),
    ]
}

/// Opens and reads everything.
fn use_all(path: &std::path::Path) -> Result<(), String> {
    let source = open(path, &all_known()).or_else(|_| {
        open(
            path,
            &Known {
                size: Some([75, 90]),
                ..tf()
            },
        )
    });
    let source = source.map_err(|error| error.to_string())?;
    source
        .load(&burn::tensor::Device::flex())
        .map(drop)
        .map_err(|error| error.to_string())
}

#[test]
fn every_format_cut_short_anywhere_is_an_error() {
    let bench = Bench::new();
    for path in samples(&bench) {
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(use_all(&path), Ok(()), "{}", path.display());
        let cuts = (0..whole.len()).step_by(whole.len() / 120).chain([whole.len() - 1]);
        for cut in cuts {
            let short = bench.write("short", &whole[..cut]);
            let error = use_all(&short).expect_err(&format!("{} at {cut}", path.display()));
            assert!(error.contains("short"), "{error}");
        }
    }
}

#[test]
fn changed_bytes_never_bring_it_down() {
    let bench = Bench::new();
    let mut random = Random::new(1);
    for path in samples(&bench) {
        let whole = std::fs::read(&path).unwrap();
        for _ in 0..300 {
            let changed = bench.write("changed", random.mutate(&whole));
            let started = Instant::now();
            let _ = use_all(&changed);
            assert!(started.elapsed() < Duration::from_secs(5), "{}", path.display());
        }
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_weight_file_is_told_apart() {
    for (bytes, part) in [
        (&b""[..], "found an empty file"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "found a web page"),
        (b"dear reader", "found text"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "found a Git LFS pointer",
        ),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00", "found other data"),
    ] {
        let error = refused("weights.bin", bytes);
        assert!(error.contains(part), "{error}");
    }
    let noise: Vec<u8> = (0..4096_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for magic in [
        &b""[..],
        b"PK\x03\x04",
        b"\x89HDF\r\n\x1a\n",
        b"NRUB",
        b"\x80\x02",
        b"\x08\x08\x12",
        b"{",
        b"\x20\0\0\0\0\0\0\0{",
    ] {
        refused("noise", &[magic, &noise].concat());
    }
}

#[cfg(unix)]
#[test]
fn directories_devices_and_missing_files_are_named() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("folder.keras")).unwrap();
    for name in ["folder.keras", "missing.keras", "/dev/zero", "/dev/null"] {
        let error = bench.bounded(&[name, "out.bpk"]).failed(1);
        assert!(error.contains(name), "{error}");
    }
}

fn archive(members: &[(&str, &[u8])], compression: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(compression))
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[cfg(unix)]
#[test]
fn archives_that_inflate_without_end_are_refused() {
    let zeros = vec![0; 300 << 20];
    refused(
        "bomb.keras",
        &archive(&[("model.weights.h5", &zeros)], CompressionMethod::Deflated),
    );
    refused(
        "bomb2.keras",
        &archive(&[("config.json", &zeros)], CompressionMethod::Deflated),
    );
    refused(
        "bomb.pth",
        &archive(&[("archive/data.pkl", &zeros)], CompressionMethod::Deflated),
    );
}

#[cfg(unix)]
#[test]
fn a_path_that_leaves_the_archive_is_never_followed() {
    for name in ["../../escaped.h5", "/tmp/escaped.h5", "../model.weights.h5"] {
        let error = refused("outside.keras", &archive(&[(name, b"x")], CompressionMethod::Stored));
        assert!(error.contains("no member `model.weights.h5`"), "{error}");
    }
    assert!(!std::path::Path::new("/tmp/escaped.h5").exists());
}

#[cfg(unix)]
#[test]
fn an_encrypted_archive_is_refused() {
    for (name, path) in [("secret.keras", keras("toy.keras")), ("secret.pth", torch("toy.pth"))] {
        let error = refused(name, &encrypted(std::fs::read(path).unwrap()));
        assert!(error.contains("is encrypted; decrypt the archive first"), "{error}");
    }
}

/// An archive in which every member has the encryption flag.
#[cfg(unix)]
fn encrypted(mut bytes: Vec<u8>) -> Vec<u8> {
    // The flag stands behind the signatures of the local and of the central headers.
    for (signature, offset) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let places: Vec<usize> = (0..bytes.len() - 4)
            .filter(|&i| &bytes[i..i + 4] == signature)
            .collect();
        for place in places {
            bytes[place + offset] |= 1;
        }
    }
    bytes
}

#[cfg(unix)]
#[test]
fn a_checkpoint_of_the_other_byte_order_is_refused() {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(torch("toy.pth")).unwrap()).unwrap();
    let mut members: Vec<(String, Vec<u8>)> = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
        let name = member.name().unwrap().into_owned();
        let bytes = if name.ends_with("/byteorder") {
            b"big".to_vec()
        } else {
            bytes
        };
        members.push((name, bytes));
    }
    assert!(members.iter().any(|(name, _)| name.ends_with("/byteorder")));
    let members: Vec<(&str, &[u8])> = members
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let error = refused("big.pth", &self::archive(&members, CompressionMethod::Stored));
    assert!(error.contains("ig-endian"), "{error}");
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[cfg(unix)]
#[test]
fn shapes_and_places_that_cannot_be_are_refused_before_anything_is_reserved() {
    let name = "block1.conv1.conv.weight";
    let one = |shape: &str, offsets: &str| {
        safetensors(
            &format!("{{\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}"),
            &[0; 64],
        )
    };
    for (bytes, part) in [
        (one("[1099511627776]", "[0,64]"), "header"),
        (one("[1099511627776,1099511627776]", "[0,64]"), "header"),
        (one("[16]", "[64,0]"), "header"),
        (one("[32]", "[0,128]"), "fit"),
        (safetensors("{\"a\":1}", &[]), "header"),
        ([&u64::MAX.to_le_bytes()[..], b"{"].concat(), "found other data"),
        ([&(1_u64 << 31).to_le_bytes()[..], b"{"].concat(), "header claims"),
    ] {
        let error = refused("bad.safetensors", &bytes);
        assert!(error.contains(part), "{error}");
    }
    // Two tensors at the same place.
    let header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[0,64]},\
                  \"b\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[32,64]}}";
    refused("overlapping.safetensors", &safetensors(header, &[0; 64]));
}

#[cfg(unix)]
#[test]
fn a_record_whose_description_asks_for_a_giant_is_refused() {
    let bench = Bench::new();
    let source = open(&keras("toy.keras"), &tf()).unwrap();
    source.convert(&bench.path("toy.bpk"), &Options::default()).unwrap();
    let bytes = std::fs::read(bench.path("toy.bpk")).unwrap();
    let text = b"middle_blocks = 1\nnum_classes = 5\norder = \"depthwise-first\"\noutput_stride = \"32\"";
    let mut giant = b"middle_blocks=1\nnum_classes=16000000\norder=\"depthwise-first\"\noutput_stride=\"32\"".to_vec();
    giant.resize(text.len(), b' ');
    let place = bytes.windows(text.len()).position(|window| window == text).unwrap();
    let mut changed = bytes.clone();
    changed[place..place + text.len()].copy_from_slice(&giant);
    let error = refused("giant.bpk", &changed);
    assert!(error.contains("its description is of a network of 144"), "{error}");
}

/// Replaces numbers by others, at every occurrence.
#[cfg(unix)]
fn replaced(mut bytes: Vec<u8>, from: &[u64], to: &[u64]) -> Vec<u8> {
    let flat = |numbers: &[u64]| {
        numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let (from, to) = (flat(from), flat(to));
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|&place| bytes[place..].starts_with(&from))
        .collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(&to);
    }
    bytes
}

/// keras-store's own tests of HDF5, within this program's bounds.
#[cfg(unix)]
#[test]
fn circles_depths_overlaps_and_giants_in_hdf5_stay_within_the_bounds() {
    let fixture = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../keras-store/tests/fixtures");
        std::fs::read(folder.join(name)).unwrap()
    };
    let error = refused("cycle.h5", &fixture("cycle.weights.h5"));
    assert!(error.contains("contains itself"), "{error}");
    refused("deep.h5", &fixture("deep.weights.h5"));
    // The same address for all chunks: that of the first, 6592.
    let chunked = fixture("chunked.weights.h5");
    refused("overlapping.h5", &replaced(chunked, &[6596], &[6592]));
    for giant in [[1 << 20, 1 << 20], [1 << 40, 5], [1 << 63, 1 << 63]] {
        let error = refused("giant.h5", &replaced(fixture("network_keras2.h5"), &[6, 5], &giant));
        assert!(error.contains("more than a file of"), "{error}");
    }
}

#[test]
fn not_a_number_is_listed_by_name() {
    let bench = Bench::new();
    let path = bench.path("toy.safetensors");
    let source = open(&keras("toy.keras"), &tf()).unwrap();
    source.convert(&path, &Options::default()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    bytes[header..header + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    bench.write("nan.safetensors", bytes);
    let error = bench.run(&["nan.safetensors", "out.bpk"]).failed(1);
    assert!(error.contains("2 with a NaN or an infinity:"), "{error}");
    assert!(!bench.path("out.bpk").exists());
}

#[test]
fn a_half_that_overflows_is_not_written() {
    let bench = Bench::new();
    let path = bench.path("toy.safetensors");
    open(&keras("toy.keras"), &tf())
        .unwrap()
        .convert(&path, &Options::default())
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&70_000_f32.to_le_bytes());
    bench.write("large.safetensors", bytes);
    let error = bench.run(&["large.safetensors", "out.bpk", "--dtype", "f16"]).failed(1);
    assert!(error.contains("1 with a NaN or an infinity"), "{error}");
    bench.run(&["large.safetensors", "out.bpk", "--dtype", "bf16"]).ok();
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let bench = Bench::new();
    let mut refused = 0;
    for path in samples(&bench) {
        let copy = bench.path("shrinking");
        std::fs::copy(&path, &copy).unwrap();
        let known = Known {
            size: Some([75, 90]),
            ..tf()
        };
        let source = open(&copy, &known).or_else(|_| open(&copy, &all_known())).unwrap();
        let file = std::fs::File::options().write(true).open(&copy).unwrap();
        file.set_len(file.metadata().unwrap().len() / 4).unwrap();
        let out = bench.path(&format!("{}.bpk", path.file_name().unwrap().to_str().unwrap()));
        if let Err(error) = source.convert(&out, &Options::default()) {
            assert!(error.to_string().contains("shrinking"), "{}: {error}", path.display());
            assert!(!out.exists());
            refused += 1;
        } else {
            // A small HDF5 file may be in memory already: then nothing was lost.
            let original = open(&path, &known).or_else(|_| open(&path, &all_known())).unwrap();
            let verification = verify(&original, &open(&out, &known).unwrap()).unwrap();
            assert!(verification.is_equal(), "{}: {verification}", path.display());
        }
    }
    assert!(refused >= 4, "{refused}");
}

/// Every output format.
const ENDINGS: [&str; 6] = ["bpk", "safetensors", "keras", "weights.h5", "h5", "onnx"];

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    let input = keras("toy.keras");
    let input = input.to_str().unwrap();
    bench.write("file", "x");
    for ending in ENDINGS {
        for folder in ["no/such", "file", "/proc"] {
            let output = format!("{folder}/out.{ending}");
            let error = bench.bounded(&[input, &output, "--scaling", "tf"]).failed(1);
            assert!(error.contains(&output), "{error}");
        }
    }
    assert_eq!(bench.listing(), ["file"]);
}

/// A folder of another user. Root can open every folder, so as root the program is run as the user nobody.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_named() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    let bench = Bench::new();
    let input = bench.write("toy.keras", std::fs::read(keras("toy.keras")).unwrap());
    std::fs::create_dir(bench.path("closed")).unwrap();
    set_permissions(bench.folder.path(), Permissions::from_mode(0o755)).unwrap();
    set_permissions(bench.path("closed"), Permissions::from_mode(0o555)).unwrap();
    let as_nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let is_root = std::fs::write(bench.path("closed/probe"), "").is_ok();
    let mut limits = "true".to_owned();
    if is_root {
        std::fs::remove_file(bench.path("closed/probe")).unwrap();
        let reaches = format!("{as_nobody} \"$0\" --version");
        if bench.limited(&reaches, &["--version"]).code != Some(0) {
            println!("skipped: nobody cannot run the program here");
            return;
        }
        limits = format!("exec {as_nobody} \"$0\" \"$@\"");
    }
    for ending in ENDINGS {
        let output = format!("closed/out.{ending}");
        let arguments = [input.to_str().unwrap(), &output, "--scaling", "tf"];
        let error = bench.limited(&limits, &arguments).failed(1);
        assert!(error.contains(&output) && error.contains("denied"), "{error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    }
    assert_eq!(std::fs::read_dir(bench.path("closed")).unwrap().count(), 0);
}

/// No file may exceed 4 kB, as on a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing() {
    let bench = Bench::new();
    // A deflated archive is unpacked to another file; this one is read in place.
    let folder = Bench::new();
    let input = folder.path("toy.bpk");
    let source = open(&keras("toy.keras"), &tf()).unwrap();
    source.convert(&input, &Options::default()).unwrap();
    for ending in ENDINGS {
        let output = format!("out.{ending}");
        let error = bench
            .limited("trap '' XFSZ && ulimit -f 8", &[input.to_str().unwrap(), &output])
            .failed(1);
        assert!(error.starts_with("error: ") && error.contains(&output), "{error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert_eq!(bench.listing(), [""; 0], "{error}");
        // An existing file is not lost either.
        bench.write(&output, "precious");
        let again = [input.to_str().unwrap(), &output, "--force"];
        bench.limited("trap '' XFSZ && ulimit -f 8", &again).failed(1);
        assert_eq!(std::fs::read(bench.path(&output)).unwrap(), b"precious");
        std::fs::remove_file(bench.path(&output)).unwrap();
    }
}

/// Pickles that repeat one opcode: a small file that would grow without end in memory.
#[cfg(unix)]
#[test]
fn pickles_that_unfold_without_end_are_refused() {
    let pickle = |body: &[u8], times: usize| [b"\x80\x02", body.repeat(times).as_slice(), b"."].concat();
    let archived = |bytes: &[u8], compression| archive(&[("archive/data.pkl", bytes)], compression);
    for (bytes, part) in [
        (
            archived(&pickle(b"}", 60 << 20), CompressionMethod::Deflated),
            "more than 4194304 bytes",
        ),
        (
            archived(&pickle(b"}", 16 << 20), CompressionMethod::Stored),
            "more than 4194304 bytes",
        ),
        (
            archived(&pickle(b"}", 4_000_000), CompressionMethod::Deflated),
            "unfold",
        ),
        (pickle(b"}", 64 << 20), "unfold"),
        (pickle(b"(", 64 << 20), "unfold"),
        (pickle(&[b'J', 0, 0, 0, 0], 16 << 20), "unfold"),
        // One text of 3 MB, used often.
        (
            pickle(
                &[
                    b"X\0\0\x30\0".as_slice(),
                    &vec![b'a'; 3 << 20],
                    b"q\0",
                    &b"h\0".repeat(1000),
                ]
                .concat(),
                1,
            ),
            "unfold",
        ),
    ] {
        let error = refused("bomb.pth", &bytes);
        assert!(error.contains(part), "{error}");
    }
    // The largest texts that are read.
    for body in [
        b"}".repeat(199_000),
        [b"(".as_slice(), &b"}K\x01Ns".repeat(49_000), b"l"].concat(),
        [
            b"]q\0(".as_slice(),
            &b"}K\x01Ns".repeat(1_000),
            b"e",
            &b"h\0".repeat(120),
        ]
        .concat(),
        [b"}".as_slice(), &b"K\x01]s".repeat(45_000)].concat(),
    ] {
        refused("large.pth", &pickle(&body, 1));
        refused("large.pth", &archived(&pickle(&body, 1), CompressionMethod::Deflated));
    }
}

/// JSON texts that are small in the file and large in memory, and the largest that are parsed.
#[cfg(unix)]
#[test]
fn configs_that_grow_in_memory_are_refused() {
    let weights = {
        let mut zip = zip::ZipArchive::new(std::fs::File::open(keras("toy.keras")).unwrap()).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut zip.by_name("model.weights.h5").unwrap(), &mut bytes).unwrap();
        bytes
    };
    let layer = "{\"class_name\":\"A\",\"config\":{\"a\":0}},";
    for (piece, times, part) in [
        ("{\"\":0},", 16 << 17, "more than the"),
        ("0,", 16 << 19, "more than the"),
        ("{\"\":0},", 500_000, "objects and lists"),
        ("0,", 2_000_000, "commas"),
        (layer, 50_000, "objects and lists"),
        (layer, 32_000, ""),
        ("{\"class_name\":\"A\",\"config\":[0,0,0,0,0]},", 32_000, ""),
        ("[0,0,0,0,0,0,0],", 32_000, ""),
    ] {
        let text = format!(
            "{{\"class_name\":\"Model\",\"config\":{{\"layers\":[{}0]}}}}",
            piece.repeat(times)
        );
        for name in ["config.json", "metadata.json"] {
            let members: [(&str, &[u8]); 2] = [(name, text.as_bytes()), ("model.weights.h5", &weights)];
            let bytes = archive(&members, CompressionMethod::Deflated);
            let error = refused("bomb.keras", &bytes);
            assert!(name == "metadata.json" || error.contains(part), "{error}");
        }
    }
}

/// Sparse files: the hole must neither be read into memory nor accepted.
#[cfg(unix)]
#[test]
fn what_is_far_longer_than_its_content_is_refused_quickly() {
    let bench = Bench::new();
    let sparse = |name: &str, start: &[u8], length: u64| {
        let file = std::fs::File::options()
            .write(true)
            .open(bench.write(name, start))
            .unwrap();
        file.set_len(length).unwrap();
    };
    let convert = |name: &str| {
        let source = open(&keras("toy.keras"), &tf()).unwrap();
        source.convert(&bench.path(name), &Options::default()).unwrap();
        let bytes = std::fs::read(bench.path(name)).unwrap();
        std::fs::remove_file(bench.path(name)).unwrap();
        std::fs::remove_file(bench.path(&format!("{name}.card.toml"))).unwrap();
        bytes
    };
    // A field of a protocol buffer: its number, its length.
    let field = |number: u8, length: u32| {
        let mut bytes = vec![number << 3 | 2];
        bytes.extend((0..5).map(|group| (length >> (7 * group)) as u8 & 0x7f | if group < 4 { 0x80 } else { 0 }));
        bytes
    };
    // A model of one tensor whose numbers fill the file: stored as 32-bit floats (9), or as integers of one byte each
    // (5).
    let model = |numbers: u8, length: u32| {
        let graph = [field(5, length - 14), field(numbers, length - 20)].concat();
        [b"\x08\x08".as_slice(), &field(7, length - 8), &graph].concat()
    };
    for (name, start, length, part) in [
        (
            "zeros.onnx",
            std::fs::read(common::onnx("tf2onnx.onnx")).unwrap(),
            1_900 << 20,
            "it is no ONNX model",
        ),
        ("numbers.onnx", model(9, 1_900 << 20), 1_900 << 20, "it has 0 inputs"),
        ("integers.onnx", model(5, 200 << 20), 200 << 20, "its graph alone takes"),
        ("long.bpk", convert("a.bpk"), 4 << 30, "there is data after them"),
        (
            "long.safetensors",
            convert("a.safetensors"),
            4 << 30,
            "there is data after them",
        ),
    ] {
        sparse(name, &start, length);
        let error = bench.bounded(&[name, "out.bpk", "--size", "75x90"]).failed(1);
        assert!(error.contains(name) && error.contains(part), "{error}");
        std::fs::remove_file(bench.path(name)).unwrap();
        assert!(bench.listing().is_empty());
    }
}

/// Reads a file and returns the error message.
#[cfg(unix)]
type Reader = Box<dyn FnOnce() -> String + Send>;

/// A pipe without a writer: opening it would block.
#[cfg(unix)]
#[test]
fn a_pipe_is_no_file() {
    let bench = Bench::new();
    let pipe = bench.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let input = keras("toy.keras");
    let input = input.to_str().unwrap();
    for arguments in [
        &["pipe", "out.bpk"][..],
        &["inspect", "pipe"],
        &["verify", "pipe", "pipe"],
        &[input, "out.bpk", "--labels", "pipe"],
    ] {
        let error = bench.bounded(arguments).failed(1);
        assert!(error.contains("pipe") && error.contains("no ordinary file"), "{error}");
    }
    let device = burn::tensor::Device::flex();
    let file = pipe.clone();
    let readers: [(&str, Reader); 3] = [
        (
            "load",
            Box::new(move || xception_model::load(&file, &device).unwrap_err().to_string()),
        ),
        ("card", {
            let file = pipe.clone();
            Box::new(move || xception_model::registry::Card::load(&file).unwrap_err().to_string())
        }),
        ("picture", {
            let file = pipe.clone();
            let limits = xception_model::picture::DecodeLimits::default();
            Box::new(move || xception_model::picture::open(&file, limits).unwrap_err().to_string())
        }),
    ];
    for (name, read) in readers {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(read()));
        let error = receiver.recv_timeout(Duration::from_secs(20));
        let error = error.unwrap_or_else(|_| panic!("{name} waits for ever"));
        assert!(error.contains("pipe"), "{name}: {error}");
    }
}

/// A whole Xception as safetensors, with its header and data, for the tests to damage.
fn toy_safetensors() -> (serde_json::Map<String, serde_json::Value>, Vec<u8>) {
    let bench = Bench::new();
    let path = bench.path("toy.safetensors");
    let source = open(&keras("toy.keras"), &tf()).unwrap();
    source.convert(&path, &Options::default()).unwrap();
    let bytes = std::fs::read(path).unwrap();
    let start = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let header = serde_json::from_slice(&bytes[8..start]).unwrap();
    (header, bytes[start..].to_vec())
}

fn with_header(header: &serde_json::Map<String, serde_json::Value>, data: &[u8]) -> Vec<u8> {
    safetensors(&serde_json::to_string(header).unwrap(), data)
}

#[cfg(unix)]
#[test]
fn tensors_in_one_place_are_refused() {
    let (header, data) = toy_safetensors();
    refused_not(&with_header(&header, &data));
    let names: Vec<&String> = header.keys().filter(|name| *name != "__metadata__").collect();
    let (one, two) = names
        .iter()
        .flat_map(|one| names.iter().map(move |two| (*one, *two)))
        .find(|(one, two)| one != two && header[*one]["shape"] == header[*two]["shape"])
        .unwrap();
    let mut overlapping = header.clone();
    overlapping[one]["data_offsets"] = header[two]["data_offsets"].clone();
    let error = refused("overlapping.safetensors", &with_header(&overlapping, &data));
    assert!(error.contains("its header is damaged"), "{error}");
}

/// The undamaged file is read, so that a refusal is due to the damage.
#[cfg(unix)]
fn refused_not(bytes: &[u8]) {
    let bench = Bench::new();
    bench.write("whole.safetensors", bytes);
    bench.bounded(&["whole.safetensors", "out.bpk"]).ok();
}

#[cfg(unix)]
#[test]
fn numbers_that_are_no_floats_are_listed_by_name() {
    let (mut header, data) = toy_safetensors();
    header["exit.block7.sepconv1.bn.gamma"]["dtype"] = "I32".into();
    let error = refused("integers.safetensors", &with_header(&header, &data));
    assert!(
        error.contains("1 not of floating-point numbers:\n    exit.block7.sepconv1.bn.gamma: I32"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn not_a_number_is_found_in_every_width() {
    let (header, data) = toy_safetensors();
    let (values, _) = data.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let halves = |nan: bool| {
        let last = if nan { 0x7e00 } else { 0 };
        let mut bytes = vec![0_u8; 2 * (values.len() - 1)];
        bytes.extend(u16::to_le_bytes(last));
        bytes
    };
    let doubles = |nan: bool| {
        let mut wide: Vec<f64> = values.iter().copied().map(f64::from).collect();
        if nan {
            wide[0] = f64::NAN;
        }
        wide.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()
    };
    let in_type = |dtype: &str, width: u64| {
        let mut header = header.clone();
        for (_, entry) in header.iter_mut().filter(|(name, _)| *name != "__metadata__") {
            entry["dtype"] = dtype.into();
            for offset in entry["data_offsets"].as_array_mut().unwrap() {
                *offset = (offset.as_u64().unwrap() / 4 * width).into();
            }
        }
        header
    };
    for (dtype, width, bytes, spoilt) in [
        ("F16", 2, halves(false), halves(true)),
        ("F64", 8, doubles(false), doubles(true)),
    ] {
        let header = in_type(dtype, width);
        refused_not(&with_header(&header, &bytes));
        let error = refused("nan.safetensors", &with_header(&header, &spoilt));
        assert!(error.contains("1 with a NaN or an infinity:"), "{dtype}: {error}");
    }
}

/// `--partial` accepts missing tensors and no other fault.
#[cfg(unix)]
#[test]
fn a_part_must_fit_too() {
    let (header, data) = toy_safetensors();
    let bench = Bench::new();
    let name = "exit.block7.sepconv1.bn.gamma";
    let partial = |bytes: &[u8]| {
        bench.write("part.safetensors", bytes);
        let error = bench.bounded(&["part.safetensors", "out.bpk", "--partial"]).failed(1);
        assert_eq!(bench.listing(), ["part.safetensors"], "{error}");
        error
    };
    let mut reshaped = header.clone();
    let length = reshaped[name]["shape"][0].clone();
    reshaped[name]["shape"] = serde_json::json!([length, 1]);
    let error = partial(&with_header(&reshaped, &data));
    assert!(
        error.contains(&format!("1 of another shape:\n    {name} for {name}")),
        "{error}"
    );

    let mut spoilt = data.clone();
    spoilt[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = partial(&with_header(&header, &spoilt));
    assert!(error.contains("1 with a NaN or an infinity:"), "{error}");
}

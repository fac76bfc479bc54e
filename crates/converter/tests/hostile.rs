//! Broken and hostile files: each is a sentence that names the file, exit code 1, within 256 MB and 5 seconds, and leaves
//! nothing behind. What concerns HDF5 alone is in keras-store's own `tests/hostile.rs`.

mod common;

use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Bench, Random, all_known, keras, torch};
use converter::{Known, Options, open, verify};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The sentence about a file of these bytes.
#[cfg(unix)]
fn refused(name: &str, bytes: &[u8]) -> String {
    let bench = Bench::new();
    bench.write(name, bytes);
    let error = bench
        .bounded(&[name, "out.bpk", "--size", "75x90", "--pooling", "average"])
        .failed(1);
    assert!(error.starts_with("error: ") && error.contains(name), "{error}");
    assert_eq!(bench.listing(), [name], "{error}");
    error
}

/// A sample of each format that is read.
fn samples(bench: &Bench) -> Vec<PathBuf> {
    let convert = |name: &str| {
        let path = bench.path(name);
        let source = open(&keras("toy.keras"), &Known::default()).unwrap();
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
                ..Known::default()
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
    let mut bytes = std::fs::read(keras("toy.keras")).unwrap();
    // The flag stands behind the signatures of the local and of the central headers.
    for (signature, offset) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let places: Vec<usize> = (0..bytes.len() - 4)
            .filter(|&i| &bytes[i..i + 4] == signature)
            .collect();
        for place in places {
            bytes[place + offset] |= 1;
        }
    }
    let error = refused("secret.keras", &bytes);
    assert!(error.contains("encrypted"), "{error}");
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
    // Two tensors in one place.
    let header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[0,64]},\
                  \"b\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[32,64]}}";
    refused("overlapping.safetensors", &safetensors(header, &[0; 64]));
}

#[cfg(unix)]
#[test]
fn a_record_whose_description_asks_for_a_giant_is_refused() {
    let bench = Bench::new();
    let source = open(&keras("toy.keras"), &Known::default()).unwrap();
    source.convert(&bench.path("toy.bpk"), &Options::default()).unwrap();
    let bytes = std::fs::read(bench.path("toy.bpk")).unwrap();
    let text = b"num_classes = 5\nin_channels = 3";
    let giant = b"num_classes = 16000000\nin_channe";
    let place = bytes.windows(text.len()).position(|window| window == text).unwrap();
    let mut changed = bytes.clone();
    changed[place..place + 31].copy_from_slice(&giant[..31]);
    refused("giant.bpk", &changed);
}

/// Puts numbers in the place of others, wherever they stand.
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

/// What keras-store's own tests make of HDF5, in this program's bounds.
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
    // One address for all chunks: the first is at 6592.
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
    let source = open(&keras("toy.keras"), &Known::default()).unwrap();
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
    open(&keras("toy.keras"), &Known::default())
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
            ..Known::default()
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

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    let input = keras("toy.keras");
    let input = input.to_str().unwrap();
    bench.write("file", "x");
    for ending in ["bpk", "safetensors", "keras", "weights.h5", "h5"] {
        for folder in ["no/such", "file", "/proc"] {
            let output = format!("{folder}/out.{ending}");
            let error = bench.bounded(&[input, &output]).failed(1);
            assert!(error.contains(&output), "{error}");
        }
    }
    assert_eq!(bench.listing(), ["file"]);
}

/// On a disk of 64 kB, where the tests may make one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("disk")).unwrap();
    let mount = |arguments: &[&str]| {
        let run = Command::new(arguments[0])
            .args(&arguments[1..])
            .current_dir(bench.folder.path())
            .output();
        run.is_ok_and(|output| output.status.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "disk"]) {
        println!("skipped: no disk can be mounted here");
        return;
    }
    let input = keras("toy.keras");
    let input = input.to_str().unwrap();
    let mut failures = Vec::new();
    for ending in ["bpk", "safetensors", "keras", "weights.h5", "h5"] {
        std::fs::write(bench.path("disk/filler"), vec![1; 60 << 10]).unwrap();
        let output = format!("disk/out.{ending}");
        let run = bench.bounded(&[input, &output]);
        let left = std::fs::read_dir(bench.path("disk")).unwrap().count();
        if run.code != Some(1) || !run.stderr.contains(&output) || left != 1 {
            failures.push(format!("{ending}: {:?} {} ({left} files)", run.code, run.stderr));
        }
    }
    mount(&["umount", "disk"]);
    assert_eq!(failures, [""; 0]);
}

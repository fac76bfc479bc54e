//! Checkpoints of timm's and Cadene's Xception, against PyTorch's own logits
//! (`scripts/fixtures/torch_toy_xception.py`).

mod common;

use common::{Bench, all_known, logits_of, relative, tiny, torch};
use converter::{Known, open};
use serde_json::Value;
use xception_model::Variant;

fn expected() -> Vec<f32> {
    let text = std::fs::read(torch("expected.json")).unwrap();
    let json: Value = serde_json::from_slice(&text).unwrap();
    serde_json::from_value(json["logits"].clone()).unwrap()
}

#[test]
fn every_container_and_wrapper_gives_pytorchs_logits() {
    let ema = Known {
        key: Some("state_dict_ema".to_owned()),
        ..all_known()
    };
    for (name, known) in [
        ("toy.pth", all_known()),
        ("legacy.pth", all_known()),
        ("checkpoint.pth", all_known()),
        ("strided.pth", all_known()),
        ("toy.safetensors", all_known()),
        ("two.pth", ema),
    ] {
        let source = open(&torch(name), &known).unwrap();
        assert_eq!(
            source.spec.network,
            tiny().with_variant(Variant::Torch).into(),
            "{name}"
        );
        assert_eq!(
            source.ignored.len(),
            19,
            "{name} counts its batches in each of 19 norms"
        );
        let error = relative(&common::logits(source), &expected());
        println!("{name}: {error:.1e}");
        assert!(error <= 1e-5, "{name} is off by {error:.1e}");
    }
}

#[test]
fn half_precision_is_rounded_and_no_more() {
    let error = relative(&logits_of(&torch("half.pth"), &all_known()), &expected());
    assert!(error > 1e-6 && error < 1e-2, "{error:.1e}");
}

#[test]
fn the_format_says_whose_names_they_are() {
    let name = |file| open(&torch(file), &all_known()).unwrap().format.to_string();
    assert_eq!(name("toy.pth"), "PyTorch checkpoint with timm's names");
    assert_eq!(
        name("legacy.pth"),
        "PyTorch checkpoint of before 1.6 with Cadene's names"
    );
    assert_eq!(name("toy.safetensors"), "safetensors with timm's names");
}

#[test]
fn of_two_sets_of_weights_one_must_be_chosen() {
    let error = open(&torch("two.pth"), &all_known()).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "it holds several sets of weights: state_dict, state_dict_ema; choose one, such as --key state_dict_ema"
        ),
        "{error}"
    );
    let wrong = Known {
        key: Some("model".to_owned()),
        ..all_known()
    };
    let error = open(&torch("two.pth"), &wrong).unwrap_err().to_string();
    assert!(
        error.contains("'model' not found") && error.contains("state_dict_ema"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn what_would_run_code_is_refused_by_name_and_not_run() {
    let bench = Bench::new();
    for file in ["evil.pth", "unsafe_global.pth"] {
        let path = torch(file);
        let error = bench.bounded(&[path.to_str().unwrap(), "out.bpk"]).failed(1);
        assert!(error.contains("posix.system"), "{error}");
        assert!(error.contains("refused"), "{error}");
        assert!(bench.listing().is_empty());
    }
    assert!(!std::path::Path::new("/tmp/this-must-not-exist").exists());
}

/// One number, for which the file claims the shape of 2^40 kernels.
#[cfg(unix)]
#[test]
fn a_view_far_larger_than_its_storage_is_refused_before_it_is_read() {
    let bench = Bench::new();
    let path = torch("giant.pth");
    let error = bench
        .bounded(&[path.to_str().unwrap(), "out.bpk", "--size", "75x90"])
        .failed(1);
    assert!(error.contains("giant.pth"), "{error}");
    assert!(bench.listing().is_empty());
}

#[test]
fn the_size_must_be_said() {
    let open_size = Known {
        size: None,
        ..all_known()
    };
    let error = open(&torch("toy.pth"), &open_size).unwrap_err().to_string();
    assert!(
        error.ends_with("toy.pth does not say the size of its pictures (option: --size 299x299)"),
        "{error}"
    );
    // timm's modules have PyTorch's epsilon and padding, which the file does not say: a user may know better.
    let other = Known {
        variant: Some(Variant::Keras),
        ..all_known()
    };
    let source = open(&torch("toy.pth"), &other).unwrap();
    assert_eq!(source.spec.network, tiny().with_variant(Variant::Keras).into());
}

/// Called and dropped; in the state of an allowed object; in packages that also hold harmless objects.
#[cfg(unix)]
#[test]
fn what_is_hidden_in_a_pickle_is_found() {
    use std::io::Write;

    let bench = Bench::new();
    let command = "touch ran";
    let text = |text: &str| [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let called = |global: &[u8]| [global, &text(command), b"\x85R"].concat();
    let hidden: [(&str, Vec<u8>); 5] = [
        (
            "posix.system",
            [b"}", called(b"cposix\nsystem\n").as_slice(), b"0"].concat(),
        ),
        (
            "posix.system",
            [
                b"}".as_slice(),
                &text("args"),
                b"cargparse\nNamespace\n)\x81}",
                &text("a"),
                &called(b"cposix\nsystem\n"),
                b"sbs",
            ]
            .concat(),
        ),
        (
            "numpy.testing._private.utils.runstring",
            [
                b"}",
                called(b"cnumpy.testing._private.utils\nrunstring\n").as_slice(),
                b"0",
            ]
            .concat(),
        ),
        (
            "torch.hub.load",
            [b"}", called(b"ctorch.hub\nload\n").as_slice(), b"0"].concat(),
        ),
        (
            "builtins.eval",
            [b"}\x8c\x08builtins\x8c\x04eval\x93", text("1").as_slice(), b"\x85R0"].concat(),
        ),
    ];
    for (name, body) in hidden {
        let pickle = [b"\x80\x04", body.as_slice(), b"."].concat();
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("archive/data.pkl", zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(&pickle).unwrap();
        for (file, bytes) in [
            ("hidden.pth", zip.finish().unwrap().into_inner()),
            ("raw.pth", pickle.clone()),
            ("legacy.pth", {
                let magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
                let system = b"\x80\x02}X\r\x00\x00\x00little_endian\x88s.";
                [magic.as_slice(), system, &pickle, b"\x80\x02]."].concat()
            }),
        ] {
            bench.write(file, bytes);
            let error = bench.bounded(&[file, "out.bpk", "--size", "75x90"]).failed(1);
            assert!(error.contains(name) && error.contains("refused"), "{file}: {error}");
            assert!(error.contains("model.state_dict()"), "{file}: {error}");
            assert_eq!(bench.listing(), [file], "{error}");
            std::fs::remove_file(bench.path(file)).unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn two_pickles_in_an_archive_are_one_too_many() {
    use std::io::Write;

    let bench = Bench::new();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["a/data.pkl", "data.pkl"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"\x80\x02}.").unwrap();
    }
    bench.write("two.pth", zip.finish().unwrap().into_inner());
    let error = bench.bounded(&["two.pth", "out.bpk"]).failed(1);
    assert!(
        error.contains("expected one data.pkl in it, found 2: a/data.pkl, data.pkl"),
        "{error}"
    );
}

/// The container of PyTorch before 0.1.10.
#[cfg(unix)]
#[test]
fn a_tape_archive_is_refused_with_the_way_out() {
    let bench = Bench::new();
    let mut bytes = vec![0_u8; 1024];
    bytes[..8].copy_from_slice(b"sys_info");
    bytes[257..262].copy_from_slice(b"ustar");
    bench.write("old.pth", bytes);
    let error = bench.bounded(&["old.pth", "out.bpk"]).failed(1);
    assert!(
        error.contains("before 0.1.10") && error.contains("state_dict"),
        "{error}"
    );
}

/// `pickle.dump(model.get_weights(), file)`: arrays without names.
#[test]
fn a_pickle_without_names_is_refused_with_the_way_out() {
    let bench = Bench::new();
    let path = bench.write("weights.pkl", b"\x80\x02]q\x00.");
    let error = open(&path, &Known::default()).unwrap_err().to_string();
    for part in ["dictionary", "state_dict()", "model.save("] {
        assert!(error.contains(part), "{error}");
    }
    // A line break that is not before an indented line would be printed as `\n`.
    assert!(error.lines().skip(1).all(|line| line.starts_with("    ")), "{error}");
}

//! Which format a file or folder of weights has, by its content.
//!
//! A format that is not read has a name, too, and the lines of Python that make a file of it that is read.

mod folder;
mod foreign;
mod json;
mod names;
mod signature;
mod weight_format;
mod zip;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use burn::store::burn_pack::MAGIC_NUMBER;

pub use self::foreign::Foreign;
use self::signature::HDF5;
pub use self::weight_format::WeightFormat;

impl WeightFormat {
    /// Finds the format of a file or folder.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return folder::checkpoint_prefix(path).map(Self::Foreign).ok_or(error);
            }
            metadata => metadata?,
        };
        if metadata.is_dir() {
            return folder::folder(path).map(Self::Foreign);
        }
        // Opening a pipe may block, a device may never end, and every reader needs to seek.
        if !metadata.is_file() {
            return Ok(Self::Foreign(Foreign::named("something that is no ordinary file")));
        }
        let mut file = File::open(path)?;
        let mut start = Vec::with_capacity(512);
        (&mut file).take(512).read_to_end(&mut start)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let text = start.trim_ascii_start();
        let format = match start.as_slice() {
            start if start.starts_with(&MAGIC_NUMBER.to_le_bytes()) => Self::Record,
            start if start.starts_with(b"PK") => zip::zip(&mut file, path, metadata.len()),
            start if start.starts_with(HDF5) || signature::has_user_block(&mut file) => Self::Keras,
            _ if text.starts_with(b"{") => json::json(&mut file, path)?,
            start if signature::is_safetensors(start) => Self::Safetensors,
            start if signature::is_pickle(start) => match signature::tar(start) {
                Some(foreign) => Self::Foreign(foreign),
                None => Self::Torch,
            },
            start => match signature::foreign(start, &name, &mut file, metadata.len()) {
                Some(foreign) => Self::Foreign(foreign),
                None if signature::is_onnx(start) => Self::Onnx,
                None => Self::Foreign(signature::other(start, &name)),
            },
        };
        let others = names::other_shards(&path.file_name().unwrap_or_default().to_string_lossy());
        Ok(match (format, others) {
            (Self::Torch | Self::Safetensors | Self::Keras, Some(others)) => Self::Foreign(foreign::shard(&others)),
            (format, _) => format,
        })
    }

    /// A sentence about a file that this crate does not read.
    pub(crate) fn found(self, path: &Path) -> String {
        let convert = |what: &str| {
            format!(
                "{what}: make a record of it, `xception convert {} OUTPUT.bpk`",
                path.display()
            )
        };
        match self {
            Self::Record => "a Burn record".into(),
            Self::Keras => "a Keras file, which this build does not read".into(),
            Self::Torch => convert("a PyTorch checkpoint"),
            Self::Safetensors => convert("safetensors"),
            Self::Onnx => convert("an ONNX model"),
            Self::Foreign(foreign) => foreign.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, bytes: &[u8]) -> WeightFormat {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        WeightFormat::of(&path).unwrap()
    }

    /// A folder of empty files.
    fn held(names: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        match WeightFormat::of(folder.path()).unwrap() {
            WeightFormat::Foreign(foreign) => foreign.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// A zip archive of empty members.
    fn zipped(names: &[&str]) -> Vec<u8> {
        let (mut bytes, mut list) = (Vec::new(), Vec::new());
        for name in names {
            let header = |magic: &[u8], rest: &[u8]| [magic, rest].concat();
            let length = (name.len() as u16).to_le_bytes();
            let start = (bytes.len() as u32).to_le_bytes();
            bytes.extend(header(b"PK\x03\x04", &[0; 22]));
            bytes.extend(length);
            bytes.extend([0; 2]);
            bytes.extend(name.as_bytes());
            list.extend(header(b"PK\x01\x02", &[0; 24]));
            list.extend(length);
            list.extend([0; 12]);
            list.extend(start);
            list.extend(name.as_bytes());
        }
        let (start, size) = (bytes.len() as u32, list.len() as u32);
        bytes.extend(list);
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0; 8]);
        bytes.extend(size.to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend([0; 2]);
        bytes
    }

    #[test]
    fn formats_that_are_read() {
        assert_eq!(written("x", &MAGIC_NUMBER.to_le_bytes()), WeightFormat::Record);
        assert_eq!(written("x", HDF5), WeightFormat::Keras);
        assert_eq!(written("x", &[&[0; 1024][..], HDF5].concat()), WeightFormat::Keras);
        assert_eq!(written("x", b"\x10\0\0\0\0\0\0\0{\"a\":1}"), WeightFormat::Safetensors);
        assert_eq!(written("x", b"\x80\x02}q\0."), WeightFormat::Torch);
        assert_eq!(written("x", b"\x08\x07\x12\x07pytorch"), WeightFormat::Onnx);
        assert_eq!(
            written("x", &zipped(&["metadata.json", "config.json", "model.weights.h5"])),
            WeightFormat::Keras
        );
        assert_eq!(
            written("x", &zipped(&["archive/data.pkl", "archive/data/0"])),
            WeightFormat::Torch
        );
        assert_eq!(
            written("x", br#"{"weight_map": {"/layers": "x_00000.weights.h5"}}"#),
            WeightFormat::Keras
        );
        // The Keras reader names the damage of an archive.
        assert_eq!(written("x", b"PK\x03\x04 cut"), WeightFormat::Keras);
    }

    #[test]
    fn formats_whose_files_begin_alike_are_named_by_their_ending() {
        for (name, bytes, parts) in [
            ("m.caffemodel", b"\x0a\x09AlexNet".to_vec(), ["a Caffe model", "ONNX"]),
            ("m.params", b"\x12\x01\0\0".to_vec(), ["MXNet", "export_model"]),
            ("m.weights", b"\0\0\0\0\x02".to_vec(), ["a Darknet model", "ONNX"]),
            (
                "m.mat",
                b"MATLAB 5.0 MAT-file".to_vec(),
                ["a MATLAB file", "exportONNXNetwork"],
            ),
            ("m.engine", b"ftrt\0".to_vec(), ["TensorRT", "cannot be converted back"]),
            ("m.ort", b"\x30\0\0\0ORTM".to_vec(), ["ONNX Runtime", ".onnx"]),
            ("m.pth", b"PK\x03\x04 cut".to_vec(), ["list of members", "cut short"]),
            (
                "m.pth",
                b"<?xml version=\"1.0\"?><Error/>".to_vec(),
                ["a web page", "another address"],
            ),
        ] {
            let WeightFormat::Foreign(foreign) = written(name, &bytes) else {
                panic!("{name} is read");
            };
            let text = foreign.to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{name}: {text}");
        }
    }

    #[test]
    fn files_that_are_not_read_are_named() {
        let table = [&[0; 16][..], &0xdb47_7524_8b80_fb57_u64.to_le_bytes()].concat();
        for (name, bytes, parts) in [
            (
                "m.tflite",
                b"\x1c\0\0\0TFL3".to_vec(),
                ["TensorFlow Lite", "model.save("],
            ),
            (
                "model.json",
                br#"{"modelTopology": {}, "weightsManifest": []}"#.to_vec(),
                ["TensorFlow.js", "tensorflowjs_converter"],
            ),
            (
                "m.json",
                br#"{"class_name": "Functional", "config": {}}"#.to_vec(),
                ["without its weights", "load_weights"],
            ),
            (
                "model.safetensors.index.json",
                br#"{"weight_map": {"a": "model-00001-of-00002.safetensors"}}"#.to_vec(),
                ["in several files", "torch.save(weights"],
            ),
            ("m.npz", zipped(&["arr_0.npy", "arr_1.npy"]), ["NumPy", "set_weights"]),
            ("m.npy", b"\x93NUMPY\x01\0".to_vec(), ["one NumPy array", "names"]),
            (
                "m.pt",
                zipped(&["m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"]),
                ["TorchScript", "torch.jit.load("],
            ),
            (
                "m.pt2",
                zipped(&["m/archive_format", "m/models/model.json", "m/data/weights/model.pt"]),
                ["exported program", "torch.export.load("],
            ),
            (
                "m.zip",
                zipped(&["m/metadata.json", "m/config.json", "m/model.weights.h5"]),
                ["unpacked .keras", "make_archive"],
            ),
            ("m.zip", zipped(&["m/saved_model.pb"]), ["SavedModel", "tf2onnx"]),
            (
                "m.zip",
                zipped(&["readme.txt", "best.pth"]),
                ["a zip archive", "best.pth"],
            ),
            (
                "saved_model.pb",
                b"\x08\x01\x12\xb4\xdf\x07\x0a\x05".to_vec(),
                ["SavedModel", "tf2onnx"],
            ),
            (
                "frozen.pb",
                b"\x0a\x1d\x0a\x07input_1\x12\x0bPlaceholder*".to_vec(),
                ["frozen graph", "--graphdef"],
            ),
            (
                "m.mlmodel",
                b"\x08\x04\x12\x20\x0a\x05".to_vec(),
                ["Core ML", "model.save("],
            ),
            (
                "m.xml",
                b"<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">".to_vec(),
                ["OpenVINO", "model.save("],
            ),
            ("m.index", table, ["checkpoint", "load_weights("]),
            ("m.data-00000-of-00001", vec![1, 2, 3], ["checkpoint", "load_weights("]),
            (
                "checkpoint",
                b"model_checkpoint_path: \"m\"".to_vec(),
                ["checkpoint", "load_weights("],
            ),
            ("m.joblib", b"x\x9c\x01\x02".to_vec(), ["joblib", "joblib.load("]),
            ("m.gz", b"\x1f\x8b\x08".to_vec(), ["gzip", "Unpack"]),
            ("m.png", b"\x89PNG\r\n\x1a\n".to_vec(), ["a picture", ""]),
            ("m.h5", b"<html>404</html>".to_vec(), ["a web page", ""]),
            ("m.h5", b"".to_vec(), ["an empty file", ""]),
            (
                "m.h5",
                b"version https://git-lfs.github.com/spec/v1".to_vec(),
                ["Git LFS", "git lfs pull"],
            ),
        ] {
            match written(name, &bytes) {
                WeightFormat::Foreign(foreign) => {
                    let text = foreign.to_string();
                    for part in parts {
                        assert!(text.contains(part), "{name}: {text}");
                    }
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    /// One of several files holds some of the weights only.
    #[test]
    fn a_part_of_the_weights_is_named_with_the_lines_that_join_all() {
        let safetensors = b"\x10\0\0\0\0\0\0\0{\"a\":1}";
        let pickle = b"\x80\x02}q\0.";
        for (name, bytes, pattern, load) in [
            (
                "model-00001-of-00002.safetensors",
                &safetensors[..],
                "glob(\"model-*-of-00002.safetensors\")",
                "load_file(",
            ),
            (
                "pytorch_model-00002-of-00003.bin",
                pickle,
                "glob(\"pytorch_model-*-of-00003.bin\")",
                "torch.load(",
            ),
        ] {
            match written(name, bytes) {
                WeightFormat::Foreign(foreign) => {
                    let text = foreign.to_string();
                    assert!(text.contains(pattern) && text.contains(load), "{text}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        for name in [
            "model-00001-of-00001.safetensors",
            "best-1-of-us.safetensors",
            "of-2.safetensors",
        ] {
            assert_eq!(written(name, safetensors), WeightFormat::Safetensors, "{name}");
        }
        let parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        assert!(held(&parts).contains("glob("), "{}", held(&parts));
        assert!(held(&["a.pth", parts[0]]).contains("Name the weight file in it: a.pth"));
    }

    #[test]
    fn folders_are_named_by_what_they_hold() {
        for (names, part) in [
            (
                vec!["saved_model.pb", "keras_metadata.pb", "variables/variables.index"],
                "tf_keras",
            ),
            (vec!["saved_model.pb", "variables/variables.index"], "tf2onnx"),
            (vec!["config.json", "metadata.json", "model.weights.h5"], "make_archive"),
            (
                vec!["checkpoint", "ckpt.index", "ckpt.data-00000-of-00001"],
                "load_weights(",
            ),
            (vec!["model.json", "group1-shard1of1.bin"], "tensorflowjs_converter"),
            (vec!["Manifest.json", "Data/model"], "Core ML"),
            (vec!["m.xml", "m.bin"], "OpenVINO"),
            (
                vec!["config.json", "model.safetensors"],
                "Name the weight file in it: model.safetensors",
            ),
            (vec!["cat.jpg"], "it holds cat.jpg"),
            (vec![], "an empty folder"),
        ] {
            let text = held(&names);
            assert!(text.contains(part), "{names:?}: {text}");
        }
    }

    #[test]
    fn a_checkpoint_is_named_by_the_beginning_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("best.index"), "").unwrap();
        let format = WeightFormat::of(&folder.path().join("best")).unwrap();
        assert!(matches!(format, WeightFormat::Foreign(foreign) if foreign.name.contains("checkpoint")));
        assert!(WeightFormat::of(&folder.path().join("lost")).is_err());
    }
}

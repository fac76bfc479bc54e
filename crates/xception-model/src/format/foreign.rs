//! Formats that are not read, each with the way to a file that is read.

use std::path::Path;

/// A format that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The format's name for people, such as `a TensorFlow Lite model`.
    pub name: String,
    /// How to make a file that is read: a sentence, and lines of Python. Empty if there is no way.
    pub advice: String,
}

impl Foreign {
    pub(super) fn new(name: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            advice: advice.into(),
        }
    }

    /// Without advice.
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self::new(name, "")
    }
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if self.advice.is_empty() {
            return Ok(());
        }
        write!(f, ". {}", self.advice)
    }
}

/// A sentence, and lines of Python below it.
pub(super) fn python(sentence: &str, lines: &[&str]) -> String {
    let mut text = sentence.to_owned();
    for line in lines {
        text.push_str("\n    ");
        text.push_str(line);
    }
    text
}

/// A packed file of any kind.
pub(super) fn packed(what: &str) -> Foreign {
    Foreign::new(what, "Unpack it, and name the weight file in it.")
}

pub(super) fn saved_model() -> Foreign {
    Foreign::new(
        "a TensorFlow SavedModel",
        "It holds a program of TensorFlow and no Keras model. Make an ONNX file of it: pip install tf2onnx; \
         python -m tf2onnx.convert --saved-model FOLDER --output model.onnx",
    )
}

pub(super) fn keras_saved_model() -> Foreign {
    Foreign::new(
        "a TensorFlow SavedModel of a Keras model",
        python(
            "In Python, with Keras 2 (pip install tf_keras):",
            &[
                "import tf_keras",
                "tf_keras.models.load_model(\"FOLDER\").save(\"model.h5\")",
            ],
        ),
    )
}

pub(super) fn checkpoint() -> Foreign {
    Foreign::new(
        "a TensorFlow checkpoint",
        python(
            "It does not say what its layers compute. In Python, with the program that builds the model:",
            &[
                "model.load_weights(\"CHECKPOINT\")    # the path without .index; Keras 2",
                "model.save(\"model.h5\")",
            ],
        ),
    )
}

pub(super) fn tflite() -> Foreign {
    Foreign::new(
        "a TensorFlow Lite model",
        python(
            "Save the original Keras model, in Python:",
            &["model.save(\"model.keras\")"],
        ) + "\n  Without that model, make an ONNX file: pip install tf2onnx; python -m tf2onnx.convert --tflite \
             model.tflite --output model.onnx",
    )
}

pub(super) fn frozen_graph() -> Foreign {
    Foreign::new(
        "a frozen graph of TensorFlow (.pb)",
        "Make an ONNX file of it: pip install tf2onnx; python -m tf2onnx.convert --graphdef model.pb --inputs INPUT:0 \
         --outputs OUTPUT:0 --output model.onnx",
    )
}

pub(super) fn tfjs() -> Foreign {
    Foreign::new(
        "a TensorFlow.js model",
        "Make a Keras file of it: pip install tensorflowjs; tensorflowjs_converter --input_format tfjs_layers_model \
         --output_format keras model.json model.h5",
    )
}

pub(super) fn core_ml() -> Foreign {
    Foreign::new(
        "a Core ML model",
        python(
            "It cannot be converted back. Save the original model, in Python:",
            &[
                "model.save(\"model.keras\")    # Keras",
                "torch.save(model.state_dict(), \"weights.pth\")    # PyTorch",
            ],
        ),
    )
}

pub(super) fn openvino() -> Foreign {
    Foreign::new(
        "an OpenVINO model (.xml and .bin)",
        python(
            "It cannot be converted back. Save the original model, in Python:",
            &[
                "model.save(\"model.keras\")    # Keras",
                "torch.save(model.state_dict(), \"weights.pth\")    # PyTorch",
            ],
        ),
    )
}

pub(super) fn flax() -> Foreign {
    Foreign::new(
        "a checkpoint of JAX",
        "It does not say what its layers compute. Save the Keras model with model.save(\"model.keras\"), or export \
         the function to ONNX with jax2onnx.",
    )
}

pub(super) fn joblib() -> Foreign {
    Foreign::new(
        "a compressed pickle (joblib)",
        python(
            "A pickle is a program, which is not run. If you trust it, in Python:",
            &[
                "import joblib",
                "joblib.load(\"model.joblib\").save(\"model.keras\")    # of a Keras model",
            ],
        ),
    )
}

pub(super) fn unzipped_keras() -> Foreign {
    Foreign::new(
        "a .keras archive that was unpacked",
        python(
            "Pack it again, in Python:",
            &[
                "import os, shutil",
                "shutil.make_archive(\"model\", \"zip\", \"FOLDER\"); os.rename(\"model.zip\", \"model.keras\")",
            ],
        ),
    )
}

pub(super) fn zipped_keras() -> Foreign {
    Foreign::new(
        "a zip archive of a folder that is an unpacked .keras archive",
        python(
            "Its members must lie at the top. In Python:",
            &[
                "import os, shutil",
                "shutil.unpack_archive(\"model.zip\", \"unpacked\", \"zip\")",
                "shutil.make_archive(\"model\", \"zip\", \"unpacked/FOLDER\"); os.rename(\"model.zip\", \
                 \"model.keras\")",
            ],
        ),
    )
}

pub(super) fn shards(first: &str) -> Foreign {
    let (load, what) = if first.ends_with(".safetensors") {
        ("weights.update(safetensors.torch.load_file(name))", "safetensors")
    } else {
        ("weights.update(torch.load(name, map_location=\"cpu\"))", "PyTorch")
    };
    Foreign::new(
        format!("the index of {what} weights in several files"),
        python(
            "Put them into one file, in Python:",
            &[
                "import json, safetensors.torch, torch",
                "weights = {}",
                "for name in set(json.load(open(\"INDEX.json\"))[\"weight_map\"].values()):",
                &format!("    {load}"),
                "torch.save(weights, \"weights.pth\")",
            ],
        ),
    )
}

/// One of several files, whose names have this pattern.
pub(super) fn shard(others: &str) -> Foreign {
    let pattern = others.escape_default();
    let load = if others.ends_with(".safetensors") {
        "weights.update(safetensors.torch.load_file(name))"
    } else if Path::new(others).extension().is_some_and(|ending| ending == "h5") {
        return Foreign::new(
            "one of several files that hold the weights together",
            "Load them all with the library that wrote them, and save one file",
        );
    } else {
        "weights.update(torch.load(name, map_location=\"cpu\"))"
    };
    Foreign::new(
        "one of several files that hold the weights together",
        python(
            "Put them into one file, in Python:",
            &[
                "import glob, safetensors.torch, torch",
                "weights = {}",
                &format!("for name in glob.glob(\"{pattern}\"):"),
                &format!("    {load}"),
                "torch.save(weights, \"weights.pth\")",
            ],
        ),
    )
}

pub(super) fn architecture(path: &Path) -> Foreign {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Foreign::new(
        "a Keras model's architecture without its weights",
        python(
            "In Python:",
            &[
                "import keras",
                &format!("model = keras.models.model_from_json(open(\"{name}\").read())"),
                "model.load_weights(\"WEIGHTS.h5\")",
                "model.save(\"model.keras\")",
            ],
        ),
    )
}

/// Formats whose files begin alike, by the ending of the name.
pub(super) fn by_ending(name: &str) -> Option<Foreign> {
    const ENDINGS: [(&[&str], &str, &str); 8] = [
        (&[".caffemodel", ".prototxt"], "a Caffe model", "caffe2onnx"),
        (&[".params"], "weights of an MXNet model", "mxnet.onnx.export_model"),
        (
            &[".weights", ".cfg"],
            "a Darknet model",
            "a converter of Darknet to ONNX",
        ),
        (&[".mat"], "a MATLAB file", "exportONNXNetwork of MATLAB"),
        (
            &[".t7"],
            "a file of Torch for Lua",
            "load it in PyTorch before 1.0, and torch.onnx.export",
        ),
        (&[".engine", ".plan", ".trt"], "an engine of TensorRT", ""),
        (&[".ort"], "an ONNX Runtime model (.ort)", ""),
        (
            &[".mnn", ".param", ".ncnn", ".rknn", ".hef", ".blob"],
            "a model for one inference engine",
            "",
        ),
    ];
    let (_, what, way) = ENDINGS
        .into_iter()
        .find(|(endings, ..)| endings.iter().any(|ending| name.ends_with(ending)))?;
    Some(if way.is_empty() {
        Foreign::new(
            what,
            "It cannot be converted back: name the model that it was made of, such as its .onnx, .keras or .pth",
        )
    } else {
        Foreign::new(what, format!("Make an ONNX file of it: {way}"))
    })
}

use safetensors::SafeTensors;

use crate::sandbox::{Sandbox, parse_csv};
use crate::tensors::read_npy;

/// The pooled vectors of the pictures as one batch of the library.
fn expected(sandbox: &Sandbox, names: &[String]) -> Vec<f32> {
    let classifier = sandbox.classifier();
    let pixels: Vec<_> = names
        .iter()
        .map(|name| classifier.prepare_file(sandbox.path(name)).unwrap())
        .collect();
    let images = classifier.batch(&pixels).unwrap();
    let vectors = classifier.embed(images).unwrap().into_data();
    vectors.iter::<f32>().collect()
}

#[test]
fn three_formats_hold_the_librarys_values() {
    let sandbox = Sandbox::new();
    let names = sandbox.pictures(11);
    let expected = expected(&sandbox, &names);
    let run = |output| {
        let arguments = ["embed", "pictures", "-w", "toy.bpk", "--batch-size", "11", "-o", output];
        assert_eq!(sandbox.run(&arguments).ok(), "");
    };

    run("a.npy");
    assert_eq!(read_npy(&sandbox.path("a.npy")), (vec![11, 24], expected.clone()));
    let lines = std::fs::read_to_string(sandbox.path("a.names.txt")).unwrap();
    assert_eq!(lines.lines().collect::<Vec<_>>(), names);

    run("a.safetensors");
    let bytes = std::fs::read(sandbox.path("a.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor("embeddings").unwrap();
    assert_eq!(
        (tensor.dtype(), tensor.shape()),
        (safetensors::Dtype::F32, &[11, 24][..])
    );
    let values: Vec<f32> = tensor
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|&value| f32::from_le_bytes(value))
        .collect();
    assert_eq!(values, expected);
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let listed = &metadata.metadata().as_ref().unwrap()["names"];
    assert_eq!(serde_json::from_str::<Vec<String>>(listed).unwrap(), names);

    run("a.csv");
    let text = std::fs::read_to_string(sandbox.path("a.csv")).unwrap();
    let rows = parse_csv(&text);
    assert_eq!(rows[0][..3], ["file", "f0", "f1"]);
    let found: Vec<_> = rows[1..].iter().map(|row| row[0].clone()).collect();
    assert_eq!(found, names);
    let values: Vec<f32> = rows[1..]
        .iter()
        .flat_map(|row| row[1..].iter().map(|value| value.parse().unwrap()))
        .collect();
    assert_eq!(values, expected);

    let to_stdout = sandbox
        .run(&["embed", "pictures", "-w", "toy.bpk", "--batch-size", "11"])
        .ok();
    assert_eq!(to_stdout, text);
}

#[test]
fn a_level_of_the_pyramid() {
    let sandbox = Sandbox::new();
    sandbox.pictures(3);
    let arguments = [
        "embed",
        "pictures",
        "-w",
        "toy.bpk",
        "--level",
        "stride_8",
        "--batch-size",
        "2",
        "-o",
        "a.npy",
    ];
    sandbox.run(&arguments).ok();
    let (shape, values) = read_npy(&sandbox.path("a.npy"));
    let classifier = sandbox.classifier();
    let pixels = classifier.prepare_file(sandbox.path("pictures/3.png")).unwrap();
    let pyramid = classifier
        .fused()
        .unwrap()
        .pyramid(classifier.batch(&[pixels]).unwrap())
        .unwrap();
    let level = pyramid.level("stride_8").unwrap();
    let [_, channels, height, width] = level.features.dims();
    assert_eq!(shape, [3, channels, height, width]);
    let expected: Vec<f32> = level.features.to_data().iter::<f32>().collect();
    assert_eq!(
        values[2 * channels * height * width..],
        expected,
        "the third picture is a batch of its own"
    );
}

#[test]
fn bad_pictures_leave_no_gap() {
    let sandbox = Sandbox::new();
    sandbox.pictures(4);
    sandbox.write("pictures/2.png", "no picture");
    for output in ["a.npy", "a.safetensors", "a.csv"] {
        let run = sandbox.run(&["embed", "pictures", "-w", "toy.bpk", "-o", output]);
        assert_eq!(run.status, Some(1));
        assert!(
            run.stderr.starts_with("error: pictures/2.png: this is not a picture"),
            "{}",
            run.stderr
        );
    }
    assert_eq!(read_npy(&sandbox.path("a.npy")).0, [3, 24]);
    let names = std::fs::read_to_string(sandbox.path("a.names.txt")).unwrap();
    assert_eq!(names, "pictures/1.png\npictures/3.png\npictures/4.png\n");
    assert_eq!(
        parse_csv(&std::fs::read_to_string(sandbox.path("a.csv")).unwrap()).len(),
        4
    );

    let run = sandbox.run(&["embed", "pictures/2.png", "-w", "toy.bpk", "-o", "none.npy"]);
    assert_eq!(run.status, Some(1));
    assert!(
        run.stderr.ends_with("error: no picture could be read\n"),
        "{}",
        run.stderr
    );
    assert!(!sandbox.path("none.npy").exists() && !sandbox.path("none.names.txt").exists());
}

#[test]
fn files_that_exist_are_kept() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let arguments = ["embed", "pictures", "-w", "toy.bpk", "-o", "a.npy"];
    sandbox.write("a.names.txt", "mine");
    assert!(sandbox.run(&arguments).failed(1).contains("a.names.txt exists already"));
    assert!(!sandbox.path("a.npy").exists());
    sandbox.run(&[&arguments[..], &["--force"]].concat()).ok();
    assert!(sandbox.run(&arguments).failed(1).contains("a.npy exists already"));
}

#[test]
fn formats_need_a_file_with_a_known_ending() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let run = |more: &[&str]| sandbox.run(&[&["embed", "pictures", "-w", "toy.bpk"], more].concat());
    assert!(run(&["--format", "npy"]).failed(2).contains("--output"));
    assert!(
        run(&["-o", "a.bin"])
            .failed(2)
            .contains("a.bin ends in none of .npy, .safetensors and .csv")
    );
    run(&["-o", "a.bin", "--format", "npy"]).ok();
    assert_eq!(read_npy(&sandbox.path("a.bin")).0, [1, 24]);
    assert!(
        run(&["--level", "stride_64", "-o", "b.npy"])
            .failed(2)
            .contains("stride_8")
    );
}

#[test]
fn similar_pictures_are_found() {
    let sandbox = Sandbox::new();
    sandbox.pictures(3);
    std::fs::copy(sandbox.path("pictures/1.png"), sandbox.path("pictures/copy.png")).unwrap();
    let similar = |more: &[&str]| {
        let text = sandbox
            .run(&[&["embed", "pictures", "-w", "toy.bpk"], more].concat())
            .ok();
        let rows = text
            .lines()
            .skip(1)
            .map(|row| row.split(',').map(str::to_owned).collect::<Vec<_>>());
        assert!(text.starts_with("file,similar,similarity\n"), "{text}");
        rows.collect::<Vec<_>>()
    };
    let rows = similar(&["--neighbours", "1"]);
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0][..2], ["pictures/1.png", "pictures/copy.png"]);
    assert_eq!(rows[0][2], "1.0000");
    let rows = similar(&["--duplicates=0.99999"]);
    assert_eq!(rows[0][..2], ["pictures/1.png", "pictures/copy.png"]);
    sandbox
        .run(&[
            "embed",
            "pictures",
            "-w",
            "toy.bpk",
            "--neighbours",
            "1",
            "--duplicates",
        ])
        .failed(2);
}

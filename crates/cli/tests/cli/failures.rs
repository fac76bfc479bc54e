use xception_model::Pooling;
use xception_model::picture::Preset;

use crate::sandbox::Sandbox;

#[test]
fn unknown_weights_list_the_names() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let classify = |weights| sandbox.run(&["classify", "pictures", "-w", weights]).failed(1);
    let error = classify("xception-imagenett");
    assert!(
        error.contains("known are xception-imagenet, ") && error.contains("vgg16-imagenet"),
        "{error}"
    );
    assert!(error.contains(".bpk"), "{error}");

    assert!(classify("lost.bpk").starts_with("error: cannot read lost.bpk: "));
    assert!(
        classify("pictures").contains("card.toml"),
        "a folder is meant to hold a card"
    );
    sandbox.write("page.h5", "<html>404</html>");
    let error = classify("page.h5");
    assert!(
        error.contains("found a web page") && error.contains("safetensors, ONNX or a Burn record"),
        "{error}"
    );
    assert!(!error.contains("convert"), "this command reads every format: {error}");
    sandbox.write("model_2024.index", "");
    assert!(classify("model_2024").contains("found a TensorFlow checkpoint"));
    let record = std::fs::read(sandbox.path("toy.bpk")).unwrap();
    sandbox.write("cut.bpk", &record[..record.len() / 2]);
    assert!(classify("cut.bpk").starts_with("error: cut.bpk: "));
    for error in [classify("lost.bpk"), classify("cut.bpk"), classify("page.h5")] {
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(error.matches("os error").count().max(1), 1, "no cause twice: {error}");
    }
}

#[test]
fn offline_says_how_to_bring_the_file() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let error = sandbox
        .run(&["classify", "pictures", "--offline", "--cache", "cache"])
        .failed(1);
    assert!(error.contains("https://storage.googleapis.com/"), "{error}");
    let path = sandbox.path("cache/xception-imagenet/xception_weights_tf_dim_ordering_tf_kernels.h5");
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert!(error.contains("--weights"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_card_of_ones_own() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    sandbox.write("mine/card.toml", "name = 1");
    let error = sandbox.run(&["classify", "pictures", "-w", "mine"]).failed(1);
    assert!(error.contains("card.toml"), "{error}");
    assert_eq!(
        sandbox.run(&["classify", "pictures", "-w", "mine/card.toml"]).failed(1),
        error
    );
}

#[test]
fn without_a_preset_nothing_is_guessed() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let small = sandbox
        .run(&["classify", "pictures", "-w", "toy.bpk", "--size", "70x70"])
        .failed(1);
    assert!(
        small.contains("70 x 70; Xception takes pictures from 71 x 71 on"),
        "{small}"
    );
    sandbox.save("bare.bpk", None);
    for command in ["classify", "embed"] {
        let error = sandbox.run(&[command, "pictures", "-w", "bare.bpk"]).failed(1);
        assert!(
            error.starts_with("error: bare.bpk") && error.contains("keras-nearest"),
            "{error}"
        );
        assert_eq!(
            error.lines().count(),
            1,
            "the same for every picture, so it is said once: {error}"
        );
        sandbox
            .run(&[command, "pictures", "-w", "bare.bpk", "--preset", "keras-nearest"])
            .ok();
    }
}

#[test]
fn labels_must_fit() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let classify = |labels| {
        sandbox
            .run(&["classify", "pictures", "-w", "toy.bpk", "--labels", labels])
            .failed(1)
    };
    sandbox.write("two.txt", "one\ntwo\n");
    assert_eq!(
        classify("two.txt"),
        "error: two.txt: 2 labels for 3 classes; there must be one for each\n"
    );
    sandbox.write("twice.txt", "one\ntwo\none\n");
    assert!(classify("twice.txt").starts_with("error: twice.txt: label 3: "));
    assert!(classify("lost.txt").starts_with("error: cannot read lost.txt: "));
    sandbox.write("binary.txt", [0xFF; 10]);
    assert!(classify("binary.txt").starts_with("error: cannot read binary.txt: "));
}

#[test]
fn wrong_usage_is_status_2() {
    let sandbox = Sandbox::new();
    for (arguments, part) in [
        (&["classify"][..], "<PATH>..."),
        (&["classify", "x", "--top-k", "0"], "from 1 on"),
        (&["classify", "x", "--batch-size", "257"], "from 1 to 256"),
        (&["classify", "x", "--threads", "0"], "1..=1024"),
        (&["classify", "x", "--size", "0x70"], "from 1 to 4096"),
        (&["classify", "x", "--head", "two"], "binary"),
        (&["classify", "x", "--scaling", "half"], "caffe"),
        (&["train", "--resume", "x", "--scaling", "tf"], "cannot be used with"),
        (
            &["summary", "--weights", "x", "--architecture", "resnet50"],
            "cannot be used with",
        ),
        (&["summary", "--architecture", "resnet18"], "resnet50"),
        (&["classify", "x", "--preset", "keras-nearst"], "keras-nearest"),
        (&["classify", "x", "--format", "xml"], "jsonl"),
        (&["classify", "x", "--device", "abacus"], "this build has flex"),
        (&["classify", "x", "--device", "flex:one"], "expected a number"),
        (&["classify", "-", "-"], "once only"),
        (&["run"], "<INPUT>"),
        (&["classify", "x", "--max-pixels", "0"], "1.."),
        (&["evaluate", "x", "--max-pixels", "0"], "1.."),
        (&["train", "x", "--plain"], "--plain"),
        (&["embed", "x", "--labels", "x"], "--labels"),
        (&["embed", "x", "--level", "stride_8", "--plain"], "cannot be used with"),
        (
            &["run", "x", "-o", "x", "--stage", "block4", "--plain"],
            "cannot be used with",
        ),
        (&["run", "x", "-o", "x", "--list-stages"], "cannot be used with"),
        (&["run", "--list-stages", "--plain"], "cannot be used with"),
        (&["summary", "--weights", "x", "--classes", "3"], "cannot be used with"),
        (&["clasify"], "classify"),
    ] {
        let error = sandbox.run(arguments).failed(2);
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
}

#[test]
fn a_device_that_is_not_there() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let error = sandbox
        .run(&["classify", "pictures", "-w", "toy.bpk", "--device", "flex:7"])
        .failed(1);
    assert!(error.starts_with("error: there is no device flex:7"), "{error}");
    sandbox
        .run(&["classify", "pictures", "-w", "toy.bpk", "--device", "flex:0"])
        .ok();
}

#[test]
fn names_cannot_move_the_cursor() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["classify", "lost\u{1b}[2J.png", "-w", "toy.bpk"]);
    let error = run.failed(1);
    assert!(error.starts_with("error: lost\\u{1b}[2J.png: "), "{error}");
}

#[test]
fn converted_records_carry_what_they_were_told() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    sandbox.save("bare.bpk", None);
    sandbox.write("labels.txt", "one\ntwo\nthree\n");
    let arguments = [
        "convert",
        "bare.bpk",
        "out.bpk",
        "--preset",
        "timm-bicubic",
        "--labels",
        "labels.txt",
        "--size",
        "75x80",
    ];
    let said = sandbox.run(&arguments).ok();
    assert!(said.ends_with("wrote out.bpk and out.bpk.card.toml\n"), "{said}");
    let (_, spec) = xception_model::load(sandbox.path("out.bpk"), &burn::tensor::Device::flex()).unwrap();
    assert_eq!(spec.input.preset, Some(Preset::TimmBicubic));
    assert_eq!((spec.input.height, spec.input.width), (75, 80));
    assert_eq!(spec.label(2).name, "three");
    sandbox.run(&["classify", "pictures", "-w", "out.bpk"]).ok();
    assert!(
        sandbox
            .run(&arguments)
            .failed(1)
            .contains("out.bpk exists already; --force replaces it")
    );
    sandbox.run(&[&arguments[..], &["--force"]].concat()).ok();
    assert_eq!(
        sandbox.listing(),
        [
            "bare.bpk",
            "labels.txt",
            "out.bpk",
            "out.bpk.card.toml",
            "pictures",
            "toy.bpk"
        ]
    );
}

/// Weights that are missing and must not be downloaded: any other error was found before the weights were looked for.
const NO_WEIGHTS: [&str; 3] = ["--offline", "--cache", "cache"];

#[test]
fn what_is_not_there_is_said_before_weights_are_fetched() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let fails = |arguments: &[&str]| sandbox.run(&[arguments, &NO_WEIGHTS].concat()).failed(1);
    let offline = fails(&["classify", "pictures"]);
    assert!(offline.contains("this run is offline"), "{offline}");
    for command in ["classify", "embed", "explain", "evaluate", "train"] {
        let error = fails(&[command, "nosuch"]);
        assert!(
            error.starts_with("error: nosuch: cannot be read: "),
            "{command}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{command}: {error}");
        let error = fails(&[command, "https://example.org/cat.jpg"]);
        assert!(error.contains("URLs are not read"), "{command}: {error}");
    }
    for arguments in [
        &["run", "https://example.org/x.npy", "-o", "x.npy"][..],
        &["classify", "pictures", "-w", "https://example.org/x.keras"],
    ] {
        assert!(fails(arguments).contains("URLs are not read"), "{arguments:?}");
    }
    for (arguments, part) in [
        (
            &["classify", "pictures", "--labels", "lost.txt"][..],
            "cannot read lost.txt: ",
        ),
        (
            &["explain", "pictures", "--labels", "lost.txt"],
            "cannot read lost.txt: ",
        ),
        (
            &["evaluate", "pictures", "--blacklist", "lost.txt"],
            "lost.txt: cannot be read: ",
        ),
        (
            &["evaluate", "pictures", "--imagenet-labels", "lost.txt"],
            "lost.txt: cannot be read: ",
        ),
        (&["train", "pictures", "--augmentation", "lost.toml"], "lost.toml"),
        (&["train", "pictures", "--recipe", "lost.toml"], "lost.toml"),
    ] {
        let error = fails(arguments);
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
}

#[test]
fn where_nothing_can_be_written_nothing_is_computed() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let fails = |arguments: &[&str]| sandbox.run(&[arguments, &NO_WEIGHTS].concat()).failed(1);
    for arguments in [
        &["classify", "pictures", "-o"][..],
        &["embed", "pictures", "--format", "npy", "-o"],
        &["embed", "pictures", "--format", "csv", "-o"],
        &["run", "lost.npy", "-o"],
        &["explain", "pictures/1.png", "-o"],
        &["evaluate", "pictures", "--report"],
        &["evaluate", "pictures", "--json"],
        &["evaluate", "pictures", "--csv"],
        &["evaluate", "pictures", "--predictions"],
        &["train", "pictures", "--preview"],
        &["train", "pictures", "--find-rate"],
    ] {
        let error = fails(&[arguments, &["no/where.png"]].concat());
        assert_eq!(
            error, "error: cannot write no/where.png: there is no folder no\n",
            "{arguments:?}"
        );
    }
    let error = fails(&["convert", "xception-imagenet", "no/where.bpk"]);
    assert_eq!(error, "error: cannot write no/where.bpk: there is no folder no\n");
    let error = sandbox
        .run(&["verify", "lost.h5", "toy.bpk", "--json", "no/where.json"])
        .failed(1);
    assert_eq!(error, "error: cannot write no/where.json: there is no folder no\n");
    let error = fails(&["convert", "xception-imagenet", "toy.bpk"]);
    assert!(error.contains("toy.bpk exists already"), "{error}");
    let error = fails(&["train", "pictures", "-o", "toy.bpk/run"]);
    assert_eq!(error, "error: cannot write toy.bpk/run: toy.bpk is no folder\n");
    sandbox.write("mine.png", "mine");
    for only in ["--preview", "--find-rate"] {
        let error = fails(&["train", "pictures", only, "mine.png"]);
        assert!(error.contains("mine.png exists already"), "{error}");
    }
    #[cfg(target_os = "linux")]
    {
        let error = fails(&["run", "lost.npy", "-o", "/proc/x.npy"]);
        assert!(
            error.contains("cannot write /proc/x.npy: the folder /proc takes no files"),
            "{error}"
        );
    }
    assert_eq!(sandbox.listing(), ["mine.png", "pictures", "toy.bpk"]);
}

#[test]
fn weights_without_a_classifier_say_what_they_can_do() {
    let sandbox = Sandbox::new();
    sandbox.pictures(1);
    let pixels: Vec<u8> = vec![0; 4 * 3 * 71 * 71];
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 71, 71, 3), }\n";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend(header.bytes().chain(pixels));
    sandbox.write("in.npy", npy);

    sandbox.picture("data/cup/1.png", 1);
    sandbox.save_headless("notop.bpk", Pooling::Average);
    sandbox.save_headless("maps.bpk", Pooling::None);
    let questions: [&[&str]; 5] = [
        &["classify", "pictures"],
        &["explain", "pictures"],
        &["evaluate", "data"],
        &["run", "in.npy", "-o", "out.npy"],
        &["bench", "--runs", "1"],
    ];
    for (weights, embed, stage) in [
        ("notop.bpk", &["embed", "pictures", "-o", "vectors.npy"][..], "avg_pool"),
        (
            "maps.bpk",
            &["embed", "pictures", "-o", "maps.npy", "--level", "stride_32"],
            "block7",
        ),
    ] {
        let level = if weights == "maps.bpk" {
            " --level stride_32"
        } else {
            ""
        };
        for arguments in questions {
            let error = sandbox.run(&[arguments, &["-w", weights]].concat()).failed(1);
            assert_eq!(
                error,
                format!(
                    "error: {weights}: these weights have no classifier: use `xception embed{level}`, or `xception run \
                     --stage {stage}`\n"
                )
            );
        }
        sandbox.run(&[embed, &["-w", weights]].concat()).ok();
        let output = format!("{stage}.npy");
        let run = ["run", "in.npy", "-o", &output, "--stage", stage, "-w", weights];
        sandbox.run(&run).ok();
    }
    let error = sandbox.run(&["embed", "pictures", "-w", "maps.bpk"]).failed(1);
    assert!(error.contains("--level stride_32"), "{error}");
}

/// A misspelt name gets one suggestion, not the list of all names.
#[test]
fn an_unknown_stage_is_one_short_sentence() {
    let bench = Sandbox::new();
    bench.pictures(1);
    let error = bench
        .run(&["explain", "pictures", "-w", "toy.bpk", "--stage", "block9"])
        .failed(1);
    assert_eq!(
        error,
        "error: no stage is called `block9` (did you mean `block1`?); `xception run --list-stages` lists them for its \
         --weights\n"
    );
}

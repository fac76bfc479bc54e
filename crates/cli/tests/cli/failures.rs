use xception_model::picture::Preset;

use crate::bench::Bench;

#[test]
fn unknown_weights_list_the_names() {
    let bench = Bench::new();
    bench.pictures(1);
    let classify = |weights| bench.run(&["classify", "pictures", "-w", weights]).failed(1);
    let error = classify("xception-imagenett");
    assert!(
        error.contains("known are xception-imagenet, xception-kitchenware"),
        "{error}"
    );
    assert!(error.contains(".bpk"), "{error}");

    assert!(classify("lost.bpk").starts_with("error: cannot read lost.bpk: "));
    assert!(
        classify("pictures").contains("card.toml"),
        "a folder is meant to hold a card"
    );
    bench.write("page.h5", "<html>404</html>");
    assert!(classify("page.h5").contains("found a web page"));
    let record = std::fs::read(bench.path("toy.bpk")).unwrap();
    bench.write("cut.bpk", &record[..record.len() / 2]);
    assert!(classify("cut.bpk").starts_with("error: cut.bpk: "));
    for error in [classify("lost.bpk"), classify("cut.bpk"), classify("page.h5")] {
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(error.matches("os error").count().max(1), 1, "no cause twice: {error}");
    }
}

#[test]
fn offline_says_how_to_bring_the_file() {
    let bench = Bench::new();
    bench.pictures(1);
    let error = bench
        .run(&["classify", "pictures", "--offline", "--cache", "cache"])
        .failed(1);
    assert!(error.contains("https://storage.googleapis.com/"), "{error}");
    let path = bench.path("cache/xception-imagenet/xception_weights_tf_dim_ordering_tf_kernels.h5");
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert!(error.contains("--weights"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_card_of_ones_own() {
    let bench = Bench::new();
    bench.pictures(1);
    bench.write("mine/card.toml", "name = 1");
    let error = bench.run(&["classify", "pictures", "-w", "mine"]).failed(1);
    assert!(error.contains("card.toml"), "{error}");
    assert_eq!(
        bench.run(&["classify", "pictures", "-w", "mine/card.toml"]).failed(1),
        error
    );
}

#[test]
fn without_a_preset_nothing_is_guessed() {
    let bench = Bench::new();
    bench.pictures(1);
    bench.save("bare.bpk", None);
    for command in ["classify", "embed"] {
        let error = bench.run(&[command, "pictures", "-w", "bare.bpk"]).failed(1);
        assert!(
            error.starts_with("error: bare.bpk") && error.contains("keras-nearest"),
            "{error}"
        );
        assert_eq!(
            error.lines().count(),
            1,
            "the same for every picture, so it is said once: {error}"
        );
        bench
            .run(&[command, "pictures", "-w", "bare.bpk", "--preset", "keras-nearest"])
            .ok();
    }
}

#[test]
fn labels_must_fit() {
    let bench = Bench::new();
    bench.pictures(1);
    let classify = |labels| {
        bench
            .run(&["classify", "pictures", "-w", "toy.bpk", "--labels", labels])
            .failed(1)
    };
    bench.write("two.txt", "one\ntwo\n");
    assert_eq!(
        classify("two.txt"),
        "error: two.txt: 2 labels for 3 classes; there must be one for each\n"
    );
    bench.write("twice.txt", "one\ntwo\none\n");
    assert!(classify("twice.txt").starts_with("error: twice.txt: label 3: "));
    assert!(classify("lost.txt").starts_with("error: cannot read lost.txt: "));
    bench.write("binary.txt", [0xFF; 10]);
    assert!(classify("binary.txt").starts_with("error: cannot read binary.txt: "));
}

#[test]
fn wrong_usage_is_status_2() {
    let bench = Bench::new();
    for (arguments, part) in [
        (&["classify"][..], "<PATH>..."),
        (&["classify", "x", "--top-k", "0"], "from 1 on"),
        (&["classify", "x", "--batch-size", "257"], "from 1 to 256"),
        (&["classify", "x", "--threads", "0"], "1..=1024"),
        (&["classify", "x", "--size", "70x70"], "71"),
        (&["classify", "x", "--preset", "keras-nearst"], "keras-nearest"),
        (&["classify", "x", "--format", "xml"], "jsonl"),
        (&["classify", "x", "--device", "abacus"], "this build has flex"),
        (&["classify", "x", "--device", "flex:one"], "expected a number"),
        (&["classify", "-", "-"], "once only"),
        (&["run"], "<INPUT>"),
        (&["summary", "--weights", "x", "--classes", "3"], "cannot be used with"),
        (&["clasify"], "classify"),
    ] {
        let error = bench.run(arguments).failed(2);
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
}

#[test]
fn a_device_that_is_not_there() {
    let bench = Bench::new();
    bench.pictures(1);
    let error = bench
        .run(&["classify", "pictures", "-w", "toy.bpk", "--device", "flex:7"])
        .failed(1);
    assert!(error.starts_with("error: there is no device flex:7"), "{error}");
    bench
        .run(&["classify", "pictures", "-w", "toy.bpk", "--device", "flex:0"])
        .ok();
}

#[test]
fn names_cannot_move_the_cursor() {
    let bench = Bench::new();
    let run = bench.run(&["classify", "lost\u{1b}[2J.png", "-w", "toy.bpk"]);
    let error = run.failed(1);
    assert!(error.starts_with("error: lost\\u{1b}[2J.png: "), "{error}");
}

#[test]
fn converted_records_carry_what_they_were_told() {
    let bench = Bench::new();
    bench.pictures(1);
    bench.save("bare.bpk", None);
    bench.write("labels.txt", "one\ntwo\nthree\n");
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
    let said = bench.run(&arguments).ok();
    assert!(said.ends_with("wrote out.bpk and out.bpk.card.toml\n"), "{said}");
    let (_, spec) = xception_model::load(&bench.path("out.bpk"), &burn::tensor::Device::flex()).unwrap();
    assert_eq!(spec.input.preset, Some(Preset::TimmBicubic));
    assert_eq!((spec.input.height, spec.input.width), (75, 80));
    assert_eq!(spec.label(2).name, "three");
    bench.run(&["classify", "pictures", "-w", "out.bpk"]).ok();
    assert!(
        bench
            .run(&arguments)
            .failed(1)
            .contains("out.bpk exists already; --force replaces it")
    );
    bench.run(&[&arguments[..], &["--force"]].concat()).ok();
    assert_eq!(
        bench.listing(),
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

//! `xception bench`.

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

fn measured(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let mut all = vec!["bench", "--weights", "toy.bpk", "--runs", "2", "--format", "json"];
    all.extend(arguments);
    serde_json::from_str(&sandbox.run(&all).ok_with_warnings()).unwrap()
}

#[test]
fn figures_add_up() {
    let sandbox = Sandbox::new();
    let report = measured(&sandbox, &["--threads", "1,2", "--batch-size", "1,3", "--plain"]);
    assert_eq!(report["input"], json!([3, 71, 71]));
    assert_eq!(report["weights"], "made by a test");
    if cfg!(target_os = "linux") {
        let others = report["others"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&others), "{others}");
    }

    let summary = sandbox.run(&["summary", "-w", "toy.bpk", "--format", "json"]).ok();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(report["multiply_adds"], summary["multiply_adds"]);

    let rows = report["rows"].as_array().unwrap();
    let cases: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!([
                row["network"],
                row["threads"],
                row["batch_size"],
                row["height"],
                row["width"]
            ])
        })
        .collect();
    let of = |network: &str| {
        [(1, 1), (1, 3), (2, 1), (2, 3)].map(|(threads, batch)| json!([network, threads, batch, 71, 71]))
    };
    assert_eq!(cases, [of("fused"), of("plain")].concat());

    for row in rows {
        let number = |name: &str| row[name].as_f64().unwrap();
        let times = row["times_ms"].as_array().unwrap();
        assert_eq!(times.len(), 2, "the warm-up does not count");
        assert!(
            0.0 < number("min_ms")
                && number("min_ms") <= number("median_ms")
                && number("median_ms") <= number("max_ms")
        );
        let batch = number("batch_size");
        assert!((number("ms_per_picture") * batch - number("median_ms")).abs() < 1e-9);
        assert!((number("pictures_per_second") * number("median_ms") - 1e3 * batch).abs() < 1e-6);

        let threads = row["threads"].as_u64().unwrap();
        let limits = report["limits"].as_array().unwrap();
        let limit = limits.iter().find(|limit| limit["threads"] == threads).unwrap();
        let flops = 2.0 * report["multiply_adds"].as_f64().unwrap() * number("pictures_per_second");
        let share = flops / limit["flops_per_second"].as_f64().unwrap();
        assert!((share - number("share_of_limit")).abs() < 1e-9);
    }
    let starts = report["networks"].as_array().unwrap();
    assert_eq!(starts.len(), 2);
    assert!(
        starts
            .iter()
            .all(|start| start["load_ms"].as_f64() > Some(0.0) && start["first_prediction_ms"].as_f64() > Some(0.0))
    );
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_that_of_the_row_and_the_peak_that_of_all() {
    let sandbox = Sandbox::new();
    // 32 pictures of 400 x 400 hold 61 MB before anything is computed.
    let report = measured(
        &sandbox,
        &["--threads", "1", "--batch-size", "32,1", "--size", "400x400"],
    );
    let peak = |row: &Value| row["peak_memory_bytes"].as_u64().unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert!(peak(&rows[0]) > peak(&rows[1]) + 40_000_000, "{rows:?}");
    assert!(peak(&report) >= peak(&rows[0]));
}

#[test]
fn the_table_has_a_line_for_each() {
    let sandbox = Sandbox::new();
    let text = sandbox
        .run(&[
            "bench",
            "-w",
            "toy.bpk",
            "--runs",
            "1",
            "--threads",
            "1",
            "--batch-size",
            "2",
            "--size",
            "80x90",
        ])
        .ok_with_warnings();
    assert!(text.starts_with("made by a test; pictures of 3 x 80 x 90, "), "{text}");
    let row = text.lines().find(|line| line.starts_with("fused  ")).unwrap();
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(columns[..4], ["fused", "1", "2", "80x90"]);
    assert!(text.contains("limit of the processor with 1 thread: "), "{text}");
    assert!(!text.contains("plain"), "{text}");
}

#[test]
fn training_steps_are_measured_both_ways() {
    let sandbox = Sandbox::new();
    let report = measured(
        &sandbox,
        &["--train", "--plain", "--threads", "1,2", "--batch-size", "2"],
    );
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 12);
    for (kind, trains) in ["full", "frozen-statistics", "head"].into_iter().enumerate() {
        let of_kind: Vec<&Value> = rows.iter().filter(|row| row["trains"] == trains).collect();
        assert_eq!(of_kind.len(), 4, "{trains}");
        for row in of_kind {
            let number = |name: &str| row[name].as_f64().unwrap();
            assert_eq!(
                row["times_ms"].as_array().unwrap().len(),
                2,
                "the warm-up does not count"
            );
            assert!((number("pictures_per_second") * number("median_ms") - 2e3).abs() < 1e-6);
            assert!(number("share_of_limit") > 0.0);
            // Kernels and Burn compute the same.
            let [own, first] =
                [row, &rows[2 * kind]].map(|row| row["losses"].as_array().unwrap().iter().map(Value::as_f64));
            assert_eq!(own.len(), 4);
            for (own, first) in own.zip(first) {
                let (own, first) = (own.unwrap(), first.unwrap());
                assert!((own - first).abs() < 1e-4 * first.abs(), "{trains}: {own} {first}");
            }
        }
    }
    let arguments = ["bench", "-w", "toy.bpk", "--train", "--runs", "1", "--threads", "1"];
    let text = sandbox.run(&arguments).ok_with_warnings();
    let row = text.lines().find(|line| line.starts_with("all, norms frozen")).unwrap();
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(columns[3..7], ["kernels", "1", "8", "71x71"]);
    for wrong in [["--train", "--scaling"], ["--trains", "head"]] {
        sandbox.run(&["bench", "-w", "toy.bpk", wrong[0], wrong[1]]).failed(2);
    }
    let heads = measured(&sandbox, &["--train", "--trains", "head", "--threads", "1"]);
    assert_eq!(heads["rows"].as_array().unwrap().len(), 1);
}

#[test]
fn scaling_goes_over_batches_threads_and_sizes() {
    let report = measured(&Sandbox::new(), &["--scaling"]);
    let rows = report["rows"].as_array().unwrap();
    for batch in [1, 2, 4, 8, 16, 32] {
        assert!(rows.iter().any(|row| row["batch_size"] == batch && row["height"] == 71));
    }
    for side in [150, 224, 299, 400, 500, 600] {
        assert!(
            rows.iter()
                .any(|row| row["batch_size"] == 1 && row["height"] == side && row["width"] == side)
        );
    }
    assert!(rows.iter().any(|row| row["threads"] == 1));
}

#[test]
fn what_cannot_be_measured_is_a_wrong_command_line() {
    let sandbox = Sandbox::new();
    for arguments in [
        ["--batch-size", "0"],
        ["--batch-size", "257"],
        ["--batch-size", "1,x"],
        ["--threads", "0"],
        ["--threads", "1,,2"],
        ["--runs", "0"],
        ["--runs", "10001"],
        ["--size", "0x299"],
        ["--format", "csv"],
        ["--device", "abacus"],
    ] {
        sandbox
            .run(&[&["bench", "-w", "toy.bpk"][..], &arguments[..]].concat())
            .failed(2);
    }
    for arguments in [["--batch-size", "1"], ["--threads", "1"], ["--size", "99x99"]] {
        sandbox
            .run(&[&["bench", "--scaling"][..], &arguments[..]].concat())
            .failed(2);
    }
    #[cfg(feature = "wgpu")]
    sandbox.run(&["bench", "--device", "wgpu", "--threads", "1"]).failed(2);
    let error = sandbox.run(&["bench", "--weights", "lost.bpk"]).failed(1);
    assert!(error.contains("lost.bpk"), "{error}");
}

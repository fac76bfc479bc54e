use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use crate::sandbox::Sandbox;

/// A file as `numpy.save` writes it, with any header.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

fn header(descr: &str, fortran: bool, shape: &str) -> String {
    let fortran = if fortran { "True" } else { "False" };
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Shape and values of a file as the program writes it.
pub fn read_npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..end]).unwrap();
    let sides = header
        .strip_prefix("{'descr': '<f4', 'fortran_order': False, 'shape': (")
        .unwrap();
    let sides = sides.split_once(')').unwrap().0.split(", ");
    let values = bytes[end..]
        .chunks_exact(4)
        .map(|value| f32::from_le_bytes(value.try_into().unwrap()));
    (sides.map(|side| side.parse().unwrap()).collect(), values.collect())
}

/// Two pictures of 71 x 72, channels last.
fn nhwc() -> Vec<f32> {
    (0..2 * 71 * 72 * 3)
        .map(|index| ((index * 37 % 255) as f32) / 127.5 - 1.0)
        .collect()
}

fn images() -> Tensor<4> {
    let data = TensorData::new(nhwc(), [2, 71, 72, 3]);
    Tensor::<4>::from_data(data, &Device::flex()).permute([0, 3, 1, 2])
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "nhwc.npy",
        npy(&header("<f4", false, "(2, 71, 72, 3)"), &bytes(&nhwc())),
    );
    sandbox.write(
        "nchw.npy",
        npy(&header("<f4", false, "(2, 3, 71, 72)"), &bytes(&values(images()))),
    );
    sandbox
}

#[test]
fn logits_are_the_librarys_in_both_layouts() {
    let sandbox = sandbox();
    sandbox.run(&["run", "nhwc.npy", "-o", "a.npy", "-w", "toy.bpk"]).ok();
    sandbox
        .run(&["run", "nchw.npy", "-o", "b.npy", "-w", "toy.bpk", "--layout", "nchw"])
        .ok();
    let logits = sandbox.classifier().logits(images()).unwrap().into_data();
    let expected = (vec![2, 3], logits.iter::<f32>().collect());
    assert_eq!(read_npy(&sandbox.path("a.npy")), expected);
    assert_eq!(read_npy(&sandbox.path("b.npy")), expected);

    // Burn's own operations on request.
    sandbox
        .run(&["run", "nhwc.npy", "-o", "p.npy", "-w", "toy.bpk", "--plain"])
        .ok();
    let logits = sandbox.classifier().network().forward(images()).unwrap().into_data();
    let plain = (vec![2, 3], logits.iter::<f32>().collect());
    assert_eq!(read_npy(&sandbox.path("p.npy")), plain);
    assert_ne!(plain, expected);

    sandbox
        .run(&["run", "nhwc.npy", "-o", "c.npy", "-w", "toy.bpk", "--batch-size", "1"])
        .ok();
    let (shape, logits) = read_npy(&sandbox.path("c.npy"));
    assert_eq!(shape, expected.0);
    for (one_by_one, together) in logits.iter().zip(&expected.1) {
        assert!((one_by_one - together).abs() <= 1e-5 * together.abs().max(1.0));
    }
    assert!(
        sandbox
            .run(&["run", "nhwc.npy", "-o", "a.npy", "-w", "toy.bpk"])
            .failed(1)
            .contains("a.npy exists already")
    );
}

#[test]
fn fortran_order_half_and_double_precision() {
    let sandbox = sandbox();
    let expected = |name: &str| {
        sandbox
            .run(&["run", name, "-o", "out.npy", "-w", "toy.bpk", "--force"])
            .ok();
        read_npy(&sandbox.path("out.npy"))
    };
    let plain = expected("nhwc.npy");

    // The first dimension fastest: the values of [channels, width, height, batch] in C order.
    let columns = values(images().permute([1, 3, 2, 0]));
    sandbox.write("f.npy", npy(&header("<f4", true, "(2, 71, 72, 3)"), &bytes(&columns)));
    assert_eq!(expected("f.npy"), plain);

    let doubles: Vec<u8> = nhwc()
        .iter()
        .flat_map(|&value| f64::from(value).to_le_bytes())
        .collect();
    sandbox.write("d.npy", npy(&header("<f8", false, "(2, 71, 72, 3)"), &doubles));
    assert_eq!(expected("d.npy"), plain);

    let halves: Vec<u8> = nhwc()
        .iter()
        .flat_map(|&value| half::f16::from_f32(value).to_le_bytes())
        .collect();
    sandbox.write("h.npy", npy(&header("<f2", false, "(2, 71, 72, 3)"), &halves));
    let half = expected("h.npy");
    assert_ne!(half, plain);
    for (half, plain) in half.1.iter().zip(&plain.1) {
        assert!((half - plain).abs() < 0.05, "{half} {plain}");
    }
}

#[test]
fn stages_come_in_the_inputs_layout() {
    let sandbox = sandbox();
    let map = sandbox
        .classifier()
        .network()
        .stage(images(), "block3_sepconv2_bn")
        .unwrap();
    let [batch, channels, height, width] = map.dims();
    let stage = ["--stage", "block3_sepconv2_bn", "-w", "toy.bpk"];
    sandbox
        .run(&[&["run", "nchw.npy", "-o", "a.npy", "--layout", "nchw"], &stage[..]].concat())
        .ok();
    assert_eq!(
        read_npy(&sandbox.path("a.npy")),
        (vec![batch, channels, height, width], values(map.clone()))
    );
    sandbox
        .run(&[&["run", "nhwc.npy", "-o", "b.npy"], &stage[..]].concat())
        .ok();
    let last = map.permute([0, 2, 3, 1]);
    assert_eq!(
        read_npy(&sandbox.path("b.npy")),
        (vec![batch, height, width, channels], values(last))
    );

    sandbox
        .run(&["run", "nhwc.npy", "-o", "v.npy", "--stage", "avg_pool", "-w", "toy.bpk"])
        .ok();
    assert_eq!(read_npy(&sandbox.path("v.npy")).0, [2, 24], "vectors are flat");

    let names = sandbox.run(&["run", "--list-stages", "-w", "toy.bpk"]).ok();
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        sandbox.classifier().network().stage_names()
    );
    let unknown = sandbox.run(&[
        "run",
        "nhwc.npy",
        "-o",
        "x.npy",
        "--stage",
        "block3_sepconv9_bn",
        "-w",
        "toy.bpk",
    ]);
    let error = unknown.failed(1);
    assert!(error.contains("did you mean `block3_sepconv"), "{error}");
    assert!(!sandbox.path("x.npy").exists());
}

#[test]
fn hostile_tensors() {
    let sandbox = sandbox();
    let whole = npy(&header("<f4", false, "(2, 71, 72, 3)"), &bytes(&nhwc()));
    for (content, part) in [
        (whole[..40].to_vec(), "cut short"),
        (
            whole[..whole.len() - 1].to_vec(),
            "takes 122688 bytes, the file has 122687",
        ),
        (
            npy(&header("<f4", false, "(4000000000, 4000000000, 4000000000, 3)"), &[]),
            "more than 2^64",
        ),
        (
            npy(&header("<f4", false, "(1000000, 1000, 1000, 3)"), &[0; 12]),
            "the file has 12",
        ),
        (
            npy(&header("<i8", false, "(1, 71, 71, 3)"), &vec![0; 8 * 71 * 71 * 3]),
            "found `<i8`",
        ),
        (
            npy(&header("<f4", false, "(2, 71, 216)"), &bytes(&nhwc()[..2 * 71 * 216])),
            "expected four dimensions",
        ),
        (npy(&header("<f4", false, "(0, 71, 71, 3)"), &[]), "the tensor is empty"),
        (npy(&header("<f4", false, "(1, 9, 9, 3)"), &[0; 4 * 243]), "71 x 71"),
        (std::fs::read(sandbox.path("nchw.npy")).unwrap(), "say --layout nchw"),
        (b"PK\x03\x04".to_vec(), "no .npy file"),
        (Vec::new(), "no .npy file"),
    ] {
        sandbox.write("bad.npy", content);
        let error = sandbox
            .run(&["run", "bad.npy", "-o", "out.npy", "-w", "toy.bpk"])
            .failed(1);
        assert!(
            error.starts_with("error: bad.npy: ") && error.contains(part),
            "{part}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let lost = sandbox
        .run(&["run", "lost.npy", "-o", "out.npy", "-w", "toy.bpk"])
        .failed(1);
    assert!(lost.starts_with("error: cannot read lost.npy: "), "{lost}");
    assert!(!sandbox.path("out.npy").exists());
}

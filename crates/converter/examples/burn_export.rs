use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation as act;
use burn::tensor::module::{adaptive_avg_pool2d, avg_pool2d, max_pool2d};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Distribution, Tensor};
use burn_onnx::export::{AxisSpec, InputSpec, OnnxExporter};

#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    norm: BatchNorm,
    linear: Linear,
}

type Case = (&'static str, fn(&Net, Tensor<4>) -> Tensor<4>);

fn v(x: Tensor<2>) -> Tensor<4> {
    let [b, c] = x.dims();
    x.reshape([b, c, 1, 1])
}

fn main() {
    let device = Device::flex();
    let net = Net {
        conv: Conv2dConfig::new([3, 4], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(0, 1, 2, 1))
            .init(&device),
        norm: BatchNormConfig::new(3).init(&device),
        linear: LinearConfig::new(3, 5).init(&device),
    };
    let cases: Vec<Case> = vec![
        ("conv_asymmetric", |n, x| n.conv.forward(x)),
        ("conv_grouped", |_, x| {
            burn::tensor::module::conv2d(
                x.clone(),
                Tensor::<4>::ones([3, 1, 3, 3], &x.device()),
                None,
                burn::tensor::ops::ConvOptions::new([2, 2], [1, 1], [1, 1], 3),
            )
        }),
        ("norm", |n, x| n.norm.forward(x)),
        ("pad_zero", |_, x| x.pad((1, 2, 0, 3), PadMode::Constant(0.0))),
        ("pad_inf", |_, x| {
            max_pool2d(
                x.pad((0, 1, 0, 1), PadMode::Constant(f32::NEG_INFINITY)),
                [3, 3],
                [2, 2],
                [0, 0],
                [1, 1],
                false,
            )
        }),
        ("max_pool", |_, x| max_pool2d(x, [3, 3], [2, 2], [1, 1], [1, 1], false)),
        ("avg_pool", |_, x| avg_pool2d(x, [3, 3], [2, 2], [1, 1], false, false)),
        ("avg_pool_count", |_, x| {
            avg_pool2d(x, [3, 3], [2, 2], [1, 1], true, false)
        }),
        ("gap", |_, x| adaptive_avg_pool2d(x, [1, 1])),
        ("gmp_indices", |_, x| {
            x.max_dim_with_indices(2).0.max_dim_with_indices(3).0
        }),
        ("gmp", |_, x| x.max_dim(2).max_dim(3)),
        ("mean_dim", |_, x| x.mean_dim(2).mean_dim(3)),
        ("relu", |_, x| act::relu(x)),
        ("sigmoid", |_, x| act::sigmoid(x)),
        ("swish", |_, x| act::silu(x)),
        ("tanh", |_, x| act::tanh(x)),
        ("gelu", |_, x| act::gelu(x)),
        ("gelu_approximate", |_, x| act::gelu_approximate(x)),
        ("gelu_by_hand", |_, x| {
            let cube = x.clone() * x.clone() * x.clone();
            let inner = (x.clone() + cube * 0.044_715) * 0.797_884_560_8;
            x * (inner.tanh() + 1.0) * 0.5
        }),
        ("relu6_clamp", |_, x| x.clamp(0.0, 6.0)),
        ("relu6_by_relu", |_, x| act::relu(x).neg().add_scalar(6.0)),
        ("relu6_by_relu2", |_, x| {
            act::relu(act::relu(x).neg().add_scalar(6.0)).neg().add_scalar(6.0)
        }),
        ("leaky", |_, x| act::leaky_relu(x, 0.1)),
        ("leaky_by_relu", |_, x| act::relu(x.clone()) - act::relu(x.neg()) * 0.1),
        ("elu", |_, x| act::elu(x, 1.0)),
        ("elu_by_relu", |_, x| {
            act::relu(x.clone()) + (act::relu(x.neg()).neg().exp() - 1.0)
        }),
        ("hard_sigmoid", |_, x| act::hard_sigmoid(x, 1.0 / 6.0, 0.5)),
        ("hard_swish", |_, x| act::hard_swish(x)),
        ("softplus", |_, x| act::softplus(x, 1.0)),
        ("softplus_by_hand", |_, x| {
            act::relu(x.clone()) + (x.abs().neg().exp() + 1.0).log()
        }),
        ("softsign", |_, x| x.clone() / (x.abs() + 1.0)),
        ("mish", |_, x| act::mish(x)),
        ("exp", |_, x| x.exp()),
        ("softmax", |_, x| act::softmax(x, 1)),
        ("softmax_by_hand", |_, x| {
            let e = (x.clone() - x.max_dim_with_indices(1).0).exp();
            e.clone() / e.sum_dim(1)
        }),
        ("concat", |_, x| Tensor::cat(vec![x.clone(), x * 2.0], 1)),
        ("add", |_, x| x.clone() + act::relu(x)),
        ("mul_gate", |_, x| {
            act::sigmoid(adaptive_avg_pool2d(x.clone(), [1, 1])) * x
        }),
        ("scale_shift", |_, x| {
            x.clone() * Tensor::<4>::from_floats([[[[0.5]], [[2.0]], [[3.0]]]], &x.device()) + 1.0
        }),
        ("dense", |n, x| {
            v(n.linear.forward(adaptive_avg_pool2d(x, [1, 1]).flatten::<2>(1, 3)))
        }),
        ("flatten_nchw", |_, x| v(x.flatten::<2>(1, 3))),
        ("flatten_nhwc", |_, x| v(x.permute([0, 2, 3, 1]).flatten::<2>(1, 3))),
        ("unsqueeze", |_, x| {
            let y: Tensor<2> = adaptive_avg_pool2d(x, [1, 1]).flatten(1, 3);
            let [_, c] = y.dims();
            y.reshape([-1, c as isize as i32, 1, 1])
        }),
        ("dropout", |_, x| burn::nn::DropoutConfig::new(0.5).init().forward(x)),
    ];
    let out = std::path::Path::new("/tmp/burn_export");
    std::fs::create_dir_all(out).unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    for (name, case) in cases {
        let picture = |batch| Tensor::<4>::random([batch, 3, 6, 7], Distribution::Normal(0.0, 3.0), &device);
        let axes = [
            AxisSpec::dynamic("batch"),
            AxisSpec::Static,
            AxisSpec::Static,
            AxisSpec::Static,
        ];
        let axes = [InputSpec::new(axes)];
        let x = picture(2);
        let expected = case(&net, x.clone());
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            OnnxExporter::new().export_dynamic(&net, picture(2), picture(3), &axes, |net: &Net, x| case(net, x))
        }));
        match result {
            Ok(Ok(model)) => {
                std::fs::write(out.join(format!("{name}.onnx")), model.as_bytes()).unwrap();
                let write = |kind: &str, t: Tensor<4>| {
                    let bytes: Vec<u8> = t.into_data().iter::<f32>().flat_map(f32::to_le_bytes).collect();
                    std::fs::write(out.join(format!("{name}.{kind}")), bytes).unwrap();
                };
                write("in", x);
                write("out", expected);
                println!("{name}: exported");
            }
            Ok(Err(error)) => println!(
                "{name}: ERROR {}",
                error.to_string().chars().take(140).collect::<String>()
            ),
            Err(_) => println!("{name}: PANIC"),
        }
    }
}

//! `xception run`.

mod network_output;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use burn::tensor::{Device, Tensor, TensorData};

use self::network_output::NetworkOutput;
use crate::args::{Layout, RunArgs};
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::npy::{self, Array};
use crate::io::output::Output;
use crate::io::path;
use crate::io::target::Target;
use crate::weights::{check, classifier, network};

pub fn run(args: &RunArgs) -> anyhow::Result<ExitStatus> {
    // clap requires both unless --list-stages is given.
    let (Some(input), Some(output)) = (&args.input, &args.output) else {
        return list_stages(args);
    };
    let target = Target::new(output, args.force)?;
    let images = read(input, args.layout)?;
    threads::start(args.compute.threads)?;
    let device = args.compute.device.open()?;
    let wanted = open(args)?;
    let result = compute(&images, &wanted, args, &device).with_context(|| input.display().to_string())?;
    target.publish(|file| npy::write(file, &result.shape, &result.data))?;
    Ok(ExitStatus::Complete)
}

fn list_stages(args: &RunArgs) -> anyhow::Result<ExitStatus> {
    let known = args.file.known.known(args.size);
    let network = match network::untrained(&args.file.weights, &known, &args.compute.device.open()?)? {
        Some((network, _)) => network,
        None => network::open_for_tensors(&args.file, &known, &args.compute)?.0,
    };
    let mut output = Output::stdout();
    for name in network.stage_names() {
        writeln!(output, "{name}")?;
    }
    output.finish()?;
    Ok(ExitStatus::Complete)
}

/// Pictures in one tensor, in the layout of the command line.
struct Images {
    /// Of the batch.
    shape: [usize; 4],
    data: Vec<f32>,
}

fn read(path: &Path, layout: Layout) -> anyhow::Result<Images> {
    if let Some(problem) = path::url_problem(path) {
        bail!(problem);
    }
    let Array { shape, data } = npy::read(path)?;
    let shape: [usize; 4] = shape.as_slice().try_into().ok().with_context(|| {
        let order = match layout {
            Layout::Nhwc => "[batch, height, width, channels]",
            Layout::Nchw => "[batch, channels, height, width]",
        };
        format!("{}: expected four dimensions, {order}, found {shape:?}", path.display())
    })?;
    Ok(Images { shape, data })
}

/// The network of `--weights`, and which of its outputs is asked for.
fn open(args: &RunArgs) -> anyhow::Result<NetworkOutput<'_>> {
    let known = args.file.known.known(args.size);
    let (network, spec) = network::open_for_tensors(&args.file, &known, &args.compute)?;
    if let Some(name) = &args.stage {
        check::has_stage(&network, name)?;
        return Ok(NetworkOutput::Layer(Box::new(network), name));
    }
    check::has_classifier(&args.file.weights, &network)?;
    let classifier = classifier::predictor(&network, spec, &args.plain);
    Ok(NetworkOutput::Logits(Box::new(classifier)))
}

/// The output for all pictures, computed in batches.
fn compute(images: &Images, wanted: &NetworkOutput<'_>, args: &RunArgs, device: &Device) -> anyhow::Result<Array> {
    let [batch, sides @ ..] = images.shape;
    let picture_len = sides.iter().product::<usize>();
    if batch == 0 || picture_len == 0 {
        bail!("the tensor is empty, its shape is {:?}", images.shape);
    }
    let mut result = Array {
        shape: Vec::new(),
        data: Vec::new(),
    };
    for pictures in images.data.chunks(args.batch_size * picture_len) {
        let [first, second, third] = sides;
        let data = TensorData::new(pictures.to_vec(), [pictures.len() / picture_len, first, second, third]);
        let (shape, data) = wanted.compute(Tensor::<4>::from_data(data, device), args.layout)?;
        result.shape = shape;
        result.data.extend(data);
    }
    if let Some(count) = result.shape.first_mut() {
        *count = batch;
    }
    Ok(result)
}

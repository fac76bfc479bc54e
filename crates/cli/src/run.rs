//! `xception run`.

use std::io::Write;

use anyhow::{Context, bail};
use burn::tensor::{Tensor, TensorData};
use xception_model::graph::Shape;
use xception_model::{Classifier, Network};

use crate::args::{Layout, RunArgs};
use crate::inputs;
use crate::npy::{self, Array};
use crate::output::{Outcome, Output, Target};
use crate::weights;

pub fn run(args: &RunArgs) -> anyhow::Result<Outcome> {
    // Without --list-stages clap asks for both.
    let (Some(input), Some(output)) = (&args.input, &args.output) else {
        return list_stages(args);
    };
    let target = Target::new(output, args.force)?;
    if let Some(problem) = inputs::url_problem(input) {
        bail!(problem);
    }
    let array = npy::read(input)?;
    let shape: [usize; 4] = array.shape.as_slice().try_into().ok().with_context(|| {
        let order = match args.layout {
            Layout::Nhwc => "[batch, height, width, channels]",
            Layout::Nchw => "[batch, channels, height, width]",
        };
        format!(
            "{}: expected four dimensions, {order}, found {:?}",
            input.display(),
            array.shape
        )
    })?;
    weights::start_threads(&args.compute)?;
    let device = args.compute.device.open()?;
    let known = args.source.known.known(args.size);
    let (network, spec) = weights::find_source(&args.source, &known, &args.compute)?;
    let wanted = if let Some(name) = &args.stage {
        weights::need_stage(&network, name)?;
        Wanted::Stage(Box::new(network), name)
    } else {
        weights::need_classifier(&args.source.weights, &network)?;
        Wanted::Logits(Box::new(weights::predictor(&network, spec, &args.plain)))
    };

    let [batch, sides @ ..] = shape;
    let picture_len = sides.iter().product::<usize>();
    let mut result = Array {
        shape: Vec::new(),
        data: Vec::new(),
    };
    if batch == 0 || picture_len == 0 {
        bail!("{}: the tensor is empty, its shape is {shape:?}", input.display());
    }
    for pictures in array.data.chunks(args.batch_size * picture_len) {
        let [first, second, third] = sides;
        let data = TensorData::new(pictures.to_vec(), [pictures.len() / picture_len, first, second, third]);
        let images = Tensor::<4>::from_data(data, &device);
        let computed = wanted.compute(images, args.layout);
        let (shape, data) = computed.with_context(|| input.display().to_string())?;
        result.shape = shape;
        result.data.extend(data);
    }
    if let Some(count) = result.shape.first_mut() {
        *count = batch;
    }
    target.publish(|file| npy::write(file, &result.shape, &result.data))?;
    Ok(Outcome::Complete)
}

/// What is asked for.
enum Wanted<'a> {
    Logits(Box<Classifier>),
    /// A stage of the network by its name.
    Stage(Box<Network>, &'a str),
}

impl Wanted<'_> {
    fn network(&self) -> &Network {
        match self {
            Self::Logits(classifier) => classifier.network(),
            Self::Stage(network, _) => network,
        }
    }

    /// The logits or a stage, in the layout of the images.
    fn compute(&self, images: Tensor<4>, layout: Layout) -> anyhow::Result<(Vec<usize>, Vec<f32>)> {
        let images = match layout {
            Layout::Nchw => images,
            Layout::Nhwc => {
                let [.., channels] = images.dims();
                let expected = self.network().graph().in_channels();
                if channels != expected {
                    bail!(
                        "the network takes {expected} channels, the tensor's last dimension is {channels}; say --layout \
                         nchw if its second is the channels"
                    );
                }
                images.permute([0, 3, 1, 2])
            }
        };
        let [_, _, height, width] = images.dims();
        let (shape, data) = match self {
            Self::Logits(classifier) => {
                let logits = classifier.logits(images)?;
                (logits.dims().to_vec(), logits.into_data())
            }
            Self::Stage(network, name) => {
                let output = network.stage(images, name)?;
                match (output.dims(), layout) {
                    ([batch, features, 1, 1], _) if is_vector(network, name, [height, width]) => {
                        (vec![batch, features], output.into_data())
                    }
                    (shape, Layout::Nchw) => (shape.to_vec(), output.into_data()),
                    (_, Layout::Nhwc) => {
                        let output = output.permute([0, 2, 3, 1]);
                        (output.dims().to_vec(), output.into_data())
                    }
                }
            }
        };
        Ok((shape, data.iter::<f32>().collect()))
    }
}

/// Whether a stage's output has no height and width; a feature map may be 1 x 1.
fn is_vector(network: &Network, stage: &str, size: [usize; 2]) -> bool {
    let graph = network.graph();
    match (graph.stage(stage), graph.shapes(size)) {
        (Some(node), Ok(shapes)) => matches!(shapes.get(node.0), Some(Shape::Vector(_))),
        _ => false,
    }
}

fn list_stages(args: &RunArgs) -> anyhow::Result<Outcome> {
    let known = args.source.known.known(args.size);
    let (network, _) = weights::find_source(&args.source, &known, &args.compute)?;
    let mut output = Output::stdout();
    for name in network.stage_names() {
        writeln!(output, "{name}")?;
    }
    output.finish()
}

use std::io::Read;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use serde::Serialize;

use crate::description::Known;
use crate::error::InputError;
use crate::inference::InferenceNetwork;
use crate::input::Scaling;
use crate::label::Label;
use crate::network::Network;
use crate::picture::{DecodeLimits, DecodeOptions, PictureError, PictureWarning, Pixels, Preset};
use crate::record;
use crate::spec::ModelSpec;
use crate::weights_error::WeightsError;

/// A trained network with its preprocessing and labels: from a picture's path to class names.
///
/// For prediction only. It runs the network of [`Network::fuse`], which is several times as fast on a CPU as the Burn
/// module; [`plain`](Self::plain) switches to the module.
///
/// ```no_run
/// use burn::tensor::Device;
/// use xception_model::Classifier;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let classifier = Classifier::load("kitchenware.bpk", &Device::default())?;
/// for guess in classifier.classify_file("cup.jpg", 3)? {
///     println!("{:5.1} %  {}", 100.0 * guess.probability, guess.label);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Classifier {
    /// The network's input and the meaning of its outputs.
    pub spec: ModelSpec,
    /// Limits on the pictures to decode.
    pub limits: DecodeLimits,
    form: Form,
    device: Device,
}

/// The network in the form that predicts.
#[derive(Clone, Debug)]
enum Form {
    Fused(InferenceNetwork),
    Plain(Network),
}

/// A class and its probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Prediction {
    /// The class's number, from 0.
    pub class: usize,
    /// The class's name.
    pub label: Label,
    /// From 0 to 1. The probabilities of all classes sum to 1, unless a picture may have several classes. For a network
    /// whose output is a number ([`Outputs::Value`](crate::Outputs::Value)), that number.
    pub probability: f32,
}

/// Errors between a picture and its classes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifyError {
    /// The picture could not be read or resized.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The network does not accept the picture.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The pictures of a batch differ in size.
    #[error(
        "picture {number} of the batch is {} x {}, the first one {} x {}: a batch holds pictures of one size",
        found[0], found[1], first[0], first[1]
    )]
    Sizes {
        /// The picture's place in the batch, from 1.
        number: usize,
        /// Height and width of this picture.
        found: [usize; 2],
        /// Height and width of the first picture.
        first: [usize; 2],
    },
    /// The network takes pictures of a number of channels that no picture file gives.
    #[error(
        "the network takes pictures of {0} channels, and a picture file gives 3 (colours) or 1 (grey): give it tensors \
         of your own with `xception run`"
    )]
    Channels(usize),
    /// The scaling has constants for red, green and blue, and the network takes grey pictures.
    #[error(
        "the network takes grey pictures, and the scaling `{0}` has constants for red, green and blue: convert the \
         original again with `tf`, `unit` or `none`"
    )]
    Scaling(Scaling),
    /// The weights do not record how their pictures were resized.
    #[error(
        "the weights don't say how their pictures were resized; choose a preset: keras-nearest (load_img and \
         ImageDataGenerator), keras-bilinear (image_dataset_from_directory), pil-bicubic (Pillow's resize), or another \
         of {}",
        Preset::NAMES.join(", ")
    )]
    NoPreset,
}

impl Classifier {
    /// Combines a network and its specification, and prepares the network for prediction ([`Network::fuse`]).
    pub fn new(network: &Network, spec: ModelSpec) -> Self {
        Self {
            device: network.device(),
            spec,
            limits: DecodeLimits::default(),
            form: Form::Fused(network.fuse()),
        }
    }

    /// Loads a Burn record or a Keras file.
    ///
    /// # Errors
    ///
    /// As [`load`](crate::load).
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, WeightsError> {
        let (network, spec) = record::load(path, device)?;
        Ok(Self::new(&network, spec))
    }

    /// Loads a Burn record or a Keras file; `known` fills in what the file leaves open.
    ///
    /// # Errors
    ///
    /// As [`load`](crate::load).
    pub fn load_with(path: impl AsRef<Path>, known: &Known, device: &Device) -> Result<Self, WeightsError> {
        let (network, spec) = record::load_with(path, known, device)?;
        Ok(Self::new(&network, spec))
    }

    /// Loads weights from memory or a stream, as [`load_reader`](crate::load_reader).
    ///
    /// # Errors
    ///
    /// As [`load_reader`](crate::load_reader).
    pub fn load_reader(reader: impl Read, known: &Known, device: &Device) -> Result<Self, WeightsError> {
        let (network, spec) = record::load_reader(reader, known, device)?;
        Ok(Self::new(&network, spec))
    }

    /// The same classifier on the Burn module: for comparisons, and to measure layer by layer.
    #[must_use]
    pub fn plain(self) -> Self {
        let network = self.network().clone();
        Self {
            form: Form::Plain(network),
            ..self
        }
    }

    /// The network as a trainable module. Changes to a copy of it do not affect predictions.
    pub fn network(&self) -> &Network {
        match &self.form {
            Form::Fused(fused) => fused.network(),
            Form::Plain(network) => network,
        }
    }

    /// The network as a trainable module.
    pub fn into_network(self) -> Network {
        self.network().clone()
    }

    /// The network that predicts; `None` if the classifier is [`plain`](Self::plain).
    pub fn fused(&self) -> Option<&InferenceNetwork> {
        match &self.form {
            Form::Fused(fused) => Some(fused),
            Form::Plain(_) => None,
        }
    }

    /// The embeddings of a batch, `[batch, features]`: the pooled last feature maps.
    ///
    /// # Errors
    ///
    /// [`ClassifyError::Input`] for an empty batch, or a network without pooling.
    pub fn embed(&self, images: Tensor<4>) -> Result<Tensor<2>, ClassifyError> {
        Ok(match &self.form {
            Form::Fused(fused) => fused.embed(images)?,
            Form::Plain(network) => network.embed(images)?,
        })
    }

    /// The logits of a batch, `[batch, outputs]`.
    ///
    /// # Errors
    ///
    /// [`ClassifyError::Input`] for an empty batch, or a network without classifier.
    pub fn logits(&self, images: Tensor<4>) -> Result<Tensor<2>, ClassifyError> {
        Ok(match &self.form {
            Form::Fused(fused) => fused.forward(images)?,
            Form::Plain(network) => network.forward(images)?,
        })
    }

    /// Decodes and resizes a picture file as the network's training did.
    ///
    /// # Errors
    ///
    /// [`ClassifyError::Picture`], which names the file, or [`ClassifyError::NoPreset`].
    pub fn prepare_file(&self, path: impl AsRef<Path>) -> Result<Pixels, ClassifyError> {
        Ok(self.prepare_file_with_warnings(path)?.0)
    }

    /// [`prepare_file`](Self::prepare_file) with the warnings about the file.
    ///
    /// # Errors
    ///
    /// As [`prepare_file`](Self::prepare_file).
    pub fn prepare_file_with_warnings(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<(Pixels, Vec<PictureWarning>), ClassifyError> {
        let decoded = self.preset()?.open_with_warnings(path, self.decode_options())?;
        Ok((self.prepare_image(&decoded.picture)?, decoded.warnings))
    }

    /// Decodes and resizes a picture in memory as the network's training did.
    ///
    /// # Errors
    ///
    /// As [`prepare_file`](Self::prepare_file).
    pub fn prepare(&self, bytes: &[u8]) -> Result<Pixels, ClassifyError> {
        Ok(self.prepare_with_warnings(bytes)?.0)
    }

    /// [`prepare`](Self::prepare) with the warnings about the file.
    ///
    /// # Errors
    ///
    /// As [`prepare_file`](Self::prepare_file).
    pub fn prepare_with_warnings(&self, bytes: &[u8]) -> Result<(Pixels, Vec<PictureWarning>), ClassifyError> {
        let decoded = self.preset()?.decode_with_warnings(bytes, self.decode_options())?;
        Ok((self.prepare_image(&decoded.picture)?, decoded.warnings))
    }

    /// The limits, and how the network's pictures are read.
    pub fn decode_options(&self) -> DecodeOptions {
        DecodeOptions {
            limits: self.limits,
            reading: self.spec.input.reading,
        }
    }

    /// Resizes a decoded picture as the network's training did. For a network of one channel it is made grey first, as
    /// Keras's `load_img(color_mode="grayscale")` does.
    ///
    /// # Errors
    ///
    /// As [`prepare_file`](Self::prepare_file).
    pub fn prepare_image(&self, picture: &RgbImage) -> Result<Pixels, ClassifyError> {
        let preset = self.preset()?;
        let (height, width) = (self.spec.input.height, self.spec.input.width);
        if self.channels()? == 1 {
            return Ok(preset.apply(&grey(picture), height, width)?);
        }
        Ok(preset.apply(picture, height, width)?)
    }

    /// Channels of the network's pictures: 3, or 1 for grey.
    ///
    /// # Errors
    ///
    /// [`ClassifyError::Channels`] for any other number, [`ClassifyError::Scaling`] for grey pictures whose scaling
    /// has constants for three colours.
    pub fn channels(&self) -> Result<usize, ClassifyError> {
        match self.network().graph().in_channels() {
            1 if self.spec.input.scaling.is_per_colour() => Err(ClassifyError::Scaling(self.spec.input.scaling)),
            channels @ (1 | 3) => Ok(channels),
            channels => Err(ClassifyError::Channels(channels)),
        }
    }

    /// The `top_k` most likely classes of one picture file, the most likely first.
    ///
    /// # Errors
    ///
    /// A [`ClassifyError`].
    pub fn classify_file(&self, path: impl AsRef<Path>, top_k: usize) -> Result<Vec<Prediction>, ClassifyError> {
        let pixels = self.prepare_file(path)?;
        Ok(self.classify(&[pixels], top_k)?.pop().unwrap_or_default())
    }

    /// The `top_k` most likely classes of each picture of a batch, the most likely first.
    ///
    /// # Errors
    ///
    /// [`ClassifyError::Input`] for an empty batch, or pictures of different sizes.
    pub fn classify(&self, pictures: &[Pixels], top_k: usize) -> Result<Vec<Vec<Prediction>>, ClassifyError> {
        let rows = self.predict(pictures)?;
        Ok(rows.iter().map(|row| self.spec.likeliest(row, top_k)).collect())
    }

    /// The probabilities of every class for each picture of a batch, in the order of the classes.
    ///
    /// # Errors
    ///
    /// As [`classify`](Self::classify).
    pub fn predict(&self, pictures: &[Pixels]) -> Result<Vec<Vec<f32>>, ClassifyError> {
        let probabilities = self.probabilities(self.logits(self.batch(pictures)?)?);
        let [_, classes] = probabilities.dims();
        let values: Vec<f32> = probabilities.into_data().iter::<f32>().collect();
        Ok(values.chunks_exact(classes).map(<[f32]>::to_vec).collect())
    }

    /// The probabilities for logits, according to the meaning of the network's outputs ([`Outputs`](crate::Outputs)).
    ///
    /// # Shapes
    ///
    /// - `logits`: `[batch, outputs]`
    /// - output: `[batch, classes]`
    pub fn probabilities(&self, logits: Tensor<2>) -> Tensor<2> {
        self.spec.outputs.probabilities(logits)
    }

    /// Pictures as the network's input, `[batch, channels, height, width]`, scaled as its specification says.
    ///
    /// # Errors
    ///
    /// [`ClassifyError::Input`] for an empty batch, [`ClassifyError::Sizes`] for pictures of different sizes,
    /// and the errors of [`channels`](Self::channels).
    pub fn batch(&self, pictures: &[Pixels]) -> Result<Tensor<4>, ClassifyError> {
        let channels = self.channels()?;
        let Some(first) = pictures.first() else {
            return Err(InputError::EmptyBatch([0, channels, self.spec.input.height, self.spec.input.width]).into());
        };
        let (height, width) = (first.height(), first.width());
        let area = height * width;
        let mut values = vec![0.0; pictures.len() * channels * area];
        let planes = values.chunks_exact_mut(channels * area);
        for ((number, pixels), planes) in (1..).zip(pictures).zip(planes) {
            // Pictures of 100 x 200 and 200 x 100 have as many values, so sides are compared.
            if (pixels.height(), pixels.width()) != (height, width) {
                return Err(ClassifyError::Sizes {
                    number,
                    found: [pixels.height(), pixels.width()],
                    first: [height, width],
                });
            }
            if channels == 3 {
                pixels.write_nchw(self.spec.input.scaling, planes)?;
            } else {
                planes.copy_from_slice(&pixels.to_nchw(self.spec.input.scaling)[..area]);
            }
        }
        let data = TensorData::new(values, [pictures.len(), channels, height, width]);
        Ok(Tensor::from_data(data, &self.device))
    }

    fn preset(&self) -> Result<Preset, ClassifyError> {
        self.spec.input.preset.ok_or(ClassifyError::NoPreset)
    }
}

/// A picture in three equal channels of grey, in Pillow's weights (`L24` of `src/libImaging/Convert.c`).
fn grey(picture: &RgbImage) -> RgbImage {
    let mut grey = picture.clone();
    for pixel in grey.pixels_mut() {
        let [red, green, blue] = pixel.0.map(u32::from);
        let sum = red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000;
        pixel.0 = [(sum >> 16) as u8; 3];
    }
    grey
}

impl ModelSpec {
    /// The `top_k` most likely classes, the most likely first; equal ones in the order of the classes.
    pub fn likeliest(&self, probabilities: &[f32], top_k: usize) -> Vec<Prediction> {
        let mut classes: Vec<usize> = (0..probabilities.len()).collect();
        // A stable sort: equal probabilities keep the order of the classes.
        classes.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        classes
            .into_iter()
            .take(top_k)
            .map(|class| Prediction {
                class,
                label: self.label(class),
                probability: probabilities[class],
            })
            .collect()
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::outputs::Outputs;
    use crate::spec::InputSpec;
    use crate::zoo::XceptionConfig;

    fn classifier() -> Classifier {
        let network = XceptionConfig::new().with_num_classes(2).with_middle_blocks(0);
        let model = network.init(&Device::flex()).unwrap();
        let spec = ModelSpec {
            source: String::new(),
            outputs: Outputs::Softmax,
            input: InputSpec::default(),
            labels: Vec::new(),
            network: network.into(),
        };
        Classifier::new(&model, spec)
    }

    #[test]
    fn pictures_of_two_sizes_make_no_batch() {
        let pixels = |height, width| {
            let picture = RgbImage::new(80, 80);
            Preset::KerasNearest.apply(&picture, height, width).unwrap()
        };
        let error = classifier().batch(&[pixels(71, 142), pixels(142, 71)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "picture 2 of the batch is 142 x 71, the first one 71 x 142: a batch holds pictures of one size"
        );
    }

    /// Pillow's `convert("L")` of (10, 128, 250) is 107: (10 * 19595 + 128 * 38470 + 250 * 7471 + 32768) >> 16.
    #[test]
    fn pictures_of_a_network_of_one_channel_are_grey() {
        let network = |channels| {
            let config = XceptionConfig::new().with_num_classes(2).with_middle_blocks(0);
            let config = config.with_in_channels(channels);
            let model = config.init(&Device::flex()).unwrap();
            let spec = ModelSpec {
                source: String::new(),
                outputs: Outputs::Softmax,
                input: InputSpec {
                    height: 71,
                    width: 72,
                    preset: Some(Preset::KerasNearest),
                    ..InputSpec::default()
                },
                labels: Vec::new(),
                network: config.into(),
            };
            Classifier::new(&model, spec)
        };
        let picture = RgbImage::from_pixel(80, 90, image::Rgb([10, 128, 250]));
        let grey = network(1);
        let pixels = grey.prepare_image(&picture).unwrap();
        let batch = grey.batch(&[pixels]).unwrap();
        assert_eq!(batch.dims(), [1, 1, 71, 72]);
        let values: Vec<f32> = batch.into_data().iter::<f32>().collect();
        assert!(
            values
                .iter()
                .all(|value| value.to_bits() == (107.0_f32 / 127.5 - 1.0).to_bits()),
            "{}",
            values[0]
        );
        assert_eq!(
            grey.classify(&[grey.prepare_image(&picture).unwrap()], 2).unwrap()[0].len(),
            2
        );

        let mut coloured = network(1);
        coloured.spec.input.scaling = Scaling::Torch;
        let error = coloured.prepare_image(&picture).unwrap_err();
        assert!(error.to_string().contains("convert the original again"), "{error}");

        let error = network(4).prepare_image(&picture).unwrap_err();
        assert!(error.to_string().contains("takes pictures of 4 channels"), "{error}");
    }

    #[test]
    fn an_empty_batch_and_a_missing_preset_are_errors() {
        let classifier = classifier();
        let error = classifier.batch(&[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the batch is empty: the input has shape [0, 3, 299, 299]"
        );
        let error = classifier.prepare(b"").unwrap_err();
        assert!(matches!(error, ClassifyError::NoPreset), "{error:?}");
    }

    #[test]
    fn the_likeliest_come_first_and_equals_keep_their_order() {
        let classes: Vec<usize> = classifier()
            .spec
            .likeliest(&[0.1, 0.4, 0.1, 0.4], 3)
            .iter()
            .map(|prediction| prediction.class)
            .collect();
        assert_eq!(classes, [1, 3, 0]);
    }
}

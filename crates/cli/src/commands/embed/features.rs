//! The features of a batch of pictures.

use anyhow::bail;
use burn::tensor::Tensor;
use xception_model::Classifier;
use xception_model::picture::Pixels;

/// The shape of one picture's features, and the features of the batch, one picture after another.
pub fn features(
    classifier: &Classifier,
    batch: &[Pixels],
    level: Option<&str>,
) -> anyhow::Result<(Vec<usize>, Vec<f32>)> {
    let images = classifier.batch(batch)?;
    let (shape, data) = match level {
        None => {
            let vectors: Tensor<2> = classifier.embed(images)?;
            (vectors.dims().to_vec(), vectors.into_data())
        }
        Some(name) => {
            let pyramid = match classifier.fused() {
                Some(fused) => fused.pyramid(images)?,
                None => classifier.network().pyramid(images)?,
            };
            let Some(level) = pyramid.level(name) else {
                bail!("the network has no level {name}");
            };
            let maps = level.features.clone();
            (maps.dims().to_vec(), maps.into_data())
        }
    };
    Ok((shape.into_iter().skip(1).collect(), data.iter::<f32>().collect()))
}

/// The number of values of one picture's features; `None` if the size does not fit the network.
pub fn length(classifier: &Classifier, level: Option<&str>) -> Option<usize> {
    let graph = classifier.network().graph();
    let Some(name) = level else {
        return graph.embedding_len();
    };
    let level = graph.roles.levels.iter().find(|level| level.name == name)?;
    let input = classifier.spec.input;
    let shapes = graph.shapes([input.height, input.width]).ok()?;
    Some(shapes[level.node.0].values())
}

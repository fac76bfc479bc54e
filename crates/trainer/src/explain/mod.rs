//! Which places of a picture speak for a class: class activation maps.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use trainer::explain::{Explainer, Method, overlay};
//! use xception_model::Classifier;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let classifier = Classifier::load("kitchenware.bpk", &Device::default())?;
//! let photo = image::open("cup.jpg")?.into_rgb8();
//! let pixels = classifier.prepare_file("cup.jpg")?;
//! let explainer = Explainer::new(classifier.network(), classifier.spec.outputs);
//! let maps = explainer.heatmaps(classifier.batch(&[pixels])?, &[0], explainer.last_layer(), Method::GradCam)?;
//! overlay(&photo, &maps[0]).save("cup_seen.png")?;
//! # Ok(())
//! # }
//! ```

mod error;
mod examples;
mod explainer;
mod heatmap;
mod method;
mod overlay;

pub use error::ExplainError;
pub use examples::{ExampleCounts, Examples, Heat, Shown, examples, suspect_pictures};
pub use explainer::Explainer;
pub use heatmap::Heatmap;
pub use method::Method;
pub(crate) use overlay::{heat_color, shrunk};
pub use overlay::{overlay, view};

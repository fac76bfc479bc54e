//! Feature maps at five resolutions, for detection and segmentation: `cargo run --release --example multi_scale`

use burn::tensor::{Device, Tensor};
use xception_model::{OutputStride, XceptionConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default();
    let picture = Tensor::<4>::zeros([1, 3, 320, 480], &device);
    for output_stride in [OutputStride::S32, OutputStride::S16] {
        let config = XceptionConfig::new()
            .with_include_top(false)
            .with_output_stride(output_stride);
        println!("output stride {}", output_stride.pixels());
        for level in config.init(&device)?.pyramid(picture.clone())?.levels {
            println!("  {:<10} {:<8} {:?}", level.name, level.stage, level.features.dims());
        }
    }
    Ok(())
}

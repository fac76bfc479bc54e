//! Burn's backends in this build.

#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal", feature = "webgpu"))]
use burn::tensor::DeviceKind;
use burn::tensor::{Device, DeviceType};

use crate::compute::panics::catch;

/// One of Burn's backends.
#[derive(Debug)]
pub struct Backend {
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Whether a machine may have several devices of different makes, which are told apart by number.
    pub gpu: bool,
    kind: DeviceType,
    /// The device that the name without a number means. Making it opens nothing.
    pub first: fn() -> Device,
}

/// The backends of this build, the default first.
pub static BACKENDS: &[Backend] = &[
    #[cfg(feature = "flex")]
    Backend {
        name: "flex",
        about: "processor, pure Rust",
        gpu: false,
        kind: DeviceType::Flex,
        first: Device::flex,
    },
    #[cfg(feature = "cuda")]
    Backend {
        name: "cuda",
        about: "NVIDIA GPU",
        gpu: true,
        kind: DeviceType::Cuda,
        first: || Device::cuda(0),
    },
    #[cfg(feature = "rocm")]
    Backend {
        name: "rocm",
        about: "AMD GPU",
        gpu: true,
        kind: DeviceType::Rocm,
        first: || Device::rocm(0),
    },
    #[cfg(feature = "metal")]
    Backend {
        name: "metal",
        about: "GPU through Metal",
        gpu: true,
        kind: DeviceType::Metal,
        first: || Device::metal(DeviceKind::DefaultDevice),
    },
    #[cfg(feature = "vulkan")]
    Backend {
        name: "vulkan",
        about: "GPU through Vulkan",
        gpu: true,
        kind: DeviceType::Vulkan,
        first: || Device::vulkan(DeviceKind::DefaultDevice),
    },
    #[cfg(feature = "webgpu")]
    Backend {
        name: "webgpu",
        about: "GPU through WebGPU",
        gpu: true,
        kind: DeviceType::WebGpu,
        first: || Device::webgpu(DeviceKind::DefaultDevice),
    },
    #[cfg(feature = "wgpu")]
    Backend {
        name: "wgpu",
        about: "GPU through Vulkan, Metal or DirectX 12",
        gpu: true,
        kind: DeviceType::Wgpu,
        first: || Device::wgpu(DeviceKind::DefaultDevice),
    },
    #[cfg(feature = "cpu")]
    Backend {
        name: "cpu",
        about: "processor, kernels compiled at run time",
        gpu: false,
        kind: DeviceType::Cpu,
        first: Device::cpu,
    },
    #[cfg(feature = "tch")]
    Backend {
        name: "tch",
        about: "processor through LibTorch",
        gpu: false,
        kind: DeviceType::LibTorch,
        #[expect(deprecated, reason = "kept for comparison while Burn has it")]
        first: Device::libtorch,
    },
    #[cfg(feature = "ndarray")]
    Backend {
        name: "ndarray",
        about: "processor, for comparison",
        gpu: false,
        kind: DeviceType::NdArray,
        #[expect(deprecated, reason = "kept for comparison while Burn has it")]
        first: Device::ndarray,
    },
];

const _: () = assert!(
    !BACKENDS.is_empty(),
    "without a backend nothing computes here: build with --features flex"
);

/// The names of the backends in this build.
pub fn names() -> Vec<&'static str> {
    BACKENDS.iter().map(|backend| backend.name).collect()
}

impl Backend {
    /// The backend's devices on this machine, or the reason why none can be used.
    pub fn devices(&self) -> Result<Vec<Device>, String> {
        catch(|| Device::enumerate(self.kind.clone()).into_vec())
    }
}

/// A device's name, as ": NVIDIA T4", where the backend knows it.
#[cfg(feature = "cubecl")]
pub fn identity(device: &Device) -> String {
    match catch(|| device.identity()) {
        Ok(Some(identity)) => format!(": {}", identity.name),
        Ok(None) => String::new(),
        Err(problem) => format!(": cannot be opened, {problem}"),
    }
}

#[cfg(not(feature = "cubecl"))]
pub fn identity(_: &Device) -> String {
    String::new()
}

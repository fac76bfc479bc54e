//! What a network can run on, as this binary was built and on this machine.

use std::any::Any;
use std::fmt;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use anyhow::anyhow;
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal", feature = "webgpu"))]
use burn::tensor::DeviceKind;
#[cfg(feature = "remote")]
use burn::tensor::remote::RemoteHost;
use burn::tensor::{Device, DeviceType, Tensor};
use serde::Serialize;

use crate::args::{ListArgs, ListFormat};
use crate::output::{Outcome, Output};

/// One of Burn's backends.
#[derive(Debug)]
pub struct Backend {
    name: &'static str,
    about: &'static str,
    /// Whether a machine may have several of different makes, which are told apart by number.
    gpu: bool,
    kind: DeviceType,
    /// The device that its name alone means. Nothing is opened by making it.
    first: fn() -> Device,
}

/// The backends of this build, the default first.
static BACKENDS: &[Backend] = &[
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
        about: "GPU through what the machine has",
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
        #[expect(deprecated, reason = "kept to compare with for as long as Burn has it")]
        first: Device::libtorch,
    },
    #[cfg(feature = "ndarray")]
    Backend {
        name: "ndarray",
        about: "processor, to compare with",
        gpu: false,
        kind: DeviceType::NdArray,
        #[expect(deprecated, reason = "kept to compare with for as long as Burn has it")]
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

/// What `--device` names: a backend, one of its devices by its number in `xception devices`, or another machine's.
#[derive(Clone, Debug)]
pub enum DeviceName {
    Local {
        backend: &'static Backend,
        number: Option<usize>,
    },
    /// A Burn server's WebSocket address, `ws://host:port`.
    #[cfg(feature = "remote")]
    Remote(String),
}

impl Default for DeviceName {
    fn default() -> Self {
        Self::Local {
            backend: &BACKENDS[0],
            number: None,
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { backend, number } => {
                f.write_str(backend.name)?;
                number.map_or(Ok(()), |number| write!(f, ":{number}"))
            }
            #[cfg(feature = "remote")]
            Self::Remote(address) => f.write_str(address),
        }
    }
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("ws://") {
            #[cfg(feature = "remote")]
            return Ok(Self::Remote(text.to_owned()));
            #[cfg(not(feature = "remote"))]
            return Err("another machine's device takes a build with --features remote".to_owned());
        }
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let backend = BACKENDS
            .iter()
            .find(|backend| backend.name == name)
            .ok_or_else(|| format!("this build has {}", names().join(", ")))?;
        let number = number
            .map(|number| number.parse().map_err(|_| format!("expected a number after `{name}:`")))
            .transpose()?;
        Ok(Self::Local { backend, number })
    }
}

impl DeviceName {
    /// Whether it computes on the threads of the current rayon pool.
    pub fn uses_rayon(&self) -> bool {
        match self {
            Self::Local { backend, .. } => matches!(backend.name, "flex" | "ndarray"),
            #[cfg(feature = "remote")]
            Self::Remote(_) => false,
        }
    }

    /// Whether it is another machine's.
    pub fn is_elsewhere(&self) -> bool {
        match self {
            Self::Local { .. } => false,
            #[cfg(feature = "remote")]
            Self::Remote(_) => true,
        }
    }

    /// Opens the device, and finds out whether it works: Burn's own answer to a missing driver is a panic at first use.
    pub fn open(&self) -> anyhow::Result<Device> {
        let device = match self {
            Self::Local { backend, number: None } => (backend.first)(),
            Self::Local {
                backend,
                number: Some(number),
            } => {
                let mut found = find(backend).map_err(|problem| anyhow!("{self} cannot be opened: {problem}"))?;
                if *number >= found.len() {
                    return Err(anyhow!(
                        "there is no device {self}: `xception devices` lists {} of {}",
                        found.len(),
                        backend.name
                    ));
                }
                found.swap_remove(*number)
            }
            #[cfg(feature = "remote")]
            Self::Remote(address) => Device::remote_options(&RemoteHost::websocket(address))
                .init()
                .map_err(|problem| anyhow!("{self} cannot be reached: {problem}"))?,
        };
        quietly(|| Tensor::<1>::ones([1], &device).into_data())
            .map_err(|problem| anyhow!("device {self} does not work on this machine: {problem}"))?;
        Ok(device)
    }
}

/// `xception devices`.
pub fn print(args: &ListArgs) -> anyhow::Result<Outcome> {
    let rows: Vec<Row> = BACKENDS.iter().flat_map(rows).collect();
    let mut output = Output::stdout();
    match args.format {
        ListFormat::Text => {
            let width = rows.iter().map(|row| row.device.len()).max().unwrap_or(0);
            for row in &rows {
                let default = if row.default { " (default)" } else { "" };
                writeln!(output, "{:<width$}  {}{default}", row.device, row.about)?;
            }
        }
        ListFormat::Json => {
            serde_json::to_writer_pretty(&mut output, &rows).map_err(std::io::Error::from)?;
            writeln!(output)?;
        }
    }
    output.finish()
}

#[derive(Serialize)]
struct Row {
    /// What `--device` takes.
    device: String,
    about: String,
    available: bool,
    default: bool,
}

fn rows(backend: &'static Backend) -> Vec<Row> {
    let row = |number: Option<usize>, about: String, available: bool| Row {
        device: DeviceName::Local { backend, number }.to_string(),
        about,
        available,
        default: number.is_none_or(|number| number == 0) && backend.name == BACKENDS[0].name,
    };
    match find(backend) {
        Ok(devices) if devices.is_empty() => vec![row(None, format!("{}: none found", backend.about), false)],
        Ok(devices) => (0..)
            .zip(&devices)
            .map(|(number, device)| {
                let number = (devices.len() > 1 || backend.gpu).then_some(number);
                row(number, format!("{}{}", backend.about, identity(device)), true)
            })
            .collect(),
        Err(problem) => vec![row(
            None,
            format!("{}: not to be used, {problem}", backend.about),
            false,
        )],
    }
}

fn find(backend: &Backend) -> Result<Vec<Device>, String> {
    quietly(|| Device::enumerate(backend.kind.clone()).into_vec())
}

/// The part's name, as ": NVIDIA T4", where the backend knows it.
#[cfg(feature = "cubecl")]
fn identity(device: &Device) -> String {
    match quietly(|| device.identity()) {
        Ok(Some(identity)) => format!(": {}", identity.name),
        Ok(None) => String::new(),
        Err(problem) => format!(": cannot be opened, {problem}"),
    }
}

#[cfg(not(feature = "cubecl"))]
fn identity(_: &Device) -> String {
    String::new()
}

/// Does `work` on devices, and makes an error of it when one fails meanwhile: a graphics card that has no memory left, or another
/// machine that is gone, is a panic in Burn. A panic on the processor is a bug, and stays one.
pub fn on<T>(devices: &[&DeviceName], way_out: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    if devices.iter().all(|device| device.uses_rayon()) {
        return work();
    }
    quietly(work).unwrap_or_else(|problem| {
        let names: Vec<String> = devices.iter().map(ToString::to_string).collect();
        // Before it may stand Burn's advice to programmers.
        let problem = problem.rsplit("at runtime: ").next().unwrap_or(&problem);
        Err(anyhow!("device {} failed: {problem}; {way_out}", names.join(" or ")))
    })
}

/// Runs what may panic in a driver's absence, without the panic's own words on standard error. The error is the first line
/// of the first panic in any thread: the caller's own often says only that the driver's thread is gone.
fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let first = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&first);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if let Ok(mut first) = seen.lock() {
            first.get_or_insert_with(|| first_line(panic.payload()));
        }
    }));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(hook);
    result.map_err(|payload| {
        let first = first.lock().ok().and_then(|mut first| first.take());
        first.unwrap_or_else(|| first_line(payload.as_ref()))
    })
}

fn first_line(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("unknown failure");
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_panic_of_any_thread_is_the_reason() {
        let result = quietly(|| {
            let driver = std::thread::spawn(|| panic!("no adapter\nand a page of advice"));
            assert!(driver.join().is_ok(), "the driver's thread is gone");
        });
        assert_eq!(result, Err("no adapter".to_owned()));
        assert_eq!(quietly(|| 1), Ok(1));
    }
}

//! `--device`: where the network runs.

use std::fmt;
use std::str::FromStr;

use anyhow::anyhow;
#[cfg(feature = "remote")]
use burn::tensor::remote::RemoteHost;
use burn::tensor::{Device, Tensor};

use crate::compute::backend::{self, BACKENDS, Backend};
use crate::compute::panics::catch;

/// A backend, one of its devices by the number in `xception devices`, or another machine's device.
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
            return Err("another machine's device needs a build with --features remote".to_owned());
        }
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let backend = BACKENDS
            .iter()
            .find(|backend| backend.name == name)
            .ok_or_else(|| format!("this build has {}", backend::names().join(", ")))?;
        let number = number
            .map(|number| number.parse().map_err(|_| format!("expected a number after `{name}:`")))
            .transpose()?;
        Ok(Self::Local { backend, number })
    }
}

impl DeviceName {
    /// Whether the device computes on the threads of the current rayon pool.
    pub fn uses_rayon(&self) -> bool {
        match self {
            Self::Local { backend, .. } => matches!(backend.name, "flex" | "ndarray"),
            #[cfg(feature = "remote")]
            Self::Remote(_) => false,
        }
    }

    /// Whether the device is another machine's.
    pub fn is_elsewhere(&self) -> bool {
        match self {
            Self::Local { .. } => false,
            #[cfg(feature = "remote")]
            Self::Remote(_) => true,
        }
    }

    /// Opens the device and computes one number with it, because Burn panics at first use where a driver is missing.
    pub fn open(&self) -> anyhow::Result<Device> {
        let device = match self {
            Self::Local { backend, number: None } => (backend.first)(),
            Self::Local {
                backend,
                number: Some(number),
            } => {
                let mut found = backend
                    .devices()
                    .map_err(|problem| anyhow!("{self} cannot be opened: {problem}"))?;
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
        catch(|| Tensor::<1>::ones([1], &device).into_data())
            .map_err(|problem| anyhow!("device {self} does not work on this machine: {problem}"))?;
        Ok(device)
    }
}

//! From a configuration to a network with random weights.

use burn::tensor::Device;

use crate::error::ConfigError;
use crate::network::Network;
use crate::zoo::{Architecture, ResNetConfig, XceptionConfig};

impl Architecture {
    /// Initializes a network with random weights: kernels Glorot-uniform and biases zero, as in Keras.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the bad option.
    pub fn init(&self, device: &Device) -> Result<Network, ConfigError> {
        self.validate()?;
        Ok(Network::new(self.clone(), device))
    }
}

impl XceptionConfig {
    /// Initializes a network with random weights.
    ///
    /// Kernels are Glorot-uniform and biases zero, as in Keras.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the bad option.
    pub fn init(&self, device: &Device) -> Result<Network, ConfigError> {
        Architecture::Xception(self.clone()).init(device)
    }
}

impl ResNetConfig {
    /// Initializes a network with random weights, as [`XceptionConfig::init`](crate::XceptionConfig::init).
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the bad option.
    pub fn init(&self, device: &Device) -> Result<Network, ConfigError> {
        Architecture::ResNet(self.clone()).init(device)
    }
}

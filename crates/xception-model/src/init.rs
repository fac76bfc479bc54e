//! Makes a network with random weights from a configuration.

use burn::tensor::Device;

use crate::error::ConfigError;
use crate::network::Network;
use crate::zoo::{
    Architecture, InceptionV3Config, ResNetConfig, VggConfig, XceptionAlignedConfig, XceptionConfig, zoo,
};

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

/// Gives each configuration of the zoo its `init`.
macro_rules! init {
    ($($(#[$doc:meta])* $variant:ident($config:ident),)*) => {
        $(impl $config {
            /// Initializes a network with random weights.
            ///
            /// Kernels are Glorot-uniform and biases zero, as in Keras.
            ///
            /// # Errors
            ///
            /// A [`ConfigError`] that names the bad option.
            pub fn init(&self, device: &Device) -> Result<Network, ConfigError> {
                Architecture::from(self.clone()).init(device)
            }
        })*
    };
}

zoo!(init);

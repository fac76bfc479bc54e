//! The list of the zoo.

/// Hands every family of the zoo, with its variant of `Architecture` and its configuration, to a macro.
///
/// A file of tensors without a description belongs to the first family that knows them; Xception names the missing one.
macro_rules! zoo {
    ($declare:ident) => {
        $declare! {
            /// ResNet, first version.
            ResNet(ResNetConfig),
            /// VGG.
            Vgg(VggConfig),
            /// Inception V3.
            InceptionV3(InceptionV3Config),
            /// The aligned Xception.
            XceptionAligned(XceptionAlignedConfig),
            /// Xception.
            Xception(XceptionConfig),
        }
    };
}

pub(crate) use zoo;

//! Recognises the architecture of tensors without a description, by their record names and shapes.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::architecture::Architecture;
use super::names::Tensors;

/// The architecture whose record has tensors of these names and shapes. Shapes do not show pooling and variant, which
/// are set to their defaults.
///
/// # Errors
///
/// Names the missing tensor, or another reason why the tensors fit no architecture of the zoo.
pub fn of_record_names(tensors: &BTreeMap<String, Vec<usize>>) -> Result<Architecture, String> {
    let tensors = Tensors(tensors);
    let (num_classes, hidden_layers) = tensors.head()?;
    Ok(Architecture::of_tensors(&tensors)?.with_dense_layers(num_classes, hidden_layers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::{Pooling, ResNetConfig, SeparableOrder, Widths, XceptionConfig};

    fn found(architecture: &Architecture) -> Architecture {
        of_record_names(&architecture.tensor_shapes()).unwrap()
    }

    #[test]
    fn every_architecture_is_known_by_its_tensors() {
        let widths = Widths {
            stem: [2, 3],
            entry: [3, 4, 5],
            exit: [6, 7, 8].into(),
        };
        let shorter = Widths {
            exit: [6, 7].into(),
            ..widths.clone()
        };
        let shortest = Widths {
            exit: [6].into(),
            ..widths.clone()
        };
        let xception = XceptionConfig::new().with_widths(widths).with_in_channels(1);
        let resnet = ResNetConfig::new()
            .with_blocks([1, 2, 1, 1])
            .with_stem(4)
            .with_widths([2, 3, 4, 5]);
        let architectures: [Architecture; 9] = [
            XceptionConfig::new().with_widths(shorter).into(),
            XceptionConfig::new().with_widths(shortest).with_middle_blocks(0).into(),
            XceptionConfig::new().into(),
            xception.clone().with_middle_blocks(12).into(),
            xception
                .clone()
                .with_residual(false)
                .with_hidden_layers([7, 6].into())
                .into(),
            xception.with_middle_blocks(0).with_include_top(false).into(),
            ResNetConfig::new().into(),
            resnet.clone().with_num_classes(5).with_hidden_layers([9].into()).into(),
            resnet.with_include_top(false).into(),
        ];
        for architecture in architectures {
            assert_eq!(found(&architecture), architecture);
        }
    }

    #[test]
    fn every_published_network_is_known_by_its_tensors() {
        for published in Architecture::published() {
            assert_eq!(found(&published.network), published.network, "{}", published.name);
            let backbone = published.network.without_top();
            assert_eq!(found(&backbone), backbone, "{}", published.name);
        }
    }

    #[test]
    fn what_no_shape_tells_is_a_default() {
        let config = XceptionConfig::new().with_pooling(Pooling::Max).with_dropout(0.5);
        assert_eq!(found(&config.into()), XceptionConfig::new().into());
        let mut tensors = Architecture::from(XceptionConfig::new()).tensor_shapes();
        tensors.remove("middle.block7.sepconv2.pointwise.weight");
        assert_eq!(of_record_names(&tensors), Ok(XceptionConfig::new().into()));
        assert_eq!(XceptionConfig::new().order, SeparableOrder::DepthwiseFirst);
    }

    #[test]
    fn other_tensors_are_refused() {
        let other = BTreeMap::from([("weight".into(), [2, 3].into())]);
        let error = of_record_names(&other).unwrap_err();
        assert_eq!(error, "it has no block1.conv1.conv.weight");
        let mut tensors = Architecture::from(ResNetConfig::new()).tensor_shapes();
        tensors.retain(|name, _| !name.starts_with("conv5."));
        let error = of_record_names(&tensors).unwrap_err();
        assert!(error.contains("four stacks of a ResNet"), "{error}");
    }
}

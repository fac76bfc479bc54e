use std::path::Path;

use burn_store::burn_pack::{Reader, Tensor as PackTensor};
use xception_model::WeightsError;

use crate::error::ConvertError;
use crate::source::{Format, Found, SourceTensor, network_of};

/// Reads a Burn record: one of ours, which describes its network, or one that Burn saved of an Xception.
pub(crate) fn read(path: &Path) -> Result<Found, ConvertError> {
    let format = Format {
        name: "Burn record".to_owned(),
        writer: None,
    };
    match xception_model::read_record(path) {
        Ok((spec, tensors)) => Ok(Found {
            format,
            source: Some(spec.source),
            size: Some([spec.input.height, spec.input.width]),
            pooling: Some(spec.network.pooling),
            variant: Some(spec.network.variant),
            preset: spec.input.preset,
            labels: spec.labels,
            network: spec.network,
            tensors: named(tensors),
            ignored: Vec::new(),
        }),
        Err(WeightsError::NoSpec { .. }) => {
            let damaged = |error| ConvertError::damaged(path, error);
            let tensors = named(Reader::from_file_exact(path).and_then(Reader::into_tensors).map_err(damaged)?);
            Ok(Found {
                format,
                source: None,
                network: network_of(&tensors).map_err(|problem| ConvertError::NotXception {
                    path: path.to_owned(),
                    problem,
                })?,
                size: None,
                pooling: None,
                variant: None,
                preset: None,
                labels: Vec::new(),
                tensors,
                ignored: Vec::new(),
            })
        }
        Err(error) => Err(error.into()),
    }
}

fn named(tensors: Vec<PackTensor>) -> Vec<SourceTensor> {
    tensors
        .into_iter()
        .map(|tensor| SourceTensor {
            origin: tensor.name.clone(),
            tensor,
        })
        .collect()
}

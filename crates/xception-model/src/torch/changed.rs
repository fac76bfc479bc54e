//! Tensors beside a layer's weights that change them: adapters, masks and other parametrizations.
//!
//! The weights alone, without these tensors, are another network.

/// Endings of the names of such tensors, what they are, and the line of Python that leaves plain weights.
const MARKS: [(&[&str], &str, &str); 6] = [
    (
        &[
            "lora_A",
            "lora_B",
            "lora_a",
            "lora_b",
            "lora_down",
            "lora_up",
            "lora_embedding_A",
            "lora_embedding_B",
        ],
        "an adapter (LoRA)",
        "model = model.merge_and_unload()  # of PEFT; of loralib: model.eval()",
    ),
    (
        &["parametrizations"],
        "a parametrization",
        "torch.nn.utils.parametrize.remove_parametrizations(LAYER, \"weight\")",
    ),
    (
        &["weight_g", "weight_v"],
        "a weight norm",
        "torch.nn.utils.remove_weight_norm(LAYER)",
    ),
    (
        &["weight_mask"],
        "a mask of pruned weights",
        "torch.nn.utils.prune.remove(LAYER, \"weight\")",
    ),
    (
        &["weight_u"],
        "a spectral norm",
        "torch.nn.utils.remove_spectral_norm(LAYER)",
    ),
    (
        &[
            "absmax",
            "quant_map",
            "SCB",
            "weight_scale",
            "weight_scale_inv",
            "qweight",
            "qzeros",
        ],
        "quantized weights",
        "model = model.dequantize()  # of transformers; else load the model as it was before",
    ),
];

/// A layer whose weights another tensor changes.
pub(super) struct Changed<'a> {
    /// The layer's name.
    pub layer: &'a str,
    tensor: &'a str,
    what: &'static str,
    line: &'static str,
}

impl<'a> Changed<'a> {
    /// Looks for a mark in a tensor's name.
    pub fn of(tensor: &'a str) -> Option<Self> {
        let mut start = 0;
        for part in tensor.split('.') {
            let mark = MARKS.iter().find(|(marks, ..)| marks.contains(&part));
            if let Some(&(_, what, line)) = mark {
                let layer = tensor[..start].trim_end_matches('.');
                // `weight.absmax` is beside `weight`.
                let layer = layer.strip_suffix(".weight").unwrap_or(layer);
                return Some(Self {
                    layer,
                    tensor,
                    what,
                    line,
                });
            }
            start += part.len() + 1;
        }
        None
    }

    pub fn refusal(&self) -> String {
        let line = self.line.replace("LAYER", &format!("model.{}", self.layer));
        format!(
            "its layer {} has {} ({}), which changes its weights; save plain weights, in Python:\n    {line}\n    \
             torch.save(model.state_dict(), \"weights.pth\")",
            self.layer, self.what, self.tensor
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_with_changed_weights_are_found() {
        for (tensor, layer, what) in [
            ("fc.lora_A", "fc", "LoRA"),
            (
                "base_model.model.fc.lora_B.default.weight",
                "base_model.model.fc",
                "LoRA",
            ),
            ("fc.parametrizations.weight.original0", "fc", "parametrization"),
            ("block1.rep.0.conv1.weight_g", "block1.rep.0.conv1", "weight norm"),
            ("fc.weight_mask", "fc", "pruned"),
            ("head.weight_u", "head", "spectral norm"),
            ("fc.weight.absmax", "fc", "quantized"),
            ("fc.SCB", "fc", "quantized"),
        ] {
            let changed = Changed::of(tensor).unwrap_or_else(|| panic!("{tensor} is not found"));
            assert_eq!(changed.layer, layer);
            let refusal = changed.refusal();
            assert!(refusal.contains(what) && refusal.contains(tensor), "{refusal}");
        }
        for tensor in ["fc.weight", "explora_A.weight", "scale", "bn1.running_mean", ""] {
            assert!(Changed::of(tensor).is_none(), "{tensor}");
        }
    }
}

/// The recipes that ship with the crate, the default first.
pub(super) const BUILT_IN: [(&str, &str); 6] = [
    ("fine-tune", include_str!("../../../recipes/fine-tune.toml")),
    ("fine-tune-all", include_str!("../../../recipes/fine-tune-all.toml")),
    ("linear-probe", include_str!("../../../recipes/linear-probe.toml")),
    ("scratch", include_str!("../../../recipes/scratch.toml")),
    ("paper-imagenet", include_str!("../../../recipes/paper-imagenet.toml")),
    ("paper-jft", include_str!("../../../recipes/paper-jft.toml")),
];

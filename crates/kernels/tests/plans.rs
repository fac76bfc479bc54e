//! The plans of Xception are the measured ones: steps, fusions, jobs and memory, for a core with a second-level cache
//! of 2 MiB. A change of `xception-plans.txt` is a change of speed: measure it.

#[path = "../examples/common/head.rs"]
mod head;
#[path = "../examples/common/xception.rs"]
mod xception;

use kernels::{Error, Isa, Network};

#[test]
#[cfg_attr(miri, ignore = "packs 90 MB of weights")]
fn plans_of_xception_stay_what_they_are() -> Result<(), Error> {
    let numbers = vec![0.0; 2048 * 1536];
    let mut compared = 0;
    for section in include_str!("xception-plans.txt").split_terminator("# ").skip(1) {
        let (title, expected) = section.split_once('\n').expect("a title");
        let [name, size, threads] = title.split(", ").collect::<Vec<_>>()[..] else {
            panic!("a title is a set of instructions, a size and threads: {title}");
        };
        let Some(isa) = Isa::available().into_iter().find(|isa| isa.name() == name) else {
            continue;
        };
        let number = |text: &str| text.rsplit(' ').next().and_then(|text| text.parse().ok()).expect(title);
        // Sums of weights remain once made, so every plan has its own network.
        let network = Network::new(3, isa)?.with_second_level_cache(2 << 20);
        let (network, _, logits) = xception::xception(network, &numbers)?;
        let plan = network.describe([number(size); 2], number(threads), &[logits])?;
        assert_eq!(plan.to_string().trim(), expected.trim(), "{title}");
        compared += 1;
    }
    assert!(compared >= 4, "the portable instructions are on every machine");
    Ok(())
}

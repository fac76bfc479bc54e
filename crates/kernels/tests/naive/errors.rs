//! Sizes that are refused.

use kernels::Isa;

use crate::common::reference::*;
use crate::common::{Build, MaxPool, SeparableRelu, new_network, single_separable};

/// Sizes that do not fit are refused before any memory is touched.
#[test]
fn sizes_that_do_not_fit_are_refused() {
    let refused = |what: &str, build: &(dyn Fn() + std::panic::RefUnwindSafe)| {
        assert!(std::panic::catch_unwind(build).is_err(), "{what}");
    };
    let start = || {
        let mut network = new_network(3, Isa::detect());
        let map = network.conv(network.input(), &[0.0; 9], None, 3, 1, 1, false);
        (network, map)
    };
    refused("a picture smaller than the kernel", &|| {
        let mut network = new_network(1, Isa::detect());
        let value = network.conv(network.input(), &[0.0; 9], None, 1, 3, 2, false);
        network.side(value, [2, 5]);
    });
    refused("a residual of another size", &|| {
        let (mut network, map) = start();
        let smaller = network.conv(map, &[0.0; 9], None, 3, 1, 2, false);
        let relu = SeparableRelu::default();
        let value = network.sep(smaller, &[0.0; 27], 1, &[0.0; 9], None, 3, Some(map), relu);
        network.side(value, [8, 8]);
    });
    refused("a projection of another size", &|| {
        let (mut network, map) = start();
        let smaller = network.conv(map, &[0.0; 9], None, 3, 1, 2, false);
        let pool = MaxPool {
            stride: 1,
            dilation: 1,
            symmetric: true,
        };
        let value = network.pool3(map, pool, Some((smaller, &[0.0; 9], None)));
        network.side(value, [8, 8]);
    });
    refused("a picture without pixels", &|| {
        let (network, map) = start();
        network.side(map, [0, 4]);
    });
    refused("a picture without channels", &|| {
        new_network(0, Isa::detect());
    });
}

/// Sizes whose product wraps around to the length of the given memory.
#[test]
fn sizes_that_no_memory_holds_are_refused() {
    const HALF: usize = 1 << (usize::BITS / 2);
    const TOP: usize = 1 << (usize::BITS - 1);
    let refused = |what: &str, build: &(dyn Fn() + std::panic::RefUnwindSafe)| {
        let panic = std::panic::catch_unwind(build).expect_err(what);
        let sentence = panic.downcast_ref::<String>().expect("a sentence");
        assert!(sentence.contains("more than any memory holds"), "{what}: {sentence}");
    };
    refused("weights of a convolution", &|| {
        let mut network = new_network(2, Isa::detect());
        network.conv(network.input(), &[], None, TOP, 1, 1, false);
    });
    refused("a kernel", &|| {
        let mut network = new_network(1, Isa::detect());
        network.conv(network.input(), &[], None, 1, HALF, 1, false);
    });
    refused("weights of a separable convolution", &|| {
        let mut network = new_network(2, Isa::detect());
        let map = identity(&mut network, 2);
        let relu = SeparableRelu::default();
        network.sep(map, &[0.0; 18], 1, &[], None, TOP, None, relu);
    });
    refused("weights of a fully-connected layer", &|| {
        let mut network = new_network(2, Isa::detect());
        let map = identity(&mut network, 2);
        network.fully(map, &[], None, TOP, false);
    });
    refused("one separable convolution", &|| {
        single_separable(&[0.0; 18], 1, &[], None, TOP, SeparableRelu::default(), Isa::detect());
    });
    for shape in [[1, HALF, HALF], [HALF, HALF, 1], [TOP, 2, 1], [4, TOP, 1], [1, 2, TOP]] {
        refused("pictures", &|| {
            let mut network = new_network(1, Isa::detect());
            let map = identity(&mut network, 1);
            network.go(&[], shape, &mut [(map, &mut [])]);
        });
        refused("pictures of one layer", &|| {
            let relu = SeparableRelu::default();
            let layer = single_separable(&[0.0; 9], 1, &[0.0], None, 1, relu, Isa::detect());
            layer
                .run(&[], shape, None, &mut [])
                .unwrap_or_else(|error| panic!("{error}"));
        });
    }
    refused("a size", &|| {
        let mut network = new_network(1, Isa::detect());
        let map = identity(&mut network, 1);
        network.side(map, [HALF, HALF]);
    });
}

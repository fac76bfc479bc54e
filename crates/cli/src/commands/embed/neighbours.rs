//! Similar pictures, by the angle between their embeddings.

use anyhow::bail;
use rayon::prelude::*;

use crate::args::EmbedArgs;
use crate::commands::embed::features::features;
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::csv;
use crate::io::output::Output;
use crate::pictures::batches::Pictures;
use crate::pictures::source::PictureSource;
use crate::weights::classifier;

/// Which similar pictures are wanted.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// So many of each picture.
    Neighbours(usize),
    /// All pairs that are at least so similar.
    Pairs(f32),
}

impl Wanted {
    pub fn of(args: &EmbedArgs) -> Option<Self> {
        let pairs = args.duplicates.map(Self::Pairs);
        pairs.or(args.neighbours.map(Self::Neighbours))
    }
}

/// Two pictures and their similarity.
type Pair = (usize, usize, f32);

/// Writes similar pictures: `file,similar,similarity`.
pub fn neighbours(args: &EmbedArgs, wanted: Wanted) -> anyhow::Result<ExitStatus> {
    let mut output = Output::open(args.output.path.as_deref(), args.output.force)?;
    let threads = threads::start(args.weights.inference.compute.threads)?;
    let pictures = Pictures::find(&args.pictures, threads)?;
    pictures.keep([args.output.path.as_deref()], &args.weights.file.weights)?;
    let classifier = classifier::load_embedder(&args.weights, None, args.pictures.max_pixels)?;
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    let status = pictures.each_batch(
        |source| source.prepare(&classifier),
        |_, batch| features(&classifier, &batch, None),
        |pictures, (shape, values)| {
            names.extend(PictureSource::names(pictures));
            let width = shape.iter().product::<usize>().max(1);
            rows.extend(values.chunks_exact(width).map(unit));
            Ok(())
        },
    )?;
    if names.is_empty() {
        bail!("no picture could be read");
    }
    csv::write_row(&mut output, ["file", "similar", "similarity"])?;
    for (one, other, similarity) in similar(&rows, wanted) {
        csv::write_row(&mut output, [&names[one], &names[other], &format!("{similarity:.4}")])?;
    }
    output.finish()?;
    Ok(status)
}

/// The vector with the length 1.
fn unit(values: &[f32]) -> Vec<f32> {
    let length = values
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    values.iter().map(|value| value / length).collect()
}

/// The similar pictures: for each picture in order, or all pairs with the most similar first.
fn similar(rows: &[Vec<f32>], wanted: Wanted) -> Vec<Pair> {
    let of_one = |one: usize| {
        let first = match wanted {
            Wanted::Neighbours(_) => 0,
            // Each pair once.
            Wanted::Pairs(_) => one + 1,
        };
        let others = (first..rows.len()).filter(|other| *other != one);
        let mut pairs: Vec<Pair> = others
            .map(|other| (one, other, rows[one].iter().zip(&rows[other]).map(|(a, b)| a * b).sum()))
            .collect();
        match wanted {
            Wanted::Neighbours(count) => {
                pairs.sort_by(|a, b| b.2.total_cmp(&a.2));
                pairs.truncate(count);
            }
            Wanted::Pairs(least) => pairs.retain(|pair| pair.2 >= least),
        }
        pairs
    };
    let mut pairs: Vec<Pair> = (0..rows.len()).into_par_iter().flat_map_iter(of_one).collect();
    if let Wanted::Pairs(_) = wanted {
        pairs.sort_by(|a, b| b.2.total_cmp(&a.2));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_come_first_and_each_pair_once() {
        let rows: Vec<Vec<f32>> = [[1.0, 0.0], [0.0, 2.0], [3.0, 0.3], [5.0, 0.0]]
            .iter()
            .map(|row| unit(row))
            .collect();
        let found: Vec<_> = similar(&rows, Wanted::Neighbours(2))
            .iter()
            .map(|pair| (pair.0, pair.1))
            .collect();
        assert_eq!(found, [(0, 3), (0, 2), (1, 2), (1, 0), (2, 0), (2, 3), (3, 0), (3, 2)]);
        let found: Vec<_> = similar(&rows, Wanted::Pairs(0.9))
            .iter()
            .map(|pair| (pair.0, pair.1))
            .collect();
        assert_eq!(found, [(0, 3), (0, 2), (2, 3)]);
        assert!(similar(&rows[..1], Wanted::Neighbours(3)).is_empty());
    }
}

//! Embeddings as points of a plane, neighbours beside neighbours: t-SNE (van der Maaten and Hinton 2008).
//!
//! The descent starts from the two principal components, so the same embeddings give the same points.

use rayon::prelude::*;

/// The effective number of neighbours of a point (section 2: "typical values are between 5 and 50"), and its largest
/// share of all points. With more neighbours than this share, small groups would run into each other.
const PERPLEXITY: [f64; 2] = [5.0, 30.0];
const NEIGHBOURS: f64 = 1.0 / 12.0;
/// Steps of the descent. In the first steps, neighbours attract each other more (section 3.4).
const STEPS: usize = 500;
const EARLY_STEPS: usize = 125;
const EARLY_ATTRACTION: f64 = 12.0;
/// The fewest points of a projection. The neighbours of fewer points mean nothing.
const FEWEST: usize = 8;
/// Steps of the search for a principal component.
const POWER_STEPS: usize = 50;

/// The points of the embeddings, `[pictures, width]`, row by row. The points' scale has no meaning. Embeddings are near
/// each other if the angle between them is small.
pub(crate) fn project(embeddings: &[f32], width: usize) -> Vec<[f64; 2]> {
    let rows = centered(embeddings, width);
    let mut points = principal_components(&rows);
    if points.len() >= FEWEST {
        descend(&mut points, &affinities(&rows));
    }
    points
}

/// The embeddings scaled to length 1, around their mean.
fn centered(embeddings: &[f32], width: usize) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> = embeddings
        .chunks_exact(width.max(1))
        .map(|row| {
            let row: Vec<f64> = row.iter().copied().map(f64::from).collect();
            let length = dot(&row, &row).sqrt().max(f64::MIN_POSITIVE);
            row.into_iter().map(|value| value / length).collect()
        })
        .collect();
    let count = rows.len().max(1) as f64;
    let mut mean = vec![0.0; width];
    for row in &rows {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / count);
    }
    for row in &mut rows {
        row.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
    }
    rows
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The coordinates along the two directions of the largest variance, by power iteration. The standard deviation along
/// the first direction is 1e-4.
fn principal_components(rows: &[Vec<f64>]) -> Vec<[f64; 2]> {
    let width = rows.first().map_or(0, Vec::len);
    let mut directions: Vec<Vec<f64>> = Vec::new();
    for place in 0..2_usize {
        let mut direction: Vec<f64> = (0..width).map(|index| ((index * 7 + place * 3) as f64).sin()).collect();
        for _ in 0..POWER_STEPS {
            for earlier in &directions {
                let along = dot(&direction, earlier);
                direction
                    .iter_mut()
                    .zip(earlier)
                    .for_each(|(value, earlier)| *value -= along * earlier);
            }
            let mut next = vec![0.0; width];
            for row in rows {
                let along = dot(row, &direction);
                next.iter_mut().zip(row).for_each(|(sum, value)| *sum += along * value);
            }
            let length = dot(&next, &next).sqrt().max(f64::MIN_POSITIVE);
            direction = next.into_iter().map(|value| value / length).collect();
        }
        directions.push(direction);
    }
    let mut points: Vec<[f64; 2]> = rows
        .iter()
        .map(|row| [dot(row, &directions[0]), dot(row, &directions[1])])
        .collect();
    let variance = points.iter().map(|point| point[0] * point[0]).sum::<f64>() / points.len().max(1) as f64;
    let scale = 1e-4 / variance.sqrt().max(f64::MIN_POSITIVE);
    points.iter_mut().flatten().for_each(|value| *value *= scale);
    points
}

/// How much each point is a neighbour of each other point: symmetric, with the sum 1 (equations 1 and 2).
fn affinities(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let count = rows.len();
    let [least, most] = PERPLEXITY;
    let perplexity = (count as f64 * NEIGHBOURS)
        .clamp(least, most)
        .min((count - 1) as f64 / 3.0);
    let conditional: Vec<Vec<f64>> = (0..count)
        .into_par_iter()
        .map(|own| {
            let distances: Vec<f64> = rows
                .iter()
                .map(|row| row.iter().zip(&rows[own]).map(|(a, b)| (a - b) * (a - b)).sum())
                .collect();
            neighbours(&distances, own, perplexity)
        })
        .collect();
    let total = 2.0 * count as f64;
    (0..count)
        .map(|i| {
            (0..count)
                .map(|j| (conditional[i][j] + conditional[j][i]) / total)
                .collect()
        })
        .collect()
}

/// The weights of a point's neighbours, from squared distances. The weights are normally distributed, with the width
/// that gives the perplexity.
fn neighbours(distances: &[f64], own: usize, perplexity: f64) -> Vec<f64> {
    let others = || distances.iter().enumerate().filter(|(other, _)| *other != own);
    let nearest = others().map(|(_, distance)| *distance).fold(f64::INFINITY, f64::min);
    let mean = others().map(|(_, distance)| distance - nearest).sum::<f64>() / (distances.len() - 1) as f64;
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut precision = 1.0 / mean.max(1e-300);
    let mut weights = vec![0.0; distances.len()];
    for _ in 0..60 {
        for (other, distance) in others() {
            weights[other] = (-precision * (distance - nearest)).exp();
        }
        let total: f64 = weights.iter().sum();
        for weight in &mut weights {
            *weight /= total;
        }
        let entropy: f64 = weights
            .iter()
            .filter(|weight| **weight > 0.0)
            .map(|weight| -weight * weight.ln())
            .sum();
        if entropy > perplexity.ln() {
            low = precision;
            // Points at the same place have the distance 0.
            precision = if high.is_finite() {
                f64::midpoint(low, high)
            } else {
                (precision * 2.0).min(1e300)
            };
        } else {
            high = precision;
            precision = f64::midpoint(low, high);
        }
    }
    weights
}

/// Moves the points until similar embeddings are near each other (equation 5), with momentum and a separate rate for
/// each coordinate (section 3.4).
fn descend(points: &mut [[f64; 2]], affinities: &[Vec<f64>]) {
    let count = points.len();
    let rate = (count as f64 / EARLY_ATTRACTION / 4.0).max(50.0);
    let mut speeds = vec![[0.0_f64; 2]; count];
    let mut gains = vec![[1.0_f64; 2]; count];
    for step in 0..STEPS {
        let early = step < EARLY_STEPS;
        let (attraction, momentum) = if early { (EARLY_ATTRACTION, 0.5) } else { (1.0, 0.8) };
        let near = |a: [f64; 2], b: [f64; 2]| 1.0 / (1.0 + (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2));
        let sums: Vec<f64> = points
            .par_iter()
            .map(|own| points.iter().map(|other| near(*own, *other)).sum::<f64>() - 1.0)
            .collect();
        let total = sums.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let gradients: Vec<[f64; 2]> = points
            .par_iter()
            .zip(affinities)
            .map(|(own, affinities)| {
                let mut gradient = [0.0; 2];
                for (other, affinity) in points.iter().zip(affinities) {
                    let near = near(*own, *other);
                    let force = 4.0 * (attraction * affinity - near / total) * near;
                    gradient[0] += force * (own[0] - other[0]);
                    gradient[1] += force * (own[1] - other[1]);
                }
                gradient
            })
            .collect();
        for index in 0..count {
            for axis in 0..2 {
                let (gradient, gain) = (gradients[index][axis], &mut gains[index][axis]);
                let turns = (gradient > 0.0) == (speeds[index][axis] > 0.0);
                *gain = if turns { (*gain * 0.8).max(0.01) } else { *gain + 0.2 };
                speeds[index][axis] = momentum * speeds[index][axis] - rate * *gain * gradient;
                points[index][axis] += speeds[index][axis];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three groups of embeddings, each around its own corner.
    #[test]
    fn neighbours_stay_neighbours() {
        let width = 12;
        let embeddings: Vec<f32> = (0..60)
            .flat_map(|picture: usize| {
                (0..width).map(move |index| {
                    let corner = if index % 3 == picture % 3 { 4.0 } else { 0.0 };
                    corner + ((picture * 31 + index * 17) as f32).sin()
                })
            })
            .collect();
        let points = project(&embeddings, width);
        assert_eq!(points.len(), 60);
        assert_eq!(points, project(&embeddings, width));
        let own_group = |(index, own): (usize, &[f64; 2])| {
            let distance = |other: &[f64; 2]| (own[0] - other[0]).powi(2) + (own[1] - other[1]).powi(2);
            let others = points.iter().enumerate().filter(|(other, _)| *other != index);
            let nearest = others.min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
            nearest.is_some_and(|(nearest, _)| nearest % 3 == index % 3)
        };
        // Chance would give one of three.
        let kept = points.iter().enumerate().filter(|&point| own_group(point)).count();
        assert!(kept >= 57, "{kept} of 60");
        for few in 0..FEWEST {
            let points = project(&embeddings[..few * width], width);
            assert!(points.len() == few && points.iter().flatten().all(|value| value.is_finite()));
        }
        let same = project(&[1.0; 40], 2);
        assert!(same.iter().flatten().all(|value| value.is_finite()), "{same:?}");
    }
}

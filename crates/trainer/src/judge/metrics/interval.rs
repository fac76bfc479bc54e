/// The 97.5 % quantile of the normal distribution, for intervals of 95 %.
const QUANTILE: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % interval of a share, if `right` of `of` were counted (Wilson 1927, "Probable inference, the law of
/// succession, and statistical inference"). The interval is 0 to 1 if nothing was counted.
///
/// Wilson's interval stays between 0 and 1 and holds for few pictures. The interval of the normal distribution does
/// not.
pub fn interval(right: usize, of: usize) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (count, share) = (of as f64, right as f64 / of as f64);
    let square = QUANTILE * QUANTILE;
    let middle = (share + square / (2.0 * count)) / (1.0 + square / count);
    let half =
        QUANTILE / (1.0 + square / count) * (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt();
    let low = if right == 0 { 0.0 } else { middle - half };
    let high = if right == of { 1.0 } else { middle + half };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of statsmodels' `proportion_confint(..., method="wilson")`.
    #[test]
    fn intervals_are_those_of_statsmodels() {
        for (right, of, low, high) in [
            (91, 114, 0.715_417, 0.861_629),
            (0, 10, 0.0, 0.277_533),
            (10, 10, 0.722_467, 1.0),
            (1, 2, 0.094_531, 0.905_469),
        ] {
            let (found_low, found_high) = interval(right, of);
            assert!(
                (found_low - low).abs() < 1e-6 && (found_high - high).abs() < 1e-6,
                "{right} of {of}: {found_low} {found_high}"
            );
        }
        assert_eq!(interval(0, 0), (0.0, 1.0));
    }
}

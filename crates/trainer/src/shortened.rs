/// At most `limit` characters, with an ellipsis in the middle of a longer text: the beginnings and the ends of names
/// tell them apart.
pub fn shortened(text: &str, limit: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= limit {
        return text.to_owned();
    }
    let end = limit.saturating_sub(1) / 2;
    let begin = limit.saturating_sub(1) - end;
    let (head, tail) = (&letters[..begin], &letters[letters.len() - end..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened_in_the_middle() {
        assert_eq!(shortened("cup", 3), "cup");
        assert_eq!(shortened("american_robin_male", 9), "amer…male");
        assert_eq!(shortened("茶碗蒸しです", 4), "茶碗…す");
        assert_eq!(shortened("cup", 0), "…");
    }
}

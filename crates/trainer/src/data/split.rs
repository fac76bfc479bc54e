use std::fmt;

use serde::{Deserialize, Serialize};

use super::spelling::{tidy, without_accents};

/// The part of a data set that a picture belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// Validation: for choosing the best epoch and the settings of training.
    Val,
    /// For judging the network once, at the end.
    Test,
}

impl Split {
    /// All parts, in the order in which they are used.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The name of the split's folder, and the split's value in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// The split that the name of a folder or a cell of a table means.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Val),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }

    /// The split that a word of a name means: `seg_train`, `Test-Images`, `validationset`, `trainA`. `None` if words
    /// mean several splits, as in `train_val`.
    pub(super) fn among_words(name: &str) -> Option<Self> {
        let name = apart(&tidy(name)).to_lowercase();
        let words = name.split(|char: char| !char.is_alphanumeric());
        let mut splits = words.filter_map(Self::of_word);
        let first = splits.next()?;
        splits.all(|split| split == first).then_some(first)
    }

    /// The split that an abbreviation means: `tr`, `te`. Only where nothing else can be meant: both are languages, too.
    pub(super) fn from_short(name: &str) -> Option<Self> {
        match name
            .trim()
            .to_lowercase()
            .trim_end_matches(|char: char| char.is_ascii_digit())
        {
            "tr" | "trn" | "tra" | "trng" => Some(Self::Train),
            "va" | "vl" | "vld" | "vali" | "vd" => Some(Self::Val),
            "te" | "ts" | "tst" => Some(Self::Test),
            _ => None,
        }
    }

    /// The split that a cell of a column of splits means.
    pub(super) fn from_cell(cell: &str) -> Option<Self> {
        Self::from_name(cell)
            .or_else(|| Self::from_short(cell))
            .or_else(|| Self::among_words(cell))
    }

    /// The split of a word, alone or with another word for the pictures behind it (`testset`, `Validierungsdaten`).
    pub(super) fn of_word(word: &str) -> Option<Self> {
        const ENDINGS: [&str; 19] = [
            "", "ssatz", "集", "set", "sset", "data", "dataset", "sdataset", "images", "pictures", "imgs", "photos",
            "daten", "sdaten", "bilder", "sbilder", "satz", "menge", "smenge",
        ];
        let word = without_accents(word);
        STEMS.iter().find_map(|&(stem, split)| {
            let rest = word
                .strip_prefix(stem)?
                .trim_end_matches(|char: char| char.is_ascii_digit());
            ENDINGS.contains(&rest).then_some(split)
        })
    }
}

/// Words for the splits, without accents: in English, German, French, Spanish,
/// Portuguese, Italian, Dutch, Turkish, Polish, Russian, Chinese, Japanese and Korean.
const STEMS: [(&str, Split); 53] = [
    ("training", Split::Train),
    ("train", Split::Train),
    ("trn", Split::Train),
    ("entrainement", Split::Train),
    ("apprentissage", Split::Train),
    ("entrenamiento", Split::Train),
    ("treinamento", Split::Train),
    ("treino", Split::Train),
    ("addestramento", Split::Train),
    ("allenamento", Split::Train),
    ("opleiding", Split::Train),
    ("trainen", Split::Train),
    ("egitim", Split::Train),
    ("treningowe", Split::Train),
    ("treningowy", Split::Train),
    ("trening", Split::Train),
    ("обучение", Split::Train),
    ("обучающая", Split::Train),
    ("训练", Split::Train),
    ("訓練", Split::Train),
    ("学習", Split::Train),
    ("훈련", Split::Train),
    ("학습", Split::Train),
    ("dev", Split::Val),
    ("development", Split::Val),
    ("validation", Split::Val),
    ("validierung", Split::Val),
    ("validacion", Split::Val),
    ("validacao", Split::Val),
    ("validazione", Split::Val),
    ("validatie", Split::Val),
    ("dogrulama", Split::Val),
    ("walidacja", Split::Val),
    ("валидация", Split::Val),
    ("валидационная", Split::Val),
    ("验证", Split::Val),
    ("検証", Split::Val),
    ("검증", Split::Val),
    ("valid", Split::Val),
    ("val", Split::Val),
    ("testing", Split::Test),
    ("teste", Split::Test),
    ("tests", Split::Test),
    ("test", Split::Test),
    ("tst", Split::Test),
    ("prova", Split::Test),
    ("prueba", Split::Test),
    ("pruebas", Split::Test),
    ("тест", Split::Test),
    ("测试", Split::Test),
    ("テスト", Split::Test),
    ("시험", Split::Test),
    ("테스트", Split::Test),
];

/// A name with a blank before each capital letter that begins a word.
fn apart(name: &str) -> String {
    let mut apart = String::new();
    for char in name.chars() {
        if char.is_uppercase() && apart.ends_with(|last: char| last.is_lowercase() || last.is_ascii_digit()) {
            apart.push(' ');
        }
        apart.push(char);
    }
    apart
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_names() {
        for (name, split) in [
            ("seg_train", Some(Split::Train)),
            ("training_set", Some(Split::Train)),
            ("Test-Images", Some(Split::Test)),
            ("val_data", Some(Split::Val)),
            ("trainset", Some(Split::Train)),
            ("val2017", Some(Split::Val)),
            ("VALIDATION", Some(Split::Val)),
            ("train train", Some(Split::Train)),
            ("train_val", None),
            ("trainval", None),
            ("trainA", Some(Split::Train)),
            ("myTestImages", Some(Split::Test)),
            ("trains", None),
            ("contest", None),
            ("tests", Some(Split::Test)),
            ("Training", Some(Split::Train)),
            ("Validierung", Some(Split::Val)),
            ("Testdaten", Some(Split::Test)),
            ("Trainingsbilder", Some(Split::Train)),
            ("entra\u{ee}nement", Some(Split::Train)),
            ("entrai\u{302}nement", Some(Split::Train)),
            ("jeu_de_test", Some(Split::Test)),
            ("datos de validaci\u{f3}n", Some(Split::Val)),
            ("pruebas", Some(Split::Test)),
            ("\u{8bad}\u{7ec3}\u{96c6}", Some(Split::Train)),
            ("\u{6d4b}\u{8bd5}\u{96c6}", Some(Split::Test)),
            ("\u{30c6}\u{30b9}\u{30c8}", Some(Split::Test)),
            ("val_images", Some(Split::Val)),
            ("devset", Some(Split::Val)),
            ("devices", None),
            ("prova", Some(Split::Test)),
            ("opleiding", Some(Split::Train)),
            ("\u{c2dc}\u{d5d8}", Some(Split::Test)),
            ("evaluation", None),
            ("trn", Some(Split::Train)),
            ("tr", None),
            ("trade", None),
            ("valley", None),
            ("seg_pred", None),
        ] {
            assert_eq!(Split::among_words(name), split, "{name}");
        }
    }
}

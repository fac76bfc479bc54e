//! The forms in which people keep class names: lines, tables, JSON.

use std::collections::HashSet;

use serde_json::Value;

use crate::label::{Label, LabelError};

/// Headers of a column of names, and keys of JSON objects that hold one, without case and signs.
const NAMES: [&str; 14] = [
    "breed",
    "categories",
    "category",
    "categoryname",
    "class",
    "classes",
    "classname",
    "classnames",
    "label",
    "labelname",
    "labels",
    "name",
    "names",
    "species",
];

/// Keys of JSON objects that hold the names or their numbers, in the order in which they are looked for.
const KEYS: [&str; 16] = [
    "id2label",
    "idx_to_class",
    "label2id",
    "class_to_idx",
    "class_indices",
    "class_names",
    "label_map",
    "label_names",
    "label_mapping",
    "labels_map",
    "index_to_name",
    "class_labels",
    "classes",
    "labels",
    "names",
    "categories",
];

/// The labels of a text in the order of the outputs, not yet checked.
pub(crate) fn labels_of(text: &str) -> Result<Vec<Label>, LabelError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Lines of old Macs.
    let of_mac = (!text.contains('\n') && text.contains('\r')).then(|| text.replace('\r', "\n"));
    let text = of_mac.as_deref().unwrap_or(text);
    if let Some(first) = text.lines().map(str::trim).find(|line| !line.is_empty()) {
        refuse_other_formats(first, text.trim().lines().count() > 1)?;
    }
    if text.trim_start().starts_with(['{', '[']) {
        return json(text);
    }
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    let comments = lines
        .iter()
        .take_while(|line| line.trim() == "#" || line.starts_with("# "))
        .count();
    lines.drain(..comments);
    // Excel's line about the lines that follow.
    let mut delimiters = vec!['\t', ',', ';', '|'];
    let separator = lines.first().and_then(|line| line.trim().strip_prefix("sep="));
    if let Some(delimiter) = separator.and_then(|separator| separator.chars().next()) {
        lines.remove(0);
        delimiters = vec![delimiter];
    }
    for mark in ["- ", "* "] {
        if !lines.is_empty() && lines.iter().all(|line| line.trim_start().starts_with(mark)) {
            lines = lines
                .iter()
                .map(|line| line.trim_start().trim_start_matches(mark))
                .collect();
        }
    }
    // A column of a table whose other columns are empty, and a list in a program.
    for delimiter in [',', ';'] {
        while lines.len() > 1 && lines.iter().all(|line| line.ends_with(delimiter) && line.len() > 1) {
            lines = lines.iter().map(|line| line[..line.len() - 1].trim_end()).collect();
        }
    }
    if let [line] = lines[..]
        && let Some(names) = [',', ';', '\t', '|']
            .map(|delimiter| cells(line, delimiter))
            .into_iter()
            .find(|names| names.len() > 1)
    {
        return Ok(names.iter().map(Label::new).collect());
    }
    refuse_negative(&lines)?;
    for delimiter in delimiters {
        if let Some(labels) = table(&lines, delimiter)? {
            return Ok(labels);
        }
    }
    if lines.len() > 1 && lines.first().is_some_and(|line| is_header(line)) {
        lines.remove(0);
    }
    // `index label` above lines such as `0 cup`.
    let titles = lines.first().is_some_and(|line| line.split_whitespace().any(is_header));
    if titles && lines.len() > 2 && lines[1..].iter().all(|line| number_first(line.trim()).is_some()) {
        lines.remove(0);
    }
    if let Some(labels) = wnids(&lines) {
        return Ok(labels);
    }
    if let Some(labels) = numbered(&lines)? {
        return Ok(labels);
    }
    if let Some(names) = one_column(&lines) {
        return Ok(names.iter().map(Label::new).collect());
    }
    // Also with the commas of a list in a program.
    let inner: Option<Vec<&str>> = lines
        .iter()
        .map(|line| unquoted(line.trim().trim_end_matches(',')))
        .collect();
    if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
        lines = inner;
    }
    Ok(lines.into_iter().map(Label::of_line).collect())
}

/// The names of a CSV column in which some are in quotes.
fn one_column(lines: &[&str]) -> Option<Vec<String>> {
    let is_quoted = |line: &str| {
        let inner = line.trim().strip_prefix('"').and_then(|line| line.strip_suffix('"'));
        inner.is_some_and(|inner| !inner.is_empty() && !inner.replace("\"\"", "").contains('"'))
    };
    let is_plain = |line: &str| !line.contains(['"', ',']);
    if !lines.iter().any(|line| is_quoted(line)) || !lines.iter().all(|line| is_quoted(line) || is_plain(line)) {
        return None;
    }
    Some(lines.iter().flat_map(|line| cells(line, ',')).collect())
}

/// The text between quotes.
fn unquoted(text: &str) -> Option<&str> {
    let between = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).filter(|inner| !inner.is_empty())
}

/// The name of a format that people take for a list of names by mistake.
fn refuse_other_formats(first: &str, has_more_lines: bool) -> Result<(), LabelError> {
    let is_word = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
            && chars.all(|char| char.is_alphanumeric() || "_-.".contains(char))
    };
    let in_brackets = first.strip_prefix('[').and_then(|first| first.strip_suffix(']'));
    let statement = first.split_once('=');
    let problem = if first.starts_with('<') {
        "this is an HTML or XML file"
    } else if has_more_lines && in_brackets.is_some_and(is_word) {
        "this is an INI or TOML file"
    } else if statement.is_some_and(|(name, value)| is_word(name.trim()) && value.trim().starts_with(['[', '{', '('])) {
        "this is a statement of Python or TOML"
    } else if first.starts_with("item") && first.ends_with('{') {
        "this is a label map of TensorFlow (.pbtxt)"
    } else if first == "---" || first.starts_with("names:") || first.starts_with("nc:") || first.starts_with("%YAML") {
        "this is a YAML file"
    } else {
        return Ok(());
    };
    Err(whole(format!(
        "{problem}: write the names one per line in the order of the outputs, or as JSON"
    )))
}

/// Refuses lines that all begin with a number of which some are negative: they are no numbers of outputs, and hardly
/// parts of names.
fn refuse_negative(lines: &[&str]) -> Result<(), LabelError> {
    let number = |line: &&str| -> Option<i64> {
        let line = line.trim();
        let end = line.find(|char: char| " \t,;:=".contains(char))?;
        line[..end].parse().ok()
    };
    let numbers: Option<Vec<i64>> = lines.iter().map(number).collect();
    match numbers.and_then(|numbers| numbers.into_iter().min()) {
        Some(smallest) if smallest < 0 => Err(whole(format!(
            "every line begins with a number, but the numbers of {0} classes should be 0 to {1}, each once, and \
             {smallest} is there; if the numbers are parts of the names, write the names as a JSON list",
            lines.len(),
            lines.len() - 1
        ))),
        _ => Ok(()),
    }
}

/// A cell's whole number, also as tables with empty cells have it: `2.0`.
fn whole_number(cell: &str) -> Option<usize> {
    cell.strip_suffix(".0").unwrap_or(cell).parse().ok()
}

fn whole(problem: String) -> LabelError {
    LabelError { number: 0, problem }
}

fn key(text: &str) -> String {
    let chars = text.chars().filter(|char| char.is_alphanumeric());
    chars.flat_map(char::to_lowercase).collect()
}

fn is_header(line: &str) -> bool {
    NAMES.contains(&key(line).as_str())
}

fn is_wnid(text: &str) -> bool {
    let digits = text.strip_prefix('n').unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Lines of several cells: a table with a header that is known, or with a column of numbers. `None` if the lines are
/// none: names may contain commas.
fn table(lines: &[&str], delimiter: char) -> Result<Option<Vec<Label>>, LabelError> {
    let mut rows: Vec<Vec<String>> = lines.iter().map(|line| cells(line, delimiter)).collect();
    let width = rows.first().map_or(0, Vec::len);
    if width < 2 || rows.iter().any(|row| row.len() != width) {
        return Ok(None);
    }
    let is_number = |cell: &String| whole_number(cell).is_some();
    // A table with a header of unusual names has a column of numbers.
    let above_numbers = |rows: &[Vec<String>]| {
        rows.len() > 2
            && (0..width)
                .any(|column| !is_number(&rows[0][column]) && rows[1..].iter().all(|row| is_number(&row[column])))
    };
    let header = if rows.len() > 1 && (rows[0].iter().any(|cell| is_header(cell)) || above_numbers(&rows)) {
        rows.remove(0)
    } else {
        Vec::new()
    };
    let column = |number: usize| rows.iter().map(move |row| row[number].as_str());
    let numbers = |number: usize| -> Option<Vec<usize>> { column(number).map(whole_number).collect() };
    let (indices, texts): (Vec<usize>, Vec<usize>) = (0..width).partition(|&number| numbers(number).is_some());
    if header.is_empty() && indices.is_empty() && delimiter != '\t' {
        return Ok(None);
    }
    let ids = texts
        .iter()
        .copied()
        .find(|&number| texts.len() > 1 && column(number).all(is_wnid));
    let mut names: Vec<usize> = texts.into_iter().filter(|&number| Some(number) != ids).collect();
    let is_name = |&number: &usize| header.get(number).is_some_and(|name| is_header(name));
    let titled: Vec<usize> = names.iter().copied().filter(is_name).collect();
    if let [_] = titled[..] {
        names = titled;
    }
    let (id, name) = match (names.as_slice(), indices.as_slice()) {
        (&[name], _) => (ids, name),
        // An identifier and a name.
        (&[id, name], []) if delimiter == '\t' && header.is_empty() => (Some(id), name),
        // Names that are numbers.
        ([], &[index, name]) if !header.is_empty() && is_name(&name) && !is_name(&index) => {
            return ordered(numbers(index), column(name).map(Label::new).collect()).map(Some);
        }
        _ => {
            return Err(whole(format!(
                "this is a table of {width} columns, and it is not clear which holds the names: keep that column, or \
                 those of the number and the name"
            )));
        }
    };
    let labels = rows.iter().map(|row| Label {
        id: id.map(|id| row[id].clone()),
        name: row[name].clone(),
    });
    let labels: Vec<Label> = labels.collect();
    match indices.first() {
        None => Ok(Some(labels)),
        Some(&index) => ordered(numbers(index), labels).map(Some),
    }
}

/// The trimmed cells of a line, of which some may be in quotes.
fn cells(line: &str, delimiter: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.trim().chars().peekable();
    while let Some(char) = chars.next() {
        let Some(cell) = cells.last_mut() else { break };
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            char if char == delimiter && !quoted => cells.push(String::new()),
            char => cell.push(char),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// `n01440764 tench, Tinca tinca`, as in ImageNet's `LOC_synset_mapping.txt`.
fn wnids(lines: &[&str]) -> Option<Vec<Label>> {
    let split = |line: &&str| {
        let (id, name) = line.trim().split_once(' ')?;
        is_wnid(id).then(|| Label {
            id: Some(id.to_owned()),
            name: name.trim().to_owned(),
        })
    };
    Some(lines.iter().map(split).collect::<Option<Vec<_>>>()?).filter(|labels| !labels.is_empty())
}

/// `0 cup`, `0: cup`, `(0) cup`, `cup 0` or `cup: 0`, in each line.
fn numbered(lines: &[&str]) -> Result<Option<Vec<Label>>, LabelError> {
    for (split, is_first) in [
        (number_first as fn(&str) -> Option<(usize, &str)>, true),
        (number_last, false),
    ] {
        let Some(split): Option<Vec<_>> = lines.iter().map(|line| split(line.trim())).collect() else {
            continue;
        };
        let names: HashSet<&str> = split.iter().map(|(_, name)| *name).collect();
        // `1 euro`, `2 euro`: the numbers are parts of the names.
        if names.len() < split.len() || split.is_empty() {
            continue;
        }
        let (numbers, labels): (Vec<_>, Vec<_>) =
            split.iter().map(|(number, name)| (*number, Label::new(*name))).unzip();
        match ordered(Some(numbers), labels) {
            Ok(labels) => return Ok(Some(labels)),
            Err(error) if is_first => {
                return Err(whole(format!(
                    "every line begins with a number, but {}; if the numbers are parts of the names, write the names \
                     as a JSON list",
                    error.problem
                )));
            }
            Err(_) => {}
        }
    }
    Ok(None)
}

fn number_first(line: &str) -> Option<(usize, &str)> {
    if let Some((number, name)) = line.strip_prefix('(').and_then(|line| line.split_once(')')) {
        return Some((number.trim().parse().ok()?, name.trim_start())).filter(|(_, name)| !name.is_empty());
    }
    let end = line.find(|char: char| !char.is_ascii_digit())?;
    let (number, rest) = line.split_at(end);
    let start = rest.trim_start();
    // `001.Albatross` is a name.
    let arrow = ["->", "=>", "\u{2192}"]
        .iter()
        .find_map(|arrow| start.strip_prefix(arrow));
    let name = if let Some(name) = arrow.or_else(|| start.strip_prefix([':', '='])) {
        name.trim_start()
    } else if let Some(name) = start.strip_prefix(['.', ')', '-']).filter(|name| name.starts_with(' ')) {
        name.trim_start()
    } else {
        Some(start).filter(|start| start.len() < rest.len())?
    };
    Some((number.parse().ok()?, name)).filter(|_| !name.is_empty())
}

fn number_last(line: &str) -> Option<(usize, &str)> {
    let start = line.rfind(|char: char| !char.is_ascii_digit())? + 1;
    let rest = line.get(..start)?;
    let name = rest.trim_end().trim_end_matches([':', '=']).trim_end();
    let is_apart = rest.ends_with([' ', '\t', ':', '=']);
    Some((line.get(start..)?.parse().ok()?, name)).filter(|_| is_apart && !name.is_empty())
}

/// The labels in the order of their numbers, which are 0 to n - 1 or 1 to n, each once.
fn ordered(numbers: Option<Vec<usize>>, labels: Vec<Label>) -> Result<Vec<Label>, LabelError> {
    let numbers = numbers.unwrap_or_default();
    let first = usize::from(!numbers.contains(&0));
    let mut places: Vec<Option<Label>> = vec![None; labels.len()];
    for (number, label) in numbers.iter().zip(labels) {
        match number.checked_sub(first).and_then(|place| places.get_mut(place)) {
            Some(place @ None) => *place = Some(label),
            Some(Some(_)) => return Err(whole(format!("the number {number} is there twice"))),
            None => {
                return Err(whole(format!(
                    "the numbers of {} classes should be {first} to {}, each once, and {number} is there",
                    places.len(),
                    (places.len() + first).saturating_sub(1)
                )));
            }
        }
    }
    Ok(places.into_iter().flatten().collect())
}

fn json(text: &str) -> Result<Vec<Label>, LabelError> {
    // JSON Lines: an object in each line.
    let lines: Result<Vec<Value>, _> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(serde_json::from_str)
        .collect();
    if let Some(lines) = lines
        .ok()
        .filter(|lines| lines.len() > 1 && lines.iter().all(Value::is_object))
    {
        return list(&lines);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let after_brace = text.trim_start().strip_prefix('{').map(str::trim_start);
        let has_number_as_key = after_brace.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        whole(if text.contains('\'') || has_number_as_key {
            "this is a dictionary or list of Python: write it with json.dump(names, open('labels.json', 'w'))"
                .to_owned()
        } else {
            format!("this is not JSON, though it begins like it: {error}")
        })
    })?;
    value_labels(&value)
}

fn value_labels(value: &Value) -> Result<Vec<Label>, LabelError> {
    match value {
        Value::Array(items) => list(items),
        Value::Object(map) => {
            let holds = |key: &&str| map.get(*key).is_some_and(|value| value.is_object() || value.is_array());
            if let Some(key) = KEYS.iter().find(|key| holds(key)) {
                return value_labels(&map[*key]);
            }
            // An entry that holds the names, beside others that are no names.
            let inner: Vec<&Value> = map
                .values()
                .filter(|value| value.is_object() || value.is_array())
                .collect();
            if let [inner] = inner[..]
                && !map.keys().all(|key| key.parse::<usize>().is_ok())
            {
                return value_labels(inner);
            }
            let number = |value: &Value| -> Option<usize> {
                let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
                number.or_else(|| value.as_str()?.parse().ok())
            };
            // `class_indices` has numbers as values, whatever its classes are called.
            if map.values().all(Value::is_u64) || !map.keys().all(|key| key.parse::<usize>().is_ok()) {
                let numbers: Option<Vec<usize>> = map.values().map(number).collect();
                let numbers = numbers.ok_or_else(unexpected)?;
                return ordered(Some(numbers), map.keys().map(Label::new).collect());
            }
            let numbers = map.keys().map(|key| key.parse().ok()).collect();
            let labels: Option<Vec<Label>> = map.values().map(label).collect();
            ordered(numbers, labels.ok_or_else(unexpected)?)
        }
        _ => Err(unexpected()),
    }
}

fn list(items: &[Value]) -> Result<Vec<Label>, LabelError> {
    let labels: Option<Vec<Label>> = items.iter().map(label).collect();
    let labels = labels.ok_or_else(unexpected)?;
    let number = |item: &Value| {
        let number = ["id", "index", "class_id"]
            .iter()
            .find_map(|key| item.get(key)?.as_u64())?;
        usize::try_from(number).ok()
    };
    let numbers: Option<Vec<usize>> = items.iter().map(number).collect();
    match numbers.filter(|numbers| !numbers.is_empty()) {
        None => Ok(labels),
        Some(numbers) => ordered(Some(numbers), labels),
    }
}

/// A name, an identifier and a name, or an object with a name.
fn label(value: &Value) -> Option<Label> {
    match value {
        Value::String(name) => Some(Label::new(name)),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(id), Value::String(name)] => Some(Label {
                id: Some(id.clone()),
                name: name.clone(),
            }),
            _ => None,
        },
        Value::Object(map) => {
            let name = ["name", "label", "class_name"]
                .iter()
                .find_map(|key| map.get(*key)?.as_str())?;
            Some(Label::new(name))
        }
        _ => None,
    }
}

fn unexpected() -> LabelError {
    whole(
        "expected JSON of class names: [\"cup\", \"fork\"], {\"0\": \"cup\", \"1\": \"fork\"} or {\"cup\": 0, \
         \"fork\": 1}"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `id=name` or `name` of each label, or the problem.
    fn read(text: &str) -> String {
        match labels_of(text) {
            Err(error) => error.to_string(),
            Ok(labels) => {
                let label = |label: &Label| match &label.id {
                    Some(id) => format!("{id}={}", label.name),
                    None => label.name.clone(),
                };
                labels.iter().map(label).collect::<Vec<_>>().join("|")
            }
        }
    }

    #[test]
    fn every_form_of_the_same_names() {
        for text in [
            "cup\nfork\nknife\n",
            "\u{feff}cup\r\nfork\r\nknife\r\n\r\n",
            "label\ncup\nfork\nknife\n",
            "Class Name\ncup\nfork\nknife",
            "0 cup\n1 fork\n2 knife",
            "1 fork\n0 cup\n2 knife",
            "1 cup\n2 fork\n3 knife",
            "0: cup\n1: fork\n2: knife",
            "0. cup\n1. fork\n2. knife",
            "1) cup\n2) fork\n3) knife",
            "0 - cup\n1 - fork\n2 - knife",
            "0\tcup\n1\tfork\n2\tknife",
            "cup,0\nknife,2\nfork,1",
            "0,cup\n1,fork\n2,knife",
            "cup;0\nfork;1\nknife;2",
            "cup 0\nfork 1\nknife 2",
            "cup: 0\nfork: 1\nknife: 2",
            "label,index\ncup,0\nfork,1\nknife,2\n",
            ",label\n0,cup\n1,fork\n2,knife\n",
            "id,name,pictures\n0,cup,0\n1,fork,7\n2,knife,9\n",
            "\"cup\"\n\"fork\"\n\"knife\"\n",
            "[\"cup\", \"fork\", \"knife\"]",
            "{\"cup\": 0,\n \"knife\": 2,\n \"fork\": 1}",
            "{\"0\": \"cup\", \"1\": \"fork\", \"2\": \"knife\"}",
            "\u{feff}{\"architectures\": [\"X\"], \"id2label\": {\"0\": \"cup\", \"1\": \"fork\", \"2\": \"knife\"},\n\
             \"label2id\": {\"cup\": 0, \"fork\": 1, \"knife\": 2}}",
            "{\"names\": [\"cup\", \"fork\", \"knife\"]}",
            "{\"model\": \"x\", \"label_map\": {\"0\": \"cup\", \"1\": \"fork\", \"2\": \"knife\"}}",
            "{\"config\": {\"id2label\": {\"0\": \"cup\", \"1\": \"fork\", \"2\": \"knife\"}}}",
            "{\"size\": 150, \"my_names\": [\"cup\", \"fork\", \"knife\"]}",
            "{\"id\": 0, \"name\": \"cup\"}\n{\"id\": 2, \"name\": \"knife\"}\n{\"id\": 1, \"name\": \"fork\"}\n",
            "# my classes\ncup\nfork\nknife\n",
            "- cup\n- fork\n- knife\n",
            "cup, fork, knife\n",
            "\"cup\",\n\"fork\",\n\"knife\",\n",
            "'cup',\n'fork',\n'knife'\n",
            ",0\n0,cup\n1,fork\n2,knife\n",
            "nr;titre\n1;fork\n0;cup\n2;knife\n",
            "[{\"id\": 2, \"name\": \"fork\"}, {\"id\": 1, \"name\": \"cup\"}, {\"id\": 3, \"name\": \"knife\"}]",
            "cup\rfork\rknife\r",
            "sep=;\r\nid;label\r\n0;cup\r\n1;fork\r\n2;knife\r\n",
            "0|cup\n1|fork\n2|knife",
            "(0) cup\n(1) fork\n(2) knife",
            "label\n\"cup\"\nfork\nknife\n",
            "cup \nfork\nknife\t\n",
            "0.0,cup\n1.0,fork\n2.0,knife\n",
            "cup,\nfork,\nknife,\n",
            "0;cup;\n1;fork;\n2;knife;\n",
            "0 -> cup\n1 -> fork\n2 -> knife\n",
            "0=>cup\n2=>knife\n1=>fork\n",
            "cup;fork;knife",
            "cup\tfork\tknife\n",
            "index label\n0 cup\n1 fork\n2 knife\n",
        ] {
            assert_eq!(read(text), "cup|fork|knife", "{text:?}");
        }
    }

    #[test]
    fn identifiers_are_kept() {
        for text in [
            "n01440764\ttench\nn01443537\tgoldfish\n",
            "n01440764 tench\nn01443537 goldfish\n",
            "{\"1\": [\"n01443537\", \"goldfish\"], \"0\": [\"n01440764\", \"tench\"]}",
            "id,name\nn01440764,tench\nn01443537,goldfish\n",
        ] {
            assert_eq!(read(text), "n01440764=tench|n01443537=goldfish", "{text:?}");
        }
    }

    #[test]
    fn names_may_look_like_something_else() {
        for (text, names) in [
            ("0\n1\n2", "0|1|2"),
            (
                "\"cup, red\"\n\"fork \"\"big\"\"\"\nknife",
                "cup, red|fork \"big\"|knife",
            ),
            ("cup (1)\n\"big\" fork\nknife", "cup (1)|\"big\" fork|knife"),
            ("1 euro\n2 euro", "1 euro|2 euro"),
            ("stage 1\nstage 2", "stage 1|stage 2"),
            ("001.Albatross\n002.Auklet", "001.Albatross|002.Auklet"),
            ("1 001.Albatross\n2 002.Auklet", "001.Albatross|002.Auklet"),
            ("7 up\ncola", "7 up|cola"),
            ("boeing 707\nairbus 320", "boeing 707|airbus 320"),
            (
                "tench, Tinca tinca\ngoldfish, Carassius auratus",
                "tench, Tinca tinca|goldfish, Carassius auratus",
            ),
            ("{\"8\": 1, \"7\": 0}", "7|8"),
            ("{\"1\": \"7\", \"0\": \"8\"}", "8|7"),
            ("label", "label"),
        ] {
            assert_eq!(read(text), names, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_names_is_named() {
        for (text, part) in [
            ("0 cup\n2 fork\n5 knife", "should be 0 to 2, each once, and 5 is there"),
            ("{\"cup\": 0, \"fork\": 0}", "the number 0 is there twice"),
            ("{'cup': 0, 'fork': 1}", "json.dump"),
            ("{\"cup\": 0,", "this is not JSON"),
            ("{\"cup\": 0.5}", "expected JSON of class names"),
            ("names:\n  - cup\n  - fork", "this is a YAML file"),
            ("item {\n  id: 1\n}", "label map of TensorFlow"),
            ("<!doctype html>", "HTML or XML"),
            (
                "-1 cup\n0 fork\n1 knife",
                "should be 0 to 2, each once, and -1 is there",
            ),
            (
                "-1,cup\n0,fork\n1,knife",
                "should be 0 to 2, each once, and -1 is there",
            ),
            ("labels = ['cup', 'fork']\n", "statement of Python or TOML"),
            ("CLASSES = (\n  'cup',\n", "statement of Python or TOML"),
            ("[labels]\n0=cup\n1=fork\n", "INI or TOML file"),
            ("file,breed,class\na,b,c\nd,e,f\n", "not clear which holds the names"),
        ] {
            assert!(read(text).contains(part), "{text:?}: {}", read(text));
        }
    }
}

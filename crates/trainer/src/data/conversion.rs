//! How to make a table of files that are none.

use std::fs::File;
use std::io::Read;
use std::path::Path;

const EXCEL: &str = "; save it as CSV: python -c \"import pandas; pandas.read_excel('FILE').to_csv('table.csv')\"";

const PARQUET: &str = "; save it as CSV: python -c \"import pandas; pandas.read_parquet('FILE').to_csv('table.csv')\"";

const JSON_LINES: &str =
    "; save it as CSV: python -c \"import pandas; pandas.read_json('FILE', lines=True).to_csv('table.csv')\"";

const JSON: &str = "; save it as CSV, for a list of objects: python -c \"import pandas; \
                    pandas.read_json('FILE').to_csv('table.csv')\"; for names with labels: python -c \"import json, \
                    pandas; pandas.DataFrame(json.load(open('FILE')).items(), columns=['path', \
                    'label']).to_csv('table.csv')\"";

const COCO: &str = "; these are annotations in COCO's format: as a table, where each picture has objects of one class, \
                    by python -c \"import json, pandas; d = json.load(open('FILE')); \
                    p = {i['id']: i['file_name'] for i in d['images']}; \
                    c = {c['id']: c['name'] for c in d['categories']}; \
                    pandas.DataFrame(sorted({(p[a['image_id']], c[a['category_id']]) for a in d['annotations']}), \
                    columns=['path', 'label']).to_csv('table.csv', index=False)\"";

const YAML: &str = "; a YAML file beside pictures describes a data set of boxes (YOLO), not of classes: make a folder \
                    for each class";

/// What to do with a file that is no table, as the rest of a sentence, or empty. `ending` is in lower case.
pub(super) fn advice(path: &Path, ending: &str) -> &'static str {
    match ending {
        "zip" | "tar" | "gz" | "tgz" | "bz2" | "xz" | "7z" | "rar" => "; unpack this archive first",
        "xlsx" | "xls" | "ods" => EXCEL,
        "parquet" => PARQUET,
        "jsonl" | "ndjson" => JSON_LINES,
        "json" if is_coco(path) => COCO,
        "json" => JSON,
        "yaml" | "yml" => YAML,
        _ => "",
    }
}

/// Whether the beginning of a file has two of the three keys of COCO's annotations, in whatever order.
fn is_coco(path: &Path) -> bool {
    const BEGINNING: u64 = 1 << 20;
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let keys = ["\"images\"", "\"annotations\"", "\"categories\""];
    read.is_ok() && keys.iter().filter(|key| text.contains(*key)).count() >= 2
}

/// The line that joins the tables of this name in `folders` of the folder `root`, as the rest of a sentence.
pub(super) fn joined(root: &Path, folders: &[String], table: &str) -> String {
    format!(
        "; join the tables by python -c \"import pandas; pandas.concat(t.assign(split=d, **{{t.columns[0]: d + '/' + \
         t[t.columns[0]]}}) for d in ['{}'] for t in [pandas.read_csv(d + '/{table}', \
         skipinitialspace=True)]).to_csv('table.csv', index=False)\" in {}, then name {}",
        folders.join("', '"),
        root.display(),
        root.join("table.csv").display()
    )
}

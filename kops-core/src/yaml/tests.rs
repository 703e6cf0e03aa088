use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sample {
    name: String,
    size: Option<u32>,
    open: Option<bool>,
    kind: Option<Kind>,
    items: Vec<Sample>,
    labels: BTreeMap<String, String>,
    free: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Plain,
    Rich(BTreeMap<String, u32>),
}

fn reading(text: &str) -> Reading<Sample> {
    Reading::of(&read(text).unwrap()[0], "")
}

fn findings(text: &str) -> String {
    let describe = |finding: Finding| match finding.fault {
        Fault::Unknown { blank, .. } => {
            format!("{} {} unknown{}", finding.position, finding.path, if blank { " blank" } else { "" })
        }
        Fault::Duplicate { first } => format!("{} {} first at {first}", finding.position, finding.path),
        Fault::Invalid { message, .. } => format!("{} {} {message}", finding.position, finding.path),
    };
    reading(text).findings.into_iter().map(describe).collect::<Vec<_>>().join("\n")
}

#[test]
fn reads_documents_and_leaves_out_empty_ones() {
    let documents = read("---\n# nothing\n---\na: 1\n---\n{\"a\": 2}\n---\n").unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].get("a").unwrap().position, Position { line: 6, column: 7 });
    assert!(read("").unwrap().is_empty());
    assert!(read("# only a comment\n").unwrap().is_empty());
}

#[test]
fn says_where_a_text_stops_being_yaml() {
    let error = read("a: 1\nb: [1,\nc: 2\n").unwrap_err();
    assert_eq!(error.position.line, 2);
    assert!(!error.message.contains("line"), "{}", error.message);
    assert_eq!(read("? [a]\n: 1\n").unwrap_err().to_string(), "1:3: a key must be a single value");
}

#[test]
fn texts_made_to_exhaust_a_reader_are_refused() {
    assert!(read(&"[".repeat(100_000)).is_err());
    assert!(read(&format!("{}1{}", "[".repeat(1000), "]".repeat(1000))).is_err());
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(read(&laughs).is_err());
}

#[test]
fn text_fields_take_plain_words_as_they_stand() {
    let value = reading("name: no\nlabels: {a: 012, b: 1e3, c: 1_000, d: ~x, e: on, 1: 1.30, y: yes}\n")
        .value
        .unwrap();
    assert_eq!(value.name, "no");
    let labels: Vec<_> = value.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(labels.join(" "), "1=1.30 a=012 b=1e3 c=1_000 d=~x e=on y=yes");
}

#[test]
fn other_fields_take_words_by_yaml_1_1() {
    let value =
        reading("open: no\nsize: 0x10\nfree: {a: on, b: 12, c: 1.5, d: 'on', e: ~, f: [1]}\n").value.unwrap();
    assert_eq!((value.open, value.size), (Some(false), Some(16)));
    assert_eq!(json!(value.free), json!({"a": true, "b": 12, "c": 1.5, "d": "on", "e": null, "f": [1]}));
}

#[test]
fn null_fields_are_absent() {
    let reading = reading("name: ~\nitems:\nlabels: null\n");
    assert_eq!(reading, Reading { value: Some(Sample::default()), findings: Vec::new() });
}

#[test]
fn reads_anchors_and_merged_mappings() {
    let value = reading("items:\n- &a {name: x, size: 1}\n- <<: *a\n  size: 2\n").value.unwrap();
    assert_eq!(value.items[1], Sample { name: "x".into(), size: Some(2), ..Sample::default() });
}

#[test]
fn finds_everything_that_is_wrong_at_once() {
    let text = "\
name: a
nmae: b
size: -1
open: maybe
name: c
kind: Fancy
items:
- size: 1.5
- nothing
- {name: [], colour: '', kind: {rich: {a: x}}}
- kind: {plain: {}, rich: {}}
labels: {a.b/c: [1], a.b/c: x}
";
    insta::assert_snapshot!(findings(text), @r"
    2:1 nmae unknown
    3:7 size the number -1 is out of range
    4:7 open expected true or false, found the text `maybe`
    5:1 name first at 1:1
    6:7 kind `Fancy` is not one of plain, rich
    8:9 items[0].size expected a whole number, found the number 1.5
    9:3 items[1] expected fields, found the text `nothing`
    10:10 items[2].name expected a text, found a list
    10:14 items[2].colour unknown blank
    10:43 items[2].kind.rich.a expected a whole number, found the text `x`
    11:9 items[3].kind expected exactly one field, found 2: plain, rich
    12:17 labels[a.b/c] expected a text, found a list
    12:22 labels[a.b/c] first at 12:10
    ");
}

#[test]
fn keeps_what_is_right_beside_what_is_wrong() {
    let value = reading("name: a\nsize: x\nitems: [{name: b}, 3, {name: c}]\n").value.unwrap();
    let names: Vec<_> = value.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!((value.name.as_str(), value.size, names), ("a", None, vec!["b", "c"]));
}

#[test]
fn a_root_that_does_not_fit_is_one_finding() {
    let reading = Reading::<Sample>::of(&read("[1]").unwrap()[0], "spec");
    assert_eq!(reading.value, None);
    assert_eq!(reading.findings.len(), 1);
    assert_eq!(reading.findings[0].path, "spec");
}

#[test]
fn writes_sorted_keys_and_quotes_doubtful_words() {
    let value = json!({
        "b": ["no", "on", "012", "1e3", "1_000", "~", "", "1:30", "2017-01-01", "0x1f", "null", "y", ".5", "=", "<<"],
        "a": {"z": 1, "no": [], "k": {}},
        "c": "one\ntwo\n",
        "d": "owner/images/a-name-that-is-longer-than-eighty-characters/and-that-nobody-wants-to-see-folded over lines",
    });
    insta::assert_snapshot!(write(&value).unwrap(), @r#"
    a:
      k: {}
      "no": []
      z: 1
    b:
    - "no"
    - "on"
    - "012"
    - "1e3"
    - "1_000"
    - "~"
    - ""
    - "1:30"
    - "2017-01-01"
    - "0x1f"
    - "null"
    - "y"
    - ".5"
    - "="
    - "<<"
    c: |
      one
      two
    d: owner/images/a-name-that-is-longer-than-eighty-characters/and-that-nobody-wants-to-see-folded over lines
    "#);
}

/// What YAML 1.1's type repository takes for something else than text.
fn words_that_are_not_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "y|Y|n|N|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|true|True|TRUE|false|False|FALSE",
        "~|null|Null|NULL|=|<<|",
        "[-+]?(0|[1-9][0-9_]{0,9}|0b[01_]{1,9}|0[0-7_]{1,9}|0x[0-9a-fA-F_]{1,9}|[1-9][0-9_]{0,3}(:[0-5]?[0-9]){1,2})",
        "[-+]?[0-9][0-9_]{0,4}\\.[0-9_]{0,4}([eE][-+][0-9]{1,2})?|[-+]?[0-9]{1,3}[eE][-+]?[0-9]{1,2}",
        "[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN)|[0-9]{4}-[01][0-9]-[0-3][0-9]",
    ]
}

fn doubtful_words() -> impl Strategy<Value = String> {
    prop_oneof![
        words_that_are_not_text(),
        "[-+]?(0[xob]?)?[0-9_]{1,6}([.:][0-9_]{0,3})?([eE][-+]?[0-9]{1,2})?",
        "[-+]?\\.(inf|nan|[0-9]+)",
        "[ #:,&*!|>%@`'\"{}\\[\\]?-]{0,4}[a-z]{0,2}[ :#-]{0,3}",
        "\\PC{0,12}",
        "[a-z \t\n]{0,20}",
    ]
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        texts in prop::collection::vec(doubtful_words(), 0..6),
        labels in prop::collection::btree_map(doubtful_words(), doubtful_words(), 0..6),
        number in any::<i64>(),
    ) {
        let value = json!({"texts": texts, "labels": labels, "number": number});
        let written = write(&value).unwrap();
        let read = read(&written).unwrap();
        prop_assert_eq!(Reading::<Value>::of(&read[0], "").value, Some(value), "{}", written);
    }

    #[test]
    fn text_that_looks_like_something_else_is_quoted(word in words_that_are_not_text()) {
        let written = write(&json!({ "a": word, word.clone(): "b" })).unwrap();
        for line in written.lines() {
            let (key, value) = line.rsplit_once(": ").unwrap();
            prop_assert!(key != word && value != word, "{}", written);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[ab:\\- \n\\[\\]{}&*!|>'\"#?,~0-9<]{0,40}") {
        if let Ok(documents) = read(&text) {
            for document in documents {
                let reading = Reading::<Sample>::of(&document, "");
                prop_assert!(reading.value.is_some() || !reading.findings.is_empty());
            }
        }
    }
}

//! Tables as kops prints them: columns padded to the widest cell.

use std::fmt::Write;

use crate::visible::on_one_line;

/// Returns names as one text; `nothing` if there are no names.
pub(crate) fn listed<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names = names.into_iter().fold(String::new(), |text, name| {
        let comma = if text.is_empty() { "" } else { ", " };
        text + comma + name.as_ref()
    });
    if names.is_empty() { "nothing".to_owned() } else { names }
}

/// A header row and rows below it, sorted by their cells from the left.
pub(crate) fn table<const N: usize>(header: [&str; N], mut rows: Vec<[String; N]>) -> String {
    for cell in rows.iter_mut().flatten() {
        *cell = on_one_line(cell).into_owned();
    }
    rows.sort();
    let mut widths = header.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(header.map(ToOwned::to_owned)).chain(rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

//! Makes visible what a terminal would obey. Tags, names of machine types, holders of leases and conditions of nodes are
//! other people's text.

use std::borrow::Cow;

/// Returns the text with every character shown that would move the cursor, start a command of the terminal or turn the
/// direction of writing. Ends of lines and tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |character| is_obeyed(character) && !matches!(character, '\n' | '\t'))
}

/// Returns the text on one line: ends of lines and tabs are shown, too.
pub(crate) fn on_one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_obeyed)
}

fn escaped(text: &str, is_shown: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_shown) {
        return Cow::Borrowed(text);
    }
    let escape = |character: char| {
        if is_shown(character) { character.escape_default().to_string() } else { character.to_string() }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Control characters, separators of lines and paragraphs, and Unicode's marks of direction
/// (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (text, shown) in [
            ("\u{1b}[2Jgone", r"\u{1b}[2Jgone"),
            ("one\rtwo\u{8}", r"one\rtwo\u{8}"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("\u{7f}", r"\u{7f}"),
            ("user\u{202e}txt.exe", r"user\u{202e}txt.exe"),
            ("\u{2066}a\u{2069}\u{200f}\u{61c}", r"\u{2066}a\u{2069}\u{200f}\u{61c}"),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(on_one_line(text), shown);
        }
    }

    #[test]
    fn text_of_all_languages_stays() {
        for text in ["", "ip-10-0-0-1", "東京\tзона\nمنطقة é 👩‍🚀"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn no_field_makes_a_line_of_its_own() {
        assert_eq!(on_one_line("alice\nhint: give --force"), r"alice\nhint: give --force");
        assert_eq!(on_one_line("a\tb"), r"a\tb");
    }
}

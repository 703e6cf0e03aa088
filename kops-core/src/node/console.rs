//! What machines write to their consoles, which the cloud keeps for those who cannot get onto a machine.

/// What lines of the program that makes nodes of machines begin with.
const NODE: &str = "kops-node: ";
/// What lines of the script that fetches that program begin with.
const BOOTSTRAP: &str = "kops: ";
/// What is said when nothing is wrong.
pub const ALL_IS_WELL: &str = "everything is as it should be";
/// How much of a line is read: anybody on the machine may write there.
const LENGTH: usize = 1000;

/// Returns the line that tells how a machine is: its problems, or that all is well.
pub fn line(problems: &[String]) -> String {
    let text = if problems.is_empty() { ALL_IS_WELL.to_owned() } else { problems.join("; ") };
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LENGTH).collect();
    format!("{NODE}{text}\n")
}

/// Returns what a machine has said last about itself on its console, without what makes no sense to people. Returns
/// `None` if it has said nothing, or that all is well.
pub fn last_words(console: &str) -> Option<String> {
    let last = console.lines().rev().find_map(|line| {
        // The kernel, cloud-init and systemd write there, too, and put times and names in front.
        [NODE, BOOTSTRAP].into_iter().find_map(|prefix| {
            let (before, said) = line.split_once(prefix)?;
            (before.is_empty() || before.ends_with(' ')).then_some(said)
        })
    })?;
    let said: String = last.chars().filter(|c| !c.is_control()).take(LENGTH).collect();
    let said = said.trim();
    (!said.is_empty() && said != ALL_IS_WELL).then(|| said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_ours_counts() {
        let told = line(&["join: not yet".to_owned(), "unit kubelet.service: it has failed".to_owned()]);
        let console = format!("[    1.2] Linux\nkops: fetching\n{told}[   99.0] eth0: link is up\n");
        assert_eq!(
            last_words(&console).as_deref(),
            Some("join: not yet; unit kubelet.service: it has failed")
        );
        assert_eq!(last_words(&format!("{console}{}", line(&[]))), None);
        assert_eq!(last_words("[    1.2] Linux\n"), None);
        assert_eq!(last_words(""), None);
    }

    #[test]
    fn what_others_put_in_front_is_passed_over() {
        let console = "[   12.0] cloud-init[700]: kops: cannot fetch the node configuration\r\nnokops: x\n";
        assert_eq!(last_words(console).as_deref(), Some("cannot fetch the node configuration"));
    }

    #[test]
    fn no_line_steers_a_terminal_or_fills_a_screen() {
        let words = last_words(&format!("kops-node: \u{1b}[31mred{}\n", "x".repeat(5000))).unwrap();
        assert!(words.starts_with("[31mred") && words.len() == LENGTH, "{words}");
        assert_eq!(line(&["two\nlines".to_owned()]), "kops-node: two lines\n");
    }
}

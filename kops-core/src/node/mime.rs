use crate::digest::sha256_hex;

/// Puts parts (file name, MIME type, text) into one MIME message, as cloud-init reads them in order.
///
/// The boundary follows from the parts, so that the same parts give the same bytes.
/// <https://cloudinit.readthedocs.io/en/latest/explanation/format.html#mime-multi-part-archive>
pub fn multipart(parts: &[(&str, &str, &str)]) -> String {
    let all: String = parts.iter().map(|(name, kind, text)| format!("{name}\n{kind}\n{text}\n")).collect();
    let boundary = format!("MIMEBOUNDARY-{}", &sha256_hex(all.as_bytes())[..16]);
    let mut message =
        format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n");
    for (name, kind, text) in parts {
        message.push_str(&format!(
            "--{boundary}\nContent-Disposition: attachment; filename=\"{name}\"\n\
             Content-Transfer-Encoding: 7bit\nContent-Type: {kind}; charset=\"utf-8\"\nMIME-Version: 1.0\n\n{text}\n"
        ));
    }
    message.push_str(&format!("--{boundary}--\n"));
    message
}

#[cfg(test)]
mod tests {
    #[test]
    fn parts_follow_each_other() {
        let message = super::multipart(&[
            ("a.sh", "text/x-shellscript", "#!/bin/sh\n"),
            ("b.txt", "text/cloud-config", "x: y\n"),
        ]);
        insta::assert_snapshot!(message, @r#"
        Content-Type: multipart/mixed; boundary="MIMEBOUNDARY-e72ef39610f4fd05"
        MIME-Version: 1.0

        --MIMEBOUNDARY-e72ef39610f4fd05
        Content-Disposition: attachment; filename="a.sh"
        Content-Transfer-Encoding: 7bit
        Content-Type: text/x-shellscript; charset="utf-8"
        MIME-Version: 1.0

        #!/bin/sh

        --MIMEBOUNDARY-e72ef39610f4fd05
        Content-Disposition: attachment; filename="b.txt"
        Content-Transfer-Encoding: 7bit
        Content-Type: text/cloud-config; charset="utf-8"
        MIME-Version: 1.0

        x: y

        --MIMEBOUNDARY-e72ef39610f4fd05--
        "#);
    }
}

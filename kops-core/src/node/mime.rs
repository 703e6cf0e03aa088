use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::digest::sha256_hex;

/// Puts parts (file name, MIME type, text) into one MIME message, as cloud-init reads them in order.
///
/// What is not ASCII goes as Base64: cloud-init's reader takes other texts for Latin-1. The boundary follows from the parts, so that the same parts give the same bytes.
/// <https://cloudinit.readthedocs.io/en/latest/explanation/format.html#mime-multi-part-archive>
pub fn multipart(parts: &[(&str, &str, &str)]) -> String {
    let all: String = parts.iter().map(|(name, kind, text)| format!("{name}\n{kind}\n{text}\n")).collect();
    let boundary = format!("MIMEBOUNDARY-{}", &sha256_hex(all.as_bytes())[..16]);
    let mut message =
        format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n");
    for (name, kind, text) in parts {
        let (encoding, text) = match text.is_ascii() {
            true => ("7bit", (*text).to_owned()),
            false => ("base64", STANDARD.encode(text)),
        };
        message.push_str(&format!(
            "--{boundary}\nContent-Disposition: attachment; filename=\"{name}\"\n\
             Content-Transfer-Encoding: {encoding}\nContent-Type: {kind}; charset=\"utf-8\"\nMIME-Version: 1.0\n\n{text}\n"
        ));
    }
    message.push_str(&format!("--{boundary}--\n"));
    message
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_not_ascii_arrives_as_it_is() {
        let message = super::multipart(&[("a.sh", "text/x-shellscript", "echo Grüße")]);
        assert!(message.is_ascii(), "{message}");
        assert!(
            message.contains("Encoding: base64\n") && message.contains("\n\nZWNobyBHcsO8w59l\n"),
            "{message}"
        );
    }

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

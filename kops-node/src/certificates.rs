//! Keysets from the state store as files, and the certificates that the machine issues itself from them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use kops_core::clock::Clock;
use kops_core::node::render::{self, NodePlan};
use kops_core::pki::{Certificate, Credential, Keyset, Keystore, PkiError, PrivateKey};

use crate::error::{Done, NodeError};
use crate::files::Root;

/// How long before its end a certificate is replaced: long enough for somebody to notice that it is not.
const MARGIN: Duration = Duration::from_hours(30 * 24);

/// Makes sure that all keysets and certificates of the plan are on the machine.
pub(crate) async fn ensure(
    plan: &NodePlan,
    cluster: &str,
    keystore: &Keystore,
    clock: &dyn Clock,
    root: &Root,
) -> Vec<Done> {
    let authorities = plan.certificates.iter().map(|certificate| &certificate.authority);
    let names: BTreeSet<&String> =
        plan.keysets.iter().map(|keyset| &keyset.name).chain(authorities).collect();
    let found = join_all(names.into_iter().map(|name| fetch(name, cluster, keystore)));
    let (found, missing): (Vec<_>, Vec<_>) = found.await.into_iter().partition(Result::is_ok);
    let found: BTreeMap<&String, Keyset> = found.into_iter().flatten().collect();
    // What needs a keyset that is missing is not said again.
    let keysets = plan.keysets.iter().filter_map(|files| Some(write(files, found.get(&files.name)?, root)));
    let certificates = plan
        .certificates
        .iter()
        .filter_map(|certificate| Some(issue(certificate, found.get(&certificate.authority)?, clock, root)));
    missing.into_iter().map(|result| result.map(drop)).chain(keysets).chain(certificates).collect()
}

async fn fetch<'a>(
    name: &'a String,
    cluster: &str,
    keystore: &Keystore,
) -> Result<(&'a String, Keyset), NodeError> {
    let step = format!("keyset {name}");
    match keystore.keyset(cluster, name).await {
        Ok(keyset) => Ok((name, keyset)),
        Err(PkiError::NotFound(_)) => Err(NodeError::waiting(step, "it is not in the state store yet")
            .with_hint("run `kops update cluster`")),
        Err(PkiError::Store(error)) => Err(NodeError::of_store(step, error)),
        Err(error) => Err(broken(&step)(error)),
    }
}

fn broken(step: &str) -> impl Fn(PkiError) -> NodeError {
    move |error| NodeError::lasting(step, error.to_string()).with_source(error)
}

fn write(files: &render::Keyset, keyset: &Keyset, root: &Root) -> Done {
    let step = format!("keyset {}", files.name);
    if let Some(path) = &files.trusted {
        root.write(&step, path, keyset.trusted_pem().as_bytes(), 0o644)?;
    }
    if let Some(path) = &files.public_keys {
        root.write(&step, path, keyset.public_keys_pem().map_err(broken(&step))?.as_bytes(), 0o644)?;
    }
    if files.certificate.is_none() && files.key.is_none() {
        return Ok(());
    }
    let Credential { certificate, key } = keyset.signing().map_err(broken(&step))?;
    if let Some(path) = &files.key {
        root.write(&step, path, key.pem().as_bytes(), 0o600)?;
    }
    if let Some(path) = &files.certificate {
        root.write(&step, path, certificate.pem().as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Leaves the certificate that is there alone as long as it serves.
fn issue(wanted: &render::Certificate, keyset: &Keyset, clock: &dyn Clock, root: &Root) -> Done {
    let name = wanted.path.rsplit('/').next().unwrap_or_default();
    let step = format!("certificate {name}");
    let now = clock.now();
    let authority = keyset.authority().map_err(broken(&step))?;
    let (crt, key) = (format!("{}.crt", wanted.path), format!("{}.key", wanted.path));
    let credential = read(&crt, &key, root)
        .filter(|found| authority.stands_behind(found, &wanted.leaf, now, MARGIN))
        .map_or_else(|| authority.issue(&wanted.leaf, now), Ok)
        .map_err(broken(&step))?;
    root.write(&step, &key, credential.key.pem().as_bytes(), 0o600)?;
    root.write(&step, &crt, credential.certificate.pem().as_bytes(), 0o644).map(drop)
}

fn read(crt: &str, key: &str, root: &Root) -> Option<Credential> {
    let text = |path| String::from_utf8(root.read(path)?).ok();
    Some(Credential {
        certificate: Certificate::from_pem(text(crt)?).ok()?,
        key: PrivateKey::from_pem(text(key)?).ok()?,
    })
}

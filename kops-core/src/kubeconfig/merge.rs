//! A cluster is put into a configuration.

use serde_json::map::Entry;
use serde_json::{Value, json};

use super::{ClusterAccess, Kubeconfig, KubeconfigError, User, base64, is_named};

/// The lists of a configuration, and what their entries hold beside a name.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("contexts", "context"), ("users", "user")];

/// What else says whom to trust: with it, the authorities' certificates would be refused or ignored.
const OTHER_TRUST: [&str; 2] = ["certificate-authority", "insecure-skip-tls-verify"];

/// What else proves who calls: it would come before or beside the certificate.
const OTHER_PROOF: [&str; 8] = [
    "client-certificate",
    "client-key",
    "token",
    "tokenFile",
    "username",
    "password",
    "auth-provider",
    "exec",
];

impl Kubeconfig {
    /// Makes sure that the lists are lists of named objects: of another form, nothing could be added without a loss.
    pub(super) fn check(&self) -> Result<(), KubeconfigError> {
        for (list, held) in LISTS {
            let entries = match self.root.get(list) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(entries)) => entries,
                Some(_) => return Err(KubeconfigError::form(list)),
            };
            for (index, entry) in entries.iter().enumerate() {
                let named = entry.get("name").is_some_and(Value::is_string);
                let holds = entry.get(held).is_none_or(|value| value.is_object() || value.is_null());
                if !named || !holds {
                    return Err(KubeconfigError::form(&format!("{list}[{index}]")));
                }
            }
        }
        Ok(())
    }

    /// Puts a cluster, its user and its context in, and lets kubectl use that context.
    ///
    /// # Errors
    /// [`User::Named`] has no entry. Nothing is changed then.
    pub fn merge(&mut self, access: &ClusterAccess) -> Result<(), KubeconfigError> {
        let ClusterAccess { name, server, authorities, user } = access;
        let user = match user {
            User::Named(user) if !self.has_user(user) => return Err(KubeconfigError::NoUser(user.clone())),
            User::Named(user) => user,
            User::Unchanged => name,
            User::Certificate(credential) => {
                let proof = [
                    ("client-certificate-data", base64(credential.certificate.pem())),
                    ("client-key-data", base64(credential.key.pem())),
                ];
                self.set("users", "user", name, &OTHER_PROOF, proof);
                name
            }
        };
        let reached = [
            ("server", json!(server.url)),
            ("tls-server-name", json!(server.name)),
            ("certificate-authority-data", base64(authorities)),
        ];
        self.set("clusters", "cluster", name, &OTHER_TRUST, reached);
        self.set("contexts", "context", name, &[], [("cluster", json!(name)), ("user", json!(user))]);
        self.root.insert("current-context".to_owned(), json!(name));
        Ok(())
    }

    /// Sets fields of a list's entry of that name, which is added if there is none. Its other fields stay, but for
    /// those to be removed.
    fn set<const N: usize>(
        &mut self,
        list: &str,
        held: &str,
        name: &str,
        remove: &[&str],
        fields: [(&str, Value); N],
    ) {
        let Some(entries) = filled(self.root.entry(list), json!([])).as_array_mut() else { return };
        let index = entries.iter().position(|entry| is_named(entry, name)).unwrap_or_else(|| {
            entries.push(json!({ "name": name }));
            entries.len() - 1
        });
        let Some(entry) = entries.get_mut(index).and_then(Value::as_object_mut) else { return };
        let Some(object) = filled(entry.entry(held), json!({})).as_object_mut() else { return };
        object.retain(|key, _| !remove.contains(&key.as_str()));
        object.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    }
}

/// What an entry holds; `empty` if it holds nothing or null. [`Kubeconfig::check`] has made sure that it is nothing else.
fn filled<'a>(entry: Entry<'a>, empty: Value) -> &'a mut Value {
    let value = entry.or_insert(Value::Null);
    if value.is_null() {
        *value = empty;
    }
    value
}
